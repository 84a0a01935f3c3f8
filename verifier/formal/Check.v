(** The checker: integers only. Everything that a proof contributes is a choice. *)
From Coq Require Import ZArith List Bool.
From Protoproof Require Import Spec Base Interval Shape Forms Pool.
Import ListNotations.
Local Open Scope Z_scope.

(** a location, or every one *)
Definition place := option nat.
Inductive quantity := QM (j : nat) | QNorm | QTotal | QChannel (d : nat) | QSlope (v : list Z).

(** What is known about a latent; all numbers over [unit]. For angles, norm, total and box are those
    of the direction z / length. *)
Inductive prem :=
| PQ (at_ : place) (q : quantity) (lo hi : option Z)
| PV (j : nat) (lo hi : option Z)              (* the pooled value *)
| PFloor (b : Z) (ex : list nat)               (* all other pooled values are at least b *)
| PRoof (b : Z) (ex : list nat)                (* all other activations are at most b *)
| PBox (at_ : place) (e : ends)
| PHere (l j : nat)                            (* location l attains the least measurement *)
| PAmong (j : nat) (ls : list nat)             (* one of these locations does *)
| PNothing
| PJoint (rows : list (list Z)) (lo : Z).        (* a linear form over all locations is at least this *)

(** multipliers of premises *)
Definition charges := list (nat * Z).
Inductive step :=
| SRow (at_ : place) (j : nat) (s : Z) (box : option nat) (ts : charges)   (* bounds s * measurement *)
| SZero (j : nat)
| SBall
| SLeast (j : nat) (refs : list nat)
| SLeastAmong (j i : nat) (refs : list nat)
| SUp (j l i : nat)
| SLow (at_ : place) (j i : nat)
| SPool (j : nat) (refs : list (option nat * option nat))
| SImplied (j v i : nat) (s t ball : Z)
| SOnly (j : nat)
| SStart (j : nat)
| SHere (i k : nat)
| SSpan (at_ : place) (j : nat) (box : option nat)
| SScaled (at_ : place) (j box : nat)
| SAround (l j i : nat) (r : Z)
| SMeet (i k : nat)
| SCut (i k : nat)
| SAlone (i l : nat) (boxes : list nat).

Inductive line :=
| Support (l : nat) (al be a b : Z)
| Oppose (l : nat) (al be : Z) (il ih : nat) (among : option nat) (refs : list nat).
Record relaxation := Relaxation {
  lines : list (nat * line);                     (* by prototype, ascending *)
  sums : list (nat * option nat * charges);      (* by location: box and multipliers *)
  joint : charges }.                             (* linear forms over all locations *)

Inductive proof :=
| Done (updates : list (nat * (option nat * option nat))) (form : option relaxation)
| Step (s : step) (p : proof)
| Absurd (i k : nat)
| Nowhere (i : nat)
| EmptyBox (i : nat)
| SplitQ (l : nat) (what : quantity) (at_ : Z) (p1 p2 : proof)
| SplitV (j : nat) (at_ : Z) (p1 p2 : proof)
| Place (i l : nat) (p1 p2 : proof).
Inductive evidence := Direct (form : option relaxation) | Cases (p : proof).

Record certificate := Certificate {
  unit_ : positive;                              (* bounds are integers over it *)
  fine : positive;                               (* similarities are integers over it *)
  rounds : nat;
  steps : list step;
  table : list (option nat * option nat);        (* per prototype, the premises about its value *)
  roofs : list nat;                              (* premises about activations *)
  margins : list evidence }.                     (* one per class, or per label *)

(** ** The head, as arrays *)
Record context := Context {
  ch : nat; nl : nat; np : nat; hd_ : Z;
  angular : bool; squares : bool;
  forms : array form; lb : array nat; pb : array nat;
  insides : array chain; kinds : array pooling; outsides : array chain;
  (* of a diagonal geometry: prototypes with scales, over [sd_], which may be [more_] larger *)
  scaled_ : array (list Z * list Z); sd_ : Z; more_ : ratio;
  (* of angles: the squares of the positive and of the negative part of prototypes *)
  spanned : array (Z * Z) }.

Definition form_of (s : geometry) (p : list Z) : form :=
  match s with
  | Euclidean => Form 1 (vscale (-2) p) (norm2 p)
  | _ => Form 0 (vscale (-1) p) 0
  end.
Definition same_ratio (a b : ratio) : bool := (fst a =? fst b) && Pos.eqb (snd a) (snd b).
Definition same_span (a b : span) : bool :=
  same_ratio (spfloor a) (spfloor b) && same_ratio (spadded a) (spadded b) && same_ratio (spbeside a) (spbeside b).
(** the one length that divides all angles, if there is one *)
Definition one_span (each : list span) : option span :=
  match each with a :: r => if forallb (same_span a) r then Some a else None | [] => None end.
