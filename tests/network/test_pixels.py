"""What a network takes pixels as: as somebody states, and where nobody does it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from protoproof.data.preprocess import parse
from protoproof.errors import DescriptionError, UsageError
from protoproof.network import load
from protoproof.network.pixels import PixelRule
from protoproof.resources import zoo_path
from tests.support.network.builders import draft

MEAN, STD = [0.13], [0.31]
LOW, HIGH = -0.13 / 0.31, 0.87 / 0.31


def rule(folder: Path, said: dict[str, Any], given: str | None = None) -> PixelRule:
    parts = draft()
    parts.description["input"] = said
    return load(parts.save(folder), preprocess=given).pixels


def test_mean_and_std_inside_the_graph_are_only_told(tmp_path: Path) -> None:
    said = {"range": [0.0, 1.0], "normalisation": {"mean": MEAN, "std": STD}}
    found = rule(tmp_path, said)
    assert (found.range, found.preprocessing, found.problem) == ((0.0, 1.0), None, "")


def test_mean_and_std_outside_the_graph_are_used(tmp_path: Path) -> None:
    """The range is the one that they lead to, and no picture leaves it by rounding."""
    said = {"range": [-0.419, 2.806], "normalisation": {"mean": MEAN, "std": STD}}
    found = rule(tmp_path, said)
    assert found.text == "mean=0.13,std=0.31"
    assert found.range == pytest.approx((LOW, HIGH), abs=1e-6)
    white = found.values(np.ones((1, 6, 6), np.float32))
    assert white.max() <= np.float32(found.range[1])
    assert white.max() == pytest.approx(HIGH)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "which numbers the network takes for pixels is not stated"),
        ({"normalisation": {"mean": MEAN, "std": STD}}, "no range: whether the graph applies"),
        (
            {"range": [-3.0, 3.0], "normalisation": {"mean": MEAN, "std": STD}},
            "do not lead to its range",
        ),
        (
            {"range": [-0.4, 2.8], "normalisation": {"mean": MEAN * 3, "std": STD * 3}},
            "of other channels",
        ),
    ],
)
def test_where_it_is_open_the_line_says_what_to_give(
    tmp_path: Path, said: dict[str, Any], problem: str
) -> None:
    found = rule(tmp_path, said)
    assert problem in found.problem
    assert "--preprocess" in found.problem
    wide = {} if "range" not in said else {"range": [LOW, HIGH]}
    assert rule(tmp_path, wide | {}, "mean=0.13,std=0.31").problem == ""


def test_a_range_of_three_scalings(tmp_path: Path) -> None:
    """Of one channel a linear scaling is the only one; of three, nobody knows which."""
    assert PixelRule((1, 6, 6), (-0.42, 2.82)).problem == ""
    for known in ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (-128.0, 128.0)):
        assert PixelRule((3, 6, 6), known).problem == ""
    for shape in ((3, 6, 6), (6, 6, 3)):
        assert "does not say how each colour" in PixelRule(shape, (-2.1179, 2.64)).problem


def test_the_description_may_state_all_of_it(tmp_path: Path) -> None:
    said = {"preprocessing": "resize=8,crop=6,mean=0.5,std=0.25"}
    found = rule(tmp_path, said)
    assert found.range == (-2.0, 2.0)
    assert found.preprocessing == parse("resize=8,crop=6x6,mean=0.5,std=0.25", "x")
    assert rule(tmp_path, said, "range=0,1").range == (0.0, 1.0)  # what is given comes first
    with pytest.raises(DescriptionError, match=r"input\.preprocessing: blur: 'blur' is not"):
        rule(tmp_path, {"preprocessing": "blur"})


def test_what_contradicts_the_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"from -2 to 2, and the network states the range \[0, 1\]"
    ):
        rule(tmp_path, {"range": [0.0, 1.0]}, "mean=0.5,std=0.25")
    with pytest.raises(UsageError, match="for 3 channels, and the network takes 1"):
        rule(tmp_path, {}, "imagenet")
    kept = rule(tmp_path, {"range": [0.0, 1.0]}, "resize=6x6")  # only which pixels count
    assert (kept.range, kept.known) == ((0.0, 1.0), True)


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5, 3)])
def test_both_layouts_and_back(shape: tuple[int, ...]) -> None:
    stated = parse("bgr,mean=0.1,0.2,0.3,std=0.5", "x")
    taken = PixelRule(shape, stated.limits(3), preprocessing=stated)
    image = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    x = taken.values(image)
    assert x.shape == shape
    first = x if shape[0] == 3 else np.moveaxis(x, 2, 0)
    np.testing.assert_allclose(first[0], (image[2] - 0.1) / 0.5, rtol=1e-5, atol=1e-6)
    shown = taken.image(x)
    np.testing.assert_allclose(
        shown if shape[0] == 3 else np.moveaxis(shown, 2, 0), image, atol=1e-6
    )


def test_what_the_model_says_otherwise_is_said(tmp_path: Path) -> None:
    said = {"preprocessing": "mean=0.5,std=0.25"}
    assert rule(tmp_path, said, "mean=0.5,std=0.25").against == ""
    assert rule(tmp_path, said, "mean=0.4,std=0.25").against == (
        "the model describes its preprocessing as mean=0.5,std=0.25"
    )
    said = {"normalisation": {"mean": MEAN, "std": STD}}
    assert rule(tmp_path, said, "mean=0.13,std=0.31").against == ""
    found = rule(tmp_path, said, "mean=0.5,std=0.25")
    assert found.against == "the model describes mean=0.13,std=0.31"
    assert found.remark().endswith("; but the model describes mean=0.13,std=0.31")


def test_mean_and_std_that_are_applied_twice_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The zoo's networks normalise inside, and here nobody says so."""
    model = onnx.load(zoo_path("mnist-1x1"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "net.onnx")
    assert load(tmp_path / "net.onnx", preprocess="range=0,1").pixels.against == ""
    assert not caplog.records
    twice = load(tmp_path / "net.onnx", preprocess="mean=0.13,std=0.31").pixels.against
    assert twice.startswith("the network itself begins with Sub and Div by stored numbers")
    assert [record.getMessage() for record in caplog.records] == [
        f"--preprocess mean=0.13,std=0.31: {twice}"
    ]
