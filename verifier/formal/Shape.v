(** Direction and curvature of similarities, by the rules of composition, and the lines that follow:
    a chord is above a convex similarity, and a line that two points show to be below it is. *)
From Coq Require Import Reals ZArith List Lra Lia Bool Psatz.
From Protoproof Require Import Spec Base Interval.
Import ListNotations.

Record shape := Shape { rises : bool; falls : bool; convex : bool; concave : bool }.
Definition unknown := Shape false false false false.
Definition rising_line := Shape true false true true.
Definition falling_line := Shape false true true true.
(** g after f *)
Definition compose (g f : shape) : shape :=
  Shape (rises g && rises f || falls g && falls f) (rises g && falls f || falls g && rises f)
        (convex g && (rises g && convex f || falls g && concave f || convex f && concave f))
        (concave g && (rises g && concave f || falls g && convex f || convex f && concave f)).

Section Shapes.
Variable isqrt : Z -> Z.
Variable fine : positive.
Variable rounds : nat.
Let F := Zpos fine.
Local Open Scope Z_scope.

Definition positive_ (i : itv) : bool := match fst i with Some a => 0 <? a | None => false end.
Definition shape1 (f : prim) (i : itv) : shape :=
  match f with
  | AddNumber _ => rising_line
  | MulNumber c =>
      match number_itv isqrt fine rounds c with
      | Some r => if positive_ r then rising_line else if positive_ (negate r) then falling_line else unknown
      | None => unknown
      end
  | DivRootNumber c =>
      match number_itv isqrt fine rounds c with
      | Some r => if positive_ r then rising_line else unknown
      | None => unknown
      end
  | Add _ => rising_line
  | Mul c => if 0 <? fst c then rising_line else if fst c <? 0 then falling_line else unknown
  | DivRoot c => if 0 <? fst c then rising_line else unknown
  | Max c => match fst i with
             | Some a => if ce (fst c * F) (Zpos (snd c)) <=? a then rising_line else Shape true false true false
             | None => Shape true false true false end
  | Min c => match snd i with
             | Some b => if b <=? fl (fst c * F) (Zpos (snd c)) then rising_line else Shape true false false true
             | None => Shape true false false true end
  | Sqrt => if nonneg i then Shape true false false true else unknown
  | Square => if nonneg i then Shape true false true false
              else if nonneg (negate i) then Shape false true true false else Shape false false true false
  | Exp => Shape true false true false
  | Log => if positive_ i then Shape true false false true else unknown
  | Reciprocal => if positive_ i then Shape false true true false
                  else if positive_ (negate i) then Shape false true false true else unknown
  | Softplus => Shape true false true false
  | Abs => if nonneg i then rising_line else unknown
  | OnePlus _ | Sigmoid | Tanh | Power _ | ZeroBelow _ => unknown
  end.
(** functions that are chains of others *)
Definition expand (f : prim) (i : itv) : chain :=
  match f with
  | OnePlus c => [Reciprocal; Mul c; Add (1, 1%positive)]
  | Sigmoid => [Mul (-1, 1%positive); Exp; Add (1, 1%positive); Reciprocal]
  | Power c => if positive_ i then [Log; Mul c; Exp] else [f]
  | _ => [f]
  end.
(** log (1 + c/x) = - log (1 - c / (x + c)), whose curvature the rules see *)
Definition expand2 (f g : prim) (i : itv) : option chain :=
  match f, g with
  | OnePlus c, Log =>
      if positive_ i && (0 <? fst c) then
        Some [Add c; Reciprocal; Mul (- fst c, snd c); Add (1, 1%positive); Log; Mul (-1, 1%positive)]
      else None
  | _, _ => None
  end.
Fixpoint along (c : chain) (i : itv) (s : shape) : shape :=
  match c with
  | [] => s
  | f :: r => match image1 isqrt fine rounds f i with
              | Some j => along r j (compose (shape1 f i) s) | None => unknown end
  end.
