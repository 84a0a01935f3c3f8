"""Linear comparisons that contradict each other, whatever the network computes.

Only comparisons are read, no network: two that say opposite things of one sum, and chains of
differences that come back to where they began (y0 > y1, y1 > y2, y2 > y0). What is found follows
over the real numbers, and of float32 numbers too, for these are real. What is not found may well
be contradictory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from protoproof.query.formula import Atom, Disjunct, Element

_MOST = 1 << 20  # steps of the search for a cycle
_Node = Element | None  # None is the number 0

# A length, and minus how many of its parts are strict: a cycle below (0, 0) cannot be.
_Length = tuple[Fraction, int]


class Linear(NamedTuple):
    """sum of weights_e e + constant <= 0, or < 0 where it is ``strict``."""

    weights: Mapping[Element, Fraction]
    constant: Fraction
    strict: bool


def linear_among(literals: Disjunct, *, single: bool) -> Iterator[Linear]:
    """The linear comparisons among them; of float32 numbers (``single``) those that calculate
    nothing."""
    for literal in literals:
        if isinstance(literal, Atom) and (literal.bare or not single):
            weights = literal.left.linear()
            if weights:
                yield Linear(weights, literal.left.constant, literal.strict)


def contradictory(known: Iterable[Linear]) -> bool:
    """Whether no numbers at all meet all of these."""
    every = list(known)
    if all(len(each.weights) < 2 for each in every):
        return False  # bounds of single elements are compared where they are collected
    return _opposite(every) or _cyclic(every)


def _opposite(every: list[Linear]) -> bool:
    """Two bounds of one sum, of which the lower is above the upper."""
    upper: dict[object, _Length] = {}
    lower: dict[object, _Length] = {}
    for weights, constant, strict in every:
        form = sorted(weights.items())
        scale = form[0][1]
        key = tuple((element, weight / scale) for element, weight in form)
        # scale (form) + constant <= 0: an upper end of the form where the scale is positive
        value = -constant / scale
        if scale > 0:
            upper[key] = min(upper.get(key, (value, 0)), (value, -strict))
        else:
            lower[key] = max(lower.get(key, (value, 0)), (value, int(strict)))
    return any(
        key in upper and (upper[key][0] - low, upper[key][1] - strict) < (0, 0)
        for key, (low, strict) in lower.items()
    )


def _cyclic(every: list[Linear]) -> bool:
    """A cycle of differences a - b <= length whose lengths add up to less than nothing."""
    compared = {element for each in every if len(each.weights) > 1 for element in each.weights}
    edges: dict[tuple[_Node, _Node], _Length] = {}
    for weights, constant, strict in every:
        parts = list(weights.items())
        if len(parts) == 1 and parts[0][0] in compared:
            ((element, weight),) = parts
            pair: tuple[_Node, _Node] = (None, element) if weight > 0 else (element, None)
        elif len(parts) == 2 and parts[0][1] == -parts[1][1]:
            (first, weight), (second, _) = parts
            pair = (second, first) if weight > 0 else (first, second)
        else:
            continue
        length = -constant / abs(weight), -int(strict)
        edges[pair] = min(edges.get(pair, length), length)
    nodes = {node for pair in edges for node in pair}
    if len(nodes) * len(edges) > _MOST:
        return False
    reached: dict[_Node, _Length] = dict.fromkeys(nodes, (Fraction(0), 0))
    for _ in nodes:
        moved = False
        for (start, end), (apart, below) in edges.items():
            there = reached[start][0] + apart, reached[start][1] + below
            if there < reached[end]:
                reached[end], moved = there, True
        if not moved:
            return False
    return bool(nodes)
