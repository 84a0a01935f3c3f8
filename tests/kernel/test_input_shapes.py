"""The shape of an input is the one of ``graph.input``, which ONNX Runtime holds callers to.

What a file states about tensors elsewhere is only a statement.
"""

from __future__ import annotations

import base64

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from protoproof.certificate.input_region import BallRegion
from protoproof.certificate.schema import ReachDomain
from protoproof.errors import ModelError
from protoproof.kernel import CheckReport, check
from protoproof.kernel.arithmetic.outward import Range
from protoproof.kernel.claims import words
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.model.graph import Graph
from tests.support.kernel.builders import Scene, core, file, scene
from tests.support.kernel.encoders import encoder_range
from tests.support.kernel.graphs import node
from tests.support.kernel.models import model_proto, sha256
from tests.support.kernel.runtime import annotate, image, session

HERE = scene(2, grid=(2, 2), bias=None)


@pytest.mark.parametrize("where", ["value_info", "output"])
@pytest.mark.parametrize("shape", [[1, 1, 1, 9], ["N", 1, 1, 9], [1, 1, 3, 3]])
@pytest.mark.trust(43)
def test_an_annotation_does_not_change_the_input(where: str, shape: list[int | str]) -> None:
    """The runtime takes 1x1x2x2 images, whatever else the file says about its input."""
    model = model_proto(HERE.tiny)
    annotate(model, where, "input", shape)
    size = [n if isinstance(n, int) else 1 for n in shape]
    session(model).run(["logits"], {"input": image()})
    with pytest.raises(Exception, match="invalid dimensions for input"):
        session(model).run(["logits"], {"input": image(*size)})
    graph = Graph(model.SerializeToString())
    assert graph.input_shape("input") == (None, 1, 2, 2)
    with pytest.raises(ModelError, match="input has shape"):
        encoder_range(graph, "latent", Range(np.zeros(size), np.ones(size)))
    ends = Range(np.zeros((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))
    assert encoder_range(graph, "latent", ends).low.shape[2:] == (2, 2)


@pytest.mark.parametrize("where", ["value_info", "output"])
def test_an_annotation_of_an_input_without_shape_is_no_shape(where: str) -> None:
    model = model_proto(HERE.tiny)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    annotate(model, where, "input", [1, 1, 1, 9])
    graph = Graph(model.SerializeToString())
    with pytest.raises(ModelError, match="input has shape None"):
        encoder_range(graph, "latent", Range(np.zeros((1, 1, 1, 9)), np.ones((1, 1, 1, 9))))


def test_inputs_of_other_numbers_are_not_walked() -> None:
    model = model_proto(HERE.tiny)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph = Graph(model.SerializeToString())
    with pytest.raises(ModelError, match="input has shape None"):
        encoder_range(graph, "latent", Range(np.zeros((1, 1, 2, 2)), np.ones((1, 1, 2, 2))))


def pooled() -> onnx.ModelProto:
    """A network whose operators take images of any size, and which takes 1x1x2x2."""
    model = model_proto(scene(5, grid=(1, 1)).tiny)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 2
    model.graph.node.insert(0, helper.make_node("GlobalAveragePool", ["input"], ["pooled"]))
    node(model, "features").input[0] = "pooled"
    return model


def encoded(values: NDArray[np.generic]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def robust(model: onnx.ModelProto, size: tuple[int, int]) -> CheckReport:
    """Check the claim that a ball around an image of some size has one class.

    Everything in the certificate but that size is true of the network without its input's shape.
    """
    free = onnx.ModelProto.FromString(model.SerializeToString())
    del free.graph.value_info[:]
    del free.graph.output[1:]
    free.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["N", "D", "H", "W"])
    )
    for axis, n in zip((2, 3), size, strict=True):
        free.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = n
    x = image(1, 1, *size)
    latent = session(free).run(["latent"], {"input": x})[0]
    here = Scene(scene(5, grid=(1, 1)).tiny, latent.reshape(1, -1))
    region = BallRegion(
        kind="linf", radius="1/1000", shape=(1, *size), centre=encoded(x), low=(0.0).hex(),
        high=(1.0).hex(),
    )  # fmt: skip
    inputs = Inputs(region)
    (start, _) = next(inputs.starts())
    ends = encoder_range(Graph(free.SerializeToString()), "latent", start)
    low, high = (encoded(end.reshape(-1).astype("<f8")) for end in ends)
    domain = ReachDomain(lower=low, upper=high, source="walked", region=region)
    claim = core(here, [], "pairs", domain=domain)
    data = model.SerializeToString()
    identity = claim.model.model_copy(update={"sha256": sha256(data)})
    about = claim.instance.model_copy(update={"input_sha256": inputs.digest})
    return check(file(claim.model_copy(update={"model": identity, "instance": about})), data)


@pytest.mark.parametrize("where", ["value_info", "output", "nowhere"])
@pytest.mark.parametrize("size", [(1, 9), (3, 3), (2, 2)])
def test_regions_are_about_images_that_the_network_takes(size: tuple[int, int], where: str) -> None:
    model = pooled()
    if where != "nowhere":
        annotate(model, where, "input", ["N", 1, *size])
    report = robust(model, size)
    if size == (2, 2):
        assert report.accepted, report.failures
        assert "robust" in words(report.claims)
        return
    assert report.status == "rejected"
    (failure,) = (o for o in report.failures if o.passed is False)
    assert (failure.number, "input has shape" in failure.detail) == (5, True)
    with pytest.raises(Exception, match="invalid dimensions for input"):
        session(model).run(["logits"], {"input": image(1, 1, *size)})
