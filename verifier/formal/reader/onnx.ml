(* ONNX files: protocol buffers in which every byte is accounted for. A field is read, or silent
   (it cannot change what a network computes), or the file is refused. The numbers of fields are
   those of onnx.proto (ONNX IR). *)

exception Refused of string

let refuse format = Printf.ksprintf (fun text -> raise (Refused text)) format

type slice = { text : string; from : int; until : int }

let whole text = { text; from = 0; until = String.length text }
let size s = s.until - s.from
let string_of s = String.sub s.text s.from (size s)

type value = Varint of int64 | Fixed32 of int32 | Fixed64 of int64 | Bytes of slice

let varint text at until =
  let rec more at shift acc =
    if at >= until then refuse "the file ends inside a number";
    let byte = Char.code text.[at] in
    if shift = 63 && byte > 1 then refuse "a number of more than 64 bits";
    let acc = Int64.logor acc (Int64.shift_left (Int64.of_int (byte land 127)) shift) in
    if byte land 128 <> 0 then more (at + 1) (shift + 7) acc
    else if byte = 0 && shift > 0 then refuse "a number that is longer than it needs"
    else (acc, at + 1)
  in
  more at 0 0L

let small name n =
  if Int64.compare n 0L < 0 || Int64.compare n 0x3fffffffL > 0 then refuse "%s is out of range" name;
  Int64.to_int n

(* Calls [f] with number and value of every field; all bytes belong to one. *)
let fields what s f =
  let rec from at =
    if at < s.until then begin
      let tag, at = varint s.text at s.until in
      let tag = small "a field's number" tag in
      let number = tag lsr 3 in
      let need n at = if at + n > s.until || at + n < at then refuse "%s ends inside a field" what in
      let value, at =
        match tag land 7 with
        | 0 -> let n, at = varint s.text at s.until in (Varint n, at)
        | 1 -> need 8 at; (Fixed64 (String.get_int64_le s.text at), at + 8)
        | 2 ->
            let n, at = varint s.text at s.until in
            let n = small "a length" n in
            need n at;
            (Bytes { s with from = at; until = at + n }, at + n)
        | 5 -> need 4 at; (Fixed32 (String.get_int32_le s.text at), at + 4)
        | _ -> refuse "%s has a field of an unknown kind" what
      in
      f number value;
      from at
    end
  in
  from s.from

let unknown what number = refuse "%s has the field %d, which is not read" what number
let part what = function Bytes s -> s | _ -> refuse "a field of %s is no text" what
let text what v = string_of (part what v)
let integer what = function Varint n -> n | _ -> refuse "a field of %s is no integer" what

(* repeated integers, packed or one by one *)
let integers what v add =
  match v with
  | Varint n -> add n
  | Bytes s ->
      let rec from at = if at < s.until then (let n, at = varint s.text at s.until in add n; from at) in
      from s.from
  | _ -> refuse "a field of %s is no list of integers" what
let floats what v add =
  match v with
  | Fixed32 n -> add (Int32.float_of_bits n)
  | Bytes s ->
      if size s land 3 <> 0 then refuse "a list of floats in %s is cut off" what;
      for n = 0 to (size s / 4) - 1 do
        add (Int32.float_of_bits (String.get_int32_le s.text (s.from + (4 * n))))
      done
  | _ -> refuse "a field of %s is no list of floats" what
let doubles what v add =
  match v with
  | Fixed64 n -> add (Int64.float_of_bits n)
  | Bytes s ->
      if size s land 7 <> 0 then refuse "a list of doubles in %s is cut off" what;
      for n = 0 to (size s / 8) - 1 do
        add (Int64.float_of_bits (String.get_int64_le s.text (s.from + (8 * n))))
      done
  | _ -> refuse "a field of %s is no list of doubles" what

(* a field that occurs once *)
let once what cell v = match !cell with Some _ -> refuse "%s has a field twice" what | None -> cell := Some v

type tensor = {
  name : string;
  dims : int array;
  kind : int; (* TensorProto.DataType: 1 float32, 7 int64, 11 float64, 9 bool, 6 int32 *)
  bytes : slice option; (* little endian *)
  numbers : float list; (* else, one by one *)
  counts : int64 list;
}

type attribute = Float of float | Int of int64 | Text of string | Tensor of tensor | Floats of float list | Ints of int64 list | Texts of string list

type node = { op : string; inputs : string list; outputs : string list; attributes : (string * attribute) list }

type graph = {
  nodes : node list;
  tensors : (string, tensor) Hashtbl.t;
  inputs_of : (string, unit) Hashtbl.t;
  outputs_of : (string, unit) Hashtbl.t;
  shapes : (string, int option array) Hashtbl.t; (* as the file says *)
  opset : int;
}

