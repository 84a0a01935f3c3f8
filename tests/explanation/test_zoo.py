"""The whole way on real images: explain, certify, check, and attack what was proved."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from models.heldout import heldout
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.network import load
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.search.names import VOCABULARIES
from protoproof.resources import ZOO, zoo_path
from protoproof.verdict import Status
from tests.support.strategies import Sphere

IMAGES = 12
# squared distances to prototypes of a class, on images of digits: what the attacks below know
DIGITS = ("mnist-7x7", "mnist-1x1", "mnist-certified")
ANY = pytest.mark.parametrize("name", ZOO)

# a 7 x 7 grid takes ten times as long as a 1 x 1 grid: one of its images, and half in the sweep
SOME = pytest.mark.parametrize(
    ("name", "count"),
    [
        *((name, 1 if name == "mnist-7x7" else IMAGES) for name in DIGITS),
        pytest.param("mnist-7x7", IMAGES // 2, marks=pytest.mark.sweep),
    ],
)


@cache
def explainer(name: str) -> Explainer:
    return Explainer(load(zoo_path(name)))


@cache
def images() -> NDArray[np.float32]:
    """Some of every digit: the test images are sorted by class."""
    return load_data("mnist5k").x_test[:: 1000 // IMAGES]


@cache
def sample(name: str) -> NDArray[np.float32]:
    return heldout(name, 1).x[0]


def chosen(count: int) -> range:
    """So many of the images, of different digits."""
    return range(0, IMAGES, IMAGES // count)


@cache
def explanation(name: str, index: int, vocabulary: str, domain: str = "free") -> Explanation:
    return explainer(name).explain(images()[index], vocabulary=vocabulary, domain=domain)


def instance_of(name: str, index: int) -> Instance:
    known = explainer(name)
    return known.instance(known.network.observe(images()[index]))


@SOME
@pytest.mark.parametrize("domain", ["free", "box"])
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_certificate_is_accepted(name: str, count: int, domain: str, vocabulary: str) -> None:
    for index in chosen(count):
        result = explanation(name, index, vocabulary, domain)
        assert result.verdict.status is Status.PROVED
        assert result.check is not None
        assert result.check.accepted
        assert all(lower > 0 for _, lower in result.check.margins)


@ANY
def test_auto_is_the_smallest_and_equal_runs_give_equal_cores(name: str) -> None:
    searched = name == "mnist-1x1"  # witnesses take most of the time
    result = explainer(name).explain(sample(name), witnesses=searched, compare=True)
    assert result.verdict.status is Status.PROVED
    sizes = {a.vocabulary: a.size for a in result.attempts}
    head = explainer(name).network.head
    more = {"path"} if head.decision.kind == "tree" else set()
    assert set(sizes) == more | set(VOCABULARIES) - (set() if head.all_nearest else {"pairs"})
    assert result.size == min(size for size in sizes.values() if size is not None)
    # what is certified besides changes nothing of the answer
    again = Explainer(load(zoo_path(name))).explain(sample(name), witnesses=searched)
    for attempt in again.attempts:
        assert (attempt.size is None) == (attempt.vocabulary != again.vocabulary)
        assert attempt.facts is None or attempt.facts >= result.size
    assert result.certificate is not None
    assert again.certificate is not None
    assert again.size == result.size
    if again.vocabulary == result.vocabulary:
        assert result.certificate.core == again.certificate.core
    else:  # as many facts, fewer numbers, in a vocabulary that cannot have fewer facts
        assert result.numbers < again.numbers


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


@pytest.mark.parametrize(
    ("name", "index"),
    [
        *((name, 0) for name in DIGITS),
        *((name, 6) for name in DIGITS if name != "mnist-7x7"),
        pytest.param("mnist-7x7", 6, marks=pytest.mark.sweep),
    ],
)
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


def least_distances(instance: Instance, facts: FactSet) -> NDArray[np.float64]:
    """The squared distance that every location keeps from every prototype, by the facts."""
    least = np.zeros(len(instance.activation))
    for fact in facts.activations:
        least[fact.prototype] = fact.lower
    for step in facts.ceilings:
        under = np.setdiff1d(np.arange(len(least)), step.exempt)
        least[under] = np.maximum(least[under], step.bound)
    return least


def pushed_out(
    point: NDArray[np.float64], prototypes: NDArray[np.float64], least: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """A point near ``point`` that keeps all distances, or None."""
    for _ in range(60):
        apart = point - prototypes
        short = least * (1 + 1e-9) - (apart**2).sum(axis=1)
        worst = int(np.argmax(short))
        if short[worst] <= 0:
            return point
        length = np.linalg.norm(apart[worst])
        point = prototypes[worst] + apart[worst] * np.sqrt(least[worst] * (1 + 1e-8)) / length
    return None


def named_latents(
    instance: Instance, facts: FactSet, rng: np.random.Generator, count: int
) -> list[NDArray[np.float64]]:
    """Latents that meet activation, ceiling and pair facts, as bad for the class as is easy.

    Locations that no fact needs go far away or as near to a prototype as the facts allow. One that
    is nearest to a single named prototype moves around it at the same distance.
    """
    prototypes, least = instance.head.prototypes, least_distances(instance, facts)
    nearest = np.argmin(instance.measurement, axis=0)
    holders: dict[int, list[int]] = {fact.location: [-1, -1] for fact in facts.pairs}
    for fact in facts.activations:
        holders.setdefault(int(nearest[fact.prototype]), []).append(fact.prototype)
    result = []
    for _ in range(count):
        latent = instance.latent.copy()
        for location in range(len(latent)):
            held = holders.get(location, [])
            way = rng.normal(size=latent.shape[1])
            way /= np.linalg.norm(way)
            if len(held) == 1:
                apart = latent[location] - prototypes[held[0]]
                length = np.linalg.norm(apart)
                mixed = apart / max(length, 1e-12) + rng.choice([0.1, 0.5, 2.0]) * way
                moved = prototypes[held[0]] + length * mixed / np.linalg.norm(mixed)
                others = np.where(np.arange(len(least)) == held[0], 0.0, least)
                if (((moved - prototypes) ** 2).sum(axis=1) >= others).all():
                    latent[location] = moved
            elif not held:
                aim = int(rng.integers(len(prototypes)))
                near = pushed_out(
                    prototypes[aim] + np.sqrt(least[aim]) * 1.001 * way, prototypes, least
                )
                far = latent[location] + 100.0 * way
                latent[location] = far if near is None or rng.random() < 0.3 else near
        result.append(latent)
    return result


@SOME
@pytest.mark.parametrize("vocabulary", ["topk", "ceiling", "mixed"])
def test_no_latent_that_meets_the_facts_changes_the_class(
    name: str, count: int, vocabulary: str
) -> None:
    rng = np.random.default_rng(0)
    met = 0
    for index in chosen(count):
        instance = instance_of(name, index)
        facts = explanation(name, index, vocabulary).facts
        least = least_distances(instance, facts)
        for latent in named_latents(instance, facts, rng, 40):
            measured = instance.head.measurement(latent)
            best = measured.min(axis=0)
            named = [fact.prototype for fact in facts.activations]
            held = [measured[f.location, f.prototype] - f.upper for f in facts.pairs]
            if (
                np.allclose(best[named], least[named], atol=1e-8)
                and (best >= least - 1e-8).all()
                and np.allclose(held, 0, atol=1e-8)
            ):
                met += 1
                logits = instance.head.logits(instance.head.activation(measured))
                assert int(np.argmax(logits)) == instance.predicted
    assert met > 10 * count


@pytest.mark.parametrize(
    ("name", "vocabulary"), [*((name, "ceiling") for name in ZOO), ("mnist-1x1", "topk")]
)
def test_widened_facts_are_certified_too(name: str, vocabulary: str) -> None:
    """Every interval holds the recorded value's, and the checker proves the wider statement."""
    known, x = explainer(name), sample(name)
    recorded = known.explain(x, vocabulary=vocabulary, witnesses=False)
    widened = known.explain(x, vocabulary=vocabulary, witnesses=False, widen=True)
    assert widened.check is not None
    assert widened.check.accepted
    assert widened.certificate is not None
    assert widened.certificate.core.premises == "interval"
    assert widened.size == recorded.size
    for before, after in zip(recorded.facts.activations, widened.facts.activations, strict=True):
        assert after.lower <= before.lower
        assert after.upper >= before.upper
