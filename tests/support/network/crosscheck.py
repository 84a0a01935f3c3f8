"""Does the translated torch graph compute what ONNX Runtime computes?

The yardstick is measured, not guessed: the same translated graph run in float32 and in float64
shows how far rounding carries *this* network on *this* input. ONNX Runtime's float32 result uses
other summation orders, so its error is of the same size, not the same value; a factor of 64 and a
floor of 64 float32 units of the largest latent leave room for that. A wrong translation (a pad, an
axis, an attribute) is off by orders of magnitude more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from protoproof.network import Network, Observation
from protoproof.network.onnx.graph import Graph

_FACTOR = 64.0
_FLOOR = 64.0 * 2.0**-24


def cross_check(network: Network, x: NDArray[np.float32]) -> Observation:
    """Observe an input, and compare encoder and head with the runtime."""
    seen = network.observe(x)
    with torch.no_grad():
        there = torch.from_numpy(np.array(seen.x))[None]
        single = _numbers(network.encoder(there)).astype(np.float64)
        double = _numbers(network.encoder_double(there.double()))
    reference = double[network.sites]
    rounding = np.abs(single - double).max()
    allowed = _FACTOR * rounding + _FLOOR * np.abs(double).max()
    difference = np.abs(seen.latent - reference).max()
    # also False for NaN
    assert difference <= allowed, f"{difference:.3g}, rounding explains about {allowed:.3g}"
    network.check_head(seen)
    return seen


def _numbers(results: Any) -> NDArray[Any]:
    """One tensor or several, flattened one after another."""
    tensors = results if isinstance(results, tuple) else (results,)
    return np.concatenate([tensor.numpy().reshape(-1) for tensor in tensors])


def executed_only(graph: Graph) -> tuple[str, ...]:
    """Why the graph cannot be bounded: one line for every node without a meaning here."""
    return tuple(node.refusal for node in graph.nodes if node.refusal)
