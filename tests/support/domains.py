"""Latents of every kind of domain, and points that meet facts and domain, for the oracles' laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from protoproof.prover.latent.domain import Box, Domain, Free, Simplex, Sphere, rounding_slack
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import Reach
from tests.support import heads
from tests.support.strategies import Matrix, float32, make_head, make_instance, random_instance

# the one list of domains that the laws run over
KINDS = ("free", "box", "relu", "sphere", "simplex", "reach", "linear")


def placed(kind: str, seed: int, similarity: str = "log_ratio") -> tuple[Instance, Domain]:
    """A random instance, and a domain of one kind that its latent lies in."""
    grid = ((1, 1), (1, 2), (2, 2))[seed % 3]
    instance = random_instance(seed, prototypes=6, channels=5, grid=grid)
    latent = instance.latent
    if kind == "sphere":
        latent = float32(latent / np.linalg.norm(latent, axis=1, keepdims=True))
    if kind == "simplex":
        latent = float32((latent + 0.01) / (latent + 0.01).sum(axis=1, keepdims=True))
    epsilon = float(np.float32(1e-2)) if similarity == "log_ratio" else None
    head = replace(instance.head, chain=heads.similarity(similarity, epsilon))
    instance = make_instance(head, latent)
    return instance, domain_of(kind, instance, seed)


def domain_of(kind: str, instance: Instance, seed: int, half_width: float = 0.15) -> Domain:
    """A domain of one kind around the latent of an instance."""
    latent, slack = instance.latent, rounding_slack(instance.latent.shape[1])
    if kind == "free":
        return Free()
    if kind == "box":
        return Box(0.0, 1.0)
    if kind == "relu":
        return Box(0.0, np.inf)
    if kind == "sphere":
        return Sphere(slack)
    if kind == "simplex":
        return Simplex(slack)
    lower, upper = latent - half_width, latent + half_width
    if kind == "reach":
        return Reach(lower, upper, "tests")
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=(2, *latent.shape))
    bounds = (coefficients * latent).sum(axis=(1, 2)) - 0.02 * rng.random(2)
    return Reach(lower, upper, "tests", coefficients, bounds)


def shell_reaches(instance: Instance) -> list[Reach]:
    """Nested reach boxes, the widest first."""
    return [Reach(instance.latent - h, instance.latent + h, "tests") for h in (0.4, 0.2, 0.1, 0.03)]


def inside(domain: Domain, latent: Matrix, spare: float) -> bool:
    """Whether a float64 latent lies in the domain, give or take ``spare``."""
    box = domain.box(*latent.shape)
    if box is not None and not ((latent >= box[0] - spare) & (latent <= box[1] + spare)).all():
        return False
    constraints, coupling = domain.constraints(latent), domain.coupling(latent)
    if isinstance(domain, Sphere):
        return bool((np.abs((latent**2).sum(axis=1) - 1) <= domain.slack + spare).all())
    if isinstance(domain, Simplex):
        return bool((np.abs(latent.sum(axis=1) - 1) <= domain.slack + spare).all())
    if isinstance(domain, Reach) and coupling is not None and constraints is not None:
        values = (domain.coefficients * latent).sum(axis=(1, 2))
        return bool((values >= domain.bounds - spare).all())
    return True


def violation(instance: Instance, domain: Domain, facts: FactSet, latent: Matrix) -> Matrix:
    """What a latent breaks, as a vector whose zero means that it meets facts and domain."""
    measured = instance.head.measurement(latent)
    parts = [
        measured[f.location, f.prototype] - instance.measurement[f.location, f.prototype]
        for f in facts.pairs
    ]
    box = domain.box(*latent.shape)
    if box is not None:
        parts.extend(np.maximum(box[0] - latent, 0.0).ravel())
        parts.extend(np.maximum(latent - box[1], 0.0)[np.isfinite(box[1])].ravel())
    if isinstance(domain, Sphere):
        parts.extend((latent**2).sum(axis=1) - 1)
    if isinstance(domain, Simplex):
        parts.extend(latent.sum(axis=1) - 1)
    if isinstance(domain, Reach):
        values = (domain.coefficients * latent).sum(axis=(1, 2))
        parts.extend(np.minimum(values - domain.bounds, 0.0))
    return np.array(parts) if parts else np.zeros(1)


def adversaries(instance: Instance, domain: Domain, facts: FactSet, seed: int) -> list[Matrix]:
    """Latents that meet facts and domain: the instance's own, and optimised ones.

    A margin is pushed down with a growing penalty on what is broken, from random starts nearby.
    What still breaks something by more than rounding is left out by the caller (see ``inside``).
    """
    rng = np.random.default_rng(seed)
    shape, found = instance.latent.shape, [instance.latent]
    row = int(np.argmin(instance.margins))
    weights, offset = instance.margin_weights[row], instance.margin_offset[row]
    for _ in range(2):
        point = instance.latent + 0.1 * rng.normal(size=shape)
        for price in (1e3, 1e6):

            def cost(flat: Matrix, price: float = price) -> float:
                latent = flat.reshape(shape)
                activation = instance.head.activation(instance.head.measurement(latent))
                broken = violation(instance, domain, facts, latent)
                return float(weights @ activation + offset + price * (broken**2).sum())

            point = minimize(cost, point.ravel(), method="L-BFGS-B", options={"maxiter": 25}).x
            point = point.reshape(shape)
        found.append(point)
    return found


def small_head_instance(prototypes: Matrix, latent: Matrix) -> Instance:
    """An instance of a head with given prototypes, two classes that alternate."""
    head = replace(
        make_head(np.random.default_rng(0), len(prototypes), prototypes.shape[1], 2, (1, 1)),
        prototypes=float32(prototypes),
    )
    return make_instance(head, float32(latent))
