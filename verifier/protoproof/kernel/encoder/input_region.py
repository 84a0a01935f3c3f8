"""A region of inputs, and whether the stated box of latents holds all that the encoder makes of it.

Every region is covered by boxes of inputs, computed from its exact parameters and rounded
outwards; the propagation bounds the latent over each. What a claim quantifies over is the region
itself: the covers below contain it.

* linf: [c - r, c + r] per input number, cut at the domain.
* l2: no number moves farther than the whole input, so the same box. Inside it, the ball itself is
  handed to the propagation as a parametric set (see ``parametric``): numbers at an end of the
  domain move one way only.
* box: itself. occlude: the whole domain for freed pixels, the centre for the others.
* keep: the centre for the numbers of kept tiles, [c - r, c + r] as above for the others. A tile is
  its pixels in all channels; the tiles are disjoint and cover the picture, so every number is in
  one of them.
* brightness: clip((1 + t) c + s). For s in [s0, s1] and t in [t0, t1] the value before clipping is
  affine in each parameter, hence between the least and the largest of its four corners; clipping
  is increasing. The pieces of both parameters together cover them. Over one piece, a number that
  is never clipped is (1 + t') c + s' plus a parameter times half the piece's width, twice; every
  other one is anywhere between its ends. That is a parametric set, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar

import numpy as np

from protoproof.certificate.input_region import (
    BallRegion,
    BoxInputs,
    InputRegion,
    KeptRegion,
    LightRegion,
    OcclusionRegion,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import (
    decode_floats,
    hex_ratio,
    round_down,
    round_up,
)
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.budget import current, hold, spend
from protoproof.kernel.encoder.parametric import ParametricSet

# What a piece of a region costs per value and per number, in steps.
_PER_VALUE, _PER_NUMBER = 1 << 17, 64
_CHANNELS = 1, 3
_DIGITS = 24  # behind the point, that are written out
_RUNS = 16  # of tiles, that are written out
Ends = tuple[Fraction, Fraction]
_Value = TypeVar("_Value")


class Inputs:
    """The region's exact numbers.

    The members of a brightness family move all numbers of one value alike, so fractions are
    computed once per value. ``work``: what one piece costs.

    Raises:
        CertificateError: numbers that are malformed, a domain that is empty, a centre outside it.
    """

    def __init__(self, region: InputRegion) -> None:
        self.region = region
        count = region.shape[0] * region.shape[1] * region.shape[2]
        spend("the region", _PER_NUMBER * count)
        flat = decode_floats(region.centre, count, np.float32)
        values, self._places = np.unique(flat, return_inverse=True)
        spend("the region", _PER_VALUE * len(values) + 64 * _PER_NUMBER * count)
        hold("the region", 256 * len(values) + 64 * count)
        self._values = [Fraction(*value.as_integer_ratio()) for value in values.tolist()]
        self.centre = [self._values[place] for place in self._places.tolist()]
        self.low, self.high = Fraction(*hex_ratio(region.low)), Fraction(*hex_ratio(region.high))
        if not self.low < self.high:
            raise CertificateError("region: the input domain is empty")
        if min(self.centre) < self.low or max(self.centre) > self.high:
            raise CertificateError("region: its centre lies outside the input domain")
        self.work = _PER_VALUE * len(self._values) + _PER_NUMBER * count
        self.digest = input_digest(region, flat.tobytes())

    def starts(self) -> Iterator[tuple[Range, ParametricSet | None]]:
        """The boxes, each with the parametric set inside that holds the region's part, if any."""
        region = self.region
        if isinstance(region, BallRegion) and region.kind == "l2":
            radius = Fraction(region.radius)
            for box in self.boxes():
                yield box, self._ball(radius)
        elif isinstance(region, LightRegion):
            shifts, scales = self._cuts(region)
            pieces = [(shift, scale) for shift in shifts for scale in scales]
            for box, (shift, scale) in zip(self.boxes(), pieces, strict=True):
                yield box, self.lit(shift, scale)
        else:
            for box in self.boxes():
                yield box, None

    def _ball(self, radius: Fraction) -> ParametricSet:
        centre = self._shaped(*[np.array([float(c) for c in self.centre])] * 2)  # exact
        rise, fall = (
            np.array([float(c != end) for c in self.centre]).reshape(centre.low.shape)
            for end in (self.high, self.low)
        )
        most = round_up(radius.as_integer_ratio())
        return ParametricSet(centre, most, rise, fall, (), np.zeros_like(rise))

    def lit(self, shift: Ends, scale: Ends) -> ParametricSet:
        """The members of a brightness family with parameters in these ranges."""
        (s, ds), (t, dt) = (((a + b) / 2, (b - a) / 2) for a, b in (shift, scale))
        middle, first, second, rest = [], [], [], []
        for c in self._values:
            value, reach = (1 + t) * c + s, ds + abs(dt * c)
            least, most = value - reach, value + reach
            free = self.low <= least and most <= self.high
            ends = _clip(least, self.low, self.high), _clip(most, self.low, self.high)
            middle.append(value if free else (ends[0] + ends[1]) / 2)
            first.append(ds if free else Fraction(0))
            second.append(dt * c if free else Fraction(0))
            rest.append(Fraction(0) if free else (ends[1] - ends[0]) / 2)
        none = np.zeros((1, *self.region.shape))
        parts = [self._rounded(v) for v, d in ((first, ds), (second, dt)) if d]
        sides = self._rounded(rest)
        return ParametricSet(self._rounded(middle), 0.0, none, none, tuple(parts), sides.high)

    @property
    def pieces(self) -> int:
        """How many boxes there are."""
        region = self.region
        if not isinstance(region, LightRegion):
            return 1
        varying = sum(Fraction(v) != 0 for v in (region.brightness, region.contrast))
        return int(region.parts**varying)

    def boxes(self) -> Iterator[Range]:
        """Boxes [1, C, H, W] that together contain the region.

        Raises:
            CertificateError: an empty or ambiguous region.
            OutOfBudgetError: too many boxes.
        """
        region = self.region
        if not isinstance(region, LightRegion):
            spend("the region", self.work + _PER_VALUE * len(self.centre))
        if isinstance(region, BallRegion):
            radius = Fraction(region.radius)
            yield self._box([(c - radius, c + radius) for c in self.centre])
        elif isinstance(region, BoxInputs):
            yield self._stated(region)
        elif isinstance(region, OcclusionRegion):
            free = _mask(region)
            ends = self.low, self.high
            yield self._box([ends if f else (c, c) for c, f in zip(self.centre, free, strict=True)])
        elif isinstance(region, KeptRegion):
            yield self._box(self.kept_ends(region, frozenset(region.kept)))
        else:
            yield from self._light(region)

    def kept_ends(self, region: KeptRegion, kept: frozenset[int]) -> list[Ends]:
        """Between what every input number lies if these tiles stay, before the domain cuts it.

        Raises:
            CertificateError: tiles that the picture does not have, or that are not in order.
        """
        tiles, count = tiles_of(region), tile_count(region)
        if list(region.kept) != sorted(set(region.kept)) or max(region.kept, default=0) >= count:
            raise CertificateError("region: the kept tiles are not tiles, each once, in order")
        radius = Fraction(region.radius)
        ends = zip(self.centre, tiles, strict=True)
        return [(c, c) if tile in kept else (c - radius, c + radius) for c, tile in ends]

    def _light(self, region: LightRegion) -> Iterator[Range]:
        shifts, scales = self._cuts(region)
        for shift in shifts:
            for scale in scales:
                yield self.piece(shift, scale)

    def piece(self, shift: Ends, scale: Ends) -> Range:
        """A box around the members of a brightness family with parameters in these ranges."""
        spend("a piece of the region", self.work)
        products = [((1 + scale[0]) * c, (1 + scale[1]) * c) for c in self._values]
        ends = [(min(p) + shift[0], max(p) + shift[1]) for p in products]
        return self._shaped(*(end[self._places] for end in self._clipped(ends)))

    def _cuts(self, region: LightRegion) -> tuple[list[Ends], list[Ends]]:
        current().afford("the pieces of the region", self.pieces * self.work)
        shifts = _pieces(Fraction(region.brightness), region.parts)
        scales = _pieces(Fraction(region.contrast), region.parts)
        return shifts, scales

    def _rounded(self, values: list[Fraction]) -> Range:
        """Float64 neighbours of exact numbers, one for each value of the centre; 0 stays 0."""
        low = [round_down(v.as_integer_ratio()) for v in values]
        high = [round_up(v.as_integer_ratio()) for v in values]
        return self._shaped(np.array(low)[self._places], np.array(high)[self._places])

    def _box(self, ends: list[Ends]) -> Range:
        """Clipped to the domain, rounded outwards."""
        return self._shaped(*self._clipped(ends))

    def _clipped(self, ends: list[Ends]) -> tuple[Array, Array]:
        low, high = [], []
        for least, most in ends:
            low.append(round_down(_clip(least, self.low, self.high).as_integer_ratio()))
            high.append(round_up(_clip(most, self.low, self.high).as_integer_ratio()))
        return np.array(low), np.array(high)

    def _stated(self, region: BoxInputs) -> Range:
        count = len(self.centre)
        low, high = (
            decode_floats(region.lower, count, np.float64),
            decode_floats(region.upper, count, np.float64),
        )
        centre = np.array([float(c) for c in self.centre])  # exact: float32 numbers
        domain = float(self.low), float(self.high)  # exact: float64 numbers
        inside = (domain[0] <= low) & (low <= centre) & (centre <= high) & (high <= domain[1])
        if not inside.all():
            raise CertificateError("region: the box is not around its centre, inside the domain")
        return self._shaped(low, high)

    def _shaped(self, low: Array, high: Array) -> Range:
        shape = (1, *self.region.shape)
        return Range(low.reshape(shape), high.reshape(shape))


