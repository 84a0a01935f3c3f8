"""From an explanation to a certificate: premises, multipliers, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from verifier.certificate import schema
from verifier.latent.domain import Box, Domain
from verifier.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from verifier.latent.lagrangian import Rows, lower_rows, upper_rows
from verifier.network import Network, Observation
from verifier.oracle.exact import ExactState
from verifier.version import TOOL

# Multipliers are stored over 2**_SHIFT; see lagrangian.py for why rounding costs second order.
_SHIFT = 48


def input_digest(x: NDArray[np.float32]) -> str:
    """sha256 of an input tensor: dtype, shape and bytes, so that no other input can stand in."""
    data = np.ascontiguousarray(x, dtype="<f4")
    header = b"<f4" + repr(tuple(int(n) for n in data.shape)).encode()
    return hashlib.sha256(header + data.tobytes()).hexdigest()


def certificate_core(
    network: Network,
    observation: Observation,
    domain: Domain,
    vocabulary: str,
    facts: FactSet,
    state: ExactState,
) -> schema.Core:
    """The certificate of one sufficient set of facts found by interval reasoning.

    ``state`` must describe exactly the pair facts of ``facts``.
    """
    locations, channels = observation.latent.shape
    latent = np.ascontiguousarray(observation.latent, dtype="<f4")
    return schema.Core(
        tool=TOOL,
        level="R",
        model=schema.ModelIdentity(
            sha256=network.sha256,
            binding=network.binding,
            description_sha256=network.description_sha256,
            description=network.description_external,
        ),
        instance=schema.Instance(
            input_sha256=input_digest(observation.x),
            locations=locations,
            channels=channels,
            latent=base64.b64encode(latent.tobytes()).decode(),
            predicted=observation.predicted,
        ),
        domain=_domain(domain),
        vocabulary=vocabulary,  # type: ignore[arg-type]  # pydantic checks the word
        premises="exact",
        facts=tuple(_fact(fact) for fact in facts),
        rivals=tuple(k for k in range(len(observation.logits)) if k != observation.predicted),
        evidence=schema.IntervalEvidence(blocks=_blocks(state)),
    )


def _domain(domain: Domain) -> schema.FreeDomain | schema.BoxDomain:
    if isinstance(domain, Box):
        upper = None if math.isinf(domain.upper) else domain.upper.hex()
        return schema.BoxDomain(lower=domain.lower.hex(), upper=upper)
    return schema.FreeDomain()


def _fact(fact: Fact) -> schema.PairFact | schema.ActivationFact | schema.CeilingFact:
    match fact:
        case PairFact(location, prototype, lower, upper):
            return schema.PairFact(
                location=location, prototype=prototype, lower=lower.hex(), upper=upper.hex()
            )
        case ActivationFact(prototype, lower, upper):
            return schema.ActivationFact(prototype=prototype, lower=lower.hex(), upper=upper.hex())
        case CeilingFact(bound, exempt):
            return schema.CeilingFact(bound=bound.hex(), exempt=exempt)


def _blocks(state: ExactState) -> tuple[schema.PairBlock, ...]:
    """Evidence for the bounds that the margins use, and for no others.

    A lower bound of q_lj is needed only where it exceeds what the domain gives, and only up to
    min over locations of q_lj; an upper bound only at the one location that gives the least.
    """
    floor, roof = state.nearest()
    supporting = (state.instance.margin_weights > 0).any(axis=0)
    opposing = (state.instance.margin_weights < 0).any(axis=0)
    best = np.argmin(state.high, axis=0)
    blocks = []
    for location, place in enumerate(state.places):
        hull = place.hull
        if hull is None:
            continue
        measurement = state.instance.measurement[location]
        unnamed = np.ones(len(floor), dtype=bool)
        unnamed[list(place.facts)] = False
        below = np.flatnonzero(unnamed & opposing & (floor > state.floor))
        above = np.flatnonzero(unnamed & supporting & (best == location) & (roof < state.roof))
        if not len(below) and not len(above):
            continue
        blocks.append(
            schema.PairBlock(
                location=location,
                facts=hull.spanning,
                shift=_SHIFT,
                lower=_rows(
                    lower_rows(hull, state.instance.gram, measurement, below.tolist(), floor)
                ),
                upper=_rows(upper_rows(hull, above.tolist())),
            )
        )
    return tuple(blocks)


def _rows(rows: Rows) -> schema.Rows:
    return schema.Rows(prototypes=rows.prototypes, theta=_dyadic(rows.theta))


def _dyadic(theta: Float[NDArray[np.float64], "row fact"]) -> tuple[tuple[int, ...], ...]:
    # float64 -> integer over 2**_SHIFT; Python's round() of a float is exact
    return tuple(tuple(round(value) for value in row) for row in (theta * 2.0**_SHIFT).tolist())