Fixpoint shape_of (c : chain) (i : itv) (s : shape) : shape :=
  match c with
  | [] => s
  | f :: r =>
      let alone := match image isqrt fine rounds [f] i with
                   | Some j => shape_of r j (compose (along (expand f i) i rising_line) s) | None => unknown end in
      match r with
      | g :: r' =>
          match expand2 f g i with
          | Some six => match image isqrt fine rounds [f; g] i with
                        | Some j => shape_of r' j (compose (along six i rising_line) s) | None => unknown end
          | None => alone
          end
      | [] => alone
      end
  end.
End Shapes.

Local Open Scope R_scope.
Section Sound.
Variable isqrt : Z -> Z.
Variable fine : positive.
Variable rounds : nat.
Let F := IZR (Zpos fine).
Let Fp : 0 < F := posR fine.
Notation In_ := (inI fine).

Definition up (f : R -> R) (i : itv) := forall x y, In_ i x -> In_ i y -> x <= y -> f x <= f y.
Definition down (f : R -> R) (i : itv) := forall x y, In_ i x -> In_ i y -> x <= y -> f y <= f x.
Definition cup (f : R -> R) (i : itv) := forall x y s, In_ i x -> In_ i y -> 0 <= s <= 1 ->
  f (s * x + (1 - s) * y) <= s * f x + (1 - s) * f y.
Definition cap (f : R -> R) (i : itv) := forall x y s, In_ i x -> In_ i y -> 0 <= s <= 1 ->
  s * f x + (1 - s) * f y <= f (s * x + (1 - s) * y).
Definition good (f : R -> R) (i : itv) (s : shape) : Prop :=
  (rises s = true -> up f i) /\ (falls s = true -> down f i) /\
  (convex s = true -> cup f i) /\ (concave s = true -> cap f i).

Lemma mix i x y s : In_ i x -> In_ i y -> 0 <= s <= 1 -> In_ i (s * x + (1 - s) * y).
Proof.
  intros [a1 b1] [a2 b2] [h1 h2]. pose proof (posR fine). destruct i as [[a|] [b|]]; split; cbn in *; try exact I; nra.
Qed.
Lemma good_unknown f i : good f i unknown.
Proof. repeat split; intros; discriminate. Qed.
Lemma good_line f i a b s : (forall x, In_ i x -> f x = a * x + b) -> (rises s = true -> 0 <= a) -> (falls s = true -> a <= 0) ->
  good f i s.
Proof.
  intros e r l. repeat split; intros q.
  - intros x y hx hy h. specialize (r q). rewrite !e by auto. nra.
  - intros x y hx hy h. specialize (l q). rewrite !e by auto. nra.
  - intros x y t hx hy h. rewrite !e by auto using mix. right. ring.
  - intros x y t hx hy h. rewrite !e by auto using mix. right. ring.
Qed.
Lemma good_ext f g i s : (forall x, In_ i x -> f x = g x) -> good f i s -> good g i s.
Proof.
  intros e [h1 [h2 [h3 h4]]]. repeat split; intros q.
  - intros x y hx hy h. rewrite <- !e by auto. now apply h1.
  - intros x y hx hy h. rewrite <- !e by auto. now apply h2.
  - intros x y t hx hy h. rewrite <- !e by auto using mix. now apply h3.
  - intros x y t hx hy h. rewrite <- !e by auto using mix. now apply h4.
Qed.
Lemma good_compose g f i j sg sf : good f i sf -> (forall x, In_ i x -> In_ j (f x)) -> good g j sg ->
  good (fun x => g (f x)) i (compose sg sf).
Proof.
  intros [f1 [f2 [f3 f4]]] m [g1 [g2 [g3 g4]]]. unfold good, compose; cbn [rises falls convex concave].
  repeat split; intros q.
  - apply orb_prop in q. destruct q as [q|q]; bools; intros x y hx hy h; [apply g1|apply g2]; auto; [apply f1|apply f2]; auto.
  - apply orb_prop in q. destruct q as [q|q]; bools; intros x y hx hy h; [apply g1|apply g2]; auto; [apply f2|apply f1]; auto.
  - bools. intros x y t hx hy h.
    eapply Rle_trans; [|apply (g3 H (f x) (f y) t); auto].
    apply orb_prop in H0. destruct H0 as [q|q]; [apply orb_prop in q; destruct q as [q|q]|]; bools.
    + apply g1; auto using mix. apply f3; auto.
    + apply g2; auto using mix. apply f4; auto.
    + right. f_equal. apply Rle_antisym; [apply f3|apply f4]; auto.
  - bools. intros x y t hx hy h.
    eapply Rle_trans; [apply (g4 H (f x) (f y) t); auto|].
    apply orb_prop in H0. destruct H0 as [q|q]; [apply orb_prop in q; destruct q as [q|q]|]; bools.
    + apply g1; auto using mix. apply f4; auto.
    + apply g2; auto using mix. apply f3; auto.
    + right. f_equal. apply Rle_antisym; [apply f4|apply f3]; auto.
