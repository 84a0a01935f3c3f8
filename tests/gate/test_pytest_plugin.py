"""The marker fails a test exactly when the gate does not pass."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.support.campaign import MODEL, some
from tests.support.cli import ROOT
from tests.support.gate import HEADER, prototype_duplicated, sabotaged

TESTS = """
import pytest

@pytest.mark.protoproof(model="good.onnx", policy="policy.yaml", data="data.npz")
def test_good(protoproof_gate):
    assert protoproof_gate.outcome == "passed"

@pytest.mark.protoproof(model="bad.onnx", policy="policy.yaml", data="data.npz")
def test_bad():
    pass

@pytest.mark.protoproof(model="good.onnx", policy="empty.yaml", data="data.npz")
def test_refused():
    pass

@pytest.mark.protoproof(model="good.onnx", polciy="policy.yaml", data="data.npz")
def test_misspelt():
    pass

def test_unmarked():
    pass

def test_no_marker(protoproof_gate):
    pass
"""

# workers are forks of the suite's process, see `warm_workers`
WARM = """
import multiprocessing
from protoproof.campaign import executor_process
executor_process._SPAWN = multiprocessing.get_context("fork")
"""


@dataclass(frozen=True)
class Suite:
    directory: Path
    output: str
    code: int


def run(directory: Path) -> Suite:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "protoproof.pytest_plugin", "-rA", "-q",
         "--strict-markers", "--junitxml", "junit.xml"],
        cwd=directory,
        env={
            "PYTHONPATH": str(ROOT / "verifier"),
            "OMP_NUM_THREADS": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # an installed copy would be loaded twice
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return Suite(directory, done.stdout + done.stderr, done.returncode)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    directory = tmp_path_factory.mktemp("suite")
    data = some(10)
    arrays = {"x_train": data.x, "y_train": data.y, "x_test": data.x, "y_test": data.y}
    np.savez(directory / "data.npz", **arrays)
    (directory / "good.onnx").write_bytes(MODEL.read_bytes())
    sabotaged(directory / "bad.onnx", prototype_duplicated)
    rules = "rules:\n  duplicate_prototypes: {at_most: 0}\n"
    (directory / "policy.yaml").write_text(HEADER + rules)
    (directory / "empty.yaml").write_text("")
    (directory / "pytest.ini").write_text("[pytest]\n")
    (directory / "test_release.py").write_text(TESTS)
    (directory / "conftest.py").write_text(WARM)
    return run(directory)


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("test_good", "PASSED"),
        ("test_bad", "FAILED"),
        ("test_refused", "FAILED|ERROR"),
        ("test_misspelt", "ERROR"),
        ("test_unmarked", "PASSED"),
        ("test_no_marker", "ERROR"),
    ],
)
def test_outcomes(suite: Suite, test: str, outcome: str) -> None:
    lines = [line for line in suite.output.splitlines() if f"::{test}" in line]
    assert any(line.startswith(tuple(outcome.split("|"))) for line in lines), suite.output


def test_the_rule_and_its_line_are_named(suite: Suite) -> None:
    assert "policy.yaml:4: failed: duplicate_prototypes: 2 found" in suite.output
    assert "prototype 6: squared distance 0 to prototype 7" in suite.output
    assert "asks for nothing" in suite.output
    assert "polciy" in suite.output
    assert "protoproof:duplicate_prototypes" in (suite.directory / "junit.xml").read_text()


def test_a_second_run_recomputes_nothing(suite: Suite) -> None:
    ledgers = list((suite.directory / ".pytest_cache").glob("**/certificates/*.json"))
    before = {path: path.stat().st_mtime_ns for path in ledgers}
    assert len(before) == 20
    run(suite.directory)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_entry_point_is_declared() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"protoproof": "protoproof.pytest_plugin"}
