"""Whether ONNX Runtime's float32 scores can be those of the head over the reals.

Only the latent and the scores are observed, so the bound is carried through the whole head: a
running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section
3.3) with u = 2**-24. A sum of n products in any order errs by at most gamma_n = n u / (1 - n u)
times the sum of their magnitudes; what follows is evaluated at both ends of what its argument may
be, and widened by its own rounding. The bound is wide where a similarity is steep: next to a
prototype, a squared distance computed as |z|^2 - 2 z.p + |p|^2 may be wrong by more than it is, and
then this comparison says little. It finds wrong heads, and runtimes that cannot be trusted; it
proves nothing, and no certificate depends on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.chain import Chain
from protoproof.network.head.decision import Best, Linear, Tree
from protoproof.network.head.head import Head
from protoproof.network.head.primitives import PRIMITIVES

_UNIT = 2.0**-24
# Units of one function of one variable: a few ulps of a library function, and its constants'.
_FUNCTION = 16.0 * _UNIT

Array = NDArray[np.float64]
Ends = tuple[Array, Array]


def _gamma(terms: int) -> float:
    return terms * _UNIT / (1.0 - terms * _UNIT)


def disagreement(
    head: Head, latent: NDArray[np.float32], logits: NDArray[np.float32], ratio: bool = False
) -> str:
    """Where the runtime's scores leave the bounds around the head's, or "" if they do not.

    ``latent`` [L, D], ``logits`` [K]: one input. ``ratio``: the runtime's scores are the head's
    over a positive number that all of them share.
    """
    z, observed = np.asarray(latent, dtype=np.float64), np.asarray(logits, dtype=np.float64)
    if not (np.isfinite(z).all() and np.isfinite(observed).all()):
        return "the latent or the scores are NaN or infinite in ONNX Runtime"
    with np.errstate(all="ignore"):
        expected, bound = scores_bound(head, z)
        if ratio:
            factor = float(observed @ expected / (expected @ expected))
            expected, bound = expected * factor, bound * abs(factor) + _gamma(8) * np.abs(observed)
    excess = np.abs(observed - expected) - bound
    wrong = np.isfinite(bound) & ~(excess <= 0)
    if not wrong.any():
        return ""
    worst = int(np.argmax(np.where(wrong, excess, -np.inf)))
    return (
        f"score {worst} is {observed[worst]!s} in ONNX Runtime, {expected[worst]!s} by the head; "
        f"rounding explains at most {bound[worst]:.3g}"
    )


def scores_bound(head: Head, latent: Array) -> tuple[Array, Array]:
    """The head's scores [K] and how far float32 may be from them (infinite where unknown)."""
    measurement = head.measurement(latent)
    error = measurement_bound(head, latent)
    low, high = measurement - error, measurement + error
    if head.mask is not None:
        low, high = (np.where(head.mask, end, np.inf) for end in (low, high))
    pooled = _pooled(head, low, high)
    ends = _through(head.chain, *pooled)
    middle = head.activation(measurement)
    ends = np.minimum(ends[0], middle), np.maximum(ends[1], middle)
    return head.logits(middle), _decided(head, middle, ends)


def measurement_bound(head: Head, latent: Array) -> Array:
    """Bound [L, P] for every usual way to compute the measurement."""
    p = head.prototypes
    if head.geometry == "euclidean":
        z = np.sqrt((latent * latent).sum(axis=1))
        lengths = np.sqrt((p * p).sum(axis=1))
        return np.asarray(_gamma(head.channels + 8) * (z[:, None] + lengths[None, :]) ** 2)
    if head.geometry == "diagonal" and head.scales is not None:
        w = head.scales
        size = (latent**2) @ w.T + 2 * np.abs(latent) @ (w * np.abs(p)).T + (w * p * p).sum(axis=1)
        return np.asarray(_gamma(head.channels + 8) * size)
    size = np.abs(latent) @ np.abs(p).T
    if head.geometry == "angular":
        size = size / head.length(latent)[:, None]
        return np.asarray(_gamma(2 * head.channels + 16) * (size + 1e-12))
    return np.asarray(_gamma(head.channels + 8) * size)


