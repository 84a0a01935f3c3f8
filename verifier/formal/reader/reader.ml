(* The second reading of a statement: from the bytes of model, data files and certificate, whether
   they are what it says. It shares nothing with the checker in Python. *)

type verdict = Confirmed of string | Contradicted of string | Not_covered of string

let contradiction = Graph.contradiction
let not_covered = Tensor.not_covered

(* The hash by which statements name a model: of the file, or of a list of all files. *)
let identity model files =
  let own = Sha.hex model in
  if files = [] then own
  else
    let line hash size name = Printf.sprintf "%s  %d  %s\n" hash size name in
    let sorted = List.sort compare files in
    Sha.hex (String.concat "" (line own (String.length model) "model" :: List.map (fun (name, c) -> line (Sha.hex c) (String.length c) name) sorted))

let same_files (st : Head.t) model files =
  if st.model <> identity model files then contradiction "the statement is about another model file";
  let own = List.map (fun (name, c) -> (name, Sha.hex c, String.length c)) (List.sort compare files) in
  if own <> st.files then contradiction "the statement names other data files"

(* What the certificate claims. *)
module Claim = struct
  open Json

  let next tokens = match !tokens with t :: rest -> tokens := rest; t | [] -> contradiction "the statement lacks what the certificate says"
  let integer tokens = let t = next tokens in try Z.of_string t with _ -> contradiction "%S is no integer" t
  let over exponent n = Q.make n (Z.shift_left Z.one exponent)
  let expect tokens word = if next tokens <> word then contradiction "the statement lacks the certificate's %S" word
  let count tokens = Head.natural (next tokens)
  let exponent tokens = let n = count tokens in if n > 1 lsl 16 then contradiction "an exponent of %d" n else n
  let number tokens e = over e (integer tokens)
  let is what tokens e q = if not (Q.equal (number tokens e) q) then contradiction "the certificate has another number in %s" what

  let domain value (st : Head.t) =
    let tokens = ref st.domain in
    let e = exponent tokens in
    let n = count tokens in
    let constraints k = if n <> k then contradiction "the certificate's domain has %d constraints" k in
    let one = Q.one in
    let kind = text (get value "kind") in
    let locations = Array.length st.head.lbank and channels = st.head.channels in
    let is = is "its domain" in
    (match kind with
    | "free" -> ignore (only value [ "kind" ] []); constraints 0
    | "box" ->
        ignore (only value [ "kind"; "lower"; "upper" ] []);
        constraints 1; expect tokens "everywhere"; is tokens e (hex_float (text (get value "lower")));
        (match get value "upper" with Null -> expect tokens "inf" | v -> is tokens e (hex_float (text v)))
    | "sphere" | "ball" | "simplex" ->
        ignore (only value [ "kind"; "slack" ] []);
        let slack = hex_float (text (get value "slack")) in
        let least = Q.sub one slack and most = Q.add one slack in
        constraints 2;
        expect tokens (if kind = "simplex" then "total" else "norm");
        is tokens e (if kind = "ball" then Q.zero else least); is tokens e most;
        expect tokens "everywhere"; is tokens e (if kind = "simplex" then Q.zero else Q.neg most); is tokens e most
    | "reach" ->
        ignore (only value [ "kind"; "lower"; "upper"; "bounds"; "source" ] [ "region"; "propagated" ]);
        let doubles v =
          let raw = base64 (text v) in
          if String.length raw <> 8 * locations * channels then contradiction "the certificate's box is of another size";
          Array.init (locations * channels) (fun i -> Q.of_float (Int64.float_of_bits (String.get_int64_le raw (8 * i)))) in
        let lower = doubles (get value "lower") and upper = doubles (get value "upper") in
        let bounds = match List.assoc_opt "bounds" (members value) with Some b -> items b | None -> [] in
        constraints (locations + List.length bounds);
        for l = 0 to locations - 1 do
          expect tokens "box"; expect tokens (string_of_int l);
          for d = 0 to channels - 1 do is tokens e lower.((l * channels) + d); is tokens e upper.((l * channels) + d) done
        done;
        List.iter (fun b ->
            ignore (only b [ "coefficients"; "bound" ] []);
            expect tokens "jointly"; is tokens e (hex_float (text (get b "bound")));
            Array.iter (is tokens e) (doubles (get b "coefficients"))) bounds
    | other -> not_covered "the domain %S" other);
    if !tokens <> [] then contradiction "the statement's domain says more than the certificate"

  let uniform (h : Head.head) =
    h.uniform && Array.for_all (fun p -> p = Head.Nearest) h.pooling

  let facts value (st : Head.t) =
    let tokens = ref st.facts in
    let e = exponent tokens in
    let all = items value in
    if count tokens <> List.length all then contradiction "the certificate has another number of facts";
    let is = is "its facts" in
    let bounds f = is tokens e (hex_float (text (get f "lower"))); is tokens e (hex_float (text (get f "upper"))) in
    let index f name = expect tokens (string_of_int (Json.integer (get f name))) in
    List.iter (fun f ->
        match text (get f "kind") with
        | "pair" -> ignore (only f [ "kind"; "location"; "prototype"; "lower"; "upper" ] []);
            expect tokens "pair"; index f "location"; index f "prototype"; bounds f
        | "activation" -> ignore (only f [ "kind"; "prototype"; "lower"; "upper" ] []);
            expect tokens "pooled"; index f "prototype"; bounds f
        | "ceiling" -> ignore (only f [ "kind"; "bound"; "exempt" ] []);
            let bound = hex_float (text (get f "bound")) in
            let near = uniform st.head in
            expect tokens (if near then "no-nearer" else "no-more");
            is tokens e (if near then bound else Q.neg bound);
            let exempt = items (get f "exempt") in
            if count tokens <> List.length exempt then contradiction "the certificate exempts other prototypes";
            List.iter (fun j -> expect tokens (string_of_int (Json.integer j))) exempt
        | other -> not_covered "facts of the kind %S" other) all;
    if !tokens <> [] then contradiction "the statement has more facts than the certificate"

  let latent text (st : Head.t) =
    let raw = base64 text in
    let n = Array.length st.latent in
    if String.length raw <> 4 * n then contradiction "the certificate's latent is of another size";
    Array.iteri (fun i digits ->
        let x = Q.of_float (Int32.float_of_bits (String.get_int32_le raw (4 * i))) in
        if not (Q.equal x (over st.latent_exponent (Z.of_string digits))) then contradiction "the certificate has another latent") st.latent

  (* the fields of the core that claim nothing about all latents, or that this reader leaves to others *)
  let unread = [ "tool"; "vocabulary"; "premises"; "evidence"; "witnesses"; "size_bound"; "contrasts"; "part_evidence"; "holds"; "superfluous"; "released" ]

  (* at level F: how the head is executed *)
  let level core =
    match text (get core "level"), List.assoc_opt "execution" (members core) with
    | "R", (None | Some Null) -> []
    | "F", Some e ->
        ignore (only e [ "format"; "form"; "functions"; "shortest" ] []);
        if text (get e "format") <> "float32" then not_covered "executions in the format %S" (text (get e "format"));
        let functions = items (get e "functions") in
        let one f =
          ignore (only f [ "function"; "relative"; "absolute" ] []);
          [ text (get f "function"); string_of_int (Json.integer (get f "relative")); string_of_int (Json.integer (get f "absolute")) ] in
        let length = match List.assoc_opt "shortest" (members e) with
          | None | Some Null -> [ "any" ]
          | Some v -> let q = hex_float (text v) in [ "shortest"; Z.to_string (Q.num q) ^ "/" ^ Z.to_string (Q.den q) ] in
        "level" :: "F" :: text (get e "form") :: string_of_int (List.length functions) :: List.concat_map one functions @ length
    | _ -> contradiction "a level without its execution, or the other way round"

  let check certificate (st : Head.t) =
    let envelope = parse certificate in
    ignore (only envelope [ "schema"; "core" ] [ "about" ]);
    if text (get envelope "schema") <> "protoproof.certificate/2" then not_covered "certificates of the version %S" (text (get envelope "schema"));
    let core = get envelope "core" in
    let m = only core [ "level"; "model"; "instance"; "domain"; "facts"; "rivals"; "parts"; "execution" ] unread in
    let parts = match List.assoc_opt "parts" m with None | Some (List []) -> false | _ -> true in
    if parts <> st.parts then contradiction "the certificate is %s" (if parts then "in parts" else "about the domain as a whole");
    let model = get core "model" and instance = get core "instance" in
    let optional value name = List.assoc_opt name (members value) in
    ignore (only model [ "sha256"; "files"; "latent"; "output"; "geometry"; "pooling"; "decision"; "routing" ] []);
    let say what = contradiction "the certificate names another %s" what in
    if text (get model "sha256") <> st.model then say "model file";
    let files = match optional model "files" with None -> [] | Some f ->
      List.map (fun f -> ignore (only f [ "name"; "sha256"; "size" ] []); (text (get f "name"), text (get f "sha256"), Json.integer (get f "size"))) (items f) in
    if files <> st.files then say "data file";
    if List.sort compare (List.map text (items (get model "latent"))) <> List.sort compare (List.map fst st.tensors) then say "latent";
    if text (get model "output") <> st.output then say "output";
    if level core <> st.level then say "level";
    let h = st.head in
    let geometry = match h.geometry with Euclidean -> "euclidean" | Diagonal -> "diagonal" | Linear -> "linear" | Angular _ | Lengths -> "angular" in
    if text (get model "geometry") <> geometry then say "geometry";
    let pooling = function
      | Head.Nearest -> "nearest" | Mean -> "mean" | Sum -> "sum" | Largest _ -> "k-largest mean" | Focal -> "focal" | Nearest_less_mean -> "nearest less mean" in
    if List.map text (items (get model "pooling")) <> List.sort_uniq compare (List.map pooling (Array.to_list h.pooling)) then say "pooling";
    let labels = match st.claim with "labels" :: _ -> true | _ -> false in
    let decision, routing = match (h.features, h.decision) with
      | Each, _ -> ((if labels then "labels" else "linear"), None)
      | Groups _, _ -> ("best", None)
      | Leaves _, "leaves" -> ("tree", Some "distributed")
      | Leaves _, word -> ("tree", Some word) in
    if text (get model "decision") <> decision then say "decision";
    (match (optional model "routing", routing) with
    | (None | Some Null), None -> ()
    | Some (Text r), Some s when r = s -> ()
    | _ -> say "reading of its tree");
    ignore (only instance [ "input_sha256"; "locations"; "channels"; "latent"; "predicted"; "labels" ] []);
    if text (get instance "input_sha256") <> st.input then say "input";
    if Json.integer (get instance "locations") <> Array.length h.lbank || Json.integer (get instance "channels") <> h.channels then say "number of locations or channels";
    latent (text (get instance "latent")) st;
    domain (get core "domain") st;
    facts (get core "facts") st;
    let claim =
      if labels then
        let on = match optional instance "labels" with Some l -> List.map Json.integer (items l) | None -> [] in
        let rivals = List.map Json.integer (items (get core "rivals")) in
        "labels" :: string_of_int (List.length rivals) :: List.concat_map (fun k -> [ string_of_int k; (if List.mem k on then "on" else "off") ]) rivals
      else [ "class"; string_of_int (Json.integer (get instance "predicted")) ] in
    if claim <> st.claim then contradiction "the certificate claims another class or other labels"
