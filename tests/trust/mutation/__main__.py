"""``python -m tests.trust.mutation FILE``: the mutants of one file of the kernel.

Writes what became of them, by file, into ``tests/trust/results/mutants.json``, if all were asked.
``--again`` asks only what was left open the last time: the file must be the same, and of the tests
none may be less than it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from tests.trust import table
from tests.trust.mutation.explained import EXPLAINED
from tests.trust.mutation.running import PACKAGE, Asked, Outcome, run
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
    parser.add_argument("--again", action="store_true", help="only what was left open")
    asked = parser.parse_args()
    module = f"kernel/{asked.file}"
    source = hashlib.sha256((PACKAGE / module).read_bytes()).hexdigest()
    before = table.result("mutants").get("modules", {}).get(asked.file, {})
    if asked.again and before.get("source") != source:
        parser.error(f"{module} is not what was asked before")
    every = before["every"] if asked.again else asked.every
    known = EXPLAINED.get(module, {})
    keys = frozenset(before["open"]) - known.keys() if asked.again else None
    chosen = Asked(asked.seconds, every, asked.only, asked.jobs, keys)
    found = counted(module, run([module], GROUPS[asked.file], chosen)[module])
    if asked.again:
        found |= {key: before[key] for key in ("mutants", "explained")}
        found["explained"] += sum(key in known for key in before["open"])
        found["killed"] = found["mutants"] - found["explained"] - len(found["open"])
    print(json.dumps({key: found[key] for key in ("mutants", "killed", "explained")}))
    for key in found["open"]:
        print(f"  open: {key}")
    if not asked.only:
        results = table.result("mutants").get("modules", {}) | {
            asked.file: {"source": source, "every": every, **found}
        }
        ordered = {name: results[name] for name in GROUPS if name in results}
        table.write("mutants", {"modules": ordered})


if __name__ == "__main__":
    main()
