(** The checker of level F: what rounding may take from a margin, in integers.

    An error is a pair (r, e) over [K]: a computed number is within r |x| + e of the exact x. *)
From Coq Require Import ZArith List Bool.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Theorems Float.
Import ListNotations.
Local Open Scope Z_scope.

Definition error := (Z * Z)%type.
Definition T24 : Z := 16777216.
Definition T126 : Z := 2 ^ 126.

Section Errors.
Variable isqrt : Z -> Z.
Variable K : positive.
Variable rounds : nat.              (* intervals are coarse here: only their sizes matter *)
Let k := Zpos K.

(** at least (1 + u)^n - 1, for n < 2^23 *)
Definition gamma (n : nat) : Z := ce (k * Z.of_nat n) (T24 - Z.of_nat n).
Definition below_normal (n : Z) : Z := ce (n * k) T126.

(** numbers of an interval are at least so large, at most so large *)
Definition size_from (i : itv) : option Z :=
  match fst i with
  | Some a => if 0 <? a then Some a else
      match snd i with Some b => if b <? 0 then Some (- b) else None | None => None end
  | None => match snd i with Some b => if b <? 0 then Some (- b) else None | None => None end
  end.
Definition size_to (i : itv) : option Z :=
  match i with (Some a, Some b) => Some (Z.max (Z.abs a) (Z.abs b)) | _ => None end.
Definition nonpos (i : itv) : bool := match snd i with Some b => b <=? 0 | None => false end.
(** r / (1 - r) *)
Definition quotient (r : Z) : Z := ce (r * k) (k - r).
(** the error as one of the first kind alone, below 1 *)
Definition relative (i : itv) (x : error) : option Z :=
  match size_from i with
  | Some a => let p := fst x + ce (snd x * k) a in if p <? k then Some p else None
  | None => None
  end.

(** what a function makes of an error *)
Definition spread (f : prim) (i j : itv) (x : error) : option error :=
  let (r, e) := x in
  match f with
  | Max _ | Min _ => if r <=? k then Some x else None
  | Abs => Some x
  | Add c =>
      if (0 <=? fst c) && nonneg i || (fst c <=? 0) && nonpos i then Some x
      else Some (r, e + ce (r * Z.abs (fst c)) (Zpos (snd c)))
  | Mul c => Some (r, ce (Z.abs (fst c) * e) (Zpos (snd c)))
  | DivRoot c =>
      match image1 isqrt K rounds (DivRoot c) (Some 0, Some e) with
      | Some (_, Some b) => Some (r, b)
      | _ => None
      end
  | Sqrt =>
      let whole := match root_up isqrt K e with Some s => Some (r, s) | None => None end in
      if negb (nonneg i && (r <=? k)) then None else
      match fst i, relative i x with
      | Some a, Some p =>
          if (0 <? a) && (ce (e * k) a <=? ce k (2 ^ 30)) then Some (ce (p * k) (2 * k - p), 0) else whole
      | _, _ => whole
      end
  | Square =>
      match size_to i with
      | Some M => Some (ce (r * (2 * k + r)) k, ce (e * ((2 * k + 2 * r) * M + e * k)) (k * k))
      | None => Some (ce (r * (2 * k + r) + e * (2 * k + 2 * r)) k, ce (e * (2 * k + 2 * r + e)) k)
      end
  | Exp =>
      let one := match size_to i with
        | Some M => let d := ce (r * M) k + e in if 2 * d <=? k then Some (quotient d, 0) else None
        | None => None end in
      let two := if nonpos i && (r <? k) && (e <? k) then Some (0, quotient r + quotient e) else None in
      match one, two with
      | Some (p, _), Some (_, q) =>
          match snd j with
          | Some b => if p * b <=? q * k then one else two
          | None => two end
      | Some _, None => one
      | None, _ => two
      end
  | Log => if positive_ i then match relative i x with Some p => Some (0, quotient p) | None => None end else None
  | Reciprocal => match relative i x with Some p => Some (quotient p, 0) | None => None end
  | OnePlus c =>
      match relative i x with
      | Some p => let q := quotient p in
          if (0 <=? fst c) && nonneg i || (fst c <=? 0) && nonpos i then Some (q, 0) else Some (q, q)
      | None => None end
  | Sigmoid => if (r <? k) && (e <? k) then Some (0, quotient r + quotient e) else None
  | Tanh => if (r <? k) && (2 * e <? k) then Some (0, 2 * (quotient r + quotient (2 * e))) else None
  | Softplus => if (r <? k) && (e <? k) then Some (r, quotient r + quotient e) else None
  | Power c =>
      if positive_ i then
        match relative i x with
        | Some p => let d := ce (quotient p * Z.abs (fst c)) (Zpos (snd c)) in
            if 2 * d <=? k then Some (quotient d, 0) else None
        | None => None end
      else None
  | ZeroBelow c =>
      let n := fst c * k in let d := Zpos (snd c) in
      if negb (r <? k) then None else
      if (match snd i with Some b => b * k + r * Z.abs b + e * k <? fl n d * k | None => false end) then Some (0, 0) else
      if (match fst i with Some a => ce n d * k <=? a * k - r * Z.abs a - e * k | None => false end) then Some x else
      Some (r, ce ((ce (Z.abs (fst c) * k) d + e) * k) (k - r))
  | AddNumber _ | MulNumber _ | DivRootNumber _ => None
  end.
