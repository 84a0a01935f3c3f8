(** Contrasts, size bounds, parts: the checker of [Claims.v]. All rest on single latents that are
    predicted otherwise; what these break is computed from them. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool Classical.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound Sufficient Point Theorems Claims.
Import ListNotations.
Local Open Scope Z_scope.

(** ** Which float64 facts about a number hold of another one *)
Definition tiny : positive := (2 ^ 1074)%positive.
Definition two (k : Z) : Z := Z.shiftl 1 k.
(** a / tiny is not below any float64 number that is not above a number in [i] *)
Definition tight (unit : positive) (i : itv) : option Z :=
  match fst i, snd i with
  | Some p, Some q =>
      let n := fl (p * Zpos tiny) (Zpos unit) in
      let k := Z.max 0 (Z.log2 (if n <? 0 then - n - 1 else n) - 52) in
      let m := n / two k in
      if (0 <=? k) && ((k =? 0) || (two 52 <=? m) || (m + 1 <=? - two 52)) && (q * Zpos tiny <? (m + 1) * two k * Zpos unit)
      then Some (m * two k) else None
  | _, _ => None
  end.
Definition minus (i : itv) : itv := (option_map Z.opp (snd i), option_map Z.opp (fst i)).
Definition above_end (e : option Z) (unit : positive) (i : itv) : bool :=
  match e with Some a => at_least i unit tiny a | None => false end.
(** the same number; or one that is too far away for a closer look *)
Definition same (u v : positive) (i j : itv) : bool :=
  match i, j with
  | (Some a, Some b), (Some x, Some y) => (a =? b) && (x =? y) && (a * Zpos v =? x * Zpos u)
  | _, _ => false
  end.
Definition far (u v : positive) (i j : itv) : bool :=
  match fst i, fst j with
  | Some a, Some x => Z.abs (a * Zpos v) <? two 40 * Z.abs (a * Zpos v - x * Zpos u)
  | _, _ => true
  end.
(** every float64 fact that is true of a number in [i] holds of the numbers in [j] *)
Definition held (u v : positive) (i j : itv) : bool :=
  same u v i j || (negb (far u v i j) && above_end (tight u i) v j && above_end (tight u (minus i)) v (minus j)).

(** ** Single latents *)
Record elsewhere := Elsewhere { eden : positive; epoint : list (list Z) }.

Section Latents.
Variable isqrt : Z -> Z.
Variable S : statement.
Variable C : certificate.
Let H := network S.
Let c := compile H.
Definition entries_there (p : elsewhere) : list entry := entries_of isqrt S C c (eden p) (epoint p).
(** inside the domain, and predicted so *)
Definition inside_ok (p : elsewhere) (es : list entry) : bool := point_ok isqrt S C c (eden p) (epoint p) [] es.
Definition decided_at (p : elsewhere) (es : list entry) (k : nat) : bool :=
  match claimed S with
  | Class a => Nat.ltb k (nclass H) && negb (Nat.eqb k a) &&
      forallb (fun i => Nat.eqb i k || positive_at isqrt S C c (eden p) es (over H k i)) (seq 0 (nclass H))
  | Labels ls => plain (feature H) && existsb (fun x => Nat.eqb (fst x) k && positive_at isqrt S C c (eden p) es (signed H (fst x) (negb (snd x)))) ls
  end.

(** the pairs that are broken; only locations that moved can have any *)
Definition moved (p : elsewhere) (l : nat) : bool :=
  negb (all_zero (vadd (vscale (Zpos (eden p)) (nth l (point S) [])) (vscale (- Zpos (pden S)) (nth l (epoint p) [])))).
Fixpoint broken_at (ps qs : array (list Z * Z)) (p : elsewhere) (l : nat) (first : Z) (j : nat) (protos_ scales_ : list (list Z))
    : list (Z * (nat * nat)) :=
  match protos_ with
  | [] => []
  | x :: r =>
      let rest := broken_at ps qs p l (first + 1) (Datatypes.S j) r (tl scales_) in
      let n := norm2 x in
      let at_ := fun den pts => measured_at isqrt H (fine C) (rounds C) den pts x (hd [] scales_) n (span_at H j) l in
      if measures_ c l j && negb (held (punit H (fine C) (pden S)) (punit H (fine C) (eden p)) (at_ (pden S) ps) (at_ (eden p) qs))
      then (first, (l, j)) :: rest else rest
  end.
Fixpoint broken_from (ps qs : array (list Z * Z)) (p : elsewhere) (first width : Z) (ls : list nat) : list (Z * (nat * nat)) :=
  match ls with
  | [] => []
  | l :: r =>
      let rest := broken_from ps qs p (first + width) width r in
      if moved p l then broken_at ps qs p l first 0 (protos H) (scales H) ++ rest else rest
  end.
Definition zlength {A} (xs : list A) : Z := fold_right (fun _ n => n + 1) 0 xs.
Definition broken (p : elsewhere) : list (Z * (nat * nat)) :=
  broken_from (squared_points (point S)) (squared_points (epoint p)) p 0 (zlength (protos H)) (seq 0 (nloc H)).

Definition check_contrast (p : elsewhere) (k n : nat) : bool :=
  let es := entries_there p in
  lengths_fit H && has_places c (nproto H) && fits_points H (point S) &&
  inside_ok p es && decided_at p es k && Nat.leb (length (broken p)) n.
End Latents.

(** ** Case distinctions over facts *)
Inductive distinction :=
| Packing (scale : positive) (weights : list (nat * Z))
| Branch (fact : Z) (within outside : distinction).

Definition among (x : Z) (xs : list Z) : bool := existsb (Z.eqb x) xs.
(** adds w to what every fact of c carries *)
Fixpoint carry (s w : Z) (more : list (Z * Z) -> list (Z * Z)) (l : list (Z * Z)) : list (Z * Z) :=
  match l with
  | [] => (s, w) :: more []
  | (t, v) :: r => if t <? s then (t, v) :: carry s w more r
                   else if t =? s then (t, v + w) :: more r else (s, w) :: more l
  end.
Fixpoint load (w : Z) (c : list Z) (l : list (Z * Z)) : list (Z * Z) :=
  match c with [] => l | s :: r => carry s w (load w r) l end.
Fixpoint ascending (l : list (Z * Z)) : bool :=
  match l with [] => true | x :: r => match r with [] => true | y :: _ => (fst x <? fst y) && ascending r end end.
Fixpoint loads (clauses : array (option (list Z))) (inside outside : list Z) (ws : list (nat * Z)) : option (list (Z * Z) * Z) :=
  match ws with
  | [] => Some ([], 0)
  | (i, w) :: r =>
      match get clauses i, loads clauses inside outside r with
      | Some (Some cl), Some (l, sum) =>
          if (0 <=? w) && forallb (fun s => negb (among s inside)) cl
          then Some (load w (filter (fun s => negb (among s outside)) cl) l, sum + w) else None
      | _, _ => None
      end
  end.
(** the least number of facts, over all cases *)
Fixpoint fewest (clauses : array (option (list Z))) (inside outside : list Z) (count : Z) (t : distinction) : option Z :=
  match t with
  | Packing scale ws =>
      match loads clauses inside outside ws with
      | Some (l, sum) =>
          if ascending l && forallb (fun x => snd x <=? Zpos scale) l then Some (count + ce sum (Zpos scale)) else None
      | None => None
      end
  | Branch f t1 t2 =>
      if among f inside then None else
      match fewest clauses (f :: inside) outside (count + 1) t1, fewest clauses inside (f :: outside) count t2 with
      | Some a, Some b => Some (Z.min a b)
      | _, _ => None
      end
  end.

(** ** Size bounds *)
(** of one prototype at the recorded latent: its value, its level, and the end of ceilings there *)
Record seat := Seat { its_value : itv; its_level : itv; its_end : option Z }.
(** what one latent that loses breaks: pairs, values; and, per ceiling, whether it is respected *)
Record refuted := Refuted { pairs_of : list Z; values_of : list Z; respected : list bool }.

Section Size.
Variable isqrt : Z -> Z.
Variable S : statement.
Variable C : certificate.
Variable lv : level.
Let H := network S.
Let c := compile H.
Definition lunit (den : positive) : positive := match lv with Values => punit H (fine C) den | Activations => fine C end.
Definition level_in (e : entry) : itv := match lv with Values => fst e | Activations => minus (snd e) end.
Definition seat_of (e : entry) : seat :=
  let l := level_in e in Seat (fst e) l (tight (lunit (pden S)) l).
Definition before (i j : itv) : bool :=              (* certainly less *)
  match snd i, fst j with Some a, Some b => a <? b | _, _ => false end.
Fixpoint broken_values (den : positive) (number : Z) (here : list seat) (es : list entry) : list Z :=
  match here, es with
  | h :: hs, e :: r =>
      let rest := broken_values den (number + 1) hs r in
      if held (punit H (fine C) (pden S)) (punit H (fine C) den) (its_value h) (fst e) then rest else number :: rest
  | _, _ => []
  end.
(** the ceiling at the level of a seat: whoever is not below it stays above *)
Fixpoint respects (den : positive) (s : seat) (here : list seat) (es : list entry) : bool :=
  match here, es with
  | h :: hs, e :: r =>
      (before (its_level h) (its_level s) || above_end (its_end s) (lunit den) (level_in e)) && respects den s hs r
  | _, _ => true
  end.
Definition examined (V : vocabulary) (here : list seat) (r : nat * elsewhere) : option refuted :=
  let (k, p) := r in
  let es := entries_there isqrt S C p in
  if inside_ok isqrt S C p es && loses_at isqrt S C c (eden p) es k then
    let pairs := match V with Pairs | Mixed => map fst (broken isqrt S C p) | _ => [] end in
    let first := match V with Mixed => zlength (lbank H) * zlength (protos H) | _ => 0 end in
    Some (Refuted pairs (broken_values (eden p) first here es)
      (match V with Ceiling | Mixed => map (fun s => respects (eden p) s here es) here | _ => [] end))
  else None.
Fixpoint not_respected (number : Z) (bs : list bool) : list Z :=
  match bs with [] => [] | b :: r => let rest := not_respected (number + 1) r in if b then rest else number :: rest end.
Definition clause (V : vocabulary) (r : refuted) : list Z :=
  match V with
  | Pairs => pairs_of r
  | Mixed => pairs_of r ++ values_of r ++ not_respected (zlength (lbank H) * zlength (protos H) + zlength (protos H)) (respected r)
  | _ => values_of r
  end.

(** of the k most activated ones: a latent that keeps them, and stays under the ceiling of number [last] *)
Fixpoint count_ (f : nat -> seat -> bool) (j : nat) (here : list seat) : nat :=
  match here with [] => O | h :: r => let n := count_ f (Datatypes.S j) r in if f j h then Datatypes.S n else n end.
Definition not_after (i j : itv) : bool := match snd i, fst j with Some a, Some b => a <=? b | _, _ => false end.
Fixpoint keeps (den : positive) (k : nat) (all : list seat) (top : option Z) (here : list seat) (es : list entry) : bool :=
  match here, es with
  | h :: hs, e :: r =>
      ((held (punit H (fine C) (pden S)) (punit H (fine C) den) (its_value h) (fst e) && above_end (its_end h) (lunit den) (level_in e))
       || (above_end top (lunit den) (level_in e) && Nat.leb k (count_ (fun _ s => before (its_level s) (its_level h)) 0 all)))
      && keeps den k all top hs r
  | _, _ => true
  end.
(** levels that are no larger than that of number [last] *)
Definition low_enough (last : nat) (top : itv) (j : nat) (s : seat) : bool := Nat.eqb j last || not_after (its_level s) top.
Definition top_refuted (k : nat) (here : list seat) (r : nat * elsewhere) (last : nat) : bool :=
  match nth_error here last with
  | Some s =>
      let p := snd r in let es := entries_there isqrt S C p in
      inside_ok isqrt S C p es && loses_at isqrt S C c (eden p) es (fst r)
      && Nat.leb k (count_ (low_enough last (its_level s)) 0 here) && keeps (eden p) k here (its_end s) here es
  | None => false
  end.

Inductive size_proof :=
| Distinctions (refutations : list (nat * elsewhere)) (covers : list (list nat * distinction))
| Top (found : option (nat * elsewhere * nat)).

Definition reaches (n : nat) (found : option Z) : bool := match found with Some m => Z.of_nat n <=? m | None => false end.
Definition usable (V : vocabulary) (cover : list nat) (r : refuted) : option (list Z) :=
  if forallb (fun i => nth i (respected r) false) cover then Some (clause V r) else None.
Definition check_size (V : vocabulary) (n : nat) (proof : size_proof) : bool :=
  let here := map seat_of (entries_of isqrt S C c (pden S) (point S)) in
  lengths_fit H && has_places c (nproto H) && (0 <=? slack H) && fits_points H (point S) &&
  match proof with
  | Top found =>
      match V with TopK => true | _ => false end &&
      (Nat.leb n 2 || match found with Some (r, last) => top_refuted (n - 2) here r last | None => false end)
  | Distinctions rs covers =>
      match all_some (map (examined V here) rs) with
      | None => false
      | Some found =>
          match V, covers with
          | TopK, _ => false
          | Ceiling, _ =>
              Nat.ltb 0 (nproto H)
              && forallb (fun j => existsb (fun cv => existsb (Nat.eqb j) (fst cv)) covers) (seq 0 (nproto H))
              && forallb (fun cv => reaches n (option_map (Z.add 1)
                   (fewest (of_list (map (usable V (fst cv)) found)) [] [] 0 (snd cv)))) covers
          | _, [(_, t)] => reaches n (fewest (of_list (map (fun r => Some (clause V r)) found)) [] [] 0 t)
          | _, _ => false
          end
      end
  end.
End Size.

(** ** Soundness *)
Local Open Scope R_scope.
Lemma IZR_tiny : IZR (2 ^ 1074) = IZR (Zpos tiny).
Proof. f_equal. Qed.
Lemma two_pow k : two k = (2 ^ k)%Z.
Proof. unfold two. apply Z.shiftl_1_l. Qed.
Lemma float64_opp x : float64 x -> float64 (- x).
Proof.
  intros [m [k [h1 [h2 ->]]]]. exists (- m)%Z, k. rewrite Z.abs_opp. repeat split; auto.
  rewrite Z.mul_opp_l, opp_IZR. unfold Rdiv. ring.
Qed.
Lemma inI_minus u i x : inI u i x -> inI u (minus i) (- x).
Proof.
  intros [h1 h2]. unfold minus. split; cbn [fst snd].
  - destruct (snd i) as [b|]; cbn in *; [|exact I]. rewrite opp_IZR. lra.
  - destruct (fst i) as [a|]; cbn in *; [|exact I]. rewrite opp_IZR. lra.
Qed.
Lemma gap m k m' k' : (0 <= k)%Z -> (0 <= k')%Z -> (k = 0 \/ 2 ^ 52 <= m \/ m + 1 <= - 2 ^ 52)%Z -> (Z.abs m' < 2 ^ 53)%Z ->
  (m' * 2 ^ k' < (m + 1) * 2 ^ k)%Z -> (m' * 2 ^ k' <= m * 2 ^ k)%Z.
Proof.
  intros h1 h2 h3 h4 h5. pose proof (Z.pow_pos_nonneg 2 k ltac:(lia) h1) as p1. pose proof (Z.pow_pos_nonneg 2 k' ltac:(lia) h2) as p2.
  destruct (Z.le_gt_cases k k') as [hk|hk].
  - replace k' with ((k' - k) + k)%Z in * by lia. rewrite Z.pow_add_r in * by lia.
    set (A := (2 ^ (k' - k))%Z) in *. set (B := (2 ^ k)%Z) in *. assert (m' * A < m + 1)%Z by nia. nia.
  - replace k with ((k - 1 - k') + 1 + k')%Z in * by lia. rewrite !Z.pow_add_r in * by lia. change (2 ^ 1)%Z with 2%Z in *.
    pose proof (Z.pow_pos_nonneg 2 (k - 1 - k') ltac:(lia) ltac:(lia)) as p3.
    set (A := (2 ^ (k - 1 - k'))%Z) in *. set (B := (2 ^ k')%Z) in *. change (2 ^ 53)%Z with (2 * 2 ^ 52)%Z in h4.
    assert (0 < 2 ^ 52)%Z by (apply Z.pow_pos_nonneg; lia). set (W := (2 ^ 52)%Z) in *. clearbody W A B.
    assert (AB : (B <= A * B)%Z) by nia.
    destruct h3 as [h3|[h3|h3]]; [lia| |].
    + assert (m' < 2 * W)%Z by lia. assert (m' * B <= 2 * W * B)%Z by nia. assert (2 * W * B <= m * (A * 2 * B))%Z by nia. lia.
    + exfalso. assert (- (2 * W) < m')%Z by lia. assert (- (2 * W) * B <= m' * B)%Z by nia.
      assert ((m + 1) * (A * 2 * B) <= - W * (A * 2 * B))%Z by nia. nia.
Qed.
Lemma tight_ok u i x a b : inI u i x -> tight u i = Some a -> float64 b -> b <= x -> b <= val (a, tiny).
Proof.
  intros [h1 h2] e [m' [k' [m1 [k1 ->]]]] hb. rewrite IZR_tiny in *. unfold tight in e.
  destruct (fst i) as [p|] eqn:ep; [|discriminate]. destruct (snd i) as [q|] eqn:eq_; [|discriminate]. cbn [above below] in h1, h2.
  set (k := Z.max 0 _) in e. set (m := Z.div _ (two k)) in e. clearbody m.
  destruct (_ && _)%bool eqn:g; [|discriminate]. apply some_inj in e. subst a. rewrite !two_pow in *.
  apply andb_prop in g. destruct g as [g hq]. apply andb_prop in g. destruct g as [g1 g2]. apply Z.leb_le in g1. apply Z.ltb_lt in hq.
  unfold val; cbn [fst snd]. pose proof (posR tiny) as tp. pose proof (posR u) as up. set (T := Zpos tiny) in *. clearbody T.
  apply Rmult_le_compat_r; [apply Rlt_le; now apply Rinv_0_lt_compat|]. apply IZR_le.
  assert (lt : (m' * 2 ^ k' < (m + 1) * 2 ^ k)%Z).
  { apply lt_IZR. apply IZR_lt in hq. rewrite !mult_IZR in hq.
    rewrite (mult_IZR (m + 1)). set (N := IZR (m' * 2 ^ k')) in *. set (M := IZR (m + 1) * IZR (2 ^ k)) in *.
    assert (N <= x * IZR T). { apply Rmult_le_reg_r with (/ IZR T); [now apply Rinv_0_lt_compat|]. rewrite Rmult_assoc, Rinv_r, Rmult_1_r by lra. exact hb. }
    assert (x * IZR T * IZR (Z.pos u) <= IZR q * IZR T) by nra. apply Rmult_lt_reg_r with (IZR (Z.pos u)); auto.
    assert (N * IZR (Z.pos u) <= x * IZR T * IZR (Z.pos u)) by (apply Rmult_le_compat_r; [apply Rlt_le; exact up|assumption]).
    eapply Rle_lt_trans; [eassumption|]. eapply Rle_lt_trans; [eassumption|exact hq]. }
  apply gap; auto.
  apply orb_prop in g2. destruct g2 as [g2|g2]; [apply orb_prop in g2; destruct g2 as [g2|g2]|].
  - left. now apply Z.eqb_eq.
  - right; left. now apply Z.leb_le.
  - right; right. now apply Z.leb_le.
Qed.

Lemma above_end_ok e u i y a : above_end e u i = true -> e = Some a -> inI u i y -> val (a, tiny) <= y.
Proof. intros h -> hi. cbn [above_end] in h. eapply at_least_ok; eauto. Qed.
(** a float64 lower bound of x, where [tight u i] is known of x, and [j] is above it *)
Lemma tight_above u v i j x y b : inI u i x -> inI v j y -> above_end (tight u i) v j = true -> float64 b -> b <= x -> b <= y.
Proof.
  intros hx hy h fb hb. destruct (tight u i) as [a|] eqn:e; [|discriminate].
  pose proof (tight_ok u i x a b hx e fb hb). pose proof (above_end_ok _ v j y a h eq_refl hy). lra.
Qed.
Lemma same_ok u v i j x y : same u v i j = true -> inI u i x -> inI v j y -> x = y.
Proof.
  destruct i as [[a|] [b|]], j as [[p|] [q|]]; cbn; try discriminate. intros h [x1 x2] [y1 y2]. cbn in *.
  apply andb_prop in h. destruct h as [h h3]. apply andb_prop in h. destruct h as [h1 h2].
  apply Z.eqb_eq in h1, h2, h3. subst b q. apply (f_equal IZR) in h3. rewrite !mult_IZR in h3.
  pose proof (posR u). pose proof (posR v). set (U := IZR (Z.pos u)) in *. set (V := IZR (Z.pos v)) in *.
  assert (U * x = IZR a) by lra. assert (V * y = IZR p) by lra.
  assert (E : U * V * x = U * V * y) by nra. apply Rmult_eq_reg_l in E; auto. nra.
Qed.
Lemma held_ok u v i j x y lo hi : held u v i j = true -> inI u i x -> inI v j y -> float64 lo -> float64 hi ->
  lo <= x <= hi -> lo <= y <= hi.
Proof.
  unfold held. intros h hx hy fl_ fh [x1 x2]. apply orb_prop in h. destruct h as [h|h].
  - rewrite <- (same_ok u v i j x y h hx hy). lra.
  - apply andb_prop in h. destruct h as [h h2]. apply andb_prop in h. destruct h as [_ h1]. split.
    + apply (tight_above u v i j x y lo); auto.
    + assert (- hi <= - y); [|lra].
      apply (tight_above u v (minus i) (minus j) (- x) (- y) (- hi)); auto using inI_minus, float64_opp. lra.
Qed.

(** ** Distinctions: every explanation has a fact of every clause *)
Local Open Scope Z_scope.
Section Distinctions.
Variable clauses : array (option (list Z)).
Variable facts_ : list Z.
Hypothesis once : NoDup facts_.
Hypothesis hit : forall i cl, get clauses i = Some (Some cl) -> exists s, In s cl /\ In s facts_.

Fixpoint carried (s : Z) (l : list (Z * Z)) : Z :=
  match l with [] => 0 | (t, v) :: r => (if t =? s then v else 0) + carried s r end.
Fixpoint times (s : Z) (xs : list Z) : Z := match xs with [] => 0 | x :: r => (if x =? s then 1 else 0) + times s r end.
Lemma times_nonneg s xs : 0 <= times s xs. Proof. induction xs as [|x r IH]; cbn; [lia|]. destruct (x =? s); lia. Qed.
Lemma times_in s xs : In s xs -> 1 <= times s xs.
Proof.
  induction xs as [|x r IH]; intros h; [destruct h|]. cbn. pose proof (times_nonneg s r). destruct h as [->|h].
  - rewrite Z.eqb_refl. lia.
  - specialize (IH h). destruct (x =? s); lia.
Qed.
Lemma carry_ok w t more (n : Z) s : (forall l, carried s (more l) = carried s l + n) ->
  forall l, carried s (carry t w more l) = carried s l + (if t =? s then w else 0) + n.
Proof.
  intros hm. induction l as [|[x v] r IH]; cbn [carry carried].
  - rewrite hm. cbn [carried]. lia.
  - destruct (x <? t) eqn:e1; cbn [carried]; [rewrite IH; lia|]. destruct (x =? t) eqn:e2; cbn [carried].
    + apply Z.eqb_eq in e2. subst x. rewrite hm. destruct (t =? s); lia.
    + rewrite hm. cbn [carried]. lia.
Qed.
Lemma load_ok w s c : forall l, carried s (load w c l) = carried s l + w * times s c.
Proof.
  induction c as [|x r IH]; intros l; cbn [load times]; [lia|].
  rewrite (carry_ok w x (load w r) (w * times s r) s IH). destruct (x =? s); lia.
Qed.
Lemma carried_above l s : ascending l = true -> (match l with [] => True | x :: _ => s < fst x end) -> carried s l = 0.
Proof.
  induction l as [|[t v] r IH]; intros ha hs; cbn [carried fst] in *; auto. destruct (t =? s) eqn:e; [apply Z.eqb_eq in e; lia|].
  cbn. destruct r as [|[t2 v2] r]; [reflexivity|]. cbn [ascending fst] in ha. apply andb_prop in ha. destruct ha as [h1 h2]. apply Z.ltb_lt in h1.
  apply IH; auto. cbn. lia.
Qed.
Lemma carried_le l s k : 0 <= k -> ascending l = true -> forallb (fun x => snd x <=? k) l = true -> carried s l <= k.
Proof.
  intros hk. induction l as [|[t v] r IH]; intros ha hf; cbn [carried] in *; auto.
  cbn [forallb snd] in hf. apply andb_prop in hf. destruct hf as [h1 h2]. apply Z.leb_le in h1.
  assert (ar : ascending r = true). { cbn [ascending] in ha. destruct r; auto. apply andb_prop in ha. apply ha. }
  destruct (t =? s) eqn:e; [|specialize (IH ar h2); lia]. apply Z.eqb_eq in e. subst t.
  rewrite (carried_above r s ar); [lia|]. destruct r as [|[t2 v2] r]; auto. cbn [ascending fst] in ha. apply andb_prop in ha. destruct ha as [ha _]. apply Z.ltb_lt in ha. cbn. lia.
Qed.
Fixpoint zsum (f : Z -> Z) (xs : list Z) : Z := match xs with [] => 0 | x :: r => f x + zsum f r end.
Lemma zsum_plus f g xs : zsum (fun x => f x + g x) xs = zsum f xs + zsum g xs.
Proof. induction xs; cbn; lia. Qed.
Lemma zsum_scal k f xs : zsum (fun x => k * f x) xs = k * zsum f xs.
Proof. induction xs; cbn; lia. Qed.
Lemma zsum_nonneg f xs : (forall x, 0 <= f x) -> 0 <= zsum f xs.
Proof. intros h. induction xs as [|x r IH]; cbn; [lia|]. specialize (h x). lia. Qed.
Lemma zsum_one f xs s : (forall x, 0 <= f x) -> In s xs -> f s <= zsum f xs.
Proof.
  intros h. induction xs as [|x r IH]; intros hi; [destruct hi|]. cbn. destruct hi as [->|hi].
  - pose proof (zsum_nonneg f r h). lia.
  - specialize (IH hi). specialize (h x). lia.
Qed.
Lemma zsum_le f xs k : (forall x, In x xs -> f x <= k) -> zsum f xs <= k * Z.of_nat (length xs).
Proof.
  induction xs as [|x r IH]; intros h; [cbn; lia|]. cbn [zsum length]. rewrite Nat2Z.inj_succ.
  specialize (IH (fun y hy => h y (or_intror hy))). specialize (h x (or_introl eq_refl)). lia.
Qed.
Lemma zsum_ext f g xs : (forall x, f x = g x) -> zsum f xs = zsum g xs.
Proof. intros h. induction xs; cbn; auto. rewrite h, IHxs. reflexivity. Qed.
Lemma among_in x xs : among x xs = true <-> In x xs.
Proof.
  unfold among. rewrite existsb_exists. split.
  - intros [y [h1 h2]]. apply Z.eqb_eq in h2. now subst.
  - intros h. exists x. split; auto. apply Z.eqb_refl.
Qed.
Definition others (inside : list Z) : list Z := filter (fun s => negb (among s inside)) facts_.

Lemma loads_ok inside outside : (forall s, In s outside -> ~ In s facts_) ->
  forall ws l sum, loads clauses inside outside ws = Some (l, sum) -> sum <= zsum (fun s => carried s l) (others inside).
Proof.
  intros ho. induction ws as [|[i w] r IH]; intros l sum h; cbn [loads] in h.
  - inv_some; subst. cbn. rewrite (zsum_ext _ (fun x => 0 * 0)), zsum_scal; [lia|]. reflexivity.
  - destruct (get clauses i) as [[cl|]|] eqn:eg; try discriminate. destruct (loads clauses inside outside r) as [[l' s']|] eqn:el; [|discriminate].
    destruct (_ && _)%bool eqn:g; [|discriminate]. inv_some; subst. apply andb_prop in g. destruct g as [g1 g2]. apply Z.leb_le in g1.
    specialize (IH _ _ eq_refl). set (cl' := filter _ cl).
    rewrite (zsum_ext _ (fun s => carried s l' + w * times s cl')) by (intros; apply load_ok). rewrite zsum_plus, zsum_scal.
    destruct (hit _ _ eg) as [s [h1 h2]].
    assert (1 <= zsum (fun s => times s cl') (others inside)); [|nia].
    etransitivity; [|apply (zsum_one _ _ s); [intros; apply times_nonneg|]].
    + apply times_in. unfold cl'. apply filter_In. split; auto. destruct (among s outside) eqn:e; auto. apply among_in in e. exfalso. eapply ho; eauto.
    + unfold others. apply filter_In. split; auto. rewrite forallb_forall in g2. now apply g2.
Qed.
Lemma others_length inside : NoDup inside -> (forall s, In s inside -> In s facts_) ->
  (length inside + length (others inside) <= length facts_)%nat.
Proof.
  intros nd inc. rewrite <- app_length. apply NoDup_incl_length.
  - assert (no : NoDup (others inside)) by (now apply NoDup_filter).
    assert (D : forall x, In x inside -> ~ In x (others inside)).
    { intros x h1 h2. apply filter_In in h2. destruct h2 as [_ h2]. apply among_in in h1. rewrite h1 in h2. discriminate. }
    revert no D. generalize (others inside). clear inc. induction nd as [|a r na nd IH]; intros o no D; cbn [app]; auto.
    constructor; [|apply IH; auto; intros; apply D; now right].
    intros h. apply in_app_or in h. destruct h as [h|h]; [auto|]. apply (D a); auto. now left.
  - intros x h. apply in_app_or in h. destruct h as [h|h]; auto. apply filter_In in h. apply h.
Qed.
Lemma fewest_ok t : forall inside outside n, NoDup inside -> (forall s, In s inside -> In s facts_) -> (forall s, In s outside -> ~ In s facts_) ->
  fewest clauses inside outside (Z.of_nat (length inside)) t = Some n -> n <= Z.of_nat (length facts_).
Proof.
  induction t as [scale ws|f t1 IH1 t2 IH2]; intros inside outside n nd inc out h; cbn [fewest] in h.
  - destruct (loads clauses inside outside ws) as [[l sum]|] eqn:el; [|discriminate]. destruct (_ && _)%bool eqn:g; [|discriminate].
    inv_some; subst. apply andb_prop in g. destruct g as [g1 g2].
    pose proof (loads_ok inside outside out ws _ _ el) as q1.
    pose proof (zsum_le (fun s => carried s l) (others inside) (Zpos scale)) as q2.
    specialize (q2 (fun x _ => carried_le l x (Zpos scale) ltac:(lia) g1 g2)).
    pose proof (others_length inside nd inc). unfold ce.
    assert (- (- sum / Z.pos scale) <= Z.of_nat (length (others inside))); [|lia].
    assert (- Z.of_nat (length (others inside)) <= - sum / Z.pos scale); [|lia]. apply Z.div_le_lower_bound; lia.
  - destruct (among f inside) eqn:ef; [discriminate|].
    destruct (fewest clauses (f :: inside) outside _ t1) as [a|] eqn:e1; [|discriminate].
    destruct (fewest clauses inside (f :: outside) _ t2) as [b|] eqn:e2; [|discriminate]. inv_some; subst.
    assert (ni : ~ In f inside). { intros hi. apply among_in in hi. congruence. }
    destruct (In_dec Z.eq_dec f facts_) as [hf|hf].
    + assert (a <= Z.of_nat (length facts_)); [|lia]. apply (IH1 (f :: inside) outside); auto.
      * now constructor.
      * intros s [<-|hs]; auto.
      * cbn [length]. rewrite Nat2Z.inj_succ, <- Z.add_1_r. exact e1.
    + assert (b <= Z.of_nat (length facts_)); [|lia]. apply (IH2 inside (f :: outside)); auto. intros s [<-|hs]; auto.
Qed.
End Distinctions.

(** ** Latents that are predicted otherwise *)
Local Open Scope R_scope.
Lemma measurement_ext {sh : shares} H z y l j : (forall d, z l d = y l d) -> measurement H z l j = measurement H y l j.
Proof.
  intros e. unfold measurement. assert (p : product H (z l) j = product H (y l) j) by (apply sumn_ext; intros; now rewrite e).
  assert (q : square_length (channels H) (z l) = square_length (channels H) (y l)) by (apply sumn_ext; intros; now rewrite e).
  destruct (metric H); rewrite ?p, ?q; auto; apply sumn_ext; intros; now rewrite e.
Qed.

(** some leaf counts, however a tree is read *)
Lemma led_some a t : exists n, led a t n.
Proof.
  induction t as [m|j near [x hx] far [y hy]]; [now exists m|]. cbn [led]. destruct (Rle_dec (a j) (1 / 2)) as [h|h].
  - exists x. now left.
  - exists y. right. split; auto. lra.
Qed.
Lemma largest_some a t : exists n, largest a t n.
Proof.
  assert (N : arriving a t <> []).
  { induction t as [m|j near h1 far h2]; cbn [arriving]; [discriminate|]. destruct (arriving a near); [congruence|discriminate]. }
  unfold largest. set (l := arriving a t) in *. clearbody l. induction l as [|[n s] l IH]; [congruence|].
  destruct l as [|y l].
  - exists n, s. split; [now left|]. intros x [<-|[]]. cbn. lra.
  - destruct IH as [m [u [h1 h2]]]; [discriminate|]. destruct (Rle_dec s u) as [h|h].
    + exists m, u. split; [now right|]. intros x [<-|hx]; auto.
    + exists n, s. split; [now left|]. intros x [<-|hx]; [cbn; lra|]. specialize (h2 x hx). lra.
Qed.

Section LatentsSound.
Context {sh : shares}.
Variable isqrt : Z -> Z.
Variable S : statement.
Variable C : certificate.
Let H := network S.
Let c := compile H.
Let v := recorded S.
Hypothesis fit : lengths_fit H = true.
Hypothesis full : has_places c (nproto H) = true.
Hypothesis slack_ok : (0 <= slack H)%Z.
Definition there (p : elsewhere) : latent := spot (eden p) (epoint p).

Lemma inside_ok_ok p : inside_ok isqrt S C p (entries_there isqrt S C p) = true -> fits_points H (epoint p) = true /\ inside S (there p).
Proof. intros h. destruct (point_ok_ok isqrt S C (eden p) (epoint p) [] fit full h) as [h1 [h2 _]]. auto. Qed.
Lemma positive_there p g : fits_points H (epoint p) = true -> positive_at isqrt S C c (eden p) (entries_there isqrt S C p) g = true ->
  ahead H (there p) (fst g) (snd g).
Proof. intros h. now apply positive_at_ok. Qed.
Lemma decided_at_ok p k : fits_points H (epoint p) = true -> decided_at isqrt S C p (entries_there isqrt S C p) k = true -> decided S (there p) k.
Proof.
  intros hp h. unfold decided_at in h. unfold decided. destruct (claimed S) as [a|ls].
  - apply andb_prop in h. destruct h as [h h3]. apply andb_prop in h. destruct h as [h1 h2]. apply Nat.ltb_lt in h1. apply negb_true_iff, Nat.eqb_neq in h2.
    split; auto. split; auto. intros i hi ne. apply over_ok. rewrite forallb_forall in h3. specialize (h3 i ltac:(apply in_seq; lia)).
    apply orb_prop in h3. destruct h3 as [h3|h3]; [apply Nat.eqb_eq in h3; congruence|]. now apply positive_there.
  - apply andb_prop in h. destruct h as [pl h]. apply existsb_exists in h. destruct h as [[i on] [hin h]]. cbn [fst snd] in h.
    apply andb_prop in h. destruct h as [h1 h2]. apply Nat.eqb_eq in h1. subst i.
    exists on. split; auto. apply signed_ok; auto. now apply positive_there.
Qed.
Lemma not_both z a k : beats H z a k -> beats H z k a -> False.
Proof.
  apply IZR_le in slack_ok. unfold beats, higher. destruct (feature H) as [|g|t|t|t].
  - lra.
  - lra.
  - lra.
  - destruct (led_some (activation H z) t) as [n hn]. intros h1 h2. specialize (h1 n hn). specialize (h2 n hn). lra.
  - destruct (largest_some (activation H z) t) as [n hn]. intros h1 h2. specialize (h1 n hn). specialize (h2 n hn). lra.
Qed.
Lemma loses_at_ok p k : fits_points H (epoint p) = true -> loses_at isqrt S C c (eden p) (entries_there isqrt S C p) k = true ->
  ~ predicted H (there p) (claimed S).
Proof.
  intros hp h w. unfold loses_at in h. unfold predicted in w. destruct (claimed S) as [a|ls].
  - apply andb_prop in h. destruct h as [h h3]. apply andb_prop in h. destruct h as [h1 h2]. apply Nat.ltb_lt in h1. apply negb_true_iff, Nat.eqb_neq in h2.
    destruct w as [_ w]. apply positive_there in h3; auto. apply over_ok in h3. exact (not_both _ _ _ (w k h1 h2) h3).
  - apply andb_prop in h. destruct h as [pl h]. apply existsb_exists in h. destruct h as [[i on] [hin h]]. cbn [fst snd] in h. apply andb_prop in h. destruct h as [_ h2].
    apply positive_there in h2; auto. apply signed_ok in h2; auto. destruct (w i on hin) as [_ w']. unfold label in *. destruct on; cbn [negb] in *; fold H in w', h2; lra.
Qed.

(** what is broken, pair by pair *)
Let ps := squared_points (point S).
Let width := zlength (protos H).
Definition number (l j : nat) : Z := (Z.of_nat l * zlength (protos H) + Z.of_nat j)%Z.
Definition measured_in (den : positive) (pts : list (list Z)) (l j : nat) : itv :=
  measured_at isqrt H (fine C) (rounds C) den (squared_points pts) (nth j (protos H) []) (nth j (scales H) []) (norm2 (nth j (protos H) [])) (span_at H j) l.
Definition held_pair (p : elsewhere) (l j : nat) : bool :=
  held (punit H (fine C) (pden S)) (punit H (fine C) (eden p)) (measured_in (pden S) (point S) l j) (measured_in (eden p) (epoint p) l j).
Lemma broken_at_in p l : forall protos_ scales_ first j i,
  (forall x, (x < length protos_)%nat -> nth x protos_ [] = nth (j + x) (protos H) [] /\ nth x scales_ [] = nth (j + x) (scales H) []) ->
  (i < length protos_)%nat -> measures_ c l (j + i) = true -> held_pair p l (j + i) = false ->
  In ((first + Z.of_nat i)%Z, (l, (j + i)%nat)) (broken_at isqrt S C ps (squared_points (epoint p)) p l first j protos_ scales_).
Proof.
  induction protos_ as [|x r IH]; intros scales_ first j i hn hi hm hh; cbn [length] in hi; [lia|]. cbn [broken_at]. fold H. fold c.
  destruct i as [|i].
  - rewrite Nat.add_0_r, Z.add_0_r in *. destruct (hn O ltac:(cbn; lia)) as [e1 e2]. rewrite Nat.add_0_r in *. cbn [nth] in e1.
    rewrite hm. cbn [andb]. rewrite !hd_nth, e2, e1. unfold held_pair, measured_in in hh. fold ps in hh. rewrite hh. now left.
  - assert (IN : In ((first + 1 + Z.of_nat i)%Z, (l, (Datatypes.S j + i)%nat))
      (broken_at isqrt S C ps (squared_points (epoint p)) p l (first + 1)%Z (Datatypes.S j) r (tl scales_))).
    { apply IH; try (rewrite ?Nat.add_succ_comm; auto; fail); [|lia]. intros y hy. destruct (hn (Datatypes.S y) ltac:(cbn; lia)) as [e1 e2].
      rewrite tl_nth, Nat.add_succ_comm. cbn [nth] in e1. auto. }
    replace (first + Z.of_nat (Datatypes.S i))%Z with (first + 1 + Z.of_nat i)%Z by lia. rewrite <- Nat.add_succ_comm.
    destruct (_ && _)%bool; [right|]; exact IN.
Qed.
Lemma broken_from_in p l x : forall ls first i, nth_error ls i = Some l -> moved S p l = true ->
  In x (broken_at isqrt S C ps (squared_points (epoint p)) p l (first + Z.of_nat i * width)%Z 0 (protos H) (scales H)) ->
  In x (broken_from isqrt S C ps (squared_points (epoint p)) p first width ls).
Proof.
  induction ls as [|a r IH]; intros first i hi hm hx; [destruct i; discriminate|]. cbn [broken_from]. destruct i as [|i]; cbn [nth_error] in hi.
  - inv_some; subst. rewrite hm. apply in_or_app. left. replace first with (first + Z.of_nat 0 * width)%Z by lia. exact hx.
  - assert (IN : In x (broken_from isqrt S C ps (squared_points (epoint p)) p (first + width)%Z width r)).
    { apply (IH _ i); auto. replace (first + width + Z.of_nat i * width)%Z with (first + Z.of_nat (Datatypes.S i) * width)%Z by lia. exact hx. }
    destruct (moved S p a); auto. apply in_or_app. now right.
Qed.
Lemma fit_banks : length (pbank H) = nproto H.
Proof. unfold lengths_fit in fit. apply andb_prop in fit. destruct fit as [_ h]. now apply Nat.eqb_eq in h. Qed.
Lemma measures_back l j : (l < nloc H)%nat -> (j < nproto H)%nat -> measures H l j = true -> measures_ c l j = true.
Proof.
  intros hl hj hm. unfold measures_, c. cbn [lb pb compile]. rewrite !get_of_list. unfold measures in hm. fold H.
  rewrite (nth_error_nth' (lbank H) O hl), (nth_error_nth' (pbank H) O) by (rewrite fit_banks; exact hj). exact hm.
Qed.
Lemma pair_kept p l j lo hi : fits_points H (point S) = true -> fits_points H (epoint p) = true ->
  (l < nloc H)%nat -> (j < nproto H)%nat -> measures H l j = true -> ~ In (number l j, (l, j)) (broken isqrt S C p) ->
  float64 lo -> float64 hi -> lo <= measurement H v l j <= hi -> lo <= measurement H (there p) l j <= hi.
Proof.
  intros pv pp hl hj hm no fl_ fh hx. destruct (moved S p l) eqn:em.
  - destruct (held_pair p l j) eqn:eh.
    + unfold held_pair in eh. eapply (held_ok _ _ _ _ _ _ lo hi eh); eauto; unfold measured_in.
      * change v with (spot (pden S) (point S)). now apply measured_at_ok.
      * now apply measured_at_ok.
    + exfalso. apply no. unfold broken. fold H. apply (broken_from_in p l _ _ 0%Z l); auto.
      * rewrite (nth_error_nth' _ O) by (now rewrite seq_length). f_equal. now rewrite seq_nth.
      * unfold number. fold width. rewrite Z.add_0_l. apply (broken_at_in p l (protos H) (scales H) _ 0 j); auto. now apply measures_back.
  - assert (E : forall d, there p l d = v l d).
    { unfold moved in em. apply negb_false_iff in em. intros d. pose proof (all_zero_ok _ em d) as z0. rewrite at_vadd, !at_vscale, opp_IZR in z0.
      unfold there, spot, v, recorded. pose proof (posR (pden S)). pose proof (posR (eden p)).
      set (a := at_ (nth l (point S) []) d) in *. set (b := at_ (nth l (epoint p) []) d) in *.
      set (x := IZR (Z.pos (pden S))) in *. set (y := IZR (Z.pos (eden p))) in *.
      apply Rmult_eq_reg_l with (x * y); [|nra]. replace (x * y * (b / y)) with (x * b) by (field; lra). replace (x * y * (a / x)) with (y * a) by (field; lra). lra. }
    now rewrite (measurement_ext H _ _ l j E).
Qed.
End LatentsSound.

Definition some_shares : shares := {| share := fun _ _ => 0; share_ok := fun _ _ => conj (Rle_refl 0) Rle_0_1 |}.
(** An accepted contrast is one. *)
Theorem contrast_sound (isqrt : Z -> Z) (S : statement) (C : certificate) (p : elsewhere) (k n : nat) :
  check_contrast isqrt S C p k n = true -> contrast S k n.
Proof.
  unfold check_contrast. intros h. apply andb_prop in h. destruct h as [h hl]. apply andb_prop in h. destruct h as [h hd_].
  apply andb_prop in h. destruct h as [h hin]. apply andb_prop in h. destruct h as [h pv]. apply andb_prop in h. destruct h as [fit full].
  apply Nat.leb_le in hl. pose proof (@inside_ok_ok some_shares isqrt S C fit full p hin) as hi.
  exists (there p), (map snd (broken isqrt S C p)). split; [apply hi|]. split; [now rewrite map_length|]. intros sh.
  destruct hi as [pp hi]. split; [eapply decided_at_ok; eauto|].
  intros l j lo hi_ f [h1 [h2 [h3 [h4 h5]]]] ht no. cbn [true_at f] in *. eapply pair_kept; eauto.
  intros hx. apply no. apply (in_map snd) in hx. exact hx.
Qed.

(** ** Explanations and their clauses *)
Lemma zlength_ok {A} (xs : list A) : zlength xs = Z.of_nat (length xs).
Proof. induction xs as [|x r IH]; [reflexivity|]. cbn [zlength fold_right length]. unfold zlength in IH. rewrite IH. lia. Qed.

Section SizeSound.
Context {sh : shares}.
Variable isqrt : Z -> Z.
Variable S : statement.
Variable C : certificate.
Variable lv : level.
Let H := network S.
Let c := compile H.
Let v := recorded S.
Hypothesis fit : lengths_fit H = true.
Hypothesis full : has_places c (nproto H) = true.
Hypothesis slack_ok : (0 <= slack H)%Z.
Hypothesis pv : fits_points H (point S) = true.
Let here := map (seat_of S C lv) (entries_of isqrt S C c (pden S) (point S)).
Let seat_ := Seat (None, None) (None, None) None.
Let nowhere : entry := ((None, None), (None, None)).

Lemma entries_there_ok p j : fits_points H (epoint p) = true -> (j < nproto H)%nat ->
  exists e, nth_error (entries_there isqrt S C p) j = Some e /\
    inI (punit H (fine C) (eden p)) (fst e) (value H (there p) j) /\ inI (lunit S C lv (eden p)) (level_in lv e) (level_of H lv (there p) j).
Proof.
  intros hp hj. pose proof (es_length isqrt S C (eden p) (epoint p)) as L. fold H in L.
  destruct (nth_error (entries_there isqrt S C p) j) as [e|] eqn:ee.
  2:{ apply nth_error_None in ee. unfold entries_there in ee. fold H in ee. fold c in L. fold c in ee. lia. }
  exists e. split; auto. pose proof (es_ok isqrt S C (eden p) (epoint p) fit full hp j e ee) as [m1 m2]. cbn [Nat.add] in m1, m2.
  split; auto. unfold lunit, level_in, level_of. fold H. destruct lv; auto. now apply inI_minus.
Qed.
Lemma here_ok j : (j < nproto H)%nat -> exists s, nth_error here j = Some s /\
    inI (punit H (fine C) (pden S)) (its_value s) (value H v j) /\ inI (lunit S C lv (pden S)) (its_level s) (level_of H lv v j)
    /\ its_end s = tight (lunit S C lv (pden S)) (its_level s).
Proof.
  intros hj. destruct (entries_there_ok (Elsewhere (pden S) (point S)) j pv hj) as [e [e1 [e2 e3]]]. exists (seat_of S C lv e).
  split; [|split; [exact e2|split; [exact e3|reflexivity]]]. unfold here. rewrite nth_error_map. unfold entries_there in e1. cbn [eden epoint] in e1.
  fold H in e1. fold c in e1. rewrite e1. reflexivity.
Qed.
Lemma here_length : length here = nproto H.
Proof. unfold here. rewrite map_length. apply es_length. Qed.

(** values *)
Lemma broken_values_in den : forall hs es first j s e, nth_error hs j = Some s -> nth_error es j = Some e ->
  held (punit H (fine C) (pden S)) (punit H (fine C) den) (its_value s) (fst e) = false ->
  In (first + Z.of_nat j)%Z (broken_values S C den first hs es).
Proof.
  induction hs as [|h hs IH]; intros es first j s e h1 h2 h3; [destruct j; discriminate|]. destruct es as [|x es]; [destruct j; discriminate|].
  cbn [broken_values]. cbv zeta. fold H. destruct j as [|j]; cbn [nth_error] in *.
  - inv_some; subst. rewrite h3, Z.add_0_r. now left.
  - specialize (IH es (first + 1)%Z j s e h1 h2 h3). replace (first + Z.of_nat (Datatypes.S j))%Z with (first + 1 + Z.of_nat j)%Z by lia.
    destruct (held _ _ (its_value h) _); [exact IH|apply in_cons; exact IH].
Qed.
Lemma value_kept p first j lo hi : fits_points H (epoint p) = true -> (j < nproto H)%nat ->
  ~ In (first + Z.of_nat j)%Z (broken_values S C (eden p) first here (entries_there isqrt S C p)) ->
  float64 lo -> float64 hi -> lo <= value H v j <= hi -> lo <= value H (there p) j <= hi.
Proof.
  intros pp hj no fl_ fh hx. destruct (here_ok j hj) as [s [s1 [s2 _]]]. destruct (entries_there_ok p j pp hj) as [e [e1 [e2 _]]].
  destruct (held (punit H (fine C) (pden S)) (punit H (fine C) (eden p)) (its_value s) (fst e)) eqn:eh.
  - eapply held_ok; eauto.
  - exfalso. apply no. eapply broken_values_in; eauto.
Qed.

(** ceilings *)
Lemma before_ok u i j x y : before i j = true -> inI u i x -> inI u j y -> x < y.
Proof.
  unfold before. intros h [_ h1] [h2 _]. destruct (snd i) as [a|]; [|discriminate]. destruct (fst j) as [b|]; [|discriminate].
  cbn in h1, h2. apply Z.ltb_lt in h. apply IZR_lt in h. pose proof (posR u). nra.
Qed.
Lemma respects_ok den s : forall hs es j h e, respects S C lv den s hs es = true -> nth_error hs j = Some h -> nth_error es j = Some e ->
  before (its_level h) (its_level s) = true \/ above_end (its_end s) (lunit S C lv den) (level_in lv e) = true.
Proof.
  induction hs as [|h0 hs IH]; intros es j h e hr h1 h2; [destruct j; discriminate|]. destruct es as [|x es]; [destruct j; discriminate|].
  cbn [respects] in hr. apply andb_prop in hr. destruct hr as [r1 r2]. destruct j as [|j]; cbn [nth_error] in *.
  - inv_some; subst. now apply orb_prop in r1.
  - eapply IH; eauto.
Qed.
(** all that are bounded are at least as high as prototype i, and b is not above that *)
Lemma ceiling_kept p i b ex s : fits_points H (epoint p) = true -> (i < nproto H)%nat -> nth_error here i = Some s ->
  respects S C lv (eden p) s here (entries_there isqrt S C p) = true -> float64 b -> b <= level_of H lv v i ->
  (forall j, (j < nproto H)%nat -> ~ In j ex -> level_of H lv v i <= level_of H lv v j) ->
  true_at H lv (there p) (SaidCeiling b ex).
Proof.
  intros pp hi hs hr fb hb hl j hj ne. destruct (here_ok j hj) as [t [t1 [_ [t2 _]]]]. destruct (entries_there_ok p j pp hj) as [e [e1 [_ e2]]].
  destruct (here_ok i hi) as [s' [s1 [_ [s2 s3]]]]. rewrite hs in s1. inv_some; subst s'. specialize (hl j hj ne).
  destruct (respects_ok _ _ _ _ j t e hr t1 e1) as [q|q].
  - pose proof (before_ok _ _ _ _ _ q t2 s2). lra.
  - rewrite s3 in q. eapply tight_above; eauto.
Qed.
(** the lowest level that a ceiling bounds *)
Lemma lowest ex : (forall j, (j < nproto H)%nat -> In j ex) \/
  exists i, (i < nproto H)%nat /\ ~ In i ex /\ forall j, (j < nproto H)%nat -> ~ In j ex -> level_of H lv v i <= level_of H lv v j.
Proof.
  assert (Q : forall n, (forall j, (j < n)%nat -> In j ex) \/
    exists i, (i < n)%nat /\ ~ In i ex /\ forall j, (j < n)%nat -> ~ In j ex -> level_of H lv v i <= level_of H lv v j); [|apply Q].
  induction n as [|n [IH|[i [i1 [i2 i3]]]]]; [left; intros; lia| |]; destruct (in_dec Nat.eq_dec n ex) as [hn|hn].
  - left. intros j hj. destruct (Nat.eq_dec j n) as [->|]; auto. apply IH. lia.
  - right. exists n. split; [lia|]. split; auto. intros j hj ne. destruct (Nat.eq_dec j n) as [->|]; [lra|]. exfalso. apply ne, IH. lia.
  - right. exists i. split; [lia|]. split; auto. intros j hj ne. destruct (Nat.eq_dec j n) as [->|]; [contradiction|]. apply i3; auto. lia.
  - right. destruct (Rle_dec (level_of H lv v i) (level_of H lv v n)) as [hle|hle].
    + exists i. split; [lia|]. split; auto. intros j hj ne. destruct (Nat.eq_dec j n) as [->|]; auto. apply i3; auto. lia.
    + exists n. split; [lia|]. split; auto. intros j hj ne. destruct (Nat.eq_dec j n) as [->|]; [lra|]. apply Rnot_le_lt in hle.
      specialize (i3 j ltac:(lia) ne). lra.
Qed.

(** ** From facts to clauses *)
Definition offset (V : vocabulary) : Z := match V with Mixed => (zlength (lbank H) * zlength (protos H))%Z | _ => 0%Z end.
Definition fitting (V : vocabulary) (f : said) : Prop :=
  match V with Pairs => is_pair f | Mixed => True | _ => is_pooled f end.
Lemma not_respected_in bs : forall n i, nth_error bs i = Some false -> In (n + Z.of_nat i)%Z (not_respected n bs).
Proof.
  induction bs as [|b r IH]; intros n i h; [destruct i; discriminate|]. cbn [not_respected]. cbv zeta. destruct i as [|i]; cbn [nth_error] in h.
  - inv_some; subst. rewrite Z.add_0_r. now left.
  - replace (n + Z.of_nat (Datatypes.S i))%Z with (n + 1 + Z.of_nat i)%Z by lia. specialize (IH (n + 1)%Z i h). destruct b; [exact IH|now right].
Qed.
Lemma examined_ok V k p r : examined isqrt S C lv V here (k, p) = Some r ->
  fits_points H (epoint p) = true /\ inside S (there p) /\ ~ predicted H (there p) (claimed S) /\
  pairs_of r = (match V with Pairs | Mixed => map fst (broken isqrt S C p) | _ => [] end) /\
  values_of r = broken_values S C (eden p) (offset V) here (entries_there isqrt S C p) /\
  respected r = (match V with Ceiling | Mixed => map (fun s => respects S C lv (eden p) s here (entries_there isqrt S C p)) here | _ => [] end).
Proof.
  unfold examined. destruct (_ && _)%bool eqn:g; [|discriminate]. intros e. inv_some. apply andb_prop in g. destruct g as [g1 g2].
  destruct (inside_ok_ok isqrt S C fit full p g1) as [h1 h2]. subst r. cbn [pairs_of values_of respected].
  split; auto. split; auto. split; [eapply loses_at_ok; eauto|]. auto.
Qed.
Lemma in_clause V f : written H f -> true_at H lv v f -> fitting V f -> V <> TopK ->
  exists s, forall k p r, examined isqrt S C lv V here (k, p) = Some r -> ~ true_at H lv (there p) f -> In s (clause S V r).
Proof.
  intros hw ht hf hv. destruct f as [l j lo hi|j lo hi|b ex]; cbn [written] in hw.
  - destruct hw as [w1 [w2 [w3 [w4 w5]]]]. exists (number S l j). intros k p r he no. destruct (examined_ok V k p r he) as [pp [_ [_ [e1 _]]]].
    assert (IN : In (number S l j) (map fst (broken isqrt S C p))).
    { apply NNPP. intros ni. apply no. cbn [true_at]. apply (pair_kept isqrt S C fit p l j lo hi); auto.
      intros q. apply ni. apply (in_map fst) in q. exact q. }
    destruct V; cbn in hf; try contradiction; cbn [clause]; rewrite e1; auto. apply in_or_app. now left.
  - destruct hw as [w1 [w2 w3]]. exists (offset V + Z.of_nat j)%Z. intros k p r he no. destruct (examined_ok V k p r he) as [pp [_ [_ [_ [e1 _]]]]].
    assert (IN : In (offset V + Z.of_nat j)%Z (values_of r)).
    { apply NNPP. intros ni. apply no. cbn [true_at]. rewrite e1 in ni. eapply value_kept; eauto. }
    destruct V; cbn in hf; try contradiction; cbn [clause]; auto. apply in_or_app. right. apply in_or_app. now left.
  - destruct V; cbn in hf; try contradiction. destruct (lowest ex) as [hx|[i [i1 [i2 i3]]]].
    + exists 0%Z. intros k p r he no. exfalso. apply no. intros j hj ne. exfalso. auto.
    + exists (zlength (lbank H) * zlength (protos H) + zlength (protos H) + Z.of_nat i)%Z. intros k p r he no.
      destruct (examined_ok Mixed k p r he) as [pp [_ [_ [_ [_ e1]]]]]. cbn [clause]. apply in_or_app. right. apply in_or_app. right.
      apply not_respected_in. destruct (here_ok i i1) as [s [s1 _]]. rewrite e1, nth_error_map, s1. cbn [option_map]. f_equal.
      destruct (respects _ _ _ _ _ _ _) eqn:er; auto. exfalso. apply no. eapply ceiling_kept; eauto.
Qed.
Lemma all_some_in {A} (l : list (option A)) : forall r, all_some l = Some r -> forall x, In x r -> In (Some x) l.
Proof.
  induction l as [|a l IH]; intros r h x hx; cbn [all_some] in h; [inv_some; subst; destruct hx|].
  destruct a as [a|]; [|discriminate]. destruct (all_some l) as [r'|]; [|discriminate]. inv_some; subst. destruct hx as [->|hx]; [now left|right]. eapply IH; eauto.
Qed.
Lemma subjects V fs : (forall f, In f fs -> written H f /\ true_at H lv v f /\ fitting V f) -> V <> TopK ->
  exists ss, length ss = length fs /\ forall k p r f, examined isqrt S C lv V here (k, p) = Some r -> In f fs -> ~ true_at H lv (there p) f ->
    exists s, In s (clause S V r) /\ In s ss.
Proof.
  intros hf hv. induction fs as [|f fs IH]; [exists []; split; auto; intros k p r f _ []|].
  destruct IH as [ss [h1 h2]]; [intros; apply hf; now right|]. destruct (hf f (or_introl eq_refl)) as [w1 [w2 w3]].
  destruct (in_clause V f w1 w2 w3 hv) as [s hs]. exists (s :: ss). split; [cbn; lia|]. intros k p r g he [->|hg] no.
  - exists s. split; [eapply hs; eauto|now left].
  - destruct (h2 k p r g he hg no) as [t [t1 t2]]. exists t. split; auto. now right.
Qed.
(** every refutation breaks a fact of every explanation *)
Lemma broken_fact V E k p r : explains S lv V E -> examined isqrt S C lv V here (k, p) = Some r -> exists f, In f E /\ ~ true_at H lv (there p) f.
Proof.
  intros [_ [_ he]] hx. destruct (examined_ok V k p r hx) as [_ [hi [no _]]]. apply NNPP. intros ne. apply no. apply he; auto.
  intros f hf. apply NNPP. intros nf. apply ne. now exists f.
Qed.
Lemma reaches_ok n m x : reaches n (Some m) = true -> (m <= Z.of_nat x)%Z -> (n <= x)%nat.
Proof. unfold reaches. intros h hm. apply Z.leb_le in h. lia. Qed.
Lemma tree_ok V fs rs found sel t m : (forall f, In f fs -> written H f /\ true_at H lv v f /\ fitting V f) -> V <> TopK ->
  all_some (map (examined isqrt S C lv V here) rs) = Some found ->
  (forall r cl, sel r = Some cl -> cl = clause S V r) ->
  (forall k p r cl, examined isqrt S C lv V here (k, p) = Some r -> sel r = Some cl -> exists f, In f fs /\ ~ true_at H lv (there p) f) ->
  fewest (of_list (map sel found)) [] [] 0 t = Some m -> (m <= Z.of_nat (length fs))%Z.
Proof.
  intros hf hv ha hs hb ht. destruct (subjects V fs hf hv) as [ss [h1 h2]].
  assert (L : (length (nodup Z.eq_dec ss) <= length ss)%nat).
  { apply NoDup_incl_length; [apply NoDup_nodup|]. intros x hx. now apply nodup_In in hx. }
  assert (m <= Z.of_nat (length (nodup Z.eq_dec ss)))%Z; [|lia].
  apply (fewest_ok (of_list (map sel found)) (nodup Z.eq_dec ss)) with (t := t) (inside := []) (outside := []).
  - apply NoDup_nodup.
  - intros i cl hg. rewrite get_of_list, nth_error_map in hg. destruct (nth_error found i) as [r|] eqn:er; [|discriminate]. cbn in hg. inv_some.
    apply nth_error_In in er. pose proof (all_some_in _ _ ha r er) as q. apply in_map_iff in q. destruct q as [[k p] [q _]].
    destruct (hb k p r cl q hg) as [f [f1 f2]]. destruct (h2 k p r f q f1 f2) as [s [s1 s2]]. exists s. rewrite (hs r cl hg). split; auto. now apply nodup_In.
  - constructor.
  - intros s [].
  - intros s [].
  - exact ht.
Qed.

(** ** The most activated ones *)
Lemma count_list f : forall hs start, exists is, NoDup is /\ length is = count_ f start hs /\
  forall i, In i is -> (start <= i)%nat /\ exists s, nth_error hs (i - start) = Some s /\ f i s = true.
Proof.
  induction hs as [|h hs IH]; intros start; [exists []; split; [constructor|]; split; auto; intros i []|].
  destruct (IH (Datatypes.S start)) as [is [h1 [h2 h3]]]. cbn [count_]. cbv zeta.
  assert (TL : forall i, In i is -> (start <= i)%nat /\ exists s, nth_error (h :: hs) (i - start) = Some s /\ f i s = true).
  { intros i hi. destruct (h3 i hi) as [q1 [s [q2 q3]]]. split; [lia|]. exists s. split; auto.
    replace (i - start)%nat with (Datatypes.S (i - Datatypes.S start)) by lia. exact q2. }
  destruct (f start h) eqn:e; [|exists is; auto]. exists (start :: is). split; [|split; [cbn; lia|]].
  - constructor; auto. intros q. destruct (h3 _ q). lia.
  - intros i [<-|hi]; auto. split; auto. exists h. rewrite Nat.sub_diag. auto.
Qed.
Lemma count_here f : exists is, NoDup is /\ length is = count_ f 0 here /\ forall i, In i is -> (i < nproto H)%nat /\ exists s, nth_error here i = Some s /\ f i s = true.
Proof.
  destruct (count_list f here 0) as [is [h1 [h2 h3]]]. exists is. split; auto. split; auto. intros i hi. destruct (h3 i hi) as [_ [s [s1 s2]]].
  rewrite Nat.sub_0_r in s1. split; [rewrite <- here_length; apply nth_error_Some; congruence|]. now exists s.
Qed.
Lemma keeps_ok den k all top : forall hs es j h e, keeps S C lv den k all top hs es = true -> nth_error hs j = Some h -> nth_error es j = Some e ->
  (held (punit H (fine C) (pden S)) (punit H (fine C) den) (its_value h) (fst e) = true /\ above_end (its_end h) (lunit S C lv den) (level_in lv e) = true) \/
  (above_end top (lunit S C lv den) (level_in lv e) = true /\ (k <= count_ (fun _ s => before (its_level s) (its_level h)) 0 all)%nat).
Proof.
  induction hs as [|h0 hs IH]; intros es j h e hr h1 h2; [destruct j; discriminate|]. destruct es as [|x es]; [destruct j; discriminate|].
  cbn [keeps] in hr. apply andb_prop in hr. destruct hr as [r1 r2]. destruct j as [|j]; cbn [nth_error] in *.
  - inv_some; subst. apply orb_prop in r1. destruct r1 as [r1|r1]; apply andb_prop in r1; destruct r1 as [q1 q2]; [left; auto|right].
    split; auto. now apply Nat.leb_le in q2.
  - eapply IH; eauto.
Qed.
Definition name_of (f : said) : nat := match f with SaidPooled j _ _ => j | _ => O end.
Lemma top_ok k r p last E : explains S lv TopK E -> top_refuted isqrt S C lv k here (r, p) last = true -> (k + 2 <= length E)%nat.
Proof.
  intros [sp [tr en]] ht. destruct sp as [b [ex [fs [-> [po [ne [hx [lo [i0 [i0n i0b]]]]]]]]]]. fold H in lo, i0b, tr, en. fold v in lo, i0b, tr.
  unfold top_refuted in ht. destruct (nth_error here last) as [sl|] eqn:el; [|discriminate]. cbn [fst snd] in ht.
  apply andb_prop in ht. destruct ht as [ht hk]. apply andb_prop in ht. destruct ht as [ht hc]. apply andb_prop in ht. destruct ht as [ht hl].
  apply Nat.leb_le in hc. destruct (inside_ok_ok isqrt S C fit full p ht) as [pp hi].
  cbn [length]. destruct (Nat.le_gt_cases (k + 1) (length fs)) as [|small]; [lia|]. exfalso.
  set (N := map name_of fs).
  assert (NM : forall j, named fs j <-> In j N).
  { intros j. unfold N. rewrite in_map_iff. split.
    - intros [a [z' q]]. exists (SaidPooled j a z'). auto.
    - intros [f [q1 q2]]. pose proof (po f q2) as q3. destruct f as [|j' a z'|]; cbn in q1, q3; try contradiction. subst j'. now exists a, z'. }
  assert (NP : forall j, In j N -> (j < nproto H)%nat).
  { intros j hj. apply NM in hj. destruct hj as [a [z' q]]. destruct (tr _ (or_intror q)) as [[w _] _]. exact w. }
  (* k others and one more are too many names *)
  assert (MANY : forall is j, NoDup is -> (k <= length is)%nat -> (forall i, In i is -> In i N) -> ~ In j is -> In j N -> False).
  { intros is j n1 n2 n3 n4 n5. assert (q : (length (j :: is) <= length N)%nat).
    { apply NoDup_incl_length; [now constructor|]. intros x [<-|hx']; auto. }
    unfold N in q. rewrite map_length in q. cbn [length] in q. lia. }
  destruct (here_ok last) as [sl' [l1 [_ [l2 l3]]]].
  { rewrite <- here_length. apply nth_error_Some. congruence. }
  rewrite el in l1. inv_some; subst sl'.
  assert (BL : b <= level_of H lv v last).
  { destruct (Rle_dec (level_of H lv v i0) (level_of H lv v last)) as [|hgt]; [lra|]. apply Rnot_le_lt in hgt. exfalso.
    destruct (count_here (low_enough last (its_level sl))) as [is [s1 [s2 s3]]].
    assert (LE : forall i, In i is -> (i < nproto H)%nat /\ level_of H lv v i <= level_of H lv v last).
    { intros i hin. destruct (s3 i hin) as [hp [s [q1 q2]]]. split; auto. unfold low_enough in q2. apply orb_prop in q2. destruct q2 as [q2|q2].
      - apply Nat.eqb_eq in q2. subst. lra.
      - destruct (here_ok i hp) as [s' [t1 [_ [t2 _]]]]. rewrite q1 in t1. inv_some; subst s'. unfold not_after in q2. destruct t2 as [_ t2], l2 as [l2 _].
        destruct (snd (its_level s)) as [x|]; [|discriminate]. destruct (fst (its_level sl)) as [y|]; [|discriminate]. apply Z.leb_le in q2. apply IZR_le in q2.
        cbn in t2, l2. pose proof (posR (lunit S C lv (pden S))). nra. }
    apply (MANY is i0); auto; [lia| | |now apply NM].
    - intros i hin. destruct (LE i hin) as [q1 q2]. apply NM. destruct (in_dec Nat.eq_dec i N) as [q|q]; [now apply NM|]. exfalso.
      assert (nn : ~ named fs i) by (intros w; apply q; now apply NM). pose proof (lo i0 i i0n q1 nn). lra.
    - intros hin. destruct (LE i0 hin) as [_ q]. lra. }
  apply (loses_at_ok isqrt S C fit full slack_ok p r pp hl). fold H. apply en; auto. intros f hf.
  assert (KEPT : forall j, (j < nproto H)%nat -> exists s e, nth_error here j = Some s /\
     inI (punit H (fine C) (pden S)) (its_value s) (value H v j) /\ inI (lunit S C lv (pden S)) (its_level s) (level_of H lv v j) /\
     its_end s = tight (lunit S C lv (pden S)) (its_level s) /\
     inI (punit H (fine C) (eden p)) (fst e) (value H (there p) j) /\ inI (lunit S C lv (eden p)) (level_in lv e) (level_of H lv (there p) j) /\
     ((held (punit H (fine C) (pden S)) (punit H (fine C) (eden p)) (its_value s) (fst e) = true /\ above_end (its_end s) (lunit S C lv (eden p)) (level_in lv e) = true) \/
      (above_end (its_end sl) (lunit S C lv (eden p)) (level_in lv e) = true /\ ~ In j N))).
  { intros j hj. destruct (here_ok j hj) as [s [s1 [s2 [s3 s4]]]]. destruct (entries_there_ok p j pp hj) as [e [e1 [e2 e3]]]. exists s, e.
    split; auto. split; auto. split; auto. split; auto. split; auto. split; auto.
    destruct (keeps_ok _ _ _ _ _ _ j s e hk s1 e1) as [q|[q1 q2]]; [now left|right]. split; auto. intros jn.
    destruct (count_here (fun _ s' => before (its_level s') (its_level s))) as [is [t1 [t2 t3]]].
    assert (LT : forall i, In i is -> (i < nproto H)%nat /\ level_of H lv v i < level_of H lv v j).
    { intros i hin. destruct (t3 i hin) as [hp [s' [u1 u2]]]. split; auto. destruct (here_ok i hp) as [s'' [w1 [_ [w2 _]]]]. rewrite u1 in w1. inv_some; subst s''.
      eapply before_ok; eauto. }
    apply (MANY is j); auto; [lia| |].
    - intros i hin. destruct (LT i hin) as [u1 u2]. destruct (in_dec Nat.eq_dec i N) as [q|q]; auto. exfalso.
      assert (nn : ~ named fs i) by (intros w; apply q; now apply NM). assert (jn' : named fs j) by (now apply NM). pose proof (lo j i jn' u1 nn). lra.
    - intros hin. destruct (LT j hin). lra. }
  destruct (tr f hf) as [w tv]. destruct hf as [<-|hf].
  - intros j hj nj. cbn [written] in w. destruct (KEPT j hj) as [s [e [_ [_ [s2 [s3 [_ [e2 [[_ q]|[q _]]]]]]]]]].
    + rewrite s3 in q. exact (tight_above _ _ _ _ _ _ b s2 e2 q w (tv j hj nj)).
    + rewrite l3 in q. exact (tight_above _ _ _ _ _ _ b l2 e2 q w BL).
  - pose proof (po f hf) as q0. destruct f as [|j lo' hi'|]; cbn in q0; try contradiction. cbn [written true_at] in *. destruct w as [w1 [w2 w3]].
    destruct (KEPT j w1) as [s [e [_ [s1 [_ [_ [e1 [_ [[q _]|[_ q]]]]]]]]]].
    + exact (held_ok _ _ _ _ _ _ lo' hi' q s1 e1 w2 w3 tv).
    + exfalso. apply q. apply NM. now exists lo', hi'.
Qed.
End SizeSound.

(** An accepted size bound is one. *)
Theorem size_sound (isqrt : Z -> Z) (S : statement) (C : certificate) (lv : level) (V : vocabulary) (n : nat) (proof : size_proof) :
  check_size isqrt S C lv V n proof = true -> at_least_facts S lv V n.
Proof.
  unfold check_size. intros h sh E he. apply andb_prop in h. destruct h as [h hp]. apply andb_prop in h. destruct h as [h pv].
  apply andb_prop in h. destruct h as [h sl]. apply andb_prop in h. destruct h as [fit full]. apply Z.leb_le in sl.
  set (here := map (seat_of S C lv) (entries_of isqrt S C (compile (network S)) (pden S) (point S))) in *.
  destruct proof as [rs covers|found].
  - destruct (all_some (map (examined isqrt S C lv V here) rs)) as [found|] eqn:ea; [|discriminate].
    assert (TREE : forall t, V <> Ceiling -> V <> TopK -> reaches n (fewest (of_list (map (fun r => Some (clause S V r)) found)) [] [] 0 t) = true -> (n <= length E)%nat).
    { intros t v1 v2 hr. destruct (fewest _ _ _ _ _) as [m|] eqn:ef; [|discriminate]. apply (reaches_ok n m); auto.
      pose proof he as [sp [tr _]]. eapply (tree_ok isqrt S C lv fit full sl pv V E rs found (fun r => Some (clause S V r)) t m); eauto.
      - intros f hf. destruct (tr f hf) as [w1 w2]. split; auto. split; auto. destruct V; cbn in *; auto; congruence.
      - intros r cl q. inv_some. congruence.
      - intros k p r cl q _. eapply broken_fact; eauto. }
    destruct V; try discriminate; try (destruct covers as [|[cv t] [|]]; try discriminate; eapply TREE; eauto; discriminate).
    clear TREE. apply andb_prop in hp. destruct hp as [hp h3]. apply andb_prop in hp. destruct hp as [h1 h2]. apply Nat.ltb_lt in h1.
    pose proof he as [[b [ex [fs [-> po]]]] [tr en]]. rewrite forallb_forall in h2, h3.
    assert (IX : exists i, (i < nproto (network S))%nat /\ forall p, fits_points (network S) (epoint p) = true ->
       (forall s, nth_error here i = Some s -> respects S C lv (eden p) s here (entries_there isqrt S C p) = true) -> true_at (network S) lv (there p) (SaidCeiling b ex)).
    { destruct (tr _ (or_introl eq_refl)) as [w tv]. destruct (lowest S lv ex) as [hx|[i [i1 [i2 i3]]]].
      - exists O. split; auto. intros p _ _ j hj ne. exfalso. auto.
      - exists i. split; auto. intros p pp hr. destruct (here_ok isqrt S C lv fit full pv i i1) as [s [s1 _]].
        eapply (ceiling_kept isqrt S C lv fit full pv p i b ex s); eauto. }
    destruct IX as [i [i1 i2]]. specialize (h2 i ltac:(apply in_seq; lia)). apply existsb_exists in h2. destruct h2 as [[cv t] [c1 c2]].
    cbn [fst] in c2. specialize (h3 _ c1). cbn [fst snd] in h3. destruct (fewest _ _ _ _ t) as [m|] eqn:ef; [|discriminate]. cbn [option_map] in h3.
    apply (reaches_ok n (1 + m) (length (SaidCeiling b ex :: fs)) h3). cbn [length]. rewrite Nat2Z.inj_succ.
    assert (m <= Z.of_nat (length fs))%Z; [|lia].
    eapply (tree_ok isqrt S C lv fit full sl pv Ceiling fs rs found (usable S Ceiling cv) t m); eauto.
    + intros f hf. destruct (tr f (or_intror hf)) as [w1 w2]. split; auto. split; auto. now apply po.
    + discriminate.
    + unfold usable. intros r cl q. destruct (forallb _ _); [|discriminate]. inv_some. congruence.
    + intros k p r cl q hu. destruct (broken_fact isqrt S C lv fit full sl Ceiling _ k p r he q) as [f [[<-|f1] f2]]; [|now exists f].
      exfalso. apply f2. destruct (examined_ok isqrt S C lv fit full sl Ceiling k p r q) as [pp [_ [_ [_ [_ e]]]]].
      apply i2; auto. intros s hs. unfold usable in hu. destruct (forallb _ cv) eqn:fa; [|discriminate]. rewrite forallb_forall in fa.
      apply existsb_exists in c2. destruct c2 as [y [y1 y2]]. apply Nat.eqb_eq in y2. subst y. specialize (fa i y1). rewrite e in fa.
      pose proof (map_nth_error (fun s => respects S C lv (eden p) s here (entries_there isqrt S C p)) i here hs) as w.
      apply nth_error_nth with (d := false) in w. exact (eq_trans (eq_sym w) fa).
  - destruct V; try discriminate. cbn [andb] in hp. apply orb_prop in hp. destruct hp as [hp|hp].
    + apply Nat.leb_le in hp. pose proof he as [[b [ex [fs [-> [_ [ne _]]]]]] _]. destruct fs; [congruence|]. cbn. lia.
    + destruct found as [[[k p] last]|]; [|discriminate]. pose proof (top_ok isqrt S C lv fit full sl pv (n - 2) k p last E he hp). lia.
Qed.

(** ** Parts: the same claim over boxes of their own, each with a proof of its own *)
Definition accept_parts (isqrt : Z -> Z) (S : statement) (parts : list ((positive * list constraint) * certificate)) : bool :=
  match parts with [] => false | (_, C) :: _ => check_point isqrt S C end
  && forallb (fun x => check isqrt (over_part S (fst x)) (snd x)) parts.
Theorem parts_sound (isqrt : Z -> Z) (S : statement) (parts : list ((positive * list constraint) * certificate)) :
  accept_parts isqrt S parts = true -> sufficient_on S (map fst parts) /\ recorded_meets S.
Proof.
  unfold accept_parts. intros h. apply andb_prop in h. destruct h as [h1 h2]. split.
  - intros q hq. apply in_map_iff in hq. destruct hq as [x [<- hx]]. rewrite forallb_forall in h2. eapply check_sound; eauto.
  - destruct parts as [|[q C] r]; [discriminate|]. eapply point_sound; eauto.
Qed.
