(** What the theorems rest on: the build compares this output with assumptions.txt. *)
From Protoproof Require Import Theorems Sizes FloatSound.
Print Assumptions accept_sound.
Print Assumptions witness_sound.
Print Assumptions parts_sound.
Print Assumptions contrast_sound.
Print Assumptions size_sound.
Print Assumptions float_sound.
