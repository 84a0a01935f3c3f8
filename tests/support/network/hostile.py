"""Hostile and malformed models: one change of a valid model each, and what its refusal says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from protoproof.errors import ModelError, UnsupportedOperatorError
from tests.support.network.builders import node

Change = Callable[[onnx.ModelProto], None]


def weight_of(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def external(model: onnx.ModelProto) -> None:
    tensor = weight_of(model, "w1")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")


def _external_in_constant(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, dtype=np.float32), "hidden")
    tensor.data_location = TensorProto.EXTERNAL
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))


def nan(model: onnx.ModelProto) -> None:
    weight_of(model, "w1").raw_data = np.full((5, 1, 3, 3), np.nan, dtype="<f4").tobytes()


def _infinite(name: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = weight_of(model, name)
        tensor.ClearField("raw_data")
        tensor.float_data.extend([np.inf] * int(np.prod(tensor.dims)))

    return change


def _short(model: onnx.ModelProto) -> None:
    tensor = weight_of(model, "w1")
    tensor.raw_data = tensor.raw_data[:-4]


def _stored_twice(model: onnx.ModelProto) -> None:
    weight_of(model, "w1").float_data.append(1.0)


def _double(model: onnx.ModelProto) -> None:
    value = numpy_helper.from_array(np.zeros((5, 1, 3, 3)), "w1")
    weight_of(model, "w1").CopyFrom(value)


def _texts(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(["x"], object), "text"))


def _odd_type(model: onnx.ModelProto) -> None:
    weight_of(model, "w1").data_type = 999


def _absurd(model: onnx.ModelProto) -> None:
    tensor = weight_of(model, "w1")
    del tensor.dims[:]
    tensor.dims.extend([1 << 20, 1 << 20, 1 << 20])


def _negative(model: onnx.ModelProto) -> None:
    weight_of(model, "w1").dims[0] = -5


def _empty(model: onnx.ModelProto) -> None:
    weight_of(model, "w1").dims[0] = 0


def _segment(model: onnx.ModelProto) -> None:
    weight_of(model, "w1").segment.begin = 0


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def _custom_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.evil"


def custom_import(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.evil", 1))


def _functions(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="com.evil")


def _called_function(model: onnx.ModelProto) -> None:
    body = [helper.make_node("Add", ["x", "x"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "Twice", ["x"], ["y"], body, opsets))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.graph.node.append(helper.make_node("Twice", ["r1"], ["out"], name="odd", domain="mine"))


def _redefined(model: onnx.ModelProto) -> None:
    """A function in the place of one of ONNX's own operators."""
    body = [helper.make_node("Neg", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("ai.onnx", "Relu", ["x"], ["y"], body, opsets))


def _runtimes_own(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    gelu = helper.make_node("Gelu", ["r1"], ["g"], name="odd", domain="com.microsoft")
    model.graph.node.extend([gelu, helper.make_node("Relu", ["g"], ["out"], name="behind")])


def _unused(value: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), "unused"))

    return change


def _dropping(training: Any) -> Change:
    """A Dropout with a third input, stored or (None) computed."""

    def change(model: onnx.ModelProto) -> None:
        ratio = numpy_helper.from_array(np.array(0.5, np.float32), "keep")
        model.graph.initializer.append(ratio)
        if training is None:
            model.graph.node.append(helper.make_node("Cast", ["one"], ["mode"], name="m", to=9))
        else:
            model.graph.initializer.append(numpy_helper.from_array(np.array(training), "mode"))
        made = helper.make_node("Dropout", ["r1", "keep", "mode"], ["out"], name="odd")
        model.graph.node.append(made)

    return change


def _batch_statistics(model: onnx.ModelProto) -> None:
    names = ["r1", "b1", "b1", "b1", "b1"]
    made = helper.make_node(
        "BatchNormalization", names, ["out", "mean", "var"], name="odd", training_mode=1
    )
    model.graph.node.append(made)


def _training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def _devices(model: onnx.ModelProto) -> None:
    model.configuration.add(name="two", num_devices=2)


def _body() -> onnx.GraphProto:
    inner = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])
    return helper.make_graph([helper.make_node("Identity", ["r1"], ["inner"])], "b", [], [inner])


def _control(op: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node(op, ["r1"], ["out"], name="flow", body=_body()))

    return change


