"""The oracle protocol, its laws, and what every oracle shares.

``prepare(instance, domain)`` does the work that does not depend on facts; ``decide(state, facts)``
answers for one set of facts. Laws, tested for every oracle:

* *soundness*: PROVED only if every latent of the domain that meets the facts is predicted the
  same; the certificate checker, not the oracle, has the last word;
* *monotonicity*: a superset of proved facts is proved (the relational oracle: up to how far its
  tangents, and over a bounded domain its multipliers, are optimised);
* *order independence*: the answer depends on the set alone.

An oracle never answers REFUTED without a witness, and UNKNOWN never counts as proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import (
    Instance,
)
from protoproof.verdict import Verdict

State = TypeVar("State")


@dataclass(frozen=True)
class Decision:
    """An oracle's answer: verdict, and the lower bound of the margin over every rival."""

    verdict: Verdict
    margins: Float[NDArray[np.float64], " rival"]


class Oracle(Protocol, Generic[State]):
    """See the module's docstring for the laws."""

    @property
    def name(self) -> str:
        """The word that certificates and options use."""

    def prepare(self, instance: Instance, domain: Domain) -> State:
        """Everything that does not depend on the facts."""

    def decide(self, state: State, facts: FactSet) -> Decision:
        """Whether the facts entail the predicted class over the domain."""
