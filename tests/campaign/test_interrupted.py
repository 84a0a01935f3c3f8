"""Killed, terminated, out of space: what was finished stays, and a resumed run is the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from protoproof.campaign import read_campaign
from tests.support.campaign import MODEL, small_file
from tests.support.cli import ROOT, protoproof

COMMAND = [sys.executable, str(ROOT / "cli.py"), "campaign", str(MODEL)]


def test_killed_at_random_points_and_resumed_is_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(tmp_path), "40"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["kills"] >= 40
    assert counts["finished"] >= 1


def start(out: Path, *options: str) -> subprocess.Popen[str]:
    """A campaign that has begun to store results."""
    process = subprocess.Popen(
        [*COMMAND, "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    limit = time.monotonic() + 120
    while len(list(out.glob("certificates/*.json"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)
    return process


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_no_worker_outlives_the_campaign(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    data = ("--data", str(small_file(tmp_path)))
    process = start(out, *data, "--workers", "2", "--timeout", "600")
    workers = descendants(process.pid)
    assert len(workers) >= 2
    started = time.monotonic()
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number
    while not all(map(gone, workers)) and time.monotonic() - started < 100:
        time.sleep(0.02)
    assert all(map(gone, workers))
    states = read_campaign(out).states
    assert states["proved"] >= 2  # the row of the last certificate may be missing
    assert states["proved"] + states["not_run"] == 60
    if number == signal.SIGTERM:  # in good order: what is there is summed up
        assert json.loads((out / "summary.json").read_text())["states"] == states
    resumed = protoproof(*COMMAND[2:], *data, "--out", out, "--json")
    assert resumed.code == 0
    assert json.loads(resumed.out)["run"]["reused"] >= states["proved"]


LIMITED = """
import resource, signal, sys
if __name__ == "__main__":  # workers import this file under another name
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
    sys.argv = ["cli.py", *sys.argv[2:]]
    sys.path.insert(0, ".")
    from cli import main
    main()
"""


@pytest.mark.parametrize("largest", [4096, 75_000], ids=["the plan", "the results"])
def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path: Path, largest: int) -> None:
    """A limit on file sizes fails as a full disk does: in the middle of writing."""
    out, script = tmp_path / "out", tmp_path / "limited.py"
    script.write_text(LIMITED)
    chosen = ["--data", str(small_file(tmp_path)), "--out", str(out), "--workers", "1"]
    chosen += ["--no-witnesses", "--vocabulary", "topk"]
    done = subprocess.run(
        [sys.executable, str(script), str(largest), *COMMAND[2:], *chosen, "--quiet"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: cannot write")
    assert done.stderr.count("\n") == 1
    assert not list(out.glob("**/.writing-*"))
    if largest > 4096:
        assert read_campaign(out).states["proved"] > 0
    assert protoproof(*COMMAND[2:], *chosen, "--quiet").code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_directory_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    result = protoproof(*COMMAND[2:], "--data", small_file(tmp_path), "--out", out)
    assert result.code == 2
    assert "no permission" in result.err
