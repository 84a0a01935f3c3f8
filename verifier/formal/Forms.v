(** Quadratic forms in the channels of one location, and their least values: the Lagrangian rule. *)
From Coq Require Import Reals ZArith List Lra Lia Bool Psatz.
From Protoproof Require Import Spec Base.
Import ListNotations.
Local Open Scope Z_scope.

(** lead |Y|^2 + <slope, Y> + const *)
Record form := Form { lead : Z; slope : list Z; const : Z }.

Fixpoint vadd (p r : list Z) : list Z :=
  match p, r with [], _ => r | _, [] => p | a :: p', b :: r' => (a + b) :: vadd p' r' end.
Definition vscale (t : Z) (p : list Z) := map (Z.mul t) p.
Fixpoint norm2 (p : list Z) : Z := match p with [] => 0 | a :: p' => a * a + norm2 p' end.
Fixpoint combine_ (ts : list (Z * form)) : form :=
  match ts with
  | [] => Form 0 [] 0
  | (t, f) :: r => let g := combine_ r in
      Form (t * lead f + lead g) (vadd (vscale t (slope f)) (slope g)) (t * const f + const g)
  end.

(** an end of a box; [None] above is infinite *)
Definition ends := list (Z * option Z).

Section Least.
Variable h g : Z.        (* Y = h y, where y is within ends over g; both positive *)

(** least value of g^2 (A Y^2 + b Y) over one channel *)
Definition at_end (A b X : Z) : Z := X * h * (A * X * h + b * g).
Definition vertex (A b : Z) : Z := fl (- (b * b * (g * g))) (4 * A).
Definition channel (A b lo : Z) (hi : option Z) : option Z :=
  if 0 <? A then
    if - (b * g) <=? 2 * A * h * lo then Some (at_end A b lo)
    else match hi with
         | Some u => if 2 * A * h * u <=? - (b * g) then Some (at_end A b u) else Some (vertex A b)
         | None => Some (vertex A b)
         end
  else match hi with
       | Some u => Some (Z.min (at_end A b lo) (at_end A b u))
       | None => if (A =? 0) && (0 <=? b) then Some (at_end A b lo) else None
       end.
Fixpoint channels_ (n : nat) (A : Z) (v : list Z) (box : ends) : option Z :=
  match n with
  | O => Some 0
  | S n' =>
      match box with
      | [] => None
      | (lo, hi) :: e =>
          match channel A (hd 0 v) lo hi, channels_ n' A (tl v) e with
          | Some a, Some b => Some (a + b) | _, _ => None end
      end
  end.
Definition all_zero (v : list Z) : bool := forallb (Z.eqb 0) v.
(** numerator and positive denominator of a lower bound *)
Definition least_form (D : nat) (box : option ends) (f : form) : option (Z * Z) :=
  match box with
  | None =>
      if 0 <? lead f then Some (4 * lead f * const f - norm2 (slope f), 4 * lead f)
      else if (lead f =? 0) && all_zero (slope f) then Some (const f, 1) else None
  | Some e =>
      match channels_ D (lead f) (slope f) e with
      | Some s => Some (s + const f * (g * g), g * g) | None => None end
  end.
End Least.

Local Open Scope R_scope.
Definition form_value (D : nat) (f : form) (Y : nat -> R) : R :=
  IZR (lead f) * square_length D Y + sumn D (fun d => at_ (slope f) d * Y d) + IZR (const f).

Lemma at_vadd p : forall r d, at_ (vadd p r) d = at_ p d + at_ r d.
Proof.
  unfold at_. induction p as [|a p IH]; intros r d; simpl.
  - destruct d; simpl; lra.
  - destruct r as [|b r]; simpl.
    + destruct d; simpl; lra.
    + destruct d; simpl; [apply plus_IZR|apply IH].
Qed.
Lemma at_vscale t p : forall d, at_ (vscale t p) d = IZR t * at_ p d.
Proof.
  unfold at_, vscale. induction p as [|a p IH]; intros d; simpl.
  - destruct d; simpl; lra.
  - destruct d; simpl; [apply mult_IZR|apply IH].
