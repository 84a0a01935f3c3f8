(* The numbers in which both sides are evaluated.

   A real number is stood for by its residues modulo [kinds] random primes of 24 bits, and by what is
   known of it as a real number: a middle and a radius. Sums, products and quotients are those of the
   residues. A function that is none of these (log, exp, roots, a largest of several numbers) is a
   random function of all residues together, fixed by the seed. So two expressions that are equal by
   the laws of rings, whatever those functions are, have equal residues; and two that are not have
   equal ones only by chance: for a polynomial of degree d over n arguments of functions that is less
   than (n + 1) (d / 2^23)^kinds (Schwartz, Zippel), where the coefficients differ modulo all primes.
   The seed is a hash of the files, so nobody chooses the primes.

   The identities beyond rings that are known, each with its condition:
     exp(-x) = 1 / exp x; exp (log x) = x and log (exp x) = x; log a - log b = log (a / b), a, b > 0;
     sqrt x * sqrt x = x of residues that are squares, and of those that the caller makes so;
     (sqrt x)^2 = x where it is written as a square; sqrt (q r^2) = r sqrt q for rational numbers q, r > 0;
     max (x, y) = y + max (x - y, 0); max (x, 0) = x + max (-x, 0); max (x, 0) = x where x >= 0;
     a largest of several numbers is that of their order, and shifts with them; what the head says
     of monotone functions of pooled numbers (see [Head]). *)

let kinds = 6
let mid = kinds and rad = kinds + 1
let parts = kinds + 2

type number = float array (* [parts]: residues, middle, radius *)

let primes = Array.make kinds 0.
let inverses = Array.make kinds 0.
let salt = ref ""

(* of 0 <= x < 2^53 *)
let[@inline] reduce x p inv =
  let r = x -. (p *. Float.of_int (Float.to_int (x *. inv))) in
  if r < 0. then r +. p else if r >= p then r -. p else r

let[@inline] mul p inv a b = reduce (a *. b) p inv

let rec power p inv a n =
  if n = 0 then 1.
  else
    let half = power p inv (mul p inv a a) (n / 2) in
    if n land 1 = 1 then mul p inv half a else half

let invert c a = let p = primes.(c) in power p inverses.(c) a (Float.to_int p - 2)

(* a stream of numbers below 2^24 from a text *)
let drawn text =
  let at = ref 0 and block = ref [||] in
  fun () ->
    if !at mod 8 = 0 then block := Sha.words_of (Printf.sprintf "%s %d" text (!at / 8));
    let word = !block.(!at mod 8) in
    incr at;
    word land 0xffffff

let is_prime n =
  let rec from d = d * d > n || (n mod d <> 0 && from (d + 2)) in
  n land 1 = 1 && from 3

(* the primes of a seed, all different, 3 modulo 4 *)
let start seed =
  salt := String.sub (Sha.hex ("salt " ^ seed)) 0 16;
  let draw = drawn ("primes " ^ seed) in
  let rec prime c =
    let n = draw () lor 0x800003 in
    let p = Float.of_int n in
    if is_prime n && not (Array.exists (fun q -> q = p) (Array.sub primes 0 c)) then p else prime c
  in
  for c = 0 to kinds - 1 do
    primes.(c) <- prime c;
    inverses.(c) <- 1. /. primes.(c)
  done

(* more than what rounding to float64 does to a few operations *)
let rounding = 0x1p-48
let wide r m = (r *. (1. +. rounding)) +. (Float.abs m *. rounding) +. 0x1p-1060

let raw f m r : number =
  let x = Array.make parts 0. in
  for c = 0 to kinds - 1 do x.(c) <- f c done;
  x.(mid) <- m; x.(rad) <- (if Float.is_nan m || Float.is_nan r then infinity else r);
  x

let of_int n =
  let m = Float.of_int n in
  raw (fun c -> let r = reduce (Float.abs m) primes.(c) inverses.(c) in if n < 0 && r > 0. then primes.(c) -. r else r) m 0.

