"""Changes to one canonical head: each is seen, and read as what it is, or refused with the node."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.parser import parse_graph

from protoproof.errors import ModelError
from protoproof.kernel import ModelFile
from protoproof.kernel.model.file import BoundHead
from tests.support.kernel import precisely, read
from tests.support.kernel.graphs import Change, constant, node, put, swap
from tests.support.kernel.models import model_proto, random_tiny

TINY = random_tiny(3, grid=(2, 2), channels=4, count=5, classes=3)


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
    count = len(TINY.prototypes)
    model.graph.initializer.append(
        numpy_helper.from_array(np.full(count, 0.5, np.float32), "shift")
    )
    node(model, "z_dot_p").input.append("shift")


def gemm_bias(model: onnx.ModelProto) -> None:
    classes = len(TINY.weight)
    values = np.arange(classes, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "extra"))
    node(model, "logits").input.append("extra")


def logits_elsewhere(model: onnx.ModelProto) -> None:
    """The described logits exist, but the network's output is another tensor."""
    model.graph.output[0].name = "published"
    model.graph.node.append(helper.make_node("Neg", ["logits"], ["published"]))


def logits_second(model: onnx.ModelProto) -> None:
    """Whoever takes the arg-max of the first output takes that of another tensor."""
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend([outputs[1], outputs[0], *outputs[2:]])


def annotated_grid(model: onnx.ModelProto) -> None:
    shape = ["N", TINY.prototypes.shape[1], 1, 5]
    value = helper.make_tensor_value_info("latent", onnx.TensorProto.FLOAT, shape)
    model.graph.value_info.append(value)


def stated_grid(model: onnx.ModelProto) -> None:
    latent = next(value for value in model.graph.output if value.name == "latent")
    latent.type.tensor_type.shape.dim[3].dim_value = 5


SAME: dict[str, Change] = {
    "alpha": attribute("logits", alpha=2.0),
    "beta without bias": attribute("logits", beta=0.5),
    "pool with stride": attribute("largest", strides=[2, 2]),
    "sum without keepdims": attribute("z_norm", keepdims=0),
    "two as a tensor of rank 4": stored("two", [[[[2.0]]]]),
    "no Relu": operator("measurement", "Identity"),
    "Abs for Relu": operator("measurement", "Abs"),
    "logits are not the first output": logits_second,
}
ANOTHER: dict[str, Change] = {
    "hidden bias": gemm_bias,
    "convolution with bias": conv_bias,
    "average pool": operator("largest", "AveragePool"),
    "two": stored("two", 1.9999999),
    "one": stored("one", 1.0000001),
    "epsilon": stored("constant", 1.01e-4),
    "Sub for Add": operator("expanded", "Sub"),
    "Div swapped": swap("ratio"),
    "Sigmoid on top": insert_before("logits", 0, "Sigmoid"),
    "other prototypes in the norm": other_prototypes_in_the_norm,
}
# with what the refusal says
REFUSED: dict[str, tuple[Change, str]] = {
    "transA": (attribute("logits", transA=1), "times a matrix of shape"),
    "unknown attribute": (attribute("logits", magic=1), "'magic' is unknown"),
    "attribute of another type": (attribute("logits", transB=[1]), "of another type"),
    "attribute of another type, same value": (attribute("logits", transB=1.0), "of another type"),
    "float written as integer": (attribute("logits", alpha=1), "of another type"),
    "convolution with stride": (attribute("z_dot_p", strides=[2, 2]), "Relu behind 'measurement'"),
    "convolution with padding": (
        attribute("z_dot_p", pads=[1, 1, 1, 1]),
        "Conv behind 'z_dot_p': padding",
    ),
    "convolution in groups": (attribute("z_dot_p", group=2), "Conv behind 'z_dot_p'"),
    "pool over less": (attribute("largest", kernel_shape=[1, 2]), "Gemm behind 'logits'"),
    "pool with padding": (attribute("largest", pads=[1, 1, 0, 0]), "MaxPool behind 'largest'"),
    "flatten elsewhere": (attribute("nearest", axis=2), "Gemm behind 'logits'"),
    "sum over other axes": (stored("axis1", [2], np.int64), "Sub behind 'difference'"),
    "transposed otherwise": (attribute("p_norm", perm=[0, 1, 2, 3]), "several predictions at once"),
    "Sub swapped": (swap("difference"), "the farthest location counts"),
    "Relu in between": (insert_before("z_dot_p", 0, "Relu"), "Relu behind 'measurement'"),
    "wrong square": (
        another_input("z_squared", 1, "features"),
        "depends on 'input' past the latent",
    ),
    "other latent in the product": (
        another_input("z_dot_p", 0, "features"),
        "depends on 'input' past the latent",
    ),
    "foreign domain": (
        lambda model: setattr(node(model, "activation"), "domain", "custom"),
        "domain 'custom'",
    ),
    "logits are not published": (logits_elsewhere, "no output of the network"),
    "annotated with another grid": (annotated_grid, "the file states shape"),
    "another grid": (stated_grid, "the file states shape"),
}


def bound(model: onnx.ModelProto) -> BoundHead:
    return ModelFile(model.SerializeToString()).bound(("latent",), "logits")


LATENTS = [np.random.default_rng(s).random((1, 4, 2, 2)).astype(np.float32) for s in range(3)]