(** whether measurements are products with a direction, which the unit ball contains *)
Definition directed (s : geometry) : bool :=
  match s with
  | Angular _ _ => true
  | Lengths each => match one_span each with Some _ => true | None => false end
  | _ => false
  end.
Definition quadratic (s : geometry) : bool :=
  match s with Diagonal _ => false | Lengths _ => directed s | _ => true end.
Definition all_nonneg (m : list (list Z)) : bool := forallb (forallb (Z.leb 0)) m.
Definition compile (H : head) : context :=
  Context (channels H) (nloc H) (nproto H) (Zpos (hden H))
    (directed (metric H))
    (match metric H with Euclidean => true | Diagonal _ => all_nonneg (scales H) | _ => false end)
    (if quadratic (metric H) then of_list (map (form_of (metric H)) (protos H)) else Tip)
    (of_list (lbank H)) (of_list (pbank H)) (of_list (inner H)) (of_list (pools H)) (of_list (outer H))
    (match metric H with Diagonal _ => of_list (combine (protos H) (scales H)) | _ => Tip end) (Zpos (sden H))
    (match metric H with Diagonal more => more | _ => (0, 1%positive) end)
    (match metric H with
     | Angular _ _ | Lengths _ => of_list (map (fun p => (norm2 (map (Z.max 0) p), norm2 (map (Z.min 0) p))) (protos H))
     | _ => Tip end).
Definition lengths_fit (H : head) : bool :=
  match metric H with
  | Angular f a => (0 <=? fst f) && (0 <=? fst a)
  | Lengths each => Nat.eqb (length each) (nproto H) && forallb (fun s => 0 <=? fst (spadded s)) each
  | Diagonal more => 0 <=? fst more
  | _ => true
  end &&
  forallb (fun p => Nat.leb (length p) (channels H)) (protos H) &&
  Nat.eqb (length (pbank H)) (nproto H).

Section Kernel.
Variable isqrt : Z -> Z.
Variable c : context.
Variable unit fine : positive.
Variable rounds : nat.
Let G := Zpos unit. Let F := Zpos fine.
Let h2 := hd_ c * hd_ c.

Definition measures_ (l j : nat) : bool :=
  match get (lb c) l, get (pb c) j with Some a, Some b => Nat.eqb a b | _, _ => false end.
Definition places_ (j : nat) : list nat := filter (fun l => measures_ l j) (seq 0 (nl c)).
Definition nearest (j : nat) : bool :=
  match get (kinds c) j with Some Nearest => true | _ => false end.
Definition exempt (j : nat) (ex : list nat) : bool := existsb (Nat.eqb j) ex.
Definition covers (p at_ : place) : bool :=
  match p with None => true | Some l => match at_ with Some k => Nat.eqb l k | None => false end end.
Definition form_for (q : quantity) : option form :=
  match q with
  | QM j => get (forms c) j
  | QNorm => Some (Form 1 [] 0)
  | QTotal => Some (Form 0 (repeat (hd_ c) (ch c)) 0)
  | QChannel d => if Nat.ltb d (ch c) then Some (Form 0 (repeat 0 d ++ [hd_ c]) 0) else None
  | QSlope v => Some (Form 0 (vscale (hd_ c) v) 0)
  end.

Section Premises.
Variable prems : array prem.

(** ** The Lagrangian rule *)
Definition same_bank (p : place) (q : quantity) (bank : nat) : bool :=
  match p, q with
  | None, QM j => match get (pb c) j with Some b => Nat.eqb b bank | None => false end
  | _, _ => true
  end.
Fixpoint charge (at_ : place) (bank : nat) (ts : charges) : option (list (Z * form) * Z) :=
  match ts with
  | [] => Some ([], 0)
  | (i, t) :: r =>
      match get prems i with
      | Some (PQ p q lo hi) =>
          if covers p at_ && same_bank p q bank then
            match form_for q, (if 0 <? t then hi else lo), charge at_ bank r with
            | Some f, Some e, Some (T, C) => Some ((t, f) :: T, t * e + C)
            | _, _, _ => None
            end
          else None
      | _ => None
      end
  end.
Definition box_of (at_ : place) (box : option nat) : option (option ends) :=
  match box with
  | None => Some None
  | Some i => match get prems i with
              | Some (PBox p e) => if covers p at_ then Some (Some e) else None
              | _ => None end
  end.
(** numerator and positive denominator of a lower bound of a sum of quantities *)
Definition bounded (T : list (Z * form)) (C : Z) (box : option ends) : option (Z * Z) :=
  match least_form (hd_ c) G (ch c) box (combine_ T) with
  | Some (n, d) => Some (n * G - C * d * h2, d * h2 * G)
  | None => None
  end.
Definition row (at_ : place) (bank : nat) (box : option nat) (subject : list (Z * form)) (ts : charges)
    : option (Z * Z) :=
  match charge at_ bank ts, box_of at_ box with
  | Some (T, C), Some b => bounded (subject ++ T) C b
  | _, _ => None
  end.
