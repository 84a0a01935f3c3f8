"""Inputs that are not a box: a Euclidean ball, or images of one or two parameters.

Every member of the region is middle + d with

    d_i = e_i + sum_k g_ki t_k + r_i,   |t_k| <= 1,   |r_i| <= rest_i,

and e_i = s_i v_i for one vector v with |v|_2 <= radius, where e_i > 0 only where ``rise_i`` > 0,
e_i < 0 only where ``fall_i`` > 0, and |s_i| is at most that ``rise_i`` or ``fall_i``. For weights w

    <w, e> <= sum over w_i e_i > 0 of |w_i| |s_i| |v_i|
           <= radius * sqrt(sum_i max(w_i, 0)^2 rise_i^2 + max(-w_i, 0)^2 fall_i^2)

by Cauchy and Schwarz: a number that cannot grow (a white pixel) does not count where its weight is
positive. The parameters give |<w, g_k>| each, exact, and the rest <|w|, rest>. Every number below
is rounded outwards; sums obey the theorem in ``outward``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from protoproof.kernel.arithmetic import outward
from protoproof.kernel.arithmetic.outward import FLOOR, UNIT, Array, Range
from protoproof.kernel.encoder.affine import Scale

_LEAST = 2.0**-400


class ParametricSet(NamedTuple):
    """See above; all arrays have the shape of the tensor, rises, falls and rests are >= 0."""

    middle: Range
    radius: float
    rise: Array
    fall: Array
    generators: tuple[Range, ...]
    rest: Array

    def scaled(self, scale: Scale) -> ParametricSet:
        """Behind y = factor * x + offset. A negative factor turns rises into falls."""
        factor = scale.factor
        most = np.where(factor.size > 0, outward.above(factor.size), 0.0)
        up = np.where(factor.low >= 0, self.rise, np.maximum(self.rise, self.fall))
        up = np.where(factor.high <= 0, self.fall, up)
        down = np.where(factor.low >= 0, self.fall, np.maximum(self.rise, self.fall))
        down = np.where(factor.high <= 0, self.rise, down)
        return ParametricSet(
            outward.plus(outward.times(self.middle, factor), scale.offset),
            self.radius,
            _product(up, most),
            _product(down, most),
            tuple(outward.times(g, factor) for g in self.generators),
            _product(self.rest, most),
        )

    def moved(self, move: Callable[[Array], Array]) -> ParametricSet:
        """With its numbers arranged anew, each where it belongs."""
        return ParametricSet(
            Range(*map(move, self.middle)),
            self.radius,
            move(self.rise),
            move(self.fall),
            tuple(Range(*map(move, g)) for g in self.generators),
            move(self.rest),
        )

    def affine(
        self, weight: Array, offset: Array, apply: Callable[[Array, Array], Array], terms: int
    ) -> Range:
        """Bounds of W x + c; arguments as in :func:`outward.affine`."""
        found = outward.affine(self.middle, weight, offset, apply, terms)
        grow, shrink = np.zeros(()), np.zeros(())
        if self.radius > 0:
            squares = _square(np.maximum(weight, 0.0)), _square(np.maximum(-weight, 0.0))
            rise, fall = _square(self.rise), _square(self.fall)
            grow = self._length(squares, rise, fall, apply, terms)
            shrink = self._length(squares, fall, rise, apply, terms)
        sides = apply(np.abs(weight), self.rest)
        more = [_padded(sides, terms)]
        for generator in self.generators:
            part = outward.affine(generator, weight, np.zeros(()), apply, terms)
            more.append(part.size)
        for spread in more:
            grow, shrink = outward.above(grow + spread), outward.above(shrink + spread)
        return outward.plus(found, Range(-shrink, grow))

    def _length(
        self,
        squares: tuple[Array, Array],
        rise: Array,
        fall: Array,
        apply: Callable[[Array, Array], Array],
        terms: int,
    ) -> Array:
        """An upper bound of radius * sqrt(<up^2, rise> + <down^2, fall>), given squares.

        All products are of non-negative numbers, so every rounding (two squares, one product, the
        sum) errs by at most a factor 1 + u: ``_padded`` pays for 2 * terms + 16 of them.
        """
        total = _padded(apply(squares[0], rise) + apply(squares[1], fall), 2 * terms)
        return outward.above(self.radius * outward.above(np.sqrt(total)))


def _square(a: Array) -> Array:
    """Squares of non-negative numbers, of which the smallest are enlarged so that none vanishes."""
    lifted = np.where(a > 0, np.maximum(a, _LEAST), 0.0)
    return np.asarray(lifted * lifted)


def _product(a: Array, b: Array) -> Array:
    """Upper bounds of products of non-negative numbers; 0 where one of them is 0."""
    found: Array = np.where((a > 0) & (b > 0), outward.above(a * b), 0.0)
    return found


def _padded(sums: Array, terms: int) -> Array:
    """Upper bounds of sums of ``terms`` non-negative products that were computed in float64."""
    return outward.above(sums * (1 + (terms + 32) * UNIT)) + FLOOR
