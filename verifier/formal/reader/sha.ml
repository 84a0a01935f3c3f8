(* SHA-256 (FIPS 180-4). Words are ints of which only the lowest 32 bits count, so that it is the
   same where ints are wider and where they are not. *)

let k = [|
  0x428a2f98; 0x71374491; 0xb5c0fbcf; 0xe9b5dba5; 0x3956c25b; 0x59f111f1; 0x923f82a4; 0xab1c5ed5;
  0xd807aa98; 0x12835b01; 0x243185be; 0x550c7dc3; 0x72be5d74; 0x80deb1fe; 0x9bdc06a7; 0xc19bf174;
  0xe49b69c1; 0xefbe4786; 0x0fc19dc6; 0x240ca1cc; 0x2de92c6f; 0x4a7484aa; 0x5cb0a9dc; 0x76f988da;
  0x983e5152; 0xa831c66d; 0xb00327c8; 0xbf597fc7; 0xc6e00bf3; 0xd5a79147; 0x06ca6351; 0x14292967;
  0x27b70a85; 0x2e1b2138; 0x4d2c6dfc; 0x53380d13; 0x650a7354; 0x766a0abb; 0x81c2c92e; 0x92722c85;
  0xa2bfe8a1; 0xa81a664b; 0xc24b8b70; 0xc76c51a3; 0xd192e819; 0xd6990624; 0xf40e3585; 0x106aa070;
  0x19a4c116; 0x1e376c08; 0x2748774c; 0x34b0bcb5; 0x391c0cb3; 0x4ed8aa4a; 0x5b9cca4f; 0x682e6ff3;
  0x748f82ee; 0x78a5636f; 0x84c87814; 0x8cc70208; 0x90befffa; 0xa4506ceb; 0xbef9a3f7; 0xc67178f2 |]

let mask = 0xffffffff
let rotate x n = ((x lsr n) lor (x lsl (32 - n))) land mask
let words = Array.make 64 0

let block h byte from =
  let w = words in
  for t = 0 to 15 do
    let at = from + (4 * t) in
    w.(t) <- ((byte at lsl 24) lor (byte (at + 1) lsl 16) lor (byte (at + 2) lsl 8) lor byte (at + 3)) land mask
  done;
  for t = 16 to 63 do
    let a = w.(t - 15) and b = w.(t - 2) in
    let s0 = rotate a 7 lxor rotate a 18 lxor (a lsr 3) in
    let s1 = rotate b 17 lxor rotate b 19 lxor (b lsr 10) in
    w.(t) <- (w.(t - 16) + s0 + w.(t - 7) + s1) land mask
  done;
  let a = ref h.(0) and b = ref h.(1) and c = ref h.(2) and d = ref h.(3) in
  let e = ref h.(4) and f = ref h.(5) and g = ref h.(6) and i = ref h.(7) in
  for t = 0 to 63 do
    let s1 = rotate !e 6 lxor rotate !e 11 lxor rotate !e 25 in
    let choice = (!e land !f) lxor (lnot !e land !g) land mask in
    let one = (!i + s1 + choice + k.(t) + w.(t)) land mask in
    let s0 = rotate !a 2 lxor rotate !a 13 lxor rotate !a 22 in
    let majority = (!a land !b) lxor (!a land !c) lxor (!b land !c) in
    i := !g; g := !f; f := !e; e := (!d + one) land mask;
    d := !c; c := !b; b := !a; a := (one + s0 + majority) land mask
  done;
  List.iteri (fun n x -> h.(n) <- (h.(n) + x) land mask) [ !a; !b; !c; !d; !e; !f; !g; !i ]

(* eight words of 32 bits *)
let words_of text =
  let size = String.length text in
  let h = [| 0x6a09e667; 0xbb67ae85; 0x3c6ef372; 0xa54ff53a; 0x510e527f; 0x9b05688c; 0x1f83d9ab; 0x5be0cd19 |] in
  let whole = size / 64 in
  for n = 0 to whole - 1 do block h (fun at -> Char.code (String.unsafe_get text at)) (64 * n) done;
  let rest = size - (64 * whole) in
  let blocks = if rest < 56 then 1 else 2 in
  let tail = Bytes.make (64 * blocks) '\000' in
  Bytes.blit_string text (64 * whole) tail 0 rest;
  Bytes.set tail rest '\128';
  (* the number of bits; files are shorter than 2^31 bytes *)
  let at = (64 * blocks) - 8 in
  let put n x = Bytes.set tail (at + n) (Char.chr (x land 255)) in
  put 3 (size lsr 29); put 4 (size lsr 21); put 5 (size lsr 13); put 6 (size lsr 5); put 7 (size lsl 3);
  for n = 0 to blocks - 1 do block h (fun at -> Char.code (Bytes.get tail at)) (64 * n) done;
  h

let hex text =
  let one w = Printf.sprintf "%04x%04x" ((w lsr 16) land 0xffff) (w land 0xffff) in
  String.concat "" (List.map one (Array.to_list (words_of text)))
