"""Puts the kernel's script into the package, with a record of what it was made from.

Run by `make kernel-page`. Nothing here is trusted: who doubts the script builds it again; the same
sources and tools give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "kernel"
TARGET = HERE.parent / "protoproof" / "formal" / "browser"


def sources() -> dict[str, str]:
    """SHA-256 of everything that the script is made from, by name."""
    found = [path for ending in ("v", "ml", "js") for path in HERE.glob(f"*.{ending}")]
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(found)
        if path.name != "command.ml"  # the program that reads files
    }


def main() -> None:
    """Write script and record."""
    script = (BUILD / "kernel.js").read_bytes()
    tools = dict(line.split() for line in (BUILD / "toolchain.txt").read_text("ascii").splitlines())
    record = {
        "sha256": hashlib.sha256(script).hexdigest(),
        "tools": tools,
        "sources": sources(),
    }
    TARGET.mkdir(exist_ok=True)
    (TARGET / "kernel.js.gz").write_bytes(gzip.compress(script, 9, mtime=0))
    (TARGET / "kernel.json").write_text(json.dumps(record, indent=2) + "\n", "ascii")


if __name__ == "__main__":
    main()
