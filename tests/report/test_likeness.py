"""Alike is said only where the network's own prototypes bear it out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protoproof.report.page.likeness import half_way, likeness
from protoproof.report.page.reading import Reading
from tests.support.heads import prototype_head, similarity

# prototype 0 of class 0; the nearest of another class lies at squared distance 4
PROTOTYPES = np.array([[0.0, 0.0], [0.5, 0.0], [2.0, 0.0], [9.0, 9.0]])
OWNERS = (0, 0, 1, 1)


def reading(latent: list[list[float]], owners: tuple[int, ...] | None = OWNERS) -> Reading:
    rows = np.array(latent)
    weight = np.eye(2)[[0, 0, 1, 1]].T
    head = prototype_head(
        PROTOTYPES, similarity("log_ratio"), weight, np.zeros(2), owners, (1, len(rows))
    )
    return Reading(("a", "b"), head, head.measurement(rows), 0)


def test_half_of_the_way_to_another_class_is_the_bar() -> None:
    found = reading([[0.0, 0.99], [0.0, 1.01], [1.9, 0.0]])
    assert half_way(found, 0) == pytest.approx(1.0)
    assert [likeness(found, place, 0) for place in range(3)] == [
        "looks like",
        "closest, though weak",
        "closest, though weak",
    ]


def test_what_is_alike_is_nearer_than_any_prototype_of_another_class() -> None:
    rng = np.random.default_rng(0)
    found = reading(rng.normal(size=(400, 2), scale=2.0).tolist())
    alike = 0
    for place in range(400):
        for prototype in range(4):
            if likeness(found, place, prototype) == "looks like":
                alike += 1
                others = [k for k in range(4) if OWNERS[k] != OWNERS[prototype]]
                own = found.measurement[place, prototype]
                assert (own <= found.measurement[place, others]).all()
    assert alike > 50


def test_without_classes_another_place_is_the_scale() -> None:
    found = reading([[0.0, 0.1], [0.0, 0.3]], None)
    assert half_way(found, 0) == pytest.approx(0.25**2)
    assert [likeness(found, place, 0) for place in range(2)] == [
        "looks like",
        "closest, though weak",
    ]


def test_products_of_any_size_have_no_scale() -> None:
    found = reading([[0.0, 0.1], [0.0, 0.3]])
    product = replace(found.head, geometry="linear")
    bare = replace(found, head=product, measurement=product.measurement(np.ones((2, 2))))
    assert half_way(bare, 0) is None
    assert likeness(bare, 0, 0) == "closest match"


def test_a_twin_of_another_class_leaves_nothing_alike() -> None:
    found = reading([[0.0, 0.1]])
    twins = PROTOTYPES.copy()
    twins[2] = twins[0]
    same = replace(found, head=replace(found.head, prototypes=twins))
    assert half_way(same, 0) == 0.0
