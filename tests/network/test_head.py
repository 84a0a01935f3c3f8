"""The head in float64: accurate distances, pooling, margins."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protoproof.errors import InternalError
from protoproof.network.head import head as module
from protoproof.network.head.head import Head
from tests.support import heads


def make(prototypes: int = 5, channels: int = 4, classes: int = 3, seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    return heads.prototype_head(
        rng.random((prototypes, channels)).astype(np.float32),
        heads.similarity("log_ratio", 1e-4),
        rng.normal(size=(classes, prototypes)).astype(np.float32),
        rng.normal(size=classes).astype(np.float32),
        None,
        (2, 3),
    )


@given(st.integers(0, 2**32), st.sampled_from([1.0, 1e-3, 1e-6]))
@settings(max_examples=50)
def test_measurement_has_no_cancellation(seed: int, distance: float) -> None:
    """Relative error of (D + 2) units even where latent and prototype nearly coincide."""
    head = make(seed=seed)
    rng = np.random.default_rng(seed)
    noise = distance * rng.normal(size=(6, 4))
    latent = (head.prototypes[rng.integers(5, size=6)] + noise).astype(np.float32).astype(float)
    got = head.measurement(latent)
    for location, prototype in np.ndindex(got.shape):
        pairs = zip(latent[location], head.prototypes[prototype], strict=True)
        truth = sum(((Fraction(a) - Fraction(b)) ** 2 for a, b in pairs), Fraction(0))
        error = abs(Fraction(got[location, prototype]) - truth)
        assert error <= truth * (head.channels + 2) / Fraction(2**53)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    head = make(prototypes=17)
    latent = np.random.default_rng(1).random((6, 4))
    whole = head.measurement(latent)
    assert whole.shape == (6, 17)
    for block in (1, 24, 100):
        monkeypatch.setattr(module, "_BLOCK", block)
        np.testing.assert_array_equal(head.measurement(latent), whole)


def test_activation_is_the_largest_similarity() -> None:
    head = make()
    q = head.measurement(np.random.default_rng(2).random((6, 4)))
    np.testing.assert_array_equal(head.activation(q), head.chain.value(q).max(axis=0))


def test_margins_are_logit_differences() -> None:
    head = make()
    activation = np.random.default_rng(3).random(5)
    logits = head.logits(activation)
    for class_ in range(3):
        margins = head.margins(activation, class_)
        np.testing.assert_allclose(margins, logits[class_] - logits, atol=1e-12)
        assert margins[class_] == 0.0


def test_arrays_are_private_copies() -> None:
    prototypes = np.zeros((5, 4), dtype=np.float32)
    head = heads.prototype_head(
        prototypes, heads.similarity("negated"), np.ones((2, 5)), np.zeros(2), None, (1, 1)
    )
    prototypes[0, 0] = 7
    assert head.prototypes.dtype == np.float64
    assert head.prototypes[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        head.prototypes[0, 0] = 1
    assert (head.locations, head.channels) == (1, 4)


@pytest.mark.parametrize(
    ("weight", "bias", "owners"),
    [
        (np.ones((2, 4)), np.zeros(2), None),
        (np.ones((3, 5)), np.zeros(2), None),
        (np.ones((2, 5)), np.zeros(2), (0, 1)),
    ],
)
def test_shapes_must_fit(
    weight: np.ndarray, bias: np.ndarray, owners: tuple[int, ...] | None
) -> None:
    with pytest.raises(InternalError):
        heads.prototype_head(
            np.ones((5, 4)), heads.similarity("negated"), weight, bias, owners, (1, 1)
        )
