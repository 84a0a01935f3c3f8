"""The whole way on real images: explain, certify, check, and attack what was proved."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from models.data import load_data
from models.zoo import NAMES, zoo_path
from tests.strategies import Sphere
from verifier.latent.facts import FactSet
from verifier.network import load
from verifier.oracle.interface import Instance
from verifier.pipeline import VOCABULARIES, Explainer, Explanation
from verifier.verdict import Status

IMAGES = 12
ZOO = pytest.mark.parametrize("name", NAMES)


@cache
def explainer(name: str) -> Explainer:
    return Explainer(load(zoo_path(name)))


@cache
def images() -> NDArray[np.float32]:
    """Some of every digit: the test images are sorted by class."""
    return load_data("mnist5k").x_test[:: 1000 // IMAGES]


@cache
def explanation(name: str, index: int, vocabulary: str, domain: str = "free") -> Explanation:
    return explainer(name).explain(images()[index], vocabulary=vocabulary, domain=domain)


def instance_of(name: str, index: int) -> Instance:
    known = explainer(name)
    return known.instance(known.network.observe(images()[index]))


@ZOO
@pytest.mark.parametrize("domain", ["free", "box"])
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_certificate_is_accepted(name: str, domain: str, vocabulary: str) -> None:
    for index in range(IMAGES):
        result = explanation(name, index, vocabulary, domain)
        assert result.verdict.status is Status.PROVED
        assert result.check is not None
        assert result.check.accepted
        assert all(lower > 0 for _, lower in result.check.margins)


@ZOO
def test_auto_is_the_smallest(name: str) -> None:
    result = explanation(name, 0, "auto")
    sizes = {a.vocabulary: a.size for a in result.attempts}
    assert set(sizes) == set(VOCABULARIES)
    assert result.size == min(size for size in sizes.values() if size is not None)


def pair_latents(
    instance: Instance, facts: FactSet, rng: np.random.Generator, count: int
) -> NDArray[np.float64]:
    """Random latents that meet every pair fact; locations without facts are arbitrary."""
    places = []
    for location, point in enumerate(instance.latent):
        named = [fact.prototype for fact in facts.at(location)]
        if named:
            places.append(Sphere(point, instance.head.prototypes[named]).sample(rng, count))
        else:
            places.append(rng.normal(size=(count, len(point))))
    return np.stack(places, axis=1)


def towards(
    instance: Instance, facts: FactSet, rival: int, latents: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Adversarial latents: every location moves, inside its facts, towards the rival's prototypes.

    On the sphere that the facts leave, the nearest point to a target is found by projection.
    """
    prototypes, owner = instance.head.prototypes, instance.head.prototype_class
    assert owner is not None
    targets = [j for j, class_ in enumerate(owner) if class_ == rival]
    moved = latents.copy()
    for location, point in enumerate(instance.latent):
        named = [fact.prototype for fact in facts.at(location)]
        if not named:
            moved[:, location] = prototypes[targets][np.arange(len(moved)) % len(targets)]
            continue
        base = prototypes[named[0]]
        span = np.linalg.qr((prototypes[named[1:]] - base).T)[0]
        centre = base + span @ (span.T @ (point - base))
        radius = np.linalg.norm(point - centre)
        aims = prototypes[targets][np.arange(len(moved)) % len(targets)] - base
        across = aims - aims @ span @ span.T
        length = np.linalg.norm(across, axis=1, keepdims=True)
        free = length[:, 0] > 1e-6  # a named target leaves no direction to move in
        moved[free, location] = (centre + radius * across / np.maximum(length, 1e-12))[free]
    return moved


@ZOO
@pytest.mark.parametrize("index", [0, 7])
def test_no_latent_that_meets_the_pairs_changes_the_class(name: str, index: int) -> None:
    instance = instance_of(name, index)
    result = explanation(name, index, "pairs")
    rng = np.random.default_rng(index)
    random = pair_latents(instance, result.facts, rng, 500)
    batches = [random]
    batches += [towards(instance, result.facts, k, random[:50]) for k in instance.rivals]
    for latent in np.concatenate(batches):
        measured = instance.head.measurement(latent)
        for fact in result.facts.pairs:
            # the sampled points keep their distances up to rounding of the projection
            assert measured[fact.location, fact.prototype] == pytest.approx(fact.upper, abs=1e-8)
        logits = instance.head.logits(instance.head.activation(measured))
        assert int(np.argmax(logits)) == instance.predicted


@ZOO
@pytest.mark.parametrize("vocabulary", ["topk", "ceiling"])
def test_no_activations_that_meet_the_facts_change_the_class(name: str, vocabulary: str) -> None:
    """Sampled activations within the facts: a superset of what any latent can produce."""
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        instance = instance_of(name, index)
        facts = explanation(name, index, vocabulary).facts
        assert facts.ceiling is not None
        count = len(instance.activation)
        ceiling = instance.similarity(np.array([facts.ceiling.bound]))[0]
        high = np.full(count, ceiling)
        high[list(facts.ceiling.exempt)] = instance.head.similarity.supremum
        low = np.full(count, instance.head.similarity.infimum)
        for fact in facts.activations:
            low[fact.prototype] = high[fact.prototype] = instance.activation[fact.prototype]
        corners = np.where(rng.random((2000, count)) < 0.5, low, high)
        inside = low + (high - low) * rng.random((2000, count))
        logits = np.concatenate([corners, inside]) @ instance.head.weight.T + instance.head.bias
        assert (logits.argmax(axis=1) == instance.predicted).all()


@ZOO
def test_equal_runs_give_equal_cores(name: str) -> None:
    first = explainer(name).explain(images()[3])
    second = Explainer(load(zoo_path(name))).explain(images()[3])
    assert first.certificate is not None
    assert second.certificate is not None
    assert first.certificate.core == second.certificate.core


@ZOO
@pytest.mark.parametrize("vocabulary", ["topk", "ceiling"])
def test_widened_facts_are_certified_too(name: str, vocabulary: str) -> None:
    """Every interval holds the recorded value's, and the checker proves the wider statement."""
    recorded = explanation(name, 1, vocabulary)
    widened = explainer(name).explain(images()[1], vocabulary=vocabulary, widen=True)
    assert widened.check is not None
    assert widened.check.accepted
    assert widened.certificate is not None
    assert widened.certificate.core.premises == "interval"
    assert widened.size == recorded.size
    for before, after in zip(recorded.facts.activations, widened.facts.activations, strict=True):
        assert after.lower <= before.lower
        assert after.upper >= before.upper
