"""Where the programs are that ``make kernel`` builds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from protoproof.errors import UsageError

_CHECKOUT = Path(__file__).resolve().parents[3] / "build" / "kernel"


def find_built(name: str, variable: str, what: str) -> Path:
    """A program: the one that an environment variable names, or on the path, or of this checkout.

    Raises:
        UsageError: there is none.
    """
    own = _CHECKOUT / name
    stated = os.environ.get(variable)
    found = stated or shutil.which(name) or (str(own) if own.is_file() else None)
    if found is None or not Path(found).is_file():
        raise UsageError(
            f"{what} is not built: `make kernel` builds it from a checkout "
            f"(Coq and OCaml are needed); or set {variable} to the program"
        )
    return Path(found)
