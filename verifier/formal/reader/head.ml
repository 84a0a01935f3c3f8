(* The statement: its tokens, and the head that it describes, evaluated over the numbers of [Ring].
   Definitions are those of [Spec.v]. *)

open Tensor

exception Malformed of string

let bad format = Printf.ksprintf (fun text -> raise (Malformed text)) format

type source = { text : string; mutable at : int }

let blank c = c = ' ' || c = '\n'
let token s =
  let size = String.length s.text in
  while s.at < size && blank s.text.[s.at] do s.at <- s.at + 1 done;
  let from = s.at in
  while s.at < size && not (blank s.text.[s.at]) do s.at <- s.at + 1 done;
  if s.at = from then bad "the statement ends too early" else String.sub s.text from (s.at - from)
let expect s word = let found = token s in if found <> word then bad "the statement has %S instead of %S" found word
let natural text =
  if text <> "" && String.length text <= 9 && String.for_all (fun c -> c >= '0' && c <= '9') text then int_of_string ("0u" ^ text)
  else bad "%S is not a number of something" text
let nat s = natural (token s)
let list n read s = let rec more n acc = if n = 0 then List.rev acc else more (n - 1) (read s :: acc) in more n []
let many read s = let n = nat s in list n read s
let integer s = let text = token s in (try ignore (Z.of_string text) with _ -> bad "%S is no integer" text); text

let ratio_of text =
  match String.split_on_char '/' text with
  | [ n; d ] -> (
      match (Z.of_string n, Z.of_string d) with
      | n, d when Z.sign d > 0 -> Q.make n d
      | _ -> bad "the denominator of %S" text
      | exception Invalid_argument _ -> bad "%S is no fraction" text)
  | _ -> bad "%S is no fraction" text
let ratio s = ratio_of (token s)

(* Formulas of constants. A root of a product or quotient of positive numbers is that of its parts,
   sqrt (x x) = x, and x / sqrt x = sqrt x. *)
type formula = Exact of Q.t | Sum of formula * formula | Product of formula * formula
  | Quotient of formula * formula | Root of formula | Exp_of of formula | Log_of of formula
let rec formula s =
  let two f = let a = formula s in f a (formula s) in
  match token s with
  | "sum" -> two (fun a b -> Sum (a, b))
  | "product" -> two (fun a b -> Product (a, b))
  | "quotient" -> two (fun a b -> Quotient (a, b))
  | "root" -> Root (formula s)
  | "exp" -> Exp_of (formula s)
  | "log" -> Log_of (formula s)
  | text -> Exact (ratio_of text)
let rec valued = function
  | Exact q -> Ring.of_q q
  | Sum (a, b) -> Ring.add (valued a) (valued b)
  | Product (a, b) -> if a = b then (let x = valued a in Ring.square x) else Ring.times (valued a) (valued b)
  | Quotient (a, Root b) when a = b -> valued (Root b)
  | Quotient (a, b) -> Ring.over (valued a) (valued b)
  | Root a -> root_of a
  | Exp_of a -> Ring.exp_ (valued a)
  | Log_of a -> Ring.log_ (valued a)
and root_of a =
  let positive x = Ring.low (valued x) > 0. in
  match a with
  | Exact q -> Ring.sqrt_ ~exact:q (Ring.of_q q)
  | Product (x, y) when x = y && positive x -> valued x
  | Product (x, y) when positive x && positive y -> Ring.times (root_of x) (root_of y)
  | Quotient (x, y) when positive x && positive y -> Ring.over (root_of x) (root_of y)
  | _ -> Ring.sqrt_ (valued a)

type constant = { number : Ring.number; root : Ring.number Lazy.t; rational : Q.t option }
let constant_of f = { number = valued f; root = lazy (root_of f); rational = (match f with Exact q -> Some q | _ -> None) }
let constant s = match token s with "formula" -> constant_of (formula s) | text -> constant_of (Exact (ratio_of text))

type step =
  | Add of constant | Mul of constant | Div_root of constant | Max of constant | Min of constant
  | Sqrt | Square | Exp | Log | Reciprocal | One_plus of constant | Sigmoid | Tanh | Softplus
  | Power of Q.t | Abs | Zero_below of constant

