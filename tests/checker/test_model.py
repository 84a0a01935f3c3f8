"""The checker's own reading of models: what it recognises, what it refuses, what it assumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.checker.builders import Scene, file, pair_core, scene, topk_core
from tests.checker.models import Tiny, description, model_proto, random_tiny, sha256
from verifier.checker import CheckReport, ModelFile, check
from verifier.errors import ModelError, ProtoProofError

HERE = scene(2, grid=(2, 2), bias=None)
Change = Callable[[onnx.ModelProto], None]


def node(model: onnx.ModelProto, output: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if output in n.output)


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


def put(model: onnx.ModelProto, name: str, values: Any) -> None:
    constant(model, name).CopyFrom(numpy_helper.from_array(values, name))


def report_for(proto: onnx.ModelProto, binding: str = "recognised", **model: Any) -> CheckReport:
    """Check an honest certificate of HERE that is about ``proto``."""
    data = proto.SerializeToString()
    content = topk_core(HERE)
    identity = content.model.model_copy(
        update={"sha256": sha256(data), "binding": binding, **model}
    )
    return check(file(content.model_copy(update={"model": identity})), data)


# --- recognised ----------------------------------------------------------------------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "canonical": {},
    "direct distance": {"distance": "direct"},
    "ReduceMin": {"pool": "reduce_min"},
    "ReduceMax": {"pool": "reduce_max"},
    "ReduceMin, axes as input": {"pool": "reduce_min", "opset": 18},
    "ReduceMax, axes as input": {"pool": "reduce_max", "opset": 20},
    "Relu": {"operator": "Relu"},
    "bias": {"bias": np.array([0.5, -1, 0.25], dtype=np.float32), "classes": 3},
    **{kind: {"similarity": kind} for kind in ("exponential", "negated", "reciprocal")},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_canonical_heads_are_recognised_and_mean_what_they_compute(name: str) -> None:
    """Runs the graph on random inputs: logits must be those of the head that was read."""
    tiny = random_tiny(3, grid=(2, 2), **VARIANTS[name])
    bound = ModelFile(tiny.data).bound(None)
    assert bound.departure is None
    assert bound.latent_operator == tiny.operator
    assert [int(bound.head.prototypes[1, d]) / 2**bound.head.shift for d in range(2)] == (
        tiny.prototypes[1, :2].tolist()
    )
    onnx.checker.check_model(tiny.data)
    session = ReferenceEvaluator(onnx.load_model_from_string(tiny.data))
    x = np.random.default_rng(0).random((1, 1, 2, 2)).astype(np.float32)
    logits, latent = session.run(["logits", "latent"], {"input": x})
    here = Scene(tiny, latent[0].reshape(len(latent[0]), -1).T)
    assert np.allclose(logits[0], here.logits([float(q) for q in here.best]), atol=1e-3)


def rename(model: onnx.ModelProto) -> None:
    """Every tensor that the description does not name gets a new name."""
    kept = {"input", "latent", "measurement", "activation", "logits", "prototypes", "head.weight"}
    for n in model.graph.node:
        n.name = "x"
        for names in (n.input, n.output):
            names[:] = [name if name in kept else f"new_{name}" for name in names]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name if tensor.name in kept else f"new_{tensor.name}"


def swap(output: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        n = node(model, output)
        n.input[:] = list(n.input)[::-1]

    return change


def identities(model: onnx.ModelProto) -> None:
    """An Identity before every input of every node of the head."""
    nodes = list(model.graph.node)
    added = []
    for index, n in enumerate(nodes):
        for position, name in enumerate(n.input):
            passed = f"copy_{index}_{position}"
            added.append(helper.make_node("Identity", [name], [passed]))
            n.input[position] = passed
        added.append(n)
    del model.graph.node[:]
    model.graph.node.extend(added)


def typed_storage(model: onnx.ModelProto) -> None:
    for name in ("two", "one", "constant", "prototypes", "head.weight"):
        values = numpy_helper.to_array(constant(model, name))
        constant(model, name).CopyFrom(
            helper.make_tensor(name, TensorProto.FLOAT, values.shape, values.ravel().tolist())
        )
    constant(model, "axis1").CopyFrom(helper.make_tensor("axis1", TensorProto.INT64, [1], [1]))


def constant_nodes(model: onnx.ModelProto) -> None:
    for name in ("two", "axis1"):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(constant(model, name))
        model.graph.initializer.remove(constant(model, name))
        model.graph.node.insert(0, helper.make_node("Constant", [], [name], value=tensor))


def explicit_defaults(model: onnx.ModelProto) -> None:
    conv = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1}
    node(model, "z_dot_p").attribute.extend(
        helper.make_attribute(key, value) for key, value in conv.items()
    )
    gemm = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    node(model, "logits").attribute.extend(
        helper.make_attribute(key, value) for key, value in gemm.items()
    )


def unstated_grid(model: onnx.ModelProto) -> None:
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


HARMLESS: dict[str, Change] = {
    "nothing": lambda model: None,
    "names": rename,
    "Add swapped": swap("expanded"),
    "Add swapped too": swap("above"),
    "Mul swapped": swap("twice"),
    "Identity nodes": identities,
    "typed storage": typed_storage,
    "Constant nodes": constant_nodes,
    "defaults written out": explicit_defaults,
    "grid not stated": unstated_grid,
    "no third input": lambda model: node(model, "logits").input.append(""),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_differences_are_recognised(name: str) -> None:
    model = model_proto(HERE.tiny)
    HARMLESS[name](model)
    report = report_for(model)
    assert report.accepted, report.failures


# --- not recognised ------------------------------------------------------------------------------


def attribute(output: str, **values: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        n = node(model, output)
        for key, value in values.items():
            for old in [a for a in n.attribute if a.name == key]:
                n.attribute.remove(old)
            n.attribute.append(helper.make_attribute(key, value))

    return change


def operator(output: str, kind: str) -> Change:
    return lambda model: setattr(node(model, output), "op_type", kind)


def stored(name: str, values: Any, dtype: Any = np.float32) -> Change:
    return lambda model: put(model, name, np.asarray(values, dtype=dtype))


def another_input(output: str, position: int, name: str) -> Change:
    return lambda model: node(model, output).input.__setitem__(position, name)


def other_prototypes_in_the_norm(model: onnx.ModelProto) -> None:
    other = numpy_helper.to_array(constant(model, "prototypes")) + np.float32(0.5)
    model.graph.initializer.append(numpy_helper.from_array(other, "others"))
    node(model, "p_squared").input[:] = ["others", "others"]


def insert_before(output: str, position: int, kind: str, **attributes: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        n = node(model, output)
        model.graph.node.insert(
            list(model.graph.node).index(n),
            helper.make_node(kind, [n.input[position]], ["inserted"], **attributes),
        )
        n.input[position] = "inserted"

    return change


def conv_bias(model: onnx.ModelProto) -> None:
    count = len(HERE.tiny.prototypes)
    model.graph.initializer.append(
        numpy_helper.from_array(np.full(count, 0.5, np.float32), "shift")
    )
    node(model, "z_dot_p").input.append("shift")


def gemm_bias(model: onnx.ModelProto) -> None:
    classes = len(HERE.tiny.weight)
    values = np.arange(classes, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "extra"))
    node(model, "logits").input.append("extra")


def logits_elsewhere(model: onnx.ModelProto) -> None:
    """The described logits exist, but the network's output is another tensor."""
    model.graph.output[0].name = "published"
    model.graph.node.append(helper.make_node("Neg", ["logits"], ["published"]))