(** what a lower bound n/d of s * x says about x *)
Definition solved (s n d : Z) : option Z * option Z :=
  if 0 <? s then (Some (fl (n * G) (d * s)), None)
  else if s <? 0 then (None, Some (- fl (n * G) (d * - s))) else (None, None).

(** ** What premises say *)
Definition lower_at (l j i : nat) : option Z :=
  match get prems i with
  | Some (PQ p (QM k) lo _) => if covers p (Some l) && Nat.eqb k j then lo else None
  | Some (PV k lo _) => if nearest j && Nat.eqb k j then lo else None
  | Some (PFloor b ex) => if nearest j && Nat.ltb j (np c) && negb (exempt j ex) then Some b else None
  | _ => None
  end.
Definition upper_at (l j i : nat) : option Z :=
  match get prems i with
  | Some (PQ p (QM k) _ hi) => if covers p (Some l) && Nat.eqb k j then hi else None
  | _ => None
  end.
Definition low_value (j i : nat) : option Z :=
  match get prems i with
  | Some (PV k lo _) => if Nat.eqb k j then lo else None
  | Some (PFloor b ex) => if Nat.ltb j (np c) && negb (exempt j ex) then Some b else None
  | Some (PQ None (QM k) lo _) =>
      if nearest j && Nat.eqb k j then match places_ j with [] => None | _ => lo end else None
  | _ => None
  end.
(** the least of the lower bounds at some locations, but for one; [None] inside: there is no other *)
Fixpoint least_at (j : nat) (but : option nat) (ls refs : list nat) : option (option Z) :=
  match ls with
  | [] => Some None
  | l :: ls' =>
      match refs with
      | [] => None
      | i :: more =>
          match least_at j but ls' (match more with [] => refs | _ => more end) with
          | None => None
          | Some m =>
              if (match but with Some b => Nat.eqb b l | None => false end) then Some m else
              match lower_at l j i with
              | None => None
              | Some a => Some (Some (match m with None => a | Some b => Z.min a b end))
              end
          end
      end
  end.
Definition to_fine (i : itv) : itv :=
  (option_map (fun a => fl (a * F) G) (fst i), option_map (fun b => ce (b * F) G) (snd i)).
Definition to_unit (i : itv) : itv :=
  (option_map (fun a => fl (a * G) F) (fst i), option_map (fun b => ce (b * G) F) (snd i)).
Fixpoint inside_itvs (j : nat) (inner : chain) (ls : list nat) (refs : list (option nat * option nat))
    : option (list itv) :=
  match ls, refs with
  | [], _ => Some []
  | l :: ls', (ilo, ihi) :: refs' =>
      let lo := match ilo with Some i => lower_at l j i | None => None end in
      let hi := match ihi with Some i => upper_at l j i | None => None end in
      match image isqrt fine rounds inner (to_fine (lo, hi)), inside_itvs j inner ls' refs' with
      | Some x, Some r => Some (x :: r)
      | _, _ => None
      end
  | _, _ => None
  end.
Fixpoint meet (a b : ends) : ends :=
  match a, b with
  | (l1, u1) :: a', (l2, u2) :: b' =>
      (Z.max l1 l2, match u1, u2 with
                    | Some x, Some y => Some (Z.min x y) | Some x, None => Some x | None, o => o end) :: meet a' b'
  | _, _ => []
  end.
Definition cut_low (e : ends) (d : nat) (x : Z) : ends :=
  map (fun p => if Nat.eqb (fst p) d then (Z.max (fst (snd p)) x, snd (snd p)) else snd p) (combine (seq 0 (length e)) e).
Definition cut_high (e : ends) (d : nat) (x : Z) : ends :=
  map (fun p => if Nat.eqb (fst p) d then
         (fst (snd p), Some (match snd (snd p) with Some u => Z.min u x | None => x end)) else snd p)
      (combine (seq 0 (length e)) e).
(** the most of a linear form over a box, and of one over all locations but for one *)
Fixpoint most_of (n : nat) (v : list Z) (e : ends) : option Z :=
  match n with
  | O => Some 0
  | S n' =>
      match v with
      | [] => Some 0
      | a :: v' =>
          match e, most_of n' v' (tl e) with
          | (lo, hi) :: _, Some m =>
              if a =? 0 then Some m else
              match hi with Some u => Some (Z.max (a * lo) (a * u) + m) | None => if a <? 0 then Some (a * lo + m) else None end
          | _, _ => None
          end
      end
  end.
Fixpoint most_elsewhere (l n k : nat) (rows : list (list Z)) (boxes : list nat) : option Z :=
  match n with
  | O => Some 0
  | S n' =>
      match boxes with
      | [] => None
      | i :: boxes' =>
          match most_elsewhere l n' (S k) (tl rows) boxes' with
          | None => None
          | Some m =>
              if Nat.eqb k l then Some m else
              match get prems i with
              | Some (PBox p e) =>
                  if covers p (Some k) then
                    match most_of (ch c) (hd [] rows) e with Some x => Some (x + m) | None => None end
                  else None
              | _ => None
              end
          end
      end
  end.
