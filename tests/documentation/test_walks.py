"""Five people with files of their own, and nothing but the documents: what these say is typed."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from tests.support import walks
from tests.support.blocked import EXTRAS, verbs
from tests.support.cli import Result
from tests.support.console import commands, titles
from tests.support.sources import ROOT

WALKS = {
    ("your-network.md", "Your network"),
    ("import.md", "A directory of CaBRNet"),
    ("import.md", "A checkpoint of PIP-Net"),
    ("auditors.md", "Three files"),
    ("auditors.md", "Three files, and ONNX Runtime"),
    ("gate.md", "A release"),
}
ZOO = ROOT / "models" / "zoo"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as torch exported it, and pictures."""
    folder = tmp_path_factory.mktemp("project")
    walks.make_pictures(folder)
    walks.exported(walks.trained(), folder)
    assert (folder / "net.onnx.data").exists()
    return folder


def test_every_walk_is_walked() -> None:
    pages = sorted((ROOT / "docs").glob("*.md"))
    assert {(page.name, title) for page in pages for title in titles(page)} == WALKS


def test_a_network_exported_from_torch(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    walks.walked("your-network.md", "Your network", tmp_path)
    page = (tmp_path / "out/explain/ready--bird.html").read_text(encoding="utf-8")
    assert "red" in page
    assert "bird.jpg" in page
    gate = json.loads((tmp_path / "out/gate/gate.json").read_text())
    assert (gate["outcome"], len(gate["checks"])) == ("passed", 5)


MORE = ("cabrnet slots", "cabrnet tree", "cabrnet shares", "beyond_l2 isotropic")


@pytest.mark.parametrize(
    "case", ["cabrnet distances", *(pytest.param(c, marks=pytest.mark.sweep) for c in MORE)]
)
def test_a_directory_of_cabrnet(case: str, tmp_path: Path) -> None:
    walks.make_checkpoint(case, tmp_path, 64)
    walks.walked("import.md", "A directory of CaBRNet", tmp_path)
    assert (tmp_path / "out/explain/net--bird.html").exists()


def test_a_checkpoint_of_pipnet(tmp_path: Path) -> None:
    walks.make_checkpoint("pipnet", tmp_path, 224)
    walks.walked("import.md", "A checkpoint of PIP-Net", tmp_path)
    assert (tmp_path / "out/explain/net--bird.html").exists()


@pytest.fixture
def three_files(digit_certificate: Path, tmp_path: Path) -> Path:
    for source, name in (
        (digit_certificate, "digit.cert.json"),
        (ZOO / "mnist-1x1.onnx", "net.onnx"),
        (ZOO / "digit.png", "digit.png"),
    ):
        shutil.copyfile(source, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def digit_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import protoproof
    from protoproof.network.inputs import read_input

    network = protoproof.load(ZOO / "mnist-1x1.onnx")
    x = read_input(ZOO / "digit.png", network.pixels)
    path = tmp_path_factory.mktemp("producer") / "d.cert.json"
    protoproof.explain(network, x, vocabulary="pairs").save(path)
    return path


def test_an_auditor_without_any_runtime(three_files: Path) -> None:
    todo = list(commands(ROOT / "docs" / "auditors.md", "Three files"))
    ours = [command for command in todo if command.text.startswith("protoproof ")]
    for command in todo:
        if command not in ours:
            walks.said("auditors.md", command, walks.typed(command, three_files))
    words = [command.text.split()[1:] for command in ours]
    answers, loaded = verbs(words, EXTRAS, three_files)
    for command, answer in zip(ours, answers, strict=True):
        walks.said("auditors.md", command, Result(*answer))
    assert [command.exit for command in ours] == [0, 0, 3, 1]
    assert not loaded & {"torch", "onnxruntime", "scipy", "z3"}


def test_an_auditor_with_a_runtime(three_files: Path) -> None:
    walks.walked("auditors.md", "Three files, and ONNX Runtime", three_files)
    other = three_files / "other.png"
    shutil.copyfile(other.with_name("digit.png"), other)
    with other.open("r+b") as file:  # another picture is not the one that was explained
        from PIL import Image

        image = Image.open(file).convert("L")
    image.putpixel((3, 3), 255)
    image.save(other)
    ((command, _),) = walks.walked("auditors.md", "Three files, and ONNX Runtime", three_files)
    text = command.text.replace("digit.png", "other.png")
    refused = walks.typed(type(command)(0, text, 1, ""), three_files)
    assert (refused.code, "certificate rejected" in refused.out) == (1, True)


def test_a_release_that_lost_its_proofs(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "birds", tmp_path / "birds")
    walks.prepared(project / "net.onnx", tmp_path / "net.onnx")
    walks.without_its_proofs(tmp_path / "net.onnx", tmp_path / "new.onnx")
    kept: dict[str, str] = {}
    for command in commands(ROOT / "docs" / "gate.md", "A release"):
        result = walks.typed(command, tmp_path)
        walks.said("gate.md", command, result)
        if command.text == "protoproof gate" and command.exit == 1:
            out = tmp_path / "out" / "gate"
            kept = {path.name: path.read_text() for path in out.iterdir() if path.is_file()}
            _named_everywhere(["green/0.png", "green/1.png"], result.out, kept)
    assert kept
    jobs = yaml.safe_load((tmp_path / ".github/workflows/protoproof.yml").read_text())["jobs"]
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    assert "protoproof gate" in steps
    assert (
        "protoproof gate"
        in yaml.safe_load((tmp_path / ".gitlab-ci.yml").read_text())["protoproof-gate"]["script"]
    )


def _named_everywhere(names: list[str], printed: str, files: dict[str, str]) -> None:
    """Each instance that lost its proof stands wherever somebody looks; nothing says "passed"."""
    assert json.loads(files["gate.json"])["outcome"] == "failed"
    sarif = json.loads(files["gate.sarif"])["runs"][0]
    texts = " ".join(result["message"]["text"] for result in sarif["results"])
    suite = ElementTree.fromstring(files["gate.junit.xml"])  # noqa: S314  # our own
    failed = " ".join(
        case.attrib["name"] for case in suite.iter("testcase") if case.find("failure") is not None
    )
    for place in (printed, texts, failed):
        assert all(name in place for name in names), place
    assert {name for name in files if name.endswith(".stale")} == {
        "gate.json.stale", "gate.sarif.stale", "gate.junit.xml.stale"
    }  # fmt: skip
