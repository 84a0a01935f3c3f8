"""What a runtime computes otherwise than over the reals, in constants and shapes, is refused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from protoproof.errors import ModelError
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget, OutOfBudgetError
from tests.support.kernel.four_places import FLOAT, Change, bound, network
from tests.support.kernel.runtime import session


def cast(*types: int) -> Change:
    def change(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
        stored["W0"] = stored.pop("W")
        for k, to in enumerate(types):
            name = "W" if k == len(types) - 1 else f"W{k + 1}"
            nodes.append(helper.make_node("Cast", [f"W{k}"], [name], to=to))

    return change


def wrapped(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
    stored["w"] = (stored.pop("W") * 1000).astype(np.int32)
    nodes.append(helper.make_node("Mul", ["w", "w"], ["ww"]))
    nodes.append(helper.make_node("Cast", ["ww"], ["W"], to=FLOAT))


def computed(kind: str, *inputs: str, **more: np.ndarray) -> Change:
    """W as a Cast of what an operator makes of stored numbers."""

    def change(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
        del stored["W"]
        stored.update(more)
        keep = {"keepdims": 0} if kind.startswith("Reduce") else {}
        nodes.append(helper.make_node(kind, inputs, ["ww"], **keep))
        nodes.append(helper.make_node("Cast", ["ww"], ["W"], to=FLOAT))

    return change


SQUARES = np.array([[4, 1], [9, 4], [1, 16]])
HALVES = np.array([[1.001, 2], [3, 7.003], [2, 2]], np.float16)
LISTED = np.stack([SQUARES, SQUARES + 2]).astype(np.int32)


def latent_of(to: int) -> Change:
    """The latent z holds numbers of another type, and is cast to float32 behind it."""

    def change(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
        nodes[:1] = [
            helper.make_node("Cast", ["x"], ["other"], to=to),
            helper.make_node("Identity", ["other"], ["z"]),
            helper.make_node("Cast", ["z"], ["zf"], to=FLOAT),
        ]
        for node in nodes[3:]:
            for place, name in enumerate(node.input):  # type: ignore[attr-defined]
                node.input[place] = "zf" if name == "z" else name  # type: ignore[attr-defined]

    return change


def in_front(name: str, *more: object, **constants: np.ndarray) -> Change:
    """Nodes that make ``name`` what the decision takes in place of s."""

    def change(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
        stored.update(constants)
        nodes += more
        nodes.append(helper.make_node("Identity", [name], ["taken"]))

    change.taken = name  # type: ignore[attr-defined]
    return change


def fraction(stored: dict[str, np.ndarray], nodes: list[object]) -> None:
    stored["w"], stored["less"] = np.full((3, 2), 3), np.array(-1)
    del stored["W"]
    nodes.append(helper.make_node("Pow", ["w", "less"], ["ww"]))
    nodes.append(helper.make_node("Cast", ["ww"], ["W"], to=FLOAT))


def test_the_network_itself_is_read() -> None:
    assert bound(network()).head.prototype_count == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(cast(TensorProto.UINT8, FLOAT), id="uint8"),
        pytest.param(cast(TensorProto.INT64, TensorProto.INT8, FLOAT), id="int8"),
        pytest.param(cast(TensorProto.FLOAT16, FLOAT), id="float16"),
        pytest.param(cast(TensorProto.BFLOAT16, FLOAT), id="bfloat16"),
        pytest.param(wrapped, id="int32 wraps"),
        pytest.param(fraction, id="one third of whole numbers"),
        pytest.param(
            computed("Pow", "w", "e", w=SQUARES, e=np.array(0.5, np.float32)), id="whole root"
        ),
        pytest.param(computed("ReduceMean", "w", "a", w=LISTED, a=np.array([0])), id="whole mean"),
        pytest.param(computed("Mul", "w", "w", w=HALVES), id="half precision, multiplied"),
        pytest.param(latent_of(TensorProto.INT32), id="latent of whole numbers"),
        pytest.param(latent_of(TensorProto.FLOAT16), id="latent of half precision"),
    ],
)
def test_constants_that_a_runtime_rounds_or_wraps(change: Change) -> None:
    with pytest.raises(ModelError):
        bound(network(change))


def test_whole_numbers_that_stay_as_they_are() -> None:
    plain = bound(network()).head.decision.weight
    assert bound(network(cast(TensorProto.INT64, FLOAT))).head.decision.weight == plain


def test_an_output_normalised_over_the_batch_is_none() -> None:
    with pytest.raises(ModelError, match="axis"):
        bound(network(published="softened"))


def node(kind: str, inputs: str, outputs: str, **attributes: object) -> object:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


ODD: dict[str, tuple[Change, str]] = {
    # a product of a term with itself is another expression than a term, whatever their numbers
    "product of one term with itself": (
        in_front(
            "f", node("Gather", "t first", "g", axis=1), node("Expand", "g one3", "gg"),
            node("Mul", "g gg", "h"), node("Flatten", "h", "hh"),
            node("Gather", "s rest", "s12", axis=1), node("Concat", "hh s12", "f", axis=1),
            first=np.array([0]), one3=np.array([1, 1, 1]), rest=np.array([1, 2]),
        ), "product",
    ),
    "indices of the largest": (
        in_front("c", node("TopK", "s three", "values spots"),
                 node("Cast", "spots", "c", to=FLOAT), three=np.array([3])), "no order|no rule",
    ),
    "backwards to the last there is": (
        in_front(
            "c", node("Neg", "back1", "from"), node("Slice", "s from to at step", "back"),
            node("ReduceMax", "back at", "most"), node("Concat", "most most most", "c", axis=1),
            back1=np.array([-9]), to=np.array([(1 << 63) - 1]), at=np.array([1]),
            step=np.array([-1]),
        ), "backwards",
    ),
    "means of some of the ranked lines": (
        in_front(
            "c", node("Reshape", "q lines", "ql"), node("TopK", "ql two2", "ranked spots"),
            node("AveragePool", "ranked", "means", kernel_shape=[1, 2], strides=[2, 1]),
            node("Concat", "means means", "both", axis=2),
            node("Slice", "both zero3 three at2", "b3"), node("Flatten", "b3", "c"),
            lines=np.array([1, 1, 3, 4]), two2=np.array([2]),
            zero3=np.array([0]), three=np.array([3]), at2=np.array([2]),
        ), "windows",
    ),
    "equal irrational numbers": (
        in_front(
            "c", node("Log", "numbers", "logs"), node("Equal", "logs logs", "same"),
            node("Cast", "same", "same1", to=FLOAT), node("Mul", "s same1", "c"),
            numbers=np.array([[0.5, 2, 3]], np.float32),
        ), "irrational",
    ),
    "a square with another shape": (
        in_front("c", node("Unsqueeze", "q first", "q5"), node("Mul", "q q5", "q2"),
                 node("ReduceMin", "q2 last2", "t2", keepdims=0), node("Flatten", "t2", "c"),
                 first=np.array([0]), last2=np.array([3, 4])), "broadcast",
    ),
    "a choice with another shape": (
        in_front("c", node("Less", "s limit", "below"), node("Where", "below none2 s", "both"),
                 node("ReduceMax", "both at0", "c"), limit=np.array(-9, np.float32),
                 none2=np.zeros((2, 1), np.float32), at0=np.array([0])), "broadcast",
    ),
    "a convolution of values of two kinds": (
        in_front("c", node("Concat", "z q", "both", axis=1), node("Conv", "both kernel", "v"),
                 node("ReduceMin", "v places", "c", keepdims=0),
                 kernel=np.ones((3, 7, 1, 1), np.float32)), "convolution",
    ),
    "a clip whose ends are crossed": (
        in_front("c", node("Clip", "s three3 one1", "c"), three3=np.array(3, np.float32),
                 one1=np.array(1, np.float32)), "exceeds",
    ),
    "a reduction over no axes": (
        in_front("c", node("ReduceMin", "q", "c0", noop_with_empty_axes=1),
                 node("ReduceMin", "c0 places", "c", keepdims=0)), "noop",
    ),
    "sums of irrational numbers without end": (
        in_front("c", node("Exp", "tenths", "e"), node("ReduceSum", "e", "l"),
                 node("Mul", "s l", "c"), tenths=np.linspace(0, 1, 2000, dtype=np.float32)),
        "too many steps",
    ),
    "an exponential that is infinite": (
        in_front("c", node("Exp", "large", "e"), node("Mul", "s e", "c"),
                 large=np.array([[1e10, 1, 2]], np.float32)), "beyond float32",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_no_head_is_read_from(name: str) -> None:
    change, words = ODD[name]
    session(network(change))
    with pytest.raises(ModelError, match=words):
        bound(network(change))


def test_a_logarithm_of_scores_keeps_no_order() -> None:
    """They may be negative."""
    model = network()
    model.graph.node.append(helper.make_node("Log", ["y"], ["log"]))
    model.graph.output[0].name = "log"
    session(model)
    for output in ("y", "log"):
        with pytest.raises(ModelError):
            ModelFile(model.SerializeToString()).bound(("z",), output)


def test_a_range_whose_ends_are_crossed_is_none() -> None:
    model = network()
    del model.graph.node[0]
    model.graph.node.insert(0, helper.make_node("Clip", ["x", "three3", "one1"], ["z"]))
    for name, value in (("three3", 3), ("one1", 1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    assert bound(model).latent_range is None


def test_a_clip_of_one_stored_number() -> None:
    change = in_front(
        "c", node("Clip", "v low", "v1"), node("Mul", "s v1", "c"),
        v=np.array(0.1234567, np.float32), low=np.array(-0.7654321, np.float32),
    )  # fmt: skip
    assert bound(network(change)).head.prototype_count == 3


def endless(kind: str, start: float) -> Change:
    """Doubling, 64 times, of how long a number is: more than there is memory."""
    steps = [node(kind, f"k{k} k{k}", f"k{k + 1}") for k in range(64)]
    return in_front("c", *steps, node("Mul", "s k64", "c"), k0=np.array(start, np.float32))


def long_ago(count: int) -> Change:
    """Many functions, one after the other."""
    steps = [node("Mul", f"k{k} few", f"k{k + 1}") for k in range(count)]
    first = node("Relu", "s", "k0")
    return in_front(f"k{count}", first, *steps, few=np.array(0.3, np.float32))


def weighed(count: int) -> Change:
    steps = [node("MatMul", f"k{k} few", f"k{k + 1}") for k in range(count)]
    first, few = node("Identity", "s", "k0"), np.full((3, 3), 0.3, np.float32)
    return in_front(f"k{count}", first, *steps, few=few)


def repeated(count: int) -> Change:
    return in_front(
        "c", node("Expand", "s many", "c0"), node("ReduceSum", "c0 first0", "c"),
        first0=np.array([0]), many=np.array([count, 3]),
    )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(endless("Mul", 3.0), id="squares"),
        pytest.param(endless("Mul", 2.0**127), id="squares of a power"),
        pytest.param(long_ago(3000), id="factors"),
        pytest.param(weighed(3000), id="products of matrices"),
        pytest.param(repeated(1 << 24), id="one term, sixteen million times"),
    ],
)
def test_small_files_with_endless_numbers(change: Change) -> None:
    spent = Budget(max_steps=1 << 33)
    with spent.active(), pytest.raises((ModelError, OutOfBudgetError)):
        bound(network(change))