(** the units of [Float.units]; the second over [K] *)
Definition units_of (f : prim) : Z * Z :=
  let one := fun n => ce (n * k) T24 in
  match f with
  | Max _ | Min _ | Abs | ZeroBelow _ => (0, 0)
  | Add c => (1, ce (2 * Z.abs (fst c) * k) (Zpos (snd c) * T24))
  | Mul _ | DivRoot _ => (4, 0)
  | Sqrt | Square | Reciprocal => (2, 0)
  | OnePlus _ => (4, one 4)
  | Exp | Log | Power _ => (8, 0)
  | Sigmoid => (8, one 8)
  | Tanh | Softplus => (12, one 12)
  | AddNumber _ | MulNumber _ | DivRootNumber _ => (0, 0)
  end.
(** one more rounding of n units, and of b besides *)
Definition more (n b : Z) (x : error) : error :=
  let (r, e) := x in (r + ce (n * (k + r)) T24, e + ce (n * e) T24 + b + below_normal 1).
Definition along (f : prim) (i j : itv) (x : error) : option error :=
  match spread f i j x with
  | Some y => let (n, b) := units_of f in let z := more n b y in if fst z <=? k then Some z else None
  | None => None
  end.
Fixpoint trace (c : chain) (i : itv) (x : error) : option (itv * error) :=
  match c with
  | [] => Some (i, x)
  | f :: r =>
      match image1 isqrt K rounds f i with
      | Some j => match along f i j x with Some y => trace r j y | None => None end
      | None => None
      end
  end.

