"""A program: the command line, whose campaigns halt after a few instances until they are killed."""

from __future__ import annotations

from protoproof.campaign import run
from protoproof.cli.app import main
from tests.support.campaign import Halting

if __name__ == "__main__":  # workers import this file under another name
    run.ExplainJob = Halting  # type: ignore[misc]
    main()
