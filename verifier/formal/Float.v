(** Level F: what a head returns in float32, and what is claimed of it.

    Every operation errs by a stated multiple of the unit roundoff, sums are taken in any order and
    shape, with or without fused multiplication, in blocks or not, and numbers below the least
    normal one may become zero. Excluded are overflow, and operations without a result. *)
From Coq Require Import Reals ZArith List Permutation.
From Protoproof Require Import Spec.
Import ListNotations.
Local Open Scope R_scope.

Definition u : R := / 2 ^ 24.
Definition tiny : R := / 2 ^ 126.

(** [y] is [x], but for [k] units and what is too small for a normal number *)
Definition rounds_to (k x y : R) : Prop := Rabs (y - x) <= k * u * Rabs x + tiny.

(** sums in any order and shape *)
Inductive sums : list R -> R -> Prop :=
| sums_one x : sums [x] x
| sums_add l l1 l2 a b r :
    Permutation l (l1 ++ l2) -> sums l1 a -> sums l2 b -> rounds_to 1 (a + b) r -> sums l r.
Definition sums_to (n : nat) (f : nat -> R) (r : R) : Prop := sums (map f (seq 0 n)) r.

(** ** Similarities *)

(** what a function may err by: units of its result, and units besides *)
Definition units (f : prim) : R * R :=
  match f with
  | Max _ | Min _ | Abs | ZeroBelow _ => (0, 0)
  | Add c => (1, 2 * Rabs (val c))                 (* the constant may itself be rounded *)
  | Mul _ | DivRoot _ => (4, 0)
  | Sqrt | Square | Reciprocal => (2, 0)
  | OnePlus _ => (4, 4)                            (* or (t + a) / (t + b), which is 1 + (a - b) / (t + b) *)
  | Exp | Log | Power _ => (8, 0)
  | Sigmoid => (8, 8)
  | Tanh | Softplus => (12, 12)
  | AddNumber c => (8, 8 * Rabs (nval c))
  | MulNumber _ | DivRootNumber _ => (8, 0)
  end.
Definition executes (f : prim) (x y : R) : Prop :=
  Rabs (y - apply f x) <= fst (units f) * u * Rabs (apply f x) + snd (units f) * u + tiny.
Fixpoint computes (c : chain) (x y : R) : Prop :=
  match c with [] => y = x | f :: r => exists v, executes f x v /\ computes r v y end.

(** ** Measurements *)

(** how a graph writes squared distances: as differences that are squared, or as |x|^2 - 2 <p, x> + |p|^2 *)
Inductive writing := Plain | Expanded.
Definition products (H : head) (x : nat -> R) (j : nat) (s : nat -> R) (v : R) : Prop :=
  (forall d, (d < channels H)%nat -> rounds_to 1 (proto H j d * x d) (s d)) /\ sums_to (channels H) s v.
Definition squares_of (H : head) (x : nat -> R) (q : nat -> R) (n : R) : Prop :=
  (forall d, (d < channels H)%nat -> rounds_to 2 (x d * x d) (q d)) /\ sums_to (channels H) q n.
Definition differences (k : R) (H : head) (x : nat -> R) (j : nat) (scale : nat -> R) (y s : nat -> R) (m : R) : Prop :=
  (forall d, (d < channels H)%nat ->
     rounds_to 1 (x d - proto H j d) (y d) /\ rounds_to k (scale d * (y d * y d)) (s d))
  /\ sums_to (channels H) s m.
(** of the location x to prototype j *)
Definition measured {e : shares} (w : writing) (H : head) (x : nat -> R) (j : nat) (m : R) : Prop :=
  let D := channels H in
  match metric H with
  | Euclidean =>
      match w with
      | Plain => exists y s, differences 2 H x j (fun _ => 1) y s m
      | Expanded => exists q n s v stored y,
          squares_of H x q n /\ products H x j s v
          /\ (let own := square_length D (proto H j) in
              (* the stored |p|^2 is rounded; similarities add the difference *)
              Rabs (stored - own) <= own / 1000 /\ sums [n; - (2 * v); stored] y /\ m = y - (stored - own))
      end
  | Diagonal _ => exists y s, differences 6 H x j (scale H j) y s m
  | Linear => exists s v, products H x j s v /\ m = - v
  | Angular floor added => exists q n t r,
      squares_of H x q n /\ rounds_to 1 (n + val added) t /\ rounds_to 2 (sqrt t) r
      /\ let long := Rmax r (val floor) in
         (exists s v, products H x j s v /\ rounds_to 2 (- v / long) m)
         \/ (exists y s v, (forall d, (d < D)%nat -> rounds_to 2 (x d / long) (y d)) /\ products H y j s v /\ m = - v)
  | Lengths _ => True                              (* not described *)
  end.

