"""Linear bounds of our own: forms of the latent, propagated back through the encoder to the input.

CROWN (Zhang et al., 2018) over the operator table. An operator that is affine in its only computed
input is passed by its transpose, which torch differentiates out of its meaning; ReLU, LeakyReLU,
sigmoid and tanh by a line below and one above, over bounds of their input; any other operator
ends its part of the form with the interval of its output. Slopes of lines need no proof, their
intercepts do.

float64, rounded to nearest and widened by :data:`_SPARE`; the prover's numbers. The checker
propagates again with code, lines and rounding of its own, and a certificate says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from protoproof.arithmetic.interval import Interval
from protoproof.errors import BoundsError
from protoproof.network import Network
from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.node import Call, Node
from protoproof.network.onnx.ops import OPERATORS, Trait, lookup
from protoproof.region.bounds.interval import LatentBox, walk
from protoproof.region.bounds.locations import by_location, in_the_latent
from protoproof.region.bounds.names import UNITS
from protoproof.region.sets.parametric import Cloud
from protoproof.region.sets.region import InputBox

Coefficients = Float[NDArray[np.float64], "row location channel"]

# Multiply-adds over a region, some seconds to half a minute; the checker refuses twice as much.
_WORK = 1 << 36
_PER_NUMBER = 256  # what one number of a row costs besides, as much as in the checker

# Relative. The best slope of a sigmoid is where a height is flat, so the checker's may differ by
# 1e-8; rounding costs far less.
_SPARE = 1e-7
_MANY = 1 << 23  # numbers of the rows that are propagated at once


@dataclass(frozen=True, eq=False)
class LinearBounds:
    """Lower bounds of <coefficients_r, z> over a region, [row], and a box of its latents [L, D].

    ``units``: layers of up to so many units had their bounds sharpened.
    """

    lower: Float[NDArray[np.float64], " row"]
    box: LatentBox
    units: int


def linear_bounds(
    network: Network, boxes: tuple[InputBox, ...], coefficients: Coefficients, units: int
) -> LinearBounds:
    """Bounds that hold over all boxes together.

    Raises:
        BoundsError: the interval walk fails.
    """
    graph = network.encoder_graph
    shape = graph.shapes[graph.outputs[0]]
    flat = in_the_latent(coefficients, network.sites, math.prod(shape))
    rows = torch.from_numpy(flat).reshape(len(flat), *shape[1:])
    found, lows, highs = [], [], []
    for box in boxes:
        passage = Passage(graph, box, units)
        ends = passage.values[graph.outputs[0]]
        lows.append(by_location(ends.lower, network.sites))
        highs.append(by_location(ends.upper, network.sites))
        found.append(passage.least(graph.outputs[0], rows).numpy())
    whole = LatentBox(np.minimum.reduce(lows), np.maximum.reduce(highs))
    return LinearBounds(np.minimum.reduce(found), whole, units)


def affordable(graph: Graph, method: str, parts: int = 1) -> int:
    """The largest number of units per layer that a method may sharpen within its work, if all of
    them ask for it."""
    layers = []
    for name, work in _passages(graph).items():
        size = math.prod(graph.shapes[name])
        layers.append((size, size * work))
    sizes = {size for size, _ in layers if size <= UNITS[method]}
    fitting = [
        limit
        for limit in sizes
        if parts * sum(cost for size, cost in layers if size <= limit) <= _WORK
    ]
    return max(fitting, default=0)


def _passages(graph: Graph) -> dict[str, int]:
    """What it costs to bound one unit of the input of an activation: two passages back through what
    comes before."""
    work, found = 0, {}
    for node in graph.nodes:
        if node.op in LINES and node.inputs[0] != graph.input:
            found[node.inputs[0]] = 2 * work
        shape = graph.shapes[node.output]
        work += lookup(node).work(graph.call(node), shape) + _PER_NUMBER * math.prod(shape)
    return found


def sharpened(graph: Graph, box: InputBox) -> Passage:
    """A passage with layers of as many units sharpened as can be afforded.

    Bounds of one layer make those of the next narrower, and few units of these ask for more where
    the box is small: so they are counted on the way, and where it gets too much, the largest layers
    are left out.

    Raises:
        BoundsError: the walk fails.
    """
    sizes = sorted({math.prod(graph.shapes[name]) for name in _passages(graph)})
    for limit in reversed(sizes):
        try:
            return Passage(graph, box, limit, _WORK)
        except _TooMuchError:
            continue
    return Passage(graph, box, 0)


class _TooMuchError(Exception):
    """More work than a passage may take."""


class Passage:
    """One box of inputs, the bounds of all tensors over it, and forms of any of them.

    Args:
        graph: an encoder.
        box: of inputs, with what more is known about them.
        units: layers of up to so many units have the inputs of their activations bounded by forms
            (0: none).
        most: multiply-adds that this may take.
    """

    def __init__(self, graph: Graph, box: InputBox, units: int, most: float = math.inf) -> None:
        self.graph, self.cloud, self.units = graph, box.cloud, units
        self._left, self._work = most, _passages(graph)
        ends = (torch.from_numpy(np.array(end))[None] for end in (box.lower, box.upper))
        self.nodes = {node.output: node for node in graph.nodes}
        self._order = [node.output for node in graph.nodes]
        self.values = walk(graph, Interval(*ends), box.cloud, self._before)

    def least(self, tensor: str, rows: Tensor) -> Tensor:
        """Lower bounds of <row, y> for the values y of a tensor; rows are [row, ...]."""
        return _Forms(self, tensor, rows).run()

    def _before(self, call: Call, values: dict[str, Interval]) -> None:
        self.values = values
        name = call.node.inputs[0] if call.node.inputs else ""
        if call.node.op in LINES and name in self.nodes:
            self._sharpen(name, call.node.op)

    def _sharpen(self, name: str, op: str) -> None:
        ends = self.values[name]
        lower, upper = ends.lower.flatten().clone(), ends.upper.flatten().clone()
        units = torch.nonzero(_inexact(ends, op).flatten()).flatten()
        if len(lower) > self.units or not len(units) or self._first(name):
            return
        self._left -= len(units) * self._work[name]
        if self._left < 0:
            raise _TooMuchError
        step = max(1, _MANY // max(v.lower.numel() for v in self.values.values()))
        for start in range(0, len(units), step):
            some = units[start : start + step]
            rows = torch.nn.functional.one_hot(some, len(lower)).double()
            rows = rows.reshape(len(some), *ends.lower.shape[1:])
            lower[some] = torch.maximum(lower[some], self.least(name, rows))
            upper[some] = torch.minimum(upper[some], -self.least(name, -rows))
        if bool((lower > upper).any()):
            raise BoundsError(f"bounds of {name!r} cross; nothing can be decided")
        shape = ends.lower.shape
        self.values[name] = Interval(lower.reshape(shape), upper.reshape(shape))

    def _first(self, name: str) -> bool:
        """Whether a tensor is a first sum of products, behind operators on single numbers only."""
        sums = 0
        while name != self.graph.input:
            node = self.nodes[name]
            computed = self.computed(node)
            sums += node.op in ("Conv", "Gemm", "MatMul")
            if len(computed) != 1 or not is_affine(node) or divides(node, computed[0]):
                return False
            name = computed[0]
        return sums == 1

    def computed(self, node: Node) -> list[str]:
        """Names of the inputs that depend on the image."""
        names = lookup(node).data_inputs(node)
        return [name for name in names if name in self.nodes or name == self.graph.input]


def _inexact(x: Interval, op: str) -> Tensor:
    """Where the lines of an activation differ from it."""
    if op in ("Relu", "LeakyRelu"):
        return (x.lower < 0) & (x.upper > 0)
    return x.lower < x.upper


def is_affine(node: Node) -> bool:
    """Whether the output is affine in any single input, the others being constants."""
    if node.op in ("BatchNormalization", "Div"):  # divisors that are computed are seen to elsewhere
        return True
    return bool(OPERATORS[node.op].traits & {Trait.AFFINE, Trait.BILINEAR})


class _Forms:
    """Forms of several tensors whose sum, plus ``fixed``, is the lower bound that is looked for."""

    def __init__(self, passage: Passage, tensor: str, rows: Tensor) -> None:
        self.passage, self.open = passage, {tensor: rows}
        self.fixed = torch.zeros(len(rows), dtype=torch.float64)
        self.best = torch.full((len(rows),), -torch.inf, dtype=torch.float64)
        self.spread = torch.zeros(len(rows), dtype=torch.float64)

    @torch.no_grad()
    def run(self) -> Tensor:
        """The best of all tensors at which the forms can be bounded by what is known there."""
        for name in reversed([n for n in self.passage.values if n in self.passage.nodes]):
            rows = self.open.get(name)
            if rows is None:
                continue
            self._stop_here()
            del self.open[name]
            if not self._passed(self.passage.nodes[name], rows):
                self.fixed += _least(rows, self.passage.values[name])
        self._stop_here()
        return self.best - _SPARE * (1 + self.spread)

    def _stop_here(self) -> None:
        total, spread = self.fixed.clone(), self.fixed.abs()
        for name, rows in self.open.items():
            ends = self.passage.values[name]
            bound = _least(rows, ends)
            if name == self.passage.graph.input and self.passage.cloud is not None:
                bound = torch.maximum(bound, _along(self.passage.cloud, rows))
            total += bound
            spread = spread + rows.flatten(1).abs() @ ends.magnitude.flatten()
        self.spread = torch.maximum(self.spread, spread)
        self.best = torch.maximum(self.best, total)

    def _passed(self, node: Node, rows: Tensor) -> bool:
        computed = self.passage.computed(node)
        if node.op in LINES:
            low, above, high, over = LINES[node.op](
                self.passage.graph.call(node), self.passage.values[computed[0]]
            )
            up, down = rows.clamp(min=0.0), rows.clamp(max=0.0)
            self.fixed += (up * above + down * over).flatten(1).sum(1)
            self._keep(computed[0], up * low + down * high)
            return True
        if len(computed) == 1 and is_affine(node) and not divides(node, computed[0]):
            self._transposed(node, computed[0], rows)
            return True
        shapes = [self.passage.values[name].lower.shape[1:] for name in computed]
        if node.op in ("Add", "Sub") and all(shape == rows.shape[1:] for shape in shapes):
            for name, sign in zip(computed, (1.0, 1.0 if node.op == "Add" else -1.0), strict=True):
                self._keep(name, sign * rows)
            return True
        return False

    def _transposed(self, node: Node, name: str, rows: Tensor) -> None:
        """<a, f(x)> = <a, f(0)> + <J' a, x> for affine f; J' a by differentiation."""
        graph, call = self.passage.graph, self.passage.graph.call(node)
        shape = self.passage.values[name].lower.shape
        many = len(rows) if graph.free_batch else 1
        values = self.passage.values
        names = lookup(node).data_inputs(node)
        parts = []
        with torch.enable_grad():
            for part in torch.split(rows, many):
                x = torch.zeros(len(part), *shape[1:], dtype=torch.float64, requires_grad=True)
                given = [x if n == name else values[n].lower if n else None for n in names]
                y = OPERATORS[node.op].meaning(call, *given)
                parts.append(torch.autograd.grad(y, x, part.reshape(y.shape))[0])
        self.fixed += rows.flatten(1) @ y.detach()[0].flatten()
        self._keep(name, torch.cat(parts))

    def _keep(self, name: str, rows: Tensor) -> None:
        before = self.open.get(name)
        self.open[name] = rows if before is None else before + rows


def divides(node: Node, name: str) -> bool:
    """Whether a node divides by a tensor."""
    return node.op == "Div" and node.inputs[1] == name


def _least(rows: Tensor, ends: Interval) -> Tensor:
    flat = rows.flatten(1)
    return flat.clamp(min=0.0) @ ends.lower.flatten() + flat.clamp(max=0.0) @ ends.upper.flatten()


def _along(cloud: Cloud, rows: Tensor) -> Tensor:
    """The least of <row, x> over a cloud, up to rounding; see ``cloud``."""
    flat = rows.flatten(1)
    up, down = flat.clamp(min=0.0), flat.clamp(max=0.0)
    total = up**2 @ cloud.fall.flatten() ** 2 + down**2 @ cloud.rise.flatten() ** 2
    found = up @ cloud.middle.lower.flatten() + down @ cloud.middle.upper.flatten()
    found = found - cloud.radius * torch.sqrt(total) - flat.abs() @ cloud.rest.flatten()
    for generator in cloud.generators:
        found = found - (flat @ generator.lower.flatten()).abs()
    return found


Lines = tuple[Tensor, Tensor, Tensor, Tensor]  # slope and offset below, slope and offset above


def _leaky(slope: float, x: Interval) -> Lines:
    """Convex, and 0 at 0: through 0 below, the chord above."""
    low, high = x.lower, x.upper
    crosses = (low < 0) & (high > 0)
    known = torch.where(low >= 0, 1.0, slope).double()
    chord = (high - slope * low) / torch.where(crosses, high - low, 1.0)
    above = torch.where(crosses, chord, known)
    over = torch.where(crosses, (1 - chord) * high, 0.0)
    # the tie of symmetric bounds is broken by more than rounding, as in the checker
    below = torch.where(crosses, torch.where(high > -low * (1 + 1e-6), 1.0, slope), known)
    return below, torch.zeros_like(low), above, over


def _sigmoid(x: Interval) -> Lines:
    """The lines that are best in the middle; the one above mirrors one below."""
    below, under = _supporting(x.lower, x.upper)
    above, over = _supporting(-x.upper, -x.lower)
    return below, under, above, 1.0 - over


def _tanh(x: Interval) -> Lines:
    """tanh(x) = 2 sigmoid(2 x) - 1."""
    below, under, above, over = _sigmoid(Interval(2 * x.lower, 2 * x.upper))
    return 4 * below, 2 * under - 1, 4 * above, 2 * over - 1


def _supporting(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and offset of the line below the sigmoid that is highest in the middle.

    The height is concave in the slope, so thirds close in on it.
    """

    def height(slope: Tensor) -> Tensor:
        root = torch.sqrt((1 - 4 * slope).clamp(min=0.0))
        turn = torch.log((1 - root).clamp(min=1e-300) / (1 + root)).clamp(low, high)
        ends = [torch.sigmoid(v) - slope * v for v in (low, high, turn)]
        return torch.stack(ends).amin(0)

    least, most, middle = torch.zeros_like(low), torch.full_like(low, 0.25), (low + high) / 2
    for _ in range(40):
        third = (most - least) / 3
        a, b = least + third, most - third
        better = a * middle + height(a) > b * middle + height(b)
        least, most = torch.where(better, least, a), torch.where(better, b, most)
    slope = (least + most) / 2
    return slope, height(slope)


LINES: dict[str, Callable[[Call, Interval], Lines]] = {
    "Relu": lambda call, x: _leaky(0.0, x),
    "LeakyRelu": lambda call, x: _leaky(call.number("alpha", 0.01), x),
    "Sigmoid": lambda call, x: _sigmoid(x),
    "Tanh": lambda call, x: _tanh(x),
}