def _clip(value: Fraction, low: Fraction, high: Fraction) -> Fraction:
    return min(max(value, low), high)


def _pieces(radius: Fraction, parts: int) -> list[Ends]:
    if not radius:
        return [(radius, radius)]
    ends = [radius * (2 * i - parts) / parts for i in range(parts + 1)]
    return list(pairwise(ends))


def _mask(region: OcclusionRegion) -> list[bool]:
    """Which input numbers are free, in row-major order; a freed pixel is free in all channels."""
    if (region.rectangle is None) == (region.circle is None):
        raise CertificateError("region: neither a rectangle nor a circle, or both")

    def free(row: int, column: int) -> bool:
        if region.rectangle is not None:
            top, left, height, width = region.rectangle
            return top <= row < top + height and left <= column < left + width
        y, x, radius = region.circle or (0, 0, 0)
        return (row - y) ** 2 + (column - x) ** 2 <= radius**2

    return _by_pixel(region, free)


def tiles_of(region: KeptRegion) -> list[int]:
    """The tile of every input number, in row-major order."""
    columns = -(-_picture(region)[1] // region.tile)
    return _by_pixel(region, lambda r, c: r // region.tile * columns + c // region.tile)


def tile_count(region: KeptRegion) -> int:
    """How many tiles there are."""
    rows, columns = _picture(region)[:2]
    return -(-rows // region.tile) * -(-columns // region.tile)


def _picture(region: InputRegion) -> tuple[int, int, int, bool]:
    """Rows, columns and channels of the inputs, and whether the channels are the last axis: where
    that alone has 1 or 3 entries. Else they are the first."""
    last = region.shape[2] in _CHANNELS and region.shape[0] not in _CHANNELS
    rows, columns = region.shape[:2] if last else region.shape[1:]
    return rows, columns, region.shape[2 if last else 0], last


def _by_pixel(region: InputRegion, value: Callable[[int, int], _Value]) -> list[_Value]:
    """What holds for a pixel, for all its numbers, in row-major order of the inputs."""
    rows, columns, channels, last = _picture(region)
    pixels = [value(row, column) for row in range(rows) for column in range(columns)]
    return [each for each in pixels for _ in range(channels)] if last else pixels * channels


def input_digest(region: InputRegion, data: bytes) -> str:
    """The hash by which certificates name an input: type, shape, and bytes."""
    header = b"<f4" + repr(tuple(region.shape)).encode()
    return hashlib.sha256(header + data).hexdigest()


def describe(region: InputRegion) -> str:
    """The region in a few words, with its domain."""
    if isinstance(region, BallRegion):
        text = f"{region.kind}:{as_typed(region.radius)}"
    elif isinstance(region, OcclusionRegion):
        text = f"occlude:{','.join(map(str, region.rectangle or region.circle or ()))}"
    elif isinstance(region, KeptRegion):
        low, high = float.fromhex(region.low), float.fromhex(region.high)
        free = Fraction(region.radius) >= Fraction(high) - Fraction(low)
        rest = "anything" if free else f"within {as_typed(region.radius)}"
        of = tile_count(region)
        tiles = f"tiles of {region.tile} x {region.tile} pixels{_listed(region.kept)}"
        text = f"keep:{len(region.kept)} of {of} {tiles} as they are, the rest {rest},"
    elif isinstance(region, LightRegion):
        text = f"brightness:{as_typed(region.brightness)},{as_typed(region.contrast)}"
    else:
        digest = hashlib.sha256((region.lower + region.upper).encode()).hexdigest()
        text = f"box with sha256 {digest[:16]}"
    low, high = float.fromhex(region.low), float.fromhex(region.high)
    return f"{text} around the input, inside [{low!r}, {high!r}]"  # all digits: no rounding


def _listed(tiles: tuple[int, ...]) -> str:
    """Which tiles: their numbers, those that follow each other as a range, or the hash of many."""
    ends: list[list[int]] = []
    for tile in tiles:
        if ends and ends[-1][1] + 1 == tile:
            ends[-1][1] = tile
        else:
            ends.append([tile, tile])
    runs = [f"{first}-{last}" if first < last else f"{first}" for first, last in ends]
    if len(runs) > _RUNS:
        digest = hashlib.sha256(" ".join(map(str, tiles)).encode()).hexdigest()
        return f" (those with sha256 {digest[:16]})"
    return f" ({', '.join(runs)})" if runs else ""


def as_typed(number: str) -> str:
    """An exact decimal where the quotient has one, as people type it."""
    ratio = Fraction(number)
    digits = next((n for n in range(_DIGITS) if 10**n % ratio.denominator == 0), 0)
    if not digits:
        return number
    whole, part = divmod(ratio.numerator * 10**digits // ratio.denominator, 10**digits)
    return f"{whole}.{part:0{digits}}"
