"""Cases of a region: units that are cut at a threshold, and bounds of all tensors on one side.

What holds over the region holds in each of its cases; so does what intervals make of the sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from protoproof.arithmetic.interval import Interval
from protoproof.network.onnx.node import Call
from protoproof.region.bounds.interval import walk
from protoproof.region.bounds.linear import Passage


@dataclass(frozen=True)
class Side:
    """That a number (row-major) of a tensor is at least ``at``, or (not ``above``) at most."""

    tensor: str
    number: int
    at: float
    above: bool


Sides = tuple[Side, ...]


@dataclass(frozen=True, eq=False)
class CaseBounds:
    """Bounds of every computed tensor in some cases, [case, ...]; ``possible`` [case] is False
    where they show that a case holds no input (its bounds mean nothing then)."""

    values: dict[str, Interval]
    possible: Tensor

    def chosen(self, cases: Tensor) -> CaseBounds:
        """Of these cases, as often as they are listed."""
        values = {name: ends.map(lambda end: end[cases]) for name, ends in self.values.items()}
        return CaseBounds(values, self.possible[cases])


def case_bounds(passage: Passage, cases: Sequence[Sides]) -> CaseBounds:
    """Bounds in each case of the region that a passage was made for.

    Raises:
        BoundsError: the walk fails.
    """
    if passage.graph.free_batch or len(cases) == 1:
        return _Narrowing(passage, cases).run()
    parts = [_Narrowing(passage, [case]).run() for case in cases]
    values = {
        name: Interval(
            *(
                torch.cat([getattr(p.values[name], end) for p in parts])
                for end in ("lower", "upper")
            )
        )
        for name in parts[0].values
    }
    return CaseBounds(values, torch.cat([part.possible for part in parts]))


class _Narrowing:
    def __init__(self, passage: Passage, cases: Sequence[Sides]) -> None:
        self.passage, self.cases = passage, cases
        self.possible = torch.ones(len(cases), dtype=torch.bool)
        self.done: dict[str, Interval] = {}

    def run(self) -> CaseBounds:
        graph = self.passage.graph
        start = self._all(self.passage.values[graph.input])
        values = walk(graph, start, None, self._before)
        for name in graph.outputs:
            self._narrow(name, values)
        return CaseBounds(self.done, self.possible)

    def _all(self, ends: Interval) -> Interval:
        return ends.map(lambda end: end.expand(len(self.cases), *end.shape[1:]).clone())

    def _before(self, call: Call, values: dict[str, Interval]) -> None:
        for name in call.node.inputs:
            if name == self.passage.graph.input or name in self.passage.nodes:
                self._narrow(name, values)

    def _narrow(self, name: str, values: dict[str, Interval]) -> None:
        """Put what the region's bounds and the sides say into the values of a tensor."""
        if name in self.done:
            return
        whole, here = self._all(self.passage.values[name]), values[name]
        low, high = torch.maximum(whole.lower, here.lower), torch.minimum(whole.upper, here.upper)
        flat = low.reshape(len(low), -1), high.reshape(len(high), -1)
        for case, sides in enumerate(self.cases):
            for side in sides:
                if side.tensor == name and side.above:
                    flat[0][case, side.number] = max(float(flat[0][case, side.number]), side.at)
                elif side.tensor == name:
                    flat[1][case, side.number] = min(float(flat[1][case, side.number]), side.at)
        low, high = (end.reshape(here.lower.shape) for end in flat)
        crossed = (low > high).flatten(1).any(1)
        self.possible &= ~crossed
        keep = crossed.reshape(-1, *[1] * (low.dim() - 1))
        narrowed = Interval(
            torch.where(keep, whole.lower, low), torch.where(keep, whole.upper, high)
        )
        values[name] = self.done[name] = narrowed