def _subgraph(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["r1"], ["out"], name="odd", body=_body()))


def added(op: str, **attributes: object) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node(op, ["r1"], ["out"], name="odd", **attributes))

    return change


def _constant_of_shape(model: onnx.ModelProto) -> None:
    shape = numpy_helper.from_array(np.array([1 << 40], dtype=np.int64), "huge")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["huge"], ["out"], name="bomb"))


def _computed_size(model: onnx.ModelProto) -> None:
    """2**40 numbers, by way of an operator whose values nobody infers."""
    shape = numpy_helper.from_array(np.array([1 << 20], dtype=np.int64), "huge")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("Mod", ["huge", "huge"], ["odd"], name="first"))
    model.graph.node.append(helper.make_node("BitShift", ["huge", "odd"], ["more"], name="bits"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["more"], ["out"], name="bomb"))


def _pad_bomb(model: onnx.ModelProto) -> None:
    pads = np.array([0, 0, 1 << 19, 1 << 19, 0, 0, 0, 0], dtype=np.int64)
    model.graph.initializer.append(numpy_helper.from_array(pads, "pads"))
    model.graph.node.append(helper.make_node("Pad", ["r1", "pads"], ["out"], name="bomb"))


def twice_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(weight_of(model, "w1"))


def _twice_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(node("Relu", ["c1"], "r1"))


def _twice_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def _twice_node(model: onnx.ModelProto) -> None:
    model.graph.node[1].name = model.graph.node[0].name


def _shadowed(model: onnx.ModelProto) -> None:
    model.graph.node.append(node("Relu", ["c1"], "w1"))


def _overridable(model: onnx.ModelProto) -> None:
    value = helper.make_tensor_value_info("w1", TensorProto.FLOAT, [5, 1, 3, 3])
    model.graph.input.append(value)


def _twice_attribute(model: onnx.ModelProto) -> None:
    first = model.graph.node[0]
    first.attribute.append(first.attribute[0])


def _twice_metadata(model: onnx.ModelProto) -> None:
    model.metadata_props.append(model.metadata_props[0])


def _nameless(model: onnx.ModelProto) -> None:
    weight_of(model, "w1").name = ""


def _cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "latent"


def _unsorted(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])


def _dangling(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "nothing"


def _ghost_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("ghost", TensorProto.FLOAT, [1]))


