"""What is malformed about rows of multipliers and implied bounds (obligation 7)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from protoproof.certificate.schema import DomainBlock, ImpliedBound, PairBlock, Rows
from protoproof.kernel.arithmetic.exact import hex_ratio
from protoproof.kernel.latent.domain import Region
from protoproof.kernel.latent.lagrangian import charged_open_end
from protoproof.kernel.model.head import Head


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
    head: Head,
    region: Region,
    block: PairBlock | DomainBlock,
    known: Container[tuple[int, int]],
) -> Iterator[str]:
    """``known``: the pairs (location, prototype) whose intervals the rows may charge."""
    if len(set(block.facts)) != len(block.facts) or (
        isinstance(block, PairBlock) and not block.facts
    ):
        yield ": no facts, or one twice"
    if any((block.location, prototype) not in known for prototype in block.facts):
        yield ": uses a pair fact that the certificate does not state"
    if isinstance(block, DomainBlock) and (
        not region.bounded or block.location >= head.location_count
    ):
        yield ": the domain bounds nothing, or the location is out of range"
        return
    for word, rows, sign in (("lower", block.lower, 1), ("upper", block.upper, -1)):
        for text in _row_complaints(head, region, block, rows, sign):
            yield f", {word}: {text}"


def _row_complaints(
    head: Head, region: Region, block: PairBlock | DomainBlock, rows: Rows, sign: int
) -> Iterator[str]:
    if len(rows.prototypes) != len(rows.theta) or len(set(rows.prototypes)) != len(rows.prototypes):
        yield "not one row per prototype, each once"
    if any(prototype >= head.prototype_count for prototype in rows.prototypes):
        yield "prototype out of range"
    constraints = []
    if isinstance(block, DomainBlock):
        constraints = region.constraints(block.location)
    count = len(block.facts)
    if any(len(row) != count + len(constraints) for row in rows.theta):
        yield "a row has not one multiplier per fact and constraint"
    elif isinstance(block, DomainBlock):
        if any(charged_open_end(row, count, constraints) for row in rows.theta):
            yield "a row charges an open end, which is infinite"
    elif any((sign << block.shift) + sum(row) <= 0 for row in rows.theta):
        yield "a row has A <= 0, which bounds nothing"
