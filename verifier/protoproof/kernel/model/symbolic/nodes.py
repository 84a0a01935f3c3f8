"""Operators with all their attributes: the ones written, and ONNX's defaults for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protoproof.errors import ModelError
from protoproof.kernel.model.graph import DEFAULT_DOMAINS
from protoproof.kernel.model.onnx_reader import OnnxNode

# A default that is a type: the attribute has no default, and may be absent unless in _REQUIRED.
Defaults = dict[str, Any]

_REDUCE: Defaults = {"axes": tuple, "keepdims": 1, "noop_with_empty_axes": 0}
_WINDOW: Defaults = {
    "auto_pad": "NOTSET", "dilations": tuple, "kernel_shape": tuple, "pads": tuple,
    "strides": tuple,
}  # fmt: skip
_SCATTER: Defaults = {"reduction": "none"}
_BARE = (
    "Abs", "Add", "Clip", "Div", "Equal", "Exp", "Expand", "GatherND", "GlobalAveragePool",
    "GlobalMaxPool", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log",
    "MatMul", "Max", "Min", "Mul", "Neg", "Not", "Pow", "Reciprocal", "Relu", "SequenceAt",
    "Sigmoid", "Slice", "Softplus", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile", "Unsqueeze", "Where",
)  # fmt: skip
ATTRIBUTES: dict[str, Defaults] = {
    **{kind: {} for kind in _BARE},
    "ArgMax": {"axis": 0, "keepdims": 1, "select_last_index": 0},
    "AveragePool": {**_WINDOW, "ceil_mode": 0, "count_include_pad": 0},
    "Cast": {"to": int, "saturate": 1, "round_mode": "up"},
    "CastLike": {"saturate": 1, "round_mode": "up"},
    "Concat": {"axis": int},
    "ConstantOfShape": {"value": object},
    "Conv": {**_WINDOW, "group": 1},
    "Dropout": {"seed": int},
    "Einsum": {"equation": str},
    "Flatten": {"axis": 1},
    "Gather": {"axis": 0},
    "GatherElements": {"axis": 0},
    "GatherND": {"batch_dims": 0},
    "Gemm": {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0},
    "LogSoftmax": {"axis": -1},
    "LpNormalization": {"axis": -1, "p": 2},
    "MaxPool": {**_WINDOW, "ceil_mode": 0, "storage_order": 0},
    "Mod": {"fmod": 0},
    **dict.fromkeys(
        ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"),
        _REDUCE,
    ),
    "Range": {},
    "Reshape": {"allowzero": 0},
    "ScatterElements": {**_SCATTER, "axis": 0},
    "ScatterND": _SCATTER,
    "Shape": {"start": 0, "end": int},
    "Softmax": {"axis": -1},
    "Split": {"axis": 0, "num_outputs": int},
    "SplitToSequence": {"axis": 0, "keepdims": 1},
    "TopK": {"axis": -1, "largest": 1, "sorted": 1},
    "Transpose": {"perm": tuple},
}
_REQUIRED = {("Cast", "to"), ("Concat", "axis"), ("Einsum", "equation")}
# Until this opset, the axes are an attribute; from it on, an input.
AXES_AS_INPUT = {"ReduceSum": 13, **dict.fromkeys(
    ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSumSquare"), 18
)}  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """A node with every attribute.

    Attributes:
        kind: the operator.
        inputs: names, '' for one that is left out; none at the end.
        outputs: names.
        attributes: every attribute of the operator; None where it is absent and has no default.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def words(self) -> str:
        """For a refusal: the node by its first output, as nodes' names may be missing."""
        kind = self.kind if self.kind.isprintable() else repr(self.kind)  # it is any text
        return f"{kind} behind {self.outputs[0]!r}"

    def refuse(self, text: str) -> ModelError:
        return ModelError(f"model: {self.words()}: {text}")


def read(node: OnnxNode, opset: int) -> Operator:
    """A node, if it is one of the operators above, with no attribute that they do not have.

    Raises:
        ModelError: it is not.
    """
    inputs = list(node.input)
    while inputs and not inputs[-1]:
        inputs.pop()
    operator = Operator(node.op_type, tuple(inputs), tuple(node.output), {})
    if node.domain not in DEFAULT_DOMAINS or node.op_type not in ATTRIBUTES:
        where = f" of domain {node.domain!r}" if node.domain not in DEFAULT_DOMAINS else ""
        raise operator.refuse(f"no rule for this operator{where} between latent and output")
    defaults = dict(ATTRIBUTES[node.op_type])
    if opset >= AXES_AS_INPUT.get(node.op_type, 99):
        del defaults["axes"]
    elif node.op_type in AXES_AS_INPUT:
        del defaults["noop_with_empty_axes"]
    written = {attribute.name: attribute.value for attribute in node.attribute}
    for name, value in written.items():
        wanted = defaults.get(name)
        kind = wanted if isinstance(wanted, type) else type(wanted)
        if name not in defaults or (kind is not object and type(value) is not kind):
            raise operator.refuse(f"attribute {name!r} is unknown, or of another type")
        if kind is tuple and any(type(n) is not int for n in value):  # type: ignore[union-attr]
            raise operator.refuse(f"attribute {name!r} is not a list of integers")
    missing = [n for k, n in _REQUIRED if k == node.op_type and n not in written]
    if missing:
        raise operator.refuse(f"attribute {missing[0]!r} is missing")
    for name, value in defaults.items():
        operator.attributes[name] = written.get(name, None if isinstance(value, type) else value)
    return operator
