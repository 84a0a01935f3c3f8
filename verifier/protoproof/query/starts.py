"""Latents that meet premises, for proofs to start at: offered ones, middles, and projections.

Whether one meets them is found out exactly by whoever uses it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.head import Head
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.reach import Reach
from protoproof.query.binding import Bound

Latent = NDArray[np.float64]
_ROUNDS, _SEEDS = 200, 4
_FAR = 4.0  # standard deviations of prototypes around which an unbounded latent is looked for


def starts(bound: Bound, domain: Domain, facts: FactSet) -> Iterator[Latent]:
    """Float32 latents [L, D], the likeliest first."""
    head = bound.network.head
    shape = bound.reading.head.location_count, bound.reading.head.channels
    for text in bound.query.hints:
        offered = _decoded(text, shape)
        if offered is not None:
            yield offered
    box = domain.box(*shape)
    middle = _middle(head, box, shape)
    if isinstance(domain, Reach) and len(domain.bounds):
        found = _inside(domain)
        middle = middle if found is None else found
    if not len(facts):
        yield _single(middle, box)
        return
    rng = np.random.default_rng(0)
    for seed in range(_SEEDS):
        start = middle
        if seed:
            start = head.prototypes[rng.integers(len(head.prototypes), size=shape[0])]
        yield _single(projected(head, start, box, facts), box)


def _decoded(text: str, shape: tuple[int, int]) -> Latent | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) != 4 * shape[0] * shape[1]:
        return None
    found = np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float64)
    return found if np.isfinite(found).all() else None


def _middle(head: Head, box: tuple[Latent, Latent] | None, shape: tuple[int, int]) -> Latent:
    spread = float(np.abs(head.prototypes).max(initial=1.0)) * _FAR
    if box is None:
        return np.zeros(shape)
    lower, upper = np.maximum(box[0], -spread), np.minimum(box[1], spread)
    lower = np.where(np.isfinite(box[1]) & (box[1] < lower), box[1], lower)
    upper = np.where(np.isfinite(box[0]) & (box[0] > upper), box[0], upper)
    return np.asarray(lower / 2 + upper / 2)


def _inside(domain: Reach) -> Latent | None:
    """A latent that meets the linear bounds with as much room as all of them leave."""
    from scipy.optimize import linprog

    rows = -domain.coefficients.reshape(len(domain.bounds), -1)
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    ends = [*zip(domain.lower.ravel().tolist(), domain.upper.ravel().tolist(), strict=True)]
    target = np.zeros(rows.shape[1] + 1)
    target[-1] = -1.0
    found = linprog(
        target, A_ub=np.hstack([rows, sizes]), b_ub=-domain.bounds, bounds=[*ends, (0.0, None)]
    )
    return found.x[:-1].reshape(domain.lower.shape) if found.status == 0 else None


def _single(latent: Latent, box: tuple[Latent, Latent] | None) -> Latent:
    """The float32 numbers next to it; in the box, where there are such."""
    near = latent.astype(np.float32)
    if box is not None:
        below = np.nextafter(near, np.float32(-np.inf))
        above = np.nextafter(near, np.float32(np.inf))
        near = np.where(near > box[1], below, np.where(near < box[0], above, near))
    return near.astype(np.float64)


def projected(
    head: Head, start: Latent, box: tuple[Latent, Latent] | None, facts: FactSet
) -> Latent:
    """A latent moved, one fact after the other, to where squared distances are as they say."""
    z = np.array(start)
    if head.geometry != "euclidean":
        return z
    for _ in range(_ROUNDS):
        moved = False
        for location, prototype, low, high in _wanted(head, z, facts):
            away = z[location] - head.prototypes[prototype]
            length = float(np.sqrt(away @ away))
            least, most = np.sqrt(max(low, 0.0)), np.sqrt(max(high, 0.0))
            if least <= length <= most:
                continue
            target = least + min((most - least) / 2, 0.1 * least + 1e-6)
            if length > most:
                target = max(least / 2 + most / 2, most * 0.95)
            direction = away / length if length else np.ones_like(away) / np.sqrt(len(away))
            z[location] = head.prototypes[prototype] + target * direction
            moved = True
        if box is not None:
            z = np.clip(z, *box)
        if not moved:
            break
    return z


def _wanted(head: Head, z: Latent, facts: FactSet) -> Iterator[tuple[int, int, float, float]]:
    """Intervals of squared distances that meet the facts: location, prototype, ends."""
    for pair in facts.pairs:
        yield pair.location, pair.prototype, pair.lower, pair.upper
    measured = head.measurement(z)
    for fact in facts.activations:
        column = measured[:, fact.prototype]
        nearest = int(np.argmin(column))
        yield nearest, fact.prototype, fact.lower, fact.upper
        for location in np.flatnonzero(column < fact.lower).tolist():
            if location != nearest:
                yield location, fact.prototype, fact.lower, np.inf
    for ceiling in facts.ceilings:
        exempt = set(ceiling.exempt)
        for location, prototype in np.argwhere(measured < ceiling.bound).tolist():
            if prototype not in exempt:
                yield location, prototype, ceiling.bound, np.inf
