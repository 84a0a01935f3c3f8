"""ONNX operators in numbers of 60 digits: what a graph means, without rounding.

Written from the operators' specification alone, with arrays of mpmath numbers; independent of the
checker and of any runtime. Only what heads use, and only in the plain forms that tests write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
DIGITS = 60
mpmath.mp.dps = DIGITS


class UndefinedError(ArithmeticError):
    """The graph has no value there: over the reals, what a runtime calls NaN."""


def _positive(function: Callable[[Any], Any], least: int) -> Callable[[Any], Any]:
    def checked(v: Any) -> Any:
        if v < 0 or (least and v == 0):
            raise UndefinedError
        return function(v)

    return checked


def numbers(values: Any) -> Array:
    """Floats as they are; integers stay integers."""
    array = np.asarray(values)
    if array.dtype.kind in "iub" or array.dtype == object:
        return array
    return np.vectorize(lambda v: mpmath.mpf(float(v)), otypes=[object])(array)


def run(model: onnx.ModelProto, given: Mapping[str, Array], output: str) -> Array:
    """The output, from the given tensors on; only the nodes between them are looked at."""
    known = {name: numbers(value) for name, value in given.items()}
    for tensor in model.graph.initializer:
        known.setdefault(tensor.name, numbers(numpy_helper.to_array(tensor)))
    made = {name: node for node in model.graph.node for name in node.output}

    def value(name: str) -> Array:
        if name not in known:
            node = made[name]
            inputs = [value(i) if i else None for i in node.input]
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            found = OPERATORS[node.op_type](*inputs, **attributes)
            several = found if isinstance(found, list) else [found]
            known.update(zip(node.output, several, strict=False))
        return known[name]

    return value(output)


def _each(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda *arrays, **_: np.asarray(
        np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object
    )


def _axes(x: Array, axes: Any, noop: int = 0) -> tuple[int, ...]:
    if axes is None or not len(np.atleast_1d(axes)):
        return () if noop else tuple(range(x.ndim))
    return tuple(int(a) % x.ndim for a in np.atleast_1d(axes))


def _reduction(function: Callable[[list[Any]], Any]) -> Callable[..., Array]:
    def reduce(
        x: Array, given: Any = None, axes: Any = None, keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Array:  # fmt: skip
        over = _axes(x, axes if given is None else given, noop_with_empty_axes)
        rest = [k for k in range(x.ndim) if k not in over]
        lines = x.transpose([*rest, *over]).reshape(*[x.shape[k] for k in rest], -1)
        found = np.empty(lines.shape[:-1], dtype=object)
        for place in np.ndindex(found.shape):
            found[place] = function(list(lines[place]))
        shape = [1 if k in over else n for k, n in enumerate(x.shape)]
        return found.reshape(shape) if keepdims else found

    return reduce


def _windows(x: Array, kernel: Any, strides: Any, dilations: Any) -> tuple[Array, int]:
    rank = len(kernel)
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    counts = [
        (x.shape[2 + k] - (kernel[k] - 1) * dilations[k] - 1) // strides[k] + 1 for k in range(rank)
    ]
    found = np.empty((*x.shape[:2], *counts, *kernel), dtype=object)
    for place in np.ndindex(*counts):
        for inside in np.ndindex(*kernel):
            at = tuple(p * s + i * d for p, s, i, d in zip(place, strides, inside, dilations,
                                                           strict=True))  # fmt: skip
            found[(slice(None), slice(None), *place, *inside)] = x[(slice(None), slice(None), *at)]
    return found, rank


def _plain(pads: Any = None, auto_pad: Any = b"NOTSET", ceil_mode: int = 0, **_: Any) -> None:
    if any(pads or []) or auto_pad not in (b"NOTSET", b"VALID") or ceil_mode:
        raise NotImplementedError("padding")


def _conv(x: Array, w: Array, b: Array | None = None, group: int = 1, strides: Any = None,
          dilations: Any = None, kernel_shape: Any = None, **more: Any) -> Array:  # fmt: skip
    _plain(**more)
    cut, rank = _windows(x, w.shape[2:], strides, dilations)
    each, own = x.shape[1] // group, w.shape[0] // group
    parts = []
    for g in range(group):
        lines = np.moveaxis(cut[:, g * each : (g + 1) * each], 1, 1 + rank)
        lines = lines.reshape(*lines.shape[: 1 + rank], -1)
        matrix = w[g * own : (g + 1) * own].reshape(own, -1)
        parts.append(np.moveaxis(lines.dot(matrix.T), -1, 1))
    found = np.concatenate(parts, axis=1)
    return found if b is None else found + b.reshape(-1, *[1] * rank)


def _pool(function: Callable[[list[Any]], Any]) -> Callable[..., Array]:
    def pool(x: Array, kernel_shape: Any, strides: Any = None, dilations: Any = None,
             **more: Any) -> Array:  # fmt: skip
        more.pop("storage_order", None), more.pop("count_include_pad", None)
        _plain(**more)
        cut, rank = _windows(x, kernel_shape, strides, dilations)
        return _reduction(function)(cut, axes=list(range(-rank, 0)), keepdims=0)

    return pool


def _gemm(a: Array, b: Array, c: Array | None = None, alpha: float = 1.0, beta: float = 1.0,
          transA: int = 0, transB: int = 0) -> Array:  # fmt: skip  # noqa: N803
    a, b = a.T if transA else a, b.T if transB else b
    found = a.dot(b) * mpmath.mpf(alpha)
    return found if c is None else found + c * mpmath.mpf(beta)


def _reshape(x: Array, shape: Array, allowzero: int = 0) -> Array:
    sizes = [int(n) if n or allowzero else x.shape[k] for k, n in enumerate(shape)]
    return x.reshape(sizes)


def _softmax(x: Array, axis: int = -1) -> Array:
    powers = _each(mpmath.exp)(x)
    return powers / powers.sum(axis=axis, keepdims=True)


def _mean(line: list[Any]) -> Any:
    return sum(line, mpmath.mpf(0)) / len(line)


def _length(line: list[Any]) -> Any:
    return mpmath.sqrt(sum((v * v for v in line), mpmath.mpf(0)))


def _clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _slice(x: Array, starts: Array, ends: Array, axes: Any = None, steps: Any = None) -> Array:
    chosen = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        chosen[int(axis)] = slice(int(start), int(end), int(step))
    return x[tuple(chosen)]


def _split(x: Array, sizes: Any = None, axis: int = 0, num_outputs: int = 0) -> list[Array]:
    parts = num_outputs or len(sizes)
    each = -(-x.shape[axis] // parts)
    ends = np.cumsum(sizes)[:-1] if sizes is not None else [each * k for k in range(1, parts)]
    return np.split(x, [int(e) for e in ends], axis=axis)


def _topk(x: Array, k: Array, axis: int = -1, largest: int = 1, sorted: int = 1) -> list[Array]:  # noqa: A002
    order = np.sort(x, axis=axis)
    order = np.flip(order, axis=axis) if largest else order
    return [np.take(order, range(int(k[0])), axis=axis)]


def _lp(x: Array, axis: int = -1, p: int = 2) -> Array:
    return x / _reduction(_length)(x, axes=[axis])


def _scatter(x: Array, where: Array, updates: Array, axis: int = 0) -> Array:
    found = x.copy()
    np.put_along_axis(found, where.astype(int), updates, axis)
    return found


def _dropout(x: Array, *_: Any, **__: Any) -> Array:
    return x


OPERATORS: dict[str, Callable[..., Any]] = {
    "Abs": _each(abs),
    "Add": lambda a, b: a + b,
    "AveragePool": _pool(_mean),
    "Cast": lambda x, to=1: x,
    "Clip": _clip,
    "Concat": lambda *x, axis: np.concatenate(x, axis=axis),
    "Constant": lambda **v: numbers(
        numpy_helper.to_array(v["value"]) if "value" in v else next(iter(v.values()))
    ),
    "Conv": _conv,
    "Div": lambda a, b: a / b,
    "Dropout": _dropout,
    "Einsum": lambda a, b, equation: np.einsum(equation.decode(), a, b),
    "Exp": _each(mpmath.exp),
    "Expand": lambda x, s: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(map(int, s)))),
    "Flatten": lambda x, axis=1: x.reshape(math.prod(x.shape[:axis]), -1),
    "Gather": lambda x, i, axis=0: np.take(x, i.astype(int), axis=axis),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: _reduction(_mean)(x, axes=list(range(2, x.ndim))),
    "GlobalMaxPool": lambda x: _reduction(max)(x, axes=list(range(2, x.ndim))),
    "Identity": lambda x: x,
    "Less": _each(lambda a, b: a < b),
    "Log": _each(_positive(mpmath.log, 1)),
    "LogSoftmax": lambda x, axis=-1: _each(mpmath.log)(_softmax(x, axis)),
    "LpNormalization": _lp,
    "MatMul": lambda a, b: np.matmul(a, b),
    "Max": np.maximum,
    "MaxPool": _pool(max),
    "Min": np.minimum,
    "Mul": lambda a, b: a * b,
    "Neg": lambda x: -x,
    "Pow": lambda x, e: _each(lambda v: v ** e.reshape(-1)[0])(x),
    "Reciprocal": lambda x: 1 / x,
    "ReduceL2": _reduction(_length),
    "ReduceMax": _reduction(max),
    "ReduceMean": _reduction(_mean),
    "ReduceMin": _reduction(min),
    "ReduceSum": _reduction(lambda line: sum(line, mpmath.mpf(0))),
    "ReduceSumSquare": _reduction(lambda line: sum((v * v for v in line), mpmath.mpf(0))),
    "Relu": _each(lambda v: max(v, mpmath.mpf(0))),
    "Reshape": _reshape,
    "ScatterElements": _scatter,
    "Sigmoid": _each(lambda v: 1 / (1 + mpmath.exp(-v))),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _each(lambda v: mpmath.log1p(mpmath.exp(v))),
    "Split": _split,
    "Sqrt": _each(_positive(mpmath.sqrt, 0)),
    "Squeeze": lambda x, axes=None: x.squeeze(None if axes is None else _axes(x, axes)),
    "Sub": lambda a, b: a - b,
    "Tanh": _each(mpmath.tanh),
    "TopK": _topk,
    "Transpose": lambda x, perm=None: x.transpose(perm),
    "Unsqueeze": lambda x, axes: np.expand_dims(x, tuple(int(a) for a in axes)),
    "Where": lambda c, a, b: np.where(c.astype(bool), a, b),
}
