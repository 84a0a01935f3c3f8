(* Trusted: reads the statement (and the proof, which is not trusted) and calls the extracted checker.
   command.ml runs it on files, page.ml in a browser. *)
module ZZ = Z
open Kernel

exception Malformed of string

let bad text = raise (Malformed text)

(* Tokens are separated by blanks and ends of lines. *)
type source = { text : string; mutable at : int }

let source text = { text; at = 0 }
let blank c = c = ' ' || c = '\n'

let token s =
  let size = String.length s.text in
  while s.at < size && blank s.text.[s.at] do s.at <- s.at + 1 done;
  let from = s.at in
  while s.at < size && not (blank s.text.[s.at]) do s.at <- s.at + 1 done;
  if s.at = from then bad "unexpected end" else String.sub s.text from (s.at - from)

let expect s word = let found = token s in if found <> word then bad ("expected " ^ word ^ ", found " ^ found)
let integer text = try ZZ.of_string text with _ -> bad ("not an integer: " ^ text)
let z s = integer (token s)
let most = 1 lsl 30
let natural text =
  match int_of_string_opt text with
  | Some n when n >= 0 && n < most -> n
  | _ -> bad ("not a number of something: " ^ text)
let nat s = natural (token s)
let power s = ZZ.shift_left ZZ.one (let n = nat s in if n > 1 lsl 20 then bad "exponent" else n)
let positive s = let n = z s in if ZZ.sign n <= 0 then bad "not positive" else n

let list n read s =
  let rec more n acc = if n = 0 then List.rev acc else more (n - 1) (read s :: acc) in
  more n []

let many read s = let n = nat s in list n read s
let ratio_of text =
  match String.split_on_char '/' text with
  | [ n; d ] -> let d = integer d in if ZZ.sign d <= 0 then bad "denominator" else (integer n, d)
  | _ -> bad "an irrational constant of this function is not covered by the kernel"
let ratio s = ratio_of (token s)

(* a formula, in prefix form: sum product quotient root exp log, and fractions *)
let rec number s =
  match token s with
  | "sum" -> let a = number s in NSum (a, number s)
  | "product" -> let a = number s in NProduct (a, number s)
  | "quotient" -> let a = number s in NQuotient (a, number s)
  | "root" -> NRoot (number s)
  | "exp" -> NExp (number s)
  | "log" -> NLog (number s)
  | text -> Rational (ratio_of text)

let constant s rational formula =
  match token s with
  | "formula" -> formula (number s)
  | text -> rational (ratio_of text)

(* one for all prototypes, or one for each *)
let apiece count read s =
  match token s with
  | "all" -> let one = read s in List.init count (fun _ -> one)
  | "each" -> list count read s
  | word -> bad word

let primitive s =
  match token s with
  | "add" -> constant s (fun c -> Add c) (fun c -> AddNumber c)
  | "mul" -> constant s (fun c -> Mul c) (fun c -> MulNumber c)
  | "div_root" -> constant s (fun c -> DivRoot c) (fun c -> DivRootNumber c)
  | "max" -> Max (ratio s) | "min" -> Min (ratio s) | "sqrt" -> Sqrt | "square" -> Square
  | "exp" -> Exp | "log" -> Log | "reciprocal" -> Reciprocal | "one_plus" -> OnePlus (ratio s)
  | "sigmoid" -> Sigmoid | "tanh" -> Tanh | "softplus" -> Softplus | "power" -> Power (ratio s)
  | "abs" -> Abs | "zero_below" -> ZeroBelow (ratio s)
  | word -> bad ("similarity " ^ word)

let pooling s =
  match token s with
  | "nearest" -> Nearest | "mean" -> Mean | "sum" -> Sum | "largest" -> Largest (nat s) | "focal" -> Focal
  | "nearest-less-mean" -> LessMean []
  | word -> bad ("pooling " ^ word)

let length s =
  let spfloor = ratio s in let spadded = ratio s in let spbeside = ratio s in { spfloor; spadded; spbeside }

let rec tree s =
  match token s with
  | "leaf" -> Leaf (nat s)
  | "node" -> let j = nat s in let near = tree s in let far = tree s in Node (j, near, far)
  | word -> bad word

