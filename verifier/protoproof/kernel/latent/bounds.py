"""What the premises prove about every prototype's best measurement.

The best measurement of prototype j is m_j = min over locations l of q_lj. Lower and upper bounds
are integers over ``2**GRID``, rounded outwards: a lower bound that is rounded down and an upper
bound that is rounded up stay bounds, so comparing the rounded ones is sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import mul

from flint import fmpz, fmpz_mat

from protoproof.certificate.schema import (
    ActivationFact,
    CeilingFact,
    Core,
    ImpliedBound,
    PairBlock,
    PairFact,
    Rows,
)
from protoproof.kernel.arithmetic.exact import GRID, Ratio, grid_ceiling, grid_floor, hex_ratio
from protoproof.kernel.latent.domain import Region
from protoproof.kernel.latent.lagrangian import domain_rows
from protoproof.kernel.latent.ranges import domain_ranges
from protoproof.kernel.model.head import Head

Interval = tuple[int, int | None]


class Bounds:
    """Bounds of every q_lj, and of every m_j, over all latents of the domain that meet the facts.

    Assumes that the blocks are well-formed (obligation 7) and refer to facts of ``core``.

    * At one location, q_lj is bounded by the domain, by the fact about (l, j), and by the rows of
      the blocks there; the best of them counts.
    * m_j is at least the least of the lower bounds of *all* locations: where there is no other,
      the domain's. It is at most the upper bound at any one location.
    * Activation and ceiling facts bound m_j itself, and an activation fact about one prototype
      bounds m_j of another from above.

    Attributes:
        best: per prototype, bounds of m_j.
    """

    def __init__(self, head: Head, core: Core, region: Region) -> None:
        self._alone = domain_ranges(head, region)
        self._uniform = region.uniform
        self._locations = head.location_count
        count = range(head.prototype_count)
        self._lower: list[dict[int, int]] = [{} for _ in count]  # prototype -> location -> bound
        self._upper: list[dict[int, int]] = [{} for _ in count]
        for location, prototype, low, high in _local_bounds(head, core, region):
            if low is not None:
                known = self._lower[prototype].get(location, low)
                self._lower[prototype][location] = max(known, low)
            if high is not None:
                known = self._upper[prototype].get(location, high)
                self._upper[prototype][location] = min(known, high)
        nearest = [self._nearest(j) for j in count]
        self.best = _with_implied(_with_activations(nearest, core), head, core)

    def _nearest(self, prototype: int) -> Interval:
        """Bounds of m_j from all locations."""
        below = self._lower[prototype]
        low, high = self._alone[0][prototype]
        if not self._uniform:
            ranges = [row[prototype] for row in self._alone]
            low = min(max(near, below.get(k, near)) for k, (near, _) in enumerate(ranges))
            high = min((far for _, far in ranges if far is not None), default=None)
        elif len(below) == self._locations:
            low = max(low, min(below.values()))
        for bound in self._upper[prototype].values():
            high = _least(high, bound)
        return low, high

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of q_lj.

        Every lower bound of m_j is one of q_lj, because m_j is the least of them; an upper bound
        of m_j says nothing about any one location.
        """
        near, high = self._alone[location][prototype]
        low = max(near, self.best[prototype][0])
        local = self._upper[prototype].get(location)
        return (
            max(low, self._lower[prototype].get(location, low)),
            high if local is None else _least(high, local),
        )

    def elsewhere(self, location: int, prototype: int) -> int | None:
        """A lower bound of q_kj at all locations k but one; None where there is no other."""
        others = [k for k in range(self._locations) if k != location]
        return min((self.at(k, prototype)[0] for k in others), default=None)


def _least(known: int | None, new: int) -> int:
    return new if known is None else min(known, new)


def _with_activations(intervals: list[Interval], core: Core) -> list[Interval]:
    for fact in core.facts:
        if isinstance(fact, ActivationFact):
            low, high = intervals[fact.prototype]
            intervals[fact.prototype] = (
                max(low, grid_floor(hex_ratio(fact.lower))),
                _least(high, grid_ceiling(hex_ratio(fact.upper))),
            )
        elif isinstance(fact, CeilingFact):
            bound, exempt = grid_floor(hex_ratio(fact.bound)), set(fact.exempt)
            intervals = [
                (low if prototype in exempt else max(low, bound), high)
                for prototype, (low, high) in enumerate(intervals)
            ]
    return intervals


def _with_implied(intervals: list[Interval], head: Head, core: Core) -> list[Interval]:
    upper = {f.prototype: hex_ratio(f.upper) for f in core.facts if isinstance(f, ActivationFact)}
    head.gram_rows(entry.via for entry in core.evidence.implied)
    for entry in core.evidence.implied:
        low, high = intervals[entry.prototype]
        bound = grid_ceiling(implied_bound(head, entry, upper[entry.via]))
        intervals[entry.prototype] = low, _least(high, bound)
    return intervals


def implied_bound(head: Head, entry: ImpliedBound, nearest: Ratio) -> Ratio:
    """An upper bound of the best measurement m_j of ``entry.prototype``.

    Theorem. Let some location have |z - p_i|^2 <= h (the activation fact about i = ``via`` says
    so). For any s > 0, with a = |z - p_i| and b = |p_i - p_j|,

        m_j <= |z - p_j|^2 <= (a + b)^2 <= (1 + s) a^2 + (1 + 1/s) b^2 <= (1 + s) h + (1 + 1/s) b^2

    because 2 a b <= s a^2 + b^2 / s.

    Args:
        nearest: h, the upper end of the fact about i.
    """
    i, j = entry.via, entry.prototype
    apart = head.norms[i] + head.norms[j] - 2 * int(head.gram_rows([i])[i][j])
    unit = 1 << (2 * head.shift)
    s, t = hex_ratio(entry.stretch)  # the stretch is s / t
    h, over = nearest
    return (s + t) * (s * h * unit + t * over * apart), s * t * over * unit


