(** Single latents: the recorded one, and witnesses. Everything about a point is computed from the
    point, exactly or in intervals. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound Sufficient.
Import ListNotations.
Local Open Scope Z_scope.

Fixpoint zdot (p x : list Z) : Z :=
  match p, x with a :: p', b :: x' => a * b + zdot p' x' | _, _ => 0 end.

Section Point.
Variable isqrt : Z -> Z.
Variable H : head.
Variable fine : positive.
Variable rounds : nat.
Variable den : positive.            (* of the point's coordinates *)
Let F := Zpos fine.
Let h := Zpos (hden H).
Let u := Zpos den.

(** the unit of measurements: they are integers over it, but for angles *)
Definition punit : positive :=
  match metric H with
  | Angular _ _ | Lengths _ => fine
  | Diagonal _ => (den * den * (hden H * hden H) * sden H)%positive
  | _ => (den * den * (hden H * hden H))%positive
  end.
Definition exactly (n : Z) : itv := (Some n, Some n).
Definition shorter (r : itv) (f : ratio) : bool :=
  match snd r with Some b => b <=? fl (fst f * F) (Zpos (snd f)) | None => false end.
Definition span_at (j : nat) : span := match metric H with Lengths each => nth j each no_span | _ => no_span end.
(** n / m over a positive number, which r contains *)
Definition quotient (n : Z) (m : positive) (r : itv) : itv :=
  match r with
  | (Some lo, Some hi) =>
      if 0 <? lo then
        let k := n * (F * F) in
        if 0 <=? n then (Some (fl k (Zpos m * hi)), Some (ce k (Zpos m * lo)))
        else (Some (fl k (Zpos m * lo)), Some (ce k (Zpos m * hi)))
      else (None, None)
  | _ => (None, None)
  end.
(** of the point x, |x|^2 over den^2, to the prototype p with |p|^2 = n, scales s and a length w *)
Definition measured (p s : list Z) (n : Z) (w : span) (x : list Z) (xx : Z) : itv :=
  let square := (Some (fl (xx * F) (u * u)), Some (ce (xx * F) (u * u))) in
  match metric H with
  | Euclidean => exactly (h * h * xx - 2 * h * u * zdot p x + u * u * n)
  | Diagonal more =>
      let t := map (fun y => y * y) (vadd (vscale h x) (vscale (- u) p)) in let a := zdot s t in
      (Some a, Some (a + ce (fst more * Zpos (sden H) * fold_right Z.add 0 t) (Zpos (snd more))))
  | Linear => exactly (- zdot p x * (h * u))
  | Angular f a =>
      let d := zdot p x in
      if d =? 0 then exactly 0 else
      match root isqrt fine (shifted fine a square) with
      | None => (None, None)
      | Some r =>
          if shorter r f then
            (* exactly the floor, so that values that are numbers of the unit stay so *)
            match fst f with
            | Zpos n => scaled (- d * Zpos (snd f), (hden H * den * n)%positive) (exactly F)
            | _ => (None, None)
            end
          else
          match image1 isqrt fine rounds (Max f) r with
          | None => (None, None)
          | Some m => match inverse fine m with
                      | None => (None, None)
                      | Some i => scaled (- d, (hden H * den)%positive) i end
          end
      end
  | Lengths _ =>
      let d := zdot p x in
      if d =? 0 then exactly 0 else
      match image isqrt fine rounds [Add (spadded w); Max (spfloor w); Sqrt] square,
            image isqrt fine rounds [Add (spbeside w); Sqrt] (exactly 0) with
      | Some r, Some b => quotient (- d) (hden H * den) (plus r b)
      | _, _ => (None, None)
      end
  end.
Definition pooled_itv (kind : pooling) (inner_ : chain) (is : list itv) : itv :=
  match kind with
  | Nearest =>
      match is with
      | [] => exactly 0
      | _ => (option_map zleast (all_some (map fst is)), option_map zleast (all_some (map snd is)))
      end
  | _ =>
      match all_some (map (fun i => image isqrt fine rounds inner_ (to_fine punit fine i)) is) with
      | Some js => match pool isqrt fine rounds kind js with Some i => to_unit punit fine i | None => (None, None) end
      | None => (None, None)
      end
  end.
(** the points with their squares *)
Definition squared_points (pts : list (list Z)) : array (list Z * Z) := of_list (map (fun x => (x, norm2 x)) pts).
Definition measured_at (ps : array (list Z * Z)) (p s : list Z) (n : Z) (w : span) (l : nat) : itv :=
  match get ps l with Some (x, xx) => measured p s n w x xx | None => measured p s n w [] 0 end.
Definition entry_at (ps : array (list Z * Z)) (c : context) (j : nat) (p s : list Z) (kind : pooling) (inner_ outer_ : chain) : entry :=
  let n := norm2 p in
  let t := pooled_itv kind inner_ (map (measured_at ps p s n (span_at j)) (places_ c j)) in
  (t, match image isqrt fine rounds outer_ (to_fine punit fine t) with Some a => a | None => (None, None) end).
Fixpoint entries_at (ps : array (list Z * Z)) (c : context) (j : nat) (protos_ : list (list Z)) (scales_ : list (list Z))
    (kinds_ : list pooling) (inners outers : list chain) : list entry :=
  match protos_ with
  | [] => []
  | p :: r =>
      entry_at ps c j p (hd [] scales_) (hd Nearest kinds_) (hd [] inners) (hd [] outers)
        :: entries_at ps c (S j) r (tl scales_) (tl kinds_) (tl inners) (tl outers)
  end.
Definition at_least (i : itv) (unit n : positive) (b : Z) : bool :=     (* b / n <= i / unit *)
  match fst i with Some a => b * Zpos unit <=? a * Zpos n | None => false end.
Definition at_most (i : itv) (unit n : positive) (b : Z) : bool :=
  match snd i with Some a => a * Zpos n <=? b * Zpos unit | None => false end.
Definition fact_at (n : positive) (ps : array (list Z * Z)) (c : context) (es : array entry) (nums : list entry)
    (protos_ : array (list Z)) (scales_ : array (list Z)) (f : fact) : bool :=
  match f with
  | Pair l j lo hi =>
      match get protos_ j with
      | Some p =>
          let s := match get scales_ j with Some s => s | None => [] end in
          let m := measured_at ps p s (norm2 p) (span_at j) l in at_least m punit n lo && at_most m punit n hi
      | None => false
      end
  | Pooled j lo hi =>
      match get es j with
      | Some e => at_least (fst e) punit n lo && at_most (fst e) punit n hi
      | None => false end
  | NoNearer b ex =>
      forallb (fun x => exempt (fst x) ex || at_least (fst (snd x)) punit n b) (combine (seq 0 (nproto H)) nums)
  | NoMore b ex =>
      forallb (fun x => exempt (fst x) ex || at_most (snd (snd x)) fine n b) (combine (seq 0 (nproto H)) nums)
  end.
Definition between (n : positive) (a b : Z) (lo : Z) (hi : option Z) : bool :=   (* a / b within lo, hi over n *)
  (lo * b <=? a * Zpos n) && match hi with Some u => a * Zpos n <=? u * b | None => true end.
Definition point_row (pts : list (list Z)) (l : nat) : list Z := nth l pts [].
Definition box_at (n : positive) (x : list Z) (e : ends) : bool :=
  forallb (fun y => between n (nth (fst y) x 0) u (fst (snd y)) (snd (snd y))) (combine (seq 0 (length e)) e).
Definition zsumn (x : list Z) : Z := fold_right Z.add 0 x.
Fixpoint zdots (rows pts : list (list Z)) : Z :=
  match rows, pts with r :: rows', x :: pts' => zdot r x + zdots rows' pts' | _, _ => 0 end.
Definition constraint_at (n : positive) (pts : list (list Z)) (q : constraint) : bool :=
  let all := map (point_row pts) (seq 0 (nloc H)) in
  match q with
  | Box l e => box_at n (point_row pts l) e
  | BoxEverywhere e => forallb (fun x => box_at n x e) all
  | Norm lo hi => forallb (fun x => between n (norm2 x) (u * u) lo (Some hi)) all
  | Total lo hi => forallb (fun x => between n (zsumn x) u lo (Some hi)) all
  | Jointly rows b => Nat.leb (length rows) (nloc H) && forallb (fun r => Nat.leb (length r) (channels H)) rows && (b * u <=? zdots rows pts)
  end.
End Point.

Definition fits_points (H : head) (pts : list (list Z)) : bool :=
  forallb (fun x => Nat.leb (length x) (channels H)) pts.

(** ** Soundness *)
Local Open Scope R_scope.
Lemma zdot_ok p : forall x D, (length p <= D)%nat -> IZR (zdot p x) = sumn D (fun d => at_ p d * at_ x d).
Proof.
  induction p as [|a p IH]; intros x D h; cbn [zdot length] in *.
  - rewrite (sumn_ext _ _ (fun _ => 0)); [now rewrite sumn_zero|]. intros i _. unfold at_. destruct i; cbn; lra.
  - destruct D; [lia|]. destruct x as [|b x].
    + rewrite (sumn_ext _ _ (fun _ => 0)); [now rewrite sumn_zero|]. intros i _. unfold at_ at 2. destruct i; cbn; lra.
    + cbn [sumn]. rewrite plus_IZR, mult_IZR, (IH x D) by lia. reflexivity.
Qed.
Lemma zdot_ok_r p : forall x D, (length x <= D)%nat -> IZR (zdot p x) = sumn D (fun d => at_ p d * at_ x d).
Proof.
  induction p as [|a p IH]; intros x D h; cbn [zdot].
  - rewrite (sumn_ext _ _ (fun _ => 0)); [now rewrite sumn_zero|]. intros i _. unfold at_. destruct i; cbn; lra.
  - destruct x as [|b x]; cbn [length] in h.
    + rewrite (sumn_ext _ _ (fun _ => 0)); [now rewrite sumn_zero|]. intros i _. unfold at_ at 2. destruct i; cbn; lra.
    + destruct D; [lia|]. cbn [sumn]. rewrite plus_IZR, mult_IZR, (IH x D) by lia. reflexivity.
Qed.
Lemma at_map (f : Z -> Z) p d : f 0%Z = 0%Z -> at_ (map f p) d = IZR (f (nth d p 0%Z)).
Proof. intros e. unfold at_. revert d. induction p; intros [|d]; cbn; try (now rewrite e); auto. Qed.
Lemma length_vadd p : forall r n, (length p <= n)%nat -> (length r <= n)%nat -> (length (vadd p r) <= n)%nat.
Proof.
  induction p as [|a p IH]; intros r n hp hr; cbn in *; auto. destruct r; cbn in *; [lia|]. destruct n; [lia|]. apply le_n_S, IH; lia.
Qed.

Section Sound.
Context {sh : shares}.
Variable isqrt : Z -> Z.
Variable H : head.
Variable fine : positive.
Variable rounds : nat.
Variable den : positive.
Variable pts : list (list Z).
Hypothesis fit : lengths_fit H = true.
Hypothesis pfit : fits_points H pts = true.
Let D := channels H.
Let F := IZR (Zpos fine).
Let h := IZR (Zpos (hden H)).
Let u := IZR (Zpos den).
Let Fp : 0 < F := posR fine.
Let hp : 0 < h := posR (hden H).
Let up_ : 0 < u := posR den.
Let U := punit H fine den.
Definition spot : latent := fun l d => at_ (nth l pts []) d / IZR (Zpos den).

Lemma fit_p l : (length (nth l pts []) <= D)%nat.
Proof.
  destruct (Nat.lt_ge_cases l (length pts)).
  - unfold fits_points in pfit. rewrite forallb_forall in pfit. apply Nat.leb_le. apply pfit. now apply nth_In.
  - rewrite nth_overflow by auto. cbn. lia.
Qed.
Lemma norm2_spot l : square_length D (spot l) = IZR (norm2 (nth l pts [])) / (u * u).
Proof.
  rewrite (norm2_eq _ D (fit_p l)). unfold square_length, spot. unfold Rdiv at 3. rewrite Rmult_comm, <- sumn_scal.
  apply sumn_ext. intros d _. fold u. field. lra.
Qed.
Lemma product_spot j l : (length (nth j (protos H) []) <= D)%nat ->
  product H (spot l) j = IZR (zdot (nth j (protos H) []) (nth l pts [])) / (h * u).
Proof.
  intros wf. rewrite (zdot_ok _ _ D wf). unfold product, proto, spot. fold D h u. unfold Rdiv at 3. rewrite Rmult_comm, <- sumn_scal.
  apply sumn_ext. intros d _. field. lra.
Qed.
Lemma exactly_ok (k : positive) n x : IZR n = IZR (Zpos k) * x -> inI k (exactly n) x.
Proof. intros e. split; cbn; rewrite e; lra. Qed.
Lemma square_itv_ok l : inI fine (Some (fl (norm2 (nth l pts []) * Z.pos fine) (Z.pos den * Z.pos den)),
  Some (ce (norm2 (nth l pts []) * Z.pos fine) (Z.pos den * Z.pos den))) (square_length (channels H) (spot l)).
Proof.
  fold D. rewrite norm2_spot. assert (uu : 0 < u * u) by nra.
  pose proof (fl_div (norm2 (nth l pts []) * Z.pos fine) (Z.pos den * Z.pos den) ltac:(lia)) as q1.
  pose proof (ce_div (norm2 (nth l pts []) * Z.pos fine) (Z.pos den * Z.pos den) ltac:(lia)) as q2.
  rewrite !mult_IZR in q1, q2. fold F u in q1, q2.
  split; cbn [fst snd above below]; fold F; replace (F * (IZR (norm2 (nth l pts [])) / (u * u))) with (IZR (norm2 (nth l pts [])) * F / (u * u)) by (field; lra); auto.
Qed.
Lemma sum_ok x : forall n, (length x <= n)%nat -> IZR (fold_right Z.add 0%Z x) = sumn n (at_ x).
Proof.
  induction x as [|a x IH]; intros n q; cbn [fold_right length] in *.
  - rewrite (sumn_ext _ _ (fun _ => 0)); [now rewrite sumn_zero|]. intros i _. unfold at_. destruct i; cbn; lra.
  - destruct n; [lia|]. cbn [sumn]. rewrite plus_IZR, (IH n) by lia. reflexivity.
Qed.
Lemma quotient_ok n m r y : inI fine r y -> inI fine (quotient fine n m r) (IZR n / IZR (Zpos m) / y).
Proof.
  intros [h1 h2]. unfold quotient. destruct r as [[lo|] [hi|]]; try (split; exact I). destruct (0 <? lo)%Z eqn:e; [|split; exact I].
  apply Z.ltb_lt in e. cbn [fst snd above below] in h1, h2. fold F in h1, h2. pose proof (posR m) as mp. set (k := IZR (Zpos m)) in *.
  apply IZR_lt in e as e'. assert (hh : (0 < hi)%Z) by (apply lt_IZR; lra). apply IZR_lt in hh as hh'.
  assert (yp : 0 < y) by (apply Rmult_lt_reg_l with F; lra).
  assert (G : forall b : Z, 0 < IZR b -> F * (IZR n / k / y) - IZR (n * (Zpos fine * Zpos fine)) / IZR (Zpos m * b)
     = IZR n * (F / (k * y * IZR b)) * (IZR b - F * y)).
  { intros b bp. rewrite !mult_IZR. fold F k. field. lra. }
  assert (P : forall b : Z, 0 < IZR b -> 0 <= F / (k * y * IZR b)).
  { intros b bp. apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. assert (0 < k * y) by nra. nra. }
  assert (LO : forall b, (0 < b)%Z -> 0 <= IZR n * (IZR b - F * y) -> IZR (fl (n * (Zpos fine * Zpos fine)) (Zpos m * b)) <= F * (IZR n / k / y)).
  { intros b bp q. pose proof (fl_div (n * (Zpos fine * Zpos fine)) (Zpos m * b) ltac:(lia)) as d. apply IZR_lt in bp. specialize (G b bp). specialize (P b bp).
    assert (0 <= F / (k * y * IZR b) * (IZR n * (IZR b - F * y))) by (now apply Rmult_le_pos). lra. }
  assert (HI : forall b, (0 < b)%Z -> 0 <= - (IZR n * (IZR b - F * y)) -> F * (IZR n / k / y) <= IZR (ce (n * (Zpos fine * Zpos fine)) (Zpos m * b))).
  { intros b bp q. pose proof (ce_div (n * (Zpos fine * Zpos fine)) (Zpos m * b) ltac:(lia)) as d. apply IZR_lt in bp. specialize (G b bp). specialize (P b bp).
    assert (0 <= F / (k * y * IZR b) * - (IZR n * (IZR b - F * y))) by (now apply Rmult_le_pos). lra. }
  destruct (0 <=? n)%Z eqn:en; bools.
  - apply IZR_le in en. split; cbn [fst snd above below]; fold F; [apply LO|apply HI]; auto; nra.
  - assert (IZR n < 0) by (apply IZR_lt; lia). split; cbn [fst snd above below]; fold F; [apply LO|apply HI]; auto; nra.
Qed.
Lemma measured_ok j l : inI U (measured isqrt H fine rounds den (nth j (protos H) []) (nth j (scales H) []) (norm2 (nth j (protos H) [])) (span_at H j)
    (nth l pts []) (norm2 (nth l pts []))) (measurement H spot l j).
Proof.
  destruct (fit_parts H fit) as [fa [wf _]]. specialize (wf j). fold D in wf. pose proof (fit_p l) as wx.
  unfold measured, measurement, U, punit. destruct (metric H) as [|more| |f a|each] eqn:em.
  - apply exactly_ok. rewrite plus_IZR, minus_IZR, !mult_IZR, !Pos2Z.inj_mul, !mult_IZR. fold h u. change (IZR 2) with 2.
    rewrite (norm2_eq _ D wx), (norm2_eq _ D wf), (zdot_ok _ _ D wf). unfold square_length.
    set (x := nth l pts []). set (p := nth j (protos H) []).
    transitivity (sumn D (fun d => h * h * (at_ x d * at_ x d) + (- (2 * h * u) * (at_ p d * at_ x d) + u * u * (at_ p d * at_ p d)))).
    { rewrite !sumn_plus, !sumn_scal. ring. }
    rewrite <- sumn_scal. apply sumn_ext. intros d _. unfold spot, proto. fold h u x p. field. lra.
  - set (sd := IZR (Zpos (sden H))). assert (sp : 0 < sd) by apply posR.
    set (t := map (fun y : Z => (y * y)%Z) (vadd (vscale (Z.pos (hden H)) (nth l pts [])) (vscale (- Z.pos den) (nth j (protos H) [])))).
    assert (tl : (length t <= D)%nat) by (unfold t; rewrite map_length; apply length_vadd; unfold vscale; rewrite map_length; auto).
    assert (T : forall d, at_ t d = (h * u * (spot l d - proto H j d)) * (h * u * (spot l d - proto H j d))).
    { intros d. unfold t. rewrite at_map by reflexivity.
      assert (E : IZR (nth d (vadd (vscale (Zpos (hden H)) (nth l pts [])) (vscale (- Zpos den) (nth j (protos H) []))) 0%Z)
        = h * at_ (nth l pts []) d - u * at_ (nth j (protos H) []) d).
      { pose proof (at_vadd (vscale (Zpos (hden H)) (nth l pts [])) (vscale (- Zpos den) (nth j (protos H) [])) d) as q.
        unfold at_ at 1 in q. rewrite q, !at_vscale, opp_IZR. fold h u. ring. }
      rewrite mult_IZR, E. unfold spot, proto. fold h u. field. lra. }
    set (rest := sumn D (fun d => share j d * at_ t d)).
    assert (E : IZR (Z.pos (den * den * (hden H * hden H) * sden H)) * sumn (channels H) (fun d => scale H j d * ((spot l d - proto H j d) * (spot l d - proto H j d)))
      = IZR (zdot (nth j (scales H) []) t) + val more * sd * rest).
    { rewrite (zdot_ok_r _ _ D tl). rewrite !Pos2Z.inj_mul, !mult_IZR. fold h u sd. unfold rest. rewrite <- !sumn_scal, <- sumn_plus. apply sumn_ext.
      intros d _. unfold scale. rewrite em, T. fold sd. field. lra. }
    assert (R : 0 <= rest <= IZR (fold_right Z.add 0%Z t)).
    { rewrite (sum_ok _ D tl). unfold rest. split; [apply sumn_nonneg|apply sumn_le]; intros d _; destruct (share_ok j d) as [s0 s1];
        assert (0 <= at_ t d) by (rewrite T; apply Rle_0_sqr); nra. }
    assert (V : 0 <= val more) by exact fa.
    assert (VS : 0 <= val more * sd) by nra.
    split; cbn [fst snd above below]; rewrite E; [nra|]. rewrite plus_IZR.
    pose proof (ce_div (fst more * Z.pos (sden H) * fold_right Z.add 0%Z t) (Z.pos (snd more)) ltac:(lia)) as c1.
    rewrite !mult_IZR in c1. fold sd in c1. unfold val in *. pose proof (posR (snd more)).
    assert (val more * sd * rest <= IZR (fst more) * sd * IZR (fold_right Z.add 0%Z t) / IZR (Z.pos (snd more))); [|unfold val in *; lra].
    replace (IZR (fst more) * sd * IZR (fold_right Z.add 0%Z t) / IZR (Z.pos (snd more))) with (val more * sd * IZR (fold_right Z.add 0%Z t)) by (unfold val; field; lra).
    apply Rmult_le_compat_l; [exact VS|lra].
  - apply exactly_ok. rewrite mult_IZR, opp_IZR, mult_IZR, !Pos2Z.inj_mul, !mult_IZR. fold h u. rewrite product_spot by auto. field. lra.
  - destruct fa as [f0 a0]. rewrite product_spot by auto. set (d := zdot _ _). destruct (d =? 0)%Z eqn:e0.
    + apply Z.eqb_eq in e0. rewrite e0. apply exactly_ok. unfold Rdiv. rewrite !Rmult_0_l. lra.
    + destruct (root isqrt fine _) as [r|] eqn:er; [|split; exact I].
      set (s := square_length (channels H) (spot l)) in *.
      assert (I0 : inI fine (shifted fine a (Some (fl (norm2 (nth l pts []) * Z.pos fine) (Z.pos den * Z.pos den)),
         Some (ce (norm2 (nth l pts []) * Z.pos fine) (Z.pos den * Z.pos den)))) (s + val a)).
      { apply shifted_ok. apply square_itv_ok. }
      destruct (root_ok isqrt fine _ _ _ I0 er) as [_ I1].
      destruct (shorter fine r f) eqn:esh.
      { unfold shorter in esh. destruct I1 as [_ I1]. destruct (snd r) as [b|]; [|discriminate]. cbn [below] in I1. fold F in I1.
        apply Z.leb_le in esh. apply IZR_le in esh. pose proof (fl_val fine f) as fv. fold F in fv.
        assert (RM : Rmax (sqrt (s + val a)) (val f) = val f).
        { apply Rmax_right. apply Rmult_le_reg_l with F; auto. lra. }
        rewrite RM. destruct (fst f) as [|n|n] eqn:ef; try (split; exact I).
        assert (I5 : inI fine (exactly (Z.pos fine)) 1) by (apply exactly_ok; ring).
        pose proof (scaled_ok fine (- d * Zpos (snd f), (hden H * den * n)%positive)%Z _ _ I5) as I6.
        replace (- (IZR d / (h * u) / val f)) with (1 * val (- d * Zpos (snd f), (hden H * den * n)%positive)%Z); auto.
        unfold val. cbn [fst snd]. rewrite ef, mult_IZR, opp_IZR, !Pos2Z.inj_mul, !mult_IZR. fold h u.
        pose proof (posR n). pose proof (posR (snd f)). field. lra. }
      destruct (image1 isqrt fine rounds (Max f) r) as [m|] eqn:em'; [|split; exact I].
      destruct (inverse fine m) as [i|] eqn:ei; [|split; exact I].
      pose proof (image1_ok isqrt fine rounds (Max f) _ _ _ I1 em') as I2. cbn [apply] in I2.
      destruct (inverse_ok fine _ _ _ I2 ei) as [rp I3].
      pose proof (scaled_ok fine (- d, (hden H * den)%positive)%Z _ _ I3) as I4.
      set (r' := Rmax (sqrt (s + val a)) (val f)) in *.
      replace (- (IZR d / (h * u) / r')) with (/ r' * val (- d, (hden H * den)%positive)%Z); auto.
      unfold val. cbn [fst snd]. rewrite opp_IZR, Pos2Z.inj_mul, mult_IZR. fold h u. field. lra.
  - destruct fa as [ln a0]. rewrite product_spot by auto. set (d := zdot _ _). destruct (d =? 0)%Z eqn:e0.
    + apply Z.eqb_eq in e0. rewrite e0. apply exactly_ok. unfold Rdiv. rewrite !Rmult_0_l. lra.
    + unfold span_at. rewrite em. set (w := nth j each no_span).
      destruct (image isqrt fine rounds _ _) as [r|] eqn:er; [|split; exact I].
      destruct (image isqrt fine rounds _ (exactly 0)) as [b|] eqn:eb; [|split; exact I].
      apply (image_ok isqrt fine rounds _ _ _ _ (square_itv_ok l)) in er. cbn [run fold_left apply] in er.
      apply (image_ok isqrt fine rounds _ _ _ 0) in eb; [|apply exactly_ok; ring]. cbn [run fold_left apply] in eb. rewrite Rplus_0_l in eb.
      pose proof (quotient_ok (- d) (hden H * den) _ _ (plus_ok fine _ _ _ _ er eb)) as q. rewrite opp_IZR, Pos2Z.inj_mul, mult_IZR in q. fold h u in q.
      unfold span_length. replace (- (IZR d / (h * u) / (sqrt (Rmax (square_length (channels H) (spot l) + val (spadded w)) (val (spfloor w))) + sqrt (val (spbeside w)))))
        with (- IZR d / (h * u) / (sqrt (Rmax (square_length (channels H) (spot l) + val (spadded w)) (val (spfloor w))) + sqrt (val (spbeside w)))) by (unfold Rdiv; ring).
      exact q.
Qed.
Lemma measured_at_ok j l : inI U (measured_at isqrt H fine rounds den (squared_points pts) (nth j (protos H) []) (nth j (scales H) [])
    (norm2 (nth j (protos H) [])) (span_at H j) l) (measurement H spot l j).
Proof.
  unfold measured_at, squared_points. rewrite get_of_list, nth_error_map. pose proof (measured_ok j l) as q.
  destruct (nth_error pts l) as [x|] eqn:e; cbn [option_map].
  - apply nth_error_nth_ with (d := []) in e. rewrite e in q. exact q.
  - apply nth_error_None in e. rewrite (nth_overflow pts) in q by auto. exact q.
Qed.
Lemma itvs_ok j ls : Forall2 (inI U) (map (measured_at isqrt H fine rounds den (squared_points pts) (nth j (protos H) []) (nth j (scales H) [])
    (norm2 (nth j (protos H) [])) (span_at H j)) ls) (map (fun l => measurement H spot l j) ls).
Proof. induction ls; cbn; constructor; auto. apply measured_at_ok. Qed.
Lemma images_ok inner_ is xs js : Forall2 (inI U) is xs ->
  all_some (map (fun i => image isqrt fine rounds inner_ (to_fine U fine i)) is) = Some js -> Forall2 (inI fine) js (map (run inner_) xs).
Proof.
  intros q. revert js. induction q as [|i x is xs hi q IH]; intros js e; cbn [map all_some] in e.
  - inv_some; subst. constructor.
  - destruct (image _ _ _ _ _) as [k|] eqn:ei; [|discriminate]. destruct (all_some _) as [r|] eqn:er; [|discriminate]. inv_some; subst.
    cbn. constructor; auto. eapply image_ok; [|exact ei]. now apply (to_fine_ok H).
Qed.
Lemma pooled_itv_ok j is : (match nth j (pools H) Nearest with Nearest => places H j <> [] | _ => True end) ->
  Forall2 (inI U) is (map (fun l => measurement H spot l j) (places H j)) ->
  inI U (pooled_itv isqrt H fine rounds den (nth j (pools H) Nearest) (nth j (inner H) []) is) (value H spot j).
Proof.
  intros ne q. unfold pooled_itv, value. fold U.
  assert (OTHER : forall kind, match all_some (map (fun i => image isqrt fine rounds (nth j (inner H) []) (to_fine U fine i)) is) with
      | Some js => match pool isqrt fine rounds kind js with Some i => to_unit U fine i | None => (None, None) end | None => (None, None) end = (None, None) \/
    inI U (match all_some (map (fun i => image isqrt fine rounds (nth j (inner H) []) (to_fine U fine i)) is) with
      | Some js => match pool isqrt fine rounds kind js with Some i => to_unit U fine i | None => (None, None) end | None => (None, None) end)
      (pooled kind (map (fun l => run (nth j (inner H) []) (measurement H spot l j)) (places H j)))).
  { intros kind. destruct (all_some _) as [js|] eqn:ea; [|now left]. destruct (pool isqrt fine rounds kind js) as [i|] eqn:ep; [|now left]. right.
    apply (to_unit_ok H). apply (images_ok _ _ _ _ q) in ea. rewrite map_map in ea. eapply pool_ok; eauto. }
  destruct (nth j (pools H) Nearest) eqn:ek;
    try (match goal with |- inI U _ (pooled ?k _) => destruct (OTHER k) as [e|e]; [rewrite e; split; exact I|exact e] end).
  destruct is as [|i is].
  - inversion q as [q'|]. destruct (places H j); [congruence|discriminate].
  - set (l0 := i :: is) in *. clearbody l0. split; cbn [fst snd].
    + destruct (all_some (map fst l0)) as [l|] eqn:el; cbn; [|exact I].
      rewrite zleast_R, <- least_scal by apply posR. apply least_mono. eapply lows_le; eauto.
    + destruct (all_some (map snd l0)) as [l|] eqn:el; cbn; [|exact I].
      rewrite zleast_R, <- least_scal by apply posR. apply least_mono. eapply highs_ge; eauto.
Qed.
Lemma entry_at_ok j : places_ (compile H) j = places H j -> (match nth j (pools H) Nearest with Nearest => places H j <> [] | _ => True end) ->
  entry_ok H U fine spot j (entry_at isqrt H fine rounds den (squared_points pts) (compile H) j (nth j (protos H) []) (nth j (scales H) [])
    (nth j (pools H) Nearest) (nth j (inner H) []) (nth j (outer H) [])).
Proof.
  intros ep ne. unfold entry_at. rewrite ep. set (t := pooled_itv _ _ _ _ _ _ _ _).
  assert (ht : inI U t (value H spot j)) by (apply pooled_itv_ok; auto; apply itvs_ok). split; cbn [fst snd]; auto.
  fold U. destruct (image isqrt fine rounds (nth j (outer H) []) (to_fine U fine t)) as [a|] eqn:ea; [|split; exact I].
  unfold activation. eapply image_ok; [|exact ea]. now apply (to_fine_ok H).
Qed.
End Sound.
