(* JSON (RFC 8259) as certificates have it. Numbers are kept as they are written. *)

exception Malformed of string

let bad text = raise (Malformed text)

type t = Null | Bool of bool | Number of string | Text of string | List of t list | Object of (string * t) list

let parse text =
  let size = String.length text in
  let at = ref 0 in
  let peek () = if !at < size then text.[!at] else bad "the certificate ends too early" in
  let rec blanks () = if !at < size && (match text.[!at] with ' ' | '\n' | '\r' | '\t' -> true | _ -> false) then (incr at; blanks ()) in
  let word w v =
    let n = String.length w in
    if !at + n <= size && String.sub text !at n = w then (at := !at + n; v) else bad "a word that is no JSON" in
  let string () =
    incr at;
    let out = Buffer.create 16 in
    let hex () =
      if !at + 4 > size then bad "a text that is cut off";
      let digits = String.sub text !at 4 in
      if not (String.for_all (function '0' .. '9' | 'a' .. 'f' | 'A' .. 'F' -> true | _ -> false) digits) then bad "an escape that is none";
      at := !at + 4;
      int_of_string ("0x" ^ digits) in
    let rec more () =
      match peek () with
      | '"' -> incr at
      | '\\' ->
          incr at;
          let c = peek () in
          incr at;
          (match c with
          | '"' | '\\' | '/' -> Buffer.add_char out c
          | 'b' -> Buffer.add_char out '\b' | 'f' -> Buffer.add_char out '\012'
          | 'n' -> Buffer.add_char out '\n' | 'r' -> Buffer.add_char out '\r' | 't' -> Buffer.add_char out '\t'
          | 'u' ->
              let u = hex () in
              let u =
                if u >= 0xd800 && u < 0xdc00 then begin
                  if !at + 2 > size || String.sub text !at 2 <> "\\u" then bad "half a character";
                  at := !at + 2;
                  let v = hex () in
                  if v < 0xdc00 || v > 0xdfff then bad "half a character";
                  0x10000 + ((u - 0xd800) lsl 10) + (v - 0xdc00)
                end
                else u in
              if not (Uchar.is_valid u) then bad "a character that is none";
              Buffer.add_utf_8_uchar out (Uchar.of_int u)
          | _ -> bad "an escape that is none");
          more ()
      | c when Char.code c < 32 -> bad "a line end in a text"
      | c -> Buffer.add_char out c; incr at; more ()
    in
    more ();
    Buffer.contents out in
  let number () =
    let from = !at in
    while !at < size && (match text.[!at] with '0' .. '9' | '-' | '+' | '.' | 'e' | 'E' -> true | _ -> false) do incr at done;
    if !at = from then bad "a value that is none";
    String.sub text from (!at - from) in
  let rec value depth =
    if depth > 256 then bad "too deep";
    blanks ();
    match peek () with
    | '{' ->
        incr at; blanks ();
        if peek () = '}' then (incr at; Object [])
        else
          let seen = Hashtbl.create 8 in
          let rec more acc =
            blanks ();
            if peek () <> '"' then bad "a name that is no text";
            let name = string () in
            if Hashtbl.mem seen name then bad ("the name " ^ name ^ " twice");
            Hashtbl.add seen name ();
            blanks ();
            if peek () <> ':' then bad "a name without a value";
            incr at;
            let v = value (depth + 1) in
            blanks ();
            match peek () with
            | ',' -> incr at; more ((name, v) :: acc)
            | '}' -> incr at; List.rev ((name, v) :: acc)
            | _ -> bad "an object that does not end" in
          Object (more [])
    | '[' ->
        incr at; blanks ();
        if peek () = ']' then (incr at; List [])
        else
          let rec more acc =
            let v = value (depth + 1) in
            blanks ();
            match peek () with
            | ',' -> incr at; more (v :: acc)
            | ']' -> incr at; List.rev (v :: acc)
            | _ -> bad "a list that does not end" in
          List (more [])
    | '"' -> Text (string ())
    | 't' -> word "true" (Bool true)
    | 'f' -> word "false" (Bool false)
    | 'n' -> word "null" Null
    | _ -> Number (number ()) in
  let v = value 0 in
  blanks ();
  if !at <> size then bad "the certificate goes on behind its end";
  v

let text_of token = match parse token with Text t -> t | _ -> bad "a name that is no text"
let members = function Object m -> m | _ -> bad "a value that is no object"
let items = function List l -> l | _ -> bad "a value that is no list"
let text = function Text t -> t | _ -> bad "a value that is no text"
let integer = function
  | Number n when n <> "" && String.length n <= 9 && String.for_all (fun c -> c >= '0' && c <= '9') n && (n = "0" || n.[0] <> '0') -> int_of_string n
  | _ -> bad "a value that is no count"
(* a value whose names are these, all of them, and some that are not read *)
let only value read unread =
  let m = members value in
  List.iter (fun (name, _) -> if not (List.mem name read || List.mem name unread) then bad ("the field " ^ name)) m;
  m
let get value name = match List.assoc_opt name (members value) with Some v -> v | None -> bad ("no field " ^ name)

(* float.hex: [-]0x1.8p+3 *)
let hex_float text : Q.t =
  let fail () = bad ("the number " ^ text) in
  let negative = text <> "" && text.[0] = '-' in
  let body = if negative then String.sub text 1 (String.length text - 1) else text in
  match String.index_opt body 'p' with
  | Some p when String.length body > 3 && String.sub body 0 2 = "0x" ->
      let mantissa = String.sub body 2 (p - 2) and exponent = String.sub body (p + 1) (String.length body - p - 1) in
      let whole, fraction = match String.split_on_char '.' mantissa with [ w ] -> (w, "") | [ w; f ] -> (w, f) | _ -> fail () in
      let digits = whole ^ fraction in
      let hexes = String.for_all (function '0' .. '9' | 'a' .. 'f' -> true | _ -> false) in
      if digits = "" || not (hexes digits) || String.length digits > 20 then fail ();
      let e = match int_of_string_opt (if exponent <> "" && exponent.[0] = '+' then String.sub exponent 1 (String.length exponent - 1) else exponent) with
        | Some e when abs e < 4096 -> e - (4 * String.length fraction) | _ -> fail () in
      let n = Z.of_string ("0x" ^ digits) in
      let n = if negative then Z.neg n else n in
      if e >= 0 then Q.of_bigint (Z.shift_left n e) else Q.make n (Z.shift_left Z.one (-e))
  | _ -> fail ()

(* base64 (RFC 4648) with padding *)
let base64 text =
  let size = String.length text in
  if size land 3 <> 0 then bad "base64 that is cut off";
  let digit c = match c with
    | 'A' .. 'Z' -> Char.code c - 65 | 'a' .. 'z' -> Char.code c - 71 | '0' .. '9' -> Char.code c + 4
    | '+' -> 62 | '/' -> 63 | _ -> bad "base64 that is none" in
  let pad = if size = 0 then 0 else if text.[size - 2] = '=' then 2 else if text.[size - 1] = '=' then 1 else 0 in
  let out = Buffer.create (size / 4 * 3) in
  for n = 0 to (size / 4) - 1 do
    let at k = let i = (4 * n) + k in if i >= size - pad then 0 else digit text.[i] in
    let w = (at 0 lsl 18) lor (at 1 lsl 12) lor (at 2 lsl 6) lor at 3 in
    Buffer.add_char out (Char.chr (w lsr 16)); Buffer.add_char out (Char.chr ((w lsr 8) land 255)); Buffer.add_char out (Char.chr (w land 255))
  done;
  Buffer.sub out 0 (Buffer.length out - pad)
