(* Writes statement and proof as closed terms of Coq, with a theorem for everything that is proved of them. Not
   trusted: who believes coqc reads the definitions and the theorems in the file itself.
   A constructor or a field that is forgotten here is an error of the compiler. *)
[@@@warning "@8@9"]
open Kernel

let z n = if Main.ZZ.sign n < 0 then "(" ^ Main.ZZ.to_string n ^ ")" else Main.ZZ.to_string n
let positive n = Main.ZZ.to_string n ^ "%positive"
let nat n = string_of_int n ^ "%nat"
let call word arguments = "(" ^ String.concat " " (word :: arguments) ^ ")"
let list f xs = "[" ^ String.concat "; " (List.map f xs) ^ "]"
let rows f xs = "[" ^ String.concat ";\n  " (List.map f xs) ^ "]"
let option f = function None -> "None" | Some x -> call "Some" [ f x ]
let pair f g (x, y) = "(" ^ f x ^ ", " ^ g y ^ ")"
let bool b = if b then "true" else "false"
let ratio = pair z positive

let rec number = function
  | Rational c -> call "Rational" [ ratio c ]
  | NSum (a, b) -> call "NSum" [ number a; number b ]
  | NProduct (a, b) -> call "NProduct" [ number a; number b ]
  | NQuotient (a, b) -> call "NQuotient" [ number a; number b ]
  | NRoot a -> call "NRoot" [ number a ]
  | NExp a -> call "NExp" [ number a ]
  | NLog a -> call "NLog" [ number a ]

let primitive = function
  | AddNumber c -> call "AddNumber" [ number c ]
  | MulNumber c -> call "MulNumber" [ number c ]
  | DivRootNumber c -> call "DivRootNumber" [ number c ]
  | Add c -> call "Add" [ ratio c ]
  | Mul c -> call "Mul" [ ratio c ]
  | DivRoot c -> call "DivRoot" [ ratio c ]
  | Max c -> call "Max" [ ratio c ]
  | Min c -> call "Min" [ ratio c ]
  | Sqrt -> "Sqrt" | Square -> "Square" | Exp -> "Exp" | Log -> "Log" | Reciprocal -> "Reciprocal"
  | OnePlus c -> call "OnePlus" [ ratio c ]
  | Sigmoid -> "Sigmoid" | Tanh -> "Tanh" | Softplus -> "Softplus"
  | Power c -> call "Power" [ ratio c ]
  | Abs -> "Abs"
  | ZeroBelow c -> call "ZeroBelow" [ ratio c ]

let chain = list primitive

let span { spfloor; spadded; spbeside } = call "Span" [ ratio spfloor; ratio spadded; ratio spbeside ]

let geometry = function
  | Euclidean -> "Euclidean" | Linear -> "Linear"
  | Diagonal more -> call "Diagonal" [ ratio more ]
  | Angular (floor, added) -> call "Angular" [ ratio floor; ratio added ]
  | Lengths each -> call "Lengths" [ rows span each ]

let pooling = function
  | Nearest -> "Nearest" | Mean -> "Mean" | Sum -> "Sum" | Focal -> "Focal"
  | Largest k -> call "Largest" [ nat k ]
  | LessMean f -> call "LessMean" [ chain f ]

let rec tree = function
  | Leaf n -> call "Leaf" [ nat n ]
  | Node (j, near, far) -> call "Node" [ nat j; tree near; tree far ]

let features = function
  | Each -> "Each"
  | Groups g -> call "Groups" [ list (list nat) g ]
  | Leaves t -> call "Leaves" [ tree t ]
  | Greedy t -> call "Greedy" [ tree t ]
  | SampleMax t -> call "SampleMax" [ tree t ]

let table = rows (list z)

let head { channels; metric; hden; protos; sden; scales; lbank; pbank; inner; pools; outer; feature; wden; weights;
    biases; slack } =
  String.concat "\n  " [ "Head"; nat channels; geometry metric; positive hden; table protos; positive sden;
    table scales; list nat lbank; list nat pbank; rows chain inner; list pooling pools; rows chain outer;
    features feature; positive wden; table weights; list z biases; z slack ]

let ends = list (pair z (option z))
let constraint_ = function
  | Box (l, e) -> call "Box" [ nat l; ends e ]
  | BoxEverywhere e -> call "BoxEverywhere" [ ends e ]
  | Norm (lo, hi) -> call "Norm" [ z lo; z hi ]
  | Total (lo, hi) -> call "Total" [ z lo; z hi ]
  | Jointly (normal, bound) -> call "Jointly" [ table normal; z bound ]

