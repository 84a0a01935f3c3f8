(** What a chain makes of an error: [trace] is right. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Theorems Float Rounding FloatCheck.
Import ListNotations.
Local Open Scope R_scope.

Section Errors.
Variable isqrt : Z -> Z.
Variable K : positive.
Variable rounds : nat.
Let kr := IZR (Zpos K).
Let kp : 0 < kr := posR K.
Definition q (n : Z) : R := IZR n / IZR (Zpos K).
Definition close (x : error) (a b : R) : Prop :=
  (0 <= fst x)%Z /\ (0 <= snd x)%Z /\ near (q (fst x)) (q (snd x)) a b.
Notation inK := (inI K).

Lemma q_le m n : (m <= n)%Z -> q m <= q n.
Proof. intros h. unfold q. apply IZR_le in h. fold kr. apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|auto]. Qed.
Lemma q_lt m n : (m < n)%Z -> q m < q n.
Proof. intros h. unfold q. apply IZR_lt in h. fold kr. apply Rmult_lt_compat_r; [now apply Rinv_0_lt_compat|auto]. Qed.
Lemma q_0 : q 0 = 0. Proof. unfold q, Rdiv. now rewrite Rmult_0_l. Qed.
Lemma q_k : q (Zpos K) = 1. Proof. unfold q. fold kr. field. lra. Qed.
Lemma q_plus m n : q (m + n) = q m + q n.
Proof. unfold q. rewrite plus_IZR. fold kr. field. lra. Qed.
Lemma q_minus m n : q (m - n) = q m - q n.
Proof. unfold q. rewrite minus_IZR. fold kr. field. lra. Qed.
Lemma q_opp n : q (- n) = - q n.
Proof. unfold q. rewrite opp_IZR. fold kr. field. lra. Qed.
Lemma q_scal c n : q (c * n) = IZR c * q n.
Proof. unfold q. rewrite mult_IZR. fold kr. field. lra. Qed.
Lemma q_abs n : q (Z.abs n) = Rabs (q n).
Proof. unfold q. fold kr. unfold Rdiv. rewrite Rabs_mult, abs_IZR, Rabs_inv, (Rabs_pos_eq kr) by lra. reflexivity. Qed.
Lemma q_pos n : (0 <= n)%Z -> 0 <= q n.
Proof. intros h. rewrite <- q_0. now apply q_le. Qed.
Lemma q_ce n d : (0 < d)%Z -> q n / IZR d <= q (ce n d).
Proof.
  intros h. pose proof (ce_div n d h) as c. pose proof (IZR_lt _ _ h). unfold q. fold kr.
  replace (IZR n / kr / IZR d) with (IZR n / IZR d / kr) by (field; lra).
  apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|auto].
Qed.
(** products of two numbers over K *)
Lemma q_mul m n : q (ce (m * n) (Zpos K)) >= q m * q n.
Proof.
  pose proof (q_ce (m * n) (Zpos K) ltac:(lia)) as c. rewrite q_scal in c. fold kr in c.
  replace (q m * q n) with (IZR m * q n / kr); [lra|]. unfold q. fold kr. field. lra.
Qed.
Lemma ce_nonneg n d : (0 <= n)%Z -> (0 < d)%Z -> (0 <= ce n d)%Z.
Proof. intros h1 h2. unfold ce. assert ((- n) / d <= 0)%Z; [|lia]. apply Z.div_le_upper_bound; lia. Qed.
Lemma quotient_ok r : (0 <= r < Zpos K)%Z -> (0 <= quotient K r)%Z /\ q r / (1 - q r) <= q (quotient K r).
Proof.
  intros h. unfold quotient. split; [apply ce_nonneg; lia|]. pose proof (q_ce (r * Zpos K) (Zpos K - r) ltac:(lia)) as c.
  rewrite q_scal, minus_IZR, q_k in c. fold kr in c.
  assert (hr : IZR r < kr) by (apply IZR_lt; lia).
  replace (q r / (1 - q r)) with (IZR r * 1 / (kr - IZR r)); auto. unfold q. fold kr. field. lra.
Qed.
Lemma q_unit r : (0 <= r < Zpos K)%Z -> 0 <= q r < 1.
Proof. intros h. split; [apply q_pos; lia|]. rewrite <- q_k. apply q_lt. lia. Qed.
Lemma q_unit_le r : (0 <= r <= Zpos K)%Z -> 0 <= q r <= 1.
Proof. intros h. split; [apply q_pos; lia|]. rewrite <- q_k. apply q_le. lia. Qed.
Lemma in_above a x : above K (Some a) x -> q a <= x.
Proof. cbn. intros h. unfold q. fold kr in h |- *. apply Rmult_le_reg_l with kr; auto. replace (kr * (IZR a / kr)) with (IZR a) by (field; lra). auto. Qed.
Lemma in_below a x : below K (Some a) x -> x <= q a.
Proof. cbn. intros h. unfold q. fold kr in h |- *. apply Rmult_le_reg_l with kr; auto. replace (kr * (IZR a / kr)) with (IZR a) by (field; lra). auto. Qed.
Lemma size_from_ok i n x : size_from i = Some n -> inK i x -> (0 < n)%Z /\ q n <= Rabs x.
Proof.
  assert (P : forall b, (b <? 0)%Z = true -> below K (Some b) x -> (0 < - b)%Z /\ q (- b) <= Rabs x).
  { intros b e h. bools. split; [lia|]. apply in_below in h. rewrite q_opp. pose proof (q_lt b 0 ltac:(lia)) as g. rewrite q_0 in g.
    rewrite Rabs_left by lra. lra. }
  unfold size_from. intros e [h1 h2]. destruct (fst i) as [a|].
  - destruct (0 <? a)%Z eqn:ea; bools.
    + inv_some; subst. split; auto. apply in_above in h1. pose proof (q_pos n ltac:(lia)). rewrite Rabs_pos_eq; lra.
    + destruct (snd i) as [b|]; [|discriminate]. destruct (b <? 0)%Z eqn:eb; [|discriminate]. inv_some; subst. now apply P.
  - destruct (snd i) as [b|]; [|discriminate]. destruct (b <? 0)%Z eqn:eb; [|discriminate]. inv_some; subst. now apply P.
