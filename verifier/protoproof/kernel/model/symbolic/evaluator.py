"""The graph between latent and output, evaluated: what every element is, seen from the latent.

Only these nodes are looked at; what the encoder holds is no business of the head. Every operator is
compared with all its attributes, and what has no rule ends the reading with its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.onnx_reader import FLOAT
from protoproof.kernel.model.symbolic import constants, layout, reductions, types
from protoproof.kernel.model.symbolic.arithmetic import BINARY, UNARY, Arithmetic
from protoproof.kernel.model.symbolic.arrays import Array, Shape
from protoproof.kernel.model.symbolic.expressions import Expressions
from protoproof.kernel.model.symbolic.nodes import Operator, read
from protoproof.kernel.model.symbolic.operators import RULES
from protoproof.kernel.model.symbolic.tables import Tables
from protoproof.kernel.model.symbolic.values import (
    Constant,
    Several,
    Value,
    latent,
)

_PER_NODE = 1 << 22  # most of it numpy's, however small the tensors
_ELEMENTWISE = frozenset((*BINARY, "Pow", "Max", "Min", "Where"))
_CALCULATING = frozenset(
    (*BINARY, *UNARY, *reductions.KINDS, "Pow", "Max", "Min", "MatMul", "Gemm", "Einsum", "Cast")
)


class Evaluation:
    """The values of a graph's tensors, from the cuts on.

    Attributes:
        tables: what the indices in values stand for.
        values: every tensor's value so far, by name.
        types: ONNX's numbers for their types.
        done: the operators that were evaluated, in their order.
    """

    def __init__(self, graph: Graph, cuts: Mapping[str, Shape]) -> None:
        self.graph = graph
        self.tables = Tables()
        self.known = Expressions(self.tables)
        self.rules = Arithmetic(self.known)
        self.values: dict[str, Value] = {}
        self.types = dict.fromkeys(cuts, FLOAT)
        self.done: list[Operator] = []
        start = 0
        for name, shape in cuts.items():
            count = math.prod(shape)
            spend("the latent", count * OPERATION)
            self.values[name] = latent(np.arange(start, start + count).reshape(shape))
            start += count

    def value(self, tensor: str) -> Value:
        """What a tensor is.

        Raises:
            ModelError: it does not follow from the cuts, or by no rule.
        """
        if tensor in self.values:
            return self.values[tensor]
        for operator in self._needed(tensor):
            self.evaluate(operator)
        if tensor not in self.values:
            raise ModelError(f"model: {tensor!r} is an output that has no rule")
        return self.values[tensor]

    def _needed(self, tensor: str) -> list[Operator]:
        """The nodes between the cuts and a tensor, in the order of the file."""
        wanted, found, seen = [tensor], {}, set()
        order = {name: k for k, name in enumerate(self.graph.producers)}
        while wanted:
            name = wanted.pop()
            if name in seen or name in self.values or not name:
                continue
            seen.add(name)
            if name in self.graph.constants:
                self.values[name] = constants.stored(self.graph.constants[name])
                self.types[name] = self.graph.constants[name].data_type
                continue
            node, _ = self.graph.producers.get(name, (None, 0))
            if node is None:
                raise ModelError(
                    f"model: {tensor!r} depends on {name!r} past the latent, which alone is not "
                    "enough to compute it"
                )
            spend("the head's operators", _PER_NODE)
            operator = read(node, self.graph.opset)
            found[min(order[o] for o in node.output if o)] = operator
            wanted += operator.inputs
        return [found[k] for k in sorted(found)]

    def evaluate(self, operator: Operator) -> None:
        """One node, whose inputs are known."""
        try:
            inputs = [self.values[name] if name else None for name in operator.inputs]
        except KeyError as error:
            raise operator.refuse(
                "an input of it has no rule, or the file has its operators in no order"
            ) from error
        if operator.kind != "SequenceAt" and any(isinstance(v, Several) for v in inputs):
            raise operator.refuse("of a sequence of tensors")
        kind = types.result(operator, [self.types.get(name) for name in operator.inputs])
        try:
            found = RULES[operator.kind](self, operator, inputs)
        except ModelError as error:
            text = str(error).removeprefix("model: ")
            if text.startswith(operator.words()):
                raise
            raise operator.refuse(text) from error
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            raise operator.refuse("operands that do not fit together") from error
        self._require_plain(operator, [v for v in inputs if v is not None], found)
        for name, value in zip(operator.outputs, found, strict=False):
            if name:
                self.values[name], self.types[name] = value, kind
        self.done.append(operator)

    def _require_plain(
        self, operator: Operator, inputs: Sequence[Value], found: Sequence[Value]
    ) -> None:
        """What holds of every rule's result, whatever the rule.

        Operators element by element have the shape to which their operands broadcast; whole numbers
        stay whole and do not wrap round.

        Raises:
            ModelError: a result breaks one of these.
        """
        if operator.kind in _ELEMENTWISE:
            try:
                shape = np.broadcast_shapes(*[value.shape for value in inputs])
            except ValueError as error:
                raise operator.refuse("shapes that do not broadcast") from error
            if found[0].shape != shape:
                raise operator.refuse(f"operands that broadcast to {list(shape)}")
        if operator.kind in _CALCULATING and all(
            isinstance(value, Constant) and value.whole for value in inputs
        ):
            for value in found:
                if isinstance(value, Constant):
                    constants.require_integers(value)

    def integers(self, operator: Operator, inputs: Sequence[Value | None]) -> layout.Integers:
        """The integers of an input, for layout operators."""

        def of(position: int) -> Array | None:
            value = inputs[position] if position < len(inputs) else None
            if value is None:
                return None
            if not isinstance(value, Constant):
                raise operator.refuse(f"input {position} is {value.words()}, not stored integers")
            return constants.integers(value)

        return of
