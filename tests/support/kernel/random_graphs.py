"""Random graphs from a latent on, grown node by node: a runtime says at once what each one makes.

Operators have any attributes and operands; what the runtime refuses is not part of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.support.kernel.runtime import session

Array = NDArray[Any]
OPSETS = (13, 14, 15, 16, 17, 18, 19, 20, 21, 22)
SHAPES = ((1, 3, 2, 2), (1, 4, 3), (1, 4), (1, 2, 2, 3), (1, 4, 2, 2))
_MOST = 4096  # elements
LATENT = "z"


class Growing:
    """A graph, and the value of every tensor at one latent.

    Attributes:
        values: by name; the latent is ``z``.
        follows: the tensors that depend on the latent.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.opset = int(self.rng.choice(OPSETS))
        shape = SHAPES[int(self.rng.integers(len(SHAPES)))]
        self.values: dict[str, Array] = {LATENT: random_latent(self.rng, shape)}
        self.follows = {LATENT}
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, Array] = {}

    def grow(self, steps: int) -> None:
        """Add as many random operators as the runtime takes."""
        for _ in range(steps):
            kind = str(self.rng.choice(_KINDS))
            x = self.some(lambda a: a.dtype == np.float32, from_latent=self.chance(0.85))
            made = OPERATORS[kind](self, kind, x)
            if made is not None:
                inputs, outputs, attributes = made
                self._add(kind, inputs, outputs, attributes)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def one_of(self, *things: Any) -> Any:
        return things[int(self.rng.integers(len(things)))]

    def below(self, limit: int, least: int = 0) -> int:
        return int(self.rng.integers(least, limit)) if limit > least else least

    def some(self, fits: Callable[[Array], bool], from_latent: bool = False) -> str:
        """A tensor, rather a late one; the latent where none fits."""
        names = [n for n, a in self.values.items() if fits(a)]
        names = [n for n in names if not from_latent or n in self.follows] or [LATENT]
        weights = np.arange(1, len(names) + 1) ** 2.0
        return names[int(self.rng.choice(len(names), p=weights / weights.sum()))]

    def store(self, values: Any, dtype: Any = np.int64) -> str:
        name = f"c{len(self.stored)}"
        self.stored[name] = self.values[name] = np.array(values, dtype=dtype)
        return name

    def numbers(self, *shape: int) -> str:
        """A stored tensor of floats."""
        rng = self.rng
        found = self.one_of(
            rng.normal(size=shape), rng.integers(-3, 4, size=shape), np.abs(rng.normal(size=shape)),
            np.full(shape, self.one_of(0.5, 2.0, -1.0, 1.0, 0.0, 1e-4)),
        )  # fmt: skip
        return self.store(np.round(found, 3), np.float32)

    def beside(self, shape: tuple[int, ...]) -> str:
        """A tensor that broadcasts with a shape, or nearly."""
        if self.chance(0.4):
            return self.some(lambda a: a.dtype == np.float32 and _together(a.shape, shape))
        own = tuple(n if self.chance(0.6) else 1 for n in shape)
        own = self.one_of(own, own[self.below(len(own) + 1) :], (), (1,), (2, *own))
        return self.numbers(*own)

    def axis(self, rank: int) -> int:
        return self.below(rank, -rank)

    def axes(self, rank: int) -> list[int]:
        found = self.rng.choice(rank, size=self.below(rank + 1, 1), replace=False) if rank else []
        return [int(k) - rank if self.chance(0.5) else int(k) for k in found]

    def _add(self, kind: str, inputs: list[str], outputs: int, attributes: dict[str, Any]) -> None:
        names = [f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        node = helper.make_node(kind, inputs, names, **attributes)
        given = {n: self.values[n] for n in inputs if n}
        if any(not a.size for a in given.values()):
            return  # of which some runtimes never come back
        graph = helper.make_graph(
            [node], "g", [_info(n, a) for n, a in given.items()],
            [helper.make_empty_tensor_value_info(n) for n in names],
        )  # fmt: skip
        try:
            found = session(self._finished(graph)).run(None, given)
        except Exception:  # noqa: BLE001  # the runtime has an error of its own for everything
            return
        if any(not 0 < a.size <= _MOST for a in found):
            return
        self.nodes.append(node)
        self.values.update(zip(names, found, strict=True))
        if self.follows & set(inputs):
            self.follows.update(names)

    def model(self) -> onnx.ModelProto:
        """The graph; every tensor of it is an output."""
        outputs = [name for node in self.nodes for name in node.output]
        return self._finished(
            helper.make_graph(
                self.nodes, "g", [_info(LATENT, self.values[LATENT])],
                [_info(name, self.values[name]) for name in outputs],
                [numpy_helper.from_array(value, name) for name, value in self.stored.items()],
            )
        )  # fmt: skip

    def _finished(self, graph: onnx.GraphProto) -> onnx.ModelProto:
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def random_latent(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(-2, 3, size=shape).astype(np.float32)
    found = rng.normal(size=shape) * (10.0 ** rng.integers(-2, 3) if kind == 1 else 1)
    return (np.abs(found) if kind == 2 else found).astype(np.float32)


def _info(name: str, values: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape
    )


def _together(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


Made = tuple[list[str], int, dict[str, Any]] | None


def _alone(g: Growing, kind: str, x: str) -> Made:
    return [x], 1, {}


def _two(g: Growing, kind: str, x: str) -> Made:
    pair = [x, g.beside(g.values[x].shape)]
    return (pair if g.chance(0.7) else pair[::-1]), 1, {}


def _power(g: Growing, kind: str, x: str) -> Made:
    exponent = g.store(g.one_of(2, 2, 0.5, -1, 1, 3), g.one_of(np.float32, np.int64, np.int32))
    return [x, exponent], 1, {}


def _whole_power(g: Growing, kind: str, x: str) -> Made:
    if kind == "Pow" and g.chance(0.2):
        base = g.store(g.rng.integers(1, 9, size=3), g.one_of(np.int32, np.int64))
        return [base, g.store(g.one_of(2, 0.5, -1), g.one_of(np.float32, np.int64))], 1, {}
    return _power(g, kind, x)


def _clip(g: Growing, kind: str, x: str) -> Made:
    low, high = (g.store(round(float(v), 2), np.float32) for v in g.rng.normal(size=2))
    return [x, *g.one_of([low], ["", high], [low, high], [])], 1, {}


def _reduce(g: Growing, kind: str, x: str) -> Made:
    listed = g.axes(g.values[x].ndim)
    attributes = {"keepdims": g.below(2)} if g.chance(0.6) else {}
    if g.opset < (13 if kind == "ReduceSum" else 18):
        return [x], 1, {**attributes, "axes": listed} if g.chance(0.9) and listed else attributes
    if g.chance(0.2):
        attributes["noop_with_empty_axes"] = g.below(2)
    return g.one_of([x, g.store(listed)], [x, g.store(listed)], [x]), 1, attributes


def _window(g: Growing, kind: str, x: str) -> Made:
    shape = g.values[x].shape
    rank = len(shape) - 2
    if rank < 1:
        return None
    conv = kind == "Conv"
    kernel = [g.below(min(3, n) + 1, 1) for n in shape[2:]]
    attributes: dict[str, Any] = {} if conv else {"kernel_shape": kernel}
    if g.chance(0.4):
        attributes["strides"] = [g.below(3, 1) for _ in kernel]
    if g.chance(0.2) and (kind != "AveragePool" or g.opset >= 19):
        attributes["dilations"] = [g.below(3, 1) for _ in kernel]
    if g.chance(0.1):
        attributes["pads"] = [g.below(2) for _ in range(2 * rank)]
    if g.chance(0.1):
        attributes["auto_pad"] = g.one_of("VALID", "SAME_UPPER", "SAME_LOWER")
    if not conv:
        if g.chance(0.2):
            attributes["ceil_mode"] = g.below(2)
        return [x], 1, attributes
    group = g.one_of(*[n for n in range(1, shape[1] + 1) if not shape[1] % n])
    count = group * g.below(4, 1)
    inputs = [x, g.numbers(count, shape[1] // group, *kernel)]
    return inputs + [g.numbers(count)] * g.below(2), 1, {**attributes, "group": group}


def _along(g: Growing, kind: str, x: str) -> Made:
    return [x], 1, {"axis": g.axis(g.values[x].ndim)} if g.chance(0.8) else {}


def _transpose(g: Growing, kind: str, x: str) -> Made:
    order = [int(k) for k in g.rng.permutation(g.values[x].ndim)]
    return [x], 1, {"perm": order} if order and g.chance(0.85) else {}


def _reshape(g: Growing, kind: str, x: str) -> Made:
    left, sizes, shape = g.values[x].size, [], g.values[x].shape
    while left > 1 and len(sizes) < 4:
        sizes.append(g.one_of(*[n for n in range(2, left + 1) if not left % n]))
        left //= sizes[-1]
    sizes.append(left)
    if g.chance(0.4):
        sizes[g.below(len(sizes))] = -1
    sizes = [0 if k < len(shape) and n == shape[k] and g.chance(0.5) else n
             for k, n in enumerate(sizes)]  # fmt: skip
    return [x, g.store(sizes)], 1, {}


def _squeeze(g: Growing, kind: str, x: str) -> Made:
    rank = g.values[x].ndim
    if kind == "Unsqueeze":
        return [x, g.store([g.axis(rank + 1)])], 1, {}
    single = [k - rank * g.below(2) for k, n in enumerate(g.values[x].shape) if n == 1]
    return [x, g.store(single[: g.below(len(single) + 1, 1)])] if single else [x], 1, {}


def _spread(g: Growing, kind: str, x: str) -> Made:
    shape = g.values[x].shape
    if kind == "Tile":
        return [x, g.store([g.below(3, 1) for _ in shape])], 1, {}
    return [x, g.store([g.below(4, 1) if n == 1 else g.one_of(1, n) for n in (1, *shape)])], 1, {}


def _slice(g: Growing, kind: str, x: str) -> Made:
    axes = g.axes(g.values[x].ndim)
    ends = (0, 1, -1, -2, 2, 9, -9, (1 << 31) - 1, (1 << 63) - 1, -(1 << 63))
    parts = [g.store([g.one_of(*ends) for _ in axes]) for _ in range(2)]
    return [x, *parts, g.store(axes), g.store([g.one_of(1, 1, 2, -1, -2) for _ in axes])], 1, {}


def _split(g: Growing, kind: str, x: str) -> Made:
    axis, count = g.axis(g.values[x].ndim), g.below(4, 1)
    more = {"num_outputs": count} if g.opset >= 18 else {}
    return [x], count, {"axis": axis, **more}


def _gather(g: Growing, kind: str, x: str) -> Made:
    shape = g.values[x].shape
    if not shape:
        return None
    axis = g.axis(len(shape))
    size = shape[axis]
    if kind == "Gather":
        wanted = g.one_of((), (1,), (3,), (2, 2))
    else:
        wanted = tuple(g.below(n + 1, 1) for n in shape)
    where = g.store(g.rng.integers(-size, size, size=wanted))
    if not kind.startswith("Scatter"):
        return [x, where], 1, {"axis": axis}
    fits = g.some(lambda a: a.dtype == np.float32 and a.shape == wanted)
    new = fits if g.values[fits].shape == wanted else g.numbers(*wanted)
    return [x, where, new], 1, {"axis": axis}


def _concat(g: Growing, kind: str, x: str) -> Made:
    shape = g.values[x].shape
    if not shape:
        return None
    axis = g.axis(len(shape))
    other = [n if k != axis % len(shape) else g.below(3, 1) for k, n in enumerate(shape)]
    late = g.some(lambda a: a.dtype == np.float32 and a.shape == shape)
    return g.one_of([x, late], [late, x], [x, g.numbers(*other)], [x, x]), 1, {"axis": axis}


def _matrices(g: Growing, kind: str, x: str) -> Made:
    shape = g.values[x].shape
    if len(shape) < 2 or (kind == "Gemm" and len(shape) != 2):
        return None
    if kind == "MatMul":
        left = [x, g.numbers(*g.one_of((), shape[:-2]), shape[-1], g.below(4, 1))]
        return g.one_of(left, left, [g.numbers(g.below(4, 1), shape[-2]), x]), 1, {}
    a, b, count = g.below(2), g.below(2), g.below(4, 1)
    inner, outer = shape[::-1] if not a else shape
    other = g.numbers(*((count, inner) if b else (inner, count)))
    bias = g.numbers(*g.one_of((), (1,), (count,), (1, count), (outer, 1)))
    scales = {n: g.one_of(1.0, 2.0, -0.5, 0.0) for n in ("alpha", "beta") if g.chance(0.4)}
    return g.one_of([x, other], [x, other, bias]), 1, {"transA": a, "transB": b, **scales}


def _einsum(g: Growing, kind: str, x: str) -> Made:
    shape = g.values[x].shape
    if not 1 <= len(shape) <= 4:
        return None
    own = "abcd"[: len(shape)]
    sizes = {**dict(zip(own, shape, strict=True)), "n": g.below(4, 1)}
    other = "".join(c for c in own if g.chance(0.6)) + "n" * g.below(2)
    result = [c for c in dict.fromkeys(own + other) if g.chance(0.7)]
    g.rng.shuffle(result)
    stored = g.numbers(*[sizes[c] for c in other])
    if g.chance(0.8):
        return [x, stored], 1, {"equation": f"{own},{other}->{''.join(result)}"}
    return [stored, x], 1, {"equation": f"{other},{own}->{''.join(result)}"}


def _top(g: Growing, kind: str, x: str) -> Made:
    shape = g.values[x].shape
    if not shape:
        return None
    axis = g.axis(len(shape))
    count = g.store([g.below(shape[axis] + 1, 1)])
    return [x, count], 2, {"axis": axis, "largest": g.below(2)}


def _where(g: Growing, kind: str, x: str) -> Made:
    test = g.some(lambda a: a.dtype == bool)
    if g.values[test].dtype != bool:
        return None
    zero = g.store(0, np.float32)
    return g.one_of([test, x, zero], [test, zero, x]), 1, {}


def _compare(g: Growing, kind: str, x: str) -> Made:
    limit = g.store(round(float(g.rng.normal()), 2), np.float32)
    return g.one_of([x, limit], [limit, x]), 1, {}


def _cast(g: Growing, kind: str, x: str) -> Made:
    x = g.some(lambda a: True)
    return [x], 1, {"to": g.one_of(1, 1, 1, 11, 10, 7)}


OPERATORS: dict[str, Callable[[Growing, str, str], Made]] = {
    **dict.fromkeys(
        ("Abs", "Exp", "Log", "Neg", "Reciprocal", "Relu", "Sigmoid", "Softplus", "Sqrt", "Tanh",
         "Identity", "GlobalMaxPool", "GlobalAveragePool", "Shape"),
        _alone,
    ),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min"), _two),
    **dict.fromkeys(
        ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare"),
        _reduce,
    ),
    **dict.fromkeys(("MaxPool", "AveragePool", "Conv"), _window),
    **dict.fromkeys(("Softmax", "LpNormalization", "Flatten"), _along),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), _squeeze),
    **dict.fromkeys(("Tile", "Expand"), _spread),
    **dict.fromkeys(("Gather", "GatherElements", "ScatterElements"), _gather),
    **dict.fromkeys(("MatMul", "Gemm"), _matrices),
    **dict.fromkeys(("Less", "Greater", "GreaterOrEqual", "LessOrEqual"), _compare),
    "Cast": _cast, "Clip": _clip, "Concat": _concat, "Einsum": _einsum, "Pow": _whole_power,
    "Reshape": _reshape, "Slice": _slice, "Split": _split, "TopK": _top, "Transpose": _transpose,
    "Where": _where,
}  # fmt: skip
_OFTEN = {"Mul": 5, "Add": 3, "Sub": 3, "Div": 3, "ReduceSum": 4, "MatMul": 4, "Conv": 5,
          "Einsum": 4, "Reshape": 3, "Concat": 3, "Transpose": 2, "Slice": 2}  # fmt: skip
_KINDS = [kind for kind in OPERATORS for _ in range(_OFTEN.get(kind, 1))]


def run(model: onnx.ModelProto, latent: Array) -> dict[str, Array]:
    """Every output of a model; nothing is fused or folded."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    data = model.SerializeToString()
    loaded = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in model.graph.output]
    return dict(zip(names, loaded.run(None, {LATENT: latent}), strict=True))


def far(theirs: Array, ours: Array, size: float) -> bool:
    """Whether two tensors differ by more than rounding; ``size``: of what they come from."""
    if theirs.shape != ours.shape:
        return True
    known = np.isfinite(theirs) & np.isfinite(ours)
    limit = 1e-3 * (np.abs(theirs) + 1e-2 * max(size, 1.0))
    return bool((known & (np.abs(theirs - ours) > limit)).any()) and math.isfinite(size)
