(** What the theorems rest on: the build compares this output with assumptions.txt. *)
From Protoproof Require Import Theorems.
Print Assumptions accept_sound.
Print Assumptions witness_sound.
