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
(* how many of something follow: every one takes a character at least *)
let count s = let n = nat s in if n > String.length s.text then bad "more than the file holds" else n
let power s = ZZ.shift_left ZZ.one (let n = nat s in if n > 1 lsl 20 then bad "exponent" else n)
let positive s = let n = z s in if ZZ.sign n <= 0 then bad "not positive" else n

let list n read s =
  let rec more n acc = if n = 0 then List.rev acc else more (n - 1) (read s :: acc) in
  more n []

let many read s = let n = count s in list n read s
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
  (form, List.for_all Fun.id functions, short)
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
  let rounding = match token s with
    | "level" -> let found = execution s in expect s "locations"; Some found
    | "locations" -> None
    | word -> bad ("expected level or locations, found " ^ word) in
  let locations = count s in
  let lbank = list locations nat s in
  expect s "channels"; let channels = count s in
  expect s "geometry";
  let metric = match token s with
    | "euclidean" -> Euclidean | "diagonal" -> Diagonal (ZZ.zero, ZZ.one) | "linear" -> Linear
    | "angular" -> (match token s with
        | "lengths" -> Lengths []
        | floor -> let added = ratio s in Angular (ratio_of floor, added))
    | word -> bad ("geometry " ^ word) in
  expect s "prototypes"; let prototypes = count s in
  let pbank = list prototypes nat s in
  expect s "points"; let hden = power s in
  let protos = list prototypes (list channels z) s in
  let metric = match metric with
    | Lengths _ -> expect s "squares"; Lengths (apiece prototypes length s)
    | other -> other in
  let sden, scales = match metric with
    | Diagonal _ -> expect s "scales"; let d = power s in (d, list prototypes (list channels z) s)
    | _ -> (ZZ.one, []) in
  let metric = match metric, token s with
    | Diagonal _, "more" -> let more = ratio s in expect s "inner"; Diagonal more
    | other, "inner" -> other
    | _, word -> bad ("expected inner, found " ^ word) in
  let inner = apiece prototypes (many primitive) s in
  expect s "pooling"; let pools = apiece prototypes pooling s in
  let pools = match token s with
    | "outer" -> pools
    | "common" ->
        let common = apiece prototypes (many primitive) s in
        expect s "outer";
        List.map2 (fun kind f -> match kind with LessMean _ -> LessMean f | _ -> kind) pools common
    | word -> bad ("expected outer, found " ^ word) in
  let outer = apiece prototypes (many primitive) s in
  expect s "decision";
  let feature, width = match token s with
    | "each" -> (Each, prototypes)
    | "groups" -> let g = many (many nat) s in (Groups g, List.length g)
    | "leaves" -> let n = count s in (Leaves (tree s), n)
    | "greedy" -> let n = count s in (Greedy (tree s), n)
    | "sample-max" -> let n = count s in (SampleMax (tree s), n)
    | word -> bad ("decision " ^ word) in
  expect s "classes"; let classes = count s in
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
  let part s = expect s "domain"; let d = power s in (d, many (constraint_ channels locations) s) in
  let parts = match token s with
    | "end" -> []
    | "parts" -> let found = many part s in expect s "end"; if found = [] then bad "no parts" else found
    | word -> bad ("expected end, found " ^ word) in
  ({ network; dden; domain; fden; facts; pden; point; claimed }, parts, rounding)

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
  | "low" -> let at = ref_ s in let j = nat s in SLow (at, j, nat s)
  | "pool" -> let j = nat s in SPool (j, many (pair ref_ ref_) s)
  | "implied" -> let j = nat s in let v = nat s in let i = nat s in let k = z s in let t = z s in SImplied (j, v, i, k, t, z s)
  | "only" -> SOnly (nat s)
  | "start" -> SStart (nat s)
  | "here" -> let i = nat s in SHere (i, nat s)
  | "span" -> let at = ref_ s in let j = nat s in SSpan (at, j, ref_ s)
  | "scaled" -> let at = ref_ s in let j = nat s in SScaled (at, j, nat s)
  | "around" -> let l = nat s in let j = nat s in let i = nat s in SAround (l, j, i, z s)
  | "meet" -> let i = nat s in SMeet (i, nat s)
  | "cut" -> let i = nat s in SCut (i, nat s)
  | "alone" -> let i = nat s in let l = nat s in SAlone (i, l, many nat s)
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
      let sums = many (fun s -> let l = nat s in let box = ref_ s in ((l, box), charges s)) s in
      Some { lines; sums; joint = charges s }
  | word -> bad ("form " ^ word)

let rec proof s =
  match token s with
  | "done" -> let ups = many (pair nat (pair ref_ ref_)) s in Done (ups, form s)
  | "step" -> let k = step s in Step (k, proof s)
  | "absurd" -> let i = nat s in Absurd (i, nat s)
  | "nowhere" -> Nowhere (nat s)
  | "empty" -> EmptyBox (nat s)
  | "split" -> let l = nat s in let j = nat s in let at = z s in let a = proof s in SplitQ (l, QM j, at, a, proof s)
  | "nearest" -> let j = nat s in let at = z s in let a = proof s in SplitV (j, at, a, proof s)
  | "channel" -> let l = nat s in let d = nat s in let at = z s in let a = proof s in SplitQ (l, QChannel d, at, a, proof s)
  | "place" -> let i = nat s in let l = nat s in let a = proof s in Place (i, l, a, proof s)
  | word -> bad ("proof " ^ word)

let evidence s = match token s with
  | "direct" -> Direct (form s)
  | "cases" -> Cases (proof s)
  | word -> bad ("evidence " ^ word)

