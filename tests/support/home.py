"""A home directory that nobody has used yet, and what was left in it."""

from __future__ import annotations

import os
from pathlib import Path


def new_user(home: Path) -> dict[str, str]:
    """The environment of somebody who has just come: nothing in it keeps a program quiet.

    Programs say nothing about their users where a build server runs them; here they are to say
    nothing because they were told so.
    """
    home.mkdir()
    kept = ("PATH", "PYTHONPATH", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"HOME": str(home)}


def left_in(home: Path) -> list[str]:
    """Everything that lies in a home directory now."""
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))
