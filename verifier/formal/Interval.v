(** Similarities over intervals of numbers, in integers over [fine].

    [image c i] contains [run c x] for every x in i: each function of a chain maps an interval to an
    interval, and a number goes through all of them alone. Where a function is not defined on all
    of the interval, or where its rule is not covered, there is no image. *)
From Coq Require Import Reals ZArith List Lra Lia Bool.
From Protoproof Require Import Spec Base.
Import ListNotations.
Local Open Scope Z_scope.

(** both ends over [fine]; [None] is infinite *)
Definition itv := (option Z * option Z)%type.

Section Images.
Variable isqrt : Z -> Z.            (* not trusted: its results are tested *)
Variable fine : positive.
Variable rounds : nat.              (* halvings before exp and log are replaced by lines *)
Let F := Zpos fine.

Definition root_down (n : Z) : option Z :=   (* sqrt of n over F *)
  let s := isqrt (n * F) in if (0 <=? s) && (s * s <=? n * F) then Some s else None.
Definition root_up (n : Z) : option Z :=
  let s := (let t := isqrt (n * F) in if t * t =? n * F then t else t + 1) in if (0 <=? s) && (n * F <=? s * s) then Some s else None.
Fixpoint ln_down (k : nat) (x : Z) : option Z :=
  match k with
  | O => if 0 <? x then Some (fl (F * (x - F)) x) else None
  | S k' => match root_down x with
            | Some s => if 0 <? s then option_map (Z.mul 2) (ln_down k' s) else None
            | None => None end
  end.
Fixpoint ln_up (k : nat) (x : Z) : option Z :=
  match k with
  | O => Some (x - F)
  | S k' => match root_up x with
            | Some s => if 0 <? s then option_map (Z.mul 2) (ln_up k' s) else None
            | None => None end
  end.
(** numbers so large that their exponentials would not be numbers to work with *)
Definition small (x : Z) : bool := (Z.abs x <? F * 4096).
Fixpoint powers_down (k : nat) (y : Z) : Z :=
  match k with O => y | S k' => let u := powers_down k' y in fl (u * u) F end.
Fixpoint powers_up (k : nat) (y : Z) : Z :=
  match k with O => y | S k' => let u := powers_up k' y in ce (u * u) F end.
Definition halves (k : nat) : Z := 2 ^ Z.of_nat k.
Definition exp_down (x : Z) : Z :=
  if x <? - (F * 4096) then 0 else
  let y := F + fl x (halves rounds) in if 0 <? y then powers_down rounds y else 0.
Definition exp_up (x : Z) : option Z :=
  let y := F - ce x (halves rounds) in
  if small x && (0 <? y) then Some (powers_up rounds (ce (F * F) y)) else None.

Definition omap2 (f : Z -> Z -> Z) (x y : option Z) : option Z :=
  match x, y with Some a, Some b => Some (f a b) | _, _ => None end.
Definition negate (i : itv) : itv := (option_map Z.opp (snd i), option_map Z.opp (fst i)).
Definition scaled (c : ratio) (i : itv) : itv :=
  let n := fst c in let d := Zpos (snd c) in
  let down := option_map (fun a => fl (a * n) d) in let up := option_map (fun a => ce (a * n) d) in
  if 0 <=? n then (down (fst i), up (snd i)) else (down (snd i), up (fst i)).
Definition shifted (c : ratio) (i : itv) : itv :=
  let n := fst c * F in let d := Zpos (snd c) in
  (option_map (fun a => a + fl n d) (fst i), option_map (fun a => a + ce n d) (snd i)).
(** of positive numbers *)
Definition inverse (i : itv) : option itv :=
  match fst i with
  | Some a => if 0 <? a then
      Some (Some (match snd i with Some b => if 0 <? b then fl (F * F) b else 0 | None => 0 end),
            Some (ce (F * F) a)) else None
  | None => None
  end.
Definition reciprocal (i : itv) : option itv :=
  match inverse i with
  | Some r => Some r
  | None => option_map negate (inverse (negate i))
  end.
Definition log (i : itv) : option itv :=
  match fst i with
  | Some a =>
      if 0 <? a then
        match ln_down rounds a with
        | Some lo => match snd i with
                     | None => Some (Some lo, None)
                     | Some b => if 0 <? b then
                         match ln_up rounds b with Some hi => Some (Some lo, Some hi) | None => None end
                         else None
                     end
        | None => None
        end
      else None
  | None => None
  end.
Definition exponential (i : itv) : itv :=
  (Some (match fst i with Some a => exp_down a | None => 0 end),
   match snd i with Some b => exp_up b | None => None end).
Definition nonneg (i : itv) : bool := match fst i with Some a => 0 <=? a | None => false end.
Definition root (i : itv) : option itv :=
  match fst i with
  | Some a =>
      if 0 <=? a then
        match root_down a with
        | Some lo => match snd i with
                     | None => Some (Some lo, None)
                     | Some b => match root_up b with Some hi => Some (Some lo, Some hi) | None => None end
                     end
        | None => None
        end
      else None
  | None => None
  end.
Definition squared (i : itv) : itv :=
  let square := fun (round : Z -> Z -> Z) a => round (a * a) F in
  if nonneg i then (option_map (square fl) (fst i), option_map (square ce) (snd i))
  else if nonneg (negate i) then (option_map (square fl) (snd i), option_map (square ce) (fst i))
  else (Some 0, omap2 Z.max (option_map (square ce) (fst i)) (option_map (square ce) (snd i))).
(** 1 / (1 + exp (-t)) *)
Definition logistic (i : itv) : option itv :=
  inverse (shifted (1, 1%positive) (exponential (negate i))).

Definition plus (i j : itv) : itv := (omap2 Z.add (fst i) (fst j), omap2 Z.add (snd i) (snd j)).
(** times a positive number between lo and hi *)
Definition times_positive (i : itv) (lo hi : Z) : itv :=
  (option_map (fun a => fl (a * (if 0 <=? a then lo else hi)) F) (fst i),
   option_map (fun b => ce (b * (if 0 <=? b then hi else lo)) F) (snd i)).
(** times a number of one sign *)
Definition times (i r : itv) : option itv :=
  match r with
  | (Some lo, Some hi) =>
      if 0 <? lo then Some (times_positive i lo hi)
      else if hi <? 0 then Some (negate (times_positive i (- hi) (- lo))) else None
  | _ => None
  end.
Fixpoint number_itv (n : number) : option itv :=
  match n with
  | Rational c => Some (Some (fl (fst c * F) (Zpos (snd c))), Some (ce (fst c * F) (Zpos (snd c))))
  | NSum a b => match number_itv a, number_itv b with Some i, Some j => Some (plus i j) | _, _ => None end
  | NProduct a b => match number_itv a, number_itv b with Some i, Some j => times i j | _, _ => None end
  | NQuotient a b =>
      match number_itv a, number_itv b with
      | Some i, Some j => match reciprocal j with Some k => times i k | None => None end
      | _, _ => None
      end
  | NRoot a => match number_itv a with Some i => root i | None => None end
  | NExp a => match number_itv a with Some i => Some (exponential i) | None => None end
  | NLog a => match number_itv a with Some i => log i | None => None end
  end.

Definition image1 (f : prim) (i : itv) : option itv :=
  match f with
  | AddNumber c => match number_itv c with Some j => Some (plus i j) | None => None end
  | MulNumber c => match number_itv c with Some j => times i j | None => None end
  | DivRootNumber c =>
      match number_itv c with
      | Some j => match root j with
                  | Some r => match inverse r with Some k => times i k | None => None end
                  | None => None end
      | None => None
      end
  | Add c => Some (shifted c i)
  | Mul c => Some (scaled c i)
  | Max c => let n := fst c * F in let d := Zpos (snd c) in
      Some (Some (match fst i with Some a => Z.max a (fl n d) | None => fl n d end),
            option_map (fun b => Z.max b (ce n d)) (snd i))
  | Min c => let n := fst c * F in let d := Zpos (snd c) in
      Some (option_map (fun a => Z.min a (fl n d)) (fst i),
            Some (match snd i with Some b => Z.min b (ce n d) | None => ce n d end))
  | Sqrt => root i
  | Square => Some (squared i)
  | Exp => Some (exponential i)
  | Log => log i
  | Reciprocal => reciprocal i
  | OnePlus c => match reciprocal i with
                 | Some r => Some (shifted (1, 1%positive) (scaled c r)) | None => None end
  | Sigmoid => logistic i
  | Softplus => log (shifted (1, 1%positive) (exponential i))
  | Tanh => match logistic (scaled (2, 1%positive) i) with
            | Some r => Some (shifted (-1, 1%positive) (scaled (2, 1%positive) r)) | None => None end
  | Abs => if nonneg i then Some i else
           match fst i with
           | Some a => Some (Some 0, option_map (Z.max (Z.abs a)) (snd i))
           | None => Some (Some 0, None)
           end
  | ZeroBelow c =>
      let n := fst c * F in let d := Zpos (snd c) in
      if (match snd i with Some b => b <? fl n d | None => false end) then Some (Some 0, Some 0) else
      if (match fst i with Some a => ce n d <=? a | None => false end) then Some i else
      Some (Some (Z.min 0 (fl n d)), option_map (Z.max 0) (snd i))
  | Power c =>
      match log i with
      | Some r => Some (exponential (scaled c r))
      | None =>
          if (0 <? fst c) && nonneg i then
            match snd i with
            | None => Some (Some 0, None)
            | Some b => if 0 <? b then
                match log (Some b, Some b) with
                | Some r => Some (Some 0, snd (exponential (scaled c r))) | None => None end
                else Some (Some 0, Some 0)
            end
          else None
      end
  | DivRoot c =>
      let n := fst c in let d := Zpos (snd c) in
      if 0 <? n then
        match root (Some (fl (n * F) d), Some (ce (n * F) d)) with
        | Some r =>
            match inverse r with
            | Some (Some lo, Some hi) => Some (times_positive i lo hi)
            | _ => None
            end
        | None => None
        end
      else None
  end.
Fixpoint image (c : chain) (i : itv) : option itv :=
  match c with
  | [] => Some i
  | f :: r => match image1 f i with Some j => image r j | None => None end
  end.
End Images.

(** ** Soundness *)
Local Open Scope R_scope.
Section Sound.
Variable isqrt : Z -> Z.
Variable fine : positive.
Variable rounds : nat.
Let F := IZR (Zpos fine).
Let Fp : 0 < F := posR fine.

(** [scl] avoids divisions: a <= F x <= b *)
Definition above (a : option Z) (x : R) : Prop := match a with Some n => IZR n <= F * x | None => True end.
Definition below (b : option Z) (x : R) : Prop := match b with Some n => F * x <= IZR n | None => True end.
Definition inI (i : itv) (x : R) : Prop := above (fst i) x /\ below (snd i) x.

Lemma F_val (c : ratio) : F * val c = IZR (fst c * Zpos fine) / IZR (Zpos (snd c)).
Proof. unfold val. rewrite mult_IZR. fold F. pose proof (posR (snd c)). field. lra. Qed.
Lemma fl_val c : IZR (fl (fst c * Zpos fine) (Zpos (snd c))) <= F * val c.
Proof. rewrite F_val. apply fl_div. lia. Qed.
Lemma ce_val c : F * val c <= IZR (ce (fst c * Zpos fine) (Zpos (snd c))).
Proof. rewrite F_val. apply ce_div. lia. Qed.

Lemma negate_ok i x : inI i x -> inI (negate i) (- x).
Proof.
  destruct i as [[a|] [b|]]; intros [h1 h2]; split; cbn in *; try rewrite opp_IZR; try exact I; lra.
Qed.
Lemma negate_inv i x : inI (negate i) x -> inI i (- x).
Proof.
  destruct i as [[a|] [b|]]; intros [h1 h2]; split; cbn in *; try rewrite opp_IZR in *; try exact I; lra.
Qed.
Lemma shifted_ok c i x : inI i x -> inI (shifted fine c i) (x + val c).
Proof.
  pose proof (fl_val c). pose proof (ce_val c).
  destruct i as [[a|] [b|]]; intros [h1 h2]; split; cbn in *; try rewrite plus_IZR; try exact I; lra.
Qed.
Lemma scaled_ok c i x : inI i x -> inI (scaled c i) (x * val c).
Proof.
  intros [h1 h2]. unfold scaled, val. set (n := fst c). set (d := snd c). pose proof (posR d) as hd.
  assert (DN : forall a, IZR a * IZR n <= F * x * IZR n -> IZR (fl (a * n) (Zpos d)) <= F * (x * (IZR n / IZR (Zpos d)))).
  { intros a ha. apply Rmult_le_reg_r with (IZR (Zpos d)); auto.
    replace (F * (x * (IZR n / IZR (Zpos d))) * IZR (Zpos d)) with (F * x * IZR n) by (field; lra).
    eapply Rle_trans; [apply fl_le; lia|]. now rewrite mult_IZR. }
  assert (UP : forall a, F * x * IZR n <= IZR a * IZR n -> F * (x * (IZR n / IZR (Zpos d))) <= IZR (ce (a * n) (Zpos d))).
  { intros a ha. apply Rmult_le_reg_r with (IZR (Zpos d)); auto.
    replace (F * (x * (IZR n / IZR (Zpos d))) * IZR (Zpos d)) with (F * x * IZR n) by (field; lra).
    eapply Rle_trans; [|apply ce_ge; lia]. now rewrite mult_IZR. }
  destruct (0 <=? n)%Z eqn:e; bools; [apply IZR_le in e|apply IZR_lt in e];
    destruct i as [[a|] [b|]]; split; cbn in *; try exact I; (apply DN || apply UP); nra.
Qed.
Lemma inverse_ok i j x : inI i x -> inverse fine i = Some j -> 0 < x /\ inI j (/ x).
Proof.
  intros [h1 h2]. unfold inverse. destruct (fst i) as [a|]; [|discriminate]. cbn in h1.
  destruct (0 <? a)%Z eqn:e; [|discriminate]. intros h; inv_some; subst j. bools.
  pose proof (IZR_lt _ _ e) as ha.
  assert (hx : 0 < x). { apply Rmult_lt_reg_l with F; auto. lra. }
  split; auto. split; cbn.
  - destruct (snd i) as [b|]; [|apply Rmult_le_pos; [lra|left; now apply Rinv_0_lt_compat]].
    destruct (0 <? b)%Z eqn:eb; [|apply Rmult_le_pos; [lra|left; now apply Rinv_0_lt_compat]].
    bools. cbn in h2. apply IZR_lt in eb as eb'. pose proof (fl_le (Zpos fine * Zpos fine) b eb) as h.
    rewrite mult_IZR in h. fold F in h. set (v := IZR (fl _ _)) in *.
    apply Rmult_le_reg_r with (F * x); [nra|]. replace (F * / x * (F * x)) with (F * F) by (field; lra).
    destruct (Rle_dec 0 v); [|nra]. eapply Rle_trans; [|exact h]. nra.
  - pose proof (ce_ge (Zpos fine * Zpos fine) a e) as h. rewrite mult_IZR in h. fold F in h. set (v := IZR (ce _ _)) in *.
    apply Rmult_le_reg_r with (F * x); [nra|]. replace (F * / x * (F * x)) with (F * F) by (field; lra).
    assert (0 < v) by nra. nra.
Qed.
Lemma reciprocal_ok i j x : inI i x -> reciprocal fine i = Some j -> x <> 0 /\ inI j (/ x).
Proof.
  intros hi. unfold reciprocal. destruct (inverse fine i) as [r|] eqn:e.
  - intros h; inv_some; subst. destruct (inverse_ok _ _ _ hi e). split; auto. lra.
  - destruct (inverse fine (negate i)) as [r|] eqn:e2; [|discriminate]. cbn. intros h; inv_some; subst.
    destruct (inverse_ok _ _ _ (negate_ok _ _ hi) e2) as [h1 h2]. split; [lra|].
    replace (/ x) with (- (/ - x)) by (field; lra). now apply negate_ok.
Qed.

(** Square roots *)
Lemma root_down_ok n s : root_down isqrt fine n = Some s -> (0 <= s)%Z /\ IZR s * IZR s <= IZR n * F.
Proof.
  unfold root_down. destruct (_ && _)%bool eqn:e; [|discriminate]. intros h; inv_some; subst. bools. split; auto.
  rewrite <- mult_IZR. unfold F. rewrite <- mult_IZR. now apply IZR_le.
Qed.
Lemma root_up_ok n s : root_up isqrt fine n = Some s -> (0 <= s)%Z /\ IZR n * F <= IZR s * IZR s.
Proof.
  unfold root_up. destruct (_ && _)%bool eqn:e; [|discriminate]. intros h; inv_some; subst. bools. split; auto.
  rewrite <- mult_IZR. unfold F. rewrite <- mult_IZR. now apply IZR_le.
Qed.
Lemma le_of_squares a b : 0 <= b -> a * a <= b * b -> a <= b.
Proof. intros. destruct (Rle_lt_dec a b); auto. nra. Qed.
Lemma root_ok i j x : inI i x -> root isqrt fine i = Some j -> 0 <= x /\ inI j (sqrt x).
Proof.
  intros [h1 h2]. unfold root. destruct (fst i) as [a|]; [|discriminate]. cbn in h1.
  destruct (0 <=? a)%Z eqn:e; [|discriminate]. bools. apply IZR_le in e as ha.
  assert (hx : 0 <= x). { apply Rmult_le_reg_l with F; auto. lra. }
  destruct (root_down isqrt fine a) as [lo|] eqn:el; [|discriminate]. apply root_down_ok in el. destruct el as [el1 el2].
  assert (L : IZR lo <= F * sqrt x).
  { apply le_of_squares; [apply Rmult_le_pos; [lra|apply sqrt_pos]|].
    replace (F * sqrt x * (F * sqrt x)) with (F * F * (sqrt x * sqrt x)) by ring. rewrite sqrt_def by auto. nra. }
  destruct (snd i) as [b|]; cbn in h2.
  - destruct (root_up isqrt fine b) as [hi|] eqn:eh; [|discriminate]. apply root_up_ok in eh. destruct eh as [eh1 eh2].
    intros h; inv_some; subst. split; auto. split; cbn; auto.
    apply le_of_squares; [now apply IZR_le|].
    replace (F * sqrt x * (F * sqrt x)) with (F * F * (sqrt x * sqrt x)) by ring. rewrite sqrt_def by auto. nra.
  - intros h; inv_some; subst. split; auto. split; cbn; auto.
Qed.

(** Logarithm and exponential *)
Lemma ln_mono x y : 0 < x -> x <= y -> ln x <= ln y.
Proof. intros hx [h| -> ]; [left; apply ln_increasing; auto|lra]. Qed.
Lemma ln_le_line x : 0 < x -> ln x <= x - 1.
Proof. intros h. pose proof (exp_ineq1_le (ln x)) as e. rewrite exp_ln in e; lra. Qed.
Lemma ln_ge_line x : 0 < x -> 1 - / x <= ln x.
Proof.
  intros h. assert (hi : 0 < / x) by (apply Rinv_0_lt_compat; auto).
  pose proof (ln_le_line (/ x) hi) as e. rewrite ln_Rinv in e; auto. lra.
Qed.
Lemma ln_down_ok k : forall x y, (0 < x)%Z -> ln_down isqrt fine k x = Some y -> IZR y <= F * ln (IZR x / F).
Proof.
  induction k; intros x y hx h; cbn [ln_down] in h; pose proof (IZR_lt _ _ hx) as hx'.
  - destruct (0 <? x)%Z; [|discriminate]. inv_some. subst y.
    eapply Rle_trans; [apply fl_div; auto|]. rewrite mult_IZR, minus_IZR. fold F.
    pose proof (ln_ge_line (IZR x / F) ltac:(apply Rdiv_lt_0_compat; auto)) as E.
    replace (F * (IZR x - F) / IZR x) with (F * (1 - / (IZR x / F))) by (field; lra).
    apply Rmult_le_compat_l; lra.
  - destruct (root_down isqrt fine x) as [s|] eqn:e; [|discriminate]. apply root_down_ok in e. destruct e as [_ e].
    destruct (0 <? s)%Z eqn:es; [|discriminate]. bools.
    destruct (ln_down isqrt fine k s) as [t|] eqn:et; [|discriminate]. cbn [option_map] in h. inv_some. subst y.
    specialize (IHk _ _ es et). apply IZR_lt in es.
    assert (2 * ln (IZR s / F) <= ln (IZR x / F)).
    { replace (2 * ln (IZR s / F)) with (ln (IZR s / F * (IZR s / F))).
      2:{ rewrite ln_mult by (apply Rdiv_lt_0_compat; auto). lra. }
      apply ln_mono. { apply Rmult_lt_0_compat; apply Rdiv_lt_0_compat; auto. }
      apply Rmult_le_reg_r with (F * F); [nra|].
      replace (IZR s / F * (IZR s / F) * (F * F)) with (IZR s * IZR s) by (field; lra).
      replace (IZR x / F * (F * F)) with (IZR x * F) by (field; lra). auto. }
    rewrite mult_IZR. nra.
Qed.
Lemma ln_up_ok k : forall x y, (0 < x)%Z -> ln_up isqrt fine k x = Some y -> F * ln (IZR x / F) <= IZR y.
Proof.
  induction k; intros x y hx h; cbn [ln_up] in h; pose proof (IZR_lt _ _ hx) as hx'.
  - inv_some. subst y. rewrite minus_IZR. fold F.
    pose proof (ln_le_line (IZR x / F) ltac:(apply Rdiv_lt_0_compat; auto)) as E.
    replace (IZR x - F) with (F * (IZR x / F - 1)) by (field; lra). apply Rmult_le_compat_l; lra.
  - destruct (root_up isqrt fine x) as [s|] eqn:e; [|discriminate]. apply root_up_ok in e. destruct e as [_ e].
    destruct (0 <? s)%Z eqn:es; [|discriminate]. bools.
    destruct (ln_up isqrt fine k s) as [t|] eqn:et; [|discriminate]. cbn [option_map] in h. inv_some. subst y.
    specialize (IHk _ _ es et). apply IZR_lt in es.
    assert (ln (IZR x / F) <= 2 * ln (IZR s / F)).
    { replace (2 * ln (IZR s / F)) with (ln (IZR s / F * (IZR s / F))).
      2:{ rewrite ln_mult by (apply Rdiv_lt_0_compat; auto). lra. }
      apply ln_mono. { apply Rdiv_lt_0_compat; auto. }
      apply Rmult_le_reg_r with (F * F); [nra|].
      replace (IZR s / F * (IZR s / F) * (F * F)) with (IZR s * IZR s) by (field; lra).
      replace (IZR x / F * (F * F)) with (IZR x * F) by (field; lra). auto. }
    rewrite mult_IZR. nra.
Qed.
Lemma log_ok i j x : inI i x -> log isqrt fine rounds i = Some j -> 0 < x /\ inI j (ln x).
Proof.
  intros [h1 h2]. unfold log. destruct (fst i) as [a|]; [|discriminate]. cbn in h1.
  destruct (0 <? a)%Z eqn:e; [|discriminate]. bools. apply IZR_lt in e as ha.
  assert (hx : 0 < x). { apply Rmult_lt_reg_l with F; auto. lra. }
  destruct (ln_down isqrt fine rounds a) as [lo|] eqn:el; [|discriminate]. apply ln_down_ok in el; auto.
  assert (L : IZR lo <= F * ln x).
  { eapply Rle_trans; [exact el|]. apply Rmult_le_compat_l; [lra|]. apply ln_mono; [apply Rdiv_lt_0_compat; auto|].
    apply Rmult_le_reg_r with F; auto. replace (IZR a / F * F) with (IZR a) by (field; lra). lra. }
  destruct (snd i) as [b|]; cbn in h2.
  - destruct (0 <? b)%Z eqn:eb; [|discriminate]. bools.
    destruct (ln_up isqrt fine rounds b) as [hi|] eqn:eh; [|discriminate]. apply ln_up_ok in eh; auto.
    intros h; inv_some; subst. split; auto. split; cbn; auto.
    eapply Rle_trans; [|exact eh]. apply Rmult_le_compat_l; [lra|]. apply ln_mono; auto.
    apply Rmult_le_reg_r with F; auto. replace (IZR b / F * F) with (IZR b) by (field; lra). lra.
  - intros h; inv_some; subst. split; auto. split; cbn; auto.
Qed.
Lemma exp_mono x y : x <= y -> exp x <= exp y.
Proof. intros [h| -> ]; [left; now apply exp_increasing|lra]. Qed.
Lemma halves_pos k : (0 < halves k)%Z. Proof. unfold halves. apply Z.pow_pos_nonneg; lia. Qed.
Lemma halves_S k : IZR (halves (S k)) = 2 * IZR (halves k).
Proof. unfold halves. rewrite Nat2Z.inj_succ, Z.pow_succ_r by lia. now rewrite mult_IZR. Qed.
Lemma powers_down_ok k : forall y u, (0 <= y)%Z -> IZR y <= F * exp u ->
  (0 <= powers_down fine k y)%Z /\ IZR (powers_down fine k y) <= F * exp (IZR (halves k) * u).
Proof.
  induction k; intros y u hy h; cbn [powers_down].
  - split; auto. change (halves 0) with 1%Z. now rewrite Rmult_1_l.
  - destruct (IHk _ _ hy h) as [g1 g2]. set (w := powers_down fine k y) in *. split.
    + unfold fl. apply Z.div_pos; nia.
    + rewrite halves_S. replace (2 * IZR (halves k) * u) with (IZR (halves k) * u + IZR (halves k) * u) by ring.
      rewrite exp_plus. set (e := exp _) in *. pose proof (fl_le (w * w) (Zpos fine) ltac:(lia)) as q. rewrite mult_IZR in q. fold F in q.
      apply IZR_le in g1. apply Rmult_le_reg_r with F; auto. nra.
Qed.
Lemma powers_up_ok k : forall y u, F * exp u <= IZR y ->
  F * exp (IZR (halves k) * u) <= IZR (powers_up fine k y).
Proof.
  induction k; intros y u h; cbn [powers_up].
  - change (halves 0) with 1%Z. now rewrite Rmult_1_l.
  - specialize (IHk _ _ h). set (w := powers_up fine k y) in *.
    rewrite halves_S. replace (2 * IZR (halves k) * u) with (IZR (halves k) * u + IZR (halves k) * u) by ring.
    rewrite exp_plus. pose proof (exp_pos (IZR (halves k) * u)) as ep. set (e := exp _) in *.
    pose proof (ce_ge (w * w) (Zpos fine) ltac:(lia)) as q. rewrite mult_IZR in q. fold F in q.
    apply Rmult_le_reg_r with F; auto. assert (0 < F * e) by nra. nra.
Qed.
Lemma exp_down_ok a x : IZR a <= F * x -> IZR (exp_down fine rounds a) <= F * exp x.
Proof.
  intros h. assert (P : 0 <= F * exp x) by (apply Rmult_le_pos; [lra|left; apply exp_pos]).
  unfold exp_down. destruct (_ <? _)%Z; [exact P|]. set (y := (_ + _)%Z). destruct (0 <? y)%Z eqn:e; [|exact P]. bools.
  pose proof (halves_pos rounds) as hp. pose proof (IZR_lt _ _ hp) as hp'. set (m := IZR (halves rounds)) in *.
  assert (Y : IZR y <= F * exp (x / m)).
  { unfold y. rewrite plus_IZR. fold F. pose proof (fl_div a _ hp) as q. fold m in q.
    pose proof (exp_ineq1_le (x / m)) as q2. 
    assert (IZR a / m <= F * (x / m)). { replace (F * (x / m)) with (F * x / m) by (field; lra). unfold Rdiv. apply Rmult_le_compat_r; auto. left. now apply Rinv_0_lt_compat. }
    apply Rle_trans with (F * (1 + x / m)); [lra|]. apply Rmult_le_compat_l; lra. }
  destruct (powers_down_ok rounds y (x / m) ltac:(lia) Y) as [_ q].
  fold m in q. replace (m * (x / m)) with x in q by (field; lra). exact q.
Qed.
Lemma exp_up_ok b x y : F * x <= IZR b -> exp_up fine rounds b = Some y -> F * exp x <= IZR y.
Proof.
  intros h. unfold exp_up. set (w := (_ - _)%Z). destruct (_ && _)%bool eqn:e; [|discriminate]. bools.
  intros q; inv_some; subst y. apply IZR_lt in H0 as hw.
  pose proof (halves_pos rounds) as hp. pose proof (IZR_lt _ _ hp) as hp'. set (m := IZR (halves rounds)) in *.
  replace x with (m * (x / m)) by (field; lra). apply powers_up_ok.
  pose proof (ce_ge (Zpos fine * Zpos fine) w H0) as q. rewrite mult_IZR in q. fold F in q. set (v := IZR (ce _ w)) in *.
  assert (W : IZR w <= F * (1 - x / m)).
  { unfold w. rewrite minus_IZR. fold F. pose proof (ce_div b _ hp) as q2. fold m in q2.
    assert (F * (x / m) <= IZR b / m). { replace (F * (x / m)) with (F * x / m) by (field; lra). unfold Rdiv. apply Rmult_le_compat_r; auto. left. now apply Rinv_0_lt_compat. }
    lra. }
  pose proof (exp_ineq1_le (- (x / m))) as q3. pose proof (exp_pos (x / m)) as ep.
  assert (q4 : exp (x / m) * exp (- (x / m)) = 1) by (rewrite <- exp_plus, Rplus_opp_r; apply exp_0).
  set (e1 := exp (x / m)) in *. set (e2 := exp (- (x / m))) in *. set (t := x / m) in *.
  assert (e1 * (1 - t) <= 1) by nra.
  assert (F * e1 * IZR w <= F * F). { apply Rle_trans with (F * e1 * (F * (1 - t))); [apply Rmult_le_compat_l; nra|]. nra. }
  nra.
Qed.
Lemma exponential_ok i x : inI i x -> inI (exponential fine rounds i) (exp x).
Proof.
  intros [h1 h2]. assert (P : 0 <= F * exp x) by (apply Rmult_le_pos; [lra|left; apply exp_pos]).
  unfold exponential. split; cbn [fst snd above below].
  - destruct (fst i) as [a|]; [|exact P]. now apply exp_down_ok.
  - destruct (snd i) as [b|]; [|exact I]. destruct (exp_up fine rounds b) eqn:e; [|exact I]. cbn. eapply exp_up_ok; eauto.
Qed.
Lemma logistic_ok i j x : inI i x -> logistic fine rounds i = Some j -> inI j (/ (1 + exp (- x))).
Proof.
  intros hi h. unfold logistic in h.
  assert (q := shifted_ok (1%Z, 1%positive) _ _ (exponential_ok _ _ (negate_ok _ _ hi))).
  unfold val in q. cbn [fst snd] in q. replace (exp (- x) + 1 / 1) with (1 + exp (- x)) in q by field.
  now apply (inverse_ok _ _ _ q h).
Qed.
Lemma squared_ok i x : inI i x -> inI (squared fine i) (x * x).
Proof.
  intros [h1 h2]. unfold squared.
  assert (DN : forall a, IZR a * IZR a <= F * x * (F * x) -> IZR (fl (a * a) (Zpos fine)) <= F * (x * x)).
  { intros a q. apply Rmult_le_reg_r with F; auto. eapply Rle_trans; [apply fl_le; lia|]. rewrite mult_IZR. lra. }
  assert (UP : forall a, F * x * (F * x) <= IZR a * IZR a -> F * (x * x) <= IZR (ce (a * a) (Zpos fine))).
  { intros a q. apply Rmult_le_reg_r with F; auto. eapply Rle_trans; [|apply ce_ge; lia]. rewrite mult_IZR. lra. }
  destruct (nonneg i) eqn:e; unfold nonneg in e.
  - destruct (fst i) as [a|]; [|discriminate]. bools. apply IZR_le in e. cbn in h1. split; cbn.
    + apply DN. nra.
    + destruct (snd i) as [b|]; cbn in *; [|exact I]. apply UP. nra.
  - destruct (nonneg (negate i)) eqn:e2; unfold nonneg in e2; cbn [fst negate] in e2.
    + destruct (snd i) as [b|]; [|discriminate]. cbn [option_map] in e2. bools. apply IZR_le in e2. rewrite opp_IZR in e2. cbn in h2. split; cbn.
      * apply DN. assert (F * x <= 0) by lra. nra.
      * destruct (fst i) as [a|]; cbn in *; [|exact I]. assert (F * x <= 0) by lra. apply UP. nra.
    + split; cbn [fst snd above below]; [pose proof (Rle_0_sqr x); unfold Rsqr in *; nra|].
      destruct (fst i) as [a|]; [|exact I]. destruct (snd i) as [b|]; [|exact I]. cbn in *.
      destruct (Rle_dec 0 x).
      * assert (0 <= F * x) by nra.
        apply Rle_trans with (IZR (ce (b * b) (Zpos fine))); [apply UP; nra|apply IZR_le; lia].
      * assert (F * x <= 0) by nra.
        apply Rle_trans with (IZR (ce (a * a) (Zpos fine))); [apply UP; nra|apply IZR_le; lia].
Qed.
Lemma tanh_logistic t : tanh t = 2 * (/ (1 + exp (- (2 * t)))) - 1.
Proof.
  unfold tanh, sinh, cosh. replace (- (2 * t)) with (- t + - t) by ring. rewrite exp_plus, exp_Ropp.
  pose proof (exp_pos t). set (e := exp t) in *. field. split; nra.
Qed.

Lemma plus_ok i j x y : inI i x -> inI j y -> inI (plus i j) (x + y).
Proof.
  intros [h1 h2] [g1 g2]. destruct i as [[a|] [b|]], j as [[c|] [d|]]; split; cbn in *; try rewrite plus_IZR; try exact I; lra.
Qed.
Lemma times_positive_ok i lo hi x s : inI i x -> IZR lo <= F * s <= IZR hi -> 0 < s -> inI (times_positive fine i lo hi) (x * s).
Proof.
  intros [h1 h2] [e1 e2] hs.
  assert (E : F * (x * s) * F = (F * x) * (F * s)) by ring. assert (S0 : 0 < F * s) by nra.
  split; cbn [times_positive fst snd].
  - destruct (fst i) as [a|]; [|exact I]. cbn in *. apply Rmult_le_reg_r with F; auto. rewrite E.
    eapply Rle_trans; [apply fl_le; lia|]. rewrite mult_IZR. apply Rle_trans with (IZR a * (F * s)); [|nra].
    destruct (0 <=? a)%Z eqn:ea; bools; [apply IZR_le in ea|apply IZR_lt in ea]; nra.
  - destruct (snd i) as [b|]; [|exact I]. cbn in *. apply Rmult_le_reg_r with F; auto. rewrite E.
    eapply Rle_trans; [|apply ce_ge; lia]. rewrite mult_IZR. apply Rle_trans with (IZR b * (F * s)); [nra|].
    destruct (0 <=? b)%Z eqn:ea; bools; [apply IZR_le in ea|apply IZR_lt in ea]; nra.
Qed.
Lemma times_ok i r j x s : inI i x -> inI r s -> times fine i r = Some j -> inI j (x * s).
Proof.
  intros hi [e1 e2] h. unfold times in h. destruct r as [[lo|] [up|]]; try discriminate. cbn in e1, e2.
  destruct (0 <? lo)%Z eqn:el; [|destruct (up <? 0)%Z eqn:eu; [|discriminate]]; inv_some; subst j; bools.
  - apply IZR_lt in el. apply times_positive_ok; auto. apply Rmult_lt_reg_l with F; auto. lra.
  - apply IZR_lt in eu. replace (x * s) with (- (x * - s)) by ring. apply negate_ok. apply times_positive_ok; auto.
    + rewrite !opp_IZR. lra.
    + apply Rmult_lt_reg_l with F; auto. lra.
Qed.
Lemma number_ok n : forall i, number_itv isqrt fine rounds n = Some i -> inI i (nval n).
Proof.
  induction n; intros i h; cbn [number_itv nval] in *.
  - inv_some; subst. split; cbn; [apply fl_val|apply ce_val].
  - destruct (number_itv _ _ _ n1) as [p|]; [|discriminate]. destruct (number_itv _ _ _ n2) as [q|]; [|discriminate].
    inv_some; subst. apply plus_ok; auto.
  - destruct (number_itv _ _ _ n1) as [p|]; [|discriminate]. destruct (number_itv _ _ _ n2) as [q|]; [|discriminate].
    eapply times_ok; eauto.
  - destruct (number_itv _ _ _ n1) as [p|]; [|discriminate]. destruct (number_itv _ _ _ n2) as [q|]; [|discriminate].
    destruct (reciprocal fine q) as [k|] eqn:e; [|discriminate]. apply (reciprocal_ok _ _ (nval n2)) in e; auto. destruct e as [_ e].
    unfold Rdiv. eapply times_ok; eauto.
  - destruct (number_itv _ _ _ n) as [p|]; [|discriminate]. apply (root_ok _ _ (nval n)) in h; auto. apply h.
  - destruct (number_itv _ _ _ n) as [p|]; [|discriminate]. inv_some; subst. apply exponential_ok. auto.
  - destruct (number_itv _ _ _ n) as [p|]; [|discriminate]. apply (log_ok _ _ (nval n)) in h; auto. apply h.
Qed.

Lemma image1_ok f i j x : inI i x -> image1 isqrt fine rounds f i = Some j -> inI j (apply f x).
Proof.
  intros hi h. pose proof hi as [h1 h2]. destruct f; cbn [image1 apply] in *.
  - destruct (number_itv isqrt fine rounds c) as [k|] eqn:e; [|discriminate]. inv_some; subst. apply plus_ok; auto. now apply number_ok.
  - destruct (number_itv isqrt fine rounds c) as [k|] eqn:e; [|discriminate]. eapply times_ok; eauto. now apply number_ok.
  - destruct (number_itv isqrt fine rounds c) as [k|] eqn:e; [|discriminate]. apply number_ok in e.
    destruct (root isqrt fine k) as [r|] eqn:er; [|discriminate]. apply (root_ok _ _ _ e) in er. destruct er as [_ er].
    destruct (inverse fine r) as [w|] eqn:ei; [|discriminate]. apply (inverse_ok _ _ _ er) in ei. destruct ei as [_ ei].
    unfold Rdiv. eapply times_ok; eauto.
  - inv_some; subst. now apply shifted_ok.
  - inv_some; subst. now apply scaled_ok.
  - (* DivRoot *)
    destruct (0 <? fst c)%Z eqn:e; [|discriminate]. bools.
    set (n := fst c) in *. set (d := Zpos (snd c)) in *.
    destruct (root isqrt fine (Some (fl (n * Z.pos fine) d), Some (ce (n * Z.pos fine) d))) as [r|] eqn:er; [|discriminate].
    destruct (inverse fine r) as [[[lo|] [hi'|]]|] eqn:ei; try discriminate. inv_some; subst j.
    apply (root_ok _ _ (val c)) in er.
    2:{ split; cbn; [apply fl_val|apply ce_val]. }
    destruct er as [_ er]. apply (inverse_ok _ _ _ er) in ei. destruct ei as [p [e1 e2]]. cbn in e1, e2.
    set (s := / sqrt (val c)) in *. assert (hs : 0 < s) by (apply Rinv_0_lt_compat; auto). unfold Rdiv. fold s.
    apply times_positive_ok; auto.
  - (* Max *)
    inv_some; subst. pose proof (fl_val c). pose proof (ce_val c). split; cbn [fst snd].
    + destruct (fst i) as [a|]; cbn in *; [rewrite Z.max_comm|].
      * destruct (Z.max_spec (fl (fst c * Z.pos fine) (Z.pos (snd c))) a) as [[_ ->]|[_ ->]].
        -- eapply Rle_trans; [exact h1|]. apply Rmult_le_compat_l; [lra|apply Rmax_l].
        -- eapply Rle_trans; [exact H|]. apply Rmult_le_compat_l; [lra|apply Rmax_r].
      * eapply Rle_trans; [exact H|]. apply Rmult_le_compat_l; [lra|apply Rmax_r].
    + destruct (snd i) as [b|]; cbn in *; [|exact I].
      unfold Rmax. destruct (Rle_dec x (val c)).
      * eapply Rle_trans; [exact H0|]. apply IZR_le. lia.
      * eapply Rle_trans; [exact h2|]. apply IZR_le. lia.
  - (* Min *)
    inv_some; subst. pose proof (fl_val c). pose proof (ce_val c). split; cbn [fst snd].
    + destruct (fst i) as [a|]; cbn in *; [|exact I].
      unfold Rmin. destruct (Rle_dec x (val c)).
      * eapply Rle_trans; [|exact h1]. apply IZR_le. lia.
      * eapply Rle_trans; [|exact H]. apply IZR_le. lia.
    + destruct (snd i) as [b|]; cbn in *.
      * destruct (Z.min_spec b (ce (fst c * Z.pos fine) (Z.pos (snd c)))) as [[_ ->]|[_ ->]].
        -- eapply Rle_trans; [|exact h2]. apply Rmult_le_compat_l; [lra|apply Rmin_l].
        -- eapply Rle_trans; [|exact H0]. apply Rmult_le_compat_l; [lra|apply Rmin_r].
      * eapply Rle_trans; [|exact H0]. apply Rmult_le_compat_l; [lra|apply Rmin_r].
  - now apply (root_ok _ _ _ hi h).
  - inv_some; subst. now apply squared_ok.
  - inv_some; subst. now apply exponential_ok.
  - now apply (log_ok _ _ _ hi h).
  - now apply (reciprocal_ok _ _ _ hi h).
  - destruct (reciprocal fine i) as [r|] eqn:er; [|discriminate]. inv_some; subst.
    apply (reciprocal_ok _ _ _ hi) in er. destruct er as [nz er].
    assert (q := shifted_ok (1%Z, 1%positive) _ _ (scaled_ok c _ _ er)).
    replace (1 + val c / x) with (/ x * val c + val (1%Z, 1%positive)); auto. unfold val at 2. cbn [fst snd]. field. exact nz.
  - now apply (logistic_ok _ _ _ hi h).
  - destruct (logistic fine rounds (scaled (2%Z, 1%positive) i)) as [r|] eqn:er; [|discriminate]. inv_some; subst.
    apply (logistic_ok _ _ (x * val (2%Z, 1%positive))) in er; [|now apply scaled_ok].
    assert (q := shifted_ok ((-1)%Z, 1%positive) _ _ (scaled_ok (2%Z, 1%positive) _ _ er)).
    rewrite tanh_logistic. unfold val in q. cbn [fst snd] in q.
    replace (2 * / (1 + exp (- (2 * x))) - 1) with (/ (1 + exp (- (x * (2 / 1)))) * (2 / 1) + -1 / 1); auto.
    replace (x * (2 / 1)) with (2 * x) by field. pose proof (exp_pos (- (2 * x))). field. lra.
  - assert (q := shifted_ok (1%Z, 1%positive) _ _ (exponential_ok _ _ hi)).
    unfold val in q. cbn [fst snd] in q. replace (exp x + 1 / 1) with (1 + exp x) in q by field.
    now apply (log_ok _ _ _ q h).
  - (* Power *)
    destruct (log isqrt fine rounds i) as [r|] eqn:er.
    + inv_some; subst. apply (log_ok _ _ _ hi) in er. destruct er as [hx er].
      destruct (Rlt_dec 0 x); [|lra]. unfold Rpower. rewrite Rmult_comm. apply exponential_ok. now apply scaled_ok.
    + destruct (_ && _)%bool eqn:e; [|discriminate]. bools. unfold nonneg in *.
      assert (P : 0 <= (if Rlt_dec 0 x then Rpower x (val c) else 0)).
      { destruct (Rlt_dec 0 x); [left; apply exp_pos|lra]. }
      destruct (snd i) as [b|] eqn:eb.
      * destruct (0 <? b)%Z eqn:ebp.
        -- bools. destruct (log isqrt fine rounds (Some b, Some b)) as [r|] eqn:el; [|discriminate]. inv_some; subst.
           split; cbn [fst snd above]; [apply Rmult_le_pos; lra|].
           assert (B : inI (Some b, Some b) (IZR b / F)).
           { split; cbn; right; field; lra. }
           apply (log_ok _ _ _ B) in el. destruct el as [bp el].
           assert (q := exponential_ok _ _ (scaled_ok c _ _ el)). destruct q as [_ q].
           unfold below in *. destruct (snd (exponential fine rounds (scaled c r))); [|exact I].
           eapply Rle_trans; [|exact q]. apply Rmult_le_compat_l; [lra|].
           destruct (Rlt_dec 0 x); [|left; apply exp_pos]. unfold Rpower. apply exp_mono.
           rewrite Rmult_comm. apply Rmult_le_compat_r.
           ++ unfold val. left. apply Rdiv_lt_0_compat; [now apply IZR_lt|apply posR].
           ++ apply ln_mono; auto. cbn in h2. apply Rmult_le_reg_r with F; auto. replace (IZR b / F * F) with (IZR b) by (field; lra). lra.
        -- inv_some; subst. bools. apply IZR_le in ebp. cbn in h2.
           destruct (Rlt_dec 0 x); [exfalso; nra|]. split; cbn; lra.
      * inv_some; subst. split; cbn; [apply Rmult_le_pos; lra|exact I].
  - (* Abs *)
    pose proof (Rabs_pos x) as ax. destruct (nonneg i) eqn:e.
    + inv_some; subst. unfold nonneg in e.
      destruct (fst j) as [a|] eqn:ea; [|discriminate]. bools. apply IZR_le in e. cbn in h1.
      rewrite Rabs_right; auto. apply Rle_ge. apply Rmult_le_reg_l with F; auto. lra.
    + destruct (fst i) as [a|] eqn:ea; inv_some; subst j; split; cbn [fst snd above below]; try exact I;
        try (apply Rmult_le_pos; lra).
      destruct (snd i) as [b|]; cbn [option_map below] in *; [|exact I]. cbn in h1.
      unfold Rabs. destruct (Rcase_abs x).
      * apply Rle_trans with (IZR (- a)); [rewrite opp_IZR; lra|apply IZR_le; lia].
      * eapply Rle_trans; [exact h2|]. apply IZR_le. lia.
  - (* ZeroBelow *)
    pose proof (fl_val c). pose proof (ce_val c).
    destruct (match snd i with Some b => (b <? fl (fst c * Z.pos fine) (Z.pos (snd c)))%Z | None => false end) eqn:e1.
    { inv_some; subst j. destruct (snd i) as [b|]; [|discriminate]. bools. apply IZR_lt in e1. cbn in h2.
      destruct (Rlt_dec x (val c)); [split; cbn; lra|]. exfalso. assert (F * val c <= F * x) by (apply Rmult_le_compat_l; lra). lra. }
    destruct (match fst i with Some a => (ce (fst c * Z.pos fine) (Z.pos (snd c)) <=? a)%Z | None => false end) eqn:e2.
    { inv_some; subst j. destruct (fst i) as [a|] eqn:ea; [|discriminate]. bools. apply IZR_le in e2. cbn in h1.
      destruct (Rlt_dec x (val c)); auto. exfalso. assert (F * x < F * val c) by (apply Rmult_lt_compat_l; lra). lra. }
    inv_some; subst j. split; cbn [fst snd].
    + cbn. destruct (Rlt_dec x (val c)).
      * rewrite Rmult_0_r. apply IZR_le. lia.
      * apply Rle_trans with (IZR (fl (fst c * Z.pos fine) (Z.pos (snd c)))); [apply IZR_le; lia|nra].
    + destruct (snd i) as [b|]; cbn in *; [|exact I]. destruct (Rlt_dec x (val c)).
      * rewrite Rmult_0_r. apply IZR_le. lia.
      * eapply Rle_trans; [exact h2|]. apply IZR_le. lia.
Qed.
Theorem image_ok c : forall i j x, inI i x -> image isqrt fine rounds c i = Some j -> inI j (run c x).
Proof.
  induction c as [|f c IH]; intros i j x hi h; cbn [image run fold_left] in *.
  - inv_some; now subst.
  - destruct (image1 isqrt fine rounds f i) as [k|] eqn:e; [|discriminate].
    unfold run in IH. eapply IH; [|exact h]. eapply image1_ok; eauto.
Qed.
End Sound.