let step s =
  match token s with
  | "add" -> Add (constant s) | "mul" -> Mul (constant s) | "div_root" -> Div_root (constant s)
  | "max" -> Max (constant s) | "min" -> Min (constant s)
  | "sqrt" -> Sqrt | "square" -> Square | "exp" -> Exp | "log" -> Log | "reciprocal" -> Reciprocal
  | "one_plus" -> One_plus (constant s) | "sigmoid" -> Sigmoid | "tanh" -> Tanh | "softplus" -> Softplus
  | "power" -> Power (ratio s) | "abs" -> Abs | "zero_below" -> Zero_below (constant s)
  | word -> bad "the similarity %S" word

let apply f x =
  match f with
  | Add c -> Ring.add x c.number
  | Mul c -> Ring.times x c.number
  | Div_root c -> Ring.over x (Lazy.force c.root)
  | Max c -> Ring.tell_constant c.number; Ring.larger_of x c.number
  | Min c -> Ring.tell_constant c.number; Ring.smaller_of x c.number
  | Sqrt -> Ring.sqrt_ x
  | Square -> Ring.square x
  | Exp -> Ring.exp_ x
  | Log -> Ring.log_ x
  | Reciprocal -> Ring.inverse x
  | One_plus c -> Ring.add (Ring.one ()) (Ring.over c.number x)
  | Sigmoid -> Ring.sigmoid x
  | Tanh -> Ring.tanh_ x
  | Softplus -> Ring.softplus x
  | Power q -> Ring.power_ x q
  | Abs -> Ring.add (Ring.relu x) (Ring.relu (Ring.neg x))
  | Zero_below c -> Ring.times x (Ring.sub (Ring.one ()) (Ring.below_zero (Ring.sub x c.number)))

(* How far an argument of abs may be below 0, which rounding of |p|^2 does; README.md says it. *)
let hair = 0x1p-14

(* The direction of a step over a range of arguments at which it is defined (1 never falls, -1 never
   rises, 0 not known), and the range of its values. *)
let direction f (lo, hi) =
  let ends g = (g lo, g hi) in
  let wide (a, b) = let w x = Float.abs x *. 0x1p-45 in ((if Float.is_nan a then neg_infinity else a -. w a), if Float.is_nan b then infinity else b +. w b) in
  let low c = Ring.low c.number and high c = Ring.high c.number in
  let sign c = if low c > 0. then 1 else if high c < 0. then -1 else 0 in
  let all = (neg_infinity, infinity) in
  let lo0 = Float.max lo 0. in
  match f with
  | Add c -> (1, wide (lo +. low c, hi +. high c))
  | Mul c ->
      let d = sign c in
      let product x y = if x = 0. then 0. else x *. y in
      if d > 0 then (1, wide (Float.min (product lo (low c)) (product lo (high c)), Float.max (product hi (low c)) (product hi (high c))))
      else if d < 0 then (-1, wide (Float.min (product hi (low c)) (product hi (high c)), Float.max (product lo (low c)) (product lo (high c))))
      else (0, all)
  | Div_root c -> if low c > 0. then (1, wide (Float.min (lo /. sqrt (low c)) (lo /. sqrt (high c)), Float.max (hi /. sqrt (low c)) (hi /. sqrt (high c)))) else (0, all)
  | Max c -> (1, (Float.max lo (low c), Float.max hi (high c)))
  | Min c -> (1, (Float.min lo (low c), Float.min hi (high c)))
  | Sqrt -> (1, wide (sqrt lo0, sqrt (Float.max hi 0.)))
  | Square -> if lo >= 0. then (1, wide (ends (fun x -> x *. x))) else if hi <= 0. then (-1, wide (hi *. hi, lo *. lo)) else (0, (0., infinity))
  | Exp -> let a, b = wide (ends Float.exp) in (1, (Float.max a 0., b))
  | Log -> (1, wide (Float.log lo0, Float.log (Float.max hi 0.)))
  | Reciprocal -> if lo >= 0. then (-1, let a, b = wide (1. /. hi, 1. /. lo0) in (Float.max a 0., b)) else if hi <= 0. then (-1, (neg_infinity, 0.)) else (0, all)
  | One_plus c ->
      if lo >= 0. && sign c > 0 then (-1, wide (1. +. (if hi = infinity then 0. else low c /. hi), 1. +. (high c /. lo0)))
      else if lo >= 0. && sign c < 0 then (1, wide (1. +. (low c /. lo0), 1. +. (if hi = infinity then 0. else high c /. hi)))
      else (0, all)
  | Sigmoid -> (1, (0., 1.))
  | Tanh -> (1, (-1., 1.))
  | Softplus -> (1, (0., infinity))
  | Power q -> if Q.sign q > 0 && lo >= 0. then (1, (0., infinity)) else if Q.sign q < 0 && lo >= 0. then (-1, (0., infinity)) else (0, all)
  | Abs -> if lo >= -.hair then (1, (0., Float.max hi hair)) else if hi <= 0. then (-1, (-.hi, -.lo)) else (0, (0., infinity))
  | Zero_below c -> if low c >= 0. then (1, (Float.min 0. (Float.max lo (low c)), Float.max 0. hi)) else (0, all)

