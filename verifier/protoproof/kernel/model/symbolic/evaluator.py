"""The graph between latent and output, evaluated: what every element is, seen from the latent.

Only these nodes are looked at; what the encoder holds is no business of the head. Every operator is
compared with all its attributes, and what has no rule ends the reading with its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.onnx_reader import OnnxTensor
from protoproof.kernel.model.symbolic import constants, layout, linear, reductions
from protoproof.kernel.model.symbolic.arithmetic import BINARY, UNARY, Arithmetic, UnknownError
from protoproof.kernel.model.symbolic.arrays import Array, Exact, Shape, exact
from protoproof.kernel.model.symbolic.expressions import Expressions
from protoproof.kernel.model.symbolic.latents import spanned
from protoproof.kernel.model.symbolic.nodes import Operator, read
from protoproof.kernel.model.symbolic.tables import Tables
from protoproof.kernel.model.symbolic.values import (
    Below,
    Constant,
    Joined,
    Latent,
    Measured,
    Ranked,
    Terms,
    Value,
    constant,
    latent,
)

_PER_NODE = 1 << 14
_LONGEST_RANGE = 1 << 16
DOUBLE = 11  # ONNX's number for float64
# Comparisons with a constant on the right: is it "below"?
_COMPARISONS = {"Less": False, "GreaterOrEqual": True}


class Evaluation:
    """The values of a graph's tensors, from the cuts on.

    Attributes:
        tables: what the indices in values stand for.
        values: every tensor's value so far, by name.
    """

    def __init__(self, graph: Graph, cuts: Mapping[str, Shape]) -> None:
        self.graph = graph
        self.tables = Tables()
        self.known = Expressions(self.tables)
        self.rules = Arithmetic(self.known)
        self.values: dict[str, Value] = {}
        self._wide = False  # whether something that follows from the latent is cast to float64
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
            raise operator.refuse("the file has its operators in no order") from error
        self._require_one_type(operator, inputs)
        try:
            found = _RULES[operator.kind](self, operator, inputs)
        except ModelError as error:
            text = str(error).removeprefix("model: ")
            if text.startswith(operator.words()):
                raise
            raise operator.refuse(text) from error
        except (ValueError, IndexError) as error:
            raise operator.refuse("shapes that do not fit together") from error
        for name, value in zip(operator.outputs, found, strict=False):
            if name:
                self.values[name] = value

    def _require_one_type(self, operator: Operator, inputs: Sequence[Value | None]) -> None:
        """No runtime computes with float32 and float64 in one operator: such a file means nothing.

        Raises:
            ModelError: a stored float64 meets the latent, which nothing casts to float64.
        """
        if all(value is None or isinstance(value, Constant) for value in inputs):
            return
        self._wide |= operator.kind == "Cast" and operator.attributes["to"] == DOUBLE
        stored = (self.graph.constants.get(name) for name in operator.inputs)
        if not self._wide and any(t is not None and t.data_type == DOUBLE for t in stored):
            raise operator.refuse("a stored float64 beside float32 numbers")

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


Inputs = Sequence[Value | None]
Rule = Callable[[Evaluation, Operator, Inputs], list[Value]]


def _given(operator: Operator, inputs: Inputs, least: int, most: int) -> list[Value]:
    """The inputs, where so many are there.

    Raises:
        ModelError: more or fewer, or one is left out.
    """
    if not least <= len(inputs) <= most or any(value is None for value in inputs):
        raise operator.refuse(f"{len(inputs)} inputs")
    return [value for value in inputs if value is not None]


def _layout(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    if not inputs or inputs[0] is None:
        raise operator.refuse("no input")
    value = inputs[0]
    if isinstance(value, Joined) and operator.kind == "Transpose":
        order = operator.attributes["perm"] or tuple(reversed(range(len(value.shape))))
        parts = tuple(p.moved(lambda a: a.transpose(order)) for p in value.parts)
        return [Joined(parts, order.index(value.axis))]
    if isinstance(value, Joined | Ranked | Below):
        raise operator.refuse(f"the layout of {value.words()}")
    integers = here.integers(operator, inputs)
    moves = layout.LAYOUT[operator.kind](operator, value.shape, integers)
    return [value.moved(move) for move in moves]


def _binary(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    left, right = _given(operator, inputs, 2, 2)
    return [here.rules.binary(operator.kind, left, right)]


def _unary(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = _given(operator, inputs, 1, 1)
    return [here.rules.unary(operator.kind, value)]


def _power(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    value, exponent = _given(operator, inputs, 2, 2)
    if not isinstance(exponent, Constant):
        raise operator.refuse(f"the exponent is {exponent.words()}")
    return [here.rules.power(value, exponent)]


def _clip(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    if not 1 <= len(inputs) <= 3 or inputs[0] is None:
        raise operator.refuse(f"{len(inputs)} inputs")
    value: Value = inputs[0]
    limits: list[Constant | None] = [None, None]
    for position, limit in enumerate(inputs[1:]):
        if limit is None:
            continue
        if not isinstance(limit, Constant) or limit.shape not in ((), (1,)):
            raise operator.refuse("a limit that is no stored number")
        limits[position] = limit
    if limits[0] is not None and limits[1] is not None:
        low, high = (x.number.value((0,) * len(x.shape)) for x in limits if x is not None)
        if low > high:
            raise operator.refuse("min exceeds max")
    for position, limit in enumerate(limits):
        if limit is not None:
            # of shape [] as of [1]: the result keeps the value's rank
            flat = limit.moved(lambda a: a.reshape(()))
            value = here.rules.limited(value, flat, upper=position == 1)
    return [value]


def _extreme(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """Max and Min of two: of a value and a constant, or of terms."""
    left, right = _given(operator, inputs, 2, 2)
    upper = operator.kind == "Min"
    if isinstance(left, Constant):
        left, right = right, left
    if isinstance(right, Constant):
        return [here.rules.limited(left, right, upper)]
    pair = [here.rules.terms(v) for v in (left, right)]
    if pair[0].over >= 0 or pair[1].over >= 0:
        raise operator.refuse("of votes")
    shape = np.broadcast_shapes(pair[0].shape, pair[1].shape)
    both = Terms(np.stack([np.broadcast_to(p.term, shape) for p in pair]))
    return [reductions.over(here.rules, "min" if upper else "max", both, (0,))]


def _same(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    return _given(operator, inputs, 1, 1)


def _dropout(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    if not 1 <= len(inputs) <= 3 or inputs[0] is None:
        raise operator.refuse(f"{len(inputs)} inputs")
    training = inputs[2] if len(inputs) == 3 else None
    if training is not None and not (
        isinstance(training, Constant) and not np.any(training.number.numerators)
    ):
        raise operator.refuse("dropout in training")
    return [inputs[0]]


def _cast(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """Among floats over the reals: nothing. Constants must not be rounded."""
    (value,) = _given(operator, inputs, 1, 1)
    to = operator.attributes["to"]
    if isinstance(value, Constant):
        if to in constants.INTEGERS:
            constants.integers(value)
            return [replace(value, whole=True)]
        if to in constants.FLOATS:
            return [replace(value if to == 11 else constants.as_float32(value), whole=False)]
    if to not in constants.FLOATS or isinstance(value, Below):
        raise operator.refuse(f"{value.words()} becomes a number of type {to}")
    return [value]


def _reduce(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    if not 1 <= len(inputs) <= 2 or inputs[0] is None:
        raise operator.refuse(f"{len(inputs)} inputs")
    named = operator.attributes.get("axes")
    if "axes" in operator.attributes and len(inputs) > 1:
        raise operator.refuse("axes as an input before they were one")
    given = here.integers(operator, inputs)(1)
    if given is not None:
        named = given.reshape(-1).tolist()
    return [reductions.reduce(here.rules, operator, inputs[0], named)]


def _pool(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = _given(operator, inputs, 1, 1)
    return [reductions.over_windows(here.rules, operator, value)]


def _global_pool(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = _given(operator, inputs, 1, 1)
    return [reductions.over_all_places(here.rules, operator, value)]


def _top(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    value, _ = _given(operator, inputs, 2, 2)
    count = here.integers(operator, inputs)(1)
    if count is None or count.size != 1:
        raise operator.refuse("how many is no stored number")
    return [reductions.top(here.rules, operator, value, int(count.reshape(-1)[0]))]


def _matmul(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    left, right = _given(operator, inputs, 2, 2)
    return [linear.matmul(here.rules, left, right)]


def _gemm(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    return [linear.gemm(here.rules, operator, _given(operator, inputs, 2, 3))]


def _conv(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    return [linear.conv(here.rules, operator, _given(operator, inputs, 2, 3))]


def _einsum(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    return [linear.einsum(here.rules, operator, _given(operator, inputs, 2, 2))]


def _softmax(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = _given(operator, inputs, 1, 1)
    if operator.kind != "Softmax":
        raise operator.refuse("votes that are logarithms")
    return [reductions.votes(here.rules, operator, value)]


def _normalise(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = _given(operator, inputs, 1, 1)
    (axis,) = layout.axes_of(operator, [operator.attributes["axis"]], len(value.shape))
    if not isinstance(value, Latent) or operator.attributes["p"] != 2:
        raise operator.refuse(f"the normalisation of {value.words()}")
    found = here.rules.normalised(value, axis)
    if found is None:
        raise operator.refuse(f"the normalisation of {value.words()}")
    return [found]


def _concat(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    parts = _given(operator, inputs, 1, 1 << 20)
    rank = len(parts[0].shape)
    (axis,) = layout.axes_of(operator, [operator.attributes["axis"]], rank)
    for part in parts:
        if len(part.shape) != rank or any(
            n != m
            for k, (n, m) in enumerate(zip(part.shape, parts[0].shape, strict=True))
            if k != axis
        ):
            raise operator.refuse("shapes that do not fit beside each other")
    spend("the layout of a tensor", sum(math.prod(part.shape) for part in parts))
    return [_beside(here, parts, axis)]


def _beside(here: Evaluation, parts: list[Value], axis: int) -> Value:
    if all(isinstance(part, Constant) for part in parts):
        return constants.joined([p for p in parts if isinstance(p, Constant)], axis)
    latents_only = [p if isinstance(p, Latent) else _fixed(p) for p in parts]
    elements = [p for p in latents_only if p is not None]
    if len(elements) == len(parts) and len({p.power for p in elements}) == 1:
        names = ("scale", "shift", "weight", "root")
        exacts = {n: constants.beside([getattr(p, n) for p in elements], axis) for n in names}
        index, norm = (
            np.concatenate([getattr(p, n) for p in elements], axis) for n in ("index", "norm")
        )
        return Latent(index, norm=norm, power=elements[0].power, **exacts)
    if all(isinstance(part, Measured) for part in parts):
        pieces = zip(*[part.pieces for part in parts], strict=True)
        return Measured(*[np.concatenate(piece, axis) for piece in pieces])
    if any(isinstance(part, Terms) for part in parts):
        found = [here.rules.terms(part) for part in parts]
        if len({p.over for p in found}) == 1:
            return Terms(np.concatenate([p.term for p in found], axis), found[0].over)
    return Joined(tuple(parts), axis)


def _fixed(value: Value) -> Latent | None:
    """Constant elements beside those of the latent."""
    if not isinstance(value, Constant) or not value.rational:
        return None
    nothing = latent(np.full(value.shape, -1))
    return spanned(
        Latent(nothing.index, exact(0, value.shape), value.number, nothing.weight, nothing.root,
               nothing.norm, 1)
    )  # fmt: skip


def _scatter(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    data, _, updates = _given(operator, inputs, 3, 3)
    where = here.integers(operator, inputs)(1)
    if where is None:
        raise operator.refuse("no indices")
    place = layout.scattered(operator, data.shape, where, updates.shape)
    if isinstance(data, Constant) and isinstance(updates, Constant):
        first, second = data.number, updates.number
        common = math.lcm(first.denominator, second.denominator)
        whole = np.array(first.numerators * (common // first.denominator), dtype=object)
        whole[place] = second.numerators * (common // second.denominator)
        if not (data.rational and updates.rational):
            raise operator.refuse("roots are scattered")
        return [constant(Exact(whole, common), data.whole and updates.whole)]
    into, new = here.rules.terms(data), here.rules.terms(updates)
    if into.over >= 0 or new.over >= 0:
        raise operator.refuse("votes are scattered")
    terms = np.array(into.term)
    terms[place] = new.term
    return [Terms(terms)]


def _compare(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """x < c, or x >= c; c <= x and c > x are the same."""
    left, right = _given(operator, inputs, 2, 2)
    turned = {"Greater": "Less", "LessOrEqual": "GreaterOrEqual"}
    if isinstance(left, Constant) and operator.kind in turned:
        return [Below(right, left, turned[operator.kind] == "GreaterOrEqual")]
    if isinstance(right, Constant) and operator.kind in _COMPARISONS:
        return [Below(left, right, _COMPARISONS[operator.kind])]
    raise operator.refuse(f"{left.words()} against {right.words()}")


def _equal(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    left, right = _given(operator, inputs, 2, 2)
    if not isinstance(left, Constant) or not isinstance(right, Constant):
        raise operator.refuse(f"{left.words()} against {right.words()}")
    return [constants.equal(left, right)]


def _not(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = _given(operator, inputs, 1, 1)
    if not isinstance(value, Below):
        raise operator.refuse(f"of {value.words()}")
    return [Below(value.value, value.limit, not value.negated)]


def _remainder(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """Of whole numbers, with the sign of the divisor (fmod=0): how exporters compute sizes."""
    left, right = _whole(operator, _given(operator, inputs, 2, 2))
    if operator.attributes["fmod"] or not right.all():
        raise operator.refuse("a remainder by 0, or of another sign")
    return [_stored_integers(np.mod(left, right))]


def _range(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    start, limit, step = (n.reshape(-1) for n in _whole(operator, _given(operator, inputs, 3, 3)))
    if len(start) != 1 or len(limit) != 1 or len(step) != 1 or not step[0]:
        raise operator.refuse("no range of whole numbers")
    if (limit[0] - start[0]) // step[0] > _LONGEST_RANGE:
        raise operator.refuse("too long")
    return [_stored_integers(np.arange(start[0], limit[0], step[0]))]


def _whole(operator: Operator, inputs: list[Value]) -> list[Array]:
    """Constants of an integer type."""
    if not all(isinstance(value, Constant) and value.whole for value in inputs):
        raise operator.refuse("of what are no whole constants")
    return [constants.integers(value) for value in inputs if isinstance(value, Constant)]


def _stored_integers(values: Array) -> Constant:
    numbers = np.asarray(values, dtype=np.int64)
    return constants.stored(OnnxTensor("", numbers.shape, 7, numbers.tobytes()))


def _where(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """Where(x < c, 0, x): 0 below c, x from c on; Where(x < c, c, x) is the larger one."""
    test, first, second = _given(operator, inputs, 3, 3)
    if isinstance(test, Constant):
        if not isinstance(first, Constant) or not isinstance(second, Constant):
            raise operator.refuse(f"a choice between {first.words()} and {second.words()}")
        return [constants.chosen(test, first, second)]
    if not isinstance(test, Below):
        raise operator.refuse(f"chosen by {test.words()}")
    low, high = (second, first) if test.negated else (first, second)
    if high is not test.value or not isinstance(low, Constant) or not low.rational:
        raise operator.refuse(f"{low.words()} below, {high.words()} else")
    limit = test.limit
    if not np.any(low.number.numerators):
        return [here.rules.then(high, "zero_below", limit)]
    difference = constants.plus(low, limit, -1).number.numerators
    if not np.any(difference):
        return [here.rules.limited(high, limit, upper=False)]
    raise operator.refuse("another constant below a limit")


def _shape(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = _given(operator, inputs, 1, 1)
    start, end = operator.attributes["start"], operator.attributes["end"]
    sizes = np.array(value.shape[start:end], dtype=np.int64)
    return [constants.stored(OnnxTensor("", sizes.shape, 7, sizes.tobytes()))]


def _filled(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    _given(operator, inputs, 1, 1)
    shape = here.integers(operator, inputs)(0)
    tensor = operator.attributes["value"]
    if shape is None or (tensor is not None and not isinstance(tensor, OnnxTensor)):
        raise operator.refuse("no shape or value")
    value: Any = constants.scalar(0) if tensor is None else constants.stored(tensor)
    sizes = tuple(shape.reshape(-1).tolist())
    if math.prod(value.shape) != 1 or min(sizes, default=1) < 0 or math.prod(sizes) > 1 << 24:
        raise operator.refuse(f"shape {list(sizes)}")
    return [value.moved(lambda a: np.broadcast_to(a.reshape(()), sizes))]


_RULES: dict[str, Rule] = {
    **dict.fromkeys(layout.LAYOUT, _layout),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(reductions.KINDS, _reduce),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), _global_pool),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual"), _compare),
    **dict.fromkeys(("Max", "Min"), _extreme),
    **dict.fromkeys(("ScatterElements", "ScatterND"), _scatter),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Equal": _equal,
    "Gemm": _gemm,
    "Identity": _same,
    "LpNormalization": _normalise,
    "MatMul": _matmul,
    "Mod": _remainder,
    "Not": _not,
    "Pow": _power,
    "Range": _range,
    "Shape": _shape,
    "TopK": _top,
    "Where": _where,
}


def _argmax(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    raise UnknownError("model: the index of the largest is used inside the head")


_RULES["ArgMax"] = _argmax
