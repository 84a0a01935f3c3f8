"""Conv, MatMul, Gemm and Einsum: distances and dot products below, decisions above the pooling."""

from __future__ import annotations

import math

import numpy as np

from protoproof.network.head import arithmetic, entries, pooled
from protoproof.network.head.arithmetic import unknown
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import Shape
from protoproof.network.head.moves import Inputs, needed, reshape, sliced, transpose
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import (
    Combination,
    Entries,
    Joined,
    Measured,
    Pooled,
    Ranked,
    Value,
    only,
)
from protoproof.network.head.tables import Tables
from protoproof.network.head.view import Op


def _matmul(tables: Tables, node: Op, inputs: Inputs) -> Value:
    return matrix_product(tables, needed(inputs, 0), needed(inputs, 1))


def _gemm(tables: Tables, node: Op, inputs: Inputs) -> Value:
    x, y = needed(inputs, 0), needed(inputs, 1)
    x = transpose(x, (1, 0)) if node.integer("transA", 0) else x
    y = transpose(y, (1, 0)) if node.integer("transB", 0) else y
    alpha, beta = node.number_of("alpha", 1.0), node.number_of("beta", 1.0)
    if alpha != 1.0:
        if isinstance(y, Numbers):
            y = arithmetic.multiply(tables, y, Numbers(np.array(alpha)))
        else:
            x = arithmetic.multiply(tables, x, Numbers(np.array(alpha)))
    result = matrix_product(tables, x, y)
    if len(inputs) > 2 and inputs[2] is not None:
        bias = needed(inputs, 2)
        if beta != 1.0:
            bias = arithmetic.multiply(tables, bias, Numbers(np.array(beta)))
        result = arithmetic.add(tables, result, bias, 1.0)
    return result


def matrix_product(tables: Tables, x: Value, y: Value) -> Value:
    """x @ y with numbers on one side.

    Raises:
        NotRecognisedError: both depend on the latent, or no rule knows the value.
    """
    if isinstance(x, Numbers) and not isinstance(y, Numbers):
        if len(y.shape) < 2 or len(x.shape) < 2:
            raise unknown("a matrix product", x, y)
        return _turned(matrix_product(tables, _turned(y), _turned(x)))
    if not isinstance(y, Numbers):
        raise unknown("a matrix product", x, y)
    if isinstance(x, Numbers):
        return Numbers(x.plain @ y.plain)
    if len(y.shape) < 2 or len(x.shape) < 2:
        raise NotRecognisedError("a matrix product with a vector")
    if isinstance(x, Joined):
        return _of_parts(tables, x, y)
    if isinstance(x, Entries):
        return _of_entries(tables, x, y)
    if math.prod(y.shape[:-2]) != 1:
        raise NotRecognisedError("a matrix product in batches")
    if isinstance(x, Measured | Ranked):
        x = pooled.as_pooled(tables, x)
    if isinstance(x, Pooled | Combination):
        return pooled.product(tables, x, y.plain.reshape(y.shape[-2:]))
    raise unknown("a matrix product", x, y)


def _turned(x: Value) -> Value:
    rank = len(x.shape)
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def _of_entries(tables: Tables, x: Entries, y: Numbers) -> Measured:
    """[..., D] @ [..., D, P]: the sum over D of every location's elements times every row's."""
    rank = max(len(x.shape) + 1, len(y.shape) + 1)
    wide = reshape(x, (*(1,) * (rank - len(x.shape) - 1), *x.shape, 1))
    lifted = reshape(y, (*(1,) * (rank - len(y.shape) - 1), *y.shape[:-2], 1, *y.shape[-2:]))
    found = entries.product(tables, only(wide, Entries), only(lifted, Numbers), (rank - 2,))
    return only(reshape(found, (*found.shape[:-2], found.shape[-1])), Measured)


def _of_parts(tables: Tables, x: Joined, y: Numbers) -> Value:
    """A product with columns of several kinds, such as [-2 z, |z|^2, 1] of a written-out cdist."""
    if x.axis != len(x.shape) - 1:
        raise unknown("a matrix product along another axis", x, y)
    products: list[Value] = []
    start = 0
    for part in x.parts:
        size = part.shape[-1]
        cut = [slice(None)] * len(y.shape)
        cut[-2] = slice(start, start + size)
        own = only(sliced(y, tuple(cut)), Numbers)
        start += size
        if isinstance(part, Measured | Numbers) and size == 1:
            product = arithmetic.multiply(tables, part, own)
        else:
            product = matrix_product(tables, part, own)
        products.append(product)
    result = products[0]
    for product in products[1:]:
        result = arithmetic.add(tables, result, product, 1.0)
    return result