let fact = function
  | Pair (l, j, lo, hi) -> call "Pair" [ nat l; nat j; z lo; z hi ]
  | Pooled (j, lo, hi) -> call "Pooled" [ nat j; z lo; z hi ]
  | NoNearer (b, exempt) -> call "NoNearer" [ z b; list nat exempt ]
  | NoMore (b, exempt) -> call "NoMore" [ z b; list nat exempt ]

let claim = function
  | Class c -> call "Class" [ nat c ]
  | Labels ls -> call "Labels" [ list (pair nat bool) ls ]

let statement { network = _; dden; domain; fden; facts; pden; point; claimed } =
  String.concat "\n  " [ "Statement the_network"; positive dden; rows constraint_ domain; positive fden; rows fact facts;
    positive pden; table point; claim claimed ]

(* The proof. *)
let ref_ = option nat
let refs = list nat
let charges = list (pair nat z)

let quantity = function
  | QM j -> call "QM" [ nat j ]
  | QNorm -> "QNorm" | QTotal -> "QTotal"
  | QChannel d -> call "QChannel" [ nat d ]
  | QSlope v -> call "QSlope" [ list z v ]

let step = function
  | SRow (at, j, k, box, ts) -> call "SRow" [ ref_ at; nat j; z k; ref_ box; charges ts ]
  | SZero j -> call "SZero" [ nat j ]
  | SBall -> "SBall"
  | SLeast (j, is) -> call "SLeast" [ nat j; refs is ]
  | SLeastAmong (j, i, is) -> call "SLeastAmong" [ nat j; nat i; refs is ]
  | SUp (j, l, i) -> call "SUp" [ nat j; nat l; nat i ]
  | SLow (at, j, i) -> call "SLow" [ ref_ at; nat j; nat i ]
  | SPool (j, is) -> call "SPool" [ nat j; list (pair ref_ ref_) is ]
  | SImplied (j, v, i, s, t, ball) -> call "SImplied" [ nat j; nat v; nat i; z s; z t; z ball ]
  | SOnly j -> call "SOnly" [ nat j ]
  | SStart j -> call "SStart" [ nat j ]
  | SHere (i, k) -> call "SHere" [ nat i; nat k ]
  | SSpan (at, j, box) -> call "SSpan" [ ref_ at; nat j; ref_ box ]
  | SScaled (at, j, i) -> call "SScaled" [ ref_ at; nat j; nat i ]
  | SAround (l, j, i, r) -> call "SAround" [ nat l; nat j; nat i; z r ]
  | SMeet (i, k) -> call "SMeet" [ nat i; nat k ]
  | SCut (i, k) -> call "SCut" [ nat i; nat k ]
  | SAlone (i, l, boxes) -> call "SAlone" [ nat i; nat l; refs boxes ]

let line = function
  | Support (l, al, be, a, b) -> call "Support" [ nat l; z al; z be; z a; z b ]
  | Oppose (l, al, be, il, ih, among, is) ->
      call "Oppose" [ nat l; z al; z be; nat il; nat ih; ref_ among; refs is ]

let form { lines; sums; joint } =
  call "Relaxation" [ list (pair nat line) lines; list (pair (pair nat ref_) charges) sums; charges joint ]

let rec proof = function
  | Done (ups, f) -> call "Done" [ list (pair nat (pair ref_ ref_)) ups; option form f ]
  | Step (s, p) -> call "Step" [ step s; proof p ]
  | Absurd (i, k) -> call "Absurd" [ nat i; nat k ]
  | Nowhere i -> call "Nowhere" [ nat i ]
  | EmptyBox i -> call "EmptyBox" [ nat i ]
  | SplitQ (l, what, at, p, q) -> call "SplitQ" [ nat l; quantity what; z at; proof p; proof q ]
  | SplitV (j, at, p, q) -> call "SplitV" [ nat j; z at; proof p; proof q ]
  | Place (i, l, p, q) -> call "Place" [ nat i; nat l; proof p; proof q ]

let evidence = function
  | Direct f -> call "Direct" [ option form f ]
  | Cases p -> call "Cases" [ proof p ]

let certificate { unit_; fine; rounds; steps; table; roofs; margins } =
  call "Certificate" [ positive unit_; positive fine; nat rounds; rows step steps; list (pair ref_ ref_) table;
    refs roofs; rows evidence margins ]

let elsewhere { eden; epoint } = call "Elsewhere" [ positive eden; table epoint ]

let rec distinction = function
  | Packing (scale, ws) -> call "Packing" [ positive scale; list (pair nat z) ws ]
  | Branch (f, a, b) -> call "Branch" [ z f; distinction a; distinction b ]

