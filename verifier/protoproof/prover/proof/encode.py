"""From an explanation to a certificate: premises, multipliers, and nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from protoproof.certificate import schema
from protoproof.certificate.input_region import InputRegion
from protoproof.network import Network, Observation
from protoproof.network.head.decision import Tree
from protoproof.network.recorded import input_digest
from protoproof.prover.counterexample.needed import Found
from protoproof.prover.counterexample.refute import Refutation
from protoproof.prover.latent.domain import Ball, Box, Domain, Simplex, Sphere
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import Reach
from protoproof.prover.latent.replay import Move
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.oracle import State
from protoproof.prover.proof.evidence import encoded
from protoproof.version import TOOL

if TYPE_CHECKING:
    from protoproof.prover.search.hitting_set import Node
    from protoproof.prover.search.size_proof import SizeProof


def certificate_core(
    network: Network,
    observation: Observation,
    domain: Domain,
    vocabulary: str,
    facts: FactSet,
    state: State,
    *,
    short: bool = True,
) -> schema.Core:
    """The certificate of one sufficient set of facts.

    ``state`` is the one that proved them, and is made to assume ``facts``. ``short``: see
    :func:`.evidence.encoded`.
    """
    return core_of(
        model_identity(network),
        input_digest(observation.x),
        domain,
        vocabulary,
        facts,
        state,
        short=short,
    )


def model_identity(network: Network) -> schema.ModelIdentity:
    """Which network a certificate is about, and as what its head is read."""
    head = network.head
    return schema.ModelIdentity(
        sha256=network.sha256,
        files=tuple(
            schema.ExternalFile(name=name, sha256=sha256(data).hexdigest(), size=len(data))
            for name, data in sorted(network.files.items())
        ),
        latent=network.recognised.latents,
        output=network.recognised.output,
        geometry=head.geometry,
        pooling=tuple(sorted(set(head.pooling_of.kinds))),
        decision=head.decision.kind,  # type: ignore[arg-type]  # pydantic checks the word
        routing=head.decision.routing if isinstance(head.decision, Tree) else None,
    )


def core_of(
    model: schema.ModelIdentity,
    input_sha256: str,
    domain: Domain,
    vocabulary: str,
    facts: FactSet,
    state: State,
    *,
    short: bool = True,
) -> schema.Core:
    """As :func:`certificate_core`, about a state's own instance and a model known already."""
    instance = state.instance
    locations, channels = instance.latent.shape
    labels = instance.atoms.on
    return schema.Core(
        tool=TOOL,
        level="R",
        model=model,
        instance=schema.Instance(
            input_sha256=input_sha256,
            locations=locations,
            channels=channels,
            latent=_base64(instance.latent.astype(np.float32)),
            predicted=instance.rivals[0] if model.decision == "labels" else instance.predicted,
            labels=labels,
        ),
        domain=_domain(domain),
        vocabulary=vocabulary,  # type: ignore[arg-type]  # pydantic checks the word
        premises="exact",
        facts=tuple(stored_fact(fact) for fact in facts),
        rivals=tuple(instance.rivals),
        evidence=encoded(state.evidence(facts), short=short),
    )


def restated(core: schema.Core, facts: FactSet) -> schema.Core:
    """The same certificate about ``facts``, which are those of ``core`` or wider intervals."""
    stored = tuple(stored_fact(fact) for fact in facts)
    return core.model_copy(update={"facts": stored, "premises": "interval"})


def stored_witnesses(found: Iterable[Found]) -> tuple[schema.Witness, ...]:
    """Witnesses in the certificate's words; facts are numbered in the order of the fact set."""
    return tuple(
        schema.Witness(
            fact=witness.fact,
            rival=witness.rival,
            moves=_moves(witness.moves),
        )
        for witness in found
    )


def stored_superfluous(
    instance: Instance, domain: Domain, facts: FactSet, spared: Iterable[int]
) -> tuple[schema.Superfluous, ...]:
    """Proofs that the others do without a fact, of those among ``spared`` that intervals prove."""
    state, order, found = IntervalOracle().prepare(instance, domain), list(facts), []
    for index in sorted(spared):
        rest = facts.without(order[index])
        if state.proves(state.margins(rest)):
            proof = encoded(state.evidence(rest))
            found.append(schema.Superfluous(fact=index, evidence=proof))
    return tuple(found)


def stored_size_bound(proof: SizeProof) -> schema.SizeBound:
    """A proof of a lower bound in the certificate's words."""
    return schema.SizeBound(
        refutations=tuple(stored_contrast(found) for found in proof.refutations),
        covers=tuple(
            schema.Cover(ceilings=numbers, nodes=tuple(_node(node) for node in nodes))
            for numbers, nodes in proof.covers
        ),
    )


def stored_contrast(found: Refutation) -> schema.Refutation:
    """A latent that is predicted otherwise, in the certificate's words."""
    return schema.Refutation(rival=found.rival, moves=_moves(found.moves))


def _node(node: Node) -> schema.Split | schema.Packing:
    # imported where they are needed: their solvers cost every start a quarter of a second
    from protoproof.prover.search.hitting_set import SCALE, Split

    if isinstance(node, Split):
        return schema.Split(fact=node.member)
    return schema.Packing(scale=SCALE, weights=node.weights)


def _moves(moves: Iterable[Move]) -> tuple[schema.Move, ...]:
    return tuple(
        schema.Move(location=move.location, keep=move.keep, direction=_base64(move.direction))
        for move in moves
    )


def _base64(values: NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def _domain(domain: Domain) -> schema.Domain:
    match domain:
        case Box(lower, upper):
            end = None if math.isinf(upper) else upper.hex()
            return schema.BoxDomain(lower=lower.hex(), upper=end)
        case Ball(slack):
            return schema.BallDomain(slack=slack.hex())
        case Sphere(slack):
            return schema.SphereDomain(slack=slack.hex())
        case Simplex(slack):
            return schema.SimplexDomain(slack=slack.hex())
        case Reach():
            return schema.ReachDomain(
                lower=_doubles(domain.lower),
                upper=_doubles(domain.upper),
                bounds=tuple(
                    schema.LinearBound(coefficients=_doubles(row), bound=float(bound).hex())
                    for row, bound in zip(domain.coefficients, domain.bounds, strict=True)
                ),
                source=domain.source,
                region=_region(domain.region),
                propagated=domain.propagated,
            )
        case _:
            return schema.FreeDomain()


def _region(statement: Mapping[str, Any] | None) -> InputRegion | None:
    if statement is None:
        return None
    known: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)
    return known.validate_python(dict(statement))


def _doubles(values: NDArray[np.float64]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def stored_fact(fact: Fact) -> schema.PairFact | schema.ActivationFact | schema.CeilingFact:
    """A fact in the certificate's words."""
    match fact:
        case PairFact(location, prototype, lower, upper):
            return schema.PairFact(
                location=location, prototype=prototype, lower=lower.hex(), upper=upper.hex()
            )
        case ActivationFact(prototype, lower, upper):
            return schema.ActivationFact(prototype=prototype, lower=lower.hex(), upper=upper.hex())
        case CeilingFact(bound, exempt):
            return schema.CeilingFact(bound=bound.hex(), exempt=exempt)
