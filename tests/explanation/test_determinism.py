"""The same certificates, byte for byte, whoever works on them and however sets are hashed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repeat import QUICK, TASKS

ROOT = Path(__file__).resolve().parents[2]


def lines(workers: int, tasks: int, hash_seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.repeat", str(workers), str(tasks)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("tasks", [QUICK, pytest.param(len(TASKS), marks=pytest.mark.sweep)])
@pytest.mark.trust(41)
def test_one_worker_and_eight_agree_under_different_hash_seeds(tasks: int) -> None:
    alone = lines(1, tasks, "0")
    assert len(alone) == tasks
    assert lines(8, tasks, "12345") == alone
    # a run that found nothing would show nothing
    assert sum("size 0" in line for line in alone) == 0
    assert any("2 explanations" in line for line in alone)
    assert len({line.rsplit(" ", 1)[1] for line in alone}) > tasks // 2
