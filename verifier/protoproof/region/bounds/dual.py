"""Linear forms propagated back through the encoder, differentiable in everything that is free.

As in ``linear``, with two kinds of choices: slopes of the lines of activations (alpha-CROWN; Xu et
al., 2021), and multipliers of the sides that units are on (beta-CROWN; Wang et al., 2021). Each row
has its own bounds, slopes and multipliers, so that many cases are propagated together.

torch float64, to nearest; the prover's numbers. The checker propagates again, with the same slopes
and multipliers and code of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from protoproof.arithmetic.interval import Interval
from protoproof.network.onnx.node import Node
from protoproof.network.onnx.ops import OPERATORS, lookup
from protoproof.region.bounds.linear import LINES, Passage, divides, is_affine
from protoproof.region.bounds.sides import CaseBounds, Sides
from protoproof.region.sets.parametric import Cloud

CURVED = ("Sigmoid", "Tanh")
_STEEPEST = {"Sigmoid": 0.25, "Tanh": 1.0}


@dataclass(frozen=True, eq=False)
class Choice:
    """Slopes of the lines below and above every activation, by output, [row, ...] (those above only
    where they are free), and multipliers >= 0 of the sides, [row, side]."""

    low: dict[str, Tensor]
    high: dict[str, Tensor]
    duals: Tensor

    def tensors(self) -> list[Tensor]:
        """All of it."""
        return [*self.low.values(), *self.high.values(), self.duals]

    def map(self, function: Callable[[Tensor], Tensor]) -> Choice:
        """The image of every tensor."""
        low, high = (
            {name: function(value) for name, value in part.items()}
            for part in (self.low, self.high)
        )
        return Choice(low, high, function(self.duals))


class Dual:
    """Lower bounds of forms of the latent, one row each, over a case that each row has.

    Args:
        passage: over the region.
        bounds: [row, ...], of the case of every row.
        sides: of the case of every row; as many as the row with the most, the others with
            multipliers that are ignored.
    """

    def __init__(self, passage: Passage, bounds: CaseBounds, sides: list[Sides]) -> None:
        self.passage, self.bounds, self.sides = passage, bounds, sides
        self.rows, graph = len(sides), passage.graph
        self.width = max((len(own) for own in sides), default=0)
        self.nodes = {n.output: n for n in graph.nodes if n.op in LINES}
        self.usual = {
            name: LINES[node.op](graph.call(node), self.input_of(node))
            for name, node in self.nodes.items()
        }
        self._affine: dict[str, tuple[Tensor, Tensor]] = {}
        self.seen: dict[str, Tensor] = {}  # rows at the outputs of activations

    def input_of(self, node: Node) -> Interval:
        """Bounds of what goes into an activation."""
        return self.bounds.values[node.inputs[0]]

    def start(self) -> Choice:
        """The usual slopes, and no multiplier."""
        low = {name: lines[0].clone() for name, lines in self.usual.items()}
        high = {
            name: self.usual[name][2].clone()
            for name, node in self.nodes.items()
            if node.op in CURVED
        }
        return Choice(low, high, torch.zeros(self.rows, self.width, dtype=torch.float64))

    @torch.no_grad()
    def allowed(self, choice: Choice) -> None:
        """Put slopes and multipliers back where they are sound, or make sense."""
        for name, node in self.nodes.items():
            most = _STEEPEST.get(node.op, 1.0)
            least = self._slope(node) if node.op not in CURVED else 0.0
            choice.low[name].clamp_(least, most)
            if name in choice.high:
                choice.high[name].clamp_(0.0, most)
        choice.duals.clamp_(min=0.0)

    def _slope(self, node: Node) -> float:
        return (
            self.passage.graph.call(node).number("alpha", 0.01) if node.op == "LeakyRelu" else 0.0
        )

    def least(self, rows: Tensor, choice: Choice) -> Tensor:
        """Lower bounds of <row, latent>, [row]; rows have the latent's shape in the graph."""
        start = self.at_input(rows, choice)
        if start is not None:
            self._add(self._at_input(start))
        return self.fixed

    def at_input(self, rows: Tensor, choice: Choice) -> Tensor | None:
        """The same as forms of the input, to be added to ``fixed``; None where none gets there."""
        passage = self.passage
        self.fixed = torch.zeros(self.rows, dtype=torch.float64)
        self.open = {passage.graph.outputs[0]: rows}
        self.seen = {}
        for name in reversed([n for n in passage.values if n in passage.nodes]):
            self._charge(name, choice)
            form = self.open.pop(name, None)
            if form is not None and not self._passed(passage.nodes[name], form, choice):
                self._add(_least(form, self.bounds.values[name]))
        return self.open.get(passage.graph.input)

    def _at_input(self, form: Tensor) -> Tensor:
        bound = _least(form, self.bounds.values[self.passage.graph.input])
        cloud = self.passage.cloud
        return bound if cloud is None else torch.maximum(bound, along(cloud, form))

    def worst(self) -> Tensor:
        """Where, about, the forms of the last call are least among the inputs, [row, ...]."""
        ends, cloud = self.bounds.values[self.passage.graph.input], self.passage.cloud
        form = self.open.get(self.passage.graph.input)
        if form is None:
            return (ends.lower + ends.upper) / 2
        form = form.detach()
        corner = torch.where(form >= 0, ends.lower, ends.upper)
        if cloud is None or not bool((cloud.radius > 0).all()):
            return corner
        length = form.flatten(1).norm(dim=1).clamp(min=1e-30).view(-1, *[1] * (form.dim() - 1))
        inside = cloud.middle.lower - float(cloud.radius.max()) * form / length
        return torch.maximum(torch.minimum(inside, ends.upper), ends.lower)

    def _charge(self, name: str, choice: Choice) -> None:
        """f >= f - b s (x_u - t) where s (x_u - t) >= 0."""
        shape = self.bounds.values[name].lower.shape
        where = [
            (row, place, side)
            for row, own in enumerate(self.sides)
            for place, side in enumerate(own)
            if side.tensor == name
        ]
        if not where:
            return
        rows, places = (torch.tensor([w[i] for w in where]) for i in (0, 1))
        units = torch.tensor([side.number for *_, side in where])
        signs = torch.tensor([1.0 if s.above else -1.0 for *_, s in where], dtype=torch.float64)
        at = torch.tensor([side.at for *_, side in where], dtype=torch.float64)
        signed = choice.duals[rows, places] * signs
        form = torch.zeros(self.rows, math.prod(shape[1:]), dtype=torch.float64)
        form = form.index_put((rows, units), -signed, accumulate=True)
        self._keep(name, form.reshape(self.rows, *shape[1:]))
        self._add(torch.zeros_like(self.fixed).index_put((rows,), signed * at, accumulate=True))

    def _passed(self, node: Node, form: Tensor, choice: Choice) -> bool:
        computed = self.passage.computed(node)
        if node.op in LINES:
            self.seen[node.output] = form.detach()
            self._lines(node, form, choice)
            return True
        if len(computed) == 1 and is_affine(node) and not divides(node, computed[0]):
            self._transposed(node, computed[0], form)
            return True
        shapes = [self.bounds.values[name].lower.shape[1:] for name in computed]
        if node.op in ("Add", "Sub") and all(shape == form.shape[1:] for shape in shapes):
            for name, sign in zip(computed, (1.0, 1.0 if node.op == "Add" else -1.0), strict=True):
                self._keep(name, sign * form)
            return True
        return False

    def _lines(self, node: Node, form: Tensor, choice: Choice) -> None:
        low, under, high, over = self.lines(node.output, choice)
        up, down = form.clamp(min=0.0), form.clamp(max=0.0)
        self._add((up * under + down * over).flatten(1).sum(1))
        self._keep(node.inputs[0], up * low + down * high)

    def lines(self, name: str, choice: Choice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Slope and offset below, slope and offset above, with the chosen slopes."""
        node, usual = self.nodes[name], self.usual[name]
        x = self.input_of(node)
        if node.op not in CURVED:
            crosses = (x.lower < 0) & (x.upper > 0)
            return torch.where(crosses, choice.low[name], usual[0]), *usual[1:]
        scale = 2.0 if node.op == "Tanh" else 1.0
        low, high = scale * x.lower, scale * x.upper
        below, above = choice.low[name] / scale**2, choice.high[name] / scale**2
        under, over = _height(below, low, high), 1.0 - _height(above, -high, -low)
        if node.op == "Tanh":
            under, over = 2.0 * under - 1.0, 2.0 * over - 1.0
        return choice.low[name], under, choice.high[name], over

    def _transposed(self, node: Node, name: str, form: Tensor) -> None:
        """<a, f(x)> = <a, f(0)> + <J' a, x> for affine f."""
        x, y = self._applied(node, name)
        parts = [
            torch.autograd.grad(y, x, part.reshape(y.shape), create_graph=True)[0]
            for part in torch.split(form, len(x))
        ]
        self._add(form.flatten(1) @ y.detach()[0].flatten())
        self._keep(name, torch.cat(parts))

    def _applied(self, node: Node, name: str) -> tuple[Tensor, Tensor]:
        """Zeros, and what an affine operator makes of them; kept, because it is always the same."""
        if node.output not in self._affine:
            graph, values = self.passage.graph, self.passage.values
            many = self.rows if graph.free_batch else 1
            shape = self.bounds.values[name].lower.shape
            with torch.enable_grad():
                x = torch.zeros(many, *shape[1:], dtype=torch.float64, requires_grad=True)
                names = lookup(node).data_inputs(node)
                given = [x if n == name else values[n].lower if n else None for n in names]
                y = OPERATORS[node.op].meaning(graph.call(node), *given)
            self._affine[node.output] = x, y
        return self._affine[node.output]

    def _keep(self, name: str, form: Tensor) -> None:
        before = self.open.get(name)
        self.open[name] = form if before is None else before + form

    def _add(self, bound: Tensor) -> None:
        self.fixed = self.fixed + bound


def _least(form: Tensor, ends: Interval) -> Tensor:
    return (form.clamp(min=0.0) * ends.lower + form.clamp(max=0.0) * ends.upper).flatten(1).sum(1)


def along(cloud: Cloud, form: Tensor) -> Tensor:
    """The least of <form, x> over a cloud, with slopes where it has corners."""
    flat = form.flatten(1)
    up, down = flat.clamp(min=0.0), flat.clamp(max=0.0)
    total = up**2 @ cloud.fall.flatten() ** 2 + down**2 @ cloud.rise.flatten() ** 2
    found = up @ cloud.middle.lower.flatten() + down @ cloud.middle.upper.flatten()
    found = found - cloud.radius * torch.sqrt(total.clamp(min=1e-60))
    found = found - flat.abs() @ cloud.rest.flatten()
    for generator in cloud.generators:
        found = found - (flat @ generator.lower.flatten()).abs()
    return found


def _height(slope: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The least of sigmoid(x) - slope x over [low, high]; its turn moves nothing to first order."""
    with torch.no_grad():
        root = torch.sqrt((1 - 4 * slope).clamp(min=0.0))
        turn = torch.log((1 - root).clamp(min=1e-300) / (1 + root))
        turn = torch.maximum(torch.minimum(turn, high), low)
    return torch.stack([torch.sigmoid(v) - slope * v for v in (low, high, turn)]).amin(0)


def crossing(x: Interval) -> Tensor:
    """Which units of a ReLU are on both sides of its kink."""
    return (x.lower < 0) & (x.upper > 0)
