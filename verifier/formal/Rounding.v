(** Errors: what is known of a computed number that is known to be near an exact one.

    [near r e x y]: y errs by at most r |x| + e. Similarities keep this form, and the extremes and
    sums of lists do. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Permutation.
From Protoproof Require Import Spec Base Interval Float.
Import ListNotations.
Local Open Scope R_scope.

Lemma u_pos : 0 < u. Proof. unfold u. apply Rinv_0_lt_compat, pow_lt. lra. Qed.
Lemma u_small : u <= / 1000. Proof. unfold u. apply Rinv_le_contravar; [lra|]. cbn. lra. Qed.
Lemma tiny_pos : 0 < tiny. Proof. unfold tiny. apply Rinv_0_lt_compat, pow_lt. lra. Qed.
Lemma tiny_small : tiny <= u / 1000.
Proof.
  unfold tiny, u. replace 126%nat with (24 + 102)%nat by lia. rewrite pow_add.
  assert (0 < 2 ^ 24) by (apply pow_lt; lra). assert (1000 <= 2 ^ 102).
  { replace 102%nat with (10 + 92)%nat by lia. rewrite pow_add. pose proof (pow_R1_Rle 2 92 ltac:(lra)).
    assert (2 ^ 10 = 1024) by (cbn; lra). nra. }
  rewrite Rinv_mult. unfold Rdiv. apply Rmult_le_compat_l; [left; now apply Rinv_0_lt_compat|].
  apply Rinv_le_contravar; lra.
Qed.

Definition E (n : nat) : R := (1 + u) ^ n.
Lemma E_ge1 n : 1 <= E n. Proof. unfold E. apply pow_R1_Rle. pose proof u_pos. lra. Qed.
Lemma E_mono m n : (m <= n)%nat -> E m <= E n.
Proof. intros. unfold E. apply Rle_pow; auto. pose proof u_pos. lra. Qed.
Lemma E_S n : E (S n) = (1 + u) * E n. Proof. reflexivity. Qed.
Lemma E_plus m n : E (m + n) = E m * E n. Proof. unfold E. apply pow_add. Qed.
Lemma E_units k : 1 + INR k * u <= E k.
Proof.
  induction k; [cbn; lra|]. rewrite S_INR, E_S. pose proof u_pos. pose proof (pos_INR k). nra.
Qed.
Lemma E_gamma n : E n * (1 - INR n * u) <= 1.
Proof.
  induction n; [cbn; lra|]. rewrite S_INR, E_S. pose proof u_pos. pose proof (pos_INR n). pose proof (E_ge1 n).
  replace ((1 + u) * E n * (1 - (INR n + 1) * u)) with (E n * (1 - INR n * u) - E n * (u * u * (INR n + 1))) by ring.
  assert (0 <= E n * (u * u * (INR n + 1))) by (apply Rmult_le_pos; nra). lra.
Qed.

(** ** Near *)
Definition near (r e x y : R) : Prop := Rabs (y - x) <= r * Rabs x + e.
Lemma between x b : Rabs x <= b <-> - b <= x <= b.
Proof.
  split; [|intros; now apply Rabs_le]. intros h. pose proof (Rle_abs x). pose proof (Rle_abs (- x)) as g.
  rewrite Rabs_Ropp in g. lra.
Qed.
Lemma near_iff r e x y : near r e x y <-> x - (r * Rabs x + e) <= y <= x + (r * Rabs x + e).
Proof. unfold near. rewrite between. split; lra. Qed.
Lemma near_self x : near 0 0 x x.
Proof. unfold near. rewrite Rminus_diag_eq, Rabs_R0 by auto. lra. Qed.
Lemma near_weaken r e r' e' x y : r <= r' -> e <= e' -> near r e x y -> near r' e' x y.
Proof. unfold near. intros h1 h2 h. pose proof (Rabs_pos x). nra. Qed.
Lemma near_abs r e x y : near r e x y -> Rabs y <= (1 + r) * Rabs x + e.
Proof. unfold near. intros h. replace y with (x + (y - x)) by ring. pose proof (Rabs_triang x (y - x)). lra. Qed.
Lemma near_bounded r e x y M : 0 <= r -> Rabs x <= M -> near r e x y -> near 0 (r * M + e) x y.
Proof. unfold near. intros h1 h2 h. pose proof (Rabs_pos x). nra. Qed.
Lemma near_relative r e x y a : 0 <= e -> 0 < a -> a <= Rabs x -> near r e x y -> near (r + e / a) 0 x y.
Proof.
  unfold near. intros he ha h1 h. assert (e <= e / a * Rabs x); [|nra].
  apply Rmult_le_reg_r with a; auto. replace (e / a * Rabs x * a) with (e * Rabs x) by (field; lra). nra.
Qed.
(** rounding once more *)
Lemma near_round k b r e x v y : 0 <= k -> 0 <= r -> near r e x v -> Rabs (y - v) <= k * u * Rabs v + b ->
  near (r + k * u * (1 + r)) (e + k * u * e + b) x y.
Proof.
  intros hk hr h g. pose proof (near_abs _ _ _ _ h) as a. unfold near in *. pose proof u_pos as up.
  replace (y - x) with ((y - v) + (v - x)) by ring. pose proof (Rabs_triang (y - v) (v - x)).
  assert (k * u * Rabs v <= k * u * ((1 + r) * Rabs x + e)) by (apply Rmult_le_compat_l; [nra|auto]). nra.
Qed.
Lemma near_opp r e x y : near r e x y -> near r e (- x) (- y).
Proof. unfold near. intros h. rewrite Rabs_Ropp. replace (- y - - x) with (- (y - x)) by ring. now rewrite Rabs_Ropp. Qed.
Lemma near_mul r e x y c : near r e x y -> near r (Rabs c * e) (x * c) (y * c).
Proof.
  unfold near. intros h. rewrite <- Rmult_minus_distr_r, !Rabs_mult. pose proof (Rabs_pos c). nra.
Qed.
Lemma near_add r e x y c : 0 <= r -> near r e x y -> near r (e + r * Rabs c) (x + c) (y + c).
Proof.
  unfold near. intros hr h. replace (y + c - (x + c)) with (y - x) by ring.
  assert (Rabs x <= Rabs (x + c) + Rabs c). { replace x with (x + c + - c) at 1 by ring. rewrite <- (Rabs_Ropp c). apply Rabs_triang. }
  nra.
Qed.
Lemma near_add_same r e x y c : 0 <= r -> 0 <= x * c -> near r e x y -> near r e (x + c) (y + c).
Proof.
  unfold near. intros hr hs h. replace (y + c - (x + c)) with (y - x) by ring.
  assert (Rabs x <= Rabs (x + c)); [|nra].
  unfold Rabs. destruct (Rcase_abs x), (Rcase_abs (x + c)); nra.
Qed.
(** what a bound with 0 <= r <= 1 does to the order *)
Lemma grown_mono r e x y : 0 <= r <= 1 -> x <= y -> x + (r * Rabs x + e) <= y + (r * Rabs y + e).
Proof. intros hr h. unfold Rabs. destruct (Rcase_abs x), (Rcase_abs y); nra. Qed.
Lemma shrunk_mono r e x y : 0 <= r <= 1 -> x <= y -> x - (r * Rabs x + e) <= y - (r * Rabs y + e).
Proof. intros hr h. unfold Rabs. destruct (Rcase_abs x), (Rcase_abs y); nra. Qed.
Lemma near_max r e x y a b : 0 <= r <= 1 -> near r e x y -> near r e a b -> near r e (Rmax x a) (Rmax y b).
Proof.
  intros hr. rewrite !near_iff. intros h1 h2.
  pose proof (grown_mono r e x (Rmax x a) hr (Rmax_l _ _)). pose proof (grown_mono r e a (Rmax x a) hr (Rmax_r _ _)).
  split; [|apply Rmax_lub; lra].
  unfold Rmax at 1 2. destruct (Rle_dec x a); eapply Rle_trans; [apply h2|apply Rmax_r|apply h1|apply Rmax_l].
Qed.
Lemma near_min r e x y a b : 0 <= r <= 1 -> near r e x y -> near r e a b -> near r e (Rmin x a) (Rmin y b).
Proof.
  intros hr. rewrite !near_iff. intros h1 h2.
  pose proof (shrunk_mono r e (Rmin x a) x hr (Rmin_l _ _)). pose proof (shrunk_mono r e (Rmin x a) a hr (Rmin_r _ _)).
  split; [apply Rmin_glb; lra|].
  unfold Rmin at 2 3. destruct (Rle_dec x a); eapply Rle_trans; [apply Rmin_l|apply h1|apply Rmin_r|apply h2].
Qed.
Lemma near_const r e c : 0 <= r -> 0 <= e -> near r e c c.
Proof. intros. apply near_weaken with 0 0; auto. apply near_self. Qed.
Lemma near_least r e xs ys : 0 <= r <= 1 -> 0 <= e -> Forall2 (near r e) xs ys -> near r e (least xs) (least ys).
Proof.
  intros hr he. induction 1 as [|x y xs ys h1 h2 IH]; [now apply near_const|]. cbn [least].
  destruct h2; auto. now apply near_min.
Qed.
Lemma near_most r e xs ys : 0 <= r <= 1 -> 0 <= e -> Forall2 (near r e) xs ys -> near r e (most xs) (most ys).
Proof.
  intros hr he. induction 1 as [|x y xs ys h1 h2 IH]; [now apply near_const|]. cbn [most].
  destruct h2; auto. now apply near_max.
Qed.
Lemma near_abs_fn r e x y : near r e x y -> near r e (Rabs x) (Rabs y).
Proof. unfold near. intros h. rewrite Rabs_Rabsolu. eapply Rle_trans; [apply Rabs_triang_inv2|]. exact h. Qed.

(** ** Functions of one variable *)
Lemma rel_pos r x y : 0 < x -> r < 1 -> near r 0 x y -> 0 < y /\ 1 - r <= y / x <= 1 + r.
Proof.
  intros hx hr. rewrite near_iff, (Rabs_pos_eq x) by lra. intros [h1 h2]. assert (hy : 0 < y) by nra. split; auto.
  split; apply Rmult_le_reg_r with x; auto; unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; lra.
Qed.
Lemma near_ln r x y : 0 < x -> 0 <= r < 1 -> near r 0 x y -> near 0 (r / (1 - r)) (ln x) (ln y).
Proof.
  intros hx hr h. destruct (rel_pos r x y hx ltac:(lra) h) as [hy [h1 h2]].
  assert (hq : 0 < y / x) by (apply Rdiv_lt_0_compat; auto).
  assert (e : ln y - ln x = ln (y / x)). { unfold Rdiv. rewrite ln_mult by (auto; now apply Rinv_0_lt_compat). rewrite ln_Rinv by auto. ring. }
  assert (q : r <= r / (1 - r)). { apply Rmult_le_reg_r with (1 - r); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
  unfold near. rewrite Rmult_0_l, Rplus_0_l, e, between. split.
  - pose proof (ln_ge_line _ hq) as g. assert (/ (y / x) <= / (1 - r)) by (apply Rinv_le_contravar; lra).
    replace (r / (1 - r)) with (/ (1 - r) - 1) by (field; lra). lra.
  - pose proof (ln_le_line _ hq). lra.
Qed.
Lemma near_inv r x y : x <> 0 -> 0 <= r < 1 -> near r 0 x y -> near (r / (1 - r)) 0 (/ x) (/ y).
Proof.
  intros hx hr h. unfold near in *. pose proof (Rabs_pos_lt x hx) as px.
  assert (hy : (1 - r) * Rabs x <= Rabs y).
  { pose proof (Rabs_triang_inv x y) as t. rewrite Rabs_minus_sym in t. lra. }
  assert (py : 0 < Rabs y) by nra. assert (ny : y <> 0) by (intros ->; rewrite Rabs_R0 in py; lra).
  replace (/ y - / x) with (- (y - x) * / (x * y)) by (field; auto).
  rewrite Rabs_mult, Rabs_Ropp, !Rabs_inv, Rabs_mult.
  apply Rmult_le_reg_r with (Rabs x * Rabs y); [nra|]. rewrite Rmult_assoc, Rinv_l by nra.
  replace ((r / (1 - r) * / Rabs x + 0) * (Rabs x * Rabs y)) with (r * (Rabs y / (1 - r))) by (field; lra).
  assert (Rabs x <= Rabs y / (1 - r)). { apply Rmult_le_reg_r with (1 - r); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
  nra.
Qed.
Lemma near_sqrt_rel r x y : 0 < x -> 0 <= r < 1 -> near r 0 x y -> near (r / (2 - r)) 0 (sqrt x) (sqrt y).
Proof.
  intros hx hr h. destruct (rel_pos r x y hx ltac:(lra) h) as [hy [h1 _]]. unfold near in *.
  pose proof (sqrt_lt_R0 _ hx) as sx. pose proof (sqrt_pos y) as sy. pose proof (sqrt_def x ltac:(lra)) as qx. pose proof (sqrt_def y ltac:(lra)) as qy.
  assert (L : (1 - r) * sqrt x <= sqrt y).
  { apply Rsqr_incr_0_var; auto. unfold Rsqr.
    assert (G : (1 - r) * x <= y) by (apply Rmult_le_reg_r with (/ x); [now apply Rinv_0_lt_compat|]; rewrite Rmult_assoc, Rinv_r by lra; unfold Rdiv in h1; lra).
    nra. }
  rewrite (Rabs_pos_eq (sqrt x)) by lra. rewrite (Rabs_pos_eq x) in h by lra.
  apply Rmult_le_reg_r with ((2 - r) * sqrt x); [nra|].
  replace ((r / (2 - r) * sqrt x + 0) * ((2 - r) * sqrt x)) with (r * (sqrt x * sqrt x)) by (field; lra). rewrite qx.
  assert (K : Rabs (sqrt y - sqrt x) * (sqrt y + sqrt x) = Rabs (y - x)).
  { rewrite <- (Rabs_pos_eq (sqrt y + sqrt x)) by lra. rewrite <- Rabs_mult. f_equal. nra. }
  pose proof (Rabs_pos (sqrt y - sqrt x)). nra.
Qed.
Lemma near_sqrt r e x y : 0 <= x -> 0 <= r <= 1 -> 0 <= e -> near r e x y -> near r (sqrt e) (sqrt x) (sqrt y).
Proof.
  intros hx hr he. rewrite !near_iff, (Rabs_pos_eq x) by auto. intros [h1 h2].
  pose proof (sqrt_pos x) as sx. pose proof (sqrt_pos e) as se. pose proof (sqrt_def x hx) as qx. pose proof (sqrt_def e he) as qe.
  rewrite (Rabs_pos_eq (sqrt x)) by auto. set (s := sqrt x) in *. set (q := sqrt e) in *. split.
  - destruct (Rle_lt_dec ((1 - r) * s) q) as [c|c]; [pose proof (sqrt_pos y); lra|].
    replace (s - (r * s + q)) with ((1 - r) * s - q) by ring.
    assert (0 <= y) by nra. rewrite <- (sqrt_Rsqr ((1 - r) * s - q)) by lra. apply sqrt_le_1_alt. unfold Rsqr. nra.
  - replace (s + (r * s + q)) with ((1 + r) * s + q) by ring. rewrite <- (sqrt_Rsqr ((1 + r) * s + q)) by nra.
    apply sqrt_le_1_alt. unfold Rsqr.
    assert (0 <= r * ((1 + r) * x)) by (apply Rmult_le_pos; nra). assert (0 <= (1 + r) * (s * q)) by (apply Rmult_le_pos; nra).
    replace (((1 + r) * s + q) * ((1 + r) * s + q)) with ((1 + r) * (1 + r) * (s * s) + 2 * ((1 + r) * (s * q)) + q * q) by ring.
    rewrite qx, qe. nra.
Qed.
Lemma near_square r e x y M : 0 <= r -> 0 <= e -> Rabs x <= M -> near r e x y ->
  near (r * (2 + r)) (e * ((2 + 2 * r) * M + e)) (x * x) (y * y).
Proof.
  intros hr he hM h. pose proof (near_abs _ _ _ _ h) as a. unfold near in *. pose proof (Rabs_pos x).
  replace (y * y - x * x) with ((y - x) * (y + x)) by ring. rewrite !Rabs_mult.
  pose proof (Rabs_triang y x). pose proof (Rabs_pos (y - x)). pose proof (Rabs_pos (y + x)).
  assert (Rabs (y + x) <= (2 + r) * Rabs x + e) by lra.
  assert (Rabs (y - x) * Rabs (y + x) <= (r * Rabs x + e) * ((2 + r) * Rabs x + e)) by (apply Rmult_le_compat; lra).
  assert (e * ((2 + 2 * r) * Rabs x) <= e * ((2 + 2 * r) * M)) by (apply Rmult_le_compat_l; [lra|nra]). nra.
Qed.
Lemma near_square_any r e x y : 0 <= r -> 0 <= e -> near r e x y ->
  near (r * (2 + r) + e * (2 + 2 * r)) (e * (2 + 2 * r + e)) (x * x) (y * y).
Proof.
  intros hr he h. pose proof (near_square r e x y (Rabs x) hr he ltac:(lra) h) as g. unfold near in *. rewrite Rabs_mult in *.
  pose proof (Rabs_pos x). assert (Rabs x <= 1 + Rabs x * Rabs x) by nra.
  assert (e * ((2 + 2 * r) * Rabs x) <= e * ((2 + 2 * r) * (1 + Rabs x * Rabs x))) by (apply Rmult_le_compat_l; [lra|apply Rmult_le_compat_l; lra]). nra.
Qed.
Lemma exp_up_line d : d < 1 -> exp d <= / (1 - d).
Proof.
  intros h. pose proof (exp_ineq1_le (- d)) as e. pose proof (exp_pos d). rewrite exp_Ropp in e.
  apply Rmult_le_reg_r with (1 - d); [lra|]. rewrite Rinv_l by lra.
  apply Rmult_le_reg_l with (/ exp d); [now apply Rinv_0_lt_compat|]. rewrite <- Rmult_assoc, Rinv_l by lra. lra.
Qed.
Lemma near_exp r e x y d : r * Rabs x + e <= d -> d < 1 -> near r e x y -> near (d / (1 - d)) 0 (exp x) (exp y).
Proof.
  intros h1 h2 h. unfold near in *. assert (g : - d <= y - x <= d) by (apply between; lra).
  assert (0 <= d) by lra. pose proof (exp_pos x) as px. rewrite (Rabs_pos_eq (exp x)) by lra.
  assert (ey : exp y = exp x * exp (y - x)) by (rewrite <- exp_plus; f_equal; ring).
  pose proof (exp_ineq1_le (y - x)). pose proof (exp_up_line (y - x) ltac:(lra)).
  assert (/ (1 - (y - x)) <= / (1 - d)) by (apply Rinv_le_contravar; lra).
  assert (d <= d / (1 - d)). { apply Rmult_le_reg_r with (1 - d); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
  replace (/ (1 - d)) with (1 + d / (1 - d)) in * by (field; lra).
  rewrite ey. apply between. split; nra.
Qed.
(** of numbers that are not positive, however large *)
Lemma near_exp_falling r e x y : x <= 0 -> 0 <= r < 1 -> 0 <= e < 1 -> near r e x y ->
  near 0 (r / (1 - r) + e / (1 - e)) (exp x) (exp y).
Proof.
  intros hx hr he. rewrite !near_iff, (Rabs_left1 x) by auto. intros [h1 h2]. rewrite Rmult_0_l, Rplus_0_l.
  assert (q : e <= e / (1 - e)). { apply Rmult_le_reg_r with (1 - e); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
  assert (qr : r <= r / (1 - r)). { apply Rmult_le_reg_r with (1 - r); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
  assert (T : forall t, t <= 0 -> (- t) * exp t <= 1).
  { intros t ht. pose proof (exp_ineq1_le (- t)) as g. rewrite exp_Ropp in g. pose proof (exp_pos t).
    apply Rmult_le_reg_r with (/ exp t); [now apply Rinv_0_lt_compat|]. rewrite Rmult_assoc, Rinv_r by lra. lra. }
  assert (P1 : forall t, t <= 0 -> exp t <= 1) by (intros; rewrite <- exp_0; now apply exp_mono).
  split.
  - assert (exp ((1 + r) * x - e) <= exp y) by (apply exp_mono; lra).
    replace ((1 + r) * x - e) with (x + (r * x - e)) in H by ring. rewrite exp_plus in H.
    pose proof (exp_ineq1_le (r * x - e)). pose proof (exp_pos x). pose proof (T x hx). pose proof (P1 x hx). nra.
  - assert (exp y <= exp ((1 - r) * x + e)) by (apply exp_mono; lra). rewrite exp_plus in H.
    pose proof (exp_up_line e ltac:(lra)) as ee. replace (/ (1 - e)) with (1 + e / (1 - e)) in ee by (field; lra).
    set (w := (1 - r) * x) in *. assert (hw : w <= 0) by (unfold w; nra). pose proof (exp_pos w). pose proof (P1 w hw). pose proof (T w hw) as tw.
    assert (ex : exp w + exp w * (r * x) <= exp x).
    { replace x with (w + r * x) at 2 by (unfold w; ring). rewrite exp_plus. pose proof (exp_ineq1_le (r * x)). nra. }
    assert (- (exp w * (r * x)) <= r / (1 - r)).
    { replace (- (exp w * (r * x))) with (r / (1 - r) * (- w * exp w)) by (unfold w; field; lra). assert (0 <= r / (1 - r)) by lra. nra. }
    assert (exp w * exp e <= exp w + e / (1 - e)) by nra. lra.
Qed.
(** y / (1 + y) and ln (1 + y) are no steeper than y *)
Lemma logistic_exp x : / (1 + exp (- x)) = exp x / (1 + exp x).
Proof. rewrite exp_Ropp. pose proof (exp_pos x). field. split; lra. Qed.
Lemma share_lipschitz a b : 0 < a -> 0 < b -> Rabs (b / (1 + b) - a / (1 + a)) <= Rabs (b - a).
Proof.
  intros ha hb. replace (b / (1 + b) - a / (1 + a)) with ((b - a) * / ((1 + b) * (1 + a))) by (field; lra).
  rewrite Rabs_mult, Rabs_inv, (Rabs_pos_eq ((1 + b) * (1 + a))) by nra.
  rewrite <- (Rmult_1_r (Rabs (b - a))) at 2. apply Rmult_le_compat_l; [apply Rabs_pos|].
  rewrite <- Rinv_1. apply Rinv_le_contravar; nra.
Qed.
Lemma near_logistic r e x y : 0 <= r < 1 -> 0 <= e < 1 -> near r e x y ->
  near 0 (r / (1 - r) + e / (1 - e)) (/ (1 + exp (- x))) (/ (1 + exp (- y))).
Proof.
  intros hr he.
  assert (L : forall x y, x <= 0 -> near r e x y -> Rabs (/ (1 + exp (- y)) - / (1 + exp (- x))) <= r / (1 - r) + e / (1 - e)).
  { intros a b ha h. rewrite !logistic_exp. eapply Rle_trans; [apply share_lipschitz; apply exp_pos|].
    pose proof (near_exp_falling r e a b ha hr he h) as g. unfold near in g. lra. }
  intros h. unfold near at 1. rewrite Rmult_0_l, Rplus_0_l. destruct (Rle_lt_dec x 0) as [c|c]; [now apply L|].
  pose proof (L (- x) (- y) ltac:(lra) (near_opp _ _ _ _ h)) as g. rewrite !Ropp_involutive in g.
  assert (F : forall t, / (1 + exp (- t)) = 1 - / (1 + exp t)).
  { intros t. rewrite exp_Ropp. pose proof (exp_pos t). field. split; lra. }
  rewrite !F. replace (1 - / (1 + exp y) - (1 - / (1 + exp x))) with (- (/ (1 + exp y) - / (1 + exp x))) by ring.
  now rewrite Rabs_Ropp.
Qed.
Lemma ln1_lipschitz a b : 0 < a -> 0 < b -> Rabs (ln (1 + b) - ln (1 + a)) <= Rabs (b - a).
Proof.
  assert (G : forall a b, 0 < a -> a <= b -> 0 <= ln (1 + b) - ln (1 + a) <= b - a).
  { intros p q hp hq. pose proof (ln_mono (1 + p) (1 + q) ltac:(lra) ltac:(lra)). split; [lra|].
    assert (hd : 0 < (1 + q) / (1 + p)) by (apply Rdiv_lt_0_compat; lra).
    pose proof (ln_le_line _ hd) as l. unfold Rdiv in l. rewrite ln_mult, ln_Rinv in l by (try apply Rinv_0_lt_compat; lra).
    assert ((1 + q) * / (1 + p) - 1 <= q - p); [|lra].
    apply Rmult_le_reg_r with (1 + p); [lra|]. replace (((1 + q) * / (1 + p) - 1) * (1 + p)) with (q - p) by (field; lra). nra. }
  intros ha hb. destruct (Rle_lt_dec a b) as [c|c].
  - pose proof (G a b ha c). rewrite !Rabs_pos_eq; lra.
  - pose proof (G b a hb ltac:(lra)). rewrite !Rabs_left1; lra.
Qed.
Lemma near_softplus r e x y : 0 <= r < 1 -> 0 <= e < 1 -> near r e x y ->
  near r (r / (1 - r) + e / (1 - e)) (ln (1 + exp x)) (ln (1 + exp y)).
Proof.
  intros hr he h. pose proof (exp_pos x) as px. pose proof (exp_pos y) as py.
  assert (q : e <= e / (1 - e)). { apply Rmult_le_reg_r with (1 - e); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
  assert (qr : r <= r / (1 - r)). { apply Rmult_le_reg_r with (1 - r); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
  destruct (Rle_lt_dec x 0) as [c|c].
  - apply near_weaken with 0 (r / (1 - r) + e / (1 - e)); [lra|lra|]. unfold near. rewrite Rmult_0_l, Rplus_0_l.
    eapply Rle_trans; [apply ln1_lipschitz; auto|]. pose proof (near_exp_falling r e x y c hr he h) as g. unfold near in g. lra.
  - assert (S : forall t, t <= ln (1 + exp t)).
    { intros t. rewrite <- (ln_exp t) at 1. apply ln_mono; [apply exp_pos|lra]. }
    assert (G : forall a b, a <= b -> 0 <= ln (1 + exp b) - ln (1 + exp a) <= b - a).
    { intros a b hab. pose proof (exp_pos a). pose proof (exp_pos b). pose proof (exp_mono a b hab).
      pose proof (ln_mono (1 + exp a) (1 + exp b) ltac:(lra) ltac:(lra)). split; [lra|].
      assert (1 + exp b <= exp (b - a) * (1 + exp a)).
      { assert (exp b = exp (b - a) * exp a) by (rewrite <- exp_plus; f_equal; ring). pose proof (exp_ineq1_le (b - a)). nra. }
      pose proof (ln_mono (1 + exp b) (exp (b - a) * (1 + exp a)) ltac:(lra) ltac:(lra)) as l.
      rewrite ln_mult, ln_exp in l by (try apply exp_pos; lra). lra. }
    unfold near in *. rewrite (Rabs_pos_eq x) in h by lra. pose proof (S x). rewrite (Rabs_pos_eq (ln (1 + exp x))) by lra.
    apply between in h. apply between. destruct (Rle_lt_dec x y) as [d|d]; [pose proof (G x y d)|pose proof (G y x ltac:(lra))]; nra.
Qed.

(** ** Sums *)
Definition tabs (xs : list R) : R := total (map Rabs xs).
Lemma total_app a b : total (a ++ b) = total a + total b.
Proof. induction a; cbn; [lra|]. rewrite IHa. lra. Qed.
Lemma total_perm a b : Permutation a b -> total a = total b.
Proof. induction 1; cbn in *; lra. Qed.
Lemma tabs_nonneg a : 0 <= tabs a.
Proof. unfold tabs. induction a as [|x a IH]; cbn; [lra|]. pose proof (Rabs_pos x). lra. Qed.
Lemma total_tabs a : Rabs (total a) <= tabs a.
Proof. unfold tabs. induction a as [|x a IH]; cbn; [rewrite Rabs_R0; lra|]. pose proof (Rabs_triang x (total a)). lra. Qed.
Lemma sums_length l r : sums l r -> (1 <= length l)%nat.
Proof. induction 1 as [x|l l1 l2 a b r hp h1 IH1 h2 IH2 hr]; cbn; auto. apply Permutation_length in hp. rewrite hp, app_length. lia. Qed.
Lemma sums_err l r : sums l r -> Rabs (r - total l) <= (E (pred (length l)) - 1) * tabs l + INR (pred (length l)) * E (pred (length l)) * tiny.
Proof.
  induction 1 as [x|l l1 l2 a b r hp h1 IH1 h2 IH2 hr].
  - cbn. replace (x - (x + 0)) with 0 by lra. rewrite Rabs_R0. unfold E. cbn. lra.
  - unfold tabs in *. rewrite (total_perm _ _ hp), (total_perm _ _ (Permutation_map Rabs hp)), map_app, !total_app, (Permutation_length hp), app_length.
    fold (tabs l1) (tabs l2) in *.
    pose proof (sums_length _ _ h1) as n1. pose proof (sums_length _ _ h2) as n2.
    pose proof (tabs_nonneg l1) as p1. pose proof (tabs_nonneg l2) as p2. pose proof (total_tabs l1) as q1. pose proof (total_tabs l2) as q2.
    set (S1 := total l1) in *. set (S2 := total l2) in *. set (A1 := tabs l1) in *. set (A2 := tabs l2) in *.
    set (e1 := E (pred (length l1))) in *. set (e2 := E (pred (length l2))) in *.
    set (m1 := INR (pred (length l1)) * e1 * tiny) in *. set (m2 := INR (pred (length l2)) * e2 * tiny) in *.
    assert (Ha : Rabs a <= e1 * A1 + m1). { replace a with (S1 + (a - S1)) by lra. eapply Rle_trans; [apply Rabs_triang|]. lra. }
    assert (Hb : Rabs b <= e2 * A2 + m2). { replace b with (S2 + (b - S2)) by lra. eapply Rle_trans; [apply Rabs_triang|]. lra. }
    unfold rounds_to in hr.
    replace (r - (S1 + S2)) with ((a - S1) + (b - S2) + (r - (a + b))) by lra.
    eapply Rle_trans; [apply Rabs_triang|]. eapply Rle_trans; [apply Rplus_le_compat_r, Rabs_triang|].
    assert (Hd : Rabs (r - (a + b)) <= u * (e1 * A1 + m1) + u * (e2 * A2 + m2) + tiny).
    { pose proof (Rabs_triang a b). pose proof u_pos. nra. }
    set (n := pred (length l1 + length l2)). assert (hn : n = S (pred (length l1) + pred (length l2))) by (unfold n; lia).
    assert (K1 : (1 + u) * e1 <= E n) by (unfold e1; rewrite <- E_S; apply E_mono; lia).
    assert (K2 : (1 + u) * e2 <= E n) by (unfold e2; rewrite <- E_S; apply E_mono; lia).
    pose proof (E_ge1 n) as F1. pose proof tiny_pos as tp. pose proof u_pos as up.
    assert (M : (1 + u) * m1 + (1 + u) * m2 + tiny <= INR n * E n * tiny).
    { rewrite hn, S_INR, plus_INR, <- hn. unfold m1, m2. pose proof (pos_INR (pred (length l1))) as i1. pose proof (pos_INR (pred (length l2))) as i2.
      set (a1 := INR (pred (length l1))) in *. set (a2 := INR (pred (length l2))) in *.
      assert (a1 * ((1 + u) * e1) <= a1 * E n) by (apply Rmult_le_compat_l; auto).
      assert (a2 * ((1 + u) * e2) <= a2 * E n) by (apply Rmult_le_compat_l; auto).
      replace ((1 + u) * (a1 * e1 * tiny) + (1 + u) * (a2 * e2 * tiny) + tiny) with ((a1 * ((1 + u) * e1) + a2 * ((1 + u) * e2) + 1) * tiny) by ring.
      apply Rmult_le_compat_r; lra. }
    nra.
Qed.
(** of [n] terms that err themselves *)
Lemma sums_close n f s r w c : (1 <= n)%nat -> 0 <= c -> 0 <= w -> sums_to n s r ->
  (forall i, (i < n)%nat -> Rabs (s i - f i) <= w * Rabs (f i) + c * tiny) ->
  Rabs (r - sumn n f) <= (E n * (1 + w) - 1) * sumn n (fun i => Rabs (f i)) + INR n * E n * (c + 1) * tiny.
Proof.
  intros hn hc hw hs h. unfold sums_to in hs. pose proof (sums_err _ _ hs) as e. rewrite map_length, seq_length in e.
  assert (T : forall g m a, total (map g (seq a m)) = sumn m (fun i => g (a + i)%nat)).
  { intros g. induction m; intros a; cbn; auto. rewrite IHm, Nat.add_0_r. f_equal. apply sumn_ext. intros. f_equal. lia. }
  unfold tabs in e. rewrite map_map, !T in e. cbn [Nat.add] in e. change (sumn n (fun i => s i)) with (sumn n s) in e.
  pose proof tiny_pos as tp. pose proof (E_ge1 (pred n)) as en.
  assert (A : Rabs (sumn n s - sumn n f) <= w * sumn n (fun i => Rabs (f i)) + INR n * (c * tiny)
    /\ sumn n (fun i => Rabs (s i)) <= (1 + w) * sumn n (fun i => Rabs (f i)) + INR n * (c * tiny)).
  { clear e hs hn en. revert s f h. induction n; intros s f h.
    - cbn. rewrite Rminus_diag_eq, Rabs_R0 by auto. lra.
    - destruct (IHn (fun i => s (S i)) (fun i => f (S i))) as [i1 i2]; [intros; apply h; lia|].
      pose proof (h O ltac:(lia)) as h0. rewrite S_INR. cbn [sumn]. split.
      + replace (s O + sumn n (fun i => s (S i)) - (f O + sumn n (fun i => f (S i)))) with ((s O - f O) + (sumn n (fun i => s (S i)) - sumn n (fun i => f (S i)))) by ring.
        eapply Rle_trans; [apply Rabs_triang|]. lra.
      + assert (Rabs (s O) <= Rabs (f O) + Rabs (s O - f O)). { replace (s O) with (f O + (s O - f O)) at 1 by ring. apply Rabs_triang. }
        lra. }
  destruct A as [A1 A2]. set (F := sumn n (fun i => Rabs (f i))) in *. set (G := sumn n (fun i => Rabs (s i))) in *.
  assert (F0 : 0 <= F) by (apply sumn_nonneg; intros; apply Rabs_pos).
  replace (r - sumn n f) with ((r - sumn n s) + (sumn n s - sumn n f)) by ring. eapply Rle_trans; [apply Rabs_triang|].
  assert (e' : (E (pred n) - 1) * G <= (E (pred n) - 1) * ((1 + w) * F + INR n * (c * tiny))) by (apply Rmult_le_compat_l; lra).
  assert (M1 : E (pred n) * (1 + w) <= E n * (1 + w)) by (apply Rmult_le_compat_r; [lra|apply E_mono; lia]).
  assert (M2 : E (pred n) <= E n) by (apply E_mono; lia).
  assert (NT : 0 <= INR n * tiny) by (apply Rmult_le_pos; [apply pos_INR|lra]).
  assert (I : INR (pred n) * E (pred n) * tiny <= INR n * E n * tiny).
  { assert (INR (pred n) <= INR n) by (apply le_INR; lia). pose proof (pos_INR (pred n)).
    apply Rmult_le_compat_r; [lra|]. apply Rmult_le_compat; lra. }
  assert (J : E (pred n) * (INR n * (c * tiny)) <= INR n * E n * c * tiny).
  { replace (INR n * E n * c * tiny) with (E n * (INR n * (c * tiny))) by ring. apply Rmult_le_compat_r; [|auto].
    replace (INR n * (c * tiny)) with (c * (INR n * tiny)) by ring. nra. }
  assert (M3 : E (pred n) * (1 + w) * F <= E n * (1 + w) * F) by (apply Rmult_le_compat_r; auto).
  replace ((E (pred n) - 1) * ((1 + w) * F + INR n * (c * tiny))) with (E (pred n) * (1 + w) * F - (1 + w) * F + E (pred n) * (INR n * (c * tiny)) - INR n * (c * tiny)) in e' by ring.
  replace (INR n * E n * (c + 1) * tiny) with (INR n * E n * c * tiny + INR n * E n * tiny) by ring. lra.
Qed.
Lemma sums_near n f s r k c : (1 <= n)%nat -> 0 <= c -> sums_to n s r ->
  (forall i, (i < n)%nat -> Rabs (s i - f i) <= (E k - 1) * Rabs (f i) + c * tiny) ->
  Rabs (r - sumn n f) <= (E (n + k) - 1) * sumn n (fun i => Rabs (f i)) + INR n * E n * (c + 1) * tiny.
Proof.
  intros hn hc hs h. pose proof (E_ge1 k). rewrite E_plus. replace (E k) with (1 + (E k - 1)) by ring.
  apply sums_close with s; auto. lra.
Qed.
Lemma total_near r e xs ys : Forall2 (near r e) xs ys ->
  Rabs (total ys - total xs) <= r * tabs xs + INR (length xs) * e /\ tabs ys <= (1 + r) * tabs xs + INR (length xs) * e.
Proof.
  unfold tabs. induction 1 as [|x y xs ys h1 h2 [IH1 IH2]].
  - cbn. rewrite Rminus_0_r, Rabs_R0. lra.
  - cbn [total map length]. rewrite S_INR. pose proof (near_abs _ _ _ _ h1). unfold near in h1. split.
    + replace (y + total ys - (x + total xs)) with ((y - x) + (total ys - total xs)) by ring. eapply Rle_trans; [apply Rabs_triang|]. lra.
    + lra.
Qed.