def _pooled(head: Head, low: Array, high: Array) -> Ends:
    if head.all_nearest:
        return low.min(axis=0), high.min(axis=0)
    near = head.pooling_of.nearest
    inner = _through(head.inner_chain, low, high)
    first = np.where(near, low, inner[0])
    last = np.where(near, high, inner[1])
    least, most = head.pooling_of.bounds(first, last, head.mask)
    slack = _gamma(head.locations + 4) * np.maximum(np.abs(least), np.abs(most))
    return least - np.where(near, 0, slack), most + np.where(near, 0, slack)


def _through(chain: Chain, low: Array, high: Array) -> Ends:
    """Ends of the chain's value, every step widened by its rounding; infinite where undefined."""
    for step in chain.steps:
        constant = step.constant
        value = PRIMITIVES[step.name].value
        first, last = value(low, constant), value(high, constant)
        size = np.maximum(np.abs(first), np.abs(last))
        if step.name == "add" and constant is not None:
            size = np.maximum(size, np.maximum(np.abs(low), np.abs(high)) + np.abs(constant))
        least, most = np.minimum(first, last), np.maximum(first, last)
        if step.name in ("abs", "square"):
            least = np.where((low < 0) & (high > 0), 0.0, least)
        pole = (low <= 0) & (high >= 0) if step.name in ("reciprocal", "one_plus") else low > high
        if step.name == "zero_below" and constant is not None:
            least = np.where(low < constant, np.minimum(least, 0.0), least)
        unknown = pole | np.isnan(least) | np.isnan(most)
        extra = _FUNCTION * size
        if step.name in ("log", "log_one_plus", "tanh", "sigmoid", "softplus"):
            extra = _FUNCTION * (size + 1.0)
        low = np.where(unknown, -np.inf, least - extra)
        high = np.where(unknown, np.inf, most + extra)
    return low, high


def _decided(head: Head, middle: Array, ends: Ends) -> Array:
    """Bound [K] of the decision's scores."""
    decision = head.decision
    error = np.maximum(ends[1] - middle, middle - ends[0])
    error = np.where(np.isnan(error), np.inf, error)
    if isinstance(decision, Tree):
        return _tree(decision, middle, error)
    if isinstance(decision, Best):
        best = decision.best(middle)
        low, high = decision.best(middle - error), decision.best(middle + error)
        return _linear(decision.then, best, np.maximum(high - best, best - low))
    return _linear(decision, middle, error)


def _linear(decision: Linear, middle: Array, error: Array) -> Array:
    weight = np.abs(decision.weight)
    spread = np.where(weight > 0, weight * np.where(np.isfinite(error), error, np.inf), 0.0)
    size = weight @ np.abs(middle) + np.abs(decision.bias)
    return np.asarray(spread.sum(axis=1) + _gamma(weight.shape[1] + 8) * size)


def _tree(decision: Tree, middle: Array, error: Array) -> Array:
    """From the leaves up: a node's value errs as its share and its children do."""
    value: dict[int, Array] = {-1 - k: row for k, row in enumerate(decision.leaf)}
    wrong: dict[int, Array] = {-1 - k: np.zeros_like(row) for k, row in enumerate(decision.leaf)}
    for node in reversed(range(len(decision.feature))):
        share = middle[decision.feature[node]]
        slack = min(float(error[decision.feature[node]]), 2.0)
        left, right = int(decision.left[node]), int(decision.right[node])
        value[node] = (1.0 - share) * value[left] + share * value[right]
        spread = slack * (np.abs(value[left]) + np.abs(value[right]))
        own = (1.0 + slack) * (wrong[left] + wrong[right]) + spread
        wrong[node] = own + _gamma(8) * (np.abs(value[left]) + np.abs(value[right]))
    return wrong[0]