Qed.

(** Curvature of the primitives *)
Lemma val_sign_pos c : (0 < fst c)%Z -> 0 < val c.
Proof. intros h. unfold val. apply Rdiv_lt_0_compat; [now apply IZR_lt|apply posR]. Qed.
Lemma val_sign_neg c : (fst c < 0)%Z -> val c < 0.
Proof.
  intros h. unfold val. apply IZR_lt in h. pose proof (posR (snd c)). unfold Rdiv.
  assert (0 < / IZR (Z.pos (snd c))) by now apply Rinv_0_lt_compat. nra.
Qed.
Lemma nonneg_ok i x : nonneg i = true -> In_ i x -> 0 <= x.
Proof.
  unfold nonneg. intros e [h _]. destruct (fst i); [|discriminate]. bools. apply IZR_le in e. cbn in h. fold F in h.
  apply Rmult_le_reg_l with F; auto. lra.
Qed.
Lemma positive_ok i x : positive_ i = true -> In_ i x -> 0 < x.
Proof.
  unfold positive_. intros e [h _]. destruct (fst i); [|discriminate]. bools. apply IZR_lt in e. cbn in h. fold F in h.
  apply Rmult_lt_reg_l with F; auto. lra.
Qed.
Lemma ln_mix x y s : 0 < x -> 0 < y -> 0 <= s <= 1 -> s * ln x + (1 - s) * ln y <= ln (s * x + (1 - s) * y).
Proof.
  intros hx hy [h1 h2]. set (m := s * x + (1 - s) * y).
  assert (hm : 0 < m). { unfold m. destruct (Req_dec s 0); [subst; lra|]. assert (0 < s) by lra. nra. }
  assert (L : forall u, 0 < u -> ln u <= ln m + (u / m - 1)).
  { intros u hu. assert (hum : 0 < u / m) by (now apply Rdiv_lt_0_compat).
    pose proof (ln_le_line (u / m) hum) as q. unfold Rdiv in q at 1. rewrite ln_mult in q; auto; [|now apply Rinv_0_lt_compat].
    rewrite ln_Rinv in q by auto. lra. }
  pose proof (L x hx) as lx. pose proof (L y hy) as ly.
  assert (E : s * (x / m) + (1 - s) * (y / m) = 1). { unfold m in *. field. lra. }
  set (X := x / m) in *. set (Y := y / m) in *. nra.
Qed.
Lemma exp_mix x y s : 0 <= s <= 1 -> exp (s * x + (1 - s) * y) <= s * exp x + (1 - s) * exp y.
Proof.
  intros [h1 h2]. set (m := s * x + (1 - s) * y).
  assert (L : forall u, exp m * (1 + (u - m)) <= exp u).
  { intros u. replace (exp u) with (exp m * exp (u - m)) by (rewrite <- exp_plus; f_equal; ring).
    apply Rmult_le_compat_l; [left; apply exp_pos|apply exp_ineq1_le]. }
  pose proof (L x) as lx. pose proof (L y) as ly.
  apply Rle_trans with (s * (exp m * (1 + (x - m))) + (1 - s) * (exp m * (1 + (y - m)))); [|nra].
  right. unfold m. ring.
