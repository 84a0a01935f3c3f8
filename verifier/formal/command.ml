(* The kernel on files: a line for everything that it was asked, and 0 where all of it is proved, 1 where
   something is not, 2 where a file is not what it should be, 3 where the machine's limits were reached.
   With --coq: what is proved of them, as a file for coqc. *)
let read name =
  let channel = open_in_bin name in
  let text = really_input_string channel (in_channel_length channel) in
  close_in channel;
  text

let refuse code text = prerr_endline ("kernel: " ^ text); exit code

let () =
  try
    if Array.length Sys.argv = 4 && Sys.argv.(1) = "--coq" then (Coq.print (read Sys.argv.(2)) (read Sys.argv.(3)); exit 0);
    if Array.length Sys.argv <> 3 then Main.bad "usage: protoproof-kernel [--coq] STATEMENT PROOF";
    let next = Main.session (read Sys.argv.(1)) (read Sys.argv.(2)) in
    let rec all failed =
      match next () with
      | None -> failed
      | Some (good, what) -> print_endline ((if good then "proved " else "not proved ") ^ what); all (failed || not good) in
    exit (if all false then 1 else 0)
  with
  | error -> let text, limits = Main.why error in refuse (if limits then 3 else 2) text
