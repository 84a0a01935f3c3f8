"""``python -m tests.trust.mutation FILE --every N``: mutants of one file, as JSON at the end."""

from __future__ import annotations

import argparse
import json

from tests.trust.mutation.explained import EXPLAINED
from tests.trust.mutation.running import run
from tests.trust.mutation.targets import GROUPS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.mutation")
    parser.add_argument("file", choices=list(GROUPS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", default="", help="text that the mutant's key contains")
    parser.add_argument("--seconds", type=float, default=10.0, help="of tests that each meets")
    asked = parser.parse_args()
    module = f"kernel/{asked.file}"
    outcomes = run([module], GROUPS[asked.file], asked.seconds, asked.every, asked.only)[module]
    killed = sum(o.word in ("killed", "ended") for o in outcomes)
    left = [o.mutant.key for o in outcomes if o.word in ("survived", "unreached")]
    known = EXPLAINED.get(module, {})
    explained = sum(key in known for key in left)
    print(
        json.dumps(
            {
                "mutants": len(outcomes), "every": asked.every, "killed": killed,
                "explained": explained, "open": [key for key in left if key not in known],
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
