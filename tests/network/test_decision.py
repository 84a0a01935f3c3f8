"""Decisions: scores, and the margins that bounds of activations leave."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import InternalError
from protoproof.network.head.decision import Best, Decision, Labels, Linear, Tree
from protoproof.prover.latent.atoms import Atoms
from tests.support.algebra import PROTOTYPES, decision

KINDS = ("linear", "labels", "best", "tree")
seeds = st.integers(0, 2**32 - 1)


def atoms_of(found: Decision, activation: np.ndarray) -> Atoms:
    scores = found.scores(activation)
    return Atoms.of(found, int(np.argmax(scores)), scores)


@given(st.sampled_from(KINDS), seeds)
def test_margins_are_differences_of_scores(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = decision(kind, rng)
    at, other = rng.random((2, PROTOTYPES))
    atoms, scores = atoms_of(found, at), found.scores(other)
    if kind == "labels":
        expected = [s if k in atoms.on else -s for k, s in enumerate(scores)]
    else:
        expected = [scores[atoms.predicted] - scores[k] for k in atoms.rivals]
    np.testing.assert_allclose(atoms.margins(other), expected, atol=1e-12)
    assert (atoms.margins(at) >= 0).all()


@given(st.sampled_from(KINDS), seeds)
def test_least_margins_are_attained_at_corners(kind: str, seed: int) -> None:
    """No activations between the ends go below; where each node has its own prototype, and for
    linear forms and best of groups, some corner attains the bound."""
    rng = np.random.default_rng(seed)
    found = decision(kind, rng)
    low, high = np.sort(rng.random((2, PROTOTYPES)), axis=0)
    atoms = atoms_of(found, (low + high) / 2)
    least = atoms.least(low, high)
    corners = np.array([np.where(c, high, low) for c in product((0, 1), repeat=PROTOTYPES)])
    values = atoms.margins(corners)
    assert (values >= least - 1e-12).all()
    np.testing.assert_allclose(values.min(axis=0), least, atol=1e-9)


@given(st.sampled_from(KINDS), seeds)
def test_local_weights_are_gradients(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = decision(kind, rng)
    at = rng.random(PROTOTYPES)
    atoms = atoms_of(found, at)
    step = 1e-7 * rng.normal(size=PROTOTYPES)
    change = atoms.margins(at + step) - atoms.margins(at)
    np.testing.assert_allclose(atoms.local(at) @ step, change, atol=1e-11)


def test_some_labels_only() -> None:
    found = decision("labels", np.random.default_rng(0))
    at = np.random.default_rng(1).random(PROTOTYPES)
    atoms = Atoms.of(found, 0, found.scores(at), (2,))
    assert atoms.rivals == (2,)
    assert atoms.margins(at).shape == (1,)


def test_a_tree_sends_everything_somewhere() -> None:
    tree = decision("tree", np.random.default_rng(3))
    at = np.random.default_rng(4).random(PROTOTYPES)
    assert tree.scores(at).sum() == pytest.approx(1.0)  # every leaf is a distribution
    assert isinstance(tree, Tree)
    path = tree.path(at)
    assert path[0] == 0
    assert len(path) >= 2


@pytest.mark.parametrize(
    ("left", "right"),
    [([1, -1], [-2, -2]), ([0, -1], [-2, -3]), ([-1, -2], [-3, -4]), ([2, -1], [-2, -3])],
)
def test_what_is_no_tree(left: list[int], right: list[int]) -> None:
    with pytest.raises(InternalError, match="no tree"):
        Tree(np.array([0, 1]), np.array(left), np.array(right), np.eye(3), 2)


def test_parts_must_fit() -> None:
    with pytest.raises(InternalError):
        Linear(np.ones((2, 3)), np.zeros(3))
    with pytest.raises(InternalError):
        Labels(np.ones((2, 3)), np.zeros(2), np.zeros(3))
    with pytest.raises(InternalError):
        Best(np.array([0, 2]), Linear(np.eye(2), np.zeros(2)))