Qed.
Lemma norm2_nonneg p : (0 <= norm2 p)%Z.
Proof. induction p as [|a p IH]; cbn [norm2]; [lia|]. pose proof (Z.square_nonneg a). lia. Qed.
Lemma norm2_ge p : forall D, sumn D (fun d => at_ p d * at_ p d) <= IZR (norm2 p).
Proof.
  induction p as [|a p IH]; intros D.
  - rewrite (sumn_ext D _ (fun _ => 0)); [rewrite sumn_zero; simpl; lra|]. intros i _. unfold at_. destruct i; simpl; lra.
  - destruct D; [apply IZR_le; apply (norm2_nonneg (a :: p))|].
    simpl. rewrite plus_IZR, mult_IZR. specialize (IH D). unfold at_ in *. simpl. lra.
Qed.
Lemma norm2_eq p : forall D, (length p <= D)%nat -> IZR (norm2 p) = sumn D (fun d => at_ p d * at_ p d).
Proof.
  induction p as [|a p IH]; intros D h; simpl in *.
  - rewrite (sumn_ext _ _ (fun _ => 0)). now rewrite sumn_zero. intros i _. unfold at_. destruct i; simpl; lra.
  - destruct D; [lia|]. simpl. rewrite plus_IZR, mult_IZR, (IH D) by lia. reflexivity.
Qed.

Fixpoint form_sum (D : nat) (ts : list (Z * form)) (Y : nat -> R) : R :=
  match ts with [] => 0 | (t, f) :: r => IZR t * form_value D f Y + form_sum D r Y end.
Lemma combine_ok D ts Y : form_value D (combine_ ts) Y = form_sum D ts Y.
Proof.
  induction ts as [|[t f] r IH]; cbn [combine_ form_sum].
  - unfold form_value; cbn [lead slope const]. rewrite (sumn_ext D _ (fun _ => 0)), sumn_zero; [lra|].
    intros i _. unfold at_. destruct i; simpl; lra.
  - rewrite <- IH. unfold form_value; cbn [lead slope const]. rewrite !plus_IZR, !mult_IZR.
    rewrite (sumn_ext D _ (fun d => IZR t * (at_ (slope f) d * Y d) + at_ (slope (combine_ r)) d * Y d)).
    + rewrite sumn_plus, sumn_scal. ring.
    + intros d _. rewrite at_vadd, at_vscale. ring.
Qed.

Lemma all_zero_ok v : all_zero v = true -> forall d, at_ v d = 0.
Proof.
  unfold all_zero, at_. induction v as [|a v IH]; intros h d; [destruct d; reflexivity|]. cbn [forallb] in h. bools.
  destruct d; cbn [nth]; auto. now rewrite <- H.
Qed.
Lemma least_free D f Y : (0 < lead f)%Z ->
  IZR (4 * lead f * const f - norm2 (slope f)) / IZR (4 * lead f) <= form_value D f Y.
Proof.
  intros hA. apply IZR_lt in hA as hA'. set (A := IZR (lead f)) in *. unfold form_value, square_length. fold A.
  rewrite minus_IZR, !mult_IZR. fold A. change (IZR 4) with 4.
  apply Rmult_le_reg_r with (4 * A); [lra|].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
  pose proof (norm2_ge (slope f) D) as n.
  assert (P : 0 <= sumn D (fun d => 4 * A * A * (Y d * Y d) + (4 * A * (at_ (slope f) d * Y d) + at_ (slope f) d * at_ (slope f) d))).
  { apply sumn_nonneg. intros d _.
    replace (4 * A * A * (Y d * Y d) + (4 * A * (at_ (slope f) d * Y d) + at_ (slope f) d * at_ (slope f) d))
      with ((2 * A * Y d + at_ (slope f) d) * (2 * A * Y d + at_ (slope f) d)) by ring. apply Rle_0_sqr. }
  rewrite !sumn_plus, !sumn_scal in P. nra.
Qed.

