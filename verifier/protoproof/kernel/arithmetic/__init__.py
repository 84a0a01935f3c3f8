"""Integers, rationals and balls; float64 with a rigorous error."""