Qed.
Lemma inv_mix x y s : 0 < x -> 0 < y -> 0 <= s <= 1 -> / (s * x + (1 - s) * y) <= s * / x + (1 - s) * / y.
Proof.
  intros hx hy [h1 h2]. set (m := s * x + (1 - s) * y).
  assert (hm : 0 < m). { unfold m. destruct (Req_dec s 0); [subst; lra|]. assert (0 < s) by lra. nra. }
  apply Rmult_le_reg_r with (m * (x * y)); [apply Rmult_lt_0_compat; nra|].
  replace (/ m * (m * (x * y))) with (x * y) by (field; lra).
  replace ((s * / x + (1 - s) * / y) * (m * (x * y))) with (m * (s * y + (1 - s) * x)) by (field; lra).
  unfold m. assert (0 <= s * (1 - s) * ((x - y) * (x - y))); [|nra].
  apply Rmult_le_pos; [nra|apply Rle_0_sqr].
Qed.
(** log (1 + e^t): with A = 1 + e^x, B = 1 + e^y, both 1/A, 1/B and e^x/A, e^y/B sum up to 1 *)
Lemma softplus_mix x y s : 0 <= s <= 1 ->
  ln (1 + exp (s * x + (1 - s) * y)) <= s * ln (1 + exp x) + (1 - s) * ln (1 + exp y).
Proof.
  intros h. pose proof (exp_pos x) as px. pose proof (exp_pos y) as py.
  set (A := 1 + exp x). set (B := 1 + exp y). assert (hA : 0 < A) by (unfold A; lra). assert (hB : 0 < B) by (unfold B; lra).
  set (t := s * ln A + (1 - s) * ln B). set (m := s * x + (1 - s) * y).
  rewrite <- (ln_exp t). apply ln_mono; [pose proof (exp_pos m); lra|].
  assert (E1 : exp (- t) <= s * / A + (1 - s) * / B).
  { replace (- t) with (s * (- ln A) + (1 - s) * (- ln B)) by (unfold t; ring).
    eapply Rle_trans; [now apply exp_mix|]. rewrite !exp_Ropp, !exp_ln by auto. lra. }
  assert (E2 : exp (m - t) <= s * (exp x * / A) + (1 - s) * (exp y * / B)).
  { replace (m - t) with (s * (x - ln A) + (1 - s) * (y - ln B)) by (unfold t, m; ring).
    eapply Rle_trans; [now apply exp_mix|]. unfold Rminus. rewrite !exp_plus, !exp_Ropp, !exp_ln by auto. lra. }
  assert (E3 : exp (- t) + exp (m - t) <= 1).
  { eapply Rle_trans; [apply Rplus_le_compat; [exact E1|exact E2]|]. right.
    replace (s * / A + (1 - s) * / B + (s * (exp x * / A) + (1 - s) * (exp y * / B)))
      with (s * ((1 + exp x) * / A) + (1 - s) * ((1 + exp y) * / B)) by ring.
    fold A B. rewrite !Rinv_r by lra. ring. }
  pose proof (exp_pos t) as pt.
  assert (E4 : exp t * (exp (- t) + exp (m - t)) = 1 + exp m).
  { rewrite Rmult_plus_distr_l, <- !exp_plus. replace (t + - t) with 0 by ring. replace (t + (m - t)) with m by ring. now rewrite exp_0. }
  nra.
Qed.

