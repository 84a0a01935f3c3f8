"""The words by which bounds of the encoder are asked for. Imports nothing."""

from __future__ import annotations

# Our own propagation of linear bounds: units of a layer up to which its bounds are sharpened.
UNITS = {"linear": 256, "linear-deep": 1 << 20}
# Optimised lines, of the whole region, and of as many cases of units as it takes.
SLOPES, SPLIT = "linear-slopes", "split"
# auto_LiRPA, from cheap to tight.
METHODS = ("interval", "crown-ibp", "crown", "alpha-crown")