(* the first steps, which cost next to nothing *)
let rec cheap = function
  | ((Add _ | Mul _ | Div_root _ | Max _ | Min _ | Abs) as f) :: rest -> f :: cheap rest
  | _ -> []

(* The values of a chain on the way: arguments first. *)
let prefixes chain range x =
  let rec go x d range = function
    | [] -> [ (x, d, range) ]
    | f :: rest ->
        let e, range' = direction f range in
        let y = apply f x in
        if fst range' >= 0. then Ring.mark Ring.nonnegative y ();
        (x, d, range) :: go y (d * e) range' rest
  in
  go x 1 range chain
let run chain x = List.fold_left (fun x f -> apply f x) x chain
let last list = List.nth list (List.length list - 1)

type geometry = Euclidean | Diagonal | Linear | Angular of (Q.t * Q.t) | Lengths
type pooling = Nearest | Mean | Sum | Largest of int | Focal | Nearest_less_mean
type tree = Leaf of int | Node of int * tree * tree
type features = Each | Groups of int list list | Leaves of int * tree

type head = {
  lbank : int array; channels : int; geometry : geometry; pbank : int array;
  points : Tensor.t; (* [P, D] *)
  lengths : (Q.t * Q.t * Q.t) array; (* floor, addend, beside; squared *)
  scales : Tensor.t option; more : Q.t; (* how much more a scale may be *)
  inner : step list array; pooling : pooling array; common : step list array; outer : step list array; uniform : bool; (* one chain for all *)
  decision : string; features : features; weights : Tensor.t; (* [K, width] *) biases : Tensor.t; slack : Q.t; (* how much more a leaf's weight may be *) classes : int }

(* What the certificate says, and where the numbers are. *)
type t = {
  model : string; files : (string * string * int) list; input : string;
  tensors : (string * int array) list; output : string; level : string list; head : head;
  domain : string list; facts : string list; (* their tokens *)
  latent_exponent : int; latent : string array; (* [L D] in decimal *)
  claim : string list; parts : bool (* of a region, each over a box of its own *) }

let power s = let n = nat s in if n > 1 lsl 16 then bad "an exponent of %d" n else n
let table s dims exponent =
  let scale = Ring.power_of_two (-exponent) in
  let tokens = Array.init (count dims) (fun _ -> token s) in
  let exact i = point (Q.make (Z.of_string tokens.(i)) (Z.shift_left Z.one exponent)) in
  Tensor.init ~exact ~const:true dims (fun i -> Ring.times (Ring.of_decimal tokens.(i)) scale)

let apiece count read s =
  match token s with
  | "all" -> let one = read s in Array.make count one
  | "each" -> Array.of_list (list count read s)
  | word -> bad "%S instead of all or each" word
let chains count s = apiece count (many step) s
let next_is s word = let before = s.at in let found = token s = word in s.at <- before; found

let pooling s =
  match token s with
  | "nearest" -> Nearest | "mean" -> Mean | "sum" -> Sum | "largest" -> Largest (nat s) | "focal" -> Focal
  | "nearest-less-mean" -> Nearest_less_mean
  | word -> bad "the pooling %S" word
let rec tree s =
  match token s with
  | "leaf" -> Leaf (nat s)
  | "node" -> let j = nat s in let near = tree s in Node (j, near, tree s)
  | word -> bad "%S in a tree" word

let head s =
  expect s "locations"; let lbank = Array.of_list (many nat s) in
  expect s "channels"; let channels = nat s in
  expect s "geometry";
  let geometry = match token s with
    | "euclidean" -> Euclidean | "diagonal" -> Diagonal | "linear" -> Linear
    | "angular" -> (match token s with "lengths" -> Lengths | floor -> let floor = ratio_of floor in Angular (floor, ratio s))
    | word -> bad "the geometry %S" word in
  let three s = let a = ratio s in let b = ratio s in (a, b, ratio s) in
  expect s "prototypes"; let pbank = Array.of_list (many nat s) in
  let count = Array.length pbank in
  expect s "points"; let points = let e = power s in table s [| count; channels |] e in
  let lengths = match geometry with
    | Lengths -> expect s "squares"; apiece count three s
    | Angular (floor, added) -> Array.make count (Q.mul floor floor, added, Q.zero)
    | _ -> [||] in
  let scales = match geometry with Diagonal -> expect s "scales"; let e = power s in Some (table s [| count; channels |] e) | _ -> None in
  let word = ref (token s) in
  let next () = word := token s in
  let more = if !word = "more" then (let q = ratio s in next (); q) else Q.zero in
  if !word <> "inner" then bad "%S instead of inner" !word;
  let inner = chains count s in
  expect s "pooling"; let pooling = apiece count pooling s in
  next ();
  let common = if !word = "common" then (let c = chains count s in next (); c) else Array.make count [] in
  if !word <> "outer" then bad "%S instead of outer" !word;
  let uniform = next_is s "all" in
  let outer = chains count s in
  expect s "decision";
  let decision = token s in
  let features, width = match decision with
    | "each" -> (Each, count)
    | "groups" -> let g = many (many nat) s in (Groups g, List.length g)
    | "leaves" | "greedy" | "sample-max" -> let n = nat s in (Leaves (n, tree s), n)
    | word -> bad "the decision %S" word in
  expect s "classes"; let classes = nat s in
  let e = power s in
  let weights = table s [| classes; width |] e in
  expect s "biases"; let biases = table s [| classes |] e in
  expect s "slack"; let slack = Q.make (Z.of_string (integer s)) (Z.shift_left Z.one e) in
  { lbank; channels; geometry; pbank; points; lengths; scales; more; inner; pooling; common; outer; uniform; decision; features; weights; biases; slack; classes }

(* A name: JSON in ASCII without blanks. *)
let name s = Json.text_of (token s)

let parse text =
  let s = { text; at = 0 } in
  expect s "protoproof.statement/1";
  expect s "model"; let model = token s in
  expect s "files"; let files = many (fun s -> let a = name s in let b = token s in (a, b, nat s)) s in
  expect s "input"; let input = token s in
  expect s "tensors"; let tensors = many (fun s -> let n = name s in (n, Array.of_list (many nat s))) s in
  expect s "output"; let output = name s in
  let level = let rec more acc = let at = s.at in match token s with "locations" -> s.at <- at; List.rev acc | w -> more (w :: acc) in more [] in
  let head = head s in
  let locations = Array.length head.lbank and channels = head.channels in
  let until word = let rec more acc = match token s with w when w = word -> List.rev acc | w -> more (w :: acc) in more [] in
  expect s "domain"; let domain = until "facts" in
  let facts = until "latent" in
  let latent_exponent = power s in
  let latent = Array.of_list (list (locations * channels) integer s) in
  expect s "claim"; let claim = until "end" in
  (* where the encoder's latents are, part by part, is the checker's own finding *)
  let rec before = function "parts" :: _ -> ([], true) | w :: more -> let claim, parts = before more in (w :: claim, parts) | [] -> ([], false) in
  let claim, parts = before claim in
  (* nothing is left, and nothing but the tokens was there *)
  if String.length text = 0 || text.[String.length text - 1] <> '\n' || s.at <> String.length text - 1 then bad "the statement goes on behind its end";
  { model; files; input; tensors; output; level; head; domain; facts; latent_exponent; latent; claim; parts }

(* Where the statement's latent numbers may lie in one tensor: for a number of channels, the index
   of every coordinate of every location. Elements and locations come in the tensor's order. *)
let layouts dims channels =
  let r = Array.length dims in
  let own = strides dims in
  let axes = List.init (max 0 (r - 1)) (fun k -> k + 1) in
  let rec subsets = function [] -> [ [] ] | k :: rest -> let s = subsets rest in List.map (fun x -> k :: x) s @ s in
  let product what = List.fold_left (fun p k -> p * dims.(k)) 1 what in
  let index what = let a = Array.of_list what in offsets (Array.map (fun k -> dims.(k)) a) (Array.map (fun k -> own.(k)) a) in
  let whole = List.filter_map (fun chosen ->
      if chosen = [] || product chosen <> channels then None
      else
        let rest = List.filter (fun k -> not (List.mem k chosen)) axes in
        let at = index chosen in
        Some (Array.map (fun f -> Array.map (fun c -> f + c) at) (index rest))) (subsets axes) in
  (* one axis in equal groups of channels, which are locations of their own *)
  let grouped = List.concat_map (fun a ->
      let d = dims.(a) in
      if d mod channels <> 0 || d = channels then []
      else
        let rest = index (List.filter (fun k -> k <> a) axes) in
        let one g f = Array.init channels (fun c -> f + (((g * channels) + c) * own.(a))) in
        [ Array.concat (List.init (d / channels) (fun g -> Array.map (one g) rest)) ]) axes in
  (* windows over the axes behind the first, of all its channels *)
  let windows = match dims with
    | [| 1; c; n |] when channels mod c = 0 && channels / c <= n ->
        let k = channels / c in
        List.init k (fun s -> let s = s + 1 in
          Array.init (((n - k) / s) + 1) (fun p -> Array.init channels (fun i -> (i / k * n) + (p * s) + (i mod k))))
    | [| 1; c; h; w |] when channels mod c = 0 ->
        let area = channels / c in
        List.concat_map (fun kh ->
            if area mod kh <> 0 || kh > h || area / kh > w then []
            else
              let kw = area / kh in
              List.init (max kh kw) (fun s -> let s = s + 1 in
                let across = ((w - kw) / s) + 1 in
                Array.init ((((h - kh) / s) + 1) * across) (fun p ->
                    let y = p / across * s and x = p mod across * s in
                    Array.init channels (fun i -> let e = i mod area in (i / area * h * w) + ((y + (e / kw)) * w) + x + (e mod kw)))))
          (List.init h (fun k -> k + 1))
    | _ -> [] in
  whole @ grouped @ windows

(* All ways in which the tensors may hold the locations, in their order. *)
let placements tensors channels locations =
  let rec go tensors left =
    match tensors with
    | [] -> if left = 0 then [ [] ] else []
    | (_, dims) :: rest ->
        let whole = layouts dims channels in
        let fitting = List.filter (fun sites -> Array.length sites <= left) whole in
        (* a part of the locations of the last one: those before and behind are left out *)
        let parts = if rest <> [] then [] else
          List.concat_map (fun sites -> let n = Array.length sites in
            if n > left && left > 0 && n - left < 64 then List.init (n - left + 1) (fun k -> Array.sub sites (n - left - k) left) else []) whole in
        List.concat_map (fun sites -> List.map (fun others -> sites :: others) (go rest (left - Array.length sites))) (fitting @ parts)
  in
  go tensors locations

(* The latents: random numbers, and the recorded ones as their ranges. Where angles are measured,
   the last coordinate of a location is such that |z|^2 + added has a known root: with w + z = v,
   w - z = s / v for s the sum of the other squares, w^2 = z^2 + s. That is a parametrisation of all
   pairs of a latent and a root. *)
let latents st sites variant =
  let h = st.head in
  let draw = Ring.drawn ("latent " ^ variant ^ !Ring.salt) in
  let fresh () = Ring.raw (fun c -> Ring.reduce (Float.of_int (draw ())) Ring.primes.(c) Ring.inverses.(c)) 0. infinity in
  let values = List.map (fun (_, dims) -> Array.init (count dims) (fun _ -> fresh ())) st.tensors in
  let scale = Float.ldexp 1. (-st.latent_exponent) in
  let l = ref 0 in
  let overlapping = ref false in
  List.iter2 (fun all own ->
      let seen = Hashtbl.create 64 in
      Array.iter (fun site ->
          Array.iteri (fun d i ->
              let x = float_of_string st.latent.((!l * h.channels) + d) *. scale in
              if Hashtbl.mem seen i then begin
                overlapping := true;
                if all.(i).(Ring.mid) <> x then raise Exit
              end;
              Hashtbl.replace seen i ();
              all.(i).(Ring.mid) <- x;
              all.(i).(Ring.rad) <- 0.) site;
          incr l) own) values sites;
  let flat = List.concat (List.map2 (fun all own -> List.map (fun site -> (all, site)) (Array.to_list own)) values sites) in
  (if h.lengths <> [||] && not !overlapping then
     let _, added, _ = h.lengths.(0) in
     let added = Ring.of_q added in
     List.iter (fun (all, site) ->
         let n = Array.length site in
         let square i = Ring.times all.(i) all.(i) in
         let s = Array.fold_left (fun s i -> Ring.add s (square i)) added (Array.sub site 0 (n - 1)) in
         let v = fresh () in
         let half = Ring.inverse (Ring.of_int 2) in
         let ratio = Ring.over s v in
         let z = Ring.times half (Ring.sub v ratio) and w = Ring.times half (Ring.add v ratio) in
         let at = site.(n - 1) in
         for c = 0 to Ring.kinds - 1 do all.(at).(c) <- z.(c) done;
         Ring.mark Ring.roots (Ring.add s (square at)) w) flat);
  let z = Array.of_list (List.map (fun (all, site) -> Array.map (fun i -> all.(i)) site) flat) in
  let tensors = List.map2 (fun (name, dims) all -> (name, Tensor.init ~const:false dims (fun i -> all.(i)))) st.tensors values in
  (tensors, Tensor.init ~const:false [| Array.length z; h.channels |] (fun i -> z.(i / h.channels).(i mod h.channels)))

(* m[j] at the locations of its bank, in their order *)
let measurements h z =
  let count = Array.length h.pbank and d = h.channels in
  let squares t = Tensor.mul t t in
  let rows t = Tensor.sum_along t [ 1 ] false in
  let banks = List.sort_uniq compare (Array.to_list h.pbank) in
  let out = Array.make count [||] in
  let norms = rows (squares z) in
  for l = 0 to Array.length h.lbank - 1 do Ring.mark Ring.nonnegative (get norms l) () done;
  let points = h.points in
  let weighted = match h.scales with Some w -> Some (w, Tensor.mul w points) | None -> None in
  let point_norms = rows (match weighted with Some (_, wp) -> Tensor.mul wp points | None -> squares points) in
  let z2 = lazy (squares z) in
  List.iter (fun bank ->
      let of_bank a = Array.of_list (List.filter (fun i -> a.(i) = bank) (List.init (Array.length a) Fun.id)) in
      let ls = of_bank h.lbank and js = of_bank h.pbank in
      if ls = [||] then bad "a bank without a location";
      let nl = Array.length ls and nj = Array.length js in
      let inner a b =
        contract [| nj; nl |] a (Array.init (nj * nl) (fun i -> js.(i / nl) * d)) (Array.init d Fun.id)
          b (Array.init (nj * nl) (fun i -> ls.(i mod nl) * d)) (Array.init d Fun.id) in
      let products = inner (match weighted with Some (_, wp) -> wp | None -> points) z in
      let squared = match weighted with Some (w, _) -> Some (inner w (Lazy.force z2)) | None -> None in
      Array.iteri (fun jj j ->
          out.(j) <- Array.mapi (fun ll l ->
              let product = get products ((jj * nl) + ll) in
              match h.geometry with
              | Euclidean | Diagonal ->
                  let square = match squared with Some s -> get s ((jj * nl) + ll) | None -> get norms l in
                  let m = Ring.add (Ring.sub square (Ring.add product product)) (get point_norms j) in
                  Ring.mark Ring.nonnegative m (); m
              | Linear -> Ring.neg product
              | Angular _ | Lengths ->
                  let floor, added, beside = h.lengths.(j) in
                  let part q = if Q.sign q = 0 then Ring.zero else Ring.sqrt_ ~exact:q (Ring.of_q q) in
                  let inside = Ring.add (get norms l) (Ring.of_q added) in
                  Ring.mark Ring.nonnegative inside ();
                  let root = Ring.sqrt_ inside and floor_root = part floor in
                  Ring.tell_constant floor_root;
                  let length = Ring.add (Ring.larger_of root floor_root) (part beside) in
                  if h.geometry = Lengths then begin
                    (* lengths times sqrt q, by which the similarity divides: sqrt (|z|^2 q) = |z| sqrt q,
                       and max (|z| sqrt q, f sqrt q) = sqrt q max (|z|, f) *)
                    let dividing = List.filter_map (function Div_root { rational = Some q; _ } when Q.sign q > 0 -> Some q | _ -> None) (h.inner.(j) @ h.outer.(j)) in
                    List.iter (fun q ->
                        let norm = Ring.sqrt_ ~exact:q (Ring.of_q q) in
                        let both = Ring.times root norm in
                        Ring.mark Ring.roots (Ring.times inside (Ring.of_q q)) both;
                        match Ring.square_of (Q.mul floor q) with
                        | Some f -> Ring.mark Ring.known_relu (Ring.sub both (Ring.of_q f)) (Ring.times norm (Ring.relu (Ring.sub root floor_root)))
                        | None -> ()) dividing
                  end;
                  Ring.neg (Ring.over product length)) ls) js) banks;
  out

(* Numbers that the statement rounds are looked for among the constants that the output is computed
   from: [rows] of them, each of [width], with what is stated and at most [more]. That they are the
   right ones is seen where both sides are evaluated with them. *)
let rounded stated more rows width constants =
  let fits f i q = match f i with lo, hi -> Q.leq q lo && Q.leq hi (Q.add q more) | exception Open -> false in
  let stated = Option.get stated.exact in
  let own i = fst (stated i) in
  let forms = [ Fun.id; Tensor.inverse; (fun t -> Tensor.mul t t); (fun t -> Tensor.inverse (Tensor.mul t t)) ] in
  let views = List.concat_map (fun t ->
      if t.ints <> None || size t = 0 || size t mod width <> 0 then []
      else
        List.concat_map (fun form ->
            match form t with
            | exception Not_covered _ -> []
            | { exact = None; _ } -> []
            | { exact = Some f; _ } as u ->
                let n = size t / width in
                (u, f, n, fun r d -> (r * width) + d) :: (if n = rows then [ (u, f, n, fun r d -> (d * rows) + r) ] else [])) forms)
      constants in
  let row j =
    let fits_at (u, f, n, at) r = if r < n && List.for_all (fun d -> fits f (at r d) (own ((j * width) + d))) (List.init width Fun.id) then Some (u, at r) else None in
    match List.find_map (fun v -> fits_at v j) views with
    | Some found -> Some found
    | None when rows <= 256 -> List.find_map (fun ((_, _, n, _) as v) -> List.find_map (fits_at v) (List.init (min n 256) Fun.id)) views
    | None -> None
  in
  let found = Array.init rows row in
  if Array.exists Option.is_none found then None
  else Some (Tensor.init ~const:true [| rows; width |] (fun i -> let u, at = Option.get found.(i / width) in get u (at (i mod width))))

let with_true_numbers h constants =
  let h =
    match h.scales with
    | Some scales when Q.sign h.more > 0 -> (
        match rounded scales h.more (Array.length h.pbank) h.channels (Lazy.force constants) with
        | Some found -> { h with scales = Some found }
        | None -> not_covered "weights of channels that are rounded")
    | _ -> h
  in
  if Q.sign h.slack = 0 then h
  else
    let width = h.weights.dims.(1) in
    let turned = Graph.transpose h.weights [| 1; 0 |] in
    match (h.features, rounded turned h.slack width h.classes (Lazy.force constants)) with
    | Leaves _, Some found -> { h with weights = Graph.transpose found [| 1; 0 |] }
    | _ -> not_covered "weights of leaves that are rounded"

let free_range h =
  match h.geometry with Euclidean | Diagonal -> (0., infinity) | Linear | Angular _ | Lengths -> (neg_infinity, infinity)

(* What the statement says that a graph may compute in another order: with monotone functions, the
   largest of values is the value of the largest (or the least). [groups]: the measurements of one
   prototype, or of several with the same chain, and the values at the least of them, in order.
   A chain that is not known to be monotone tells nothing. *)
let tell chain range numbers values =
  let ways = List.map (prefixes chain range) numbers and ends = List.map (prefixes chain range) values in
  for i = 0 to List.length chain do
    let at way = let x, _, _ = List.nth way i in x in
    let _, d, _ = List.nth (List.hd ends) i in
    let all = List.map at ways and told = List.map at ends in
    if d < 0 then begin
      Ring.tell_order all (Array.of_list told);
      Ring.tell_most all (List.hd told)
    end
    else if d > 0 then begin
      Ring.tell_order (List.map Ring.neg all) (Array.of_list (List.map Ring.neg told));
      Ring.tell_most (List.map Ring.neg all) (Ring.neg (List.hd told))
    end
  done

let tell_later range what =
  let all part () = List.iter (fun (chain, numbers, t) -> tell (part chain) range numbers [ t ]) what in
  Ring.more := !Ring.more @ [ all cheap; all Fun.id ]

let least numbers = Ring.neg (Ring.most (List.map Ring.neg numbers))
let mean numbers = Ring.over (List.fold_left Ring.add Ring.zero numbers) (Ring.of_int (List.length numbers))
let falls chain range = let _, d, _ = last (prefixes chain range (Ring.of_int 1)) in d < 0
let rises chain range = let _, d, _ = last (prefixes chain range (Ring.of_int 1)) in d > 0

(* Activations. What is told of the order of pooled numbers comes first; what costs more only where
   the graph asks for it. *)
let activations h m =
  let range = free_range h in
  let later = ref [] in
  let found =
    Array.mapi (fun j values ->
        let values = Array.to_list values in
        let inner = h.inner.(j) in
        let similar () = List.map (run inner) values in
        let pooled =
          match h.pooling.(j) with
          | Nearest ->
              let t = least values in
              if range = (0., infinity) then Ring.mark Ring.nonnegative t ();
              if not (falls h.outer.(j) range) then not_covered "the similarity of prototype %d is not seen to fall\n" j;
              later := (h.outer.(j), values, t) :: !later;
              t
          | Mean -> mean (similar ())
          | Sum -> List.fold_left Ring.add Ring.zero (similar ())
          | Largest k ->
              if k < 1 || k > List.length values then bad "the mean of %d of %d" k (List.length values);
              if falls inner range then begin
                let ends = List.init k (fun i -> if i = 0 then least values else Ring.neg (Ring.rank (List.map Ring.neg values) i)) in
                tell inner range values ends;
                mean (List.map (run inner) ends)
              end
              else
                let s = similar () in
                mean (List.init k (fun i -> if i = 0 then Ring.most s else Ring.rank s i))
          | Focal ->
              if falls inner range then tell inner range values [ least values ];
              let s = similar () in
              Ring.sub (Ring.most s) (mean s)
          | Nearest_less_mean ->
              if rises inner range then tell inner range values [ least values ];
              let s = similar () in
              Ring.difference (run h.common.(j) (least s)) (run h.common.(j) (mean s))
        in
        last (List.map (fun (x, _, _) -> x) (prefixes h.outer.(j) (match h.pooling.(j) with Nearest -> range | _ -> (neg_infinity, infinity)) pooled)))
      m
  in
  tell_later range (List.rev !later);
  found

let features h m activations =
  match h.features with
  | Each -> activations
  | Groups groups ->
      let range = free_range h in
      let later = ref [] in
      let found = Array.of_list (List.map (fun group ->
          List.iter (fun j -> if j >= Array.length activations then bad "a group of the prototype %d" j) group;
          match group with
          | [] -> bad "an empty group"
          | j :: _ ->
              let alike = List.for_all (fun k -> h.uniform && h.pooling.(k) = Nearest) group in
              if alike then begin
                (* the largest similarity is that of the least measurement of all *)
                let all = List.concat_map (fun k -> Array.to_list m.(k)) group in
                let t = least all in
                if range = (0., infinity) then Ring.mark Ring.nonnegative t ();
                later := (h.outer.(j), all, t) :: !later;
                run h.outer.(j) t
              end
              else Ring.most (List.map (fun k -> activations.(k)) group)) groups) in
      tell_later range !later;
      found
  | Leaves (n, tree) ->
      let arriving = Array.make n None in
      let rec go share = function
        | Leaf k ->
            if k >= n || arriving.(k) <> None then bad "the leaf %d" k;
            arriving.(k) <- Some share
        | Node (j, near, far) ->
            if j >= Array.length activations then bad "a node of the prototype %d" j;
            let a = activations.(j) in
            go (Ring.times share (Ring.sub (Ring.one ()) a)) near;
            go (Ring.times share a) far in
      go (Ring.one ()) tree;
      Array.map (function Some x -> x | None -> bad "a leaf that no way leads to") arriving

(* [K] *)
let scores h z =
  let m = measurements h z in
  let a = activations h m in
  let f = features h m a in
  let x = Tensor.init ~const:false [| Array.length f; 1 |] (fun i -> f.(i)) in
  Tensor.add (Tensor.reshape (Graph.matmul h.weights x) [| h.classes |]) h.biases
