"""Contrasts and enumerations end to end: certificate, JSON, page, SMT-LIB text."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Refutation
from protoproof.data.dataset import load_data
from protoproof.errors import UsageError
from protoproof.explanation.alternatives import alternatives, contrasted
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.quantities import Quantities
from protoproof.explanation.result import Explanation
from protoproof.kernel import check
from protoproof.kernel.claims import words
from protoproof.network import load
from protoproof.resources import zoo_path
from tests.support.cli import protoproof
from tests.support.kernel.builders import scene

NAME = "mnist-certified"
IMAGE = 881  # a small margin, so that few facts change the class


@cache
def explained() -> tuple[Explainer, Explanation]:
    explainer = Explainer(load(zoo_path(NAME)))
    x = load_data("mnist5k").x_test[IMAGE]
    return explainer, explainer.explain(x, vocabulary="pairs", witnesses=False)


@cache
def with_contrast() -> Explanation:
    explainer, explanation = explained()
    result, found = contrasted(explainer, explanation, "closest")
    assert found is not None
    assert result.check is not None
    assert f"contrast:{found.target}:{len(found.released)}" in words(result.check.claims)
    return result


def test_the_checker_counts_what_a_contrast_releases() -> None:
    result = with_contrast()
    assert result.certificate is not None
    report = check(canonical_bytes(result.certificate), zoo_path(NAME))
    assert report.accepted
    (claim,) = [claim for claim in words(report.claims) if claim.startswith("contrast:")]
    _, class_, count = claim.split(":")
    assert int(class_) != result.predicted
    assert 1 <= int(count) < 25


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [("class", "is not certainly predicted"), ("own", "is not a rival"), ("still", "certainly")],
)
def test_forged_contrasts_are_refused(wrong: str, complaint: str) -> None:
    result = with_contrast()
    assert result.certificate is not None
    core = result.certificate.core
    (honest,) = core.contrasts
    other = next(k for k in core.rivals if k != honest.rival)
    forged = {
        "class": honest.model_copy(update={"rival": other}),
        "own": honest.model_copy(update={"rival": result.predicted}),
        "still": Refutation(rival=honest.rival, moves=()),
    }[wrong]
    envelope = result.certificate.model_copy(
        update={"core": core.model_copy(update={"contrasts": (forged,)})}
    )
    report = check(canonical_bytes(envelope), zoo_path(NAME))
    assert report.status == "rejected"
    assert [o.number for o in report.failures] == [12]
    assert complaint in report.failures[0].detail


def test_classes_that_cannot_be_shown() -> None:
    explainer, explanation = explained()
    for target in ("no such class", "99", str(explanation.predicted)):
        with pytest.raises(UsageError, match="--contrast"):
            contrasted(explainer, explanation, target)


def test_every_enumerated_explanation_is_certified() -> None:
    explainer, explanation = explained()
    found = alternatives(explainer, explanation, 4)
    assert len(found.explanations) == 4
    assert found.refused == 0
    assert not found.end.complete
    for listed in found.explanations:
        assert check(canonical_bytes(listed.certificate), zoo_path(NAME)).accepted
    assert any(listed.necessary for listed in found.explanations)
    document = found.to_json(str, Quantities(explainer.network.head))
    assert document["attribution"]["exact"] is False
    assert sum(entry["count"] for entry in document["attribution"]["counts"]) == sum(
        len(entry["facts"]) for entry in document["explanations"]
    )


def test_the_command_shows_all_of_it(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", load_data("mnist5k").x_test[IMAGE])
    done = protoproof(
        *("explain", zoo_path(NAME), "--input", tmp_path / "x.npy"),
        *("--vocabulary", "pairs", "--json"),
        *("--minimal", "all", "--most", "2", "--contrast", "closest", "--no-witnesses"),
        *("--timeout", "1e6", "--out", tmp_path / "x.cert.json"),
    )
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert len(document["alternatives"]["explanations"]) == 2
    assert document["contrast"]["sentence"].startswith("would be")
    assert "prototype" in document["contrast"]["sentence"]
    for number, entry in enumerate(document["alternatives"]["explanations"], 1):
        path = Path(entry["certificate"])
        assert path == tmp_path / "x.explanations" / f"{number:03d}.cert.json"
        assert check(path, zoo_path(NAME)).accepted
        assert all(fact["words"] for fact in entry["facts"])
    page = (tmp_path / "x.html").read_text()
    assert "In 2 of the first 2 (100%)" in page or "In 1 of the first 2 (50%)" in page
    assert "003.cert.json" not in page
    assert "What would change the class" in page
    assert "Minimal explanations: the first 2, not complete" in page


def test_questions_for_other_solvers(tmp_path: Path) -> None:
    here = scene(3, similarity="reciprocal", grid=(1, 1), count=4, channels=2, classes=3)
    (tmp_path / "m.onnx").write_bytes(here.data)
    from protoproof.explanation.smtlib import write_smt2
    from protoproof.prover.oracle.smt import Solver

    network = load(tmp_path / "m.onnx")
    x = np.random.default_rng(0).random(network.input_shape).astype(np.float32)
    explanation = Explainer(network).explain(x, vocabulary="pairs")
    assert explanation.certificate is not None
    write_smt2(network, explanation, tmp_path / "q.smt2")
    queries = (tmp_path / "q.smt2").read_text().split("(reset)\n")
    assert len(queries) == 2
    with Solver() as solver:
        for query in queries:
            answer = solver.solve(query, logic="QF_NRA", steps=2_000_000)
            assert answer.status != "sat"  # the facts were proved sufficient


def test_logarithms_have_no_such_question(tmp_path: Path) -> None:
    from protoproof.explanation.smtlib import write_smt2

    explainer, explanation = explained()
    with pytest.raises(UsageError, match="no exact encoding"):
        write_smt2(explainer.network, explanation, tmp_path / "q.smt2")
    assert not (tmp_path / "q.smt2").exists()
