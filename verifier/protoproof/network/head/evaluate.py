"""A graph from its cuts to a tensor, evaluated on indices: one rule per operator, no patterns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protoproof.network.head import arithmetic, entries, joining, moves, products, reductions
from protoproof.network.head.arithmetic import UNARY, function, unknown
from protoproof.network.head.constants import Numbers
from protoproof.network.head.folding import folded
from protoproof.network.head.layout import Shape, condense
from protoproof.network.head.moves import Inputs, needed
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import Condition, Entries, Value, word
from protoproof.network.head.tables import Tables
from protoproof.network.head.view import Op, View
from protoproof.network.onnx.node import printable


class UnknownNodeError(NotRecognisedError):
    """A node that no rule takes; ``number`` is its place in the graph."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@dataclass(eq=False)
class Evaluation:
    """Everything between ``cuts`` and an output, as values.

    ``cuts``: tensor names with their shapes; their elements are numbered one cut after the other.
    ``folded``: constants computed from constants, shared by all evaluations of one graph.
    ``passed``: how many nodes were evaluated.
    """

    view: View
    cuts: Mapping[str, Shape]
    folded: dict[str, Value] = field(default_factory=dict)
    tables: Tables = field(default_factory=Tables)
    values: dict[str, Value] = field(default_factory=dict)
    passed: int = 0

    def __post_init__(self) -> None:
        first = 0
        for name, shape in self.cuts.items():
            self.values[name] = entries.latent(shape, first)
            first += math.prod(shape)

    def output(self, name: str) -> Value:
        """The value of a tensor.

        Raises:
            NotRecognisedError: the first node, in the order of the graph, that no rule takes.
        """
        for node in self.view.needed(name, self.cuts):
            self._run(node)
        return self.value(name)

    def value(self, name: str) -> Value:
        """A tensor that is stored, or was computed."""
        for known in (self.values, self.folded):
            if name in known:
                return known[name]
        if self.view.is_constant(name):
            return self.view.constant(name)
        raise NotRecognisedError(f"'{printable(name)}' goes around the latent")

    def _run(self, node: Op) -> None:
        if all(name in self.folded for name in node.outputs if name):
            return
        try:
            inputs = [self.value(name) if name else None for name in node.inputs]
            made = apply(self.tables, node, inputs)
        except UnknownNodeError:
            raise
        except NotRecognisedError as error:
            raise UnknownNodeError(f"{node.where}: {error}", node.number) from error
        except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
            text = f"{node.where}: operands that do not fit together"
            raise UnknownNodeError(text, node.number) from error
        results = made if isinstance(made, list) else [made]
        constant = all(name not in self.view.dependent for name in node.outputs)
        into = self.folded if constant else self.values
        for name, result in zip(node.outputs, results, strict=False):
            if name:
                into[name] = result
        self.passed += not constant


def apply(tables: Tables, node: Op, inputs: Sequence[Value | None]) -> Value | list[Value]:
    """The rule of a node's operator.

    Raises:
        NotRecognisedError: no rule for the operator, or for what it is applied to.
    """
    if node.op == "Shape":
        return _shape(node, inputs)
    rule = RULES.get(node.op)
    numbers = [value for value in inputs if value is None or isinstance(value, Numbers)]
    if len(numbers) == len(inputs):
        exact = node.op in _EXACT and any(v and v.high.dtype.kind == "f" for v in numbers)
        if not exact:
            return folded(node, numbers)
    if rule is None:
        kinds = " and ".join(word(value) for value in inputs if value is not None)
        raise NotRecognisedError(f"no rule for this operator, here of {kinds}")
    made: Value | list[Value] = rule(tables, node, inputs)
    return made


def _shape(node: Op, inputs: Inputs) -> Value:
    shape = np.array(needed(inputs, 0).shape, dtype=np.int64)
    start, end = node.integer("start", 0), node.attributes.get("end")
    return Numbers(shape[start:end])


def _binary(operate: Callable[[Tables, Value, Value], Value]) -> Any:
    return lambda tables, node, inputs: operate(tables, needed(inputs, 0), needed(inputs, 1))


def _unary(name: str) -> Any:
    return lambda tables, node, inputs: function(tables, needed(inputs, 0), name)


def _neg(tables: Tables, node: Op, inputs: Inputs) -> Value:
    return arithmetic.multiply(tables, needed(inputs, 0), Numbers(np.array(-1.0)))


