"""A command as the child of a small process: ``python -m tests.benchmarks.launched COMMAND ...``.

Prints its processor seconds and its peak memory in MiB, as JSON. A child starts as a copy of its
parent, whose memory counts as its own: so the parent has to be small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def main(command: list[str]) -> int:
    """Run it, print, and end as it does."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = round(used.ru_utime + used.ru_stime, 2)
    print(json.dumps({"seconds": seconds, "peak_mib": used.ru_maxrss >> 10}))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
