"""What is asked of one prediction: carried through all stages as one thing."""

from __future__ import annotations

from dataclasses import dataclass

from protoproof.certificate.schema import About
from protoproof.explanation.options import ExplainOptions
from protoproof.network import Observation
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.instance import Instance


@dataclass(frozen=True, eq=False)
class Question:
    """A prediction and how to explain it.

    Attributes:
        observation: what the runtime computed.
        instance: its latent, measured in float64.
        domain: the latents that are quantified over.
        options: how to explain.
        about: what to record beside the certificate's core.
    """

    observation: Observation
    instance: Instance
    domain: Domain
    options: ExplainOptions
    about: About