let optional s = match token s with "inf" -> None | text -> Some (integer text)
let box_end s = let lo = z s in let hi = optional s in (lo, hi)

let constraint_ channels locations s =
  match token s with
  | "box" -> let l = nat s in Box (l, list channels box_end s)
  | "everywhere" -> let e = box_end s in BoxEverywhere (List.init channels (fun _ -> e))
  | "norm" -> let lo = z s in let hi = z s in Norm (lo, hi)
  | "total" -> let lo = z s in let hi = z s in Total (lo, hi)
  | "jointly" -> let bound = z s in let rows = list locations (list channels z) s in Jointly (rows, bound)
  | word -> bad ("constraint " ^ word)

let fact s =
  match token s with
  | "pair" -> let l = nat s in let j = nat s in let lo = z s in let hi = z s in Pair (l, j, lo, hi)
  | "pooled" -> let j = nat s in let lo = z s in let hi = z s in Pooled (j, lo, hi)
  | "no-nearer" -> let b = z s in let exempt = many nat s in NoNearer (b, exempt)
  | "no-more" -> let b = z s in let exempt = many nat s in NoMore (b, exempt)
  | word -> bad ("fact " ^ word)

let claim s =
  match token s with
  | "class" -> Class (nat s)
  | "labels" ->
      Labels (many (fun s -> let k = nat s in
        match token s with "on" -> (k, true) | "off" -> (k, false) | word -> bad word) s)
  | word -> bad ("claim " ^ word)

(* Level F speaks about executions: none that the theorem does not know may be meant. *)
type level = Reals | Float32 of string * bool * (ZZ.t * ZZ.t)
let known_errors = [ ("sqrt", (2, 0)); ("reciprocal", (2, 0)); ("exp", (8, 0)); ("log", (8, 0)); ("power", (8, 0));
  ("sigmoid", (8, 8)); ("tanh", (12, 12)); ("softplus", (12, 12)) ]

let execution s =
  expect s "F";
  let form = token s in
  let within s =
    let name = token s in let relative = nat s in let absolute = nat s in
    match List.assoc_opt name known_errors with Some (r, a) -> relative <= r && absolute <= a | None -> false in
  let functions = many within s in
  (* what the square of a latent is at least, at every location *)
  let short = match token s with
    | "any" -> (ZZ.zero, ZZ.one)
    | "shortest" -> let n, d = ratio s in if ZZ.sign n < 0 then bad "length"; (ZZ.mul n n, ZZ.mul d d)
    | word -> bad word in
  Float32 (form, List.for_all Fun.id functions, short)
(* how the measurements are written, where the theorem knows it of this geometry *)
let writing form = function
  | Euclidean when form = "expanded" -> Some Expanded
  | (Euclidean | Diagonal _) when form = "direct" -> Some Plain
  | Linear when form = "product" -> Some Plain
  | Angular _ when form = "angle" -> Some Plain
  | _ -> None