let block s =
  expect s "unit"; let unit_ = power s in
  expect s "fine"; let fine = power s in
  expect s "rounds"; let rounds = nat s in
  if rounds > 1 lsl 12 then bad "rounds";
  expect s "steps"; let steps = many step s in
  expect s "table"; let table = many (pair ref_ ref_) s in
  expect s "roofs"; let roofs = many nat s in
  expect s "margins"; let margins = many evidence s in
  { unit_; fine; rounds; steps; table; roofs; margins }

(* All locations but the listed ones are where the recorded latent has them. Each has a denominator of its own. *)
let elsewhere (s : statement) file =
  let moved = many (fun f -> let l = nat f in let d = positive f in (l, (d, list s.network.channels z f))) file in
  let eden = List.fold_left (fun all (_, (d, _)) -> ZZ.lcm all d) s.pden moved in
  let place l row =
    let d, x = match List.assoc_opt l moved with Some point -> point | None -> (s.pden, row) in
    List.map (ZZ.mul (ZZ.div eden d)) x in
  { eden; epoint = List.mapi place s.point }

let rec distinction s =
  match token s with
  | "packing" -> let scale = positive s in Packing (scale, many (pair nat z) s)
  | "branch" -> let fact = z s in let a = distinction s in Branch (fact, a, distinction s)
  | word -> bad ("distinction " ^ word)

let refutation (s : statement) file = let k = nat file in let p = elsewhere s file in (k, p)

let size_proof (s : statement) file =
  match token file with
  | "distinctions" ->
      let refutations = many (refutation s) file in
      Distinctions (refutations, many (fun f -> let ceilings = many nat f in (ceilings, distinction f)) file)
  | "top" ->
      Top (match token file with
        | "none" -> None
        | "by" -> let r = refutation s file in Some (r, nat file)
        | word -> bad ("top " ^ word))
  | word -> bad ("size " ^ word)

(* What is claimed besides: everything that the program says is proved is read here. *)
let vocabularies = [ ("pairs", Pairs); ("path", Path); ("ceiling", Ceiling); ("topk", TopK); ("mixed", Mixed) ]
let levels = [ ("values", Values); ("activations", Activations) ]
let word_of table s = let word = token s in match List.assoc_opt word table with Some x -> (word, x) | None -> bad word

type asked =
  | Sufficient of ((ZZ.t * constraint0 list) * certificate) list   (* a proof for every part, or for the domain *)
  | Necessary of witness
  | Contrast of int * int * elsewhere
  | Size of (string * level) * (string * vocabulary) * int * size_proof

(* One thing after another, in the order of the proof; None: nothing is left. *)
let questions ((s : statement), parts) file =
  expect file "protoproof.proof/1";
  let sufficient = Sufficient (List.map (fun p -> (p, block file)) (if parts = [] then [ (s.dden, s.domain) ] else parts)) in
  let sections = ref [
    ("witnesses", fun () ->
      let about = nat file in let against = nat file in let p = elsewhere s file in
      Necessary { about; against; wden_ = p.eden; wpoint = p.epoint });
    ("contrasts", fun () -> let k = nat file in let n = nat file in Contrast (k, n, elsewhere s file));
    ("sizes", fun () ->
      let n = nat file in let v = word_of vocabularies file in let l = word_of levels file in
      Size (l, v, n, size_proof s file)) ] in
  let left = ref 1 and read = ref (fun () -> sufficient) in
  let rec next () =
    if !left > 0 then (decr left; Some (!read ())) else
    match !sections with
    | [] -> expect file "end"; None
    | (word, reader) :: rest ->
        expect file word; left := nat file; read := reader; sections := rest; next () in
  (sufficient, next)

let isqrt x = if ZZ.sign x < 0 then ZZ.zero else ZZ.sqrt x

let said word numbers = String.concat " " (word :: List.map string_of_int numbers)

(* Whether it is proved, and a line that says what. *)
let answer (s : statement) parts c = function
  | Sufficient proofs ->
      if parts = [] then (accept isqrt s c, "sufficient")
      else (accept_parts isqrt s proofs, "sufficient on each of " ^ string_of_int (List.length parts) ^ " parts")
  | Necessary w -> (check_witness isqrt s c w, said "necessary" [ w.about; w.against ])
  | Contrast (k, n, p) -> (check_contrast isqrt s c p k n, said "contrast" [ k; n ])
  | Size ((level, l), (vocabulary, v), n, proof) ->
      (check_size isqrt s c l v n proof, said "at-least" [ n ] ^ " " ^ vocabulary ^ " " ^ level)

let first_proof = function Sufficient ((_, c) :: _) -> c | _ -> bad "no proof"

(* The same, for texts: the lines, one after another. *)
let session statement_text proof_text =
  let s, parts, rounding = statement (source statement_text) in
  let sufficient, next = questions (s, parts) (source proof_text) in
  let c = first_proof sufficient in
  let float32 (form, known, short) = match writing form s.network.metric with
    | Some w -> parts = [] && known && accept_float w short isqrt s c
    | None -> false in
  let waiting = ref None in
  fun () ->
    match !waiting, rounding with
    | Some line, _ -> waiting := None; Some line
    | None, found ->
        match next (), found with
        | Some (Sufficient _ as asked), Some executions ->
            let ok = float32 executions in
            waiting := Some (ok, "float32");
            Some (if ok then (true, "sufficient") else answer s parts c asked)
        | asked, _ -> Option.map (answer s parts c) asked

(* Why there is no answer, and whether another machine could give one. *)
let why = function
  | Malformed text -> (text, false)
  | Stack_overflow | Out_of_memory -> ("the machine's limits were reached", true)
  | Sys_error text -> (text, false)
  | _ -> ("a file that cannot be read as a statement or a proof", false)
