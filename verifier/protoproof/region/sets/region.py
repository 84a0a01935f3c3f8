"""Sets of inputs: balls, boxes and freed patches, all clipped to the input domain.

A region is a set of *real* images. Its parameters are exact rationals; ``cover`` gives boxes in
float64 that together contain it (rounded outwards), ``inside`` a test that holds for no image
outside it. Brightness, contrast and shifts are in ``region_maps``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.arithmetic.interval import point
from protoproof.arithmetic.rounding import add_down, add_up, float_above, float_below
from protoproof.errors import InputError, UsageError
from protoproof.region.sets.parametric import Cloud

Image = Float[NDArray[np.float32], "channel_in row column"]
Images = Float[NDArray[np.float32], "image channel_in row column"]
Wide = Float[NDArray[np.float64], "channel_in row column"]

T = TypeVar("T", bound=np.generic)

_DIGITS = 24  # behind the point, that are written out


@dataclass(frozen=True, eq=False)
class InputBox:
    """``lower <= x <= upper`` for every input number; with ``cloud``, the part of it in there.

    Raises:
        InputError: NaN or infinity, or an end above the other.
    """

    lower: Wide
    upper: Wide
    cloud: Cloud | None = None

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            end = np.array(getattr(self, name), dtype=np.float64)
            if not np.isfinite(end).all():
                raise InputError(f"region: its {name} end holds NaN or infinity; correct it")
            end.setflags(write=False)
            object.__setattr__(self, name, end)
        if self.lower.shape != self.upper.shape:
            raise InputError(
                f"region: lower has shape {list(self.lower.shape)}, upper "
                f"{list(self.upper.shape)}; give one shape"
            )
        if (self.lower > self.upper).any():
            where = tuple(int(i) for i in np.argwhere(self.lower > self.upper)[0])
            raise InputError(
                f"region: it is empty (lower exceeds upper at {list(where)}); swap or correct them"
            )


@dataclass(frozen=True, eq=False)
class Region(ABC):
    """A set of inputs around ``centre`` within ``domain`` (least and largest input value).

    Raises:
        InputError: the centre is not finite float32, has not three axes, or lies outside the
            domain.
    """

    centre: Image
    domain: tuple[float, float]

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        centre = np.array(self.centre)
        if centre.dtype != np.float32 or not np.isfinite(centre).all():
            raise InputError("region: its centre is not finite float32; give such an input")
        if centre.ndim != 3:
            raise InputError(
                f"region: an input of shape {list(centre.shape)} is in none: regions are sets of "
                "inputs with three axes, as pictures have; ask without a region"
            )
        low, high = self.domain
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"region: the domain [{low}, {high}] is empty or infinite; correct it")
        # a float32 end may lie just outside the decimal that declares it; see check_image
        if centre.min() < np.float32(low) or centre.max() > np.float32(high):
            raise InputError(
                f"region: its centre leaves the domain [{low}, {high}]; give an input inside"
            )
        centre.setflags(write=False)
        object.__setattr__(self, "centre", centre)

    @property
    def limits(self) -> tuple[float, float]:
        """The domain, widened to the float32 numbers next to its ends where these lie outside."""
        low, high = self.domain
        return min(low, float(np.float32(low))), max(high, float(np.float32(high)))

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """What, besides centre and domain, says which region this is: exact and JSON-ready."""

    @abstractmethod
    def cover(self) -> tuple[InputBox, ...]:
        """Boxes that together contain the region, rounded outwards; at least one."""

    @abstractmethod
    def inside(self, x: Image) -> bool:
        """True only if the image, exactly, belongs to the region."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, count: int) -> Images:
        """Random images that all belong to the region: :meth:`inside` holds for each."""

    def __str__(self) -> str:
        body = ",".join(
            as_typed(value) if isinstance(value, str) else str(value)
            for value in self.parameters.values()
        )
        return f"{self.kind}:{body}" if body else self.kind


@dataclass(frozen=True, eq=False)
class Boxed(Region):
    """A region that is one box; ``inner`` is rounded inwards, ``cover`` outwards."""

    @abstractmethod
    def inner(self) -> tuple[Wide, Wide]:
        """Ends between which every float64 belongs to the region; the centre always does."""

    def inside(self, x: Image) -> bool:
        """See :meth:`Region.inside`; float32 numbers compare exactly with float64 ends."""
        lower, upper = self.inner()
        return x.shape == self.centre.shape and bool(((lower <= x) & (x <= upper)).all())

    def sample(self, rng: np.random.Generator, count: int) -> Images:
        """Half uniform, half corners (each input number at a random end)."""
        lower, upper = self.float32_ends()
        shape = (count, *self.centre.shape)
        share = rng.random(shape)
        corner = rng.random(count) < 0.5
        share[corner] = np.round(share[corner])
        drawn = (lower + share * (upper.astype(np.float64) - lower)).astype(np.float32)
        return np.asarray(np.clip(drawn, lower, upper))

    def float32_ends(self) -> tuple[Image, Image]:
        """The least and the largest float32 image of the region."""
        lower, upper = self.inner()
        return _float32_up(lower), -_float32_up(-upper)


def _float32_up(values: Wide) -> Image:
    near = values.astype(np.float32)
    return np.where(near < values, np.nextafter(near, np.float32(np.inf)), near).astype(np.float32)


