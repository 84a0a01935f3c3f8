"""Smallest explanations end to end: the checker proves the bound, the page and JSON say it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.data.dataset import load_data
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.kernel.claims import words
from protoproof.network import load
from protoproof.resources import zoo_path
from tests.support.cli import protoproof

NAME = "mnist-certified"


@cache
def explainer() -> Explainer:
    return Explainer(load(zoo_path(NAME)))


@pytest.mark.parametrize(("vocabulary", "least"), [("pairs", 1), ("ceiling", 2), ("mixed", 1)])
def test_the_checker_proves_that_nothing_is_smaller(vocabulary: str, least: int) -> None:
    x = load_data("mnist5k").x_test[0]
    result = explainer().explain(x, vocabulary=vocabulary, minimal="minimum")
    assert result.certificate is not None
    report = check(canonical_bytes(result.certificate), zoo_path(NAME))
    assert report.accepted
    assert report.lower_bound == result.lower_bound == result.size == least
    assert "minimum-size" in words(report.claims)
    document = result.to_json()
    assert document["lower_bound"] == least
    assert document["gap_reason"] == ""


def test_a_smallest_set_that_only_cases_prove_is_accepted() -> None:
    """Two facts of one location where every set without cases takes three."""
    network = Explainer(load(zoo_path("mnist-1x1")))
    x = load_data("mnist5k").x_test[793]
    assert network.explain(x, vocabulary="mixed", witnesses=False).size == 3
    result = network.explain(x, vocabulary="mixed", minimal="minimum", witnesses=False)
    assert result.size == result.lower_bound == 2


def test_a_bound_without_its_refutations_is_refused() -> None:
    x = load_data("mnist5k").x_test[0]
    result = explainer().explain(x, vocabulary="ceiling", minimal="minimum", witnesses=False)
    assert result.certificate is not None
    core = result.certificate.core
    assert core.size_bound is not None
    assert core.size_bound.refutations
    less = core.size_bound.model_copy(update={"refutations": core.size_bound.refutations[1:]})
    forged = result.certificate.model_copy(
        update={"core": core.model_copy(update={"size_bound": less})}
    )
    assert check(canonical_bytes(forged), zoo_path(NAME)).status == "rejected"


def test_no_time_at_all_still_explains() -> None:
    x = load_data("mnist5k").x_test[0]
    result = explainer().explain(x, vocabulary="ceiling", minimal="minimum", timeout=0.0)
    assert result.certificate is not None
    assert result.lower_bound in (None, 1)
    assert result.gap_reason == "out of time"


def test_an_unknown_kind_of_minimality_is_refused() -> None:
    with pytest.raises(UsageError, match="--minimal tiny"):
        explainer().explain(np.zeros((1, 28, 28), np.float32), minimal="tiny")


def test_the_command_line_says_it(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", load_data("mnist5k").x_test[0])
    done = protoproof(
        *("explain", zoo_path(NAME), "--input", tmp_path / "x.npy", "--minimal", "minimum"),
        *("--vocabulary", "pairs", "--json", "--out", tmp_path / "x.cert.json"),
    )
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["lower_bound"] == document["size"] == 1
    assert "Minimum-size" in (tmp_path / "x.html").read_text()