let entry s =
  let key = ref None and value = ref None in
  fields "an entry" s (fun number v ->
      match number with
      | 1 -> once "an entry" key (text "an entry" v)
      | 2 -> once "an entry" value (text "an entry" v)
      | n -> unknown "an entry" n);
  (Option.value !key ~default:"", Option.value !value ~default:"")

let most_elements = 1 lsl 27
let count_of dims =
  Array.fold_left (fun n d -> if d < 0 || (d > 0 && n > most_elements / d) then refuse "a tensor is too large" else n * d) 1 dims

(* bytes of an element *)
let width kind = match kind with 1 | 6 -> 4 | 7 | 11 -> 8 | 9 -> 1 | _ -> 0

let decimal what text =
  if text = "" || String.length text > 15 || not (String.for_all (fun c -> c >= '0' && c <= '9') text) then
    refuse "%s is no number" what
  else small what (Int64.of_string text)

let tensor_of files used s =
  let what = "a tensor" in
  let dims = ref [] and kind = ref None and name = ref None and raw = ref None and location = ref None in
  let numbers = ref [] and counts = ref [] and outside = ref [] in
  fields what s (fun number v ->
      match number with
      | 1 -> integers what v (fun n -> dims := small "a size" n :: !dims)
      | 2 -> once what kind (small "a type" (integer what v))
      | 4 -> floats what v (fun x -> numbers := x :: !numbers)
      | 5 | 7 -> integers what v (fun n -> counts := n :: !counts)
      | 8 -> once what name (text what v)
      | 9 -> once what raw (part what v)
      | 10 -> doubles what v (fun x -> numbers := x :: !numbers)
      | 12 -> ignore (text what v)
      | 13 -> outside := entry (part what v) :: !outside
      | 14 -> once what location (integer what v)
      | 16 -> ignore (entry (part what v))
      | n -> unknown what n);
  let name = Option.value !name ~default:"" in
  let dims = Array.of_list (List.rev !dims) in
  let kind = match !kind with Some k -> k | None -> refuse "the tensor %S has no type" name in
  let expected = count_of dims * width kind in
  let bytes =
    match (!location, !outside, !raw) with
    | (None | Some 0L), [], raw -> raw
    | Some 1L, entries, None ->
        let get key = List.filter_map (fun (k, v) -> if k = key then Some v else None) entries in
        List.iter (fun (k, _) -> if not (List.mem k [ "location"; "offset"; "length"; "checksum" ]) then refuse "the place of the tensor %S says %S" name k) entries;
        let file = match get "location" with [ f ] -> f | _ -> refuse "the tensor %S has no place" name in
        let content = match List.assoc_opt file files with Some c -> c | None -> refuse "the data file %S is not given" file in
        Hashtbl.replace used file ();
        let from = match get "offset" with [] -> 0 | [ n ] -> decimal "an offset" n | _ -> refuse "two offsets" in
        let length = match get "length" with [] -> String.length content - from | [ n ] -> decimal "a length" n | _ -> refuse "two lengths" in
        if from + length > String.length content || length < 0 then refuse "the tensor %S is not inside its file" name;
        Some { text = content; from; until = from + length }
    | _ -> refuse "the tensor %S has its values in two places" name
  in
  (match bytes with
  | Some b ->
      if !numbers <> [] || !counts <> [] then refuse "the tensor %S has its values in two places" name;
      if width kind > 0 && size b <> expected then refuse "the tensor %S has values that do not fit its sizes" name
  | None ->
      let found = match kind with 1 | 11 -> List.length !numbers | 6 | 7 | 9 -> List.length !counts | _ -> -1 in
      let other = match kind with 1 | 11 -> !counts <> [] | _ -> !numbers <> [] in
      if found >= 0 && (found <> count_of dims || other) then refuse "the tensor %S has values that do not fit its sizes" name);
  { name; dims; kind; bytes; numbers = List.rev !numbers; counts = List.rev !counts }