Qed.
Lemma size_to_ok i n x : size_to i = Some n -> inK i x -> (0 <= n)%Z /\ Rabs x <= q n.
Proof.
  unfold size_to. destruct i as [[a|] [b|]]; try discriminate. intros e [h1 h2]. inv_some; subst. split; [lia|].
  cbn [fst snd] in *. apply in_above in h1. apply in_below in h2.
  pose proof (q_le (Z.abs a) (Z.max (Z.abs a) (Z.abs b)) ltac:(lia)) as g1. pose proof (q_le (Z.abs b) (Z.max (Z.abs a) (Z.abs b)) ltac:(lia)) as g2.
  rewrite q_abs in g1, g2. pose proof (Rle_abs (- q a)) as g3. rewrite Rabs_Ropp in g3. pose proof (Rle_abs (q b)).
  apply Rabs_le. lra.
Qed.
Lemma nonneg_in i x : nonneg i = true -> inK i x -> 0 <= x.
Proof. unfold nonneg. intros e [h _]. destruct (fst i); [|discriminate]. bools. apply in_above in h. pose proof (q_pos z e). lra. Qed.
Lemma nonpos_in i x : nonpos i = true -> inK i x -> x <= 0.
Proof. unfold nonpos. intros e [_ h]. destruct (snd i); [|discriminate]. bools. apply in_below in h. pose proof (q_le z 0 e) as g. rewrite q_0 in g. lra. Qed.
Lemma positive_in i x : positive_ i = true -> inK i x -> 0 < x.
Proof. unfold positive_. intros e [h _]. destruct (fst i); [|discriminate]. bools. apply in_above in h. pose proof (q_lt 0 z e) as g. rewrite q_0 in g. lra. Qed.
Lemma relative_ok i x p a b : relative K i x = Some p -> inK i a -> close x a b ->
  (0 <= p < Zpos K)%Z /\ near (q p) 0 a b /\ a <> 0.
Proof.
  unfold relative. intros e hi [h1 [h2 h3]]. destruct (size_from i) as [n|] eqn:en; [|discriminate].
  destruct (size_from_ok i n a en hi) as [g1 g2].
  destruct (fst x + ce (snd x * Zpos K) n <? Zpos K)%Z eqn:el; [|discriminate]. inv_some; subst p. bools.
  pose proof (ce_nonneg (snd x * Zpos K) n ltac:(nia) g1) as cn. split; [lia|]. pose proof (q_lt 0 n g1) as qn. rewrite q_0 in qn. split.
  - rewrite q_plus. eapply near_weaken; [|apply Rle_refl|eapply (near_relative _ _ _ _ (q n)); [|exact qn|exact g2|exact h3]].
    + apply Rplus_le_compat_l. pose proof (q_ce (snd x * Zpos K) n g1) as c. rewrite q_scal, q_k in c.
      replace (q (snd x) / q n) with (IZR (snd x) * 1 / IZR n); auto. unfold q. fold kr. apply IZR_lt in g1. field. lra.
    + now apply q_pos.
  - intros ->. rewrite Rabs_R0 in g2. lra.
Qed.
Lemma close_intro r e r' e' a b : (0 <= r)%Z -> (0 <= e)%Z -> near r' e' a b -> r' <= q r -> e' <= q e -> close (r, e) a b.
Proof. intros. repeat split; auto. cbn. now apply near_weaken with r' e'. Qed.
Lemma zratio (c : ratio) : Rabs (val c) = IZR (Z.abs (fst c)) / IZR (Zpos (snd c)).
Proof. unfold val, Rdiv. rewrite Rabs_mult, Rabs_inv, abs_IZR, (Rabs_pos_eq (IZR (Zpos (snd c)))) by (left; apply posR). reflexivity. Qed.
Lemma q_ratio n c : q (ce (n * Z.abs (fst c)) (Zpos (snd c))) >= q n * Rabs (val c).
Proof.
  pose proof (q_ce (n * Z.abs (fst c)) (Zpos (snd c)) ltac:(lia)) as h. rewrite zratio. rewrite (Z.mul_comm n), q_scal in h.
  rewrite (Z.mul_comm n). pose proof (posR (snd c)).
  replace (q n * (IZR (Z.abs (fst c)) / IZR (Zpos (snd c)))) with (IZR (Z.abs (fst c)) * q n / IZR (Zpos (snd c))) by (field; lra). lra.
Qed.
Lemma val_sign (c : ratio) : ((0 <= fst c)%Z -> 0 <= val c) /\ ((fst c <= 0)%Z -> val c <= 0).
Proof.
  pose proof (posR (snd c)) as p. apply Rinv_0_lt_compat in p. split; intros h; apply IZR_le in h; unfold val, Rdiv; nra.
