(* The operators of a head, over the numbers of [Ring]. Batches are of one input. *)

open Tensor

exception Contradiction of string

let contradiction format = Printf.ksprintf (fun text -> raise (Contradiction text)) format

type node = { node : Onnx.node; opset : int }

let attribute n name = List.assoc_opt name n.node.Onnx.attributes
let int n name default =
  match attribute n name with
  | None -> default
  | Some (Onnx.Int i) -> Onnx.clamped i
  | Some _ -> not_covered "its attribute %s" name
let ints_of n name = match attribute n name with
  | None -> None
  | Some (Onnx.Ints i) -> Some (Array.of_list (List.map Onnx.clamped i))
  | Some _ -> not_covered "its attribute %s" name
let float n name default =
  match attribute n name with
  | None -> default
  | Some (Onnx.Float x) -> x
  | Some _ -> not_covered "its attribute %s" name
let text n name default =
  match attribute n name with
  | None -> default
  | Some (Onnx.Text x) -> x
  | Some _ -> not_covered "its attribute %s" name

(* attributes that are not read may mean anything *)
let only n names =
  List.iter (fun (name, _) -> if not (List.mem name names) then not_covered "its attribute %s" name) n.node.Onnx.attributes

let axis_of r a = if a < -r || a >= r then not_covered "an axis out of range" else if a < 0 then a + r else a

let of_onnx (t : Onnx.tensor) =
  match t.kind with
  | 1 | 11 ->
      let x = Onnx.reals t in
      if Array.exists (fun v -> Float.is_nan v) x then not_covered "a stored number that is none";
      (* an infinite number only bounds others: see [clip] *)
      if Array.exists (fun v -> Float.abs v = infinity) x then
        not_covered "a stored number that is infinite"
      else of_floats t.dims x
  | 6 | 7 | 9 -> of_ints t.dims (Onnx.whole_numbers t)
  | _ -> not_covered "stored numbers of the type %d" t.kind