def _sqrt(tables: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    if isinstance(value, Numbers):
        return reductions.root_of(value)
    return function(tables, value, "sqrt")


def _relu(tables: Tables, node: Op, inputs: Inputs) -> Value:
    return function(tables, needed(inputs, 0), "max", Numbers(np.array(0.0)))


def _clip(tables: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    for place, name in ((1, "max"), (2, "min")):
        if len(inputs) > place and inputs[place] is not None:
            value = limited(tables, value, name, needed(inputs, place))
    return value


def limited(tables: Tables, value: Value, name: str, bound: Value) -> Value:
    """The larger, or the smaller, of a value and numbers."""
    if not isinstance(bound, Numbers):
        raise unknown(f"'{name}'", value, bound)
    if isinstance(value, Numbers):
        change = np.maximum if name == "max" else np.minimum
        limit = change(value.plain, bound.plain)
        if limit.shape == value.shape and np.array_equal(limit, value.plain):
            return value
        return Numbers(limit)
    if np.isinf(bound.plain).all() and (bound.plain < 0).all() == (name == "max"):
        return value
    return function(tables, value, name, bound)


def _extremum(tables: Tables, node: Op, inputs: Inputs) -> Value:
    """Max or Min of several tensors: of a value and numbers."""
    value = needed(inputs, 0)
    for place in range(1, len(inputs)):
        other = needed(inputs, place)
        if isinstance(value, Numbers):
            value, other = other, value
        value = limited(tables, value, node.op.lower(), other)
    return value


def _pow(tables: Tables, node: Op, inputs: Inputs) -> Value:
    value, exponent = needed(inputs, 0), needed(inputs, 1)
    if not isinstance(exponent, Numbers):
        raise unknown("Pow", value, exponent)
    powers = condense(exponent.plain)
    if powers.size == 1:
        power = float(powers.reshape(-1)[0])
        if power == 1.0:
            return value
        if isinstance(value, Numbers):
            if power == 2.0:
                return arithmetic.multiply(tables, value, value)
            return reductions.root_of(value) if power == 0.5 else Numbers(value.plain**power)
        named = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}.get(power)
        if named is not None:
            return function(tables, value, named)
    return function(tables, value, "power", exponent)


def _sum(tables: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    for place in range(1, len(inputs)):
        value = arithmetic.add(tables, value, needed(inputs, place), 1.0)
    return value


def _compare(tables: Tables, node: Op, inputs: Inputs) -> Value:
    """Less and its kin, of a value and numbers: below the number or not."""
    x, y = needed(inputs, 0), needed(inputs, 1)
    below = node.op in ("Less", "LessOrEqual")
    strict = node.op in ("Less", "Greater")
    if isinstance(x, Numbers):
        x, y, below = y, x, not below
    if not isinstance(y, Numbers) or isinstance(x, Entries) or below != strict:
        raise unknown(node.op, x, y)
    # x < c is "below", x >= c is "not below"; x <= c and x > c would put c on the other side
    return Condition(x.shape, x, y, below)


def _where(tables: Tables, node: Op, inputs: Inputs) -> Value:
    condition, yes, no = (needed(inputs, k) for k in range(3))
    if isinstance(condition, Condition):
        return arithmetic.cleared(tables, condition, yes, no)
    if isinstance(condition, Numbers):
        chosen = condense(np.asarray(condition.high, dtype=np.float64))
        if chosen.size == 1:
            return yes if chosen.reshape(-1)[0] else no
    raise unknown("Where", condition, yes, no)


def _not(tables: Tables, node: Op, inputs: Inputs) -> Value:
    value = needed(inputs, 0)
    if isinstance(value, Condition):
        return Condition(value.shape, value.value, value.threshold, not value.below)
    raise unknown("Not", value)


RULES: dict[str, Any] = {
    **moves.RULES,
    **products.RULES,
    "Concat": joining.concat,
    **reductions.RULES,
    **{op: _unary(name) for op, name in UNARY.items() if op != "Sqrt"},
    "Add": _binary(lambda t, x, y: arithmetic.add(t, x, y, 1.0)),
    "Sub": _binary(lambda t, x, y: arithmetic.add(t, x, y, -1.0)),
    "Mul": _binary(arithmetic.multiply),
    "Div": _binary(arithmetic.divide),
    "Neg": _neg,
    "Sqrt": _sqrt,
    "Relu": _relu,
    "Clip": _clip,
    "Max": _extremum,
    "Min": _extremum,
    "Pow": _pow,
    "Sum": _sum,
    "Less": _compare,
    "LessOrEqual": _compare,
    "Greater": _compare,
    "GreaterOrEqual": _compare,
    "Where": _where,
    "Not": _not,
}
# of constants too: what keeps them exact, or only moves them
_EXACT = frozenset(
    {
        "Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Pow", "Clip", "Max", "Min", "ReduceSum",
        "ReduceSumSquare", "ReduceL2", "ReduceMean", "ReduceMax", "ReduceMin", "Reshape",
        "Transpose", "Squeeze", "Unsqueeze", "Expand", "Identity", "Dropout", "Flatten", "Slice",
        "Split", "Cast", "CastLike", "SplitToSequence",
    }
)  # fmt: skip
