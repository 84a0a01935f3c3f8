(** The checker as an OCaml program: integers become zarith's, indices machine integers. *)
From Coq Require Import ZArith List ExtrOcamlBasic ExtrOcamlNatInt ExtrOcamlZBigInt.
From Protoproof Require Import Spec Base Interval Shape Forms Pool Check Sound Sufficient Point Theorems Claims Sizes Float Rounding FloatCheck Spread Measured FloatSound.
Extraction Language OCaml.
Extract Constant Nat.add => "(+)".
Extract Constant Nat.sub => "fun n m -> Stdlib.max 0 (n-m)".
Extract Constant Nat.div => "fun n m -> if m = 0 then 0 else n / m".
Extract Constant Nat.modulo => "fun n m -> if m = 0 then n else n mod m".
Extract Inlined Constant Nat.ltb => "(<)".
Extract Inlined Constant Nat.leb => "(<=)".
Extraction "kernel.ml" accept accept_float check check_point check_witness check_contrast check_size accept_parts.
