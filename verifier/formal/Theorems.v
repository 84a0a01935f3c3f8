(** The three theorems: what is accepted is sufficient, speaks about the recorded latent, and every
    accepted witness makes its fact necessary. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound Sufficient Point.
Import ListNotations.
Local Open Scope Z_scope.

Definition has_places (c : context) (n : nat) : bool :=
  forallb (fun j => match places_ c j with [] => false | _ => true end) (seq 0 n).
(** a latent of the domain that meets some facts, with its activations *)
Definition point_ok (isqrt : Z -> Z) (S : statement) (C : certificate) (c : context) (den : positive) (pts : list (list Z)) (fs : list fact)
    (es : list entry) : bool :=
  let H := network S in let ps := squared_points pts in
  fits_points H pts && forallb (constraint_at H den (dden S) pts) (domain S) &&
  let arr := of_list es in let pa := of_list (protos H) in let sa := of_list (scales H) in
  forallb (fact_at isqrt H (fine C) (rounds C) den (fden S) ps c arr es pa sa) fs.
Definition entries_of (isqrt : Z -> Z) (S : statement) (C : certificate) (c : context) (den : positive) (pts : list (list Z)) : list entry :=
  let H := network S in
  entries_at isqrt H (fine C) (rounds C) den (squared_points pts) c 0 (protos H) (scales H) (pools H) (inner H) (outer H).
Definition positive_at (isqrt : Z -> Z) (S : statement) (C : certificate) (c : context) (den : positive) (es : list entry) (g : list Z * Z) : bool :=
  let H := network S in
  margin isqrt c (punit H (fine C) den) (fine C) (rounds C) Tip (feature H) (fst g) (snd g) es None.
Definition predicted_at (isqrt : Z -> Z) (S : statement) (C : certificate) (c : context) (den : positive) (es : list entry) : bool :=
  let H := network S in
  match claimed S with
  | Class a => Nat.ltb a (nclass H) &&
      forallb (fun k => Nat.eqb k a || positive_at isqrt S C c den es (over H a k)) (seq 0 (nclass H))
  | Labels ls => plain (feature H) && forallb (fun x => Nat.ltb (fst x) (nclass H) && positive_at isqrt S C c den es (signed H (fst x) (snd x))) ls
  end.
Definition check_point (isqrt : Z -> Z) (S : statement) (C : certificate) : bool :=
  let c := compile (network S) in let es := entries_of isqrt S C c (pden S) (point S) in
  lengths_fit (network S) && has_places c (nproto (network S)) &&
  point_ok isqrt S C c (pden S) (point S) (facts S) es && predicted_at isqrt S C c (pden S) es.

Record witness := Witness { about : nat; against : nat; wden_ : positive; wpoint : list (list Z) }.
Definition loses_at (isqrt : Z -> Z) (S : statement) (C : certificate) (c : context) (den : positive) (es : list entry) (k : nat) : bool :=
  let H := network S in
  match claimed S with
  | Class a => Nat.ltb k (nclass H) && negb (Nat.eqb k a) && positive_at isqrt S C c den es (over H k a)
  | Labels ls => plain (feature H) && existsb (fun x => Nat.eqb (fst x) k && positive_at isqrt S C c den es (signed H (fst x) (negb (snd x)))) ls
  end.
Definition check_witness (isqrt : Z -> Z) (S : statement) (C : certificate) (w : witness) : bool :=
  let c := compile (network S) in let es := entries_of isqrt S C c (wden_ w) (wpoint w) in
  Nat.ltb (about w) (length (facts S)) &&
  lengths_fit (network S) && has_places c (nproto (network S)) &&
  point_ok isqrt S C c (wden_ w) (wpoint w) (without (about w) (facts S)) es && loses_at isqrt S C c (wden_ w) es (against w).
Definition accept (isqrt : Z -> Z) (S : statement) (C : certificate) : bool := check isqrt S C && check_point isqrt S C.

Local Open Scope R_scope.
Section At.
Context {sh : shares}.
Variable isqrt : Z -> Z.
Variable S : statement.
Variable C : certificate.
Variable den : positive.
Variable pts : list (list Z).
Let H := network S.
Let c := compile H.
Let U := punit H (fine C) den.
Let z := spot den pts.
Let u := IZR (Zpos den).
Let up_ : 0 < u := posR den.
Hypothesis fit : lengths_fit H = true.
Hypothesis full : has_places c (nproto H) = true.
Hypothesis pfit : fits_points H pts = true.

Lemma full_places j : (j < nproto H)%nat -> places_ c j = places H j /\ places H j <> [].
Proof.
  intros hj. unfold has_places in full. rewrite forallb_forall in full. specialize (full j ltac:(apply in_seq; lia)).
  assert (ne : places_ c j <> []) by (destruct (places_ c j); congruence).
  destruct (places_eq H fit j ne) as [_ e]. split; [exact e|]. rewrite <- e. exact ne.
Qed.
Lemma hd_nth {A} (l : list A) d : hd d l = nth 0 l d. Proof. destruct l; reflexivity. Qed.
Lemma tl_nth {A} (l : list A) d i : nth i (tl l) d = nth (Datatypes.S i) l d. Proof. destruct l; [destruct i|]; reflexivity. Qed.
Lemma entries_at_nth ps ctx protos_ : forall j ss ks is os i e,
  nth_error (entries_at isqrt H (fine C) (rounds C) den ps ctx j protos_ ss ks is os) i = Some e ->
  (i < length protos_)%nat /\
  e = entry_at isqrt H (fine C) (rounds C) den ps ctx (j + i) (nth i protos_ []) (nth i ss []) (nth i ks Nearest) (nth i is []) (nth i os []).
Proof.
  induction protos_ as [|p r IH]; intros j ss ks is os i e q; cbn [entries_at] in q; [destruct i; discriminate|].
  destruct i as [|i]; cbn [nth_error] in q.
  - inv_some; subst e. split; [cbn; lia|]. rewrite Nat.add_0_r, !hd_nth. reflexivity.
  - apply IH in q. destruct q as [q ->]. split; [cbn; lia|]. rewrite !tl_nth, Nat.add_succ_comm. reflexivity.
Qed.
Lemma entries_length_ ps ctx protos_ : forall j ss ks is os,
  length (entries_at isqrt H (fine C) (rounds C) den ps ctx j protos_ ss ks is os) = length protos_.
Proof. induction protos_; intros; cbn; auto. Qed.
Lemma es_ok : all_ok H U (fine C) z 0 (entries_of isqrt S C c den pts).
Proof.
  intros j e q. unfold entries_of in q. fold H in q. apply entries_at_nth in q. destruct q as [hj ->]. cbn [Nat.add].
  destruct (full_places j hj) as [p1 p2]. apply (entry_at_ok isqrt H (fine C) (rounds C) den pts fit pfit j p1).
  destruct (nth j (pools H) Nearest); auto.
Qed.
Lemma es_length : length (entries_of isqrt S C c den pts) = nproto H.
Proof. unfold entries_of. apply entries_length_. Qed.
Lemma positive_at_ok g : positive_at isqrt S C c den (entries_of isqrt S C c den pts) g = true ->
  ahead H z (fst g) (snd g).
Proof.
  unfold positive_at. fold H. intros q.
  eapply (margin_ok isqrt H U (fine C) (rounds C) z fit Tip); [|apply es_ok|apply es_length|exact q].
  intros i p e. destruct i; discriminate.
Qed.

(** ** Facts and domain at the point *)
Lemma at_least_ok i k n b x : at_least i k n b = true -> inI k i x -> val (b, n) <= x.
Proof.
  unfold at_least. intros q [h _]. destruct (fst i) as [a|]; [|discriminate]. apply Z.leb_le in q. apply IZR_le in q. rewrite !mult_IZR in q.
  cbn in h. pose proof (posR k). pose proof (posR n). unfold val; cbn [fst snd].
  set (kk := IZR (Zpos k)) in *. set (nn := IZR (Zpos n)) in *.
  apply Rmult_le_reg_l with (kk * nn); [nra|]. replace (kk * nn * (IZR b / nn)) with (IZR b * kk) by (field; lra). nra.
Qed.
Lemma at_most_ok i k n b x : at_most i k n b = true -> inI k i x -> x <= val (b, n).
Proof.
  unfold at_most. intros q [_ h]. destruct (snd i) as [a|]; [|discriminate]. apply Z.leb_le in q. apply IZR_le in q. rewrite !mult_IZR in q.
  cbn in h. pose proof (posR k). pose proof (posR n). unfold val; cbn [fst snd].
  set (kk := IZR (Zpos k)) in *. set (nn := IZR (Zpos n)) in *.
  apply Rmult_le_reg_l with (kk * nn); [nra|]. replace (kk * nn * (IZR b / nn)) with (IZR b * kk) by (field; lra). nra.
Qed.
Lemma in_combine_seq {A} (l : list A) : forall s i x, nth_error l i = Some x -> In ((s + i)%nat, x) (combine (seq s (length l)) l).
Proof.
  induction l as [|a l IH]; intros s i x q; [destruct i; discriminate|]. destruct i as [|i]; cbn in *.
  - inv_some; subst. rewrite Nat.add_0_r. now left.
  - right. rewrite <- Nat.add_succ_comm. now apply IH.
Qed.
Lemma fact_at_ok f : fact_at isqrt H (fine C) (rounds C) den (fden S) (squared_points pts) c (of_list (entries_of isqrt S C c den pts))
    (entries_of isqrt S C c den pts) (of_list (protos H)) (of_list (scales H)) f = true -> holds H (fden S) z f.
Proof.
  destruct f as [l j lo hi|j lo hi|b ex|b ex]; cbn [fact_at holds]; rewrite ?get_of_list; intros q.
  - destruct (nth_error (protos H) j) as [p|] eqn:ep; [|discriminate].
    assert (es : (match nth_error (scales H) j with Some s => s | None => [] end) = nth j (scales H) []).
    { destruct (nth_error (scales H) j) as [s|] eqn:e; [symmetry; now apply nth_error_nth_|].
      apply nth_error_None in e. now rewrite nth_overflow. }
    rewrite es in q. apply nth_error_nth_ with (d := []) in ep. subst p. apply andb_prop in q. destruct q as [q1 q2].
    pose proof (measured_at_ok isqrt H (fine C) (rounds C) den pts fit pfit j l) as m.
    split; [eapply at_least_ok; eauto|eapply at_most_ok; eauto].
  - match type of q with match ?t with _ => _ end = _ => destruct t as [e|] eqn:ee; [|discriminate] end.
    apply andb_prop in q. destruct q as [q1 q2]. pose proof (es_ok j e ee) as [m _]. cbn [Nat.add] in m.
    split; [eapply at_least_ok; eauto|eapply at_most_ok; eauto].
  - intros j hj ne. rewrite <- es_length in hj. rewrite forallb_forall in q.
    destruct (nth_error (entries_of isqrt S C c den pts) j) as [e|] eqn:ee; [|apply nth_error_None in ee; lia].
    specialize (q (j, e)). rewrite <- es_length in q. specialize (q (in_combine_seq _ 0 j e ee)). cbn [fst snd] in q.
    apply orb_prop in q. destruct q as [q|q].
    + exfalso. apply ne. unfold exempt in q. apply existsb_exists in q. destruct q as [x [q1 q2]]. apply Nat.eqb_eq in q2. now subst.
    + pose proof (es_ok j e ee) as [m _]. eapply at_least_ok; eauto.
  - intros j hj ne. rewrite <- es_length in hj. rewrite forallb_forall in q.
    destruct (nth_error (entries_of isqrt S C c den pts) j) as [e|] eqn:ee; [|apply nth_error_None in ee; lia].
    specialize (q (j, e)). rewrite <- es_length in q. specialize (q (in_combine_seq _ 0 j e ee)). cbn [fst snd] in q.
    apply orb_prop in q. destruct q as [q|q].
    + exfalso. apply ne. unfold exempt in q. apply existsb_exists in q. destruct q as [x [q1 q2]]. apply Nat.eqb_eq in q2. now subst.
    + pose proof (es_ok j e ee) as [_ m]. eapply at_most_ok; eauto.
Qed.
Lemma between_ok n a b lo hi : (0 < b)%Z -> between n a b lo hi = true -> within n lo hi (IZR a / IZR b).
Proof.
  intros hb q. unfold between in q. apply andb_prop in q. destruct q as [q1 q2]. apply Z.leb_le in q1. apply IZR_le in q1. rewrite !mult_IZR in q1.
  apply IZR_lt in hb. pose proof (posR n). unfold within, val; cbn [fst snd]. set (nn := IZR (Zpos n)) in *. set (bb := IZR b) in *.
  assert (nb : 0 < nn * bb) by nra. split.
  - apply Rmult_le_reg_l with (nn * bb); auto. replace (nn * bb * (IZR lo / nn)) with (IZR lo * bb) by (field; lra).
    replace (nn * bb * (IZR a / bb)) with (IZR a * nn) by (field; lra). exact q1.
  - destruct hi as [v|]; auto. apply Z.leb_le in q2. apply IZR_le in q2. rewrite !mult_IZR in q2. fold nn bb in q2.
    apply Rmult_le_reg_l with (nn * bb); auto. replace (nn * bb * (IZR v / nn)) with (IZR v * bb) by (field; lra).
    replace (nn * bb * (IZR a / bb)) with (IZR a * nn) by (field; lra). exact q2.
Qed.
Lemma box_at_ok n l e : box_at den n (nth l pts []) e = true -> in_box H n z l e.
Proof.
  unfold box_at. intros q d lo hi hd hn. rewrite forallb_forall in q. specialize (q _ (in_combine_seq e 0 d (lo, hi) hn)). cbn [fst snd Nat.add] in q.
  apply between_ok in q; [exact q|lia].
Qed.
Lemma zsumn_ok x D : (length x <= D)%nat -> IZR (zsumn x) = sumn D (at_ x).
Proof.
  revert D. induction x as [|a x IH]; intros D q; cbn [zsumn fold_right length] in *.
  - rewrite (sumn_ext _ _ (fun _ => 0)); [now rewrite sumn_zero|]. intros i _. unfold at_. destruct i; cbn; lra.
  - destruct D; [lia|]. cbn [sumn]. rewrite plus_IZR. fold (zsumn x). rewrite (IH D) by lia. reflexivity.
Qed.
Lemma zdots_ok rows : forall ps n, (length rows <= n)%nat -> (forall r, In r rows -> (length r <= channels H)%nat) ->
  IZR (zdots rows ps) = sumn n (fun l => sumn (channels H) (fun d => at_ (nth l rows []) d * at_ (nth l ps []) d)).
Proof.
  assert (Z0 : forall m (f : nat -> list Z) (k : nat -> list Z), (forall l, f l = [] \/ k l = []) ->
    sumn m (fun l => sumn (channels H) (fun d => at_ (f l) d * at_ (k l) d)) = 0).
  { intros m f k q. rewrite (sumn_ext _ _ (fun _ => 0)); [apply sumn_zero|]. intros l _.
    rewrite (sumn_ext _ _ (fun _ => 0)); [apply sumn_zero|]. intros d _. unfold at_.
    destruct (q l) as [->| ->]; destruct d; cbn; lra. }
  induction rows as [|r rows IH]; intros ps n q1 q2; cbn [zdots length] in *.
  - rewrite Z0; auto. intros l. left. destruct l; reflexivity.
  - destruct ps as [|x ps].
    + rewrite Z0; auto. intros l. right. destruct l; reflexivity.
    + destruct n; [lia|]. cbn [sumn nth]. rewrite plus_IZR, (IH ps n) by (try lia; intros; apply q2; now right).
      rewrite (zdot_ok r x (channels H)); [reflexivity|apply q2; now left].
Qed.
Lemma constraint_at_ok q : constraint_at H den (dden S) pts q = true -> satisfies H (dden S) z q.
Proof.
  assert (ALL : forall f l, forallb f (map (point_row pts) (seq 0 (nloc H))) = true -> (l < nloc H)%nat -> f (nth l pts []) = true).
  { intros f l e hl. rewrite forallb_forall in e. apply e. apply in_map_iff. exists l. split; auto. apply in_seq. lia. }
  assert (uu : 0 < u * u) by nra.
  destruct q as [l e|e|lo hi|lo hi|rows b]; cbn [constraint_at satisfies]; intros q.
  - now apply box_at_ok.
  - intros l hl. apply box_at_ok. now apply (ALL _ l q hl).
  - intros l hl. pose proof (ALL _ l q hl) as w. cbn in w. apply between_ok in w; [|lia].
    unfold z. rewrite (norm2_spot H (fine C) den pts pfit l). change (Z.pos (den * den)) with (Z.pos den * Z.pos den)%Z in w. rewrite mult_IZR in w. exact w.
  - intros l hl. pose proof (ALL _ l q hl) as w. cbn in w. apply between_ok in w; [|lia].
    rewrite (zsumn_ok _ (channels H) (fit_p H (fine C) den pts pfit l)) in w.
    replace (sumn (channels H) (z l)) with (sumn (channels H) (at_ (nth l pts [])) / IZR (Z.pos den)); [exact w|].
    unfold Rdiv. rewrite Rmult_comm, <- sumn_scal. apply sumn_ext. intros d _. unfold z, spot, Rdiv. ring.
  - apply andb_prop in q. destruct q as [q q3]. apply andb_prop in q. destruct q as [q1 q2]. apply Nat.leb_le in q1. apply Z.leb_le in q3.
    rewrite forallb_forall in q2. apply IZR_le in q3. rewrite mult_IZR in q3.
    rewrite (zdots_ok rows pts (nloc H) q1) in q3. 2:{ intros r hr. apply Nat.leb_le. now apply q2. }
    pose proof (posR (dden S)) as np. set (n := IZR (Zpos (dden S))) in *. fold u in q3.
    unfold val; cbn [fst snd]. fold n.
    replace (sumn (nloc H) (fun l => sumn (channels H) (fun d => at_ (nth l rows []) d / n * z l d)))
      with (/ (n * u) * sumn (nloc H) (fun l => sumn (channels H) (fun d => at_ (nth l rows []) d * at_ (nth l pts []) d))).
    2:{ rewrite <- sumn_scal. apply sumn_ext. intros l _. rewrite <- sumn_scal. apply sumn_ext. intros d _. unfold z, spot. fold u. field. lra. }
    apply Rmult_le_reg_l with (n * u); [nra|]. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by nra.
    replace (n * u * (IZR b / n)) with (IZR b * u) by (field; lra). exact q3.
Qed.
End At.

Lemma point_ok_ok {sh : shares} isqrt S C den pts fs : lengths_fit (network S) = true -> has_places (compile (network S)) (nproto (network S)) = true ->
  point_ok isqrt S C (compile (network S)) den pts fs (entries_of isqrt S C (compile (network S)) den pts) = true ->
  fits_points (network S) pts = true /\ inside S (spot den pts) /\ meets S (spot den pts) fs.
Proof.
  unfold point_ok. intros fit full q. apply andb_prop in q. destruct q as [q q3]. apply andb_prop in q. destruct q as [q1 q2].
  rewrite forallb_forall in q2, q3. repeat split; auto.
  - intros x hx. eapply constraint_at_ok; eauto.
  - intros x hx. eapply fact_at_ok; eauto.
Qed.

(** The recorded latent is in the domain, meets the facts, and is predicted as claimed. *)
Theorem point_sound (isqrt : Z -> Z) (S : statement) (C : certificate) : check_point isqrt S C = true -> recorded_meets S.
Proof.
  intros h2.
  unfold check_point in h2. apply andb_prop in h2. destruct h2 as [h2 h5]. apply andb_prop in h2. destruct h2 as [h2 h4].
  apply andb_prop in h2. destruct h2 as [fit full]. intros sh. destruct (point_ok_ok _ _ _ _ _ _ fit full h4) as [pf [hi hm]].
  repeat split; auto. change (recorded S) with (spot (pden S) (point S)).
  assert (P : forall g, positive_at isqrt S C (compile (network S)) (pden S) (entries_of isqrt S C (compile (network S)) (pden S) (point S)) g = true ->
    ahead (network S) (spot (pden S) (point S)) (fst g) (snd g)).
  { intros g. now apply positive_at_ok. }
  unfold predicted_at in h5. unfold predicted. destruct (claimed S) as [a|ls].
  - apply andb_prop in h5. destruct h5 as [h5 h6]. apply Nat.ltb_lt in h5. split; auto. intros k hk ne. apply over_ok.
    rewrite forallb_forall in h6. specialize (h6 k ltac:(apply in_seq; lia)). apply orb_prop in h6.
    destruct h6 as [h6|h6]; [apply Nat.eqb_eq in h6; congruence|]. now apply P.
  - apply andb_prop in h5. destruct h5 as [pl h5]. intros k on hin. rewrite forallb_forall in h5. specialize (h5 _ hin). cbn [fst snd] in h5. apply andb_prop in h5. destruct h5 as [h5 h6].
    apply Nat.ltb_lt in h5. split; auto. apply signed_ok; auto.
Qed.

(** An accepted certificate proves that the facts are sufficient, and that they and the prediction
    are true of the recorded latent. *)
Theorem accept_sound (isqrt : Z -> Z) (S : statement) (C : certificate) :
  accept isqrt S C = true -> sufficient S /\ recorded_meets S.
Proof.
  unfold accept. intros h. apply andb_prop in h. destruct h as [h1 h2]. split; [eapply check_sound; eauto|eapply point_sound; eauto].
Qed.

(** An accepted witness proves that its fact is necessary. *)
Theorem witness_sound (isqrt : Z -> Z) (S : statement) (C : certificate) (w : witness) :
  check_witness isqrt S C w = true -> necessary S (about w) (against w).
Proof.
  unfold check_witness. intros h. apply andb_prop in h. destruct h as [h h5]. apply andb_prop in h. destruct h as [h h4].
  apply andb_prop in h. destruct h as [h full]. apply andb_prop in h. destruct h as [h1 fit]. apply Nat.ltb_lt in h1.
  split; auto. exists (spot (wden_ w) (wpoint w)). intros sh. destruct (point_ok_ok _ _ _ _ _ _ fit full h4) as [pf [hi hm]]. repeat split; auto.
  assert (P : forall g, positive_at isqrt S C (compile (network S)) (wden_ w) (entries_of isqrt S C (compile (network S)) (wden_ w) (wpoint w)) g = true ->
    ahead (network S) (spot (wden_ w) (wpoint w)) (fst g) (snd g)).
  { intros g. now apply positive_at_ok. }
  unfold loses_at in h5. unfold loses. destruct (claimed S) as [a|ls].
  - apply andb_prop in h5. destruct h5 as [h5 h8]. apply andb_prop in h5. destruct h5 as [h6 h7]. apply Nat.ltb_lt in h6.
    apply negb_true_iff, Nat.eqb_neq in h7. repeat split; auto. apply over_ok. now apply P.
  - apply andb_prop in h5. destruct h5 as [pl h5]. apply existsb_exists in h5. destruct h5 as [[k on] [hin h5]]. cbn [fst snd] in h5. apply andb_prop in h5. destruct h5 as [h5 h6].
    apply Nat.eqb_eq in h5. subst k. exists on. split; auto. apply signed_ok; auto.
Qed.
