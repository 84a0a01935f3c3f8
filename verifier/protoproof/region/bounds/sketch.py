"""Linear bounds of the class margins in float32: fast, unproved, what a search goes by.

The same propagation as in ``linear``, with every layer of activations bounded by forms. What counts
is proved afterwards by others, in float64 and by the checker. Besides a bound for one box it says
how: per rival a form of the input that is below the margin all over the box, hence over every box
inside it. So one propagation ranks all input numbers, and bounds every smaller box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from protoproof.arithmetic.interval import Interval
from protoproof.errors import BoundsError
from protoproof.network import Network
from protoproof.network.onnx.node import Node
from protoproof.network.onnx.ops import OPERATORS, Trait, lookup
from protoproof.region.bounds.linear import LINES
from protoproof.region.bounds.windowed import Rows, of_units

Ends = tuple[Tensor, Tensor]  # below and above, float32, [1, ...]
_SUMS = ("Conv", "Gemm", "MatMul")
_SCALING = ("Add", "Sub", "Mul", "Div", "BatchNormalization", "Neg")
_AT_ONCE = 512  # units that are bounded at once


@dataclass(frozen=True, eq=False)
class Under:
    """``margin_r(x) >= offset_r + <slope_r, x>`` for every input x of a box, up to rounding.

    ``form``: of the latent, from which the slopes come.
    """

    offset: Float[NDArray[np.float64], " rival"]
    slope: Float[NDArray[np.float64], "rival number"]
    form: Float[NDArray[np.float64], "rival location channel"]

    def least(
        self, lower: NDArray[np.float64], upper: NDArray[np.float64]
    ) -> Float[NDArray[np.float64], " rival"]:
        """Bounds of the margins over a box inside, [number]."""
        up, down = np.maximum(self.slope, 0.0), np.minimum(self.slope, 0.0)
        return self.offset + up @ lower + down @ upper

    def costs(
        self, x: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
    ) -> Float[NDArray[np.float64], "rival number"]:
        """What it costs each margin to let one number leave x for its range; never negative."""
        return np.maximum(-self.slope * (lower - x), -self.slope * (upper - x))


@dataclass(eq=False)
class _Known:
    """Bounds of tensors over one box, and lines of activations by their output."""

    ends: dict[str, Ends]
    lines: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)


class Sketch:
    """The margins of one class of a network whose head is of squared distances to the nearest
    location, with a linear decision.

    Raises:
        BoundsError: an operator that is not known here.
    """

    def __init__(self, network: Network, predicted: int) -> None:
        self.network, self.graph = network, network.encoder_graph
        self.nodes = {node.output: node for node in self.graph.nodes}
        head = network.head
        rivals = [k for k in range(len(head.bias)) if k != predicted]
        self.weight = torch.from_numpy((head.weight[predicted] - head.weight)[rivals])
        self.bias = torch.from_numpy((head.bias[predicted] - head.bias)[rivals])
        self.prototypes = torch.from_numpy(np.array(head.prototypes))
        self.sites = torch.from_numpy(np.array(network.sites))
        self.constants = {
            name: torch.tensor(np.asarray(value))
            for name, value in self.graph.constants.items()
            if value.dtype == np.float32
        }
        for node in self.graph.nodes:
            if len(self._computed(node)) != 1 or not _known(node):
                raise BoundsError(f"{node.where}: not known to the search for patches")

    @torch.no_grad()
    def over(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> Under:
        """Forms below the margins over one box of inputs [C, H, W]."""
        ends = (torch.from_numpy(end.astype(np.float32))[None] for end in (lower, upper))
        known = _Known({self.graph.input: (next(ends), next(ends))})
        for node in self.graph.nodes:
            (name,) = self._computed(node)
            if node.op in LINES:
                self._sharpen(name, node, known)
                known.lines[node.output] = self._lines(node, known.ends[name])
            known.ends[node.output] = self._forward(node, known.ends[name])
        rows, offset = self._head(known.ends[self.graph.outputs[0]])
        slope, fixed = self._back(self.graph.outputs[0], rows.float(), known)
        form = rows.flatten(1)[:, self.sites]
        return Under((offset + fixed).numpy(), slope.double().flatten(1).numpy(), form.numpy())

    def _computed(self, node: Node) -> list[str]:
        names = lookup(node).data_inputs(node)
        return [name for name in names if name in self.nodes or name == self.graph.input]

    def _apply(self, node: Node, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """What a node makes of its computed input; with other weights and no bias if asked."""
        (name,) = self._computed(node)
        given = [
            x if n == name else self.constants[n] if n else None
            for n in lookup(node).data_inputs(node)
        ]
        if weight is not None:
            given = given[:2]
            given[1 if given[0] is x else 0] = weight
        return OPERATORS[node.op].meaning(self.graph.call(node), *given)

    def _forward(self, node: Node, ends: Ends) -> Ends:
        low, high = ends
        if node.op in _SUMS:
            names = lookup(node).data_inputs(node)
            (name,) = self._computed(node)
            weight = self.constants[names[1 if names[0] == name else 0]]
            middle = self._apply(node, (low + high) / 2)
            reach = self._apply(node, (high - low) / 2, weight.abs())
            return middle - reach, middle + reach
        one, two = self._apply(node, low), self._apply(node, high)
        return torch.minimum(one, two), torch.maximum(one, two)

    def _sharpen(self, name: str, node: Node, known: _Known) -> None:
        low, high = (end.flatten().clone() for end in known.ends[name])
        crossing = (low < 0) & (high > 0) if node.op in ("Relu", "LeakyRelu") else low < high
        units = torch.nonzero(crossing).flatten()
        if not len(units) or self._first(name):
            return
        local = self._is_local(name)
        for part in torch.split(units, _AT_ONCE):
            least, most = (
                self._windowed(name, part, known) if local else self._dense(name, part, known)
            )
            low[part] = torch.maximum(low[part], least)
            high[part] = torch.minimum(high[part], most)
        high = torch.maximum(low, high)  # rounding
        shape = known.ends[name][0].shape
        known.ends[name] = low.reshape(shape), high.reshape(shape)

    def _is_local(self, name: str) -> bool:
        """Whether maps of windows lead to a tensor."""
        last = self.nodes[name].op == "Conv"
        while name != self.graph.input:
            node = self.nodes[name]
            if len(self.graph.shapes[name]) != 4 or node.op not in (*LINES, "Conv", *_SCALING):
                return False
            (name,) = self._computed(node)
        return last and len(self.graph.shapes[name]) == 4

    def _dense(self, name: str, units: Tensor, known: _Known) -> Ends:
        """Bounds of some units of any tensor."""
        shape = known.ends[name][0].shape
        rows = torch.zeros(len(units), shape.numel())
        rows[torch.arange(len(units)), units] = 1.0
        rows = rows.reshape(-1, *shape[1:])
        slope, fixed = self._back(name, torch.cat([rows, -rows]), known)
        first, last = (end.double().flatten() for end in known.ends[self.graph.input])
        flat = slope.double().flatten(1)
        least = (fixed + flat.clamp(min=0) @ first + flat.clamp(max=0) @ last).float()
        return least[: len(units)], -least[len(units) :]

    def _windowed(self, name: str, units: Tensor, known: _Known) -> Ends:
        """Bounds of some units of a map behind maps, the same in less time."""
        node = self.nodes[name]
        start = of_units(self.graph, node, self.constants[node.inputs[1]], units)
        fixed = (
            self._bias(node)[0]
            .flatten()
            .repeat_interleave(known.ends[name][0].shape[2:].numel())[units]
        )
        fixed = torch.cat([fixed, -fixed])
        rows = Rows(
            torch.cat([start.values, -start.values]), start.top.repeat(2), start.left.repeat(2)
        )
        (name,) = self._computed(node)
        while name != self.graph.input:
            node = self.nodes[name]
            (before,) = self._computed(node)
            if node.op in LINES:
                below, under, above, over = (rows.met(part) for part in known.lines[name])
                up, down = rows.values.clamp(min=0.0), rows.values.clamp(max=0.0)
                fixed = fixed + (up * under + down * over).flatten(1).sum(1)
                rows = replace(rows, values=up * below + down * above)
            elif node.op == "Conv":
                # the bias counts where the window is on the map
                bias = self._bias(node).expand(1, -1, *known.ends[name][0].shape[2:])
                fixed = fixed + (rows.values * rows.met(bias)).flatten(1).sum(1)
                rows = rows.through(self.graph, node, self.constants[node.inputs[1]])
            else:
                zero = torch.zeros_like(known.ends[before][0])
                offset = self._apply(node, zero)
                factor = self._apply(node, zero + 1) - offset
                fixed = fixed + (rows.values * rows.met(offset)).flatten(1).sum(1)
                rows = replace(rows, values=rows.values * rows.met(factor))
            name = before
        low, high = (rows.met(end) for end in known.ends[name])
        up, down = rows.values.clamp(min=0.0), rows.values.clamp(max=0.0)
        least = fixed + (up * low + down * high).flatten(1).sum(1)
        return least[: len(units)], -least[len(units) :]

    def _bias(self, node: Node) -> Tensor:
        """Of a convolution, [1, channel, 1, 1]."""
        if len(node.inputs) > 2 and node.inputs[2]:
            return self.constants[node.inputs[2]][None, :, None, None]
        return torch.zeros(1, self.graph.shapes[node.output][1], 1, 1)

    def _lines(self, node: Node, ends: Ends) -> tuple[Tensor, ...]:
        wide = Interval(*(end.double() for end in ends))
        return tuple(part.float() for part in LINES[node.op](self.graph.call(node), wide))

    def _first(self, name: str) -> bool:
        """Whether intervals are exact there: a first sum of products of the input itself."""
        sums = 0
        while name != self.graph.input:
            node = self.nodes[name]
            if node.op in LINES:
                return False
            sums += node.op in _SUMS
            (name,) = self._computed(node)
        return sums <= 1

    def _back(self, name: str, rows: Tensor, known: _Known) -> tuple[Tensor, Tensor]:
        """A form of a tensor as one of the input: slopes, and what is added."""
        fixed = torch.zeros(len(rows), dtype=torch.float64)
        while name != self.graph.input:
            node = self.nodes[name]
            (before,) = self._computed(node)
            if node.op in LINES:
                below, under, above, over = known.lines[name]
                up, down = rows.clamp(min=0.0), rows.clamp(max=0.0)
                fixed += (up * under + down * over).flatten(1).sum(1)
                rows = up * below + down * above
            else:
                shape = known.ends[before][0].shape
                count = len(rows) if self.graph.free_batch else 1
                parts = []
                with torch.enable_grad():
                    for part in torch.split(rows, count):
                        x = torch.zeros(len(part), *shape[1:], requires_grad=True)
                        y = self._apply(node, x)
                        parts.append(torch.autograd.grad(y, x, part.reshape(y.shape))[0])
                fixed += rows.flatten(1).double() @ y.detach()[0].double().flatten()
                rows = torch.cat(parts)
            name = before
        return rows, fixed

    def _head(self, ends: Ends) -> tuple[Tensor, Tensor]:
        """Per rival a form of the latent below the margin, over a box of latents.

        A similarity falls, and is convex, in the nearest squared distance: it is above each of its
        tangents and below the chord. A squared distance is below its chord in every channel, and
        above each of its tangents.
        """
        low, high = (end.double().flatten()[self.sites] for end in ends)  # [L, D]
        chain, points = self.network.head.chain, self.prototypes
        below, above = low[:, None] - points, high[:, None] - points
        near = (below.clamp(min=0) + (-above).clamp(min=0)).square().sum(-1)  # [L, P]
        far = torch.maximum(below.abs(), above.abs()).square().sum(-1)
        least, most = near.amin(0), far.amin(0)
        width = (most - least).clamp(min=1e-12)
        where = (least + most) / 2
        value = torch.from_numpy(chain.value(where.numpy()))
        fall = torch.from_numpy(chain.derivative(where.numpy()))
        top, bottom = (torch.from_numpy(chain.value(end.numpy())) for end in (least, most))
        slope = torch.where(most - least > 1e-9, (bottom - top) / width, fall)
        place, closest = far.argmin(0), near.argmin(0)  # [P]
        alone = (near < most).sum(0) == 1
        # above: sum_d (l + u - 2 p) z - l u + p^2; below, by the tangent in the middle
        over = low[place] + high[place] - 2 * points
        more = (points**2 - low[place] * high[place]).sum(-1)
        middle = (low + high)[closest] / 2
        under = 2 * (middle - points)
        less = ((middle - points) ** 2 - under * middle).sum(-1)
        up, down = self.weight.clamp(min=0), self.weight.clamp(max=0)
        offset = self.bias + up @ (value - fall * where + fall * more)
        offset = offset + down @ (top + torch.where(alone, slope * (less - least), 0.0))
        form = torch.zeros(len(self.weight), *low.shape, dtype=torch.float64)
        flat = (torch.where(alone, slope, 0.0)[:, None] * under, fall[:, None] * over)
        for weights, at, parts in ((down, closest, flat[0]), (up, place, flat[1])):
            for location in torch.unique(at).tolist():
                own = at == location
                form[:, location] += weights[:, own] @ parts[own]
        shape = self.graph.shapes[self.graph.outputs[0]]
        rows = torch.zeros(len(form), math.prod(shape), dtype=torch.float64)
        rows[:, self.sites.flatten()] = form.flatten(1)
        return rows.reshape(len(form), *shape[1:]), offset


def _known(node: Node) -> bool:
    if node.op in LINES or node.op in _SUMS or node.op in _SCALING:
        return True
    traits = OPERATORS[node.op].traits
    return Trait.AFFINE in traits and Trait.MOVE in traits