Section Box.
Variable h g : Z.
Hypothesis hp : (0 < h)%Z.
Hypothesis gp : (0 < g)%Z.
Let hr := IZR h. Let gr := IZR g.
Lemma hr_pos : 0 < hr. Proof. now apply IZR_lt. Qed.
Lemma gr_pos : 0 < gr. Proof. now apply IZR_lt. Qed.
Lemma at_end_R A b X : IZR (at_end h g A b X) = IZR X * hr * (IZR A * IZR X * hr + IZR b * gr).
Proof. unfold at_end. now rewrite !mult_IZR, plus_IZR, !mult_IZR. Qed.
(** X = g y for a channel y of the box; the form is g^2 (A Y^2 + b Y) with Y = h X / g *)
Lemma channel_ok A b lo hi t X : channel h g A b lo hi = Some t -> IZR lo <= X ->
  match hi with Some u => X <= IZR u | None => True end ->
  IZR t <= X * hr * (IZR A * X * hr + IZR b * gr).
Proof.
  intros e hlo hhi. pose proof hr_pos. pose proof gr_pos.
  set (a := IZR A). set (w := IZR b * gr).
  assert (DIFF : forall Y, X * hr * (a * X * hr + w) - Y * hr * (a * Y * hr + w)
      = hr * ((X - Y) * (a * hr * (X + Y) + w))) by (intros; ring).
  assert (VERT : (0 < A)%Z -> IZR (vertex g A b) <= X * hr * (a * X * hr + w)).
  { intros ha. unfold vertex. pose proof (fl_le (- (b * b * (g * g))) (4 * A) ltac:(lia)) as d.
    rewrite opp_IZR, !mult_IZR in d. fold gr a in d. change (IZR 4) with 4 in d.
    apply IZR_lt in ha. fold a in ha. set (v := IZR (fl _ _)) in *.
    pose proof (Rle_0_sqr (2 * a * (X * hr) + w)) as sq. unfold Rsqr in sq.
    replace (IZR b * IZR b * (gr * gr)) with (w * w) in d by (unfold w; ring).
    apply Rmult_le_reg_r with (4 * a); [lra|]. nra. }
  unfold channel in e. destruct (0 <? A)%Z eqn:eA; bools.
  - pose proof (IZR_lt _ _ eA) as ha. fold a in ha.
    destruct (- (b * g) <=? 2 * A * h * lo)%Z eqn:c1.
    + bools. apply IZR_le in c1. rewrite opp_IZR, !mult_IZR in c1. fold gr hr a w in c1. change (IZR 2) with 2 in c1.
      inv_some; subst t. rewrite at_end_R. fold a w. set (l0 := IZR lo) in *.
      assert (0 <= hr * ((X - l0) * (a * hr * (X + l0) + w))); [|specialize (DIFF l0); lra].
      apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; [lra|]. assert (0 <= a * hr) by nra. nra.
    + destruct hi as [u|]; [|inv_some; subst t; auto].
      destruct (2 * A * h * u <=? - (b * g))%Z eqn:c2; [|inv_some; subst t; auto].
      bools. apply IZR_le in c2. rewrite opp_IZR, !mult_IZR in c2. fold gr hr a w in c2. change (IZR 2) with 2 in c2.
      inv_some; subst t. rewrite at_end_R. fold a w. set (u0 := IZR u) in *.
      assert (0 <= hr * ((X - u0) * (a * hr * (X + u0) + w))); [|specialize (DIFF u0); lra].
      apply Rmult_le_pos; [lra|].
      replace ((X - u0) * (a * hr * (X + u0) + w)) with ((u0 - X) * (- w - a * hr * (X + u0))) by ring.
      apply Rmult_le_pos; [lra|]. assert (0 <= a * hr) by nra. nra.
  - apply IZR_le in eA. fold a in eA. destruct hi as [u|].
    + inv_some; subst t. set (u0 := IZR u) in *. set (l0 := IZR lo) in *.
      destruct (Rle_lt_dec 0 (a * hr * (X + l0) + w)) as [c|c].
      * apply Rle_trans with (IZR (at_end h g A b lo)); [apply IZR_le; lia|]. rewrite at_end_R. fold l0 a w.
        assert (0 <= hr * ((X - l0) * (a * hr * (X + l0) + w))); [|specialize (DIFF l0); lra].
        apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; lra.
      * apply Rle_trans with (IZR (at_end h g A b u)); [apply IZR_le; lia|]. rewrite at_end_R. fold u0 a w.
        assert (a * hr * (X + u0) <= a * hr * (X + l0)). { assert (a * hr <= 0) by nra. nra. }
        assert (0 <= hr * ((X - u0) * (a * hr * (X + u0) + w))); [|specialize (DIFF u0); lra].
        apply Rmult_le_pos; [lra|].
        replace ((X - u0) * (a * hr * (X + u0) + w)) with ((u0 - X) * (- w - a * hr * (X + u0))) by ring.
        apply Rmult_le_pos; lra.
    + destruct (_ && _)%bool eqn:e0; [|discriminate]. bools. inv_some; subst t. rewrite at_end_R. fold a w.
      subst A. unfold a. apply IZR_le in H2. assert (0 <= w) by (unfold w; nra). assert (0 <= hr * w) by nra. nra.
