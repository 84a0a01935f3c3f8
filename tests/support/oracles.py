"""The one list of oracles that the laws run over; a new oracle is one more entry."""

from __future__ import annotations

import numpy as np

from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.oracle import Oracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.triangle import TriangleOracle

# Each is never looser than the one before it. Few cases: laws hold for any number of them.
ORACLES: tuple[Oracle, ...] = (
    TriangleOracle(),
    IntervalOracle(),
    RelationalOracle(),
    BranchAndBoundOracle(most=4),
)

# Those that bound measurements, without a limit on how loose a bound may be.
WITHOUT_LIMIT = {
    "triangle": TriangleOracle(np.inf),
    "interval": IntervalOracle(np.inf),
    "relational": RelationalOracle(np.inf),
}
