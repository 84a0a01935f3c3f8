"""The Lagrangian bound over a box, exactly: facts and domain together.

Theorem (theory, section 4; weak duality). Let f_i be functions of z with f_i(z) in [low_i, high_i]
for every z that counts, and F any function. For all multipliers t,

    F(z)  >=  min over the box of ( F + sum t_i f_i )  -  sum t_i^+ high_i  +  sum t_i^- low_i,

because t_i f_i(z) is at most t_i high_i for t_i > 0 and t_i low_i for t_i < 0. (An open end, which
is infinite, must not be charged.) Here all functions are A |z|^2 + <g, z> + c with scalar A, so the
bracket is a sum over channels of A x^2 + g x, and its least value on [lo, hi] is

* A > 0: at x = -g / 2A, where it is -g^2 / 4A, or at the end next to it;
* A <= 0: at an end, because it is concave. With hi infinite it is bounded only for A = 0 <= g.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flint import arb, fmpz_mat

from protoproof.certificate.schema import DomainBlock, Rows
from protoproof.kernel.arithmetic.exact import GRID, Ratio
from protoproof.kernel.latent.domain import Constraint, Region
from protoproof.kernel.model.head import Head

Charge = tuple[Ratio | None, Ratio | None]


@dataclass(frozen=True)
class Corner:
    """One location's box, over ``2**shift``, which is no coarser than prototypes and slopes."""

    shift: int
    lower: list[int]
    upper: list[int | None]

    @classmethod
    def of(cls, head: Head, region: Region, location: int) -> Corner:
        """The box of a bounded domain."""
        shift = max(head.shift, region.shift)
        up = shift - region.shift
        lower, upper = region.ends(location)
        return cls(shift, [n << up for n in lower], [None if n is None else n << up for n in upper])


def box_minimum(
    leading: int, slope: Sequence[int], lower: Sequence[int], upper: Sequence[int | None]
) -> Ratio | None:
    """min of sum over channels of A x^2 + g x over integers' box; None where it is unbounded."""
    whole = square = 0
    for g, low, high in zip(slope, lower, upper, strict=True):
        if leading > 0:
            if 2 * leading * low >= -g:
                whole += (leading * low + g) * low
            elif high is not None and 2 * leading * high <= -g:
                whole += (leading * high + g) * high
            else:
                square += g * g
        elif high is None:
            if leading < 0 or g < 0:
                return None
            whole += (leading * low + g) * low
        else:
            whole += min((leading * low + g) * low, (leading * high + g) * high)
    return (whole, 1) if leading <= 0 else (4 * leading * whole - square, 4 * leading)


def domain_rows(
    head: Head,
    region: Region,
    block: DomainBlock,
    rows: Rows,
    ends: Sequence[tuple[Ratio, Ratio]],
    sign: int,
) -> Iterable[tuple[int, int]]:
    """Lower bounds of ``sign * q_lj``, one per row that proves any, over ``2**GRID``, rounded down.

    Args:
        ends: [l_i, h_i] of the facts, in the order of ``block.facts``.
        sign: 1 for lower bounds of q_lj, -1 for lower bounds of -q_lj.
    """
    if not rows.prototypes:
        return
    corner = Corner.of(head, region, block.location)
    constraints = region.constraints(block.location)
    count = len(block.facts)
    up, finer = corner.shift - head.shift, corner.shift - region.shift
    scale, unit = 1 << block.shift, 1 << (2 * corner.shift)
    charges: list[Charge] = [*ends, *((c.low, c.high) for c in constraints)]
    # 2 sum t_i p_i for all rows at once
    points = [n for i in block.facts for n in head.prototype(i)]
    centre = fmpz_mat(count, head.channels, points) if count else None
    for prototype, row in zip(rows.prototypes, rows.theta, strict=True):
        facts, own = row[:count], row[count:]
        leading = sign * scale + sum(facts)
        leading += sum(t * c.square for t, c in zip(own, constraints, strict=True))
        slope = [-2 * sign * scale * n << up for n in head.prototype(prototype)]
        if centre is not None:
            pulled = (fmpz_mat(1, count, list(facts)) * centre).tolist()[0]
            slope = [g - (2 * int(n) << up) for g, n in zip(slope, pulled, strict=True)]
        for t, constraint in zip(own, constraints, strict=True):
            if t:
                slope = [g + (t * s << finer) for g, s in zip(slope, constraint.slope, strict=True)]
        least = box_minimum(leading, slope, corner.lower, corner.upper)
        if least is None:
            continue
        # everything so far over scale * unit
        norms = sign * scale * head.norms[prototype]
        norms += sum(t * head.norms[i] for t, i in zip(facts, block.facts, strict=True))
        numerator = least[0] + (norms << (2 * up)) * least[1]
        result = _less_charges((numerator, least[1] * scale * unit), row, charges, scale)
        yield prototype, (result[0] << GRID) // result[1]


def _less_charges(value: Ratio, row: Sequence[int], charges: Sequence[Charge], scale: int) -> Ratio:
    """value - sum t_i^+ high_i / scale + sum t_i^- low_i / scale."""
    numerator, denominator = 0, scale
    for t, (low, high) in zip(row, charges, strict=True):
        end = high if t > 0 else low
        if not t:
            continue
        if end is None:
            raise ValueError("an open end is charged")
        # all ends are over powers of two
        if end[1] > denominator // scale:
            numerator *= end[1] * scale // denominator
            denominator = end[1] * scale
        numerator += t * end[0] * (denominator // (scale * end[1]))
    return value[0] * denominator - numerator * value[1], value[1] * denominator


def charged_open_end(row: Sequence[int], count: int, constraints: Sequence[Constraint]) -> bool:
    """Whether a row of multipliers charges an infinite end of some constraint."""
    return any(
        (t > 0 and c.high is None) or (t < 0 and c.low is None)
        for t, c in zip(row[count:], constraints, strict=True)
    )


def ball_minimum(leading: arb, slope: Sequence[arb], corner: Corner) -> arb:
    """A ball around a lower bound of min over the box of A |z|^2 + <g, z>.

    As :func:`box_minimum`, for coefficients that are only known up to a ball. Where A is certainly
    positive, -g^2 / 4A bounds a channel wherever the vertex lies, and an end is taken only if the
    vertex certainly lies beyond it. Where it is not, A is replaced by a lower bound <= 0 of it
    (squares are not negative), for which the bracket is concave. NaN where nothing bounds it.
    """
    unit = arb(1 << corner.shift)
    bent = leading > 0
    if not bent:
        leading = leading.lower()
        if not leading <= 0:  # NaN
            return arb("nan")
    total = arb(0)
    for g, low, high in zip(slope, corner.lower, corner.upper, strict=True):
        near = arb(low) / unit
        far = None if high is None else arb(high) / unit
        if bent:
            vertex = -g / (2 * leading)
            if vertex <= near:
                total += (leading * near + g) * near
            elif far is not None and vertex >= far:
                total += (leading * far + g) * far
            else:
                total -= g * g / (4 * leading)
        elif far is not None:
            total += ((leading * near + g) * near).min((leading * far + g) * far)
        elif leading == 0 and g >= 0:
            total += g * near
        else:
            return arb("nan")
    return total