def _local_bounds(
    head: Head, core: Core, region: Region
) -> Iterable[tuple[int, int, int | None, int | None]]:
    """(location, prototype, lower, upper) from every pair fact and every row of every block."""
    ends: dict[int, dict[int, tuple[Ratio, Ratio]]] = {}
    for fact in core.facts:
        if isinstance(fact, PairFact):
            low, high = hex_ratio(fact.lower), hex_ratio(fact.upper)
            ends.setdefault(fact.location, {})[fact.prototype] = low, high
            yield fact.location, fact.prototype, grid_floor(low), grid_ceiling(high)
    # one product of matrices for the Gram rows of all blocks
    head.gram_rows(prototype for block in core.evidence.blocks for prototype in block.facts)
    for block in core.evidence.blocks:
        local = [ends[block.location][i] for i in block.facts]
        for prototype, bound in row_bounds(head, block, block.lower, local, 1):
            yield block.location, prototype, bound, None
        for prototype, bound in row_bounds(head, block, block.upper, local, -1):
            yield block.location, prototype, None, -bound
    for regional in core.evidence.domain_blocks:
        local = [ends[regional.location][i] for i in regional.facts]
        for prototype, bound in domain_rows(head, region, regional, regional.lower, local, 1):
            yield regional.location, prototype, bound, None
        for prototype, bound in domain_rows(head, region, regional, regional.upper, local, -1):
            yield regional.location, prototype, None, -bound


def row_bounds(
    head: Head,
    block: PairBlock,
    rows: Rows,
    ends: Sequence[tuple[Ratio, Ratio]],
    sign: int,
) -> list[tuple[int, int]]:
    """Lower bounds of ``sign * q_lj``, one per row, over ``2**GRID``, rounded down.

    Theorem (theory, section 4). Let t be a row over S = 2**shift, theta = t / S, and
    A = sign + sum theta_i > 0. For every z,

        sign q_j(z) + sum theta_i q_i(z)  =  A |z|^2 - 2 z.p + sign |p_j|^2 + sum theta_i |p_i|^2
                                         >=  sign |p_j|^2 + sum theta_i |p_i|^2 - |p|^2 / A

    with p = sign p_j + sum theta_i p_i; and where the facts hold, theta_i q_i(z) is at most
    theta_i h_i for theta_i > 0 and theta_i l_i for theta_i < 0. Subtract.

    Everything is brought over S A 2**unit, and p is never formed: |p|^2 comes from the Gram matrix.

    Args:
        ends: [l_i, h_i] of the facts, in the order of ``block.facts``.
        sign: 1 for lower bounds of q_lj, -1 for lower bounds of -q_lj.
    """
    if not rows.prototypes:
        return []
    scale = 1 << block.shift
    squares = _squares(head, block, rows, sign * scale)
    unit = max([2 * head.shift, *(d.bit_length() - 1 for pair in ends for _, d in pair)])
    finer = unit - 2 * head.shift
    slack_low, slack_high = (
        [
            (head.norms[i] << finer) - (pair[end][0] << unit) // pair[end][1]
            for i, pair in zip(block.facts, ends, strict=True)
        ]
        for end in (0, 1)
    )
    result = []
    for prototype, row, square in zip(rows.prototypes, rows.theta, squares, strict=True):
        leading = sign * scale + sum(row)  # S A
        linear = sign * scale * (head.norms[prototype] << finer)
        for column, t in enumerate(row):
            if t:
                linear += t * (slack_high[column] if t > 0 else slack_low[column])
        numerator = leading * linear - (square << finer)
        result.append((prototype, (numerator << GRID) // (scale * leading << unit)))
    return result


def _squares(head: Head, block: PairBlock, rows: Rows, lead: int) -> list[int]:
    """|lead p_j + sum t_i p_i|^2 of every row, over ``2**(2 * shift)``, from the Gram matrix.

    It is lead^2 |p_j|^2 + t . (G t + 2 lead g_j). Rows over one fact, the most frequent, are
    cheaper without matrices.
    """
    gram = head.gram_rows(block.facts)
    if len(block.facts) == 1:
        (i,) = block.facts
        return [
            lead * lead * head.norms[j] + t * (t * head.norms[i] + 2 * lead * int(gram[i][j]))
            for j, (t,) in zip(rows.prototypes, rows.theta, strict=True)
        ]
    count = len(block.facts)
    multipliers = fmpz_mat(len(rows.theta), count, [t for row in rows.theta for t in row])
    between = fmpz_mat(count, count, [gram[i][k] for i in block.facts for k in block.facts])
    across = fmpz_mat(
        len(rows.theta), count, [gram[i][j] for j in rows.prototypes for i in block.facts]
    )
    products = (multipliers * between + across * (2 * lead)).tolist()
    return [
        int(sum(map(mul, row, product), fmpz(lead * lead * head.norms[j])))
        for j, row, product in zip(rows.prototypes, rows.theta, products, strict=True)
    ]