Lemma shape1_ok f i : good (apply f) i (shape1 isqrt fine rounds f i).
Proof.
  destruct f; cbn [shape1]; try apply good_unknown.
  - apply good_line with (a := 1) (b := nval c); cbn [apply rises falls convex concave rising_line falling_line]; intros; try lra; discriminate.
  - destruct (number_itv isqrt fine rounds c) as [r|] eqn:er; [|apply good_unknown]. apply number_ok in er.
    destruct (positive_ r) eqn:e; [|destruct (positive_ (negate r)) eqn:e2; [|apply good_unknown]].
    + pose proof (positive_ok _ _ e er). apply good_line with (a := nval c) (b := 0); cbn [apply rises falls convex concave rising_line falling_line]; intros; try lra; discriminate.
    + pose proof (positive_ok _ _ e2 (negate_ok _ _ _ er)). apply good_line with (a := nval c) (b := 0); cbn [apply rises falls convex concave rising_line falling_line]; intros; try lra; discriminate.
  - destruct (number_itv isqrt fine rounds c) as [r|] eqn:er; [|apply good_unknown]. apply number_ok in er.
    destruct (positive_ r) eqn:e; [|apply good_unknown]. pose proof (positive_ok _ _ e er) as cp.
    pose proof (Rinv_0_lt_compat _ (sqrt_lt_R0 _ cp)).
    apply good_line with (a := / sqrt (nval c)) (b := 0); cbn [apply rises falls convex concave rising_line]; intros; try lra; try discriminate.
  - apply good_line with (a := 1) (b := val c); cbn [apply rises falls convex concave rising_line falling_line]; intros; try lra; discriminate.
  - destruct (0 <? fst c)%Z eqn:e; bools.
    + pose proof (val_sign_pos _ e). apply good_line with (a := val c) (b := 0); cbn [apply rises falls convex concave rising_line falling_line]; intros; try lra; discriminate.
    + destruct (fst c <? 0)%Z eqn:e2; bools; [|apply good_unknown].
      pose proof (val_sign_neg _ e2). apply good_line with (a := val c) (b := 0); cbn [apply rises falls convex concave rising_line falling_line]; intros; try lra; discriminate.
  - destruct (0 <? fst c)%Z eqn:e; bools; [|apply good_unknown].
    pose proof (sqrt_lt_R0 _ (val_sign_pos _ e)) as h. apply Rinv_0_lt_compat in h.
    apply good_line with (a := / sqrt (val c)) (b := 0); cbn [apply rises falls convex concave rising_line]; intros; try lra; try discriminate.
  - assert (G : good (apply (Max c)) i (Shape true false true false)).
    { repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate.
      - intros x y _ _ h. apply Rmax_lub; [|apply Rmax_r]. eapply Rle_trans; [exact h|apply Rmax_l].
      - intros x y s _ _ [h1 h2]. cbn [apply]. pose proof (Rmax_l x (val c)). pose proof (Rmax_r x (val c)).
        pose proof (Rmax_l y (val c)). pose proof (Rmax_r y (val c)).
        set (u := Rmax x (val c)) in *. set (w := Rmax y (val c)) in *. apply Rmax_lub; nra. }
    destruct (fst i) as [a|] eqn:ei; auto. destruct (_ <=? a)%Z eqn:e; auto. bools. apply IZR_le in e.
    apply good_line with (a := 1) (b := 0); cbn [apply rises falls convex concave rising_line]; intros x; try lra; try discriminate.
    intros [h _]. rewrite ei in h. cbn in h. fold F in h. pose proof (ce_val fine c). fold F in H.
    rewrite Rmax_left; [lra|]. apply Rmult_le_reg_l with F; auto. lra.
  - assert (G : good (apply (Min c)) i (Shape true false false true)).
    { repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate.
      - intros x y _ _ h. apply Rmin_glb; [|apply Rmin_r]. eapply Rle_trans; [apply Rmin_l|exact h].
      - intros x y s _ _ [h1 h2]. cbn [apply]. pose proof (Rmin_l x (val c)). pose proof (Rmin_r x (val c)).
        pose proof (Rmin_l y (val c)). pose proof (Rmin_r y (val c)).
        set (u := Rmin x (val c)) in *. set (w := Rmin y (val c)) in *. apply Rmin_glb; nra. }
    destruct (snd i) as [b|] eqn:ei; auto. destruct (b <=? _)%Z eqn:e; auto. bools. apply IZR_le in e.
    apply good_line with (a := 1) (b := 0); cbn [apply rises falls convex concave rising_line]; intros x; try lra; try discriminate.
    intros [_ h]. rewrite ei in h. cbn in h. fold F in h. pose proof (fl_val fine c). fold F in H.
    rewrite Rmin_left; [lra|]. apply Rmult_le_reg_l with F; auto. lra.
  - destruct (nonneg i) eqn:e; [|apply good_unknown]. repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate.
    + intros x y _ _ h. now apply sqrt_le_1_alt.
    + intros x y s hx hy [h1 h2]. pose proof (nonneg_ok _ _ e hx) as px. pose proof (nonneg_ok _ _ e hy) as py.
      cbn [apply]. apply le_of_squares; [apply sqrt_pos|]. rewrite sqrt_def by nra.
      pose proof (sqrt_def x px) as ex. pose proof (sqrt_def y py) as ey.
      pose proof (sqrt_pos x). pose proof (sqrt_pos y). set (u := sqrt x) in *. set (v := sqrt y) in *.
      rewrite <- ex, <- ey. assert (0 <= s * (1 - s) * ((u - v) * (u - v))); [|nra].
      apply Rmult_le_pos; [nra|apply Rle_0_sqr].
  - assert (C : cup (apply Square) i).
    { intros x y s _ _ [h1 h2]. cbn. assert (0 <= s * (1 - s) * ((x - y) * (x - y))); [|nra].
      apply Rmult_le_pos; [nra|apply Rle_0_sqr]. }
    destruct (nonneg i) eqn:e; [|destruct (nonneg (negate i)) eqn:e2]; repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate; auto.
    + intros x y hx hy h. cbn [apply]. pose proof (nonneg_ok _ _ e hx). pose proof (nonneg_ok _ _ e hy). nra.
    + intros x y hx hy h. apply negate_ok in hx, hy. cbn [apply]. pose proof (nonneg_ok _ _ e2 hx). pose proof (nonneg_ok _ _ e2 hy). nra.
  - repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate.
    + intros x y _ _ h. now apply exp_mono.
    + intros x y s _ _ h. now apply exp_mix.
  - destruct (positive_ i) eqn:e; [|apply good_unknown]. repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate.
    + intros x y hx hy h. apply ln_mono; auto. eapply positive_ok; eauto.
    + intros x y s hx hy h. apply ln_mix; auto; eapply positive_ok; eauto.
  - destruct (positive_ i) eqn:e; [|destruct (positive_ (negate i)) eqn:e2; [|apply good_unknown]];
      repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate.
    + intros x y hx hy h. pose proof (positive_ok _ _ e hx). apply Rinv_le_contravar; auto.
    + intros x y s hx hy h. apply inv_mix; auto; eapply positive_ok; eauto.
    + intros x y hx hy h. apply negate_ok in hx, hy. pose proof (positive_ok _ _ e2 hx). pose proof (positive_ok _ _ e2 hy).
      cbn [apply]. assert (q2 : / - x <= / - y) by (apply Rinv_le_contravar; lra).
      rewrite !Rinv_opp in q2. lra.
    + intros x y s hx hy h. apply negate_ok in hx, hy. pose proof (positive_ok _ _ e2 hx). pose proof (positive_ok _ _ e2 hy).
      cbn [apply]. pose proof (inv_mix (- x) (- y) s H H0 h) as q2.
      replace (s * - x + (1 - s) * - y) with (- (s * x + (1 - s) * y)) in q2 by ring.
      rewrite !Rinv_opp in q2. lra.
  - repeat split; cbn [apply rises falls convex concave]; intros q; try discriminate.
    + intros x y _ _ h. apply ln_mono; [pose proof (exp_pos x); lra|]. pose proof (exp_mono _ _ h). lra.
    + intros x y s _ _ h. now apply softplus_mix.
  - destruct (nonneg i) eqn:e; [|apply good_unknown].
    apply good_line with (a := 1) (b := 0); cbn [apply rises falls convex concave rising_line]; intros x; try lra; try discriminate.
    intros hx. rewrite Rabs_right; [lra|]. apply Rle_ge. eapply nonneg_ok; eauto.
