(** Sums, least and largest of lists, rounding, and arrays with access in logarithmic time. *)
From Coq Require Import Reals ZArith List Lra Lia Bool.
From Protoproof Require Import Spec.
Import ListNotations.
Local Open Scope R_scope.

(** ** Tactics for checkers that are written as nested matches *)
Lemma some_inj {A} (x y : A) : Some x = Some y -> x = y. Proof. congruence. Qed.
Ltac inv_some := repeat match goal with
  | h : Some _ = Some _ |- _ => apply some_inj in h
  | h : None = Some _ |- _ => discriminate h
  | h : false = true |- _ => discriminate h
  | h : true = false |- _ => discriminate h
  | h : (_, _) = (_, _) |- _ => injection h as; subst
  end.
Ltac bools := repeat match goal with
  | h : (_ && _)%bool = true |- _ => apply andb_prop in h; destruct h
  | h : Nat.eqb _ _ = true |- _ => apply Nat.eqb_eq in h; subst
  | h : Nat.eqb _ _ = false |- _ => apply Nat.eqb_neq in h
  | h : Nat.ltb _ _ = true |- _ => apply Nat.ltb_lt in h
  | h : Nat.leb _ _ = true |- _ => apply Nat.leb_le in h
  | h : Z.ltb _ _ = true |- _ => apply Z.ltb_lt in h
  | h : Z.leb _ _ = true |- _ => apply Z.leb_le in h
  | h : Z.eqb _ _ = true |- _ => apply Z.eqb_eq in h
  | h : Z.ltb _ _ = false |- _ => apply Z.ltb_ge in h
  | h : Z.leb _ _ = false |- _ => apply Z.leb_gt in h
  | h : Z.eqb _ _ = false |- _ => apply Z.eqb_neq in h
  | h : negb _ = true |- _ => apply negb_true_iff in h
  end.

(** ** Sums *)
Lemma sumn_ext n : forall f g, (forall i, (i < n)%nat -> f i = g i) -> sumn n f = sumn n g.
Proof.
  induction n; intros f g h; simpl; auto.
  rewrite (h O) by lia. f_equal. apply IHn. intros; apply h; lia.
Qed.
Lemma sumn_plus n : forall f g, sumn n (fun i => f i + g i) = sumn n f + sumn n g.
Proof. induction n; intros; simpl; [lra|]. rewrite IHn. lra. Qed.
Lemma sumn_scal n : forall c f, sumn n (fun i => c * f i) = c * sumn n f.
Proof. induction n; intros; simpl; [lra|]. rewrite IHn. lra. Qed.
Lemma sumn_opp n : forall f, sumn n (fun i => - f i) = - sumn n f.
Proof. induction n; intros; simpl; [lra|]. rewrite IHn. lra. Qed.
Lemma sumn_zero n : sumn n (fun _ => 0) = 0.
Proof. induction n; simpl; lra. Qed.
Lemma sumn_le n : forall f g, (forall i, (i < n)%nat -> f i <= g i) -> sumn n f <= sumn n g.
Proof.
  induction n; intros f g h; simpl; [lra|].
  assert (f O <= g O) by (apply h; lia).
  assert (sumn n (fun i => f (S i)) <= sumn n (fun i => g (S i))) by (apply IHn; intros; apply h; lia). lra.
Qed.
Lemma sumn_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= sumn n f.
Proof. intros h. rewrite <- (sumn_zero n). apply sumn_le. auto. Qed.
Lemma sumn_last n : forall f, sumn (S n) f = sumn n f + f n.
Proof.
  induction n; intros f; [simpl; lra|].
  change (sumn (S (S n)) f) with (f O + sumn (S n) (fun i => f (S i))). rewrite IHn. simpl. lra.
Qed.
Lemma sumn_swap n m : forall f, sumn n (fun i => sumn m (f i)) = sumn m (fun j => sumn n (fun i => f i j)).
Proof.
  induction n; intros f; simpl; [now rewrite sumn_zero|]. rewrite IHn, sumn_plus. reflexivity.
Qed.

(** ** Least and largest *)
Lemma least_le xs : forall x, In x xs -> least xs <= x.
Proof.
  induction xs as [|a r IH]; [intros x []|]. intros x [->|h]; simpl in *.
  - destruct r; [lra|apply Rmin_l].
  - destruct r; [destruct h|]. eapply Rle_trans; [apply Rmin_r|]. now apply IH.
Qed.
Lemma least_in xs : xs <> [] -> In (least xs) xs.
Proof.
  induction xs as [|a r IH]; intros h; [congruence|]. simpl. destruct r as [|b r]; [now left|].
  unfold Rmin; destruct (Rle_dec a (least (b :: r))); [now left|right; apply IH; congruence].
