"""What a runtime computes otherwise than over the reals, in constants and shapes, is refused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from protoproof.errors import ModelError
from tests.support.kernel.four_places import FLOAT, Change, bound, network


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
