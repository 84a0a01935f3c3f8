"""``python -m tests.trust.mutation FILE``: the mutants of one file of the kernel.

Writes what became of them, by file, into ``tests/trust/results/mutants.json``, if all were asked.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

from tests.trust import table
from tests.trust.mutation.explained import EXPLAINED
from tests.trust.mutation.running import Asked, Outcome, run
from tests.trust.mutation.targets import GROUPS


def counted(module: str, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """What a result says of a file, but which of its mutants were asked."""
    outcomes, known = list(outcomes), EXPLAINED.get(module, {})
    left = [outcome.mutant.key for outcome in outcomes if not outcome.noticed]
    return {
        "mutants": len(outcomes), "killed": len(outcomes) - len(left),
        "explained": sum(key in known for key in left),
        "open": [key for key in left if key not in known],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.mutation")
    parser.add_argument("file", choices=list(GROUPS))
    parser.add_argument("--every", type=int, default=1, help="ask so-manieth mutants only")
    parser.add_argument("--only", default="", help="text that the mutant's key contains")
    parser.add_argument("--seconds", type=float, default=10.0, help="of tests that each meets")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    asked = parser.parse_args()
    module = f"kernel/{asked.file}"
    chosen = Asked(asked.seconds, asked.every, asked.only, asked.jobs)
    found = counted(module, run([module], GROUPS[asked.file], chosen)[module])
    print(json.dumps({key: found[key] for key in ("mutants", "killed", "explained")}))
    for key in found["open"]:
        print(f"  open: {key}")
    if not asked.only:
        results = table.result("mutants").get("modules", {}) | {
            asked.file: {"every": asked.every, **found}
        }
        ordered = {name: results[name] for name in GROUPS if name in results}
        table.write("mutants", {"modules": ordered})


if __name__ == "__main__":
    main()
