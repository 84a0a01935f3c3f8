"""A region of inputs cut into parts: a tree in preorder, each cut followed by its two halves.

The first half of a cut is where the cut quantity is at most ``at``, the second where it is at
least that. So the parts at the leaves cover the region, whatever the cuts are.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protoproof.certificate.input_region import SIGNED
from protoproof.certificate.values import Frozen, HexFloat, Index


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


class Part(Frozen):
    """A leaf. ``evidence`` numbers an entry of the certificate's ``part_evidence``; None:
    intervals alone prove every margin over this part."""

    kind: Literal["part"] = "part"
    evidence: Index | None = None


PartNode = Annotated[InputCut | LightCut | Part, Field(discriminator="kind")]
