"""Points of the latent space, and the numbers that a head measures of them, exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from operator import mul

from flint import arb, fmpz_mat

from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID, Ratio, ball
from protoproof.kernel.budget import OPERATION, hold, integer, product, spend, width
from protoproof.kernel.latent.value import Approximate, Exact, Value
from protoproof.kernel.model.head import Head, Length
from protoproof.kernel.model.primitives import as_ball

# One denominator for all prototypes, or one for each.
Unit = int | list[int]


@dataclass
class Point:
    """The latent of one location: ``numerators[d] / (denominator * 2**shift)`` per channel.

    The shift is that of the :class:`Latent` it belongs to.

    Attributes:
        known: the measurements that were asked for.
        whole: of all prototypes, what :meth:`Measurer.numerators` returns, where it was computed.
        floors: all measurements over ``2**GRID``, rounded down, where they are fractions and were
            computed: of two with different ones, that with the less is less.
    """

    numerators: list[int]
    denominator: int = 1
    known: dict[int, Value] = field(default_factory=dict, compare=False)
    whole: tuple[list[int], Unit] | None = field(default=None, compare=False)
    floors: list[int] | None = field(default=None, compare=False)

    @cached_property
    def size(self) -> int:
        """Limbs of the longest number."""
        return width(self.numerators, [self.denominator])

    @cached_property
    def square(self) -> int:
        """|z|^2, over ``(denominator * 2**shift)**2``."""
        return sum(map(mul, self.numerators, self.numerators))


class Measurer:
    """Measurements of points, all of whose coordinates are over denominators times ``2**shift``."""

    def __init__(self, head: Head, shift: int) -> None:
        self._head, self._shift = head, shift
        self._up = shift - head.shift
        self._chosen: dict[tuple[str, tuple[int, ...]], fmpz_mat] = {}
        self._whole: dict[str, fmpz_mat] = {}

    def cost(self, size: int) -> int:
        """Steps of one measurement of a point of so many limbs."""
        each = self._head.channels * product(size, self._head.size)
        more = 2 if self._head.scales else 1
        return more * each + 10 * integer(2 * size + self._head.size)

    def numerators(
        self, points: Sequence[Point], chosen: Sequence[int] | None = None
    ) -> tuple[list[list[int]], list[Unit]]:
        """Per point and prototype (all unless chosen) a numerator, and per point its unit, or one
        for each prototype.

        They are those of the measurement, or (angular) of its square with the sign.
        """
        head, across = self._head, self._matrix("prototypes", chosen)
        z = fmpz_mat(len(points), head.channels, [n for point in points for n in point.numerators])
        products = [list(map(int, row)) for row in (z * across).tolist()]
        denominators = [point.denominator for point in points]
        if head.geometry == "angular":
            lengths = head.lengths
            if chosen is not None and len(lengths) > 1:
                lengths = tuple(lengths[j] for j in chosen)
            squares = [point.square for point in points]
            return self._signed_squares(products, squares, denominators, lengths)
        if head.geometry == "linear":
            units: list[Unit] = [unit << (self._shift + head.shift) for unit in denominators]
            return [[-n for n in row] for row in products], units
        rows = []
        weighted: list[list[int]] = []
        if head.scales:
            squared = [n * n for point in points for n in point.numerators]
            z = fmpz_mat(len(points), head.channels, squared)
            scaled = (z * self._matrix("scales", chosen)).tolist()
            weighted = [list(map(int, row)) for row in scaled]
        all_constants = head.constants
        constants = all_constants if chosen is None else [all_constants[j] for j in chosen]
        finer, raised = 0, constants
        for index, point in enumerate(points):
            unit = point.denominator
            twice, up = 2 * unit << self._up, unit * unit << (2 * self._up)
            if up != finer:
                finer, raised = up, [up * c for c in constants]
            pairs = zip(products[index], raised, strict=True)
            if weighted:
                own = weighted[index]
                rows.append([n - twice * e + c for n, (e, c) in zip(own, pairs, strict=True)])
            else:
                n = point.square
                rows.append([n - twice * entry + c for entry, c in pairs])
        unit_shift = 2 * self._shift + head.scale_shift
        return rows, [unit * unit << unit_shift for unit in denominators]

    def floors(self, numerators: Sequence[int], unit: Unit) -> list[int] | None:
        """Measurements over ``2**GRID``, rounded down; None where they are no such fractions."""
        if self._head.geometry == "angular" or self._head.scale_slack or isinstance(unit, list):
            return None
        return [(n << GRID) // unit for n in numerators]

    def _signed_squares(
        self,
        products: list[list[int]],
        squares: list[int],
        denominators: list[int],
        lengths: Sequence[Length],
    ) -> tuple[list[list[int]], list[Unit]]:
        """Of -n over sqrt(max(|z|^2 + added, floor)): -n |n| over its square; 0 where z is 0."""
        head, rows = self._head, []
        units: list[Unit] = []
        unit = math.lcm(*[n.denominator for length in set(lengths) for n in length[:2]])
        for row, square, denominator in zip(products, squares, denominators, strict=True):
            one = denominator**2 << (2 * self._shift)
            sizes = []
            for floor, added, beside in lengths:
                size = max(square * unit + int(added * unit) * one, int(floor * unit) * one)
                if not size and not beside and not head.zero:
                    raise CertificateError("a location is the zero vector, which has no direction")
                sizes.append(max(size, 1) << (2 * head.shift))
            rows.append([-n * abs(n) * unit for n in row])
            units.append(sizes[0] if len(set(sizes)) == 1 else sizes)
        return rows, units

    def value(self, prototype: int, numerator: int, unit: Unit, place: int, size: Ratio) -> Value:
        """One of :meth:`numerators`, the ``place``-th of its point, as the measurement that it is.

        Args:
            size: |z|^2 of the point.
        """
        here, head = unit[place] if isinstance(unit, list) else unit, self._head
        if head.geometry != "angular":
            exact = Exact(numerator, here)
            return self._widened(exact, prototype, size) if head.scale_slack else exact
        found, length = Exact(numerator, here, True), head.length(prototype)
        if not length.beside or not numerator:
            return found

        def evaluate() -> arb:
            """n / (a + b) = (n / a) / (1 + b / a), with b^2 = beside."""
            spend("an angle", 64 * OPERATION)
            under = max(Fraction(*size) + length.added, length.floor)
            ratio = length.beside / under
            share = ball((ratio.numerator, ratio.denominator)).sqrt()
            return as_ball(found.number()) / (1 + share)

        return Approximate(evaluate)

    def _widened(self, found: Exact, prototype: int, size: Ratio) -> Value:
        """A distance whose weights were rounded down: at most slack |z - p|^2 more, and |z - p|^2
        is at most 2 |z|^2 + 2 |p|^2."""
        head = self._head
        square = Fraction(*size) + Fraction(head.norms[prototype], 1 << 2 * head.shift)
        more = 2 * head.scale_slack * square

        def evaluate() -> arb:
            spend("a weighted distance", 16 * OPERATION)
            low = as_ball(found.number())
            return low.union(low + ball((more.numerator, more.denominator)))

        return Approximate(evaluate)

    def _matrix(self, which: str, chosen: Sequence[int] | None) -> fmpz_mat:
        """[D, P] of (weighted) prototypes, or of scales; those that were chosen last are kept."""
        head = self._head
        if chosen is not None:
            key = which, tuple(chosen)
            if key not in self._chosen:
                if not self._chosen:  # two at a time, each of no more than half of them all
                    hold("chosen prototypes", 16 * head.size * head.prototype_count * head.channels)
                elif len(self._chosen) > 1:
                    del self._chosen[next(iter(self._chosen))]
                row = head.weighted if which == "prototypes" else head.scales.__getitem__
                self._chosen[key] = fmpz_mat([row(j) for j in chosen]).transpose()
            return self._chosen[key]
        if which not in self._whole:
            entries = head.prototype_count * head.channels
            hold("the prototypes, turned", 16 * head.size * entries)
            if which == "scales":
                rows = fmpz_mat(head.scales)
            elif not head.scales:
                rows = head.prototypes
            else:
                rows = fmpz_mat([head.weighted(j) for j in range(head.prototype_count)])
            self._whole[which] = rows.transpose()
        return self._whole[which]
