(* protoproof-reader STATEMENT MODEL [--certificate FILE] [--data NAME FILE]...
   0: confirmed, 1: contradicted, 3: not covered, 2: used wrongly. *)

let content name =
  let channel = open_in_bin name in
  let text = really_input_string channel (in_channel_length channel) in
  close_in channel;
  text

let () =
  let rec options files certificate = function
    | "--certificate" :: file :: rest when certificate = None -> options files (Some (content file)) rest
    | "--data" :: name :: file :: rest -> options ((name, content file) :: files) certificate rest
    | [] -> (files, certificate)
    | _ -> raise (Sys_error "usage: protoproof-reader STATEMENT MODEL [--certificate FILE] [--data NAME FILE]...") in
  try
    match Array.to_list Sys.argv with
    | _ :: statement :: model :: rest ->
        let files, certificate = options [] None rest in
        let line, code =
          match Reader.confirm ~model:(content model) ~files ~certificate ~statement:(content statement) with
          | Confirmed why -> ("confirmed: " ^ why, 0)
          | Contradicted why -> ("contradicted: " ^ why, 1)
          | Not_covered why -> ("not covered: " ^ why, 3) in
        print_endline line;
        exit code
    | _ -> ignore (options [] None [ "" ])
  with Sys_error text -> prerr_endline ("second reading: " ^ text); exit 2
