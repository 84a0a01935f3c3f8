"""The Lagrangian bound: the one rule by which facts about some measurements bound others.

Theorem (weak duality; theory, section 4). Let z be in a box whose ends may be infinite, F any
function of z, and f_i functions with low_i <= f_i(z) <= high_i for every z that counts. For all
multipliers t,

    F(z)  >=  min over the box of ( F + sum t_i f_i )  -  sum t_i^+ high_i  +  sum t_i^- low_i,

because t_i f_i(z) is at most t_i high_i for t_i > 0 and t_i low_i for t_i < 0. An open end, which
is infinite, must not be charged.

Here all functions are A |z|^2 + <g, z> + c with scalar A: measurements (|z|^2 - 2 <p, z> + |p|^2,
or -<p, z>), and constraints of the domain. An angular measurement is -<p, u> of u = z / |z| (or 0),
which is anywhere in the ball |u|^2 <= 1 if z is free: a constraint like others. So the bracket is a
sum over channels of A x^2 + g x, plus a constant. Its least value on [lo, hi] is

* A > 0: at x = -g / 2A, where it is -g^2 / 4A, or at the end next to it;
* A <= 0: at an end, because it is concave. With an end that is infinite it is bounded only for
  A = 0 and a g that points away from it; without any end, only for A > 0.

Rows are integers, and bound one measurement exactly; forms are balls, and bound a sum of them. In
free space the least value is -|g|^2 / 4A, which rows know from inner products of prototypes. (With
A the multiplier of the ball's constraint, that is the ball rule for angles: for |u| <= 1, any A > 0
and any t, <g, u> >= -A - |g + sum t_i g_i|^2 / 4A - what the facts charge.)

A diagonal geometry has one A per channel and is not bounded here; nor are angles divided by
lengths of their own, which no single u has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import mul
from typing import TypeVar

from flint import arb, arb_mat, fmpz, fmpz_mat

from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio
from protoproof.kernel.budget import OPERATION, integer, product, spend, width
from protoproof.kernel.latent.domain import Constraint, LatentDomain
from protoproof.kernel.model.head import Head

Number = TypeVar("Number", int, arb)
# lower and upper end of an interval; None: infinite
Interval = tuple[Ratio | None, Ratio | None]
Open = Sequence[int | None]
_PER_ROW = 1 << 17  # steps of a row over a box besides its numbers
_COUNT = "not one multiplier per fact and constraint"


class Lagrangian:
    """The rule at one location: its box, and the functions that multipliers may charge.

    These are the measurements of ``facts``, each in its interval of ``ends``, then ``constraints``.
    The box is that of a domain; a free one is the box without ends.

    Raises:
        ValueError: an end that is not over a power of two; constraints without a box.
    """

    def __init__(
        self,
        head: Head,
        box: LatentDomain,
        location: int,
        facts: Sequence[int] = (),
        ends: Sequence[Interval] = (),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        if not head.related:
            raise CertificateError(
                "multipliers do not bound distances with a weight per channel, nor angles that are "
                "divided by lengths of their own"
            )
        # the box is copied, and every end of what may be charged is brought to one unit
        ends_of_box = 2 * head.channels * (OPERATION if box.bounded else 1)
        spend("a rule", ends_of_box + 8 * OPERATION * (1 + len(facts) + len(constraints)))
        self._head, self._facts, self._constraints = head, facts, constraints
        self._free, self._size = not box.bounded, box.size
        self._shift = max(head.shift, box.shift)
        self._finer = self._shift - box.shift
        self._box: tuple[Open, Open] = [None] * head.channels, [None] * head.channels
        if box.bounded:
            lower, upper = box.ends(location)
            high = [None if n is None else n << self._finer for n in upper]
            self._box = [n << self._finer for n in lower], high
        charged = [*ends, *((c.low, c.high) for c in constraints)]
        known = [end for pair in charged for end in pair if end is not None]
        sloped = any(n for c in constraints for n in c.slope)
        if any(unit & (unit - 1) for _, unit in known) or (self._free and sloped):
            raise ValueError("an end that is not over a power of two, or slopes without a box")
        self._unit = max([2 * self._shift, *(end[1].bit_length() - 1 for end in known)])
        norms = [head.constants[i] << (self._unit - 2 * head.shift) for i in facts]
        norms += [0] * len(constraints)
        # what a multiplier of one charges, less the constant of its function; over 2**unit
        self._charges = [
            [None if end is None else (end[0] << self._unit) // end[1] - norm for end in pair]
            for pair, norm in zip(charged, norms, strict=True)
        ]
        self._open = any(None in pair for pair in charged)
        self._longest = width(*known)

    def charge(self, multipliers: Sequence[int]) -> int:
        """sum t_i^+ high_i - sum t_i^- low_i, less the constants of t_i f_i; over ``2**unit``.

        Raises:
            CertificateError: not one multiplier per function, or an open end is charged.
        """
        if len(multipliers) != len(self._charges):
            raise CertificateError(_COUNT)
        total = 0
        for t, (low, high) in zip(multipliers, self._charges, strict=True):
            if t:
                end = high if t > 0 else low
                if end is None:
                    raise CertificateError("charges an open end, which is infinite")
                total += t * end
        return total

    def accept(self, multipliers: Sequence[int]) -> None:
        """Refuse what :meth:`charge` refuses."""
        if len(multipliers) != len(self._charges):
            raise CertificateError(_COUNT)
        if self._open:  # else nothing has to be looked at
            self.charge(multipliers)

    def leading(self, multipliers: Sequence[int], lead: int) -> int:
        """A of F + sum t_i f_i, where F has A = ``lead``.

        Raises:
            CertificateError: it bounds nothing, because there is no box and A <= 0.
        """
        count = len(self._facts)
        total = self._head.square * (lead + sum(multipliers[:count]))
        if self._constraints:
            total += sum(map(mul, multipliers[count:], (c.square for c in self._constraints)))
        if self._free and total <= 0:
            raise CertificateError("a row has A <= 0, which bounds nothing")
        return total

    def row(self, prototype: int, sign: int, row: Sequence[int], shift: int) -> Ratio | None:
        """One lower bound of ``sign * q_j``, exactly; None where the row proves none."""
        return next((value for _, value in self.rows((prototype,), (row,), shift, sign)), None)

    def rows(
        self, prototypes: Sequence[int], theta: Sequence[Sequence[int]], shift: int, sign: int
    ) -> Iterator[tuple[int, Ratio]]:
        """(j, lower bound of ``sign * q_j``) per row that proves any.

        The multipliers are over S = 2**shift; everything is brought over S * 2**unit.

        Raises:
            CertificateError: see :meth:`charge` and :meth:`leading`.
        """
        if not prototypes:
            return
        self._spend(theta, shift)
        head, lead = self._head, sign << shift
        down, up = self._unit - 2 * self._shift, self._unit - 2 * head.shift
        charges = [self.charge(row) for row in theta]  # refuses what is malformed
        squares = self._squares(prototypes, theta, lead) if self._free else None
        for index, (prototype, row) in enumerate(zip(prototypes, theta, strict=True)):
            linear = (lead * head.constants[prototype] << up) - charges[index]
            least: tuple[int, int] | None
            if squares is not None:
                leading = self.leading(row, lead)
                least = 0, head.factor**2 * squares[index] << 2 * (self._shift - head.shift)
            else:
                leading, slope = self._added({prototype: lead}, row, 1)
                least = box_minimum(leading, slope, *self._box)
            if least is None:
                continue
            linear += least[0] << down
            if leading > 0:
                numerator = 4 * leading * linear - (least[1] << down)
                yield prototype, (numerator, (4 * leading << shift) << self._unit)
            else:
                yield prototype, (linear, 1 << (shift + self._unit))

    def _spend(self, theta: Sequence[Sequence[int]], shift: int) -> None:
        head, count = self._head, len(self._facts)
        size = width(*theta) + shift // 64
        long = head.size + self._size
        if self._free:
            each = count * (count * product(size, 2 * head.size) + 8 * integer(size, 2 * long))
            each += 24 * integer(size + long + self._longest)
        else:
            terms = 12 + 2 * len(self._constraints)
            each = terms * integer(size + long, size + long) + count * product(size, head.size)
            each += (count + 1) * OPERATION  # prototypes become a matrix for every row
            each = each * head.channels + _PER_ROW
        spend("rows of multipliers", len(theta) * each)

    def _added(
        self, linear: Mapping[int, Number], multipliers: Sequence[int], unit: Number
    ) -> tuple[Number, list[Number]]:
        """A, and g over ``2**shift``, of sum lambda_j q_j + sum t_i f_i; t are times ``unit``."""
        head, count = self._head, len(self._facts)
        total = dict(linear)
        for j, t in zip(self._facts, multipliers, strict=False):
            total[j] = total[j] + unit * t if j in total else unit * t
        leading = head.square * sum(total.values(), unit * 0)
        factor = head.factor << (self._shift - head.shift)
        slope = [unit * 0] * head.channels
        if total:
            slope = [n * factor for n in _weighted(head, total)]
        for t, constraint in zip(multipliers[count:], self._constraints, strict=True):
            if t:
                leading += unit * (t * constraint.square)
                step = unit * (t << self._finer)
                slope = [g + step * n for g, n in zip(slope, constraint.slope, strict=True)]
        return leading, slope

    def _squares(
        self, prototypes: Sequence[int], theta: Sequence[Sequence[int]], lead: int
    ) -> list[int]:
        """|lead p_j + sum t_i p_i|^2 of every row, over ``2**(2 * head.shift)``: the Gram matrix.

        It is lead^2 |p_j|^2 + t . (G t + 2 lead g_j); over one fact, matrices would cost more.
        """
        head, facts = self._head, self._facts
        gram, count = head.gram_rows(facts), len(facts)
        pairs = list(zip(prototypes, (row[:count] for row in theta), strict=True))
        if not facts:
            return [lead * lead * head.norms[j] for j in prototypes]
        if count == 1:
            (i,) = facts
            return [
                lead * lead * head.norms[j] + t * (t * head.norms[i] + 2 * lead * int(gram[i][j]))
                for j, (t,) in pairs
            ]
        multipliers = fmpz_mat(len(pairs), count, [t for _, row in pairs for t in row])
        between = fmpz_mat(count, count, [gram[i][k] for i in facts for k in facts])
        across = fmpz_mat(len(pairs), count, [gram[i][j] for j, _ in pairs for i in facts])
        products = (multipliers * between + across * (2 * lead)).tolist()
        return [
            int(sum(map(mul, row, product), fmpz(lead * lead * head.norms[j])))
            for (j, row), product in zip(pairs, products, strict=True)
        ]

    def form(
        self,
        linear: Mapping[int, arb],
        multipliers: Sequence[int],
        unit: arb,
        less: Sequence[tuple[arb, Sequence[int]]] = (),
    ) -> arb:
        """A lower bound of sum lambda_j q_j - sum nu_k <c_k, z>; NaN where none is proved.

        Args:
            linear: lambda, by prototype.
            multipliers: integers, each times ``unit``.
            less: nu_k, and c_k over the domain's ``2**shift``.

        Raises:
            CertificateError: see :meth:`charge`.
        """
        head, charge = self._head, self.charge(multipliers)
        leading, slope = self._added(linear, multipliers, unit)
        for nu, normal in less:
            step = nu * (1 << self._finer)
            slope = [g - step * n for g, n in zip(slope, normal, strict=True)]
        least = ball_minimum(leading, slope, *self._box) / (1 << 2 * self._shift)
        norms = sum((value * head.constants[j] for j, value in linear.items()), arb(0))
        return least + norms / (1 << 2 * head.shift) - unit * charge / (1 << self._unit)


def free_rule(
    head: Head, where: LatentDomain, location: int, facts: Sequence[int], ends: Sequence[Interval]
) -> Lagrangian:
    """The rule over free space, which holds every domain; for angles, over the ball of z / |z|."""
    free = LatentDomain(where.locations, where.channels)
    return Lagrangian(head, free, location, facts, ends, unit_ball(head))


def unit_ball(head: Head) -> list[Constraint]:
    """What is known about z / |z|, which is 0 where z is."""
    if head.geometry != "angular":
        return []
    return [Constraint(1, [0] * head.channels, (0, 1), (1, 1))]


def _weighted(head: Head, total: Mapping[int, Number]) -> list[Number]:
    """sum coefficient_j p_j, [D] over ``2**head.shift``; prototypes are exact integers."""
    rows = [n for prototype in total for n in head.prototype(prototype)]
    points, values = fmpz_mat(len(total), head.channels, rows), list(total.values())
    if isinstance(values[0], arb):
        balls: list[Number] = (arb_mat(1, len(total), values) * arb_mat(points)).entries()
        return balls
    return [int(n) for n in (fmpz_mat(1, len(total), values) * points).entries()]


def box_minimum(
    leading: Number, slope: Sequence[Number], lower: Open, upper: Open
) -> tuple[Number, Number] | None:
    """The least value of the sum over channels of A x^2 + g x; None where it is unbounded.

    It is (whole, square): whole - square / 4A for A > 0, else whole. For balls, comparisons hold
    where they certainly do: -g^2 / 4A bounds a channel wherever the vertex lies, and an end is
    taken only if the vertex certainly lies beyond it. A is certainly positive, or certainly not.
    """
    whole = square = leading * 0
    bent = leading > 0
    for g, low, high in zip(slope, lower, upper, strict=True):
        if bent:
            if low is not None and 2 * leading * low >= -g:
                whole += (leading * low + g) * low
            elif high is not None and 2 * leading * high <= -g:
                whole += (leading * high + g) * high
            else:
                square += g * g
        elif low is None or high is None:
            if low is None or not (leading == 0 and g >= 0):
                return None
            whole += g * low
        else:
            whole += _smaller((leading * low + g) * low, (leading * high + g) * high)
    return whole, square


def ball_minimum(leading: arb, slope: Sequence[arb], lower: Open, upper: Open) -> arb:
    """A ball around a lower bound of :func:`box_minimum`; NaN where nothing bounds it.

    Where A is not certainly positive, a lower bound replaces it, as squares are not negative.
    """
    leading = leading if leading > 0 else leading.lower()
    least = None if leading.is_nan() else box_minimum(leading, slope, lower, upper)
    if least is None:
        return arb("nan")
    return least[0] - least[1] / (4 * leading) if leading > 0 else least[0]


def _smaller(left: Number, right: Number) -> Number:
    """The smaller one; of balls, a ball around it."""
    return left.min(right) if isinstance(left, arb) else min(left, right)
