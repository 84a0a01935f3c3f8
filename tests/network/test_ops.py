"""The operator table against ONNX Runtime: meanings, shape rules, preconditions, traits."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime
import pytest
import torch

from protoproof.errors import UnsupportedOperatorError
from protoproof.network.onnx.node import Node
from protoproof.network.onnx.ops import OPERATORS, Trait, lookup
from tests.support.network.cases import CASES, Case, ints, number, weight
from tests.support.network.operators import call_of, run_torch

ROWS = [
    pytest.param(case, opset, id=f"{i}-{case.label}-{opset}")
    for i, case in enumerate(CASES)
    for opset in case.opsets
]


def run_runtime(case: Case, opset: int, data: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        case.model(opset).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["y"], data)[0])


def test_every_operator_has_a_case() -> None:
    assert set(OPERATORS) == {case.op for case in CASES}


@pytest.mark.parametrize(("case", "opset"), ROWS)
@pytest.mark.parametrize("seed", [0, 1])
def test_meaning_and_shape_equal_the_runtime(case: Case, opset: int, seed: int) -> None:
    call, data = call_of(case, opset), case.data(seed)
    expected = run_runtime(case, opset, data)
    assert lookup(call.node).shape(call) == expected.shape
    exact = run_torch(call, data, torch.float64).numpy()
    single = run_torch(call, data, torch.float32).numpy()
    assert exact.shape == single.shape == expected.shape
    # at most 100 products are summed here, and sigmoid, tanh, exp and log err by a few ulps
    scale = 128 * 2.0**-24 * max(1.0, float(np.abs(exact).max()))
    assert np.abs(expected - exact).max() <= scale
    assert np.abs(single - exact).max() <= scale


@pytest.mark.parametrize(("case", "opset"), ROWS)
def test_traits_hold(case: Case, opset: int) -> None:
    """Monotone and affine traits on random pairs, in float64."""
    call = call_of(case, opset)
    traits = lookup(call.node).traits
    low = case.data(2)
    rng = np.random.default_rng(5)
    high = {name: value + rng.uniform(0, 1, value.shape) for name, value in low.items()}
    below, above = (run_torch(call, data, torch.float64) for data in (low, high))
    if Trait.INCREASING in traits:
        assert bool((below <= above).all())
    if Trait.DECREASING in traits:
        assert bool((below >= above).all())
    if Trait.MOVE in traits:
        stored = [c for c in call.constants if c is not None]
        given = {float(v) for array in [*low.values(), *stored] for v in array.ravel()}
        assert set(below.numpy().ravel().tolist()) <= given | {0.0}
    single = [{**low, name: high[name]} for name in low] if Trait.BILINEAR in traits else []
    for other in [high] if Trait.AFFINE in traits else single:
        middle = {name: (low[name] + other[name]) / 2 for name in low}
        ends = (below + run_torch(call, other, torch.float64)) / 2
        torch.testing.assert_close(run_torch(call, middle, torch.float64), ends)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_shape_moves_extend_to_batches(name: str) -> None:
    """Where the graph has batch 1 in front, a batch of three is three times one image."""
    checked = 0
    for case, opset in itertools.product([c for c in CASES if c.op == name], (17,)):
        shapes = [entry for entry in case.inputs if isinstance(entry, tuple)]
        call = call_of(case, opset) if opset in case.opsets else None
        if call is None or len(shapes) != 1 or shapes[0][0] != 1:
            continue
        x = np.random.default_rng(0).normal(size=(3, *shapes[0][1:]))
        batch = run_torch(call, {"x0": x}, torch.float64)
        alone = [run_torch(call, {"x0": x[i : i + 1]}, torch.float64) for i in range(3)]
        assert torch.equal(batch, torch.cat(alone))
        checked += 1
    assert checked or name not in ("Reshape", "Squeeze", "Unsqueeze")


REFUSED = [
    (Case("Softsign", [(2, 3)]), 17, "no rule to bound it"),
    (Case("Conv", [(2, 4, 7), weight(5, 4, 3)]), 17, "rank 3"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3)]), 17, "weight has rank 3"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 9, 9)]), 17, "window is larger"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 3, 3, 3)]), 17, "do not fit"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3), weight(4)]), 17, "bias"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3)], {"strides": [0, 1]}), 17, "out of range"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3)], {"pads": [1, 1]}), 17, "needs 4 numbers"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3)], {"pads": [-1, 0, 0, 0]}), 17, "out of range"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3)], {"group": 0}), 17, "do not fit"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3)], {"auto_pad": "SAME_UPPER"}), 17, "auto_pad"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3)], {"kernel_shape": [1, 1]}), 17, "contradicts"),
    (Case("Conv", [(2, 4, 7, 6), weight(5, 4, 3, 3)], {"strange": 1}), 17, "attribute 'strange'"),
    (Case("Gemm", [(3, 5), weight(4, 6)], {"transB": 1}), 17, "inner sizes"),
    (Case("Gemm", [(3, 5), weight(5, 4), weight(3)]), 17, "does not broadcast"),
    (Case("Gemm", [(3, 5), weight(5, 4), weight(1, 1, 4)]), 17, "more than two axes"),
    (Case("Gemm", [(3, 5, 1), weight(5, 4)]), 17, "matrices"),
    (Case("MatMul", [(3, 5), weight(4, 2)]), 17, "inner sizes"),
    (Case("MatMul", [(5,), weight(5, 2)]), 17, "two axes"),
    (Case("Add", [(3, 5), (4, 5)]), 17, "do not broadcast"),
    (Case("Add", [(3, 5)]), 17, "has 1 inputs, 2 to 2"),
    (Case("LeakyRelu", [(3, 5)], {"alpha": -0.1}), 17, "alpha"),
    (Case("LeakyRelu", [(3, 5)], {"alpha": 2.0}), 17, "alpha"),
    (Case("Clip", [(3, 5), number(2), number(1)]), 17, "min exceeds max"),
    (Case("Clip", [(3, 5), weight(2)]), 17, "scalar"),
    (Case("Clip", [(3, 5), ints(2)]), 17, "export it as float32"),
    (Case("Clip", [(3, 5), ()]), 17, "is computed"),
    (Case("MaxPool", [(2, 4, 7, 6)]), 17, "kernel_shape needs 2"),
    (Case("MaxPool", [(2, 4, 7, 6)], {"kernel_shape": [2, 2], "storage_order": 1}), 17, "storage"),
    (
        Case("MaxPool", [(2, 4, 7, 6)], {"kernel_shape": [2, 2], "pads": [1, 0, 0, 0]}),
        17,
        "symmetric",
    ),
    (
        Case("MaxPool", [(2, 4, 7, 6)], {"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]}),
        17,
        "at most half",
    ),
    (
        Case(
            "MaxPool",
            [(2, 4, 7, 6)],
            {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        ),
        17,
        "ceil_mode",
    ),
    (
        Case("AveragePool", [(2, 4, 7, 6)], {"kernel_shape": [2, 2], "dilations": [2, 2]}),
        19,
        "dilated",
    ),
    (Case("GlobalMaxPool", [(2, 4, 7)]), 17, "only [N, C, H, W]"),
    (Case("Flatten", [(2, 4)], {"axis": 3}), 17, "axis 3"),
    (Case("Reshape", [(2, 4), ints(3, -1)]), 17, "does not reshape"),
    (Case("Reshape", [(2, 4), ints(-1, -1)]), 17, "malformed"),
    (Case("Reshape", [(2, 4), ints(-2, 4)]), 17, "malformed"),
    (Case("Reshape", [(2, 4), ints(0, 0)], {"allowzero": 1}), 17, "zero axis"),
    (Case("Reshape", [(2, 4), ints(8, 1, 0)]), 17, "zero axis"),
    (Case("Reshape", [(2, 4), (2,)]), 17, "is computed"),
    (Case("Reshape", [(2, 4), number(8)]), 17, "export it as int64"),
    (Case("Transpose", [(2, 4)], {"perm": [0, 0]}), 17, "no permutation"),
    (Case("Squeeze", [(2, 1)]), 17, "axes are not given"),
    (Case("Squeeze", [(2, 1), ints(0)]), 17, "larger than 1"),
    (Case("Squeeze", [(2, 1), ints(1, -1)]), 17, "one axis twice"),
    (Case("Squeeze", [(2, 1), ints(7)]), 17, "leave a tensor of rank 2"),
    (Case("Unsqueeze", [(2, 1), ints(0, 0)]), 17, "one axis twice"),
    (Case("ReduceSum", [(2, 1), ints(2)]), 17, "leave a tensor of rank 2"),
    (Case("Concat", [(2, 1), (3, 1)], {"axis": 1}), 17, "differ outside"),
    (Case("Concat", [(2, 1), (2, 1, 1)], {"axis": 1}), 17, "differ outside"),
    (Case("Concat", [(2, 1), (2, 1)]), 17, "axis is missing"),
    (Case("Pad", [(2, 3), ints(0, 1, 0, 1)], {"mode": "reflect"}), 17, "constant padding"),
    (Case("Pad", [(2, 3), ints(0, -1, 0, 1)]), 17, "pads need two"),
    (Case("Pad", [(2, 3), ints(0, 1, 0)]), 17, "pads need two"),
    (Case("Pad", [(2, 3), ints(0, 1 << 40, 0, 1)]), 17, "pads need two"),
    (
        Case(
            "BatchNormalization",
            [(2, 3), weight(3), weight(3), weight(3), -np.ones(3, dtype=np.float32)],
        ),
        17,
        "variance is negative",
    ),
    (
        Case(
            "BatchNormalization",
            [(2, 3), weight(3), weight(3), weight(3), np.ones(3, dtype=np.float32)],
            {"training_mode": 1},
        ),
        17,
        "training mode",
    ),
    (Case("BatchNormalization", [(2, 3), (3,), (3,), (3,), (3,)]), 17, "must be constants"),
    (Case("Dropout", [(2, 3), number(0.5), number(1)]), 17, "has 3 inputs, 1 to 2"),
]


@pytest.mark.parametrize(
    ("case", "opset", "problem"), REFUSED, ids=[f"{c.label}-{p}" for c, _, p in REFUSED]
)
def test_preconditions_name_node_op_and_opset(case: Case, opset: int, problem: str) -> None:
    call = call_of(case, opset)
    with pytest.raises(UnsupportedOperatorError) as caught:
        lookup(call.node).shape(call)
    message = str(caught.value)
    assert problem in message
    assert f"node 'case' ({case.op}, opset {opset})" in message
    assert "\n" not in message


def test_a_revised_operator_is_refused() -> None:
    node = Node("bn", "BatchNormalization", 13, ("x", "s", "b", "m", "v"), "y")
    with pytest.raises(UnsupportedOperatorError, match="this opset revised the operator"):
        lookup(node)