@dataclass(frozen=True, eq=False)
class LinfBall(Boxed):
    """Every input number within ``radius`` of the centre's."""

    radius: Fraction
    kind: ClassVar[str] = "linf"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_radius(self.kind, self.radius)

    @property
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """The radius."""
        return {"radius": str(self.radius)}

    def cover(self) -> tuple[InputBox, ...]:
        """One box."""
        low, high = self.limits
        centre, reach = self.centre.astype(np.float64), float_above(self.radius)
        return (
            InputBox(
                np.maximum(add_down(centre, -reach), low), np.minimum(add_up(centre, reach), high)
            ),
        )

    def inner(self) -> tuple[Wide, Wide]:
        """See :meth:`Boxed.inner`."""
        low, high = self.limits
        centre, reach = self.centre.astype(np.float64), float_below(self.radius)
        return np.maximum(add_up(centre, -reach), low), np.minimum(add_down(centre, reach), high)


@dataclass(frozen=True, eq=False)
class L2Ball(Region):
    """Images whose Euclidean distance to the centre is at most ``radius``."""

    radius: Fraction
    kind: ClassVar[str] = "l2"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_radius(self.kind, self.radius)

    @property
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """The radius."""
        return {"radius": str(self.radius)}

    def cover(self) -> tuple[InputBox, ...]:
        """The box around the ball: no input number moves farther than the whole image.

        The ball itself is its cloud; what is at an end of the domain moves one way only.
        """
        (box,) = LinfBall(self.centre, self.domain, self.radius).cover()
        low, high = self.limits
        centre = torch.from_numpy(self.centre.astype(np.float64))[None]
        cloud = Cloud(
            point(centre),
            torch.tensor([float_above(self.radius)], dtype=torch.float64),
            (centre < high).double(),
            (centre > low).double(),
            (),
            torch.zeros_like(centre),
        )
        return (replace(box, cloud=cloud),)

    def inside(self, x: Image) -> bool:
        """In float64 where that decides with certainty, else in exact rationals.

        Differences, squares and sums of n terms err by less than (n + 3) 2**-53, relatively.
        """
        low, high = self.limits
        if x.shape != self.centre.shape or not ((low <= x) & (x <= high)).all():
            return False
        apart = x.astype(np.float64) - self.centre
        near, most = float((apart * apart).sum()), float(self.radius) ** 2
        spare = (x.size + 16) * 2.0**-52
        if near < most * (1 - spare) and near > 1e-200:
            return True
        if near * (1 - spare) > most and most > 1e-200:
            return False
        moved = x != self.centre
        pairs = zip(x[moved].tolist(), self.centre[moved].tolist(), strict=True)
        total = sum(((Fraction(a) - Fraction(b)) ** 2 for a, b in pairs), Fraction(0))
        return total <= self.radius**2

    def sample(self, rng: np.random.Generator, count: int) -> Images:
        """Random directions; half of them at the full radius before clipping."""
        centre = self.centre.astype(np.float64)
        direction = rng.normal(size=(count, centre.size))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        share = np.where(rng.random(count) < 0.5, 1.0, rng.random(count) ** (1 / centre.size))
        away = direction.reshape(count, *centre.shape) * share[:, None, None, None]
        return np.stack([self.nearest(centre + float(self.radius) * step) for step in away])

    def nearest(self, x: Wide) -> Image:
        """An image of the region close to ``x``: clipped, then drawn towards the centre.

        Rounding to float32 can leave the ball by a few units; the step towards the centre grows
        until the exact test holds. The centre itself always passes.
        """
        low, high = (np.float32(end) for end in self.limits)
        centre = self.centre.astype(np.float64)
        away = np.clip(x, float(low), float(high)) - centre
        length = float(np.linalg.norm(away))
        scale = min(1.0, float(self.radius) / length) if length else 0.0
        for shrink in (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.5):
            image = (centre + away * (scale * (1 - shrink))).astype(np.float32)
            image = np.clip(image, low, high)
            if self.inside(image):
                return np.asarray(image)
        return self.centre


@dataclass(frozen=True, eq=False)
class BoxRegion(Boxed):
    """An explicit box; the domain must contain it, and it must contain the centre.

    Raises:
        InputError: it does not fit the centre's shape, leaves the domain, or misses the centre.
    """

    box: InputBox
    name: str = ""
    kind: ClassVar[str] = "box"

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.limits
        box, shape = self.box, list(self.centre.shape)
        if box.lower.shape != self.centre.shape:
            raise InputError(f"region: the box has shape {list(box.lower.shape)}, not {shape}")
        if box.lower.min() < low or box.upper.max() > high:
            raise InputError(
                f"region: the box spans [{box.lower.min():g}, {box.upper.max():g}] and leaves the "
                f"domain [{low:g}, {high:g}]; clip it"
            )
        if not self.inside(self.centre):
            raise InputError("region: the input lies outside the box; give one inside, or none")

    @property
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """Where it came from; the ends themselves are too long to show."""
        return {"name": self.name}

    def cover(self) -> tuple[InputBox, ...]:
        """Itself."""
        return (self.box,)

    def inner(self) -> tuple[Wide, Wide]:
        """Itself."""
        return self.box.lower, self.box.upper


def as_typed(number: str) -> str:
    """An exact number as people type it: a decimal where it has an end, else the quotient.

    What is no number (the file of a box) is left as it is.
    """
    try:
        ratio = Fraction(number)
    except (ValueError, ZeroDivisionError):
        return number
    digits = next((n for n in range(_DIGITS) if 10**n % ratio.denominator == 0), 0)
    if not digits:
        return number
    whole, part = divmod(ratio.numerator * 10**digits // ratio.denominator, 10**digits)
    return f"{whole}.{part:0{digits}}"


def require_radius(kind: str, radius: Fraction) -> None:
    """Refuse what is no radius.

    Raises:
        UsageError: negative.
    """
    if radius < 0:
        raise UsageError(f"region {kind}: the radius {radius} is negative; use 0 or more")