let attribute_of files used s =
  let what = "an attribute" in
  let name = ref None and kind = ref None and found = ref [] in
  let f = ref [] and i = ref [] and t = ref [] in
  fields what s (fun number v ->
      (if List.mem number [ 2; 3; 4; 5; 7; 8; 9 ] && not (List.mem number !found) then found := number :: !found
       else if List.mem number [ 2; 3; 4; 5 ] then refuse "an attribute has a value twice");
      match number with
      | 1 -> once what name (text what v)
      | 2 -> (match v with Fixed32 n -> f := [ Int32.float_of_bits n ] | _ -> refuse "an attribute is no float")
      | 3 -> i := [ integer what v ]
      | 4 -> t := [ text what v ]
      | 5 -> ignore (part what v)
      | 7 -> floats what v (fun x -> f := x :: !f)
      | 8 -> integers what v (fun n -> i := n :: !i)
      | 9 -> t := text what v :: !t
      | 13 -> ignore (text what v)
      | 20 -> once what kind (integer what v)
      | n -> unknown what n);
  let inner = ref None in
  fields what s (fun number v -> if number = 5 then inner := Some (tensor_of files used (part what v)));
  let name = match !name with Some n -> n | None -> refuse "an attribute has no name" in
  let only n = List.for_all (fun k -> k = n) !found in
  let value =
    match (!kind, !f, !i, !t, !inner) with
    | Some 1L, x, _, _, _ when only 2 -> Float (match x with [ x ] -> x | _ -> 0.)
    | Some 2L, _, n, _, _ when only 3 -> Int (match n with [ n ] -> n | _ -> 0L)
    | Some 3L, _, _, t, _ when only 4 -> Text (match t with [ t ] -> t | _ -> "")
    | Some 4L, _, _, _, Some t when only 5 -> Tensor t
    | Some 6L, x, _, _, _ when only 7 -> Floats (List.rev x)
    | Some 7L, _, n, _, _ when only 8 -> Ints (List.rev n)
    | Some 8L, _, _, t, _ when only 9 -> Texts (List.rev t)
    | _ -> refuse "the attribute %S is of a kind that is not read, or has a value of another" name
  in
  (name, value)

let node_of files used s =
  let what = "a node" in
  let inputs = ref [] and outputs = ref [] and op = ref None and attributes = ref [] and domain = ref None in
  fields what s (fun number v ->
      match number with
      | 1 -> inputs := text what v :: !inputs
      | 2 -> outputs := text what v :: !outputs
      | 3 | 6 -> ignore (text what v)
      | 4 -> once what op (text what v)
      | 5 ->
          let name, value = attribute_of files used (part what v) in
          if List.mem_assoc name !attributes then refuse "a node has the attribute %S twice" name;
          attributes := (name, value) :: !attributes
      | 7 -> once what domain (text what v)
      | 8 -> if text what v <> "" then refuse "a node calls an overloaded function"
      | 9 -> ignore (entry (part what v))
      | n -> unknown what n);
  let op = match !op with Some o -> o | None -> refuse "a node has no operator" in
  let op = match !domain with None | Some "" | Some "ai.onnx" -> op | Some d -> d ^ "." ^ op in
  { op; inputs = List.rev !inputs; outputs = List.rev !outputs; attributes = List.rev !attributes }

(* name and sizes of a ValueInfoProto *)
let value_of s =
  let what = "a value" in
  let name = ref None and kind = ref None in
  fields what s (fun number v ->
      match number with
      | 1 -> once what name (text what v)
      | 2 -> once what kind (part what v)
      | 3 -> ignore (text what v)
      | 4 -> ignore (entry (part what v))
      | n -> unknown what n);
  let sizes = ref None in
  let dimension s =
    let size = ref None in
    fields "a dimension" s (fun number v ->
        match number with
        | 1 -> once "a dimension" size (small "a size" (integer "a dimension" v))
        | 2 | 3 -> ignore (text "a dimension" v)
        | n -> unknown "a dimension" n);
    !size
  in
  let shape s =
    let all = ref [] in
    fields "a shape" s (fun number v ->
        match number with 1 -> all := dimension (part "a shape" v) :: !all | n -> unknown "a shape" n);
    sizes := Some (Array.of_list (List.rev !all))
  in
  let tensor_type s =
    fields "a type" s (fun number v ->
        match number with
        | 1 -> ignore (integer "a type" v)
        | 2 -> shape (part "a type" v)
        | n -> unknown "a type" n)
  in
  Option.iter (fun s ->
      fields "a type" s (fun number v ->
          match number with
          | 1 -> tensor_type (part "a type" v)
          | 4 | 5 | 7 | 8 | 9 -> ignore (part "a type" v) (* sequences and the like: no latent is one *)
          | 6 -> ignore (text "a type" v)
          | n -> unknown "a type" n)) !kind;
  (Option.value !name ~default:"", !sizes)

