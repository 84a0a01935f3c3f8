"""The encoder over a box of inputs: bounds of the latent, recomputed from the model's bytes.

An interval walk of the checker's own, in outward-rounded float64 (see ``outward``), for one image.
``walk_rules`` holds one rule per operator; an operator without one ends the walk.
"""

from __future__ import annotations

import numpy as np
import onnx

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.outward import Array, Range
from protoproof.kernel.encoder.activation import Lines
from protoproof.kernel.encoder.affine import AFFINE, MAX_NUMBERS, scale_of
from protoproof.kernel.encoder.operators import MOVES, RULES
from protoproof.kernel.encoder.parametric import Cloud
from protoproof.kernel.encoder.step import ReplayError, Step, Values
from protoproof.kernel.model.graph import DEFAULT_DOMAINS, Graph

_PER_NUMBER = 64  # what an operator costs per number of its output, in multiply-adds


def encoder_range(graph: Graph, tensor: str, start: Range, cloud: Cloud | None = None) -> Range:
    """Bounds of a tensor over all inputs in ``start``, in real arithmetic; shape of one image.

    Args:
        graph: the model.
        tensor: the name of the latent.
        start: bounds of the graph's only input, [1, C, H, W].
        cloud: more about these inputs, for the first layer.

    Raises:
        ReplayError: an operator or a form of one that is not known here, or too much work.
        ModelError: the graph has several inputs, or its input another shape.
    """
    return Walk(graph, start, cloud=cloud).reach(tensor)


class Walk(Values):
    """Bounds of the tensors that were asked for, each computed once, inputs before outputs.

    Where the inputs are no box, ``cloud`` says what they are. It is carried through operators that
    only scale, shift or move single numbers, and bounds sums of products behind them; both bounds
    of such a sum hold, hence their intersection.
    """

    def __init__(
        self, graph: Graph, start: Range, work: int = 0, cloud: Cloud | None = None
    ) -> None:
        if len(graph.inputs) != 1:
            raise ModelError(f"model: {len(graph.inputs)} inputs; only one image can be walked")
        name = next(iter(graph.inputs))
        stated = graph.declared_shape(name)
        if stated is None or len(stated) != start.low.ndim or any(
            axis not in (None, size) for axis, size in zip(stated, start.low.shape, strict=True)
        ):  # fmt: skip
            raise ModelError(f"model: the input has shape {stated}, not {start.low.shape}")
        super().__init__(graph, {name: start}, work)
        self.input = name
        self.clouds = {} if cloud is None else {name: cloud}
        self.lines: dict[str, Lines] = {}  # of activations, by output; see ``backward``

    def reach(self, tensor: str) -> Range:
        """Bounds of a tensor; everything it depends on comes first."""
        waiting, entered = [tensor], set()
        while waiting:
            name = waiting[-1]
            if name in self.known:
                waiting.pop()
                continue
            node, position = self.graph.producers.get(name, (None, 0))
            if node is None or position or node.domain not in DEFAULT_DOMAINS:
                raise ModelError(f"model: nothing known computes {name!r}")
            missing = [i for i in node.input if i and not self.stored(i) and i not in self.known]
            if not missing:
                self.known[name] = self._run(node)
            elif name in entered:
                raise ModelError(f"model: {name!r} depends on itself")
            entered.add(name)
            waiting.extend(missing)
        return self.known[tensor]

    def _run(self, node: onnx.NodeProto) -> Range:
        rule = RULES.get(node.op_type)
        if rule is None:
            raise ReplayError(f"operator {node.op_type} cannot be replayed")
        with np.errstate(all="ignore"):  # what is not finite is refused below
            step = Step(self, node)
            found = rule(step)
            self.charge(_PER_NUMBER * found.low.size)
            if self.clouds:
                found = self._clouded(step, found)
        if not (np.isfinite(found.low).all() and np.isfinite(found.high).all()):
            raise ReplayError(f"the bounds of {node.output[0]!r} are not finite")
        if (found.low > found.high).any() or found.low.size > MAX_NUMBERS:
            raise ReplayError(f"the bounds of {node.output[0]!r} cross, or are too many")
        return found

    def _clouded(self, step: Step, found: Range) -> Range:
        """The bounds of a node's output, and its cloud where it has one."""
        kind, output = step.node.op_type, step.node.output[0]
        scale = scale_of(step)
        cloud = self.clouds.get(step.node.input[0] if scale is None else scale.name)
        if cloud is None:
            return found
        if scale is not None:
            self.clouds[output] = cloud.scaled(scale)
        elif kind in MOVES:
            self.clouds[output] = cloud.moved(lambda part: self.moved(step.node, part))
        elif kind in AFFINE:
            linear = AFFINE[kind](step)
            exact = cloud.affine(linear.weight, linear.offset, linear.apply, linear.terms)
            low, high = np.maximum(found.low, exact.low), np.minimum(found.high, exact.high)
            # where both bounds exclude each other there are no such inputs: either one is true
            cross = low > high
            return Range(np.where(cross, found.low, low), np.where(cross, found.high, high))
        return found

    def moved(self, node: onnx.NodeProto, part: Array) -> Array:
        """What a node that only moves numbers makes of an array."""
        alone = Values(self.graph, {node.input[0]: Range(part, part)})
        return RULES[node.op_type](Step(alone, node)).low