def stated_grid(model: onnx.ModelProto) -> None:
    latent = next(value for value in model.graph.output if value.name == "latent")
    latent.type.tensor_type.shape.dim[3].dim_value = 5


DEPARTURES: dict[str, Change] = {
    "alpha": attribute("logits", alpha=2.0),
    "beta without bias": attribute("logits", beta=0.5),
    "transA": attribute("logits", transA=1),
    "unknown attribute": attribute("logits", magic=1),
    "attribute of another type": attribute("logits", transB=[1]),
    "attribute twice": lambda model: node(model, "logits").attribute.append(
        helper.make_attribute("transB", 1)
    ),
    "hidden bias": gemm_bias,
    "convolution with bias": conv_bias,
    "convolution with stride": attribute("z_dot_p", strides=[2, 2]),
    "convolution with padding": attribute("z_dot_p", pads=[1, 1, 1, 1]),
    "convolution in groups": attribute("z_dot_p", group=2),
    "pool over less": attribute("largest", kernel_shape=[1, 2]),
    "pool with stride": attribute("largest", strides=[2, 2]),
    "pool with padding": attribute("largest", pads=[1, 1, 0, 0]),
    "average pool": operator("largest", "AveragePool"),
    "flatten elsewhere": attribute("nearest", axis=2),
    "sum over other axes": stored("axis1", [2], np.int64),
    "sum without keepdims": attribute("z_norm", keepdims=0),
    "transposed otherwise": attribute("p_norm", perm=[0, 1, 2, 3]),
    "two": stored("two", 1.9999999),
    "two as a tensor of rank 4": stored("two", [[[[2.0]]]]),
    "one": stored("one", 1.0000001),
    "epsilon": stored("constant", 1.01e-4),
    "Sub for Add": operator("expanded", "Sub"),
    "Sub swapped": swap("difference"),
    "Div swapped": swap("ratio"),
    "no Relu": operator("measurement", "Identity"),
    "Abs for Relu": operator("measurement", "Abs"),
    "Sigmoid on top": insert_before("logits", 0, "Sigmoid"),
    "Relu in between": insert_before("z_dot_p", 0, "Relu"),
    "wrong square": another_input("z_squared", 1, "features"),
    "other latent in the product": another_input("z_dot_p", 0, "features"),
    "other prototypes in the norm": other_prototypes_in_the_norm,
    "foreign domain": lambda model: setattr(node(model, "activation"), "domain", "custom"),
    "logits are not published": logits_elsewhere,
    "another grid": stated_grid,
}


