"""Worker processes: what one instance does to its worker costs that instance only."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from protoproof.campaign import Campaign, Limits, Options, run_campaign
from protoproof.campaign.executor import GRACE
from protoproof.errors import InternalError, ModelError
from tests.support.campaign import MODEL, Poisoned, network, some

LIMITS = Limits(seconds=6.0, megabytes=1500)


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    harm = {1: "hang", 2: "crash", 3: "exhaust", 4: "raise", 5: "refuse", 6: "fragile"}
    # before the folder's workers are warm: these start afresh, as users' do
    return run_campaign(
        network(),
        some(8),
        tmp_path_factory.mktemp("poisoned"),
        limits=LIMITS,
        workers=2,
        make_server=Poisoned(harm),
    )


@pytest.mark.parametrize(
    ("index", "state", "reason"),
    [
        (0, "undecided", "harmless"),
        (1, "timeout", "more than 6 s"),
        (2, "error", "the worker ended without an answer: signal 11"),
        (3, "memory", "more memory than 1500 MB"),
        (4, "error", "ZeroDivisionError: a planted failure"),
        (5, "error", "a planted refusal"),
        (6, "undecided", "a planted disagreement"),
        (7, "undecided", "harmless"),
    ],
)
@pytest.mark.trust(39, 40, 42)
def test_poison_is_recorded_and_the_rest_goes_on(
    poisoned: Campaign, index: int, state: str, reason: str
) -> None:
    record = poisoned.rows[index].record
    assert (record.state, record.reason) == (state, reason)


@pytest.mark.trust(39)
def test_a_worker_that_ignores_its_limit_is_killed(poisoned: Campaign) -> None:
    """It would have slept for ever; it was given its time and the grace, and no less."""
    timings = json.loads((poisoned.directory / "timings.json").read_text())
    spent = {row["index"]: row["seconds"] for row in timings["instances"]}
    assert spent[1] >= LIMITS.seconds + GRACE


def test_no_worker_is_left(poisoned: Campaign) -> None:
    assert not children()


def children() -> list[int]:
    """Processes whose parent is this one, except Python's own bookkeeper."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            command = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and b"resource_tracker" not in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.trust(41)
def test_one_worker_or_three_give_equal_rows(tmp_path: Path) -> None:
    one, three = (
        run_campaign(network(), some(6), tmp_path / str(n), workers=n, options=Options())
        for n in (1, 3)
    )
    assert one.rows == three.rows
    assert (tmp_path / "1" / "summary.json").read_bytes() == (
        tmp_path / "3" / "summary.json"
    ).read_bytes()
    for row in one.rows:
        name = f"certificates/{row.key}.cert.json"
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_a_model_that_changes_under_the_campaign_is_noticed(tmp_path: Path) -> None:
    from protoproof.network import load

    path = tmp_path / "model.onnx"
    path.write_bytes(MODEL.read_bytes())
    planned = load(path)
    path.write_bytes((MODEL.parent / "mnist-1x1.onnx").read_bytes())
    with pytest.raises(ModelError, match="changed"):
        run_campaign(planned, some(2), tmp_path / "out")


class Stillborn:
    """Workers that never come to life."""

    def __call__(self) -> None:
        os._exit(7)


def test_workers_that_cannot_start_end_the_campaign(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="exit code 7"):
        run_campaign(network(), some(2), tmp_path, make_server=Stillborn())


def test_inputs_are_sent_bit_for_bit(tmp_path: Path) -> None:
    data = some(2)
    result = run_campaign(network(), data, tmp_path, options=Options(witnesses=False))
    from protoproof.network.recorded import input_digest

    assert [row.instance for row in result.rows] == [input_digest(np.asarray(x)) for x in data.x]