(** channels within r of a prototype's, rounded outwards *)
Definition around (p : list Z) (D : nat) (r : Z) : ends :=
  map (fun d => let x := nth d p 0 in (fl (x * G) (hd_ c) - r, Some (ce (x * G) (hd_ c) + r))) (seq 0 D).

(** sums over channels: of the scaled squares of the distances to the box, of those to its farthest
    corner, and of the latter without scales; over (G h)^2, the first two over [sd_] besides *)
Fixpoint corners (n : nat) (p s : list Z) (e : ends) : option (Z * option (Z * Z)) :=
  match n with
  | O => Some (0, Some (0, 0))
  | S n' =>
      match e with
      | [] => None
      | (lo, hi) :: e' =>
          match corners n' (tl p) (tl s) e' with
          | None => None
          | Some (a, far) =>
              let w := hd 0 s in
              let below := lo * hd_ c - hd 0 p * G in
              let near := Z.max 0 (Z.max below (match hi with Some u => hd 0 p * G - u * hd_ c | None => 0 end)) in
              Some (w * (near * near) + a,
                    match hi, far with
                    | Some u, Some (b, b') =>
                        let m := Z.max (Z.abs below) (Z.abs (u * hd_ c - hd 0 p * G)) in Some (w * (m * m) + b, m * m + b')
                    | _, _ => None
                    end)
          end
      end
  end.
Definition scaled_range (j : nat) (e : ends) : option (option Z * option Z) :=
  match get (scaled_ c) j with
  | Some (p, s) =>
      match corners (ch c) p s e with
      | Some (a, far) =>
          let d := G * h2 * sd_ c in let m := more_ c in
          Some (Some (fl a d),
                match far with
                | Some (b, b') => Some (ce (b * Zpos (snd m) + fst m * sd_ c * b') (d * Zpos (snd m)))
                | None => None
                end)
      | None => None
      end
  | None => None
  end.

(** at least the root of n / h^2, over [unit] *)
Definition near_root (n : Z) : Z :=
  let t := isqrt (n * (G * G) / h2) in if (0 <? t) && (t * t * h2 =? n * (G * G)) then t else t + 1.
Definition root_above (n : Z) : option Z :=
  let x := near_root n in if (0 <? x) && (n * (G * G) <=? x * x * h2) then Some x else None.

Variable protos_ : array (list Z).              (* empty unless squared distances are measured *)
Definition derive (s : step) : option prem :=
  match s with
  | SRow at_ j s box ts =>
      match get (forms c) j, (match at_ with Some l => get (lb c) l | None => get (pb c) j end) with
      | Some f, Some bank =>
          match row at_ bank box [(s, f)] ts with
          | Some (n, d) => let (lo, hi) := solved s n d in Some (PQ at_ (QM j) lo hi)
          | None => None
          end
      | _, _ => None
      end
  | SZero j => if squares c then Some (PQ None (QM j) (Some 0) None) else None
  | SBall => if angular c then Some (PQ None QNorm (Some 0) (Some G)) else None
  | SLeast j refs =>
      if nearest j then
        match least_at j None (places_ j) refs with
        | Some (Some b) => Some (PV j (Some b) None) | _ => None end
      else None
  | SLeastAmong j i refs =>
      match (match get prems i with
             | Some (PAmong k ls) => Some (k, ls) | Some (PHere l k) => Some (k, [l]) | _ => None end) with
      | Some (k, ls) =>
          if Nat.eqb k j && nearest j then
            match least_at j None ls refs with
            | Some (Some b) => Some (PV j (Some b) None) | _ => None end
          else None
      | None => None
      end
  | SUp j l i =>
      if nearest j && measures_ l j then
        match upper_at l j i with Some b => Some (PV j None (Some b)) | None => None end
      else None
  | SLow (Some l) j i =>
      if measures_ l j then
        match lower_at l j i with Some b => Some (PQ (Some l) (QM j) (Some b) None) | None => None end
      else None
  | SLow None j i =>
      if nearest j then
        match low_value j i with Some b => Some (PQ None (QM j) (Some b) None) | None => None end
      else None
  | SPool j refs =>
      match get (insides c) j, get (kinds c) j with
      | Some inner, Some kind =>
          match inside_itvs j inner (places_ j) refs with
          | Some is => match pool isqrt fine rounds kind is with
                       | Some i => let (lo, hi) := to_unit i in Some (PV j lo hi) | None => None end
          | None => None
          end
      | _, _ => None
      end
  | SImplied j v i s t ball =>
      match get prems i, get (forms c) j, get (forms c) v, get (pb c) j, get (pb c) v with
      | Some (PV k _ (Some hi)), Some fj, Some fv, Some bj, Some bv =>
          if Nat.eqb k v && Nat.eqb bj bv && nearest j && nearest v && (s <? 0) && (0 <=? t) && (0 <=? ball)
             && ((ball =? 0) || angular c) && negb (match places_ v with [] => true | _ => false end) then
            match bounded [(s, fj); (t, fv); (ball, Form 1 [] 0)] (t * hi + ball * G) None with
            | Some (n, d) => let (_, up) := solved s n d in Some (PV j None up)
            | None => None
            end
          else None
      | _, _, _, _, _ => None
      end
  | SOnly j =>
      if nearest j then match places_ j with [l] => Some (PHere l j) | _ => None end else None
  | SStart j =>
      if nearest j then match places_ j with [] => None | ls => Some (PAmong j ls) end else None
  | SHere i k =>
      match get prems i, get prems k with
      | Some (PHere l j), Some (PV j' lo hi) => if Nat.eqb j j' then Some (PQ (Some l) (QM j) lo hi) else None
      | _, _ => None
      end
  | SSpan at_ j box =>
      match get (spanned c) j with
      | Some (a, b) =>
          match (match box with
                 | None => Some (a + b, a + b)
                 | Some i => match get prems i with
                             | Some (PBox p e) =>
                                 if covers p at_ && match at_ with Some l => Nat.ltb l (nl c) | None => true end
                                    && Nat.leb (ch c) (length e) && forallb (fun x => 0 <=? fst x) (firstn (ch c) e)
                                 then Some (a, b) else None
                             | _ => None
                             end
                 end) with
          | Some (low, high) =>
              match root_above low, root_above high with
              | Some x, Some y => Some (PQ at_ (QM j) (Some (- x)) (Some y))
              | _, _ => None
              end
          | None => None
          end
      | None => None
      end
  | SScaled at_ j box =>
      match get prems box with
      | Some (PBox p e) =>
          if covers p at_ && squares c && match at_ with Some l => Nat.ltb l (nl c) | None => true end then
            match scaled_range j e with Some (lo, hi) => Some (PQ at_ (QM j) lo hi) | None => None end
          else None
      | _ => None
      end
  | SAround l j i r =>
      match upper_at l j i, get protos_ j with
      | Some b, Some p =>
          if measures_ l j && (0 <=? r) && (b * G <=? r * r) then Some (PBox (Some l) (around p (ch c) r)) else None
      | _, _ => None
      end
  | SMeet i k =>
      match get prems i, get prems k with
      | Some (PBox p a), Some (PBox p' b) =>
          match p with
          | Some l => if covers p' p && Nat.ltb l (nl c) then Some (PBox p (meet a b)) else None
          | None => None
          end
      | _, _ => None
      end
  | SCut i k =>
      match get prems i, get prems k with
      | Some (PBox p e), Some (PQ (Some l) (QChannel d) lo hi) =>
          if covers p (Some l) && Nat.ltb l (nl c) then
            let e1 := match lo with Some x => cut_low e d x | None => e end in
            Some (PBox (Some l) (match hi with Some x => cut_high e1 d x | None => e1 end))
          else None
      | _, _ => None
      end
  | SAlone i l boxes =>
      match get prems i with
      | Some (PJoint rows lo) =>
          if Nat.ltb l (nl c) then
            match most_elsewhere l (nl c) 0 rows boxes with
            | Some m => Some (PQ (Some l) (QSlope (nth l rows [])) (Some (lo - m)) None)
            | None => None
            end
          else None
      | _ => None
      end
  end.

(** ** Activations *)
Definition high_value (j i : nat) : option Z :=
  match get prems i with
  | Some (PV k _ hi) => if Nat.eqb k j then hi else None
  | Some (PQ (Some l) (QM k) _ hi) => if nearest j && measures_ l j && Nat.eqb k j then hi else None
  | Some (PQ None (QM k) _ hi) =>
      if nearest j && Nat.eqb k j then match places_ j with [] => None | _ => hi end else None
  | _ => None
  end.
Definition roof (j : nat) (i : nat) (known : option Z) : option Z :=
  match get prems i with
  | Some (PRoof b ex) =>
      if Nat.ltb j (np c) && negb (exempt j ex) then
        let e := ce (b * F) G in Some (match known with Some k => Z.min k e | None => e end)
      else known
  | _ => known
  end.
(** of one prototype: the interval of its value, over [unit], and of its activation, over [fine] *)
Definition entry := (itv * itv)%type.
Definition entry_of (roofs : list nat) (j : nat) (refs : option nat * option nat) : entry :=
  let t := (match fst refs with Some i => low_value j i | None => None end,
            match snd refs with Some i => high_value j i | None => None end) in
  let a := match get (outsides c) j with
           | Some ch => match image isqrt fine rounds ch (to_fine t) with Some a => a | None => (None, None) end
           | None => (None, None) end in
  (t, (fst a, fold_right (roof j) (snd a) roofs)).
Fixpoint entries (roofs : list nat) (j : nat) (refs : list (option nat * option nat)) : list entry :=
  match refs with [] => [] | r :: rs => entry_of roofs j r :: entries roofs (S j) rs end.
Fixpoint updated (roofs : list nat) (j : nat) (ups : list (nat * (option nat * option nat))) (es : list entry)
    : list entry :=
  match es with
  | [] => []
  | e :: r =>
      match ups with
      | (k, refs) :: more =>
          if Nat.eqb k j then entry_of roofs j refs :: updated roofs (S j) more r else e :: updated roofs (S j) ups r
      | [] => es
      end
  end.

(** ** Lines *)
Definition point_itv (x : Z) : itv := to_fine (Some x, Some x).
Definition both (i : option itv) : option (Z * Z) :=
  match i with Some (Some a, Some b) => Some (a, b) | _ => None end.
(** (location, slope, constant): a bound of weight * activation that is linear in the measurement *)
Definition line_of (j : nat) (w : Z) (e : entry) (ln : line) : option (nat * Z * Z) :=
  match get (outsides c) j with
  | None => None
  | Some ch =>
      let f := fun x => both (image isqrt fine rounds ch (point_itv x)) in
      match ln with
      | Support l al be a b =>
          match fst (fst e), f a, f b with
          | Some low, Some (fa, fa'), Some (fb, fb') =>
              let lo := Z.min low a in
              let top := match snd (fst e) with Some hi => Some (Z.max hi b) | None => None end in
              let s := shape_on isqrt fine rounds ch (to_fine (Some lo, top)) in
              if (0 <? w) && nearest j && measures_ l j && convex s && falls s && (al <=? 0)
                 && (a <? b)
                 && (al * b + be * G <=? fb * G) && (al * a + be * G <=? fb * G)
                 && (al * (b - a) <=? (fb - fa') * G)
                 && ((a - lo) * ((fb' - fa) * G - al * (b - a)) <=? (b - a) * (fa * G - al * a - be * G))
              then Some (l, w * al, w * be) else None
          | _, _, _ => None
          end
      | Oppose l al be il ih among refs =>
          match lower_at l j il, upper_at l j ih with
          | Some lo, Some hi =>
              let cand := match among with
                | None => Some (places_ j)
                | Some i => match get prems i with
                            | Some (PAmong k ls) => if Nat.eqb k j then Some ls else None
                            | Some (PHere k j') => if Nat.eqb j' j then Some [k] else None
                            | _ => None end end in
              match f lo, f hi, cand with
              | Some (_, flo), Some (_, fhi), Some ls =>
                  let s := shape_on isqrt fine rounds ch (to_fine (Some lo, Some hi)) in
                  let near := al * lo + be * G in let far := al * hi + be * G in
                  let fits := fun r => (r * G <=? near) && (r * G <=? far) in
                  if (w <? 0) && nearest j && measures_ l j && convex s && (flo * G <=? near) && (fhi * G <=? far)
                     && match least_at j (Some l) ls refs with
                        | Some None => true
                        | Some (Some e) =>
                            match image isqrt fine rounds ch (to_fine (Some e, None)) with
                            | Some (_, Some r) => fits r | _ => false end
                        | None => false end
                  then Some (l, w * al, w * be) else None
              | _, _, _ => None
              end
          | _, _ => None
          end
      end
  end.

(** terms (location, (coefficient, prototype)) of the listed prototypes; intervals of the others *)
Definition term := (nat * (Z * nat))%type.
Fixpoint terms (j : nat) (w : list Z) (es : list entry) (ls : list (nat * line)) : option (Z * list term) :=
  match es with
  | [] => match ls with [] => Some (0, []) | _ => None end
  | e :: es' =>
      let a := hd 0 w in
      match ls with
      | (k, ln) :: more =>
          if Nat.eqb k j then
            match line_of j a e ln, terms (S j) (tl w) es' more with
            | Some (l, al, be), Some (s, T) => Some (be + s, (l, (al, j)) :: T)
            | _, _ => None
            end
          else
            match weigh a (snd e), terms (S j) (tl w) es' ls with
            | Some v, Some (s, T) => Some (v + s, T)
            | _, _ => None
            end
      | [] =>
          match weigh a (snd e), terms (S j) (tl w) es' [] with
          | Some v, Some (s, T) => Some (v + s, T)
          | _, _ => None
          end
      end
  end.
Fixpoint subject_of (T : list term) : option (list (Z * form)) :=
  match T with
  | [] => Some []
  | (_, (a, j)) :: r =>
      match get (forms c) j, subject_of r with Some f, Some s => Some ((a, f) :: s) | _, _ => None end
  end.
(** the linear forms over all locations that are taken off, by location; and what they are at least *)
Definition taken (js : list (Z * list (list Z))) (l : nat) : list (Z * form) :=
  map (fun x => (- fst x, Form 0 (vscale (hd_ c) (nth l (snd x) [])) 0)) js.
Fixpoint joints (ts : charges) : option (list (Z * list (list Z)) * Z) :=
  match ts with
  | [] => Some ([], 0)
  | (i, t) :: r =>
      match get prems i, joints r with
      | Some (PJoint rows lo), Some (js, s) => if 0 <=? t then Some ((t, rows) :: js, t * lo + s) else None
      | _, _ => None
      end
  end.
Fixpoint summed (js : list (Z * list (list Z))) (ss : list (nat * option nat * charges)) (T : list term) : option Z :=
  match ss with
  | [] => match T with [] => Some 0 | _ => None end
  | (l, box, ts) :: ss' =>
      let mine := filter (fun x => Nat.eqb (fst x) l) T in
      let rest := filter (fun x => negb (Nat.eqb (fst x) l)) T in
      match get (lb c) l, subject_of mine, summed js ss' rest with
      | Some bank, Some sub, Some s =>
          match row (Some l) bank box (sub ++ taken js l) ts with
          | Some (n, d) => Some (fl n d + s) | None => None end
      | _, _, _ => None
      end
  end.
Fixpoint same_list (xs ys : list nat) : bool :=
  match xs, ys with [], [] => true | x :: xs', y :: ys' => Nat.eqb x y && same_list xs' ys' | _, _ => false end.
Definition bounded_terms (r : relaxation) (T : list term) : option Z :=
  match joints (joint r) with
  | Some ([], _) => summed [] (sums r) T
  | Some (js, s) =>
      if same_list (map (fun x => fst (fst x)) (sums r)) (seq 0 (nl c)) then
        match summed js (sums r) T with Some v => Some (v + fl s G) | None => None end
      else None
  | None => None
  end.

(** ** Margins *)
Definition margin (ft : features) (w : list Z) (offset : Z) (es : list entry) (form : option relaxation) : bool :=
  match ft, form with
  | Each, None =>
      match terms 0 w es [] with Some (s, _) => 0 <? s + offset * F | None => false end
  | Each, Some r =>
      match terms 0 w es (lines r) with
      | Some (s, T) => match bounded_terms r T with Some v => 0 <? s + v + offset * F | None => false end
      | None => false
      end
  | Groups g, None =>
      match lower_groups (of_list (map snd es)) w g with Some s => 0 <? s + offset * F | None => false end
  | Leaves t, None =>
      match lower_tree fine (of_list (map snd es)) w t with Some s => 0 <? s + offset * F | None => false end
  | Greedy t, None => led_well fine (of_list (map snd es)) (fun n => 0 <? nth n w 0 + offset) t
  | SampleMax t, None =>
      match led_most fine (of_list (map snd es)) (fun n => 0 <? nth n w 0 + offset) t with Some (_, None) => true | _ => false end
  | _, Some _ => false
  end.
End Premises.

Definition crossed (lo hi : option Z) : bool :=
  match lo, hi with Some a, Some b => b <? a | _, _ => false end.

Variable protos_ : array (list Z).
Variable roofs : list nat.
(** indices count from the newest premise; [up] is how many are newer than at the root *)
Fixpoint prove (ft : features) (w : list Z) (offset : Z) (es : list entry) (prems : array prem) (up : nat) (p : proof) : bool :=
  match p with
  | Done ups form =>
      let rs := map (fun i => (i + up)%nat) roofs in
      margin prems ft w offset (updated prems rs 0 ups es) form
  | Step s p' =>
      match derive prems protos_ s with
      | Some k => prove ft w offset es (put k prems) (S up) p'
      | None => false
      end
  | Absurd i k =>
      match get prems i, get prems k with
      | Some (PQ (Some l) (QM j) lo _), Some (PQ (Some l') (QM j') _ hi) =>
          Nat.eqb l l' && Nat.eqb j j' && crossed lo hi
      | Some (PV j lo _), Some (PV j' _ hi) => Nat.eqb j j' && crossed lo hi
      | _, _ => false
      end
  | Nowhere i => match get prems i with Some (PAmong _ []) => true | _ => false end
  | EmptyBox i =>
      match get prems i with
      | Some (PBox (Some _) e) => existsb (fun p => crossed (Some (fst p)) (snd p)) (firstn (ch c) e)
      | _ => false
      end
  | SplitQ l q x p1 p2 =>
      prove ft w offset es (put (PQ (Some l) q None (Some x)) prems) (S up) p1
        && prove ft w offset es (put (PQ (Some l) q (Some x) None) prems) (S up) p2
  | SplitV j x p1 p2 =>
      prove ft w offset es (put (PV j None (Some x)) prems) (S up) p1
        && prove ft w offset es (put (PV j (Some x) None) prems) (S up) p2
  | Place i l p1 p2 =>
      match get prems i with
      | Some (PAmong j ls) =>
          prove ft w offset es (put (PHere l j) prems) (S up) p1
            && prove ft w offset es (put (PAmong j (filter (fun x => negb (Nat.eqb x l)) ls)) prems) (S up) p2
      | _ => false
      end
  end.
Definition shown (ft : features) (w : list Z) (offset : Z) (es : list entry) (prems : array prem) (ev : evidence) : bool :=
  match ev with
  | Direct form => margin prems ft w offset es form
  | Cases p => prove ft w offset es prems 0 p
  end.
Fixpoint rooted (prems : array prem) (ss : list step) : option (array prem) :=
  match ss with
  | [] => Some prems
  | s :: r => match derive prems protos_ s with Some k => rooted (put k prems) r | None => None end
  end.
End Kernel.

(** ** The premises of a statement *)
Section Statement.
Variable S : statement.
Variable unit : positive.
Let G := Zpos unit.
Definition down_ (n : positive) (x : Z) : Z := fl (x * G) (Zpos n).
Definition up_ (n : positive) (x : Z) : Z := ce (x * G) (Zpos n).
Definition fact_prem (f : fact) : prem :=
  let dn := down_ (fden S) in let up := up_ (fden S) in
  match f with
  | Pair l j lo hi => PQ (Some l) (QM j) (Some (dn lo)) (Some (up hi))
  | Pooled j lo hi => PV j (Some (dn lo)) (Some (up hi))
  | NoNearer b ex => PFloor (dn b) ex
  | NoMore b ex => PRoof (up b) ex
  end.
Definition box_ends (e : ends) : ends :=
  map (fun p => (down_ (dden S) (fst p), option_map (up_ (dden S)) (snd p))) e.
(** of a direction, whose channels have the signs of those of z *)
Definition signs (e : ends) : ends :=
  map (fun p => (if 0 <=? fst p then 0 else - G, Some (match snd p with Some u => if u <=? 0 then 0 else G | None => G end))) e.
Definition domain_prem (q : constraint) : prem :=
  let dn := down_ (dden S) in let up := up_ (dden S) in
  let box := if directed (metric (network S)) then signs else box_ends in
  match q with
  | Box l e => PBox (Some l) (box e)
  | BoxEverywhere e => PBox None (box e)
  | Norm lo hi => if directed (metric (network S)) then PNothing else PQ None QNorm (Some (dn lo)) (Some (up hi))
  | Total lo hi => if directed (metric (network S)) then PNothing else PQ None QTotal (Some (dn lo)) (Some (up hi))
  | Jointly rows b => if directed (metric (network S)) then PNothing else PJoint rows (b * G)
  end.
Definition premises : list prem := map fact_prem (facts S) ++ map domain_prem (domain S).
End Statement.

(** what has to be positive: weights and offset, for every other class or every label *)
Definition vsub (p r : list Z) : list Z := vadd p (vscale (-1) r).
Definition over (H : head) (a k : nat) : list Z * Z :=
  (vsub (nth a (weights H) []) (nth k (weights H) []), nth a (biases H) 0 - nth k (biases H) 0 - slack H).
Definition signed (H : head) (k : nat) (on : bool) : list Z * Z :=
  let w := nth k (weights H) [] in let b := nth k (biases H) 0 in
  if on then (w, b) else (vscale (-1) w, - b).

Fixpoint all_rivals (show : list Z * Z -> evidence -> bool) (H : head) (a k : nat) (evs : list evidence) : bool :=
  match evs with
  | [] => true
  | ev :: r => (Nat.eqb k a || show (over H a k) ev) && all_rivals show H a (Datatypes.S k) r
  end.
Fixpoint all_labels (show : list Z * Z -> evidence -> bool) (H : head) (ls : list (nat * bool)) (evs : list evidence) : bool :=
  match ls, evs with
  | [], _ => true
  | (k, on) :: ls', ev :: r => Nat.ltb k (nclass H) && show (signed H k on) ev && all_labels show H ls' r
  | _, _ => false
  end.

(** whether what has to be positive is a score *)
Definition plain (ft : features) : bool := match ft with Greedy _ | SampleMax _ => false | _ => true end.
Definition check (isqrt : Z -> Z) (S : statement) (C : certificate) : bool :=
  let H := network S in let c := compile H in
  lengths_fit H && Nat.eqb (length (table C)) (nproto H) &&
  let ps := match metric H with Euclidean => of_list (protos H) | _ => Tip end in
  match rooted isqrt c (unit_ C) (fine C) (rounds C) ps (of_list (premises S (unit_ C))) (steps C) with
  | None => false
  | Some prems =>
      let es := entries isqrt c (unit_ C) (fine C) (rounds C) prems (roofs C) 0 (table C) in
      let show := fun g ev =>
        shown isqrt c (unit_ C) (fine C) (rounds C) ps (roofs C) (feature H) (fst g) (snd g) es prems ev in
      match claimed S with
      | Class a => Nat.ltb a (nclass H) && Nat.eqb (length (margins C)) (nclass H) && all_rivals show H a 0 (margins C)
      | Labels ls => plain (feature H) && all_labels show H ls (margins C)
      end
  end.
