(** What the checker accepts is true: every rule of [Check.v], over the reals. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check.
Import ListNotations.
Local Open Scope R_scope.

Lemma nth_error_nth_ {A} (xs : list A) n x d : nth_error xs n = Some x -> nth n xs d = x.
Proof. revert n. induction xs; intros [|n] h; cbn in *; try discriminate; [congruence|auto]. Qed.
Lemma nth_error_lt {A} (xs : list A) n x : nth_error xs n = Some x -> (n < length xs)%nat.
Proof. intros h. apply nth_error_Some. congruence. Qed.

Lemma nth_repeat_lt {A} (a d : A) n i : (i < n)%nat -> nth i (repeat a n) d = a.
Proof. revert i. induction n; intros [|i] q; cbn; try lia; auto. apply IHn. lia. Qed.

Lemma sumn_one n : forall f i, (forall k, 0 <= f k) -> (i < n)%nat -> f i <= sumn n f.
Proof.
  induction n; intros f i q hi; [lia|]. cbn [sumn]. destruct i as [|i].
  - assert (0 <= sumn n (fun k => f (S k))) by (apply sumn_nonneg; auto). lra.
  - specialize (IHn (fun k => f (S k)) i (fun k => q (S k)) ltac:(lia)). specialize (q O). lra.
Qed.

Lemma combined {A B} (d : A) (d' : B) xs : forall ys i x y, nth_error (combine xs ys) i = Some (x, y) -> nth i xs d = x /\ nth i ys d' = y.
Proof.
  induction xs as [|a xs IH]; intros ys i x y e; [destruct i; discriminate|].
  destruct ys as [|b ys]; [destruct i; discriminate|]. destruct i as [|i]; cbn in *; [inv_some; auto|]. now apply IH.
Qed.
Section Sound.
Context {sh : shares}.
Variable isqrt : Z -> Z.
Variable H : head.
Variable unit fine : positive.
Variable rounds : nat.
Variable z : latent.
Hypothesis fit : lengths_fit H = true.
Let c := compile H.
Let D := channels H.
Let g := IZR (Zpos unit).
Let F := IZR (Zpos fine).
Let h := IZR (Zpos (hden H)).
Let gp : 0 < g := posR unit.
Let Fp : 0 < F := posR fine.
Let hp : 0 < h := posR (hden H).
Notation Iu := (inI unit).
Notation If_ := (inI fine).

Lemma fit_parts : (match metric H with
    | Angular f a => 0 <= val f /\ 0 <= val a
    | Lengths each => length each = nproto H /\ forall s, In s each -> 0 <= val (spadded s)
    | Diagonal more => 0 <= val more
    | _ => True end)
  /\ (forall j, (length (nth j (protos H) []) <= D)%nat) /\ length (pbank H) = nproto H.
Proof.
  pose proof fit as q. unfold lengths_fit in q. apply andb_prop in q. destruct q as [q q3]. apply andb_prop in q. destruct q as [q1 q2].
  apply Nat.eqb_eq in q3. repeat split; auto.
  - assert (V : forall r : ratio, (0 <= fst r)%Z -> 0 <= val r).
    { intros r hr. unfold val. apply Rmult_le_pos; [now apply IZR_le|left; apply Rinv_0_lt_compat; apply posR]. }
    destruct (metric H); auto.
    + apply Z.leb_le in q1. auto.
    + apply andb_prop in q1. destruct q1 as [a b]. apply Z.leb_le in a, b. auto.
    + apply andb_prop in q1. destruct q1 as [a b]. apply Nat.eqb_eq in a. split; auto. intros s hs.
      rewrite forallb_forall in b. specialize (b s hs). apply Z.leb_le in b. auto.
  - intros j. destruct (Nat.lt_ge_cases j (length (protos H))).
    + rewrite forallb_forall in q2. apply Nat.leb_le. apply q2. now apply nth_In.
    + rewrite nth_overflow by auto. cbn. lia.
Qed.

(** what a margin proves: a combination of scores is positive, at every leaf that counts if one does *)
Definition ahead (w : list Z) (o : Z) : Prop :=
  match feature H with
  | Greedy t => forall n, led (activation H z) t n -> (0 < nth n w 0 + o)%Z
  | SampleMax t => forall n, largest (activation H z) t n -> (0 < nth n w 0 + o)%Z
  | _ => 0 < weighed H w (activation H z) + IZR o
  end.

(** the direction of z for angles, else z itself *)
Definition vec (l d : nat) : R :=
  match metric H with
  | Angular f a => z l d / Rmax (sqrt (square_length D (z l) + val a)) (val f)
  | Lengths each => match one_span each with Some s => z l d / span_length s (square_length D (z l)) | None => z l d end
  | _ => z l d
  end.
Lemma same_ratio_ok a b : same_ratio a b = true -> a = b.
Proof. destruct a, b. unfold same_ratio. cbn. intros q. apply andb_prop in q. destruct q as [q1 q2]. apply Z.eqb_eq in q1. apply Pos.eqb_eq in q2. congruence. Qed.
Lemma one_span_ok each s : one_span each = Some s -> forall j, (j < length each)%nat -> nth j each no_span = s.
Proof.
  destruct each as [|a r]; cbn [one_span]; [discriminate|]. destruct (forallb (same_span a) r) eqn:e; [|discriminate]. intros q j hj. inv_some; subst s.
  destruct j as [|j]; auto. cbn [nth length] in *. rewrite forallb_forall in e. assert (hj' : (j < length r)%nat) by lia. specialize (e (nth j r no_span) (nth_In _ _ hj')).
  unfold same_span in e. apply andb_prop in e. destruct e as [e e3]. apply andb_prop in e. destruct e as [e1 e2].
  apply same_ratio_ok in e1, e2, e3. destruct a, (nth j r no_span). cbn in *. congruence.
Qed.
Definition qval (l : nat) (q : quantity) : R :=
  match q with
  | QM j => measurement H z l j
  | QNorm => square_length D (vec l)
  | QTotal => sumn D (vec l)
  | QChannel d => vec l d
  | QSlope v => sumn D (fun d => at_ v d * vec l d)
  end.
Definition phold (p : prem) : Prop :=
  match p with
  | PQ (Some l) q lo hi => Iu (lo, hi) (qval l q)
  | PQ None q lo hi => forall l, (l < nloc H)%nat ->
      match q with QM j => measures H l j = true | _ => True end -> Iu (lo, hi) (qval l q)
  | PV j lo hi => Iu (lo, hi) (value H z j)
  | PFloor b ex => forall j, (j < nproto H)%nat -> exempt j ex = false -> IZR b <= g * value H z j
  | PRoof b ex => forall j, (j < nproto H)%nat -> exempt j ex = false -> g * activation H z j <= IZR b
  | PBox p e => forall l, match p with Some k => l = k | None => (l < nloc H)%nat end ->
      forall d lo hi, (d < D)%nat -> nth_error e d = Some (lo, hi) ->
      IZR lo <= g * vec l d /\ match hi with Some u => g * vec l d <= IZR u | None => True end
  | PHere l j => In l (places H j) /\ measurement H z l j = value H z j
  | PAmong j ls => exists l, In l ls /\ In l (places H j) /\ measurement H z l j = value H z j
  | PNothing => True
  | PJoint rows lo => IZR lo <= g * sumn (nloc H) (fun l => sumn D (fun d => at_ (nth l rows []) d * vec l d))
  end.

(** Arrays *)
Lemma get_lb l b : get (lb c) l = Some b -> (l < nloc H)%nat /\ nth l (lbank H) O = b.
Proof. unfold c; cbn. rewrite get_of_list. intros e. split; [eapply nth_error_lt; eauto|now apply nth_error_nth_]. Qed.
Lemma get_pb j b : get (pb c) j = Some b -> (j < nproto H)%nat /\ nth j (pbank H) O = b.
Proof.
  unfold c; cbn. rewrite get_of_list. intros e. destruct fit_parts as [_ [_ q]]. rewrite <- q.
  split; [eapply nth_error_lt; eauto|now apply nth_error_nth_].
Qed.
Lemma measures_ok l j : measures_ c l j = true -> In l (places H j) /\ (l < nloc H)%nat /\ (j < nproto H)%nat /\ measures H l j = true.
Proof.
  unfold measures_. destruct (get (lb c) l) as [a|] eqn:e1; [|discriminate]. destruct (get (pb c) j) as [b|] eqn:e2; [|discriminate].
  intros q. apply Nat.eqb_eq in q. subst b. apply get_lb in e1. apply get_pb in e2. destruct e1 as [l1 l2], e2 as [p1 p2].
  assert (m : measures H l j = true) by (unfold measures; rewrite l2, p2; apply Nat.eqb_refl).
  repeat split; auto. unfold places. apply filter_In. split; auto. apply in_seq. lia.
Qed.
Lemma in_places l j : In l (places H j) -> (l < nloc H)%nat /\ measures H l j = true.
Proof. unfold places. intros q. apply filter_In in q. destruct q as [q m]. apply in_seq in q. split; auto. lia. Qed.
Lemma places_eq j : places_ c j <> [] -> (j < nproto H)%nat /\ places_ c j = places H j.
Proof.
  intros ne. assert (hj : (j < nproto H)%nat).
  { destruct (places_ c j) as [|l ls] eqn:e; [congruence|]. assert (q : In l (places_ c j)) by (rewrite e; now left).
    unfold places_ in q. apply filter_In in q. destruct q as [_ q]. now apply measures_ok in q. }
  split; auto. unfold places_, places. change (nl c) with (nloc H). apply filter_ext_in. intros l hl. apply in_seq in hl.
  unfold measures_, measures. unfold c; cbn. rewrite !get_of_list.
  rewrite (nth_error_nth' (lbank H) O) by (unfold nloc in *; lia). destruct fit_parts as [_ [_ q]].
  rewrite (nth_error_nth' (pbank H) O) by (rewrite q; auto). reflexivity.
Qed.
Lemma nearest_value j : nearest c j = true -> value H z j = least (map (fun l => measurement H z l j) (places H j)).
Proof.
  unfold nearest, value. unfold c; cbn. rewrite get_of_list. destruct (nth_error (pools H) j) as [p|] eqn:e; [|discriminate].
  apply nth_error_nth_ with (d := Nearest) in e. rewrite e. destruct p; try discriminate. auto.
Qed.
Lemma nearest_le j l : nearest c j = true -> In l (places H j) -> value H z j <= measurement H z l j.
Proof.
  intros n q. rewrite nearest_value by auto. apply least_le. now apply (in_map (fun k => measurement H z k j)).
Qed.
Lemma nearest_at j : nearest c j = true -> places H j <> [] -> exists l, In l (places H j) /\ measurement H z l j = value H z j.
Proof.
  intros n ne. rewrite nearest_value by auto.
  assert (q : In (least (map (fun l => measurement H z l j) (places H j))) (map (fun l => measurement H z l j) (places H j))).
  { apply least_in. destruct (places H j); [congruence|discriminate]. }
  apply in_map_iff in q. destruct q as [l [e hl]]. eauto.
Qed.

(** Measurements as forms in h times the vector *)
Let Y (l : nat) : nat -> R := fun d => h * vec l d.
Lemma form_ok j f l : get (forms c) j = Some f -> form_value D f (Y l) = h * h * measurement H z l j.
Proof.
  unfold c; cbn. destruct fit_parts as [ln [wf _]]. specialize (wf j).
  destruct (quadratic (metric H)) eqn:eq; [|discriminate]. rewrite get_of_list, nth_error_map.
  destruct (nth_error (protos H) j) as [p|] eqn:e; [|discriminate]. cbn. intros q. inv_some.
  assert (hj : (j < nproto H)%nat) by (eapply nth_error_lt; eauto).
  apply nth_error_nth_ with (d := []) in e. rewrite e in wf.
  unfold measurement, product, proto, Y, vec, form_value, square_length. rewrite e. fold h D.
  assert (DIRECT : forall r, h * h * - (sumn D (fun d => at_ p d / h * z l d) / r)
    = 0 * sumn D (fun d => h * (z l d / r) * (h * (z l d / r))) + sumn D (fun d => at_ (vscale (-1) p) d * (h * (z l d / r))) + 0).
  { intros r. rewrite Rmult_0_l, Rplus_0_l, Rplus_0_r.
    replace (h * h * - (sumn D (fun d => at_ p d / h * z l d) / r)) with ((- (h * h) * / r) * sumn D (fun d => at_ p d / h * z l d)) by (unfold Rdiv; ring).
    rewrite <- sumn_scal. apply sumn_ext. intros d _. rewrite at_vscale. unfold Rdiv. set (i := / r). field. lra. }
  destruct (metric H) as [|more| |fl_ ad|each] eqn:em; try discriminate; subst f; cbn [form_of lead slope const].
  - rewrite (norm2_eq p D wf), Rmult_1_l, <- !sumn_plus, <- sumn_scal. apply sumn_ext. intros d _.
    rewrite at_vscale. field. lra.
  - rewrite Rmult_0_l, Rplus_0_l, Rplus_0_r. rewrite <- sumn_opp, <- sumn_scal. apply sumn_ext. intros d _.
    rewrite at_vscale. field. lra.
  - now rewrite DIRECT.
  - cbn [quadratic directed] in eq. destruct (one_span each) as [s|] eqn:es; [|discriminate].
    destruct ln as [ln _]. rewrite (one_span_ok _ _ es j) by (rewrite ln; exact hj). now rewrite DIRECT.
Qed.
Lemma slope_form_ok v l : form_value D (Form 0 (vscale (hd_ c) v) 0) (Y l) = h * h * sumn D (fun d => at_ v d * vec l d).
Proof.
  unfold form_value, Y; cbn [lead slope const]. change (hd_ c) with (Zpos (hden H)).
  rewrite Rmult_0_l, Rplus_0_l, Rplus_0_r, <- sumn_scal. apply sumn_ext. intros d _. rewrite at_vscale. fold h. ring.
Qed.
Lemma form_for_ok q f l : form_for c q = Some f -> form_value D f (Y l) = h * h * qval l q.
Proof.
  destruct q; cbn [form_for qval].
  - apply form_ok.
  - intros e; inv_some; subst f. unfold form_value, square_length, Y; cbn [lead slope const].
    rewrite (sumn_ext D (fun d => at_ [] d * (h * vec l d)) (fun _ => 0)), sumn_zero.
    2:{ intros i _. unfold at_. destruct i; cbn; lra. }
    rewrite Rmult_1_l, !Rplus_0_r, <- sumn_scal. apply sumn_ext. intros; ring.
  - intros e; inv_some; subst f. unfold form_value, Y; cbn [lead slope const]. change (ch c) with D. change (hd_ c) with (Zpos (hden H)).
    rewrite Rmult_0_l, Rplus_0_l, Rplus_0_r, <- sumn_scal. apply sumn_ext. intros d hd.
    unfold at_. rewrite nth_repeat_lt by auto. fold h. ring.
  - destruct (Nat.ltb d (ch c)) eqn:ed; [|discriminate]. apply Nat.ltb_lt in ed. change (ch c) with D in ed.
    intros e; inv_some; subst f. unfold form_value; cbn [lead slope const]. change (hd_ c) with (Zpos (hden H)).
    rewrite Rmult_0_l, Rplus_0_l, Rplus_0_r.
    assert (U : forall n k y, (k < n)%nat -> sumn n (fun i => at_ (repeat 0%Z k ++ [Zpos (hden H)]) i * y i) = h * y k).
    { induction n; intros k y hk; [lia|]. cbn [sumn]. destruct k as [|k]; cbn [repeat app].
      - rewrite (sumn_ext n _ (fun _ => 0)), sumn_zero; [unfold at_; cbn; fold h; ring|]. intros i _. unfold at_. destruct i; cbn; lra.
      - specialize (IHn k (fun i => y (S i)) ltac:(lia)). unfold at_ in *. cbn [nth]. rewrite IHn. ring. }
    rewrite U by auto. unfold Y. ring.
  - intros e; inv_some; subst f. apply slope_form_ok.
Qed.

Lemma in_ball s r y : 0 <= s -> s <= r * r -> s = square_length D y -> square_length D (fun d => y d / r) <= 1.
Proof.
  intros s0 r2 e. unfold square_length.
  rewrite (sumn_ext D _ (fun d => (/ r * / r) * (y d * y d))) by (intros; unfold Rdiv; ring).
  rewrite sumn_scal. fold (square_length D y). rewrite <- e.
  destruct (Req_dec r 0) as [e0|ne].
  - rewrite e0 in r2. replace s with 0 by nra. lra.
  - apply Rmult_le_reg_l with (r * r); [nra|]. replace (r * r * (/ r * / r * s)) with s by (field; auto). lra.
Qed.
Lemma square_length_nonneg x : 0 <= square_length D x.
Proof. apply sumn_nonneg. intros; apply Rle_0_sqr. Qed.
Lemma span_long s q : 0 <= q -> 0 <= val (spadded s) -> 0 <= span_length s q /\ q <= span_length s q * span_length s q.
Proof.
  intros q0 a0. unfold span_length. set (m := Rmax _ _). assert (qm : q <= m) by (unfold m; eapply Rle_trans; [|apply Rmax_l]; lra).
  pose proof (sqrt_pos m). pose proof (sqrt_pos (val (spbeside s))). pose proof (sqrt_def m ltac:(lra)). split; nra.
Qed.
Lemma direction_ball l : directed (metric H) = true -> 0 <= square_length D (vec l) <= 1.
Proof.
  intros hd. split; [apply square_length_nonneg|]. destruct fit_parts as [a _]. pose proof (square_length_nonneg (z l)) as s0.
  unfold vec. destruct (metric H) as [|more| |fl_ ad|each]; try discriminate.
  - destruct a as [a1 a2]. apply (in_ball (square_length D (z l))); auto. set (s := square_length D (z l)) in *.
    set (r := Rmax (sqrt (s + val ad)) (val fl_)).
    assert (r1 : sqrt (s + val ad) <= r) by apply Rmax_l. pose proof (sqrt_pos (s + val ad)).
    apply Rle_trans with (s + val ad); [lra|]. rewrite <- (sqrt_def (s + val ad)) by lra. nra.
  - cbn [directed] in hd. destruct (one_span each) as [s|] eqn:es; [|discriminate]. apply (in_ball (square_length D (z l))); auto.
    apply span_long; auto. apply a. destruct each as [|b r]; [discriminate|]. cbn [one_span] in es. destruct (forallb _ _); [|discriminate]. inv_some; subst. now left.
Qed.
Lemma direction_sign l : directed (metric H) = true -> exists r, 0 <= / r /\ forall d, vec l d = z l d / r.
Proof.
  intros hd. destruct fit_parts as [fa _]. pose proof (square_length_nonneg (z l)) as s0.
  assert (INV : forall r, 0 <= r -> 0 <= / r).
  { intros r hr. destruct (Req_dec r 0) as [->|ne]; [rewrite Rinv_0; lra|left; apply Rinv_0_lt_compat; lra]. }
  unfold vec. destruct (metric H) as [|more| |fl_ ad|each]; try discriminate.
  - eexists. split; [|intros; reflexivity]. apply INV. eapply Rle_trans; [apply sqrt_pos|apply Rmax_l].
  - cbn [directed] in hd. destruct (one_span each) as [s|] eqn:es; [|discriminate]. eexists. split; [|intros; reflexivity]. apply INV.
    apply span_long; auto. apply fa. destruct each as [|b r]; [discriminate|]. cbn [one_span] in es. destruct (forallb _ _); [|discriminate]. inv_some; subst. now left.
Qed.

Section Premises.
Variable prems : array prem.
Hypothesis M : forall i p, get prems i = Some p -> phold p.
Variable ps : array (list Z).
Hypothesis PS : forall j p, get ps j = Some p -> metric H = Euclidean /\ nth j (protos H) [] = p.

(** at the location of a row *)
Definition at_place (p : place) (l : nat) : Prop := match p with Some k => l = k | None => True end.
Lemma covers_ok p at_ l : covers p at_ = true -> at_place at_ l -> match p with Some k => l = k | None => True end.
Proof.
  destruct p as [k|]; cbn [covers]; [|auto]. destruct at_ as [k'|]; [|discriminate]. intros e q. apply Nat.eqb_eq in e. cbn [at_place] in q. now rewrite e.
Qed.
Lemma quantity_ok p q lo hi i at_ bank l : get prems i = Some (PQ p q lo hi) -> covers p at_ = true ->
  same_bank c p q bank = true -> at_place at_ l -> (l < nloc H)%nat -> nth l (lbank H) O = bank -> Iu (lo, hi) (qval l q).
Proof.
  intros e hc hs ha hl hb. apply M in e. pose proof (covers_ok _ _ _ hc ha) as hk. destruct p as [k|]; cbn in e.
  - subst l. exact e.
  - apply e; auto. destruct q as [j| | | |]; auto. cbn [same_bank] in hs. destruct (get (pb c) j) as [b|] eqn:eb; [|discriminate].
    apply Nat.eqb_eq in hs. apply get_pb in eb. unfold measures. rewrite hb. destruct eb as [_ ->]. subst. apply Nat.eqb_refl.
Qed.
Lemma charge_ok at_ bank l : at_place at_ l -> (l < nloc H)%nat -> nth l (lbank H) O = bank ->
  forall ts T C, charge c prems at_ bank ts = Some (T, C) -> g * form_sum D T (Y l) <= h * h * IZR C.
Proof.
  intros ha hl hb. induction ts as [|[i t] ts IH]; intros T C e; cbn [charge] in e.
  - inv_some. cbn. lra.
  - destruct (get prems i) as [[p q lo hi| | | | | | | |]|] eqn:ei; try discriminate.
    destruct (_ && _)%bool eqn:eb; [|discriminate]. bools.
    destruct (form_for c q) as [f|] eqn:ef; [|discriminate].
    destruct (if (0 <? t)%Z then hi else lo) as [x|] eqn:ex; [|discriminate].
    destruct (charge c prems at_ bank ts) as [[T' C']|] eqn:er; [|discriminate]. inv_some.
    specialize (IH _ _ eq_refl). cbn [form_sum]. rewrite (form_for_ok _ _ l ef), plus_IZR, mult_IZR.
    destruct (quantity_ok _ _ _ _ _ _ _ _ ei H0 H1 ha hl eq_refl) as [b1 b2]. cbn [fst snd] in b1, b2.
    set (v := qval l q) in *. set (S := form_sum D T' (Y l)) in *.
    assert (tv : IZR t * (g * v) <= IZR t * IZR x).
    { destruct (0 <? t)%Z eqn:et; bools.
      - subst hi. cbn in b2. fold g in b2. apply IZR_lt in et. apply Rmult_le_compat_l; lra.
      - subst lo. cbn in b1. fold g in b1. apply IZR_le in et. nra. }
    assert (hh : 0 < h * h) by nra.
    assert (h * h * (IZR t * (g * v)) <= h * h * (IZR t * IZR x)) by (apply Rmult_le_compat_l; lra). lra.
Qed.
Lemma form_sum_app T1 T2 v : form_sum D (T1 ++ T2) v = form_sum D T1 v + form_sum D T2 v.
Proof. induction T1 as [|[t f] T IH]; cbn; [lra|]. rewrite IH. lra. Qed.
Lemma bounded_ok T C box S n d l : bounded c unit (S ++ T) C box = Some (n, d) ->
  g * form_sum D T (Y l) <= h * h * IZR C ->
  match box with None => True | Some e => forall k lo hi, (k < D)%nat -> nth_error e k = Some (lo, hi) ->
      IZR lo <= g * vec l k /\ match hi with Some u => g * vec l k <= IZR u | None => True end end ->
  (0 < d)%Z /\ IZR n * (h * h) <= IZR d * form_sum D S (Y l).
Proof.
  unfold bounded. intros e hT hB.
  destruct (least_form (hd_ c) (Zpos unit) (ch c) box (combine_ (S ++ T))) as [[a b]|] eqn:el; [|discriminate].
  apply some_inj in e. apply pair_equal_spec in e. destruct e as [<- <-].
  apply (least_form_ok _ _ _ _ _ _ _ (vec l)) in el; [|reflexivity|reflexivity|exact hB].
  change (ch c) with D in el. change (hd_ c) with (Zpos (hden H)) in *. fold h in el. fold (Y l) in el.
  rewrite combine_ok, form_sum_app in el. destruct el as [b0 el]. split; [nia|].
  rewrite minus_IZR, !mult_IZR. fold g h. apply IZR_lt in b0. set (s := form_sum D S (Y l)) in *. set (t := form_sum D T (Y l)) in *.
  assert (e2 : IZR a <= IZR b * (s + t)).
  { apply Rmult_le_reg_r with (/ IZR b); [now apply Rinv_0_lt_compat|]. replace (IZR b * (s + t) * / IZR b) with (s + t) by (field; lra). exact el. }
  assert (hh : 0 < h * h) by nra.
  assert (IZR b * (g * t) <= IZR b * (h * h * IZR C)) by (apply Rmult_le_compat_l; lra).
  assert (g * IZR a <= g * (IZR b * (s + t))) by (apply Rmult_le_compat_l; lra).
  apply Rle_trans with ((IZR b * g * s) * (h * h)); [apply Rmult_le_compat_r; lra|]. right. ring.
Qed.
Lemma row_ok at_ bank box S ts n d l : row c unit prems at_ bank box S ts = Some (n, d) ->
  at_place at_ l -> (l < nloc H)%nat -> nth l (lbank H) O = bank ->
  (0 < d)%Z /\ IZR n * (h * h) <= IZR d * form_sum D S (Y l).
Proof.
  unfold row. intros e ha hl hb. destruct (charge c prems at_ bank ts) as [[T C]|] eqn:ec; [|discriminate].
  destruct (box_of prems at_ box) as [b|] eqn:eb; [|discriminate].
  apply (charge_ok _ _ _ ha hl hb) in ec. apply (bounded_ok _ _ _ _ _ _ l e ec).
  unfold box_of in eb. destruct box as [i|]; [|inv_some; now subst].
  destruct (get prems i) as [[| | | |p e'| | | |]|] eqn:ei; try discriminate.
  destruct (covers p at_) eqn:ecv; [|discriminate]. inv_some; subst b. apply M in ei. cbn in ei. apply ei.
  pose proof (covers_ok _ _ _ ecv ha). destruct p; auto.
Qed.
Lemma solved_ok s n d x : (0 < d)%Z -> IZR n * (h * h) <= IZR d * (IZR s * (h * h * x)) -> Iu (solved unit s n d) x.
Proof.
  intros hd e. assert (hh : 0 < h * h) by nra. apply IZR_lt in hd as hd'.
  assert (e' : IZR n <= IZR d * (IZR s * x)).
  { apply Rmult_le_reg_r with (h * h); auto. replace (IZR d * (IZR s * x) * (h * h)) with (IZR d * (IZR s * (h * h * x))) by ring. exact e. }
  unfold solved. destruct (0 <? s)%Z eqn:es; [|destruct (s <? 0)%Z eqn:es2]; bools; split; cbn [fst snd above below]; try exact I; fold g.
  - apply IZR_lt in es as es'. assert (0 < d * s)%Z by nia. pose proof (fl_le (n * Z.pos unit) (d * s) H0) as q.
    rewrite !mult_IZR in q. fold g in q. apply Rmult_le_reg_r with (IZR d * IZR s); [nra|]. nra.
  - apply IZR_lt in es2 as es'. assert (0 < d * - s)%Z by nia. pose proof (fl_le (n * Z.pos unit) (d * - s) H0) as q.
    rewrite !mult_IZR, opp_IZR in q. fold g in q. rewrite opp_IZR. set (v := IZR (fl _ _)) in *.
    apply Rmult_le_reg_r with (IZR d * - IZR s); [nra|]. nra.
Qed.

(** Single premises *)
Lemma exempt_spec j ex : exempt j ex = false -> ~ In j ex.
Proof. unfold exempt. intros e q. rewrite <- not_true_iff_false in e. apply e. apply existsb_exists. exists j. split; auto. apply Nat.eqb_refl. Qed.
Lemma lower_at_ok l j i a : lower_at c prems l j i = Some a -> In l (places H j) -> IZR a <= g * measurement H z l j.
Proof.
  unfold lower_at. intros e hl. destruct (in_places _ _ hl) as [l1 l2].
  destruct (get prems i) as [[p q lo hi|k lo hi|b ex| | | | | |]|] eqn:ei; try discriminate.
  - destruct q as [k| | | |]; try discriminate. destruct (_ && _)%bool eqn:eb; [|discriminate]. bools.
    apply M in ei. pose proof (covers_ok _ _ l H0 eq_refl) as hk. destruct p as [k'|]; cbn in ei.
    + subst k'. destruct ei as [q _]. exact q.
    + destruct (ei l l1 l2) as [q _]. exact q.
  - destruct (_ && _)%bool eqn:eb; [|discriminate]. bools. apply M in ei. cbn in ei. destruct ei as [q _]. cbn in q. fold g in q.
    pose proof (nearest_le _ _ H0 hl). nra.
  - destruct (_ && _)%bool eqn:eb; [|discriminate]. bools. inv_some; subst b. apply M in ei. cbn in ei.
    specialize (ei j H2 H1). pose proof (nearest_le _ _ H0 hl). nra.
Qed.
Lemma upper_at_ok l j i a : upper_at prems l j i = Some a -> (In l (places H j) \/ exists lo, get prems i = Some (PQ (Some l) (QM j) lo (Some a))) ->
  g * measurement H z l j <= IZR a.
Proof.
  unfold upper_at. intros e hl.
  destruct (get prems i) as [[p q lo hi| | | | | | | |]|] eqn:ei; try discriminate.
  destruct q as [k| | | |]; try discriminate. destruct (_ && _)%bool eqn:eb; [|discriminate]. bools.
  pose proof (M _ _ ei) as m. pose proof (covers_ok _ _ l H0 eq_refl) as hk. destruct p as [k'|]; cbn in m.
  - subst k'. destruct m as [_ q]. exact q.
  - destruct hl as [hl|[lo' q]]; [|discriminate]. destruct (in_places _ _ hl) as [l1 l2]. destruct (m l l1 l2) as [_ q]. exact q.
Qed.
Lemma least_at_ok j but ls : forall refs m, least_at c prems j but ls refs = Some m ->
  forall l, In l ls -> In l (places H j) -> (forall b, but = Some b -> l <> b) -> exists b, m = Some b /\ IZR b <= g * measurement H z l j.
Proof.
  induction ls as [|k ls IH]; intros refs m e l hl ip hb; [destruct hl|]. cbn [least_at] in e.
  destruct refs as [|i more]; [discriminate|].
  destruct (least_at c prems j but ls (match more with [] => i :: more | _ :: _ => more end)) as [m'|] eqn:er; [|discriminate].
  specialize (IH _ _ er).
  destruct (match but with Some b => Nat.eqb b k | None => false end) eqn:ebut.
  - inv_some; subst m'. destruct hl as [->|hl]; [|now apply IH].
    exfalso. destruct but as [b|]; [|discriminate]. apply Nat.eqb_eq in ebut. apply (hb b); auto.
  - destruct (lower_at c prems k j i) as [a|] eqn:ea; [|discriminate]. inv_some; subst m.
    destruct hl as [->|hl].
    + apply lower_at_ok in ea; auto. destruct m' as [b|]; eexists; split; eauto.
      eapply Rle_trans; [|exact ea]. apply IZR_le. lia.
    + destruct (IH l hl ip hb) as [b [-> q]]. eexists; split; eauto. eapply Rle_trans; [|exact q]. apply IZR_le. lia.
Qed.
Lemma least_at_nonempty j but ls refs m b : least_at c prems j but ls refs = Some m -> m = Some b -> ls <> [].
Proof. intros e hm. destruct ls; [cbn in e; congruence|discriminate]. Qed.

Lemma to_fine_ok i x : Iu i x -> If_ (to_fine unit fine i) x.
Proof.
  intros [h1 h2]. split; cbn [to_fine fst snd].
  - destruct (fst i) as [a|]; cbn [option_map above] in *; [|exact I]. fold g in h1. fold F.
    pose proof (fl_le (a * Z.pos fine) (Zpos unit) ltac:(lia)) as q. rewrite mult_IZR in q. fold F g in q.
    apply Rmult_le_reg_r with g; auto. nra.
  - destruct (snd i) as [a|]; cbn [option_map below] in *; [|exact I]. fold g in h2. fold F.
    pose proof (ce_ge (a * Z.pos fine) (Zpos unit) ltac:(lia)) as q. rewrite mult_IZR in q. fold F g in q.
    apply Rmult_le_reg_r with g; auto. nra.
Qed.
Lemma to_unit_ok i x : If_ i x -> Iu (to_unit unit fine i) x.
Proof.
  intros [h1 h2]. split; cbn [to_unit fst snd].
  - destruct (fst i) as [a|]; cbn [option_map above] in *; [|exact I]. fold F in h1. fold g.
    pose proof (fl_le (a * Z.pos unit) (Zpos fine) ltac:(lia)) as q. rewrite mult_IZR in q. fold F g in q.
    apply Rmult_le_reg_r with F; auto. nra.
  - destruct (snd i) as [a|]; cbn [option_map below] in *; [|exact I]. fold F in h2. fold g.
    pose proof (ce_ge (a * Z.pos unit) (Zpos fine) ltac:(lia)) as q. rewrite mult_IZR in q. fold F g in q.
    apply Rmult_le_reg_r with F; auto. nra.
Qed.
Lemma inside_ok j inner ls : (forall l, In l ls -> In l (places H j)) -> forall refs is,
  inside_itvs isqrt c unit fine rounds prems j inner ls refs = Some is ->
  Forall2 If_ is (map (fun l => run inner (measurement H z l j)) ls).
Proof.
  induction ls as [|l ls IH]; intros ip refs is e; cbn [inside_itvs map] in *.
  - inv_some; subst. constructor.
  - destruct refs as [|[ilo ihi] refs]; [discriminate|].
    destruct (image _ _ _ inner _) as [x|] eqn:ei; [|discriminate].
    destruct (inside_itvs isqrt c unit fine rounds prems j inner ls refs) as [r|] eqn:er; [|discriminate]. inv_some; subst.
    constructor; [|eapply IH; eauto; intros; apply ip; now right].
    eapply image_ok; [|exact ei]. apply to_fine_ok. assert (hl : In l (places H j)) by (apply ip; now left). split; cbn [fst snd].
    + destruct ilo as [i|]; [|exact I]. destruct (lower_at c prems l j i) eqn:e; [|exact I]. cbn. now apply lower_at_ok in e.
    + destruct ihi as [i|]; [|exact I]. destruct (upper_at prems l j i) eqn:e; [|exact I]. cbn. apply upper_at_ok in e; auto.
Qed.
Lemma all_nonneg_ok m j d : all_nonneg m = true -> 0 <= at_ (nth j m []) d.
Proof.
  unfold all_nonneg. intros e. rewrite forallb_forall in e. unfold at_.
  destruct (Nat.lt_ge_cases j (length m)) as [hj|hj].
  - specialize (e _ (nth_In m [] hj)). rewrite forallb_forall in e.
    destruct (Nat.lt_ge_cases d (length (nth j m []))) as [hd|hd].
    + specialize (e _ (nth_In _ 0%Z hd)). bools. now apply IZR_le.
    + rewrite nth_overflow by auto. lra.
  - rewrite (nth_overflow m) by auto. destruct d; cbn; lra.
Qed.
(** of a diagonal geometry: between what is stated and [more] above *)
Lemma scales_nonneg : squares c = true -> forall more, metric H = Diagonal more -> forall j d,
  0 <= at_ (nth j (scales H) []) d / IZR (Zpos (sden H)) <= scale H j d
  /\ scale H j d <= at_ (nth j (scales H) []) d / IZR (Zpos (sden H)) + val more.
Proof.
  intros es more em j d. unfold c in es; cbn in es. rewrite em in es. destruct fit_parts as [m0 _]. rewrite em in m0.
  unfold scale. rewrite em. destruct (share_ok j d) as [s0 s1]. assert (0 <= share j d * val more <= val more) by nra.
  assert (0 <= at_ (nth j (scales H) []) d / IZR (Zpos (sden H))); [|lra].
  apply Rmult_le_pos; [now apply all_nonneg_ok|left; apply Rinv_0_lt_compat; apply posR].
Qed.
Lemma corners_ok n : forall p s e a far (y : nat -> R), corners c unit n p s e = Some (a, far) -> (forall d, 0 <= at_ s d) ->
  (forall d lo hi, (d < n)%nat -> nth_error e d = Some (lo, hi) -> IZR lo <= g * y d /\ match hi with Some u => g * y d <= IZR u | None => True end) ->
  IZR a <= sumn n (fun d => at_ s d * ((g * h * (y d - at_ p d / h)) * (g * h * (y d - at_ p d / h))))
  /\ match far with
     | Some (b, b') => sumn n (fun d => at_ s d * ((g * h * (y d - at_ p d / h)) * (g * h * (y d - at_ p d / h)))) <= IZR b
         /\ sumn n (fun d => (g * h * (y d - at_ p d / h)) * (g * h * (y d - at_ p d / h))) <= IZR b'
     | None => True end.
Proof.
  induction n; intros p s e a far y q s0 hf; cbn [corners sumn] in *.
  - inv_some. repeat split; cbn; lra.
  - destruct e as [|[lo hi] e']; [discriminate|].
    destruct (corners c unit n (tl p) (tl s) e') as [[a' far']|] eqn:ec; [|discriminate]. apply some_inj in q. apply pair_equal_spec in q. destruct q as [<- <-].
    destruct (hf O lo hi ltac:(lia) eq_refl) as [h1 h2].
    destruct (IHn (tl p) (tl s) e' a' far' (fun d => y (S d)) ec) as [I1 I2].
    { intros d. specialize (s0 (S d)). unfold at_ in *. destruct s; [destruct d|]; auto. }
    { intros d lo' hi' hd' hn. apply (hf (S d)); auto. lia. }
    assert (TP : forall d, at_ (tl p) d = at_ p (S d)) by (intros d; unfold at_; destruct p; [destruct d|]; reflexivity).
    assert (TS : forall d, at_ (tl s) d = at_ s (S d)) by (intros d; unfold at_; destruct s; [destruct d|]; reflexivity).
    assert (E1 : sumn n (fun d => at_ (tl s) d * (g * h * (y (S d) - at_ (tl p) d / h) * (g * h * (y (S d) - at_ (tl p) d / h))))
      = sumn n (fun i => at_ s (S i) * (g * h * (y (S i) - at_ p (S i) / h) * (g * h * (y (S i) - at_ p (S i) / h))))) by (apply sumn_ext; intros; now rewrite TP, TS).
    assert (E2 : sumn n (fun d => (g * h * (y (S d) - at_ (tl p) d / h) * (g * h * (y (S d) - at_ (tl p) d / h))))
      = sumn n (fun i => (g * h * (y (S i) - at_ p (S i) / h) * (g * h * (y (S i) - at_ p (S i) / h))))) by (apply sumn_ext; intros; now rewrite TP).
    rewrite E1 in I1. rewrite E1, E2 in I2. clear E1 E2.
    replace (hd 0%Z p) with (nth 0 p 0%Z) by (destruct p; reflexivity). replace (hd 0%Z s) with (nth 0 s 0%Z) by (destruct s; reflexivity).
    specialize (s0 O). change (IZR (nth 0 s 0%Z)) with (at_ s 0) in *. change (hd_ c) with (Zpos (hden H)).
    set (w := at_ s 0) in *. set (P := nth 0 p 0%Z). set (t := g * h * (y O - at_ p 0 / h)).
    assert (T : t = h * (g * y O) - IZR P * g) by (unfold t, at_, P; field; lra).
    assert (B1 : IZR (lo * Z.pos (hden H) - P * Z.pos unit) <= t) by (rewrite minus_IZR, !mult_IZR; fold h g; rewrite T; nra).
    assert (B2 : match hi with Some u => t <= IZR (u * Z.pos (hden H) - P * Z.pos unit) | None => True end).
    { destruct hi as [u|]; auto. rewrite minus_IZR, !mult_IZR. fold h g. rewrite T. nra. }
    set (lower := (lo * Z.pos (hden H) - P * Z.pos unit)%Z) in *.
    split.
    + set (m := Z.max 0 _). assert (M0 : 0 <= IZR m) by (apply IZR_le; unfold m; lia). rewrite plus_IZR, !mult_IZR.
      change (IZR (nth 0 s 0%Z)) with w.
      assert (IZR m * IZR m <= t * t).
      { destruct (Z.eq_dec m 0) as [->|ne]; [pose proof (Rle_0_sqr t) as sq; unfold Rsqr in sq; lra|].
        assert (Q : m = lower \/ match hi with Some u => (m = P * Z.pos unit - u * Z.pos (hden H))%Z | None => False end).
        { unfold m in *. destruct hi; lia. }
        destruct Q as [Q|Q].
        - rewrite Q in *. nra.
        - destruct hi as [u|]; [|destruct Q].
          assert (QR : IZR m = - IZR (u * Z.pos (hden H) - P * Z.pos unit)) by (rewrite <- opp_IZR; f_equal; lia). nra. }
      assert (w * (IZR m * IZR m) <= w * (t * t)) by (apply Rmult_le_compat_l; auto). lra.
    + destruct hi as [u|]; auto. destruct far' as [[b b']|]; auto. destruct I2 as [I2 I3].
      set (upper := (u * Z.pos (hden H) - P * Z.pos unit)%Z) in *. set (m := Z.max (Z.abs lower) (Z.abs upper)).
      assert (M1 : - IZR m <= t). { apply Rle_trans with (IZR lower); auto. rewrite <- opp_IZR. apply IZR_le. unfold m. lia. }
      assert (M2 : t <= IZR m). { apply Rle_trans with (IZR upper); auto. apply IZR_le. unfold m. lia. }
      assert (MM : t * t <= IZR m * IZR m) by nra.
      rewrite !plus_IZR, !mult_IZR. change (IZR (nth 0 s 0%Z)) with w.
      assert (w * (t * t) <= w * (IZR m * IZR m)) by (apply Rmult_le_compat_l; auto). split; lra.
Qed.
Lemma get_scaled j p s : get (scaled_ c) j = Some (p, s) -> exists more, metric H = Diagonal more /\ nth j (protos H) [] = p /\ nth j (scales H) [] = s.
Proof.
  unfold c; cbn. destruct (metric H) as [|more| | |]; try discriminate. rewrite get_of_list. intros e. exists more. split; auto.
  now apply combined.
Qed.
Lemma scaled_range_ok j e i l : squares c = true -> scaled_range c unit j e = Some i ->
  (forall d lo hi, (d < D)%nat -> nth_error e d = Some (lo, hi) -> IZR lo <= g * vec l d /\ match hi with Some u => g * vec l d <= IZR u | None => True end) ->
  Iu i (measurement H z l j).
Proof.
  intros sq q hf. unfold scaled_range in q. destruct (get (scaled_ c) j) as [[p s]|] eqn:es; [|discriminate].
  destruct (get_scaled _ _ _ es) as [more [em [ep es']]]. change (ch c) with D in q.
  destruct (corners c unit D p s e) as [[a far]|] eqn:ec; [|discriminate]. apply some_inj in q. subst i.
  assert (V : forall d, vec l d = z l d) by (intros; unfold vec; now rewrite em).
  assert (s0 : forall d, 0 <= at_ s d).
  { intros d. rewrite <- es'. unfold c in sq; cbn in sq. rewrite em in sq. now apply all_nonneg_ok. }
  destruct (corners_ok D p s e a far (z l) ec s0) as [C1 C2]; [intros; rewrite <- V; now apply hf|].
  assert (MM : more_ c = more) by (unfold c; cbn; now rewrite em). rewrite MM.
  destruct fit_parts as [m0 _]. rewrite em in m0.
  change (hd_ c) with (Zpos (hden H)). change (sd_ c) with (Zpos (sden H)).
  set (sd := IZR (Zpos (sden H))) in *. assert (sp : 0 < sd) by apply posR.
  unfold measurement. rewrite em. fold D.
  set (t := fun d => g * h * (z l d - at_ p d / h)) in *.
  assert (TT : forall d, (z l d - proto H j d) * (z l d - proto H j d) = (t d * t d) / (g * h * (g * h))).
  { intros d. unfold t, proto. rewrite ep. fold h. field. lra. }
  set (S1 := sumn D (fun d => at_ s d * (t d * t d))). set (S2 := sumn D (fun d => t d * t d)).
  change (IZR a <= S1) in C1. change (match far with Some (b, b') => S1 <= IZR b /\ S2 <= IZR b' | None => True end) in C2.
  assert (gh : 0 < g * h * (g * h)) by (assert (0 < g * h) by nra; nra).
  assert (SC : forall d, at_ s d / sd <= scale H j d <= at_ s d / sd + val more).
  { intros d. destruct (scales_nonneg sq more em j d) as [[_ q1] q2]. rewrite es' in *. split; auto. }
  assert (L1 : S1 / (sd * (g * h * (g * h))) <= sumn D (fun d => scale H j d * ((z l d - proto H j d) * (z l d - proto H j d)))).
  { replace (S1 / (sd * (g * h * (g * h)))) with (/ (sd * (g * h * (g * h))) * S1) by (field; lra). unfold S1. rewrite <- sumn_scal.
    apply sumn_le. intros d _. rewrite TT. destruct (SC d) as [q _].
    replace (/ (sd * (g * h * (g * h))) * (at_ s d * (t d * t d))) with (at_ s d / sd * (t d * t d / (g * h * (g * h)))) by (field; lra).
    apply Rmult_le_compat_r; auto. apply Rmult_le_pos; [apply Rle_0_sqr|left; now apply Rinv_0_lt_compat]. }
  assert (L2 : sumn D (fun d => scale H j d * ((z l d - proto H j d) * (z l d - proto H j d))) <= S1 / (sd * (g * h * (g * h))) + val more * (S2 / (g * h * (g * h)))).
  { replace (S1 / (sd * (g * h * (g * h))) + val more * (S2 / (g * h * (g * h))))
      with (/ (sd * (g * h * (g * h))) * S1 + (val more * / (g * h * (g * h))) * S2) by (field; lra).
    unfold S1, S2. rewrite <- !sumn_scal, <- sumn_plus.
    apply sumn_le. intros d _. rewrite TT. destruct (SC d) as [_ q].
    replace (/ (sd * (g * h * (g * h))) * (at_ s d * (t d * t d)) + val more * / (g * h * (g * h)) * (t d * t d))
      with ((at_ s d / sd + val more) * (t d * t d / (g * h * (g * h)))) by (field; lra).
    apply Rmult_le_compat_r; auto. apply Rmult_le_pos; [apply Rle_0_sqr|left; now apply Rinv_0_lt_compat]. }
  set (m := sumn D (fun d => scale H j d * _)) in *.
  assert (K : IZR (Z.pos unit * (Z.pos (hden H) * Z.pos (hden H)) * Z.pos (sden H)) = g * (h * h) * sd) by (rewrite !mult_IZR; reflexivity).
  assert (K0 : 0 < g * (h * h) * sd) by (assert (0 < h * h) by nra; assert (0 < g * (h * h)) by nra; nra).
  split; cbn [fst snd above below]; fold g.
  - pose proof (fl_le a (Z.pos unit * (Z.pos (hden H) * Z.pos (hden H)) * Z.pos (sden H)) ltac:(lia)) as d. rewrite K in d.
    apply Rmult_le_reg_r with (g * (h * h) * sd); auto. eapply Rle_trans; [exact d|]. eapply Rle_trans; [exact C1|].
    apply Rle_trans with (g * (S1 / (sd * (g * h * (g * h)))) * (g * (h * h) * sd)); [right; field; lra|].
    apply Rmult_le_compat_r; [lra|]. apply Rmult_le_compat_l; lra.
  - destruct far as [[b b']|]; [|exact I]. destruct C2 as [C2 C3]. cbn [below].
    unfold val in L2, m0. set (mn := IZR (fst more)) in *. set (md := IZR (Zpos (snd more))) in *. assert (mp : 0 < md) by apply posR.
    pose proof (ce_ge (b * Z.pos (snd more) + fst more * Z.pos (sden H) * b') (Z.pos unit * (Z.pos (hden H) * Z.pos (hden H)) * Z.pos (sden H) * Z.pos (snd more)) ltac:(lia)) as d.
    rewrite plus_IZR, (mult_IZR (_ * _ * _)), K, !mult_IZR in d. fold mn md sd in d. fold g.
    apply Rmult_le_reg_r with (g * (h * h) * sd * md); [nra|]. eapply Rle_trans; [|exact d].
    assert (mn0 : 0 <= mn). { apply Rmult_le_reg_r with (/ md); [now apply Rinv_0_lt_compat|]. rewrite Rmult_0_l. exact m0. }
    apply Rle_trans with (S1 * md + mn * sd * S2).
    + apply Rle_trans with (g * (S1 / (sd * (g * h * (g * h))) + mn / md * (S2 / (g * h * (g * h)))) * (g * (h * h) * sd * md)); [|right; field; lra].
      apply Rmult_le_compat_r; [nra|]. apply Rmult_le_compat_l; lra.
    + assert (mn * sd * S2 <= mn * sd * IZR b') by (apply Rmult_le_compat_l; [nra|auto]). nra.
Qed.
(** the inequality of Cauchy and Schwarz, with bounds of both lengths *)
Lemma product_below (p y : nat -> R) r n : 0 < n -> 0 <= r -> square_length D p <= n * n -> square_length D y <= r * r ->
  - (n * r) <= sumn D (fun d => p d * y d) <= n * r.
Proof.
  intros n0 r0 hp' hy. set (x := sumn D (fun d => p d * y d)).
  assert (E : forall s, 0 <= r * r * square_length D p + s * (n * r * x) * 2 + s * s * (n * n) * square_length D y).
  { intros s. replace (r * r * square_length D p + s * (n * r * x) * 2 + s * s * (n * n) * square_length D y)
      with (sumn D (fun d => (r * p d + s * n * y d) * (r * p d + s * n * y d))); [apply sumn_nonneg; intros; apply Rle_0_sqr|].
    unfold square_length, x. rewrite (Rmult_comm (s * (n * r * _)) 2).
    replace (2 * (s * (n * r * sumn D (fun d => p d * y d)))) with ((2 * s * n * r) * sumn D (fun d => p d * y d)) by ring.
    rewrite <- !sumn_scal, <- !sumn_plus. apply sumn_ext. intros; ring. }
  destruct (Req_dec r 0) as [->|ne].
  - assert (Y0 : forall d, (d < D)%nat -> y d = 0).
    { intros d hd. assert (y d * y d <= 0); [|nra]. eapply Rle_trans; [apply (sumn_one D (fun k => y k * y k) d); auto; intros; apply Rle_0_sqr|]. unfold square_length in hy. lra. }
    assert (x = 0); [|lra]. unfold x. rewrite (sumn_ext D _ (fun _ => 0)); [apply sumn_zero|]. intros d hd. rewrite Y0 by auto. ring.
  - assert (rp : 0 < r) by lra. assert (nr : 0 < n * r) by nra.
    pose proof (E 1) as e1. pose proof (E (-1)) as e2.
    assert (r * r * square_length D p <= r * r * (n * n)) by (apply Rmult_le_compat_l; [nra|auto]).
    assert (n * n * square_length D y <= n * n * (r * r)) by (apply Rmult_le_compat_l; [nra|auto]).
    split; apply Rmult_le_reg_l with (n * r); auto; nra.
Qed.
(** angles: what divides them is no less than |z| *)
Lemma length_of l j p : get (spanned c) j = Some p -> exists r, 0 <= r /\ square_length D (z l) <= r * r
  /\ measurement H z l j = - (product H (z l) j / r) /\ ((forall d, vec l d = z l d / r) \/ forall d, vec l d = z l d).
Proof.
  intros en. unfold c in en; cbn in en. destruct fit_parts as [fa _]. pose proof (square_length_nonneg (z l)) as s0.
  unfold measurement, vec. fold D. destruct (metric H) as [|more| |fl_ ad|each]; try discriminate.
  - destruct fa as [a1 a2]. set (s := square_length D (z l)) in *. set (r := Rmax (sqrt (s + val ad)) (val fl_)).
    assert (r1 : sqrt (s + val ad) <= r) by apply Rmax_l. pose proof (sqrt_pos (s + val ad)).
    exists r. repeat split; [lra| |left; reflexivity]. apply Rle_trans with (s + val ad); [lra|]. rewrite <- (sqrt_def (s + val ad)) by lra. nra.
  - destruct fa as [ln ad]. rewrite get_of_list, nth_error_map in en. destruct (nth_error (protos H) j) as [q|] eqn:ep; [|discriminate].
    assert (hj : (j < nproto H)%nat) by (eapply nth_error_lt; eauto).
    assert (a0 : 0 <= val (spadded (nth j each no_span))) by (apply ad, nth_In; lia).
    destruct (span_long _ _ s0 a0) as [r0 r2]. exists (span_length (nth j each no_span) (square_length D (z l))).
    repeat split; auto. destruct (one_span each) as [s|] eqn:es; [left|right; reflexivity].
    rewrite (one_span_ok _ _ es j) by lia. reflexivity.
Qed.
Lemma root_above_ok (p : list Z) x : (length p <= D)%nat -> root_above isqrt c unit (norm2 p) = Some x ->
  0 < IZR x / g /\ square_length D (fun d => at_ p d / h) <= IZR x / g * (IZR x / g).
Proof.
  intros wf. unfold root_above. change (hd_ c) with (Zpos (hden H)). set (X := near_root isqrt c unit _). clearbody X. intros q.
  destruct (_ && _)%bool eqn:eb; [|discriminate]. inv_some; subst X. apply andb_prop in eb. destruct eb as [b1 b2].
  apply Z.ltb_lt in b1. apply Z.leb_le in b2. apply IZR_lt in b1. apply IZR_le in b2. rewrite !mult_IZR in b2. fold g h in b2. split.
  - apply Rmult_lt_0_compat; [exact b1|now apply Rinv_0_lt_compat].
  - apply Rmult_le_reg_l with (h * h * (g * g)); [repeat apply Rmult_lt_0_compat; auto|].
    replace (h * h * (g * g) * (IZR x / g * (IZR x / g))) with (IZR x * IZR x * (h * h)) by (field; lra).
    replace (h * h * (g * g) * square_length D (fun d => at_ p d / h)) with (IZR (norm2 p) * (g * g)); [exact b2|].
    rewrite (norm2_eq p D wf). unfold square_length.
    rewrite (sumn_ext D (fun d => at_ p d / h * (at_ p d / h)) (fun d => / (h * h) * (at_ p d * at_ p d))) by (intros; field; lra).
    rewrite sumn_scal. field. lra.
Qed.
Lemma parts_norm p : norm2 p = (norm2 (map (Z.max 0) p) + norm2 (map (Z.min 0) p))%Z.
Proof. induction p as [|a p IH]; cbn [norm2 map]; [reflexivity|]. rewrite IH. destruct (Z_le_gt_dec 0 a); [rewrite Z.max_r, Z.min_l by lia|rewrite Z.max_l, Z.min_r by lia]; lia. Qed.
Lemma at_map0 (f : Z -> Z) p d : f 0%Z = 0%Z -> at_ (map f p) d = IZR (f (nth d p 0%Z)).
Proof. intros e. unfold at_. revert d. induction p; intros [|d]; cbn; try (now rewrite e); auto. Qed.
(** m between these, where r is no less than |z| *)
Lemma span_range l j a b low high x y : get (spanned c) j = Some (a, b) ->
  root_above isqrt c unit low = Some x -> root_above isqrt c unit high = Some y ->
  ((a + b)%Z = low /\ (a + b)%Z = high \/ a = low /\ b = high /\ forall d, (d < D)%nat -> 0 <= vec l d) ->
  Iu (Some (- x)%Z, Some y) (measurement H z l j).
Proof.
  intros en ex ey hc. destruct (length_of l j _ en) as [r [r0 [r2 [-> hv]]]].
  assert (EP : exists p, nth j (protos H) [] = p /\ a = norm2 (map (Z.max 0) p) /\ b = norm2 (map (Z.min 0) p)).
  { unfold c in en; cbn in en. destruct (metric H); try discriminate; rewrite get_of_list, nth_error_map in en;
      destruct (nth_error (protos H) j) as [p|] eqn:ep; try discriminate; cbn in en; inv_some; exists p; repeat split; auto; now apply nth_error_nth_. }
  destruct EP as [p [ep [ea eb]]]. destruct fit_parts as [_ [wf _]]. specialize (wf j). rewrite ep in wf.
  set (m := product H (z l) j).
  assert (P : m = sumn D (fun d => at_ p d / h * z l d)) by (unfold m, product, proto; rewrite ep; reflexivity).
  assert (K : - (IZR y / g * r) <= m <= IZR x / g * r).
  { destruct hc as [[e1 e2]|[e1 [e2 hz]]].
    - rewrite ea, eb, <- parts_norm in e1, e2. subst low high. rewrite ex in ey. inv_some; subst y.
      destruct (root_above_ok p x wf ex) as [x0 xn]. rewrite P. exact (product_below _ _ r _ x0 r0 xn r2).
    - assert (Z0 : forall d, (d < D)%nat -> 0 <= z l d).
      { intros d hd. specialize (hz d hd). destruct hv as [hv|hv]; rewrite hv in hz; auto.
        destruct (Req_dec r 0) as [e0|ne].
        - rewrite e0 in r2. assert (z l d * z l d <= 0); [|nra]. eapply Rle_trans; [apply (sumn_one D (fun k => z l k * z l k) d); auto; intros; apply Rle_0_sqr|].
          unfold square_length in r2. lra.
        - replace (z l d) with (z l d / r * r) by (field; auto). apply Rmult_le_pos; auto. }
      subst low high. rewrite ea in ex. rewrite eb in ey.
      destruct (root_above_ok (map (Z.max 0) p) x ltac:(now rewrite map_length) ex) as [x0 xn].
      destruct (root_above_ok (map (Z.min 0) p) y ltac:(now rewrite map_length) ey) as [y0 yn].
      destruct (product_below _ _ r _ x0 r0 xn r2) as [_ q1]. destruct (product_below _ _ r _ y0 r0 yn r2) as [q2 _]. rewrite P. split.
      + eapply Rle_trans; [exact q2|]. apply sumn_le. intros d hd. apply Rmult_le_compat_r; [now apply Z0|].
        unfold Rdiv. apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|]. rewrite at_map0 by reflexivity. apply IZR_le. lia.
      + eapply Rle_trans; [|exact q1]. apply sumn_le. intros d hd. apply Rmult_le_compat_r; [now apply Z0|].
        unfold Rdiv. apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|]. rewrite at_map0 by reflexivity. apply IZR_le. lia. }
  assert (X0 : 0 < IZR x / g /\ 0 < IZR y / g).
  { split; apply Rmult_lt_0_compat; try (now apply Rinv_0_lt_compat);
      [unfold root_above in ex; set (X := near_root isqrt c unit _) in ex; clearbody X; destruct (_ && _)%bool eqn:q in ex
      |unfold root_above in ey; set (X := near_root isqrt c unit _) in ey; clearbody X; destruct (_ && _)%bool eqn:q in ey]; try discriminate;
      inv_some; apply andb_prop in q; destruct q as [q _]; apply Z.ltb_lt in q; apply IZR_lt; lia. }
  assert (Q : - (IZR y / g) <= m / r <= IZR x / g).
  { destruct (Req_dec r 0) as [e0|ne].
    - rewrite e0 in *. assert (e : m = 0) by lra. rewrite e. unfold Rdiv at 2 3. rewrite Rmult_0_l. lra.
    - assert (rp : 0 < r) by lra. split; apply Rmult_le_reg_r with r; auto; replace (m / r * r) with m by (field; auto); lra. }
  assert (XG : g * (IZR x / g) = IZR x) by (field; lra). assert (YG : g * (IZR y / g) = IZR y) by (field; lra).
  split; cbn [fst snd above below]; fold g; rewrite ?opp_IZR; nra.
Qed.
Lemma nth_error_firstn_lt {A} (xs : list A) : forall n d, (d < n)%nat -> nth_error (firstn n xs) d = nth_error xs d.
Proof. induction xs as [|x xs IH]; intros [|n] [|d] q; cbn; try lia; auto. apply IH. lia. Qed.
Lemma meet_ok a : forall b d lo hi, nth_error (meet a b) d = Some (lo, hi) -> exists l1 u1 l2 u2,
  nth_error a d = Some (l1, u1) /\ nth_error b d = Some (l2, u2) /\ lo = Z.max l1 l2 /\
  hi = match u1, u2 with Some x, Some y => Some (Z.min x y) | Some x, None => Some x | None, o => o end.
Proof.
  induction a as [|[l1 u1] a IH]; intros b d lo hi e; [destruct d; discriminate|].
  destruct b as [|[l2 u2] b]; [destruct d; discriminate|]. destruct d as [|d]; cbn [meet nth_error] in *.
  - inv_some. repeat eexists; auto.
  - now apply IH.
Qed.

Lemma cut_low_ok e d x k lo hi : nth_error (cut_low e d x) k = Some (lo, hi) -> exists l u, nth_error e k = Some (l, u) /\ hi = u /\
  lo = if Nat.eqb k d then Z.max l x else l.
Proof.
  unfold cut_low. intros q. rewrite nth_error_map in q.
  destruct (nth_error (combine (seq 0 (length e)) e) k) as [[n [l u]]|] eqn:e1; [|discriminate]. cbn in q.
  assert (n = k /\ nth_error e k = Some (l, u)).
  { clear q. assert (G : forall s, nth_error (combine (seq s (length e)) e) k = Some (n, (l, u)) -> n = (s + k)%nat /\ nth_error e k = Some (l, u)).
    { clear e1. revert k. induction e as [|y e IH]; intros k s q; [destruct k; discriminate|]. destruct k as [|k]; cbn in *.
      - inv_some. auto. - apply IH in q. destruct q. split; auto. lia. }
    now apply (G O). }
  destruct H0 as [-> e2]. exists l, u. destruct (Nat.eqb k d); inv_some; auto.
Qed.
Lemma cut_high_ok e d x k lo hi : nth_error (cut_high e d x) k = Some (lo, hi) -> exists l u, nth_error e k = Some (l, u) /\ lo = l /\
  hi = if Nat.eqb k d then Some (match u with Some y => Z.min y x | None => x end) else u.
Proof.
  unfold cut_high. intros q. rewrite nth_error_map in q.
  destruct (nth_error (combine (seq 0 (length e)) e) k) as [[n [l u]]|] eqn:e1; [|discriminate]. cbn in q.
  assert (n = k /\ nth_error e k = Some (l, u)).
  { clear q. assert (G : forall s, nth_error (combine (seq s (length e)) e) k = Some (n, (l, u)) -> n = (s + k)%nat /\ nth_error e k = Some (l, u)).
    { clear e1. revert k. induction e as [|y e IH]; intros k s q; [destruct k; discriminate|]. destruct k as [|k]; cbn in *.
      - inv_some. auto. - apply IH in q. destruct q. split; auto. lia. }
    now apply (G O). }
  destruct H0 as [-> e2]. exists l, u. destruct (Nat.eqb k d); inv_some; auto.
Qed.
Lemma most_of_ok n : forall v e m (y : nat -> R), most_of n v e = Some m ->
  (forall d lo hi, (d < n)%nat -> nth_error e d = Some (lo, hi) -> IZR lo <= g * y d /\ match hi with Some u => g * y d <= IZR u | None => True end) ->
  g * sumn n (fun d => at_ v d * y d) <= IZR m.
Proof.
  induction n; intros v e m y q hf; cbn [most_of sumn] in *; [inv_some; subst; lra|].
  destruct v as [|a v].
  - inv_some; subst. rewrite (sumn_ext n _ (fun _ => 0)), sumn_zero; [unfold at_; cbn; lra|]. intros i _. unfold at_. destruct i; cbn; lra.
  - destruct e as [|[lo hi] e]; [discriminate|]. cbn [tl] in q. destruct (most_of n v e) as [r|] eqn:er; [|discriminate].
    assert (B : g * sumn n (fun d => at_ v d * y (S d)) <= IZR r) by (apply (IHn v e r (fun d => y (S d)) er); intros d lo' hi' hd hn; apply (hf (S d)); auto; lia).
    destruct (hf O lo hi ltac:(lia) eq_refl) as [h1 h2]. unfold at_ in *. cbn [nth].
    destruct (a =? 0)%Z eqn:e0; bools; [inv_some; subst; lra|].
    assert (K : forall k : Z, IZR a * (g * y O) <= IZR k -> g * (IZR a * y O + sumn n (fun d => IZR (nth d v 0%Z) * y (S d))) <= IZR (k + r)) by (intros k hk; rewrite plus_IZR; lra).
    destruct hi as [u|]; [|destruct (a <? 0)%Z eqn:e1; [|discriminate]]; inv_some; subst m; apply K.
    + destruct (Z_le_gt_dec 0 a) as [s0|s0].
      * apply Rle_trans with (IZR (a * u)); [|apply IZR_le; lia]. rewrite mult_IZR. apply IZR_le in s0. apply Rmult_le_compat_l; auto.
      * apply Rle_trans with (IZR (a * lo)); [|apply IZR_le; lia]. rewrite mult_IZR. assert (IZR a <= 0) by (apply IZR_le; lia). nra.
    + apply Z.ltb_lt in e1. apply IZR_lt in e1. rewrite mult_IZR. nra.
Qed.
Lemma most_elsewhere_ok l n : forall k rows boxes m, most_elsewhere c prems l n k rows boxes = Some m -> (k + n <= nloc H)%nat ->
  g * sumn n (fun i => if Nat.eqb (k + i) l then 0 else sumn D (fun d => at_ (nth i rows []) d * vec (k + i) d)) <= IZR m.
Proof.
  induction n; intros k rows boxes m q hn; cbn [most_elsewhere sumn] in *; [inv_some; subst; lra|].
  destruct boxes as [|i boxes]; [discriminate|]. destruct (most_elsewhere c prems l n (S k) (tl rows) boxes) as [r|] eqn:er; [|discriminate].
  apply IHn in er; [|lia].
  assert (E : sumn n (fun i => if Nat.eqb (S k + i) l then 0 else sumn D (fun d => at_ (nth i (tl rows) []) d * vec (S k + i) d))
    = sumn n (fun i => if Nat.eqb (k + S i) l then 0 else sumn D (fun d => at_ (nth (S i) rows []) d * vec (k + S i) d))).
  { apply sumn_ext. intros x _. rewrite Nat.add_succ_comm. destruct (Nat.eqb (k + S x) l); auto. apply sumn_ext. intros d _. destruct rows; [destruct x|]; reflexivity. }
  rewrite E in er. clear E. rewrite Nat.add_0_r. destruct (Nat.eqb k l); [inv_some; subst; lra|].
  destruct (get prems i) as [[| | | |p e| | | |]|] eqn:ei; try discriminate. destruct (covers p (Some k)) eqn:cv; [|discriminate].
  destruct (most_of (ch c) (hd [] rows) e) as [x|] eqn:ex; [|discriminate]. inv_some; subst m.
  apply (most_of_ok _ _ _ _ (vec k)) in ex.
  - replace (nth 0 rows []) with (hd [] rows) by (destruct rows; reflexivity). change (ch c) with D in ex. rewrite plus_IZR. lra.
  - apply M in ei. cbn in ei. apply ei. pose proof (covers_ok p (Some k) k cv eq_refl). destruct p; auto. lia.
Qed.

Lemma low_value_ok j i a : low_value c prems j i = Some a -> IZR a <= g * value H z j.
Proof.
  unfold low_value. intros e.
  destruct (get prems i) as [[p q lo hi|k lo hi|b ex| | | | | |]|] eqn:ei; try discriminate; pose proof (M _ _ ei) as m; cbn in m.
  - destruct p; [discriminate|]. destruct q as [k| | | |]; try discriminate.
    destruct (nearest c j && Nat.eqb k j)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [b1 b2]. apply Nat.eqb_eq in b2. subst k.
    destruct (places_ c j) as [|l ls] eqn:ep; [discriminate|]. destruct (places_eq j) as [hj hpl]; [rewrite ep; discriminate|].
    destruct (nearest_at j b1) as [l0 [hl q]]; [rewrite <- hpl, ep; discriminate|].
    destruct (in_places _ _ hl) as [l1 l2]. destruct (m l0 l1 l2) as [w _]. rewrite e in w. cbn in w. fold g in w. cbn [qval] in w. rewrite <- q. exact w.
  - destruct (Nat.eqb k j) eqn:ek; [|discriminate]. apply Nat.eqb_eq in ek. subst. destruct m as [w _]. exact w.
  - destruct (_ && _)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [b1 b2]. apply Nat.ltb_lt in b1. apply negb_true_iff in b2.
    inv_some; subst. now apply m.
Qed.

Theorem derive_ok s k : derive isqrt c unit fine rounds prems ps s = Some k -> phold k.
Proof.
  destruct s; cbn [derive]; intros e.
  - (* SRow *)
    destruct (get (forms c) j) as [f|] eqn:ef; [|discriminate].
    destruct (match at_ with Some l => get (lb c) l | None => get (pb c) j end) as [bank|] eqn:eb; [|discriminate].
    destruct (row c unit prems at_ bank box [(s, f)] ts) as [[n d]|] eqn:er; [|discriminate].
    destruct (solved unit s n d) as [lo hi] eqn:es. inv_some; subst k.
    assert (R : forall l, at_place at_ l -> (l < nloc H)%nat -> nth l (lbank H) O = bank -> Iu (lo, hi) (measurement H z l j)).
    { intros l h1 h2 h3. destruct (row_ok _ _ _ _ _ _ _ l er h1 h2 h3) as [hd hn]. rewrite <- es. apply solved_ok; auto.
      cbn [form_sum] in hn. rewrite (form_ok _ _ l ef) in hn. lra. }
    destruct at_ as [l|]; cbn [phold qval].
    + apply get_lb in eb. destruct eb. apply R; auto. reflexivity.
    + intros l hl hm. apply get_pb in eb. apply R; cbn; auto. unfold measures in hm. apply Nat.eqb_eq in hm. destruct eb. congruence.
  - (* SZero *)
    destruct (squares c) eqn:es; [|discriminate]. inv_some; subst k. intros l _ _. split; cbn [fst snd above below qval]; [|exact I]. fold g.
    apply Rmult_le_pos; [lra|]. pose proof (scales_nonneg es) as sn. unfold c in es; cbn in es. unfold measurement. destruct (metric H); try discriminate.
    + apply sumn_nonneg. intros; apply Rle_0_sqr.
    + apply sumn_nonneg. intros d _. apply Rmult_le_pos; [|apply Rle_0_sqr]. destruct (sn more eq_refl j d). lra.
  - (* SBall *)
    destruct (angular c) eqn:es; [|discriminate]. inv_some; subst k. intros l _ _. cbn [qval]. unfold c in es; cbn in es.
    pose proof (direction_ball l es) as q. split; cbn [fst snd above below]; fold g; nra.
  - (* SLeast *)
    destruct (nearest c j) eqn:en; [|discriminate]. destruct (least_at c prems j None (places_ c j) refs) as [[b|]|] eqn:el; try discriminate.
    inv_some; subst k. pose proof (least_at_nonempty _ _ _ _ _ _ el eq_refl) as ne. destruct (places_eq _ ne) as [hj hp']. rewrite hp' in *.
    destruct (nearest_at _ en ne) as [l [hl q]]. split; cbn [fst snd above below]; [|exact I]. fold g. rewrite <- q.
    destruct (least_at_ok _ _ _ _ _ el l hl hl) as [b' [e1 e2]]; [discriminate|]. inv_some; now subst.
  - (* SLeastAmong *)
    destruct (match get prems i with Some (PAmong k ls) => _ | Some (PHere l k) => _ | _ => _ end) as [[j' ls]|] eqn:ei; [|discriminate].
    destruct (Nat.eqb j' j && nearest c j)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [eb en]. apply Nat.eqb_eq in eb. subst j'.
    destruct (least_at c prems j None ls refs) as [[b|]|] eqn:el; try discriminate. inv_some; subst k.
    assert (AT : exists l, In l ls /\ In l (places H j) /\ measurement H z l j = value H z j).
    { destruct (get prems i) as [[| | | | |l0 j0|j0 ls0| |]|] eqn:eg; try discriminate; apply M in eg; cbn in eg;
        apply some_inj in ei; apply pair_equal_spec in ei; destruct ei as [-> <-].
      - exists l0. destruct eg. repeat split; auto. now left.
      - exact eg. }
    destruct AT as [l [h1 [h2 h3]]]. split; cbn [fst snd above below]; [|exact I]. fold g. rewrite <- h3.
    destruct (least_at_ok _ _ _ _ _ el l h1 h2) as [b' [e1 e2]]; [discriminate|]. inv_some; now subst.
  - (* SUp *)
    destruct (_ && _)%bool eqn:eb; [|discriminate]. bools. destruct (upper_at prems l j i) as [b|] eqn:eu; [|discriminate]. inv_some; subst k.
    destruct (measures_ok _ _ H1) as [hl _]. apply upper_at_ok in eu; auto. split; cbn [fst snd above below]; [exact I|]. fold g.
    pose proof (nearest_le _ _ H0 hl). nra.
  - (* SLow *)
    destruct at_ as [l|].
    + destruct (measures_ c l j) eqn:em; [|discriminate]. destruct (lower_at c prems l j i) as [b|] eqn:el; [|discriminate]. inv_some; subst k.
      destruct (measures_ok _ _ em) as [hl _]. apply lower_at_ok in el; auto. split; cbn [fst snd above below qval]; [exact el|exact I].
    + destruct (nearest c j) eqn:en; [|discriminate]. destruct (low_value c prems j i) as [b|] eqn:el; [|discriminate]. inv_some; subst k.
      apply low_value_ok in el. intros l hl hm.
      assert (hpj : In l (places H j)) by (unfold places; apply filter_In; split; [apply in_seq; lia|exact hm]).
      pose proof (nearest_le _ _ en hpj). split; cbn [fst snd above below qval]; [fold g; nra|exact I].
  - (* SPool *)
    destruct (get (insides c) j) as [inner_|] eqn:ein; [|discriminate]. destruct (get (kinds c) j) as [kind|] eqn:ek; [|discriminate].
    destruct (inside_itvs isqrt c unit fine rounds prems j inner_ (places_ c j) refs) as [is|] eqn:ei; [|discriminate].
    destruct (pool isqrt fine rounds kind is) as [r|] eqn:ep; [|discriminate]. destruct (to_unit unit fine r) as [lo hi] eqn:et. inv_some; subst k.
    cbn [phold]. rewrite <- et. apply to_unit_ok.
    assert (ne : places_ c j <> []).
    { intros q. rewrite q in ei. cbn in ei. inv_some; subst is. cbn in ep. discriminate. }
    destruct (places_eq _ ne) as [hj hpl]. rewrite hpl in ei. apply inside_ok in ei; auto.
    unfold c in ein, ek; cbn in ein, ek. rewrite get_of_list in ein. rewrite get_of_list in ek.
    apply nth_error_nth_ with (d := []) in ein. apply nth_error_nth_ with (d := Nearest) in ek.
    pose proof (pool_ok isqrt fine rounds _ _ _ _ ei ep) as q. unfold value. rewrite ek.
    destruct kind; [unfold pool in ep; destruct (_ =? 0)%Z in ep; discriminate|..];
      change (@nth chain j (inner H) [] = inner_) in ein; rewrite ein; exact q.
  - (* SImplied *)
    destruct (get prems i) as [[|k' lo [hi|]| | | | | | |]|] eqn:ei; try discriminate.
    destruct (get (forms c) j) as [fj|] eqn:efj; [|discriminate]. destruct (get (forms c) v) as [fv|] eqn:efv; [|discriminate].
    destruct (get (pb c) j) as [bj|] eqn:ebj; [|discriminate]. destruct (get (pb c) v) as [bv|] eqn:ebv; [|discriminate].
    destruct (_ && _)%bool eqn:eb; [|discriminate]. bools.
    destruct (bounded c unit _ _ None) as [[n d]|] eqn:ebd; [|discriminate]. destruct (solved unit s n d) as [u up] eqn:es. inv_some; subst k.
    assert (ne : places_ c v <> []) by (intros q; rewrite q in *; discriminate).
    destruct (places_eq _ ne) as [hv hpv]. rewrite hpv in ne. destruct (nearest_at v ltac:(assumption) ne) as [l [hl q]].
    apply M in ei. cbn in ei. destruct ei as [_ ei]. cbn in ei. fold g in ei.
    destruct (in_places _ _ hl) as [l1 l2]. apply get_pb in ebj, ebv. destruct ebj as [j1 j2], ebv as [v1 v2].
    assert (hlj : In l (places H j)).
    { unfold places. apply filter_In. split; [apply in_seq; lia|]. unfold measures in *. rewrite j2, <- v2. exact l2. }
    assert (hh : 0 < h * h) by nra.
    change [(s, fj); (t, fv); (ball, Form 1 [] 0)] with ([(s, fj)] ++ [(t, fv); (ball, Form 1 [] 0)]) in ebd.
    apply (bounded_ok _ _ _ _ _ _ l) in ebd; [|
      cbn [form_sum]; rewrite (form_ok _ _ l efv), (form_for_ok QNorm _ l eq_refl), plus_IZR, !mult_IZR; fold g; cbn [qval] | exact I].
    + destruct ebd as [hd hn]. cbn [form_sum] in hn. rewrite (form_ok _ _ l efj) in hn.
      pose proof (solved_ok s n d (measurement H z l j) hd) as w. specialize (w ltac:(lra)). rewrite es in w. destruct w as [_ w].
      split; cbn [fst snd above]; [exact I|]. destruct up as [x|]; cbn [below snd] in *; [|exact I]. fold g in w |- *.
      pose proof (nearest_le j l ltac:(assumption) hlj). nra.
    + rewrite q. repeat match goal with e : (0 <=? _)%Z = true |- _ => apply Z.leb_le in e end.
      assert (T0 : 0 <= IZR t) by (apply IZR_le; assumption). assert (B0 : 0 <= IZR ball) by (apply IZR_le; assumption).
      assert (BB : IZR ball * square_length D (vec l) <= IZR ball).
      { match goal with o : (_ || _)%bool = true |- _ => apply orb_prop in o; destruct o as [o|o] end.
        - apply Z.eqb_eq in H2. subst ball. lra.
        - pose proof (direction_ball l H2). nra. }
      assert (IZR t * (g * value H z v) <= IZR t * IZR hi) by (apply Rmult_le_compat_l; lra).
      set (S := square_length D (vec l)) in *. set (V := value H z v) in *.
      apply Rle_trans with (h * h * (IZR t * (g * V) + g * (IZR ball * S))); [right; ring|].
      apply Rmult_le_compat_l; [lra|]. nra.
  - (* SOnly *)
    destruct (nearest c j) eqn:en; [|discriminate]. destruct (places_ c j) as [|l [|l' ls]] eqn:ep; try discriminate. inv_some; subst k.
    destruct (places_eq j ltac:(rewrite ep; discriminate)) as [hj hpl]. rewrite ep in hpl.
    destruct (nearest_at j en) as [l0 [hl q]]; [rewrite <- hpl; discriminate|]. cbn. rewrite <- hpl in *. destruct hl as [->|[]].
    split; auto. now left.
  - (* SStart *)
    destruct (nearest c j) eqn:en; [|discriminate]. destruct (places_ c j) as [|l ls] eqn:ep; try discriminate. inv_some; subst k.
    destruct (places_eq j ltac:(rewrite ep; discriminate)) as [hj hpl]. rewrite ep in hpl.
    destruct (nearest_at j en) as [l0 [hl q]]; [rewrite <- hpl; discriminate|]. cbn [phold]. exists l0. rewrite hpl. auto.
  - (* SHere *)
    destruct (get prems i) as [[| | | | |l j| | |]|] eqn:e1; try discriminate. destruct (get prems k0) as [[|j' lo hi| | | | | | |]|] eqn:e2; try discriminate.
    destruct (Nat.eqb j j') eqn:ej; [|discriminate]. apply Nat.eqb_eq in ej. subst j'. inv_some; subst k.
    apply M in e1, e2. cbn in *. destruct e1 as [_ ->]. exact e2.
  - (* SSpan *)
    destruct (get (spanned c) j) as [[a b]|] eqn:en; [|discriminate].
    destruct (match box with None => _ | Some _ => _ end) as [[low high]|] eqn:eb; [|discriminate].
    destruct (root_above isqrt c unit low) as [x|] eqn:ex; [|discriminate]. destruct (root_above isqrt c unit high) as [y|] eqn:ey; [|discriminate].
    inv_some; subst k.
    assert (B : forall l, at_place at_ l -> (l < nloc H)%nat -> Iu (Some (- x)%Z, Some y) (measurement H z l j)).
    { intros l hl hn. apply (span_range l j a b low high x y en); auto. destruct box as [i|]; [|inv_some; left; auto].
      destruct (get prems i) as [[| | | |p e'| | | |]|] eqn:e1; try discriminate. destruct (_ && _)%bool eqn:ec in eb; [|discriminate]. inv_some. right.
      apply andb_prop in ec. destruct ec as [ec c4]. apply andb_prop in ec. destruct ec as [ec c3]. apply andb_prop in ec. destruct ec as [c1 c2].
      split; [auto|split; [auto|]]. intros d hd. apply Nat.leb_le in c3. change (ch c) with D in c3, c4.
      destruct (nth_error e' d) as [[lo hi]|] eqn:ed; [|apply nth_error_None in ed; lia].
      apply M in e1. cbn in e1. assert (q : match p with Some k => l = k | None => (l < nloc H)%nat end).
      { pose proof (covers_ok p at_ l c1 hl). destruct p; auto. }
      destruct (e1 l q d lo hi hd ed) as [w _]. rewrite forallb_forall in c4. specialize (c4 (lo, hi)). cbn [fst] in c4.
      assert (p0 : (0 <= lo)%Z).
      { apply Z.leb_le. apply c4. apply nth_error_In with (n := d). rewrite nth_error_firstn_lt; auto. }
      apply IZR_le in p0. apply Rmult_le_reg_l with g; auto. lra. }
    destruct at_ as [l|]; cbn [phold qval]; [|intros l hl _; apply B; auto; exact I].
    destruct (Nat.lt_ge_cases l (nloc H)) as [hl|hl]; [apply B; [reflexivity|exact hl]|].
    apply (span_range l j a b low high x y en); auto. destruct box as [i|]; [|inv_some; left; auto].
    exfalso. destruct (get prems i) as [[| | | |p e'| | | |]|]; try discriminate. destruct (_ && _)%bool eqn:ec in eb; [|discriminate].
    apply andb_prop in ec. destruct ec as [ec _]. apply andb_prop in ec. destruct ec as [ec _]. apply andb_prop in ec. destruct ec as [_ c2].
    apply Nat.ltb_lt in c2. change (nl c) with (nloc H) in c2. lia.
  - (* SScaled *)
    destruct (get prems box) as [[| | | |p e'| | | |]|] eqn:e1; try discriminate.
    destruct (_ && _)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [eb b3]. apply andb_prop in eb. destruct eb as [b1 b2].
    destruct (scaled_range c unit j e') as [[lo hi]|] eqn:er; [|discriminate]. inv_some; subst k.
    apply M in e1. cbn in e1.
    assert (B : forall l, at_place at_ l -> (l < nloc H)%nat -> Iu (lo, hi) (measurement H z l j)).
    { intros l hl hn. apply (scaled_range_ok j e' (lo, hi) l b2 er). apply e1. pose proof (covers_ok p at_ l b1 hl). destruct p; auto. }
    destruct at_ as [l|]; cbn [phold qval]; [apply B; [reflexivity|now apply Nat.ltb_lt in b3]|intros l hl _; apply B; auto; exact I].
  - (* SAround *)
    destruct (upper_at prems l j i) as [b|] eqn:eu; [|discriminate]. destruct (get ps j) as [p|] eqn:ep; [|discriminate].
    destruct (_ && _)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [eb b3].
    apply andb_prop in eb. destruct eb as [b1 b2]. apply Z.leb_le in b2, b3. inv_some; subst k. destruct (PS _ _ ep) as [me pj].
    destruct (measures_ok _ _ b1) as [hl _]. apply upper_at_ok in eu; auto.
    intros l' -> d lo hi hd hn. unfold around in hn. rewrite nth_error_map in hn.
    change (ch c) with D in hn. change (hd_ c) with (Zpos (hden H)) in hn.
    rewrite (nth_error_nth' (seq 0 D) O) in hn by (rewrite seq_length; auto). rewrite seq_nth in hn by auto. cbn [option_map Nat.add] in hn.
    apply some_inj in hn. apply pair_equal_spec in hn. destruct hn as [<- <-].
    unfold vec. rewrite me. unfold measurement in eu. rewrite me in eu. fold D in eu.
    assert (one : (z l d - proto H j d) * (z l d - proto H j d) <= square_length D (fun k => z l k - proto H j k)).
    { unfold square_length. apply (sumn_one D (fun k => (z l k - proto H j k) * (z l k - proto H j k)) d); auto. intros; apply Rle_0_sqr. }
    assert (pd : proto H j d = IZR (nth d p 0%Z) / h) by (unfold proto, at_; rewrite pj; reflexivity).
    set (x := nth d p 0%Z) in *. set (m := square_length D _) in *. set (t := z l d - proto H j d) in *.
    apply IZR_le in b2, b3. rewrite !mult_IZR in b3. fold g in b3.
    assert (sq : (g * t) * (g * t) <= IZR r * IZR r).
    { apply Rle_trans with (g * (g * m)); [|apply Rle_trans with (g * IZR b); [apply Rmult_le_compat_l; lra|lra]].
      replace (g * t * (g * t)) with (g * g * (t * t)) by ring. replace (g * (g * m)) with (g * g * m) by ring.
      apply Rmult_le_compat_l; auto. nra. }
    assert (up : g * t <= IZR r) by (apply le_of_squares; auto).
    assert (dn : - (g * t) <= IZR r) by (apply le_of_squares; auto; lra).
    pose proof (fl_div (x * Z.pos unit) (Z.pos (hden H)) ltac:(lia)) as q1. pose proof (ce_div (x * Z.pos unit) (Z.pos (hden H)) ltac:(lia)) as q2.
    rewrite mult_IZR in q1, q2. fold g h in q1, q2. rewrite minus_IZR, plus_IZR.
    assert (e2 : g * z l d = g * t + IZR x * g / h) by (unfold t; rewrite pd; field; lra). split; lra.
  - (* SMeet *)
    destruct (get prems i) as [[| | | |p a| | | |]|] eqn:e1; try discriminate. destruct (get prems k0) as [[| | | |p' b| | | |]|] eqn:e2; try discriminate.
    assert (B : forall l, (match p with Some k => l = k | None => (l < nloc H)%nat end) -> (match p' with Some k => l = k | None => (l < nloc H)%nat end) ->
      forall d lo hi, (d < D)%nat -> nth_error (meet a b) d = Some (lo, hi) ->
      IZR lo <= g * vec l d /\ match hi with Some u => g * vec l d <= IZR u | None => True end).
    { intros l q1 q2 d lo hi hd hm. apply meet_ok in hm. destruct hm as [x1 [u1 [x2 [u2 [m1 [m2 [-> ->]]]]]]].
      apply M in e1, e2. cbn in e1, e2. destruct (e1 l q1 d _ _ hd m1) as [a1 a2]. destruct (e2 l q2 d _ _ hd m2) as [b1 b2]. split.
      - destruct (Z.max_spec x1 x2) as [[_ ->]|[_ ->]]; auto.
      - destruct u1 as [u1|], u2 as [u2|]; auto. destruct (Z.min_spec u1 u2) as [[_ ->]|[_ ->]]; auto. }
    destruct p as [l|]; [|discriminate]. destruct (_ && _)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [b1 b2].
    apply Nat.ltb_lt in b2. inv_some; subst k. cbn [phold]. intros l' -> d lo hi hd hm. apply (B l) with (4 := hm); auto.
    pose proof (covers_ok p' (Some l) l b1 eq_refl). destruct p'; auto.
  - (* SCut *)
    destruct (get prems i) as [[| | | |p e'| | | |]|] eqn:e1; try discriminate.
    destruct (get prems k0) as [[[l|] [j| | |d|v] lo hi| | | | | | | |]|] eqn:e2; try discriminate.
    destruct (_ && _)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [cv ln]. apply Nat.ltb_lt in ln. change (nl c) with (nloc H) in ln.
    inv_some; subst k. apply M in e1, e2. cbn [phold qval] in e1, e2. destruct e2 as [b1 b2]. cbn [fst snd] in b1, b2.
    intros l' ->.
    assert (B : forall k lo hi, (k < D)%nat -> nth_error e' k = Some (lo, hi) ->
      IZR lo <= g * vec l k /\ match hi with Some u => g * vec l k <= IZR u | None => True end).
    { apply e1. pose proof (covers_ok p (Some l) l cv eq_refl). destruct p; auto. }
    set (e2 := match lo with Some x => cut_low e' d x | None => e' end).
    assert (B2 : forall k lo hi, (k < D)%nat -> nth_error e2 k = Some (lo, hi) ->
      IZR lo <= g * vec l k /\ match hi with Some u => g * vec l k <= IZR u | None => True end).
    { unfold e2. destruct lo as [x|]; auto. intros k lo' hi' hk hn. apply cut_low_ok in hn. destruct hn as [lo'' [u [n1 [-> ->]]]].
      destruct (B _ _ _ hk n1) as [c1 c2]. split; auto. destruct (Nat.eqb k d) eqn:ek; auto. apply Nat.eqb_eq in ek. subst k. cbn in b1. fold g in b1.
      destruct (Z.max_spec lo'' x) as [[_ ->]|[_ ->]]; auto. }
    destruct hi as [x|]; auto. intros k lo' hi' hk hn. apply cut_high_ok in hn. destruct hn as [lo'' [u [n1 [-> ->]]]].
    destruct (B2 _ _ _ hk n1) as [c1 c2]. split; auto. destruct (Nat.eqb k d) eqn:ek; auto. apply Nat.eqb_eq in ek. subst k. cbn in b2. fold g in b2.
    destruct u as [y|]; auto. destruct (Z.min_spec y x) as [[_ ->]|[_ ->]]; auto.
  - (* SAlone *)
    destruct (get prems i) as [[| | | | | | | |rows lo]|] eqn:e1; try discriminate. destruct (Nat.ltb l (nl c)) eqn:el; [|discriminate].
    apply Nat.ltb_lt in el. change (nl c) with (nloc H) in *. destruct (most_elsewhere c prems l (nloc H) 0 rows boxes) as [m|] eqn:em; [|discriminate].
    inv_some; subst k. apply M in e1. cbn in e1. apply most_elsewhere_ok in em; [|lia]. split; cbn [fst snd above below qval]; [|exact I]. fold g.
    rewrite minus_IZR.
    assert (S : forall n f, (l < n)%nat -> sumn n f = f l + sumn n (fun i => if Nat.eqb (0 + i) l then 0 else f i)).
    { clear. intros n. revert l. induction n; intros l f hl; [lia|]. cbn [sumn Nat.add]. destruct l as [|l]; cbn [Nat.eqb].
      - lra.
      - rewrite (IHn l (fun i => f (S i))) by lia. cbn [Nat.add]. lra. }
    rewrite (S (nloc H)) in e1 by auto. cbn [Nat.add] in *. lra.
Qed.

(** ** Activations *)
Lemma places_in j l : In l (places_ c j) -> In l (places H j).
Proof. intros q. destruct (places_eq j) as [_ e]; [intros e; rewrite e in q; destruct q|]. now rewrite <- e. Qed.
Lemma high_value_ok j i a : high_value c prems j i = Some a -> g * value H z j <= IZR a.
Proof.
  unfold high_value. intros e.
  destruct (get prems i) as [[p q lo hi|k lo hi|b ex| | | | | |]|] eqn:ei; try discriminate; pose proof (M _ _ ei) as m; cbn in m.
  - destruct p as [l|]; (destruct q as [k| | | |]; [|destruct lo; discriminate|destruct lo; discriminate] || (destruct q as [k| | | |]; try discriminate)).
    + destruct (_ && _)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [eb b3]. apply andb_prop in eb. destruct eb as [b1 b2].
      apply Nat.eqb_eq in b3. subst k. destruct (measures_ok _ _ b2) as [hl _]. pose proof (nearest_le _ _ b1 hl).
      destruct m as [_ w]. rewrite e in w. cbn in w. fold g in w. cbn [qval] in w. nra.
    + destruct (nearest c j && Nat.eqb k j)%bool eqn:eb; [|discriminate]. apply andb_prop in eb. destruct eb as [b1 b2]. apply Nat.eqb_eq in b2. subst k.
      destruct (places_ c j) as [|l ls] eqn:ep; [discriminate|]. destruct (places_eq j) as [hj hpl]; [rewrite ep; discriminate|].
      destruct (nearest_at j b1) as [l0 [hl q]]; [rewrite <- hpl, ep; discriminate|].
      destruct (in_places _ _ hl) as [l1 l2]. destruct (m l0 l1 l2) as [_ w]. rewrite e in w. cbn in w. fold g in w. cbn [qval] in w. rewrite <- q. exact w.
  - destruct (Nat.eqb k j) eqn:ek; [|discriminate]. apply Nat.eqb_eq in ek. subst. destruct m as [_ w]. exact w.
Qed.
Lemma outside_run j ch_ : get (outsides c) j = Some ch_ -> forall x, run (nth j (outer H) []) x = run ch_ x.
Proof.
  unfold c; cbn. rewrite get_of_list. intros e x. apply nth_error_nth_ with (d := []) in e.
  change (@nth chain j (outer H) [] = ch_) in e. now rewrite e.
Qed.
Definition entry_ok (j : nat) (e : entry) : Prop := Iu (fst e) (value H z j) /\ If_ (snd e) (activation H z j).
Lemma roof_ok j i known : below fine known (activation H z j) -> below fine (roof c unit fine prems j i known) (activation H z j).
Proof.
  intros k. unfold roof. destruct (get prems i) as [[| | |b ex| | | | |]|] eqn:ei; auto.
  destruct (_ && _)%bool eqn:eb; auto. apply andb_prop in eb. destruct eb as [b1 b2]. apply Nat.ltb_lt in b1. apply negb_true_iff in b2.
  apply M in ei. cbn in ei. specialize (ei j b1 b2). set (a := activation H z j) in *.
  assert (q : F * a <= IZR (ce (b * Z.pos fine) (Z.pos unit))).
  { pose proof (ce_ge (b * Z.pos fine) (Zpos unit) ltac:(lia)) as w. rewrite mult_IZR in w. fold F g in w.
    apply Rmult_le_reg_r with g; auto. nra. }
  cbn [below]. fold F. destruct known as [k'|]; auto. cbn [below] in k. fold F in k.
  match goal with |- _ <= IZR (Z.min ?x ?y) => destruct (Z.min_spec x y) as [[_ ->]|[_ ->]]; auto end.
Qed.
Lemma entry_of_ok rs j refs : entry_ok j (entry_of isqrt c unit fine rounds prems rs j refs).
Proof.
  unfold entry_of. set (t := (_, _) : itv).
  assert (ht : Iu t (value H z j)).
  { unfold t. split; cbn [fst snd].
    - destruct (fst refs) as [i|]; [|exact I]. destruct (low_value c prems j i) eqn:e; [|exact I]. cbn. now apply low_value_ok in e.
    - destruct (snd refs) as [i|]; [|exact I]. destruct (high_value c prems j i) eqn:e; [|exact I]. cbn. now apply high_value_ok in e. }
  clearbody t. split; cbn [fst snd]; auto.
  set (a := match get (outsides c) j with Some _ => _ | None => _ end).
  assert (ha : If_ a (activation H z j)).
  { unfold a. destruct (get (outsides c) j) as [ch_|] eqn:ec; [|split; exact I].
    destruct (image isqrt fine rounds ch_ (to_fine unit fine t)) as [i|] eqn:ei; [|split; exact I].
    unfold activation. rewrite (outside_run _ _ ec). eapply image_ok; [|exact ei]. now apply to_fine_ok. }
  destruct ha as [h1 h2]. split; cbn [fst snd]; auto. induction rs as [|i rs IH]; cbn [fold_right]; auto. now apply roof_ok.
Qed.
Lemma entries_ok rs refs : forall j i e, nth_error (entries isqrt c unit fine rounds prems rs j refs) i = Some e -> entry_ok (j + i) e.
Proof.
  induction refs as [|r refs IH]; intros j i e q; [destruct i; discriminate|]. destruct i as [|i]; cbn in q.
  - inv_some; subst. rewrite Nat.add_0_r. apply entry_of_ok.
  - apply IH in q. now rewrite Nat.add_succ_comm in q.
Qed.
Lemma entries_length rs refs : forall j, length (entries isqrt c unit fine rounds prems rs j refs) = length refs.
Proof. induction refs; intros; cbn; auto. Qed.
Definition all_ok (j : nat) (es : list entry) : Prop := forall i e, nth_error es i = Some e -> entry_ok (j + i) e.
Lemma all_ok_tail j e es : all_ok j (e :: es) -> entry_ok j e /\ all_ok (S j) es.
Proof.
  intros a. split.
  - specialize (a O e eq_refl). now rewrite Nat.add_0_r in a.
  - intros i x q. rewrite Nat.add_succ_comm. now apply a.
Qed.
Lemma all_ok_cons j e es : entry_ok j e -> all_ok (S j) es -> all_ok j (e :: es).
Proof.
  intros a b i x q. destruct i as [|i]; cbn in q; [inv_some; subst; now rewrite Nat.add_0_r|].
  rewrite <- Nat.add_succ_comm. now apply b.
Qed.
Lemma updated_ok rs es : forall j ups, all_ok j es -> all_ok j (updated isqrt c unit fine rounds prems rs j ups es).
Proof.
  induction es as [|e es IH]; intros j ups a; cbn [updated]; auto. destruct (all_ok_tail _ _ _ a) as [a1 a2].
  destruct ups as [|[k refs] more]; auto. destruct (Nat.eqb k j); apply all_ok_cons; auto. apply entry_of_ok.
Qed.
Lemma updated_length rs es : forall j ups, length (updated isqrt c unit fine rounds prems rs j ups es) = length es.
Proof.
  induction es as [|e es IH]; intros j ups; cbn [updated]; auto. destruct ups as [|[k refs] more]; auto.
  destruct (Nat.eqb k j); cbn [length]; auto.
Qed.

(** ** Lines *)
Lemma point_ok x : Iu (Some x, Some x) (IZR x / g).
Proof. split; cbn; fold g; right; field; lra. Qed.
Lemma point_value ch_ x a b : both (image isqrt fine rounds ch_ (point_itv unit fine x)) = Some (a, b) ->
  IZR a <= F * run ch_ (IZR x / g) <= IZR b.
Proof.
  unfold both. destruct (image isqrt fine rounds ch_ (point_itv unit fine x)) as [[[a'|] [b'|]]|] eqn:e; try discriminate.
  intros q. apply some_inj in q. apply pair_equal_spec in q. destruct q as [<- <-].
  pose proof (image_ok isqrt fine rounds ch_ _ _ (IZR x / g) (to_fine_ok _ _ (point_ok x)) e) as [h1 h2]. split; [exact h1|exact h2].
Qed.
Lemma cup_scaled f i : cup fine f i -> cup fine (fun x => F * f x) i.
Proof. intros q x y s hx hy hs. specialize (q x y s hx hy hs). nra. Qed.
Lemma down_scaled f i : down fine f i -> down fine (fun x => F * f x) i.
Proof. intros q x y hx hy hs. specialize (q x y hx hy hs). nra. Qed.
Lemma div_g_le x y : (x <= y)%Z -> IZR x / g <= IZR y / g.
Proof. intros q. apply IZR_le in q. unfold Rdiv. apply Rmult_le_compat_r; auto. left. now apply Rinv_0_lt_compat. Qed.

Lemma line_of_ok j w e ln l al be : entry_ok j e -> line_of isqrt c unit fine rounds prems j w e ln = Some (l, al, be) ->
  IZR al * measurement H z l j + IZR be <= F * (IZR w * activation H z j).
Proof.
  intros [ev ea] q. unfold line_of in q. destruct (get (outsides c) j) as [ch_|] eqn:ec; [|discriminate].
  unfold activation. rewrite (outside_run _ _ ec). set (f := run ch_). destruct ln as [l' al' be' a b|l' al' be' il ih among refs].
  - (* a line below *)
    destruct (fst (fst e)) as [low|] eqn:elo; [|discriminate]. set (lo := Z.min low a) in *.
    destruct (both (image isqrt fine rounds ch_ (point_itv unit fine a))) as [[fa fa']|] eqn:efa; [|discriminate].
    destruct (both (image isqrt fine rounds ch_ (point_itv unit fine b))) as [[fb fb']|] eqn:efb; [|discriminate].
    set (top := match snd (fst e) with Some hi => Some (Z.max hi b) | None => None end) in *.
    set (i := to_fine unit fine (Some lo, top)) in *.
    destruct (_ && _)%bool eqn:eb in q; [|discriminate]. apply some_inj in q. apply pair_equal_spec in q. destruct q as [q <-].
    apply pair_equal_spec in q. destruct q as [<- <-].
    repeat match goal with x : (_ && _)%bool = true |- _ => apply andb_prop in x; destruct x end.
    repeat match goal with x : (_ <=? _)%Z = true |- _ => apply Z.leb_le in x | x : (_ <? _)%Z = true |- _ => apply Z.ltb_lt in x end.
    match goal with x : convex _ = true |- _ => rename x into hc end. match goal with x : falls _ = true |- _ => rename x into hf end.
    match goal with x : nearest _ _ = true |- _ => rename x into hn end. match goal with x : measures_ _ _ _ = true |- _ => rename x into hm end.
    destruct (shape_on_ok isqrt fine rounds ch_ i) as [_ [sd [sc _]]]. specialize (sd hf). specialize (sc hc). fold f in sd, sc.
    apply point_value in efa, efb. fold f in efa, efb. destruct efa as [fa1 fa2], efb as [fb1 fb2].
    destruct (measures_ok _ _ hm) as [hl _]. pose proof (nearest_le _ _ hn hl) as hle. set (v := value H z j) in *.
    destruct ev as [ev1 ev2]. rewrite elo in ev1. cbn [above] in ev1. fold g in ev1.
    assert (ev0 : IZR lo <= g * v) by (eapply Rle_trans; [apply IZR_le; apply Z.le_min_l|exact ev1]). clear ev1. rename ev0 into ev1.
    assert (Lab : IZR lo <= IZR a < IZR b) by (split; [apply IZR_le; apply Z.le_min_r|apply IZR_lt; assumption]).
    assert (INI : forall x, IZR lo <= g * x -> (forall t, top = Some t -> g * x <= IZR t) -> inI fine i x).
    { intros x x1 x2. unfold i. apply to_fine_ok. split; cbn [fst snd above below]; auto. destruct top; cbn; auto. }
    assert (TOPB : forall t, top = Some t -> (b <= t)%Z).
    { unfold top. intros t. destruct (snd (fst e)); [|discriminate]. intros w0; inv_some. lia. }
    assert (EQ : forall x, g * (IZR x / g) = IZR x) by (intros; field; lra).
    assert (I1 : inI fine i (IZR lo / g)).
    { apply INI; rewrite EQ; [lra|]. intros t ht. apply TOPB in ht. apply IZR_le in ht. lra. }
    assert (I2 : inI fine i (IZR a / g)).
    { apply INI; rewrite EQ; [lra|]. intros t ht. apply TOPB in ht. apply IZR_le in ht. lra. }
    assert (I3 : inI fine i (IZR b / g)).
    { apply INI; rewrite EQ; [lra|]. intros t ht. apply TOPB in ht. now apply IZR_le in ht. }
    assert (I4 : inI fine i v).
    { apply INI; [exact ev1|]. intros t. unfold top. destruct (snd (fst e)) as [u|]; [|discriminate]. intros w0; inv_some. subst t.
      cbn in ev2. fold g in ev2. eapply Rle_trans; [exact ev2|]. apply IZR_le. lia. }
    assert (RV : forall x y, IZR x * (IZR y / g) = IZR (x * y) / g) by (intros; rewrite mult_IZR; field; lra).
    assert (K : IZR al' * v + IZR be' <= F * f v).
    { apply (support fine (fun x => F * f x) i (IZR lo / g) (IZR a / g) (IZR b / g) (IZR al') (IZR be') v
               (cup_scaled _ _ sc) (down_scaled _ _ sd) I1 I2 I3 I4).
      - unfold Rdiv. apply Rmult_lt_compat_r; [now apply Rinv_0_lt_compat|lra].
      - apply Rmult_le_reg_l with g; auto. rewrite EQ. exact ev1.
      - unfold Rdiv. apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|lra].
      - now apply IZR_le.
      - apply Rmult_le_reg_l with g; auto. replace (g * (IZR al' * (IZR b / g) + IZR be')) with (IZR al' * IZR b + IZR be' * g) by (field; lra).
        match goal with x : (al' * b + _ <= _)%Z |- _ => apply IZR_le in x; rewrite plus_IZR, !mult_IZR in x; fold g in x end. nra.
      - apply Rmult_le_reg_l with g; auto. replace (g * (IZR al' * (IZR a / g) + IZR be')) with (IZR al' * IZR a + IZR be' * g) by (field; lra).
        match goal with x : (al' * a + _ <= _)%Z |- _ => apply IZR_le in x; rewrite plus_IZR, !mult_IZR in x; fold g in x end. nra.
      - apply Rmult_le_reg_l with g; auto. replace (g * (IZR al' * (IZR b / g - IZR a / g))) with (IZR al' * (IZR b - IZR a)) by (field; lra).
        match goal with x : (al' * (b - a) <= _)%Z |- _ => apply IZR_le in x; rewrite !mult_IZR, !minus_IZR in x; fold g in x end. nra.
      - match goal with x : ((a - lo) * _ <= _)%Z |- _ => apply IZR_le in x; rewrite !mult_IZR, !minus_IZR, !mult_IZR, !minus_IZR in x; fold g in x; rename x into big end.
        apply Rmult_le_reg_l with (g * g); [nra|].
        replace (g * g * ((IZR a / g - IZR lo / g) * (F * f (IZR b / g) - F * f (IZR a / g) - IZR al' * (IZR b / g - IZR a / g))))
          with ((IZR a - IZR lo) * ((F * f (IZR b / g) - F * f (IZR a / g)) * g - IZR al' * (IZR b - IZR a))) by (field; lra).
        replace (g * g * ((IZR b / g - IZR a / g) * (F * f (IZR a / g) - (IZR al' * (IZR a / g) + IZR be'))))
          with ((IZR b - IZR a) * (F * f (IZR a / g) * g - IZR al' * IZR a - IZR be' * g)) by (field; lra).
        set (fA := F * f (IZR a / g)) in *. set (fB := F * f (IZR b / g)) in *.
        apply Rle_trans with ((IZR a - IZR lo) * ((IZR fb' - IZR fa) * g - IZR al' * (IZR b - IZR a))).
        { apply Rmult_le_compat_l; [lra|]. assert ((fB - fA) * g <= (IZR fb' - IZR fa) * g) by (apply Rmult_le_compat_r; lra). lra. }
        eapply Rle_trans; [exact big|]. apply Rmult_le_compat_l; [lra|]. assert (IZR fa * g <= fA * g) by (apply Rmult_le_compat_r; lra). lra. }
    assert (W : 0 < IZR w) by (apply IZR_lt; assumption). assert (A0 : IZR al' <= 0) by (apply IZR_le; assumption).
    rewrite !mult_IZR. assert (IZR al' * measurement H z l' j <= IZR al' * v) by nra.
    assert (IZR w * (IZR al' * measurement H z l' j + IZR be') <= IZR w * (F * f v)) by (apply Rmult_le_compat_l; lra). lra.
  - (* a line above *)
    destruct (lower_at c prems l' j il) as [lo|] eqn:elo; [|discriminate]. destruct (upper_at prems l' j ih) as [hi|] eqn:ehi; [|discriminate].
    destruct (both (image isqrt fine rounds ch_ (point_itv unit fine lo))) as [[f1 flo]|] eqn:efa; [|discriminate].
    destruct (both (image isqrt fine rounds ch_ (point_itv unit fine hi))) as [[f2 fhi]|] eqn:efb; [|discriminate].
    set (cand := match among with None => _ | Some _ => _ end) in *. destruct cand as [ls|] eqn:ecand; [|discriminate].
    set (i := to_fine unit fine (Some lo, Some hi)) in *.
    destruct (_ && _)%bool eqn:eb in q; [|discriminate]. apply some_inj in q. apply pair_equal_spec in q. destruct q as [q <-].
    apply pair_equal_spec in q. destruct q as [<- <-].
    apply andb_prop in eb. destruct eb as [eb rest].
    repeat match goal with x : (_ && _)%bool = true |- _ => apply andb_prop in x; destruct x end.
    repeat match goal with x : (_ <=? _)%Z = true |- _ => apply Z.leb_le in x | x : (_ <? _)%Z = true |- _ => apply Z.ltb_lt in x end.
    match goal with x : convex _ = true |- _ => rename x into hc end.
    match goal with x : nearest _ _ = true |- _ => rename x into hn end. match goal with x : measures_ _ _ _ = true |- _ => rename x into hm end.
    match goal with x : (flo * _ <= _)%Z |- _ => rename x into c1 end. match goal with x : (fhi * _ <= _)%Z |- _ => rename x into c2 end.
    destruct (shape_on_ok isqrt fine rounds ch_ i) as [_ [_ [sc _]]]. specialize (sc hc). fold f in sc.
    apply point_value in efa, efb. fold f in efa, efb. destruct efa as [_ fa2], efb as [_ fb2].
    destruct (measures_ok _ _ hm) as [hl _]. apply lower_at_ok in elo; auto. apply upper_at_ok in ehi; auto.
    set (x := measurement H z l' j) in *. set (v := value H z j) in *.
    apply IZR_le in c1, c2. rewrite plus_IZR, !mult_IZR in c1, c2. fold g in c1, c2.
    assert (C1 : IZR flo <= IZR al' * (IZR lo / g) + IZR be').
    { apply Rmult_le_reg_r with g; auto. replace ((IZR al' * (IZR lo / g) + IZR be') * g) with (IZR al' * IZR lo + IZR be' * g) by (field; lra). exact c1. }
    assert (C2 : IZR fhi <= IZR al' * (IZR hi / g) + IZR be').
    { apply Rmult_le_reg_r with g; auto. replace ((IZR al' * (IZR hi / g) + IZR be') * g) with (IZR al' * IZR hi + IZR be' * g) by (field; lra). exact c2. }
    assert (X1 : IZR lo / g <= x). { apply Rmult_le_reg_l with g; auto. replace (g * (IZR lo / g)) with (IZR lo) by (field; lra). exact elo. }
    assert (X2 : x <= IZR hi / g). { apply Rmult_le_reg_l with g; auto. replace (g * (IZR hi / g)) with (IZR hi) by (field; lra). exact ehi. }
    assert (EQ : forall y, g * (IZR y / g) = IZR y) by (intros; field; lra).
    assert (I1 : inI fine i (IZR lo / g)). { apply to_fine_ok. split; cbn; fold g; rewrite EQ; lra. }
    assert (I2 : inI fine i (IZR hi / g)). { apply to_fine_ok. split; cbn; fold g; rewrite EQ; lra. }
    (* the location that attains the value *)
    assert (AT : exists k, In k ls /\ In k (places H j) /\ measurement H z k j = v).
    { unfold cand in ecand. destruct among as [ia|].
      - destruct (get prems ia) as [[| | | | |k0 j0|k0 ls0| |]|] eqn:eia; try discriminate;
          [destruct (Nat.eqb j0 j) eqn:e0|destruct (Nat.eqb k0 j) eqn:e0]; try discriminate; apply Nat.eqb_eq in e0; subst;
          inv_some; apply M in eia; cbn in eia.
        + exists k0. subst ls. destruct eia. repeat split; auto. now left.
        + subst ls. exact eia.
      - inv_some. destruct (places_eq j) as [hj hpl].
        { intros e0. destruct (measures_ok _ _ hm) as [_ [m1 [_ _]]]. assert (q : In l' (places_ c j)).
          { unfold places_. apply filter_In. split; auto. apply in_seq. cbn. lia. } rewrite e0 in q. destruct q. }
        subst ls. destruct (nearest_at j hn) as [k [k1 k2]]; [intros e0; rewrite e0 in hl; destruct hl|]. exists k. rewrite hpl. auto. }
    destruct AT as [k [k1 [k2 k3]]].
    assert (K : F * f v <= IZR al' * x + IZR be').
    { destruct (Nat.eq_dec k l') as [->|ne].
      - fold x in k3. rewrite <- k3.
        apply (chord fine (fun x => F * f x) i (IZR lo / g) (IZR hi / g) (IZR al') (IZR be') x (cup_scaled _ _ sc) I1 I2); auto; lra.
      - destruct (least_at c prems j (Some l') ls refs) as [m|] eqn:el; [|discriminate].
        destruct (least_at_ok _ _ _ _ _ el k k1 k2) as [b [-> hb]]; [intros b' e0; inv_some; congruence|]. rewrite k3 in hb. fold v in hb.
        destruct (image isqrt fine rounds ch_ (to_fine unit fine (Some b, None))) as [[r1 [r|]]|] eqn:er; try discriminate.
        apply (image_ok isqrt fine rounds ch_ _ _ v) in er; [|apply to_fine_ok; split; cbn; auto].
        destruct er as [_ er]. cbn in er. fold f in er. apply andb_prop in rest. destruct rest as [r2 r3]. apply Z.leb_le in r2, r3.
        apply IZR_le in r2, r3. rewrite plus_IZR, !mult_IZR in r2, r3. fold g in r2, r3.
        eapply Rle_trans; [exact er|].
        apply Rmult_le_reg_r with g; auto. rewrite Rmult_plus_distr_r.
        replace (IZR al' * x * g) with (IZR al' * (g * x)) by ring.
        destruct (Rle_lt_dec 0 (IZR al')); nra. }
    assert (W : IZR w < 0) by (apply IZR_lt; assumption). rewrite !mult_IZR. nra.
Qed.

(** ** Sums *)
Fixpoint term_sum (T : list term) : R :=
  match T with [] => 0 | (l, (a, j)) :: r => IZR a * measurement H z l j + term_sum r end.
Lemma terms_ok es : forall j w ls s T, all_ok j es -> terms isqrt c unit fine rounds prems j w es ls = Some (s, T) ->
  IZR s + term_sum T <= F * sumn (length es) (fun i => at_ w i * activation H z (j + i)).
Proof.
  induction es as [|e es IH]; intros j w ls s T a q; cbn [terms] in q.
  - destruct ls; [|discriminate]. inv_some. cbn. lra.
  - destruct (all_ok_tail _ _ _ a) as [[av aa] a2]. cbn [length sumn]. rewrite Nat.add_0_r.
    replace (at_ w 0) with (IZR (hd 0%Z w)) by (destruct w; reflexivity).
    replace (sumn (length es) (fun i => at_ w (S i) * activation H z (j + S i)))
      with (sumn (length es) (fun i => at_ (tl w) i * activation H z (S j + i))).
    2:{ apply sumn_ext. intros i _. rewrite Nat.add_succ_comm. unfold at_. destruct w; [destruct i|]; reflexivity. }
    assert (REST : forall ls', match weigh (hd 0%Z w) (snd e), terms isqrt c unit fine rounds prems (S j) (tl w) es ls' with
      | Some v, Some (s0, T0) => Some (v + s0, T0)%Z | _, _ => None end = Some (s, T) ->
      IZR s + term_sum T <= F * (IZR (hd 0%Z w) * activation H z j + sumn (length es) (fun i => at_ (tl w) i * activation H z (S j + i)))).
    { intros ls' q'. destruct (weigh (hd 0%Z w) (snd e)) as [v|] eqn:ew; [|discriminate].
      destruct (terms isqrt c unit fine rounds prems (S j) (tl w) es ls') as [[s0 T0]|] eqn:et; [|discriminate].
      apply some_inj in q'. apply pair_equal_spec in q'. destruct q' as [<- <-].
      apply IH in et; auto. apply (weigh_ok fine _ _ _ _ ew) in aa. fold F in aa. rewrite plus_IZR. lra. }
    destruct ls as [|[k ln] more]; [now apply (REST [])|]. destruct (Nat.eqb k j); [|now apply (REST ((k, ln) :: more))].
    destruct (line_of isqrt c unit fine rounds prems j (hd 0%Z w) e ln) as [[[l al] be]|] eqn:el; [|discriminate].
    destruct (terms isqrt c unit fine rounds prems (S j) (tl w) es more) as [[s0 T0]|] eqn:et; [|discriminate].
    apply some_inj in q. apply pair_equal_spec in q. destruct q as [<- <-].
    apply IH in et; auto. apply line_of_ok in el; [|split; auto]. rewrite plus_IZR. cbn [term_sum]. lra.
Qed.
Lemma term_split l T : term_sum T = term_sum (filter (fun x : term => Nat.eqb (fst x) l) T)
  + term_sum (filter (fun x : term => negb (Nat.eqb (fst x) l)) T).
Proof.
  induction T as [|[l' [t j]] T IH]; cbn [filter fst]; [cbn; lra|]. destruct (Nat.eqb l' l); cbn [negb term_sum]; lra.
Qed.
Lemma subject_ok l T : forall S, subject_of c T = Some S -> (forall x, In x T -> fst x = l) -> form_sum D S (Y l) = h * h * term_sum T.
Proof.
  induction T as [|[l' [a j]] T IH]; intros S q ip; cbn [subject_of] in q.
  - inv_some; subst. cbn. lra.
  - destruct (get (forms c) j) as [f|] eqn:ef; [|discriminate]. destruct (subject_of c T) as [S'|]; [|discriminate].
    inv_some; subst S. cbn [form_sum term_sum]. rewrite (form_ok _ _ l ef), (IH _ eq_refl); [|intros; apply ip; now right].
    assert (l' = l) by (apply (ip (l', (a, j))); now left). subst. ring.
Qed.
(** what linear forms over all locations take off at one of them *)
Fixpoint taken_sum (js : list (Z * list (list Z))) (l : nat) : R :=
  match js with [] => 0 | (t, rows) :: r => IZR t * sumn D (fun d => at_ (nth l rows []) d * vec l d) + taken_sum r l end.
Lemma taken_ok js l : form_sum D (taken c js l) (Y l) = - (h * h * taken_sum js l).
Proof.
  unfold taken. induction js as [|[t rows] js IH]; cbn [map form_sum taken_sum fst snd]; [ring|]. rewrite IH, slope_form_ok, opp_IZR. ring.
Qed.
Lemma joints_ok ts : forall js s, joints prems ts = Some (js, s) -> IZR s <= g * sumn (nloc H) (taken_sum js).
Proof.
  induction ts as [|[i t] ts IH]; intros js s q; cbn [joints] in q.
  - inv_some. rewrite (sumn_ext _ _ (fun _ => 0)) by reflexivity. rewrite sumn_zero. lra.
  - destruct (get prems i) as [[| | | | | | | |rows lo]|] eqn:e1; try discriminate. destruct (joints prems ts) as [[js' s']|]; [|discriminate].
    destruct (0 <=? t)%Z eqn:et; [|discriminate]. apply some_inj in q. apply pair_equal_spec in q. destruct q as [<- <-].
    specialize (IH _ _ eq_refl). apply M in e1. cbn in e1. apply Z.leb_le in et. apply IZR_le in et. cbn [taken_sum].
    rewrite plus_IZR, mult_IZR, sumn_plus, sumn_scal. assert (IZR t * IZR lo <= IZR t * (g * sumn (nloc H) (fun l => sumn D (fun d => at_ (nth l rows []) d * vec l d)))) by (apply Rmult_le_compat_l; auto). lra.
Qed.
Fixpoint over_all (f : nat -> R) (ls : list nat) : R := match ls with [] => 0 | l :: r => f l + over_all f r end.
Lemma over_seq f n : forall k, over_all f (seq k n) = sumn n (fun i => f (k + i)%nat).
Proof.
  induction n; intros k; cbn [seq over_all sumn]; auto. rewrite IHn, Nat.add_0_r. f_equal. apply sumn_ext. intros i _. now rewrite Nat.add_succ_comm.
Qed.
Lemma same_list_ok xs : forall ys, same_list xs ys = true -> xs = ys.
Proof. induction xs as [|x xs IH]; intros [|y ys] q; cbn in q; try discriminate; auto. apply andb_prop in q. destruct q as [q1 q2]. apply Nat.eqb_eq in q1. f_equal; auto. Qed.
Lemma summed_ok js ss : forall T v, summed c unit prems js ss T = Some v ->
  IZR v <= term_sum T - over_all (taken_sum js) (map (fun x => fst (fst x)) ss).
Proof.
  induction ss as [|[[l box] ts] ss IH]; intros T v q; cbn [summed map over_all fst] in *.
  - destruct T; [|discriminate]. inv_some; subst. cbn. lra.
  - destruct (get (lb c) l) as [bank|] eqn:eb; [|discriminate].
    destruct (subject_of c _) as [S|] eqn:es; [|discriminate].
    destruct (summed c unit prems js ss _) as [s|] eqn:er; [|discriminate].
    destruct (row c unit prems (Some l) bank box (S ++ taken c js l) ts) as [[n d]|] eqn:ew; [|discriminate]. inv_some; subst v.
    apply IH in er. apply get_lb in eb. destruct eb as [hl hb].
    apply (row_ok _ _ _ _ _ _ _ l) in ew; auto; [|reflexivity]. destruct ew as [hd hn].
    rewrite form_sum_app, taken_ok in hn.
    rewrite (subject_ok l _ _ es) in hn. 2:{ intros x hx. apply filter_In in hx. destruct hx as [_ hx]. now apply Nat.eqb_eq in hx. }
    rewrite (term_split l T). set (t := term_sum (filter (fun x : term => Nat.eqb (fst x) l) T)) in *. set (k := taken_sum js l) in *.
    pose proof (fl_le n d hd) as fd. apply IZR_lt in hd. rewrite plus_IZR.
    assert (hh : 0 < h * h) by nra.
    assert (hn' : IZR n * (h * h) <= IZR d * (h * h * t + - (h * h * k))) by exact hn.
    assert (IZR n <= IZR d * (t - k)).
    { apply Rmult_le_reg_r with (h * h); auto. apply Rle_trans with (1 := hn'). right. ring. }
    assert (last : IZR (fl n d) <= t - k). { apply Rmult_le_reg_r with (IZR d); auto. lra. }
    apply Rle_trans with ((t - k) + (term_sum (filter (fun x : term => negb (Nat.eqb (fst x) l)) T) - over_all (taken_sum js) (map (fun x => fst (fst x)) ss))); [|right; ring].
    apply Rplus_le_compat; [exact last|exact er].
Qed.
Lemma bounded_terms_ok r T v : bounded_terms c unit prems r T = Some v -> IZR v <= term_sum T.
Proof.
  unfold bounded_terms. destruct (joints prems (joint r)) as [[js s]|] eqn:ej; [|discriminate].
  destruct js as [|x js].
  - intros q. apply summed_ok in q. assert (Z0 : forall ls, over_all (taken_sum []) ls = 0) by (induction ls as [|a ls IH]; cbn [over_all]; [auto|rewrite IH; change (taken_sum [] a) with 0; lra]).
    rewrite Z0 in q. lra.
  - set (all := x :: js) in *. clearbody all. destruct (same_list _ _) eqn:el; [|discriminate]. apply same_list_ok in el.
    destruct (summed c unit prems all (sums r) T) as [w|] eqn:es; [|discriminate]. intros q. inv_some; subst v.
    apply summed_ok in es. rewrite el, over_seq in es. apply joints_ok in ej. change (nl c) with (nloc H) in es. cbn [Nat.add] in es.
    rewrite (sumn_ext _ (fun i => taken_sum all i) (taken_sum all)) in es by auto.
    pose proof (fl_le s (Zpos unit) ltac:(lia)) as d. fold g in d. rewrite plus_IZR.
    assert (IZR (fl s (Zpos unit)) <= sumn (nloc H) (taken_sum all)) by (apply Rmult_le_reg_r with g; auto; lra). lra.
Qed.

(** ** Margins *)
Lemma weighed_each w : feature H = Each -> weighed H w (activation H z) = sumn (nproto H) (fun j => at_ w j * activation H z j).
Proof. intros e. unfold weighed. now rewrite e. Qed.
Lemma table_ok es : all_ok 0 es -> forall j i, get (of_list (map snd es)) j = Some i -> If_ i (activation H z j).
Proof.
  intros a j i q. rewrite get_of_list, nth_error_map in q.
  match type of q with option_map _ ?t = _ => destruct t as [e|] eqn:ee; [|discriminate] end.
  cbn in q. apply some_inj in q. subst i. exact (proj2 (a j e ee)).
Qed.
Lemma margin_ok w offset es form : all_ok 0 es -> length es = nproto H ->
  margin isqrt c unit fine rounds prems (feature H) w offset es form = true -> ahead w offset.
Proof.
  intros a hl q. unfold margin in q.
  assert (POS : forall s, (0 < s + offset * Z.pos fine)%Z -> IZR s <= F * weighed H w (activation H z) -> 0 < weighed H w (activation H z) + IZR offset).
  { intros s p1 p2. apply IZR_lt in p1. rewrite plus_IZR, mult_IZR in p1. fold F in p1. apply Rmult_lt_reg_l with F; auto. lra. }
  unfold ahead. destruct (feature H) as [|gr|t|t|t] eqn:ef.
  - rewrite weighed_each in * by auto. destruct form as [r|].
    + destruct (terms isqrt c unit fine rounds prems 0 w es (lines r)) as [[s T]|] eqn:et; [|discriminate].
      destruct (bounded_terms c unit prems r T) as [v|] eqn:es'; [|discriminate]. apply Z.ltb_lt in q.
      apply terms_ok in et; auto. apply bounded_terms_ok in es'. rewrite hl in et. apply (POS (s + v)%Z); auto. rewrite plus_IZR. cbn [Nat.add] in et. lra.
    + destruct (terms isqrt c unit fine rounds prems 0 w es []) as [[s T]|] eqn:et; [|discriminate]. apply Z.ltb_lt in q.
      assert (T = []).
      { clear - et. revert et. generalize 0%nat. revert w s. induction es as [|e es IH]; intros w s n et; cbn [terms] in et; [congruence|].
        destruct (weigh _ _); [|discriminate]. destruct (terms _ _ _ _ _ _ (S n) (tl w) es []) as [[s0 T0]|] eqn:e1; [|discriminate].
        apply some_inj in et. apply pair_equal_spec in et. destruct et as [_ <-]. eapply IH; eauto. }
      subst T. apply terms_ok in et; auto. rewrite hl in et. cbn [term_sum Nat.add] in et. apply (POS s); auto. lra.
  - destruct form; [discriminate|]. destruct (lower_groups _ w gr) as [s|] eqn:el; [|discriminate]. apply Z.ltb_lt in q.
    apply (POS s); auto. apply (lower_groups_ok fine _ (activation H z) (table_ok es a)) in el. unfold weighed. rewrite ef. exact el.
  - destruct form; [discriminate|]. destruct (lower_tree fine _ w t) as [s|] eqn:el; [|discriminate]. apply Z.ltb_lt in q.
    apply (POS s); auto. apply (lower_tree_ok fine _ (activation H z) (table_ok es a)) in el. unfold weighed. rewrite ef. exact el.
  - destruct form; [discriminate|]. intros n hn. apply Z.ltb_lt. now apply (led_well_ok fine _ (activation H z) (table_ok es a) _ _ q).
  - destruct form; [discriminate|]. destruct (led_most _ _ _ t) as [[s [b|]]|] eqn:el; try discriminate.
    intros n hn. apply Z.ltb_lt. now apply (largest_ok fine _ (activation H z) (table_ok es a) _ _ _ el).
Qed.
End Premises.

Variable ps : array (list Z).
Hypothesis PS : forall j p, get ps j = Some p -> metric H = Euclidean /\ nth j (protos H) [] = p.

Definition known (prems : array prem) : Prop := forall i p, get prems i = Some p -> phold p.
Lemma known_put k prems : phold k -> known prems -> known (put k prems).
Proof. intros a b i p q. rewrite get_put in q. destruct i; [inv_some; now subst|eauto]. Qed.
Lemma crossed_ok lo hi x n : crossed lo hi = true -> above n lo x -> below n hi x -> False.
Proof.
  unfold crossed. destruct lo as [a|], hi as [b|]; try discriminate. intros q. apply Z.ltb_lt in q. apply IZR_lt in q. cbn. intros; lra.
Qed.

Lemma prove_ok rs w offset es p : forall prems up, known prems -> all_ok 0 es -> length es = nproto H ->
  prove isqrt c unit fine rounds ps rs (feature H) w offset es prems up p = true -> ahead w offset.
Proof.
  induction p; intros prems up K a hl q; cbn [prove] in q.
  - eapply margin_ok; [exact K| |rewrite updated_length; exact hl|exact q]. apply updated_ok; auto.
  - destruct (derive isqrt c unit fine rounds prems ps s) as [k|] eqn:ed; [|discriminate].
    apply (IHp (put k prems) (S up)); auto. apply known_put; auto. eapply derive_ok; eauto.
  - exfalso. destruct (get prems i) as [[[l|] [j| | | |] lo hi|j lo hi| | | | | | |]|] eqn:e1; try discriminate;
      destruct (get prems k) as [[[l'|] [j'| | | |] lo' hi'|j' lo' hi'| | | | | | |]|] eqn:e2; try discriminate;
      apply K in e1, e2; cbn in e1, e2.
    + apply andb_prop in q. destruct q as [q q3]. apply andb_prop in q. destruct q as [q1 q2]. apply Nat.eqb_eq in q1, q2. subst l' j'.
      eapply crossed_ok; [exact q3|apply e1|apply e2].
    + apply andb_prop in q. destruct q as [q1 q3]. apply Nat.eqb_eq in q1. subst j'. eapply crossed_ok; [exact q3|apply e1|apply e2].
  - exfalso. destruct (get prems i) as [[| | | | | |j [|l ls]| |]|] eqn:e1; try discriminate. apply K in e1. cbn in e1. destruct e1 as [l [[] _]].
  - exfalso. destruct (get prems i) as [[| | | |[l|] e| | | |]|] eqn:e1; try discriminate. apply K in e1. cbn in e1.
    apply existsb_exists in q. destruct q as [[lo hi] [q1 q2]]. apply In_nth_error in q1. destruct q1 as [d q1].
    assert (hd : (d < D)%nat).
    { assert (q3 := nth_error_lt _ _ _ q1). rewrite firstn_length in q3. change (ch c) with D in q3. lia. }
    assert (q4 : nth_error e d = Some (lo, hi)).
    { clear - q1 hd. change (ch c) with D in q1. revert d q1 hd. generalize D. induction e as [|y e IH]; intros n d q1 hd; [rewrite firstn_nil in q1; destruct d; discriminate|].
      destruct n; [destruct d; discriminate|]. destruct d; cbn in *; auto. eapply IH; eauto. lia. }
    destruct (e1 l eq_refl d lo hi hd q4) as [b1 b2]. cbn [fst snd] in q2. eapply (crossed_ok _ _ (vec l d) unit q2); [exact b1|]. destruct hi; auto.
  - apply andb_prop in q. destruct q as [q1 q2]. destruct (Rle_lt_dec (g * qval l what) (IZR at_)) as [b|b].
    + eapply IHp1; [| | |exact q1]; auto. apply known_put; auto. split; cbn; auto.
    + eapply IHp2; [| | |exact q2]; auto. apply known_put; auto. split; cbn; auto. fold g. lra.
  - apply andb_prop in q. destruct q as [q1 q2]. destruct (Rle_lt_dec (g * value H z j) (IZR at_)) as [b|b].
    + eapply IHp1; [| | |exact q1]; auto. apply known_put; auto. split; cbn; auto.
    + eapply IHp2; [| | |exact q2]; auto. apply known_put; auto. split; cbn; auto. fold g. lra.
  - destruct (get prems i) as [[| | | | | |j ls| |]|] eqn:e1; try discriminate. apply andb_prop in q. destruct q as [q1 q2].
    pose proof (K _ _ e1) as e2. cbn in e2. destruct e2 as [l0 [b1 [b2 b3]]]. destruct (Nat.eq_dec l0 l) as [->|ne].
    + eapply IHp1; [| | |exact q1]; auto. apply known_put; auto. cbn. auto.
    + eapply IHp2; [| | |exact q2]; auto. apply known_put; auto. cbn. exists l0. repeat split; auto.
      apply filter_In. split; auto. apply negb_true_iff. now apply Nat.eqb_neq.
Qed.
Lemma rooted_ok ss : forall prems out, known prems -> rooted isqrt c unit fine rounds ps prems ss = Some out -> known out.
Proof.
  induction ss as [|s ss IH]; intros prems out K q; cbn [rooted] in q; [inv_some; now subst|].
  destruct (derive isqrt c unit fine rounds prems ps s) as [k|] eqn:ed; [|discriminate].
  eapply IH; [|exact q]. apply known_put; auto. eapply derive_ok; eauto.
Qed.
Lemma shown_ok rs w offset es prems ev : known prems -> all_ok 0 es -> length es = nproto H ->
  shown isqrt c unit fine rounds ps rs (feature H) w offset es prems ev = true -> ahead w offset.
Proof. intros K a hl q. destruct ev; cbn [shown] in q; [eapply margin_ok; eauto|eapply prove_ok; eauto]. Qed.
End Sound.
