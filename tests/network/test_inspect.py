"""What `inspect` says about good and bad models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from protoproof.explanation.certifiable import checkers_objection
from protoproof.network.head.words import duplicates
from protoproof.network.inspect import inspect_file
from tests.support.network.builders import SIMILARITIES, draft, node


def test_a_good_model(tmp_path: Path) -> None:
    path = draft().save(tmp_path)
    found = inspect_file(path)
    assert found.refusals == ()
    assert found.size == path.stat().st_size
    assert found.operators["Conv"] == 3
    assert found.parameters == 45 + 5 + 15 + 12 + 8 + 3
    assert found.input == {
        "tensor": "input", "shape": [1, 6, 6], "range": [0.0, 1.0], "range_stated": True,
        "preprocessing": "", "bytes": False, "free_batch": True,
    }  # fmt: skip
    assert found.latent == {
        "tensors": ["latent"], "grid": [2, 2], "channels": 3, "range": "sigmoid"
    }  # fmt: skip
    assert found.prototypes == {"count": 4, "duplicates": []}
    assert found.classes == ["no", "yes"]
    assert found.head
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["name"] == "tiny"


FORMULAS = {
    "log_ratio": "a = log((1 + 0.9999 / (t + 0.0001))), the same for all prototypes",
    "exponential": "a = exp(-1.33333 t), the same for all prototypes",
    "negated": "a = -1 t, the same for all prototypes",
    "reciprocal": "a = 1 / (t + 1), the same for all prototypes",
}


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_text_names_everything(tmp_path: Path, similarity: str) -> None:
    text = inspect_file(draft(similarity, bias=True).save(tmp_path)).to_text()
    for part in (
        "sha256",
        "opset 17",
        "2 x 2 locations",
        "4 prototypes (all different)",
        "recognised",
        FORMULAS[similarity],
        "linear with bias, 2 classes",
        "2: no, yes",
        "[0, 1] (made by Sigmoid)",
    ):
        assert part in text


def test_what_nobody_says_is_assumed_and_said(tmp_path: Path) -> None:
    parts = draft()
    parts.description = None
    text = inspect_file(parts.save(tmp_path)).to_text()
    assert "input range not stated: pictures need --preprocess" in text
    assert "2: class 0, class 1" in text
    assert "name        tiny\n" in text


def test_other_heads_are_named_with_the_options_that_choose_them(tmp_path: Path) -> None:
    path = draft().save(tmp_path)
    found = inspect_file(path)
    assert any("--latent latent --output activation" in line for line in found.runners_up)
    chosen = inspect_file(path, latent="latent", output="activation")
    assert chosen.classes is not None
    assert len(chosen.classes) == 4
    line = dict(chosen.head)["output"]
    assert line.startswith("'activation' (scores 'ratio', Log after them)")
    assert "not explained: 'logits'" in line
    (refusal,) = inspect_file(path, latent="nobody").refusals
    assert "--latent 'nobody'" in refusal


def test_the_checker_is_asked(tmp_path: Path) -> None:
    path = draft().save(tmp_path)
    found = inspect_file(path, checker=checkers_objection)
    assert found.certifiable
    assert "by the checker too" in found.to_text()
    refused = inspect_file(path, checker=lambda network: "it says no")
    assert refused.certifiable is False
    assert refused.refusals == ("explanations cannot be certified: it says no",)
    assert "recognised in the graph, but not by the checker" in refused.to_text()
    assert "cannot be certified: it says no" in refused.to_text()


def test_duplicate_prototypes(tmp_path: Path) -> None:
    parts = draft()
    parts.weights["prototypes"][2] = parts.weights["prototypes"][0]
    found = inspect_file(parts.save(tmp_path))
    assert found.prototypes is not None
    assert found.prototypes["duplicates"] == [[0, 2]]
    assert "identical: 0 = 2" in found.to_text()
    assert duplicates(np.array([[0.0], [-0.0], [1.0]])) == [[0, 1]]


def test_a_bad_model_is_described_as_far_as_possible(tmp_path: Path) -> None:
    parts = draft()
    parts.nodes.append(node("RandomUniformLike", ["logits"], "probability"))
    found = inspect_file(parts.save(tmp_path))
    assert not found.head
    assert found.operators["RandomUniformLike"] == 1
    (refusal,) = found.refusals
    assert "node 'probability.node' (RandomUniformLike, opset 17)" in refusal
    assert "refused" in found.to_text()


def test_many_refusals_are_summed_up(tmp_path: Path) -> None:
    parts = draft()
    parts.nodes += [node("Bernoulli", ["logits"], f"p{i}") for i in range(150)]
    refusals = inspect_file(parts.save(tmp_path)).refusals
    assert len(refusals) == 101
    assert refusals[-1] == "and 50 more"


def test_names_from_the_file_are_inert(tmp_path: Path) -> None:
    parts = draft()
    parts.rename("r1", "r1\x1b[31m\n\u202e" + "x" * 500)
    parts.nodes.append(node("Softmax\x1b]0;", ["logits"], "p\u2028"))
    assert parts.description is not None
    parts.description["classes"] = ["\x1b[2J", "<script>"]
    parts.description["name"] = "\x07bell"
    for refused in (True, False):
        found = inspect_file(parts.save(tmp_path))
        assert bool(found.refusals) == refused
        assert all(line.isprintable() for line in found.to_text().split("\n"))
        if refused:
            parts.nodes.pop()


def test_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    for path in (tmp_path, tmp_path / "text.onnx", tmp_path / "none", Path("/dev/null")):
        found = inspect_file(path)
        assert len(found.refusals) == 1
        assert str(path) in found.refusals[0]
        assert json.dumps(found.to_json())
