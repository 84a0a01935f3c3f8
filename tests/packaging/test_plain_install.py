"""A plain installation checks, inspects and reads; for anything else it says what to install."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from protoproof.campaign import Options, run_campaign
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import explain
from protoproof.explanation.options import ExplainOptions
from protoproof.extras import PACKAGES
from protoproof.network import load
from protoproof.network.inputs import read_input
from protoproof.network.pixels import PixelRule
from protoproof.resources import digit_path, policy_path, zoo_path
from tests.support.blocked import EXTRAS, run, verbs
from tests.support.campaign import MODEL as MODEL_OF_CAMPAIGNS
from tests.support.campaign import InlineEngine, network, some
from tests.support.sources import ROOT

MODEL = zoo_path("mnist-1x1")
DIGIT = digit_path()
EXTRA_OF_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
# the import's name, where it is not the distribution's
IMPORTED = {"z3-solver": "z3"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = load(MODEL)
    x = read_input(DIGIT, network.pixels)
    path = tmp_path_factory.mktemp("proof") / "digit.cert.json"
    explain(network, x, ExplainOptions(vocabulary="ceiling")).save(path)
    return path


def test_it_checks_inspects_and_reads(certificate: Path, tmp_path: Path) -> None:
    commands = [
        ["--version"],
        ["check", certificate, MODEL],
        ["check", certificate, MODEL, "--json"],
        ["inspect", MODEL],
        ["inspect", MODEL, "--json"],
        ["report", certificate, "--model", MODEL, "--input", DIGIT, "--out", "page.html"],
        ["--help"],
        ["bom", MODEL],
    ]
    answers, _ = verbs(commands, EXTRAS, tmp_path)
    assert [(code, err) for code, _, err in answers] == [(0, "")] * len(commands)
    outputs = [out for _, out, _ in answers]
    version, checked, document, inspected, described, _, overview, bill = outputs
    assert json.loads(bill)["bomFormat"] == "CycloneDX"
    assert version.startswith("protoproof ")
    assert checked.endswith("certificate accepted\n")
    assert json.loads(document)["accepted"] is True
    assert "not compared" in inspected
    assert json.loads(described)["compared"] is False
    assert "ceiling" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(verb in overview for verb in ("explain", "certify", "campaign", "gate", "demo"))


def test_checking_and_inspecting_need_even_less(certificate: Path, tmp_path: Path) -> None:
    commands = [["check", certificate, MODEL], ["inspect", MODEL]]
    less = (*EXTRAS, "jinja2", "markupsafe", "PIL", "rich", "jaxtyping")
    answers, _ = verbs(commands, less, tmp_path)
    assert [(code, err) for code, _, err in answers] == [(0, "")] * 2


def test_an_input_is_compared_as_far_as_it_goes(certificate: Path, tmp_path: Path) -> None:
    """The hash shows whether it is the recorded one; what was asked for beyond that stays open."""
    Image.new("L", (28, 28)).save(tmp_path / "other.png")
    asked = ["check", certificate, MODEL, "--input"]
    commands = [[*asked, DIGIT], [*asked, DIGIT, "--json"], [*asked, tmp_path / "other.png"]]
    (same, as_json, other), _ = verbs(commands, EXTRAS, tmp_path)
    assert (same[0], as_json[0], other[0]) == (3, 3, 1)
    assert "pip install 'protoproof[explain]'" in same[1]
    assert same[1].endswith("not confirmed for this input\n")
    assert json.loads(as_json[1])["exit_code"] == 3
    assert other[1].endswith("certificate rejected\n")


def test_it_reads_campaigns(tmp_path: Path) -> None:
    options = Options(vocabulary="topk", witnesses=False)
    run_campaign(network(), some(2), tmp_path / "c", options=options, engine=InlineEngine)
    commands = [["diff", "c", "c"], ["report", "c", "--model", MODEL_OF_CAMPAIGNS]]
    answers, _ = verbs(commands, EXTRAS, tmp_path)
    assert [(code, err) for code, _, err in answers] == [(0, "")] * 2
    assert "2 accepted, 0 not" in answers[1][1]


def test_everything_else_says_what_to_install(certificate: Path, tmp_path: Path) -> None:
    here = ["--input", DIGIT]
    some = ["--data", "mnist5k"]
    cases = [
        ("explain", ["explain", MODEL, *here]),
        ("explain", ["explain", MODEL, *some]),
        ("explain", ["explain", MODEL, *here, "--minimal", "all"]),
        ("explain", ["demo"]),
        ("explain", ["ambiguity", MODEL, *some]),
        ("explain", ["campaign", MODEL, *some, "--out", "c"]),
        ("explain", ["gate", "--policy", policy_path("release"), "--model", MODEL, *some]),
        ("certify", ["certify", MODEL, *here, "--region", "linf:0.01"]),
    ]
    _refused(cases, EXTRAS, tmp_path)


def test_each_option_asks_for_its_own_extra(tmp_path: Path) -> None:
    here, some = ["--input", DIGIT], ["--data", "mnist5k", "--out", "c"]
    searching = set(PACKAGES["explain"])
    cases = [
        ("smt", ["explain", MODEL, *here, "--oracle", "smt"]),
        ("certify", ["explain", MODEL, *here, "--domain", "linf:0.01"]),
        ("certify", ["explain", MODEL, *here, "--device", "cuda"]),
        ("certify", ["explain", MODEL, *here, "--outside"]),
        ("certify", ["campaign", MODEL, *some, "--region", "linf:0.01"]),
        ("ray", ["campaign", MODEL, *some, "--engine", "ray"]),
        ("parquet", ["campaign", MODEL, *some, "--parquet", "rows.parquet"]),
        ("demo", ["demo", "--index", "3"]),
        ("demo", ["campaign", MODEL, *some]),
        ("vnnlib", ["vnnlib", "m.onnx", "q.vnnlib"]),
        ("attest", ["attest", "c.json", "--key", "k", "--out", "a.json"]),
        ("attest", ["verify-attestation", "a.json", "--key", "k"]),
    ]
    _refused(cases, set(EXTRAS) - searching, tmp_path)


def _refused(cases: list[tuple[str, list[object]]], blocked: object, cwd: Path) -> None:
    """One line that names the extra, exit code 2, and nothing is written."""
    answers, _ = verbs([command for _, command in cases], blocked, cwd)  # type: ignore[arg-type]
    for (extra, command), (code, out, err) in zip(cases, answers, strict=True):
        assert (code, out) == (2, ""), (command, err)
        assert re.fullmatch(
            rf"error: [^\n]* not installed: pip install 'protoproof\[{extra}\]'\n", err
        ), (command, err)
    assert not list(cwd.iterdir())


def test_explaining_needs_no_more_than_its_extra(tmp_path: Path) -> None:
    commands = [["demo", "--json"], ["explain", MODEL, "--input", DIGIT, "--json"]]
    answers, _ = verbs(commands, set(EXTRAS) - set(PACKAGES["explain"]), tmp_path)
    for code, out, _ in answers:
        assert (code, json.loads(out)["verdict"]) == (0, "proved")


API = """
import importlib
import protoproof
found = {}
for name in sorted(set(protoproof.__all__)):
    try:
        getattr(protoproof, name)
    except protoproof.errors.ProtoProofError as error:
        found[name] = str(error)
