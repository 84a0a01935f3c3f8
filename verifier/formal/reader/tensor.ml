(* Tensors of the numbers of [Ring], and of integers where they only count or point. *)

exception Not_covered of string

let not_covered format = Printf.ksprintf (fun text -> raise (Not_covered text)) format

type t = {
  dims : int array;
  data : float array array; (* per part of a number, row-major; empty of integers *)
  ints : int array option;
  const : bool; (* no latent is in it *)
  exact : (int -> Q.t * Q.t) option; (* of constants: ends that enclose an element, equal where it is rational *)
}

exception Open (* nothing encloses this element *)

let point q = (q, q)
let exactly f i = match f i with a, b when Q.equal a b -> Some a | _ -> None | exception Open -> None

let most = 1 lsl 22

(* What one reading may cost, in operations on numbers. *)
let budget = ref 0.
let allow () = budget := 3e9
let spend n =
  budget := !budget -. n;
  if !budget < 0. then not_covered "more operations than are allowed"
let count dims =
  Array.fold_left (fun n d -> if d > 0 && n > most / d then not_covered "a tensor of more than %d numbers" most else n * d) 1 dims
let size t = match t.ints with Some n -> Array.length n | None -> Array.length t.data.(0)
let rank t = Array.length t.dims

let of_ints dims n = { dims; data = [||]; ints = Some n; const = true; exact = None }
let ints what t = match t.ints with Some n -> n | None -> not_covered "%s are computed" what

let get t i : Ring.number = Array.init Ring.parts (fun c -> t.data.(c).(i))
let make ?exact ~const dims data = { dims; data; ints = None; const; exact }

let init ?exact ~const dims f =
  let n = count dims in
  spend (8. *. Float.of_int n);
  let data = Array.init Ring.parts (fun _ -> Array.make n 0.) in
  for i = 0 to n - 1 do
    let x : Ring.number = f i in
    for c = 0 to Ring.parts - 1 do data.(c).(i) <- x.(c) done
  done;
  make ?exact ~const dims data

let of_floats dims x = init ~const:true dims (fun i -> Ring.of_float x.(i)) ~exact:(fun i -> point (Q.of_float x.(i)))

(* reals, whatever they were *)
let real t =
  match t.ints with
  | None -> t
  | Some n -> init ~const:true t.dims (fun i -> Ring.of_int n.(i)) ~exact:(fun i -> point (Q.of_int n.(i)))

let strides dims =
  let n = Array.length dims in
  let s = Array.make n 1 in
  for k = n - 2 downto 0 do s.(k) <- s.(k + 1) * dims.(k + 1) done;
  s

(* the index of every element in another array, from its strides there *)
let offsets dims steps =
  let n = count dims in
  spend (Float.of_int n);
  let r = Array.length dims in
  let out = Array.make n 0 in
  let at = Array.make r 0 and here = ref 0 in
  for i = 0 to n - 1 do
    out.(i) <- !here;
    (* one further *)
    let k = ref (r - 1) in
    while !k >= 0 && at.(!k) = dims.(!k) - 1 do
      here := !here - (at.(!k) * steps.(!k));
      at.(!k) <- 0;
      decr k
    done;
    if !k >= 0 then begin at.(!k) <- at.(!k) + 1; here := !here + steps.(!k) end
  done;
  out

(* elements of another tensor, each by its index; -1: zero *)
let pick t dims map =
  match t.ints with
  | Some n -> { t with dims; ints = Some (Array.map (fun i -> if i < 0 then 0 else n.(i)) map) }
  | None ->
      ignore (count dims);
      let part c = let from = t.data.(c) in Array.map (fun i -> if i < 0 then 0. else from.(i)) map in
      let exact = Option.map (fun f i -> if map.(i) < 0 then point Q.zero else f map.(i)) t.exact in
      { t with dims; data = Array.init Ring.parts part; exact }

let reshape t dims = if count dims <> size t then not_covered "sizes that do not fit" else { t with dims }

let together a b =
  let r = max (Array.length a) (Array.length b) in
  let at d k = let k = k - (r - Array.length d) in if k < 0 then 1 else d.(k) in
  Array.init r (fun k ->
      match (at a k, at b k) with
      | x, y when x = y -> x
      | 1, y -> y
      | x, 1 -> x
      | _ -> not_covered "sizes that do not fit together")

