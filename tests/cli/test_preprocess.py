"""Pictures for a network whose preprocessing lies outside: refused, or as stated, everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protoproof.certificate.reader import read_certificate
from tests.support.cli import protoproof
from tests.support.network.builders import draft

STATED = "resize=6,crop=6,mean=0.485,0.456,0.406,std=0.229,0.224,0.225"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with the range of ImageNet's numbers, and pictures of two sizes."""
    folder = tmp_path_factory.mktemp("colour")
    parts, rng = draft(), np.random.default_rng(1)
    parts.weights["w1"] = rng.normal(0, 0.4, (5, 3, 3, 3)).astype(np.float32)
    parts.image = (3, 6, 6)
    parts.description["input"] = {"range": [-2.1179, 2.64]}
    parts.save(folder)
    for part, count in (("train", 1), ("test", 2)):
        for name in ("no", "yes"):
            (folder / "data" / part / name).mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 256, (9 + k, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "data" / part / name / f"{k}.png")
    return folder


def test_a_picture_and_a_folder_are_refused_alike(place: Path, tmp_path: Path) -> None:
    model, picture = place / "tiny.onnx", place / "data/test/no/0.png"
    for asked in (
        ("explain", model, "--input", picture, "--out", tmp_path / "x.cert.json"),
        ("certify", model, "--region", "linf:0.01", "--input", picture),
        ("explain", model, "--data", place / "data", "--out", tmp_path / "many"),
        ("campaign", model, "--data", place / "data", "--out", tmp_path / "c", "--workers", 1),
        ("ambiguity", model, "--data", place / "data", "--out", tmp_path / "a.json"),
    ):
        result = protoproof(*asked)
        assert result.code == 2
        assert len(result.err.splitlines()) == 1
        # the folder's pictures differ in size, which nobody said how to change
        said = "does not say how each colour is scaled; state it with --preprocess"
        assert (said if asked[2] != "--data" else "--preprocess resize=..") in result.err
    sized = protoproof("explain", model, "--data", place / "data", "--preprocess", "resize=6x6")
    assert "does not say how each colour is scaled" in sized.err
    assert not list(tmp_path.iterdir())


def test_as_stated_from_a_file_to_its_page(place: Path, tmp_path: Path) -> None:
    model, picture = place / "tiny.onnx", place / "data/test/no/0.png"
    certificate = tmp_path / "x.cert.json"
    said = protoproof(
        "explain", model, "--input", picture, "--preprocess", STATED, "--vocabulary", "topk",
        "--out", certificate,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "pixels were prepared as stated: resize=6,crop=6x6,mean=" in said.out
    envelope = read_certificate(certificate.read_bytes())
    assert envelope.about.preprocessing == STATED.replace("crop=6", "crop=6x6")
    # the certificate says how the picture became the input: nothing has to be repeated
    checked = protoproof("check", certificate, model, "--input", picture).out
    # whose word that is, is said
    assert "bit for bit; its pixels were prepared as stated: resize=6,crop=6x6,mean=" in checked
    page = tmp_path / "again.html"
    made = protoproof("report", certificate, "--model", model, "--input", picture, "--out", page)
    assert made.code == 0, made.err
    for written in (page, tmp_path / "x.html"):
        assert "as stated: resize=6,crop=6x6,mean=" in written.read_text(encoding="utf-8")
    # but it is not believed: another statement makes another input, which has another hash
    document = json.loads(certificate.read_bytes())
    document["about"]["preprocessing"] = "resize=6x6,range=-1,1"
    certificate.write_text(json.dumps(document))
    assert protoproof("check", certificate, model).code == 0
    assert protoproof("check", certificate, model, "--input", picture).code == 1
    document["about"]["preprocessing"] = "imagenet.yaml"
    certificate.write_text(json.dumps(document))
    refused = protoproof("check", certificate, model, "--input", picture)
    assert refused.code == 2
    assert "recorded preprocessing imagenet.yaml" in refused.err  # no file is read


def test_a_campaign_remembers(place: Path, tmp_path: Path) -> None:
    model, data, out = place / "tiny.onnx", place / "data", tmp_path / "c"
    asked = ("--preprocess", STATED, "--vocabulary", "topk")
    done = protoproof("campaign", model, "--data", data, "--out", out, *asked, "--workers", 1)
    assert done.code == 0, done.err
    report = protoproof("report", out, "--out", tmp_path / "r.html")
    assert report.code == 0, report.err
    assert "certificates 4 accepted, 0 not" in report.out
    assert "not what was explained" not in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert protoproof("diff", out, out).code == 0
    # the same inputs, one after another
    many = tmp_path / "many"
    protoproof("explain", model, "--data", data, "--out", many, *asked)
    stored = [read_certificate(path.read_bytes()) for path in sorted(many.glob("*.cert.json"))]
    kept = [read_certificate(path.read_bytes()) for path in out.rglob("*.cert.json")]
    assert {e.core.instance.input_sha256 for e in stored} == {
        e.core.instance.input_sha256 for e in kept
    }
    assert {e.about.preprocessing for e in stored + kept} == {STATED.replace("crop=6", "crop=6x6")}
