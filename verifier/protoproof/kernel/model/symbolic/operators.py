"""What each operator makes of its inputs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from protoproof.kernel.budget import hold, spend
from protoproof.kernel.model.symbolic import choices, constants, layout, linear, reductions
from protoproof.kernel.model.symbolic.arithmetic import BINARY, UNARY, UnknownError
from protoproof.kernel.model.symbolic.arrays import exact
from protoproof.kernel.model.symbolic.choices import Inputs, Rule
from protoproof.kernel.model.symbolic.latents import spanned
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.values import (
    Below,
    Constant,
    Joined,
    Latent,
    Measured,
    Ranked,
    Several,
    Terms,
    Value,
    latent,
)

if TYPE_CHECKING:
    from protoproof.kernel.model.symbolic.evaluator import Evaluation


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
    left, right = choices.given(operator, inputs, 2, 2)
    return [here.rules.binary(operator.kind, left, right)]


def _unary(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = choices.given(operator, inputs, 1, 1)
    return [here.rules.unary(operator.kind, value)]


def _power(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    value, exponent = choices.given(operator, inputs, 2, 2)
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
    left, right = choices.given(operator, inputs, 2, 2)
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
    return choices.given(operator, inputs, 1, 1)


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
    (value,) = choices.given(operator, inputs, 1, 1)
    to = operator.attributes["to"]
    if isinstance(value, Constant):
        if to in constants.INTEGERS:
            constants.require_integers(value)
            return [replace(value, whole=True)]
        if to in constants.FLOATS:
            return [replace(value if to == 11 else constants.as_float(value), whole=False)]
    if to not in constants.FLOATS or isinstance(value, Below):
        raise operator.refuse(f"{value.words()} becomes a number of type {to}")
    return [value]


def _cast_like(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    """To the type of what follows from the latent, a float32 (a float64 only by a Cast).

    A constant's may be any float's: then numbers must be those that all floats hold.
    """
    value, like = choices.given(operator, inputs, 2, 2)
    whole = isinstance(like, Constant) and like.whole
    if whole or isinstance(like, Below) or not isinstance(value, Constant):
        raise operator.refuse(f"{value.words()} is cast to the number type of {like.words()}")
    return [replace(constants.as_float(value, isinstance(like, Constant)), whole=False)]


def _sequence(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    value = choices.given(operator, inputs, 1, 2)[0]
    if isinstance(value, Joined | Ranked | Below):
        raise operator.refuse(f"the layout of {value.words()}")
    moves = layout.sequence(operator, value.shape, here.integers(operator, inputs))
    return [Several(tuple(value.moved(move) for move in moves))]


def _taken_out(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    sequence, _ = choices.given(operator, inputs, 2, 2)
    place = here.integers(operator, inputs)(1)
    if not isinstance(sequence, Several) or place is None or place.size != 1:
        raise operator.refuse("not one tensor of a sequence")
    found, count = int(place.reshape(-1)[0]), len(sequence.parts)
    if not -count <= found < count:
        raise operator.refuse(f"tensor {found} of {count}")
    return [sequence.parts[found]]


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
    (value,) = choices.given(operator, inputs, 1, 1)
    return [reductions.over_windows(here.rules, operator, value)]


def _global_pool(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = choices.given(operator, inputs, 1, 1)
    return [reductions.over_all_places(here.rules, operator, value)]


def _top(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    value, _ = choices.given(operator, inputs, 2, 2)
    count = here.integers(operator, inputs)(1)
    if count is None or count.size != 1:
        raise operator.refuse("how many is no stored number")
    return [reductions.top(here.rules, operator, value, int(count.reshape(-1)[0]))]


def _matmul(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    left, right = choices.given(operator, inputs, 2, 2)
    return [linear.matmul(here.rules, left, right)]


def _gemm(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    return [linear.gemm(here.rules, operator, choices.given(operator, inputs, 2, 3))]


def _conv(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    return [linear.conv(here.rules, operator, choices.given(operator, inputs, 2, 3))]


def _einsum(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    return [linear.einsum(here.rules, operator, choices.given(operator, inputs, 2, 2))]


def _softmax(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = choices.given(operator, inputs, 1, 1)
    if operator.kind != "Softmax":
        raise operator.refuse("votes that are logarithms")
    return [reductions.votes(here.rules, operator, value)]


def _normalise(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    (value,) = choices.given(operator, inputs, 1, 1)
    (axis,) = layout.axes_of(operator, [operator.attributes["axis"]], len(value.shape))
    if not isinstance(value, Latent) or operator.attributes["p"] != 2:
        raise operator.refuse(f"the normalisation of {value.words()}")
    found = here.rules.normalised(value, axis)
    if found is None:
        raise operator.refuse(f"the normalisation of {value.words()}")
    return [found]


def _concat(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    parts = choices.given(operator, inputs, 1, 1 << 20)
    rank = len(parts[0].shape)
    (axis,) = layout.axes_of(operator, [operator.attributes["axis"]], rank)
    for part in parts:
        if len(part.shape) != rank or any(
            n != m
            for k, (n, m) in enumerate(zip(part.shape, parts[0].shape, strict=True))
            if k != axis
        ):
            raise operator.refuse("shapes that do not fit beside each other")
    count = sum(math.prod(part.shape) for part in parts)
    spend("the layout of a tensor", 64 * count)
    hold("the layout of a tensor", 8 * count * max(len(part.PIECES) for part in parts))
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


RULES: dict[str, Rule] = {
    **dict.fromkeys(layout.LAYOUT, _layout),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(reductions.KINDS, _reduce),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), _global_pool),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual"), choices.compare),
    **dict.fromkeys(("Max", "Min"), _extreme),
    **dict.fromkeys(("ScatterElements", "ScatterND"), choices.scatter),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": choices.filled,
    "Conv": _conv,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Equal": choices.equal,
    "Gemm": _gemm,
    "Identity": _same,
    "LpNormalization": _normalise,
    "MatMul": _matmul,
    "Mod": choices.remainder,
    "Not": choices.negated,
    "Pow": _power,
    "Range": choices.counted,
    "SequenceAt": _taken_out,
    "Shape": choices.shape,
    "SplitToSequence": _sequence,
    "TopK": _top,
    "Where": choices.where,
}


def _argmax(here: Evaluation, operator: Operator, inputs: Inputs) -> list[Value]:
    raise UnknownError("model: the index of the largest is used inside the head")


RULES["ArgMax"] = _argmax
