"""Rows of multipliers and implied bounds: what a certificate's blocks prove about measurements."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from fractions import Fraction
from math import isqrt
from typing import Protocol

from protoproof.certificate.schema import (
    ActivationFact,
    CeilingFact,
    Core,
    DomainBlock,
    Fact,
    ImpliedBound,
    PairBlock,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import Ratio, grid_floor, hex_ratio
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.facts import intervals
from protoproof.kernel.latent.lagrangian import Interval, Lagrangian, free_rule
from protoproof.kernel.model.head import Head

Block = PairBlock | DomainBlock
_FINER = 40  # more bits of a ball's multiplier than of a stretch


class Ends(Protocol):
    """What is known on one side about the best measurements of some prototypes."""

    def __getitem__(self, prototype: int, /) -> Ratio:
        """The end."""


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
    if core.evidence.implied:
        named = {f.prototype for f in core.facts if isinstance(f, ActivationFact)}
        yield from implied_complaints(head, core.evidence.implied, named, Far(head, core.facts))


def boundable(head: Head, where: LatentDomain) -> bool:
    """Whether a domain says more about measurements than free space: angles do not see a box."""
    return where.bounded and head.geometry != "angular"


def implied_complaints(
    head: Head, entries: Iterable[ImpliedBound], near: Container[int], far: Container[int]
) -> Iterator[str]:
    """What is malformed about implied bounds.

    ``near``, ``far``: the prototypes whose best measurement has an upper, a lower bound to start
    from.
    """
    for index, entry in enumerate(entries):
        stretch, unit = hex_ratio(entry.stretch)
        if entry.prototype >= head.prototype_count:
            yield f"implied bound {index}: prototype out of range"
        if entry.via not in (near if stretch >= 0 else far):
            yield f"implied bound {index}: uses a fact that is not stated"
        if not stretch or (stretch <= -unit and head.geometry != "angular"):
            yield f"implied bound {index}: its stretch bounds nothing"
        if head.geometry not in ("euclidean", "angular") or not head.related:
            yield f"implied bound {index}: one prototype implies nothing about another here"
        elif max(entry.prototype, entry.via) < head.prototype_count and not (
            head.prototype_bank[entry.prototype] == head.prototype_bank[entry.via]
            and head.nearest(entry.prototype)
            and head.nearest(entry.via)
        ):
            yield f"implied bound {index}: the two are not the nearest of one bank"


class Far:
    """The lower ends that activation facts, and ceilings about values, give to best measurements:
    the prototypes that have one, and each one's."""

    def __init__(self, head: Head, facts: Iterable[Fact]) -> None:
        self._count = head.prototype_count
        self._own: dict[int, Ratio] = {}
        self._ceilings: list[tuple[Ratio, frozenset[int]]] = []
        for fact in facts:
            if isinstance(fact, ActivationFact):
                self._own[fact.prototype] = hex_ratio(fact.lower)
            elif isinstance(fact, CeilingFact) and head.uniform:
                self._ceilings.append((hex_ratio(fact.bound), frozenset(fact.exempt)))

        self._found: dict[int, Ratio | None] = {}

    def _end(self, prototype: int) -> Ratio | None:
        if prototype not in self._found:
            spend("implied bounds", OPERATION * (2 + len(self._ceilings)))
            ends = [bound for bound, exempt in self._ceilings if prototype not in exempt]
            ends += [self._own[prototype]] if prototype in self._own else []
            best = max(ends, key=lambda end: Fraction(*end), default=None)
            self._found[prototype] = best if prototype < self._count else None
        return self._found[prototype]

    def __contains__(self, prototype: object) -> bool:
        return isinstance(prototype, int) and self._end(prototype) is not None

    def __getitem__(self, prototype: int) -> Ratio:
        end = self._end(prototype)
        if end is None:
            raise KeyError(prototype)
        return end


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
    head: Head, entries: Iterable[ImpliedBound], near: Ends, far: Ends
) -> Iterator[tuple[int, int | None, int | None]]:
    """(j, lower, upper) bound of the least measurement t_j, over ``2**GRID``, rounded outwards.

    *Upper* (stretch s > 0). Some location has m_i <= h, for i = ``via``. There, the Lagrangian
    bound of -m_j says, with the multiplier 1 + s of that fact, for squared distances,

        t_j  <=  m_j  <=  (1 + s) h + (1 + 1/s) |p_i - p_j|^2,

    and with s, for angles, t_j <= s h + |p_j - s p_i|, up to the rounding of the ball's multiplier,
    which is best at half that length.

    *Lower* (s < 0): the other way round. t_i >= h says that m_i >= h at every location of the
    bank, hence at the one that attains t_j. There, the Lagrangian bound of m_j says, with the
    multiplier -r, r = 1 + s in (0, 1), for squared distances, where A = 1 - r = -s > 0,

        t_j  =  m_j  >=  r h - r / (1 - r) |p_i - p_j|^2  =  (1 + s) h + (1 + 1/s) |p_i - p_j|^2,

    best at r = 1 - |p_i - p_j| / sqrt(h), where it is (sqrt(h) - |p_i - p_j|)^2: the triangle
    inequality. With the multiplier s, for angles, t_j >= -s h - |p_j + s p_i|.

    Args:
        near, far: h by i, the upper and the lower end of what is known about t_i.
    """
    free = LatentDomain(head.location_count, head.channels)
    rules: dict[tuple[int, bool], Lagrangian] = {}
    for entry in entries:
        via, below = entry.via, hex_ratio(entry.stretch)[0] < 0
        if (via, below) not in rules:
            ends = (far[via], None) if below else (None, near[via])
            rules[via, below] = free_rule(head, free, 0, (via,), (ends,))
        row, shift = implied_row(head, entry)
        found = rules[via, below].row(entry.prototype, 1 if below else -1, row, shift)
        if found is None:
            raise CertificateError("an implied bound that bounds nothing")
        end = grid_floor(found)
        yield (entry.prototype, end, None) if below else (entry.prototype, None, -end)


def implied_row(head: Head, entry: ImpliedBound) -> tuple[tuple[int, ...], int]:
    """The multipliers of the fact and, for angles, of the ball, over two to the second."""
    stretch, unit = hex_ratio(entry.stretch)
    shift = unit.bit_length() - 1
    if head.geometry != "angular":
        return (stretch + unit if stretch > 0 else -(stretch + unit),), shift
    j, via = entry.prototype, entry.via
    between = int(head.gram_rows((via,))[via][j])
    square = unit * (unit * head.norms[j] - 2 * abs(stretch) * between)
    square += stretch**2 * head.norms[via]
    # of the ball any positive multiplier bounds
    half = isqrt(square << (2 * _FINER)) >> (head.shift + 1)
    return (stretch << _FINER, half + 1), shift + _FINER