for room, name in (("campaign", "run_campaign"), ("gate", "run_gate")):
    try:
        getattr(importlib.import_module("protoproof." + room), name)
    except protoproof.errors.ProtoProofError as error:
        found[name] = str(error)
network = protoproof.load(sys.argv[1])
import numpy as np
try:
    network.observe(np.zeros(network.input_shape, dtype=np.float32))
except protoproof.errors.MissingDependencyError as error:
    found["observe"] = str(error)
print(json.dumps(found))
"""


def test_the_library_says_the_same(tmp_path: Path) -> None:
    found = run(API, EXTRAS, tmp_path, str(MODEL))
    assert set(found) == {
        "Certified",
        "Certifier",
        "Explainer",
        "Explanation",
        "Reach",
        "certify",
        "explain",
        "observe",
        "run_campaign",
        "run_gate",
    }
    for name, line in found.items():
        extra = "certify" if name in ("Certified", "Certifier", "certify") else "explain"
        assert line.endswith(f"pip install 'protoproof[{extra}]'"), line


PLUGIN = """
import contextlib, io, os, pytest
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # an installed copy would be loaded twice
out = io.StringIO()
with contextlib.redirect_stdout(out):
    pytest.main(["-q", "-p", "protoproof.pytest_plugin", "test_release.py"])
print(json.dumps(out.getvalue()))
"""
SUITE = """
import pytest

@pytest.mark.protoproof(model="net.onnx", policy="policy.yaml", data="mnist5k")
def test_release():
    pass

def test_something_else():
    pass
"""


def test_the_pytest_plugin_says_the_same_and_harms_no_other_test(tmp_path: Path) -> None:
    (tmp_path / "test_release.py").write_text(SUITE)
    shown = run(PLUGIN, EXTRAS, tmp_path)
    assert "pip install 'protoproof[explain]'" in shown
    assert "1 passed, 1 error" in shown


def test_extras_are_what_the_messages_say() -> None:
    for extra, packages in PACKAGES.items():
        assert set(packages) <= _installs(extra), extra


def _installs(extra: str) -> set[str]:
    found: set[str] = set()
    for requirement in EXTRA_OF_PROJECT[extra]:
        name = re.split(r"[<>=\[]", requirement)[0]
        if name == "protoproof":
            inner = requirement.partition("[")[2].rstrip("]")
            found |= set().union(*(_installs(word) for word in inner.split(",")))
        else:
            found.add(IMPORTED.get(name, name.replace("-", "_")))
    return found


def test_the_digit_is_the_one_that_the_demonstration_names() -> None:
    data = load_data("mnist5k")
    x = read_input(DIGIT, PixelRule((1, 28, 28)))
    assert x.tobytes() == data.x_test[0].tobytes()
    assert int(data.y_test[0]) == 0