let refutation = pair nat elsewhere
let size_proof = function
  | Distinctions (rs, covers) -> call "Distinctions" [ rows refutation rs; rows (pair refs distinction) covers ]
  | Top found -> call "Top" [ option (pair refutation nat) found ]

let level = function Values -> "Values" | Activations -> "Activations"
let vocabulary = function
  | Pairs -> "Pairs" | Path -> "Path" | Ceiling -> "Ceiling" | TopK -> "TopK" | Mixed -> "Mixed"

let define name kind term = Printf.printf "\nDefinition %s : %s :=\n  %s.\n" name kind term
let theorem name claim reason =
  Printf.printf "\nTheorem %s : %s.\nProof. apply (%s). vm_cast_no_check (eq_refl true). Qed.\nPrint Assumptions %s.\n"
    name claim reason name

let domain = pair positive (rows constraint_)

(* A theorem about one thing; [n] tells those of a kind apart. *)
let proved n parts = function
  | Main.Sufficient _ when parts = [] ->
      theorem "the_facts_suffice" "sufficient the_statement /\\ recorded_meets the_statement"
        "accept_sound Z.sqrt the_statement the_proof"
  | Main.Sufficient proofs ->
      define "the_parts" "list (positive * list constraint)" (rows domain parts);
      define "the_proofs" "list certificate" (rows (fun (_, c) -> certificate c) proofs);
      theorem "the_facts_suffice" "sufficient_on the_statement the_parts /\\ recorded_meets the_statement"
        "parts_sound Z.sqrt the_statement (combine the_parts the_proofs)"
  | Main.Necessary { about; against; wden_; wpoint } ->
      let name = "fact_" ^ string_of_int about in
      define (name ^ "_witness") "witness" (call "Witness" [ nat about; nat against; positive wden_; table wpoint ]);
      theorem (name ^ "_is_necessary") (String.concat " " [ "necessary the_statement"; nat about; nat against ])
        ("witness_sound Z.sqrt the_statement the_proof " ^ name ^ "_witness")
  | Main.Contrast (k, count, p) ->
      let name = "contrast_" ^ string_of_int n in
      define (name ^ "_latent") "elsewhere" (elsewhere p);
      theorem name (String.concat " " [ "contrast the_statement"; nat k; nat count ])
        (String.concat " " [ "contrast_sound Z.sqrt the_statement the_proof"; name ^ "_latent"; nat k; nat count ])
  | Main.Size ((_, l), (_, v), count, reason) ->
      define "the_size" "size_proof" (size_proof reason);
      theorem "no_fewer_facts" (String.concat " " [ "at_least_facts the_statement"; level l; vocabulary v; nat count ])
        (String.concat " " [ "size_sound Z.sqrt the_statement the_proof"; level l; vocabulary v; nat count; "the_size" ])

(* At level F the theorem is about executions of the statement's head, operator by operator. *)
let executed s c = function
  | Some (form, true, short) ->
      (match Main.writing form s.network.metric with
       | Some w when accept_float w short Main.isqrt s c ->
           let given = String.concat " " [ (match w with Plain -> "Plain" | Expanded -> "Expanded"); ratio short ] in
           theorem "the_facts_suffice_in_float32"
             ("sufficient the_statement /\\ recorded_meets the_statement /\\ sufficient_float " ^ given ^ " the_statement")
             ("float_sound " ^ given ^ " Z.sqrt the_statement the_proof")
       | _ -> print_string "\n(* not proved: float32 *)\n")
  | Some _ -> print_string "\n(* not proved: float32 *)\n"
  | None -> ()

(* Prints the file; what is not proved is a comment in it. *)
let print statement_text proof_text =
  let (s, parts, rounding) = Main.statement (Main.source statement_text) in
  let sufficient, next = Main.questions (s, parts) (Main.source proof_text) in
  let c = Main.first_proof sufficient in
  print_string "From Coq Require Import ZArith List.\nFrom Protoproof Require Import Spec Claims Check Theorems Sizes Float FloatSound.\n";
  print_string "Import ListNotations.\nLocal Open Scope Z_scope.\n";
  define "the_network" "head" (head s.network);
  define "the_statement" "statement" (statement s);
  define "the_proof" "certificate" (certificate c);
  let rec all n =
    match next () with
    | None -> ()
    | Some question ->
        let good, what = Main.answer s parts c question in
        if good then proved n parts question else Printf.printf "\n(* not proved: %s *)\n" what;
        all (n + 1) in
  all 0;
  if parts = [] then executed s c rounding
