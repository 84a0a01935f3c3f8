"""The command line from a checkout: ``python cli.py`` is ``protoproof``, and can train networks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent / "verifier"))

from protoproof.cli.app import main

if TYPE_CHECKING:
    import typer


def training(app: typer.Typer) -> None:
    """Add the verbs that make networks."""
    from models.verbs import add_training

    add_training(app)


if __name__ == "__main__":
    main(training)