let statement s =
  expect s "protoproof.statement/1";
  expect s "model"; ignore (token s);
  expect s "files"; ignore (many (fun s -> let a = token s in let b = token s in (a, b, nat s)) s);
  expect s "input"; ignore (token s);
  expect s "tensors"; ignore (many (fun s -> let n = token s in (n, many nat s)) s);
  expect s "output"; ignore (token s);
  let level = match token s with
    | "level" -> let level = execution s in expect s "locations"; level
    | "locations" -> Reals
    | word -> bad ("expected level or locations, found " ^ word) in
  let locations = nat s in
  let lbank = list locations nat s in
  expect s "channels"; let channels = nat s in
  expect s "geometry";
  let metric = match token s with
    | "euclidean" -> Euclidean | "diagonal" -> Diagonal (ZZ.zero, ZZ.one) | "linear" -> Linear
    | "angular" -> (match token s with
        | "lengths" -> Lengths []
        | floor -> let added = ratio s in Angular (ratio_of floor, added))
    | word -> bad ("geometry " ^ word) in
  expect s "prototypes"; let count = nat s in
  let pbank = list count nat s in
  expect s "points"; let hden = power s in
  let protos = list count (list channels z) s in
  let metric = match metric with
    | Lengths _ -> expect s "squares"; Lengths (apiece count length s)
    | other -> other in
  let sden, scales = match metric with
    | Diagonal _ -> expect s "scales"; let d = power s in (d, list count (list channels z) s)
    | _ -> (ZZ.one, []) in
  let metric = match metric, token s with
    | Diagonal _, "more" -> let more = ratio s in expect s "inner"; Diagonal more
    | other, "inner" -> other
    | _, word -> bad ("expected inner, found " ^ word) in
  let inner = apiece count (many primitive) s in
  expect s "pooling"; let pools = apiece count pooling s in
  let pools = match token s with
    | "outer" -> pools
    | "common" ->
        let common = apiece count (many primitive) s in
        expect s "outer";
        List.map2 (fun kind f -> match kind with LessMean _ -> LessMean f | _ -> kind) pools common
    | word -> bad ("expected outer, found " ^ word) in
  let outer = apiece count (many primitive) s in
  expect s "decision";
  let feature, width = match token s with
    | "each" -> (Each, count)
    | "groups" -> let g = many (many nat) s in (Groups g, List.length g)
    | "leaves" -> let n = nat s in (Leaves (tree s), n)
    | "greedy" -> let n = nat s in (Greedy (tree s), n)
    | "sample-max" -> let n = nat s in (SampleMax (tree s), n)
    | word -> bad ("decision " ^ word) in
  expect s "classes"; let classes = nat s in
  let wden = power s in
  let weights = list classes (list width z) s in
  expect s "biases"; let biases = list classes z s in
  expect s "slack"; let slack = z s in
  let network = { channels; metric; hden; protos; sden; scales; lbank; pbank; inner; pools; outer;
    feature; wden; weights; biases; slack } in
  expect s "domain"; let dden = power s in
  let domain = many (constraint_ channels locations) s in
  expect s "facts"; let fden = power s in
  let facts = many fact s in
  expect s "latent"; let pden = power s in
  let point = list locations (list channels z) s in
  expect s "claim"; let claimed = claim s in
  expect s "end";
  (level, { network; dden; domain; fden; facts; pden; point; claimed })

(* The proof. *)
let reference text = match text with "-" -> None | _ -> Some (natural text)
let ref_ s = reference (token s)
let charges = many (fun s -> let i = nat s in let t = z s in (i, t))
let pair a b s = let x = a s in let y = b s in (x, y)

let step s =
  match token s with
  | "row" -> let at = ref_ s in let j = nat s in let k = z s in let box = ref_ s in SRow (at, j, k, box, charges s)
  | "zero" -> SZero (nat s)
  | "ball" -> SBall
  | "least" -> let j = nat s in SLeast (j, many nat s)
  | "least-among" -> let j = nat s in let i = nat s in SLeastAmong (j, i, many nat s)
  | "up" -> let j = nat s in let l = nat s in SUp (j, l, nat s)
  | "low" -> let l = nat s in let j = nat s in SLow (l, j, nat s)
  | "pool" -> let j = nat s in SPool (j, many (pair ref_ ref_) s)
  | "implied" -> let j = nat s in let v = nat s in let i = nat s in let k = z s in let t = z s in SImplied (j, v, i, k, t, z s)
  | "only" -> SOnly (nat s)
  | "start" -> SStart (nat s)
  | "here" -> let i = nat s in SHere (i, nat s)
  | "span" -> SSpan (nat s)
  | "scaled" -> let at = ref_ s in let j = nat s in SScaled (at, j, nat s)
  | "around" -> let l = nat s in let j = nat s in let i = nat s in SAround (l, j, i, z s)
  | "meet" -> let i = nat s in SMeet (i, nat s)
  | word -> bad ("step " ^ word)

let line s =
  let j = nat s in
  match token s with
  | "support" -> let l = nat s in let al = z s in let be = z s in let a = z s in (j, Support (l, al, be, a, z s))
  | "oppose" ->
      let l = nat s in let al = z s in let be = z s in let il = nat s in let ih = nat s in
      let among = ref_ s in (j, Oppose (l, al, be, il, ih, among, many nat s))
  | word -> bad ("line " ^ word)