let zero = Array.make parts 0.
let add (a : number) (b : number) =
  raw (fun c -> let s = a.(c) +. b.(c) in if s >= primes.(c) then s -. primes.(c) else s)
    (a.(mid) +. b.(mid)) (wide (a.(rad) +. b.(rad)) (a.(mid) +. b.(mid)))
let neg (a : number) =
  raw (fun c -> if a.(c) = 0. then 0. else primes.(c) -. a.(c)) (-. a.(mid)) a.(rad)
let sub a b = add a (neg b)
let product_radius m1 r1 m2 r2 =
  wide ((Float.abs m1 *. r2) +. (Float.abs m2 *. r1) +. (r1 *. r2)) (m1 *. m2)
let times (a : number) (b : number) =
  raw (fun c -> mul primes.(c) inverses.(c) a.(c) b.(c)) (a.(mid) *. b.(mid))
    (product_radius a.(mid) a.(rad) b.(mid) b.(rad))

let low (a : number) = a.(mid) -. a.(rad)
let high (a : number) = a.(mid) +. a.(rad)
(* middle and radius of what a rising function does to the ends *)
let between lo hi =
  if Float.is_nan lo || Float.is_nan hi || Float.abs lo = infinity || Float.abs hi = infinity then (0., infinity)
  else
    let m = (lo +. hi) /. 2. in
    (m, wide ((hi -. lo) /. 2.) (Float.max (Float.abs lo) (Float.abs hi)))
let with_range (a : number) (m, r) = a.(mid) <- m; a.(rad) <- r; a
let inverse (a : number) =
  let range = if low a > 0. || high a < 0. then between (1. /. high a) (1. /. low a) else (0., infinity) in
  with_range (raw (fun c -> invert c a.(c)) 0. 0.) range
let over a b = times a (inverse b)
let one () = of_int 1

(* The residues as a text: what tables know numbers by. *)
let key (a : number) =
  let text = Bytes.create (3 * kinds) in
  for c = 0 to kinds - 1 do
    let n = Float.to_int a.(c) in
    Bytes.unsafe_set text (3 * c) (Char.unsafe_chr (n land 255));
    Bytes.unsafe_set text ((3 * c) + 1) (Char.unsafe_chr ((n lsr 8) land 255));
    Bytes.unsafe_set text ((3 * c) + 2) (Char.unsafe_chr ((n lsr 16) land 255))
  done;
  Bytes.unsafe_to_string text
let same (a : number) (b : number) =
  let rec from c = c = kinds || (a.(c) = b.(c) && from (c + 1)) in from 0

(* A random function of a text. *)
let random text =
  let words = Sha.words_of (!salt ^ text) in
  raw (fun c -> reduce (Float.of_int (words.(c) land 0x3fffffff)) primes.(c) inverses.(c)) 0. infinity
let atom name a = random (name ^ key a)

(* An integer in decimal. *)
let of_decimal text =
  let size = String.length text in
  let from = if size > 0 && text.[0] = '-' then 1 else 0 in
  if size = from then failwith "an empty number";
  String.iteri (fun i d -> if i >= from && (d < '0' || d > '9') then failwith "not an integer") text;
  let residue c =
    let p = primes.(c) and inv = inverses.(c) in
    let rec more at r =
      if at >= size then r
      else
        let len = min 6 (size - at) in
        let chunk = Float.of_int (int_of_string ("0u" ^ String.sub text at len)) in
        let scale = [| 1.; 10.; 100.; 1000.; 1e4; 1e5; 1e6 |].(len) in
        more (at + len) (reduce ((r *. scale) +. chunk) p inv)
    in
    let r = more from 0. in
    if from = 1 && r > 0. then p -. r else r
  in
  let m = float_of_string text in
  raw residue m (if size < 16 then 0. else wide 0. m)

let of_z n = of_decimal (Z.to_string n)
let of_q (q : Q.t) =
  let a = over (of_z q.num) (of_z q.den) in
  with_range a (let m = Q.to_float q in (m, wide 0. m))

