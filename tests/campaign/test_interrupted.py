"""Killed, terminated, out of space: what was finished stays, and a resumed run is the same."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from protoproof.campaign import Record, read_campaign
from protoproof.campaign.executor import Outcome, Ready
from protoproof.campaign.executor_process import LocalWorker
from tests.support.campaign import MODEL, Halting, small_file
from tests.support.cli import ROOT, forked, protoproof

CAMPAIGN = ["campaign", str(MODEL)]
COUNT = 12  # instances


@pytest.mark.parametrize("points", [8, pytest.param(40, marks=pytest.mark.sweep)])
@pytest.mark.trust(34)
def test_killed_at_random_points_and_resumed_is_the_same(tmp_path: Path, points: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(tmp_path), str(points)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["kills"] >= points
    assert counts["finished"] >= 1


def start(out: Path, *options: str) -> subprocess.Popen[str]:
    """A campaign that has begun to store results, and cannot end by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.halting", *CAMPAIGN, "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    while len(list(out.glob("certificates/*.json"))) < Halting.ANSWERED - 1:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def test_ctrl_c_while_a_worker_starts_is_for_the_campaign_alone() -> None:
    """A terminal sends it to every process; one that is loading would end in a traceback."""
    worker = LocalWorker(lambda: lambda task: Outcome(Record("error")), None)
    try:
        os.kill(worker._process.pid or 0, signal.SIGINT)
        assert isinstance(worker.receive(), Ready)
    finally:
        worker.kill()


def descendants(parent: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.add(int(path.parent.name))
    return found


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGTERM, id="TERM"),
        pytest.param(signal.SIGKILL, id="KILL", marks=pytest.mark.sweep),
    ],
)
@pytest.mark.trust(35)
def test_no_worker_outlives_the_campaign(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    data = ("--data", str(small_file(tmp_path, COUNT)))
    process = start(out, *data, "--workers", "2", "--timeout", "1e6")
    workers = descendants(process.pid)
    assert len(workers) >= 2
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number
    while not all(map(gone, workers)):  # they halt: without help they are never gone
        time.sleep(0.02)
    states = read_campaign(out).states
    assert states["proved"] >= 2  # the row of the last certificate may be missing
    assert states["proved"] + states["not_run"] == COUNT
    if number == signal.SIGTERM:  # in good order: what is there is summed up
        assert json.loads((out / "summary.json").read_text())["states"] == states
    resumed = protoproof(*CAMPAIGN, *data, "--out", out, "--json")
    assert resumed.code == 0
    assert json.loads(resumed.out)["run"]["reused"] >= states["proved"]


@pytest.mark.parametrize("largest", [4096, 75_000], ids=["the plan", "the results"])
@pytest.mark.trust(36)
def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path: Path, largest: int) -> None:
    """A limit on file sizes fails as a full disk does: in the middle of writing."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    out = tmp_path / "out"
    chosen = ["--data", str(small_file(tmp_path)), "--out", str(out), "--workers", "1"]
    chosen += ["--no-witnesses", "--vocabulary", "topk"]
    done = forked(limit, *CAMPAIGN, *chosen, "--quiet")
    assert done.code == 2, done.err
    assert done.err.startswith("error: cannot write")
    assert done.err.count("\n") == 1
    assert not list(out.glob("**/.writing-*"))
    if largest > 4096:
        assert read_campaign(out).states["proved"] > 0
    assert protoproof(*CAMPAIGN, *chosen, "--quiet").code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
@pytest.mark.trust(36)
def test_a_read_only_directory_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    result = protoproof(*CAMPAIGN, "--data", small_file(tmp_path), "--out", out)
    assert result.code == 2
    assert "no permission" in result.err
