"""The Python interface that the README shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import protoproof
from protoproof.data.dataset import load_data
from protoproof.resources import zoo_path

MODEL = zoo_path("mnist-1x1")


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
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=False)
    assert done.returncode == 0


def test_a_notebook_shows_an_explanation() -> None:
    explanation = protoproof.explain(MODEL, load_data("mnist5k").x_test[0])
    shown = explanation._repr_html_()
    assert "proved" in shown
    assert explanation.predicted_name in shown
    assert "<script" not in shown