(* of a float: m 2^e, exactly *)
let powers : (int, number) Hashtbl.t = Hashtbl.create 64
let power_of_two e =
  match Hashtbl.find_opt powers e with
  | Some a -> a
  | None ->
      let base = of_int 2 in
      let residues = raw (fun c -> power primes.(c) inverses.(c) base.(c) (abs e)) 0. 0. in
      let a = if e < 0 then inverse residues else residues in
      let a = with_range a (Float.ldexp 1. e, 0.) in
      Hashtbl.add powers e a; a
let of_float x =
  if x = 0. then Array.copy zero
  else if Float.is_nan x || Float.abs x = infinity then failwith "a number that is not finite"
  else
    let fraction, e = Float.frexp x in
    let whole = Float.ldexp fraction 53 in
    (* 53 bits in two halves, each below 2^27 *)
    let size = Float.abs whole in
    let upper = Float.of_int (Float.to_int (size /. 0x1p27)) in
    let lower = size -. (upper *. 0x1p27) in
    let scale = power_of_two (e - 53) in
    raw (fun c ->
        let p = primes.(c) and inv = inverses.(c) in
        let r = reduce ((reduce upper p inv *. reduce 0x1p27 p inv) +. lower) p inv in
        let r = mul p inv r scale.(c) in
        if x < 0. && r > 0. then p -. r else r) x 0.

(* What is known of numbers, by their residues. *)
let nonnegative : (string, unit) Hashtbl.t = Hashtbl.create 1024
let logs : (string, number) Hashtbl.t = Hashtbl.create 1024 (* of log x: x *)
let exps : (string, number) Hashtbl.t = Hashtbl.create 1024 (* of exp x: x *)
let roots : (string, number) Hashtbl.t = Hashtbl.create 1024 (* of x: its root *)
let larger : (string, number * number) Hashtbl.t = Hashtbl.create 64 (* of max (x, y): both *)
let largest : (string, number list) Hashtbl.t = Hashtbl.create 64 (* of a largest number: all *)
let ordered : (string, number array) Hashtbl.t = Hashtbl.create 1024 (* see [rank] *)
let known_relu : (string, number) Hashtbl.t = Hashtbl.create 64
let squares : (string, (Q.t * number) list) Hashtbl.t = Hashtbl.create 64

let radicands : (string, number) Hashtbl.t = Hashtbl.create 1024 (* of sqrt x: x *)

(* what else may be told, the cheapest first: called where something is not known *)
let more : (unit -> unit) list ref = ref []
let rec told_until known =
  match !more with
  | f :: rest when not (known ()) -> more := rest; f (); told_until known
  | _ -> ()

let forget () =
  more := []; Hashtbl.reset radicands;
  Hashtbl.reset powers; Hashtbl.reset nonnegative; Hashtbl.reset logs; Hashtbl.reset exps;
  Hashtbl.reset roots; Hashtbl.reset larger; Hashtbl.reset largest; Hashtbl.reset ordered;
  Hashtbl.reset known_relu; Hashtbl.reset squares

let mark table a b = Hashtbl.replace table (key a) b
let known table a = Hashtbl.find_opt table (key a)

