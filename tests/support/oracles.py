"""The one list of oracles that the laws run over, without a limit on how loose a bound may be."""

from __future__ import annotations

import numpy as np

from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.triangle import TriangleOracle

ORACLES = {
    "triangle": TriangleOracle(np.inf),
    "interval": IntervalOracle(np.inf),
    "relational": RelationalOracle(np.inf),
}
