"""Where a network has no value, or two of its classes have the same, nothing is shown there."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from protoproof.errors import CertificateError, ModelError
from protoproof.kernel import ModelFile
from protoproof.kernel.latent.margins import observed_margin
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.measurer import Point
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision, Node
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head, Pooling
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import dyadic
from tests.support.kernel.runtime import session

FLOAT = TensorProto.FLOAT
P = np.array([[1, 0.5, -1], [0, 1, 0.25]], np.float32)


def cosines(*length: str, **attributes: object) -> ModelProto:
    """<p, z> / |z| of one vector, whose length is computed in some way."""
    stored = {"p": P.T, "last": np.array([-1]), "tiny": np.array(1e-6, np.float32)}
    nodes = [helper.make_node("Identity", ["x"], ["z"])]
    if length == ("LpNormalization",):
        nodes.append(helper.make_node("LpNormalization", ["z"], ["u"], axis=-1))
    else:
        nodes.append(helper.make_node("ReduceL2", ["z", "last"], ["k0"]))
        for k, kind in enumerate(length):
            nodes.append(helper.make_node(kind, [f"k{k}", "tiny"], [f"k{k + 1}"]))
        nodes.append(helper.make_node("Div", ["z", f"k{len(length)}"], ["u"]))
    nodes.append(helper.make_node("MatMul", ["u", "p"], ["y"]))
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def bound(model: ModelProto, *latents: str) -> BoundHead:
    return ModelFile(model.SerializeToString()).bound(latents or ("z",), "y")


@pytest.mark.parametrize("length", [(), ("Max",), ("LpNormalization",)])
def test_the_zero_vector_has_the_direction_that_the_network_gives_it(
    length: tuple[str, ...],
) -> None:
    model, nothing = cosines(*length), np.zeros((1, 3), np.float32)
    (scores,) = session(model).run(None, {"x": nothing})
    head = bound(model).head
    here = Latent(head, np.ones(3, np.float32))
    gone = here.moved({0: Point([0, 0, 0])})
    if np.isnan(scores).any():
        with pytest.raises(CertificateError, match="no direction"):
            Latent(head, nothing[0])
        with pytest.raises(CertificateError, match="no direction"):
            gone.best(0)
    else:
        assert not scores.any()
        assert gone.best(0).at_least((0, 1))
        assert gone.best(0).at_most((0, 1))


@pytest.mark.parametrize("move", ["Identity", "Flatten", "Transpose", "Neg"])
def test_two_latents_are_not_one_tensor_in_two_shapes(move: str) -> None:
    model = cosines("Max")
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([nodes[0], helper.make_node(move, ["z"], ["other"]), *nodes[1:-1]])
    for name in ("other", "u"):
        model.graph.node.append(helper.make_node("MatMul", [name, "p"], [f"{name}_p"]))
    model.graph.node.append(helper.make_node("Add", ["other_p", "u_p"], ["y"]))
    words = "one twice" if move != "Neg" else "several kinds"
    with pytest.raises(ModelError, match=words):
        bound(model, "z", "other")


E = Real("exp", Fraction(1, 3))


def two_leaves(right: tuple[Real | int, Real | int]) -> Head:
    """A tree of one node, all of which goes right at the prototype itself."""
    shift = 64
    weight = [[w << shift if isinstance(w, int) else w.floor(shift) for w in pair]
              for pair in zip((2, 1), right, strict=True)]  # fmt: skip
    decision = Decision("tree", 1, weight, [0, 0], shift, (), (Node(0, -1, -2),), 2)
    chain = Chain([Step("mul", (Fraction(-1),)), Step("exp")])
    return Head("euclidean", ([0], 0), None, chain, None, [Pooling()], decision, [0], [0], 1)


@pytest.mark.parametrize(("right", "sign"), [((E, E), 0), ((E, 2), -1), ((E, 1), 1)])
def test_a_tie_of_rounded_leaves_is_not_lost(right: tuple[Real | int, ...], sign: int) -> None:
    head = two_leaves(right)  # type: ignore[arg-type]
    here = Latent(head, np.zeros(1, np.float32)).moved({})
    assert observed_margin(head, head.decision.over(0, 1), 1, here).sign == sign


@pytest.mark.parametrize("power", [80, 8000])
def test_a_number_that_is_too_long_is_not_rounded(power: int) -> None:
    value: Real = Real("exp", 80)
    for _ in range(power // 80 - 1):
        value = Real("product", value, Real("exp", 80))
    if power == 80:
        low = value.floor(256)
        assert value + -Fraction(low, 1 << 256) > 0
        assert value + -Fraction(low + 2, 1 << 256) < 0
    else:
        with pytest.raises(ModelError, match="too long"):
            value.floor(256)


@pytest.mark.trust(26)
def test_a_signalling_nan_is_refused_without_a_word_of_numpy() -> None:
    stored = np.array([0x7FA00000], dtype=np.uint32).view(np.float32)
    with pytest.raises(ModelError, match="NaN or infinity"):
        dyadic(stored)


@pytest.mark.trust(31)
def test_an_operators_name_cannot_speak_to_a_terminal() -> None:
    model = forked_model("Tr\x1b[2Jans")
    with pytest.raises(ModelError, match="no rule for this operator") as caught:
        bound(model, "z")
    assert str(caught.value).isprintable()


def forked_model(kind: str) -> ModelProto:
    """A head one of whose operators is of an unknown kind."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, ["z"], ["y"])],
        "g", [value("z", FLOAT, (1, 3))], [value("y", FLOAT, (1, 3))],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
