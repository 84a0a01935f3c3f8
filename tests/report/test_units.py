"""The size of a region is in the network's own numbers; what a pixel is in them is said."""

from __future__ import annotations

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


def test_command_page_and_show_say_it(bare: Path, tmp_path: Path) -> None:
    out, stated = tmp_path / "r.cert.json", ("--preprocess", "mean=0.5,std=0.25")
    done = protoproof(
        "certify", bare, *stated, "--input", digit_path(), "--region", "linf:0.02", "--out", out
    )
    assert done.code == 0, done.err
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    shown = protoproof("show", out, bare).out
    alone = protoproof("show", out).out
    for said in (done.out, page, shown, alone):
        said = " ".join(said.split())
        assert "prepared as stated: mean=0.5,std=0.25" in said
        assert "0.02 is 0.00500 of a pixel (1.28 of 255 steps)" in said
