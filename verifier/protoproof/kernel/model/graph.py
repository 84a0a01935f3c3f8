"""The checker's own view of an ONNX file: who produces which tensor, and the stored constants.

Only bytes that were handed in are read, those of data files among them; nothing is opened.
Whatever could make two readers of the same bytes see two different networks is refused: by
``onnx_reader`` within a message, here among names (every tensor has one origin) and for nodes that
hold constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import ModelError
from protoproof.kernel.budget import FILE_BYTE, hold, spend
from protoproof.kernel.model.data_files import MAX_TOTAL
from protoproof.kernel.model.onnx_reader import (
    FLOAT,
    INT64,
    AttributeType,
    OnnxNode,
    OnnxTensor,
    read_onnx,
)

METADATA_KEY = "protoproof"
DEFAULT_DOMAINS = ("", "ai.onnx")
OPSETS = range(13, 29)
_PER_NODE = 1 << 15  # steps, once it was read

Shape = tuple[int | None, ...]

# The attributes that may hold the value of a Constant node, with the type each has, and the type
# of numbers that it stands for (None: the tensor says it).
_CONSTANTS: dict[str, tuple[AttributeType, int | None]] = {
    "value": (AttributeType.TENSOR, None),
    "value_float": (AttributeType.FLOAT, FLOAT),
    "value_floats": (AttributeType.FLOATS, FLOAT),
    "value_int": (AttributeType.INT, INT64),
    "value_ints": (AttributeType.INTS, INT64),
}


class Graph:
    """An ONNX graph, indexed.

    Attributes:
        inputs: names of the inputs that have no stored value, in order.
        outputs: names of the outputs, in order.
        constants: stored tensors by name. One that is listed as an input, too (old exporters do
            so), stands for its stored value: with that the network computes on one input.
        producers: per computed tensor, its node and which of the node's outputs it is.

    Raises:
        ModelError: not an ONNX model, or one of the refusals above.
    """

    def __init__(self, data: bytes, files: Mapping[str, bytes] | None = None) -> None:
        size = len(data) + sum(map(len, (files or {}).values()))
        if size > MAX_TOTAL:
            raise ModelError(f"model: larger than {MAX_TOTAL} bytes")
        spend("the model", FILE_BYTE * size)
        hold("the model", len(data))
        self._model = read_onnx(data, files)
        self.opset = self._opset()
        self.outputs = tuple(value.name for value in self._model.outputs)
        self.constants = {tensor.name: tensor for tensor in self._model.initializers}
        listed = [value.name for value in self._model.inputs]
        self.inputs = tuple(name for name in listed if name not in self.constants)
        self.producers: dict[str, tuple[OnnxNode, int]] = {}
        self._roots: dict[str, str] = {}
        self._index()

    def _opset(self) -> int:
        versions = [version for domain, version in self._model.opsets if domain in DEFAULT_DOMAINS]
        if len(versions) != 1 or versions[0] not in OPSETS:
            raise ModelError(f"model: opset {versions} is not one of {OPSETS.start}..{OPSETS[-1]}")
        return versions[0]

    def _index(self) -> None:
        """Fill ``producers``; every name has one origin."""
        stored = self._model.initializers
        count = len(self._model.nodes) + len(stored) + len(self._model.annotations)
        spend("the graph", _PER_NODE * count)
        hold("the graph", 2048 * count)
        noted = [value.name for value in self._model.annotations]
        listed = [value.name for value in self._model.inputs]
        for names in (listed, self.outputs, noted, [tensor.name for tensor in stored]):
            if len(set(names)) != len(names) or "" in names:
                raise ModelError("model: two tensors of one name, or one without")
        for node in self._model.nodes:
            for position, name in enumerate(node.output):
                if name in self.producers or name in self.constants or name in self.inputs:
                    raise ModelError("model: two tensors of one name")
                if name:
                    self.producers[name] = node, position
        for node in self._model.nodes:
            if node.op_type == "Constant" and node.domain in DEFAULT_DOMAINS:
                self.constants[node.output[0]] = _constant(node)

    def root(self, tensor: str) -> str:
        """The tensor that a chain of Identity nodes passes on."""
        passed: list[str] = []
        while tensor not in self._roots:
            self._roots[tensor] = tensor  # of itself, until the chain says otherwise; ends a cycle
            passed.append(tensor)
            node, _ = self.producers.get(tensor, (None, 0))
            if node is None or node.op_type != "Identity" or not plain(node):
                break
            tensor = node.input[0]
        root = self._roots[tensor]
        for name in passed:  # each chain is followed once
            self._roots[name] = root
        return root

    def operator(self, tensor: str) -> str:
        """The operator behind a tensor, '' for an input, a constant, or a foreign domain."""
        node, position = self.producers.get(self.root(tensor), (None, 0))
        known = node is not None and node.domain in DEFAULT_DOMAINS and position == 0
        return node.op_type if known and node is not None else ""

    def dimensions(self, name: str) -> tuple[int, ...] | None:
        """Stored shape of a constant; None where the name is no constant."""
        tensor = self.constants.get(self.root(name))
        return None if tensor is None else tuple(tensor.dims)

    def floats(self, name: str) -> NDArray[np.float32]:
        """A float32 constant, flattened in row-major order, bit for bit.

        Raises:
            ModelError: absent, of another type, empty, or not finite.
        """
        values = np.frombuffer(self._stored(name, FLOAT, "float32").data, dtype="<f4")
        if not values.size:
            raise ModelError(f"model: constant {name!r} is empty")
        if not np.isfinite(values).all():
            raise ModelError(f"model: constant {name!r} holds NaN or infinity")
        return values

    def integers(self, name: str) -> tuple[int, ...]:
        """An int64 constant.

        Raises:
            ModelError: absent, or of another type.
        """
        tensor = self._stored(name, INT64, "int64")
        return tuple(np.frombuffer(tensor.data, dtype="<i8").tolist())

    def _stored(self, name: str, kind: int, word: str) -> OnnxTensor:
        tensor = self.constants.get(self.root(name))
        if tensor is None or tensor.data_type != kind:
            raise ModelError(f"model: {name!r} is not a stored {word} constant")
        return tensor

    def input_shape(self, name: str) -> Shape | None:
        """Shape that a float32 input of the graph takes; None for a free size or where unstated.

        The runtime holds callers to it: the shape of an input is part of the network. (Those of
        other tensors follow from it, the weights and the operators; see :meth:`statements`.)
        """
        for value in self._model.inputs:
            if value.name == name:
                return value.shape if value.elem_type == FLOAT else None
        return None

    def input_type(self, name: str) -> int | None:
        """ONNX's number for the type of an input's numbers; None where that is unstated."""
        return next((v.elem_type or None for v in self._model.inputs if v.name == name), None)

    def statements(self, name: str) -> Iterator[Shape]:
        """Shapes that the file states for a tensor. Nothing may be concluded from them; a file that
        contradicts itself is one to be refused."""
        model = self._model
        for value in (*model.inputs, *model.outputs, *model.annotations):
            if value.name == name and value.shape is not None:
                yield value.shape


def plain(node: OnnxNode) -> bool:
    """Whether a node of ONNX's own has one input, one output, and nothing else."""
    own = node.domain in DEFAULT_DOMAINS
    return own and len(node.input) == len(node.output) == 1 and not node.attribute


def _constant(node: OnnxNode) -> OnnxTensor:
    """The value of a Constant node: its one attribute, whose name and type agree."""
    if node.input or len(node.output) != 1 or not node.output[0] or len(node.attribute) != 1:
        raise ModelError("model: a Constant has inputs, several outputs or several values")
    (attribute,) = node.attribute
    wanted, kind = _CONSTANTS.get(attribute.name, (None, None))
    value, name = attribute.value, node.output[0]
    if attribute.type != wanted:
        raise ModelError(
            f"model: Constant {name!r} has {attribute.name!r} of type {attribute.type.name}, which "
            "is not supported"
        )
    if isinstance(value, OnnxTensor):
        return value
    values = np.array(value, dtype="<f4" if kind == FLOAT else "<i8")
    return OnnxTensor(name, values.shape, FLOAT if kind == FLOAT else INT64, values.tobytes())
