"""A program: starts the same campaign again and again, and kills it at random points.

Prints one JSON document. Children are forked, so that no time goes into starting Python; they work
with outcomes computed before, so that the time goes into what can be interrupted: writing.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from protoproof.campaign import Options, read_campaign, run_campaign
from protoproof.campaign.executor import Outcome, Task
from protoproof.errors import InputError
from tests.support.campaign import Canned, Counting, InlineEngine, network, some

QUICK = Options(witnesses=False)
COUNT = 12


def campaign(out: Path, canned: Canned) -> None:
    run_campaign(
        network(), some(COUNT), out, options=QUICK, engine=InlineEngine, make_server=canned
    )


def real_outcomes(directory: Path) -> Canned:
    """Explained for real, once."""
    serve = Counting(directory / "log")()
    found: dict[str, Outcome] = {}

    def recording(task: Task) -> Outcome:
        found[task.key] = serve(task)
        return found[task.key]

    run_campaign(
        network(),
        some(COUNT),
        directory / "whole",
        options=QUICK,
        engine=InlineEngine,
        make_server=lambda: recording,
    )
    return Canned(found)


def consistent(out: Path) -> None:
    """Whatever was interrupted: every row that is there is complete, every file is."""
    try:
        rows = read_campaign(out).rows
    except InputError:  # killed before there was a plan
        return
    for row in rows:
        assert row.record.state in ("proved", "not_run")
    for path in (out / "certificates").glob("*.json"):
        assert path.read_bytes().endswith(b"}\n")


def main() -> None:
    directory, points = Path(sys.argv[1]), int(sys.argv[2])
    canned = real_outcomes(directory)
    started = time.perf_counter()
    campaign(directory / "timed", canned)
    whole = time.perf_counter() - started
    draw = random.Random(0)  # noqa: S311  # not for secrets
    kills = finished = rounds = 0
    while kills < points:
        out = directory / f"out{rounds}"
        rounds += 1
        while True:
            child = os.fork()
            if child == 0:
                campaign(out, canned)
                os._exit(0)
            time.sleep(draw.uniform(0, 0.7 * whole))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                finished += 1
                break
            kills += 1
            consistent(out)
        names = ["summary.json", *(f"certificates/{key}.cert.json" for key in canned.outcomes)]
        for name in names:
            assert (out / name).read_bytes() == (directory / "whole" / name).read_bytes(), name
    print(json.dumps({"kills": kills, "finished": finished}))


if __name__ == "__main__":
    main()
