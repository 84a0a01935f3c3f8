"""The shape of a tensor in the encoder, for one input.

It follows from the shape of the network's input, the stored weights and the operators. Where an
operator has no rule here, it is taken from what the file states about the tensor. That is sound,
because no number of a proof rests on it: the theorem is about all latents *of this shape*, and a
recorded latent of another one does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.graph import DEFAULT_DOMAINS, Graph
from protoproof.kernel.model.onnx_reader import OnnxNode, OnnxTensor
from protoproof.kernel.model.symbolic import constants
from protoproof.kernel.model.symbolic.arrays import Array, Shape
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.nodes import ATTRIBUTES, read
from protoproof.kernel.model.symbolic.values import Constant, Value

_LARGEST = 1 << 28
_SMALL = 1 << 12  # numbers of a tensor that may be sizes, axes or indices
_SAME = {
    "Abs", "BatchNormalization", "Cast", "Celu", "Clip", "Dropout", "Elu", "Erf", "Exp", "Gelu",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LRN",
    "LayerNormalization", "LeakyRelu", "Log", "LpNormalization", "Mish", "Neg",
    "RMSNormalization", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softmax", "Softplus",
    "Softsign", "Sqrt", "Swish", "Tanh",
}  # fmt: skip
_BROADCAST = {
    "Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum", "Where",
}  # fmt: skip


Written = dict[str, Any]
Inputs = list[Value | None]


@dataclass(frozen=True)
class _Blank(Value):
    """Numbers that do not matter."""

    blank: Array
    PIECES: ClassVar = ("blank",)
    WORDS: ClassVar = "a tensor"


def _blank(shape: Shape) -> _Blank:
    if any(n < 1 for n in shape) or math.prod(shape) > _LARGEST:
        raise ModelError(f"model: a tensor of shape {list(shape)}")
    return _Blank(np.broadcast_to(np.int8(0), shape))


def shape_of(graph: Graph, tensor: str) -> Shape:
    """The shape of a latent tensor for one input.

    Raises:
        ModelError: neither operators nor file say it, or the file contradicts it.
    """
    name = graph.root(tensor)
    derived = _derived(graph, name)
    stated = [shape for shape in graph.statements(tensor) if shape]
    if derived is None:
        found = [_alone(shape) for shape in stated]
        if not found or found[0] is None:
            raise ModelError(
                f"model: the shape of {tensor!r} follows neither from the operators behind it nor "
                "from what the file states"
            )
        derived = found[0]
    for shape in stated:
        known = zip(shape[1:], derived[1:], strict=False)
        if len(shape) != len(derived) or any(a not in (None, b) for a, b in known):
            raise ModelError(
                f"model: the file states shape {list(shape)} for {tensor!r}, which has "
                f"{list(derived)}"
            )
    return derived


def _alone(shape: tuple[int | None, ...]) -> Shape | None:
    """A stated shape for one input: the first size may be open."""
    sizes = [1 if k == 0 and n is None else n for k, n in enumerate(shape)]
    known = tuple(n for n in sizes if n is not None)
    return known if len(known) == len(sizes) and 0 not in known else None


def _derived(graph: Graph, tensor: str) -> Shape | None:
    here = Evaluation(graph, {})
    for name in graph.inputs:
        stated = graph.input_shape(name)
        alone = None if stated is None else _alone(stated)
        if alone is not None:
            here.values[name] = _blank(alone)
    try:
        for node in _behind(graph, tensor, here):
            _derive(here, node)
    except (ModelError, ValueError, IndexError, KeyError):
        return None
    return here.values[tensor].shape if tensor in here.values else None


def _behind(graph: Graph, tensor: str, here: Evaluation) -> list[OnnxNode]:
    """The nodes that a tensor depends on, in the order of the file."""
    order = {name: k for k, name in enumerate(graph.producers)}
    wanted, found = [tensor], {}
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen or not name or name in here.values:
            continue
        seen.add(name)
        if name in graph.producers:
            node, _ = graph.producers[name]
            spend("the encoder's operators", OPERATION)
            found[min(order[o] for o in node.output if o)] = node
            wanted += node.input
    return [found[k] for k in sorted(found)]


def _derive(here: Evaluation, node: OnnxNode) -> None:
    if node.op_type == "Constant":
        return
    if node.domain not in DEFAULT_DOMAINS:
        raise ModelError(f"model: {node.op_type!r} of domain {node.domain!r}")
    inputs = [_value(here, name) if name else None for name in node.input]
    written = {attribute.name: attribute.value for attribute in node.attribute}
    blank = [value for value in inputs if not isinstance(value, Constant) and value is not None]
    layout = node.op_type in _LAYOUT
    if node.op_type in ATTRIBUTES and (layout or not blank):
        try:
            here.evaluate(read(node, here.graph.opset))
            return
        except ModelError:  # a number that is rounded, such as 1 / sqrt(24): nobody's size
            if node.op_type not in _SAME | _BROADCAST:
                raise
    if node.op_type in _SAME:
        shapes = [_shape(inputs, 0)] * len(node.output)
    elif node.op_type in _BROADCAST:
        shapes = [np.broadcast_shapes(*[v.shape for v in inputs if v is not None])]
    else:
        shapes = [_RULES[node.op_type](here, inputs, written)]
    for name, shape in zip(node.output, shapes, strict=False):
        if name:
            here.values[name] = _blank(shape)


_LAYOUT = {
    "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Reshape", "Shape", "Slice",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip


def _value(here: Evaluation, name: str) -> Value:
    if name not in here.values:
        here.values[name] = _stored(here.graph.constants[name])
    return here.values[name]


def _stored(tensor: OnnxTensor) -> Value:
    """A stored tensor: sizes and axes as numbers; of weights and masks only the shape counts."""
    if math.prod(tensor.dims) > _SMALL:
        return _blank(tensor.dims)
    try:
        return constants.stored(tensor)
    except ModelError:  # NaN or infinity, or a number type that heads do not have
        return _blank(tensor.dims)


def _shape(inputs: Inputs, position: int) -> Shape:
    value = inputs[position]
    if value is None:
        raise ModelError("model: an input is missing")
    return value.shape


def _windows(shape: Shape, kernel: Shape, written: Written) -> Shape:
    """The places of a convolution or pooling."""
    rank = len(kernel)
    strides = written.get("strides") or (1,) * rank
    dilations = written.get("dilations") or (1,) * rank
    pads = written.get("pads") or (0,) * 2 * rank
    automatic = written.get("auto_pad", "NOTSET")
    sizes = []
    for k in range(rank):
        size, span = shape[2 + k], (kernel[k] - 1) * dilations[k] + 1
        if automatic in ("SAME_UPPER", "SAME_LOWER"):
            sizes.append(-(-size // strides[k]))
            continue
        room = size + (0 if automatic == "VALID" else pads[k] + pads[rank + k]) - span
        if written.get("ceil_mode"):
            count = -(-room // strides[k]) + 1
            # a last window must start within the tensor or its left padding
            count -= (count - 1) * strides[k] >= size + pads[k]
            sizes.append(count)
        else:
            sizes.append(room // strides[k] + 1)
    return tuple(sizes)


def _conv(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    shape, weight = _shape(inputs, 0), _shape(inputs, 1)
    return (shape[0], weight[0], *_windows(shape, weight[2:], written))


def _pool(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    shape = _shape(inputs, 0)
    return (*shape[:2], *_windows(shape, written["kernel_shape"], written))


def _global(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    shape = _shape(inputs, 0)
    return (*shape[:2], *(1,) * (len(shape) - 2))


def _gemm(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    left, right = _shape(inputs, 0), _shape(inputs, 1)
    rows = left[::-1] if written.get("transA") else left
    columns = right[::-1] if written.get("transB") else right
    return rows[0], columns[1]


def _matmul(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    left, right = _shape(inputs, 0), _shape(inputs, 1)
    return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])


def _concat(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    shapes = [value.shape for value in inputs if value is not None]
    axis = written["axis"] % len(shapes[0])
    total = sum(shape[axis] for shape in shapes)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _reduce(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    shape = _shape(inputs, 0)
    axes = written.get("axes")
    given = inputs[1] if len(inputs) > 1 else None
    if given is not None:
        axes = _integers(given)
    if not axes:
        if written.get("noop_with_empty_axes"):
            return shape
        axes = range(len(shape))
    gone = {axis % len(shape) for axis in axes}
    kept = written.get("keepdims", 1)
    return tuple(1 if k in gone else n for k, n in enumerate(shape) if kept or k not in gone)


def _pad(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    shape, pads = _shape(inputs, 0), _integers(inputs[1])
    if len(pads) != 2 * len(shape):
        raise ModelError("model: padding of some axes")
    return tuple(n + pads[k] + pads[len(shape) + k] for k, n in enumerate(shape))


def _resize(here: Evaluation, inputs: Inputs, written: Written) -> Shape:
    shape = _shape(inputs, 0)
    if len(inputs) > 3 and inputs[3] is not None:
        return tuple(_integers(inputs[3]))
    scales = inputs[2]
    if not isinstance(scales, Constant):
        raise ModelError("model: a Resize by what is no constant")
    top, bottom = scales.number.numerators.tolist(), scales.number.denominator
    return tuple(n * f // bottom for n, f in zip(shape, top, strict=True))


def _integers(value: Value | None) -> list[int]:
    if not isinstance(value, Constant):
        raise ModelError("model: sizes that are no constants")
    return constants.integers(value).reshape(-1).tolist()


_RULES: dict[str, Callable[[Evaluation, Inputs, Written], Shape]] = {
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), _global),
    **dict.fromkeys(
        ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
         "ReduceSumSquare"),
        _reduce,
    ),
    "Concat": _concat,
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Resize": _resize,
}  # fmt: skip
