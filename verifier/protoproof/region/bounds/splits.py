"""Where to cut a case: the unit whose line costs a bound most where the bound is attained.

At the inputs where a form is least, the margin exceeds the bound by what the lines lose there, unit
by unit, and by what the head's lines lose. So each loss says what a cut of that unit could win. A
ReLU is cut at its kink, any other unit in the middle of its interval. The head's loss belongs to
latents: they are cut at the input of the activation that makes them, or as they are. An input where
a form is least need not be where a unit's lines lose anything, so a share of the most that they
ever lose counts, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.node import Node
from protoproof.network.onnx.ops import OPERATORS, lookup
from protoproof.region.bounds.ascent import Ascent, Problem
from protoproof.region.bounds.dual import CURVED, crossing

_MAYBE = 0.1  # of what a unit's lines lose where they lose most
# Where so few units are on both sides of their kinks, these are cut before any latent: what is left
# is a polytope, whose bounds are exact (see ``cells``).
_FEW = 16


@dataclass(frozen=True)
class UnitCut:
    """A number (row-major) of a tensor at most ``at``, or at least; ``gain`` is an estimate."""

    tensor: str
    number: int
    at: float
    gain: float


def computed_at(graph: Graph, x: Tensor) -> dict[str, Tensor]:
    """All tensors at inputs [row, ...], in float64."""
    if not graph.free_batch and len(x) > 1:
        parts = [computed_at(graph, one) for one in torch.split(x, 1)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    found: dict[str, Tensor] = {graph.input: x}
    stored = {
        name: torch.tensor(value, dtype=torch.float64)
        for name, value in graph.constants.items()
        if value.dtype.kind == "f"
    }
    for node in graph.nodes:
        given = [
            None if not name else found[name] if name in found else stored[name]
            for name in lookup(node).data_inputs(node)
        ]
        found[node.output] = OPERATORS[node.op].meaning(graph.call(node), *given)
    return {name: found[name] for name in (graph.input, *(n.output for n in graph.nodes))}


@torch.no_grad()
def cuts_of(
    problem: Problem, found: Ascent, most: int, inside: Mapping[int, NDArray[np.float64]]
) -> tuple[list[list[UnitCut]], Tensor, Tensor]:
    """For every row up to ``most`` cuts, the best first; the inputs [row, ...] where the forms are
    least, and the margins there. ``inside``: some of these inputs, where they are known better.

    Assumes that the last bounds that were computed are those of ``found``.
    """
    dual, graph = problem.dual, problem.dual.passage.graph
    x = dual.worst()
    for row, known in inside.items():
        x[row] = torch.from_numpy(known).reshape(x.shape[1:])
    values = computed_at(graph, x)
    latent, lines = values[graph.outputs[0]].flatten(1)[:, problem.sites], problem.lines
    # the inputs belong to the relaxation, and need not be in the case: their latents are then
    # outside of its box, where no line of the head has to be close
    near = torch.maximum(torch.minimum(latent, lines.high), lines.low)
    shares = torch.zeros_like(values[graph.outputs[0]].flatten(1))
    shares.index_copy_(1, problem.sites.flatten(), lines.gaps(found.free, near).flatten(1))
    scores: dict[str, Tensor] = {}
    for name, node in dual.nodes.items():
        form, ends = dual.seen.get(name), dual.input_of(node)
        if form is None:
            continue
        v = torch.maximum(torch.minimum(values[node.inputs[0]], ends.upper), ends.lower)
        lines_of = dual.lines(name, found.choice)
        middle = (ends.lower + ends.upper) / 2 if node.op in CURVED else torch.zeros_like(v)
        largest = torch.stack(
            [_lost(graph, node, form, lines_of, at) for at in (ends.lower, middle, ends.upper)]
        ).amax(0)
        lost = _lost(graph, node, form, lines_of, v) + _MAYBE * largest
        if name == graph.outputs[0]:
            lost = lost + shares.reshape(lost.shape)
        if node.op not in CURVED:
            lost = torch.where(crossing(ends), lost + 1e-12, 0.0)
        scores[node.inputs[0]] = torch.where(ends.upper > ends.lower, lost, 0.0)
    output = graph.outputs[0]
    if output not in dual.nodes:
        scores[output] = shares.reshape(values[output].shape)
    cuts = [_best(problem, scores, row, most) for row in range(len(x))]
    return cuts, x, lines.margins(latent)


def _lost(graph: Graph, node: Node, form: Tensor, lines: tuple[Tensor, ...], v: Tensor) -> Tensor:
    """What the lines of an activation cost a form at values v of its input."""
    low, under, high, over = lines
    real = OPERATORS[node.op].meaning(graph.call(node), v)
    line = torch.where(form >= 0, low * v + under, high * v + over)
    return (form * (real - line)).clamp(min=0.0)


def _best(problem: Problem, scores: dict[str, Tensor], row: int, most: int) -> list[UnitCut]:
    dual = problem.dual
    kinked = {node.inputs[0] for node in dual.nodes.values() if node.op not in CURVED}
    crosses = {name: crossing(dual.bounds.values[name])[row] for name in kinked}
    few = 0 < sum(int(each.sum()) for each in crosses.values()) <= _FEW
    found: list[UnitCut] = []
    for tensor, score in scores.items():
        if few and tensor not in kinked:
            continue
        own = score[row].flatten()
        gains, units = torch.topk(own, min(most, len(own)))
        ends = dual.bounds.values[tensor]
        for gain, unit in zip(gains.tolist(), units.tolist(), strict=True):
            low, high = (
                float(ends.lower[row].flatten()[unit]),
                float(ends.upper[row].flatten()[unit]),
            )
            at = 0.0 if tensor in kinked and low < 0 < high else (low + high) / 2
            if gain > 0 and low < at < high:
                found.append(UnitCut(tensor, unit, at, gain))
    found.sort(key=lambda cut: -cut.gain)
    return found[:most] or _widest(problem, row)


def _widest(problem: Problem, row: int) -> list[UnitCut]:
    """An input number where no line loses anything: what is left is the box of inputs."""
    name = problem.dual.passage.graph.input
    ends = problem.dual.bounds.values[name]
    low, high = ends.lower[row].flatten(), ends.upper[row].flatten()
    form = problem.dual.open.get(name)
    width = high - low
    score = width if form is None else width * (form[row].flatten().abs() + 1e-9)
    unit = int(score.argmax())
    at = float((low[unit] + high[unit]) / 2)
    return [UnitCut(name, unit, at, 0.0)] if float(low[unit]) < at < float(high[unit]) else []
