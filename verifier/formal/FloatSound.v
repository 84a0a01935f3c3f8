(** What [accept_float] accepts holds however the head is executed in float32. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool Permutation.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound Sufficient Point Theorems Float Rounding FloatCheck Spread Measured.
Import ListNotations.
Local Open Scope R_scope.

Section Sound.
Context {sh : shares}.
Variable isqrt : Z -> Z.
Variable K : positive.
Variable rounds : nat.
Variable w : writing.
Variable H : head.
Variable z : latent.
Notation inK := (inI K).
Notation close := (close K).
Notation q := (q K).
Hypothesis fit : lengths_fit H = true.
Hypothesis full : has_places (compile H) (nproto H) = true.
Hypothesis D1 : (1 <= channels H)%nat.
Hypothesis D2 : (Z.of_nat (channels H) < 4194304)%Z.
Variable short : ratio.
Hypothesis SHORT : forall l, (l < nloc H)%nat -> val short <= square_length (channels H) (z l).
Variable reach : list Z -> option Z.
Hypothesis REACH : forall j n l, (l < nloc H)%nat -> reach (nth j (protos H) []) = Some n ->
  (0 <= n)%Z /\ sumn (channels H) (fun d => Rabs (proto H j d * z l d)) <= q n.

(** ** One activation *)
Lemma greater_above a b x : above K a x -> above K b x -> above K (greater a b) x.
Proof.
  destruct a as [a|], b as [b|]; cbn; auto. intros h1 h2. destruct (Z.max_spec a b) as [[_ ->]|[_ ->]]; auto.
Qed.
(** ** Pooled values *)
Lemma near_total r e i xs ys : (0 <= r)%Z -> (0 <= e)%Z -> Forall2 (near (q r) (q e)) xs ys -> Forall (inK i) xs ->
  forall s v, sums ys s -> (Z.of_nat (length xs) < 8388608)%Z -> forall n, (Z.of_nat (length xs) <= n < 8388608)%Z ->
  sum_error K n i (r, e) = Some v -> close v (total xs) s.
Proof.
  intros r0 e0 hn hi s v hs hl n hn' h. unfold sum_error in h.
  set (g := ce (Zpos K * n) (T24 - n)) in *.
  assert (G : (0 <= g)%Z /\ E (Z.to_nat n) - 1 <= q g).
  { pose proof (gamma_ok K (Z.to_nat n)) as G. unfold gamma in G. rewrite !Z2Nat.id in G by lia. apply G. lia. }
  destruct G as [g0 g1]. destruct (below_normal_ok K (2 * n) ltac:(lia)) as [b0 b1].
  destruct (total_near _ _ _ _ hn) as [t1 t2]. pose proof (sums_err _ _ hs) as t3.
  assert (L : length ys = length xs) by (symmetry; clear - hn; induction hn; cbn; auto). rewrite L in t3.
  set (m := Z.to_nat n) in *. assert (lm : (length xs <= m)%nat) by (unfold m; lia). set (A := tabs xs) in *.
  assert (A0 : 0 <= A) by apply tabs_nonneg. pose proof (q_pos K r r0) as qr. pose proof (q_pos K e e0) as qe.
  assert (LN : INR (length xs) <= IZR n). { rewrite INR_IZR_INZ. apply IZR_le. lia. }
  pose proof (pos_INR (length xs)) as l0. pose proof tiny_pos as tp. pose proof (E_ge1 (pred (length xs))) as E1.
  assert (E2 : E (pred (length xs)) - 1 <= q g). { pose proof (E_mono (pred (length xs)) m ltac:(lia)). lra. }
  pose proof (q_pos K g g0) as qg.
  assert (MAIN : Rabs (s - total xs) <= (q r + q g * (1 + q r)) * A + (IZR n * q e + q g * (IZR n * q e) + 2 * (IZR n * tiny))).
  { replace (s - total xs) with ((s - total ys) + (total ys - total xs)) by ring. eapply Rle_trans; [apply Rabs_triang|].
    assert (N1 : INR (length xs) * q e <= IZR n * q e) by (apply Rmult_le_compat_r; auto).
    assert (N2 : tabs ys <= (1 + q r) * A + IZR n * q e) by lra. pose proof (tabs_nonneg ys).
    assert (N3 : (E (pred (length xs)) - 1) * tabs ys <= q g * ((1 + q r) * A + IZR n * q e)) by (apply Rmult_le_compat; lra).
    assert (N4 : INR (pred (length xs)) * E (pred (length xs)) * tiny <= 2 * (IZR n * tiny)).
    { pose proof (E_two (pred (length xs)) ltac:(lia)). assert (INR (pred (length xs)) <= INR (length xs)) by (apply le_INR; lia). pose proof (pos_INR (pred (length xs))).
      replace (2 * (IZR n * tiny)) with (IZR n * 2 * tiny) by ring. apply Rmult_le_compat_r; [lra|]. apply Rmult_le_compat; lra. }
    lra. }
  set (r' := (r + ce (g * (Zpos K + r)) (Zpos K))%Z) in *. set (e' := (n * e + ce (g * (n * e)) (Zpos K) + below_normal K (2 * n))%Z) in *.
  assert (n0 : (0 <= n)%Z) by lia. assert (ne0 : (0 <= n * e)%Z) by (now apply Z.mul_nonneg_nonneg). pose proof (Z.mul_nonneg_nonneg _ _ g0 ne0) as gne.
  pose proof (ce_nonneg (g * (Zpos K + r)) (Zpos K) ltac:(nia) ltac:(lia)). pose proof (ce_nonneg (g * (n * e)) (Zpos K) gne ltac:(lia)).
  assert (R1 : q r + q g * (1 + q r) <= q r'). { unfold r'. rewrite q_plus. pose proof (q_mul K g (Zpos K + r)) as c. rewrite q_plus, q_k in c. lra. }
  assert (R2 : IZR n * q e + q g * (IZR n * q e) + 2 * (IZR n * tiny) <= q e').
  { unfold e'. rewrite !q_plus. pose proof (q_mul K g (n * e)) as c. rewrite mult_IZR in b1. change (IZR 2) with 2 in b1. rewrite !q_scal in *. lra. }
  assert (r'0 : (0 <= r')%Z) by (unfold r'; lia). assert (e'0 : (0 <= e')%Z) by (unfold e'; nia).
  destruct (nonneg i) eqn:en.
  - inv_some; subst v. assert (AT : A = Rabs (total xs)).
    { assert (P : Forall (fun x => 0 <= x) xs) by (eapply Forall_impl; [|exact hi]; intros; now apply (nonneg_in K i)).
      unfold A, tabs. clear - P. assert (0 <= total xs /\ total (map Rabs xs) = total xs) as [p1 p2].
      { induction P as [|x xs h P [i1 i2]]; cbn; [lra|]. rewrite i2, (Rabs_pos_eq x) by auto. lra. }
      rewrite p2, Rabs_pos_eq; auto. }
    apply close_intro with (q r + q g * (1 + q r)) (IZR n * q e + q g * (IZR n * q e) + 2 * (IZR n * tiny)); auto. unfold near. rewrite <- AT. exact MAIN.
  - destruct (size_to i) as [M|] eqn:eM; [|discriminate]. inv_some; subst v.
    assert (AM : A <= IZR n * q M).
    { apply Rle_trans with (INR (length xs) * q M).
      - unfold A, tabs. clear - hi eM. induction hi as [|x xs h hi IH]; cbn [map total length]; [cbn; lra|]. rewrite S_INR.
        destruct (size_to_ok K i M x eM h). lra.
      - destruct hi as [|x xs h hi]; [cbn; rewrite Rmult_0_l; apply Rmult_le_pos; [apply IZR_le; lia|]|].
        + unfold size_to in eM. destruct i as [[a|] [b|]]; try discriminate. inv_some; subst M. apply q_pos. lia.
        + destruct (size_to_ok K i M x eM h). apply Rmult_le_compat_r; auto. now apply q_pos. }
    assert (M0 : (0 <= M)%Z). { unfold size_to in eM. destruct i as [[a|] [b|]]; try discriminate. inv_some; subst M. lia. }
    pose proof (ce_nonneg (r' * (n * M)) (Zpos K) ltac:(nia) ltac:(lia)). pose proof (q_mul K r' (n * M)) as c.
    apply close_intro with 0 (q r' * (IZR n * q M) + q e'); try lia; [|rewrite q_0; lra|rewrite q_plus; rewrite q_scal in c; lra].
    unfold near. rewrite Rmult_0_l, Rplus_0_l. eapply Rle_trans; [exact MAIN|]. apply Rplus_le_compat; auto.
    apply Rmult_le_compat; auto. apply Rplus_le_le_0_compat; auto. apply Rmult_le_pos; lra.
Qed.
Lemma divided_ok n x a s y : (0 < n)%Z -> close x a s -> rounds_to 2 (s / IZR n) y -> close (divided K n x) (a / IZR n) y.
Proof.
  intros hn [h1 [h2 h3]] hr. unfold divided. pose proof (IZR_lt _ _ hn) as np.
  apply more_ok with (s := 0) (v := s / IZR n); [lia|lia| |rewrite q_0; lra|unfold rounds_to in hr; change (IZR 2) with 2; lra].
  split; [exact h1|]. split; [cbn; apply ce_nonneg; lia|]. cbn [fst snd].
  apply (near_mul _ _ _ _ (/ IZR n)) in h3. eapply near_weaken; [apply Rle_refl| |exact h3].
  rewrite Rabs_inv, Rabs_pos_eq by lra. pose proof (q_ce K (snd x) n hn). unfold Rdiv in *. lra.
Qed.
Lemma in_insert_forall (P : R -> Prop) x xs : P x -> Forall P xs -> Forall P (insert x xs).
Proof. intros h. induction 1; cbn; [repeat constructor; auto|]. destruct (Rle_dec x0 x); repeat constructor; auto. Qed.
Lemma descending_forall (P : R -> Prop) xs : Forall P xs -> Forall P (descending xs).
Proof. induction 1; cbn; [constructor|]. now apply in_insert_forall. Qed.
(** the largest ones of near lists are near *)
Lemma descending_map f xs : (forall x y, f x <= f y <-> x <= y) -> descending (map f xs) = map f (descending xs).
Proof.
  intros hf. assert (I : forall x l, insert (f x) (map f l) = map f (insert x l)).
  { intros x. induction l as [|a l IH]; cbn; auto. destruct (Rle_dec a x) as [c|c], (Rle_dec (f a) (f x)) as [d|d]; cbn; auto.
    - exfalso. apply d. now apply hf.
    - exfalso. apply c. now apply hf.
    - now rewrite IH. }
  induction xs as [|x xs IH]; auto. change (descending (map f (x :: xs))) with (insert (f x) (descending (map f xs))).
  change (descending (x :: xs)) with (insert x (descending xs)). now rewrite IH, I.
Qed.
Lemma descending_near r e xs ys : 0 <= r < 1 -> Forall2 (near r e) xs ys -> Forall2 (near r e) (descending xs) (descending ys).
Proof.
  intros hr h. set (up := fun x => x + (r * Rabs x + e)). set (dn := fun x => x - (r * Rabs x + e)).
  assert (U : forall x y, up x <= up y <-> x <= y).
  { intros x y. unfold up. split; [|intros; apply grown_mono; lra]. intros g. destruct (Rle_lt_dec x y); auto. exfalso. revert g. unfold Rabs. destruct (Rcase_abs x), (Rcase_abs y); nra. }
  assert (D : forall x y, dn x <= dn y <-> x <= y).
  { intros x y. unfold dn. split; [|intros; apply shrunk_mono; lra]. intros g. destruct (Rle_lt_dec x y); auto. exfalso. revert g. unfold Rabs. destruct (Rcase_abs x), (Rcase_abs y); nra. }
  assert (A : Forall2 Rle ys (map up xs)) by (clear - h; induction h as [|x y xs ys g h IH]; cbn; constructor; auto; apply near_iff in g; unfold up; lra).
  assert (B : Forall2 Rle (map dn xs) ys) by (clear - h; induction h as [|x y xs ys g h IH]; cbn; constructor; auto; apply near_iff in g; unfold dn; lra).
  apply descending_le in A, B. rewrite descending_map in A, B by auto. revert A B. generalize (descending xs) (descending ys). clear.
  induction l as [|x l IH]; intros m A B; inversion A; subst; inversion B; subst; constructor; auto. apply near_iff. unfold up, dn in *. lra.
Qed.
Lemma firstn_forall2 {A B} (P : A -> B -> Prop) n : forall xs ys, Forall2 P xs ys -> Forall2 P (firstn n xs) (firstn n ys).
Proof. induction n; intros xs ys h; cbn; [constructor|]. destruct h; constructor; auto. Qed.
Lemma pool_error_ok p i x v xs ys t : (0 <= fst x)%Z -> (0 <= snd x)%Z -> (fst x <= Zpos K)%Z -> Forall2 (near (q (fst x)) (q (snd x))) xs ys -> Forall (inK i) xs ->
  pool_error K p (length xs) i x = Some v -> pools_to p ys t -> close v (pooled p xs) t.
Proof.
  intros r0 e0 r1 hn hi h hp. unfold pool_error in h.
  destruct (8388608 <=? Z.of_nat (length xs))%Z eqn:l1; [discriminate|]. destruct (Z.of_nat (length xs) =? 0)%Z eqn:l2; [discriminate|].
  apply Z.leb_gt in l1. apply Z.eqb_neq in l2. cbn [orb] in h.
  assert (L : length ys = length xs) by (symmetry; clear - hn; induction hn; cbn; auto).
  assert (NT : forall s y, sums ys s -> sum_error K (Z.of_nat (length xs)) i x = Some y -> close y (total xs) s).
  { intros s y hs hy. destruct x as [r e]. exact (near_total r e i xs ys r0 e0 hn hi s y hs ltac:(lia) (Z.of_nat (length xs)) ltac:(lia) hy). }
  destruct p as [| | |k| |f]; try discriminate h; cbn [pools_to pooled] in *.
  - destruct (sum_error K (Z.of_nat (length xs)) i x) as [y|] eqn:ey; [|discriminate]. cbn in h. inv_some; subst v. destruct hp as [s [h1 h2]].
    rewrite L, INR_IZR_INZ in h2. rewrite INR_IZR_INZ. apply divided_ok with s; auto. lia.
  - now apply NT.
  - destruct (Z.of_nat k =? 0)%Z eqn:k1; [discriminate|]. destruct (8388608 <=? Z.of_nat k)%Z eqn:k2; [discriminate|]. destruct (negb _) eqn:k3; [discriminate|].
    apply negb_false_iff, Z.ltb_lt in k3. apply Z.eqb_neq in k1. apply Z.leb_gt in k2. cbn [orb] in h.
    destruct (sum_error K (Z.of_nat k) i x) as [y|] eqn:ey; [|discriminate]. cbn in h. inv_some; subst v. destruct hp as [s [h1 h2]].
    rewrite INR_IZR_INZ in h2. rewrite INR_IZR_INZ. apply divided_ok with s; auto; [lia|]. destruct x as [r e]. cbn [fst snd] in *.
    assert (F : (length (firstn k (descending xs)) <= k)%nat) by apply firstn_le_length.
    assert (HN : Forall2 (near (q r) (q e)) (firstn k (descending xs)) (firstn k (descending ys))).
    { apply firstn_forall2. apply descending_near; [apply q_unit; lia|exact hn]. }
    assert (HI : Forall (inK i) (firstn k (descending xs))).
    { apply Forall_forall. intros z0 hz. pose proof (descending_forall _ _ hi) as df. rewrite Forall_forall in df. apply df. rewrite <- (firstn_skipn k). apply in_or_app. now left. }
    assert (HB : (Z.of_nat (length (firstn k (descending xs))) <= Z.of_nat k < 8388608)%Z) by lia.
    assert (HL : (Z.of_nat (length (firstn k (descending xs))) < 8388608)%Z) by lia.
    exact (near_total r e i _ _ r0 e0 HN HI s y h1 HL (Z.of_nat k) HB ey).
  - destruct (size_to i) as [M|] eqn:eM; [|discriminate]. destruct (sum_error K (Z.of_nat (length xs)) i x) as [y|] eqn:ey; [|discriminate]. inv_some; subst v.
    destruct hp as [s [m [h1 [h2 h3]]]]. rewrite L, INR_IZR_INZ in h2. rewrite INR_IZR_INZ. set (n := Z.of_nat (length xs)) in *.
    pose proof (divided_ok n y (total xs) s m ltac:(lia) (NT s y h1 eq_refl) h2) as [d0 [d1 d2]]. set (zz := divided K n y) in *.
    assert (ne : xs <> []) by (intros ->; cbn in l2; unfold n in *; cbn in l2; lia).
    assert (AB : forall a, In a xs -> Rabs a <= q M /\ (0 <= M)%Z). { intros a ha. rewrite Forall_forall in hi. destruct (size_to_ok K i M a eM (hi a ha)). auto. }
    destruct (AB _ (most_in xs ne)) as [m1 M0].
    assert (m2 : Rabs (total xs / IZR n) <= q M).
    { assert (np : 0 < IZR n) by (apply IZR_lt; lia). apply Rmult_le_reg_r with (IZR n); auto.
      rewrite <- (Rabs_pos_eq (IZR n)) at 2 by lra. rewrite <- Rabs_mult. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra. unfold n. rewrite <- INR_IZR_INZ.
      clear - AB. induction xs as [|a xs IH]; cbn [total length]; [rewrite Rabs_R0; cbn; lra|]. rewrite S_INR. eapply Rle_trans; [apply Rabs_triang|].
      destruct (AB a (or_introl eq_refl)). specialize (IH (fun b hb => AB b (or_intror hb))). lra. }
    pose proof (near_most _ _ _ _ (q_unit_le K (fst x) (conj r0 r1)) (q_pos K (snd x) e0) hn) as nm.
    pose proof (near_bounded _ _ _ _ _ (q_pos K _ r0) m1 nm) as nm'. pose proof (near_bounded _ _ _ _ _ (q_pos K _ d0) m2 d2) as nd'.
    pose proof (ce_nonneg (fst x * M) (Zpos K) ltac:(nia) ltac:(lia)). pose proof (ce_nonneg (fst zz * M) (Zpos K) ltac:(nia) ltac:(lia)).
    pose proof (q_mul K (fst x) M). pose proof (q_mul K (fst zz) M).
    apply more_ok with (s := 0) (v := most ys - m); [lia|lia| |rewrite q_0; lra|unfold rounds_to in h3; lra].
    apply close_intro with 0 (q (fst x) * q M + q (snd x) + (q (fst zz) * q M + q (snd zz))); try lia; [|rewrite q_0; lra|rewrite !q_plus; lra].
    unfold near in *. rewrite Rmult_0_l, Rplus_0_l in *.
    replace (most ys - m - (most xs - total xs / IZR n)) with ((most ys - most xs) + - (m - total xs / IZR n)) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp. lra.
Qed.
Lemma activation_error_ok j ms s t x a : (j < nproto H)%nat -> extent isqrt K w short H reach (nth j (protos H) []) (nth j (scales H) []) = Some s ->
  inK t (value H z j) -> Forall2 (fun l m => measured w H (z l) j m) (places H j) ms ->
  activation_error isqrt K rounds (nth j (pools H) Nearest) (length (places H j)) (nth j (inner H) []) (nth j (outer H) []) s t = Some x ->
  activates H z j ms a -> close x (activation H z j) a.
Proof.
  intros hj hs ht hm he ha. unfold activation_error, activates in *.
  destruct (fst (snd s) <=? Zpos K)%Z eqn:er; [|discriminate]. apply Z.leb_le in er. cbn [negb] in he.
  assert (LOC : forall l, In l (places H j) -> (l < nloc H)%nat).
  { intros l hl. unfold places in hl. apply filter_In in hl. destruct hl as [hl _]. apply in_seq in hl. lia. }
  assert (OTHER : forall p, p <> Nearest -> value H z j = pooled p (map (fun l => run (nth j (inner H) []) (measurement H z l j)) (places H j)) ->
    (match trace isqrt K rounds (nth j (inner H) []) (fst s) (snd s) with
     | Some (i, x) => match pool_error K p (length (places H j)) i x with Some y => option_map snd (trace isqrt K rounds (nth j (outer H) []) t y) | None => None end
     | None => None end) = Some x ->
    (exists xs v, Forall2 (computes (nth j (inner H) [])) ms xs /\ pools_to p xs v /\ computes (nth j (outer H) []) v a) -> close x (activation H z j) a).
  { intros p np ev hx [xs [v [h1 [h2 h3]]]].
    destruct (trace isqrt K rounds (nth j (inner H) []) (fst s) (snd s)) as [[i y]|] eqn:et; [|discriminate].
    destruct (pool_error K p (length (places H j)) i y) as [y'|] eqn:ep; [|discriminate].
    destruct (trace isqrt K rounds (nth j (outer H) []) t y') as [[i' x']|] eqn:eo; [|discriminate]. cbn in hx. inv_some; subst x'.
    pose proof (trace_unit isqrt K rounds _ _ _ _ er et) as yu. cbn [fst snd] in yu.
    assert (ALL : Forall2 (fun l y0 => inK i (run (nth j (inner H) []) (measurement H z l j)) /\ close y (run (nth j (inner H) []) (measurement H z l j)) y0) (places H j) xs).
    { clear - hm h1 LOC hs et fit D1 D2 SHORT REACH. revert LOC xs h1. induction hm as [|l m ls ms h hm IH]; intros LOC xs h1; inversion h1; subst; constructor.
      - destruct (extent_ok isqrt K H z fit D1 D2 w short SHORT reach REACH j s l (LOC l (or_introl eq_refl)) hs) as [e1 e2]. eapply trace_ok; eauto.
      - apply IH; auto. intros; apply LOC; now right. }
    assert (NE : places H j <> []) by (intros e; unfold pool_error in ep; rewrite e in ep; cbn in ep; discriminate).
    assert (Y : (0 <= fst y)%Z /\ (0 <= snd y)%Z) by (destruct ALL as [|l y0 ls ys [_ [a1 [a2 _]]] _]; [congruence|auto]).
    unfold activation. eapply trace_ok; [exact eo|exact ht| |exact h3]. rewrite ev.
    apply pool_error_ok with i y xs; try tauto; auto.
    - clear - ALL. induction ALL as [|l y0 ls ys [_ [_ [_ h]]] A IH]; cbn; constructor; auto.
    - clear - ALL. induction ALL as [|l y0 ls ys [h _] A IH]; cbn; constructor; auto.
    - rewrite map_length. exact ep. }
  destruct (nth j (pools H) Nearest) as [| | |kk| |ff] eqn:ek.
  2-6: (match type of ek with _ = ?p => apply (OTHER p); [discriminate|unfold value; now rewrite ek|exact he|exact ha] end).
  clear OTHER.
  destruct ha as [c1 [c2 [xs [v [h1 [h2 [h3 h4]]]]]]]. rewrite h1 in he.
  set (i0 := (greater (fst t) (fst (fst s)), snd (fst s))) in *.
  destruct (trace isqrt K rounds (c1 ++ c2) i0 (snd s)) as [[i2 x2]|] eqn:et; [|discriminate]. cbn in he. inv_some; subst x2.
  destruct (trace_app isqrt K rounds c1 c2 _ _ _ et) as [[i1 x1] [t1 t2]]. cbn [fst snd] in t2.
  pose proof (trace_unit isqrt K rounds c1 _ _ _ er t1) as ru. cbn [fst snd] in ru.
  assert (V : value H z j = least (map (fun l => measurement H z l j) (places H j))) by (unfold value; now rewrite ek).
  assert (IN : forall l, In l (places H j) -> inK i0 (measurement H z l j)).
  { intros l hl. destruct (extent_ok isqrt K H z fit D1 D2 w short SHORT reach REACH j s l (LOC l hl) hs) as [[a1 a2] _]. destruct ht as [b1 _]. split; cbn [fst snd i0]; auto.
    apply greater_above; auto. destruct (fst t) as [n|]; cbn in *; auto. pose proof (posR K).
    assert (value H z j <= measurement H z l j). { rewrite V. apply least_le. apply in_map_iff. exists l. auto. } nra. }
  assert (NE : places H j <> []).
  { unfold has_places in full. rewrite forallb_forall in full. specialize (full j ltac:(apply in_seq; lia)).
    assert (ne : places_ (compile H) j <> []) by (destruct (places_ (compile H) j); congruence).
    destruct (places_eq H fit j ne) as [_ e]. now rewrite <- e. }
  assert (ALL : Forall2 (fun l y => inK i1 (run c1 (measurement H z l j)) /\ close x1 (run c1 (measurement H z l j)) y) (places H j) xs).
  { clear h3 NE V. revert IN LOC xs h2. induction hm as [|l m ls ms h hm IH]; intros IN LOC xs h2; inversion h2; subst; constructor.
    - destruct (extent_ok isqrt K H z fit D1 D2 w short SHORT reach REACH j s l (LOC l (or_introl eq_refl)) hs) as [_ ex]. eapply trace_ok; eauto. apply IN. now left.
    - apply IH; auto; intros; [apply IN|apply LOC]; now right. }
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

End Sound.

(** ** Scores *)
Section Scores.
Variable K : positive.
Variable H : head.
Notation inK := (inI K).
Notation close := (close K).
Notation q := (q K).
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
  fold n in m1. destruct (gamma_ok K (S n + 1) ltac:(unfold n; lia)) as [g0 g1].
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
End Scores.

(** ** All activations, and what scores weigh *)
Section Execution.
Context {sh : shares}.
Variable isqrt : Z -> Z.
Variable K : positive.
Variable rounds : nat.
Variable form : writing.
Variable H : head.
Variable unit fine : positive.
Variable z : latent.
Hypothesis fit : lengths_fit H = true.
Hypothesis full : has_places (compile H) (nproto H) = true.
Hypothesis D1 : (1 <= channels H)%nat.
Hypothesis D2 : (Z.of_nat (channels H) < 4194304)%Z.
Variable short : ratio.
Hypothesis SHORT : forall l, (l < nloc H)%nat -> val short <= square_length (channels H) (z l).
Variable reach : list Z -> option Z.
Hypothesis REACH : forall j n l, (l < nloc H)%nat -> reach (nth j (protos H) []) = Some n ->
  (0 <= n)%Z /\ sumn (channels H) (fun d => Rabs (proto H j d * z l d)) <= q K n.
Variable m : nat -> nat -> R.
Variable a : nat -> R.
Hypothesis M : forall l j, (l < nloc H)%nat -> (j < nproto H)%nat -> measures H l j = true -> measured form H (z l) j (m l j).
Hypothesis A : forall j, (j < nproto H)%nat -> activates H z j (map (fun l => m l j) (places H j)) (a j).

Lemma bound_at_ok j en : (j < nproto H)%nat -> entry_ok H unit fine z j en ->
  bounded K (bound_at isqrt K rounds form short H reach unit fine (length (places H j)) (nth j (protos H) []) (nth j (scales H) []) (nth j (pools H) Nearest)
    (nth j (inner H) []) (nth j (outer H) []) en) (activation H z j) (a j).
Proof.
  intros hj [e1 e2]. unfold bound_at. destruct (extent _ _ _ _ _ _ _ _) as [s|] eqn:es; [|exact I].
  destruct (activation_error _ _ _ _ _ _ _ _ _) as [x|] eqn:ex; [|exact I].
  apply bound_of_ok; [now apply (to_fine_ok H)|].
  apply (activation_error_ok isqrt K rounds form H z fit full D1 D2 short SHORT reach REACH j (map (fun l => m l j) (places H j)) s (to_fine unit K (fst en))); auto.
  - now apply (to_fine_ok H).
  - assert (P : forall l, In l (places H j) -> measured form H (z l) j (m l j)).
    { intros l hl. unfold places in hl. apply filter_In in hl. destruct hl as [h1 h2]. apply in_seq in h1. apply M; auto. lia. }
    revert P. generalize (places H j) as ls. induction ls as [|l ls IH]; intros P; cbn; constructor; [apply P; now left|].
    apply IH. intros; apply P; now right.
Qed.
Lemma bounds_from_ok es : forall j cs ps ss ks is os, all_ok H unit fine z j es -> (j + length es <= nproto H)%nat ->
  (forall i, (j + i < nproto H)%nat -> nth i cs O = length (places H (j + i))) ->
  (forall i, nth i ps [] = nth (j + i) (protos H) []) -> (forall i, nth i ss [] = nth (j + i) (scales H) []) ->
  (forall i, nth i ks Nearest = nth (j + i) (pools H) Nearest) -> (forall i, nth i is [] = nth (j + i) (inner H) []) ->
  (forall i, nth i os [] = nth (j + i) (outer H) []) ->
  length (bounds_from isqrt K rounds form short H reach unit fine cs ps ss ks is os es) = length es /\
  forall i b, nth_error (bounds_from isqrt K rounds form short H reach unit fine cs ps ss ks is os es) i = Some b -> bounded K b (activation H z (j + i)) (a (j + i)).
Proof.
  induction es as [|e es IH]; intros j cs ps ss ks is os ok hj hc hp hs hk hi ho; cbn [bounds_from length] in *.
  - split; auto. intros [|i] b h; discriminate.
  - destruct (IH (S j) (tl cs) (tl ps) (tl ss) (tl ks) (tl is) (tl os)) as [IL IB].
    + intros i x h. specialize (ok (S i) x h). now rewrite Nat.add_succ_comm.
    + lia.
    + intros i h. rewrite tl_nth, hc by lia. do 2 f_equal. lia.
    + intros i. rewrite tl_nth, hp. f_equal. lia.
    + intros i. rewrite tl_nth, hs. f_equal. lia.
    + intros i. rewrite tl_nth, hk. f_equal. lia.
    + intros i. rewrite tl_nth, hi. f_equal. lia.
    + intros i. rewrite tl_nth, ho. f_equal. lia.
    + split; [cbn [length]; f_equal; exact IL|]. intros [|i] b h; cbn [nth_error] in h.
      * inv_some; subst b. rewrite !hd_nth, hc, hp, hs, hk, hi, ho, Nat.add_0_r by lia. apply bound_at_ok; [lia|].
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
  intros hl hb. unfold feature_bounds, weighs, weighed, weighing. destruct (feature H) as [|g|t|t|t] eqn:ef; intros h; try discriminate h; inv_some; subst fs.
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

(** ** What domains say about products *)
Section Reach.
Variable isqrt : Z -> Z.
Variable K : positive.
Variable S : statement.
Variable z : latent.
Let H := network S.
Hypothesis fit : lengths_fit H = true.
Hypothesis D1 : (1 <= channels H)%nat.
Hypothesis IN : inside S z.
Notation q := (q K).
Let T (j l : nat) := sumn (channels H) (fun d => Rabs (proto H j d * z l d)).

Lemma corner_ok n : forall p e s (x : nat -> R) h den, 0 < h -> corner n p e = Some s ->
  (forall d lo hi, (d < n)%nat -> nth_error e d = Some (lo, hi) -> within den lo hi (x d)) ->
  (0 <= s)%Z /\ sumn n (fun d => Rabs (at_ p d / h * x d)) <= IZR s / (h * IZR (Zpos den)).
Proof.
  induction n as [|n IH]; intros p e s x h den hh hs hx; cbn [corner sumn] in *.
  - inv_some; subst. split; [lia|]. unfold Rdiv. rewrite Rmult_0_l. lra.
  - destruct e as [|[lo [hi|]] e]; try discriminate. destruct (corner n (tl p) e) as [r|] eqn:er; [|discriminate]. cbn [option_map] in hs. inv_some; subst s.
    destruct (IH (tl p) e r (fun d => x (Datatypes.S d)) h den hh er) as [i1 i2].
    { intros d a b hd hn. apply (hx (Datatypes.S d) a b); [lia|exact hn]. }
    destruct (hx 0%nat lo (Some hi) ltac:(lia) eq_refl) as [x1 x2]. unfold val in x1, x2. cbn [fst snd] in x1, x2.
    pose proof (posR den) as dp. set (dd := IZR (Zpos den)) in *. set (m := Z.max (Z.abs lo) (Z.abs hi)).
    assert (X : Rabs (x 0%nat) <= IZR m / dd).
    { assert (A1 : IZR (Z.abs lo) <= IZR m) by (apply IZR_le; unfold m; lia). assert (A2 : IZR (Z.abs hi) <= IZR m) by (apply IZR_le; unfold m; lia). rewrite abs_IZR in A1, A2.
      pose proof (Rle_abs (- IZR lo)) as a1. rewrite Rabs_Ropp in a1. pose proof (Rle_abs (IZR hi)) as a2. apply between.
      split; apply Rmult_le_reg_r with dd; auto; unfold Rdiv in *.
      - replace (- (IZR m * / dd) * dd) with (- IZR m) by (field; lra). apply Rmult_le_compat_r with (r := dd) in x1; [|lra]. rewrite Rmult_assoc, Rinv_l in x1 by lra. lra.
      - rewrite Rmult_assoc, Rinv_l by lra. apply Rmult_le_compat_r with (r := dd) in x2; [|lra]. rewrite (Rmult_assoc (IZR hi)), Rinv_l in x2 by lra. lra. }
    split; [unfold m; nia|].
    rewrite (sumn_ext _ (fun i => Rabs (at_ p (Datatypes.S i) / h * x (Datatypes.S i))) (fun d => Rabs (at_ (tl p) d / h * x (Datatypes.S d)))).
    2:{ intros i _. unfold at_. destruct p; [destruct i|]; reflexivity. }
    replace (at_ p 0) with (IZR (hd 0%Z p)) by (unfold at_; destruct p; reflexivity).
    rewrite plus_IZR, mult_IZR, abs_IZR. fold m. rewrite Rabs_mult. unfold Rdiv at 1. rewrite Rabs_mult, Rabs_inv, (Rabs_pos_eq h) by lra.
    assert (Rabs (IZR (hd 0%Z p)) * / h * Rabs (x 0%nat) <= Rabs (IZR (hd 0%Z p)) * / h * (IZR m / dd)).
    { apply Rmult_le_compat_l; auto. apply Rmult_le_pos; [apply Rabs_pos|left; now apply Rinv_0_lt_compat]. }
    replace ((Rabs (IZR (hd 0%Z p)) * IZR m + IZR r) / (h * dd)) with (Rabs (IZR (hd 0%Z p)) * / h * (IZR m / dd) + IZR r / (h * dd)) by (field; lra). lra.
Qed.
Lemma box_reach_ok j l e n : box_reach K H (dden S) (nth j (protos H) []) e = Some n -> in_box H (dden S) z l e -> (0 <= n)%Z /\ T j l <= q n.
Proof.
  unfold box_reach. destruct (corner _ _ _) as [s|] eqn:ec; [|discriminate]. cbn [option_map]. intros h hb. inv_some; subst n.
  destruct (corner_ok _ _ _ _ (z l) (IZR (Zpos (hden H))) (dden S) (posR _) ec) as [s0 s1].
  { intros d lo hi hd hn. now apply (hb d lo hi hd hn). }
  split; [apply ce_nonneg; [nia|lia]|]. eapply Rle_trans; [exact s1|].
  pose proof (q_ce K (s * Zpos K) (Zpos (hden H) * Zpos (dden S)) ltac:(lia)) as g. rewrite q_scal, q_k, mult_IZR, Rmult_1_r in g. exact g.
Qed.
Lemma norm_reach_ok j l lo hi n : norm_reach isqrt K H (dden S) (nth j (protos H) []) hi = Some n ->
  within (dden S) lo (Some hi) (square_length (channels H) (z l)) -> (0 <= n)%Z /\ T j l <= q n.
Proof.
  unfold norm_reach. destruct (length_to isqrt K H (nth j (protos H) [])) as [a|] eqn:ea; [|discriminate].
  destruct (root_up isqrt K _) as [b|] eqn:eb; [|discriminate]. intros h [_ hw]. inv_some; subst n.
  destruct (length_to_ok isqrt K H D1 _ _ ea) as [a0 a1]. rewrite <- (proto_norm H fit j) in a1. apply root_up_ok in eb. destruct eb as [b0 b1].
  split; [apply ce_nonneg; [nia|lia]|]. pose proof (q_mul K a (b + 1)) as g.
  pose proof (q_lt K 0 a a0) as qa. rewrite q_0 in qa. pose proof (q_lt K 0 (b + 1) ltac:(lia)) as qb. rewrite q_0 in qb.
  eapply Rle_trans; [|apply Rge_le; exact g]. apply apart_cauchy; auto.
  unfold val in hw. cbn [fst snd] in hw. unfold square_length in hw. eapply Rle_trans; [exact hw|].
  pose proof (ce_div (hi * Zpos K) (Zpos (dden S)) ltac:(lia)) as c. rewrite mult_IZR in c. pose proof (posR K) as kp. pose proof (posR (dden S)) as dp.
  apply Rle_trans with (q b * q b).
  - unfold Spread.q. apply Rmult_le_reg_r with (IZR (Zpos K) * IZR (Zpos K)); [nra|].
    replace (IZR b / IZR (Zpos K) * (IZR b / IZR (Zpos K)) * (IZR (Zpos K) * IZR (Zpos K))) with (IZR b * IZR b) by (field; lra).
    replace (IZR hi / IZR (Zpos (dden S)) * (IZR (Zpos K) * IZR (Zpos K))) with (IZR hi * IZR (Zpos K) / IZR (Zpos (dden S)) * IZR (Zpos K)) by (field; lra). nra.
  - pose proof (q_le K b (b + 1) ltac:(lia)). pose proof (q_pos K b b0). apply Rmult_le_compat; lra.
Qed.
Lemma lesser_ok (P : Z -> Prop) a b n : (forall x, a = Some x -> P x) -> (forall x, b = Some x -> P x) -> lesser a b = Some n -> P n.
Proof.
  intros ha hb. destruct a as [x|], b as [y|]; cbn; intros h; inv_some; subst; auto.
  destruct (Z.min_spec x y) as [[_ ->]|[_ ->]]; auto.
Qed.
Lemma reach_ok j n l : (l < nloc H)%nat -> reach_of isqrt K H (dden S) (domain S) (nth j (protos H) []) = Some n -> (0 <= n)%Z /\ T j l <= q n.
Proof.
  intros hl. unfold reach_of. set (p := nth j (protos H) []).
  assert (EV : forall cs, (forall c, In c cs -> satisfies H (dden S) z c) -> forall n, reach_everywhere isqrt K H (dden S) cs p = Some n -> (0 <= n)%Z /\ T j l <= q n).
  { induction cs as [|c cs IH]; intros hc m h; [discriminate|]. cbn [reach_everywhere fold_right] in h. fold (reach_everywhere isqrt K H (dden S) cs p) in h.
    eapply (lesser_ok (fun n => (0 <= n)%Z /\ T j l <= q n)); [| |exact h].
    - intros x hx. specialize (hc c (or_introl eq_refl)). destruct c; try discriminate; cbn [satisfies] in hc.
      + eapply box_reach_ok; eauto.
      + eapply norm_reach_ok; eauto.
    - intros x hx. apply IH; auto. intros; apply hc; now right. }
  assert (AT : forall cs, (forall c, In c cs -> satisfies H (dden S) z c) -> forall n, reach_at K H (dden S) cs p l = Some n -> (0 <= n)%Z /\ T j l <= q n).
  { induction cs as [|c cs IH]; intros hc m h; [discriminate|]. cbn [reach_at fold_right] in h. fold (reach_at K H (dden S) cs p l) in h.
    eapply (lesser_ok (fun n => (0 <= n)%Z /\ T j l <= q n)); [| |exact h].
    - intros x hx. specialize (hc c (or_introl eq_refl)). destruct c as [l' e|e|lo hi|lo hi|rows b]; try discriminate; cbn [satisfies] in hc.
      destruct (Nat.eqb l' l) eqn:el; [|discriminate]. apply Nat.eqb_eq in el. subst l'. eapply box_reach_ok; eauto.
    - intros x hx. apply IH; auto. intros; apply hc; now right. }
  destruct (reach_everywhere isqrt K H (dden S) (domain S) p) as [m|] eqn:e1.
  - intros h. inv_some; subst. now apply (EV (domain S) IN).
  - destruct (all_some (map (reach_at K H (dden S) (domain S) p) (seq 0 (nloc H)))) as [ms|] eqn:e2; [|discriminate]. cbn [option_map]. intros h. inv_some; subst n.
    apply all_some_map in e2. assert (hin : In (reach_at K H (dden S) (domain S) p l) (map Some ms)). { rewrite <- e2. apply in_map. apply in_seq. lia. }
    apply in_map_iff in hin. destruct hin as [v [ev hv]]. symmetry in ev. destruct (AT (domain S) IN v ev) as [v0 v1].
    assert (mx : (v <= fold_right Z.max 0 ms)%Z). { clear - hv. induction ms as [|x ms IH]; [destruct hv|]. cbn [fold_right]. destruct hv as [->|hv]; [lia|]. specialize (IH hv). lia. }
    split; [lia|]. eapply Rle_trans; [exact v1|]. now apply q_le.
Qed.
End Reach.

(** ** The theorem *)
Lemma enough_ok {sh : shares} isqrt H C z ps roofs_ es prems g ev cost :
  (forall w offset ev', shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps roofs_ (feature H) w offset es prems ev' = true ->
     0 < weighed H w (activation H z) + IZR offset) ->
  enough (fun g ev => shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps roofs_ (feature H) (fst g) (snd g) es prems ev) g ev cost = true ->
  exists B, cost = Some B /\ (0 <= B)%Z /\ q precision B < weighed H (fst g) (activation H z) + IZR (snd g).
Proof.
  intros shw h. unfold enough in h. destruct cost as [B|]; [|discriminate]. apply andb_prop in h. destruct h as [h1 h2]. apply Z.leb_le in h1.
  exists B. repeat split; auto. apply shw in h2. cbn [fst snd] in h2. rewrite weighed_scal, minus_IZR, mult_IZR in h2.
  pose proof (posR precision) as kp. unfold q. apply Rmult_lt_reg_l with (IZR (Zpos precision)); auto.
  replace (IZR (Zpos precision) * (IZR B / IZR (Zpos precision))) with (IZR B) by (field; lra). lra.
Qed.
Lemma add_some x y s : add x y = Some s -> exists a b, x = Some a /\ y = Some b /\ s = (a + b)%Z.
Proof. unfold add, omap2. destruct x as [a|], y as [b|]; try discriminate. intros h. inv_some. eauto. Qed.

Lemma check_float_ok (form : writing) (short : ratio) (isqrt : Z -> Z) (S : statement) (C : certificate) : check_float form short isqrt S C = true -> sufficient S /\ sufficient_float form short S.
Proof.
  unfold check_float. set (H := network S). intros h.
  apply andb_prop in h. destruct h as [h hr]. apply andb_prop in h. destruct h as [h sl]. apply andb_prop in h. destruct h as [h hl].
  apply andb_prop in h. destruct h as [fit full]. apply Nat.eqb_eq in hl. apply Z.leb_le in sl. apply IZR_le in sl.
  set (ps := match metric H with Euclidean => of_list (protos H) | _ => Tip end) in *.
  assert (PS : forall j p, get ps j = Some p -> metric H = Euclidean /\ nth j (protos H) [] = p).
  { intros j p e. unfold ps in e. destruct (metric H); try discriminate. rewrite get_of_list in e. split; auto. now apply nth_error_nth_. }
  destruct (rooted isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (of_list (premises S (unit_ C))) (steps C)) as [prems|] eqn:er; [|discriminate].
  set (es := entries isqrt (compile H) (unit_ C) (fine C) (rounds C) prems (roofs C) 0 (table C)) in *.
  destruct (feature_bounds H (bounds_from isqrt precision halvings form short H (reach_of isqrt precision H (dden S) (domain S)) (unit_ C) (fine C)
      (counts_of (compile H) (nproto H)) (protos H) (scales H) (pools H) (inner H) (outer H) es)) as [fs|] eqn:ef; [|discriminate].
  apply andb_prop in hr. destruct hr as [hs hr]. unfold small_head in hs. apply andb_prop in hs. destruct hs as [hs n3]. apply andb_prop in hs. destruct hs as [n1 n2].
  apply Nat.leb_le in n1. apply Z.ltb_lt in n2, n3.
  set (show := fun g ev => shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (roofs C) (feature H) (fst g) (snd g) es prems ev) in *.
  assert (L : length es = nproto H) by (unfold es; rewrite entries_length; exact hl).
  assert (KNOWN : forall (sh : shares) z, inside S z -> meets S z (facts S) -> known H (unit_ C) z prems).
  { intros sh z hi hm. apply (rooted_ok isqrt H (unit_ C) (fine C) (rounds C) z fit ps PS (steps C) _ _ (premises_known S (unit_ C) z fit hi hm) er). }
  assert (OK : forall (sh : shares) z, inside S z -> meets S z (facts S) -> all_ok H (unit_ C) (fine C) z 0 es).
  { intros sh z hi hm i e x. unfold es in x. apply (entries_ok isqrt H (unit_ C) (fine C) (rounds C) z fit prems (KNOWN sh z hi hm) (roofs C) (table C) 0 i e x). }
  assert (PLAIN : match feature H with Each | Groups _ => True | _ => False end).
  { unfold feature_bounds in ef. destruct (feature H); try discriminate; exact I. }
  assert (SH : forall (sh : shares) z, inside S z -> meets S z (facts S) -> forall w offset ev,
    shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (roofs C) (feature H) w offset es prems ev = true -> 0 < weighed H w (activation H z) + IZR offset).
  { intros sh z hi hm w offset ev hs. assert (q : ahead H z w offset) by (eapply (shown_ok isqrt H (unit_ C) (fine C) (rounds C) z fit ps PS); eauto).
    unfold ahead in q. destruct (feature H); try destruct PLAIN; exact q. }
  assert (AHEAD : forall (sh : shares) z w offset, 0 < weighed H w (activation H z) + IZR offset -> ahead H z w offset).
  { intros sh z w offset q. unfold ahead. destruct (feature H); try destruct PLAIN; exact q. }
  assert (ENOUGH : forall (sh : shares) z, inside S z -> meets S z (facts S) -> forall g ev cost, enough show g ev cost = true ->
    exists B, cost = Some B /\ (0 <= B)%Z /\ q precision B < weighed H (fst g) (activation H z) + IZR (snd g)).
  { intros sh z hi hm g ev cost e. eapply enough_ok; [|exact e]. intros w o ev'. now apply (SH sh z hi hm). }
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
  assert (SCORES : forall (sh : shares) z, inside S z -> meets S z (facts S) ->
    (forall l, (l < nloc H)%nat -> val short <= square_length (channels H) (z l)) -> forall out, execution form H z out ->
    exists fe fc, (forall w, weighed H w (activation H z) = weighing fs w fe) /\
    (forall w s, weighted w fs fst = Some s -> (0 <= s)%Z /\ Rabs (weighing fs w fc - weighing fs w fe) <= q precision s) /\
    forall k Er, (k < nclass H)%nat -> score_error precision H fs (nth k (weights H) []) (nth k (biases H) 0%Z) = Some Er ->
      (0 <= Er)%Z /\ Rabs (IZR (Zpos (wden H)) * out k - (at_ (biases H) k + weighing fs (nth k (weights H) []) fc)) <= q precision Er).
  { intros sh z hi hm hs out [m [a [X1 [X2 X3]]]].
    destruct (bounds_from_ok isqrt precision halvings form H (unit_ C) (fine C) z fit full n1 n2 short hs (reach_of isqrt precision H (dden S) (domain S))
      (fun j n l hl hn => reach_ok isqrt precision S z fit n1 hi j n l hl hn) m a X1 X2 es 0
      (counts_of (compile H) (nproto H)) (protos H) (scales H) (pools H) (inner H) (outer H) (OK sh z hi hm) ltac:(lia)) as [b1 b2]; auto.
    { intros i h. unfold counts_of. cbn [Nat.add] in *. rewrite (nth_indep _ 0%nat (length (places_ (compile H) 0))) by (rewrite map_length, seq_length; auto).
      rewrite (map_nth (fun j => length (places_ (compile H) j))), seq_nth by auto. cbn [Nat.add].
      unfold has_places in full. rewrite forallb_forall in full. specialize (full i ltac:(apply in_seq; lia)).
      assert (ne : places_ (compile H) i <> []) by (destruct (places_ (compile H) i); congruence).
      destruct (places_eq H fit i ne) as [_ e]. now rewrite e. }
    destruct (feature_bounds_ok precision H z n1 a _ fs (eq_trans b1 L) b2 ef) as [fe [fc [f1 [f2 [f3 [f4 [f5 f6]]]]]]].
    exists fe, fc. split; auto. split; [intros; eapply cost_ok; eauto|]. intros k Er hk e. specialize (X3 k hk). unfold scores in X3. rewrite f2 in X3.
    destruct X3 as [s [s1 s2]]. rewrite f4 in s1, s2. unfold at_ in s2 at 1. unfold at_ at 1. apply (score_error_ok precision H fs fe fc f3 f4 f5 n3 _ _ s); auto. }
  pose proof (posR (wden H)) as wp. set (wd := IZR (Zpos (wden H))) in *.
  unfold sufficient, sufficient_float, predicted, returned. fold H. destruct (claimed S) as [a|ls].
  - apply andb_prop in hr. destruct hr as [hr h2]. apply andb_prop in hr. destruct hr as [h0 h1]. apply Nat.ltb_lt in h0. apply Nat.eqb_eq in h1.
    split.
    + intros sh z hi hm. split; auto. intros k hk ne. apply over_ok, AHEAD. destruct (RIVALS a _ _ _ h2 k ltac:(lia) ne) as [ev e].
      destruct (ENOUGH sh z hi hm _ _ _ e) as [B [_ [B0 B1]]]. pose proof (q_pos precision B B0). lra.
    + intros sh z hi hm hs out ex. split; auto. intros k hk ne. destruct (RIVALS a _ _ _ h2 k ltac:(lia) ne) as [ev e].
      destruct (ENOUGH sh z hi hm _ _ _ e) as [B [E1 [B0 B1]]]. destruct (SCORES sh z hi hm hs out ex) as [fe [fc [F1 [F2 F3]]]].
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
    + intros sh z hi hm k on hin. destruct (LABELS _ _ hr k on hin) as [h1 [ev e]]. split; auto. apply signed_ok; [destruct (feature H); try destruct PLAIN; reflexivity|]. apply AHEAD.
      destruct (ENOUGH sh z hi hm _ _ _ e) as [B [_ [B0 B1]]]. pose proof (q_pos precision B B0). lra.
    + intros sh z hi hm hs out ex k on hin. destruct (LABELS _ _ hr k on hin) as [h1 [ev e]]. split; auto.
      destruct (ENOUGH sh z hi hm _ _ _ e) as [B [E1 [B0 B1]]]. destruct (SCORES sh z hi hm hs out ex) as [fe [fc [F1 [F2 F3]]]].
      apply add_some in E1. destruct E1 as [s [t [E1 [E2 ->]]]]. destruct (F2 _ _ E1) as [s0 s1]. destruct (F3 k t h1 E2) as [_ rk].
      rewrite F1, q_plus in B1. apply between in s1. apply between in rk. change (at_ (biases H) k) with (IZR (nth k (biases H) 0%Z)) in rk. unfold signed in B1. destruct on; cbn [fst snd] in B1.
      * apply Rmult_lt_reg_l with wd; auto. lra.
      * assert (LIN : weighing fs (vscale (-1) (nth k (weights H) [])) fe = - weighing fs (nth k (weights H) []) fe).
        { unfold weighing. rewrite <- sumn_opp. apply sumn_ext. intros i _. rewrite at_vscale. change (IZR (-1)) with (-1). ring. }
        rewrite LIN, opp_IZR in B1. apply Rmult_lt_reg_l with wd; auto. lra.
Qed.

(** What is accepted at level F is sufficient over the real numbers and in float32, and the recorded
    latent meets the facts and is predicted as claimed. *)
Theorem float_sound (form : writing) (short : ratio) (isqrt : Z -> Z) (S : statement) (C : certificate) :
  accept_float form short isqrt S C = true -> sufficient S /\ recorded_meets S /\ sufficient_float form short S.
Proof.
  unfold accept_float. intros h. apply andb_prop in h. destruct h as [h1 h2].
  destruct (check_float_ok form short isqrt S C h1) as [a b]. split; [auto|]. split; [eapply point_sound; eauto|auto].
Qed.
