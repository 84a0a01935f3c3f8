"""The logarithm of ONNX Runtime in float32: what it may do, and what nothing may assume."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

U = 2.0**-24


def logarithm() -> onnxruntime.InferenceSession:
    graph = helper.make_graph(
        [helper.make_node("Log", ["x"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.trust(55)
def test_it_errs_by_more_than_rounding_and_by_less_than_is_allowed() -> None:
    """Allowed is a relative error of 8 u wherever floats are executed; one ulp would be wrong."""
    low, high = (int(np.float32(v).view(np.int32)) for v in (1.0, 10000.5))
    worst = 0.0
    for start in range(low, high, (high - low) // 16):
        x = np.arange(start + 1, start + 60_000, dtype=np.int32).view(np.float32)
        (found,) = logarithm().run(None, {"x": x})
        exact = np.log(x.astype(np.float64))
        worst = max(worst, float(np.abs(found / exact - 1).max()))
    assert U < worst < 8 * U