Qed.
Lemma one : val (1%Z, 1%positive) = 1. Proof. unfold val. cbn [fst snd]. field. Qed.
Lemma expand_ok f i x : In_ i x -> run (expand f i) x = apply f x.
Proof.
  intros hx. destruct f; try reflexivity.
  - unfold run; cbn [expand fold_left apply]. rewrite one. unfold Rdiv. ring.
  - unfold run; cbn [expand fold_left apply]. rewrite one.
    replace (val (-1, 1%positive)%Z) with (-1) by (unfold val; cbn [fst snd]; field).
    replace (x * -1) with (- x) by ring. f_equal. ring.
  - cbn [expand]. destruct (positive_ i) eqn:e; [|reflexivity]. unfold run; cbn.
    pose proof (positive_ok _ _ e hx). destruct (Rlt_dec 0 x); [|lra]. unfold Rpower. f_equal. ring.
Qed.
Lemma expand2_ok f g i x six : In_ i x -> expand2 f g i = Some six -> run six x = run [f; g] x.
Proof.
  intros hx. destruct f; try discriminate. destruct g; try discriminate. cbn [expand2].
  destruct (_ && _)%bool eqn:e; [|discriminate]. bools. intros q; inv_some; subst six.
  pose proof (positive_ok _ _ H hx) as px. pose proof (val_sign_pos _ H0) as pc.
  unfold run; cbn [fold_left apply]. rewrite one.
  replace (val (-1, 1%positive)%Z) with (-1) by (unfold val; cbn [fst snd]; field).
  replace (val (- fst c, snd c)%Z) with (- val c).
  2:{ unfold val. cbn [fst snd]. rewrite opp_IZR. unfold Rdiv. ring. }
  set (v := val c) in *.
  replace (/ (x + v) * - v + 1) with (x / (x + v)) by (field; lra).
  replace (1 + v / x) with (/ (x / (x + v))) by (field; lra).
  rewrite ln_Rinv; [lra|]. apply Rdiv_lt_0_compat; lra.