def _conv(tables: Tables, node: Op, inputs: Inputs) -> Value:
    x, weight = needed(inputs, 0), needed(inputs, 1)
    if not isinstance(weight, Numbers):
        raise unknown("Conv", x, weight)
    space = len(weight.shape) - 2
    kernel, strides = weight.shape[2:], node.integers("strides") or (1,) * space
    if any(node.integers("pads") or ()) or node.text("auto_pad", "NOTSET") not in (
        "NOTSET",
        "VALID",
    ):
        raise NotRecognisedError("a Conv with padding")
    if set(node.integers("dilations") or (1,)) != {1} or node.integer("group", 1) != 1:
        raise NotRecognisedError("a Conv with dilations or groups")
    if isinstance(x, Entries):
        found = _convolved(tables, x, weight, kernel, strides)
    elif isinstance(x, Pooled | Combination | Measured) and math.prod(x.shape[2:]) == 1:
        if math.prod(kernel) != 1:
            raise unknown("Conv", x, weight)
        flat, matrix = reshape(x, x.shape[:2]), reshape(weight, weight.shape[:2])
        product = matrix_product(tables, flat, transpose(matrix, (1, 0)))
        found = reshape(product, (*product.shape, *(1,) * space))
    else:
        raise unknown("Conv", x, weight)
    if len(inputs) > 2 and inputs[2] is not None:
        bias = reshape(needed(inputs, 2), (weight.shape[0], *(1,) * space))
        found = arithmetic.add(tables, found, bias, 1.0)
    return found


def _convolved(tables: Tables, x: Entries, weight: Numbers, kernel: Shape, strides: Shape) -> Value:
    """[N, C, *grid] with [P, C, *kernel]: windows of the latent with every row of the weight."""
    space = len(kernel)
    slid = entries.windows(x, kernel, tuple(strides))  # [N, 1, C, *out, *kernel]
    lifted = reshape(weight, (1, *weight.shape[:2], *(1,) * space, *kernel))
    axes = (2, *range(3 + space, 3 + 2 * space))
    found = entries.product(tables, slid, only(lifted, Numbers), axes)
    return reshape(found, (*found.shape[:2], *found.shape[3 : 3 + space]))


def _einsum(tables: Tables, node: Op, inputs: Inputs) -> Value:
    equation = node.text("equation", "").replace(" ", "")
    left, arrow, out = equation.partition("->")
    names = left.split(",")
    if not arrow or len(names) != 2 or "." in equation or len(inputs) != 2:
        raise NotRecognisedError(f"Einsum '{equation}' is not one product of two tensors")
    x, y = needed(inputs, 0), needed(inputs, 1)
    if isinstance(x, Numbers):
        (x, y), names = (y, x), [names[1], names[0]]
    if not isinstance(y, Numbers) or any(len(set(n)) != len(n) for n in (*names, out)):
        raise unknown(f"Einsum '{equation}'", x, y)
    summed = [k for k in dict.fromkeys(names[0] + names[1]) if k not in out]
    order = [*out, *summed]
    if any(k not in names[0] for k in summed):
        raise NotRecognisedError(f"Einsum '{equation}' sums over an axis of the numbers alone")
    first, second = _placed(x, names[0], order), only(_placed(y, names[1], order), Numbers)
    axes = tuple(range(len(out), len(order)))
    sizes = dict(zip(names[0] + names[1], (*x.shape, *y.shape), strict=True))
    shape = tuple(sizes[k] for k in out)
    if isinstance(first, Entries) and axes:
        return reshape(entries.product(tables, first, second, axes), shape)
    if isinstance(first, Measured | Ranked):
        first = pooled.as_pooled(tables, first)
    if isinstance(first, Pooled | Combination):
        return _contracted(tables, first, second, shape, tuple(sizes[k] for k in order))
    raise unknown(f"Einsum '{equation}'", x, y)


def _placed(x: Value, names: str, order: list[str]) -> Value:
    """Axes in the common order, size 1 where a tensor lacks one."""
    present = [k for k in order if k in names]
    turned = transpose(x, tuple(names.index(k) for k in present))
    sizes = dict(zip(names, x.shape, strict=True))
    return reshape(turned, tuple(sizes.get(k, 1) for k in order))


def _contracted(
    tables: Tables, x: Pooled | Combination, y: Numbers, shape: Shape, full: Shape
) -> Combination:
    """The sum over the last axes of x * y."""
    count, size = math.prod(shape), math.prod(x.shape)
    place = np.broadcast_to(np.arange(size).reshape(x.shape), full).reshape(count, -1)
    values = np.broadcast_to(y.plain, full).reshape(count, -1)
    weight = np.zeros((count, size))
    np.add.at(weight, (np.arange(count)[:, None], place), values)
    if isinstance(x, Pooled):
        return Combination(shape, *pooled.matrix(pooled.terms(tables, x), weight), x.ratio)
    return Combination(shape, x.atom, weight @ x.weight, weight @ x.bias, x.ratio)


RULES = {"MatMul": _matmul, "Gemm": _gemm, "Conv": _conv, "Einsum": _einsum}
