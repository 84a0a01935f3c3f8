"""The command line from a checkout: ``python cli.py`` is ``protoproof``, and can train networks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "verifier"))

from protoproof.cli.app import main

from models.verbs import add_training

if __name__ == "__main__":
    main(add_training)
