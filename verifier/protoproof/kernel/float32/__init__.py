"""Level F: what any float32 execution of a head can differ from the head over the reals."""
