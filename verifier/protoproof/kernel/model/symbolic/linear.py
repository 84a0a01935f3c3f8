"""Matrix products, convolutions and what else multiplies by stored numbers and adds up."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, hold, spend
from protoproof.kernel.model.symbolic import constants, latents
from protoproof.kernel.model.symbolic.arithmetic import Arithmetic, UnknownError
from protoproof.kernel.model.symbolic.arrays import Array, Shape, pay, thin
from protoproof.kernel.model.symbolic.nodes import Operator
from protoproof.kernel.model.symbolic.values import (
    Constant,
    Joined,
    Latent,
    Measured,
    Terms,
    Value,
)

_Any = TypeVar("_Any", bound=Value)


def product(rules: Arithmetic, value: Value, matrix: Constant) -> Value:
    """value [..., D] times matrix [D, P].

    Raises:
        ModelError: sizes that do not fit, or no rule for such a value.
    """
    if value.shape[-1:] != matrix.shape[:1] or len(matrix.shape) != 2:
        raise ModelError(f"model: {value.words()} times a matrix of shape {list(matrix.shape)}")
    if isinstance(value, Constant):
        return constants.matrix_product(value, matrix)
    if isinstance(value, Latent):
        return latents.product(value, matrix, rules.tables)
    if isinstance(value, Joined):
        return _joined(rules, value, matrix)
    return _of_terms(rules, rules.terms(value), matrix)


def _joined(rules: Arithmetic, value: Joined, matrix: Constant) -> Value:
    """The written-out distance: [z, |z|^2, 1] times [-2 p; 1; |p|^2]."""
    if value.axis != len(value.shape) - 1:
        raise UnknownError(f"model: a matrix product across {value.words()}")
    total: Value | None = None
    start = 0
    for part in value.parts:
        size = part.shape[-1]
        rows = _part(matrix, 0, start, size)
        start += size
        if isinstance(part, Measured) and size == 1:
            found: Value = rules.binary("Mul", part, rows)
        elif isinstance(part, Constant | Latent):
            found = product(rules, part, rows)
        else:
            raise UnknownError(f"model: a matrix product across {value.words()}")
        total = found if total is None else rules.binary("Add", total, found)
    if total is None:
        raise UnknownError("model: a matrix product of nothing")
    return total


def _of_terms(rules: Arithmetic, value: Terms, matrix: Constant) -> Terms:
    if not matrix.rational:
        raise ModelError("model: pooled measurements are multiplied by roots")
    lines = thin(value.term)
    lines = np.broadcast_to(lines, (*lines.shape[:-1], value.shape[-1]))
    numbers = matrix.number
    count = int(np.prod(lines.shape[:-1]))
    spend("a decision", count * numbers.numerators.size * OPERATION)
    hold("a decision", 16 * count * numbers.numerators.size)
    columns = numbers.numerators
    found = [
        rules.known.totals(line, columns, numbers.denominator)
        for line in lines.reshape(-1, lines.shape[-1]).tolist()
    ]
    shape = (*lines.shape[:-1], columns.shape[1])
    terms = np.array(found, dtype=np.int64).reshape(shape)
    return Terms(np.broadcast_to(terms, (*value.shape[:-1], columns.shape[1])), value.over)


def _part(value: _Any, axis: int, start: int, size: int) -> _Any:
    """A stretch of an axis."""
    place = (*(slice(None),) * axis, slice(start, start + size))
    return cast(_Any, value.moved(lambda a: a[place]))


def matmul(rules: Arithmetic, left: Value, right: Value) -> Value:
    """MatMul, one side of which is constant."""
    if len(left.shape) < 2 or len(right.shape) < 2:
        raise UnknownError("model: a matrix product with a vector")
    if isinstance(right, Constant):
        return _times(rules, left, right)
    if isinstance(left, Constant):
        return cast(Value, turned(_times(rules, turned(right), turned(left))))
    raise UnknownError(f"model: a matrix product of {left.words()} and {right.words()}")


def turned(value: Any) -> Any:
    """The last two axes exchanged."""
    if isinstance(value, Joined):
        rank = len(value.shape)
        axis = {rank - 1: rank - 2, rank - 2: rank - 1}.get(value.axis, value.axis)
        return Joined(tuple(turned(part) for part in value.parts), axis)
    return value.moved(lambda a: np.swapaxes(a, -1, -2))


def _times(rules: Arithmetic, value: Value, matrix: Constant) -> Value:
    extra = matrix.shape[:-2]
    if value.shape[-1] != matrix.shape[-2]:
        raise ModelError(f"model: {value.words()} times a matrix of shape {list(matrix.shape)}")
    if math.prod(extra) == 1:
        flat = matrix.moved(lambda a: a.reshape(a.shape[-2:]))
        found = product(rules, value, flat)
        missing = len(matrix.shape) - len(value.shape)
        if missing > 0:
            found = _moved(found, lambda a: a.reshape((1,) * missing + a.shape))
        return found
    if not isinstance(value, Latent):
        raise UnknownError(f"model: many matrix products of {value.words()}")
    wide = value.moved(lambda a: a[..., None, :])
    rows = turned(matrix).moved(lambda a: a[..., None, :, :])
    return latents.summed(latents.scaled(wide, rows), [-1], rules.tables)


def _moved(value: Value, move: Any) -> Value:
    return value.moved(move)  # type: ignore[no-any-return]


def gemm(rules: Arithmetic, operator: Operator, inputs: list[Value]) -> Value:
    """alpha * A B + beta * C."""
    left, right = inputs[0], inputs[1]
    if len(left.shape) != 2 or len(right.shape) != 2:
        raise operator.refuse("not two matrices")
    for position, name in enumerate(("transA", "transB")):
        if operator.attributes[name] not in (0, 1):
            raise operator.refuse(f"{name} is not 0 or 1")
        if operator.attributes[name]:
            left, right = (turned(left), right) if not position else (left, turned(right))
    found = matmul(rules, left, right)
    for which, name in ((0, "alpha"), (1, "beta")):
        factor = operator.attributes[name]
        if factor != 1.0 and not which:
            found = rules.binary("Mul", found, constants.scalar(factor))
        if which and len(inputs) > 2:
            offset = inputs[2]
            if factor != 1.0:
                offset = rules.binary("Mul", offset, constants.scalar(factor))
            if np.broadcast_shapes(found.shape, offset.shape) != found.shape:
                raise operator.refuse("C does not fit the product")
            found = rules.binary("Add", found, offset)
    return found


def window_sizes(operator: Operator, shape: Shape, kernel: Shape) -> tuple[Shape, Shape]:
    """Strides and dilations of windows without padding.

    Raises:
        ModelError: padding, or attributes that contradict each other.
    """
    rank, found = len(kernel), operator.attributes
    strides = found["strides"] or (1,) * rank
    dilations = found["dilations"] or (1,) * rank
    if found["kernel_shape"] not in (None, kernel) or len(shape) != rank + 2:
        raise operator.refuse("the kernel does not fit")
    if any(found["pads"] or ()) or found["auto_pad"] not in ("NOTSET", "VALID"):
        raise operator.refuse("padding between latent and output")
    if not len(strides) == len(dilations) == rank or min(*strides, *dilations, *kernel) < 1:
        raise operator.refuse("sizes do not fit together")
    for size, k, s, d in zip(shape[2:], kernel, strides, dilations, strict=True):
        left = size - (k - 1) * d - 1
        if left < 0:
            raise operator.refuse(f"a window of {k} does not fit into {size}")
        if found.get("ceil_mode") and left % s:
            raise operator.refuse("windows that leave the tensor")
    return strides, dilations


def windows(piece: Array, kernel: Shape, strides: Shape, dilations: Shape) -> Array:
    """[N, C, *places] as [N, C, *windows, *kernel]."""
    rank = len(kernel)
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(piece, spans, axis=tuple(range(2, 2 + rank)))
    every = tuple(slice(None, None, s) for s in strides)
    inside = tuple(slice(None, None, d) for d in dilations)
    return np.asarray(views[(slice(None), slice(None), *every, *inside)])


def conv(rules: Arithmetic, operator: Operator, inputs: list[Value]) -> Value:
    """A convolution with a stored kernel: the product of every window's elements with it."""
    value, kernel = inputs[0], inputs[1]
    if (
        not isinstance(kernel, Constant)
        or isinstance(value, Joined)
        or len(kernel.shape) != len(value.shape)
    ):
        raise UnknownError(f"model: a convolution of {value.words()} with {kernel.words()}")
    group, count = operator.attributes["group"], kernel.shape[0]
    size, rank = kernel.shape[1], len(kernel.shape) - 2
    if rank < 1 or group < 1 or value.shape[1] != group * size or count % group:
        raise operator.refuse("channels and groups do not fit together")
    strides, dilations = window_sizes(operator, value.shape, kernel.shape[2:])
    parts = []
    for g in range(group):
        part = _part(value, 1, g * size, size)
        own = _part(kernel, 0, g * (count // group), count // group)
        parts.append(_convolved(rules, part, own, strides, dilations))
    found = parts[0] if len(parts) == 1 else _side_by_side(rules, parts)
    if len(inputs) > 2:
        offset = inputs[2]
        if offset.shape != (count,):
            raise operator.refuse("the bias does not fit")
        spread_out = _moved(offset, lambda a: a.reshape((-1, *(1,) * rank)))
        found = rules.binary("Add", found, spread_out)
    return found


def _side_by_side(rules: Arithmetic, parts: list[Value]) -> Value:
    if not all(isinstance(part, Measured) for part in parts):
        parts = [rules.terms(part) for part in parts]
    pieces = zip(*[part.pieces for part in parts], strict=True)
    pay("groups", sum(math.prod(part.shape) for part in parts), 1)
    joined = [np.concatenate(group, axis=1) for group in pieces]
    return Measured(*joined) if len(joined) == 3 else Terms(joined[0])


def _convolved(
    rules: Arithmetic, value: Any, kernel: Constant, strides: Shape, dilations: Shape
) -> Value:
    rank, count = len(strides), kernel.shape[0]

    def opened(piece: Array) -> Array:
        """[N, *windows, channels * kernel], in the order of the kernel's numbers."""
        cut = np.moveaxis(windows(piece, kernel.shape[2:], strides, dilations), 1, 1 + rank)
        return latents.joined(cut, 1 + rank)

    matrix = kernel.moved(lambda a: a.reshape(count, -1).T)
    found = product(rules, value.moved(opened), matrix)
    return _moved(found, lambda a: np.moveaxis(a, -1, 1))


def einsum(rules: Arithmetic, operator: Operator, inputs: list[Value]) -> Value:
    """Two operands, one constant; letters alone, none repeated in one operand."""
    equation = operator.attributes["equation"].replace(" ", "")
    sides, arrow, result = equation.partition("->")
    names = sides.split(",")
    if not arrow or len(names) != 2 or len(inputs) != 2 or not sides.replace(",", "").isalpha():
        raise operator.refuse(f"the equation {equation!r} is not one of two operands")
    for word, value in zip(names, inputs, strict=True):
        if len(set(word)) != len(word) or len(word) != len(value.shape):
            raise operator.refuse(f"the equation {equation!r} does not fit the operands")
    if len(set(result)) != len(result) or not set(result) <= set("".join(names)):
        raise operator.refuse(f"the equation {equation!r} names an output that there is not")
    sizes: dict[str, int] = {}
    for word, value in zip(names, inputs, strict=True):
        for letter, size in zip(word, value.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise operator.refuse(f"the equation {equation!r} does not fit the operands")
    summed = [letter for letter in dict.fromkeys("".join(names)) if letter not in result]
    if isinstance(inputs[0], Constant) and not isinstance(inputs[1], Constant):
        names, inputs = names[::-1], inputs[::-1]
    if not isinstance(inputs[1], Constant):
        raise UnknownError(f"model: Einsum of {inputs[0].words()} and {inputs[1].words()}")
    if isinstance(inputs[0], Measured | Terms):
        plain = _as_matrix(rules, names, inputs[0], inputs[1], result)
        if plain is not None:
            return plain
    order = [*result, *summed]
    left, right = (_placed(v, w, order) for v, w in zip(inputs, names, strict=True))
    return total(rules, rules.binary("Mul", left, right), range(len(result), len(order)))


def _placed(value: Value, word: str, order: list[str]) -> Value:
    """Axes in another order, with single ones for the letters that a value does not have."""
    axes = [word.index(letter) for letter in order if letter in word]
    missing = tuple(k for k, letter in enumerate(order) if letter not in word)
    return _moved(value, lambda a: np.expand_dims(a.transpose(axes), missing))


def _as_matrix(
    rules: Arithmetic, names: list[str], value: Value, matrix: Constant, result: str
) -> Value | None:
    """'bp,cpn->bcn' and its like: one letter is summed, no other is shared."""
    shared = set(names[0]) & set(names[1])
    if len(shared) != 1 or shared & set(result):
        return None
    (letter,) = shared
    left = [c for c in names[0] if c != letter]
    right = [c for c in names[1] if c != letter]
    if set(left) | set(right) != set(result):
        return None
    inner, outer = names[0].index(letter), names[1].index(letter)
    lines = _moved(value, lambda a: np.moveaxis(a, inner, -1))
    sizes = [matrix.shape[names[1].index(c)] for c in right]
    flat = matrix.moved(lambda a: np.moveaxis(a, outer, 0).reshape(a.shape[outer], -1))
    found = product(rules, lines, flat)
    order = [*left, *right]
    return _moved(
        found,
        lambda a: a.reshape(*a.shape[:-1], *sizes).transpose([order.index(c) for c in result]),
    )


def total(rules: Arithmetic, value: Value, axes: Any) -> Value:
    """Sums over axes, which are left out."""
    from protoproof.kernel.model.symbolic.pooling import pooled

    axes = list(axes)
    if not axes:
        return value
    if isinstance(value, Constant):
        return constants.summed(value, axes)
    if isinstance(value, Latent):
        return latents.summed(value, axes, rules.tables)
    if isinstance(value, Measured | Terms):
        return pooled(value, axes, "sum", rules.known)
    raise UnknownError(f"model: a sum of {value.words()}")
