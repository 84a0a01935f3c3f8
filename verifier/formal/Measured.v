(** What graphs compute of a measurement: squared distances, as they stand or expanded, products, angles. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool Permutation.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound Sufficient Point Theorems Float Rounding FloatCheck Spread.
Import ListNotations.
Local Open Scope R_scope.

(** ** One term of a squared distance *)
Lemma square_apart x p y : rounds_to 1 (x - p) y ->
  Rabs (y * y - (x - p) * (x - p)) <= 3 * u * ((x - p) * (x - p)) + (5 / 2) * tiny.
Proof.
  unfold rounds_to. set (d := x - p). intros h1.
  pose proof u_pos as up. pose proof u_small. pose proof tiny_pos as tp. pose proof tiny_small as ts. pose proof (Rabs_pos d) as dp. pose proof (Rabs_pos y) as yp.
  replace (d * d) with (Rabs d * Rabs d) at 2 by (unfold Rabs; destruct (Rcase_abs d); ring).
  set (D := Rabs d) in *. set (Y := Rabs y) in *. rewrite Rmult_1_l in h1.
  assert (hY : Y <= (1 + u) * D + tiny). { unfold Y. replace y with (d + (y - d)) by ring. eapply Rle_trans; [apply Rabs_triang|]. fold D. lra. }
  assert (DD : D <= 1 + D * D) by nra.
  replace (y * y - d * d) with ((y - d) * (y + d)) by ring. rewrite Rabs_mult. pose proof (Rabs_triang y d) as t. fold D Y in t.
  assert (Rabs (y - d) * Rabs (y + d) <= (u * D + tiny) * ((2 + u) * D + tiny)) by (apply Rmult_le_compat; try apply Rabs_pos; lra).
  assert (tiny * D <= tiny * (1 + D * D)) by (apply Rmult_le_compat_l; lra).
  assert (tiny * tiny <= tiny * (1 / 4)) by nra. assert (u * (tiny * D) <= u * (tiny * (1 + D * D))) by (apply Rmult_le_compat_l; lra).
  assert (u * tiny <= tiny * (1 / 1000)) by nra. assert (0 <= D * D) by nra. assert (0 <= tiny * (D * D)) by nra.
  assert (u * (tiny * (D * D)) <= / 1000 * (tiny * (D * D))) by (apply Rmult_le_compat_r; auto).
  assert (tiny * (D * D) <= u / 1000 * (D * D)) by (apply Rmult_le_compat_r; auto).
  assert (u * u * (D * D) <= u / 1000 * (D * D)) by (apply Rmult_le_compat_r; auto; nra).
  assert (0 <= u * (D * D)) by nra.
  replace ((u * D + tiny) * ((2 + u) * D + tiny)) with (2 * (u * (D * D)) + u * u * (D * D) + 2 * (tiny * D) + 2 * (u * (tiny * D)) + tiny * tiny) in * by ring. lra.
Qed.
Lemma term_near n c x p y s : (n <= 6)%nat -> 0 <= c -> rounds_to 1 (x - p) y -> rounds_to (INR n) (c * (y * y)) s ->
  Rabs (s - c * ((x - p) * (x - p))) <= (E (n + 3) - 1) * Rabs (c * ((x - p) * (x - p))) + (3 * c + 1) * tiny.
Proof.
  intros hn hc h1 h2. pose proof u_pos as up. pose proof u_small as us. pose proof tiny_pos as tp. pose proof (square_apart x p y h1) as h3.
  set (Q := (x - p) * (x - p)) in *. assert (Q0 : 0 <= Q) by apply Rle_0_sqr. assert (Y0 : 0 <= y * y) by apply Rle_0_sqr.
  unfold rounds_to in h2. assert (N : 0 <= INR n <= 6) by (split; [apply pos_INR|apply le_INR in hn; cbn in hn; lra]).
  assert (cQ : 0 <= c * Q) by now apply Rmult_le_pos. assert (cY : 0 <= c * (y * y)) by now apply Rmult_le_pos.
  rewrite (Rabs_pos_eq (c * Q)) by auto. rewrite (Rabs_pos_eq (c * (y * y))) in h2 by auto.
  assert (B : c * (y * y) <= (1 + 3 * u) * (c * Q) + c * (5 / 2 * tiny)).
  { apply between in h3. replace ((1 + 3 * u) * (c * Q) + c * (5 / 2 * tiny)) with (c * (Q + (3 * u * Q + 5 / 2 * tiny))) by ring. apply Rmult_le_compat_l; lra. }
  assert (A : Rabs (c * (y * y) - c * Q) <= 3 * u * (c * Q) + c * (5 / 2 * tiny)).
  { rewrite <- Rmult_minus_distr_l, Rabs_mult, (Rabs_pos_eq c) by auto.
    replace (3 * u * (c * Q) + c * (5 / 2 * tiny)) with (c * (3 * u * Q + 5 / 2 * tiny)) by ring. now apply Rmult_le_compat_l. }
  replace (s - c * Q) with ((s - c * (y * y)) + (c * (y * y) - c * Q)) by ring. eapply Rle_trans; [apply Rabs_triang|].
  assert (G : (1 + INR n * u) * (1 + 3 * u) <= E (n + 3)).
  { rewrite E_plus. pose proof (E_units n). pose proof (E_units 3) as e3. replace (INR 3) with 3 in e3 by (cbn; lra).
    apply Rmult_le_compat; try lra; nra. }
  assert (B' : INR n * u * (c * (y * y)) <= INR n * u * ((1 + 3 * u) * (c * Q) + c * (5 / 2 * tiny))) by (apply Rmult_le_compat_l; [nra|auto]).
  assert (C1 : (1 + INR n * u) * (1 + 3 * u) * (c * Q) <= E (n + 3) * (c * Q)) by (apply Rmult_le_compat_r; auto).
  assert (C2 : INR n * u * (c * (5 / 2 * tiny)) <= 1 / 10 * (c * (5 / 2 * tiny))).
  { apply Rmult_le_compat_r; [apply Rmult_le_pos; lra|]. nra. }
  replace ((1 + INR n * u) * (1 + 3 * u) * (c * Q)) with (c * Q + 3 * u * (c * Q) + INR n * u * ((1 + 3 * u) * (c * Q))) in C1 by ring.
  assert (0 <= c * tiny) by (apply Rmult_le_pos; lra). lra.
Qed.
(** ** Lengths *)
Lemma apart_cauchy n f g N L : 0 < N -> 0 < L -> sumn n (fun d => f d * f d) <= N * N -> sumn n (fun d => g d * g d) <= L * L ->
  sumn n (fun d => Rabs (f d * g d)) <= N * L.
Proof.
  intros hN hL h1 h2.
  assert (A : 2 * sumn n (fun d => Rabs (f d * g d)) <= L / N * sumn n (fun d => f d * f d) + N / L * sumn n (fun d => g d * g d)).
  { rewrite <- !sumn_scal, <- sumn_plus. apply sumn_le. intros i _. rewrite Rabs_mult.
    assert (e1 : f i * f i = Rabs (f i) * Rabs (f i)) by (unfold Rabs; destruct (Rcase_abs (f i)); ring).
    assert (e2 : g i * g i = Rabs (g i) * Rabs (g i)) by (unfold Rabs; destruct (Rcase_abs (g i)); ring).
    rewrite e1, e2. set (a := Rabs (f i)). set (b := Rabs (g i)).
    apply Rmult_le_reg_l with (N * L); [nra|].
    replace (N * L * (L / N * (a * a) + N / L * (b * b))) with ((L * a) * (L * a) + (N * b) * (N * b)) by (field; lra).
    pose proof (Rle_0_sqr (L * a - N * b)) as s. unfold Rsqr in s. nra. }
  assert (B1 : L / N * sumn n (fun d => f d * f d) <= N * L).
  { apply Rle_trans with (L / N * (N * N)); [apply Rmult_le_compat_l; auto; left; now apply Rdiv_lt_0_compat|right; field; lra]. }
  assert (B2 : N / L * sumn n (fun d => g d * g d) <= N * L).
  { apply Rle_trans with (N / L * (L * L)); [apply Rmult_le_compat_l; auto; left; now apply Rdiv_lt_0_compat|right; field; lra]. }
  lra.
Qed.
(** |x|^2 from the distance to p *)
Lemma square_split n x p : sumn n (fun d => x d * x d) <= 5 * sumn n (fun d => (x d - p d) * (x d - p d)) + 5 / 4 * sumn n (fun d => p d * p d).
Proof.
  rewrite <- !sumn_scal, <- sumn_plus. apply sumn_le. intros i _. pose proof (Rle_0_sqr (2 * (x i - p i) - p i / 2)) as s. unfold Rsqr in s. lra.
Qed.
Lemma product_split n p x : 2 * sumn n (fun d => Rabs (p d * x d)) <= sumn n (fun d => p d * p d) + sumn n (fun d => x d * x d).
Proof.
  rewrite <- sumn_scal, <- sumn_plus. apply sumn_le. intros i _. rewrite Rabs_mult.
  pose proof (Rle_0_sqr (Rabs (p i) - Rabs (x i))) as s. unfold Rsqr in s.
  assert (e1 : p i * p i = Rabs (p i) * Rabs (p i)) by (unfold Rabs; destruct (Rcase_abs (p i)); ring).
  assert (e2 : x i * x i = Rabs (x i) * Rabs (x i)) by (unfold Rabs; destruct (Rcase_abs (x i)); ring). lra.
Qed.

Section Sound.
Context {sh : shares}.
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

Lemma E2_tiny n c : (Z.of_nat n < 8388608)%Z -> 0 <= c -> INR n * E n * c * tiny <= 2 * (INR n * c * tiny).
Proof.
  intros h hc. pose proof (E_two n h). pose proof tiny_pos. pose proof (pos_INR n).
  replace (INR n * E n * c * tiny) with (E n * (INR n * c * tiny)) by ring. apply Rmult_le_compat_r; [|lra]. repeat apply Rmult_le_pos; lra.
Qed.
Lemma proto_norm j : square_length (channels H) (proto H j) = IZR (norm2 (nth j (protos H) [])) / (IZR (Zpos (hden H)) * IZR (Zpos (hden H))).
Proof.
  destruct (fit_parts H fit) as [_ [wf _]]. rewrite (norm2_eq _ (channels H) (wf j)). unfold square_length, Rdiv.
  rewrite Rmult_comm, <- sumn_scal. apply sumn_ext. intros d _. unfold proto, at_, Rdiv. rewrite Rinv_mult. ring.
Qed.
Lemma products_ok (x : nat -> R) j s v : products H x j s v ->
  Rabs (v - product H x j) <= (E (channels H + 1) - 1) * sumn (channels H) (fun d => Rabs (proto H j d * x d)) + 4 * (INR (channels H) * tiny).
Proof.
  intros [h1 h2]. pose proof (sums_near (channels H) (fun d => proto H j d * x d) s v 1 1 D1 ltac:(lra) h2) as g.
  pose proof (E2_tiny (channels H) (1 + 1) ltac:(lia) ltac:(lra)) as t. unfold product. eapply Rle_trans; [apply g|lra].
  intros i hi. specialize (h1 i hi). unfold rounds_to in h1. unfold E. cbn [pow]. lra.
Qed.
Lemma squares_ok (x : nat -> R) r n : squares_of H x r n ->
  Rabs (n - square_length (channels H) x) <= (E (channels H + 2) - 1) * square_length (channels H) x + 4 * (INR (channels H) * tiny).
Proof.
  intros [h1 h2]. pose proof (sums_near (channels H) (fun d => x d * x d) r n 2 1 D1 ltac:(lra) h2) as g.
  pose proof (E2_tiny (channels H) (1 + 1) ltac:(lia) ltac:(lra)) as t.
  rewrite (sumn_ext _ (fun i => Rabs (x i * x i)) (fun i => x i * x i)) in g by (intros; apply Rabs_pos_eq, Rle_0_sqr).
  unfold square_length. eapply Rle_trans; [apply g|lra].
  intros i hi. specialize (h1 i hi). unfold rounds_to in h1. pose proof (E_units 2) as e. replace (INR 2) with 2 in e by (cbn; lra).
  pose proof (Rabs_pos (x i * x i)). assert (2 * u * Rabs (x i * x i) <= (E 2 - 1) * Rabs (x i * x i)) by (apply Rmult_le_compat_r; lra). lra.
Qed.
Variable w : writing.
Variable short : ratio.
Hypothesis SHORT : forall l, (l < nloc H)%nat -> val short <= square_length (channels H) (z l).
Variable reach : list Z -> option Z.
Hypothesis REACH : forall j n l, (l < nloc H)%nat -> reach (nth j (protos H) []) = Some n ->
  (0 <= n)%Z /\ sumn (channels H) (fun d => Rabs (proto H j d * z l d)) <= q n.

Lemma bounded_in x n : Rabs x <= q n -> inK (Some (- n), Some n)%Z x.
Proof.
  intros h. apply between in h. pose proof (posR K) as kp. unfold q in h. split; cbn; rewrite ?opp_IZR.
  - apply Rmult_le_reg_r with (/ IZR (Zpos K)); [now apply Rinv_0_lt_compat|]. replace (IZR (Zpos K) * x * / IZR (Zpos K)) with x by (field; lra). unfold Rdiv in h. lra.
  - apply Rmult_le_reg_r with (/ IZR (Zpos K)); [now apply Rinv_0_lt_compat|]. replace (IZR (Zpos K) * x * / IZR (Zpos K)) with x by (field; lra). unfold Rdiv in h. lra.
Qed.
Lemma nonneg_start x : 0 <= x -> inK (Some 0%Z, None) x.
Proof. intros h. split; cbn; auto. pose proof (posR K). nra. Qed.
Lemma differences_ok n scl j l y s m : (n <= 6)%nat -> (forall d, (d < channels H)%nat -> 0 <= scl d) -> forall top, 0 <= top -> (forall d, (d < channels H)%nat -> scl d <= top) ->
  differences (INR n) H (z l) j scl y s m ->
  let M := sumn (channels H) (fun d => scl d * ((z l d - proto H j d) * (z l d - proto H j d))) in
  0 <= M /\ Rabs (m - M) <= (E (channels H + (n + 3)) - 1) * M + 2 * (INR (channels H) * (3 * top + 2) * tiny).
Proof.
  intros hn h0 top ht h1 [d1 d2] M.
  set (f := fun d => scl d * ((z l d - proto H j d) * (z l d - proto H j d))).
  assert (F0 : forall d, (d < channels H)%nat -> 0 <= f d) by (intros; apply Rmult_le_pos; [now apply h0|apply Rle_0_sqr]).
  split; [now apply sumn_nonneg|].
  pose proof (sums_near (channels H) f s m (n + 3) (3 * top + 1) D1 ltac:(lra) d2) as g.
  rewrite (sumn_ext _ (fun i => Rabs (f i)) f) in g by (intros; apply Rabs_pos_eq; auto).
  pose proof (E2_tiny (channels H) (3 * top + 1 + 1) ltac:(lia) ltac:(lra)) as t. eapply Rle_trans; [apply g|unfold M; fold f; lra].
  intros i hi. destruct (d1 i hi) as [e1 e2]. pose proof (term_near n (scl i) _ _ _ _ hn (h0 i hi) e1 e2) as e. fold (f i) in e.
  pose proof tiny_pos. specialize (h1 i hi). assert ((3 * scl i + 1) * tiny <= (3 * top + 1) * tiny) by (apply Rmult_le_compat_r; lra). lra.
Qed.
Lemma sum_abs n (f : nat -> R) : Rabs (sumn n f) <= sumn n (fun d => Rabs (f d)).
Proof.
  revert f. induction n as [|n IH]; intros f; cbn [sumn]; [rewrite Rabs_R0; lra|].
  eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat_l. apply IH.
Qed.
Lemma expanded_ok l j r n s v stored y : squares_of H (z l) r n -> products H (z l) j s v ->
  Rabs (stored - square_length (channels H) (proto H j)) <= square_length (channels H) (proto H j) / 1000 ->
  sums [n; - (2 * v); stored] y ->
  let X := square_length (channels H) (fun d => z l d - proto H j d) in let Q2 := square_length (channels H) (proto H j) in
  0 <= X /\ Rabs (y - (stored - Q2) - X) <= (E (channels H + 4) - 1) * (10 * X + 451 / 100 * Q2) + 28 * (INR (channels H) * tiny).
Proof.
  intros h1 h2 h3 h4 X Q2. pose proof (squares_ok _ _ _ h1) as e1. pose proof (products_ok _ _ _ _ h2) as e2. clear h1 h2.
  set (D := channels H) in *. fold Q2 in h3. set (S := square_length D (z l)) in *.
  set (T := sumn D (fun d => Rabs (proto H j d * z l d))) in *. set (P := product H (z l) j) in *. set (t := INR D * tiny) in *.
  assert (XX : X = S - 2 * P + Q2).
  { unfold X, S, P, Q2, square_length, product. fold D. rewrite <- (sumn_scal D 2). unfold Rminus. rewrite <- sumn_opp, <- !sumn_plus. apply sumn_ext. intros; ring. }
  assert (PT : Rabs P <= T) by apply sum_abs.
  assert (S5 : S <= 5 * X + 5 / 4 * Q2) by (apply (square_split D (z l) (proto H j))).
  assert (T2 : 2 * T <= Q2 + S) by (apply (product_split D (proto H j) (z l))).
  assert (X0 : 0 <= X) by (apply sumn_nonneg; intros; apply Rle_0_sqr).
  assert (S0 : 0 <= S) by (apply sumn_nonneg; intros; apply Rle_0_sqr).
  assert (Q0 : 0 <= Q2) by (apply sumn_nonneg; intros; apply Rle_0_sqr).
  assert (T0 : 0 <= T) by (apply sumn_nonneg; intros; apply Rabs_pos).
  pose proof tiny_pos as tp. assert (tD : tiny <= t). { unfold t. assert (1 <= INR D) by (apply (le_INR 1); exact D1). nra. }
  split; auto. pose proof (sums_err _ _ h4) as e3. cbn [length pred total tabs map] in e3. unfold tabs in e3. cbn [map total] in e3.
  replace (INR 2) with 2 in e3 by (cbn; lra).
  pose proof (E_two 2 ltac:(lia)) as E2. pose proof (E_ge1 2) as E2'.
  pose proof (E_ge1 (D + 2)) as g2. pose proof (E_ge1 (D + 1)) as g1. pose proof (E_mono (D + 1) (D + 2) ltac:(lia)) as g12.
  assert (E4 : E (D + 4) = E (D + 2) * E 2) by (rewrite <- E_plus; f_equal; lia).
  pose proof (near_abs (E (D + 2) - 1) (4 * t) S n) as a1. unfold near in a1. rewrite (Rabs_pos_eq S) in a1 by auto. specialize (a1 e1).
  assert (a2 : Rabs v <= E (D + 2) * T + 4 * t).
  { replace v with (P + (v - P)) by ring. eapply Rle_trans; [apply Rabs_triang|].
    assert ((E (D + 1) - 1) * T <= (E (D + 2) - 1) * T) by (apply Rmult_le_compat_r; lra). lra. }
  apply between in h3. assert (a3 : Rabs stored <= Q2 + Q2 / 1000) by (apply Rabs_le; lra).
  assert (a4 : Rabs (- (2 * v)) <= 2 * (E (D + 2) * T + 4 * t)) by (rewrite Rabs_Ropp, Rabs_mult, (Rabs_pos_eq 2); lra).
  set (W := E (D + 2)) in *.
  assert (B : Rabs n + (Rabs (- (2 * v)) + (Rabs stored + 0)) <= W * (S + 2 * T + (Q2 + Q2 / 1000)) + 12 * t).
  { assert (Q2 + Q2 / 1000 <= W * (Q2 + Q2 / 1000)) by nra. nra. }
  assert (C1 : (E 2 - 1) * (Rabs n + (Rabs (- (2 * v)) + (Rabs stored + 0))) <= (E 2 - 1) * (W * (S + 2 * T + (Q2 + Q2 / 1000)) + 12 * t)) by (apply Rmult_le_compat_l; lra).
  assert (C2 : Rabs (n + (- (2 * v) + (stored + 0)) - (S - 2 * P + stored)) <= (W - 1) * (S + 2 * T) + 12 * t).
  { replace (n + (- (2 * v) + (stored + 0)) - (S - 2 * P + stored)) with ((n - S) + - (2 * (v - P))) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp, Rabs_mult, (Rabs_pos_eq 2) by lra.
    assert ((E (D + 1) - 1) * T <= (W - 1) * T) by (apply Rmult_le_compat_r; lra). lra. }
  replace (y - (stored - Q2) - X) with ((y - (n + (- (2 * v) + (stored + 0)))) + (n + (- (2 * v) + (stored + 0)) - (S - 2 * P + stored))) by (rewrite XX; ring).
  eapply Rle_trans; [apply Rabs_triang|].
  assert (U : 10 * X + 451 / 100 * Q2 >= S + 2 * T + (Q2 + Q2 / 1000)) by lra.
  assert (V : (W * E 2 - 1) * (S + 2 * T + (Q2 + Q2 / 1000)) <= (W * E 2 - 1) * (10 * X + 451 / 100 * Q2)) by (apply Rmult_le_compat_l; nra).
  rewrite E4. fold W. set (Z := S + 2 * T + (Q2 + Q2 / 1000)) in *.
  assert (V2 : (W - 1) * (S + 2 * T) <= (W - 1) * Z) by (apply Rmult_le_compat_l; unfold Z; lra).
  assert (V3 : (E 2 - 1) * (12 * t) + 12 * t + 2 * E 2 * tiny <= 28 * t).
  { assert (E 2 * tiny <= 2 * t) by (apply Rmult_le_compat; lra). assert ((E 2 - 1) * (12 * t) <= 1 * (12 * t)) by (apply Rmult_le_compat_r; lra). lra. }
  replace ((E 2 - 1) * (W * Z + 12 * t)) with (W * E 2 * Z - W * Z + (E 2 - 1) * (12 * t)) in C1 by ring.
  replace ((W * E 2 - 1) * Z) with (W * E 2 * Z - Z) in V by ring. replace ((W - 1) * Z) with (W * Z - Z) in V2 by ring. lra.
Qed.
Lemma length_to_ok p n : length_to isqrt K H p = Some n -> (0 < n)%Z /\ IZR (norm2 p) / (IZR (Zpos (hden H)) * IZR (Zpos (hden H))) <= q n * q n.
Proof.
  unfold length_to. destruct (root_up isqrt K _) as [s|] eqn:es; [|discriminate]. cbn [option_map]. intros e. inv_some; subst n.
  apply root_up_ok in es. destruct es as [s0 s1]. split; [lia|].
  pose proof (ce_div (norm2 p * Zpos K) (Zpos (hden H) * Zpos (hden H)) ltac:(lia)) as c. rewrite !mult_IZR in c.
  pose proof (posR K) as kp. set (k := IZR (Zpos K)) in *. set (h2 := IZR (Zpos (hden H)) * IZR (Zpos (hden H))) in *.
  pose proof (q_le K s (1 + s) ltac:(lia)) as m. pose proof (q_pos K s s0) as p0.
  apply Rle_trans with (q s * q s); [|apply Rmult_le_compat; lra].
  unfold Spread.q. fold k. apply Rmult_le_reg_r with (k * k); [nra|].
  replace (IZR s / k * (IZR s / k) * (k * k)) with (IZR s * IZR s) by (field; lra).
  assert (hp : 0 < h2) by (unfold h2; pose proof (posR (hden H)); nra).
  replace (IZR (norm2 p) / h2 * (k * k)) with (IZR (norm2 p) * k / h2 * k) by (field; lra). nra.
Qed.
Lemma length_error_ok x f a s t : (0 <= fst x)%Z -> (0 <= snd x)%Z -> near (q (fst x)) (q (snd x)) s t -> 0 <= s ->
  forall fl_ al, q fl_ <= f -> q al <= s -> 0 <= f -> length_error K x fl_ al = Some a ->
  (0 <= a)%Z /\ near (q a) 0 (Rmax (sqrt s) f) (Rmax (sqrt t) f).
Proof.
  intros x0 x1 hn s0 fl_ al hf ha f0. unfold length_error. destruct x as [r e]. cbn [fst snd] in *.
  pose proof (q_pos K r x0) as r0. pose proof (q_pos K e x1) as e0.
  destruct (0 <? al)%Z eqn:el.
  - bools. destruct (2 * (r + ce (e * Zpos K) al) <=? Zpos K)%Z eqn:e2; [|discriminate]. bools. intros h. inv_some; subst a.
    pose proof (ce_nonneg (e * Zpos K) al ltac:(nia) el) as c0. set (p := (r + ce (e * Zpos K) al)%Z) in *. assert (p0 : (0 <= p < Zpos K)%Z) by (unfold p in *; lia).
    pose proof (q_lt K 0 al el) as qa. rewrite q_0 in qa. pose proof (q_unit K p p0) as pu.
    assert (N : near (q p) 0 s t).
    { unfold p. rewrite q_plus. apply near_weaken with (q r + q e / q al) 0; [|lra|apply near_relative; auto; rewrite Rabs_pos_eq; lra].
      apply Rplus_le_compat_l. pose proof (q_ce K (e * Zpos K) al el) as c. rewrite q_scal, q_k in c.
      replace (q e / q al) with (IZR e * 1 / IZR al); auto. unfold Spread.q. apply IZR_lt in el. pose proof (posR K). field. lra. }
    split; [apply ce_nonneg; lia|].
    pose proof (near_sqrt_rel (q p) s t ltac:(lra) pu N) as G.
    assert (B : q p / (2 - q p) <= q (ce (p * Zpos K) (2 * Zpos K - p))).
    { pose proof (q_ce K (p * Zpos K) (2 * Zpos K - p) ltac:(lia)) as c1. rewrite q_scal, q_k, minus_IZR, mult_IZR in c1. change (IZR 2) with 2 in c1.
      replace (q p / (2 - q p)) with (IZR p * 1 / (2 * IZR (Zpos K) - IZR p)); auto. unfold Spread.q. pose proof (posR K).
      assert (IZR p < IZR (Zpos K)) by (apply IZR_lt; lia). field. lra. }
    assert (B0 : 0 <= q p / (2 - q p) <= 1).
    { split; [apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]|]. apply Rmult_le_reg_r with (2 - q p); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
    eapply near_weaken; [exact B|apply Rle_refl|]. apply near_max; auto. apply near_const; lra.
  - destruct (0 <? fl_)%Z eqn:ef; [|discriminate]. bools. destruct (2 * (r + ce (4 * e * Zpos K * Zpos K) (fl_ * fl_)) <=? Zpos K)%Z eqn:e2; [|discriminate]. bools.
    intros h. inv_some; subst a.
    pose proof (ce_nonneg (4 * e * Zpos K * Zpos K) (fl_ * fl_) ltac:(nia) ltac:(nia)) as c0. set (p := (r + ce (4 * e * Zpos K * Zpos K) (fl_ * fl_))%Z) in *.
    assert (p0 : (0 <= p < Zpos K)%Z) by (unfold p in *; lia). split; [lia|].
    pose proof (q_lt K 0 fl_ ef) as qf. rewrite q_0 in qf. pose proof (q_unit K p p0) as pu.
    set (g := q fl_ * q fl_ / 4). assert (gp : 0 < g) by (unfold g; nra).
    assert (PE : q r + q e / g <= q p).
    { unfold p. rewrite q_plus. apply Rplus_le_compat_l. pose proof (q_ce K (4 * e * Zpos K * Zpos K) (fl_ * fl_) ltac:(nia)) as c.
      eapply Rle_trans; [|exact c]. right. unfold g, Spread.q. rewrite !mult_IZR. pose proof (posR K). apply IZR_lt in ef. change (IZR 4) with 4. field. lra. }
    destruct (Rle_lt_dec g s) as [c|c].
    + assert (N : near (q p) 0 s t).
      { apply near_weaken with (q r + q e / g) 0; [exact PE|lra|]. apply near_relative; auto. rewrite Rabs_pos_eq; lra. }
      pose proof (near_sqrt_rel (q p) s t ltac:(lra) pu N) as G.
      apply near_max; [lra| |apply near_const; lra]. eapply near_weaken; [|apply Rle_refl|exact G].
      apply Rmult_le_reg_r with (2 - q p); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra.
    + assert (P2 : 2 * q p <= 1). { rewrite <- (q_k K). change 2 with (IZR 2). rewrite <- q_scal. now apply q_le. }
      assert (TT : t <= f * f).
      { apply near_iff in hn. rewrite (Rabs_pos_eq s) in hn by auto.
        assert (q e <= (q p - q r) * g). { apply Rmult_le_reg_r with (/ g); [now apply Rinv_0_lt_compat|]. rewrite Rmult_assoc, Rinv_r by lra. unfold Rdiv in PE. lra. }
        assert (q r * s <= q r * g) by (apply Rmult_le_compat_l; lra). assert (q p * g <= 1 / 2 * g) by (apply Rmult_le_compat_r; lra).
        assert (2 * g <= f * f) by (unfold g; nra). lra. }
      assert (F : forall v, v <= f * f -> Rmax (sqrt v) f = f).
      { intros v hv. apply Rmax_right. rewrite <- (sqrt_Rsqr f) by auto. now apply sqrt_le_1_alt. }
      rewrite !F; [apply near_const; lra|exact TT|]. unfold g in c. nra.
Qed.
Lemma units_up n c : (0 <= n)%Z -> (0 <= c)%Z ->
  (0 <= c + ce (n * (Zpos K + c)) T24)%Z /\ q c + IZR n * u * (1 + q c) <= q (c + ce (n * (Zpos K + c)) T24).
Proof.
  intros h1 h2. pose proof (ce_nonneg (n * (Zpos K + c)) T24 ltac:(nia) ltac:(reflexivity)). split; [lia|]. rewrite q_plus.
  pose proof (q_ce K (n * (Zpos K + c)) T24 ltac:(reflexivity)) as g. rewrite q_scal, q_plus, q_k in g. rewrite u_T24. unfold Rdiv in g. lra.
Qed.
Lemma angle_ok f a j s l : metric H = Angular f a -> (l < nloc H)%nat ->
  extent isqrt K w short H reach (nth j (protos H) []) (nth j (scales H) []) = Some s ->
  inK (fst s) (measurement H z l j) /\ forall m, measured w H (z l) j m -> close (snd s) (measurement H z l j) m.
Proof.
  intros em hl. unfold extent, measured, measurement. rewrite em. destruct (fit_parts H fit) as [fa _]. rewrite em in fa. destruct fa as [f0 a0].
  cbn zeta. set (lo := floored K).
  assert (LO : forall c, q (lo c) <= val c).
  { intros c. unfold lo, floored. pose proof (fl_val K c) as g. unfold Spread.q. pose proof (posR K). apply Rmult_le_reg_l with (IZR (Zpos K)); auto.
    replace (IZR (Zpos K) * (IZR (fl (fst c * Zpos K) (Zpos (snd c))) / IZR (Zpos K))) with (IZR (fl (fst c * Zpos K) (Zpos (snd c)))) by (field; lra). exact g. }
  destruct (length_to isqrt K H (nth j (protos H) [])) as [n|] eqn:en; [|discriminate].
  set (D := channels H) in *. destruct (gamma_ok K (D + 2) ltac:(unfold D; lia)) as [g0 g1]. destruct (below_normal_ok K (4 * Z.of_nat D) ltac:(lia)) as [b0 b1].
  set (x := more K 1 0 (gamma K (D + 2), below_normal K (4 * Z.of_nat D))).
  set (lb := Z.max (lo a) (lo short)).
  destruct (length_error K x (lo f) lb) as [r0|] eqn:el; [|discriminate].
  set (low := if (0 <? lo f)%Z then lo f else match root_down isqrt K lb with Some v => v | None => 0%Z end).
  destruct (0 <? low)%Z eqn:elow; [|discriminate]. apply Z.ltb_lt in elow.
  destruct (relative K (Some low, None) (more K 2 0 (r0, 0%Z))) as [r1|] eqn:er; [|discriminate].
  destruct (quotient K r1 <=? Zpos K)%Z eqn:eq1; [|discriminate]. apply Z.leb_le in eq1. intros es.
  destruct (length_to_ok _ _ en) as [n0 n1]. rewrite <- proto_norm in n1. fold D in n1.
  pose proof (q_lt K 0 n n0) as qn. rewrite q_0 in qn.
  set (S := square_length D (z l)). assert (S0 : 0 <= S) by (apply sumn_nonneg; intros; apply Rle_0_sqr).
  set (L := Rmax (sqrt (S + val a)) (val f)).
  assert (LB : q lb <= S + val a).
  { unfold lb. destruct (Z.max_spec (lo a) (lo short)) as [[_ ->]|[_ ->]].
    - pose proof (LO short). pose proof (SHORT l hl) as s1. fold D S in s1. lra.
    - pose proof (LO a). lra. }
  assert (LL : q low <= L).
  { unfold low, L. destruct (0 <? lo f)%Z; [eapply Rle_trans; [apply LO|apply Rmax_r]|].
    eapply Rle_trans; [|apply Rmax_l]. destruct (root_down isqrt K lb) as [v|] eqn:ev; [|rewrite q_0; apply sqrt_pos].
    apply root_down_ok in ev. destruct ev as [v0 v1]. rewrite <- (sqrt_Rsqr (q v)) by (now apply q_pos). apply sqrt_le_1_alt.
    apply Rle_trans with (q lb); [|exact LB]. unfold Rsqr, Spread.q. pose proof (posR K) as kp. apply Rmult_le_reg_r with (IZR (Zpos K) * IZR (Zpos K)); [nra|].
    replace (IZR v / IZR (Zpos K) * (IZR v / IZR (Zpos K)) * (IZR (Zpos K) * IZR (Zpos K))) with (IZR v * IZR v) by (field; lra).
    replace (IZR lb / IZR (Zpos K) * (IZR (Zpos K) * IZR (Zpos K))) with (IZR lb * IZR (Zpos K)) by (field; lra). exact v1. }
  pose proof (q_lt K 0 low elow) as ql. rewrite q_0 in ql. assert (L0 : 0 < L) by lra.
  assert (SL : S <= L * L).
  { assert (sqrt (S + val a) <= L) by apply Rmax_l. pose proof (sqrt_pos (S + val a)). pose proof (sqrt_def (S + val a) ltac:(lra)). nra. }
  set (T := sumn D (fun d => Rabs (proto H j d * z l d))).
  assert (TL : T <= q n * L) by (apply apart_cauchy; auto).
  set (P := product H (z l) j). assert (PT : Rabs P <= T) by apply sum_abs.
  assert (T0 : 0 <= T) by (apply sumn_nonneg; intros; apply Rabs_pos).
  assert (TN : T / L <= q n). { apply Rmult_le_reg_r with L; auto. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
  assert (PN : Rabs (P / L) <= q n).
  { unfold Rdiv. rewrite Rabs_mult, Rabs_inv, (Rabs_pos_eq L) by lra. eapply Rle_trans; [|exact TN]. apply Rmult_le_compat_r; auto. left; now apply Rinv_0_lt_compat. }
  inv_some; subst s. cbn [fst snd]. split; [apply bounded_in; now rewrite Rabs_Ropp|].
  intros m [r [nn [t [rr [h1 [h2 [h3 h4]]]]]]]. pose proof (squares_ok _ _ _ h1) as e1. fold S D in e1.
  (* the computed length *)
  assert (C0 : close (gamma K (D + 2), below_normal K (4 * Z.of_nat D)) (S + val a) (nn + val a)).
  { apply close_intro with (E (D + 2) - 1) (4 * (INR D * tiny)); auto; [|rewrite mult_IZR, <- inr in b1; lra].
    apply near_add_same; [pose proof (E_ge1 (D + 2)); lra|nra|]. unfold near. rewrite (Rabs_pos_eq S) by auto. exact e1. }
  assert (C1 : close x (S + val a) t).
  { apply more_ok with (s := 0) (v := nn + val a); [lia|lia|exact C0|rewrite q_0; lra|]. unfold rounds_to in h2. lra. }
  destruct C1 as [x0 [x1 x2]].
  destruct (length_error_ok x (val f) r0 (S + val a) t x0 x1 x2 ltac:(lra) (lo f) lb (LO f) LB f0 el) as [r00 r01]. fold L in r01.
  assert (C2 : close (more K 2 0 (r0, 0%Z)) L (Rmax rr (val f))).
  { apply more_ok with (s := 0) (v := Rmax (sqrt t) (val f)); [lia|lia| |rewrite q_0; lra|].
    - split; [exact r00|]. split; [cbn; lia|]. cbn [fst snd]. rewrite q_0. exact r01.
    - pose proof u_pos as up. pose proof u_small. pose proof tiny_pos.
      assert (M : near (2 * u) tiny (Rmax (sqrt t) (val f)) (Rmax rr (val f))).
      { apply near_max; [lra|exact h3|apply near_const; lra]. }
      unfold near in M. change (IZR 2) with 2. lra. }
  assert (IL : inK (Some low, None) L).
  { split; cbn; auto. pose proof (posR K). unfold Spread.q in LL. apply Rmult_le_reg_r with (/ IZR (Zpos K)); [now apply Rinv_0_lt_compat|].
    replace (IZR (Zpos K) * L * / IZR (Zpos K)) with L by (field; lra). exact LL. }
  destruct (relative_ok K _ _ _ _ _ er IL C2) as [r10 [r11 _]]. set (long := Rmax rr (val f)) in *.
  destruct (quotient_ok K r1 r10) as [qr0 qr1]. pose proof (near_inv _ _ _ (Rgt_not_eq L 0 L0) (q_unit K r1 r10) r11) as ni.
  set (c := quotient K r1) in *. assert (NI : near (q c) 0 (/ L) (/ long)) by (eapply near_weaken; [exact qr1|apply Rle_refl|exact ni]).
  pose proof (q_pos K c qr0) as c0. pose proof (q_le K c (Zpos K) eq1) as c1. rewrite q_k in c1.
  unfold near in NI. rewrite Rabs_inv, (Rabs_pos_eq L), Rplus_0_r in NI by lra.
  pose proof u_pos as up. pose proof u_small as us. pose proof tiny_pos as tp. pose proof (E_ge1 D) as ED. destruct (gamma_ok K D ltac:(unfold D; lia)) as [gd0 gd1].
  cbn [more fst snd]. set (th := (c + ce (2 * (Zpos K + c)) T24)%Z). set (tw := (th + ce (1 * (Zpos K + th)) T24)%Z).
  destruct (units_up 2 c ltac:(lia) qr0) as [th0 th1]. fold th in th0, th1. destruct (units_up 1 th ltac:(lia) th0) as [tw0 tw1]. fold tw in tw0, tw1.
  change (IZR 2) with 2 in th1. change (IZR 1) with 1 in tw1.
  set (F := (gamma K D + tw + ce (gamma K D * tw) (Zpos K))%Z). pose proof (ce_nonneg (gamma K D * tw) (Zpos K) ltac:(nia) ltac:(lia)) as cf.
  assert (QF : E D * (1 + q tw) - 1 <= q F).
  { unfold F. rewrite !q_plus. pose proof (q_mul K (gamma K D) tw). pose proof (q_pos K tw tw0). nra. }
  assert (F0 : (0 <= F)%Z) by (unfold F; lia).
  pose proof (ce_nonneg (F * n) (Zpos K) ltac:(nia) ltac:(lia)) as d0. pose proof (q_mul K F n) as d1.
  destruct (below_normal_ok K (9 * Z.of_nat D) ltac:(lia)) as [b2 b3].
  pose proof (ce_nonneg (below_normal K (9 * Z.of_nat D) * Zpos K) low ltac:(nia) elow) as d2.
  pose proof (q_ce K (below_normal K (9 * Z.of_nat D) * Zpos K) low elow) as d3. rewrite q_scal, q_k, Rmult_1_r in d3.
  assert (nk : (0 <= ce n (Zpos K))%Z) by (apply ce_nonneg; lia).
  destruct (below_normal_ok K (4 * Z.of_nat D * (ce n (Zpos K) + 1) + 1) ltac:(nia)) as [b4 b5].
  rewrite plus_IZR, !mult_IZR, plus_IZR, <- inr in b5. rewrite mult_IZR, <- inr in b3.
  assert (NK : q n <= IZR (ce n (Zpos K))) by (unfold Spread.q; apply ce_div; lia).
  set (t9 := INR D * tiny). assert (t90 : 0 <= t9) by (apply Rmult_le_pos; [apply pos_INR|lra]).
  assert (d4 : 9 * t9 / q low <= q (ce (below_normal K (9 * Z.of_nat D) * Zpos K) low)).
  { eapply Rle_trans; [|exact d3]. replace (IZR (below_normal K (9 * Z.of_nat D)) / IZR low) with (q (below_normal K (9 * Z.of_nat D)) / q low).
    - apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|unfold t9; lra].
    - unfold Spread.q. pose proof (posR K). apply IZR_lt in elow. field. lra. }
  assert (d5 : 4 * t9 * (q n + 1) + tiny <= q (below_normal K (4 * Z.of_nat D * (ce n (Zpos K) + 1) + 1))).
  { eapply Rle_trans; [|exact b5]. change (IZR 4) with 4. assert (4 * t9 * (q n + 1) <= 4 * t9 * (IZR (ce n (Zpos K)) + 1)) by (apply Rmult_le_compat_l; lra). unfold t9 in *. lra. }
  set (e := (ce (F * n) (Zpos K) + ce (below_normal K (9 * Z.of_nat D) * Zpos K) low + below_normal K (4 * Z.of_nat D * (ce n (Zpos K) + 1) + 1))%Z).
  assert (QE : (E D * (1 + q tw) - 1) * q n + 9 * t9 / q low + (4 * t9 * (q n + 1) + tiny) <= q e).
  { unfold e. rewrite !q_plus. assert ((E D * (1 + q tw) - 1) * q n <= q F * q n) by (apply Rmult_le_compat_r; lra). lra. }
  assert (iL : 0 < / L) by (now apply Rinv_0_lt_compat). assert (iq : 0 < / q low) by (now apply Rinv_0_lt_compat).
  assert (iLq : / L <= / q low) by (apply Rinv_le_contravar; lra).
  set (il := / long) in *. assert (IL1 : Rabs il <= (1 + q c) * / L).
  { replace il with (/ L + (il - / L)) by ring. eapply Rle_trans; [apply Rabs_triang|]. rewrite (Rabs_pos_eq (/ L)) by lra. lra. }
  unfold Rdiv in TN. fold (P / L).
  assert (t9q : 0 <= t9 / q low) by (unfold Rdiv; apply Rmult_le_pos; lra).
  assert (W1 : 0 <= q th /\ 0 <= q tw) by (split; now apply q_pos).
  apply close_intro with 0 (q e); [lia|unfold e; lia| |rewrite q_0; lra|lra]. unfold near. rewrite Rmult_0_l, Rplus_0_l.
  replace (m - - (P / L)) with (m + P / L) by ring. eapply Rle_trans; [|exact QE].
  destruct h4 as [[s [v [h5 h6]]]|[y [s [v [h5 [h6 ->]]]]]].
  - (* the product, divided *)
    pose proof (products_ok _ _ _ _ h5) as e2. fold D T P t9 in e2. unfold rounds_to in h6. replace (- v / long) with (- (v * il)) in h6 by (unfold il, Rdiv; ring).
    set (G := E (D + 1)) in *. assert (G1 : 1 <= G) by apply E_ge1.
    assert (V : Rabs v <= G * T + 4 * t9).
    { replace v with (P + (v - P)) by ring. eapply Rle_trans; [apply Rabs_triang|]. lra. }
    set (tau := 4 * (t9 / q low) * (1 + q c)).
    assert (TT : forall k, 0 <= k -> (k * T + 4 * t9) * ((1 + q c) * / L) <= k * (1 + q c) * q n + tau).
    { intros k hk. replace ((k * T + 4 * t9) * ((1 + q c) * / L)) with (k * (1 + q c) * (T * / L) + 4 * (1 + q c) * (t9 * / L)) by ring. unfold tau, Rdiv.
      assert (k * (1 + q c) * (T * / L) <= k * (1 + q c) * q n) by (apply Rmult_le_compat_l; [nra|auto]).
      assert (t9 * / L <= t9 * / q low) by (apply Rmult_le_compat_l; auto).
      assert (4 * (1 + q c) * (t9 * / L) <= 4 * (1 + q c) * (t9 * / q low)) by (apply Rmult_le_compat_l; lra). lra. }
    assert (VI : Rabs (v * il) <= G * (1 + q c) * q n + tau).
    { rewrite Rabs_mult. eapply Rle_trans; [apply Rmult_le_compat; [apply Rabs_pos|apply Rabs_pos|exact V|exact IL1]|]. apply TT. lra. }
    assert (VP : Rabs (v * il - P / L) <= ((G - 1) * (1 + q c) + q c) * q n + tau).
    { replace (v * il - P / L) with ((v - P) * il + P * (il - / L)) by (unfold Rdiv; ring). eapply Rle_trans; [apply Rabs_triang|]. rewrite !Rabs_mult.
      assert (Rabs (v - P) * Rabs il <= (G - 1) * (1 + q c) * q n + tau).
      { eapply Rle_trans; [apply Rmult_le_compat; [apply Rabs_pos|apply Rabs_pos|exact e2|exact IL1]|]. apply TT. lra. }
      assert (Rabs P * Rabs (il - / L) <= T * (q c * / L)) by (apply Rmult_le_compat; auto using Rabs_pos).
      assert (q c * (T * / L) <= q c * q n) by (apply Rmult_le_compat_l; auto). lra. }
    replace (m + P / L) with ((m - - (v * il)) - (v * il - P / L)) by ring. unfold Rminus at 1. eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp.
    rewrite Rabs_Ropp in h6. assert (2 * u * Rabs (v * il) <= 2 * u * (G * (1 + q c) * q n + tau)) by (apply Rmult_le_compat_l; lra).
    assert (GE : G = (1 + u) * E D) by (unfold G; rewrite Nat.add_1_r; apply E_S).
    assert (K1 : G * ((1 + q c) * (1 + 2 * u)) <= E D * (1 + q tw)).
    { rewrite GE. replace ((1 + u) * E D * ((1 + q c) * (1 + 2 * u))) with (E D * ((1 + u) * ((1 + q c) * (1 + 2 * u)))) by ring. apply Rmult_le_compat_l; [lra|]. nra. }
    assert (K2 : G * ((1 + q c) * (1 + 2 * u)) * q n <= E D * (1 + q tw) * q n) by (apply Rmult_le_compat_r; lra).
    assert (K3 : (1 + 2 * u) * tau <= 9 * t9 / q low).
    { unfold tau. replace (9 * t9 / q low) with (9 * (t9 / q low)) by (unfold Rdiv; ring).
      replace ((1 + 2 * u) * (4 * (t9 / q low) * (1 + q c))) with ((1 + 2 * u) * (1 + q c) * 4 * (t9 / q low)) by ring. apply Rmult_le_compat_r; auto.
      assert ((1 + 2 * u) * (1 + q c) <= (1 + 2 * / 1000) * 2) by (apply Rmult_le_compat; lra). lra. }
    assert (0 <= 4 * t9 * (q n + 1)) by (apply Rmult_le_pos; lra). lra.
  - (* the direction, multiplied *)
    destruct h6 as [h6 h7].
    set (ft := fun d => proto H j d * (z l d / L)).
    assert (SF : sumn D (fun d => Rabs (ft d)) <= q n).
    { eapply Rle_trans; [|exact TN]. right. unfold T. rewrite Rmult_comm, <- sumn_scal. apply sumn_ext. intros d _. unfold ft, Rdiv. rewrite !Rabs_mult, Rabs_inv, (Rabs_pos_eq L) by lra. ring. }
    assert (SP : sumn D ft = P / L).
    { unfold P, product, Rdiv. fold D. rewrite (Rmult_comm _ (/ L)), <- sumn_scal. apply sumn_ext. intros d _. unfold ft, Rdiv. ring. }
    assert (TERM : forall d, (d < D)%nat -> Rabs (s d - ft d) <= q tw * Rabs (ft d) + (2 * q n + 1) * tiny).
    { intros d hd. specialize (h5 d hd). specialize (h6 d hd). unfold rounds_to in h5, h6. replace (z l d / long) with (z l d * il) in h5 by reflexivity.
      set (p := proto H j d) in *. set (x0' := z l d) in *.
      assert (PD : Rabs p <= q n).
      { apply Rsqr_incr_0_var; [|lra]. unfold Rsqr. rewrite <- Rabs_mult, Rabs_pos_eq by apply Rle_0_sqr. eapply Rle_trans; [|exact n1].
        apply (sumn_one D (fun d => proto H j d * proto H j d) d); auto. intros; apply Rle_0_sqr. }
      assert (X1 : Rabs (x0' * il - x0' / L) <= q c * Rabs (x0' / L)).
      { replace (x0' * il - x0' / L) with (x0' * (il - / L)) by (unfold Rdiv; ring). unfold Rdiv. rewrite !Rabs_mult, Rabs_inv, (Rabs_pos_eq L) by lra. pose proof (Rabs_pos x0'). nra. }
      assert (Y1 : Rabs (y d - x0' / L) <= q th * Rabs (x0' / L) + tiny).
      { pose proof (near_round 2 tiny (q c) 0 (x0' / L) (x0' * il) (y d) ltac:(lra) c0) as nr. unfold near in nr. rewrite !Rplus_0_r, Rmult_0_r, Rplus_0_l in nr.
        specialize (nr X1 h5). eapply Rle_trans; [exact nr|]. rewrite Rplus_0_l. apply Rplus_le_compat_r, Rmult_le_compat_r; [apply Rabs_pos|lra]. }
      assert (Y2 : Rabs (p * y d - ft d) <= q th * Rabs (ft d) + q n * tiny).
      { unfold ft. fold p x0'. rewrite <- Rmult_minus_distr_l, !Rabs_mult. pose proof (Rabs_pos p).
        assert (Rabs p * Rabs (y d - x0' / L) <= Rabs p * (q th * Rabs (x0' / L) + tiny)) by (apply Rmult_le_compat_l; auto).
        assert (Rabs p * tiny <= q n * tiny) by (apply Rmult_le_compat_r; lra). lra. }
      pose proof (near_round 1 tiny (q th) (q n * tiny) (ft d) (p * y d) (s d) ltac:(lra) ltac:(lra) Y2 h6) as nr. unfold near in nr.
      eapply Rle_trans; [exact nr|]. pose proof (Rabs_pos (ft d)). assert (0 <= q n * tiny) by (apply Rmult_le_pos; lra).
      assert (1 * u * (q n * tiny) <= 1 * (q n * tiny)) by (apply Rmult_le_compat_r; lra).
      assert ((q th + 1 * u * (1 + q th)) * Rabs (ft d) <= q tw * Rabs (ft d)) by (apply Rmult_le_compat_r; auto). lra. }
    pose proof (sums_close D ft s v (q tw) (2 * q n + 1) D1 ltac:(lra) ltac:(lra) h7 TERM) as g. rewrite SP in g.
    pose proof (E2_tiny D (2 * q n + 1 + 1) ltac:(unfold D; lia) ltac:(lra)) as gt.
    replace (- v + P / L) with (- (v - P / L)) by ring. rewrite Rabs_Ropp. eapply Rle_trans; [exact g|].
    assert ((E D * (1 + q tw) - 1) * sumn D (fun d => Rabs (ft d)) <= (E D * (1 + q tw) - 1) * q n) by (apply Rmult_le_compat_l; nra).
    unfold t9 in *. assert (0 <= 9 * (INR D * tiny) / q low) by (unfold Rdiv; apply Rmult_le_pos; lra). lra.
Qed.
Lemma extent_ok j s l : (l < nloc H)%nat -> extent isqrt K w short H reach (nth j (protos H) []) (nth j (scales H) []) = Some s ->
  inK (fst s) (measurement H z l j) /\ forall m, measured w H (z l) j m -> close (snd s) (measurement H z l j) m.
Proof.
  intros hl. destruct (metric H) as [|above| |f a|each] eqn:em; [| | |now apply angle_ok with f a|unfold extent; rewrite em; discriminate]; unfold extent, measured, measurement; rewrite em.
  - (* squared distances *)
    assert (SX : square_length (channels H) (fun d => z l d - proto H j d) = sumn (channels H) (fun d => 1 * ((z l d - proto H j d) * (z l d - proto H j d)))).
    { apply sumn_ext. intros; ring. }
    assert (S0 : 0 <= square_length (channels H) (fun d => z l d - proto H j d)) by (apply sumn_nonneg; intros; apply Rle_0_sqr).
    destruct w; intros e; inv_some; subst s; cbn [fst snd]; (split; [now apply nonneg_start|]).
    + intros m [y [t h]].
      destruct (differences_ok 2 (fun _ => 1) j l y t m ltac:(lia) ltac:(intros; lra) 1 ltac:(lra) ltac:(intros; lra) h) as [m0 m1]. rewrite <- SX in m0, m1.
      destruct (gamma_ok K (channels H + 5) ltac:(lia)) as [g0 g1]. destruct (below_normal_ok K (10 * Z.of_nat (channels H)) ltac:(lia)) as [b0 b1].
      apply close_intro with (E (channels H + 5) - 1) (2 * (INR (channels H) * (3 * 1 + 2) * tiny)); auto.
      * unfold near. rewrite (Rabs_pos_eq (square_length _ _)) by auto. exact m1.
      * rewrite mult_IZR, <- inr in b1. lra.
    + intros m [r [n [s [v [stored [y [h1 [h2 [h3 [h4 ->]]]]]]]]]].
      destruct (expanded_ok l j r n s v stored y h1 h2 h3 h4) as [x0 x1].
      destruct (gamma_ok K (channels H + 4) ltac:(lia)) as [g0 g1]. destruct (below_normal_ok K (28 * Z.of_nat (channels H)) ltac:(lia)) as [b0 b1].
      pose proof (proto_norm j) as pn. set (g := gamma K (channels H + 4)) in *. set (p := nth j (protos H) []) in *.
      set (X := square_length (channels H) (fun d => z l d - proto H j d)) in *.
      assert (Q0 : 0 <= square_length (channels H) (proto H j)) by (apply sumn_nonneg; intros; apply Rle_0_sqr).
      assert (Z0 : (0 <= norm2 p)%Z). { apply le_IZR. rewrite (norm2_eq p (channels H)); [apply sumn_nonneg; intros; apply Rle_0_sqr|]. destruct (fit_parts H fit) as [_ [wf _]]. apply wf. }
      pose proof (ce_nonneg (g * 451 * norm2 p) (100 * (Zpos (hden H) * Zpos (hden H))) ltac:(nia) ltac:(lia)) as c0.
      pose proof (E_ge1 (channels H + 4)) as e4.
      apply close_intro with (10 * (E (channels H + 4) - 1)) ((E (channels H + 4) - 1) * (451 / 100 * square_length (channels H) (proto H j)) + 28 * (INR (channels H) * tiny)); try lia.
      * unfold near. rewrite (Rabs_pos_eq X) by auto. eapply Rle_trans; [exact x1|]. lra.
      * rewrite q_scal. change (IZR 10) with 10. lra.
      * rewrite q_plus. rewrite mult_IZR, <- inr in b1. apply Rplus_le_compat; [|lra].
        pose proof (q_ce K (g * 451 * norm2 p) (100 * (Zpos (hden H) * Zpos (hden H))) ltac:(lia)) as c1. eapply Rle_trans; [|exact c1].
        rewrite pn. replace (g * 451 * norm2 p)%Z with (451 * norm2 p * g)%Z by ring. rewrite q_scal, !mult_IZR. pose proof (posR (hden H)) as hp.
        replace (IZR 451 * IZR (norm2 p) * q g / (IZR 100 * (IZR (Zpos (hden H)) * IZR (Zpos (hden H)))))
          with (q g * (451 / 100 * (IZR (norm2 p) / (IZR (Zpos (hden H)) * IZR (Zpos (hden H)))))) by (field; lra).
        apply Rmult_le_compat_r; [rewrite <- pn; lra|auto].
  - (* weighed *)
    destruct (_ && _)%bool eqn:ef; [|discriminate]. apply andb_prop in ef. destruct ef as [ef ab]. rewrite forallb_forall in ef. apply Z.leb_le in ab.
    intros e. inv_some; subst s. cbn [fst snd].
    set (sc := nth j (scales H) []) in *. set (top := (ce (fold_right Z.max 0 sc) (Zpos (sden H)) + ce (fst above) (Zpos (snd above)))%Z).
    assert (SC : forall d, 0 <= scale H j d /\ scale H j d <= IZR top).
    { intros d. unfold scale. rewrite em. fold sc. pose proof (posR (sden H)) as sp.
      assert (IN : (0 <= nth d sc 0 <= fold_right Z.max 0 sc)%Z).
      { destruct (nth_in_or_default d sc 0%Z) as [hi|hi].
        - split; [apply Z.leb_le; now apply ef|]. revert hi. generalize (nth d sc 0%Z). clear. intros v hi.
          induction sc as [|x sc IH]; [destruct hi|]. cbn [fold_right]. destruct hi as [->|hi]; [lia|]. specialize (IH hi). lia.
        - rewrite hi. split; [lia|]. clear. induction sc; cbn [fold_right]; lia. }
      unfold at_. destruct IN as [i1 i2]. destruct (share_ok j d) as [s1 s2].
      assert (V : 0 <= val above <= IZR (ce (fst above) (Zpos (snd above)))).
      { destruct (val_sign above) as [v1 _]. split; [now apply v1|]. unfold val. apply ce_div. lia. }
      assert (W : 0 <= IZR (nth d sc 0%Z) / IZR (Zpos (sden H)) <= IZR (ce (fold_right Z.max 0%Z sc) (Zpos (sden H)))).
      { split; [apply Rmult_le_pos; [now apply IZR_le|left; now apply Rinv_0_lt_compat]|].
        eapply Rle_trans; [|apply ce_div; lia]. apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|now apply IZR_le]. }
      unfold top. rewrite plus_IZR. split; [nra|]. assert (share j d * val above <= 1 * val above) by (apply Rmult_le_compat_r; lra). lra. }
    assert (top0 : (0 <= top)%Z). { apply le_IZR. destruct (SC 0%nat). lra. }
    split.
    + apply nonneg_start. apply sumn_nonneg. intros d _. apply Rmult_le_pos; [apply SC|apply Rle_0_sqr].
    + intros m [y [t h]]. assert (h6 : differences (INR 6) H (z l) j (scale H j) y t m) by (replace (INR 6) with 6 by (cbn; lra); exact h).
      destruct (differences_ok 6 (scale H j) j l y t m ltac:(lia) ltac:(intros; apply SC) (IZR top) ltac:(now apply IZR_le) ltac:(intros; apply SC) h6) as [m0 m1].
      destruct (gamma_ok K (channels H + 9) ltac:(lia)) as [g0 g1]. destruct (below_normal_ok K (2 * Z.of_nat (channels H) * (3 * top + 2)) ltac:(nia)) as [b0 b1].
      apply close_intro with (E (channels H + 9) - 1) (2 * (INR (channels H) * (3 * IZR top + 2) * tiny)); auto.
      * unfold near. rewrite (Rabs_pos_eq (sumn _ _)) by auto. exact m1.
      * rewrite !mult_IZR, plus_IZR, mult_IZR, <- inr in b1. lra.
  - (* products *)
    destruct (reach (nth j (protos H) [])) as [n|] eqn:er; [|discriminate]. intros e. inv_some; subst s. cbn [fst snd].
    destruct (REACH j n l hl er) as [n0 n1].
    assert (PN : Rabs (product H (z l) j) <= q n) by (eapply Rle_trans; [apply sum_abs|exact n1]). split; [apply bounded_in; now rewrite Rabs_Ropp|].
    intros m [s [v [h ->]]]. pose proof (products_ok _ _ _ _ h) as e.
    destruct (gamma_ok K (channels H + 1) ltac:(lia)) as [g0 g1]. destruct (below_normal_ok K (4 * Z.of_nat (channels H)) ltac:(lia)) as [b0 b1].
    pose proof (ce_nonneg (gamma K (channels H + 1) * n) (Zpos K) ltac:(nia) ltac:(lia)) as c0. pose proof (q_mul K (gamma K (channels H + 1)) n) as c1.
    pose proof (E_ge1 (channels H + 1)) as e1.
    apply close_intro with 0 ((E (channels H + 1) - 1) * q n + 4 * (INR (channels H) * tiny)); try lia; [|rewrite q_0; lra|].
    + apply near_opp. unfold near. rewrite Rmult_0_l, Rplus_0_l. eapply Rle_trans; [exact e|]. apply Rplus_le_compat_r, Rmult_le_compat_l; lra.
    + rewrite q_plus. rewrite mult_IZR, <- inr in b1. pose proof (q_pos K n n0). assert ((E (channels H + 1) - 1) * q n <= q (gamma K (channels H + 1)) * q n) by (apply Rmult_le_compat_r; lra). lra.
Qed.

End Sound.
