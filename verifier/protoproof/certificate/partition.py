"""A region of inputs cut into parts: a tree in preorder, each cut followed by its two halves.

The first half of a cut is where the cut quantity is at most ``at``, the second where it is at
least that. So the parts at the leaves cover the region, whatever the cuts are. What is cut is an
input number, a parameter, or a *unit*: a number that the encoder computes on the way (that of a
ReLU, at 0, decides on which side of its kink it is).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from protoproof.certificate.input_region import SIGNED
from protoproof.certificate.values import Base64, Frozen, HexFloat, Index, Tensor


class InputCut(Frozen):
    """Cuts the range of one input number (row-major over [C, H, W])."""

    kind: Literal["input"] = "input"
    number: Index
    at: HexFloat


class LightCut(Frozen):
    """Cuts the range of one parameter of a brightness and contrast family."""

    kind: Literal["light"] = "light"
    parameter: Literal["brightness", "contrast"]
    at: Annotated[str, Field(pattern=SIGNED, max_length=82)]


class UnitCut(Frozen):
    """Cuts the range of one number (row-major) of a tensor that the encoder computes."""

    kind: Literal["unit"] = "unit"
    tensor: Tensor
    number: Index
    at: HexFloat


class Slopes(Frozen):
    """Slopes of the lines below an activation, one per number of its output ``tensor`` (binary16 in
    base64), and of those above, where these are free (not of ReLU and LeakyReLU)."""

    tensor: Tensor
    low: Base64
    high: Base64 | None = None


class PartForm(Frozen):
    """A linear form of the latent ([L, D], float64 in base64), to be propagated over one part.

    ``slopes`` of the lines that are not the usual ones; ``duals``: one multiplier >= 0 for each cut
    of a unit above the part, the first cut first. No bound is stated: the checker finds it.
    """

    coefficients: Base64
    slopes: Annotated[tuple[Slopes, ...], FailFast()] = ()
    duals: Annotated[tuple[HexFloat, ...], FailFast()] = ()


class Part(Frozen):
    """A leaf. ``evidence`` numbers an entry of the certificate's ``part_evidence``; None:
    intervals alone prove every margin over this part. ``forms`` are the linear bounds that the
    evidence may use."""

    kind: Literal["part"] = "part"
    evidence: Index | None = None
    forms: Annotated[
        tuple[PartForm, ...], FailFast(), Field(exclude_if=lambda value: not value)
    ] = ()


PartNode = Annotated[InputCut | LightCut | UnitCut | Part, Field(discriminator="kind")]