Qed.
Lemma same_sign i c x : ((0 <=? fst c)%Z && nonneg i || (fst c <=? 0)%Z && nonpos i)%bool = true -> inK i x -> 0 <= x * val c.
Proof.
  intros e hi. destruct (val_sign c) as [v1 v2]. apply orb_prop in e. destruct e as [e|e]; apply andb_prop in e; destruct e as [e1 e2]; apply Z.leb_le in e1.
  - pose proof (nonneg_in _ _ e2 hi). specialize (v1 e1). nra.
  - pose proof (nonpos_in _ _ e2 hi). specialize (v2 e1). nra.
Qed.
Lemma near_const_scal r a b c : near r 0 a b -> near r 0 (c * a) (c * b).
Proof. intros h. rewrite !(Rmult_comm c). apply near_weaken with r (Rabs c * 0); [lra|lra|]. now apply near_mul. Qed.
Lemma tanh_logistic x : tanh x = 2 * / (1 + exp (- (x * 2))) - 1.
Proof.
  unfold tanh, sinh, cosh. replace (- (x * 2)) with (- x + - x) by ring. rewrite exp_plus.
  pose proof (exp_pos x). pose proof (exp_pos (- x)). assert (exp x * exp (- x) = 1) by (rewrite <- exp_plus, Rplus_opp_r; apply exp_0).
  set (a := exp x) in *. set (b := exp (- x)) in *.
  assert (e : b = / a) by (apply Rmult_eq_reg_l with a; [rewrite H1; field; lra|lra]). rewrite e in *. field. split; nra.
Qed.

