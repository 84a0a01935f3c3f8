"""Small files that ask for much: models and certificates of a few hundred kilobytes at most."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from protoproof.certificate.input_region import BallRegion
from protoproof.certificate.schema import (
    Core,
    FreeDomain,
    Instance,
    IntervalEvidence,
    ReachDomain,
    Refutation,
    SizeBound,
)
from protoproof.kernel.encoder.input_region import Inputs
from tests.support.kernel.builders import INPUT, file, identity
from tests.support.kernel.models import Tiny, model_proto


@dataclass(frozen=True)
class Files:
    """A model and a certificate about it."""

    model: bytes
    certificate: bytes


def numbers(values: Any, kind: str) -> str:
    return base64.b64encode(np.asarray(values).astype(kind).tobytes()).decode()


def tiny(count: int = 4, channels: int = 1, side: int = 1) -> Tiny:
    """A head of two classes whose prototypes are the numbers 0, 1, 2, ... in every channel."""
    column = np.arange(count, dtype=np.float32) / 8
    weight = np.where(np.arange(count) % 2, -1.0, 1.0) * np.array([[1.0], [-1.0]])
    return Tiny(
        prototypes=np.repeat(column[:, None], channels, axis=1),
        weight=weight.astype(np.float32),
        grid=(side, side),
        operator="",
    )


def about(here: Tiny, model: bytes, **changes: Any) -> Core:
    """A certificate without facts whose recorded latent is 0."""
    channels = here.prototypes.shape[1]
    fields: dict[str, Any] = {
        "tool": "tests",
        "level": "R",
        "model": identity(here, model),
        "instance": Instance(
            input_sha256=INPUT,
            locations=here.locations,
            channels=channels,
            latent=numbers(np.zeros(here.locations * channels), "<f4"),
            predicted=0,
        ),
        "domain": FreeDomain(),
        "vocabulary": "pairs",
        "premises": "exact",
        "facts": (),
        "rivals": (1,),
        "evidence": IntervalEvidence(),
    }
    return Core(**{**fields, **changes})


def many_measurements(locations_side: int, prototypes: int) -> Files:
    """Locations x prototypes exact numbers, from one number each."""
    here = tiny(prototypes, side=locations_side)
    return Files(here.data, file(about(here, here.data)))


def many_refutations(prototypes: int, refutations: int) -> Files:
    """Each is compared with every prototype."""
    here = tiny(prototypes)
    bound = SizeBound(refutations=(Refutation(rival=1, moves=()),) * refutations, covers=())
    return Files(here.data, file(about(here, here.data, size_bound=bound)))


def encoder(nodes: Sequence[onnx.NodeProto], constants: dict[str, Any], here: Tiny) -> bytes:
    """The model with more operators, from ``input`` to ``deep``, before its encoder."""
    proto = model_proto(here)
    first = next(node for node in proto.graph.node if node.op_type == "Conv")
    first.input[0] = "deep"
    rest = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *rest])
    for name, values in constants.items():
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array(np.asarray(values, np.float32), name)
        )
    return bytes(proto.SerializeToString(deterministic=True))


def over_a_ball(here: Tiny, model: bytes, propagated: int | None) -> Files:
    """A claim about all inputs near 0, for which the encoder is walked."""
    shape = (1, *here.grid)
    region = BallRegion(
        kind="linf", shape=shape, centre=numbers(np.zeros(shape), "<f4"), low=(-1.0).hex(),
        high=(1.0).hex(), radius="1/2",
    )  # fmt: skip
    size = here.locations * here.prototypes.shape[1]
    domain = ReachDomain(
        lower=numbers(np.full(size, -1e9), "<f8"), upper=numbers(np.full(size, 1e9), "<f8"),
        source="tests", region=region, propagated=propagated,
    )  # fmt: skip
    core = about(here, model, domain=domain)
    known = core.instance.model_copy(update={"input_sha256": Inputs(region).digest})
    return Files(model, file(core.model_copy(update={"instance": known})))


def chain(kinds: Sequence[str]) -> list[onnx.NodeProto]:
    """One operator after the other, from ``large`` to ``deep``; ``Conv`` has the weight ``w``."""
    names = ["large", *(f"x{i}" for i in range(len(kinds) - 1)), "deep"]
    return [
        helper.make_node(kind, [names[i], *(["w"] if kind == "Conv" else [])], [names[i + 1]])
        for i, kind in enumerate(kinds)
    ]


def large_tensors(pad: int, layers: int, propagated: int | None) -> Files:
    """A tensor that padding makes large, and its copies; the last window is as large as it."""
    here = tiny()
    size = 1 + 2 * pad
    grown = helper.make_node("Conv", ["input", "w"], ["large"], pads=[pad] * 4)
    nodes = [grown, *chain(["Relu"] * layers)]
    nodes[-1].output[0] = "last"
    nodes.append(helper.make_node("MaxPool", ["last"], ["deep"], kernel_shape=[size, size]))
    model = encoder(nodes, {"w": np.ones((1, 1, 1, 1))}, here)
    return over_a_ball(here, model, propagated)


def many_layers(layers: int) -> Files:
    """Each layer is propagated back through all layers before it."""
    here = tiny()
    nodes = [helper.make_node("Neg", ["input"], ["large"]), *chain(["Conv", "Relu"] * layers)]
    model = encoder(nodes, {"w": np.ones((1, 1, 1, 1))}, here)
    return over_a_ball(here, model, 1000)


def unknown_operator(kind: str, shape: Sequence[int]) -> Files:
    """An operator that turns a stored shape into a tensor of that size."""
    here = tiny()
    inputs = ["shape"] if kind == "ConstantOfShape" else ["input", "shape"]
    nodes = [
        helper.make_node(kind, inputs, ["large"]),
        helper.make_node("ReduceMax", ["large"], ["deep"]),
    ]
    proto = onnx.load_model_from_string(encoder(nodes, {}, here))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape), "shape"))
    return over_a_ball(here, bytes(proto.SerializeToString(deterministic=True)), None)
