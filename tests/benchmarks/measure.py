"""Medians of repeated runs, and the peak memory of a process."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """How much to measure.

    ``repeats`` of every timing; ``lowest`` and ``random`` images of mnist-1x1; ``grid`` of
    mnist-7x7, of which ``baseline`` are also given to the published pair algorithms, and ``slow``
    to the hypersphere paradigm; ``synthetic`` latents at CUB size; ``sweep`` images per network;
    ``truth`` tiny networks; ``smallest`` images of mnist-1x1 of each kind; ``regions`` balls, and
    ``relative`` explanations inside of balls, ``held`` over balls; ``branched`` images per kind of
    region that is cut; ``patched`` per region in which pixels stay; ``foreign`` inputs per kind of
    head; ``heldout`` samples of every zoo network, of which ``paired`` are also given to comparison
    rules by pairs; ``kernels`` certificates per network for both kernels; ``necessity`` inputs per
    network whose facts are looked at one by one; ``jobs`` processes of a sweep.
    """

    repeats: int = 5
    lowest: int = 25
    random: int = 100
    grid: int = 25
    baseline: int = 25
    slow: int = 2
    synthetic: int = 5
    sweep: int = 60
    regions: int = 500
    relative: int = 50
    held: int = 200
    truth: int = 500
    smallest: int = 100
    branched: int = 100
    patched: int = 25
    foreign: int = 10
    heldout: int = 100
    paired: int = 10
    kernels: int = 1000
    necessity: int = 10
    jobs: int = 1

    @staticmethod
    def quick() -> Settings:
        """A few minutes instead of a quarter of an hour; too few images for a claim."""
        return Settings(
            1,
            lowest=25,
            random=10,
            grid=5,
            baseline=5,
            slow=1,
            synthetic=2,
            sweep=5,
            regions=10,
            relative=3,
            held=4,
            truth=30,
            smallest=5,
            branched=4,
            patched=1,
            foreign=2,
            heldout=2,
            kernels=5,
            necessity=2,
        )


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """Median processor time of this process, over all its threads.

    With one thread, which ``__main__`` sees to, a busy machine distorts it far less than a clock
    on the wall; nothing that is timed here waits for anything.
    """
    times = []
    for _ in range(repeats):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return statistics.median(times)


def spread(sizes: Sequence[int]) -> dict[str, float | int | None]:
    """Mean, median and largest; None where nothing was proved."""
    if not sizes:
        return {"facts_mean": None, "facts_median": None, "facts_max": None}
    return {
        "facts_mean": round(statistics.fmean(sizes), 2),
        "facts_median": statistics.median(sizes),
        "facts_max": max(sizes),
    }


def share(part: int, whole: int) -> float | None:
    """A proportion, None of nothing."""
    return round(part / whole, 4) if whole else None


def ratio(ours: float | None, other: float | None) -> float | None:
    """Ours over the other's, None where either is missing."""
    return round(ours / other, 3) if ours is not None and other else None


def peak_mib() -> int:
    """Largest resident memory of this process so far, in MiB.

    Read where the system tells it per program; ``getrusage`` alone also counts the process that
    started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def in_a_process_of_its_own(*arguments: str) -> dict[str, Any]:
    """Run ``tests.benchmarks.memory`` with arguments; what it printed, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.memory", *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))
