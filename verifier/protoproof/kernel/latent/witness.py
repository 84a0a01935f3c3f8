"""Witnesses: latents that meet every fact but one and are predicted something else, exactly.

A witness proves that its fact is necessary. How it was built carries no weight: the point is
materialised in rationals, and everything that is claimed about it is evaluated there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from flint import fmpq_mat, fmpz_mat

from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, Move, PairFact, Witness
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import decode_floats, float32_integers
from protoproof.kernel.budget import (
    OPERATION,
    hold,
    integer,
    limbs,
    product,
    room,
    spend,
    stored,
    width,
)
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import broken
from protoproof.kernel.latent.margins import loses, stated_score
from protoproof.kernel.latent.measurement import Latent, Moved
from protoproof.kernel.latent.measurer import Point


def witness_complaints(
    core: Core, where: LatentDomain, latent: Latent, witness: Witness
) -> Iterator[str]:
    """Everything that is wrong with one witness; nothing means that its fact is necessary.

    Raises:
        CertificateError: the construction itself makes no sense.
    """
    points = materialise(latent, where, witness.moves)
    yield from departures(where, latent, points)
    moved = latent.moved(points)
    spend("the facts at a witness", 8 * OPERATION * len(core.facts))
    _measure(core, moved, witness.rival)
    others = [
        (index, fact)
        for index, fact in enumerate(core.facts)
        # a pair fact is true at v (obligation 6), and where nothing moved it still is
        if index != witness.fact
        and not (isinstance(fact, PairFact) and fact.location not in points)
    ]
    for index in broken(others, moved):
        yield f"violates fact {index} too"
    if not loses(latent.head, core.instance, witness.rival, moved):
        yield f"does not certainly lose to class {witness.rival}"


def departures(where: LatentDomain, latent: Latent, points: Mapping[int, Point]) -> Iterator[str]:
    """Where a latent, moved to ``points`` at some locations, leaves the domain."""
    moves = sum(integer(point.size + where.size, point.size) for point in points.values())
    spend("a latent in the domain", 8 * latent.head.channels * moves)
    for location, point in points.items():
        place = where.outside(location, point.numerators, point.denominator << latent.shift)
        if place is not None:
            yield f"leaves the domain at {place}"
    if not where.joints:
        return
    _charge_bounds(where, latent, points)
    joint = where.outside_jointly(
        {
            location: (point.numerators, point.denominator << latent.shift)
            for location, point in enumerate(
                points.get(location, Point(here)) for location, here in enumerate(latent.points)
            )
        }
    )
    if joint is not None:
        yield f"leaves the domain: {joint}"


def _charge_bounds(where: LatentDomain, latent: Latent, points: Mapping[int, Point]) -> None:
    """Charge the linear bounds at a latent; every moved location has a denominator of its own."""
    sizes = [point.size + where.size for point in points.values()]
    each = len(latent.points) * integer(latent.size, where.size)
    each += sum(integer(size, size) for size in sizes)
    common = sum(integer(sum(sizes[: i + 1]), sizes[i]) for i in range(len(sizes)))
    steps = 2 * latent.head.channels * each + 4 * common
    spend("the linear bounds at a latent", len(where.joints) * steps)


def _measure(core: Core, moved: Moved, rival: int) -> None:
    """Compute together what facts and margin will ask for; a matter of speed alone."""
    head = moved.latent.head
    everywhere = set(head.decision.needed(stated_score(head, core.instance, rival).weights))
    local: dict[int, set[int]] = {location: set() for location in moved.points}
    for fact in core.facts:
        if isinstance(fact, CeilingFact):
            spend("the ceilings at a witness", OPERATION * head.prototype_count)
            everywhere |= set(range(head.prototype_count)) - set(fact.exempt)
        elif isinstance(fact, ActivationFact):
            everywhere.add(fact.prototype)
        elif fact.location in local:
            local[fact.location].add(fact.prototype)
    moved.need({location: everywhere | own for location, own in local.items()})


def materialise(latent: Latent, where: LatentDomain, moves: Sequence[Move]) -> dict[int, Point]:
    """The moved locations, as exact points.

    Raises:
        CertificateError: an index out of range, a location moved twice, or a malformed move.
    """
    around_zero = latent.head.geometry == "angular" or where.kind == "sphere"
    points: dict[int, Point] = {}
    for move in moves:
        if move.location >= latent.head.location_count or move.location in points:
            raise CertificateError(f"moves location {move.location}: out of range, or twice")
        key = move, around_zero
        if key not in latent.reached:
            latent.reached[key] = _apply(latent, move, around_zero)
        points[move.location] = latent.reached[key]
    return points


def _apply(latent: Latent, move: Move, around_zero: bool) -> Point:
    """Where a move leads. With ``keep``, to a point whose kept measurements are those of v.

    * euclidean: the second point of a line with the sphere around a kept prototype, along which no
      difference of kept distances changes.
    * linear: any point of a line that is orthogonal to the kept prototypes; where length matters
      (``around_zero``: angles, and a sphere as domain), the second one with the sphere around 0.

    Nothing rests on that: facts and margins are evaluated at the point.
    """
    head, here = latent.head, latent.points[move.location]
    spend("a moved location", 16 * head.channels * integer(latent.size, 5))
    hold("a moved location", stored(2 * head.channels, latent.size + 5))
    direction, shift = float32_integers(decode_floats(move.direction, head.channels, np.float32))
    if not move.keep:
        return _shifted(latent, here, (direction, 1 << shift))
    if len(set(move.keep)) != len(move.keep) or max(move.keep) >= head.prototype_count:
        raise CertificateError("keeps a prototype twice, or one that does not exist")
    if len(move.keep) > head.channels + 1:
        raise CertificateError("keeps more prototypes than an affine basis has")
    if head.geometry == "diagonal":
        raise CertificateError("keeps distances with a weight per channel, which no line does")
    euclidean = head.geometry == "euclidean"
    base = head.prototype(move.keep[0]) if euclidean else [0] * head.channels
    kept = move.keep[1:] if euclidean else move.keep
    along, unit = _project(latent, kept, base, direction)
    if not euclidean and not around_zero:
        return _shifted(latent, here, (along, unit << shift))
    up = latent.shift - head.shift
    return second_intersection(here, [n << up for n in base], _reduced(along))


def _shifted(latent: Latent, here: list[int], direction: tuple[list[int], int]) -> Point:
    """The point here + direction, whose numerators are over a unit."""
    numerators, unit = direction
    common = math.gcd(unit, 1 << latent.shift)
    finer, coarser = unit // common, (1 << latent.shift) // common
    moved = [a * finer + b * coarser for a, b in zip(here, numerators, strict=True)]
    return Point(moved, finer)


def _reduced(along: list[int]) -> list[int]:
    common = math.gcd(*along) or 1
    return [n // common for n in along]


def second_intersection(here: list[int], centre: list[int], along: list[int]) -> Point:
    """Where the line through ``here`` along ``along`` meets the sphere around ``centre`` again.

    |here + t along - centre| = |here - centre| has the solutions t = 0 and
    t = -2 along.(here - centre) / |along|^2. A tangent gives ``here`` itself.

    Raises:
        CertificateError: the direction is zero.
    """
    square = sum(n * n for n in along)
    if not square:
        raise CertificateError("its direction vanishes after the projection")
    product = sum(a * (v - c) for a, v, c in zip(along, here, centre, strict=True))
    return Point([v * square - 2 * product * a for v, a in zip(here, along, strict=True)], square)


def _project(
    latent: Latent, kept: Sequence[int], base: list[int], direction: list[int]
) -> tuple[list[int], int]:
    """The direction's part that is orthogonal to p_i - base for all kept i, over a unit.

    Moving along it changes no product with them: no difference |z - p_i|^2 - |z - base|^2, whose
    gradient is -2 (p_i - base), and, with 0 for a base, no <p_i, z>.
    """
    head = latent.head
    if not kept:
        return direction, 1
    _charge_projection(latent, len(kept), width(direction))
    rows = [[a - b for a, b in zip(head.prototype(i), base, strict=True)] for i in kept]
    spanning = fmpz_mat(rows)
    column = fmpz_mat([[n] for n in direction])
    transposed = spanning.transpose()
    try:  # the Gram matrix is singular exactly where the rows are dependent
        weights = fmpq_mat(spanning * transposed).solve(fmpq_mat(spanning * column))
    except ZeroDivisionError as error:
        raise CertificateError("the prototypes it keeps are dependent; keep fewer") from error
    numerators, denominator = weights.numer_denom()
    part = transposed * numerators
    unit = int(denominator)
    return [unit * d - int(part[k, 0]) for k, d in enumerate(direction)], unit


def _charge_projection(latent: Latent, count: int, along: int) -> None:
    """Charge the projection away from so many differences of prototypes.

    The Gram determinant and the solution's numerators are at most products of ``count`` entries,
    each of at most twice the bits of a coordinate (Hadamard); the system is solved modulo enough
    primes for that, at a cost of their number times ``count``**2, measured to be below 2**11 steps.
    """
    channels, size = latent.head.channels, latent.head.size
    longest = limbs(count * (128 * size + 2 * channels.bit_length())) + along
    steps = count * count * (channels * product(size, size) + 2048 * longest)
    spend(
        "a projection", steps + channels * (count * product(longest, size) + 8 * integer(longest))
    )
    final = 3 * longest + 2 * latent.size  # of the point that it leads to
    spend("a projection", 8 * channels * integer(final, final))
    room("a projection", 16 * longest * (2 * count + channels) + 16 * count * (count + channels))
    hold("a projection", stored(channels, final))
