(** What is claimed besides, by certificates with contrasts, size bounds or parts. Nothing here
    computes; to be believed like [Spec.v], by those who read such claims. *)
From Coq Require Import Reals ZArith List.
From Protoproof Require Import Spec.
Import ListNotations.
Local Open Scope R_scope.

(** ** Facts of any explanation *)

(** a number of format float64: 53 bits, the last one not below 2^-1074 (and of any size) *)
Definition float64 (x : R) : Prop :=
  exists m k : Z, (Z.abs m < 2 ^ 53)%Z /\ (0 <= k)%Z /\ x = IZR (m * 2 ^ k) / IZR (2 ^ 1074).

(** what a ceiling bounds from below: pooled values, or activations with their sign changed *)
Inductive level := Values | Activations.
Definition level_of {e : shares} (H : head) (lv : level) (z : latent) (j : nat) : R :=
  match lv with Values => value H z j | Activations => - activation H z j end.

Inductive said :=
| SaidPair (l j : nat) (lo hi : R)               (* of the measurement *)
| SaidPooled (j : nat) (lo hi : R)               (* of the pooled value *)
| SaidCeiling (bound : R) (exempt : list nat).   (* all other levels are at least this *)
Definition true_at {e : shares} (H : head) (lv : level) (z : latent) (f : said) : Prop :=
  match f with
  | SaidPair l j lo hi => lo <= measurement H z l j <= hi
  | SaidPooled j lo hi => lo <= value H z j <= hi
  | SaidCeiling b ex => forall j, (j < nproto H)%nat -> ~ In j ex -> b <= level_of H lv z j
  end.
(** about something that the head has, with float64 numbers *)
Definition written (H : head) (f : said) : Prop :=
  match f with
  | SaidPair l j lo hi =>
      (l < nloc H)%nat /\ (j < nproto H)%nat /\ measures H l j = true /\ float64 lo /\ float64 hi
  | SaidPooled j lo hi => (j < nproto H)%nat /\ float64 lo /\ float64 hi
  | SaidCeiling b ex => float64 b
  end.

(** ** Size *)

Definition is_pair (f : said) : Prop := match f with SaidPair _ _ _ _ => True | _ => False end.
Definition is_pooled (f : said) : Prop := match f with SaidPooled _ _ _ => True | _ => False end.
Definition named (fs : list said) (j : nat) : Prop := exists lo hi, In (SaidPooled j lo hi) fs.

Inductive vocabulary := Pairs | Path | Ceiling | TopK | Mixed.
(** the explanations of a vocabulary; where there is one ceiling, it comes first *)
Definition spoken {e : shares} (S : statement) (lv : level) (V : vocabulary) (E : list said) : Prop :=
  let H := network S in let here := level_of H lv (recorded S) in
  match V with
  | Pairs => forall f, In f E -> is_pair f
  | Path => forall f, In f E -> is_pooled f
  | Mixed => True
  | Ceiling => exists b ex fs, E = SaidCeiling b ex :: fs /\ forall f, In f fs -> is_pooled f
  | TopK => exists b ex fs, E = SaidCeiling b ex :: fs /\ (forall f, In f fs -> is_pooled f)
      /\ fs <> [] /\ (forall j, In j ex <-> named fs j)
      /\ (forall i j, named fs i -> (j < nproto H)%nat -> ~ named fs j -> here i <= here j)
      /\ exists i, named fs i /\ b <= here i
  end.
(** E is an explanation: true of the recorded latent, and the prediction follows from it *)
Definition explains {e : shares} (S : statement) (lv : level) (V : vocabulary) (E : list said) : Prop :=
  spoken S lv V E
  /\ (forall f, In f E -> written (network S) f /\ true_at (network S) lv (recorded S) f)
  /\ (forall z, inside S z -> (forall f, In f E -> true_at (network S) lv z f)
       -> predicted (network S) z (claimed S)).
(** No explanation of the vocabulary has fewer facts. *)
Definition at_least_facts (S : statement) (lv : level) (V : vocabulary) (n : nat) : Prop :=
  forall (e : shares) E, explains S lv V E -> (n <= length E)%nat.

(** ** Contrasts *)

(** is predicted as class k instead; label k is decided the other way *)
Definition decided {e : shares} (S : statement) (z : latent) (k : nat) : Prop :=
  match claimed S with
  | Class c => k <> c /\ predicted (network S) z (Class k)
  | Labels ls => exists on, In (k, on) ls /\ label (network S) z k (negb on)
  end.
(** A latent inside the domain is decided so, and breaks no pair fact that is true of the recorded
    latent but those about n pairs. *)
Definition contrast (S : statement) (k n : nat) : Prop :=
  exists z broken, inside S z /\ (length broken <= n)%nat /\ forall e : shares, decided S z k /\
    forall l j lo hi, let f := SaidPair l j lo hi in
      written (network S) f -> true_at (network S) Values (recorded S) f ->
      ~ In (l, j) broken -> true_at (network S) Values z f.

(** ** Parts *)

(** the same statement over another domain *)
Definition over_part (S : statement) (p : positive * list constraint) : statement :=
  Statement (network S) (fst p) (snd p) (fden S) (facts S) (pden S) (point S) (claimed S).
(** The prediction follows from the facts over every part (not over the whole domain). *)
Definition sufficient_on (S : statement) (parts : list (positive * list constraint)) : Prop :=
  forall p, In p parts -> sufficient (over_part S p).