def scores(head: BoundHead) -> list[list[Any]]:
    return [read.logits(head.head, read.latent_of(head, {"latent": z})) for z in LATENTS]


def computed(model: onnx.ModelProto) -> list[list[Any]]:
    """The graph's own values, in 60 digits."""
    return [precisely.run(model, {"latent": z}, "logits").reshape(-1).tolist() for z in LATENTS]


CANONICAL = scores(bound(model_proto(TINY)))


@pytest.mark.parametrize("name", SAME)
def test_changes_that_change_no_decision_are_the_same_head(name: str) -> None:
    model = model_proto(TINY)
    SAME[name](model)
    assert read.same_order(scores(bound(model)), CANONICAL)
    assert read.same_order(computed(model), CANONICAL)


@pytest.mark.parametrize("name", ANOTHER)
def test_another_function_is_another_head(name: str) -> None:
    model = model_proto(TINY)
    ANOTHER[name](model)
    found = scores(bound(model))
    assert not read.same_order(found, CANONICAL)
    assert read.same_order(found, computed(model))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_head_is_refused_with_the_node(name: str) -> None:
    model = model_proto(TINY)
    change, words = REFUSED[name]
    change(model)
    with pytest.raises(ModelError, match=re.escape(words)):
        bound(model)


# what the network puts out of its scores, the tensor that is named, and whether that is a decision
PUBLISHED: dict[str, tuple[str, str, bool]] = {
    "shares": ("o = Softmax<axis=1>(logits)", "logits", True),
    "relaid shares": ("s = Softmax<axis=1>(logits) o = Unsqueeze(s, nought)", "o", True),
    "relaid shares by the scores": ("s = Softmax<axis=1>(logits) o = Unsqueeze(s, nought)",
                                    "logits", True),
    "shares of each by itself": ("o = Softmax<axis=0>(logits)", "logits", False),
    "relaid shares, each by itself": (
        "s = Softmax<axis=1>(logits) r = Unsqueeze(s, nought) o = Softmax<axis=1>(r)", "r", False),
    "turned shares, each by itself": (
        "s = Softmax<axis=1>(logits) r = Transpose<perm=[1,0]>(s) o = Softmax<axis=1>(r)",
        "r", False),
    "the index of each by itself": (
        "s = Softmax<axis=1>(logits) r = Unsqueeze(s, nought) o = ArgMax<axis=1>(r)", "r", False),
    "the index": ("o = ArgMax<axis=1>(logits)", "o", True),
    **{f"the index of an index, by {name}": (
        "i = ArgMax<axis=1>(logits) o = ArgMax<axis=1>(i)", name, False)
       for name in ("logits", "i", "o")},
}  # fmt: skip


def publishing(nodes: str) -> onnx.ModelProto:
    model = model_proto(TINY)
    model.graph.node.extend(parse_graph(f"g (float[1] logits) => (float[1] o) {{ {nodes} }}").node)
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "nought"))
    del model.graph.output[:]
    model.graph.output.append(helper.make_empty_tensor_value_info("o"))
    return model


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_decides_by_what_it_puts_out(name: str) -> None:
    nodes, output, decides = PUBLISHED[name]
    file = ModelFile(publishing(nodes).SerializeToString())
    if decides:
        assert file.bound(("latent",), output).first_output == ""
        return
    with pytest.raises(ModelError, match=r"axis that is not|computed from"):
        file.bound(("latent",), output)


def test_a_first_output_that_decides_otherwise_is_named() -> None:
    model = publishing("o = Softmax<axis=0>(logits)")
    model.graph.output.append(helper.make_empty_tensor_value_info("logits"))
    assert bound(model).first_output == "o"


def test_a_reduction_is_a_pool_over_everything() -> None:
    """Its grid follows from the operators behind the latent."""
    assert read.same_order(scores(bound(model_proto(TINY.but(pool="reduce_min")))), CANONICAL)


def test_direct_distances_to_a_latent_of_one_channel_are_refused() -> None:
    """A latent of one channel would broadcast against prototypes of several."""
    model = model_proto(TINY.but(distance="direct"))
    kernel = constant(model, "kernel")
    narrow = numpy_helper.to_array(kernel)[:1]
    kernel.CopyFrom(numpy_helper.from_array(narrow, "kernel"))
    with pytest.raises(ModelError, match=r"states shape|one twice"):
        bound(model)


def test_a_file_may_be_silent_about_shapes_that_operators_say() -> None:
    model = model_proto(TINY)
    del model.graph.output[1:]
    assert read.same_order(scores(bound(model)), CANONICAL)


def test_a_shape_that_nothing_says_is_not_guessed() -> None:
    model = model_proto(TINY)
    del model.graph.output[1:]
    first = model.graph.node[0]
    first.op_type, first.domain = "Warp", "elsewhere"
    with pytest.raises(ModelError, match="the shape of 'latent' follows neither"):
        bound(model)


def test_a_shape_that_only_the_file_says_is_what_the_theorem_is_about() -> None:
    """The encoder is nobody's business here, whatever its operators are."""
    model = model_proto(TINY)
    first = model.graph.node[0]
    first.op_type, first.domain = "Warp", "elsewhere"
    assert read.same_order(scores(bound(model)), CANONICAL)