(** ** Activations *)

Definition pools_to (p : pooling) (xs : list R) (t : R) : Prop :=
  match p with
  | Nearest => t = least xs
  | Mean => exists s, sums xs s /\ rounds_to 2 (s / INR (length xs)) t
  | Sum => sums xs t
  | Largest k => exists s, sums (firstn k (descending xs)) s /\ rounds_to 2 (s / INR k) t
  | Focal => exists s m, sums xs s /\ rounds_to 2 (s / INR (length xs)) m /\ rounds_to 1 (most xs - m) t
  | LessMean f => exists s m p r,
      sums xs s /\ rounds_to 2 (s / INR (length xs)) m /\ computes f (least xs) p /\ computes f m r /\ rounds_to 1 (p - r) t
  end.
(** The least measurement may be taken after any part [c1] of the similarity, as the least or the
    largest of what [c1] returns: whichever, without rounding, is what it returns of the least. *)
Definition activates {e : shares} (H : head) (z : latent) (j : nat) (ms : list R) (a : R) : Prop :=
  match nth j (pools H) Nearest with
  | Nearest => exists c1 c2 xs t,
      nth j (outer H) [] = c1 ++ c2 /\ Forall2 (computes c1) ms xs
      /\ (let exact := map (fun l => run c1 (measurement H z l j)) (places H j) in
          run c1 (value H z j) = least exact /\ t = least xs \/ run c1 (value H z j) = most exact /\ t = most xs)
      /\ computes c2 t a
  | p => exists xs t, Forall2 (computes (nth j (inner H) [])) ms xs /\ pools_to p xs t /\ computes (nth j (outer H) []) t a
  end.

(** ** Scores *)

(** what scores weigh; trees are not described *)
Definition weighs (H : head) (a : nat -> R) : option (list R) :=
  match feature H with
  | Each => Some (map a (seq 0 (nproto H)))
  | Groups g => Some (map (fun x => most (map a x)) g)
  | _ => None
  end.
Definition scores (H : head) (a : nat -> R) (k : nat) (o : R) : Prop :=
  match weighs H a with
  | None => True
  | Some fs => exists s,
      (forall i, (i < length fs)%nat -> rounds_to 1 (at_ (nth k (weights H) []) i / IZR (Zpos (wden H)) * nth i fs 0) (s i))
      /\ sums (at_ (biases H) k / IZR (Zpos (wden H)) :: map s (seq 0 (length fs))) o
  end.

(** [out] are scores that some execution of the head returns for the latent [z] *)
Definition execution {e : shares} (w : writing) (H : head) (z : latent) (out : nat -> R) : Prop :=
  exists (m : nat -> nat -> R) (a : nat -> R),
  (forall l j, (l < nloc H)%nat -> (j < nproto H)%nat -> measures H l j = true -> measured w H (z l) j (m l j))
  /\ (forall j, (j < nproto H)%nat -> activates H z j (map (fun l => m l j) (places H j)) (a j))
  /\ (forall k, (k < nclass H)%nat -> scores H a k (out k)).

Definition returned (H : head) (out : nat -> R) (c : claim) : Prop :=
  match c with
  | Class c => (c < nclass H)%nat /\ forall k, (k < nclass H)%nat -> k <> c -> out k < out c
  | Labels ls => forall k on, In (k, on) ls -> (k < nclass H)%nat /\ if on then 0 < out k else out k < 0
  end.

(** The prediction follows from the facts, over the whole domain, however the head is executed.
    [short]: of latents whose square is at least this at every location (0: of all). *)
Definition sufficient_float (w : writing) (short : ratio) (S : statement) : Prop :=
  forall (e : shares) z, inside S z -> meets S z (facts S) ->
  (forall l, (l < nloc (network S))%nat -> val short <= square_length (channels (network S)) (z l)) ->
  forall out, execution w (network S) z out -> returned (network S) out (claimed S).