@pytest.mark.parametrize("name", DEPARTURES)
def test_departures_are_not_recognised(name: str) -> None:
    model = model_proto(HERE.tiny)
    DEPARTURES[name](model)
    report = report_for(model)
    assert report.status == "rejected"
    assert "recognised, but" in report.obligations[2].detail
    # said honestly, it is an assumption
    declared = report_for(model, "declared")
    assert declared.accepted
    assert any("was not recognised" in line for line in declared.assumptions)


def test_declared_is_an_assumption_even_where_it_could_be_recognised() -> None:
    report = report_for(model_proto(HERE.tiny), "declared")
    assert report.accepted
    assert any("was not recognised" in line for line in report.assumptions)
    assert not any(
        "was not recognised" in line for line in report_for(model_proto(HERE.tiny)).assumptions
    )


def test_a_reduction_needs_the_stated_grid() -> None:
    model = model_proto(HERE.tiny.but(pool="reduce_min"))
    unstated_grid(model)
    assert "does not state the grid" in report_for(model).obligations[2].detail


# --- refused -------------------------------------------------------------------------------------


def external(model: onnx.ModelProto) -> None:
    tensor = constant(model, "prototypes")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/dev/zero")
    tensor.ClearField("raw_data")


def external_and_raw(model: onnx.ModelProto) -> None:
    constant(model, "prototypes").external_data.add(key="location", value="weights.bin")


def overridable(model: onnx.ModelProto) -> None:
    shape = list(HERE.tiny.weight.shape)
    model.graph.input.append(helper.make_tensor_value_info("head.weight", TensorProto.FLOAT, shape))


