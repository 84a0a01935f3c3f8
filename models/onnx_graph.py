"""The ONNX graph of a trained network: folded encoder, then the canonical prototype head.

Only elementary operators. The head computes distances as |z|^2 - 2 z.p + |p|^2 *inside* the graph,
with |p|^2 from the prototypes themselves: over the reals the graph then is the squared distance,
with no rounded constant in it.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from models.architecture import Architecture
from models.protopnet import EPSILON, Block, ProtoPNet

OPSET = 17
IR_VERSION = 9
OUTPUTS = ("logits", "activation", "measurement", "latent")


def build_graph(model: ProtoPNet, prototypes: np.ndarray, description: str) -> onnx.ModelProto:
    """The checked ONNX model with the given prototypes [P, D, 1, 1] and description (JSON text)."""
    architecture = model.architecture
    classes, count = model.head.out_features, len(prototypes)
    initializers: dict[str, np.ndarray] = {}
    nodes = _encoder(model, initializers)
    nodes += _head(model, prototypes, initializers)
    graph = helper.make_graph(
        nodes,
        "protopnet",
        [_tensor("input", architecture.input_shape)],
        [
            _tensor("logits", (classes,)),
            _tensor("activation", (count,)),
            _tensor("measurement", (count, *architecture.grid)),
            _tensor("latent", (architecture.channels, *architecture.grid)),
        ],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    proto = helper.make_model(
        graph,
        producer_name="protoproof",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(proto, {"protoproof": description})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def fold(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a block with its batch norm multiplied in: float64, rounded once."""
    weight = _array64(block.convolution.weight)
    bias = np.zeros(len(weight))
    if block.convolution.bias is not None:
        bias = _array64(block.convolution.bias)
    norm = block.norm
    if norm is not None:
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("batch norm without running statistics cannot be folded")
        scale = _array64(norm.weight) / np.sqrt(_array64(norm.running_var) + norm.eps)
        bias = _array64(norm.bias) + (bias - _array64(norm.running_mean)) * scale
        weight = weight * scale[:, None, None, None]
    return weight.astype(np.float32), bias.astype(np.float32)


def _encoder(model: ProtoPNet, initializers: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
    """Normalisation (padding adds zeros after it, so it cannot be folded) and convolutions."""
    encoder = model.encoder
    initializers["input.mean"] = encoder.mean.numpy().astype(np.float32)
    initializers["input.std"] = encoder.std.numpy().astype(np.float32)
    nodes = [
        _node("Sub", ["input", "input.mean"], "input.centred"),
        _node("Div", ["input.centred", "input.std"], "input.normalised"),
    ]
    current = "input.normalised"
    last = len(encoder.blocks) - 1
    for number, block in enumerate(encoder.blocks):
        if not isinstance(block, Block):
            raise TypeError(f"no ONNX form for {type(block).__name__}")
        stem = f"encoder.{number}"
        initializers[f"{stem}.weight"], initializers[f"{stem}.bias"] = fold(block)
        layer = block.layer
        nodes.append(
            _node(
                "Conv",
                [current, f"{stem}.weight", f"{stem}.bias"],
                f"{stem}.sum",
                kernel_shape=list(layer.kernel),
                strides=list(layer.stride),
                pads=[*layer.padding, *layer.padding],
            )
        )
        current = "latent" if number == last else f"{stem}.out"
        kind = "Relu" if layer.activation == "relu" else "Sigmoid"
        nodes.append(_node(kind, [f"{stem}.sum"], current))
    return nodes


def _head(
    model: ProtoPNet, prototypes: np.ndarray, initializers: dict[str, np.ndarray]
) -> list[onnx.NodeProto]:
    """Distances, pooling, similarity and votes, after the tensor ``latent``.

    Distances are sums of squared differences, [N, 1, D, H, W] against [P, D, 1, 1]. The cheaper
    |z|^2 - 2 z.p + |p|^2 cancels where a latent nearly coincides with a prototype, which is where
    the similarity is steepest: float32 logits were seen to be off by 0.5 with it.
    """
    architecture: Architecture = model.architecture
    initializers["prototypes"] = prototypes.astype(np.float32)
    initializers["head.weight"] = model.head.weight.detach().numpy().astype(np.float32)
    initializers["prototype_axis"] = np.array([1], dtype=np.int64)
    initializers["channel_axis"] = np.array([2], dtype=np.int64)
    initializers["one"] = np.array(1.0, dtype=np.float32)
    initializers["epsilon"] = np.array(EPSILON, dtype=np.float32)
    return [
        _node("Unsqueeze", ["latent", "prototype_axis"], "wide"),
        _node("Sub", ["wide", "prototypes"], "apart"),
        _node("Mul", ["apart", "apart"], "squared"),
        _node("ReduceSum", ["squared", "channel_axis"], "measurement", keepdims=0),
        _node("Neg", ["measurement"], "closeness"),
        _node("MaxPool", ["closeness"], "closest", kernel_shape=list(architecture.grid)),
        _node("Neg", ["closest"], "nearest_map"),
        _node("Flatten", ["nearest_map"], "nearest", axis=1),
        _node("Add", ["nearest", "one"], "numerator"),
        _node("Add", ["nearest", "epsilon"], "denominator"),
        _node("Div", ["numerator", "denominator"], "ratio"),
        _node("Log", ["ratio"], "activation"),
        _node("Gemm", ["activation", "head.weight"], "logits", transB=1),
    ]


def _node(
    kind: str, inputs: list[str], output: str, **attributes: int | list[int]
) -> onnx.NodeProto:
    node = helper.make_node(kind, inputs, [output], name=f"{output}.node")
    node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in sorted(attributes))
    return node


def _tensor(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    """A float32 tensor with the free batch axis N in front."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])


def _array64(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)