Qed.
Lemma channels_ok A n : forall v box t (y : nat -> R), channels_ h g n A v box = Some t ->
  (forall d lo hi, (d < n)%nat -> nth_error box d = Some (lo, hi) ->
     IZR lo <= gr * y d /\ match hi with Some u => gr * y d <= IZR u | None => True end) ->
  IZR t <= gr * gr * (IZR A * sumn n (fun d => (hr * y d) * (hr * y d)) + sumn n (fun d => at_ v d * (hr * y d))).
Proof.
  induction n; intros v box t y e hf; cbn [channels_ sumn] in *.
  - inv_some; subst. lra.
  - destruct box as [|[lo hi] e']; [discriminate|].
    destruct (channel h g A (hd 0%Z v) lo hi) as [a|] eqn:ec; [|discriminate].
    destruct (channels_ h g n A (tl v) e') as [b|] eqn:eb; [|discriminate]. inv_some; subst t.
    destruct (hf O lo hi ltac:(lia) eq_refl) as [h1 h2]. apply (channel_ok _ _ _ _ _ (gr * y O)) in ec; auto.
    apply (IHn _ _ _ (fun d => y (S d))) in eb.
    2:{ intros d lo' hi' hd' hn. apply (hf (S d) lo' hi'); auto. lia. }
    rewrite plus_IZR.
    replace (at_ v 0) with (IZR (hd 0%Z v)) by (destruct v; reflexivity).
    replace (sumn n (fun i => at_ v (S i) * (hr * y (S i)))) with (sumn n (fun d => at_ (tl v) d * (hr * y (S d)))).
    2:{ apply sumn_ext. intros i _. unfold at_. destruct v; [destruct i|]; reflexivity. }
    nra.
Qed.
End Box.

Theorem least_form_ok h g D box f n d y : (0 < h)%Z -> (0 < g)%Z ->
  least_form h g D box f = Some (n, d) ->
  match box with
  | None => True
  | Some e => forall c lo hi, (c < D)%nat -> nth_error e c = Some (lo, hi) ->
      IZR lo <= IZR g * y c /\ match hi with Some u => IZR g * y c <= IZR u | None => True end
  end ->
  (0 < d)%Z /\ IZR n / IZR d <= form_value D f (fun c => IZR h * y c).
Proof.
  intros hp gp. unfold least_form. destruct box as [e|]; intros eq hb.
  - destruct (channels_ h g D (lead f) (slope f) e) as [s|] eqn:es; [|discriminate]. apply some_inj in eq. apply pair_equal_spec in eq. destruct eq as [<- <-].
    assert (0 < g * g)%Z by nia. split; auto.
    apply (channels_ok h g hp gp _ _ _ _ _ y) in es; auto.
    unfold form_value, square_length. rewrite plus_IZR, !mult_IZR. apply IZR_lt in gp. 
    assert (gg : 0 < IZR g * IZR g) by nra. apply Rmult_le_reg_r with (IZR g * IZR g); auto.
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    eapply Rle_trans; [apply Rplus_le_compat_r; exact es|]. right. ring.
  - destruct (0 <? lead f)%Z eqn:e1; bools.
    + apply some_inj in eq. apply pair_equal_spec in eq. destruct eq as [<- <-]. split; [lia|]. now apply least_free.
    + destruct (_ && _)%bool eqn:e2; [|discriminate]. bools. apply some_inj in eq. apply pair_equal_spec in eq. destruct eq as [<- <-]. split; [lia|].
      unfold form_value. rewrite H. rewrite (sumn_ext D _ (fun _ => 0)), sumn_zero; [right; field|].
      intros i _. rewrite all_zero_ok; auto. lra.
Qed.
