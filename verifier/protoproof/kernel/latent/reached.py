"""What is known of the latents that a part of a region of inputs reaches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protoproof.kernel.arithmetic.exact import Ratio

Array = NDArray[np.float64]


class Latents(NamedTuple):
    """Ends [L, D] of the latents, and linear forms [L, D] that are at least their bounds."""

    low: Array
    high: Array
    forms: tuple[tuple[Array, Ratio], ...] = ()
