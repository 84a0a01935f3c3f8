(** What is claimed. Nothing here computes. This file, the theorems of [Theorems.v] and the program
    that writes the statement are what a reader has to believe; see README.md. *)
From Coq Require Import Reals ZArith List.
Import ListNotations.
Local Open Scope R_scope.

(** ** Numbers *)

Definition ratio := (Z * positive)%type.
Definition val (q : ratio) : R := IZR (fst q) / IZR (Zpos (snd q)).

Fixpoint sumn (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S k => f O + sumn k (fun i => f (S i)) end.
Fixpoint total (xs : list R) : R := match xs with [] => 0 | x :: r => x + total r end.
Fixpoint least (xs : list R) : R :=
  match xs with [] => 0 | x :: r => match r with [] => x | _ => Rmin x (least r) end end.
Fixpoint most (xs : list R) : R :=
  match xs with [] => 0 | x :: r => match r with [] => x | _ => Rmax x (most r) end end.

(** the numbers in falling order *)
Fixpoint insert (x : R) (xs : list R) : list R :=
  match xs with [] => [x] | y :: r => if Rle_dec y x then x :: y :: r else y :: insert x r end.
Definition descending (xs : list R) : list R := fold_right insert [] xs.

(** ** Similarities: chains of functions of one variable *)

(** constants that a graph computes from stored numbers *)
Inductive number :=
| Rational (c : ratio) | NSum (a b : number) | NProduct (a b : number) | NQuotient (a b : number)
| NRoot (a : number) | NExp (a : number) | NLog (a : number).
Fixpoint nval (n : number) : R :=
  match n with
  | Rational c => val c
  | NSum a b => nval a + nval b
  | NProduct a b => nval a * nval b
  | NQuotient a b => nval a / nval b
  | NRoot a => sqrt (nval a)
  | NExp a => exp (nval a)
  | NLog a => ln (nval a)
  end.

Inductive prim :=
| AddNumber (c : number) | MulNumber (c : number) | DivRootNumber (c : number)
| Add (c : ratio) | Mul (c : ratio) | DivRoot (c : ratio) | Max (c : ratio) | Min (c : ratio)
| Sqrt | Square | Exp | Log | Reciprocal | OnePlus (c : ratio) | Sigmoid | Tanh | Softplus
| Power (c : ratio) | Abs | ZeroBelow (c : ratio).

Definition apply (f : prim) (t : R) : R :=
  match f with
  | AddNumber c => t + nval c
  | MulNumber c => t * nval c
  | DivRootNumber c => t / sqrt (nval c)
  | Add c => t + val c
  | Mul c => t * val c
  | DivRoot c => t / sqrt (val c)
  | Max c => Rmax t (val c)
  | Min c => Rmin t (val c)
  | Sqrt => sqrt t
  | Square => t * t
  | Exp => exp t
  | Log => ln t
  | Reciprocal => / t
  | OnePlus c => 1 + val c / t
  | Sigmoid => / (1 + exp (- t))
  | Tanh => tanh t
  | Softplus => ln (1 + exp t)
  | Power c => if Rlt_dec 0 t then Rpower t (val c) else 0     (* for t >= 0 *)
  | Abs => Rabs t
  | ZeroBelow c => if Rlt_dec t (val c) then 0 else t
  end.
Definition chain := list prim.
Definition run (c : chain) (t : R) : R := fold_left (fun t f => apply f t) c t.

(** ** The head *)

(** what divides a product: sqrt (max (|z|^2 + added, floor)) + sqrt beside *)
Record span := Span { spfloor : ratio; spadded : ratio; spbeside : ratio }.
Definition no_span := Span (0%Z, 1%positive) (0%Z, 1%positive) (0%Z, 1%positive).
Definition span_length (s : span) (square : R) : R :=
  sqrt (Rmax (square + val (spadded s)) (val (spfloor s))) + sqrt (val (spbeside s)).
Inductive geometry :=
| Euclidean | Diagonal (more : ratio) | Linear | Angular (floor added : ratio)
| Lengths (each : list span).                     (* one for every prototype *)
Inductive pooling := Nearest | Mean | Sum | Largest (k : nat) | Focal | LessMean (f : chain).
(** what scores weigh: every activation, the largest of each group, or the leaves of a tree: all of
    them, or the one to which the larger shares lead, or the one at which the largest share arrives *)
Inductive tree := Leaf (n : nat) | Node (j : nat) (near far : tree).
Inductive features :=
| Each | Groups (g : list (list nat)) | Leaves (t : tree) | Greedy (t : tree) | SampleMax (t : tree).

Record head := Head {
  channels : nat;
  metric : geometry;
  hden : positive; protos : list (list Z);      (* prototypes, over hden *)
  sden : positive; scales : list (list Z);      (* of a diagonal geometry, over sden *)
  lbank : list nat; pbank : list nat;           (* the bank of every location and prototype *)
  inner : list chain; pools : list pooling; outer : list chain;   (* one per prototype *)
  feature : features;
  wden : positive; weights : list (list Z); biases : list Z; slack : Z }.

Definition latent := nat -> nat -> R.            (* location, channel *)
Definition at_ (p : list Z) (d : nat) : R := IZR (nth d p 0%Z).
Definition nproto (H : head) : nat := length (protos H).
Definition nloc (H : head) : nat := length (lbank H).
Definition nclass (H : head) : nat := length (weights H).
Definition proto (H : head) (j d : nat) : R := at_ (nth j (protos H) []) d / IZR (Zpos (hden H)).
(** A scale is what is stated, and a share of [more] of its geometry; what is proved holds whatever
    the shares are. (Where [more] is 0 there is nothing open.) *)
Class shares := { share : nat -> nat -> R; share_ok : forall j d, 0 <= share j d <= 1 }.
Definition scale {e : shares} (H : head) (j d : nat) : R :=
  at_ (nth j (scales H) []) d / IZR (Zpos (sden H))
  + share j d * match metric H with Diagonal more => val more | _ => 0 end.

Definition square_length (D : nat) (x : nat -> R) : R := sumn D (fun d => x d * x d).
Definition product (H : head) (x : nat -> R) (j : nat) : R :=
  sumn (channels H) (fun d => proto H j d * x d).

(** how far location l is from prototype j: smaller is nearer *)
Definition measurement {e : shares} (H : head) (z : latent) (l j : nat) : R :=
  match metric H with
  | Euclidean => square_length (channels H) (fun d => z l d - proto H j d)
  | Diagonal _ => sumn (channels H) (fun d => scale H j d * ((z l d - proto H j d) * (z l d - proto H j d)))
  | Linear => - product H (z l) j
  | Angular floor added =>
      - (product H (z l) j / Rmax (sqrt (square_length (channels H) (z l) + val added)) (val floor))
  | Lengths each =>
      - (product H (z l) j / span_length (nth j each no_span) (square_length (channels H) (z l)))
  end.

(** a location measures the prototypes of its own bank *)
Definition measures (H : head) (l j : nat) : bool :=
  Nat.eqb (nth l (lbank H) O) (nth j (pbank H) O).
Definition places (H : head) (j : nat) : list nat :=
  filter (fun l => measures H l j) (seq 0 (nloc H)).

Definition pooled (p : pooling) (xs : list R) : R :=
  match p with
  | Nearest => least xs
  | Mean => total xs / INR (length xs)
  | Sum => total xs
  | Largest k => total (firstn k (descending xs)) / INR k
  | Focal => most xs - total xs / INR (length xs)
  | LessMean f => run f (least xs) - run f (total xs / INR (length xs))
  end.
(** the pooled value t_j: of the measurements, or of the inner similarities *)
Definition value {e : shares} (H : head) (z : latent) (j : nat) : R :=
  match nth j (pools H) Nearest with
  | Nearest => least (map (fun l => measurement H z l j) (places H j))
  | p => pooled p (map (fun l => run (nth j (inner H) []) (measurement H z l j)) (places H j))
  end.
Definition activation {e : shares} (H : head) (z : latent) (j : nat) : R := run (nth j (outer H) []) (value H z j).

(** every node sends the share a_j of what reaches it to the right *)
Fixpoint arrives (w : list Z) (a : nat -> R) (t : tree) : R :=
  match t with
  | Leaf n => at_ w n
  | Node j near far => (1 - a j) * arrives w a near + a j * arrives w a far
  end.
Definition weighed (H : head) (w : list Z) (a : nat -> R) : R :=
  match feature H with
  | Each => sumn (nproto H) (fun j => at_ w j * a j)
  | Groups g => sumn (length g) (fun x => at_ w x * most (map a (nth x g [])))
  | Leaves t | Greedy t | SampleMax t => arrives w a t
  end.
(** a leaf that the larger shares lead to; of equal shares, either may be taken *)
Fixpoint led (a : nat -> R) (t : tree) (n : nat) : Prop :=
  match t with
  | Leaf m => n = m
  | Node j near far => (a j <= 1 / 2 /\ led a near n) \/ (1 / 2 <= a j /\ led a far n)
  end.
(** every leaf, with the share that arrives there *)
Fixpoint arriving (a : nat -> R) (t : tree) : list (nat * R) :=
  match t with
  | Leaf n => [(n, 1)]
  | Node j near far =>
      map (fun x => (fst x, (1 - a j) * snd x)) (arriving a near)
      ++ map (fun x => (fst x, a j * snd x)) (arriving a far)
  end.
Definition largest (a : nat -> R) (t : tree) (n : nat) : Prop :=
  exists s, In (n, s) (arriving a t) /\ forall x, In x (arriving a t) -> snd x <= s.
(** scores are over wden, which no comparison sees *)
Definition score {e : shares} (H : head) (z : latent) (k : nat) : R :=
  at_ (biases H) k + weighed H (nth k (weights H) []) (activation H z).

(** ** Domain, facts, claim *)

Inductive constraint :=                          (* numbers over the domain's denominator *)
| Box (l : nat) (ends : list (Z * option Z))     (* of location l, channel by channel *)
| BoxEverywhere (ends : list (Z * option Z))
| Norm (lo hi : Z)                               (* lo <= |z_l|^2 <= hi at every location *)
| Total (lo hi : Z)                              (* lo <= sum of z_l <= hi at every location *)
| Jointly (rows : list (list Z)) (bound : Z).    (* <rows, z> >= bound, over all locations *)

Definition within (n : positive) (lo : Z) (hi : option Z) (x : R) : Prop :=
  val (lo, n) <= x /\ match hi with None => True | Some b => x <= val (b, n) end.
Definition in_box (H : head) (n : positive) (z : latent) (l : nat) (ends : list (Z * option Z)) : Prop :=
  forall d lo hi, (d < channels H)%nat -> nth_error ends d = Some (lo, hi) -> within n lo hi (z l d).
Definition satisfies (H : head) (n : positive) (z : latent) (c : constraint) : Prop :=
  match c with
  | Box l ends => in_box H n z l ends
  | BoxEverywhere ends => forall l, (l < nloc H)%nat -> in_box H n z l ends
  | Norm lo hi => forall l, (l < nloc H)%nat -> within n lo (Some hi) (square_length (channels H) (z l))
  | Total lo hi => forall l, (l < nloc H)%nat -> within n lo (Some hi) (sumn (channels H) (z l))
  | Jointly rows bound => val (bound, n) <=
      sumn (nloc H) (fun l => sumn (channels H) (fun d => at_ (nth l rows []) d / IZR (Zpos n) * z l d))
  end.

Inductive fact :=                                (* numbers over the facts' denominator *)
| Pair (l j : nat) (lo hi : Z)                   (* of the measurement *)
| Pooled (j : nat) (lo hi : Z)                   (* of the pooled value *)
| NoNearer (bound : Z) (exempt : list nat)       (* all other pooled values are at least this *)
| NoMore (bound : Z) (exempt : list nat).        (* all other activations are at most this *)

Definition holds {e : shares} (H : head) (n : positive) (z : latent) (f : fact) : Prop :=
  match f with
  | Pair l j lo hi => within n lo (Some hi) (measurement H z l j)
  | Pooled j lo hi => within n lo (Some hi) (value H z j)
  | NoNearer b ex => forall j, (j < nproto H)%nat -> ~ In j ex -> val (b, n) <= value H z j
  | NoMore b ex => forall j, (j < nproto H)%nat -> ~ In j ex -> activation H z j <= val (b, n)
  end.

Inductive claim := Class (c : nat) | Labels (which : list (nat * bool)).

(** [slack] (0 but for trees) is what rounding of leaves may have taken from one score alone *)
Definition higher (H : head) (c k n : nat) : Prop :=      (* class c than class k, at leaf n *)
  at_ (biases H) k + at_ (nth k (weights H) []) n + IZR (slack H) < at_ (biases H) c + at_ (nth c (weights H) []) n.
Definition beats {e : shares} (H : head) (z : latent) (c k : nat) : Prop :=
  match feature H with
  | Greedy t => forall n, led (activation H z) t n -> higher H c k n
  | SampleMax t => forall n, largest (activation H z) t n -> higher H c k n
  | _ => score H z k + IZR (slack H) < score H z c
  end.
Definition label {e : shares} (H : head) (z : latent) (k : nat) (on : bool) : Prop :=
  if on then 0 < score H z k else score H z k < 0.
Definition predicted {e : shares} (H : head) (z : latent) (c : claim) : Prop :=
  match c with
  | Class c => (c < nclass H)%nat /\ forall k, (k < nclass H)%nat -> k <> c -> beats H z c k
  | Labels ls => forall k on, In (k, on) ls -> (k < nclass H)%nat /\ label H z k on
  end.

Record statement := Statement {
  network : head;
  dden : positive; domain : list constraint;
  fden : positive; facts : list fact;
  pden : positive; point : list (list Z);        (* the recorded latent *)
  claimed : claim }.

Definition inside (S : statement) (z : latent) : Prop :=
  forall c, In c (domain S) -> satisfies (network S) (dden S) z c.
Definition meets {e : shares} (S : statement) (z : latent) (fs : list fact) : Prop :=
  forall f, In f fs -> holds (network S) (fden S) z f.
Definition recorded (S : statement) : latent :=
  fun l d => at_ (nth l (point S) []) d / IZR (Zpos (pden S)).

(** The prediction follows from the facts, over the whole domain. *)
Definition sufficient (S : statement) : Prop :=
  forall (e : shares) z, inside S z -> meets S z (facts S) -> predicted (network S) z (claimed S).
(** ... and speaks about the recorded latent: it is not empty. *)
Definition recorded_meets (S : statement) : Prop :=
  forall e : shares, inside S (recorded S) /\ meets S (recorded S) (facts S)
  /\ predicted (network S) (recorded S) (claimed S).

(** Without fact number i, another prediction is possible: class (or label) k. *)
Definition loses {e : shares} (H : head) (z : latent) (c : claim) (k : nat) : Prop :=
  match c with
  | Class c => (k < nclass H)%nat /\ k <> c /\ beats H z k c
  | Labels ls => exists on, In (k, on) ls /\ label H z k (negb on)
  end.
Fixpoint without {A} (i : nat) (xs : list A) : list A :=
  match xs, i with [], _ => [] | _ :: r, O => r | x :: r, S i' => x :: without i' r end.
Definition necessary (S : statement) (i k : nat) : Prop :=
  (i < length (facts S))%nat /\
  exists z, forall e : shares, inside S z /\ meets S z (without i (facts S)) /\ loses (network S) z (claimed S) k.
