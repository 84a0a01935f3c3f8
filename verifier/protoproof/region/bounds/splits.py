"""Where to cut a case: the unit whose line costs a bound most where the bound is attained.

At the inputs where a form is least, the margin exceeds the bound by what the lines lose there, unit
by unit, and by what the head's lines lose. So each loss says what a cut of that unit could win. A
ReLU is cut at its kink, any other unit in the middle of its interval. The head's loss belongs to
latents: they are cut at the input of the activation that makes them, or as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.ops import OPERATORS, lookup
from protoproof.region.bounds.ascent import Ascent, Problem
from protoproof.region.bounds.dual import CURVED, crossing


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
    problem: Problem, found: Ascent, most: int
) -> tuple[list[list[UnitCut]], Tensor, Tensor]:
    """For every row up to ``most`` cuts, the best first; the inputs [row, ...] where the forms are
    least, and the margins there.

    Assumes that the last bounds that were computed are those of ``found``.
    """
    dual, graph = problem.dual, problem.dual.passage.graph
    x = dual.worst()
    values = computed_at(graph, x)
    latent = values[graph.outputs[0]].flatten(1)[:, problem.sites]
    shares = torch.zeros_like(values[graph.outputs[0]].flatten(1))
    shares.index_copy_(
        1, problem.sites.flatten(), problem.lines.gaps(found.free, latent).flatten(1)
    )
    scores: dict[str, Tensor] = {}
    for name, node in dual.nodes.items():
        form, ends = dual.seen.get(name), dual.input_of(node)
        if form is None:
            continue
        v = torch.maximum(torch.minimum(values[node.inputs[0]], ends.upper), ends.lower)
        low, under, high, over = dual.lines(name, found.choice)
        real = OPERATORS[node.op].meaning(graph.call(node), v)
        line = torch.where(form >= 0, low * v + under, high * v + over)
        lost = (form * (real - line)).clamp(min=0.0)
        if name == graph.outputs[0]:
            lost = lost + shares.reshape(lost.shape)
        if node.op not in CURVED:
            lost = torch.where(crossing(ends), lost + 1e-12, 0.0)
        scores[node.inputs[0]] = torch.where(ends.upper > ends.lower, lost, 0.0)
    output = graph.outputs[0]
    if output not in dual.nodes:
        scores[output] = shares.reshape(values[output].shape)
    cuts = [_best(problem, scores, row, most) for row in range(len(x))]
    return cuts, x, problem.lines.margins(latent)


def _best(problem: Problem, scores: dict[str, Tensor], row: int, most: int) -> list[UnitCut]:
    dual = problem.dual
    kinked = {node.inputs[0] for node in dual.nodes.values() if node.op not in CURVED}
    found: list[UnitCut] = []
    for tensor, score in scores.items():
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
