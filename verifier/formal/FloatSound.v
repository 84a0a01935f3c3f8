(** What [accept_float] accepts holds however the head is executed in float32. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool Permutation.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound Sufficient Point Theorems Float Rounding FloatCheck Spread.
Import ListNotations.
Local Open Scope R_scope.

(** ** One measurement *)
Lemma square_near x p y s : difference x p y -> rounds_to 2 (y * y) s ->
  Rabs (s - (x - p) * (x - p)) <= (E 5 - 1) * Rabs ((x - p) * (x - p)) + 4 * tiny.
Proof.
  unfold difference, rounds_to. set (d := x - p). intros h1 h2. rewrite !Rabs_mult in *.
  pose proof u_pos as up. pose proof u_small. pose proof tiny_pos as tp. pose proof tiny_small as ts. pose proof (Rabs_pos d) as dp. pose proof (Rabs_pos y) as yp.
  set (D := Rabs d) in *. set (Y := Rabs y) in *. rewrite Rmult_1_l in h1.
  assert (hY : Y <= (1 + u) * D + tiny). { unfold Y. replace y with (d + (y - d)) by ring. eapply Rle_trans; [apply Rabs_triang|]. fold D. lra. }
  assert (DD : D <= 1 + D * D) by nra.
  assert (A : Rabs (y * y - d * d) <= (2 * u + u * u + 3 * tiny) * (D * D) + 2 * tiny + tiny * (1 / 2)).
  { replace (y * y - d * d) with ((y - d) * (y + d)) by ring. rewrite Rabs_mult. pose proof (Rabs_triang y d) as t. fold D Y in t.
    assert (Rabs (y - d) * Rabs (y + d) <= (u * D + tiny) * ((2 + u) * D + tiny)).
    { apply Rmult_le_compat; try apply Rabs_pos; lra. }
    assert (tiny * D <= tiny * (1 + D * D)) by (apply Rmult_le_compat_l; lra).
    assert (tiny * tiny <= tiny * (1 / 4)) by nra. assert (u * (tiny * D) <= u * (tiny * (1 + D * D))) by (apply Rmult_le_compat_l; lra).
    assert (u * tiny <= tiny * (1 / 1000)) by nra. assert (0 <= D * D) by nra. assert (0 <= tiny * (D * D)) by nra.
    assert (u * (tiny * (D * D)) <= / 1000 * (tiny * (D * D))) by (apply Rmult_le_compat_r; auto).
    replace ((u * D + tiny) * ((2 + u) * D + tiny)) with ((2 * u + u * u) * (D * D) + 2 * (tiny * D) + 2 * (u * (tiny * D)) + tiny * tiny) in * by ring. lra. }
  replace (s - d * d) with ((s - y * y) + (y * y - d * d)) by ring. eapply Rle_trans; [apply Rabs_triang|].
  assert (YY : Y * Y <= D * D + ((2 * u + u * u + 3 * tiny) * (D * D) + 2 * tiny + tiny * (1 / 2))).
  { pose proof (Rabs_triang (d * d) (y * y - d * d)) as t. replace (d * d + (y * y - d * d)) with (y * y) in t by ring.
    rewrite (Rabs_mult y y), (Rabs_mult d d) in t. fold D Y in t. lra. }
  assert (e6 : 1 + 5 * u <= E 5). { pose proof (E_units 5) as g. replace (INR 5) with 5 in g by (cbn; lra). lra. }
  assert (2 * u * (Y * Y) <= 2 * u * (D * D + ((2 * u + u * u + 3 * tiny) * (D * D) + 2 * tiny + tiny * (1 / 2)))) by (apply Rmult_le_compat_l; lra).
  assert (0 <= D * D) by nra.
  assert (P1 : 2 * u + (2 * u + u * u + 3 * tiny) + 2 * u * (2 * u + u * u + 3 * tiny) <= 5 * u) by nra.
  assert (P2 : (2 * u + (2 * u + u * u + 3 * tiny) + 2 * u * (2 * u + u * u + 3 * tiny)) * (D * D) <= 5 * u * (D * D)) by (apply Rmult_le_compat_r; auto).
  assert (P3 : 5 * u * (D * D) <= (E 5 - 1) * (D * D)) by (apply Rmult_le_compat_r; lra).
  assert (P4 : 2 * u * (2 * tiny + tiny * (1 / 2)) <= tiny * (1 / 100)) by nra. lra.
Qed.

Section Sound.
Variable isqrt : Z -> Z.
Variable K : positive.
Variable rounds : nat.
Variable H : head.
Variable z : latent.
Notation inK := (inI K).
Notation close := (close K).
Notation q := (q K).
Hypothesis fit : lengths_fit H = true.
Hypothesis full : has_places (compile H) (nproto H) = true.
Hypothesis D1 : (1 <= channels H)%nat.
Hypothesis D2 : (Z.of_nat (channels H) < 4194304)%Z.

Lemma inr n : INR n = IZR (Z.of_nat n). Proof. apply INR_IZR_INZ. Qed.
Lemma half n : (Z.of_nat n < 8388608)%Z -> INR n * u <= 1 / 2.
Proof.
  intros h. rewrite inr, u_T24. assert (IZR (Z.of_nat n) <= 8388608) by (apply IZR_le; lia). unfold T24.
  apply Rmult_le_reg_r with 16777216; [lra|]. rewrite Rmult_assoc, Rinv_l by lra. lra.
Qed.
Lemma E_two n : (Z.of_nat n < 8388608)%Z -> E n <= 2.
Proof. intros h. pose proof (half n h). pose proof (E_gamma n). pose proof (E_ge1 n). nra. Qed.
Lemma gamma_ok n : (Z.of_nat n < 8388608)%Z -> (0 <= gamma K n)%Z /\ E n - 1 <= q (gamma K n).
Proof.
  intros h. unfold gamma. split; [apply ce_nonneg; [nia|unfold T24; lia]|].
  pose proof (q_ce K (Zpos K * Z.of_nat n) (T24 - Z.of_nat n) ltac:(unfold T24; lia)) as g.
  rewrite (Z.mul_comm (Zpos K)). rewrite Z.mul_comm, q_scal, q_k, minus_IZR, <- inr in g. pose proof (half n h). pose proof (E_gamma n).
  assert (hT : 0 < IZR T24) by (apply IZR_lt; reflexivity). rewrite u_T24 in *.
  assert (INR n < IZR T24) by (rewrite inr; apply IZR_lt; unfold T24; lia).
  eapply Rle_trans; [|exact g]. apply Rmult_le_reg_r with (1 - INR n * / IZR T24); [lra|].
  replace (INR n * 1 / (IZR T24 - INR n) * (1 - INR n * / IZR T24)) with (INR n * / IZR T24) by (field; lra). nra.
Qed.

Lemma extent_ok j s l : extent K H j = Some s -> inK (fst s) (measurement H z l j) /\
  forall m, measured H (z l) j m -> close (snd s) (measurement H z l j) m.
Proof.
  unfold extent, measured, measurement. destruct (metric H); try discriminate. intros e. inv_some; subst s. cbn [fst snd].
  set (x := fun d => (z l d - proto H j d) * (z l d - proto H j d)).
  assert (X0 : forall d, 0 <= x d) by (intros; apply Rle_0_sqr).
  assert (SX : square_length (channels H) (fun d => z l d - proto H j d) = sumn (channels H) x) by reflexivity.
  rewrite SX. pose proof (sumn_nonneg (channels H) x (fun i _ => X0 i)) as S0. split.
  - split; cbn; auto. pose proof (posR K). nra.
  - intros m [y [t [h1 h2]]]. destruct (gamma_ok (channels H + 5) ltac:(lia)) as [g0 g1].
    destruct (below_normal_ok K (10 * Z.of_nat (channels H)) ltac:(lia)) as [b0 b1].
    pose proof (sums_near (channels H) x t m 5 4 D1 ltac:(lra) h2) as g.
    rewrite (sumn_ext _ (fun i => Rabs (x i)) x) in g by (intros; now apply Rabs_pos_eq).
    apply close_intro with (E (channels H + 5) - 1) (INR (channels H) * E (channels H) * (4 + 1) * tiny); auto.
    + unfold near. rewrite (Rabs_pos_eq (sumn _ x)) by auto. apply g. intros i hi. destruct (h1 i hi) as [a b]. now apply square_near with (y i).
    + eapply Rle_trans; [|exact b1]. rewrite mult_IZR, <- inr. pose proof (E_two (channels H) ltac:(lia)). pose proof tiny_pos. pose proof (pos_INR (channels H)).
      replace (INR (channels H) * E (channels H) * (4 + 1) * tiny) with (E (channels H) * (INR (channels H) * 5 * tiny)) by ring.
      assert (0 <= INR (channels H) * 5 * tiny) by (apply Rmult_le_pos; lra). nra.
Qed.

(** ** One activation *)
Lemma greater_above a b x : above K a x -> above K b x -> above K (greater a b) x.
Proof.
  destruct a as [a|], b as [b|]; cbn; auto. intros h1 h2. destruct (Z.max_spec a b) as [[_ ->]|[_ ->]]; auto.
Qed.
Lemma activation_error_ok j ms s t x a : (j < nproto H)%nat -> extent K H j = Some s -> inK t (value H z j) ->
  Forall2 (fun l m => measured H (z l) j m) (places H j) ms ->
  activation_error isqrt K rounds (nth j (pools H) Nearest) (nth j (outer H) []) s t = Some x ->
  activates H z j ms a -> close x (activation H z j) a.
Proof.
  intros hj hs ht hm he ha. unfold activation_error, activates in *. destruct (nth j (pools H) Nearest) eqn:ek; try discriminate.
  destruct (fst (snd s) <=? Zpos K)%Z eqn:er; [|discriminate]. apply Z.leb_le in er.
  destruct ha as [c1 [c2 [xs [v [h1 [h2 [h3 h4]]]]]]]. rewrite h1 in he.
  set (i0 := (greater (fst t) (fst (fst s)), snd (fst s))) in *.
  destruct (trace isqrt K rounds (c1 ++ c2) i0 (snd s)) as [[i2 x2]|] eqn:et; [|discriminate]. cbn in he. inv_some; subst x2.
  destruct (trace_app isqrt K rounds c1 c2 _ _ _ et) as [[i1 x1] [t1 t2]]. cbn [fst snd] in t2.
  pose proof (trace_unit isqrt K rounds c1 _ _ _ er t1) as ru. cbn [fst snd] in ru.
  assert (V : value H z j = least (map (fun l => measurement H z l j) (places H j))) by (unfold value; now rewrite ek).
  assert (IN : forall l, In l (places H j) -> inK i0 (measurement H z l j)).
  { intros l hl. destruct (extent_ok j s l hs) as [[a1 a2] _]. destruct ht as [b1 _]. split; cbn [fst snd i0]; auto.
    apply greater_above; auto. destruct (fst t) as [n|]; cbn in *; auto. pose proof (posR K).
    assert (value H z j <= measurement H z l j). { rewrite V. apply least_le. apply in_map_iff. exists l. auto. } nra. }
  assert (NE : places H j <> []).
  { unfold has_places in full. rewrite forallb_forall in full. specialize (full j ltac:(apply in_seq; lia)).
    assert (ne : places_ (compile H) j <> []) by (destruct (places_ (compile H) j); congruence).
    destruct (places_eq H fit j ne) as [_ e]. now rewrite <- e. }
  assert (ALL : Forall2 (fun l y => inK i1 (run c1 (measurement H z l j)) /\ close x1 (run c1 (measurement H z l j)) y) (places H j) xs).
  { clear h3 NE V. revert IN xs h2. induction hm as [|l m ls ms h hm IH]; intros IN xs h2; inversion h2; subst; constructor.
    - destruct (extent_ok j s l hs) as [_ ex]. eapply trace_ok; eauto. apply IN. now left.
    - apply IH; auto. intros; apply IN; now right. }
  assert (EX : exists l, In l (places H j) /\ measurement H z l j = value H z j).
  { rewrite V. assert (g : map (fun l => measurement H z l j) (places H j) <> []) by (destruct (places H j); cbn; congruence).
    pose proof (least_in _ g) as i. apply in_map_iff in i. destruct i as [l [e i]]. exists l. auto. }
  destruct EX as [l0 [hl0 e0]].
  assert (I1 : inK i1 (run c1 (value H z j))).
  { rewrite <- e0. clear - ALL hl0. induction ALL as [|l y ls ys [h _] A IH]; [destruct hl0|]. destruct hl0 as [->|hl]; auto. }
  assert (X1 : (0 <= fst x1)%Z /\ (0 <= snd x1)%Z).
  { destruct ALL as [|l y ls ys [_ [a1 [a2 _]]] _]; [congruence|auto]. }
  assert (NEAR : Forall2 (near (q (fst x1)) (q (snd x1))) (map (fun l => run c1 (measurement H z l j)) (places H j)) xs).
  { clear - ALL. induction ALL as [|l y ls ys [_ [_ [_ h]]] A IH]; cbn; constructor; auto. }
  pose proof (q_unit_le K (fst x1) ltac:(lia)) as qu. pose proof (q_pos K (snd x1) ltac:(lia)) as qe.
  assert (C1 : close x1 (run c1 (value H z j)) v).
  { split; [lia|]. split; [lia|]. destruct h3 as [[e ->]|[e ->]]; rewrite e; [now apply near_least|now apply near_most]. }
  unfold activation. rewrite h1. replace (run (c1 ++ c2) (value H z j)) with (run c2 (run c1 (value H z j))) by (unfold run; now rewrite fold_left_app).
  eapply trace_ok; eauto.
Qed.

(** ** Scores *)
Definition bounded (b : bound) (x y : R) : Prop :=
  match b with
  | Some (d, t) => (0 <= d)%Z /\ (0 <= t)%Z /\ Rabs (y - x) <= q d /\ Rabs y <= q t
  | None => True
  end.
Lemma bound_of_ok a x e c : inK a e -> close x e c -> bounded (bound_of K a x) e c.
Proof.
  intros hi [h1 [h2 h3]]. unfold bound_of. destruct (size_to a) as [A|] eqn:ea; [|exact I].
  destruct (size_to_ok K a A e ea hi) as [A0 A1]. unfold bounded.
  pose proof (q_mul K (fst x) A) as g1. pose proof (q_mul K (Zpos K + fst x) A) as g2. rewrite q_plus, q_k in g2.
  pose proof (ce_nonneg (fst x * A) (Zpos K) ltac:(nia) ltac:(lia)). pose proof (ce_nonneg ((Zpos K + fst x) * A) (Zpos K) ltac:(nia) ltac:(lia)).
  pose proof (q_pos K (fst x) h1). pose proof (near_abs _ _ _ _ h3). unfold near in h3. pose proof (Rabs_pos e).
  split; [lia|]. split; [lia|]. rewrite !q_plus. split; nra.
Qed.
Lemma weighted_ok part bs : forall w s v, weighted w bs part = Some s ->
  (forall i x, nth_error bs i = Some (Some x) -> (0 <= part x)%Z /\ v i <= q (part x)) ->
  (0 <= s)%Z /\ sumn (length bs) (fun i => Rabs (at_ w i) * v i) <= q s.
Proof.
  induction bs as [|b bs IH]; intros w s v h hv; cbn [weighted length sumn] in *.
  - inv_some; subst. split; [lia|rewrite q_0; lra].
  - destruct (weighted (tl w) bs part) as [r|] eqn:er; [|discriminate].
    destruct (IH (tl w) r (fun i => v (Datatypes.S i)) er (fun i x => hv (Datatypes.S i) x)) as [r0 r1].
    rewrite (sumn_ext _ (fun i => Rabs (at_ w (Datatypes.S i)) * v (Datatypes.S i)) (fun i => Rabs (at_ (tl w) i) * v (Datatypes.S i))).
    2:{ intros i _. unfold at_. destruct w; [destruct i|]; reflexivity. }
    replace (at_ w 0) with (IZR (hd 0%Z w)) by (unfold at_; destruct w; reflexivity).
    destruct (hd 0 w =? 0)%Z eqn:e0; bools.
    + inv_some; subst. rewrite e0, Rabs_R0. split; [auto|lra].
    + destruct b as [x|]; [|discriminate]. inv_some; subst s. destruct (hv 0%nat x eq_refl) as [p0 p1]. split; [nia|].
      rewrite q_plus, q_scal, abs_IZR. pose proof (Rabs_pos (IZR (hd 0%Z w))). nra.
Qed.
Lemma sums_apart n : forall g a b,
  Rabs (sumn n (fun i => g i * a i) - sumn n (fun i => g i * b i)) <= sumn n (fun i => Rabs (g i) * Rabs (a i - b i)).
Proof.
  induction n as [|m IH]; intros g a b; cbn [sumn].
  - rewrite Rminus_diag_eq, Rabs_R0 by auto. lra.
  - specialize (IH (fun i => g (S i)) (fun i => a (S i)) (fun i => b (S i))). cbn beta in IH.
    match goal with |- Rabs (?x + ?y - (?x' + ?y')) <= _ => replace (x + y - (x' + y')) with ((x - x') + (y - y')) by ring end.
    eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat; auto. rewrite <- Rmult_minus_distr_l, Rabs_mult. lra.
Qed.
Section Features.
Variable fs : list bound.
Variable fe fc : list R.            (* exact, and computed *)
Hypothesis Le : length fe = length fs.
Hypothesis Lc : length fc = length fs.
Hypothesis B : forall i b, nth_error fs i = Some b -> bounded b (nth i fe 0) (nth i fc 0).
Hypothesis N1 : (Z.of_nat (length fs) < 4194304)%Z.
Let n := length fs.
Let wd := IZR (Zpos (wden H)).
Let wp : 0 < wd := posR (wden H).
Definition weighing (w : list Z) (f : list R) : R := sumn n (fun i => at_ w i * nth i f 0).

Lemma cost_ok w s : weighted w fs fst = Some s -> (0 <= s)%Z /\ Rabs (weighing w fc - weighing w fe) <= q s.
Proof.
  intros h. destruct (weighted_ok fst fs w s (fun i => Rabs (nth i fc 0 - nth i fe 0)) h) as [s0 s1].
  { intros i [d t] e. destruct (B i _ e) as [b1 [b2 [b3 b4]]]. auto. }
  split; auto. eapply Rle_trans; [|exact s1]. apply sums_apart.
Qed.
Lemma sums_shift b s o : sums (b :: map s (seq 0 n)) o -> sums_to (S n) (fun i => match i with O => b | S i' => s i' end) o.
Proof. unfold sums_to. cbn [seq map]. rewrite <- seq_shift, map_map. auto. Qed.
Lemma score_error_ok w b s Er o : score_error K H fs w b = Some Er ->
  (forall i, (i < n)%nat -> rounds_to 1 (at_ w i / wd * nth i fc 0) (s i)) -> sums (IZR b / wd :: map s (seq 0 n)) o ->
  (0 <= Er)%Z /\ Rabs (wd * o - (IZR b + weighing w fc)) <= q Er.
Proof.
  unfold score_error. fold n. intros h hs ho. destruct (weighted w fs snd) as [m|] eqn:em; [|discriminate]. inv_some; subst Er.
  destruct (weighted_ok snd fs w m (fun i => Rabs (nth i fc 0)) em) as [m0 m1].
  { intros i [d t] e. destruct (B i _ e) as [b1 [b2 [b3 b4]]]. auto. }
  fold n in m1. destruct (gamma_ok (S n + 1) ltac:(unfold n; lia)) as [g0 g1].
  destruct (below_normal_ok K (4 * Z.of_nat (S n) * Zpos (wden H)) ltac:(lia)) as [t0 t1].
  pose proof (ce_nonneg (gamma K (S n + 1) * (Zpos K * Z.abs b + m)) (Zpos K) ltac:(nia) ltac:(lia)) as c0. split; [lia|].
  apply sums_shift in ho.
  set (f := fun i => match i with O => IZR b / wd | S i' => at_ w i' / wd * nth i' fc 0 end).
  pose proof (sums_near (S n) f _ o 1 1 ltac:(lia) ltac:(lra) ho) as e.
  assert (T : forall i, (i < S n)%nat -> Rabs (match i with O => IZR b / wd | S i' => s i' end - f i) <= (E 1 - 1) * Rabs (f i) + 1 * tiny).
  { intros i hi. destruct i as [|i]; unfold f.
    - rewrite Rminus_diag_eq, Rabs_R0 by auto. pose proof tiny_pos. pose proof (Rabs_pos (IZR b / wd)). pose proof (E_ge1 1). nra.
    - specialize (hs i ltac:(lia)). unfold rounds_to in hs. unfold E. cbn [pow]. lra. }
  specialize (e T). rewrite q_plus. set (Sf := sumn (S n) (fun i => Rabs (f i))) in *.
  assert (S1 : wd * sumn (S n) f = IZR b + weighing w fc).
  { cbn [sumn f]. rewrite Rmult_plus_distr_l. f_equal; [field; lra|]. unfold weighing. rewrite <- sumn_scal. apply sumn_ext. intros i _. field. lra. }
  assert (S2 : wd * Sf <= q (Zpos K * Z.abs b + m)).
  { unfold Sf. cbn [sumn f]. rewrite Rmult_plus_distr_l, <- sumn_scal, q_plus. apply Rplus_le_compat.
    - rewrite Z.mul_comm, q_scal, q_k, abs_IZR. unfold Rdiv. rewrite Rabs_mult, Rabs_inv, (Rabs_pos_eq wd) by lra. right. field. lra.
    - eapply Rle_trans; [|exact m1]. right. apply sumn_ext. intros i _. unfold Rdiv. rewrite !Rabs_mult, Rabs_inv, (Rabs_pos_eq wd) by lra. field. lra. }
  assert (S0 : 0 <= Sf) by (apply sumn_nonneg; intros; apply Rabs_pos).
  replace (wd * o - (IZR b + weighing w fc)) with (wd * (o - sumn (S n) f)) by (rewrite <- S1; ring).
  rewrite Rabs_mult, (Rabs_pos_eq wd) by lra.
  assert (Q : q (gamma K (S n + 1)) * q (Zpos K * Z.abs b + m) <= q (ce (gamma K (S n + 1) * (Zpos K * Z.abs b + m)) (Zpos K))).
  { apply Rge_le. apply q_mul. }
  assert (V1 : wd * ((E (S n + 1) - 1) * Sf) <= q (gamma K (S n + 1)) * q (Zpos K * Z.abs b + m)).
  { replace (wd * ((E (S n + 1) - 1) * Sf)) with ((E (S n + 1) - 1) * (wd * Sf)) by ring. pose proof (E_ge1 (S n + 1)).
    apply Rmult_le_compat; try lra. nra. }
  assert (V2 : wd * (INR (S n) * E (S n) * (1 + 1) * tiny) <= q (below_normal K (4 * Z.of_nat (S n) * Zpos (wden H)))).
  { eapply Rle_trans; [|exact t1]. rewrite !mult_IZR, <- inr. fold wd. pose proof (E_two (S n) ltac:(unfold n; lia)). pose proof tiny_pos. pose proof (pos_INR (S n)).
    replace (wd * (INR (S n) * E (S n) * (1 + 1) * tiny)) with (E (S n) * (INR (S n) * 2 * wd * tiny)) by ring.
    assert (0 <= INR (S n) * 2 * wd * tiny) by (apply Rmult_le_pos; [apply Rmult_le_pos; lra|lra]). nra. }
  assert (wd * Rabs (o - sumn (S n) f) <= wd * ((E (S n + 1) - 1) * Sf + INR (S n) * E (S n) * (1 + 1) * tiny)) by (apply Rmult_le_compat_l; lra).
  lra.
Qed.
End Features.
End Sound.

(** ** All activations, and what scores weigh *)
Section Execution.
Variable isqrt : Z -> Z.
Variable K : positive.
Variable rounds : nat.
Variable H : head.
Variable unit fine : positive.
Variable z : latent.
Hypothesis fit : lengths_fit H = true.
Hypothesis full : has_places (compile H) (nproto H) = true.
Hypothesis D1 : (1 <= channels H)%nat.
Hypothesis D2 : (Z.of_nat (channels H) < 4194304)%Z.
Variable m : nat -> nat -> R.
Variable a : nat -> R.
Hypothesis M : forall l j, (l < nloc H)%nat -> (j < nproto H)%nat -> measures H l j = true -> measured H (z l) j (m l j).
Hypothesis A : forall j, (j < nproto H)%nat -> activates H z j (map (fun l => m l j) (places H j)) (a j).

Lemma bound_at_ok j en : (j < nproto H)%nat -> entry_ok H unit fine z j en ->
  bounded K (bound_at isqrt K rounds H unit fine j (nth j (pools H) Nearest) (nth j (outer H) []) en) (activation H z j) (a j).
Proof.
  intros hj [e1 e2]. unfold bound_at. destruct (extent K H j) as [s|] eqn:es; [|exact I].
  destruct (activation_error _ _ _ _ _ _ _) as [x|] eqn:ex; [|exact I].
  apply (bound_of_ok K H); [auto|auto|now apply (to_fine_ok H)|].
  apply (activation_error_ok isqrt K rounds H z fit full D1 D2 j (map (fun l => m l j) (places H j)) s (to_fine unit K (fst en))); auto.
  - now apply (to_fine_ok H).
  - assert (P : forall l, In l (places H j) -> measured H (z l) j (m l j)).
    { intros l hl. unfold places in hl. apply filter_In in hl. destruct hl as [h1 h2]. apply in_seq in h1. apply M; auto. lia. }
    revert P. generalize (places H j) as ls. induction ls as [|l ls IH]; intros P; cbn; constructor; [apply P; now left|].
    apply IH. intros; apply P; now right.
Qed.
Lemma bounds_from_ok es : forall j ks os, all_ok H unit fine z j es -> (j + length es <= nproto H)%nat ->
  (forall i, nth i ks Nearest = nth (j + i) (pools H) Nearest) -> (forall i, nth i os [] = nth (j + i) (outer H) []) ->
  length (bounds_from isqrt K rounds H unit fine j ks os es) = length es /\
  forall i b, nth_error (bounds_from isqrt K rounds H unit fine j ks os es) i = Some b -> bounded K b (activation H z (j + i)) (a (j + i)).
Proof.
  induction es as [|e es IH]; intros j ks os ok hj hk ho; cbn [bounds_from length] in *.
  - split; auto. intros [|i] b h; discriminate.
  - destruct (IH (S j) (tl ks) (tl os)) as [IL IB].
    + intros i x h. specialize (ok (S i) x h). now rewrite Nat.add_succ_comm.
    + lia.
    + intros i. rewrite tl_nth, hk. f_equal. lia.
    + intros i. rewrite tl_nth, ho. f_equal. lia.
    + split; [cbn [length]; f_equal; exact IL|]. intros [|i] b h; cbn [nth_error] in h.
      * inv_some; subst b. rewrite !hd_nth, hk, ho, Nat.add_0_r. apply bound_at_ok; [lia|].
        specialize (ok 0%nat e eq_refl). now rewrite Nat.add_0_r in ok.
      * rewrite <- Nat.add_succ_comm. now apply IB.
Qed.
Lemma worse_ok bs js t : (forall j b, nth_error bs j = Some b -> bounded K b (activation H z j) (a j)) ->
  fold_right (fun j b => worse (match get (of_list bs) j with Some x => x | None => None end) b) (Some (0, 0)%Z) js = Some t ->
  (0 <= fst t)%Z /\ (0 <= snd t)%Z /\ forall j, In j js -> Rabs (a j - activation H z j) <= q K (fst t) /\ Rabs (a j) <= q K (snd t).
Proof.
  intros hb. revert t. induction js as [|j js IH]; intros t h; cbn [fold_right] in h.
  - inv_some; subst t. cbn [fst snd]. repeat split; try lia; try (destruct H0).
  - rewrite get_of_list in h. destruct (nth_error bs j) as [[[d s]|]|] eqn:en; try discriminate h.
    destruct (fold_right _ _ js) as [[d' s']|]; [|discriminate h]. cbn [worse] in h. inv_some; subst t. cbn [fst snd].
    destruct (IH _ eq_refl) as [i1 [i2 i3]]. cbn [fst snd] in *. destruct (hb _ _ en) as [b1 [b2 [b3 b4]]]. repeat split; try lia.
    + destruct H0 as [->|hin].
      * eapply Rle_trans; [exact b3|]. apply q_le. lia.
      * eapply Rle_trans; [apply (i3 _ hin)|]. apply q_le. lia.
    + destruct H0 as [->|hin].
      * eapply Rle_trans; [exact b4|]. apply q_le. lia.
      * eapply Rle_trans; [apply (i3 _ hin)|]. apply q_le. lia.
Qed.
Lemma feature_bounds_ok bs fs : length bs = nproto H -> (forall j b, nth_error bs j = Some b -> bounded K b (activation H z j) (a j)) ->
  feature_bounds H bs = Some fs -> exists fe fc, weighs H (activation H z) = Some fe /\ weighs H a = Some fc /\
  length fe = length fs /\ length fc = length fs /\ (forall i b, nth_error fs i = Some b -> bounded K b (nth i fe 0) (nth i fc 0)) /\
  forall w, weighed H w (activation H z) = weighing fs w fe.
Proof.
  intros hl hb. unfold feature_bounds, weighs, weighed, weighing. destruct (feature H) as [|g|t] eqn:ef; intros h; inv_some; subst fs.
  - exists (map (activation H z) (seq 0 (nproto H))), (map a (seq 0 (nproto H))). rewrite !map_length, !seq_length. repeat split; auto.
    + intros i b h. assert (hi : (i < nproto H)%nat) by (rewrite <- hl; eapply nth_error_lt; eauto).
      rewrite !(nth_indep _ 0 (activation H z 0)), !(map_nth (activation H z)) by (rewrite map_length, seq_length; auto).
      rewrite !(nth_indep (map a _) (activation H z 0) (a 0)), !(map_nth a) by (rewrite map_length, seq_length; auto).
      rewrite seq_nth by auto. now apply hb.
    + intros w. rewrite hl. apply sumn_ext. intros i hi. f_equal.
      rewrite (nth_indep _ 0 (activation H z 0)), (map_nth (activation H z)), seq_nth by (rewrite ?map_length, ?seq_length; auto). reflexivity.
  - exists (map (fun x => most (map (activation H z) x)) g), (map (fun x => most (map a x)) g). rewrite !map_length. repeat split; auto.
    + intros i b h. rewrite nth_error_map in h. destruct (nth_error g i) as [js|] eqn:eg; [|discriminate]. cbn [option_map] in h. inv_some.
      assert (hi : (i < length g)%nat) by (eapply nth_error_lt; eauto). pose proof (nth_error_nth_ _ _ _ [] eg) as eg'.
      change 0 with (most (map (activation H z) [])) at 1. rewrite (map_nth (fun x => most (map (activation H z) x))).
      change 0 with (most (map a [])). rewrite (map_nth (fun x => most (map a x))). rewrite eg'.
      destruct js as [|j0 js0].
      { subst b. cbn. rewrite Rminus_diag_eq, Rabs_R0, q_0 by auto. repeat split; try lia; lra. }
      set (js := j0 :: js0) in *. destruct b as [t|]; [|exact I]. destruct (worse_ok bs js t hb h) as [t1 [t2 t3]]. destruct t as [d s]. cbn [fst snd] in *.
      repeat split; auto.
      * assert (N : near 0 (q K d) (most (map (activation H z) js)) (most (map a js))).
        { apply near_most; [lra|now apply q_pos|]. clear - t3. induction js as [|j js IH]; cbn; constructor.
          - unfold near. destruct (t3 j (or_introl eq_refl)). lra.
          - apply IH. intros; apply t3; now right. }
        unfold near in N. lra.
      * assert (ne : map a js <> []) by (unfold js; cbn; congruence). pose proof (most_in _ ne) as i0. apply in_map_iff in i0.
        destruct i0 as [j [e i0]]. rewrite <- e. now apply t3.
    + intros w. apply sumn_ext. intros i hi. f_equal. change 0 with (most (map (activation H z) [])). now rewrite (map_nth (fun x => most (map (activation H z) x))).
Qed.
End Execution.

(** ** The theorem *)
Lemma enough_ok isqrt H C z ps roofs_ es prems g ev cost :
  (forall w offset ev', shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps roofs_ (feature H) w offset es prems ev' = true ->
     0 < weighed H w (activation H z) + IZR offset) ->
  enough (fun g ev => shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps roofs_ (feature H) (fst g) (snd g) es prems ev) g ev cost = true ->
  exists B, cost = Some B /\ (0 <= B)%Z /\ q precision B < weighed H (fst g) (activation H z) + IZR (snd g).
Proof.
  intros sh h. unfold enough in h. destruct cost as [B|]; [|discriminate]. apply andb_prop in h. destruct h as [h1 h2]. apply Z.leb_le in h1.
  exists B. repeat split; auto. apply sh in h2. cbn [fst snd] in h2. rewrite weighed_scal, minus_IZR, mult_IZR in h2.
  pose proof (posR precision) as kp. unfold q. apply Rmult_lt_reg_l with (IZR (Zpos precision)); auto.
  replace (IZR (Zpos precision) * (IZR B / IZR (Zpos precision))) with (IZR B) by (field; lra). lra.
Qed.
Lemma add_some x y s : add x y = Some s -> exists a b, x = Some a /\ y = Some b /\ s = (a + b)%Z.
Proof. unfold add, omap2. destruct x as [a|], y as [b|]; try discriminate. intros h. inv_some. eauto. Qed.

Lemma check_float_ok (isqrt : Z -> Z) (S : statement) (C : certificate) : check_float isqrt S C = true -> sufficient S /\ sufficient_float S.
Proof.
  unfold check_float. set (H := network S). intros h.
  apply andb_prop in h. destruct h as [h hr]. apply andb_prop in h. destruct h as [h sl]. apply andb_prop in h. destruct h as [h hl].
  apply andb_prop in h. destruct h as [fit full]. apply Nat.eqb_eq in hl. apply Z.leb_le in sl. apply IZR_le in sl.
  set (ps := match metric H with Euclidean => of_list (protos H) | _ => Tip end) in *.
  assert (PS : forall j p, get ps j = Some p -> metric H = Euclidean /\ nth j (protos H) [] = p).
  { intros j p e. unfold ps in e. destruct (metric H); try discriminate. rewrite get_of_list in e. split; auto. now apply nth_error_nth_. }
  destruct (rooted isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (of_list (premises S (unit_ C))) (steps C)) as [prems|] eqn:er; [|discriminate].
  set (es := entries isqrt (compile H) (unit_ C) (fine C) (rounds C) prems (roofs C) 0 (table C)) in *.
  destruct (feature_bounds H (bounds_from isqrt precision halvings H (unit_ C) (fine C) 0 (pools H) (outer H) es)) as [fs|] eqn:ef; [|discriminate].
  apply andb_prop in hr. destruct hr as [hs hr]. unfold small_head in hs. apply andb_prop in hs. destruct hs as [hs n3]. apply andb_prop in hs. destruct hs as [n1 n2].
  apply Nat.leb_le in n1. apply Z.ltb_lt in n2, n3.
  set (show := fun g ev => shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (roofs C) (feature H) (fst g) (snd g) es prems ev) in *.
  assert (L : length es = nproto H) by (unfold es; rewrite entries_length; exact hl).
  assert (KNOWN : forall z, inside S z -> meets S z (facts S) -> known H (unit_ C) z prems).
  { intros z hi hm. apply (rooted_ok isqrt H (unit_ C) (fine C) (rounds C) z fit ps PS (steps C) _ _ (premises_known S (unit_ C) z hi hm) er). }
  assert (OK : forall z, inside S z -> meets S z (facts S) -> all_ok H (unit_ C) (fine C) z 0 es).
  { intros z hi hm i e x. unfold es in x. apply (entries_ok isqrt H (unit_ C) (fine C) (rounds C) z fit prems (KNOWN z hi hm) (roofs C) (table C) 0 i e x). }
  assert (SH : forall z, inside S z -> meets S z (facts S) -> forall w offset ev,
    shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (roofs C) (feature H) w offset es prems ev = true -> 0 < weighed H w (activation H z) + IZR offset).
  { intros z hi hm w offset ev hs. eapply (shown_ok isqrt H (unit_ C) (fine C) (rounds C) z fit ps PS); eauto. }
  assert (ENOUGH : forall z, inside S z -> meets S z (facts S) -> forall g ev cost, enough show g ev cost = true ->
    exists B, cost = Some B /\ (0 <= B)%Z /\ q precision B < weighed H (fst g) (activation H z) + IZR (snd g)).
  { intros z hi hm g ev cost e. eapply enough_ok; [|exact e]. intros w o ev'. now apply SH. }
  assert (RIVALS : forall a evs i own, all_rivals_float show H fs a i own evs = true -> forall k, (i <= k < i + length evs)%nat -> k <> a ->
    exists ev, enough show (over H a k) ev (add (cost_of fs (fst (over H a k))) (add own (score_error precision H fs (nth k (weights H) []) (nth k (biases H) 0%Z)))) = true).
  { intros a. induction evs as [|ev evs IH]; intros i own e k hk ne; cbn [all_rivals_float length] in *; [lia|].
    apply andb_prop in e. destruct e as [e1 e2]. destruct (Nat.eq_dec k i) as [->|].
    - apply orb_prop in e1. destruct e1 as [e1|e1]; [apply Nat.eqb_eq in e1; congruence|]. eauto.
    - eapply IH; eauto. lia. }
  assert (LABELS : forall ls evs, all_labels_float show H fs ls evs = true -> forall k on, In (k, on) ls -> (k < nclass H)%nat /\
    exists ev, enough show (signed H k on) ev (add (cost_of fs (nth k (weights H) [])) (score_error precision H fs (nth k (weights H) []) (nth k (biases H) 0%Z))) = true).
  { induction ls as [|[k on] ls IH]; intros evs e k' on' hin; [destruct hin|]. cbn [all_labels_float] in e.
    destruct evs as [|ev evs]; [discriminate|]. apply andb_prop in e. destruct e as [e e3]. apply andb_prop in e. destruct e as [e1 e2].
    destruct hin as [e|hin]; [|eapply IH; eauto]. apply pair_equal_spec in e. destruct e as [<- <-]. apply Nat.ltb_lt in e1. eauto. }
  (* scores of an execution *)
  assert (SCORES : forall z, inside S z -> meets S z (facts S) -> forall out, execution H z out ->
    exists fe fc, (forall w, weighed H w (activation H z) = weighing fs w fe) /\
    (forall w s, weighted w fs fst = Some s -> (0 <= s)%Z /\ Rabs (weighing fs w fc - weighing fs w fe) <= q precision s) /\
    forall k Er, (k < nclass H)%nat -> score_error precision H fs (nth k (weights H) []) (nth k (biases H) 0%Z) = Some Er ->
      (0 <= Er)%Z /\ Rabs (IZR (Zpos (wden H)) * out k - (at_ (biases H) k + weighing fs (nth k (weights H) []) fc)) <= q precision Er).
  { intros z hi hm out [m [a [X1 [X2 X3]]]].
    destruct (bounds_from_ok isqrt precision halvings H (unit_ C) (fine C) z fit full n1 n2 m a X1 X2 es 0 (pools H) (outer H) (OK z hi hm) ltac:(lia)
      (fun i => eq_refl) (fun i => eq_refl)) as [b1 b2].
    destruct (feature_bounds_ok precision H z n1 a _ fs (eq_trans b1 L) b2 ef) as [fe [fc [f1 [f2 [f3 [f4 [f5 f6]]]]]]].
    exists fe, fc. split; auto. split; [intros; eapply cost_ok; eauto|]. intros k Er hk e. specialize (X3 k hk). unfold scores in X3. rewrite f2 in X3.
    destruct X3 as [s [s1 s2]]. rewrite f4 in s1, s2. unfold at_ in s2 at 1. unfold at_ at 1. apply (score_error_ok precision H n1 n2 fs fe fc f3 f4 f5 n3 _ _ s); auto. }
  pose proof (posR (wden H)) as wp. set (wd := IZR (Zpos (wden H))) in *.
  unfold sufficient, sufficient_float, predicted, returned. fold H. destruct (claimed S) as [a|ls].
  - apply andb_prop in hr. destruct hr as [hr h2]. apply andb_prop in hr. destruct hr as [h0 h1]. apply Nat.ltb_lt in h0. apply Nat.eqb_eq in h1.
    split.
    + intros z hi hm. split; auto. intros k hk ne. apply over_ok. destruct (RIVALS a _ _ _ h2 k ltac:(lia) ne) as [ev e].
      destruct (ENOUGH z hi hm _ _ _ e) as [B [_ [B0 B1]]]. pose proof (q_pos precision B B0). lra.
    + intros z hi hm out ex. split; auto. intros k hk ne. destruct (RIVALS a _ _ _ h2 k ltac:(lia) ne) as [ev e].
      destruct (ENOUGH z hi hm _ _ _ e) as [B [E1 [B0 B1]]]. destruct (SCORES z hi hm out ex) as [fe [fc [F1 [F2 F3]]]].
      apply add_some in E1. destruct E1 as [s [t [E1 [E2 ->]]]]. apply add_some in E2. destruct E2 as [ea [ek [E2 [E3 ->]]]].
      destruct (F2 _ _ E1) as [s0 s1]. destruct (F3 a ea h0 E2) as [_ ra]. destruct (F3 k ek hk E3) as [_ rk].
      rewrite F1 in B1. unfold over, vsub in B1, s1. cbn [fst snd] in B1, s1.
      assert (LIN : forall f, weighing fs (vadd (nth a (weights H) []) (vscale (-1) (nth k (weights H) []))) f
        = weighing fs (nth a (weights H) []) f - weighing fs (nth k (weights H) []) f).
      { intros f. unfold weighing. rewrite <- (Rmult_1_l (sumn (length fs) (fun i => at_ (nth k (weights H) []) i * nth i f 0))).
        replace (1 * sumn (length fs) (fun i => at_ (nth k (weights H) []) i * nth i f 0)) with (sumn (length fs) (fun i => 1 * (at_ (nth k (weights H) []) i * nth i f 0))) by apply sumn_scal.
        unfold Rminus. rewrite <- sumn_opp, <- sumn_plus. apply sumn_ext. intros i _. rewrite at_vadd, at_vscale. change (IZR (-1)) with (-1). ring. }
      rewrite LIN in B1. rewrite !LIN in s1. rewrite !minus_IZR, !q_plus in *.
      apply between in s1. apply between in ra. apply between in rk. change (at_ (biases H) a) with (IZR (nth a (biases H) 0%Z)) in ra. change (at_ (biases H) k) with (IZR (nth k (biases H) 0%Z)) in rk.
      apply Rmult_lt_reg_l with wd; auto. lra.
  - split.
    + intros z hi hm k on hin. destruct (LABELS _ _ hr k on hin) as [h1 [ev e]]. split; auto. apply signed_ok.
      destruct (ENOUGH z hi hm _ _ _ e) as [B [_ [B0 B1]]]. pose proof (q_pos precision B B0). lra.
    + intros z hi hm out ex k on hin. destruct (LABELS _ _ hr k on hin) as [h1 [ev e]]. split; auto.
      destruct (ENOUGH z hi hm _ _ _ e) as [B [E1 [B0 B1]]]. destruct (SCORES z hi hm out ex) as [fe [fc [F1 [F2 F3]]]].
      apply add_some in E1. destruct E1 as [s [t [E1 [E2 ->]]]]. destruct (F2 _ _ E1) as [s0 s1]. destruct (F3 k t h1 E2) as [_ rk].
      rewrite F1, q_plus in B1. apply between in s1. apply between in rk. change (at_ (biases H) k) with (IZR (nth k (biases H) 0%Z)) in rk. unfold signed in B1. destruct on; cbn [fst snd] in B1.
      * apply Rmult_lt_reg_l with wd; auto. lra.
      * assert (LIN : weighing fs (vscale (-1) (nth k (weights H) [])) fe = - weighing fs (nth k (weights H) []) fe).
        { unfold weighing. rewrite <- sumn_opp. apply sumn_ext. intros i _. rewrite at_vscale. change (IZR (-1)) with (-1). ring. }
        rewrite LIN, opp_IZR in B1. apply Rmult_lt_reg_l with wd; auto. lra.
Qed.

(** What is accepted at level F is sufficient over the real numbers and in float32, and the recorded
    latent meets the facts and is predicted as claimed. *)
Theorem float_sound (isqrt : Z -> Z) (S : statement) (C : certificate) :
  accept_float isqrt S C = true -> sufficient S /\ recorded_meets S /\ sufficient_float S.
Proof.
  unfold accept_float. intros h. apply andb_prop in h. destruct h as [h1 h2].
  destruct (check_float_ok isqrt S C h1) as [a b]. split; [auto|]. split; [eapply point_sound; eauto|auto].
Qed.
