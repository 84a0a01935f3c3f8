"""Regions of inputs, as a certificate states them: exact parameters around an exact centre."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from protoproof.certificate.values import Base64, Frozen, HexFloat

# an exact rational: digits, or digits over digits
UNSIGNED = r"[0-9]{1,40}(/[1-9][0-9]{0,39})?$"
SIGNED = "^-?" + UNSIGNED
Rational = Annotated[str, Field(pattern="^" + UNSIGNED, max_length=81)]
Size = Annotated[int, Field(ge=1, le=1 << 16)]
Pixel = Annotated[int, Field(ge=0, le=1 << 20)]


class _Around(Frozen):
    """``centre`` [C, H, W], or [H, W, C] where only the last is 1 or 3, float32 in base64; all
    members lie in [low, high] per input number."""

    shape: tuple[Size, Size, Size]
    centre: Base64
    low: HexFloat
    high: HexFloat


class BallRegion(_Around):
    """Inputs within ``radius`` of the centre, by the largest change or by Euclidean length."""

    kind: Literal["linf", "l2"]
    radius: Rational


class BoxInputs(_Around):
    """lower <= x <= upper per input number, float64 in base64."""

    kind: Literal["box"] = "box"
    lower: Base64
    upper: Base64


class OcclusionRegion(_Around):
    """Pixels of a rectangle (row, column, height, width) or of a circle (row, column, radius) are
    free; the others stay as they are."""

    kind: Literal["occlude"] = "occlude"
    rectangle: tuple[Pixel, Pixel, Pixel, Pixel] | None = None
    circle: tuple[Pixel, Pixel, Pixel] | None = None


class LightRegion(_Around):
    """clip((1 + t) x + s) for |s| <= brightness and |t| <= contrast, the same for all numbers.

    The walk cuts every parameter that varies into ``parts`` pieces.
    """

    kind: Literal["brightness"] = "brightness"
    brightness: Rational
    contrast: Rational
    parts: Annotated[int, Field(ge=1, le=1 << 12)]


class KeptRegion(_Around):
    """Pixels of the ``kept`` tiles stay as they are; every other number is within ``radius``.

    Tiles of ``tile`` x ``tile`` pixels, all channels, numbered row by row from the upper left
    corner; those at the right and lower border may be smaller. ``kept``: ascending, each once.
    """

    kind: Literal["keep"] = "keep"
    radius: Rational
    tile: Size
    kept: Annotated[tuple[Pixel, ...], FailFast()]


InputRegion = Annotated[
    BallRegion | BoxInputs | OcclusionRegion | LightRegion | KeptRegion,
    Field(discriminator="kind"),
]
