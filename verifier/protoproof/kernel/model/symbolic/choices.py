"""Operators that choose and place: comparisons, Where, Scatter, and whole numbers of a graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from protoproof.kernel.model.onnx_reader import OnnxTensor
from protoproof.kernel.model.symbolic import constants, layout
from protoproof.kernel.model.symbolic.arrays import Array, Exact
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.values import (
    Below,
    Constant,
    Terms,
    Value,
    constant,
)

if TYPE_CHECKING:
    from protoproof.kernel.model.symbolic.evaluator import Evaluation

_LONGEST_RANGE = 1 << 16
# Comparisons with a constant on the right: is it "below"?
_COMPARISONS = {"Less": False, "GreaterOrEqual": True}

Inputs = Sequence[Value | None]
Rule = Callable[["Evaluation", Operator, Inputs], list[Value]]


def given(operator: Operator, inputs: Inputs, least: int, most: int) -> list[Value]:
    """The inputs, where so many are there.

    Raises:
        ModelError: more or fewer, or one is left out.
    """
    if not least <= len(inputs) <= most or any(value is None for value in inputs):
        raise operator.refuse(f"{len(inputs)} inputs")
    return [value for value in inputs if value is not None]


def scatter(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    data, _, updates = given(operator, inputs, 3, 3)
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


def compare(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """x < c, or x >= c; c <= x and c > x are the same."""
    left, right = given(operator, inputs, 2, 2)
    turned = {"Greater": "Less", "LessOrEqual": "GreaterOrEqual"}
    if isinstance(left, Constant) and operator.kind in turned:
        return [Below(right, left, turned[operator.kind] == "GreaterOrEqual")]
    if isinstance(right, Constant) and operator.kind in _COMPARISONS:
        return [Below(left, right, _COMPARISONS[operator.kind])]
    raise operator.refuse(f"{left.words()} against {right.words()}")


def equal(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    left, right = given(operator, inputs, 2, 2)
    if not isinstance(left, Constant) or not isinstance(right, Constant):
        raise operator.refuse(f"{left.words()} against {right.words()}")
    return [constants.equal(left, right)]


def negated(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = given(operator, inputs, 1, 1)
    if not isinstance(value, Below):
        raise operator.refuse(f"of {value.words()}")
    return [Below(value.value, value.limit, not value.negated)]


def remainder(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """Of whole numbers, with the sign of the divisor (fmod=0): how exporters compute sizes."""
    left, right = whole(operator, given(operator, inputs, 2, 2))
    if operator.attributes["fmod"] or not right.all():
        raise operator.refuse("a remainder by 0, or of another sign")
    return [stored_integers(np.mod(left, right))]


def counted(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    start, limit, step = (n.reshape(-1) for n in whole(operator, given(operator, inputs, 3, 3)))
    if len(start) != 1 or len(limit) != 1 or len(step) != 1 or not step[0]:
        raise operator.refuse("no range of whole numbers")
    if (limit[0] - start[0]) // step[0] > _LONGEST_RANGE:
        raise operator.refuse("too long")
    return [stored_integers(np.arange(start[0], limit[0], step[0]))]


def whole(operator: Operator, inputs: list[Value]) -> list[Array]:
    """Constants of an integer type."""
    if not all(isinstance(value, Constant) and value.whole for value in inputs):
        raise operator.refuse("of what are no whole constants")
    return [constants.integers(value) for value in inputs if isinstance(value, Constant)]


def stored_integers(values: Array) -> Constant:
    numbers = np.asarray(values, dtype=np.int64)
    return constants.stored(OnnxTensor("", numbers.shape, 7, numbers.tobytes()))


def where(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """Where(x < c, 0, x): 0 below c, x from c on; Where(x < c, c, x) is the larger one."""
    test, first, second = given(operator, inputs, 3, 3)
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


def shape(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = given(operator, inputs, 1, 1)
    start, end = operator.attributes["start"], operator.attributes["end"]
    sizes = np.array(value.shape[start:end], dtype=np.int64)
    return [constants.stored(OnnxTensor("", sizes.shape, 7, sizes.tobytes()))]


def filled(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    given(operator, inputs, 1, 1)
    shape = here.integers(operator, inputs)(0)
    tensor = operator.attributes["value"]
    if shape is None or (tensor is not None and not isinstance(tensor, OnnxTensor)):
        raise operator.refuse("no shape or value")
    value: Any = constants.scalar(0) if tensor is None else constants.stored(tensor)
    sizes = tuple(shape.reshape(-1).tolist())
    if math.prod(value.shape) != 1 or min(sizes, default=1) < 0 or math.prod(sizes) > 1 << 24:
        raise operator.refuse(f"shape {list(sizes)}")
    return [value.moved(lambda a: np.broadcast_to(a.reshape(()), sizes))]