end

(* From the output back to the scores: operators that keep the order of classes (or which labels are
   on), the last ones first, with the tensors that they leave. *)
let keeps_order labels = function
  | "Sigmoid" -> true
  | "Softmax" | "LogSoftmax" | "Log" | "ArgMax" -> not labels
  | _ -> false
let moves = [ "Identity"; "Reshape"; "Flatten"; "Squeeze"; "Unsqueeze"; "Transpose"; "Cast"; "Dropout" ]

(* tensors that may be the scores, the earliest one first, and the axes of the classes in them *)
let candidates (graph : Onnx.graph) origin labels output latents =
  let rec back name axes found =
    let found = (name, axes) :: found in
    match Hashtbl.find_opt origin name with
    | Some (n : Onnx.node) when (not (List.mem name latents)) && (List.mem n.op moves || keeps_order labels n.op) && n.inputs <> [] ->
        let default = if n.op = "ArgMax" then 0 else -1 in
        let axis = match List.assoc_opt "axis" n.attributes with Some (Onnx.Int a) -> Onnx.clamped a | _ -> default in
        let input = List.hd n.inputs in
        let axes = if List.mem n.op [ "Softmax"; "LogSoftmax"; "ArgMax" ] then (input, axis) :: axes else axes in
        if List.mem n.op moves then (match back input axes [] with all -> all @ [ (name, axes) ]) |> fun all -> all @ List.tl found
        else back input axes found
    | _ -> found
  in
  ignore graph;
  back output [] []

