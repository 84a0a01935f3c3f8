"""Level F: no float32 execution leaves its budget, and nothing less is accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from protoproof.kernel import CheckReport, check
from protoproof.kernel.claims import Sufficient
from protoproof.kernel.float32.record import FUNCTIONS, U
from protoproof.network import load
from protoproof.resources import zoo_path
from tests.support.examples import examples
from tests.support.kernel.builders import Scene, file, scene, topk_core
from tests.support.kernel.float32 import at_f, cancelling, changed
from tests.support.kernel.models import random_tiny, sha256
from tests.support.level_f import Trial
from tests.support.rounding import MODES

QUICK = ("digits-diagonal", "digits-hyperspherical", "mnist-shots")
SLOW = (
    "emoji-pipnet", "emoji-projection", "mnist-1x1", "mnist-7x7", "mnist-cases",
    "mnist-components", "mnist-cosine", "mnist-gaussian", "mnist-tree", "mnist-two-banks",
)  # fmt: skip
NAMES = [*QUICK, *(pytest.param(name, marks=pytest.mark.sweep) for name in SLOW)]


@pytest.mark.parametrize("name", NAMES)
def test_no_execution_of_a_zoo_head_leaves_its_budget(name: str) -> None:
    network = load(zoo_path(name))
    found = network.recognised
    model = onnx.load_from_string(network.data)
    trial = Trial.of(model, tuple(found.latents), found.output).run(3)
    assert not trial.wrong
    assert trial.used > 0


@given(seed=st.integers(0, 2**32), form=st.sampled_from(["direct", "expanded"]))
@examples(8, 200)
def test_no_execution_of_a_random_head_leaves_its_budget(seed: int, form: str) -> None:
    similarity = ("log_ratio", "exponential", "negated", "reciprocal")[seed % 4]
    tiny = random_tiny(seed, distance=form, similarity=similarity)
    model = onnx.load_from_string(tiny.data)
    trial = Trial.of(model, ("latent",), "logits")
    execution = trial.known.execution
    assert execution is not None
    assert execution.form == form
    assert not trial.run(4, seed % 1000).wrong


def test_the_executions_that_are_tried_differ() -> None:
    """Otherwise the tests above would say nothing about orders."""
    from tests.support.rounding import Rounded

    model = onnx.load_from_string(random_tiny(3, channels=6, count=6, distance="direct").data)
    rounded = Rounded(model, ("latent",), "logits")
    shape = (1, 6, *random_tiny(3, channels=6, count=6).grid)
    z = {"latent": np.random.default_rng(0).random(shape).astype(np.float32)}
    results = {tuple(rounded(z, mode, seed)) for mode in MODES for seed in range(3)}
    assert len(results) > len(MODES)


DIRECT = scene(2, grid=(2, 2), bias=None, distance="direct")
EXPANDED = scene(2, grid=(2, 2), bias=None, distance="expanded")


def test_a_direct_head_is_proved_at_level_f() -> None:
    report = check(file(at_f(DIRECT)), DIRECT.data)
    assert report.status == "accepted"
    proved = [claim for claim in report.claims if isinstance(claim, Sufficient)]
    assert [claim.level for claim in proved] == ["R", "F"]
    assert [str(claim) for claim in proved] == ["sufficient", "sufficient:F"]
    assert any(line.startswith("level F: every float32 execution") for line in report.assumptions)


def test_level_r_is_what_it_was() -> None:
    report = check(file(topk_core(DIRECT)), DIRECT.data)
    assert [str(claim) for claim in report.claims if isinstance(claim, Sufficient)] == [
        "sufficient"
    ]
    assert "execution" not in json.loads(file(topk_core(DIRECT)))["core"]


def _form(core: Any) -> None:
    core["execution"]["form"] = "expanded"


def _error(core: Any) -> None:
    core["execution"]["functions"][0]["relative"] = 1


def _function(core: Any) -> None:
    core["execution"]["functions"] = []


def _shortest(core: Any) -> None:
    core["execution"]["shortest"] = "0x1.0p-20"


def _nothing(core: Any) -> None:
    del core["execution"]


def _level(core: Any) -> None:
    core["level"] = "R"


@pytest.mark.parametrize("forge", [_form, _error, _function, _shortest, _nothing, _level])
def test_a_forged_execution_is_refused(forge: Callable[[Any], None]) -> None:
    document = json.loads(file(at_f(DIRECT)))
    forge(document["core"])
    report = check(json.dumps(document).encode(), DIRECT.data)
    assert report.status == "rejected"
    assert "execution" in report.failures[0].detail


def test_an_unknown_format_is_no_certificate() -> None:
    document = json.loads(file(at_f(DIRECT)))
    document["core"]["execution"]["format"] = "float64"
    assert check(json.dumps(document).encode(), DIRECT.data).status == "rejected"


def _report(data: bytes) -> CheckReport:
    return check(file(at_f(DIRECT, data)), data)


def test_cancelling_constants_are_refused_at_level_f() -> None:
    data = changed(DIRECT, cancelling(2.0**23))
    plain = topk_core(DIRECT)
    identity = plain.model.model_copy(update={"sha256": sha256(data)})
    assert check(file(plain.model_copy(update={"model": identity})), data).status == "accepted"
    report = _report(data)
    assert report.status == "incomplete"
    assert report.failures[0].detail.startswith("level F is not proved")


def test_a_harmless_neighbour_is_accepted() -> None:
    assert _report(changed(DIRECT, cancelling(0.25))).status == "accepted"


def test_a_margin_within_its_budget_is_not_enough() -> None:
    """The same facts, the same margins: the expanded form takes more from them than there is."""
    far = scene(2, grid=(2, 2), bias=None, distance="expanded", operator="")
    plain = check(file(topk_core(EXPANDED)), EXPANDED.data)
    report = check(file(at_f(EXPANDED)), EXPANDED.data)
    assert plain.status == "accepted"
    assert report.margins == plain.margins
    if report.status != "accepted":
        assert report.failures[0].name == "margins"
    large = far.tiny.but(prototypes=(far.tiny.prototypes * np.float32(4096)))
    moved = Scene(large, far.latent * np.float32(4096))
    assert check(file(topk_core(moved)), moved.data).status == "accepted"
    refused = check(file(at_f(moved)), moved.data)
    assert refused.status == "incomplete"
    assert "float32 may take" in refused.failures[0].detail


def test_a_claim_over_a_region_stays_at_level_r() -> None:
    content = at_f(DIRECT)
    document = json.loads(file(content))
    document["core"]["parts"] = [{"kind": "part", "evidence": None}]
    assert check(json.dumps(document).encode(), DIRECT.data).status != "accepted"


@pytest.mark.parametrize(
    "kind", ["Exp", "Log", "Sigmoid", "Softplus", "Sqrt", "Tanh", "Reciprocal"]
)
def test_the_runtime_s_functions_are_within_the_stated_errors(kind: str) -> None:
    """A sweep of every so many float32 numbers; the documents have finer ones."""
    bits = np.arange(0x0D800000, 0x42B00000, 4099, dtype=np.int64).astype(np.int32)
    x = bits.view(np.float32)
    if kind in ("Exp", "Sigmoid", "Softplus", "Tanh"):
        x = np.concatenate([-x, x])
    functions: dict[str, Callable[[Any], Any]] = {
        "Exp": np.exp, "Log": np.log, "Sqrt": np.sqrt, "Tanh": np.tanh,
        "Reciprocal": lambda t: 1 / t,
        "Sigmoid": lambda t: np.where(t > 0, 1.0, np.exp(-np.abs(t))) / (1 + np.exp(-np.abs(t))),
        "Softplus": lambda t: np.maximum(t, 0) + np.log1p(np.exp(-np.abs(t))),
    }  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node(kind, ["x"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", 1, ["n"])],
        [helper.make_tensor_value_info("y", 1, ["n"])],
    )
    import onnxruntime

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": x})
    exact = functions[kind](x.astype(np.float64))
    name = {"Reciprocal": "reciprocal"}.get(kind, kind.lower())
    relative, absolute = FUNCTIONS[name]
    allowed = relative * U * np.abs(exact) + max(absolute * U, 2.0**-149)
    error = np.abs(y.astype(np.float64) - exact)
    assert (error[np.isfinite(exact)] <= allowed[np.isfinite(exact)]).all()
