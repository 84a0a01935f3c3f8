"""The one list of oracles that the laws run over, without a limit on how loose a bound may be."""

from __future__ import annotations

import numpy as np

from protoproof.prover.oracle.cascade import CascadeOracle
from protoproof.prover.oracle.interval import ExactOracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.triangle import TriangleOracle

ORACLES = {
    "triangle": TriangleOracle(np.inf),
    "exact": ExactOracle(np.inf),
    "relational": RelationalOracle(np.inf),
    "cascade": CascadeOracle(np.inf),
}