(** ** Measurements *)
Variable w : writing.
Variable short : ratio.             (* all latents' squares are at least this *)
Variable H : head.
Let h := Zpos (hden H).
Definition floored (c : ratio) : Z := fl (fst c * k) (Zpos (snd c)).
(** at least the length of a prototype, over K *)
Definition length_to (p : list Z) : option Z := option_map (Z.add 1) (root_up isqrt K (ce (norm2 p * k) (h * h))).
(** the sum of |p_d x_d| is at most this at all locations, or at one *)
Section Reach.
Variable den : positive.
Variable cs : list constraint.
Fixpoint corner (n : nat) (p : list Z) (e : list (Z * option Z)) : option Z :=
  match n, e with
  | O, _ => Some 0
  | S n', (lo, Some hi) :: e' =>
      option_map (Z.add (Z.abs (hd 0 p) * Z.max (Z.abs lo) (Z.abs hi))) (corner n' (tl p) e')
  | _, _ => None
  end.
Definition box_reach (p : list Z) (e : list (Z * option Z)) : option Z :=
  option_map (fun s => ce (s * k) (h * Zpos den)) (corner (channels H) p e).
Definition norm_reach (p : list Z) (hi : Z) : option Z :=
  match length_to p, root_up isqrt K (ce (hi * k) (Zpos den)) with
  | Some n, Some l => Some (ce (n * (l + 1)) k)
  | _, _ => None
  end.
Definition lesser (a b : option Z) : option Z :=
  match a, b with Some x, Some y => Some (Z.min x y) | Some x, None => Some x | None, o => o end.
Definition reach_everywhere (p : list Z) : option Z :=
  fold_right (fun c => lesser (match c with
    | BoxEverywhere e => box_reach p e | Norm _ hi => norm_reach p hi | _ => None end)) None cs.
Definition reach_at (p : list Z) (l : nat) : option Z :=
  fold_right (fun c => lesser (match c with
    | Box l' e => if Nat.eqb l' l then box_reach p e else None | _ => None end)) None cs.
Definition reach_of (p : list Z) : option Z :=
  match reach_everywhere p with
  | Some n => Some n
  | None => option_map (fold_right Z.max 0) (all_some (map (reach_at p) (seq 0 (nloc H))))
  end.
End Reach.
Variable reach : list Z -> option Z.
(** the error of max (sqrt x, f) where that of x is [x], as one of the first kind; [a]: x is at least this *)
Definition length_error (x : error) (f a : Z) : option Z :=
  if 0 <? a then
    let p := fst x + ce (snd x * k) a in if 2 * p <=? k then Some (ce (p * k) (2 * k - p)) else None
  else if 0 <? f then
    let p := fst x + ce (4 * snd x * k * k) (f * f) in if 2 * p <=? k then Some p else None
  else None.
(** the interval and the error of a prototype's measurements, at all locations *)
Definition extent (p scales_ : list Z) : option (itv * error) :=
  let D := Z.of_nat (channels H) in
  match metric H with
  | Euclidean =>
      match w with
      | Plain => Some ((Some 0, None), (gamma (channels H + 5), below_normal (10 * D)))
      | Expanded =>
          let g := gamma (channels H + 4) in
          Some ((Some 0, None), (10 * g, ce (g * 451 * norm2 p) (100 * (h * h)) + below_normal (28 * D)))
      end
  | Diagonal above =>
      if forallb (Z.leb 0) scales_ && (0 <=? fst above) then
        let top := ce (fold_right Z.max 0 scales_) (Zpos (sden H)) + ce (fst above) (Zpos (snd above)) in
        Some ((Some 0, None), (gamma (channels H + 9), below_normal (2 * D * (3 * top + 2))))
      else None
  | Linear =>
      match reach p with
      | Some n => Some ((Some (- n), Some n), (0, ce (gamma (channels H + 1) * n) k + below_normal (4 * D)))
      | None => None
      end
  | Angular f a =>
      let x := more 1 0 (gamma (channels H + 2), below_normal (4 * D)) in
      let b := Z.max (floored a) (floored short) in
      let l := if 0 <? floored f then floored f else match root_down isqrt K b with Some s => s | None => 0 end in
      match length_to p, length_error x (floored f) b with
      | Some n, Some r0 =>
          if 0 <? l then
            match relative (Some l, None) (more 2 0 (r0, 0)) with
            | Some r1 =>
                if quotient r1 <=? k then
                  let t := fst (more 1 0 (more 2 0 (quotient r1, 0))) in
                  let g := gamma (channels H) in
                  Some ((Some (- n), Some n),
                        (0, ce ((g + t + ce (g * t) k) * n) k + ce (below_normal (9 * D) * k) l
                            + below_normal (4 * D * (ce n k + 1) + 1)))
                else None
            | None => None
            end
          else None
      | _, _ => None
      end
  | Lengths _ => None
  end.

(** ** Activations *)
Definition greater (a b : option Z) : option Z :=
  match a, b with Some x, Some y => Some (Z.max x y) | Some x, None => Some x | None, o => o end.
(** of a sum of [n] computed numbers, each of them in [i] and with error [x] *)
Definition sum_error (n : Z) (i : itv) (x : error) : option error :=
  let (r, e) := x in
  let g := ce (k * n) (T24 - n) in
  let r' := r + ce (g * (k + r)) k in
  let e' := n * e + ce (g * (n * e)) k + below_normal (2 * n) in
  if nonneg i then Some (r', e') else
  match size_to i with Some M => Some (0, ce (r' * (n * M)) k + e') | None => None end.
Definition divided (n : Z) (x : error) : error := more 2 0 (fst x, ce (snd x) n).
Definition pool_error (p : pooling) (n : nat) (i : itv) (x : error) : option error :=
  let n := Z.of_nat n in
  if (8388608 <=? n) || (n =? 0) then None else
  match p with
  | Sum => sum_error n i x
  | Mean => option_map (divided n) (sum_error n i x)
  | Largest m => let m := Z.of_nat m in
      if (m =? 0) || (8388608 <=? m) || negb (fst x <? k) then None else option_map (divided m) (sum_error m i x)
  | Focal =>
      match size_to i, sum_error n i x with
      | Some M, Some y =>
          let z := divided n y in
          Some (more 1 0 (0, ce (fst x * M) k + snd x + ce (fst z * M) k + snd z))
      | _, _ => None
      end
  | _ => None
  end.
(** [t]: the interval of the pooled value; [n]: the number of locations *)
Definition activation_error (kind : pooling) (n : nat) (inner_ outer_ : chain) (s : itv * error) (t : itv) : option error :=
  if negb (fst (snd s) <=? k) then None else
  match kind with
  | Nearest => option_map snd (trace outer_ (greater (fst t) (fst (fst s)), snd (fst s)) (snd s))
  | _ =>
      match trace inner_ (fst s) (snd s) with
      | Some (i, x) =>
          match pool_error kind n i x with
          | Some y => option_map snd (trace outer_ t y)
          | None => None
          end
      | None => None
      end
  end.
(** by how much a computed activation errs, and how large it may be; [a] is the interval of the exact one *)
Definition bound := option (Z * Z).
Definition bound_of (a : itv) (x : error) : bound :=
  match size_to a with
  | Some A => Some (ce (fst x * A) k + snd x, ce ((k + fst x) * A) k + snd x)
  | None => None
  end.
Variable unit fine : positive.
Definition bound_at (n : nat) (p s : list Z) (kind : pooling) (inner_ outer_ : chain) (en : entry) : bound :=
  match extent p s with
  | Some x =>
      match activation_error kind n inner_ outer_ x (to_fine unit K (fst en)) with
      | Some y => bound_of (to_fine fine K (snd en)) y | None => None end
  | None => None
  end.
(** [counts]: of the locations that measure each prototype *)
Fixpoint bounds_from (counts : list nat) (protos_ scales_ : list (list Z)) (kinds_ : list pooling) (inners outers : list chain)
    (es : list entry) : list bound :=
  match es with
  | [] => []
  | e :: r =>
      bound_at (hd O counts) (hd [] protos_) (hd [] scales_) (hd Nearest kinds_) (hd [] inners) (hd [] outers) e
        :: bounds_from (tl counts) (tl protos_) (tl scales_) (tl kinds_) (tl inners) (tl outers) r
  end.
(** of what scores weigh: the worst of a group *)
Definition worse (a b : bound) : bound :=
  match a, b with Some (x, y), Some (x', y') => Some (Z.max x x', Z.max y y') | _, _ => None end.
Definition feature_bounds (bs : list bound) : option (list bound) :=
  match feature H with
  | Each => Some bs
  | Groups g =>
      let arr := of_list bs in
      Some (map (fun js => match js with
        | [] => Some (0, 0)
        | _ => fold_right (fun j b => worse (match get arr j with Some x => x | None => None end) b) (Some (0, 0)) js end) g)
  | _ => None
  end.
(** sum of |w| times the bounds; what has no weight needs no bound *)
Fixpoint weighted (w : list Z) (bs : list bound) (part : Z * Z -> Z) : option Z :=
  match bs with
  | [] => Some 0
  | b :: r =>
      match weighted (tl w) r part with
      | None => None
      | Some s => let a := hd 0 w in
          if a =? 0 then Some s else match b with Some x => Some (Z.abs a * part x + s) | None => None end
      end
  end.
(** what the rounding of one score takes, over K and the weights' denominator *)
Definition score_error (fs : list bound) (w : list Z) (b : Z) : option Z :=
  let n := S (length fs) in
  match weighted w fs snd with
  | Some m => Some (ce (gamma (n + 1) * (k * Z.abs b + m)) k + below_normal (4 * Z.of_nat n * Zpos (wden H)))
  | None => None
  end.
Definition add (a b : option Z) : option Z := omap2 Z.add a b.
End Errors.

(** the same proof of a margin that is multiplied by [s] *)
Definition scaled_form (s : Z) (r : relaxation) : relaxation :=
  let more := map (fun y : nat * Z => (fst y, s * snd y)) in
  Relaxation (lines r) (map (fun x => (fst x, more (snd x))) (Check.sums r)) (more (joint r)).
Fixpoint scaled_proof (s : Z) (p : proof) : proof :=
  match p with
  | Done ups f => Done ups (option_map (scaled_form s) f)
  | Step x q => Step x (scaled_proof s q)
  | SplitQ l j x p1 p2 => SplitQ l j x (scaled_proof s p1) (scaled_proof s p2)
  | SplitV j x p1 p2 => SplitV j x (scaled_proof s p1) (scaled_proof s p2)
  | Place i l p1 p2 => Place i l (scaled_proof s p1) (scaled_proof s p2)
  | q => q
  end.
Definition scaled_evidence (s : Z) (ev : evidence) : evidence :=
  match ev with Direct f => Direct (option_map (scaled_form s) f) | Cases p => Cases (scaled_proof s p) end.

Definition precision : positive := 18446744073709551616.   (* 2^64 *)
Definition halvings : nat := 10.

Section Margins.
Variable show : list Z * Z -> evidence -> bool.
Variable H : head.
Variable fs : list bound.
Let k := Zpos precision.
Definition enough (g : list Z * Z) (ev : evidence) (cost : option Z) : bool :=
  match cost with
  | Some B => (0 <=? B) && show (vscale k (fst g), k * snd g - B) (scaled_evidence k ev)
  | None => false
  end.
Definition cost_of (w : list Z) : option Z := weighted w fs fst.
Fixpoint all_rivals_float (a i : nat) (own : option Z) (evs : list evidence) : bool :=
  match evs with
  | [] => true
  | ev :: r =>
      (Nat.eqb i a ||
       let g := over H a i in
       enough g ev (add (cost_of (fst g)) (add own (score_error precision H fs (nth i (weights H) []) (nth i (biases H) 0)))))
      && all_rivals_float a (S i) own r
  end.
Fixpoint all_labels_float (ls : list (nat * bool)) (evs : list evidence) : bool :=
  match ls, evs with
  | [], _ => true
  | (i, on) :: ls', ev :: r =>
      Nat.ltb i (nclass H) &&
      (let w := nth i (weights H) [] in
       enough (signed H i on) ev (add (cost_of w) (score_error precision H fs w (nth i (biases H) 0))))
      && all_labels_float ls' r
  | _, _ => false
  end.
End Margins.

Definition small_head (H : head) (n : nat) : bool :=
  Nat.leb 1 (channels H) && (Z.of_nat (channels H) <? 4194304) && (Z.of_nat n <? 4194304).
Definition counts_of (c : context) (n : nat) : list nat := map (fun j => length (places_ c j)) (seq 0 n).
Definition check_float (w : writing) (short : ratio) (isqrt : Z -> Z) (S : statement) (C : certificate) : bool :=
  let H := network S in let c := compile H in
  lengths_fit H && has_places c (nproto H) && Nat.eqb (length (table C)) (nproto H) &&
  (0 <=? slack H) &&
  let ps := match metric H with Euclidean => of_list (protos H) | _ => Tip end in
  match rooted isqrt c (unit_ C) (fine C) (rounds C) ps (of_list (premises S (unit_ C))) (steps C) with
  | None => false
  | Some prems =>
      let es := entries isqrt c (unit_ C) (fine C) (rounds C) prems (roofs C) 0 (table C) in
      match feature_bounds H (bounds_from isqrt precision halvings w short H (reach_of isqrt precision H (dden S) (domain S)) (unit_ C) (fine C)
              (counts_of c (nproto H)) (protos H) (scales H) (pools H) (inner H) (outer H) es) with
      | None => false
      | Some fs =>
          small_head H (length fs) &&
          let show := fun g ev =>
            shown isqrt c (unit_ C) (fine C) (rounds C) ps (roofs C) (feature H) (fst g) (snd g) es prems ev in
          match claimed S with
          | Class a =>
              Nat.ltb a (nclass H) && Nat.eqb (length (margins C)) (nclass H) &&
              all_rivals_float show H fs a 0 (score_error precision H fs (nth a (weights H) []) (nth a (biases H) 0)) (margins C)
          | Labels ls => all_labels_float show H fs ls (margins C)
          end
      end
  end.
Definition accept_float (w : writing) (short : ratio) (isqrt : Z -> Z) (S : statement) (C : certificate) : bool :=
  check_float w short isqrt S C && check_point isqrt S C.
