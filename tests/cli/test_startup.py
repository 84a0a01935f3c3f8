"""Which modules a verb loads. A verb that starts fast today must not become slow by one import."""

from __future__ import annotations

from pathlib import Path

import pytest

from protoproof.explanation.explainer import explain
from protoproof.network import load
from protoproof.network.inputs import read_input
from protoproof.resources import digit_path, zoo_path
from tests.support.blocked import verbs

MODEL = zoo_path("mnist-1x1")
HEAVY = {"PIL", "jaxtyping", "jinja2", "onnxruntime", "ray", "rich", "scipy", "torch", "yaml", "z3"}


def _rooms(modules: set[str]) -> set[str]:
    """The product's modules, without those of the command line itself."""
    ours = {name for name in modules if name.startswith("protoproof.")}
    return {name for name in ours if not name.startswith("protoproof.cli")}


def _packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = load(MODEL)
    x = read_input(digit_path(), network.pixels)
    path = tmp_path_factory.mktemp("proof") / "digit.cert.json"
    explain(network, x, vocabulary="ceiling").save(path)
    return path


def test_version_loads_nothing(tmp_path: Path) -> None:
    answers, modules = verbs([["--version"]], (), tmp_path)
    assert answers[0][0] == 0
    assert _rooms(modules) == {"protoproof.errors", "protoproof.extras", "protoproof.version"}
    assert not _packages(modules) & (HEAVY | {"flint", "numpy", "onnx", "pydantic", "typer"})


def test_check_loads_the_kernel_and_no_prover(certificate: Path, tmp_path: Path) -> None:
    answers, modules = verbs([["check", certificate, MODEL]], (), tmp_path)
    assert answers[0][0] == 0
    page = "protoproof.report.page"
    words = {"protoproof.report", page, f"{page}.text", f"{page}.stated", f"{page}.words"}
    words.add("protoproof.wording")
    plain = {"protoproof.errors", "protoproof.extras", "protoproof.version"}
    trusted = ("protoproof.kernel", "protoproof.certificate")
    assert {n for n in _rooms(modules) if not n.startswith(trusted)} <= words | plain
    assert not _packages(modules) & HEAVY


def test_attestations_are_read_without_prover_and_without_network(tmp_path: Path) -> None:
    """What makes it fast, too: nothing is loaded that is not needed to read and to hash."""
    (tmp_path / "a.json").write_text("{}")
    look = ["verify-attestation", "a.json", "--key", "no.pem", "--model", str(MODEL)]
    answers, modules = verbs([look], (), tmp_path)
    assert answers[0][0] == 2
    plain = {"protoproof.errors", "protoproof.extras", "protoproof.files", "protoproof.version"}
    words = {
        "protoproof.report",
        "protoproof.report.page",
        "protoproof.report.page.text",
        "protoproof.wording",
    }
    rooms = ("protoproof.attestation", "protoproof.kernel", "protoproof.certificate")
    assert {n for n in _rooms(modules) if not n.startswith(rooms)} <= words | plain
    assert not _packages(modules) & (HEAVY | {"onnx", "requests", "urllib3", "sigstore"})
    assert "protoproof.attestation.verify" in modules


def test_inspect_loads_the_network_and_its_runtime(tmp_path: Path) -> None:
    answers, modules = verbs([["inspect", MODEL]], (), tmp_path)
    assert answers[0][0] == 0
    rooms = {".".join(name.split(".")[:2]) for name in _rooms(modules)}
    # the checker is asked, too: what is recognised can be certified
    assert not rooms & {
        f"protoproof.{room}" for room in ("campaign", "certification", "prover", "region")
    }
    assert _packages(modules) & HEAVY <= {"onnxruntime", "yaml"}


def test_explain_loads_no_torch(tmp_path: Path) -> None:
    command = ["explain", MODEL, "--input", digit_path(), "--vocabulary", "ceiling", "--quiet"]
    answers, modules = verbs([command], (), tmp_path)
    assert answers[0][0] == 0
    assert not _packages(modules) & {"torch", "auto_LiRPA", "z3", "ray"}


def test_the_overview_loads_no_library_that_computes(tmp_path: Path) -> None:
    answers, modules = verbs([["--help"]], (), tmp_path)
    assert answers[0][0] == 0
    assert not _packages(modules) & (HEAVY - {"rich"} | {"numpy", "onnx"})