let read model files =
  let used = Hashtbl.create 4 in
  let what = "the model" in
  let graph = ref None and opset = ref None in
  fields what (whole model) (fun number v ->
      match number with
      | 1 | 5 -> ignore (integer what v)
      | 2 | 3 | 4 | 6 -> ignore (text what v)
      | 7 -> once what graph (part what v)
      | 8 ->
          let domain = ref None and version = ref None in
          fields "an operator set" (part what v) (fun number v ->
              match number with
              | 1 -> once "an operator set" domain (text "an operator set" v)
              | 2 -> once "an operator set" version (small "a version" (integer "an operator set" v))
              | n -> unknown "an operator set" n);
          (match (!domain, !version) with
          | (None | Some "" | Some "ai.onnx"), Some n -> once what opset n
          | _ -> ())
      | 14 -> ignore (entry (part what v))
      | 25 -> ignore (part what v) (* functions: a node that calls one is not covered *)
      | n -> unknown what n);
  let opset = match !opset with Some n -> n | None -> refuse "the model names no operator set" in
  if opset < 13 || opset > 26 then refuse "the operator set %d is not read" opset;
  let graph = match !graph with Some g -> g | None -> refuse "the model has no graph" in
  let nodes = ref [] and tensors = Hashtbl.create 64 and shapes = Hashtbl.create 64 in
  let inputs_of = Hashtbl.create 4 and outputs_of = Hashtbl.create 4 in
  let what = "the graph" in
  let value table v =
    let name, sizes = value_of (part what v) in
    Option.iter (fun table -> if Hashtbl.mem table name then refuse "%S is listed twice" name; Hashtbl.add table name ()) table;
    Option.iter (fun sizes ->
        (match Hashtbl.find_opt shapes name with
        | Some other when other <> sizes -> refuse "%S has two shapes" name
        | _ -> ());
        Hashtbl.replace shapes name sizes) sizes
  in
  fields what graph (fun number v ->
      match number with
      | 1 -> nodes := node_of files used (part what v) :: !nodes
      | 2 | 10 -> ignore (text what v)
      | 5 ->
          let t = tensor_of files used (part what v) in
          if Hashtbl.mem tensors t.name then refuse "the tensor %S is given twice" t.name;
          Hashtbl.add tensors t.name t
      | 11 -> value (Some inputs_of) v
      | 12 -> value (Some outputs_of) v
      | 13 -> value None v
      | 14 -> ignore (part what v) (* annotations of quantization compute nothing *)
      | 16 -> ignore (entry (part what v))
      | n -> unknown what n);
  List.iter (fun (name, _) -> if not (Hashtbl.mem used name) then refuse "the model does not name the file %S" name) files;
  let nodes = List.rev !nodes in
  (* every tensor has one origin, which comes before it is used *)
  let known = Hashtbl.create 64 in
  Hashtbl.iter (fun name _ -> Hashtbl.replace known name ()) tensors;
  Hashtbl.iter (fun name _ -> Hashtbl.replace known name ()) inputs_of;
  List.iter (fun n ->
      List.iter (fun i -> if i <> "" && not (Hashtbl.mem known i) then refuse "%S is used before it is computed" i) n.inputs;
      List.iter (fun o ->
          if o <> "" then begin
            if Hashtbl.mem known o then refuse "%S is computed twice" o;
            Hashtbl.add known o ()
          end) n.outputs) nodes;
  { nodes; tensors; inputs_of; outputs_of; shapes; opset }

(* Values of a tensor. *)
let count t = count_of t.dims
let reals t =
  let n = count t in
  match (t.kind, t.bytes) with
  | 1, Some b -> Array.init n (fun i -> Int32.float_of_bits (String.get_int32_le b.text (b.from + (4 * i))))
  | 11, Some b -> Array.init n (fun i -> Int64.float_of_bits (String.get_int64_le b.text (b.from + (8 * i))))
  | (1 | 11), None -> Array.of_list t.numbers
  | _ -> refuse "the tensor %S holds numbers of a type that is not read" t.name

(* Integers that count or point; the largest ones mean "to the end". *)
let clamped n =
  if Int64.compare n 0x3fffffffL > 0 then 0x3fffffff
  else if Int64.compare n (-0x3fffffffL) < 0 then -0x3fffffff
  else Int64.to_int n
let whole_numbers t =
  let n = count t in
  match (t.kind, t.bytes) with
  | 7, Some b -> Array.init n (fun i -> clamped (String.get_int64_le b.text (b.from + (8 * i))))
  | 6, Some b -> Array.init n (fun i -> clamped (Int64.of_int32 (String.get_int32_le b.text (b.from + (4 * i)))))
  | 9, Some b -> Array.init n (fun i -> Char.code b.text.[b.from + i])
  | (6 | 7 | 9), None -> Array.of_list (List.map clamped t.counts)
  | _ -> refuse "the tensor %S holds numbers of a type that is not read" t.name
