(** Pooled values over intervals, and least scores over intervals of activations; all over [fine]. *)
From Coq Require Import Reals ZArith List Lra Lia Bool Psatz.
From Protoproof Require Import Spec Base Interval Shape.
Import ListNotations.
Local Open Scope Z_scope.

Fixpoint all_some {A} (xs : list (option A)) : option (list A) :=
  match xs with
  | [] => Some []
  | x :: r => match x, all_some r with Some a, Some l => Some (a :: l) | _, _ => None end
  end.
Definition zsum (xs : list Z) : Z := fold_right Z.add 0 xs.
Fixpoint zinsert (x : Z) (xs : list Z) : list Z :=
  match xs with [] => [x] | y :: r => if y <=? x then x :: y :: r else y :: zinsert x r end.
Definition zdescending (xs : list Z) : list Z := fold_right zinsert [] xs.
Fixpoint zmost (xs : list (option Z)) : option Z :=
  match xs with
  | [] => None
  | x :: r => match x, zmost r with Some a, Some b => Some (Z.max a b) | Some a, None => Some a | None, o => o end
  end.
Fixpoint zleast (xs : list Z) : Z :=
  match xs with [] => 0 | x :: r => match r with [] => x | _ => Z.min x (zleast r) end end.
(** f of the least, less f of the mean; never negative where f is seen to fall between them *)
Section LessMean.
Variable isqrt : Z -> Z.
Variable fine : positive.
Variable rounds : nat.
Definition less_mean (f : chain) (xs : list itv) : itv :=
  let n := Z.of_nat (length xs) in
  let lows := all_some (map fst xs) in let highs := all_some (map snd xs) in
  let near := (option_map zleast lows, option_map Z.opp (zmost (map (fun i => option_map Z.opp (snd i)) xs))) in
  let mean := (option_map (fun l => fl (zsum l) n) lows, option_map (fun l => ce (zsum l) n) highs) in
  if (n =? 1) || match fst near, snd mean with Some a, Some b => b <=? a | _, _ => false end then (Some 0, Some 0) else
  let difference := match image isqrt fine rounds f near, image isqrt fine rounds f mean with
    | Some (a, b), Some (c, d) => (omap2 Z.sub a d, omap2 Z.sub b c)
    | _, _ => (None, None)
    end in
  if falls (shape_on isqrt fine rounds f (fst near, snd mean)) then
    (Some (match fst difference with Some a => Z.max 0 a | None => 0 end), snd difference)
  else difference.
Definition pool (p : pooling) (xs : list itv) : option itv :=
  let n := Z.of_nat (length xs) in
  let lows := all_some (map fst xs) in let highs := all_some (map snd xs) in
  if n =? 0 then None else
  match p with
  | Nearest => None
  | Sum => Some (option_map zsum lows, option_map zsum highs)
  | Mean => Some (option_map (fun l => fl (zsum l) n) lows, option_map (fun l => ce (zsum l) n) highs)
  | Largest k =>
      if Nat.eqb k 0 then None else
      let part := fun l => zsum (firstn k (zdescending l)) in
      Some (option_map (fun l => fl (part l) (Z.of_nat k)) lows, option_map (fun l => ce (part l) (Z.of_nat k)) highs)
  | Focal =>
      let low := match zmost (map fst xs) with
        | None => 0
        | Some m => fl (zsum (map (fun i => match snd i with Some b => Z.max 0 (m - b) | None => 0 end) xs)) n
        end in
      let high := match lows, highs with
        | Some l, Some u =>
            option_map (fun t => ce t n)
              (zmost (map (fun i => match i with (Some a, Some b) => Some (b * (n - 1) - (zsum l - a)) | _ => None end) xs))
        | _, _ => None end in
      Some (Some low, high)
  | LessMean f => Some (less_mean f xs)
  end.
End LessMean.

(** ** Scores *)
Section Lower.
Variable fine : positive.
Let F := Zpos fine.
Variable table : array itv.               (* of all activations *)

Definition of (j : nat) : itv := match get table j with Some i => i | None => (None, None) end.
Fixpoint lower_tree (w : list Z) (t : tree) : option Z :=
  match t with
  | Leaf n => Some (nth n w 0 * F)
  | Node j near far =>
      match lower_tree w near, lower_tree w far, of j with
      | Some a, Some b, (Some lo, Some hi) =>
          if (0 <=? lo) && (hi <=? F) then
            Some (Z.min (fl (a * F + lo * (b - a)) F) (fl (a * F + hi * (b - a)) F))
          else None
      | _, _, _ => None
      end
  end.
(** whether every leaf that the larger shares may lead to is good *)
Fixpoint led_well (good : nat -> bool) (t : tree) : bool :=
  match t with
  | Leaf n => good n
  | Node j near far =>
      (match fst (of j) with Some lo => F <? 2 * lo | None => false end || led_well good near)
      && (match snd (of j) with Some hi => 2 * hi <? F | None => false end || led_well good far)
  end.
(** at least so much arrives at some leaf, and at most so much (if any) at a bad leaf that another one
    does not certainly exceed; of what reaches the tree *)
