"""Files that two readers could take for two networks, next to what ONNX Runtime computes.

The runtime obeys the type of an attribute whatever its name is and whatever else it holds, and it
holds callers to the shape of ``graph.input`` whatever a file states besides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import AttributeProto, helper, numpy_helper

from protoproof.errors import ModelError
from protoproof.kernel import CheckReport, check
from protoproof.kernel.model.graph import Graph
from tests.support.kernel.builders import Scene, bound_of, file, scene, topk_core
from tests.support.kernel.graphs import constant, node
from tests.support.kernel.models import model_proto, sha256
from tests.support.kernel.runtime import annotate, image, session

BIAS = np.array([0.5, -1, 0.25], dtype=np.float32)
HERE = scene(4, grid=(2, 2), bias=BIAS, classes=3)
OTHER = np.roll(np.array([0.0, 40.0, 80.0], dtype=np.float32), HERE.predicted)


def logits(model: onnx.ModelProto) -> NDArray[np.float32]:
    """What the runtime computes for one image."""
    found: NDArray[np.float32] = session(model).run(["logits"], {"input": image()})[0][0]
    return found


def as_constant(name: str, attribute: AttributeProto) -> onnx.ModelProto:
    """The model of HERE with an initializer turned into a Constant node."""
    model = model_proto(HERE.tiny)
    model.graph.initializer.remove(constant(model, name))
    stored = helper.make_node("Constant", [], [name])
    stored.attribute.append(attribute)
    model.graph.node.insert(0, stored)
    return model


def claimed(model: onnx.ModelProto, here: Scene = HERE, output: str = "logits") -> CheckReport:
    """Check the honest certificate of ``here`` against another file of the same tensors."""
    data = model.SerializeToString()
    content = topk_core(here)
    identity = content.model.model_copy(update={"sha256": sha256(data), "output": output})
    return check(file(content.model_copy(update={"model": identity})), data)


BIAS_TENSOR = numpy_helper.from_array(BIAS, "head.bias")
SPARSE = onnx.SparseTensorProto(dims=[3])
SPARSE.values.CopyFrom(numpy_helper.from_array(OTHER[1:], "values"))
SPARSE.indices.CopyFrom(numpy_helper.from_array(np.array([1, 2]), "indices"))
SECOND: dict[str, dict[str, Any]] = {
    "FLOAT": {"f": 7.0},
    "FLOATS": {"floats": OTHER.tolist()},
    "SPARSE_TENSOR": {"sparse_tensor": SPARSE},
}


@pytest.mark.parametrize("name", ["value", "value_float", "value_floats", "sparse_value", "odd"])
@pytest.mark.parametrize("kind", SECOND)
@pytest.mark.trust(43)
def test_a_constant_whose_type_names_another_payload(kind: str, name: str) -> None:
    """A reader of field ``t`` sees the described bias; the runtime takes what the type names."""
    number = AttributeProto.AttributeType.Value(kind)
    attribute = AttributeProto(name=name, type=number, t=BIAS_TENSOR, **SECOND[kind])
    model = as_constant("head.bias", attribute)
    described = logits(model_proto(HERE.tiny))
    assert np.abs(logits(model) - described).max() > 0.25
    report = claimed(model)
    assert report.status == "rejected"
    assert "attribute" in report.obligations[2].detail


@pytest.mark.parametrize("kind", SECOND)
def test_a_constant_with_a_payload_too_many(kind: str) -> None:
    """The runtime reads the tensor, as its type says; still there is a second reading."""
    stray = SECOND[kind]
    attribute = AttributeProto(name="value", type=AttributeProto.TENSOR, t=BIAS_TENSOR, **stray)
    model = as_constant("head.bias", attribute)
    assert (logits(model) == logits(model_proto(HERE.tiny))).all()
    assert claimed(model).status == "rejected"


@pytest.mark.parametrize("name", ["value_float", "value_floats", "value_ints", "sparse_value"])
def test_a_constant_whose_name_does_not_fit_its_type(name: str) -> None:
    attribute = AttributeProto(name=name, type=AttributeProto.TENSOR, t=BIAS_TENSOR)
    report = claimed(as_constant("head.bias", attribute))
    assert report.status == "rejected"
    assert "of type TENSOR" in report.obligations[2].detail


@pytest.mark.parametrize("value", ["text", ["text"]])
@pytest.mark.trust(43)
def test_constants_of_text(value: Any) -> None:
    name = "value_string" if isinstance(value, str) else "value_strings"
    model = model_proto(HERE.tiny)
    model.graph.node.append(helper.make_node("Constant", [], ["text"], **{name: value}))
    with pytest.raises(ModelError, match="not supported"):
        Graph(model.SerializeToString())


MALFORMED: dict[str, dict[str, Any]] = {
    "no value": {"attributes": {}},
    "two values": {"attributes": {"value_float": 1.0, "value_floats": [1.0]}},
    "an input": {"inputs": ["input"], "attributes": {"value_float": 1.0}},
    "two outputs": {"outputs": ["text", "more"], "attributes": {"value_float": 1.0}},
    "no output": {"outputs": [], "attributes": {"value_float": 1.0}},
    "nameless output": {"outputs": [""], "attributes": {"value_float": 1.0}},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_constants_that_are_no_constants(name: str) -> None:
    row: dict[str, Any] = {"inputs": [], "outputs": ["text"], **MALFORMED[name]}
    model = model_proto(HERE.tiny)
    made = helper.make_node("Constant", row["inputs"], row["outputs"], **row["attributes"])
    model.graph.node.append(made)
    with pytest.raises(ModelError, match="Constant"):
        Graph(model.SerializeToString())


READ: dict[str, tuple[str, str, Any]] = {
    "value": ("head.bias", "value", BIAS_TENSOR),
    "value_floats": ("head.bias", "value_floats", BIAS.tolist()),
    "value_float": ("constant", "value_float", HERE.tiny.constant),
    "value_ints": ("axis1", "value_ints", [1]),
}


@pytest.mark.parametrize("kind", READ)
def test_constants_are_read_as_the_runtime_reads_them(kind: str) -> None:
    name, attribute, value = READ[kind]
    model = as_constant(name, helper.make_attribute(attribute, value))
    assert (logits(model) == logits(model_proto(HERE.tiny))).all()
    report = claimed(model)
    assert report.accepted, report.failures


def test_another_bias_is_another_network() -> None:
    """The same certificate, where the numbers of ``value_floats`` are not the described ones."""
    model = as_constant("head.bias", helper.make_attribute("value_floats", OTHER.tolist()))
    assert logits(model).argmax() == OTHER.argmax()
    assert OTHER.argmax() != HERE.predicted
    assert claimed(model).status == "rejected"
    bound = bound_of(model.SerializeToString())
    assert [n / 2**bound.head.weight_shift for n in bound.head.decision.bias] == OTHER.tolist()


@pytest.mark.parametrize("value", [3, [3, -4], 0.1, [0.1, 2.0]])
def test_values_of_constants_bit_for_bit(value: Any) -> None:
    single = not isinstance(value, list)
    word = "int" if isinstance(value if single else value[0], int) else "float"
    name = f"value_{word}" + ("" if single else "s")
    made = helper.make_node("Constant", [], ["c"], **{name: value})
    stated = helper.make_tensor_value_info("c", 7 if word == "int" else 1, None)
    graph = helper.make_graph([made], "one", [], [stated])
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, ir_version=9, opset_imports=opset)
    expected = session(model).run(["c"], {})[0]
    ours = Graph(model.SerializeToString())
    assert ours.dimensions("c") == expected.shape
    found: Any = ours.integers("c") if word == "int" else ours.floats("c")
    assert np.array(found).tolist() == expected.reshape(-1).tolist()


@pytest.mark.trust(43)
def test_the_subject_names_what_goes_in_and_what_comes_out() -> None:
    report = claimed(model_proto(HERE.tiny))
    assert report.accepted
    about = dict(report.subject)
    words = ("input tensor", "latent tensor", "output tensor")
    assert tuple(about[word] for word in words) == ("input", "latent", "logits")


@pytest.mark.trust(43)
def test_which_output_decides_is_stated_and_said() -> None:
    """A file may have several outputs: the certificate is about the one that it names."""
    model = model_proto(HERE.tiny)
    del model.graph.output[1:]
    annotate(model, "output", "published", ["N", 3])
    model.graph.node.append(helper.make_node("Neg", ["logits"], ["published"]))
    report = claimed(model)
    assert report.accepted
    assert dict(report.subject)["output tensor"] == "logits"
    model.graph.output.reverse()
    first = session(model).run(None, {"input": image()})[0]
    assert first.argmax() != logits(model).argmax()
    report = claimed(model)
    assert report.accepted
    words = "logits (not the network's first output, which is published)"
    assert dict(report.subject)["output tensor"] == words
    other = claimed(model, output="published")
    assert other.status == "rejected"


@pytest.mark.parametrize("operator", ["Sigmoid", "Relu"])
def test_a_range_is_that_of_an_operator_without_more(operator: str) -> None:
    model = model_proto(HERE.tiny.but(operator=operator))
    assert bound_of(model.SerializeToString()).latent_range is not None
    node(model, "latent").attribute.append(helper.make_attribute("alpha", 2.0))
    assert bound_of(model.SerializeToString()).latent_range is None


def test_an_identity_with_more_to_it_is_not_passed_through() -> None:
    model = model_proto(HERE.tiny)
    model.graph.node.append(helper.make_node("Identity", ["latent"], ["copy"]))
    assert Graph(model.SerializeToString()).root("copy") == "latent"
    model.graph.node[-1].attribute.append(helper.make_attribute("scale", 2.0))
    assert Graph(model.SerializeToString()).root("copy") == "copy"
