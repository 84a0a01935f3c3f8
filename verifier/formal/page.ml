(* The kernel in a browser, or in Node: functions from texts to lines, on the global `protoproofKernel`.

   start statement proof   "started"
   next ""                 "proved WHAT" | "not proved WHAT" for everything that was asked, then "end"

   or "malformed WHY", or "limits WHY" where another machine could have answered. And of a model file, read here
   once more (reader/):

   data name bytes         "kept": one of the model's data files, for
   model statement bytes   "same WHY" | "different WHY" | "unread WHY"

   Bytes come as arrays. *)
external offer : string -> 'a -> unit = "protoproof_offer"

let answered f =
  try f () with error ->
    let text, limits = Main.why error in
    (if limits then "limits " else "malformed ") ^ text

let current = ref (fun () -> None)

let start statement proof = answered (fun () -> current := Main.session statement proof; "started")

let next (_ : string) =
  answered (fun () ->
    match !current () with
    | None -> "end"
    | Some (good, what) -> (if good then "proved " else "not proved ") ^ what)

let files = ref []
let data name content = files := (name, content) :: List.remove_assoc name !files; "kept"

let model statement content =
  answered (fun () ->
    match Reader.confirm ~model:content ~files:!files ~certificate:None ~statement with
    | Confirmed why -> "same " ^ why
    | Contradicted why -> "different " ^ why
    | Not_covered why -> "unread " ^ why)

let () = offer "start" start; offer "next" next; offer "data" data; offer "model" model
