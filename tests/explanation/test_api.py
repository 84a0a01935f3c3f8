"""The Python interface that the README shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import protoproof
from protoproof.data.dataset import load_data
from protoproof.errors import OutputError, UsageError
from protoproof.notebook import table
from protoproof.resources import zoo_path

MODEL = zoo_path("mnist-1x1")
ROOT = Path(__file__).resolve().parents[2]


def test_the_documented_calls_work_again_and_again(tmp_path: Path) -> None:
    x = load_data("mnist5k").x_test[0]
    network = protoproof.load(MODEL)
    for _ in range(2):
        explanation = protoproof.explain(network, x)
        explanation.save(tmp_path / "digit.cert.json")
        report = protoproof.check(tmp_path / "digit.cert.json", MODEL)
        assert report.accepted
        assert explanation.verdict.status is protoproof.Status.PROVED
        assert explanation.evidence is not None


def test_public_names_are_not_shadowed_by_rooms() -> None:
    """In a fresh process, after every submodule was imported, the names are still functions."""
    script = (
        "import importlib, pkgutil, protoproof\n"
        "for m in pkgutil.walk_packages(protoproof.__path__, 'protoproof.'):\n"
        "    importlib.import_module(m.name)\n"
        "assert all(callable(getattr(protoproof, name)) for name in protoproof.__all__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_a_notebook_shows_results_in_short() -> None:
    """A line in a console, a table in a notebook; no array in either."""
    x = load_data("mnist5k").x_test[0]
    network = protoproof.load(MODEL)
    explanation = protoproof.explain(network, x, vocabulary="ceiling")
    certified = protoproof.certify(network, x, "linf:0.001", method="interval")
    for result, words in (
        (network, ("mnist-1x1", "1 x 28 x 28", "10 classes")),
        (explanation, ("predicted '0'", "proved", f"{explanation.size} fact")),
        (certified, ("linf:0.001", "predicted '0'", certified.verdict.status.value)),
        (explanation.observation, ("input 1 x 28 x 28",)),
    ):
        shown = repr(result)
        assert all(word in shown for word in words), shown
        assert len(shown) < 200
        assert "array" not in shown
    for result in (network, explanation, certified):
        page = result._repr_html_()
        assert page.startswith("<table>")
        assert len(page) < 2000
        assert "array" not in page
    assert "proved" in explanation._repr_html_()
    assert "&lt;b&gt;" in table("<b>", a="<script>")
    assert "<script" not in table("<b>", a="<script>")


def test_dir_shows_the_interface_before_it_is_loaded() -> None:
    script = "import protoproof; print(*dir(protoproof), protoproof.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    *names, version = done.stdout.split()
    assert names == sorted([*protoproof.__all__, "__version__"])
    assert version == protoproof.__version__


def test_a_region_is_given_as_on_the_command_line() -> None:
    x = load_data("mnist5k").x_test[0]
    with pytest.raises(UsageError, match="such as"):
        protoproof.certify(MODEL, x)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="no number"):
        protoproof.certify(MODEL, x, "linf:wide")


def test_nothing_is_saved_over_another_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.cert.json"
    first, second = (
        protoproof.explain(
            MODEL, load_data("mnist5k").x_test[i], vocabulary="topk", witnesses=False
        )
        for i in (0, 1)
    )
    first.save(path)
    with pytest.raises(OutputError, match="another question"):
        second.save(path)
    first.save(path)
    second.save(path, overwrite=True)
