"""A model file with in it what is otherwise said beside it: data files, preprocessing, names.

Nodes are put in front of the graph's input, which do what
:class:`protoproof.network.pixels.PixelRule` does, in the same order and in float32. Latents, head
and scores are computed by the same nodes as before.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from protoproof.data.preprocess import Preprocessing
from protoproof.errors import ModelError
from protoproof.network.head.about import METADATA_KEY, PICTURES
from protoproof.network.layout import layout_of
from protoproof.network.network import Network
from protoproof.network.onnx.external import embedded

_MOST_BYTES = (1 << 31) - (1 << 20)  # what protobuf can write in one file
INPUT = "image"


@dataclass(frozen=True)
class Prepared:
    """A model in one file, and what was done to it, in sentences."""

    data: bytes
    steps: tuple[str, ...]


def prepared(
    network: Network, classes: tuple[str, ...] | None = None, pictures: str | None = None
) -> Prepared:
    """A network's file with everything inside that can be.

    Args:
        network: loaded, with its preprocessing.
        classes: names for its classes; those that it has if None.
        pictures: of its prototypes, as text (see ``report.page.patches``); those that it has if
            None. They only illustrate.

    Raises:
        ModelError: too large for one file.
    """
    model, steps = _merged(network), []
    if network.files:
        names = ", ".join(sorted(network.files))
        steps.append(f"external data merged: {names}")
    said, stated = _description(network, classes), network.pixels.preprocessing
    inside = _inside(model, network)
    if inside:
        steps.append(
            f"put inside: {', '.join(inside)}; the input is now '{model.graph.input[0].name}', a "
            "picture's colours (red, green, blue) from 0 to 1, channels first"
        )
        said["input"] = _input(network)
    elif stated is not None and stated.states_values and network.input_range == (0.0, 1.0):
        steps.append("recorded: the network takes colours from 0 to 1 as they are")
        said["input"] = _input(network)
    elif network.pixels.problem:
        steps.append(f"no preprocessing put inside: {network.pixels.problem}")
    if stated is not None and stated.moves:
        kept = str(_geometry(stated))
        said.setdefault("input", {})["preprocessing"] = kept
        steps.append(
            f"recorded: {kept}; a graph takes pictures of one size, so this is done to them before"
        )
    if classes is not None:
        said["classes"] = list(classes)
        steps.append(f"class names: {', '.join(classes[:5])}{' ...' if len(classes) > 5 else ''}")
    _describe(model, {METADATA_KEY: _compact(said)} | ({PICTURES: pictures} if pictures else {}))
    return Prepared(model.SerializeToString(deterministic=True), tuple(steps))


def _merged(network: Network) -> onnx.ModelProto:
    """With the numbers that lie in data files inside."""
    size = len(network.data) + sum(map(len, network.files.values()))
    if size > _MOST_BYTES:
        raise ModelError("the model is larger than 2 GiB, which one ONNX file cannot hold")
    content = embedded(network.data, network.files, sys.maxsize)
    model = onnx.ModelProto()
    model.ParseFromString(content)
    return model


def _inside(model: onnx.ModelProto, network: Network) -> list[str]:
    """Put the preprocessing in front of the graph; what was put there, in words."""
    rule = network.pixels
    layout = layout_of(rule.shape)
    stated = rule.preprocessing or Preprocessing()
    if layout is None or rule.problem or network.graph.bytes_in:
        return []
    if layout == "channels first" and not stated.states_values and not stated.bgr:
        return []
    nodes = _Nodes(model, network.view.input)
    done, channels = [], rule.channels
    if stated.bgr and channels == 3:
        # 1 x + 0 y + 0 z is x, exactly
        turned = np.eye(3, dtype=np.float32)[::-1].copy()[:, :, None, None]
        nodes.add("Conv", turned)
        done.append("red and blue exchanged")
    low, high = stated.range or (0.0, 1.0)
    if not stated.states_values:
        low, high = rule.range
    if (low, high) != (0.0, 1.0):
        # as PixelRule.linear and Preprocessing.values: in float32, the difference too
        nodes.add("Mul", np.float32(high) - np.float32(low))
        nodes.add("Add", np.float32(low))
        done.append(f"scaling to [{low:g}, {high:g}]")
    if stated.mean is not None and stated.std is not None:
        nodes.add("Sub", _per_channel(stated.mean, channels))
        nodes.add("Div", _per_channel(stated.std, channels))
        done.append("mean and std")
    if layout == "channels last":
        nodes.add("Transpose", None, perm=[0, 2, 3, 1])
        done.append("channels moved to the end")
    if done:
        nodes.place(rule.shape, layout)
    return done


class _Nodes:
    """A chain of nodes that ends in what was the graph's input."""

    def __init__(self, model: onnx.ModelProto, old: str) -> None:
        self._graph, self._old = model.graph, old
        used = {name for node in model.graph.node for name in (*node.input, *node.output)}
        used |= {tensor.name for tensor in model.graph.initializer}
        used |= {value.name for value in (*model.graph.input, *model.graph.output)}
        self._used, self._chain = used, list[onnx.NodeProto]()
        self.input = self._last = self._name(INPUT)

    def add(self, operator: str, constant: Any = None, **attributes: Any) -> None:
        """One more node, with a stored constant beside its input."""
        number = len(self._chain)
        inputs = [self._last]
        if constant is not None:
            name = self._name(f"preprocessing.constant.{number}")
            array = np.asarray(constant, dtype=np.float32)
            self._graph.initializer.append(numpy_helper.from_array(array, name))
            inputs.append(name)
        self._last = self._name(f"preprocessing.{number}")
        name = f"{self._last}.node"
        self._chain.append(helper.make_node(operator, inputs, [self._last], name, **attributes))

    def place(self, shape: tuple[int, ...], layout: str) -> None:
        """Put the chain in front."""
        self._chain[-1].output[0] = self._old
        graph = self._graph
        index = next(i for i, value in enumerate(graph.input) if value.name == self._old)
        batch = graph.input[index].type.tensor_type.shape.dim[0]
        first = shape if layout == "channels first" else (shape[2], *shape[:2])
        size = batch.dim_param or batch.dim_value or "N"
        value = helper.make_tensor_value_info(self.input, TensorProto.FLOAT, [size, *first])
        graph.input[index].CopyFrom(value)
        later = list(graph.node)
        del graph.node[:]
        graph.node.extend([*self._chain, *later])

    def _name(self, wanted: str) -> str:
        name, number = wanted, 0
        while name in self._used:
            number += 1
            name = f"{wanted}.{number}"
        self._used.add(name)
        return name


