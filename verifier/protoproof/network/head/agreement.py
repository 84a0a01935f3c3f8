"""How far ONNX Runtime's float32 head may lie from the head over the reals, and whether it does.

The comparison goes stage by stage, each from the runtime's own result of the stage before, so that
one stage's rounding is never amplified by the next (the similarity is very steep near q = 0).
With u = 2**-24 and gamma_n = n u / (1 - n u), a sum of n products in any order, with or without
fused multiply-add, errs by at most gamma_n times the sum of their magnitudes (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.head import Head

_UNIT = 2.0**-24
# Units for one similarity: three arithmetic operations and one library function of a few ulps.
_SIMILARITY_UNITS = 16.0

Array = NDArray[np.float64]


def _gamma(terms: int) -> float:
    return terms * _UNIT / (1.0 - terms * _UNIT)


def disagreement(
    head: Head,
    latent: NDArray[np.float32],
    measurement: NDArray[np.float32],
    activation: NDArray[np.float32],
    logits: NDArray[np.float32],
) -> str:
    """Where the runtime's stages leave the bounds around the head's, or "" if they do not.

    ``latent`` [L, D], ``measurement`` [L, P], ``activation`` [P], ``logits`` [K]: one image.
    """
    given = (latent, measurement, activation, logits)
    z, q, a, o = (np.asarray(tensor, dtype=np.float64) for tensor in given)
    for name, array in (("measurement", q), ("activation", a), ("logits", o)):
        if not np.isfinite(array).all():
            return f"{name} is NaN or infinite in ONNX Runtime"
    return (
        _compare("measurement", q, head.measurement(z), measurement_bound(head, z))
        or _compare("activation", a, head.activation(np.maximum(q, 0.0)), activation_bound(head, q))
        or _compare("logits", o, head.logits(a), logits_bound(head, a))
    )


def _compare(name: str, computed: Array, expected: Array, bound: Array) -> str:
    excess = np.abs(computed - expected) - bound
    if (excess <= 0).all():
        return ""
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    index = ", ".join(str(int(i)) for i in worst)
    return (
        f"{name}[{index}] is {computed[worst]!s} in ONNX Runtime, {expected[worst]!s} by the "
        f"description; rounding explains at most {bound[worst]:.3g}"
    )


def measurement_bound(head: Head, latent: Array) -> Array:
    """Bound [L, P] for |z|^2 - 2 z.p + |p|^2 (and for sums of squared differences).

    Terms add up to at most (|z| + |p|)^2 in magnitude; two more operations join the three sums.
    """
    z = np.sqrt((latent * latent).sum(axis=1))
    p = np.sqrt((head.prototypes * head.prototypes).sum(axis=1))
    return np.asarray(_gamma(head.channels + 4) * (z[:, None] + p[None, :]) ** 2)


def activation_bound(head: Head, measurement: Array) -> Array:
    """Bound [P] for the similarity of the smallest measurement: relative error of q, of result.

    A head without Relu may compute a slightly negative q, whose similarity is compared with that of
    0; twice the slope there covers it while q stays far above the similarity's pole.
    """
    least = measurement.min(axis=0)
    q, below = np.maximum(least, 0.0), np.maximum(-least, 0.0)
    value, slope = head.chain.value(q), np.abs(head.chain.derivative(q))
    rounding = _SIMILARITY_UNITS * _UNIT * (slope * q + np.abs(value) + 1.0)
    return np.asarray(rounding + 2.0 * slope * below)


def logits_bound(head: Head, activation: Array) -> Array:
    """Bound [K] for W a + b."""
    magnitude = np.abs(head.weight) @ np.abs(activation) + np.abs(head.bias)
    return np.asarray(_gamma(head.weight.shape[1] + 2) * magnitude)
