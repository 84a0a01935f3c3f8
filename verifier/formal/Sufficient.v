(** What [check] accepts: every latent of the domain that meets the facts is predicted as claimed. *)
From Coq Require Import Reals ZArith List Lra Lia Psatz Bool.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound.
Import ListNotations.
Local Open Scope R_scope.

(** ** Scores are linear in their weights *)
Lemma arrives_plus p r a t : arrives (vadd p r) a t = arrives p a t + arrives r a t.
Proof. induction t; cbn [arrives]; [apply at_vadd|]. rewrite IHt1, IHt2. ring. Qed.
Lemma arrives_scal s p a t : arrives (vscale s p) a t = IZR s * arrives p a t.
Proof. induction t; cbn [arrives]; [apply at_vscale|]. rewrite IHt1, IHt2. ring. Qed.
Lemma weighed_plus H p r a : weighed H (vadd p r) a = weighed H p a + weighed H r a.
Proof.
  unfold weighed. destruct (feature H); try apply arrives_plus.
  - rewrite <- sumn_plus. apply sumn_ext. intros. rewrite at_vadd. ring.
  - rewrite <- sumn_plus. apply sumn_ext. intros. rewrite at_vadd. ring.
Qed.
Lemma weighed_scal H s p a : weighed H (vscale s p) a = IZR s * weighed H p a.
Proof.
  unfold weighed. destruct (feature H); try apply arrives_scal.
  - rewrite <- sumn_scal. apply sumn_ext. intros. rewrite at_vscale. ring.
  - rewrite <- sumn_scal. apply sumn_ext. intros. rewrite at_vscale. ring.
Qed.
Section Shares.
Context {sh : shares}.
Lemma over_ok H z a k : ahead H z (fst (over H a k)) (snd (over H a k)) -> beats H z a k.
Proof.
  assert (W : 0 < weighed H (fst (over H a k)) (activation H z) + IZR (snd (over H a k)) ->
    score H z k + IZR (slack H) < score H z a).
  { unfold over, vsub, score; cbn [fst snd]. rewrite weighed_plus, weighed_scal, !minus_IZR.
    unfold at_. change (IZR (-1)) with (-1). lra. }
  assert (L : forall n, (0 < nth n (fst (over H a k)) 0 + snd (over H a k))%Z -> higher H a k n).
  { intros n q. apply IZR_lt in q. rewrite plus_IZR in q. change (IZR (nth n (fst (over H a k)) 0%Z)) with (at_ (fst (over H a k)) n) in q.
    unfold over, vsub, higher in *; cbn [fst snd] in *. rewrite at_vadd, at_vscale, !minus_IZR in q.
    unfold at_ in *. change (IZR (-1)) with (-1) in q. lra. }
  unfold ahead, beats. destruct (feature H); auto.
Qed.
Lemma signed_ok H z k on : plain (feature H) = true -> ahead H z (fst (signed H k on)) (snd (signed H k on)) -> label H z k on.
Proof.
  intros p q. assert (W : 0 < weighed H (fst (signed H k on)) (activation H z) + IZR (snd (signed H k on))).
  { unfold ahead in q. destruct (feature H); try discriminate; exact q. }
  clear q. revert W. unfold signed, label, score, at_. destruct on; cbn [fst snd]; [lra|].
  rewrite weighed_scal, opp_IZR. change (IZR (-1)) with (-1). lra.
Qed.

(** ** The premises of a statement *)
Section Statement.
Variable S : statement.
Variable unit : positive.
Variable z : latent.
Let H := network S.
Let g := IZR (Zpos unit).
Let gp : 0 < g := posR unit.

Lemma down_ok n x : IZR (down_ unit n x) <= g * val (x, n).
Proof.
  unfold down_, val; cbn [fst snd]. pose proof (fl_div (x * Zpos unit) (Zpos n) ltac:(lia)) as q. rewrite mult_IZR in q. fold g in q.
  pose proof (posR n). replace (g * (IZR x / IZR (Zpos n))) with (IZR x * g / IZR (Zpos n)) by (field; lra). exact q.
Qed.
Lemma up_ok n x : g * val (x, n) <= IZR (up_ unit n x).
Proof.
  unfold up_, val; cbn [fst snd]. pose proof (ce_div (x * Zpos unit) (Zpos n) ltac:(lia)) as q. rewrite mult_IZR in q. fold g in q.
  pose proof (posR n). replace (g * (IZR x / IZR (Zpos n))) with (IZR x * g / IZR (Zpos n)) by (field; lra). exact q.
Qed.
Lemma within_ok n lo hi x : within n lo (Some hi) x -> inI unit (Some (down_ unit n lo), Some (up_ unit n hi)) x.
Proof.
  intros [h1 h2]. pose proof (down_ok n lo). pose proof (up_ok n hi). split; cbn; fold g; nra.
Qed.
Lemma fact_ok f : holds H (fden S) z f -> phold H unit z (fact_prem S unit f).
Proof.
  destruct f; cbn [holds fact_prem phold qval]; intros h.
  - now apply within_ok.
  - now apply within_ok.
  - intros j hj e. specialize (h j hj (exempt_spec _ _ e)). fold g. pose proof (down_ok (fden S) bound). nra.
  - intros j hj e. specialize (h j hj (exempt_spec _ _ e)). fold g. pose proof (up_ok (fden S) bound). nra.
