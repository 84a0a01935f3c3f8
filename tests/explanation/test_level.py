"""Levels of explanations: F where it costs nothing, and F as a condition of the search."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.data.dataset import load_data
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.explanation.result import Explanation
from protoproof.kernel import check
from protoproof.network import load
from protoproof.resources import zoo_path


@pytest.fixture(scope="module")
def direct() -> Explainer:
    return Explainer(load(zoo_path("mnist-1x1")))


@pytest.fixture(scope="module")
def tree() -> Explainer:
    return Explainer(load(zoo_path("mnist-tree")))


def explained(
    known: Explainer, level: str, vocabulary: str = "topk", **more: object
) -> Explanation:
    x = load_data("mnist5k").x_test[0]
    options = ExplainOptions(vocabulary=vocabulary, witnesses=False, level=level, **more)  # type: ignore[arg-type]
    return known.explain(x, options)


def test_level_f_costs_nothing_where_distances_are_direct(direct: Explainer) -> None:
    at_r, by_default = explained(direct, "R"), explained(direct, "auto")
    assert (at_r.level, by_default.level) == ("R", "F")
    assert at_r.facts == by_default.facts
    assert by_default.level_reason == ""
    assert by_default.to_json()["level"] == "F"
    assert by_default.certificate is not None
    assert check(canonical_bytes(by_default.certificate), direct.model_file).accepted


def test_a_certificate_at_level_r_has_no_word_of_level_f(direct: Explainer) -> None:
    at_r = explained(direct, "R")
    assert at_r.certificate is not None
    assert b"execution" not in canonical_bytes(at_r.certificate)


def test_the_search_keeps_level_f_as_its_own_condition(tree: Explainer) -> None:
    """Where the smallest set over the reals has too little margin, more facts are named."""
    at_r, by_default, at_f = (explained(tree, level) for level in ("R", "auto", "F"))
    assert by_default.level == "R"
    assert by_default.facts == at_r.facts
    assert "float32 may take" in by_default.level_reason
    assert at_f.level == "F"
    assert at_f.size > at_r.size
    assert at_f.check is not None
    assert at_f.check.accepted


def test_where_no_set_is_at_level_f_nothing_is_explained() -> None:
    """Distances without a bound are added up with weights: no order of sums is near another."""
    known = Explainer(load(zoo_path("mnist-cases")))
    found = explained(known, "F")
    assert found.certificate is None
    assert "level F is not proved" in found.verdict.reason
    assert explained(known, "auto").level == "R"


def test_regions_are_at_level_r(direct: Explainer) -> None:
    with pytest.raises(UsageError, match="region"):
        explained(direct, "F", domain="linf:0.01")
    pytest.importorskip("torch")
    found = explained(direct, "auto", domain="linf:0.001")
    assert found.level == "R"
    assert found.level_reason == "a claim about a region of inputs"


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(UsageError, match="--level G: unknown; use auto, R, F"):
        ExplainOptions(level="G")


def test_inspect_warns_of_expanded_distances() -> None:
    from protoproof.explanation.level import float32_words

    (first, second) = float32_words(load(zoo_path("emoji-protopnet")))
    assert first.startswith("warning: distances are expanded")
    assert "((z[:, None] - p) ** 2).sum(2)" in second
    (only,) = float32_words(load(zoo_path("mnist-1x1")))
    assert only.startswith("level F where margins exceed rounding")


def test_the_form_that_is_suggested_is_the_direct_one() -> None:
    rng = np.random.default_rng(0)
    z, p = rng.random((3, 5)), rng.random((4, 5))
    exact = ((z[:, None] - p) ** 2).sum(2)
    assert exact == pytest.approx(np.linalg.norm(z[:, None] - p, axis=2) ** 2)