Qed.
Lemma along_ok c : forall i s g i0, good g i0 s -> (forall x, In_ i0 x -> In_ i (g x)) ->
  good (fun x => run c (g x)) i0 (along isqrt fine rounds c i s).
Proof.
  induction c as [|f c IH]; intros i s g i0 hg hm; cbn [along]; [exact hg|].
  destruct (image1 isqrt fine rounds f i) as [j|] eqn:e; [|apply good_unknown].
  apply (IH j (compose (shape1 isqrt fine rounds f i) s) (fun x => apply f (g x)) i0).
  - apply good_compose with (j := i); auto. apply shape1_ok.
  - intros x hx. eapply image1_ok; [|exact e]. auto.
Qed.
Lemma identity_ok i : good (fun x => x) i rising_line.
Proof. apply good_line with (a := 1) (b := 0); cbn; intros; try lra; discriminate. Qed.

Lemma shape_of_ok n : forall c, (length c <= n)%nat -> forall i s g i0, good g i0 s -> (forall x, In_ i0 x -> In_ i (g x)) ->
  good (fun x => run c (g x)) i0 (shape_of isqrt fine rounds c i s).
Proof.
  induction n; intros c hc i s g i0 hg hm.
  - destruct c; [exact hg|cbn in hc; lia].
  - destruct c as [|f c]; [exact hg|].
    assert (ALONE : good (fun x => run (f :: c) (g x)) i0
      (match image isqrt fine rounds [f] i with
       | Some j => shape_of isqrt fine rounds c j (compose (along isqrt fine rounds (expand f i) i rising_line) s)
       | None => unknown end)).
    { destruct (image isqrt fine rounds [f] i) as [j|] eqn:e; [|apply good_unknown].
      apply (IHn c ltac:(cbn in hc; lia) j (compose (along isqrt fine rounds (expand f i) i rising_line) s) (fun x => apply f (g x)) i0).
      - apply good_compose with (j := i); auto.
        apply good_ext with (f := fun x => run (expand f i) x); [intros; now apply expand_ok|].
        apply (along_ok _ i rising_line (fun x => x) i); auto using identity_ok.
      - intros x hx. apply (image_ok isqrt fine rounds [f] i j (g x)); auto. }
    cbn [shape_of]. destruct c as [|h c]; [exact ALONE|].
    destruct (expand2 f h i) as [six|] eqn:e2; [|exact ALONE].
    destruct (image isqrt fine rounds [f; h] i) as [j|] eqn:e; [|apply good_unknown].
    apply (IHn c ltac:(cbn in hc; lia) j (compose (along isqrt fine rounds six i rising_line) s) (fun x => run [f; h] (g x)) i0).
    + apply good_compose with (j := i) (g := fun x => run [f; h] x); auto.
      apply good_ext with (f := fun x => run six x); [intros; now apply expand2_ok with (i := i)|].
      apply (along_ok _ i rising_line (fun x => x) i); auto using identity_ok.
    + intros x hx. apply (image_ok isqrt fine rounds [f; h] i j (g x)); auto.
