"""The network runs once per instance, whatever is asked about it and however often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.campaign import Campaign, Options, confirm, read_campaign, run_campaign
from protoproof.campaign.latents import KeptSession
from protoproof.network import Network, load
from protoproof.network.onnx.runtime import Session
from protoproof.resources import zoo_path
from tests.support.campaign import PATIENT, InlineEngine, network, some

COUNT = 2
QUICK = Options(vocabulary="topk", witnesses=False)


class Runs:
    """How often the runtime computed something, by input."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen: list[bytes] = []
        once = Session._results

        def spy(session: Session, outputs: tuple[str, ...], feed: Any) -> list[Any]:
            self.seen += [np.asarray(x).tobytes() for x in feed.values()]
            return once(session, outputs, feed)

        patch.setattr(Session, "_results", spy)

    def of(self, x: np.ndarray) -> int:
        return self.seen.count(x.tobytes())


def run(out: Path, count: int = COUNT, **settings: Any) -> Campaign:
    usual = {"options": QUICK, "engine": InlineEngine, "limits": PATIENT}
    return run_campaign(network(), some(count), out, **(usual | settings))


def certificates(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((out / "certificates").iterdir())]


def test_explanation_and_regions_share_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(monkeypatch)
    run(tmp_path, 1, regions=("linf:0.001", "brightness:0.001"))
    # what a region's search tries beside the instance is no instance
    assert runs.of(some(1).x[0]) == 1 < len(runs.seen)


def test_other_options_take_what_is_there_and_find_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(QUICK, level="R")
    run(tmp_path / "fresh", options=other)
    run(tmp_path / "twice")
    runs = Runs(monkeypatch)
    again = run(tmp_path / "twice", options=other)
    assert (again.computed, runs.seen) == (COUNT, [])
    assert set(certificates(tmp_path / "fresh")) <= set(certificates(tmp_path / "twice"))


@pytest.mark.parametrize("change", ["cut off", "another shape", "NaN", "a link", "nothing"])
def test_what_is_not_such_a_file_is_computed_again(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, x = _kept(network(), tmp_path), some(1).x[0]
    before = _run(session, x)
    (path,) = tmp_path.iterdir()
    if change == "cut off":
        path.write_bytes(path.read_bytes()[:-40])
    elif change == "a link":
        path.rename(tmp_path / "other")
        path.symlink_to(tmp_path / "other")
    elif change != "nothing":
        first = before[0][:, :1] if change == "another shape" else np.full_like(before[0], np.nan)
        path.write_bytes(first.tobytes() + before[1].tobytes())
    runs = Runs(monkeypatch)
    after = _run(session, x)
    assert runs.of(x) == (change != "nothing")
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_network_or_input_or_runtime_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = some(2).x
    _run(_kept(network(), tmp_path), first)
    assert len(list(tmp_path.iterdir())) == 1
    _run(_kept(network(), tmp_path), second)
    assert len(list(tmp_path.iterdir())) == 2
    _run(_kept(load(zoo_path("mnist-1x1")), tmp_path), first)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr("protoproof.campaign.latents.version", lambda _: "0.0.0")
    _run(_kept(network(), tmp_path), first)
    assert len(list(tmp_path.iterdir())) == 4


def test_kept_results_of_another_instance_prove_nothing(tmp_path: Path) -> None:
    """Somebody exchanged two files: what is explained then is true of no instance."""
    run(tmp_path / "fresh")
    one, other = sorted((tmp_path / "fresh" / "latents").iterdir())
    (tmp_path / "latents").mkdir()
    (tmp_path / "latents" / one.name).write_bytes(other.read_bytes())
    (tmp_path / "latents" / other.name).write_bytes(one.read_bytes())
    assert run(tmp_path).states["proved"] == COUNT  # by the ledger, which nobody believes
    found = confirm(read_campaign(tmp_path), network(), some(COUNT))
    assert found.states["proved"] == 0
    assert {complaint.text for complaint in found.complaints.values()} == {
        "certificate records another latent than ONNX Runtime computes here"
    }
    assert all(complaint.final for complaint in found.complaints.values())


def test_a_campaigns_reader_sees_no_latents(tmp_path: Path) -> None:
    run(tmp_path)
    assert len(list((tmp_path / "latents").iterdir())) == COUNT
    assert len(read_campaign(tmp_path).rows) == COUNT


def _kept(net: Network, folder: Path) -> KeptSession:
    return KeptSession(net, folder)


def _run(session: KeptSession, x: np.ndarray) -> list[np.ndarray]:
    session.about(x)
    names = (*network().recognised.latents, network().recognised.scores)
    return session.run(names, {network().view.input: x[None]})