(* a tensor's elements in the loops of constants: what their ranges say holds for all latents *)
let settled t = if t.const then for i = 0 to size t - 1 do Ring.tell_constant (get t i) done

let unary f t = let t = real t in settled t; map f t
let exponential t =
  let t = real t in
  let exact = Option.map (fun f -> remembered (fun i -> exp_between (f i))) t.exact in
  { (unary Ring.exp_ t) with exact }
let pairwise f a b =
  let a = real a and b = real b in
  settled a; settled b;
  let dims = together a.dims b.dims in
  let x = spread a dims and y = spread b dims in
  let const = a.const && b.const in
  init ~const dims (fun i -> f ~const (get x i) (get y i))

let integers f a b =
  match (a.ints, b.ints) with
  | Some _, Some _ ->
      let dims = together a.dims b.dims in
      let x = ints "" (spread a dims) and y = ints "" (spread b dims) in
      Some (of_ints dims (Array.init (Array.length x) (fun i -> f x.(i) y.(i))))
  | _ -> None
let either f g a b = match integers f a b with Some t -> t | None -> g a b

let relu t = let t = real t in settled t; map (fun a -> Ring.relu ~const:t.const a) t
let ones t = init ~const:true t.dims (fun _ -> Ring.one ())

let root t =
  let t = real t in
  settled t;
  init ~const:t.const t.dims (fun i ->
      Ring.sqrt_ ?exact:(Option.bind t.exact (fun f -> exactly f i)) (get t i))

let squares t = if Hashtbl.length Ring.radicands = 0 then mul t t else map_exact Ring.square (fun q -> product_of q q) t

let pow base exponent =
  let e = real exponent in
  let q = match e.exact with
    | Some f when size e > 0 -> (
        let all = List.init (size e) (exactly f) in
        match List.hd all with
        | Some q when List.for_all (fun o -> match o with Some p -> Q.equal p q | None -> false) all -> q
        | _ -> not_covered "exponents that differ")
    | _ -> not_covered "exponents that differ" in
  let t = real base in
  settled t;
  let dims = together t.dims e.dims in
  if Q.equal q (Q.of_int 2) then squares (spread t dims)
  else
    let t = spread t dims in
    init ~const:t.const dims (fun i ->
        let exact = Option.bind t.exact (fun f -> exactly f i) in Ring.power_ ?exact (get t i) q)

let difference a b =
  let plain = Tensor.sub a b in
  if Hashtbl.length Ring.logs = 0 then plain
  else
    let x = spread (real a) plain.dims and y = spread (real b) plain.dims in
    init ?exact:plain.exact ~const:plain.const plain.dims (fun i ->
        Ring.difference (get x i) (get y i))

let normal_axes r axes = List.sort_uniq compare (List.map (axis_of r) (Array.to_list axes))

let reduction n inputs =
  let t = List.hd inputs in
  only n [ "axes"; "keepdims"; "noop_with_empty_axes" ];
  let stated = match inputs with [ _; a ] -> Some (ints "axes" a) | _ -> ints_of n "axes" in
  let keep = int n "keepdims" 1 = 1 in
  let axes = match stated with
    | None | Some [||] -> if int n "noop_with_empty_axes" 0 = 1 then None else Some (List.init (rank t) Fun.id)
    | Some a -> Some (normal_axes (rank t) a) in
  (t, axes, keep)
let reduced n inputs f = match reduction n inputs with
  | t, Some axes, keep -> f t axes keep
  | _ -> not_covered "no axes"

(* A sum of numbers that are not negative is not, either. *)
let positive_sum t axes keep =
  let total = sum_along t axes keep in
  let t = real t in
  (if size t <= 4096 then
     let _, from, steps = along t axes keep in
     Array.iteri (fun i start ->
         if Array.for_all (fun s -> Hashtbl.mem Ring.nonnegative (Ring.key (get t (start + s)))) steps then
           Ring.mark Ring.nonnegative (get total i) ()) from);
  total

let parts_along t axes = List.fold_left (fun k a -> k * t.dims.(a)) 1 axes
let mean_along t axes keep =
  div (sum_along t axes keep) (scalar_q (Q.of_int (parts_along t axes)))

let most t axes keep =
  let t = real t in
  let found = fold_along Ring.most t axes keep in
  let larger (a, b) (c, d) = (Q.max a c, Q.max b d) in
  let exact = Option.map (fun f -> let _, from, steps = along t axes keep in
    fun i -> Array.fold_left (fun m s -> larger m (f (from.(i) + s))) (f (from.(i) + steps.(0))) steps) t.exact in
  { found with exact }
let least t axes keep = neg (most (neg t) axes keep)
let signs t = let t = real t in settled t; t

let transpose t perm =
  let own = strides t.dims in
  if Array.length perm <> rank t || List.sort compare (Array.to_list perm) <> List.init (rank t) Fun.id then not_covered "its axes";
  let dims = Array.map (fun k -> t.dims.(k)) perm in
  pick t dims (offsets dims (Array.map (fun k -> own.(k)) perm))

let target t shape zero =
  let shape = Array.mapi (fun k d -> if d = 0 && not zero then (if k < rank t then t.dims.(k) else not_covered "its sizes") else d) shape in
  let known = Array.fold_left (fun p d -> if d < 0 then p else p * d) 1 shape in
  let open_ = Array.fold_left (fun k d -> if d < 0 then k + 1 else k) 0 shape in
  if open_ > 1 || (open_ = 1 && (known = 0 || size t mod known <> 0)) then not_covered "its sizes";
  Array.map (fun d -> if d < 0 then size t / known else d) shape

(* the windows of pooling and convolution: sizes of the output, and for each of its places the
   index in the input of every element of the window, or -1 *)
let windows n dims kernel =
  let r = Array.length kernel in
  let spatial = Array.sub dims 2 r in
  let each name default = match ints_of n name with None -> Array.make r default | Some a -> if Array.length a = r then a else not_covered "its %s" name in
  let steps = each "strides" 1 and apart = each "dilations" 1 in
  let pads = match ints_of n "pads" with None -> Array.make (2 * r) 0 | Some a -> if Array.length a = 2 * r then a else not_covered "its pads" in
  (match text n "auto_pad" "NOTSET" with
  | "NOTSET" -> ()
  | "VALID" -> if Array.exists (fun p -> p <> 0) pads then not_covered "its pads"
  | other -> not_covered "auto_pad %s" other);
  if int n "ceil_mode" 0 <> 0 then not_covered "ceil_mode";
  if Array.exists (fun s -> s <= 0) steps || Array.exists (fun s -> s <= 0) apart || Array.exists (fun p -> p < 0) pads then not_covered "its steps";
  let out = Array.init r (fun k ->
      let room = spatial.(k) + pads.(k) + pads.(r + k) - (apart.(k) * (kernel.(k) - 1)) - 1 in
      if room < 0 then not_covered "a window that does not fit" else (room / steps.(k)) + 1) in
  let own = strides spatial in
  let unravel dims = let s = strides dims in Array.init (count dims) (fun i -> Array.init r (fun k -> i / s.(k) mod dims.(k))) in
  let places = unravel out and inside = unravel kernel in
  let index place offset =
    let rec from k sum =
      if k = r then sum
      else
        let x = (place.(k) * steps.(k)) - pads.(k) + (offset.(k) * apart.(k)) in
        if x < 0 || x >= spatial.(k) then -1 else from (k + 1) (sum + (x * own.(k)))
    in
    from 0 0
  in
  (out, Array.map (fun place -> Array.map (index place) inside) places)

let pooling n t combine =
  let kernel = match ints_of n "kernel_shape" with Some k -> k | None -> not_covered "no kernel_shape" in
  if rank t <> Array.length kernel + 2 then not_covered "its sizes";
  let out, wins = windows n t.dims kernel in
  let t = real t in
  let channels = t.dims.(0) * t.dims.(1) in
  let area = count (Array.sub t.dims 2 (Array.length kernel)) and places = Array.length wins in
  let dims = Array.append [| t.dims.(0); t.dims.(1) |] out in
  init ~const:t.const dims (fun i ->
      let c = i / places and window = wins.(i mod places) in
      assert (c < channels);
      let inside = List.filter (fun k -> k >= 0) (Array.to_list window) in
      if inside = [] then not_covered "a window outside";
      combine (Array.length window) (List.map (fun k -> get t ((c * area) + k)) inside))

let average n whole = fun all inside ->
  let count = if whole then all else List.length inside in
  ignore n;
  Ring.over (List.fold_left Ring.add Ring.zero inside) (Ring.of_int count)

let convolution n x w bias =
  only n [ "auto_pad"; "dilations"; "group"; "kernel_shape"; "pads"; "strides" ];
  let r = rank w - 2 in
  if rank x <> r + 2 || r < 1 then not_covered "its sizes";
  let kernel = Array.sub w.dims 2 r in
  (match ints_of n "kernel_shape" with Some k when k <> kernel -> not_covered "kernel_shape" | _ -> ());
  let groups = int n "group" 1 in
  let cin = x.dims.(1) and cout = w.dims.(0) and cg = w.dims.(1) in
  if groups <= 0 || cin <> cg * groups || cout mod groups <> 0 || x.dims.(0) <> 1 then not_covered "its sizes";
  let out, wins = windows n x.dims kernel in
  let inside = count kernel and area = count (Array.sub x.dims 2 r) in
  (* with a place of zeros behind every channel *)
  let padded = pick (real x) [| cin; area + 1 |] (Array.init (cin * (area + 1)) (fun i -> let p = i mod (area + 1) in if p = area then -1 else (i / (area + 1) * area) + p)) in
  let places = Array.length wins in
  (* the windows side by side: [cin, inside, places] *)
  let columns = pick padded [| cin; inside; places |] (Array.init (cin * inside * places) (fun i ->
      let c = i / (inside * places) and k = i / places mod inside and p = i mod places in
      let at = wins.(p).(k) in (c * (area + 1)) + if at < 0 then area else at)) in
  let per = cout / groups in
  let dims = Array.append [| 1; cout |] out in
  let n_out = cout * places in
  let ai = Array.init n_out (fun i -> i / places * cg * inside) in
  let bi = Array.init n_out (fun i -> (i / places / per * cg * inside * places) + (i mod places)) in
  let terms = cg * inside in
  let y = contract dims (real w) ai (Array.init terms Fun.id) columns bi (Array.init terms (fun k -> k * places)) in
  match bias with
  | None -> y
  | Some b -> add y (reshape (real b) (Array.append [| 1; cout |] (Array.make r 1)))

let matmul a b =
  let a = real a and b = real b in
  if rank a = 0 || rank b = 0 then not_covered "its sizes";
  let a' = if rank a = 1 then reshape a [| 1; a.dims.(0) |] else a in
  let b' = if rank b = 1 then reshape b [| b.dims.(0); 1 |] else b in
  let ra = rank a' and rb = rank b' in
  let rows = a'.dims.(ra - 2) and inner = a'.dims.(ra - 1) and columns = b'.dims.(rb - 1) in
  if b'.dims.(rb - 2) <> inner then not_covered "sizes that do not fit together";
  let batch = together (Array.sub a'.dims 0 (ra - 2)) (Array.sub b'.dims 0 (rb - 2)) in
  let starts t r = let s = strides t.dims in
    let lead = Array.sub t.dims 0 (r - 2) in
    let l = Array.length batch in
    let steps = Array.init l (fun k -> let k' = k - (l - (r - 2)) in if k' < 0 || lead.(k') = 1 then 0 else s.(k')) in
    offsets batch steps in
  let sa = starts a' ra and sb = starts b' rb in
  let each = rows * columns in
  let n = Array.length sa * each in
  let ai = Array.init n (fun i -> sa.(i / each) + (i mod each / columns * inner)) in
  let bi = Array.init n (fun i -> sb.(i / each) + (i mod columns)) in
  let out = contract (Array.append batch [| rows; columns |]) a' ai (Array.init inner Fun.id) b' bi (Array.init inner (fun k -> k * columns)) in
  let dims = Array.concat [ batch; (if rank a = 1 then [||] else [| rows |]); (if rank b = 1 then [||] else [| columns |]) ] in
  reshape out dims

let einsum n operands =
  let equation = String.concat "" (String.split_on_char ' ' (text n "equation" "")) in
  let left, right = match String.index_opt equation '>' with
    | Some k when k > 0 && equation.[k - 1] = '-' -> (String.sub equation 0 (k - 1), String.sub equation (k + 1) (String.length equation - k - 1))
    | _ -> not_covered "the equation %s" equation in
  let terms = String.split_on_char ',' left in
  if String.contains equation '.' || List.length terms <> List.length operands then not_covered "the equation %s" equation;
  let sizes = Hashtbl.create 8 in
  let letters s = List.init (String.length s) (String.get s) in
  let distinct s = List.length (List.sort_uniq compare (letters s)) = String.length s in
  if not (List.for_all distinct (right :: terms)) then not_covered "the equation %s" equation;
  List.iter2 (fun s t ->
      if String.length s <> rank t then not_covered "the equation %s" equation;
      List.iteri (fun k c -> match Hashtbl.find_opt sizes c with
        | Some d when d <> t.dims.(k) -> not_covered "sizes that do not fit together"
        | _ -> Hashtbl.replace sizes c t.dims.(k)) (letters s)) terms operands;
  let a, b, sa, sb = match (operands, terms) with
    | [ a ], [ s ] -> (real a, init ~const:true [||] (fun _ -> Ring.one ()), s, "")
    | [ a; b ], [ s; u ] -> (real a, real b, s, u)
    | _ -> not_covered "an equation of %d operands" (List.length operands) in
  let summed = List.filter (fun c -> not (String.contains right c)) (List.sort_uniq compare (letters (sa ^ sb))) in
  let size c = match Hashtbl.find_opt sizes c with Some d -> d | None -> not_covered "the equation %s" equation in
  let dims = Array.of_list (List.map size (letters right)) and inner = Array.of_list (List.map size summed) in
  let step t s c = match String.index_opt s c with Some k -> (strides t.dims).(k) | None -> 0 in
  let index t s cs d = offsets d (Array.of_list (List.map (step t s) cs)) in
  contract dims a (index a sa (letters right) dims) (index a sa summed inner) b (index b sb (letters right) dims) (index b sb summed inner)

let softmax n t log =
  let axis = axis_of (rank t) (int n "axis" (-1)) in
  let t = real t in
  let e = exponential t in
  let total = positive_sum e [ axis ] true in
  if log then sub t (unary Ring.log_ total) else div e total

let concat n inputs =
  let first = List.hd inputs in
  let axis = axis_of (rank first) (int n "axis" 0) in
  let mixed = List.exists (fun t -> t.ints = None) inputs in
  let inputs = if mixed then List.map real inputs else inputs in
  let total = List.fold_left (fun s t -> if rank t <> rank first then not_covered "its sizes" else s + t.dims.(axis)) 0 inputs in
  let dims = Array.mapi (fun k d -> if k = axis then total else d) first.dims in
  List.iter (fun t -> Array.iteri (fun k d -> if k <> axis && d <> t.dims.(k) then not_covered "its sizes") first.dims) inputs;
  let inner = count (Array.sub dims (axis + 1) (Array.length dims - axis - 1)) in
  (* of every output element, which input and where *)
  let ends = Array.make total (first, 0, 0) in
  ignore (List.fold_left (fun at t -> for k = 0 to t.dims.(axis) - 1 do ends.(at + k) <- (t, k, t.dims.(axis)) done; at + t.dims.(axis)) 0 inputs);
  let locate i =
    let outer = i / (inner * total) and k = i / inner mod total and rest = i mod inner in
    let t, own, width = ends.(k) in
    (t, (((outer * width) + own) * inner) + rest) in
  if mixed then
    let exact = if List.for_all (fun t -> t.exact <> None) inputs then Some (fun i -> let t, k = locate i in (Option.get t.exact) k) else None in
    init ?exact ~const:(List.for_all (fun t -> t.const) inputs) dims (fun i -> let t, k = locate i in get t k)
  else of_ints dims (Array.init (count dims) (fun i -> let t, k = locate i in (ints "" t).(k)))

(* along one axis, the stated positions *)
let take t axis positions =
  let d = t.dims.(axis) and width = Array.length positions in
  Array.iter (fun p -> if p < 0 || p >= d then not_covered "a position out of range") positions;
  let inner = (strides t.dims).(axis) in
  let dims = Array.mapi (fun k s -> if k = axis then width else s) t.dims in
  pick t dims (Array.init (count dims) (fun i ->
      let outer = i / (inner * width) and k = i / inner mod width and rest = i mod inner in
      (((outer * d) + positions.(k)) * inner) + rest))

let slice t starts ends axes steps =
  let out = ref t in
  Array.iteri (fun k axis ->
      let t = !out in
      let axis = axis_of (rank t) axis in
      let d = t.dims.(axis) and step = steps.(k) in
      if step = 0 then not_covered "a step of 0";
      let wrap x = if x < 0 then x + d else x in
      let clamp lo hi x = if x < lo then lo else if x > hi then hi else x in
      let from = wrap starts.(k) and until = wrap ends.(k) in
      let positions =
        if step > 0 then
          let from = clamp 0 d from and until = clamp 0 d until in
          List.init (max 0 ((until - from + step - 1) / step)) (fun i -> from + (i * step))
        else
          let from = clamp 0 (d - 1) from and until = if ends.(k) < -d then -1 else clamp (-1) (d - 1) until in
          List.init (max 0 ((from - until - step - 1) / -step)) (fun i -> from + (i * step))
      in
      out := take t axis (Array.of_list positions)) axes;
  !out

let top n t k =
  let axis = axis_of (rank t) (int n "axis" (-1)) in
  let largest = int n "largest" 1 = 1 in
  if int n "sorted" 1 <> 1 && k > 1 then not_covered "an order that is open";
  let t = real t in
  if k < 0 || k > t.dims.(axis) then not_covered "its number";
  let s = strides t.dims in
  let dims = Array.mapi (fun a d -> if a = axis then k else d) t.dims in
  let so = strides dims in
  let lists = Hashtbl.create 16 in
  init ~const:t.const dims (fun i ->
      let nth = i / so.(axis) mod k in
      let outer = i / (so.(axis) * k) and rest = i mod so.(axis) in
      let start = (outer * s.(axis) * t.dims.(axis)) + rest in
      let ranks = match Hashtbl.find_opt lists start with
        | Some r -> r
        | None ->
            let all = List.init t.dims.(axis) (fun j -> get t (start + (j * s.(axis)))) in
            let all = if largest then all else List.map Ring.neg all in
            let r = Array.init k (fun m -> if m = 0 then Ring.most all else Ring.rank all m) in
            Hashtbl.add lists start r; r in
      if largest then ranks.(nth) else Ring.neg ranks.(nth))

let affine n x factors =
  match factors with
  | [ scale; bias; mean; var ] ->
      let per t = reshape (real t) (Array.init (rank x - 1) (fun k -> if k = 0 then size t else 1)) in
      let eps = scalar_q (Q.of_float (float n "epsilon" (Int32.float_of_bits (Int32.bits_of_float 1e-5)))) in
      let unit = div (per scale) (root (add (per var) eps)) in
      add (mul (sub x (per mean)) unit) (per bias)
  | _ -> not_covered "its inputs"

let norm_of_layer n inputs =
  let x = real (List.hd inputs) in
  let axis = axis_of (rank x) (int n "axis" (-1)) in
  let axes = List.init (rank x - axis) (fun k -> axis + k) in
  let eps = scalar_q (Q.of_float (float n "epsilon" (Int32.float_of_bits (Int32.bits_of_float 1e-5)))) in
  let apart = sub x (mean_along x axes true) in
  let y = div apart (root (add (mean_along (squares apart) axes true) eps)) in
  match inputs with
  | [ _; s ] -> mul y s
  | [ _; s; b ] -> add (mul y s) b
  | _ -> not_covered "its inputs"

let bound n input name =
  match input with
  | Some t -> Some t
  | None -> (match attribute n name with Some (Onnx.Float x) when Float.abs x < infinity -> Some (scalar_q (Q.of_float x)) | _ -> None)

(* All outputs of a node; [None] for one that is not computed. *)
let outputs n (inputs : t option list) : t option list =
  let given = List.filter_map Fun.id inputs in
  let at k = match List.nth_opt inputs k with Some (Some t) -> t | _ -> not_covered "a missing input" in
  let input k = match List.nth_opt inputs k with Some t -> t | None -> None in
  let one t = [ Some t ] in
  let plain () = only n [] in
  let comparison f g = plain (); one (either f g (at 0) (at 1)) in
  let fold f = plain (); one (List.fold_left f (at 0) (List.tl given)) in
  let below a b = pairwise (fun ~const x y -> Ring.below_zero ~const (Ring.sub x y)) a b in
  let not_ t = sub (ones t) t in
  match n.node.op with
  | "Add" -> plain (); one (either ( + ) Tensor.add (at 0) (at 1))
  | "Sub" -> plain (); one (either ( - ) difference (at 0) (at 1))
  | "Mul" -> plain (); one (if at 0 == at 1 && (at 0).ints = None then squares (at 0) else either ( * ) Tensor.mul (at 0) (at 1))
  | "Div" -> plain (); one (either (fun a b -> if b = 0 then not_covered "a quotient by 0" else a / b) Tensor.div (at 0) (at 1))
  | "Mod" -> one (match integers (fun a b -> if b = 0 || a < 0 || b < 0 then not_covered "a remainder of negative numbers" else a mod b) (at 0) (at 1) with Some t -> t | None -> not_covered "of reals")
  | "Neg" -> plain (); one (match (at 0).ints with Some x -> of_ints (at 0).dims (Array.map ( ~- ) x) | None -> neg (at 0))
  | "Pow" -> plain (); one (pow (at 0) (at 1))
  | "Sqrt" -> plain (); one (root (at 0))
  | "Reciprocal" -> plain (); one (inverse (at 0))
  | "Exp" -> plain (); one (exponential (at 0))
  | "Log" -> plain (); one (unary Ring.log_ (at 0))
  | "Sigmoid" -> plain (); one (unary Ring.sigmoid (at 0))
  | "Tanh" -> plain (); one (unary Ring.tanh_ (at 0))
  | "Softplus" -> plain (); one (unary Ring.softplus (at 0))
  | "Relu" -> plain (); one (relu (at 0))
  | "Abs" -> plain (); let t = real (at 0) in one (add (relu t) (relu (neg t)))
  | "LeakyRelu" -> only n [ "alpha" ]; let t = real (at 0) in
      one (sub (relu t) (mul (scalar_q (Q.of_float (float n "alpha" (Int32.float_of_bits (Int32.bits_of_float 0.01))))) (relu (neg t))))
  | "Max" -> fold (either max (pairwise (fun ~const a b -> Ring.larger_of ~const a b)))
  | "Min" -> fold (either min (pairwise (fun ~const a b -> Ring.smaller_of ~const a b)))
  | "Sum" -> fold Tensor.add
  | "Clip" ->
      only n [ "min"; "max" ];
      let t = match bound n (input 1) "min" with Some b -> pairwise (fun ~const x y -> Ring.larger_of ~const x y) (at 0) b | None -> at 0 in
      one (match bound n (input 2) "max" with Some b -> pairwise (fun ~const x y -> Ring.smaller_of ~const x y) t b | None -> t)
  | "Less" -> comparison (fun a b -> Bool.to_int (a < b)) below
  | "Greater" -> comparison (fun a b -> Bool.to_int (a > b)) (fun a b -> below b a)
  | "LessOrEqual" -> comparison (fun a b -> Bool.to_int (a <= b)) (fun a b -> not_ (below b a))
  | "GreaterOrEqual" -> comparison (fun a b -> Bool.to_int (a >= b)) (fun a b -> not_ (below a b))
  | "Equal" -> comparison (fun a b -> Bool.to_int (a = b)) (fun _ _ -> not_covered "equality of reals")
  | "Not" -> plain (); one (match (at 0).ints with Some x -> of_ints (at 0).dims (Array.map (fun b -> 1 - b) x) | None -> not_ (at 0))
  | "And" -> plain (); one (either ( land ) Tensor.mul (at 0) (at 1))
  | "Where" -> (
      plain ();
      let c = at 0 and x = at 1 and y = at 2 in
      match (c.ints, x.ints, y.ints) with
      | Some _, Some _, Some _ ->
          let dims = together c.dims (together x.dims y.dims) in
          let v t = ints "" (spread t dims) in
          let c = v c and x = v x and y = v y in
          one (of_ints dims (Array.mapi (fun i b -> if b <> 0 then x.(i) else y.(i)) c))
      | _ -> one (add (mul c (sub x y)) y))
  | "Cast" ->
      only n [ "to"; "saturate" ];
      let t = at 0 in
      one (match int n "to" 0 with
        | 1 | 11 -> real t
        | 6 | 7 -> if t.ints <> None then t else not_covered "rounding to integers"
        | 9 when t.ints <> None -> of_ints t.dims (Array.map (fun x -> if x <> 0 then 1 else 0) (ints "" t))
        | k -> not_covered "the type %d" k)
  | "CastLike" -> plain (); (match ((at 0).ints, (at 1).ints) with
      | _, None -> one (real (at 0)) | Some _, Some _ -> one (at 0) | _ -> not_covered "rounding to integers")
  | "Identity" -> plain (); one (at 0)
  | "Dropout" -> (match input 2 with Some m when Array.exists (fun b -> b <> 0) (ints "modes" m) -> not_covered "training" | _ -> one (at 0))
  | "Constant" -> (
      match n.node.attributes with
      | [ ("value", Onnx.Tensor t) ] -> one (of_onnx t)
      | [ ("value_float", Onnx.Float x) ] -> one (of_floats [||] [| x |])
      | [ ("value_floats", Onnx.Floats x) ] -> one (of_floats [| List.length x |] (Array.of_list x))
      | [ ("value_int", Onnx.Int i) ] -> one (of_ints [||] [| Onnx.clamped i |])
      | [ ("value_ints", Onnx.Ints i) ] -> one (of_ints [| List.length i |] (Array.of_list (List.map Onnx.clamped i)))
      | _ -> not_covered "its value")
  | "ConstantOfShape" ->
      only n [ "value" ];
      let dims = ints "sizes" (at 0) in
      let value = match attribute n "value" with None -> of_floats [| 1 |] [| 0. |] | Some (Onnx.Tensor t) -> of_onnx t | _ -> not_covered "its value" in
      one (spread (reshape value [||]) dims)
  | "Shape" -> only n [ "start"; "end" ];
      let d = (at 0).dims in
      let r = Array.length d in
      let clamp x = max 0 (min r (if x < 0 then x + r else x)) in
      let from = clamp (int n "start" 0) and until = clamp (int n "end" r) in
      let found = Array.sub d from (max 0 (until - from)) in
      one (of_ints [| Array.length found |] found)
  | "Size" -> plain (); one (of_ints [||] [| size (at 0) |])
  | "Range" -> plain (); (match (ints "bounds" (at 0), ints "bounds" (at 1), ints "bounds" (at 2)) with
      | [| a |], [| b |], [| s |] when s <> 0 -> let k = max 0 (if s > 0 then (b - a + s - 1) / s else (a - b - s - 1) / -s) in
          one (of_ints [| k |] (Array.init k (fun i -> a + (i * s))))
      | _ -> not_covered "its bounds")
  | "Reshape" -> only n [ "allowzero" ]; one (reshape (at 0) (target (at 0) (ints "sizes" (at 1)) (int n "allowzero" 0 = 1)))
  | "Flatten" -> only n [ "axis" ]; let t = at 0 in
      let a = int n "axis" 1 in
      let a = if a < 0 then a + rank t else a in
      if a < 0 || a > rank t then not_covered "its axis";
      let first = count (Array.sub t.dims 0 a) in
      one (reshape t [| first; (if first = 0 then 0 else size t / first) |])
  | "Transpose" -> only n [ "perm" ]; let t = at 0 in
      one (transpose t (match ints_of n "perm" with Some p -> p | None -> Array.init (rank t) (fun k -> rank t - 1 - k)))
  | "Squeeze" -> only n [ "axes" ]; let t = at 0 in
      let axes = match (input 1, ints_of n "axes") with
        | Some a, _ -> normal_axes (rank t) (ints "axes" a) | None, Some a -> normal_axes (rank t) a
        | None, None -> List.filter (fun k -> t.dims.(k) = 1) (List.init (rank t) Fun.id) in
      if List.exists (fun k -> t.dims.(k) <> 1) axes then not_covered "its sizes";
      one (reshape t (Array.of_list (List.filteri (fun k _ -> not (List.mem k axes)) (Array.to_list t.dims))))
  | "Unsqueeze" -> only n [ "axes" ]; let t = at 0 in
      let stated = match (input 1, ints_of n "axes") with Some a, _ -> ints "axes" a | None, Some a -> a | _ -> not_covered "no axes" in
      let r = rank t + Array.length stated in
      let axes = normal_axes r stated in
      let left = ref (Array.to_list t.dims) in
      let next () = match !left with d :: rest -> left := rest; d | [] -> not_covered "its axes" in
      one (reshape t (Array.init r (fun k -> if List.mem k axes then 1 else next ())))
  | "Expand" -> plain (); let t = at 0 in one (spread t (together t.dims (ints "sizes" (at 1))))
  | "Tile" -> plain (); let t = at 0 in
      let repeats = ints "repeats" (at 1) in
      if Array.length repeats <> rank t then not_covered "its repeats";
      one (List.fold_left (fun t k -> take t k (Array.init (t.dims.(k) * repeats.(k)) (fun i -> i mod t.dims.(k)))) t (List.init (rank t) Fun.id))
  | "Concat" -> only n [ "axis" ]; one (concat n given)
  | "Split" ->
      only n [ "axis"; "num_outputs"; "split" ];
      let t = at 0 in
      let axis = axis_of (rank t) (int n "axis" 0) in
      let parts = List.length n.node.outputs in
      let sizes = match input 1 with
        | Some s -> Array.to_list (ints "sizes" s)
        | None ->
            let each = (t.dims.(axis) + parts - 1) / parts in
            List.init parts (fun k -> min each (t.dims.(axis) - (k * each))) in
      if List.length sizes <> parts || List.exists (fun s -> s < 0) sizes || List.fold_left ( + ) 0 sizes <> t.dims.(axis) then not_covered "its sizes";
      let at = ref 0 in
      List.map (fun s -> let from = !at in at := from + s; Some (take t axis (Array.init s (fun k -> from + k)))) sizes
  | "Slice" -> plain (); let t = at 0 in
      let starts = ints "starts" (at 1) and ends = ints "ends" (at 2) in
      let axes = match input 3 with Some a -> ints "axes" a | None -> Array.init (Array.length starts) Fun.id in
      let steps = match input 4 with Some s -> ints "steps" s | None -> Array.make (Array.length starts) 1 in
      if List.exists (fun a -> Array.length a <> Array.length starts) [ ends; axes; steps ] then not_covered "its sizes";
      one (slice t starts ends axes steps)
  | "Gather" -> only n [ "axis" ]; let t = at 0 in
      let axis = axis_of (rank t) (int n "axis" 0) in
      let where = at 1 in
      let positions = Array.map (fun p -> if p < 0 then p + t.dims.(axis) else p) (ints "positions" where) in
      let found = take t axis positions in
      one (reshape found (Array.concat [ Array.sub t.dims 0 axis; where.dims; Array.sub t.dims (axis + 1) (rank t - axis - 1) ]))
  | "ReduceSum" -> (match reduction n given with t, None, _ -> one t | t, Some axes, keep -> one (positive_sum t axes keep))
  | "ReduceMean" -> one (reduced n given mean_along)
  | "ReduceMax" -> one (reduced n given (fun t -> most (signs t)))
  | "ReduceMin" -> one (reduced n given (fun t -> least (signs t)))
  | "ReduceSumSquare" -> one (reduced n given (fun t -> sum_along (squares t)))
  | "ReduceL2" -> one (reduced n given (fun t axes keep -> root (sum_along (squares t) axes keep)))
  | "ReduceL1" -> one (reduced n given (fun t axes keep -> let t = real t in sum_along (add (relu t) (relu (neg t))) axes keep))
  | "ReduceLogSumExp" -> one (reduced n given (fun t axes keep -> unary Ring.log_ (sum_along (unary Ring.exp_ t) axes keep)))
  | "MaxPool" ->
      only n [ "auto_pad"; "ceil_mode"; "dilations"; "kernel_shape"; "pads"; "storage_order"; "strides" ];
      [ Some (pooling n (signs (at 0)) (fun _ inside -> Ring.most inside)); None ]
  | "AveragePool" ->
      only n [ "auto_pad"; "ceil_mode"; "count_include_pad"; "dilations"; "kernel_shape"; "pads"; "strides" ];
      one (pooling n (at 0) (average n (int n "count_include_pad" 0 = 1)))
  | "GlobalMaxPool" -> plain (); one (most (signs (at 0)) (List.init (rank (at 0) - 2) (fun k -> k + 2)) true)
  | "GlobalAveragePool" -> plain (); one (mean_along (at 0) (List.init (rank (at 0) - 2) (fun k -> k + 2)) true)
  | "Conv" -> one (convolution n (at 0) (at 1) (input 2))
  | "MatMul" -> plain (); one (matmul (at 0) (at 1))
  | "Gemm" ->
      only n [ "alpha"; "beta"; "transA"; "transB" ];
      let turn t flag = if int n flag 0 = 1 then transpose t [| 1; 0 |] else t in
      let scaled t name = let x = float n name 1. in if x = 1. then t else mul t (scalar_q (Q.of_float x)) in
      if rank (at 0) <> 2 || rank (at 1) <> 2 then not_covered "its sizes";
      let y = scaled (matmul (turn (at 0) "transA") (turn (at 1) "transB")) "alpha" in
      one (match input 2 with Some b -> add y (scaled (real b) "beta") | None -> y)
  | "Einsum" -> only n [ "equation" ]; one (einsum n given)
  | "Softmax" -> only n [ "axis" ]; one (softmax n (at 0) false)
  | "LogSoftmax" -> only n [ "axis" ]; one (softmax n (at 0) true)
  | "TopK" ->
      only n [ "axis"; "largest"; "sorted" ];
      let k = match ints "numbers" (at 1) with [| k |] -> k | _ -> not_covered "its number" in
      [ Some (top n (signs (at 0)) k); None ]
  | "BatchNormalization" -> only n [ "epsilon"; "momentum"; "training_mode" ];
      if int n "training_mode" 0 <> 0 then not_covered "training";
      one (affine n (real (at 0)) (List.tl given))
  | "LayerNormalization" -> only n [ "axis"; "epsilon"; "stash_type" ]; [ Some (norm_of_layer n given); None; None ]
  | op -> ignore op; not_covered "this operator"

(* Values by name, from the latents on. *)
type run = { graph : Onnx.graph; origin : (string, Onnx.node) Hashtbl.t; values : (string, t option) Hashtbl.t }

let origins (graph : Onnx.graph) =
  let origin = Hashtbl.create 64 in
  List.iter (fun (n : Onnx.node) -> List.iter (fun o -> Hashtbl.replace origin o n) n.outputs) graph.nodes;
  origin

let run graph latents =
  let values = Hashtbl.create 64 in
  List.iter (fun (name, t) -> Hashtbl.replace values name (Some t)) latents;
  { graph; origin = origins graph; values }

(* The constants that an output is computed from. *)
let constants graph output latents =
  let r = run graph [] in
  let found = ref [] and seen = Hashtbl.create 64 in
  let rec constant name =
    match Hashtbl.find_opt seen name with
    | Some c -> c
    | None ->
        let c =
          (not (List.mem name latents))
          && (Hashtbl.mem graph.tensors name
             || match Hashtbl.find_opt r.origin name with
                | Some n -> List.fold_left (fun all i -> (i = "" || constant i) && all) true n.inputs
                | None -> false)
        in
        Hashtbl.replace seen name c;
        if c then found := name :: !found;
        c
  in
  ignore (constant output);
  (r, List.rev !found)

let rec value r name =
  match Hashtbl.find_opt r.values name with
  | Some (Some t) -> t
  | Some None -> not_covered "%S: which of several is the largest" name
  | None ->
      (match Hashtbl.find_opt r.graph.tensors name with
      | Some t -> Hashtbl.replace r.values name (Some (of_onnx t))
      | None -> (
          match Hashtbl.find_opt r.origin name with
          | None -> contradiction "the output depends on the input %S, not by the latents alone" name
          | Some node ->
              let inputs = List.map (fun i -> if i = "" then None else Some (value r i)) node.inputs in
              let found =
                try outputs { node; opset = r.graph.opset } inputs
                with Not_covered why when not (String.contains why '\n') ->
                  raise (Not_covered (Printf.sprintf "%s computes %S: %s\n" node.op name why))
              in
              List.iteri (fun k o -> if o <> "" then Hashtbl.replace r.values o (match List.nth_opt found k with Some t -> t | None -> None)) node.outputs));
      value r name
