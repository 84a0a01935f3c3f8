"""Multipliers for the Lagrangian bound: how a hull's interval becomes evidence.

Theory, sections 3, 4 and 8. For facts q_i = |z - p_i|^2 known, any theta with A = 1 + sum theta > 0
gives, with p = p_j + sum theta_i p_i,

    q_j  >=  |p_j|^2 + sum theta_i |p_i|^2 - |p|^2 / A - sum theta_i q_i.

The best theta puts the minimiser p / A on the sphere of the facts, at its point nearest to p_j:
A = |beta_j| / r and theta = A alpha(v) - alpha(p_j), where alpha are affine coordinates in the
facts. For the upper bound (of -q_j) it is the farthest point: sum theta - 1 = |beta_j| / r and
theta = (|beta_j| / r) alpha(v) + alpha(p_j). Rounding theta keeps the bound valid, and costs only
second order, because the bound is stationary there.

A form sum lambda_j q_j is bounded in the same way, with A = sum lambda + sum mu and
p = sum lambda_j p_j + sum mu_i p_i: its minimiser on the sphere is pi v + r B / |B| with
B = sum lambda_j beta_j, so that A = |B| / r and mu = A alpha(v) - sum lambda_j alpha(p_j).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.gram import Gram
from protoproof.prover.relaxation.pair_bounds import Hull

Vector = Float[NDArray[np.float64], " prototype"]
Multipliers = Float[NDArray[np.float64], "row fact"]

# A = |beta| / r is kept inside these limits: at 0 and at infinity (a prototype inside the hull, a
# latent inside the hull) the bound is a limit that no finite multiplier attains. The loss is
# about A r^2 or |beta|^2 / A, a billionth of a squared distance.
_CURVATURE = (2.0**-30, 2.0**30)
# A of a form is at least this share of its coefficients, well above what rounding could turn
# negative; the loss is A r^2.
_FLAT = 2.0**-30
_ULP = 2.0**-52
# One row needs one fact where that alone already clears the target by this share.
_CLEAR = 1e-9


@dataclass(frozen=True)
class Rows:
    """Multipliers ``theta[i]`` that bound the squared distance to ``prototypes[i]``."""

    prototypes: tuple[int, ...]
    theta: Multipliers


def lower_rows(
    hull: Hull, gram: Gram, measurement: Vector, prototypes: Sequence[int], target: Vector
) -> Rows:
    """Multipliers for lower bounds of q_j, as sparse as the targets allow.

    ``target[j]`` is the value the bound has to reach; where one fact's triangle bound reaches it,
    the row has one entry. The columns are ``hull.spanning``.
    """
    wanted = np.asarray(prototypes, dtype=np.intp)
    theta = optimal(hull, wanted, 1.0)
    spanning = np.array(hull.spanning)
    apart = np.sqrt(gram[np.ix_(wanted, spanning)])
    seen = np.sqrt(measurement[spanning])
    single = (apart - seen) ** 2
    best = np.argmax(single, axis=1)
    rows = np.arange(len(wanted))
    enough = single[rows, best] >= target[wanted] * (1 + _CLEAR)
    sparse = np.zeros_like(theta)
    sparse[rows, best] = _curvature(apart[rows, best], seen[best]) - 1.0
    return Rows(tuple(wanted.tolist()), np.where(enough[:, None], sparse, theta))


def upper_rows(hull: Hull, prototypes: Sequence[int]) -> Rows:
    """Multipliers for upper bounds of q_j (lower bounds of -q_j)."""
    return Rows(tuple(prototypes), optimal(hull, np.array(prototypes, dtype=np.intp), -1.0))


def form_multipliers(
    hull: Hull, measurement: Vector, coefficients: Vector, across: float
) -> Float[NDArray[np.float64], " fact"]:
    """Multipliers mu of ``hull.spanning`` that bound sum lambda_j q_j from below.

    Args:
        hull: of the facts at one location.
        measurement: squared distances of the latent there.
        coefficients: lambda, of either sign, zero for prototypes that do not take part.
        across: |B|, the length of sum lambda_j beta_j.
    """
    of_prototype, of_latent = hull.affine()
    # facts are float64 enclosures: what they leave open acts as a little more radius, A |.| of it
    width = _ULP * float(np.abs(of_latent) @ measurement[list(hull.spanning)])
    radius = np.sqrt(hull.radius + width)
    steepest = across / max(float(radius), 1.0 / _CURVATURE[1])
    leading = max(steepest, _FLAT * max(1.0, float(np.abs(coefficients).sum())))
    return minimising(leading, of_latent, coefficients @ of_prototype)


def minimising(
    leading: NDArray[np.float64] | float, of_latent: Vector, spanned: NDArray[np.float64]
) -> NDArray[np.float64]:
    """mu = A alpha(v) - sum lambda_j alpha(p_j) for leading coefficients A, a row for each.

    Args:
        of_latent: affine coordinates of the latent in the facts.
        spanned: those of the forms' prototypes, weighted and summed; one row per form.
    """
    return np.asarray(np.multiply.outer(leading, of_latent) - spanned)


def optimal(
    hull: Hull, prototypes: NDArray[np.intp], sign: NDArray[np.float64] | float
) -> Multipliers:
    """The best theta in free space for ``sign * q_j``, one row per prototype; sign 1 or -1."""
    of_prototype, of_latent = hull.affine()
    beta = np.sqrt(hull.off_plane[prototypes])
    leading = _curvature(beta, np.full(len(beta), np.sqrt(hull.radius)))
    own = np.broadcast_to(np.asarray(sign), beta.shape)
    return minimising(leading, of_latent, own[:, None] * of_prototype[prototypes])


def _curvature(beta: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(radius > 0, beta / np.where(radius > 0, radius, 1.0), _CURVATURE[1])
    return np.asarray(np.clip(ratio, *_CURVATURE))
