"""What a certificate says, without an image; and two files that stand in each other's place."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from protoproof.cli.two_files import read_certificate_file
from protoproof.explanation.explainer import explain
from protoproof.network import load
from protoproof.network.inputs import read_input
from protoproof.report.page.stated import fact_stated
from protoproof.resources import digit_path, zoo_path
from tests.support.blocked import EXTRAS, verbs
from tests.support.cli import protoproof
from tests.support.kernel.builders import core, pair_core, scene

MODEL = zoo_path("mnist-1x1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("told") / "digit.cert.json"
    done = protoproof("explain", MODEL, "--input", digit_path(), "--out", path, "--no-pages")
    assert done.code == 0
    return path


def test_it_says_facts_claims_and_what_is_open_without_model_and_input(certificate: Path) -> None:
    done = protoproof("show", certificate)
    assert (done.code, done.err) == (0, "")
    for word in (
        "digit.cert.json",
        "command",
        digit_path().name,
        "predicted   class 0",
        "squared distance",
        "It claims",
        "Level ",
        "Every latent there is",
        "It rests on",
        "Not claimed",
        "Nothing is said about other inputs",
        "Nothing was proved here",
    ):
        assert word in done.out, word


def test_with_the_model_facts_read_as_explain_wrote_them(certificate: Path) -> None:
    document = json.loads(protoproof("show", certificate, MODEL, "--json").out)
    assert document["model"]["name"] == "mnist-1x1"
    assert document["created"].startswith("20")
    assert document["predicted_name"] == "0"
    assert document["facts"]
    assert all("similarity" in sentence for sentence in document["facts"])
    bare = json.loads(protoproof("show", certificate, "--json").out)
    assert len(bare["facts"]) == len(document["facts"])
    assert bare["sha256"] == document["sha256"]
    assert bare["claims"]
    assert bare["not_proved"] == document["not_proved"]


def test_it_needs_a_plain_installation_only(certificate: Path, tmp_path: Path) -> None:
    commands = [["show", certificate], ["show", certificate, MODEL]]
    answers, modules = verbs(commands, EXTRAS, tmp_path)
    assert [(code, err) for code, _, err in answers] == [(0, "")] * 2
    assert not {"torch", "onnxruntime", "scipy"} & {name.partition(".")[0] for name in modules}


def test_another_model_is_refused_in_one_line(certificate: Path) -> None:
    done = protoproof("show", certificate, zoo_path("mnist-certified"))
    assert done.code == 2
    assert done.out == ""
    assert "is about another model" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["check", "show"])
def test_swapped_files_are_told_apart(verb: str, certificate: Path) -> None:
    done = protoproof(verb, MODEL, certificate)
    assert (done.code, done.out) == (2, "")
    assert (
        f"the certificate comes first, as in: protoproof {verb} {certificate} {MODEL}" in done.err
    )
    done = protoproof(verb, MODEL, MODEL)
    assert (done.code, done.out) == (2, "")
    assert "is no certificate, but a model" in done.err


def test_what_begins_like_json_is_read_on(tmp_path: Path) -> None:
    for name, text in (("a", '\n {"schema": 1}'), ("b", "")):
        path = tmp_path / name
        path.write_text(text)
        assert read_certificate_file(path, None, "protoproof show") == text.encode()


def test_check_says_what_was_proved_in_words(certificate: Path) -> None:
    done = protoproof("check", certificate, MODEL)
    assert "in words Every latent of the domain that meets the" in done.out
    assert "is classified “class 0”" in done.out
    assert "  - " in done.out
    assert done.out.endswith("certificate accepted\n")
    words = json.loads(protoproof("check", certificate, MODEL, "--json").out)["words"]
    told = json.loads(protoproof("show", certificate, "--json").out)["facts"]
    # where the model is at hand, ceilings have their number too
    assert [w for w in words["facts"] if not w.startswith("No ")] == [
        w for w in told if not w.startswith("No ")
    ]
    assert len(words["facts"]) == len(told)


def test_a_refused_certificate_has_no_words(certificate: Path, tmp_path: Path) -> None:
    document = json.loads(certificate.read_text())
    document["core"]["rivals"].pop()
    (tmp_path / "c.json").write_text(json.dumps(document))
    done = protoproof("check", tmp_path / "c.json", MODEL)
    assert done.code == 1
    assert "in words" not in done.out


def test_long_lists_are_cut_unless_asked_for(tmp_path: Path) -> None:
    network = load(MODEL)
    x = read_input(digit_path(), network.pixels)
    explain(network, x, vocabulary="topk", witnesses=False).save(tmp_path / "c.json")
    short = protoproof("check", tmp_path / "c.json", MODEL).out
    full = protoproof("check", tmp_path / "c.json", MODEL, "--verbose").out
    size = len(json.loads((tmp_path / "c.json").read_text())["core"]["facts"])
    assert full.count("\n  - ") == size
    assert short.count("\n  - ") == min(size, 12 + (size > 12))


def test_facts_read_rounded_outwards() -> None:
    here = scene(3, count=6, classes=3, grid=(2, 2), channels=4)
    pairs = pair_core(here)
    said = [fact_stated(fact, pairs) for fact in pairs.facts]
    assert all("squared distance to prototype" in sentence for sentence in said)
    ranking = sorted(range(len(here.best)), key=lambda j: here.best[j])
    facts = [*(here.activation(j) for j in ranking[:-1]), here.ceiling(ranking[-1], ranking[:-1])]
    stated = core(here, facts, "ceiling")
    ceiling = stated.facts[-1]
    assert "comes nearer than squared distance" in fact_stated(ceiling, stated, True)
    assert "exceeds activation" in fact_stated(ceiling, stated, False)
    assert "stored as level" in fact_stated(ceiling, stated, None)


def test_the_recheck_line_works_where_it_was_printed(tmp_path: Path) -> None:
    """From another directory than the checkout's, as a shell reads it."""
    shutil.copy(MODEL, tmp_path / "net.onnx")
    shutil.copy(digit_path(), tmp_path / "x.png")
    done = protoproof("explain", "net.onnx", "--input", "x.png", "--no-pages", cwd=tmp_path)
    line = next(line for line in done.out.splitlines() if line.startswith("re-check"))
    command = shlex.split(line.removeprefix("re-check"))
    assert not Path(command[-2]).is_absolute()
    assert command[-1] == "net.onnx"
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
