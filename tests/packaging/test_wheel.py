"""The wheel: one name, its data, and all verbs beside a project that has the same folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from protoproof.resources import ZOO
from protoproof.version import VERSION
from tests.support.sources import ROOT

SOURCES = ("verifier", "models", "specs", "setup.py", "pyproject.toml", "README.md", "LICENSE")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
FOREIGN = "raise ImportError('a foreign module of the same name was imported')\n"
POLICY = """
schema: protoproof.policy/1
name: beside
campaign: {vocabulary: ceiling, per_class: 1}
rules: {certificates: {accepted: all}}
"""
SUITE = """
import pytest

@pytest.mark.protoproof(model="net.onnx", policy="policy.yaml", data="data.npz")
def test_release(protoproof_gate):
    assert protoproof_gate.outcome == "passed"

def test_something_else():
    pass
"""


@dataclass(frozen=True)
class Installed:
    """The wheel, where it is installed, and a project beside it."""

    wheel: Path
    target: Path
    project: Path

    def python(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Python in the project's folder, with the installed package before all others."""
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.project,
            env={**os.environ, "PYTHONPATH": str(self.target)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def verb(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """The console script, as a user of the installed package calls it."""
        return self.python(self.target / "bin" / "protoproof", *arguments)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    here = tmp_path_factory.mktemp("wheel")
    source = here / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-c", BUILD, here], cwd=source, check=True, capture_output=True)
    (wheel,) = here.glob("*.whl")
    target, project = here / "installed", here / "project"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", target, wheel], check=True, capture_output=True)
    for name in ("models", "verifier"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text(FOREIGN)
    (project / "cli.py").write_text(FOREIGN)
    return Installed(wheel, target, project)


def test_it_installs_one_name_and_its_data(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    about = f"protoproof-{VERSION}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"protoproof", about}
    assert {path.name for path in installed.target.iterdir()} == {"protoproof", about, "bin"}
    for network in ZOO:
        for ending in (".onnx", ".json", ".prototypes.png"):
            assert f"protoproof/zoo/{network}{ending}" in names
    assert "protoproof/zoo/digit.png" in names
    assert "protoproof/policies/release.yaml" in names
    assert "protoproof/starter/github.yml" in names
    for schema in ("certificate", "explanation", "head", "policy", "property"):
        assert f"protoproof/schema/{schema}.schema.json" in names
    assert "protoproof/py.typed" in names
    assert "protoproof/formal/browser/kernel.js.gz" in names
    assert "protoproof/report/page/templates/again.js" in names


def test_it_carries_no_training(installed: Installed) -> None:
    code = {Path(n).name for n in zipfile.ZipFile(installed.wheel).namelist() if n.endswith(".py")}
    training = {path.name for path in (ROOT / "models").rglob("*.py")} - {"__init__.py"}
    ours = {path.name for path in (ROOT / "verifier").rglob("*.py")}
    assert code == ours
    assert {"train.py", "recipe.py", "verbs.py"} <= training - code


def test_it_says_its_version_once(installed: Installed) -> None:
    assert installed.verb("--version").stdout == f"protoproof {VERSION}\n"
    assert VERSION not in (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[tool")[0]


def test_demo_explain_and_check(installed: Installed) -> None:
    shown = installed.verb("demo")
    assert shown.returncode == 0, shown.stderr
    assert "checker     certificate accepted" in shown.stdout
    zoo = installed.target / "protoproof" / "zoo"
    model = zoo / "mnist-1x1.onnx"
    proof = installed.project / "digit.cert.json"
    explained = installed.verb("explain", model, "--input", zoo / "digit.png", "--out", proof)
    assert explained.returncode == 0, explained.stderr
    assert installed.verb("check", proof, model, "--quiet").returncode == 0
    library = f"import protoproof; print(protoproof.check({str(proof)!r}, {str(model)!r}).status)"
    assert (
        installed.python("-c", library).stdout == "accepted\n"
    )  # the project's folders come first


def test_gate_and_the_pytest_plugin(installed: Installed) -> None:
    project, zoo = installed.project, installed.target / "protoproof" / "zoo"
    shutil.copy(zoo / "mnist-1x1.onnx", project / "net.onnx")
    (project / "policy.yaml").write_text(POLICY)
    _data(project / "data.npz")
    arguments = ["--policy", "policy.yaml", "--model", "net.onnx", "--data", "data.npz"]
    gate = installed.verb("gate", *arguments, "--workers", "1")
    assert gate.returncode == 0, gate.stdout + gate.stderr
    (project / "test_release.py").write_text(SUITE)
    suite = installed.python("-m", "pytest", "-q", "test_release.py")
    assert suite.returncode == 0, suite.stdout + suite.stderr
    assert "2 passed" in suite.stdout


def test_a_suite_without_the_marker_does_not_notice(installed: Installed) -> None:
    (installed.project / "test_other.py").write_text("def test_it():\n    assert True\n")
    suite = installed.python("-m", "pytest", "-q", "test_other.py")
    assert suite.returncode == 0, suite.stdout + suite.stderr


def _data(path: Path) -> None:
    """One image per class, made here: what the network sees in it does not matter."""
    rng = np.random.default_rng(0)
    x = rng.random((10, 1, 28, 28), dtype=np.float32)
    y = np.arange(10)
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