(* strides of a tensor within larger sizes: 0 along what is repeated *)
let repeated dims out =
  let r = Array.length out and own = strides dims in
  Array.init r (fun k ->
      let k' = k - (r - Array.length dims) in
      if k' < 0 || dims.(k') = 1 then 0 else own.(k'))

let spread t dims = if t.dims = dims then t else pick t dims (offsets dims (repeated t.dims dims))

let binary f_exact parts a b =
  let dims = together a.dims b.dims in
  let a = spread (real a) dims and b = spread (real b) dims in
  let exact = match (a.exact, b.exact) with Some f, Some g -> Some (fun i -> f_exact (f i) (g i)) | _ -> None in
  let n = count dims in
  spend (Float.of_int n);
  let data = Array.init Ring.parts (fun _ -> Array.make n 0.) in
  parts a.data b.data data n;
  make ?exact ~const:(a.const && b.const) dims data

let clean x = if Float.is_nan x then infinity else x

let add_sub turn a b out n =
  for c = 0 to Ring.kinds - 1 do
    let p = Ring.primes.(c) and x = a.(c) and y = b.(c) and o = out.(c) in
    if turn > 0. then
      for i = 0 to n - 1 do let s = x.(i) +. y.(i) in o.(i) <- (if s >= p then s -. p else s) done
    else for i = 0 to n - 1 do let s = x.(i) -. y.(i) in o.(i) <- (if s < 0. then s +. p else s) done
  done;
  let open Ring in
  for i = 0 to n - 1 do
    let m = a.(mid).(i) +. (turn *. b.(mid).(i)) in
    out.(mid).(i) <- m;
    out.(rad).(i) <- clean (wide (a.(rad).(i) +. b.(rad).(i)) m)
  done

let sum_of (a, b) (c, d) = (Q.add a c, Q.add b d)
let negative (a, b) = (Q.neg b, Q.neg a)
let product_of (a, b) (c, d) =
  if Q.equal a b && Q.equal c d then point (Q.mul a c)
  else
    let all = [ Q.mul a c; Q.mul a d; Q.mul b c; Q.mul b d ] in
    (List.fold_left Q.min (List.hd all) all, List.fold_left Q.max (List.hd all) all)
let inverse_of (a, b) = if Q.sign a > 0 || Q.sign b < 0 then (Q.inv b, Q.inv a) else raise Open

let add = binary sum_of (add_sub 1.)
let sub = binary (fun a b -> sum_of a (negative b)) (add_sub (-1.))
let mul =
  binary product_of (fun a b out n ->
      for c = 0 to Ring.kinds - 1 do
        let p = Ring.primes.(c) and inv = Ring.inverses.(c) and x = a.(c) and y = b.(c) and o = out.(c) in
        for i = 0 to n - 1 do o.(i) <- Ring.reduce (x.(i) *. y.(i)) p inv done
      done;
      let open Ring in
      for i = 0 to n - 1 do
        out.(mid).(i) <- a.(mid).(i) *. b.(mid).(i);
        out.(rad).(i) <- clean (product_radius a.(mid).(i) a.(rad).(i) b.(mid).(i) b.(rad).(i))
      done)

let map ?exact f t = let t = real t in init ?exact ~const:t.const t.dims (fun i -> f (get t i))
let map_exact f g t = let t = real t in map ?exact:(Option.map (fun e i -> g (e i)) t.exact) f t
let neg = map_exact Ring.neg negative
(* a quotient by 0 has no value; its residue is 0, and nothing else is known of it *)
let inverse = map_exact Ring.inverse inverse_of
let div a b = mul a (inverse b)

(* Sum over k of a[ai.(i) + ak.(k)] b[bi.(i) + bk.(k)], for every i. *)
let contract dims a ai ak b bi bk =
  let n = count dims and terms = Array.length ak in
  spend (Float.of_int n *. Float.of_int (terms + 1));
  let data = Array.init Ring.parts (fun _ -> Array.make n 0.) in
  for c = 0 to Ring.kinds - 1 do
    let p = Ring.primes.(c) and inv = Ring.inverses.(c) in
    let x = a.data.(c) and y = b.data.(c) and o = data.(c) in
    for i = 0 to n - 1 do
      let from = ai.(i) and other = bi.(i) in
      let total = ref 0. and k = ref 0 in
      (* products are below 2^48 *)
      while !k < terms do
        let until = if !k + 16 < terms then !k + 16 else terms in
        let sum = ref !total in
        for j = !k to until - 1 do
          sum := !sum +. (x.(from + ak.(j)) *. y.(other + bk.(j)))
        done;
        total := Ring.reduce !sum p inv;
        k := until
      done;
      o.(i) <- !total
    done
  done;
  let open Ring in
  let x = a.data.(mid) and y = b.data.(mid) and xr = a.data.(rad) and yr = b.data.(rad) in
  let m = data.(mid) and r = data.(rad) in
  let exact = Array.for_all (fun e -> e = 0.) xr && Array.for_all (fun e -> e = 0.) yr in
  for i = 0 to n - 1 do
    let from = ai.(i) and other = bi.(i) in
    let sum = ref 0. and most = ref 0. and wrong = ref 0. in
    for k = 0 to terms - 1 do
      let u = x.(from + ak.(k)) and v = y.(other + bk.(k)) in
      sum := !sum +. (u *. v);
      most := !most +. Float.abs (u *. v);
      if not exact then begin
        let ur = xr.(from + ak.(k)) and vr = yr.(other + bk.(k)) in
        wrong := !wrong +. ((Float.abs u *. vr) +. (Float.abs v *. ur) +. (ur *. vr))
      end
    done;
    m.(i) <- !sum;
    r.(i) <- clean (wide (!wrong +. (!most *. Float.of_int (terms + 4) *. 0x1p-51)) !sum)
  done;
  make ~const:(a.const && b.const) dims data

(* For every element without the axes, the indices of those that it is made of. *)
let along t axes keep =
  let r = rank t and own = strides t.dims in
  let inner = List.filter (fun k -> List.mem k axes) (List.init r Fun.id) in
  let outer = List.filter (fun k -> not (List.mem k axes)) (List.init r Fun.id) in
  let select what = (Array.of_list (List.map (fun k -> t.dims.(k)) what), Array.of_list (List.map (fun k -> own.(k)) what)) in
  let od, os = select outer and id, is = select inner in
  let dims =
    if keep then Array.init r (fun k -> if List.mem k axes then 1 else t.dims.(k)) else od
  in
  (dims, offsets od os, offsets id is)

let sum_along t axes keep =
  let t = real t in
  let dims, from, steps = along t axes keep in
  let ones = init ~const:true [| 1 |] (fun _ -> Ring.one ()) in
  let zeros a = Array.make (Array.length a) 0 in
  let out = contract dims t from steps ones (zeros from) (zeros steps) in
  let exact = Option.map (fun f i -> Array.fold_left (fun q s -> sum_of q (f (from.(i) + s))) (point Q.zero) steps) t.exact in
  { out with exact; const = t.const }

(* e^x of a rational number, between two: Taylor's series of x / 2^m in integers over 2^600, squared
   m times. A step is wrong by less than a unit, and a squaring doubles what was wrong before. *)
let exp_of q =
  if Q.gt (Q.abs q) (Q.of_int 64) then raise Open;
  let bits = 600 and m = 14 in
  let one = Z.shift_left Z.one bits in
  let x = Q.to_bigint (Q.div (Q.mul q (Q.of_bigint one)) (Q.of_int (1 lsl m))) in
  let cut a b = Z.shift_right (Z.mul a b) bits in
  let rec series term n sum = if n > 120 then sum else let term = Z.div (cut term x) (Z.of_int n) in series term (n + 1) (Z.add sum term) in
  let rec squared y k = if k = 0 then y else squared (cut y y) (k - 1) in
  let y = Q.make (squared (series one 1 one) m) one in
  (* 2^14 squarings of fewer than 2^9 units, of numbers below e^64 < 2^93 *)
  let wrong = Q.make (Z.shift_left Z.one 120) one in
  (Q.sub y wrong, Q.add y wrong)
let exp_between (a, b) = (fst (exp_of a), snd (exp_of b))

let remembered f =
  let known = Hashtbl.create 16 in
  fun i -> match Hashtbl.find_opt known i with Some v -> v | None -> let v = f i in Hashtbl.add known i v; v

(* a function of all numbers along axes *)
let fold_along f t axes keep =
  let t = real t in
  let dims, from, steps = along t axes keep in
  init ~const:t.const dims (fun i -> f (List.map (fun s -> get t (from.(i) + s)) (Array.to_list steps)))

let scalar_q q = init ~const:true [||] (fun _ -> Ring.of_q q) ~exact:(fun _ -> point q)
