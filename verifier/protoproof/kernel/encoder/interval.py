"""The encoder over a box of inputs: bounds of the latent, recomputed from the model's bytes.

An interval propagation of the checker's own, in outward-rounded float64 (see ``outward``), for one
image. ``operators`` holds one rule per operator; an operator without one ends the propagation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.budget import NODE, current
from protoproof.kernel.encoder.activation import LinearRelaxation
from protoproof.kernel.encoder.affine import AFFINE, TEMPORARY, scale_of
from protoproof.kernel.encoder.operators import MOVES, RULES
from protoproof.kernel.encoder.parametric import ParametricSet
from protoproof.kernel.encoder.step import ReplayError, Step, Values
from protoproof.kernel.model.graph import DEFAULT_DOMAINS, Graph
from protoproof.kernel.model.onnx_reader import OnnxNode

PER_WALK = 20 * NODE  # a propagation without any operator: about two milliseconds
_PER_NUMBER = 64  # what an operator costs per number of its output, in multiply-adds


class IntervalPropagation(Values):
    """Bounds of the tensors that were asked for, each computed once, inputs before outputs.

    Where the inputs are no box, ``parametric`` says what they are. It is carried through operators
    that only scale, shift or move single numbers, and bounds sums of products behind them; both
    bounds of such a sum hold, hence their intersection.

    ``keep``: keep all tensors, not only those that are still needed.
    """

    def __init__(
        self,
        graph: Graph,
        start: Range,
        parametric: ParametricSet | None = None,
        *,
        keep: bool = True,
    ) -> None:
        if len(graph.inputs) != 1:
            raise ModelError(f"model: {len(graph.inputs)} inputs; only one image can be walked")
        (name,) = graph.inputs
        stated = graph.input_shape(name)
        if stated is None or len(stated) != start.low.ndim or any(
            axis not in (None, size) for axis, size in zip(stated, start.low.shape, strict=True)
        ):  # fmt: skip
            raise ModelError(f"model: the input has shape {stated}, not {start.low.shape}")
        super().__init__(graph, {name: start})
        self.input, self.keep = name, keep
        self.parametric = {} if parametric is None else {name: parametric}
        self.lines: dict[str, LinearRelaxation] = {}  # of activations, by output; see ``backward``

    def reach(self, tensor: str) -> Range:
        """Bounds of a tensor; everything it depends on comes first."""
        order = self._order(tensor)
        self._charge(list(order.values()))
        uses = Counter(i for node in order.values() for i in self._computed(node))
        for name, node in order.items():
            self.known[name] = self._run(node)
            current().hold("the tensors of a walk", self._size(name))
            for given in self._computed(node):
                uses[given] -= 1
                if not (self.keep or uses[given] or given in (self.input, tensor)):
                    current().release(self._size(given))
                    del self.known[given]
                    self.parametric.pop(given, None)
        return self.known[tensor]

    def _computed(self, node: OnnxNode) -> set[str]:
        return {name for name in node.input if name and not self.stored(name)}

    def _order(self, tensor: str) -> dict[str, OnnxNode]:
        """The operators that are missing for a tensor, by their output, inputs first."""
        order: dict[str, OnnxNode] = {}
        waiting, entered = [tensor], set()
        while waiting:
            name = waiting[-1]
            if name in self.known or name in order:
                waiting.pop()
                continue
            node, position = self.graph.producers.get(name, (None, 0))
            if node is None or position or node.domain not in DEFAULT_DOMAINS:
                raise ModelError(f"model: nothing known computes {name!r}")
            if node.op_type not in RULES:
                raise ReplayError(f"operator {node.op_type} cannot be replayed")
            missing = [i for i in self._computed(node) if i not in self.known and i not in order]
            if not missing:
                order[name] = node
            elif name in entered:
                raise ModelError(f"model: {name!r} depends on itself")
            entered.add(name)
            waiting.extend(missing)
        return order

    def _charge(self, order: Sequence[OnnxNode]) -> None:
        """Charge what every operator costs, however small its tensors."""
        current().spend("the operators of a walk", PER_WALK + NODE * len(order))

    def _size(self, name: str) -> int:
        """Bytes of a tensor's bounds and parametric set."""
        arrays = 2
        if name in self.parametric:
            arrays += 5 + 2 * len(self.parametric[name].generators)
        return 8 * arrays * self.known[name].low.size

    def _run(self, node: OnnxNode) -> Range:
        with np.errstate(all="ignore"):  # what is not finite is refused below
            step = Step(self, node)
            given = sum(self.numbers(name) for name in {*node.input} - {""})
            step.charge(_PER_NUMBER * given)
            step.room(TEMPORARY * given)
            found = RULES[node.op_type](step)
            step.charge(_PER_NUMBER * found.low.size)
            if self.parametric:
                found = self._with_parametric(step, found)
        if not (np.isfinite(found.low).all() and np.isfinite(found.high).all()):
            raise ReplayError(f"the bounds of {node.output[0]!r} are not finite")
        if (found.low > found.high).any():
            raise ReplayError(f"the bounds of {node.output[0]!r} cross")
        return found

    def _with_parametric(self, step: Step, found: Range) -> Range:
        """The bounds of a node's output, and its parametric set where it has one."""
        kind, output = step.node.op_type, step.node.output[0]
        scale = scale_of(step)
        parametric = self.parametric.get(step.node.input[0] if scale is None else scale.name)
        if parametric is None:
            return found
        if scale is not None:
            self.parametric[output] = parametric.scaled(scale)
        elif kind in MOVES:
            self.parametric[output] = parametric.moved(lambda part: self.moved(step.node, part))
        elif kind in AFFINE:
            linear = AFFINE[kind](step)
            exact = parametric.affine(linear.weight, linear.offset, linear.apply, linear.terms)
            low, high = np.maximum(found.low, exact.low), np.minimum(found.high, exact.high)
            # where both bounds exclude each other there are no such inputs: either one is true
            cross = low > high
            return Range(np.where(cross, found.low, low), np.where(cross, found.high, high))
        return found

    def moved(self, node: OnnxNode, part: Array) -> Array:
        """What a node that only moves numbers makes of an array."""
        alone = Values(self.graph, {node.input[0]: Range(part, part)})
        return RULES[node.op_type](Step(alone, node)).low
