"""What people read: every geometry's own words, signs undone, and nothing rounded in its favour."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from protoproof.explanation.describe import describe
from protoproof.explanation.quantities import UNBOUNDED, Quantities, Quantity, is_value
from protoproof.network.head.chain import Chain, Step
from protoproof.network.head.head import Head
from protoproof.network.head.latent_range import LatentRange
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, PairFact
from tests.support import algebra
from tests.support.heads import step


def quantities(
    rows: list[list[float]],
    geometry: str = "linear",
    steps: tuple[Step, ...] = (step("mul", -1.0),),
    latent_range: LatentRange = "free",
) -> Quantities:
    count = len(rows)
    decision = algebra.Linear(np.eye(2, count), np.zeros(2))
    head = Head(geometry, np.array(rows), Chain(steps), decision, (2, 2))  # type: ignore[arg-type]
    return Quantities(head, latent_range)


UNIT, LONG = [[0.6, 0.8], [1.0, 0.0]], [[3.0, 4.0], [0.0, 2.0]]
CHANNELS = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("rows", "geometry", "latent_range", "name", "shown"),
    [
        (LONG, "linear", "free", "dot product", 2.5),
        (LONG, "linear", "relu", "dot product", 2.5),
        (LONG, "linear", "normalised", "cosine", 0.5),
        (UNIT, "linear", "ball", "cosine", 2.5),
        (LONG, "angular", "free", "cosine", 0.5),
        (CHANNELS, "linear", "softmax", "presence", 2.5),
        (CHANNELS, "linear", "sigmoid", "value", 2.5),
    ],
)
def test_products_are_shown_as_products(
    rows: list[list[float]], geometry: str, latent_range: LatentRange, name: str, shown: float
) -> None:
    words = quantities(rows, geometry, latent_range=latent_range)
    found = words.pair(0, -2.5, -2.5)
    assert found.quantity is not None
    assert found.quantity.name == name
    assert found.ends == pytest.approx((shown, shown))
    assert words.noun == ("concept" if rows is CHANNELS else "prototype")


def test_activations_that_are_cosines_are_called_so() -> None:
    folded = quantities(LONG, "angular", (step("mul", -1 / 5, -1 / 2),))
    assert folded.word == "cosine"
    other = quantities(LONG, "angular", (step("mul", -1.0),))
    assert other.word == "similarity"


def test_what_is_the_activation_itself_is_said_once() -> None:
    assert quantities(LONG).activation(0, -2.5, -2.5).activation is None
    steps = (step("mul", -1.0), step("exp"))
    found = quantities(LONG, steps=steps).activation(0, -2.5, -2.5)
    assert found.activation == pytest.approx((math.exp(2.5),) * 2)


def test_ends_that_say_nothing_are_open() -> None:
    words = quantities([[1.0, 2.0], [0.0, 1.0]], "euclidean", (step("mul", -1.0),))
    assert words.activation(0, 0.0, 2.0).ends == (-math.inf, 2.0)
    assert words.activation(0, 2.0, UNBOUNDED).ends == (2.0, math.inf)
    assert words.activation(0, 0.0, 0.0).ends == (0.0, 0.0)
    angular = quantities(UNIT, "angular")
    assert angular.pair(0, -2.0, -0.5).ends == (0.5, math.inf)


def test_a_quotient_is_rounded_outwards() -> None:
    least, most = Quantity("cosine", -1, 3.0).shown(-1.0, -0.5)
    assert least * 3.0 < 0.5
    assert most * 3.0 > 1.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", algebra.NAMES)
def test_facts_of_every_head_hold_as_they_read(name: str, seed: int) -> None:
    """The numbers shown contain what the head measures, and the document is plain JSON."""
    made = algebra.case(name, seed)
    instance = made.instance
    words = Quantities(instance.head)
    pooled, activation = instance.pooled, instance.activation
    facts: list[Fact] = []
    for j, t in enumerate(pooled.tolist()):
        wide = ActivationFact(j, t - 0.01, t + 0.01)
        found = words.activation(j, wide.lower, wide.upper)
        assert found.quantity is not None
        stored = found.quantity.shown(t, t)[0]
        assert found.ends[0] <= stored <= found.ends[1]
        if found.activation is None:
            assert abs(stored) == pytest.approx(abs(float(activation[j])), rel=1e-9, abs=1e-12)
        else:
            assert found.activation[0] - 1e-9 <= activation[j] <= found.activation[1] + 1e-9
        facts.append(wide)
    level = float(instance.level.min())
    found = words.ceiling(level)
    if found.activation is not None:
        assert max(activation) <= found.activation[1] + 1e-9 * (1 + abs(found.activation[1]))
    facts.append(CeilingFact(level, (1, 2)))
    if instance.head.all_nearest:
        location = int(np.argmin(instance.measurement[:, 0]))
        m = float(instance.measurement[location, 0])
        facts.append(PairFact(location, 0, m, m))
    for fact in facts:
        document = describe(fact, words)
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        plain = instance.head.geometry == "euclidean" and not isinstance(fact, CeilingFact)
        nearest = not isinstance(fact, CeilingFact) and (
            instance.head.pooling_of.kinds[fact.prototype] == "nearest"
        )
        assert ("squared_distance" in document) == (plain and nearest)


def test_an_open_end_is_no_rounding_of_one_value() -> None:
    assert is_value(0.5, 0.5 + 1e-12)
    assert not is_value(-math.inf, 0.5)
    assert not is_value(0.5, math.inf)
    assert not is_value(-math.inf, math.inf)