def _per_channel(values: tuple[float, ...], channels: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, np.float32), channels).reshape(1, channels, 1, 1)


def _geometry(stated: Preprocessing) -> Preprocessing:
    return Preprocessing(stated.resize, stated.crop, stated.interpolation)


def _description(network: Network, classes: tuple[str, ...] | None) -> dict[str, Any]:
    """What is said about the network, wherever it stands now."""
    said = json.loads(network.about.text) if network.about.text else {}
    said.setdefault("name", network.about.name)
    if classes is None and network.about.classes_stated:
        said["classes"] = list(network.class_names)
    return dict(said)


def _input(network: Network) -> dict[str, Any]:
    """What is said of the new input: the range of pixels, and what happens to them inside."""
    said: dict[str, Any] = {"range": [0.0, 1.0]}
    stated = network.pixels.preprocessing
    if stated is not None and stated.mean is not None and stated.std is not None:
        said["normalisation"] = {"mean": list(stated.mean), "std": list(stated.std)}
    return said


def _compact(said: dict[str, Any]) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _describe(model: onnx.ModelProto, said: dict[str, str]) -> None:
    """Texts about the model, in place of those under the same keys."""
    kept = [(e.key, e.value) for e in model.metadata_props if e.key not in said]
    del model.metadata_props[:]
    for key, value in [*kept, *said.items()]:
        model.metadata_props.add(key=key, value=value)
