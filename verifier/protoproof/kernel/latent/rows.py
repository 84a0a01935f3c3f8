"""Rows of multipliers and implied bounds: what a certificate's blocks prove about measurements."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from math import isqrt
from typing import Protocol

from protoproof.certificate.schema import ActivationFact, Core, DomainBlock, ImpliedBound, PairBlock
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio, grid_floor, hex_ratio
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.lagrangian import Interval, Lagrangian, free_rule
from protoproof.kernel.model.head import Head

Block = PairBlock | DomainBlock
_FINER = 40  # more bits of a ball's multiplier than of a stretch


class Intervals(Protocol):
    """The pairs (location, prototype) whose measurement multipliers may charge, with its ends."""

    def __contains__(self, pair: object) -> bool:
        """Whether something is known about a pair."""

    def __getitem__(self, pair: tuple[int, int]) -> Interval:
        """The ends; None where one is open."""


def row_complaints(head: Head, core: Core, where: LatentDomain) -> Iterator[str]:
    """What is malformed about a certificate's blocks and implied bounds (obligation 7)."""
    known = intervals(core.facts)
    for blocks in (core.evidence.blocks, core.evidence.domain_blocks):
        seen: set[tuple[int, tuple[int, ...], int]] = set()
        for block in blocks:
            word = "domain block" if isinstance(block, DomainBlock) else "block"
            place = f"{word} at location {block.location}"
            # every block bounds on its own, so a location may have many; but not the same one twice
            kind = block.location, block.facts, block.shift
            if kind in seen:
                yield f"{place}: a second block with the same facts and shift"
                return  # each of them would cost as much as a block that says something
            seen.add(kind)
            for text in block_complaints(head, where, block, known):
                yield f"{place}{text}"
    named = {f.prototype for f in core.facts if isinstance(f, ActivationFact)}
    yield from implied_complaints(head, core.evidence.implied, named)


def boundable(head: Head, where: LatentDomain) -> bool:
    """Whether a domain says more about measurements than free space: angles do not see a box."""
    return where.bounded and head.geometry != "angular"


def implied_complaints(
    head: Head, entries: Iterable[ImpliedBound], named: Container[int]
) -> Iterator[str]:
    """``named``: the prototypes whose best measurement has an upper bound to start from."""
    for index, entry in enumerate(entries):
        if entry.prototype >= head.prototype_count:
            yield f"implied bound {index}: prototype out of range"
        if entry.via not in named:
            yield f"implied bound {index}: uses an activation fact that is not stated"
        if hex_ratio(entry.stretch)[0] <= 0:
            yield f"implied bound {index}: its stretch is not positive"
        if head.geometry not in ("euclidean", "angular") or not head.related:
            yield f"implied bound {index}: one prototype implies nothing about another here"
        elif max(entry.prototype, entry.via) < head.prototype_count and not (
            head.prototype_bank[entry.prototype] == head.prototype_bank[entry.via]
            and head.nearest(entry.prototype)
            and head.nearest(entry.via)
        ):
            yield f"implied bound {index}: the two are not the nearest of one bank"


def block_complaints(
    head: Head, where: LatentDomain, block: Block, known: Intervals
) -> Iterator[str]:
    """What is malformed about one block; nothing means that :func:`block_bounds` evaluates it."""
    if len(set(block.facts)) != len(block.facts) or (
        isinstance(block, PairBlock) and not block.facts
    ):
        yield ": no facts, or one twice"
    if any((block.location, prototype) not in known for prototype in block.facts):
        yield ": uses a pair fact that the certificate does not state"
        return
    if isinstance(block, DomainBlock) and (
        not boundable(head, where) or block.location >= head.location_count
    ):
        yield ": the domain bounds nothing, or the location is out of range"
        return
    here = _rule(head, where, block, known)
    for word, rows, sign in (("lower", block.lower, 1), ("upper", block.upper, -1)):
        unique = len(set(rows.prototypes)) == len(rows.prototypes) == len(rows.theta)
        if not unique:
            yield f", {word}: not one row per prototype, each once"
        if any(prototype >= head.prototype_count for prototype in rows.prototypes):
            yield f", {word}: prototype out of range"
        elif not all(head.measures(block.location, prototype) for prototype in rows.prototypes):
            yield f", {word}: a prototype of another bank"
        for row in rows.theta:
            try:
                here.accept(row)
                here.leading(row, sign << block.shift)
            except CertificateError as error:
                yield f", {word}: {error}"
                break


def _rule(head: Head, where: LatentDomain, block: Block, known: Intervals) -> Lagrangian:
    ends = [known[block.location, prototype] for prototype in block.facts]
    if isinstance(block, PairBlock):
        return free_rule(head, where, block.location, block.facts, ends)
    constraints = where.constraints(block.location)
    return Lagrangian(head, where, block.location, block.facts, ends, constraints)


def block_bounds(
    head: Head, where: LatentDomain, blocks: Iterable[Block], known: Intervals
) -> Iterator[tuple[int, int, int | None, int | None]]:
    """(location, prototype, lower, upper) from every row of well-formed blocks."""
    for block in blocks:
        here = _rule(head, where, block, known)
        low, high = block.lower, block.upper
        for prototype, bound in here.rows(low.prototypes, low.theta, block.shift, 1):
            yield block.location, prototype, grid_floor(bound), None
        for prototype, bound in here.rows(high.prototypes, high.theta, block.shift, -1):
            yield block.location, prototype, None, -grid_floor(bound)


def implied_bounds(
    head: Head, entries: Iterable[ImpliedBound], nearest: Mapping[int, Ratio]
) -> Iterator[tuple[int, int]]:
    """(j, upper bound of the least measurement t_j, over ``2**GRID`` and rounded up) per entry.

    Some location has m_i <= h, for i = ``via``. There, the Lagrangian bound of -m_j says, for a
    stretch s > 0: with the multiplier 1 + s of that fact, for squared distances,

        t_j  <=  m_j  <=  (1 + s) h + (1 + 1/s) |p_i - p_j|^2,

    and with s, for angles, t_j <= s h + |p_j - s p_i|, up to the rounding of the ball's multiplier,
    which is best at half that length.

    Args:
        nearest: h by i, the upper end of what is known about i.
    """
    free = LatentDomain(head.location_count, head.channels)
    rules: dict[int, Lagrangian] = {}
    for entry in entries:
        via = entry.via
        if via not in rules:
            rules[via] = free_rule(head, free, 0, (via,), ((None, nearest[via]),))
        stretch, unit = hex_ratio(entry.stretch)
        shift = unit.bit_length() - 1
        row: tuple[int, ...] = (stretch + unit,)
        if head.geometry == "angular":
            row, shift = angular_row(head, entry, stretch, unit), shift + _FINER
        found = rules[via].row(entry.prototype, -1, row, shift)
        if found is None:
            raise CertificateError("an implied bound that bounds nothing")
        yield entry.prototype, -grid_floor(found)


def angular_row(head: Head, entry: ImpliedBound, stretch: int, unit: int) -> tuple[int, int]:
    """Multipliers of the fact and of the ball, over ``unit << _FINER``; any positive one bounds."""
    j, via = entry.prototype, entry.via
    between = int(head.gram_rows((via,))[via][j])
    square = unit * (unit * head.norms[j] - 2 * stretch * between) + stretch**2 * head.norms[via]
    half = isqrt(square << (2 * _FINER)) >> (head.shift + 1)
    return stretch << _FINER, half + 1
