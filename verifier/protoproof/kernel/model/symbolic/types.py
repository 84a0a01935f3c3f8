"""The number types of tensors: a runtime computes with whole numbers, or with half of the places,
otherwise than over the reals.

A tensor that a head is read from holds float32 numbers, or float64 ones after a Cast; constants may
be whole numbers, too, and half precision is stored, but not computed with.
"""

from __future__ import annotations

from collections.abc import Sequence

from protoproof.errors import ModelError
from protoproof.kernel.model.graph import DEFAULT_DOMAINS, Graph
from protoproof.kernel.model.onnx_reader import FLOAT, INT64, OnnxTensor
from protoproof.kernel.model.symbolic.nodes import Operator

BOOL, HALF, DOUBLE = 9, 10, 11
_INT32 = 6
_BFLOAT = 16
_FEW_PLACES = (HALF, _BFLOAT)
# The inputs that have one type; of all other operators the first one alone counts.
_ALIKE: dict[str, Sequence[int] | None] = {
    **dict.fromkeys(
        ("Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "MatMul", "Gemm", "Einsum", "Conv",
         "Concat", "Clip", "Range", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    ),
    "Where": (1, 2), "ScatterElements": (0, 2), "ScatterND": (0, 2),
}  # fmt: skip
# What moves numbers, and computes none.
_MOVES = frozenset(
    ("Cast", "CastLike", "Concat", "ConstantOfShape", "Dropout", "Expand", "Flatten", "Gather",
     "GatherElements", "GatherND", "Identity", "Reshape", "ScatterElements", "ScatterND",
     "SequenceAt", "Shape", "Slice", "Split", "SplitToSequence", "Squeeze", "Tile", "Transpose",
     "Unsqueeze", "Where")
)  # fmt: skip
_BOOLEAN = frozenset(
    ("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not",
     "Or", "Xor")
)  # fmt: skip
# Averages of whole numbers are cut off, and their sums wrap round before they are.
_NEVER_WHOLE = frozenset(("ReduceMean", "ReduceL2"))
# Of the encoder: what has other outputs than its first input has, and which input says so.
_COUNTING = frozenset(("ArgMax", "ArgMin", "NonMaxSuppression", "NonZero", "Shape", "Size"))
_MADE = frozenset(
    ("BlackmanWindow", "ConstantOfShape", "EyeLike", "HammingWindow", "HannWindow",
     "MelWeightMatrix", "Multinomial", "RandomNormalLike", "RandomUniformLike", "TfIdfVectorizer")
)  # fmt: skip
_BY_INPUT = {"CastLike": 1, "DequantizeLinear": 1, "OneHot": 2, "Where": 1}
_QUANTISED = ("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "QuantizeLinear")


def result(operator: Operator, given: Sequence[int | None]) -> int:
    """The type of an operator's first output.

    Args:
        given: the types of its inputs; None where one is left out.

    Raises:
        ModelError: inputs of several types, or such as are not computed with over the reals.
    """
    kind = operator.kind
    places = _ALIKE.get(kind, (0,))
    alike = {t for k, t in enumerate(given) if t and (places is None or k in places)}
    if len(alike) > 1:
        words = "float32 numbers and float64 ones" if alike == {FLOAT, DOUBLE} else "several types"
        raise operator.refuse(f"{words} in one operator, which no runtime computes with")
    if kind not in _MOVES and any(t in _FEW_PLACES for t in alike):
        raise operator.refuse("computes with half of the places")
    whole = bool(alike) and alike <= {_INT32, INT64}
    if whole and (kind in _NEVER_WHOLE or (kind == "Pow" and not alike.issuperset(given[1:]))):
        raise operator.refuse("of whole numbers, which are cut off")
    if kind == "Cast":
        return int(operator.attributes["to"])
    if kind == "CastLike":
        return given[1] or 0
    if kind == "ConstantOfShape":
        value = operator.attributes["value"]
        return value.data_type if isinstance(value, OnnxTensor) else FLOAT
    return INT64 if kind == "Shape" else BOOL if kind in _BOOLEAN else alike.pop() if alike else 0


def require_float32(graph: Graph, latent: str) -> None:
    """Whether a latent holds float32 numbers, as far as the operators behind it say.

    Raises:
        ModelError: it holds others.
    """
    found = _behind(graph, latent)
    if found not in (FLOAT, None):
        raise ModelError(f"model: {latent!r} holds numbers of type {found}, no float32 numbers")


def _behind(graph: Graph, tensor: str) -> int | None:
    seen: set[str] = set()
    while tensor not in seen:
        seen.add(tensor)
        if tensor in graph.constants:
            return graph.constants[tensor].data_type
        node, position = graph.producers.get(tensor, (None, 0))
        if node is None:
            return graph.input_type(tensor)
        kind = node.op_type
        if node.domain not in DEFAULT_DOMAINS or not node.input or kind in _MADE:
            return None
        if kind == "Cast":
            written = [a.value for a in node.attribute if a.name == "to"]
            return written[0] if written and isinstance(written[0], int) else None
        if kind in _COUNTING or (position and kind in ("MaxPool", "TopK", "Unique")):
            return INT64
        if kind in _BOOLEAN:
            return BOOL
        if kind in _QUANTISED or kind.startswith("QLinear"):
            return _INT32
        tensor = node.input[min(_BY_INPUT.get(kind, 0), len(node.input) - 1)]
    return None
