"""Nothing that answers another question is written over or removed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.reader import read_certificate
from protoproof.data.dataset import load_data
from protoproof.explanation.evidence import evidence_name
from protoproof.report.files import explanation_files
from protoproof.resources import zoo_path
from tests.support.cli import Result, protoproof

MODEL = zoo_path("mnist-certified")


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """One file name in three folders, two of which are called alike."""
    for number, folder in enumerate(("cross", "circle", "more/cross")):
        (tmp_path / folder).mkdir(parents=True)
        np.save(tmp_path / folder / "000.npy", load_data("mnist5k").x_test[number])
    return tmp_path


def explain(folder: Path, name: str, *more: object) -> Result:
    asked = ("--input", name, "--vocabulary", "ceiling", "--no-witnesses", "--no-pages", "--quiet")
    return protoproof("explain", MODEL, *asked, *more, cwd=folder)


def certify(folder: Path, region: str, *more: object) -> Result:
    asked = ("--input", "cross/000.npy", "--method", "interval", "--region", region, "--quiet")
    return protoproof("certify", MODEL, *asked, *more, cwd=folder)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_names_hold_network_folder_and_file(digits: Path) -> None:
    for name in ("cross/000.npy", "circle/000.npy"):
        assert explain(digits, name).code == 0
    out = digits / "out" / "explain"
    names = {f"mnist-certified--{folder}-000--ceiling" for folder in ("cross", "circle")}
    assert set(files(out)) == {f"{n}.{end}" for n in names for end in ("cert.json", "check.json")}
    before = files(out)
    assert explain(digits, "more/cross/000.npy").code == 0  # the names are alike, the inputs not
    after = files(out)
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2
    about = [
        read_certificate(c).about.input_name for n, c in after.items() if n.endswith("cert.json")
    ]
    assert about == ["000.npy"] * 3
    assert explain(digits, "more/cross/000.npy").code == 0
    assert set(files(out)) == set(after)  # the same question has the same name


@pytest.mark.parametrize(
    ("name", "more"), [("circle/000.npy", ()), ("cross/000.npy", ("--domain", "linf:0.01"))]
)
def test_a_chosen_name_is_not_written_over(digits: Path, name: str, more: tuple[str, ...]) -> None:
    out = digits / "out"
    assert explain(digits, "cross/000.npy", "--out", out / "x.cert.json").code == 0
    before = files(out)
    result = explain(digits, name, *more, "--out", out / "x.cert.json")
    assert (result.code, result.out) == (2, "")
    assert "answers another question" in result.err
    assert files(out) == before
    assert explain(digits, "cross/000.npy", "--out", out / "x.cert.json").code == 0


def test_a_page_without_its_certificate_is_not_written_over(digits: Path) -> None:
    (digits / "x.html").write_text("somebody's page")
    result = explain(digits, "cross/000.npy", "--out", "x.cert.json")
    assert (result.code, (digits / "x.html").read_text()) == (2, "somebody's page")


def test_regions_keep_their_answers(digits: Path) -> None:
    out = digits / "out" / "certify"
    assert certify(digits, "linf:0.1", "--no-falsify").code == 0
    proof = files(out)
    name = "mnist-certified--cross-000--linf-0.1"
    assert set(proof) == {f"{name}.{end}" for end in ("cert.json", "html", "region.json")}
    assert certify(digits, "linf:0.18", "--no-falsify").code == 3
    undecided = {f"{name}8.html", f"{name}8.region.json"}
    assert set(files(out)) - set(proof) == undecided
    assert proof.items() < files(out).items()
    assert json.loads(files(out)[f"{name}8.region.json"])["verdict"] == "unknown"
    assert certify(digits, "linf:0.18", "--no-falsify").code == 3  # the same question, once more
    assert set(files(out)) - set(proof) == undecided
    assert certify(digits, "linf:0.3").code == 1
    assert proof.items() < files(out).items()


def test_a_chosen_name_keeps_the_answer_about_its_region(digits: Path) -> None:
    out = digits / "out"
    chosen = ("--out", out / "r.cert.json")
    assert certify(digits, "linf:0.3", *chosen).code == 1
    refuted = files(out)
    assert set(refuted) == {"r.counterexample.npy", "r.html", "r.region.json"}
    record = json.loads(refuted["r.region.json"])
    assert (record["verdict"], record["region"]) == ("refuted", "linf:0.3")
    for region in ("linf:0.1", "linf:0.18"):
        result = certify(digits, region, *chosen)
        assert (result.code, result.out) == (2, "")
        assert "answers another question" in result.err
    assert files(out) == refuted
    # nothing is found this time; what was found is no less true
    again = protoproof(
        *("certify", MODEL, "--input", "cross/000.npy", "--method", "interval"),
        *("--region", "linf:0.3", "--no-falsify", *chosen),
        cwd=digits,
    )
    assert again.code == 3
    assert f"another answer to this question stays: {out / 'r.counterexample.npy'}" in unwrapped(
        again.out
    )
    assert files(out) == refuted


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_another_proof_of_the_same_question_stays(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another vocabulary, or fewer claims, under the same name: nothing that was proved is lost."""
    out = digits / "out" / "x.cert.json"
    assert explain(digits, "cross/000.npy", "--out", out).code == 0
    first = files(digits / "out")
    assert explain(digits, "cross/000.npy", "--out", out).code == 0
    assert files(digits / "out").keys() == first.keys()  # the same proof again
    said = protoproof(
        *("explain", MODEL, "--input", "cross/000.npy", "--vocabulary", "topk", "--no-witnesses"),
        *("--no-pages", "--out", out),
        cwd=digits,
    )
    assert said.code == 0, said.err
    (kept,) = (digits / "out").glob("x--earlier-*.cert.json")
    assert f"another proof of this stays: {kept}" in unwrapped(said.out)
    before, after = (read_certificate(path.read_bytes()).core for path in (kept, out))
    assert (before.vocabulary, after.vocabulary) == ("ceiling", "topk")
    found = explanation_files.explained_beside

    def nothing(*asked: Any, **more: Any) -> Any:
        result, extras = found(*asked, **more)
        return replace(result, certificate=None, check=None), extras

    monkeypatch.setattr(explanation_files, "explained_beside", nothing)
    again = protoproof("explain", MODEL, "--input", "cross/000.npy", "--out", out, cwd=digits)
    assert f"{out} is a proof of this, and stays" in unwrapped(again.out)


