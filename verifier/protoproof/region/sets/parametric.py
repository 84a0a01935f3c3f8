"""Parts of boxes: Euclidean balls, and images of one or two parameters, up to the first layer.

Per box, every input is middle + d with d_i = e_i + sum_k g_ki t_k + r_i, |t_k| <= 1,
|r_i| <= rest_i; e_i = s_i v_i for one v with |v|_2 <= radius, 0 <= s_i <= rise_i where e_i > 0 and
0 <= s_i <= fall_i in size where e_i < 0. By Cauchy and Schwarz, a row w of the first layer gives

    <w, e> <= radius * sqrt(sum_i max(w_i, 0)^2 rise_i^2 + max(-w_i, 0)^2 fall_i^2),

and |<w, g_k>|, <|w|, rest> for the other parts. Everything is computed by the interval rules of the
operators themselves, hence rounded outwards. The checker has formulas of its own for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from protoproof.arithmetic import interval as en
from protoproof.arithmetic.interval import Interval

Apply = Callable[[Interval], Interval]

_LEAST = 2.0**-400


@dataclass(frozen=True, eq=False)
class Cloud:
    """See above; tensors are [box, ...] but ``radius`` [box]; rises, falls and rests are >= 0."""

    middle: Interval
    radius: Tensor
    rise: Tensor
    fall: Tensor
    generators: tuple[Interval, ...]
    rest: Tensor

    def scaled(self, apply: Apply) -> Cloud:
        """Behind an operator that does the same affine thing to every number on its own.

        Its factor is its value at 1 less that at 0, an interval.
        """
        one = en.point(torch.ones_like(self.rest))
        zero = en.point(torch.zeros_like(self.rest))
        factor = en.add(apply(one), en.negate(apply(zero)))
        size = en.up(factor.magnitude)
        both = torch.maximum(self.rise, self.fall)
        rise, fall = (
            torch.where(factor.lower >= 0, a, torch.where(factor.upper <= 0, b, both))
            for a, b in ((self.rise, self.fall), (self.fall, self.rise))
        )
        return Cloud(
            apply(self.middle),
            self.radius,
            _times(rise, size),
            _times(fall, size),
            tuple(en.multiply(g, factor) for g in self.generators),
            _times(self.rest, size),
        )

    def moved(self, move: Callable[[Tensor], Tensor]) -> Cloud:
        """Behind an operator that only moves numbers."""
        return Cloud(
            self.middle.map(move),
            self.radius,
            move(self.rise),
            move(self.fall),
            tuple(g.map(move) for g in self.generators),
            move(self.rest),
        )

    def affine(
        self, weight: Tensor, apply: Apply, product: Callable[[Interval, Tensor], Interval]
    ) -> Interval:
        """Bounds behind sums of products.

        Args:
            weight: of the layer.
            apply: the layer.
            product: the layer without its addend, with another weight.
        """
        spread = product(Interval(-self.rest, self.rest), weight).upper
        for generator in self.generators:
            spread = en.up(spread + product(generator, weight).magnitude)
        grow = shrink = spread
        if bool((self.radius > 0).any()):
            up, down = _square(weight.clamp(min=0.0)), _square((-weight).clamp(min=0.0))
            rise, fall = en.point(_square(self.rise)), en.point(_square(self.fall))
            most = self._length(product(rise, up), product(fall, down))
            least = self._length(product(fall, up), product(rise, down))
            grow, shrink = en.up(grow + most), en.up(shrink + least)
        return en.add(apply(self.middle), Interval(-shrink, grow))

    def _length(self, first: Interval, second: Interval) -> Tensor:
        total = en.up(first.upper + second.upper).clamp(min=0.0) * (1 + 4 * en.UNIT)
        radius = self.radius.reshape(-1, *[1] * (total.ndim - 1))
        return en.up(en.up(en.up(torch.sqrt(total)) * radius))


def _times(a: Tensor, b: Tensor) -> Tensor:
    """Upper bounds of products of non-negative numbers; 0 stays 0."""
    return torch.where((a > 0) & (b > 0), en.up(a * b) + en.TINY, 0.0)


def _square(a: Tensor) -> Tensor:
    """Squares of non-negative numbers, rounded up; the smallest are enlarged, so none vanishes."""
    lifted = torch.where(a > 0, a.clamp(min=_LEAST), 0.0)
    return torch.where(lifted > 0, en.up(lifted * lifted), 0.0)


def stack(clouds: Sequence[Cloud | None]) -> Cloud | None:
    """Clouds of several boxes in one; None where one has none, or they differ in kind."""
    known = [cloud for cloud in clouds if cloud is not None]
    if len(known) != len(clouds) or len({len(cloud.generators) for cloud in known}) != 1:
        return None

    def joined(parts: Sequence[Interval]) -> Interval:
        return Interval(torch.cat([p.lower for p in parts]), torch.cat([p.upper for p in parts]))

    return Cloud(
        joined([c.middle for c in known]),
        torch.cat([c.radius for c in known]),
        torch.cat([c.rise for c in known]),
        torch.cat([c.fall for c in known]),
        tuple(joined(parts) for parts in zip(*(c.generators for c in known), strict=True)),
        torch.cat([c.rest for c in known]),
    )
