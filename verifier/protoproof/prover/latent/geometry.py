"""Where measurements of every geometry lie, over every domain.

Squared distances: see :class:`protoproof.prover.latent.domain.Domain`. A weighted square is least
at the point of a box next to the prototype and largest at a corner, channel by channel. A linear
form over a box has its ends at corners, over a shell at +- the outer radius times its norm, over a
simplex at a corner. A cosine lies between -+ |g|.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.network.head.head import Head
from protoproof.prover.latent.domain import Domain, Simplex, Sphere
from protoproof.prover.latent.ranges import Latent

Matrix = Float[NDArray[np.float64], "location prototype"]
Forms = Float[NDArray[np.float64], "form channel"]
Ends = Float[NDArray[np.float64], "location form"]


def measurement_range(head: Head, domain: Domain) -> tuple[Matrix, Matrix]:
    """Bounds [L, P] of every measurement over the domain; infinite between banks."""
    shape = head.locations, len(head.prototypes)
    match head.geometry:
        case "euclidean":
            low, high = domain.measurement_range(head.prototypes)
        case "diagonal":
            low, high = _weighted(head, domain)
        case "linear":
            low, high = form_range(-head.prototypes, domain, head.locations)
        case "angular":
            low, high = head.range
    low, high = (np.array(np.broadcast_to(end, shape)) for end in (low, high))
    if head.mask is not None:
        low[~head.mask] = high[~head.mask] = np.inf
    return low, high


def _weighted(head: Head, domain: Domain) -> tuple[Matrix, Matrix]:
    box, scales = domain.box(head.locations, head.channels), head.scales
    if box is None or scales is None:
        return head.range
    points = head.prototypes[None]
    lower, upper = (end[:, None, :] for end in box)
    outside = np.maximum(np.maximum(lower - points, points - upper), 0.0)
    corner = np.maximum(np.abs(points - lower), np.abs(upper - points))
    with np.errstate(invalid="ignore"):
        far = np.where(scales[None] > 0, scales[None] * corner**2, 0.0)
    return (scales[None] * outside**2).sum(axis=2), far.sum(axis=2)


def form_range(forms: Forms, domain: Domain, locations: int) -> tuple[Ends, Ends]:
    """Least and largest value [L, F] of linear forms of one location's latent."""
    if isinstance(domain, Sphere):
        reach = math.sqrt(1 + domain.slack) * np.sqrt((forms**2).sum(axis=1))
        return -reach[None], reach[None]
    if isinstance(domain, Simplex):
        # linear, so at a corner: all of the sum, at its largest or smallest, in one channel
        ends = [
            total * extreme
            for total in (1 - domain.slack, 1 + domain.slack)
            for extreme in (forms.min(axis=1), forms.max(axis=1))
        ]
        return np.min(ends, axis=0)[None], np.max(ends, axis=0)[None]
    box = domain.box(locations, forms.shape[1])
    if box is None:
        still = (forms == 0).all(axis=1)
        far = np.where(still, 0.0, np.inf)
        return -far[None], far[None]
    return box_range_of_forms(forms, *box)


def box_range_of_forms(forms: Forms, lower: Latent, upper: Latent) -> tuple[Ends, Ends]:
    """The same over a box [L, D], whose ends may be infinite."""
    positive, negative = np.maximum(forms, 0.0), np.minimum(forms, 0.0)
    return _corner(positive, negative, lower, upper), _corner(positive, negative, upper, lower)


def _corner(positive: Forms, negative: Forms, first: Latent, second: Latent) -> Ends:
    """positive . first + negative . second, where zero times infinity is zero."""
    if np.isfinite(first).all() and np.isfinite(second).all():
        return first @ positive.T + second @ negative.T
    with np.errstate(invalid="ignore"):
        up = np.where(positive[None] > 0, positive[None] * first[:, None], 0.0)
        down = np.where(negative[None] < 0, negative[None] * second[:, None], 0.0)
    return np.asarray(up.sum(axis=2) + down.sum(axis=2))
