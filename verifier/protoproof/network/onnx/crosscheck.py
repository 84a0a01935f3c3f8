"""Does the translated torch graph compute what ONNX Runtime computes?

The yardstick is measured, not guessed: the same translated graph run in float32 and in float64
shows how far rounding carries *this* network on *this* input. ONNX Runtime's float32 result uses
other summation orders, so its error is of the same size, not the same value; a factor of 64 and a
floor of 64 float32 units of the largest latent leave room for that. A wrong translation (a pad, an
axis, an attribute) is off by orders of magnitude more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import FragileError
from protoproof.network.onnx.runtime import Observation

if TYPE_CHECKING:
    from torch import nn

_FACTOR = 64.0
_FLOOR = 64.0 * 2.0**-24


def check_encoder(
    encoder: nn.Module, exact: nn.Module, seen: Observation, sites: NDArray[np.int64]
) -> None:
    """Compare latents; ``exact`` is the encoder in float64, ``sites`` [L, D] places in its output.

    Raises:
        FragileError: they differ by more than rounding explains.
    """
    import torch

    with torch.no_grad():
        x = torch.from_numpy(np.array(seen.x))[None]
        single = _numbers(encoder(x)).astype(np.float64)
        double = _numbers(exact(x.double()))
    reference = double[sites]
    rounding = np.abs(single - double).max()
    allowed = _FACTOR * rounding + _FLOOR * np.abs(double).max()
    difference = np.abs(seen.latent - reference).max()
    if not difference <= allowed:  # also True for NaN
        raise FragileError(
            f"ONNX Runtime's latent and the translated graph's differ by {difference:.3g}, "
            f"rounding explains about {allowed:.3g}; nothing can be decided about this input"
        )


def _numbers(results: Any) -> NDArray[Any]:
    """One tensor or several, flattened one after another."""
    tensors = results if isinstance(results, tuple) else (results,)
    return np.concatenate([tensor.numpy().reshape(-1) for tensor in tensors])