let rational (a : Ring.number) : Q.t option =
  (* Chinese remainders, and the fraction of small numbers that has this residue (Wang's method) *)
  let modulus = ref Z.one and value = ref Z.zero in
  for c = 0 to Ring.kinds - 1 do
    let p = Z.of_int (Float.to_int Ring.primes.(c)) in
    let r = Z.of_int (Float.to_int a.(c)) in
    let step = Z.erem (Z.mul (Z.sub r !value) (Z.invert !modulus p)) p in
    value := Z.add !value (Z.mul !modulus step);
    modulus := Z.mul !modulus p
  done;
  let bound = Z.shift_left Z.one 40 in
  let rec euclid r0 r1 t0 t1 =
    if Z.lt (Z.abs r1) bound then (r1, t1)
    else let q = Z.div r0 r1 in euclid r1 (Z.sub r0 (Z.mul q r1)) t1 (Z.sub t0 (Z.mul q t1)) in
  let n, d = euclid !modulus !value Z.zero Z.one in
  if Z.sign d = 0 || Z.gt (Z.abs d) bound then None else Some (Q.make n d)

type compared = Same | Scaled of Ring.number | Differs of string | Open_ of string

(* Whether numbers are proportional, and by which factor from the second to the first ones. *)
let proportional what s g =
  let n = Array.length s in
  let rec first k = if k = n then None else if Ring.same g.(k) Ring.zero then first (k + 1) else Some k in
  let apart k j =
    (* s.(k) g.(j) and s.(j) g.(k), or the signs of s.(k) and g.(k), as ranges *)
    let a = Ring.times s.(k) g.(j) and b = Ring.times s.(j) g.(k) in
    Ring.low a > Ring.high b || Ring.high a < Ring.low b in
  let opposite k = (Ring.low s.(k) > 0. && Ring.high g.(k) < 0.) || (Ring.high s.(k) < 0. && Ring.low g.(k) > 0.) in
  let fails k =
    if List.exists (fun j -> apart k j) (List.init n Fun.id) || List.exists opposite (List.init n Fun.id) then
      Differs (Printf.sprintf "at the recorded latent, %s %d of the network is not what the statement says" what k)
    else Open_ (Printf.sprintf "%s %d is not seen to be what the statement says" what k) in
  match first 0 with
  | None -> (match List.find_opt (fun k -> not (Ring.same s.(k) Ring.zero)) (List.init n Fun.id) with None -> Same | Some k -> fails k)
  | Some k0 -> (
      let factor = Ring.over s.(k0) g.(k0) in
      match List.find_opt (fun k -> not (Ring.same s.(k) (Ring.times factor g.(k)))) (List.init n Fun.id) with
      | Some k -> fails k
      | None ->
          if Ring.same factor (Ring.one ()) then Same
          else
            (* the sign is that at any latent where it is seen *)
            let wide k = if Ring.low g.(k) > 0. || Ring.high g.(k) < 0. then Some (Ring.over s.(k) g.(k)) else None in
            let ranges = List.filter_map wide (List.init n Fun.id) in
            let seen f = List.exists f ranges in
            let range = if seen (fun a -> Ring.low a > 0.) then (1., 0.) else if seen (fun a -> Ring.high a < 0.) then (-1., 0.) else (0., infinity) in
            Scaled (Ring.with_range factor range))

type reading = { compared : compared list; sizes : (string * int array) list }

(* One evaluation of both sides, with the latents at these places. *)
let evaluate seed graph text sites variant =
  Ring.forget ();
  Ring.start seed;
  let st = Head.parse text in
  let constants = lazy (
    let run, names = Graph.constants graph st.output (List.map fst st.tensors) in
    List.filter_map (fun name -> try Some (Graph.value run name) with Tensor.Not_covered _ -> None) names) in
  let h = Head.with_true_numbers st.head constants in
  let labels = match st.claim with "labels" :: _ -> true | _ -> false in
  let tensors, z = Head.latents st sites variant in
  let scores = Head.scores h z in
  let run = Graph.run graph tensors in
  let s = Array.init h.classes (Tensor.get scores) in
  let all = candidates graph run.origin labels st.output (List.map fst st.tensors) in
  let compare (name, axes) =
    let g = Graph.value run name in
    let fits (input, axis) =
      let t = Graph.value run input in
      let r = Tensor.rank t in
      let axis = if axis < 0 then axis + r else axis in
      axis >= 0 && axis < r && t.dims.(axis) = h.classes in
    if Tensor.size g <> h.classes || not (List.for_all fits axes) then Open_ (Printf.sprintf "%S is not of %d classes" name h.classes)
    else
      let g = let g = Tensor.real g in Array.init h.classes (Tensor.get g) in
      if labels then
        let each = List.init h.classes (fun k -> proportional "label" [| s.(k) |] [| g.(k) |]) in
        let bad = List.find_opt (function Differs _ | Open_ _ -> true | _ -> false) each in
        match bad with
        | Some b -> b
        | None -> (
            (* every label may have a factor of its own *)
            match List.find_opt (function Scaled a -> not (Ring.low a > 0. && rational a <> None) | _ -> false) each with
            | Some (Scaled a) when Ring.high a < 0. -> Differs "a label has the other sign"
            | Some _ -> Open_ "a factor of a label is not seen to be positive"
            | None -> Same)
      else
        (* what all scores have in common decides nothing *)
        let less a = Array.map (fun x -> Ring.sub x a.(0)) (Array.sub a 1 (Array.length a - 1)) in
        if h.classes < 2 then Same else proportional "the lead of class 0 over class" (less s) (less g) in
  (h, List.map (fun c -> try compare c with Tensor.Not_covered why -> Open_ why) all)

let head seed graph text (st : Head.t) =
  let places = Head.placements st.tensors st.head.channels (Array.length st.head.lbank) in
  if places = [] then not_covered "no order of the latent's numbers that is known has these locations and channels";
  let good = function Same | Scaled _ -> true | _ -> false in
  let rec try_ worst = function
    | [] -> (
        match worst with
        | Some (Differs why) -> raise (Graph.Contradiction why)
        | Some (Open_ why) -> not_covered "%s" why
        | _ -> not_covered "the recorded latent fits no order of the latent's numbers")
    | sites :: rest -> (
        match evaluate seed graph text sites "first" with
        | exception Exit -> try_ worst rest
        | exception Tensor.Not_covered why when rest <> [] -> try_ (match worst with None -> Some (Open_ why) | w -> w) rest
        | _, results -> (
            match List.find_opt good results with
            | Some Same -> ()
            | Some (Scaled a) when (match rational a with Some q -> Q.sign q > 0 | None -> false) -> ()
            | Some (Scaled a) ->
                if Ring.high a < 0. then contradiction "the scores are the statement's, turned round";
                (* positive wherever the network has a value *)
                let positive x = Hashtbl.mem Ring.nonnegative (Ring.key x) in
                if not (positive a || positive (Ring.inverse a)) then begin
                  if not (Ring.low a > 0.) then not_covered "a common factor of all scores is not seen to be positive";
                  (* the same number for another latent: it depends on none *)
                  let _, again = evaluate seed graph text sites "second" in
                  let same = List.exists (function Scaled b -> Ring.same a b | _ -> false) again in
                  if not same then not_covered "a common factor of all scores depends on the latent"
                end
            | _ ->
                (* of several readings the first one says most *)
                let first = match results with r :: _ -> r | [] -> Open_ "no scores" in
                let worst = match (worst, first) with Some (Open_ _), Differs _ | None, _ -> Some first | w, _ -> w in
                try_ worst rest))
  in
  try_ None places

(* Shapes that the file states are those of the statement. *)
let shapes (graph : Onnx.graph) (st : Head.t) =
  List.iter (fun (name, dims) ->
      if Hashtbl.mem graph.tensors name then contradiction "the latent %S is stored, not computed" name;
      let origin = Hashtbl.mem graph.inputs_of name || List.exists (fun (n : Onnx.node) -> List.mem name n.outputs) graph.nodes in
      if not origin then contradiction "no tensor of the network is called %S" name;
      if Array.length dims = 0 || dims.(0) <> 1 || Array.exists (fun d -> d < 1) dims then contradiction "the latent %S is not of one input" name;
      match Hashtbl.find_opt graph.shapes name with
      | None -> ()
      | Some stated ->
          let fits k = function Some d -> d = dims.(k) | None -> true in
          if Array.length stated <> Array.length dims || not (Array.for_all Fun.id (Array.mapi fits stated)) then
            contradiction "the latent %S is of another shape" name) st.tensors;
  let names = List.map fst st.tensors in
  if List.length (List.sort_uniq compare names) <> List.length names then not_covered "a latent that is named twice"

let confirm ~model ~files ~certificate ~statement =
  let seed = Sha.hex (Sha.hex model ^ Sha.hex statement) in
  try
    Tensor.allow ();
    Ring.forget ();
    Ring.start seed;
    let st = Head.parse statement in
    same_files st model files;
    Option.iter (fun c -> Claim.check c st) certificate;
    let graph = Onnx.read model files in
    shapes graph st;
    head seed graph statement st;
    Confirmed "model, certificate and statement agree"
  with
  | Graph.Contradiction why | Head.Malformed why | Json.Malformed why -> Contradicted why
  | Tensor.Not_covered why -> Not_covered (String.trim why)
  | Onnx.Refused why -> Not_covered why
  | Failure why | Invalid_argument why -> Not_covered ("what means nothing: " ^ why)
  | Stack_overflow | Out_of_memory -> Not_covered "the machine's limits were reached"
  | _ -> Not_covered "what means nothing"