Qed.
Lemma box_ok e l : in_box H (dden S) z l e -> forall d lo hi, (d < channels H)%nat -> nth_error (box_ends S unit e) d = Some (lo, hi) ->
  IZR lo <= g * z l d /\ match hi with Some u => g * z l d <= IZR u | None => True end.
Proof.
  intros b d lo hi hd q. unfold box_ends in q. rewrite nth_error_map in q. destruct (nth_error e d) as [[a u]|] eqn:e1; [|discriminate].
  cbn in q. apply some_inj in q. apply pair_equal_spec in q. destruct q as [<- <-]. destruct (b d a u hd e1) as [b1 b2]. split.
  - pose proof (down_ok (dden S) a). nra.
  - destruct u as [u|]; cbn; auto. pose proof (up_ok (dden S) u). nra.
Qed.
Lemma signs_ok e l : lengths_fit H = true -> directed (metric H) = true -> in_box H (dden S) z l e ->
  forall d lo hi, (d < channels H)%nat -> nth_error (signs unit e) d = Some (lo, hi) ->
  IZR lo <= g * vec H z l d /\ match hi with Some u => g * vec H z l d <= IZR u | None => True end.
Proof.
  intros fit hd b d lo hi hd_ q. unfold signs in q. rewrite nth_error_map in q. destruct (nth_error e d) as [[a u]|] eqn:e1; [|discriminate].
  cbn in q. apply some_inj in q. apply pair_equal_spec in q. destruct q as [<- <-]. destruct (b d a u hd_ e1) as [b1 b2].
  destruct (direction_ball H z fit l hd) as [_ B].
  assert (one : vec H z l d * vec H z l d <= 1).
  { eapply Rle_trans; [|exact B]. unfold square_length. apply (sumn_one (channels H) (fun k => vec H z l k * vec H z l k) d); auto. intros; apply Rle_0_sqr. }
  assert (V : - 1 <= vec H z l d <= 1) by (split; nra).
  assert (SG : (0 <= z l d -> 0 <= vec H z l d) /\ (z l d <= 0 -> vec H z l d <= 0)).
  { destruct (direction_sign H z fit l hd) as [r [r0 hr]]. rewrite hr. unfold Rdiv. split; intros; nra. }
  assert (Q : forall k : Z, (0 <= k)%Z -> 0 <= val (k, dden S)).
  { intros k hk. unfold val; cbn [fst snd]. apply Rmult_le_pos; [now apply IZR_le|left; apply Rinv_0_lt_compat; apply posR]. }
  assert (Q' : forall k : Z, (k <= 0)%Z -> val (k, dden S) <= 0).
  { intros k hk. unfold val; cbn [fst snd]. apply IZR_le in hk. assert (0 < / IZR (Zpos (dden S))) by (apply Rinv_0_lt_compat; apply posR). unfold Rdiv. nra. }
  split.
  - destruct (0 <=? a)%Z eqn:ea; bools.
    + specialize (Q a ea). destruct SG as [s1 _]. specialize (s1 ltac:(lra)). nra.
    + change (- g <= g * vec H z l d). nra.
  - destruct u as [u|]; [|change (g * vec H z l d <= g); nra]. destruct (u <=? 0)%Z eqn:eu; bools; [|change (g * vec H z l d <= g); nra].
    specialize (Q' u eu). destruct SG as [_ s2]. specialize (s2 ltac:(lra)). nra.
Qed.
Lemma domain_ok q : lengths_fit H = true -> satisfies H (dden S) z q -> phold H unit z (domain_prem S unit q).
Proof.
  intros fit h. unfold domain_prem. fold H. destruct (directed (metric H)) eqn:ed.
  - destruct q; cbn [satisfies phold] in *; try exact I; intros l' hl' d lo hi hd hn; subst; eapply signs_ok; eauto.
  - assert (V : forall l d, vec H z l d = z l d).
    { intros l d. unfold vec. destruct (metric H); cbn [directed] in ed; auto; try discriminate. destruct (one_span each); [discriminate|auto]. }
    assert (VS : forall l, square_length (channels H) (vec H z l) = square_length (channels H) (z l)) by (intros; apply sumn_ext; intros; now rewrite V).
    destruct q; cbn [satisfies phold qval] in *.
    + intros l' hl' d lo hi hd hn. rewrite V. subst. eapply box_ok; eauto.
    + intros l' hl' d lo hi hd hn. rewrite V. eapply box_ok; eauto.
    + intros l hl _. rewrite VS. apply within_ok. now apply h.
    + intros l hl _. rewrite (sumn_ext _ (vec H z l) (z l)) by (intros; apply V). apply within_ok. now apply h.
    + pose proof (posR (dden S)) as np; unfold val in h; cbn [fst snd] in h; set (n := IZR (Zpos (dden S))) in *.
      rewrite mult_IZR; fold g; rewrite (Rmult_comm (IZR bound)); apply Rmult_le_compat_l; [lra|].
      apply Rmult_le_reg_r with (/ n); [now apply Rinv_0_lt_compat|]. eapply Rle_trans; [exact h|]. right.
      rewrite Rmult_comm, <- sumn_scal. apply sumn_ext. intros l _. rewrite <- sumn_scal. apply sumn_ext. intros d _. rewrite V. field. lra.
Qed.
Lemma premises_known : lengths_fit H = true -> inside S z -> meets S z (facts S) -> known H unit z (of_list (premises S unit)).
Proof.
  intros fit hi hm i p q. rewrite get_of_list in q. apply nth_error_In in q. unfold premises in q. apply in_app_or in q.
  destruct q as [q|q]; apply in_map_iff in q; destruct q as [x [<- hx]].
  - apply fact_ok. now apply hm.
  - apply domain_ok; auto.
Qed.
End Statement.

Lemma all_rivals_ok show H a z evs : (forall q ev, show q ev = true -> ahead H z (fst q) (snd q)) ->
  forall k, all_rivals show H a k evs = true -> forall i, (k <= i < k + length evs)%nat -> i <> a -> beats H z a i.
Proof.
  intros so. induction evs as [|ev r IH]; intros k h i hi ne; cbn [all_rivals length] in *; [lia|].
  apply andb_prop in h. destruct h as [h1 h2]. destruct (Nat.eq_dec i k) as [->|].
  - apply orb_prop in h1. destruct h1 as [h1|h1]; [apply Nat.eqb_eq in h1; congruence|]. apply over_ok. eapply so; eauto.
  - eapply IH; eauto. lia.
Qed.
Lemma all_labels_ok show H z ls : plain (feature H) = true -> (forall q ev, show q ev = true -> ahead H z (fst q) (snd q)) ->
  forall evs, all_labels show H ls evs = true -> forall k on, In (k, on) ls -> (k < nclass H)%nat /\ label H z k on.
Proof.
  intros pl so. induction ls as [|[k on] ls IH]; intros evs h k' on' hin; [destruct hin|]. cbn [all_labels] in h.
  destruct evs as [|ev r]; [discriminate|]. apply andb_prop in h. destruct h as [h h3]. apply andb_prop in h. destruct h as [h1 h2].
  destruct hin as [e|hin]; [|eapply IH; eauto]. apply pair_equal_spec in e. destruct e as [<- <-]. apply Nat.ltb_lt in h1.
  split; auto. apply signed_ok; auto. eapply so; eauto.
Qed.

End Shares.

Theorem check_sound (isqrt : Z -> Z) (S : statement) (C : certificate) : check isqrt S C = true -> sufficient S.
Proof.
  unfold check. set (H := network S). intros h sh z hi hm.
  apply andb_prop in h. destruct h as [h hr]. apply andb_prop in h. destruct h as [fit hl]. apply Nat.eqb_eq in hl.
  set (ps := match metric H with Euclidean => of_list (protos H) | _ => Tip end) in *.
  assert (PS : forall j p, get ps j = Some p -> metric H = Euclidean /\ nth j (protos H) [] = p).
  { intros j p q. unfold ps in q. destruct (metric H); try discriminate. rewrite get_of_list in q. split; auto. now apply nth_error_nth_. }
  destruct (rooted isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (of_list (premises S (unit_ C))) (steps C)) as [prems|] eqn:er; [|discriminate].
  assert (K : known H (unit_ C) z prems).
  { apply (rooted_ok isqrt H (unit_ C) (fine C) (rounds C) z fit ps PS (steps C) _ _ (premises_known S (unit_ C) z fit hi hm) er). }
  set (es := entries isqrt (compile H) (unit_ C) (fine C) (rounds C) prems (roofs C) 0 (table C)) in *.
  assert (A : all_ok H (unit_ C) (fine C) z 0 es).
  { intros i e q. unfold es in q. apply (entries_ok isqrt H (unit_ C) (fine C) (rounds C) z fit prems K (roofs C) (table C) 0 i e q). }
  assert (L : length es = nproto H) by (unfold es; rewrite entries_length; exact hl).
  set (show := fun g ev => shown isqrt (compile H) (unit_ C) (fine C) (rounds C) ps (roofs C) (feature H) (fst g) (snd g) es prems ev) in *.
  assert (SH : forall q ev, show q ev = true -> ahead H z (fst q) (snd q)).
  { intros q ev hs. unfold show in hs. eapply (shown_ok isqrt H (unit_ C) (fine C) (rounds C) z fit ps PS); eauto. }
  unfold predicted. fold H. destruct (claimed S) as [a|ls].
  - apply andb_prop in hr. destruct hr as [hr h2]. apply andb_prop in hr. destruct hr as [h0 h1]. apply Nat.ltb_lt in h0. apply Nat.eqb_eq in h1.
    split; auto. intros k hk ne. eapply (all_rivals_ok show H a z); eauto. lia.
  - apply andb_prop in hr. destruct hr as [pl hr]. intros k on hin. eapply (all_labels_ok show H z); eauto.
Qed.
