"""One explained latent, and what the head says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.backend import PROCESSOR, Engine
from protoproof.network.head.head import Head
from protoproof.prover.latent.atoms import Atoms, Weights
from protoproof.prover.latent.atoms import interval_margins as interval_margins
from protoproof.prover.latent.exact import Similarities
from protoproof.prover.latent.gram import Gram

Vector = Float[NDArray[np.float64], " prototype"]


@dataclass(frozen=True)
class Instance:
    """One explained latent and what the head says about it, in float64.

    ``latent`` [L, D]; ``measurement`` [L, P]; ``activation`` [P]; ``predicted`` the class (-1 where
    the decision is about labels); ``gram`` [P, P] squared distances between prototypes (shared by
    all instances of a head); ``engine`` where searches run that are worth a device; ``labels`` of a
    decision about labels, those that are explained, none for all; ``stated``: the similarities with
    constants that float64 does not hold, None where it holds all of them.
    """

    head: Head
    latent: Float[NDArray[np.float64], "location channel"]
    measurement: Float[NDArray[np.float64], "location prototype"]
    activation: Vector
    predicted: int
    gram: Gram
    engine: Engine = PROCESSOR
    labels: tuple[int, ...] = ()
    stated: Similarities | None = None

    @cached_property
    def exact(self) -> Similarities:
        """The similarities in exact numbers."""
        return self.stated or Similarities.of(self.head)

    @cached_property
    def known_levels(self) -> dict[int, float]:
        """Exact levels, rounded down, of the prototypes that were asked about."""
        return {}

    @cached_property
    def pooled(self) -> Vector:
        """What activation facts are about: the nearest measurement, or what is pooled."""
        return self.head.pooled(self.measurement)

    @cached_property
    def level(self) -> Vector:
        """What ceilings are about; see :meth:`protoproof.network.head.head.Head.levels`."""
        return self.head.levels(self.pooled)

    @cached_property
    def atoms(self) -> Atoms:
        """The margins of the prediction."""
        scores = self.head.logits(self.activation)
        return Atoms.of(self.head.decision, self.predicted, scores, self.labels)

    @property
    def rivals(self) -> list[int]:
        """All classes but the predicted one; or the labels that are explained."""
        return list(self.atoms.rivals)

    @cached_property
    def margin_weights(self) -> Float[NDArray[np.float64], "rival prototype"]:
        """w^k = W_c - W_k for every rival k, in the order of ``rivals``.

        Where the decision is not linear: the weights of the margins near the instance, for rankings
        and searches.
        """
        return self.atoms.local(self.activation)

    @cached_property
    def supporting(self) -> Float[NDArray[np.float64], "rival prototype"]:
        """The margin weights of the prototypes that speak for the predicted class, else zero."""
        return np.maximum(self.margin_weights, 0.0)

    @cached_property
    def opposing(self) -> Float[NDArray[np.float64], "rival prototype"]:
        """The margin weights of the prototypes that speak for the rival, else zero."""
        return np.minimum(self.margin_weights, 0.0)

    @property
    def charges(self) -> tuple[Weights, Weights]:
        """See :attr:`protoproof.prover.latent.atoms.Atoms.charges`."""
        return self.atoms.charges

    @cached_property
    def margin_offset(self) -> Float[NDArray[np.float64], " rival"]:
        """b_c - b_k for every rival k; what the local weights leave, of another decision."""
        if self.atoms.linear:
            return self.atoms.offset
        return np.asarray(self.margins - self.margin_weights @ self.activation)

    @cached_property
    def margins(self) -> Float[NDArray[np.float64], " rival"]:
        """The margins at the instance itself."""
        return self.atoms.margins(self.activation)

    def similarity(
        self,
        measurement: NDArray[np.float64],
        prototypes: Sequence[int] | NDArray[np.intp] | None = None,
    ) -> NDArray[np.float64]:
        """Similarity of pooled measurements, limits at infinite ones included.

        Args:
            measurement: ``[..., P]``, or of any shape where ``prototypes`` says whose each is.
            prototypes: indices that broadcast with it.
        """
        return self.head.chain.value(measurement, prototypes)
