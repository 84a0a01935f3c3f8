"""What the checker reads is what the graph computes, in 60 digits; and nothing else is read.

The law of every test here: a graph is refused, or the head that was read has the graph's values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from protoproof.errors import ModelError, ProtoProofError
from protoproof.kernel import ModelFile
from protoproof.kernel.model.file import BoundHead
from tests.support.kernel import precisely, read
from tests.support.kernel.forms import DENSE, EXACT, FORMS, NEAREST, Small


def head_of(model: onnx.ModelProto) -> BoundHead:
    return ModelFile(model.SerializeToString()).bound(("z",), "y")


def agrees(bound: BoundHead, model: onnx.ModelProto, small: Small, seeds: int) -> bool:
    """Whether the head has the graph's values at random latents (where the graph has any)."""
    output = "y"
    for kind in bound.final:  # before what keeps the order of logits
        node = next(n for n in model.graph.node if output in n.output)
        assert node.op_type == kind
        output = node.input[0]
    ours, theirs = [], []
    for seed in range(seeds):
        z = np.random.default_rng(seed).normal(0, 1, small.shape).astype(np.float32)
        try:
            values = precisely.run(model, {"z": z}, output)
        except (precisely.UndefinedError, ZeroDivisionError):
            continue
        theirs.append(values.reshape(-1).tolist())
        ours.append(read.logits(bound.head, read.latent_of(bound, {"z": z})))
    return not ours or read.same_order(ours, theirs, small.ratio)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_as_what_it_computes(name: str) -> None:
    small = FORMS[name]
    model = small.model()
    bound = head_of(model)
    head = bound.head
    pooling = tuple(sorted({p.kind for p in head.pooling}))
    assert (head.geometry, pooling, head.decision.kind) == small.expected
    assert agrees(bound, model, small, 3)