Lemma spread_ok f i j x y a b : spread isqrt K rounds f i j x = Some y -> inK i a -> close x a b -> close y (apply f a) (apply f b).
Proof.
  destruct x as [r e]. intros h hi [h1 [h2 h3]]. cbn [fst snd] in h1, h2, h3.
  assert (hr : 0 <= q r) by (now apply q_pos). assert (he : 0 <= q e) by (now apply q_pos).
  assert (C : close (r, e) a b) by (repeat split; auto).
  destruct f; cbn [spread apply] in *; try discriminate h.
  - (* Add *)
    destruct (_ || _)%bool eqn:es; inv_some; subst y.
    + apply close_intro with (q r) (q e); auto; try lra. apply near_add_same; auto. eapply same_sign; eauto.
    + pose proof (q_ratio r c) as g. pose proof (ce_nonneg (r * Z.abs (fst c)) (Zpos (snd c)) ltac:(nia) ltac:(lia)).
      apply close_intro with (q r) (q e + q r * Rabs (val c)); auto; try lia; try lra; [now apply near_add|rewrite q_plus; lra].
  - (* Mul *)
    inv_some; subst y. pose proof (q_ratio e c) as g. rewrite (Z.mul_comm e) in g.
    apply close_intro with (q r) (Rabs (val c) * q e); auto; try lra; [apply ce_nonneg; nia|now apply near_mul].
  - (* DivRoot *)
    destruct (image1 isqrt K rounds (DivRoot c) (Some 0%Z, Some e)) as [[lo [s|]]|] eqn:ei; try discriminate. inv_some; subst y.
    assert (I0 : inK (Some 0%Z, Some e) (q e)).
    { split; cbn; fold kr; unfold q; fold kr; replace (kr * (IZR e / kr)) with (IZR e) by (field; lra); [now apply IZR_le|lra]. }
    pose proof (image1_ok isqrt K rounds (DivRoot c) _ _ _ I0 ei) as [_ I1]. cbn [snd apply] in I1. apply in_below in I1.
    assert (SP : 0 <= / sqrt (val c)).
    { destruct (Req_dec (sqrt (val c)) 0) as [z|z]; [rewrite z, Rinv_0; lra|]. left. apply Rinv_0_lt_compat. pose proof (sqrt_pos (val c)). lra. }
    assert (S0 : (0 <= s)%Z). { apply le_IZR. assert (0 <= q s) by (unfold Rdiv in I1; nra). unfold q in H. fold kr in H.
      apply Rmult_le_reg_r with (/ kr); [now apply Rinv_0_lt_compat|]. unfold Rdiv in H. lra. }
    apply close_intro with (q r) (Rabs (/ sqrt (val c)) * q e); auto; try lra.
    + unfold Rdiv. now apply near_mul.
    + rewrite Rabs_pos_eq by auto. unfold Rdiv in I1. lra.
  - (* Max *)
    destruct (r <=? Zpos K)%Z eqn:er; [|discriminate]. bools. inv_some; subst y. apply close_intro with (q r) (q e); auto; try lra.
    apply near_max; auto; [apply q_unit_le; lia|now apply near_const].
  - (* Min *)
    destruct (r <=? Zpos K)%Z eqn:er; [|discriminate]. bools. inv_some; subst y. apply close_intro with (q r) (q e); auto; try lra.
    apply near_min; auto; [apply q_unit_le; lia|now apply near_const].
  - (* Sqrt *)
    destruct (nonneg i) eqn:en; [|discriminate]. destruct (r <=? Zpos K)%Z eqn:er; [|discriminate]. bools. cbn [negb andb] in h.
    pose proof (nonneg_in _ _ en hi) as ha.
    assert (WHOLE : (match root_up isqrt K e with Some s => Some (r, s) | None => None end) = Some y -> close y (sqrt a) (sqrt b)).
    { intros g. destruct (root_up isqrt K e) as [s|] eqn:es; [|discriminate]. inv_some; subst y. apply root_up_ok in es. destruct es as [s0 s1]. fold kr in s1.
      apply close_intro with (q r) (sqrt (q e)); auto; try lra; [apply near_sqrt; auto; apply q_unit_le; lia|].
      rewrite <- (sqrt_Rsqr (q s)) by (now apply q_pos). apply sqrt_le_1_alt. unfold Rsqr, q. fold kr.
      apply Rmult_le_reg_r with (kr * kr); [nra|]. replace (IZR e / kr * (kr * kr)) with (IZR e * kr) by (field; lra).
      replace (IZR s / kr * (IZR s / kr) * (kr * kr)) with (IZR s * IZR s) by (field; lra). auto. }
    destruct (fst i) as [l|] eqn:el; [|now apply WHOLE]. destruct (relative K i (r, e)) as [p|] eqn:ep; [|now apply WHOLE].
    destruct ((0 <? l)%Z && _)%bool eqn:eb; [|now apply WHOLE]. bools. inv_some; subst y.
    destruct (relative_ok _ _ _ _ _ ep hi C) as [p0 [p1 p2]]. pose proof (q_unit p p0) as pu.
    apply close_intro with (q p / (2 - q p)) 0; try lia; [apply ce_nonneg; nia|apply near_sqrt_rel; auto; lra| |rewrite q_0; lra].
    pose proof (q_ce (p * Zpos K) (2 * Zpos K - p) ltac:(lia)) as c0. rewrite q_scal, q_k, minus_IZR, mult_IZR in c0. fold kr in c0. change (IZR 2) with 2 in c0.
    replace (q p / (2 - q p)) with (IZR p * 1 / (2 * kr - IZR p)); auto. unfold q in *. fold kr in c0 |- *.
    assert (IZR p < kr) by (apply IZR_lt; lia). field. lra.
  - (* Square *)
    destruct (size_to i) as [M|] eqn:eM; inv_some; subst y.
    + destruct (size_to_ok _ _ _ eM hi) as [M0 M1].
      apply close_intro with (q r * (2 + q r)) (q e * ((2 + 2 * q r) * q M + q e)).
      * apply ce_nonneg; nia.
      * apply ce_nonneg; [|lia]. apply Z.mul_nonneg_nonneg; auto. nia.
      * now apply near_square.
      * pose proof (q_mul r (2 * Zpos K + r)) as g. rewrite q_plus, q_scal, q_k in g. change (IZR 2) with 2 in g. lra.
      * pose proof (q_ce (e * ((2 * Zpos K + 2 * r) * M + e * Zpos K)) (Zpos K * Zpos K) ltac:(lia)) as g.
        rewrite !mult_IZR in g. fold kr in g. eapply Rle_trans; [|exact g]. right. unfold q. fold kr.
        rewrite !mult_IZR, !plus_IZR, !mult_IZR, plus_IZR, !mult_IZR. fold kr. change (IZR 2) with 2. field. lra.
    + apply close_intro with (q r * (2 + q r) + q e * (2 + 2 * q r)) (q e * (2 + 2 * q r + q e)).
      * apply ce_nonneg; nia.
      * apply ce_nonneg; nia.
      * now apply near_square_any.
      * pose proof (q_ce (r * (2 * Zpos K + r) + e * (2 * Zpos K + 2 * r)) (Zpos K) ltac:(lia)) as g. fold kr in g.
        eapply Rle_trans; [|exact g]. right. unfold q. fold kr. rewrite plus_IZR, !mult_IZR, !plus_IZR, !mult_IZR. fold kr. change (IZR 2) with 2. field. lra.
      * pose proof (q_ce (e * (2 * Zpos K + 2 * r + e)) (Zpos K) ltac:(lia)) as g. fold kr in g.
        eapply Rle_trans; [|exact g]. right. unfold q. fold kr. rewrite mult_IZR, !plus_IZR, !mult_IZR. fold kr. change (IZR 2) with 2. field. lra.
  - (* Exp *)
    set (one := match size_to i with Some M => _ | None => None end) in *.
    set (two := if (nonpos i && (r <? Zpos K)%Z && (e <? Zpos K)%Z)%bool then _ else None) in *.
    assert (ONE : one = Some y -> close y (exp a) (exp b)).
    { unfold one. intros g. destruct (size_to i) as [M|] eqn:eM; [|discriminate]. destruct (_ <=? _)%Z eqn:ed; [|discriminate]. bools. inv_some; subst y.
      destruct (size_to_ok _ _ _ eM hi) as [M0 M1]. set (d := (ce (r * M) (Zpos K) + e)%Z) in *.
      assert (d0 : (0 <= d)%Z) by (unfold d; pose proof (ce_nonneg (r * M) (Zpos K) ltac:(nia) ltac:(lia)); lia).
      assert (d1 : (0 <= d < Zpos K)%Z) by lia. destruct (quotient_ok d d1) as [q0 q1]. pose proof (q_unit d d1).
      apply close_intro with (q d / (1 - q d)) 0; auto; try lia; try (rewrite q_0; lra). apply (near_exp (q r) (q e)); auto; [|lra].
      unfold d. rewrite q_plus. pose proof (q_mul r M). pose proof (Rabs_pos a). nra. }
    assert (TWO : two = Some y -> close y (exp a) (exp b)).
    { unfold two. intros g. destruct (_ && _)%bool eqn:eb; [|discriminate]. bools. inv_some; subst y.
      destruct (quotient_ok r ltac:(lia)) as [q0 q1]. destruct (quotient_ok e ltac:(lia)) as [q2 q3].
      apply close_intro with 0 (q r / (1 - q r) + q e / (1 - q e)); try lia; [|rewrite q_0; lra|rewrite q_plus; lra].
      apply near_exp_falling; auto; [eapply nonpos_in; eauto|apply q_unit; lia|apply q_unit; lia]. }
    destruct one as [[p p']|]; [|now apply TWO]. destruct two as [[s s']|]; [|now apply ONE].
    destruct (snd j) as [t|]; [destruct (_ <=? _)%Z|]; [now apply ONE|now apply TWO|now apply TWO].
  - (* Log *)
    destruct (positive_ i) eqn:epos; [|discriminate]. destruct (relative K i (r, e)) as [p|] eqn:ep; [|discriminate]. inv_some; subst y.
    destruct (relative_ok _ _ _ _ _ ep hi C) as [p0 [p1 _]]. destruct (quotient_ok p p0) as [q0 q1].
    apply close_intro with 0 (q p / (1 - q p)); try lia; auto; [|rewrite q_0; lra].
    apply near_ln; auto; [eapply positive_in; eauto|now apply q_unit].
  - (* Reciprocal *)
    destruct (relative K i (r, e)) as [p|] eqn:ep; [|discriminate]. inv_some; subst y.
    destruct (relative_ok _ _ _ _ _ ep hi C) as [p0 [p1 p2]]. destruct (quotient_ok p p0) as [q0 q1].
    apply close_intro with (q p / (1 - q p)) 0; try lia; auto; [|rewrite q_0; lra]. apply near_inv; auto. now apply q_unit.
  - (* OnePlus *)
    destruct (relative K i (r, e)) as [p|] eqn:ep; [|discriminate].
    destruct (relative_ok _ _ _ _ _ ep hi C) as [p0 [p1 p2]]. destruct (quotient_ok p p0) as [q0 q1]. pose proof (q_unit p p0) as pu.
    assert (QP : 0 <= q p / (1 - q p)) by (apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]).
    pose proof (near_const_scal _ _ _ (val c) (near_inv _ _ _ p2 pu p1)) as g. fold (val c / a) (val c / b) in g.
    destruct (_ || _)%bool eqn:es; inv_some; subst y; rewrite !(Rplus_comm 1).
    + apply close_intro with (q p / (1 - q p)) 0; try lia; auto; [|rewrite q_0; lra]. apply near_add_same; auto.
      rewrite Rmult_1_r. pose proof (same_sign _ _ _ es hi) as ss. replace (val c / a) with (a * val c * / (a * a)) by (field; auto).
      apply Rmult_le_pos; auto. left. apply Rinv_0_lt_compat. nra.
    + apply close_intro with (q p / (1 - q p)) (0 + q p / (1 - q p) * Rabs 1); try lia; auto; [now apply near_add|rewrite Rabs_R1; lra].
  - (* Sigmoid *)
    destruct (_ && _)%bool eqn:eb; [|discriminate]. bools. inv_some; subst y.
    destruct (quotient_ok r ltac:(lia)) as [q0 q1]. destruct (quotient_ok e ltac:(lia)) as [q2 q3].
    apply close_intro with 0 (q r / (1 - q r) + q e / (1 - q e)); try lia; [|rewrite q_0; lra|rewrite q_plus; lra].
    apply near_logistic; auto; apply q_unit; lia.
  - (* Tanh *)
    destruct (_ && _)%bool eqn:eb; [|discriminate]. bools. inv_some; subst y.
    destruct (quotient_ok r ltac:(lia)) as [q0 q1]. destruct (quotient_ok (2 * e) ltac:(lia)) as [q2 q3].
    pose proof (near_mul _ _ _ _ 2 h3) as g. rewrite (Rabs_pos_eq 2) in g by lra. replace (2 * q e) with (q (2 * e)) in g by (rewrite q_scal; reflexivity).
    pose proof (near_logistic _ _ _ _ (q_unit r ltac:(lia)) (q_unit (2 * e) ltac:(lia)) g) as l. unfold near in l. rewrite Rmult_0_l, Rplus_0_l in l.
    apply close_intro with 0 (2 * (q r / (1 - q r) + q (2 * e) / (1 - q (2 * e)))); try lia; [|rewrite q_0; lra|rewrite (q_scal 2 (_ + _)), q_plus; change (IZR 2) with 2; lra].
    unfold near. rewrite Rmult_0_l, Rplus_0_l, !tanh_logistic.
    match goal with |- Rabs (2 * ?s - 1 - (2 * ?t - 1)) <= _ => replace (2 * s - 1 - (2 * t - 1)) with (2 * (s - t)) by ring end.
    rewrite Rabs_mult, (Rabs_pos_eq 2) by lra. lra.
  - (* Softplus *)
    destruct (_ && _)%bool eqn:eb; [|discriminate]. bools. inv_some; subst y.
    destruct (quotient_ok r ltac:(lia)) as [q0 q1]. destruct (quotient_ok e ltac:(lia)) as [q2 q3].
    apply close_intro with (q r) (q r / (1 - q r) + q e / (1 - q e)); try lia; [|lra|rewrite q_plus; lra].
    apply near_softplus; auto; apply q_unit; lia.
  - (* Power *)
    destruct (positive_ i) eqn:epos; [|discriminate]. destruct (relative K i (r, e)) as [p|] eqn:ep; [|discriminate].
    destruct (relative_ok _ _ _ _ _ ep hi C) as [p0 [p1 _]]. destruct (quotient_ok p p0) as [q0 q1]. pose proof (q_unit p p0) as pu.
    set (d := ce (quotient K p * Z.abs (fst c)) (Zpos (snd c))) in *. destruct (2 * d <=? Zpos K)%Z eqn:ed; [|discriminate]. bools. inv_some; subst y.
    assert (d0 : (0 <= d)%Z) by (apply ce_nonneg; nia). destruct (quotient_ok d ltac:(lia)) as [q2 q3]. pose proof (q_unit d ltac:(lia)) as du.
    pose proof (positive_in _ _ epos hi) as ha. destruct (rel_pos _ _ _ ha (proj2 pu) p1) as [hb _].
    destruct (Rlt_dec 0 a); [|lra]. destruct (Rlt_dec 0 b); [|lra].
    pose proof (near_ln _ _ _ ha pu p1) as g. apply (near_mul _ _ _ _ (val c)) in g.
    apply close_intro with (q d / (1 - q d)) 0; try lia; [|lra|rewrite q_0; lra]. unfold Rpower. rewrite !(Rmult_comm (val c)).
    apply (near_exp 0 (Rabs (val c) * (q p / (1 - q p)))); auto; [|lra].
    pose proof (q_ratio (quotient K p) c) as qr. fold d in qr. pose proof (Rabs_pos (val c)). nra.
  - (* Abs *)
    inv_some; subst y. apply close_intro with (q r) (q e); auto; try lra. now apply near_abs_fn.
  - (* ZeroBelow *)
    set (n := (fst c * Zpos K)%Z) in *. pose proof (fl_val K c) as fv. pose proof (ce_val K c) as cv. fold n kr in fv, cv.
    apply near_iff in h3 as h4.
    assert (V1 : q (fl n (Zpos (snd c))) <= val c). { unfold q. fold kr. apply Rmult_le_reg_l with kr; auto. replace (kr * (IZR (fl n (Zpos (snd c))) / kr)) with (IZR (fl n (Zpos (snd c)))) by (field; lra). auto. }
    assert (V2 : val c <= q (ce n (Zpos (snd c)))). { unfold q. fold kr. apply Rmult_le_reg_l with kr; auto. replace (kr * (IZR (ce n (Zpos (snd c))) / kr)) with (IZR (ce n (Zpos (snd c)))) by (field; lra). auto. }
    assert (QQ : forall m v, (m * Zpos K < v * Zpos K)%Z \/ (m * Zpos K <= v * Zpos K)%Z -> q m <= q v) by (intros m v g; apply q_le; nia).
    destruct (r <? Zpos K)%Z eqn:rk; [|discriminate]. bools. cbn [negb] in h. pose proof (q_unit r ltac:(lia)) as ru.
    assert (SIZE : forall t, IZR t * kr + IZR r * Rabs (IZR t) + IZR e * kr = (q t + (q r * Rabs (q t) + q e)) * (kr * kr)).
    { intros t. rewrite <- q_abs. unfold q. fold kr. rewrite abs_IZR. field. lra. }
    assert (SIZE' : forall t, IZR t * kr - IZR r * Rabs (IZR t) - IZR e * kr = (q t - (q r * Rabs (q t) + q e)) * (kr * kr)).
    { intros t. rewrite <- q_abs. unfold q. fold kr. rewrite abs_IZR. field. lra. }
    assert (ONE : forall t, IZR t * kr = q t * (kr * kr)) by (intros t; unfold q; fold kr; field; lra).
    assert (kk : 0 < kr * kr) by nra.
    destruct (match snd i with Some t => _ | None => false end) eqn:e1.
    { destruct (snd i) as [t|] eqn:et; [|discriminate]. bools. inv_some; subst y. destruct hi as [_ hi]. rewrite et in hi. apply in_below in hi.
      assert (B : q t + (q r * Rabs (q t) + q e) < q (fl n (Zpos (snd c)))).
      { apply Rmult_lt_reg_r with (kr * kr); auto. rewrite <- ONE, <- SIZE. apply IZR_lt in e1. rewrite !plus_IZR, !mult_IZR, abs_IZR in e1. fold kr in e1. exact e1. }
      pose proof (grown_mono (q r) (q e) a (q t) ltac:(lra) hi). pose proof (Rabs_pos (q t)).
      destruct (Rlt_dec a (val c)); [|exfalso; nra]. destruct (Rlt_dec b (val c)); [|exfalso; nra].
      apply close_intro with 0 0; try lia; try (rewrite q_0; lra). apply near_self. }
    destruct (match fst i with Some t => _ | None => false end) eqn:e2.
    { destruct (fst i) as [t|] eqn:et; [|discriminate]. bools. inv_some; subst y. destruct hi as [hi _]. rewrite et in hi. apply in_above in hi.
      assert (B : q (ce n (Zpos (snd c))) <= q t - (q r * Rabs (q t) + q e)).
      { apply Rmult_le_reg_r with (kr * kr); auto. rewrite <- ONE, <- SIZE'. apply IZR_le in e2. rewrite !minus_IZR, !mult_IZR, abs_IZR in e2. fold kr in e2. exact e2. }
      pose proof (shrunk_mono (q r) (q e) (q t) a ltac:(lra) hi). pose proof (Rabs_pos (q t)).
      destruct (Rlt_dec a (val c)); [exfalso; nra|]. destruct (Rlt_dec b (val c)); [exfalso; nra|]. exact C. }
    inv_some; subst y. set (w := ce (Z.abs (fst c) * Zpos K) (Zpos (snd c))) in *.
    assert (w0 : (0 <= w)%Z) by (apply ce_nonneg; nia).
    assert (wv : Rabs (val c) <= q w).
    { pose proof (q_ratio (Zpos K) c) as g. rewrite Z.mul_comm in g. fold w in g. rewrite q_k in g. lra. }
    assert (B0 : (0 <= ce ((w + e) * Zpos K) (Zpos K - r))%Z) by (apply ce_nonneg; nia).
    apply close_intro with (q r) ((Rabs (val c) + q e) / (1 - q r)); auto; try lra.
    2:{ pose proof (q_ce ((w + e) * Zpos K) (Zpos K - r) ltac:(lia)) as g. eapply Rle_trans; [|exact g].
      rewrite q_scal, q_k, minus_IZR, plus_IZR. fold kr. assert (hk : IZR r < kr) by (apply IZR_lt; lia).
      apply Rle_trans with ((q w + q e) / (1 - q r)).
      - apply Rmult_le_compat_r; [left; apply Rinv_0_lt_compat; lra|lra].
      - right. unfold q. fold kr. field. lra. }
    set (T := Rabs (val c)) in *. assert (T0 : 0 <= T) by apply Rabs_pos.
    assert (TB : T + q r * T + q e <= (T + q e) / (1 - q r)).
    { apply Rmult_le_reg_r with (1 - q r); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
    assert (QE : q e <= (T + q e) / (1 - q r)) by nra.
    pose proof (Rle_abs (val c)) as t1. pose proof (Rle_abs (- val c)) as t2. rewrite Rabs_Ropp in t2. fold T in t1, t2.
    pose proof (Rabs_pos a) as ap.
    destruct (Rlt_dec a (val c)) as [la|la], (Rlt_dec b (val c)) as [lb|lb].
    + apply near_const; lra.
    + unfold near. rewrite Rabs_R0, Rmult_0_r, Rplus_0_l, Rminus_0_r.
      pose proof (grown_mono (q r) (q e) a (val c) ltac:(lra) ltac:(lra)) as g. fold T in g. apply Rabs_le. lra.
    + unfold near. rewrite Rminus_0_l, Rabs_Ropp. assert (Rabs a <= (T + q e) / (1 - q r)); [|nra].
      destruct (Rle_lt_dec 0 a) as [sa|sa].
      * rewrite (Rabs_pos_eq a) in * by auto. apply Rmult_le_reg_r with (1 - q r); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra.
      * rewrite Rabs_left by auto. nra.
    + apply near_weaken with (q r) (q e); auto; lra.
Qed.
Lemma below_normal_ok n : (0 <= n)%Z -> (0 <= below_normal K n)%Z /\ IZR n * tiny <= q (below_normal K n).
Proof.
  intros h. unfold below_normal. split; [apply ce_nonneg; [nia|reflexivity]|].
  pose proof (q_ce (n * Zpos K) T126 ltac:(reflexivity)) as g. rewrite q_scal, q_k in g.
  replace tiny with (/ IZR T126); [unfold Rdiv in g; lra|]. unfold tiny. f_equal. unfold T126. now rewrite (pow_IZR 2 126).
Qed.
Lemma u_T24 : u = / IZR T24. Proof. unfold u. f_equal. unfold T24. now rewrite (pow_IZR 2 24). Qed.
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
  pose proof (q_ce (Zpos K * Z.of_nat n) (T24 - Z.of_nat n) ltac:(unfold T24; lia)) as g.
  rewrite (Z.mul_comm (Zpos K)). rewrite Z.mul_comm, q_scal, q_k, minus_IZR, <- inr in g. pose proof (half n h). pose proof (E_gamma n).
  assert (hT : 0 < IZR T24) by (apply IZR_lt; reflexivity). rewrite u_T24 in *.
  assert (INR n < IZR T24) by (rewrite inr; apply IZR_lt; unfold T24; lia).
  eapply Rle_trans; [|exact g]. apply Rmult_le_reg_r with (1 - INR n * / IZR T24); [lra|].
  replace (INR n * 1 / (IZR T24 - INR n) * (1 - INR n * / IZR T24)) with (INR n * / IZR T24) by (field; lra). nra.
Qed.
Lemma more_ok n b s x a v y : (0 <= n)%Z -> (0 <= b)%Z -> close x a v -> s <= q b ->
  Rabs (y - v) <= IZR n * u * Rabs v + s + tiny -> close (more K n b x) a y.
Proof.
  destruct x as [r e]. intros hn hb [h1 [h2 h3]] hs h. cbn [fst snd more] in *. destruct (below_normal_ok 1 ltac:(lia)) as [b0 b1].
  pose proof (ce_nonneg (n * (Zpos K + r)) T24 ltac:(nia) ltac:(reflexivity)) as c1. pose proof (ce_nonneg (n * e) T24 ltac:(nia) ltac:(reflexivity)) as c2.
  pose proof (q_ce (n * (Zpos K + r)) T24 ltac:(reflexivity)) as d1. pose proof (q_ce (n * e) T24 ltac:(reflexivity)) as d2.
  rewrite q_scal, q_plus, q_k in d1. rewrite q_scal in d2.
  apply close_intro with (q r + IZR n * u * (1 + q r)) (q e + IZR n * u * q e + (s + tiny)); try lia.
  - apply (near_round (IZR n) (s + tiny) _ _ a v y); auto; [now apply IZR_le|now apply q_pos|lra].
  - rewrite q_plus, u_T24. unfold Rdiv in d1. lra.
  - rewrite !q_plus, u_T24. unfold Rdiv in d2. rewrite Rmult_1_l in b1. lra.
Qed.
Lemma units_ok f : (match f with AddNumber _ | MulNumber _ | DivRootNumber _ => False | _ => True end) ->
  IZR (fst (units_of K f)) = fst (units f) /\ (0 <= fst (units_of K f))%Z /\ (0 <= snd (units_of K f))%Z /\ snd (units f) * u <= q (snd (units_of K f)).
Proof.
  assert (ONE : forall n, (0 <= n)%Z -> (0 <= ce (n * Zpos K) T24)%Z /\ IZR n * u <= q (ce (n * Zpos K) T24)).
  { intros n hn. split; [apply ce_nonneg; [nia|reflexivity]|]. pose proof (q_ce (n * Zpos K) T24 ltac:(reflexivity)) as g.
    rewrite q_scal, q_k in g. rewrite u_T24. unfold Rdiv in g. lra. }
  destruct f; intros F; try destruct F; cbn [units_of units fst snd]; repeat split; try lia; try reflexivity;
    try (rewrite Rmult_0_l, q_0; lra); try (now apply ONE).
  - apply ce_nonneg; [nia|unfold T24; lia].
  - pose proof (q_ce (2 * Z.abs (fst c) * Zpos K) (Zpos (snd c) * T24) ltac:(unfold T24; lia)) as g.
    rewrite q_scal, q_k, !mult_IZR in g. rewrite zratio, u_T24. change (IZR 2) with 2 in g. eapply Rle_trans; [|exact g]. right.
    pose proof (posR (snd c)). assert (0 < IZR T24) by (apply IZR_lt; reflexivity). field. lra.
Qed.
Lemma along_ok f i j x y a b d : along isqrt K rounds f i j x = Some y -> inK i a -> close x a b -> executes f b d -> close y (apply f a) d.
Proof.
  unfold along. intros h hi c ex. destruct (spread isqrt K rounds f i j x) as [s|] eqn:es; [|discriminate].
  pose proof (spread_ok _ _ _ _ _ _ _ es hi c) as cs.
  assert (F : match f with AddNumber _ | MulNumber _ | DivRootNumber _ => False | _ => True end) by (destruct f; auto; destruct x; discriminate).
  destruct (units_ok f F) as [u1 [u2 [u3 u4]]]. destruct (units_of K f) as [n w]. cbn [fst snd] in *. destruct (_ <=? _)%Z; [|discriminate]. inv_some; subst y.
  apply more_ok with (s := snd (units f) * u) (v := apply f b); auto. unfold executes in ex. rewrite u1. exact ex.
Qed.
Theorem trace_ok c : forall i x i' x' a b d, trace isqrt K rounds c i x = Some (i', x') -> inK i a -> close x a b -> computes c b d ->
  inK i' (run c a) /\ close x' (run c a) d.
Proof.
  induction c as [|f c IH]; intros i x i' x' a b d h hi hc hd; cbn [trace computes] in *.
  - inv_some. subst. auto.
  - destruct (image1 isqrt K rounds f i) as [j|] eqn:ej; [|discriminate]. destruct (along isqrt K rounds f i j x) as [y|] eqn:ey; [|discriminate].
    destruct hd as [v [h1 h2]]. cbn [run fold_left]. change (fold_left (fun t g => apply g t) c (apply f a)) with (run c (apply f a)).
    eapply IH; eauto; [eapply image1_ok; eauto|eapply along_ok; eauto].
Qed.
Lemma trace_unit c : forall i x r, (fst x <= Zpos K)%Z -> trace isqrt K rounds c i x = Some r -> (fst (snd r) <= Zpos K)%Z.
Proof.
  induction c as [|f c IH]; intros i x r hx h; cbn [trace] in *; [inv_some; subst; auto|].
  destruct (image1 isqrt K rounds f i) as [j|]; [|discriminate]. destruct (along isqrt K rounds f i j x) as [y|] eqn:ey; [|discriminate].
  eapply IH; [|exact h]. unfold along in ey. destruct (spread isqrt K rounds f i j x); [|discriminate]. destruct (units_of K f).
  destruct (_ <=? _)%Z eqn:el; [|discriminate]. inv_some; subst y. now apply Z.leb_le.
Qed.
Lemma trace_app c1 c2 : forall i x r, trace isqrt K rounds (c1 ++ c2) i x = Some r ->
  exists m, trace isqrt K rounds c1 i x = Some m /\ trace isqrt K rounds c2 (fst m) (snd m) = Some r.
Proof.
  induction c1 as [|f c1 IH]; intros i x r h; cbn [app trace] in *; [exists (i, x); auto|].
  destruct (image1 isqrt K rounds f i) as [j|]; [|discriminate]. destruct (along isqrt K rounds f i j x) as [y|]; [|discriminate]. now apply IH.
Qed.
End Errors.