def _no_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def _no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def _opset(version: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def _no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def _two_opsets(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx", 13))


def _ir(version: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.ir_version = version

    return change


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def _no_input(model: onnx.ModelProto) -> None:
    del model.graph.input[:]


def _batch(size: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size

    return change


def _flat_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", 1, ["N", 36]))


def _only_a_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", 1, ["N"]))


def _free_image(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "h"


def _integer_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def _sequence_input(model: onnx.ModelProto) -> None:
    inner = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    kind = helper.make_sequence_type_proto(inner)
    model.graph.input[0].CopyFrom(helper.make_value_info("input", kind))


def _wrong_stated_shape(model: onnx.ModelProto) -> None:
    model.graph.output[3].type.tensor_type.shape.dim[2].dim_value = 9


def _integer_data(model: onnx.ModelProto) -> None:
    model.graph.node.append(node("Add", ["axis_1", "axis_1"], "sum"))


def _second_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(
        helper.make_node("MaxPool", ["r1"], ["p", "indices"], name="odd", kernel_shape=[1, 1])
    )


def _wrong_attribute_type(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("group", 1.5))


def _tensor_attribute(model: onnx.ModelProto) -> None:
    value = numpy_helper.from_array(np.zeros(1, dtype=np.float32))
    model.graph.node[1].attribute.append(helper.make_attribute("t", value))


def _payloads(**fields: Any) -> Change:
    """An attribute that says one type and holds something else, or more."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node[1].attribute.add(name="odd", **fields)

    return change


def _constant(name: str, **fields: Any) -> Change:
    """A Constant whose attribute has a name and a type that do not belong together."""

    def change(model: onnx.ModelProto) -> None:
        made = helper.make_node("Constant", [], ["unused"], name="c")
        made.attribute.add(name=name, **fields)
        model.graph.node.insert(0, made)

    return change


def _overload(model: onnx.ModelProto) -> None:
    model.graph.node[0].overload = "other"


def _annotated_twice(model: onnx.ModelProto) -> None:
    for _ in range(2):
        model.graph.value_info.append(helper.make_tensor_value_info("r1", TensorProto.FLOAT, None))


def _quantized(model: onnx.ModelProto) -> None:
    model.graph.quantization_annotation.add(tensor_name="w1")


def _annotated_input(model: onnx.ModelProto) -> None:
    value = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 1, 36])
    model.graph.value_info.append(value)


def _string_constant(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Constant", [], ["s"], name="c", value_string="x"))


_ONE = numpy_helper.from_array(np.ones(1, dtype=np.float32))
REFUSALS: list[tuple[Change, type[ModelError], str]] = [
    (external, ModelError, "external data 'secret.bin': no such file beside the model"),
    (_external_in_constant, ModelError, "'hidden': external data are read for initializers only"),
    (nan, ModelError, "'w1': a weight is NaN"),
    (_infinite("w1"), ModelError, "'w1': a weight is infinite"),
    (_infinite("prototypes"), ModelError, "'prototypes': a weight is infinite"),
    (_infinite("head.weight"), ModelError, "'head.weight': a weight is infinite"),
    (_short, ModelError, "'w1': its data does not fit dims"),
    (_stored_twice, ModelError, "'w1': its data does not fit dims"),
    (_double, ModelError, "ONNX Runtime refuses the model"),
    (_texts, ModelError, "number type STRING"),
    (_odd_type, ModelError, "number type 999"),
    (_absurd, ModelError, "'w1': more than 134217728 numbers"),
    (_negative, ModelError, "'w1': a dimension is below 0"),
    (_empty, ModelError, "'w1': its data does not fit dims"),
    (_segment, ModelError, "segmented tensors"),
    (_annotated_twice, ModelError, "annotated tensor 'r1' is defined twice"),
    (_sparse, ModelError, "sparse initializers"),
    (_custom_node, UnsupportedOperatorError, "custom operator domain 'com.evil'"),
    (_called_function, UnsupportedOperatorError, "(Twice, opset 17): it calls a function"),
    (_redefined, UnsupportedOperatorError, "(Relu, opset 17): it calls a function"),
    (_training, ModelError, "training information"),
    (_devices, ModelError, "split over devices"),
    *[
        (_control(op), UnsupportedOperatorError, f"({op}, opset 17): control flow")
        for op in ("If", "Loop", "Scan", "SequenceMap")
    ],
    (_subgraph, UnsupportedOperatorError, "a graph inside a graph"),
    *[
        (added(op), UnsupportedOperatorError, f"({op}, opset 17): random operator")
        for op in ("RandomUniformLike", "RandomNormal", "Multinomial", "Bernoulli")
    ],
    (added("Softsigh"), UnsupportedOperatorError, "node 'odd' (Softsigh, opset 17): ONNX has no"),
    (added("Upsample"), UnsupportedOperatorError, "ONNX has no such operator in this opset"),
    (added("Concat", axis=1.5), UnsupportedOperatorError, "'axis' has the wrong type"),
    (added("Add"), UnsupportedOperatorError, "has 1 inputs, ONNX wants 2 to 2"),
    (_dropping(np.bool_(True)), UnsupportedOperatorError, "it is in training mode"),
    (_dropping(None), UnsupportedOperatorError, "it is in training mode"),
    (_batch_statistics, UnsupportedOperatorError, "it is in training mode"),
    (added("Relu", extra=1), UnsupportedOperatorError, "attribute 'extra'"),
    (_payloads(type=1, t=_ONE), UnsupportedOperatorError, "one value of its type"),
    (_payloads(type=1, f=1.0, t=_ONE), UnsupportedOperatorError, "one value of its type"),
    (_payloads(type=2, i=1, floats=[1.0]), UnsupportedOperatorError, "one value of its type"),
    (_payloads(type=7, ints=[1], i=1), UnsupportedOperatorError, "one value of its type"),
    (_payloads(type=2), UnsupportedOperatorError, "one value of its type"),
    (_payloads(type=2, ref_attr_name="x"), UnsupportedOperatorError, "one value of its type"),
    (_constant("value", type=6, floats=[1.0], t=_ONE), UnsupportedOperatorError, "one value of"),
    (_constant("value", type=1, f=1.0), UnsupportedOperatorError, "has the wrong type"),
    (_constant("value_float", type=2, i=1), UnsupportedOperatorError, "has the wrong type"),
    (_constant("value_int", type=1, f=1.0), UnsupportedOperatorError, "has the wrong type"),
    (
        _constant("value_ints", type=6, floats=[1]),
        UnsupportedOperatorError,
        "has the wrong type",
    ),
    (
        _constant("value_floats", type=7, ints=[1]),
        UnsupportedOperatorError,
        "has the wrong type",
    ),
    (_constant("value_float", type=4, t=_ONE), UnsupportedOperatorError, "has the wrong type"),
    (_overload, UnsupportedOperatorError, "an overload of a function"),
    (_annotated_input, ModelError, "tensor 'input' has shape [1, 1, 6, 6]"),
    (_constant_of_shape, ModelError, "node 'bomb' (ConstantOfShape, opset 17): its output has"),
    (_computed_size, ModelError, "node 'bomb' (ConstantOfShape, opset 17): the size of its output"),
    (_pad_bomb, ModelError, "node 'bomb' (Pad, opset 17): its output has shape"),
    (twice_initializer, ModelError, "initializer 'w1' is defined twice"),
    (_twice_output, ModelError, "operator output 'r1' is defined twice"),
    (_twice_input, ModelError, "graph input 'input' is defined twice"),
    (_twice_node, ModelError, "node 'c1.node' is defined twice"),
    (_shadowed, ModelError, "tensor 'w1' is defined twice"),
    (_twice_attribute, ModelError, "occurs twice"),
    (_twice_metadata, ModelError, "metadata key 'protoproof' occurs twice"),
    (_nameless, ModelError, "has no name"),
    (_cycle, ModelError, "a cycle or unsorted nodes"),
    (_unsorted, ModelError, "a cycle or unsorted nodes"),
    (_dangling, ModelError, "nobody makes it"),
    (_ghost_output, ModelError, "graph output 'ghost' is never made"),
    (_no_graph, ModelError, "the model has no graph"),
    (_no_nodes, ModelError, "no operators"),
    (_opset(12), ModelError, "opset 12 is outside 13.."),
    (_opset(10_000), ModelError, "opset 10000 is outside 13.."),
    (_opset(-1), ModelError, "opset -1 is outside 13.."),
    (_no_opset, ModelError, "default opset is imported 0 times"),
    (_two_opsets, ModelError, "default opset is imported 2 times"),
    (_ir(3), ModelError, "ir_version 3"),
    (_ir(99), ModelError, "ir_version 99"),
    (two_inputs, ModelError, "the graph has 2 inputs"),
    (_no_input, ModelError, "the graph has 0 inputs"),
    (_batch(8), ModelError, "the batch axis of input 'input' is 8"),
    (_only_a_batch, ModelError, "input 'input' has 1 axes"),
    (_flat_input, ModelError, "ONNX Runtime refuses the model"),
    (_free_image, ModelError, "axis 2 of input 'input' has no fixed size"),
    (_integer_input, ModelError, "'input' is int64; only float32"),
    (_sequence_input, ModelError, "'input' is no tensor; only float32"),
    (_wrong_stated_shape, ModelError, "the file states another"),
    (_wrong_attribute_type, UnsupportedOperatorError, "'group' has the wrong type"),
    (_tensor_attribute, UnsupportedOperatorError, "attribute 't' is not supported"),
    (_string_constant, UnsupportedOperatorError, "only a value of numbers"),
]

# What changes nothing that the network computes is read over, with what can only be executed.
TOLERATED: dict[str, Change] = {
    "an import that nothing uses": custom_import,
    "a function that nothing calls": _functions,
    "an initializer listed as input": _overridable,
    "a remark about quantization": _quantized,
    "an operator without a rule": added("Softsign"),
    "an operator of the runtime's own": _runtimes_own,
    "a second output": _second_output,
    "integers added": _integer_data,
    "an infinite weight that nothing uses": _unused(np.inf),
    "half precision that nothing uses": _unused(np.float16(1)),
    "doubles that nothing uses": _unused(np.float64(1)),
    "truth values that nothing uses": _unused(np.bool_(True)),
    "no numbers": _unused(np.zeros((0,), np.float32)),
    "dropout that is off": _dropping(np.bool_(False)),
}