def nodes_changed(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Graphs that differ in one operator, one attribute, or the order of inputs."""
    others = {"Add": "Sub", "Sub": "Add", "Mul": "Div", "Neg": "Abs", "Relu": "Neg", "Exp": "Log",
              "Log": "Exp", "Sqrt": "Relu", "MaxPool": "AveragePool", "ReduceMin": "ReduceMax",
              "ReduceMax": "ReduceMin", "ReduceSum": "ReduceMean", "ReduceMean": "ReduceSum",
              "GlobalMaxPool": "GlobalAveragePool", "GlobalAveragePool": "GlobalMaxPool",
              "Reciprocal": "Neg", "Softmax": "Sigmoid", "ReduceL2": "ReduceSumSquare",
              "Sigmoid": "Tanh"}  # fmt: skip
    for index, node in enumerate(model.graph.node):
        if node.op_type in others:
            changed = _copy(model)
            changed.graph.node[index].op_type = others[node.op_type]
            if others[node.op_type] == "AveragePool":
                kept = [a for a in node.attribute if a.name in ("kernel_shape", "strides")]
                del changed.graph.node[index].attribute[:]
                changed.graph.node[index].attribute.extend(kept)
            yield f"{node.op_type} {index} is {others[node.op_type]}", changed
        if len(node.input) == 2:
            changed = _copy(model)
            changed.graph.node[index].input[:] = list(node.input)[::-1]
            yield f"{node.op_type} {index} swapped", changed
        for attribute in node.attribute:
            yield from _attribute_changed(model, index, attribute)


def _attribute_changed(
    model: onnx.ModelProto, index: int, attribute: onnx.AttributeProto
) -> Iterator[tuple[str, onnx.ModelProto]]:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, int):
        new = [value + 1, value - 1]
    elif isinstance(value, list) and value and isinstance(value[0], int):
        new = [[*value[:-1], value[-1] - 1], [value[0] - 1, *value[1:]], value[::-1]]
    else:
        new = []
    for other in new:
        changed = _copy(model)
        target = next(a for a in changed.graph.node[index].attribute if a.name == attribute.name)
        target.CopyFrom(helper.make_attribute(attribute.name, other))
        yield f"{model.graph.node[index].op_type} {index} {attribute.name} {other}", changed


def constants_changed(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Graphs that differ in one number of one constant, by one float32 step, or by its sign."""
    used = {name for node in model.graph.node for name in node.input}
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.name not in used:
            continue
        values = numpy_helper.to_array(tensor).copy()
        flat = values.reshape(-1)
        for word in ("step", "sign"):
            changed = flat.copy()
            if values.dtype == np.int64:
                changed[-1] = -changed[-1] if word == "sign" else changed[-1] + 1
            else:
                changed[-1] = (
                    -changed[-1] if word == "sign" else np.nextafter(changed[-1], np.float32(9))
                )
            new = _copy(model)
            whole = changed.reshape(values.shape)
            new.graph.initializer[index].CopyFrom(numpy_helper.from_array(whole, tensor.name))
            yield f"{tensor.name} {word}", new


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def obeys(small: Small, changed: onnx.ModelProto) -> bool | None:
    """Whether the law holds; None where the graph is refused, or computes nothing."""
    try:
        bound = head_of(changed)
    except ProtoProofError:
        return None
    return agrees(bound, changed, small, 2)


@pytest.mark.parametrize("name", FORMS)
def test_a_graph_that_differs_somewhere_is_another_head_or_none(name: str) -> None:
    small = FORMS[name]
    model = small.model()
    found = {
        word: obeys(small, changed)
        for changes in (nodes_changed(model), constants_changed(model))
        for word, changed in changes
    }
    assert not [word for word, law in found.items() if law is False]
    assert None in found.values()
    assert True in found.values()


# Of functions that neither fall nor rise, the nearest location's is not the largest.
WAVERING = {
    "squares": ("f1 = Mul(f0, f0) g1 = Mul(g0, g0)", ""),
    "sizes": ("f1 = Abs(f0) g1 = Abs(g0)", ""),
    "negated squares": ("f2 = Mul(f0, f0) f1 = Neg(f2) g1 = Mul(g0, g0)", "ab = Neg(aa)"),
    "exponentials of squares": ("f2 = Mul(f0, f0) f1 = Exp(f2) g2 = Mul(g0, g0) g1 = Exp(g2)", ""),
}


@pytest.mark.parametrize("name", WAVERING)
def test_nearest_less_mean_of_what_has_no_direction_is_no_head(name: str) -> None:
    functions, after = WAVERING[name]
    mean = "ab" if after else "aa"
    small = Small(
        EXACT + NEAREST + f"f0 = Sub(m, two) g0 = Sub(d, two) {functions} "
        f"av = GlobalAveragePool(g1) aa = Reshape(av, rows) {after} a = Sub(f1, {mean}) " + DENSE,
        ("euclidean", ("focal",), "linear"), FORMS["focal"].constants,
    )  # fmt: skip
    with pytest.raises(ModelError, match="may fall as its measurement rises"):
        head_of(small.model())


LOGARITHMS = {
    "pooled": "l = Log(d) g = Relu(l) av = GlobalAveragePool(g) a = Reshape(av, rows)",
    "of the mean": "av = GlobalAveragePool(d) ar = Reshape(av, rows) l = Log(ar) a = Relu(l)",
    "of the mean's root": "av = GlobalAveragePool(d) ar = Reshape(av, rows) r = Sqrt(ar) "
    "l = Log(r) a = Relu(l)",
}


@pytest.mark.parametrize("name", LOGARITHMS)
def test_a_maximum_behind_a_logarithm_does_something(name: str) -> None:
    """A squared distance is never negative, and its logarithm may be."""
    small = Small(
        EXACT + LOGARITHMS[name] + " " + DENSE,
        ("euclidean", ("mean",), "linear"),
        FORMS["focal"].constants,
    )
    bound = head_of(small.model())
    steps = [step.name for step in (*bound.head.inner.steps, *bound.head.chain.steps)]
    assert steps[steps.index("log") + 1] == "max"
    assert agrees(bound, small.model(), small, 3)
