"""Networks that mean the same get the same verdict, and their certificates are accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import protoproof
from tests.support.network.builders import Draft, draft, node

X = np.random.default_rng(3).random((1, 6, 6)).astype(np.float32)
ORDER = [2, 0, 3, 1]


def permuted_prototypes(parts: Draft) -> None:
    parts.weights["prototypes"] = parts.weights["prototypes"][ORDER]
    parts.weights["head.weight"] = parts.weights["head.weight"][:, ORDER]


def permuted_classes(parts: Draft) -> None:
    parts.weights["head.weight"] = parts.weights["head.weight"][::-1]


def doubled_scores(parts: Draft) -> None:
    parts.weights["head.weight"] = 2 * parts.weights["head.weight"]


def a_prototype_twice(parts: Draft) -> None:
    """With half of its weight each."""
    w, p = parts.weights["head.weight"], parts.weights["prototypes"]
    parts.weights["head.weight"] = np.concatenate([w[:, :1] / 2, w[:, :1] / 2, w[:, 1:]], axis=1)
    parts.weights["prototypes"] = np.concatenate([p[:1], p], axis=0)
    parts.outputs |= {"activation": (5,), "measurement": (5, 2, 2)}


def powers(parts: Draft) -> None:
    parts.weights["square"] = np.array(2, dtype=np.float32)
    parts.replace("z_squared", node("Pow", ["latent", "square"], "z_squared"))


def one_image_at_a_time(parts: Draft) -> None:
    parts.batch = 1


SAME: dict[str, Callable[[Draft], None]] = {
    change.__name__: change
    for change in (permuted_prototypes, permuted_classes, doubled_scores, a_prototype_twice,
                   powers, one_image_at_a_time)
}  # fmt: skip


def explained(folder: Path, change: Callable[[Draft], None]) -> tuple[int, int, object]:
    """Class, number of facts and verdict; the certificate is accepted."""
    parts = draft()
    parts.description = None
    change(parts)
    network = protoproof.load(parts.save(folder))
    found = protoproof.explain(network, X, vocabulary="pairs")
    assert found.check is not None
    assert found.check.accepted
    return found.predicted, found.size, found.verdict.status


@pytest.mark.trust(10)
@pytest.mark.parametrize("name", SAME)
def test_the_same_verdict(tmp_path: Path, name: str) -> None:
    before = explained(tmp_path, lambda _: None)
    after = explained(tmp_path, SAME[name])
    assert after[2] is before[2] is protoproof.Status.PROVED
    assert after[0] == (1 - before[0] if name == "permuted_classes" else before[0])
    if name not in (
        "a_prototype_twice",
        "permuted_prototypes",
    ):  # there the order of search differs
        assert after[1] == before[1]