let form s =
  match token s with
  | "intervals" -> None
  | "form" ->
      let lines = many line s in
      Some { lines; sums = many (fun s -> let l = nat s in let box = ref_ s in ((l, box), charges s)) s }
  | word -> bad ("form " ^ word)

let rec proof s =
  match token s with
  | "done" -> let ups = many (pair nat (pair ref_ ref_)) s in Done (ups, form s)
  | "step" -> let k = step s in Step (k, proof s)
  | "absurd" -> let i = nat s in Absurd (i, nat s)
  | "nowhere" -> Nowhere (nat s)
  | "empty" -> EmptyBox (nat s)
  | "split" -> let l = nat s in let j = nat s in let at = z s in let a = proof s in SplitQ (l, j, at, a, proof s)
  | "nearest" -> let j = nat s in let at = z s in let a = proof s in SplitV (j, at, a, proof s)
  | "channel" ->
      let l = nat s in let i = nat s in let d = nat s in let at = z s in
      let a = proof s in SplitBox (l, i, d, at, a, proof s)
  | "place" -> let i = nat s in let l = nat s in let a = proof s in Place (i, l, a, proof s)
  | word -> bad ("proof " ^ word)

let evidence s = match token s with
  | "direct" -> Direct (form s)
  | "cases" -> Cases (proof s)
  | word -> bad ("evidence " ^ word)

let certificate s =
  expect s "protoproof.proof/1";
  expect s "unit"; let unit_ = power s in
  expect s "fine"; let fine = power s in
  expect s "rounds"; let rounds = nat s in
  expect s "steps"; let steps = many step s in
  expect s "table"; let table = many (pair ref_ ref_) s in
  expect s "roofs"; let roofs = many nat s in
  expect s "margins"; let margins = many evidence s in
  { unit_; fine; rounds; steps; table; roofs; margins }

(* All locations but the listed ones are where the recorded latent has them. Each has a denominator of its own. *)
let witness (s : statement) file =
  let about = nat file in let against = nat file in
  let moved = many (fun f -> let l = nat f in let d = positive f in (l, (d, list s.network.channels z f))) file in
  let wden_ = List.fold_left (fun all (_, (d, _)) -> ZZ.lcm all d) s.pden moved in
  let place l row =
    let d, x = match List.assoc_opt l moved with Some point -> point | None -> (s.pden, row) in
    List.map (ZZ.mul (ZZ.div wden_ d)) x in
  { about; against; wden_; wpoint = List.mapi place s.point }

let isqrt x = if ZZ.sign x < 0 then ZZ.zero else ZZ.sqrt x

(* One thing after another, in the order of the proof: whether it is proved, and a line that says what it is.
   None: nothing is left. *)
let session statement_text proof_text =
  let level, s = statement (source statement_text) in
  let file = source proof_text in
  let c = certificate file in
  let left = ref None in
  let float32 = ref (match level with
    | Reals -> None
    | Float32 (form, known, short) -> Some (lazy (match writing form s.network.metric with
        | Some w -> known && accept_float w short isqrt s c
        | None -> false))) in
  fun () ->
    match !left with
    | None ->
        let ok = (match !float32 with Some one -> Lazy.force one | None -> false) || accept isqrt s c in
        expect file "witnesses";
        left := Some (nat file);
        Some (ok, "sufficient")
    | Some _ when !float32 <> None ->
        let ok = match !float32 with Some one -> Lazy.force one | None -> false in
        float32 := None;
        Some (ok, "float32")
    | Some 0 -> expect file "end"; None
    | Some more ->
        let w = witness s file in
        left := Some (more - 1);
        Some (check_witness isqrt s c w, "necessary " ^ string_of_int w.about ^ " " ^ string_of_int w.against)

(* Why there is no answer, and whether another machine could give one. *)
let why = function
  | Malformed text -> (text, false)
  | Stack_overflow | Out_of_memory -> ("the machine's limits were reached", true)
  | Sys_error text -> (text, false)
  | _ -> ("a file that cannot be read as a statement or a proof", false)