(* What a constant's range says of its sign holds for all latents. *)
let tell_constant a =
  if low a >= 0. then mark nonnegative a ();
  if high a <= 0. then mark nonnegative (neg a) ()

(* 1 for what is certainly >= 0, -1 for <= 0. Ranges count for constants only: another latent has
   other middles. *)
let sign ~const a =
  if same a zero then 1
  else if const && low a >= 0. then 1
  else if const && high a <= 0. then -1
  else if Hashtbl.mem nonnegative (key a) then 1
  else if Hashtbl.mem nonnegative (key (neg a)) then -1
  else 0

let exp_ a =
  let range = between (Float.exp (low a)) (Float.exp (high a)) in
  let found =
    if same a zero then one ()
    else
      match known logs a with
      | Some x -> Array.copy x
      | None ->
          let other = neg a in
          if key a <= key other then atom "exp" a else inverse (atom "exp" other)
  in
  mark exps found a; mark nonnegative found ();
  with_range found range

let log_ a =
  let range = if low a > 0. then between (Float.log (low a)) (Float.log (high a)) else (0., infinity) in
  let found =
    if same a (one ()) then Array.copy zero
    else match known exps a with Some x -> Array.copy x | None -> atom "log" a
  in
  mark logs found a;
  with_range found range

let square a = match known radicands a with Some x -> Array.copy x | None -> times a a

(* log a - log b = log (a / b) where both are logarithms: a and b are then positive *)
let difference a b =
  let plain = sub a b in
  match (known logs a, known logs b) with
  | Some x, Some y -> with_range (log_ (over x y)) (plain.(mid), plain.(rad))
  | _ -> plain

(* a root of a residue where it has one, else anything; p is 3 modulo 4 *)
let root_of_residues a =
  let other = atom "sqrt" a in
  raw (fun c ->
      let p = primes.(c) and inv = inverses.(c) in
      let r = power p inv a.(c) ((Float.to_int p + 1) / 4) in
      if mul p inv r r <> a.(c) then other.(c)
      else if Float.to_int other.(c) land 1 = 1 && r > 0. then p -. r
      else r) 0. 0.

let square_of (q : Q.t) =
  if Z.perfect_square q.num && Z.perfect_square q.den then Some (Q.make (Z.sqrt q.num) (Z.sqrt q.den)) else None

let height (q : Q.t) = Z.numbits q.num + Z.numbits q.den

(* whether q is a square modulo the primes: numbers that differ by a square agree in this *)
let characters a =
  String.init kinds (fun c ->
      let p = primes.(c) in
      if a.(c) = 0. then '0'
      else if power p inverses.(c) a.(c) ((Float.to_int p - 1) / 2) = 1. then '+' else '-')

let rec sqrt_ ?exact a =
  let range = if low a >= 0. then between (Float.sqrt (low a)) (Float.sqrt (high a)) else (0., infinity) in
  let found =
    match known roots a with
    | Some x -> Array.copy x
    | None -> (
        match known larger a with
        | Some (x, y) when sign ~const:false x = 1 && sign ~const:false y = 1 ->
            (* of numbers that are not negative *)
            larger_of (sqrt_ x) (sqrt_ y)
        | _ -> (
            match exact with
            | Some q when Q.sign q > 0 -> root_of_rational a q
            | _ -> root_of_residues a))
  in
  mark roots a found; mark radicands found a; mark nonnegative found ();
  with_range found range

and root_of_rational a q =
  match square_of q with
  | Some r -> of_q r
  | None -> (
      let signature = characters a in
      let others = Option.value (Hashtbl.find_opt squares signature) ~default:[] in
      let rec among = function
        | [] ->
            let fresh = root_of_residues a in
            Hashtbl.replace squares signature ((q, fresh) :: others);
            fresh
        | (other, root) :: rest -> (
            match (square_of (Q.div q other), square_of (Q.mul q other)) with
            | Some r, Some s -> if height r <= height s then times (of_q r) root else over (of_q s) root
            | _ -> among rest)
      in
      among others)

(* max (a, 0) *)
and relu ?(const = false) a =
  let range = between (Float.max 0. (low a)) (Float.max 0. (high a)) in
  told_until (fun () -> sign ~const a <> 0);
  match sign ~const a with
  | 1 -> a
  | -1 -> Array.copy zero
  | _ ->
      let found =
        match known known_relu a with
        | Some x -> Array.copy x
        | None ->
            let other = neg a in
            if key a <= key other then atom "relu" a else add a (atom "relu" other)
      in
      mark nonnegative found ();
      with_range found range

(* max (a, b) *)
and larger_of ?(const = false) a b =
  let found = add b (relu ~const (sub a b)) in
  let range = between (Float.max (low a) (low b)) (Float.max (high a) (high b)) in
  let found = with_range (Array.copy found) range in
  if not (same found a || same found b) then mark larger found (a, b);
  if sign ~const a = 1 || sign ~const b = 1 then mark nonnegative found ();
  found

let smaller_of ?(const = false) a b = neg (larger_of ~const (neg a) (neg b))

(* 1 where a < 0, else 0 *)
let below_zero ?(const = false) a =
  if const && high a < 0. then one ()
  else if sign ~const a = 1 then Array.copy zero
  else with_range (atom "below" a) (0.5, 0.5)

let sigmoid a = inverse (add (one ()) (exp_ (neg a)))
let softplus a = log_ (add (one ()) (exp_ a))
let tanh_ a = sub (one ()) (over (of_int 2) (add (one ()) (exp_ (add a a))))

let rec whole_power a n =
  if n < 0 then inverse (whole_power a (-n))
  else if n = 0 then one ()
  else if n = 1 then a
  else
    let half = whole_power a (n / 2) in
    let square = times half half in
    if n land 1 = 1 then times square a else square

(* a^q, of a >= 0 where q is no integer *)
let power_ ?exact a (q : Q.t) =
  if Z.equal q.den Z.one && Z.fits_int q.num && abs (Z.to_int q.num) < 64 then whole_power a (Z.to_int q.num)
  else if Q.equal q (Q.of_ints 1 2) then sqrt_ ?exact a
  else
    let found = atom ("power " ^ Q.to_string q) a in
    let f x = Float.pow x (Q.to_float q) in
    mark nonnegative found ();
    with_range found (if low a > 0. then (if Q.sign q > 0 then between (f (low a)) (f (high a)) else between (f (high a)) (f (low a))) else (0., infinity))

(* Several numbers in any order, less their mean, and what is known of them by their residues. *)
let centred numbers =
  let count = List.length numbers in
  let mean = over (List.fold_left add zero numbers) (of_int count) in
  let keys = List.sort compare (List.map (fun a -> key (sub a mean)) numbers) in
  (mean, Sha.hex (String.concat "" keys))

let distinct numbers =
  let seen = Hashtbl.create 16 in
  List.filter (fun a -> let k = key a in (not (Hashtbl.mem seen k)) && (Hashtbl.add seen k (); true)) numbers

(* the k-th largest, counted from 0, of several numbers *)
let rank_range numbers k =
  let sorted f = List.nth (List.sort (fun a b -> compare b a) (List.map f numbers)) k in
  between (sorted low) (sorted high)
let rank numbers k =
  match numbers with
  | [ a ] -> a
  | _ ->
      let mean, code = centred numbers in
      told_until (fun () -> Hashtbl.mem ordered code);
      let found =
        match Hashtbl.find_opt ordered code with
        | Some known when k < Array.length known -> add mean known.(k)
        | _ -> (
            match numbers with
            | [ a; b ] ->
                let most = larger_of a b in
                if k = 0 then most else sub (add a b) most
            | _ -> add mean (random (Printf.sprintf "rank %d %s" k code)))
      in
      with_range (Array.copy found) (rank_range numbers k)

(* the largest one; a largest of largest ones is the largest of all *)
let most numbers =
  let expanded =
    List.concat_map (fun a -> match known largest a with Some all -> all | None -> [ a ]) numbers
  in
  let all = distinct expanded in
  let found = rank all 0 in
  if List.length all > 1 then mark largest found all;
  if List.exists (fun a -> sign ~const:false a = 1) all then mark nonnegative found ();
  found

(* from now on the largest of [numbers] are these, in falling order *)
let tell_order numbers values =
  match numbers with
  | [] | [ _ ] -> ()
  | _ ->
      let mean, code = centred numbers in
      let less = match Hashtbl.find_opt ordered code with Some k -> Array.length k < Array.length values | None -> true in
      if less then Hashtbl.replace ordered code (Array.map (fun v -> sub v mean) values)

let tell_most numbers value =
  let numbers = distinct numbers in
  tell_order numbers [| value |];
  if List.length numbers > 1 then mark largest value numbers
