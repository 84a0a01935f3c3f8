"""Rows of multipliers and implied bounds: what a certificate's blocks prove about measurements."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Protocol

from protoproof.certificate.schema import ActivationFact, Core, DomainBlock, ImpliedBound, PairBlock
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio, grid_floor, hex_ratio
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.lagrangian import Interval, Lagrangian
from protoproof.kernel.model.head import Head

Block = PairBlock | DomainBlock


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
        not where.bounded or block.location >= head.location_count
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
        for row in rows.theta:
            try:
                here.accept(row)
                here.leading(row, sign << block.shift)
            except CertificateError as error:
                yield f", {word}: {error}"
                break


def _rule(head: Head, where: LatentDomain, block: Block, known: Intervals) -> Lagrangian:
    ends = [known[block.location, prototype] for prototype in block.facts]
    if isinstance(block, PairBlock):  # in free space, which holds every domain
        free = LatentDomain(where.locations, where.channels)
        return Lagrangian(head, free, block.location, block.facts, ends)
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
    """(j, upper bound of the best measurement m_j, over ``2**GRID`` and rounded up) per entry.

    Some location has q_i <= h, for i = ``via``. There, the Lagrangian bound of -q_j with multiplier
    1 + s of that fact, for a stretch s > 0, says

        m_j  <=  q_j  <=  (1 + s) h + (1 + 1/s) |p_i - p_j|^2.

    Args:
        nearest: h by i, the upper end of what is known about i.
    """
    free = LatentDomain(head.location_count, head.channels)
    rules: dict[int, Lagrangian] = {}
    for entry in entries:
        via = entry.via
        if via not in rules:
            rules[via] = Lagrangian(head, free, 0, (via,), ((None, nearest[via]),))
        stretch, unit = hex_ratio(entry.stretch)
        row = (stretch + unit,)
        found = rules[via].row(entry.prototype, -1, row, unit.bit_length() - 1)
        if found is None:
            raise CertificateError("an implied bound that bounds nothing")
        yield entry.prototype, -grid_floor(found)
