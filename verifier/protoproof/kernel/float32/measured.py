"""Rules of rounding before a measurement is complete: its error may grow with the latent's length.

N is the length of a location's latent, 1 where it is divided by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from protoproof.kernel.float32.kept import Kept, Plan, pay
from protoproof.kernel.float32.numbers import product_range, rounded
from protoproof.kernel.float32.record import ETA, ZERO, Array, Record, U, sums, times, up
from protoproof.kernel.float32.rows import (
    Line,
    Sizes,
    affine_ends,
    by_program,
    by_row,
    line,
    normalised,
    one_sign,
    over,
    real_size,
    sizes,
    used,
)
from protoproof.kernel.model.symbolic.arrays import Exact, thin
from protoproof.kernel.model.symbolic.tables import Program, Tables
from protoproof.kernel.model.symbolic.values import Latent, Measured

# ends at all locations, and at the nearest one
Interval = tuple[float, float, float, float]
# of a row, the measurements that it is of: its number, the program from it to the row's value, and
# its ends
Ranges = dict[int, list[tuple[int, Program, Interval]]]


class UnroundableError(Exception):
    """A step of the head that has no rule at level F."""


@dataclass(frozen=True)
class Factor:
    """What elements are multiplied by: bounds of its size, its own rounding, whether it is exact
    powers of two."""

    most: float
    least: float
    r: float
    a: float
    shifted: bool


class Measuring:
    """The rules.

    Args:
        ranges: of the rows that measure prototypes.
        angular: whether those are of latents divided by their length.
        longest: at least every N of what is not; infinite where nothing bounds it.
        shortest: at most every N that divides.
        kept: what was found out before.
    """

    def __init__(
        self,
        tables: Tables,
        ranges: Ranges,
        angular: bool,
        longest: float,
        shortest: float,
        kept: Kept,
    ) -> None:
        self.tables, self._ranges, self._angular = tables, ranges, angular
        self._longest, self._shortest = longest, shortest
        self.kept = kept
        some = [one for known in ranges.values() for one in known]
        self._through = max((len(one[1]) for one in some), default=0)  # instructions
        # of all measurements that a row holds, by number
        self._ends = np.full((1 + max((one[0] for one in some), default=0), 4), np.nan)
        for number, _, interval in some:
            self._ends[number] = interval

    def sizes(self, row: int) -> Sizes:
        """Sizes of a row."""
        if row not in self.kept.sizes:
            self.kept.sizes[row] = sizes(self.tables.rows[row])
        return self.kept.sizes[row]

    def line(self, program: int) -> Line | None:
        """A program that is affine."""
        if program not in self.kept.lines:
            self.kept.lines[program] = line(self.tables.programs[program])
        return self.kept.lines[program]

    def shifted(self, x: Record, value: Latent, constant: Factor) -> Record:
        """value + a constant; exact elements err by nothing but this sum."""
        more = 1 + U
        scale, shift = largest(value.scale), largest(value.shift)
        # r |x| counts as what it is at most, because it is not relative to the sum
        a1, a0 = x.a1 + times(x.r, np.asarray(scale)), x.a0 + times(x.r, np.asarray(shift))
        a0 = a0 + constant.r * constant.most + constant.a
        return Record(
            x.shape, np.asarray(U), a2=up(x.a2 * more), a1=up(a1 * more), a0=up(a0 * more)
        )

    def scaled(self, x: Record, by: Factor, inverse: bool = False) -> Record:
        """x times a constant, or divided by it."""
        if inverse and not by.least > 0:
            raise UnroundableError("a division by what may be 0")
        r = by.r + by.a / by.least if by.least > 0 else by.r + (np.inf if by.a else 0.0)
        most = 1 / by.least if inverse else by.most
        grown = 1 / (1 - min(r, 0.5)) if inverse else 1 + r
        more = grown * (1 if by.shifted else 1 + U)
        return replace(
            x,
            r=up((1 + x.r) * more - 1 + 2.0**-50) if r or not by.shifted else x.r,
            a2=up(x.a2 * most * more),
            a1=up(x.a1 * most * more),
            a0=up(x.a0 * most * more + ETA),
        )

    def squared(self, x: Record, relative: float) -> Record:
        """x^2, by 2 |x| e <= e (x^2 + 1) and the like; the product errs by so many u."""
        if np.any(x.a2 > 0):
            raise UnroundableError("a square of squares")
        more, one = 1 + relative * U, 1 + x.r
        return replace(
            x,
            r=up((one * (one + x.a1 + x.a0)) * more - 1 + 2.0**-50),
            a2=up((one * x.a1 + 2 * x.a1**2) * more),
            a1=ZERO,
            a0=up((one * x.a0 + 2 * x.a0**2) * more + ETA),
            low=ZERO,
            least=ZERO,
        )

    def summed(
        self, x: Record, source: Latent, found: Measured, by: Factor | None, count: int
    ) -> Record:
        """Sums of elements, each times a constant of ``by``.

        Args:
            count: how many terms a sum has.
        """
        product = self.scaled(x, by) if by is not None else x
        rows = used(found.row)
        signs = {row: one_sign(self.tables.rows[row]) for row in rows}
        of_squares = source.power == 2 and all(signs.values())
        grown = sums(count - 1)
        roots = np.sqrt(float(count)) * (1 + 2.0**-50)
        r = up((1 + product.r) * (1 + grown) - 1 + 2.0**-50)
        a2 = up(product.a2 * (1 + grown))
        a1, a0 = product.a1 * roots * (1 + grown), product.a0 * count * (1 + grown)
        if of_squares or count == 1:
            return self.ranged(Record(found.shape, r, a2=a2, a1=up(a1), a0=up(a0)), found)
        if source.power == 2:
            raise UnroundableError("a sum of squares of both signs")
        slope = by_row(found, {row: self.sizes(row).slope for row in rows})
        divided = by_program(found, {p: one.high for p, one in self._all_lines(found).items()})
        slope = up(slope * np.maximum(divided, 0.0))
        moved = largest(source.shift) * count * (by.most if by is not None else 1.0)
        a1 = up(a1 + times(r, slope))
        return self.ranged(
            Record(found.shape, a2=a2, a1=a1, a0=up(a0 + times(r, np.asarray(moved)))), found
        )

    def added(
        self, x: Record, left: Measured, y: Record | None, right: Measured | Factor, found: Measured
    ) -> Record:
        """A sum of two measurements of one location, or of one and a constant."""
        more = 1 + U
        errors = [x.a2, x.a1, x.a0]
        for k, size in enumerate(self._size(left)):
            errors[k] = errors[k] + times(x.r, size)
        if y is not None and isinstance(right, Measured):
            for k, size in enumerate(self._size(right)):
                errors[k] = errors[k] + (y.a2, y.a1, y.a0)[k] + times(y.r, size)
        elif isinstance(right, Factor):
            errors[2] = errors[2] + right.r * right.most + right.a
        a2, a1, a0 = (up(e * more) for e in errors)
        return self.ranged(Record(found.shape, np.asarray(U), a2=a2, a1=a1, a0=a0), found)

    def _size(self, value: Measured) -> tuple[Array, Array, Array]:
        """|x| is at most m2 N^2 + m1 N + m0."""
        rows, programs = used(value.row), self._all_lines(value)
        factor = by_program(
            value, {p: max(abs(one.low), abs(one.high)) for p, one in programs.items()}
        )
        shift = by_program(value, {p: abs(one.shift) + one.slack for p, one in programs.items()})
        largest_, slope = (
            by_row(value, {row: getattr(self.sizes(row), name) for row in rows})
            for name in ("largest", "slope")
        )
        return up(times(factor, largest_)), up(times(factor, slope)), up(shift)

    def _all_lines(self, value: Measured) -> dict[int, Line]:
        found = {}
        for program in used(value.program):
            one = self.line(program)
            if one is None:
                raise UnroundableError("a sum of measurements that are not affine")
            found[program] = one
        return found

    def affine(self, value: Measured) -> bool:
        """Whether all its programs are affine."""
        return all(self.line(p) is not None for p in used(value.program))

    def ranged(self, x: Record, value: Measured) -> Record:
        """With the range of what it is, where that is an affine function of a row."""
        if not self.affine(value):
            return x
        if normalised(value, self.tables) == self._angular:
            found = self._of_prototypes(value)
            if found is not None:
                return x.between(*found)
        programs = self._all_lines(value)
        unit = normalised(value, self.tables)
        known = {row: self._of_row(row, unit) for row in used(value.row)}
        factor = [by_program(value, {p: one[k] for p, one in programs.items()}) for k in (0, 1)]
        shift = by_program(value, {p: one.shift for p, one in programs.items()})
        slack = by_program(value, {p: one.slack for p, one in programs.items()})
        ends = [by_row(value, {row: one[side] for row, one in known.items()}) for side in (0, 1)]
        low, high = product_range((ends[0], ends[1]), (factor[0], factor[1]))
        low, high = self._out(low, shift, slack, -1), self._out(high, shift, slack, 1)
        return x.between(low, high, low, high)

    def _of_prototypes(self, value: Measured) -> tuple[Array, ...] | None:
        """The range where every row is a prototype's: an affine function of a measurement."""
        plan = self._plan(value)
        if plan is None:
            return None
        ends = affine_ends(plan.lines, self._ends[plan.numbers])
        joins = (np.minimum, np.maximum) * 2
        table = [join.reduceat(end, plan.starts) for join, end in zip(joins, ends, strict=True)]
        return tuple(np.broadcast_to(end[plan.place], value.shape) for end in table)

    def _plan(self, value: Measured) -> Plan | None:
        """The lines from measurements to the elements; None where some element is of none."""
        row, program = np.broadcast_arrays(thin(value.row), thin(value.program))
        key = row.shape, row.tobytes(), program.tobytes()
        plan = self.kept.plans.get(key)
        if plan is not None:
            pay(len(plan.lines), plan.longest)
            return plan
        count = len(self.tables.programs)
        pairs, place = np.unique(row.ravel() * count + program.ravel(), return_inverse=True)
        found = list(zip(*(part.tolist() for part in divmod(pairs, count)), strict=True))
        if not all(one in self._ranges for one, _ in found):
            return None
        sizes_ = [len(self._ranges[one]) for one, _ in found]
        # a row may be of as many measurements as there are programs here
        longest = self._through + max((len(self.tables.programs[k]) for _, k in found), default=0)
        pay(sum(sizes_), longest)
        lines: list[Line] = []
        numbers: list[int] = []
        for one, other in found:
            for number, through, _ in self._ranges[one]:
                line_ = self._composed(number, through, other)
                if line_ is None:
                    return None
                lines.append(line_)
                numbers.append(number)
        starts, kinds = np.cumsum([0, *sizes_[:-1]]), place.reshape(row.shape)
        plan = Plan(np.array(lines), np.array(numbers), starts, kinds, longest)
        self.kept.plans[key] = plan
        return plan

    def _composed(self, number: int, through: Program, program: int) -> Line | None:
        """(a, b) where a program of a row is m -> a m + b: where 0 is 0, exactly; None where it is
        no line. ``number`` is that of the measurement m, which ``through`` leads from."""
        key = number, program
        if key not in self.kept.composed:
            up, shift, under = 1, 0, 1  # slope and shift, over one number
            whole = (*through, *self.tables.programs[program])
            found = None
            for name, constant in whole:
                if not isinstance(constant, Fraction) or name not in ("add", "mul"):
                    found = line(whole)
                    break
                top, by = constant.numerator, constant.denominator
                if name == "add":
                    up, shift, under = up * by, shift * by + top * under, under * by
                else:
                    up, shift, under = up * top, shift * top, under * by
            else:
                a, b = up / under, shift / under
                found = Line(a, a, b, (abs(a) + abs(b)) * 2.0**-52 if b else 0.0)
            self.kept.composed[key] = found
        return self.kept.composed[key]

    @staticmethod
    def _out(end: Array, shift: Array, slack: Array, sign: int) -> Array:
        with np.errstate(invalid="ignore"):
            wide = slack + (np.abs(end) + np.abs(shift)) * 2.0**-48
            return np.where(np.isfinite(end), end + shift + sign * wide, end)

    def _of_row(self, row: int, unit: bool) -> tuple[float, float]:
        entry, size = self.tables.rows[row], self.sizes(row)
        longest = 1.0 if unit else self._longest
        low, high = -np.inf, np.inf
        if np.isfinite(longest):
            high = (size.largest * longest + size.slope) * longest * (1 + 2.0**-40)
            low = -high
        sign = one_sign(entry)
        if sign and not entry.slope and not entry.factors:
            floor = size.least * self._shortest**2 * (1 - 2.0**-40) if self._angular else 0.0
            low, high = (floor, high) if sign > 0 else (low, -floor)
        return low, high

    def settled(self, x: Record, value: Measured) -> Record:
        """The same error without N: N is at most a bound, or sqrt(q) + |p| for q = |z - p|^2."""
        if not x.curved:
            return x
        unit = normalised(value, self.tables)
        longest = 1.0 if unit else self._longest
        size = x.size
        a = np.full((), np.inf)
        if np.isfinite(longest):
            a = up((x.a2 * longest + x.a1) * longest + x.a0)
        best = replace(x, a2=ZERO, a1=ZERO, a0=a)
        programs = self._all_lines(value)
        rows = {row: self.sizes(row) for row in used(value.row)}
        if not all(np.isfinite(one.centre) for one in rows.values()):
            return best
        centre = by_row(value, {row: one.centre for row, one in rows.items()})
        square = by_row(value, {row: one.least for row, one in rows.items()})
        signs = by_row(value, {row: float(one_sign(self.tables.rows[row])) for row in rows})
        low, high, shift, slack = (
            by_program(value, {p: one[k] for p, one in programs.items()}) for k in range(4)
        )
        if np.any(low * high <= 0):
            return best
        factor = np.minimum(np.abs(low), np.abs(high)) * square
        # x = +-factor q + rest
        rest = shift - signs * (low + high) / 2 * square * centre**2
        rest = np.abs(rest) + slack + 2.0**-37 * (np.abs(shift) + factor * centre**2)
        share = (2 * x.a2 + x.a1) / factor
        other = up(2 * x.a2 * centre**2 + x.a1 * (centre + 0.25) + x.a0 + share * rest)
        r = up(x.r + share)
        with np.errstate(invalid="ignore"):
            first = times(x.r, size) + best.a0 <= times(r, size) + other
        first = np.where(np.isfinite(size), first, np.isfinite(best.a0))
        return replace(best, r=np.where(first, x.r, r), a0=np.where(first, best.a0, other))

    def over_length(
        self, x: Record, value: Measured, y: Record, length: Measured, found: Measured
    ) -> Record:
        """A product with the latent divided by c times its length, which is at least c N."""
        smallest = np.minimum(np.abs(y.low), np.abs(y.high))
        share = up(y.r + np.where(y.a0 > 0, y.a0 / np.maximum(smallest, 1e-300), 0.0))
        if y.curved or np.any(share >= 0.5):
            raise UnroundableError("a division by a length that may be 0")
        with np.errstate(divide="ignore"):
            factor = self._length_factor(length)
            grown = 1 / (1 - share)
            a0 = up((x.a1 / factor + x.a0 / smallest) * grown)
        if np.any(x.a2 > 0):
            raise UnroundableError("a quotient of squares and a length")
        r = up((1 + x.r) * grown - 1 + 2.0**-50)
        return self.ranged(rounded(Record(found.shape, r, a0=a0), 1, ETA), found)

    def _length_factor(self, length: Measured) -> Array:
        """c of a value that is never less than c N."""
        found = {}
        for program in used(length.program):
            factor = 1.0
            for name, constant in self.tables.programs[program]:
                if name in ("mul", "div_root") and constant is not None:
                    one = line(((name, constant),))
                    factor *= one.low if one is not None and one.low > 0 else 0.0
                elif name == "sqrt":
                    factor = np.sqrt(max(factor, 0.0))
                elif name not in ("add", "max") or constant is None or constant < 0:
                    factor = 0.0
            found[program] = factor * (1 - 2.0**-40)
        square = {row: np.sqrt(self.sizes(row).least) for row in used(length.row)}
        return np.asarray(by_program(length, found) * by_row(length, square) * (1 - 2.0**-40))


def largest(numbers: Exact) -> float:
    """At least the largest size of some numbers."""
    under = numbers.denominator
    return max(
        (real_size(over(n, under)) for n in _extremes(thin(numbers.numerators))), default=0.0
    )


def _extremes(few: Any) -> list[Any]:
    flat: list[Any] = few.ravel().tolist()
    if all(isinstance(n, int) for n in flat):
        return [max(flat), min(flat)] if flat else []
    return flat