Fixpoint led_most (good : nat -> bool) (t : tree) : option (Z * option Z) :=
  match t with
  | Leaf n => Some (F, if good n then None else Some F)
  | Node j near far =>
      match led_most good near, led_most good far, of j with
      | Some (s, b), Some (s', b'), (Some lo, Some hi) =>
          if (0 <=? lo) && (hi <=? F) then
            let u := fl ((F - hi) * s) F in let u' := fl (lo * s') F in
            let left := fun (most sure : Z) (b : option Z) =>
              match b with
              | Some x => let y := ce (most * x) F in if y <? sure then None else Some y
              | None => None
              end in
            Some (Z.max u u', zmost [left (F - lo) u' b; left hi u b'])
          else None
      | _, _, _ => None
      end
  end.
Definition group_end (w : Z) (g : list nat) : option Z :=
  if 0 <? w then zmost (map (fun j => fst (of j)) g)
  else match all_some (map (fun j => snd (of j)) g) with Some u => zmost (map Some u) | None => None end.
Fixpoint lower_groups (w : list Z) (g : list (list nat)) : option Z :=
  match g with
  | [] => Some 0
  | one :: r =>
      match lower_groups (tl w) r with
      | Some s => let a := hd 0 w in
          if a =? 0 then Some s else
          match group_end a one with Some e => Some (a * e + s) | None => None end
      | None => None
      end
  end.
End Lower.
(** the end of an activation that a weight chooses, times the weight *)
Definition weigh (a : Z) (i : itv) : option Z :=
  if a =? 0 then Some 0 else option_map (Z.mul a) (if 0 <? a then fst i else snd i).

Local Open Scope R_scope.
Section Sound.
Variable isqrt : Z -> Z.
Variable fine : positive.
Variable rounds : nat.
Let F := IZR (Zpos fine).
Let Fp : 0 < F := posR fine.
Notation In_ := (inI fine).

Lemma all_some_map {A} (xs : list (option A)) l : all_some xs = Some l -> xs = map Some l.
Proof.
  revert l. induction xs as [|[a|] r IH]; intros l h; cbn [all_some] in h; try discriminate.
  - inv_some; now subst.
  - destruct (all_some r); [|discriminate]. inv_some; subst. cbn. f_equal. now apply IH.
Qed.
Lemma zsum_R l : IZR (zsum l) = total (map IZR l).
Proof. induction l; cbn [zsum fold_right map total]; auto. rewrite plus_IZR. now rewrite <- IHl. Qed.
Lemma total_scal xs : forall c, total (map (fun x => c * x) xs) = c * total xs.
Proof. induction xs; intros; cbn; [lra|]. rewrite IHxs. lra. Qed.
Lemma total_le xs ys : Forall2 Rle xs ys -> total xs <= total ys.
Proof. induction 1; cbn; lra. Qed.
Lemma lows_le is xs l : Forall2 In_ is xs -> all_some (map fst is) = Some l ->
  Forall2 Rle (map IZR l) (map (fun x => F * x) xs).
Proof.
  intros h. revert l. induction h as [|i x is xs hi h IH]; intros l e; cbn [map all_some] in e.
  - inv_some; subst. constructor.
  - destruct (fst i) as [a|] eqn:ea; [|discriminate]. destruct (all_some (map fst is)) as [r|] eqn:er; [|discriminate].
    inv_some; subst. cbn [map]. constructor; auto. destruct hi as [h1 _]. rewrite ea in h1. exact h1.
Qed.
Lemma highs_ge is xs l : Forall2 In_ is xs -> all_some (map snd is) = Some l ->
  Forall2 Rle (map (fun x => F * x) xs) (map IZR l).
Proof.
  intros h. revert l. induction h as [|i x is xs hi h IH]; intros l e; cbn [map all_some] in e.
  - inv_some; subst. constructor.
  - destruct (snd i) as [a|] eqn:ea; [|discriminate]. destruct (all_some (map snd is)) as [r|] eqn:er; [|discriminate].
    inv_some; subst. cbn [map]. constructor; auto. destruct hi as [_ h1]. rewrite ea in h1. exact h1.
Qed.
(** sorting keeps the order of lists *)
Fixpoint sorted (xs : list R) : Prop := match xs with [] => True | x :: r => (forall y, In y r -> y <= x) /\ sorted r end.
Lemma in_insert x xs y : In y (insert x xs) -> y = x \/ In y xs.
Proof.
  induction xs as [|a r IH]; cbn; [intuition|]. destruct (Rle_dec a x); cbn; [intuition|].
  intros [->|h]; auto. destruct (IH h); auto.
Qed.
Lemma sorted_insert x xs : sorted xs -> sorted (insert x xs).
Proof.
  induction xs as [|a r IH]; cbn [insert]; intros h; [split; [intros y []|exact I]|].
  destruct (Rle_dec a x) as [l|l].
  - split; auto. destruct h as [h1 h2]. intros y [->|hy]; auto. specialize (h1 y hy). lra.
  - destruct h as [h1 h2]. split; auto. intros y hy. destruct (in_insert _ _ _ hy) as [->|]; [lra|auto].
Qed.
Lemma sorted_descending xs : sorted (descending xs).
Proof. induction xs; cbn; auto. now apply sorted_insert. Qed.
Lemma insert_top x a xs ys : sorted (a :: xs) -> a <= x -> Forall2 Rle xs ys -> Forall2 Rle (a :: xs) (insert x ys).
Proof.
  intros s hx h. revert a s hx. induction h as [|b b' xs ys hb h IH]; intros a s hx; cbn [insert].
  - constructor; [auto|constructor].
  - destruct s as [s1 s2]. destruct (Rle_dec b' x) as [l|l].
    + repeat (constructor; auto).
    + constructor; [lra|]. apply IH; auto. specialize (s1 b (or_introl eq_refl)). lra.
Qed.
Lemma insert_bot x a xs ys : x <= a -> Forall2 Rle xs ys -> sorted (a :: ys) -> Forall2 Rle (insert x xs) (a :: ys).
Proof.
  intros hx h. revert x a hx. induction h as [|b b' xs ys hb h IH]; intros x a hx s; cbn [insert].
  - constructor; [auto|constructor].
  - destruct s as [s1 s2]. pose proof (s1 b' (or_introl eq_refl)). destruct (Rle_dec b x) as [l|l].
    + repeat (constructor; auto).
    + constructor; [lra|]. apply IH; auto. lra.
Qed.
Lemma insert_le x y xs ys : x <= y -> Forall2 Rle xs ys -> sorted xs -> sorted ys -> Forall2 Rle (insert x xs) (insert y ys).
Proof.
  intros hx h. induction h as [|a b xs ys hab h IH]; intros s1 s2; cbn [insert].
  - constructor; [auto|constructor].
  - destruct (Rle_dec a x) as [l|l]; destruct (Rle_dec b y) as [l'|l'].
    + repeat (constructor; auto).
    + constructor; [lra|]. apply insert_top; auto. lra.
    + constructor; [lra|]. apply insert_bot; auto. lra.
    + constructor; auto. destruct s1, s2. auto.
Qed.
Lemma descending_le xs ys : Forall2 Rle xs ys -> Forall2 Rle (descending xs) (descending ys).
Proof. induction 1; cbn; auto. apply insert_le; auto using sorted_descending. Qed.
Lemma zinsert_R x l : map IZR (zinsert x l) = insert (IZR x) (map IZR l).
Proof.
  induction l as [|y r IH]; cbn; auto. destruct (y <=? x)%Z eqn:e; bools.
  - apply IZR_le in e. destruct (Rle_dec (IZR y) (IZR x)); [reflexivity|lra].
  - apply IZR_lt in e. destruct (Rle_dec (IZR y) (IZR x)); [lra|]. cbn. now rewrite IH.
Qed.
Lemma zdescending_R l : map IZR (zdescending l) = descending (map IZR l).
Proof. unfold zdescending, descending. induction l; cbn; auto. now rewrite zinsert_R, IHl. Qed.
Lemma insert_scal c x xs : 0 < c -> insert (c * x) (map (fun y => c * y) xs) = map (fun y => c * y) (insert x xs).
Proof.
  intros hc. induction xs as [|y r IH]; cbn; auto.
  destruct (Rle_dec (c * y) (c * x)); destruct (Rle_dec y x); cbn; auto; try (exfalso; nra). now rewrite IH.
Qed.
Lemma descending_scal c xs : 0 < c -> descending (map (fun y => c * y) xs) = map (fun y => c * y) (descending xs).
Proof. intros hc. unfold descending. induction xs; cbn; auto. rewrite IHxs. now apply insert_scal. Qed.
Lemma firstn_le k : forall xs ys, Forall2 Rle xs ys -> Forall2 Rle (firstn k xs) (firstn k ys).
Proof. induction k; intros xs ys h; cbn; [constructor|]. destruct h; constructor; auto. Qed.

Lemma zmost_in xs m : zmost xs = Some m -> In (Some m) xs.
Proof.
  revert m. induction xs as [|[a|] r IH]; intros m h; cbn [zmost] in h; try discriminate.
  - destruct (zmost r) as [b|]; inv_some; subst; [|now left].
    destruct (Z.max_spec a b) as [[_ ->]|[_ ->]]; [right; now apply IH|now left].
  - right. now apply IH.
Qed.
Lemma zmost_ge xs m a : zmost xs = Some m -> In (Some a) xs -> (a <= m)%Z.
Proof.
  revert m. induction xs as [|x r IH]; intros m h hin; [destruct hin|]. cbn [zmost] in h. destruct hin as [->|hin].
  - destruct (zmost r); inv_some; lia.
  - destruct x as [b|].
    + destruct (zmost r) as [c|] eqn:e; inv_some; subst.
      * specialize (IH _ eq_refl hin). lia.
      * exfalso. clear -e hin. induction r as [|[y|] r IH]; [destruct hin| |]; cbn in e.
        -- destruct (zmost r); discriminate.
        -- destruct hin as [q|q]; [discriminate|]. auto.
    + now apply IH.
Qed.
Lemma Forall2_in {A B} (P : A -> B -> Prop) xs ys x : Forall2 P xs ys -> In x xs -> exists y, In y ys /\ P x y.
Proof. induction 1; intros []; subst; eauto using in_eq. destruct IHForall2 as [z [? ?]]; eauto using in_cons. Qed.
Lemma Forall2_in_r {A B} (P : A -> B -> Prop) xs ys y : Forall2 P xs ys -> In y ys -> exists x, In x xs /\ P x y.
Proof. induction 1; intros []; subst; eauto using in_eq. destruct IHForall2 as [z [? ?]]; eauto using in_cons. Qed.

(** the interval of one number, and the lower ends of the others *)
Lemma others_least is xs : Forall2 In_ is xs -> forall l, all_some (map fst is) = Some l -> forall y, In y xs ->
  exists a b, In (Some a, b) is /\ In_ (Some a, b) y /\ IZR (zsum l) - IZR a <= F * (total xs - y).
Proof.
  induction 1 as [|i x is xs hi h IH]; intros l e y hy; [destruct hy|].
  cbn [map all_some] in e. destruct i as [a b]. cbn [fst] in e. destruct a as [a|]; [|discriminate].
  destruct (all_some (map fst is)) as [r|] eqn:er; [|discriminate]. inv_some; subst.
  cbn [zsum fold_right total]. fold (zsum r). rewrite plus_IZR. destruct hy as [->|hy].
  - exists a, b. repeat split; auto using in_eq; try apply hi.
    pose proof (total_le _ _ (lows_le _ _ _ h er)) as q. rewrite total_scal, <- zsum_R in q. lra.
  - destruct (IH _ eq_refl y hy) as [a' [b' [h1 [h2 h3]]]]. exists a', b'. repeat split; auto using in_cons; try apply h2.
    destruct hi as [q _]. cbn in q. fold F in q. lra.
Qed.
Lemma forall2_length {A B} (P : A -> B -> Prop) xs ys : Forall2 P xs ys -> length xs = length ys.
Proof. induction 1; cbn; auto. Qed.
Lemma zleast_R l : IZR (zleast l) = least (map IZR l).
Proof.
  induction l as [|a l IH]; auto. cbn [zleast map least]. destruct l as [|b l]; auto. cbn [map] in *. rewrite <- IH.
  unfold Rmin. destruct (Rle_dec _ _) as [r|r]; f_equal.
  - apply le_IZR in r. lia.
  - apply Rnot_le_lt in r. apply lt_IZR in r. lia.
Qed.
Lemma least_scal k xs : 0 < k -> least (map (fun x => k * x) xs) = k * least xs.
Proof.
  intros hk. induction xs as [|a xs IH]; cbn [map least]; [lra|]. destruct xs as [|b xs]; auto. cbn [map] in *. rewrite IH.
  unfold Rmin. destruct (Rle_dec (k * a) _), (Rle_dec a _); auto; exfalso; nra.
Qed.
Lemma least_mono xs ys : Forall2 Rle xs ys -> least xs <= least ys.
Proof.
  induction 1 as [|x y xs ys h1 h2 IH]; cbn [least]; [lra|]. inversion h2; subst; auto.
  apply Rmin_glb; [eapply Rle_trans; [apply Rmin_l|auto]|eapply Rle_trans; [apply Rmin_r|exact IH]].
Qed.
Lemma least_total xs : INR (length xs) * least xs <= total xs.
Proof.
  assert (G : forall k, (forall x, In x xs -> k <= x) -> INR (length xs) * k <= total xs).
  { induction xs as [|a r IH]; intros k hk; cbn [length total]; [cbn; lra|]. rewrite S_INR.
    specialize (IH k (fun x hx => hk x (or_intror hx))). specialize (hk a (or_introl eq_refl)). lra. }
  apply G. intros. now apply least_le.
Qed.
Lemma less_mean_ok f is xs : Forall2 In_ is xs -> is <> [] ->
  In_ (less_mean isqrt fine rounds f is) (run f (least xs) - run f (total xs / INR (length xs))).
Proof.
  intros h ne. unfold less_mean. assert (hl : length is = length xs) by (eapply forall2_length; eauto).
  set (n := Z.of_nat (length is)). assert (n1 : (1 <= n)%Z) by (unfold n; destruct is; [congruence|cbn [length]; lia]).
  assert (nR : INR (length xs) = IZR n) by (unfold n; rewrite hl; apply INR_IZR_INZ).
  assert (nP : 1 <= IZR n) by (now apply IZR_le).
  pose proof (least_total xs) as LT. rewrite nR in *. set (v := least xs) in *. set (m := total xs / IZR n).
  assert (tm : total xs = IZR n * m) by (unfold m; field; lra).
  assert (LE : v <= m) by (apply Rmult_le_reg_l with (IZR n); lra).
  set (near := (option_map zleast _, _) : itv). set (mean := (option_map _ (all_some (map fst is)), _) : itv).
  assert (NEAR : In_ near v).
  { split; unfold near; cbn [fst snd].
    - destruct (all_some (map fst is)) as [l|] eqn:el; cbn; [|exact I].
      rewrite zleast_R. unfold v. rewrite <- (least_scal F) by auto. apply least_mono. eapply lows_le; eauto.
    - destruct (zmost _) as [b|] eqn:eb; cbn; [|exact I]. apply zmost_in in eb. apply in_map_iff in eb. destruct eb as [i [ei hi]].
      destruct (Forall2_in _ _ _ _ h hi) as [x [hx [_ h1]]]. destruct (snd i) as [c|]; [|discriminate]. cbn in ei, h1. fold F in h1 |- *.
      inv_some. subst b. rewrite Z.opp_involutive. pose proof (least_le xs x hx) as q. fold v in q. nra. }
  assert (MEAN : In_ mean m).
  { split; unfold mean; cbn [fst snd].
    - destruct (all_some (map fst is)) as [l|] eqn:el; cbn; [|exact I]. fold F.
      pose proof (total_le _ _ (lows_le _ _ _ h el)) as q. rewrite total_scal, <- zsum_R, tm in q.
      pose proof (fl_le (zsum l) n ltac:(lia)) as d. apply Rmult_le_reg_r with (IZR n); lra.
    - destruct (all_some (map snd is)) as [l|] eqn:el; cbn; [|exact I]. fold F.
      pose proof (total_le _ _ (highs_ge _ _ _ h el)) as q. rewrite total_scal, <- zsum_R, tm in q.
      pose proof (ce_ge (zsum l) n ltac:(lia)) as d. apply Rmult_le_reg_r with (IZR n); lra. }
  destruct (_ || _)%bool eqn:e0.
  - assert (e : v = m).
    { apply orb_prop in e0. destruct e0 as [e0|e0].
      - apply Z.eqb_eq in e0. unfold m. rewrite e0. unfold n in e0. rewrite hl in e0.
        destruct xs as [|x [|y r]]; cbn [length] in e0; try lia. unfold v. cbn. field.
      - destruct NEAR as [h1 _], MEAN as [_ h2]. destruct (fst near) as [a|]; [|discriminate]. destruct (snd mean) as [b|]; [|discriminate].
        apply Z.leb_le in e0. apply IZR_le in e0. cbn in h1, h2. fold F in h1, h2.
        apply Rle_antisym; auto. apply Rmult_le_reg_l with F; lra. }
    rewrite e. split; cbn; lra.
  - clear e0. set (d := match image isqrt fine rounds f near with Some _ => _ | None => _ end).
    assert (D : In_ d (run f v - run f m)).
    { unfold d. destruct (image isqrt fine rounds f near) as [[a b]|] eqn:e1; [|split; exact I].
      destruct (image isqrt fine rounds f mean) as [[a' b']|] eqn:e2; [|split; exact I].
      destruct (image_ok _ _ _ _ _ _ _ NEAR e1) as [p1 p2]. destruct (image_ok _ _ _ _ _ _ _ MEAN e2) as [q1 q2].
      split; cbn [fst snd] in *.
      - destruct a as [a|], b' as [b'|]; cbn in *; try exact I. rewrite minus_IZR. lra.
      - destruct b as [b|], a' as [a'|]; cbn in *; try exact I. rewrite minus_IZR. lra. }
    destruct (falls _) eqn:ef; auto. destruct (shape_on_ok isqrt fine rounds f (fst near, snd mean)) as [_ [S _]]. specialize (S ef).
    assert (Z0 : run f m <= run f v).
    { destruct NEAR as [h1 _], MEAN as [_ h2]. apply S; auto; split; cbn [fst snd] in *; auto.
      - destruct (snd mean) as [b|]; auto. cbn in *. fold F in h2 |- *. nra.
      - destruct (fst near) as [a|]; auto. cbn in *. fold F in h1 |- *. nra. }
    destruct D as [d1 d2]. split; cbn [fst snd]; auto. cbn. fold F.
    destruct (fst d) as [a|]; cbn in d1; [|nra]. fold F in d1.
    destruct (Z.max_spec 0 a) as [[_ ->]|[_ ->]]; auto. nra.
Qed.
Lemma pool_ok p is xs i : Forall2 In_ is xs -> pool isqrt fine rounds p is = Some i -> In_ i (pooled p xs).
Proof.
  intros h. unfold pool. assert (hl : length is = length xs) by (eapply forall2_length; eauto).
  set (n := Z.of_nat (length is)). destruct (n =? 0)%Z eqn:e0; [discriminate|]. bools.
  assert (n1 : (1 <= n)%Z) by (unfold n in *; lia).
  assert (nR : INR (length xs) = IZR n) by (unfold n; rewrite hl; apply INR_IZR_INZ).
  assert (nP : 1 <= IZR n) by (now apply IZR_le).
  assert (DIV : forall k (z : Z) t, (0 < k)%Z -> IZR z <= F * t -> IZR (fl z k) <= F * (t / IZR k)).
  { intros k z t hk hz. apply IZR_lt in hk as hk'. apply Rmult_le_reg_r with (IZR k); auto.
    replace (F * (t / IZR k) * IZR k) with (F * t) by (field; lra). pose proof (fl_le z k hk). lra. }
  assert (DIVU : forall k (z : Z) t, (0 < k)%Z -> F * t <= IZR z -> F * (t / IZR k) <= IZR (ce z k)).
  { intros k z t hk hz. apply IZR_lt in hk as hk'. apply Rmult_le_reg_r with (IZR k); auto.
    replace (F * (t / IZR k) * IZR k) with (F * t) by (field; lra). pose proof (ce_ge z k hk). lra. }
  assert (LO : forall l, all_some (map fst is) = Some l -> IZR (zsum l) <= F * total xs).
  { intros l e. rewrite zsum_R, <- total_scal. apply total_le. eapply lows_le; eauto. }
  assert (HI : forall l, all_some (map snd is) = Some l -> F * total xs <= IZR (zsum l)).
  { intros l e. rewrite zsum_R, <- total_scal. apply total_le. eapply highs_ge; eauto. }
  destruct p; cbn [pooled]; intros q; try discriminate.
  - inv_some; subst i. rewrite nR. split; cbn [fst snd].
    + destruct (all_some (map fst is)) as [l|]; cbn; [|exact I]. apply DIV; [lia|]. now apply LO.
    + destruct (all_some (map snd is)) as [l|]; cbn; [|exact I]. apply DIVU; [lia|]. now apply HI.
  - inv_some; subst i. split; cbn [fst snd].
    + destruct (all_some (map fst is)) as [l|]; cbn; [|exact I]. now apply LO.
    + destruct (all_some (map snd is)) as [l|]; cbn; [|exact I]. now apply HI.
  - destruct (Nat.eqb k 0) eqn:ek; [discriminate|]. bools. inv_some; subst i.
    rewrite INR_IZR_INZ. split; cbn [fst snd].
    + destruct (all_some (map fst is)) as [l|] eqn:el; cbn; [|exact I]. apply DIV; [lia|].
      rewrite zsum_R, <- total_scal, <- (firstn_map IZR), zdescending_R, <- (firstn_map (fun x => F * x)), <- descending_scal by auto.
      apply total_le, firstn_le, descending_le. eapply lows_le; eauto.
    + destruct (all_some (map snd is)) as [l|] eqn:el; cbn; [|exact I]. apply DIVU; [lia|].
      rewrite zsum_R, <- total_scal, <- (firstn_map IZR), zdescending_R, <- (firstn_map (fun x => F * x)), <- descending_scal by auto.
      apply total_le, firstn_le, descending_le. eapply highs_ge; eauto.
  - (* focal *)
    inv_some; subst i. rewrite nR. set (m := most xs). set (t := total xs).
    assert (ne : xs <> []) by (destruct xs; [cbn in hl; unfold n in *; rewrite hl in *; cbn in *; lia|congruence]).
    assert (top : forall x, In x xs -> x <= m) by (intros; now apply most_ge).
    assert (E : m - t / IZR n = (IZR n * m - t) / IZR n) by (field; lra). rewrite E.
    split; cbn [fst snd above below].
    + destruct (zmost (map fst is)) as [mm|] eqn:em.
      * apply DIV; [lia|].
        assert (hm : IZR mm <= F * m).
        { apply zmost_in in em. apply in_map_iff in em. destruct em as [j [ej hj]].
          destruct (Forall2_in _ _ _ _ h hj) as [x [hx [h1 _]]]. rewrite ej in h1. cbn in h1. fold F in h1.
          specialize (top x hx). nra. }
        unfold n, t. clearbody m. clear - h hm top Fp.
        assert (Z : IZR (zsum (map (fun i : option Z * option Z => match snd i with Some b => Z.max 0 (mm - b) | None => 0%Z end) is))
           <= F * (IZR (Z.of_nat (length is)) * m - total xs)).
        { induction h as [|i x is xs hi h IH]; cbn [map length total zsum fold_right].
          - rewrite Rmult_0_l, Rminus_0_r, Rmult_0_r. lra.
          - rewrite Nat2Z.inj_succ, plus_IZR. unfold Z.succ. rewrite plus_IZR.
            specialize (IH (fun y hy => top y (or_intror hy))). unfold zsum in IH.
            assert (hx : x <= m) by (apply top; now left).
            assert (IZR (match snd i with Some b => Z.max 0 (mm - b) | None => 0%Z end) <= F * (m - x)).
            { destruct hi as [_ h2]. destruct (snd i) as [b|]; cbn in h2; fold F in h2.
              - destruct (Z.max_spec 0 (mm - b)) as [[_ ->]|[_ ->]]; [rewrite minus_IZR; lra|]. apply Rmult_le_pos; lra.
              - apply Rmult_le_pos; lra. }
            lra. }
        exact Z.
      * apply Rmult_le_pos; [left; exact Fp|]. apply Rmult_le_pos; [|left; apply Rinv_0_lt_compat; lra].
        assert (t <= IZR n * m).
        { unfold t, n. clearbody m. clear - h top. induction h as [|i x is xs hi h IH]; cbn [length total]; [cbn; lra|].
          rewrite Nat2Z.inj_succ. unfold Z.succ. rewrite plus_IZR.
          specialize (IH (fun y hy => top y (or_intror hy))). specialize (top x (or_introl eq_refl)). lra. }
        lra.
    + destruct (all_some (map fst is)) as [l|] eqn:el; [|exact I]. destruct (all_some (map snd is)) as [u|] eqn:eu; [|exact I].
      destruct (zmost _) as [z|] eqn:ez; [|exact I]. cbn. fold F. apply DIVU; [lia|].
      destruct (others_least _ _ h l el m (most_in xs ne)) as [a' [b [hin [[h1 h2] O]]]].
      assert (sb : exists b', b = Some b').
      { apply all_some_map in eu. assert (In b (map snd is)) by (apply in_map_iff; exists (Some a', b); auto). rewrite eu in H.
        apply in_map_iff in H. destruct H as [b' [<- _]]. eauto. }
      destruct sb as [b' ->]. cbn in h1, h2. fold F in h1, h2.
      assert (hz : (b' * (n - 1) - (zsum l - a') <= z)%Z).
      { eapply zmost_ge; [exact ez|]. apply in_map_iff. exists (Some a', Some b'). auto. }
      apply IZR_le in hz. rewrite minus_IZR, mult_IZR, !minus_IZR in hz. fold t in O. nra.
  - inv_some; subst i. apply less_mean_ok; auto. intros ->. unfold n in *. cbn in *. lia.
Qed.

Lemma weigh_ok w i x v : weigh w i = Some v -> In_ i x -> IZR v <= F * (IZR w * x).
Proof.
  unfold weigh. intros e [h1 h2]. destruct (w =? 0)%Z eqn:e0; bools.
  - inv_some; subst. rewrite Rmult_0_l, Rmult_0_r. lra.
  - destruct (0 <? w)%Z eqn:e1; bools; [destruct (fst i) as [a|]|destruct (snd i) as [a|]]; try discriminate;
      cbn [option_map above below] in *; fold F in h1, h2; inv_some; subst v; rewrite mult_IZR.
    + apply IZR_lt in e1. nra.
    + assert (IZR w < 0) by (apply IZR_lt; lia). nra.
Qed.
Section Scores.
Variable table : array itv.
Variable a : nat -> R.
Hypothesis T : forall j i, get table j = Some i -> In_ i (a j).
Lemma of_ok j : In_ (of table j) (a j).
Proof. unfold of. destruct (get table j) eqn:e; [now apply T|]. split; exact I. Qed.
Lemma lower_tree_ok w t : forall v, lower_tree fine table w t = Some v -> IZR v <= F * arrives w a t.
Proof.
  induction t as [n|j near IH1 far IH2]; intros v h; cbn [lower_tree arrives] in *.
  - inv_some; subst. rewrite mult_IZR. fold F. unfold at_. lra.
  - destruct (lower_tree fine table w near) as [p|]; [|discriminate]. destruct (lower_tree fine table w far) as [q|]; [|discriminate].
    pose proof (of_ok j) as hj. destruct (of table j) as [[lo|] [hi|]]; try discriminate.
    destruct (_ && _)%bool eqn:e; [|discriminate]. bools. inv_some; subst v.
    destruct hj as [h1 h2]. cbn in h1, h2. fold F in h1, h2. apply IZR_le in H, H0. fold F in H0.
    specialize (IH1 _ eq_refl). specialize (IH2 _ eq_refl). set (s := a j) in *.
    set (L := arrives w a near) in *. set (R_ := arrives w a far) in *.
    assert (s0 : 0 <= s) by nra. assert (s1 : s <= 1) by nra.
    assert (B : F * IZR p + F * s * (IZR q - IZR p) <= F * (F * ((1 - s) * L + s * R_))) by nra.
    assert (D : forall n, IZR n <= F * IZR p + F * s * (IZR q - IZR p) -> IZR (fl n (Zpos fine)) <= F * ((1 - s) * L + s * R_)).
    { intros n hn. pose proof (fl_le n (Zpos fine) ltac:(lia)) as g. fold F in g. apply Rmult_le_reg_r with F; auto. lra. }
    destruct (Rle_lt_dec 0 (IZR q - IZR p)) as [c|c].
    + eapply Rle_trans; [apply IZR_le; apply Z.le_min_l|]. apply D.
      rewrite plus_IZR, !mult_IZR, minus_IZR. fold F. nra.
    + eapply Rle_trans; [apply IZR_le; apply Z.le_min_r|]. apply D.
      rewrite plus_IZR, !mult_IZR, minus_IZR. fold F. nra.
Qed.
Lemma led_well_ok good t : led_well fine table good t = true -> forall n, led a t n -> good n = true.
Proof.
  induction t as [m|j near IH1 far IH2]; intros h n hn; cbn [led_well led] in *; [now subst|].
  apply andb_prop in h. destruct h as [h1 h2]. destruct (of_ok j) as [o1 o2].
  destruct hn as [[l hn]|[l hn]].
  - apply orb_prop in h1. destruct h1 as [h1|h1]; auto. exfalso. destruct (fst (of table j)) as [lo|]; [|discriminate].
    apply Z.ltb_lt in h1. apply IZR_lt in h1. rewrite mult_IZR in h1. fold F in h1. cbn in o1. fold F in o1. nra.
  - apply orb_prop in h2. destruct h2 as [h2|h2]; auto. exfalso. destruct (snd (of table j)) as [hi|]; [|discriminate].
    apply Z.ltb_lt in h2. apply IZR_lt in h2. rewrite mult_IZR in h2. fold F in h2. cbn in o2. fold F in o2. nra.
Qed.
Lemma led_most_ok good t : forall s b, led_most fine table good t = Some (s, b) ->
  total (map snd (arriving a t)) = 1 /\ (forall x, In x (arriving a t) -> 0 <= snd x)
  /\ (0 <= s)%Z /\ (exists x, In x (arriving a t) /\ IZR s <= F * snd x)
  /\ forall n p, In (n, p) (arriving a t) -> good n = false ->
     p = 0 \/ (exists x, In x (arriving a t) /\ p < snd x) \/ exists y, b = Some y /\ F * p <= IZR y.
Proof.
  induction t as [m|j near IH1 far IH2]; intros s b h; cbn [led_most arriving] in *.
  - inv_some; subst. cbn [map total snd]. repeat split; try lra; try lia.
    + intros x [<-|[]]. cbn. lra.
    + exists (m, 1). split; [now left|]. cbn. fold F. lra.
    + intros n p [e|[]] g. inv_some. right. right. rewrite g. exists (Zpos fine). split; auto. fold F. lra.
  - destruct (led_most fine table good near) as [[s1 b1]|]; [|discriminate].
    destruct (led_most fine table good far) as [[s2 b2]|]; [|discriminate].
    pose proof (of_ok j) as hj. destruct (of table j) as [[lo|] [hi|]]; try discriminate.
    destruct (_ && _)%bool eqn:e; [|discriminate]. bools. apply some_inj in h. apply pair_equal_spec in h. destruct h as [<- <-].
    destruct (IH1 _ _ eq_refl) as [T1 [N1 [P1 [E1 B1]]]]. destruct (IH2 _ _ eq_refl) as [T2 [N2 [P2 [E2 B2]]]]. clear IH1 IH2.
    destruct hj as [h1 h2]. cbn in h1, h2. fold F in h1, h2. apply IZR_le in H, H0. fold F in H0. set (r := a j) in *.
    assert (r0 : 0 <= r) by nra. assert (r1 : r <= 1) by nra.
    set (near_ := map (fun x => (fst x, (1 - r) * snd x)) (arriving a near)).
    set (far_ := map (fun x => (fst x, r * snd x)) (arriving a far)).
    assert (MAP : forall c (l : list (nat * R)), map snd (map (fun x => (fst x, c * snd x)) l) = map (fun y => c * y) (map snd l)).
    { intros c l. rewrite !map_map. reflexivity. }
    assert (IN1 : forall x, In x (arriving a near) -> In (fst x, (1 - r) * snd x) (near_ ++ far_)).
    { intros x hx. apply in_or_app. left. unfold near_. apply in_map_iff. exists x. auto. }
    assert (IN2 : forall x, In x (arriving a far) -> In (fst x, r * snd x) (near_ ++ far_)).
    { intros x hx. apply in_or_app. right. unfold far_. apply in_map_iff. exists x. auto. }
    (* what certainly arrives at some leaf of a side *)
    assert (SURE : forall (k q : Z) c (x : nat * R), (0 <= q)%Z -> IZR k <= F * c -> 0 <= c -> IZR q <= F * snd x -> IZR (fl (k * q) (Zpos fine)) <= F * (c * snd x)).
    { intros k q c x q0 kc c0 qx. pose proof (fl_le (k * q) (Zpos fine) ltac:(lia)) as d. rewrite mult_IZR in d. fold F in d.
      apply IZR_le in q0. apply Rmult_le_reg_r with F; auto. eapply Rle_trans; [exact d|].
      apply Rle_trans with (F * c * IZR q); [apply Rmult_le_compat_r; lra|].
      replace (F * (c * snd x) * F) with (F * c * (F * snd x)) by ring. apply Rmult_le_compat_l; [nra|lra]. }
    assert (FM : forall k, (0 <= k)%Z -> forall q, (0 <= q)%Z -> (0 <= fl (k * q) (Zpos fine))%Z).
    { intros k k0 q q0. unfold fl. apply Z.div_pos; nia. }
    assert (Lo : (0 <= lo)%Z) by (now apply le_IZR). assert (Hi : (hi <= Zpos fine)%Z) by (apply le_IZR; exact H0).
    set (u := fl ((Z.pos fine - hi) * s1) (Z.pos fine)). set (u' := fl (lo * s2) (Z.pos fine)).
    assert (U0 : (0 <= u)%Z) by (apply FM; lia).
    assert (U1 : exists x, In x (near_ ++ far_) /\ IZR u <= F * snd x).
    { destruct E1 as [x [x1 x2]]. exists (fst x, (1 - r) * snd x). split; auto. cbn. apply SURE; auto; [|lra]. rewrite minus_IZR. fold F. lra. }
    assert (U2 : exists x, In x (near_ ++ far_) /\ IZR u' <= F * snd x).
    { destruct E2 as [x [x1 x2]]. exists (fst x, r * snd x). split; auto. cbn. apply SURE; auto. }
    repeat split.
    + rewrite map_app. unfold near_, far_. rewrite !MAP.
      assert (APP : forall xs ys, total (xs ++ ys) = total xs + total ys) by (induction xs; intros; cbn; [lra|rewrite IHxs; lra]).
      rewrite APP, !total_scal, T1, T2. ring.
    + intros x hx. apply in_app_or in hx. destruct hx as [hx|hx]; apply in_map_iff in hx; destruct hx as [y [<- hy]]; cbn.
      * apply Rmult_le_pos; [lra|]. now apply N1.
      * apply Rmult_le_pos; [lra|]. now apply N2.
    + lia.
    + destruct (Z.max_spec u u') as [[_ ->]|[_ ->]]; auto.
    + (* of a side: its share c, at most k over F *)
      assert (SIDE : forall c (k y : Z) p, 0 <= c -> F * c <= IZR k -> 0 <= p -> F * p <= IZR y -> F * (c * p) <= IZR (ce (k * y) (Zpos fine))).
      { intros c k y p c0 ck p0 py. pose proof (ce_ge (k * y) (Zpos fine) ltac:(lia)) as d. rewrite mult_IZR in d. fold F in d.
        apply Rmult_le_reg_r with F; auto. eapply Rle_trans; [|exact d].
        replace (F * (c * p) * F) with (F * c * (F * p)) by ring. apply Rmult_le_compat; auto; nra. }
      assert (MOST : forall (x y : option Z) v, In (Some v) [x; y] -> exists w, zmost [x; y] = Some w /\ (v <= w)%Z).
      { intros x y v hv. destruct (zmost [x; y]) as [w|] eqn:ew.
        - exists w. split; auto. eapply zmost_ge; eauto.
        - exfalso. destruct hv as [e|[e|[]]]; subst; cbn in ew; [destruct y|destruct x]; discriminate. }
      intros n p hp g. apply in_app_or in hp. destruct hp as [hp|hp]; apply in_map_iff in hp; destruct hp as [[n' p'] [ep hp]]; cbn in ep; inv_some.
      * pose proof (N1 _ hp) as p0. cbn in p0.
        destruct (B1 _ _ hp g) as [->|[[x [x1 x2]]|[y [-> hy]]]]; [left; ring| |].
        -- destruct (Req_dec (1 - r) 0) as [z|z]; [left; rewrite z; ring|]. right. left. exists (fst x, (1 - r) * snd x). split; auto. cbn.
           apply Rmult_lt_compat_l; lra.
        -- right. pose proof (SIDE (1 - r) (Z.pos fine - lo)%Z y p' ltac:(lra) ltac:(rewrite minus_IZR; fold F; lra) p0 hy) as w.
           set (v := ce ((Z.pos fine - lo) * y) (Z.pos fine)) in *. destruct (v <? u')%Z eqn:ev.
           ++ left. destruct U2 as [x [x1 x2]]. exists x. split; auto. apply Z.ltb_lt in ev. apply IZR_lt in ev. apply Rmult_lt_reg_l with F; lra.
           ++ right. destruct (MOST (Some v) (match b2 with Some x => let y0 := ce (hi * x) (Z.pos fine) in if (y0 <? u)%Z then None else Some y0 | None => None end) v) as [w' [e1 e2]]; [now left|].
              exists w'. split; [exact e1|]. apply IZR_le in e2. lra.
      * pose proof (N2 _ hp) as p0. cbn in p0.
        destruct (B2 _ _ hp g) as [->|[[x [x1 x2]]|[y [-> hy]]]]; [left; ring| |].
        -- destruct (Req_dec r 0) as [z|z]; [left; rewrite z; ring|]. right. left. exists (fst x, r * snd x). split; auto. cbn.
           apply Rmult_lt_compat_l; lra.
        -- right. pose proof (SIDE r hi y p' r0 h2 p0 hy) as w.
           set (v := ce (hi * y) (Z.pos fine)) in *. destruct (v <? u)%Z eqn:ev.
           ++ left. destruct U1 as [x [x1 x2]]. exists x. split; auto. apply Z.ltb_lt in ev. apply IZR_lt in ev. apply Rmult_lt_reg_l with F; lra.
           ++ right. destruct (MOST (match b1 with Some x => let y0 := ce ((Z.pos fine - lo) * x) (Z.pos fine) in if (y0 <? u')%Z then None else Some y0 | None => None end) (Some v) v) as [w' [e1 e2]]; [right; now left|].
              exists w'. split; [exact e1|]. apply IZR_le in e2. lra.
Qed.
Lemma largest_ok good t s : led_most fine table good t = Some (s, None) -> forall n, largest a t n -> good n = true.
Proof.
  intros h n [p [hp top]]. destruct (led_most_ok _ _ _ _ h) as [one [N [_ [_ B]]]]. destruct (good n) eqn:g; auto. exfalso.
  destruct (B _ _ hp g) as [->|[[x [x1 x2]]|[y [q _]]]]; [|specialize (top _ x1); lra|discriminate].
  assert (Z0 : total (map snd (arriving a t)) <= 0); [|lra].
  clear - top. induction (arriving a t) as [|x l IH]; cbn; [lra|]. specialize (IH (fun y hy => top y (or_intror hy))).
  specialize (top x (or_introl eq_refl)). lra.
Qed.
Lemma group_end_ok w g e : w <> 0%Z -> group_end table w g = Some e -> IZR (w * e) <= F * (IZR w * most (map a g)).
Proof.
  intros hw. unfold group_end. rewrite mult_IZR. destruct (0 <? w)%Z eqn:ew; bools.
  - intros h. apply zmost_in in h. apply in_map_iff in h. destruct h as [j [ej hj]].
    assert (hm : a j <= most (map a g)) by (apply most_ge, in_map; auto).
    destruct (of_ok j) as [h1 _]. rewrite ej in h1. cbn in h1. fold F in h1. apply IZR_lt in ew.
    assert (IZR e <= F * most (map a g)) by nra. nra.
  - destruct (all_some _) as [u|] eqn:eu; [|discriminate]. intros h.
    assert (ne : map a g <> []).
    { destruct g; [cbn in eu; inv_some; subst; discriminate|discriminate]. }
    pose proof (most_in _ ne) as hin. apply in_map_iff in hin. destruct hin as [j [ej hj]].
    apply all_some_map in eu. assert (hs : In (snd (of table j)) (map Some u)).
    { rewrite <- eu. apply in_map_iff. eauto. }
    apply in_map_iff in hs. destruct hs as [b [eb hb]].
    destruct (of_ok j) as [_ h2]. rewrite <- eb in h2. cbn in h2. fold F in h2.
    assert (b <= e)%Z by (eapply zmost_ge; [exact h|now apply in_map]). apply IZR_le in H.
    rewrite <- ej. assert (IZR w < 0) by (apply IZR_lt; lia). assert (F * a j <= IZR e) by lra. nra.
Qed.
Lemma lower_groups_ok g : forall w v, lower_groups table w g = Some v ->
  IZR v <= F * sumn (length g) (fun x => at_ w x * most (map a (nth x g []))).
Proof.
  induction g as [|one r IH]; intros w v h; cbn [lower_groups length sumn nth] in *.
  - inv_some; subst. lra.
  - destruct (lower_groups table (tl w) r) as [s|] eqn:es; [|discriminate]. specialize (IH _ _ es).
    replace (sumn (length r) (fun i => at_ w (S i) * most (map a (nth i r []))))
      with (sumn (length r) (fun x => at_ (tl w) x * most (map a (nth x r [])))).
    2:{ apply sumn_ext. intros i _. unfold at_. destruct w; [destruct i|]; reflexivity. }
    replace (at_ w 0) with (IZR (hd 0%Z w)) by (destruct w; reflexivity).
    destruct (hd 0 w =? 0)%Z eqn:e0; bools.
    + inv_some; subst. rewrite e0. lra.
    + destruct (group_end table (hd 0%Z w) one) as [e|] eqn:ee; [|discriminate]. inv_some; subst v.
      apply group_end_ok in ee; auto. rewrite plus_IZR. lra.
Qed.
End Scores.
End Sound.
