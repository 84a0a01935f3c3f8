"""``explain --dump-vnnlib``: the question is a query, and our own verb answers it ``unsat``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.query.decide import decide
from protoproof.query.dump import query_text, require_query
from protoproof.query.language import parse_query
from protoproof.resources import zoo_path
from tests.support.cli import protoproof
from tests.support.network.builders import draft

pytest.importorskip("vnnlib")

INPUT = np.random.default_rng(3).random((1, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def explainers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Explainer]:
    folder = tmp_path_factory.mktemp("nets")
    drafts = {
        "direct": draft(distance="direct"),
        "expanded": draft(distance="expanded", pooling="reduce_min"),
        "reciprocal": draft("reciprocal", distance="direct"),
    }
    drafts["direct"].outputs = {"logits": (2,)}
    return {k: Explainer(load(d.save(folder, f"{k}.onnx"))) for k, d in drafts.items()}


@pytest.mark.parametrize(
    ("name", "vocabulary"),
    [("direct", "topk"), ("direct", "pairs"), ("expanded", "mixed"), ("reciprocal", "ceiling")],
)
def test_the_round_trip(explainers: dict[str, Explainer], name: str, vocabulary: str) -> None:
    explainer = explainers[name]
    found = explainer.explain(INPUT, vocabulary=vocabulary, witnesses=False)
    assert found.certificate is not None
    text = query_text(explainer.network, found.certificate.core)
    query = parse_query(text)
    assert decide(query, explainer).word == "unsat"
    # the latent that is offered is what makes exact facts provable, not what proves them
    other = re.sub(r"^; latent: .*$", "", text, flags=re.MULTILINE)
    assert decide(parse_query(other), explainer).word in ("unsat", "unknown")
    # without its facts the class is not forced
    weaker = "\n".join(
        line for line in text.splitlines() if not line.startswith("(assert") or "(>= Y[0," in line
    )
    assert decide(parse_query(weaker), explainer).word in ("sat", "unknown")


def test_the_command(explainers: dict[str, Explainer], tmp_path: Path) -> None:
    model, query = explainers["direct"].network.path, tmp_path / "q.vnnlib"
    np.save(tmp_path / "x.npy", INPUT)
    given = ("--input", tmp_path / "x.npy", "--no-witnesses", "--no-pages", "--quiet")
    out = ("--out", tmp_path / "x.cert.json", "--dump-vnnlib", query)
    assert protoproof("explain", model, *given, *out).code == 0
    assert protoproof("vnnlib", model, query).out == "unsat\n"
    again = protoproof("explain", model, *given, *out)
    assert (again.code, again.out) == (2, "")
    assert "exists already" in again.err


def test_what_no_query_says_is_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match="not for the region linf"):
        require_query(load(zoo_path("mnist-certified")), "linf:0.02")
    with pytest.raises(UsageError, match="labels"):
        require_query(load(zoo_path("motion-labels")), "free")
