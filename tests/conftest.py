"""Hypothesis: the same examples in every run, and no deadline (nothing here measures time).

Of the two profiles, the sweep's draws more examples where a test says so (see ``examples``).

Programs that tests start find the package where the tests do, installed or not.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

from tests.support.examples import SWEEP

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile(SWEEP, derandomize=True, deadline=None)
settings.load_profile("repeatable")

# as many workers as cores share the machine; threads inside each would only get in the way
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "verifier"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)
