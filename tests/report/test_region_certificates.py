"""What pages and commands say of a region's certificate: its unit, its limits, a rejection."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from protoproof.network import load
from protoproof.report.page.units import unit_words
from protoproof.resources import digit_path, zoo_path
from tests.support.cli import protoproof

MODEL = zoo_path("mnist-certified")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network, about whose numbers nobody states anything."""
    model = onnx.load(MODEL)
    del model.metadata_props[:]
    path = tmp_path_factory.mktemp("bare") / "net.onnx"
    onnx.save(model, path)
    return path


def test_pixels_as_they_are() -> None:
    network = load(MODEL)
    assert unit_words(network, "linf:0.02") == (
        "Sizes are in pixels from 0 (black) to 1 (white), which the network takes as they are, "
        "and normalises by itself: 0.02 is 5.10 of 255 steps."
    )
    assert unit_words(network, "l2:1").endswith("normalises by itself.")
    assert unit_words(network, "occlude:1,1,2,2") == ""
    assert unit_words(network, "shift:2") == ""


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("mean=0.5,std=0.25", ("are 4.00 of them", "0.02 is 0.00500 of a pixel (1.28 of 255 ")),
        ("range=-1,1", ("are 2.00 of them", "0.02 is 0.0100 of a pixel")),
        ("range=0,255", ("are 255 of them", "(0.0200 of 255 steps)")),
    ],
)
def test_numbers_that_are_no_pixels(bare: Path, stated: str, words: tuple[str, ...]) -> None:
    network = load(bare, preprocess=stated)
    said = unit_words(network, "linf:0.02")
    assert "and not in pixels from 0 to 1" in said
    assert stated in said
    for word in words:
        assert word in said, said


def test_what_nobody_states(bare: Path) -> None:
    assert "what a pixel is in them, nobody states" in unit_words(load(bare), "linf:0.02")


@pytest.fixture(scope="module")
def certified(bare: Path) -> tuple[Path, str]:
    """A certificate beside its page, and what the command said."""
    out, stated = bare.parent / "r.cert.json", ("--preprocess", "mean=0.5,std=0.25")
    done = protoproof(
        "certify", bare, *stated, "--input", digit_path(), "--region", "linf:0.02", "--out", out
    )
    assert done.code == 0, done.err
    return out, done.out


def test_command_page_and_show_say_it(bare: Path, certified: tuple[Path, str]) -> None:
    out, printed = certified
    page = out.with_name("r.html").read_text(encoding="utf-8")
    for told in (printed, page, protoproof("show", out, bare).out, protoproof("show", out).out):
        said = " ".join(told.split())
        assert "prepared as stated: mean=0.5,std=0.25" in said
        assert "0.02 is 0.00500 of a pixel (1.28 of 255 steps)" in said


def test_a_page_about_a_region_speaks_of_no_facts_and_boxes(certified: tuple[Path, str]) -> None:
    page = certified[0].with_name("r.html").read_text(encoding="utf-8")
    assert "Nothing is said about inputs outside the region." in page
    for word in ("do not meet the facts", "the boxes on the input"):
        assert word not in page


def test_a_rejected_certificate_is_red_and_says_so_first(
    bare: Path, certified: tuple[Path, str], tmp_path: Path
) -> None:
    document = json.loads(certified[0].read_text())
    document["core"]["domain"]["region"]["radius"] = "1/2"
    (tmp_path / "c.json").write_text(json.dumps(document))
    again = ("--model", bare, "--input", digit_path(), "--out", tmp_path / "c.html")
    done = protoproof("report", tmp_path / "c.json", *again)
    assert done.code == 1
    html = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "<h1>Rejected: this certificate proves nothing</h1>" in html
    assert '<section class="verdict bad">' in html
    assert "is open" not in html
    assert 'class="stamp is-good"' not in html