def short_raw(model: onnx.ModelProto) -> None:
    constant(model, "prototypes").raw_data = constant(model, "prototypes").raw_data[:-4]


def stored_twice(model: onnx.ModelProto) -> None:
    constant(model, "prototypes").float_data.extend([0.0] * HERE.tiny.prototypes.size)


def absurd_shape(model: onnx.ModelProto) -> None:
    constant(model, "head.weight").dims[:] = [1 << 40, 1 << 40]


def local_function(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    body = [helper.make_node("Neg", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "Log", ["a"], ["b"], body, opset))


def two_descriptions(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key="protoproof", value=HERE.tiny.description)


def second_producer(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Neg", ["features"], ["latent"]))


def second_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(constant(model, "prototypes"))


def shadowed_initializer(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Neg", ["input"], ["prototypes"]))


REFUSED: dict[str, Change] = {
    "external data": external,
    "external data beside raw": external_and_raw,
    "overridable weight": overridable,
    "NaN": lambda model: put(
        model, "prototypes", np.full((*HERE.tiny.prototypes.shape, 1, 1), np.nan, np.float32)
    ),
    "infinite weight": lambda model: put(
        model, "head.weight", np.full(HERE.tiny.weight.shape, np.inf, np.float32)
    ),
    "double": lambda model: put(model, "head.weight", HERE.tiny.weight.astype(np.float64)),
    "bytes missing": short_raw,
    "stored twice": stored_twice,
    "absurd shape": absurd_shape,
    "weight transposed": lambda model: put(model, "head.weight", HERE.tiny.weight.T.copy()),
    "no weight": lambda model: model.graph.initializer.remove(constant(model, "head.weight")),
    "local function": local_function,
    "two descriptions": two_descriptions,
    "no description": lambda model: model.metadata_props.pop(),
    "second producer": second_producer,
    "second initializer": second_initializer,
    "shadowed initializer": shadowed_initializer,
    "old opset": lambda model: setattr(model.opset_import[0], "version", 12),
    "unknown opset": lambda model: setattr(model.opset_import[0], "version", 99),
    "two opsets": lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx", 13)),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("binding", ["recognised", "declared"])
def test_what_two_readers_could_read_differently_is_refused(name: str, binding: str) -> None:
    model = model_proto(HERE.tiny)
    REFUSED[name](model)
    report = report_for(model, binding)
    assert report.status == "rejected"
    assert report.obligations[1].passed is True
    assert report.obligations[2].passed is False


def test_two_files_in_one_are_refused() -> None:
    with pytest.raises(ModelError):
        ModelFile(HERE.data + HERE.data).bound(None)


# --- descriptions --------------------------------------------------------------------------------


def described(change: Callable[[dict[str, Any]], None]) -> CheckReport:
    content = description(HERE.tiny)
    change(content)
    model = model_proto(HERE.tiny)
    model.metadata_props[0].value = json.dumps(content)
    return report_for(model, description_sha256=sha256(json.dumps(content)))


DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown field": lambda d: d.update(scale=2),
    "unknown field inside": lambda d: d["pooling"].update(k=3),
    "missing field": lambda d: d.pop("activation"),
    "other schema": lambda d: d.update(schema="protoproof.head/2"),
    "other measurement": lambda d: d["measurement"].update(kind="cosine"),
    "other pooling": lambda d: d["pooling"].update(kind="mean"),
    "other similarity": lambda d: d.update(similarity={"kind": "identity"}),
    "similarity without constant": lambda d: d.update(similarity={"kind": "log_ratio"}),
    "epsilon not positive": lambda d: d["similarity"].update(epsilon=-1),
    "epsilon is text": lambda d: d["similarity"].update(epsilon="1e-4"),
    "epsilon is true": lambda d: d["similarity"].update(epsilon=True),
    "other epsilon": lambda d: d["similarity"].update(epsilon=2e-4),
    "epsilon above one": lambda d: d["similarity"].update(epsilon=1.5),
    "other kind than the graph": lambda d: d.update(similarity={"kind": "reciprocal"}),
    "other grid": lambda d: d["latent"].update(grid=[4, 1]),
    "no grid": lambda d: d["latent"].update(grid=[]),
    "other channels": lambda d: d["latent"].update(channels=99),
    "channels are true": lambda d: d["latent"].update(channels=True),
    "fewer classes": lambda d: d["classes"].pop(),
    "other latent": lambda d: d["latent"].update(tensor="features"),
    "other measurement tensor": lambda d: d["measurement"].update(tensor="expanded"),
    "other activation": lambda d: d.update(activation="nearest"),
    "other logits": lambda d: d["decision"].update(logits="activation"),
    "logits inside": lambda d: d["decision"].update(logits="ratio"),
    "a bias that is not there": lambda d: d["decision"].update(bias="constant"),
    "name is a number": lambda d: d["decision"].update(weight=3),
    "name is empty": lambda d: d["latent"].update(tensor=""),
    "a list": lambda d: d.update(latent=[]),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_that_do_not_fit_are_refused(name: str) -> None:
    report = described(DESCRIPTIONS[name])
    assert report.status == "rejected"
    assert report.obligations[2].passed is False


def test_the_fitting_description_is_accepted_in_any_layout() -> None:
    assert described(lambda d: d.update(name="another")).accepted
    assert described(lambda d: d["decision"].pop("bias")).accepted


def test_a_description_beside_the_model_is_an_assumption() -> None:
    model = model_proto(HERE.tiny)
    model.metadata_props.pop()
    text = HERE.tiny.description
    report = report_for(model, description=text)
    assert report.accepted
    assert any("came with the certificate" in line for line in report.assumptions)
    wrong = report_for(model, description=text + " ")
    assert "hash mismatch" in wrong.obligations[2].detail


def test_a_box_needs_an_operator_that_bounds_the_latent() -> None:
    tiny = random_tiny(4, operator="", classes=2)
    latent = np.random.default_rng(2).random((tiny.locations, tiny.prototypes.shape[1]))
    here = Scene(tiny, latent.astype(np.float32))
    free, box = (check(file(pair_core(here, box=box)), here.data) for box in (False, True))
    assert free.accepted
    assert [o.number for o in box.obligations if o.passed is False] == [5]


def test_the_recorded_latent_lies_in_the_box() -> None:
    tiny = random_tiny(5)
    latent = np.random.default_rng(2).random((tiny.locations, tiny.prototypes.shape[1]))
    latent[0, 0] = 1.0000001
    here = Scene(tiny, latent.astype(np.float32))
    report = check(file(pair_core(here, box=True)), here.data)
    assert [o.number for o in report.obligations if o.passed is False] == [5]
    assert "location 0, channel 0" in report.obligations[4].detail


def test_huge_and_tiny_weights_are_exact() -> None:
    """The full range of float32, denormal numbers included."""
    rng = np.random.default_rng(0)
    prototypes = (rng.random((3, 4)) * [[1e-42], [1.0], [1e18]]).astype(np.float32)
    weight = np.array([[1e-40, 2, 0], [0, -1, 1e-30]], dtype=np.float32)
    tiny = Tiny(prototypes, weight, operator="Relu")
    here = Scene(tiny, (rng.random((1, 4)) * 1e-3).astype(np.float32))
    for content in (topk_core(here), topk_core(here, box=True)):
        assert check(file(content), here.data).accepted


def test_models_that_cannot_be_read_are_one_line() -> None:
    for junk in (b"", b"\x08", b"PK\x03\x04", HERE.data[:200]):
        with pytest.raises(ProtoProofError) as caught:
            ModelFile(junk).bound(None)
        assert "\n" not in str(caught.value)