def test_what_is_read_is_not_written_over(digits: Path) -> None:
    assert explain(digits, "cross/000.npy", "--out", "x.cert.json").code == 0
    certificate, picture = digits / "x.cert.json", digits / "cross" / "000.npy"
    model = digits / "net.onnx"
    model.write_bytes(MODEL.read_bytes())
    read = certificate, model, picture
    kept = [path.read_bytes() for path in read]
    for path in read:
        about = ("report", certificate, "--model", model, "--input", picture)
        assert protoproof(*about, "--out", path).code == 2
        for option in ("--statement", "--coq"):
            done = protoproof("check", certificate, model, "--input", picture, option, path)
            assert (done.code, done.out) == (2, "")
            assert f"would write over {path}" in done.err
    assert [path.read_bytes() for path in read] == kept


def test_names_are_names_everywhere() -> None:
    assert evidence_name(Path("a/net.onnx"), Path("../x y/b.png"), "", "linf:0.02") == (
        "net--x-y-b--linf-0.02"
    )
    assert evidence_name(Path("net.onnx"), Path("b.png")) == "net--b"
    assert evidence_name(Path("net.onnx"), None, "vnnlib:p/q.vnnlib") == "net--vnnlib-p-q.vnnlib"
    assert len(evidence_name(Path("n" * 200), Path("i" * 200), "r" * 200)) < 200
