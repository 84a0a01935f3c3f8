"""The proof of a lower bound of the size of explanations: refutations, and trees over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protoproof.prover.counterexample.refute import Refutation
from protoproof.prover.search.hitting_set import Node, Packing, prove

Cover = tuple[tuple[int, int] | None, tuple[Node, ...]]


@dataclass(frozen=True)
class SizeProof:
    """Refutations and case trees from which the checker derives the lower bound.

    ``covers`` are (first and last number of the ceilings, or None, and the tree).
    """

    refutations: tuple[Refutation, ...]
    covers: tuple[Cover, ...]


def covering(
    parts: Sequence[Sequence[int]],
    clauses: Sequence[frozenset[int]],
    size: int,
    numbered: bool,
) -> tuple[Cover, ...] | None:
    """Trees that no set of fewer than ``size`` facts meets the clauses of any part, or None.

    One tree serves neighbouring parts where the clauses that they share do.

    Args:
        parts: per ceiling, the indices of its clauses; or one for all explanations.
        clauses: sets of facts that every explanation meets.
        size: the bound.
        numbered: whether the parts belong to ceilings.
    """

    def tree(indices: set[int]) -> tuple[Node, ...] | None:
        order = sorted(indices)
        nodes = prove([clauses[index] for index in order], size)
        return None if nodes is None else _renumbered(nodes, dict(enumerate(order)))

    covers: list[Cover] = []
    first = 0
    while first < len(parts):
        last, shared = first, set(parts[first])
        nodes = tree(shared)
        if nodes is None:
            return None
        while last + 1 < len(parts):
            fewer = shared & set(parts[last + 1])
            more = tree(fewer)
            if more is None:
                break
            last, shared, nodes = last + 1, fewer, more
        covers.append(((first, last) if numbered else None, nodes))
        first = last + 1
    return tuple(covers)


def _renumbered(nodes: Sequence[Node], place: Mapping[int, int]) -> tuple[Node, ...]:
    """The same tree with other numbers for its clauses."""
    return tuple(
        Packing(tuple((place[index], weight) for index, weight in node.weights))
        if isinstance(node, Packing)
        else node
        for node in nodes
    )


def used(proof: SizeProof) -> SizeProof:
    """Without the refutations that no packing uses."""
    needed = sorted(
        {
            index
            for _, nodes in proof.covers
            for node in nodes
            if isinstance(node, Packing)
            for index, _ in node.weights
        }
    )
    place = {index: number for number, index in enumerate(needed)}
    covers = tuple((numbers, _renumbered(nodes, place)) for numbers, nodes in proof.covers)
    return SizeProof(tuple(proof.refutations[index] for index in needed), covers)
