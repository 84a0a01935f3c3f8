"""The checker's own view of an ONNX file: who produces which tensor, and the stored constants.

Only bytes that were handed in are read; nothing is opened. Whatever could make two readers of the
same bytes see two different networks (functions, duplicate names, external data) is refused.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import onnx
from numpy.typing import NDArray

from protoproof.errors import DescriptionError, ModelError

MAX_BYTES = 1 << 30
METADATA_KEY = "protoproof"
DEFAULT_DOMAINS = ("", "ai.onnx")
OPSETS = range(13, 27)


class Graph:
    """An ONNX graph, indexed.

    Raises:
        ModelError: not an ONNX model, or one of the refusals above.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise ModelError(f"model: larger than {MAX_BYTES >> 20} MiB")
        try:
            self._model = onnx.load_model_from_string(data)
        except Exception as error:  # the parser's errors share no other base
            raise ModelError("model: not an ONNX file; pass the file that was explained") from error
        graph = self._model.graph
        if self._model.functions or graph.sparse_initializer:
            raise ModelError("model: model-local functions and sparse weights are not supported")
        self.opset = self._opset()
        self.inputs = {value.name for value in graph.input}
        self.outputs = {value.name for value in graph.output}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producers: dict[str, tuple[onnx.NodeProto, int]] = {}
        self._index(graph)

    def _opset(self) -> int:
        versions = [i.version for i in self._model.opset_import if i.domain in DEFAULT_DOMAINS]
        if len(versions) != 1 or versions[0] not in OPSETS:
            raise ModelError(f"model: opset {versions} is not one of {OPSETS.start}..{OPSETS[-1]}")
        return int(versions[0])

    def _index(self, graph: onnx.GraphProto) -> None:
        """Fill ``producers``; every name has one origin."""
        if len(self.constants) != len(graph.initializer) or len(self.inputs) != len(graph.input):
            raise ModelError("model: two tensors of one name")
        # an input with a stored default is whatever the caller passes, hence no constant
        for name in self.inputs & set(self.constants):
            del self.constants[name]
        for node in graph.node:
            for position, name in enumerate(node.output):
                if name in self.producers or name in self.constants or name in self.inputs:
                    raise ModelError("model: two tensors of one name")
                if name:
                    self.producers[name] = node, position
            if node.op_type == "Constant" and node.domain in DEFAULT_DOMAINS:
                self._constant(node)

    def _constant(self, node: onnx.NodeProto) -> None:
        stored = [a for a in node.attribute if a.name == "value" and a.HasField("t")]
        if len(node.attribute) == len(stored) == 1 and len(node.output) == 1:
            self.constants[node.output[0]] = stored[0].t

    def root(self, tensor: str) -> str:
        """The tensor that a chain of Identity nodes passes on."""
        for _ in range(len(self.producers)):
            node, _ = self.producers.get(tensor, (None, 0))
            if node is None or node.op_type != "Identity" or node.domain not in DEFAULT_DOMAINS:
                return tensor
            if len(node.input) != 1:
                return tensor
            tensor = node.input[0]
        return tensor

    def operator(self, tensor: str) -> str:
        """The operator behind a tensor, '' for an input, a constant, or a foreign domain."""
        node, position = self.producers.get(self.root(tensor), (None, 0))
        known = node is not None and node.domain in DEFAULT_DOMAINS and position == 0
        return node.op_type if known and node is not None else ""

    def attributes(self, tensor: str) -> dict[str, int | None]:
        """Attributes of the operator behind a tensor; None for one that is not a single integer."""
        node, _ = self.producers.get(self.root(tensor), (None, 0))
        found: dict[str, int | None] = {}
        for attribute in () if node is None else node.attribute:
            plain = attribute.type == onnx.AttributeProto.INT and not attribute.ref_attr_name
            once = attribute.name not in found
            found[attribute.name] = attribute.i if plain and once else None
        return found

    def dimensions(self, name: str) -> tuple[int, ...] | None:
        """Stored shape of a constant; None where the name is no constant."""
        tensor = self.constants.get(self.root(name))
        return None if tensor is None else tuple(tensor.dims)

    def floats(self, name: str) -> NDArray[np.float32]:
        """A float32 constant, flattened in row-major order, bit for bit.

        Raises:
            ModelError: absent, of another type, stored elsewhere, of a wrong length, not finite.
        """
        tensor = self._stored(name, onnx.TensorProto.FLOAT, "float32")
        if tensor.raw_data:
            values = np.frombuffer(tensor.raw_data, dtype="<f4") if _whole(tensor, 4) else None
        else:
            values = np.array(tensor.float_data, dtype="<f4")
        if values is None or values.size != math.prod(tensor.dims) or not values.size:
            raise ModelError(f"model: constant {name!r} does not fill its shape")
        if not np.isfinite(values).all():
            raise ModelError(f"model: constant {name!r} holds NaN or infinity")
        return values

    def integers(self, name: str) -> tuple[int, ...]:
        """An int64 constant.

        Raises:
            ModelError: absent, of another type, stored elsewhere, or of a wrong length.
        """
        tensor = self._stored(name, onnx.TensorProto.INT64, "int64")
        values = tuple(tensor.int64_data)
        if tensor.raw_data and _whole(tensor, 8):
            values = tuple(np.frombuffer(tensor.raw_data, dtype="<i8").tolist())
        elif tensor.raw_data or len(values) != math.prod(tensor.dims):
            raise ModelError(f"model: constant {name!r} does not fill its shape")
        return values

    def _stored(self, name: str, kind: int, word: str) -> onnx.TensorProto:
        tensor: onnx.TensorProto | None = self.constants.get(self.root(name))
        if tensor is None or tensor.data_type != kind:
            raise ModelError(f"model: {name!r} is not a stored {word} constant")
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(f"model: constant {name!r} is stored in another file")
        if tensor.HasField("segment") or min(tensor.dims, default=0) < 0:
            raise ModelError(f"model: constant {name!r} has a shape that is not supported")
        return tensor

    def declared_shape(self, name: str) -> tuple[int | None, ...] | None:
        """Shape that the file states for a tensor (None for a symbolic axis); None if unstated."""
        graph = self._model.graph
        for value in (*graph.output, *graph.value_info, *graph.input):
            kind = value.type.tensor_type
            if value.name == name and kind.HasField("shape"):
                return tuple(
                    axis.dim_value if axis.HasField("dim_value") else None
                    for axis in kind.shape.dim
                )
        return None

    @cached_property
    def description(self) -> str | None:
        """The head description's JSON text in the file, or None.

        Raises:
            DescriptionError: the file holds several.
        """
        texts = [p.value for p in self._model.metadata_props if p.key == METADATA_KEY]
        if len(texts) > 1:
            raise DescriptionError("model: several head descriptions in one file")
        return texts[0] if texts else None


def _whole(tensor: onnx.TensorProto, width: int) -> bool:
    """Whether the raw bytes fill the shape exactly, and nothing is stored a second time."""
    typed = len(tensor.float_data) + len(tensor.int64_data)
    return not typed and len(tensor.raw_data) == width * math.prod(tensor.dims)