Qed.
Lemma most_ge xs : forall x, In x xs -> x <= most xs.
Proof.
  induction xs as [|a r IH]; [intros x []|]. intros x [->|h]; simpl in *.
  - destruct r; [lra|apply Rmax_l].
  - destruct r; [destruct h|]. eapply Rle_trans; [|apply Rmax_r]. now apply IH.
Qed.
Lemma most_in xs : xs <> [] -> In (most xs) xs.
Proof.
  induction xs as [|a r IH]; intros h; [congruence|]. simpl. destruct r as [|b r]; [now left|].
  unfold Rmax; destruct (Rle_dec a (most (b :: r))); [right; apply IH; congruence|now left].
Qed.

(** ** Rounding *)
Definition fl (n d : Z) : Z := (n / d)%Z.
Definition ce (n d : Z) : Z := (- ((- n) / d))%Z.
Lemma posR p : 0 < IZR (Zpos p). Proof. apply IZR_lt. lia. Qed.
Lemma fl_le n d : (0 < d)%Z -> IZR (fl n d) * IZR d <= IZR n.
Proof. intros h. unfold fl. rewrite <- mult_IZR. apply IZR_le. rewrite Z.mul_comm. now apply Z.mul_div_le. Qed.
Lemma ce_ge n d : (0 < d)%Z -> IZR n <= IZR (ce n d) * IZR d.
Proof.
  intros h. unfold ce. rewrite <- mult_IZR. apply IZR_le.
  pose proof (Z.mul_div_le (- n) d h). nia.
Qed.
Lemma fl_div n d : (0 < d)%Z -> IZR (fl n d) <= IZR n / IZR d.
Proof.
  intros h. pose proof (IZR_lt _ _ h). apply Rmult_le_reg_r with (IZR d); auto.
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra. now apply fl_le.
Qed.
Lemma ce_div n d : (0 < d)%Z -> IZR n / IZR d <= IZR (ce n d).
Proof.
  intros h. pose proof (IZR_lt _ _ h). apply Rmult_le_reg_r with (IZR d); auto.
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra. now apply ce_ge.
Qed.

(** ** Arrays: balanced trees; index 0 is at the root, odd ones on the left *)
Inductive array (A : Type) := Tip | Fork (x : A) (odd even : array A).
Arguments Tip {A}. Arguments Fork {A} x odd even.
Section Arrays.
Context {A : Type}.
Fixpoint get (t : array A) (n : nat) : option A :=
  match t with
  | Tip => None
  | Fork x l r =>
      if Nat.eqb n 0 then Some x
      else if Nat.eqb (Nat.modulo n 2) 1 then get l (Nat.div n 2) else get r (Nat.div n 2 - 1)
  end.
Fixpoint put (x : A) (t : array A) : array A :=
  match t with Tip => Fork x Tip Tip | Fork y l r => Fork x (put y r) l end.
Definition of_list (xs : list A) : array A := fold_right put Tip xs.

Lemma get_put t : forall x n, get (put x t) n = match n with O => Some x | S m => get t m end.
Proof.
  induction t as [|y l IHl r IHr]; intros x n.
  - destruct n as [|m]; [reflexivity|]. cbn [put get]. change (Nat.eqb (S m) 0) with false. cbn iota.
    match goal with |- (if ?b then _ else _) = _ => destruct b; reflexivity end.
  - destruct n as [|m]; [reflexivity|]. cbn [put get]. change (Nat.eqb (S m) 0) with false. cbn iota.
    rewrite IHr.
    pose proof (Nat.div_mod_eq (S m) 2) as e. pose proof (Nat.mod_upper_bound (S m) 2 ltac:(lia)).
    pose proof (Nat.div_mod_eq m 2) as e'. pose proof (Nat.mod_upper_bound m 2 ltac:(lia)).
    destruct (Nat.eqb (Nat.modulo (S m) 2) 1) eqn:o; bools.
    + assert (h2 : Nat.modulo m 2 = 0%nat) by lia. rewrite h2. cbn [Nat.eqb].
      assert (h3 : Nat.div (S m) 2 = Nat.div m 2) by lia. rewrite h3.
      destruct m as [|m']; [reflexivity|]. cbn [Nat.eqb]. 
      assert (Nat.div (S m') 2 > 0)%nat by lia. destruct (Nat.div (S m') 2); [lia|]. f_equal. lia.
    + assert (h2 : Nat.modulo m 2 = 1%nat) by lia. rewrite h2. cbn [Nat.eqb].
      destruct m as [|m']; [simpl in h2; lia|]. cbn [Nat.eqb]. f_equal. lia.
Qed.
Lemma get_of_list xs : forall n, get (of_list xs) n = nth_error xs n.
Proof.
  induction xs as [|x r IH]; intros n; cbn [of_list fold_right].
  - destruct n; reflexivity.
  - change (fold_right put Tip r) with (of_list r). rewrite get_put. destruct n; cbn; auto.
Qed.
End Arrays.
