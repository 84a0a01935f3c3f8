"""Regions that are images of few parameters: brightness and contrast, integer shifts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from protoproof.arithmetic import interval as en
from protoproof.arithmetic.interval import Interval
from protoproof.arithmetic.rounding import add_down, add_up, float_above, float_below
from protoproof.errors import UsageError
from protoproof.region.sets.occlusion import image_planes
from protoproof.region.sets.parametric import Cloud
from protoproof.region.sets.region import (
    Image,
    Images,
    InputBox,
    Region,
    Wide,
    require_radius,
)
from protoproof.wording import plural

LARGEST_SHIFT = 16
_UNIT = 2.0**-52  # relative error of one float64 operation, twice over

_NEAR = 1e-13

_Ends = tuple[Fraction, Fraction]


@dataclass(frozen=True, eq=False)
class Brightness(Region):
    """``clip((1 + t) x + s)`` for |t| <= ``contrast``, |s| <= ``brightness``, per image.

    Contrast is about the value 0. One parameter is 0 for a one-parameter family. ``parts`` cuts
    each parameter that varies into that many pieces: the box around a piece is far smaller than
    the box around the whole, because all input numbers follow the same two parameters.
    """

    brightness: Fraction
    contrast: Fraction = Fraction(0)
    parts: int = 1
    kind: ClassVar[str] = "brightness"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_radius(self.kind, self.brightness)
        require_radius("contrast", self.contrast)
        if not 1 <= self.parts <= 1 << 12:
            raise UsageError(f"region brightness: {plural(self.parts, 'part')}; use 1 to {1 << 12}")

    @property
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """Both radii."""
        return {"brightness": str(self.brightness), "contrast": str(self.contrast)}

    def pieces(self) -> tuple[tuple[Fraction, Fraction, Fraction, Fraction], ...]:
        """(s low, s high, t low, t high) of every piece."""

        def cut(radius: Fraction) -> list[tuple[Fraction, Fraction]]:
            if not radius:
                return [(radius, radius)]
            ends = [radius * (2 * i - self.parts) / self.parts for i in range(self.parts + 1)]
            return list(pairwise(ends))

        return tuple(
            (*shift, *scale) for shift in cut(self.brightness) for scale in cut(self.contrast)
        )

    def cover(self) -> tuple[InputBox, ...]:
        """One box per piece.

        Per input number the map is affine in each parameter, so its range over a piece is spanned
        by the corners; the product is widened by its relative rounding error.
        """
        return tuple(self.box(*piece) for piece in self.pieces())

    def box(self, s_low: Fraction, s_high: Fraction, t_low: Fraction, t_high: Fraction) -> InputBox:
        """A box around the members with parameters in these ranges."""
        low, high = self.limits
        x = self.centre.astype(np.float64)
        ends = [x * float_below(1 + t_low), x * float_above(1 + t_high)]
        ends += [x * float_above(1 + t_low), x * float_below(1 + t_high)]
        scaled = t_low != 0 or t_high != 0
        least, most = np.minimum.reduce(ends), np.maximum.reduce(ends)
        if scaled:
            least, most = least - _UNIT * np.abs(least), most + _UNIT * np.abs(most)
        least, most = add_down(least, float_below(s_low)), add_up(most, float_above(s_high))
        lower, upper = np.clip(least, low, high), np.clip(most, low, high)
        # rounding may carry an end of the domain a little beyond it; _cloud makes up for it
        free = torch.from_numpy((low - _NEAR <= least) & (most <= high + _NEAR))[None]
        cloud = self._cloud(lower, upper, free, (s_low, s_high), (t_low, t_high))
        return InputBox(lower, upper, cloud)

    def _cloud(self, lower: Wide, upper: Wide, free: Tensor, shift: _Ends, scale: _Ends) -> Cloud:
        """One piece: numbers that are never clipped follow the parameters, others lie anywhere.

        From the middle of the piece each parameter moves by half its width.
        """
        (s, ds), (t, dt) = (_interval((a + b) / 2, (b - a) / 2) for a, b in (shift, scale))
        x = en.point(torch.from_numpy(self.centre.astype(np.float64))[None])
        value = en.add(en.add(x, en.multiply(t, x)), s)
        box = Interval(torch.from_numpy(lower)[None], torch.from_numpy(upper)[None])
        middle, rest = box.centred()
        none = torch.zeros_like(middle)

        def where_free(a: Interval, b: Tensor) -> Interval:
            return Interval(torch.where(free, a.lower, b), torch.where(free, a.upper, b))

        moves = (shift, en.add(en.point(none), ds)), (scale, en.multiply(dt, x))
        used = [move for ends, move in moves if ends[0] < ends[1]]
        return Cloud(
            where_free(value, middle),
            torch.zeros(1, dtype=torch.float64),
            none,
            none,
            tuple(where_free(move, none) for move in used),
            torch.where(free, 2 * _NEAR, rest),
        )

    def image(self, shift: float, scale: float) -> Image:
        """The member for two parameter values, rounded to float32."""
        low, high = self.limits
        x = self.centre.astype(np.float64)
        return np.asarray(np.clip((1 + scale) * x + shift, low, high), dtype=np.float32)

    def member(self, shift: float, scale: float) -> tuple[Image, InputBox]:
        """A member as a float32 image, and a box around the exact one.

        It differs from its float32 image by half a unit at most.
        """
        x = self.image(shift, scale)
        wide = x.astype(np.float64)
        reach = 2.0**-24 * np.maximum(np.abs(wide), 2.0**-126)
        low, high = self.limits
        return x, InputBox(np.clip(wide - reach, low, high), np.clip(wide + reach, low, high))

    def inside(self, x: Image) -> bool:
        """Whether some parameters give exactly this image.

        Two input numbers that are not clipped and differ in the centre fix both parameters; they
        are solved for in rationals and the whole image is compared. A member rounded to float32
        is in general no member.
        """
        if x.shape != self.centre.shape:
            return False
        low, high = (Fraction(end) for end in self.limits)
        before = [Fraction(v) for v in self.centre.ravel().tolist()]
        after = [Fraction(v) for v in x.ravel().tolist()]
        return any(
            all(_clip((1 + t) * a + s, low, high) == b for a, b in zip(before, after, strict=True))
            for s, t in self._candidates(before, after, low, high)
        )

    def _candidates(
        self, before: list[Fraction], after: list[Fraction], low: Fraction, high: Fraction
    ) -> list[tuple[Fraction, Fraction]]:
        """Parameters that the input numbers strictly inside the domain leave possible."""
        free = sorted({(a, b) for a, b in zip(before, after, strict=True) if low < b < high})
        ends = [-self.brightness, Fraction(0), self.brightness]
        tilts = [-self.contrast, Fraction(0), self.contrast]
        if not free:
            found = [(s, t) for s in ends for t in tilts]
        elif not self.contrast:
            found = [(free[0][1] - free[0][0], Fraction(0))]
        elif free[0][0] != free[-1][0]:
            (a, b), (c, d) = free[0], free[-1]
            t = (d - b) / (c - a) - 1
            found = [(b - (1 + t) * a, t)]
        else:
            a, b = free[0]
            found = [(b - (1 + t) * a, t) for t in tilts]
            found += [(s, (b - s) / a - 1) for s in ends if a]
        return [(s, t) for s, t in found if abs(s) <= self.brightness and abs(t) <= self.contrast]

    def sample(self, rng: np.random.Generator, count: int) -> Images:
        """Members rounded to float32 (each within half a float32 unit of a member).

        :meth:`inside` does not hold for them in general; they are in the cover.
        """
        s, t = float_below(self.brightness), float_below(self.contrast)
        drawn = rng.uniform(-1, 1, (count, 2))
        ends = rng.random(count) < 0.25
        drawn[ends] = np.sign(drawn[ends])
        return np.stack([self.image(a * s, b * t) for a, b in drawn.tolist()])


def _interval(*values: Fraction) -> tuple[Interval, ...]:
    """Float64 neighbours of exact numbers."""
    return tuple(
        Interval(*(torch.tensor(end(v), dtype=torch.float64) for end in (float_below, float_above)))
        for v in values
    )


def _clip(value: Fraction, low: Fraction, high: Fraction) -> Fraction:
    return min(max(value, low), high)


@dataclass(frozen=True, eq=False)
class Shifts(Region):
    """The centre moved by up to ``most`` whole pixels per axis.

    A finite set: (2 most + 1)^2 images, each a region of one point. Pixels that come in have the
    value ``fill``, the least of the domain.
    """

    most: int
    kind: ClassVar[str] = "shift"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.most <= LARGEST_SHIFT:
            raise UsageError(
                f"region shift: {plural(self.most, 'pixel')}; use 0 to {LARGEST_SHIFT}"
            )

    @property
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """The largest shift."""
        return {"most": self.most}

    @property
    def fill(self) -> np.float32:
        """The value of pixels that come in."""
        low, high = (np.float32(end) for end in self.domain)
        return np.float32(min(max(low, np.float32(self.limits[0])), high))

    def images(self) -> Images:
        """Every member, each once per shift; the centre first."""
        reach = range(-self.most, self.most + 1)
        offsets = sorted(
            ((dy, dx) for dy in reach for dx in reach), key=lambda o: (abs(o[0]) + abs(o[1]), o)
        )
        return np.stack([self.moved(dy, dx) for dy, dx in offsets])

    def moved(self, down: int, right: int) -> Image:
        """The centre moved by whole pixels."""
        image = np.full_like(self.centre, self.fill)
        to_plane, from_plane = image_planes(self, image), image_planes(self, self.centre)
        rows, columns = from_plane.shape[1:]
        if abs(down) < rows and abs(right) < columns:
            to = _window(down, rows), _window(right, columns)
            source = _window(-down, rows), _window(-right, columns)
            to_plane[:, to[0], to[1]] = from_plane[:, source[0], source[1]]
        return image

    def cover(self) -> tuple[InputBox, ...]:
        """One point per image."""
        points: Float[NDArray[np.float64], "image channel_in row column"]
        points = self.images().astype(np.float64)
        return tuple(InputBox(point, point) for point in points)

    def inside(self, x: Image) -> bool:
        """Whether it is one of the images."""
        return x.shape == self.centre.shape and any(np.array_equal(x, y) for y in self.images())

    def sample(self, rng: np.random.Generator, count: int) -> Images:
        """Images drawn with repetition."""
        every = self.images()
        return np.asarray(every[rng.integers(len(every), size=count)])


def _window(start: int, size: int) -> slice:
    return slice(max(0, start), size + min(0, start))


def hull(boxes: tuple[InputBox, ...]) -> InputBox:
    """The least box around several."""
    lower: Wide = np.minimum.reduce([box.lower for box in boxes])
    upper: Wide = np.maximum.reduce([box.upper for box in boxes])
    return InputBox(lower, upper)
