"""What pixels outside of a shown box can do: bounds that hold, and that the checker finds again."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from protoproof.certificate.schema import Core, PairFact
from protoproof.certification.holding import unheld
from protoproof.certification.outside import Outside, keeping
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.network import Network, load
from protoproof.report.files.beside import Beside
from protoproof.report.files.explanation_files import Files, explain_to_files
from protoproof.report.files.outside import OutsideBoxes, require_boxes
from protoproof.report.page.reading import recorded_reading
from protoproof.resources import zoo_path
from tests.support.network.builders import draft


@cache
def x() -> NDArray[np.float32]:
    return np.random.default_rng(5).random((1, 6, 6), dtype=np.float32)


def explained(folder: Path, size: int, vocabulary: str = "pairs") -> tuple[Explainer, Core]:
    """A network whose locations see 3 x 3 pixels, and said to see so many, squared."""
    parts = draft(grid=(3, 3))
    assert parts.description is not None
    start = [-(size // 2)] * 2
    field = {"size": [size, size], "stride": [2, 2], "start": start}
    parts.description["latent"]["receptive_field"] = field
    explainer = Explainer(load(parts.save(folder)))
    found = explainer.explain(x(), vocabulary=vocabulary, witnesses=False)
    assert found.certificate is not None
    return explainer, found.certificate.core


def require_true(explainer: Explainer, found: tuple[Outside, ...]) -> list[float]:
    """Whatever is outside, what is measured is between the ends; how much of that is reached."""
    rng, reached = np.random.default_rng(0), []
    for each in found:
        assert each.found is not None, each.reason
        low, high = float.fromhex(each.found.lower), float.fromhex(each.found.upper)
        seen = []
        y0, x0, y1, x1 = each.shown.box
        for _ in range(20):
            other = rng.integers(0, 2, x().shape).astype(np.float32)
            other[:, y0:y1, x0:x1] = x()[:, y0:y1, x0:x1]
            latent = explainer.network.observe(other).latent.astype(np.float64)
            measured = explainer.network.head.measurement(latent)
            seen.append(float(measured[each.shown.location, each.shown.prototype]))
        assert low - 1e-5 <= min(seen) <= max(seen) <= high + 1e-5
        reached.append((max(seen) - min(seen)) / (high - low))
    return reached


@pytest.mark.parametrize("vocabulary", ["pairs", "ceiling"])
def test_nothing_enters_a_box_that_holds_all_that_a_location_sees(
    vocabulary: str, tmp_path: Path
) -> None:
    explainer, core = explained(tmp_path, 3, vocabulary)
    boxes = OutsideBoxes.of(explainer, x(), core)
    assert boxes.found
    assert all(each.still for each in boxes.found)
    require_true(explainer, boxes.found)
    reading = recorded_reading(explainer.network, core)
    for each, told in zip(boxes.found, boxes.to_json(reading)["boxes"], strict=True):
        assert told["upper"] - told["lower"] < 1e-5
        assert not told["enters"]
        assert "no pixel outside" in told["sentence"]
        assert each.pixels == 36 - (told["box"][2] - told["box"][0]) * (
            told["box"][3] - told["box"][1]
        )


def test_pixels_enter_a_box_that_is_too_small(tmp_path: Path) -> None:
    explainer, core = explained(tmp_path, 1)
    boxes = OutsideBoxes.of(explainer, x(), core)
    assert boxes.found
    assert not any(each.still for each in boxes.found)
    assert max(require_true(explainer, boxes.found)) > 0.3  # and the bounds are no wild ones
    note = boxes.note(recorded_reading(explainer.network, core))
    assert any("may enter" in sentence for sentence in note.sentences)
    assert all("whatever is outside" in line for line in note.lists[0].items)


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_the_checker_refuses_ends_that_do_not_hold(side: str, tmp_path: Path) -> None:
    explainer, core = explained(tmp_path, 1)
    each = OutsideBoxes.of(explainer, x(), core).found[0]
    found = each.found
    assert found is not None
    region = keeping(explainer.network, x(), each.shown.box)
    assert not unheld(explainer, core, region, (found,))
    low, high = float.fromhex(found.lower), float.fromhex(found.upper)
    inward = low + 1e-4 * (high - low) if side == "lower" else high - 1e-4 * (high - low)
    forged = found.model_copy(update={side: inward.hex()})
    assert "may fail" in unheld(explainer, core, region, (forged,))


def test_it_is_the_region_that_is_proved(tmp_path: Path) -> None:
    """Of a box that does not hold what the location sees, the narrow ends are refused."""
    explainer, core = explained(tmp_path, 3)
    each = next(e for e in OutsideBoxes.of(explainer, x(), core).found if e.pixels)
    assert isinstance(each.found, PairFact)
    y0, x0, y1, x1 = each.shown.box
    for box in ((y0, x0, y1 - 1, x1), (y0, x0, y1, x1 - 1)):
        region = keeping(explainer.network, x(), box)
        assert unheld(explainer, core, region, (each.found,))


def test_page_and_document_say_it(tmp_path: Path) -> None:
    explainer, _ = explained(tmp_path, 1)
    files = Files(tmp_path / "x.cert.json", ["protoproof"], ["explain"])
    options = ExplainOptions("pairs", witnesses=False)
    session = explain_to_files(explainer, x(), "x", files, options, Beside(outside=True))
    told = session.to_json()["outside"]
    assert (told["pixels_from"], told["pixels_to"]) == explainer.network.input_range
    assert len(told["boxes"]) == session.explanation.size
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert all(each["sentence"].partition(":")[0] in page for each in told["boxes"])
    assert "What pixels outside of the boxes can do" in page


def test_networks_without_boxes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = load(zoo_path("mnist-7x7"))
    monkeypatch.setattr(Network, "receptive_fields", (None,))
    with pytest.raises(UsageError, match="show no box"):
        require_boxes(network)
