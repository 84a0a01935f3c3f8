"""Parts of a region of inputs, and where to cut them: what branch and bound works on.

A box is cut across one input number, a brightness family across one of its parameters; both halves
together hold the whole. Which cut helps most cannot be told for sure: candidates come from the
slope of the margin times the width, and are then compared by the bounds of their halves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.network import Network
from protoproof.region.bounds.attack import margins
from protoproof.region.sets.region import Boxed, Image, InputBox, L2Ball, Region
from protoproof.region.sets.transformations import Brightness

# The checker replays no more cuts above one part, and can afford as many parts, latent units of all
# parts together, and products of a latent unit with a prototype.
MOST_PARTS = 1 << 12
MOST_DEPTH = 64
MOST_UNITS = 1 << 23
MOST_PRODUCTS = 1 << 26
FEW = 16  # quantities that vary; a ball has one per input number

Slope = Float[NDArray[np.float64], "channel_in row column"]


@dataclass(frozen=True)
class Cut:
    """``quantity`` (an input number, row-major, or a parameter) at most ``at``, or at least."""

    quantity: int | Literal["brightness", "contrast"]
    at: float | Fraction


@dataclass(frozen=True, eq=False)
class Part(ABC):
    """A part of ``region``: ``share`` of its volume, ``depth`` cuts below the whole."""

    region: Region
    share: float
    depth: int

    @property
    @abstractmethod
    def box(self) -> InputBox:
        """A box of inputs that contains the part."""

    @property
    @abstractmethod
    def freedom(self) -> int:
        """How many quantities vary."""

    @abstractmethod
    def cuts(self, slope: Slope, most: int) -> list[tuple[Cut, Part, Part]]:
        """Up to ``most`` cuts with their halves, the most promising first.

        Args:
            slope: sizes of the derivative of the margin with respect to every input number.
        """

    @abstractmethod
    def member(self) -> tuple[Image, InputBox] | None:
        """An input of the region, near the middle, as float32 image and as a tiny box around the
        exact one; None where none is known."""


@dataclass(frozen=True, eq=False)
class BoxPart(Part):
    """A part of a region that one box contains."""

    bounds: InputBox

    @property
    def box(self) -> InputBox:
        """Itself."""
        return self.bounds

    @property
    def freedom(self) -> int:
        """Input numbers that are not fixed."""
        return int((self.bounds.lower < self.bounds.upper).sum())

    def cuts(self, slope: Slope, most: int) -> list[tuple[Cut, Part, Part]]:
        """Halves of the ranges of single input numbers."""
        low, high = self.bounds.lower.ravel(), self.bounds.upper.ravel()
        score = slope.ravel() * (high - low)
        found: list[tuple[Cut, Part, Part]] = []
        # among equals the widest first: a slope of zero says nothing about a whole box
        for number in np.lexsort((-(high - low), -score))[:most].tolist():
            at = float((low[number] + high[number]) / 2)
            if low[number] < at < high[number]:
                found.append((Cut(number, at), *self._halves(number, at)))
        return found

    def _halves(self, number: int, at: float) -> tuple[Part, Part]:
        below, above = self.bounds.upper.copy(), self.bounds.lower.copy()
        below.flat[number] = above.flat[number] = at
        half = self.share / 2, self.depth + 1
        return (
            BoxPart(self.region, *half, replace(self.bounds, upper=below)),
            BoxPart(self.region, *half, replace(self.bounds, lower=above)),
        )

    def member(self) -> tuple[Image, InputBox] | None:
        """The middle, drawn into the region; None where that leaves the region."""
        middle = (self.bounds.lower + self.bounds.upper) / 2
        if isinstance(self.region, Boxed):
            image = np.clip(middle.astype(np.float32), *self.region.float32_ends())
        elif isinstance(self.region, L2Ball):
            image = self.region.nearest(middle)
        else:
            return None
        exact = image.astype(np.float64)
        return (image, InputBox(exact, exact)) if self.region.inside(image) else None


@dataclass(frozen=True, eq=False)
class LightPart(Part):
    """Members of a family with shift and scale in ``piece``: (s low, s high, t low, t high)."""

    family: Brightness
    piece: tuple[Fraction, Fraction, Fraction, Fraction]

    @property
    def box(self) -> InputBox:
        """The box around the members; all input numbers follow the same two parameters."""
        return self.family.box(*self.piece)

    @property
    def freedom(self) -> int:
        """Parameters that are not fixed."""
        return sum(low < high for low, high in (self.piece[:2], self.piece[2:]))

    def cuts(self, slope: Slope, most: int) -> list[tuple[Cut, Part, Part]]:
        """Halves of the range of either parameter."""
        x = np.abs(self.family.centre.astype(np.float64))
        shift, scale = self.piece[:2], self.piece[2:]
        scores = (
            float(slope.sum() * (shift[1] - shift[0])),
            float((slope * x).sum() * (scale[1] - scale[0])),
        )
        found: list[tuple[Cut, Part, Part]] = []
        for which in sorted((0, 1), key=lambda i: -scores[i])[:most]:
            low, high = (shift, scale)[which]
            at = (low + high) / 2
            if low < high:
                halves = [(low, at), (at, high)]
                pieces = [(*h, *scale) if which == 0 else (*shift, *h) for h in halves]
                first, second = (
                    LightPart(self.region, self.share / 2, self.depth + 1, self.family, piece)
                    for piece in pieces
                )
                found.append((Cut(("brightness", "contrast")[which], at), first, second))
        return found

    def member(self) -> tuple[Image, InputBox] | None:
        """The member in the middle of both ranges."""
        s_low, s_high, t_low, t_high = self.piece
        return self.family.member(float((s_low + s_high) / 2), float((t_low + t_high) / 2))


def whole(region: Region) -> Part | None:
    """All of a region as one part; None for a kind that is not cut."""
    if isinstance(region, Brightness):
        shift, scale = region.brightness, region.contrast
        return LightPart(region, 1.0, 0, region, (-shift, shift, -scale, scale))
    cover = region.cover()
    return BoxPart(region, 1.0, 0, cover[0]) if len(cover) == 1 else None


def worth_cutting(region: Region) -> bool:
    """Whether so few quantities vary that halving them one at a time soon makes a difference."""
    part = whole(region)
    return part is not None and 0 < part.freedom <= FEW


def slopes(network: Network, parts: Sequence[Part], predicted: int) -> list[Slope]:
    """Sizes of the derivative of the least margin, averaged over the middle and two other points.

    One point alone may sit where a unit is off.
    """
    rng = np.random.default_rng(0)
    total = [np.zeros(network.input_shape) for _ in parts]
    lows, highs = (np.stack([getattr(p.box, end) for p in parts]) for end in ("lower", "upper"))
    for step in range(3):
        share = 0.5 if step == 0 else rng.random(lows.shape)
        x = (lows + share * (highs - lows)).astype(np.float32)
        pieces = [x] if network.encoder_graph.free_batch else [x[i : i + 1] for i in range(len(x))]
        found = [_slope(network, torch.from_numpy(piece), predicted) for piece in pieces]
        for sums, part in zip(total, np.concatenate(found), strict=True):
            sums += np.abs(part)
    return total


def _slope(network: Network, x: torch.Tensor, predicted: int) -> NDArray[np.float64]:
    x.requires_grad_()
    least = margins(network, network.encoder.to("cpu")(x), predicted)
    (gradient,) = torch.autograd.grad(least.sum(), x)
    return np.asarray(gradient.double().numpy())