Qed.
Definition shape_on (c : chain) (i : itv) : shape := shape_of isqrt fine rounds c i rising_line.
Theorem shape_on_ok c i : good (run c) i (shape_on c i).
Proof. apply (shape_of_ok (length c) c (le_n _) i rising_line (fun x => x) i); auto using identity_ok. Qed.

(** Lines *)
Lemma cup_between f i a b x : cup f i -> In_ i a -> In_ i b -> a <= x <= b -> a < b ->
  (b - a) * f x <= (b - x) * f a + (x - a) * f b.
Proof.
  intros c ha hb [h1 h2] h. set (s := (b - x) / (b - a)).
  assert (hs : 0 <= s <= 1).
  { unfold s. split; [apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]|].
    apply Rmult_le_reg_r with (b - a); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
  pose proof (c a b s ha hb hs) as q.
  replace (s * a + (1 - s) * b) with x in q by (unfold s; field; lra).
  apply Rle_trans with ((b - a) * (s * f a + (1 - s) * f b)); [apply Rmult_le_compat_l; lra|].
  right. unfold s. field. lra.
Qed.
(** above at both ends, above in between *)
Lemma chord f i a b al be x : cup f i -> In_ i a -> In_ i b -> a <= x <= b ->
  f a <= al * a + be -> f b <= al * b + be -> f x <= al * x + be.
Proof.
  intros c ha hb h la lb. destruct (Req_dec a b) as [->|hne].
  - replace x with b by lra. lra.
  - pose proof (cup_between f i a b x c ha hb h ltac:(lra)) as q.
    apply Rmult_le_reg_l with (b - a); [lra|]. nra.
Qed.
(** beyond two points f is above the line through them *)
Lemma beyond_right f i a b x : cup f i -> In_ i a -> In_ i x -> a < b <= x ->
  (b - a) * f x >= (b - a) * f b + (x - b) * (f b - f a).
Proof.
  intros c ha hx h. destruct (Req_dec b x) as [->|]; [lra|].
  pose proof (cup_between f i a x b c ha hx ltac:(lra) ltac:(lra)). nra.
Qed.
Lemma beyond_left f i a b x : cup f i -> In_ i b -> In_ i x -> x <= a < b ->
  (b - a) * f x >= (b - a) * f a - (a - x) * (f b - f a).
Proof.
  intros c hb hx h. destruct (Req_dec a x) as [->|]; [lra|].
  pose proof (cup_between f i x b a c hx hb ltac:(lra) ltac:(lra)). nra.
Qed.
(** A falling line that is below at two points, and as steep as the secant up to what there is room
    for, is below a convex falling function: beyond the points by convexity, between because f is
    at least f b there and the line at most its value at a. *)
Lemma support f i lo a b al be x : cup f i -> down f i -> In_ i lo -> In_ i a -> In_ i b -> In_ i x ->
  a < b -> lo <= x -> lo <= a -> al <= 0 ->
  al * b + be <= f b -> al * a + be <= f b ->
  al * (b - a) <= f b - f a ->
  (a - lo) * (f b - f a - al * (b - a)) <= (b - a) * (f a - (al * a + be)) ->
  al * x + be <= f x.
Proof.
  intros c d hlo ha hb hx hab hl hla hal l1 l2 l3 l4.
  destruct (Rle_lt_dec b x) as [h|h].
  - pose proof (beyond_right f i a b x c ha hx ltac:(lra)) as q.
    apply Rmult_le_reg_l with (b - a); [lra|]. nra.
  - destruct (Rle_lt_dec x a) as [h'|h'].
    + pose proof (beyond_left f i a b x c hb hx ltac:(lra)) as q.
      apply Rmult_le_reg_l with (b - a); [lra|].
      assert ((a - x) * (f b - f a - al * (b - a)) <= (a - lo) * (f b - f a - al * (b - a))) by (apply Rmult_le_compat_r; lra).
      nra.
    + pose proof (d x b hx hb ltac:(lra)). nra.
Qed.
End Sound.
