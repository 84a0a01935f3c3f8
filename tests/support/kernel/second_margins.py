"""Margins of every decision in mpmath intervals, from the ends of the activations."""

from __future__ import annotations

from typing import Any

from mpmath import iv, mp, mpf

from tests.support.kernel.algebra import Made

Ends = list[tuple[Any, Any]]


def margin(here: Made, rival: int, ends: Ends) -> Any:
    """A lower bound of what has to be positive; minus infinity where nothing bounds it."""
    decision, predicted = here.kind.decision, here.instance.predicted
    sign = 1 if decision != "labels" or rival in here.instance.labels else -1
    weight = [mpf(float(w)) for w in here.weight[rival if decision == "labels" else predicted]]
    bias = mpf(float(here.bias[rival if decision == "labels" else predicted]))
    if decision != "labels":
        weight = [a - mpf(float(b)) for a, b in zip(weight, here.weight[rival], strict=True)]
        bias -= mpf(float(here.bias[rival]))
    weight, bias = [sign * w for w in weight], sign * bias
    if decision in ("tree", "greedy", "sample-max"):
        return _tree(here, weight, ends, decision)
    if decision == "best":
        ends = [
            tuple(max((ends[j][side] for j in group), key=lambda v: mpf(v.a)) for side in (0, 1))
            for group in here.head.decision.groups
        ]
    total = iv.mpf(bias)
    for w, (low, high) in zip(weight, ends, strict=True):
        if w:
            end = low if w > 0 else high
            if mp.isinf(mpf(iv.mpf(end).a)):
                return -mp.inf
            total += iv.mpf(w) * end
    return mpf(total.a)


def _tree(here: Made, weight: list[Any], ends: Ends, kind: str) -> Any:
    nodes = here.head.decision.nodes
    share = [
        (
            max(mpf(iv.mpf(ends[n.prototype][0]).a), mpf(0)),
            min(mpf(iv.mpf(ends[n.prototype][1]).b), mpf(1)),
        )
        for n in nodes
    ]

    def value(node: int) -> Any:
        if node < 0:
            return iv.mpf(weight[-1 - node])
        left, right = value(nodes[node].left), value(nodes[node].right)
        found = [left + iv.mpf(s) * (right - left) for s in share[node]]
        return min(found, key=lambda v: mpf(v.a))

    if kind == "tree":
        return mpf(value(0).a)
    ways: dict[int, list[tuple[int, bool]]] = {}

    def walk(node: int, way: list[tuple[int, bool]]) -> None:
        if node < 0:
            ways[-1 - node] = way
            return
        walk(nodes[node].left, [*way, (node, False)])
        walk(nodes[node].right, [*way, (node, True)])

    walk(0, [])

    def most(step: tuple[int, bool]) -> Any:
        return share[step[0]][1] if step[1] else 1 - share[step[0]][0]

    def fewest(step: tuple[int, bool]) -> Any:
        return share[step[0]][0] if step[1] else 1 - share[step[0]][1]

    good = [leaf for leaf in ways if weight[leaf] > 0]
    bad = [leaf for leaf in ways if weight[leaf] <= 0]
    worst = mpf(1)
    for leaf in bad:
        way = ways[leaf]
        if kind == "greedy":
            worst = min(worst, max(mpf(1) / 2 - most(step) for step in way))
            continue
        best = mpf(-1)
        for other in good:
            theirs = ways[other]
            common = next(n for n, (a, b) in enumerate(zip(way, theirs, strict=False)) if a != b)
            gap = mp.fprod(map(fewest, theirs[common:])) - mp.fprod(map(most, way[common:]))
            best = max(best, gap)
        worst = min(worst, best)
    return worst
