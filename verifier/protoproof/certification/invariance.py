"""An explanation that holds over a region: every input there meets the facts, hence has the class.

The walk over the region gives a box of latents, and that a range of every measurement. Facts whose
intervals contain these ranges hold for the whole region. Either a given explanation is restated
with intervals wide enough, or facts about activations are chosen for the region itself, as few as
still force the class. The checker finds the ranges again, and proves sufficiency as it always does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import TypeAdapter

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import ActivationFact as StoredActivation
from protoproof.certificate.schema import CeilingFact as StoredCeiling
from protoproof.certificate.schema import Core, Fact, ReachDomain
from protoproof.errors import InputError, UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.network import Network, Observation
from protoproof.network.recorded import input_digest
from protoproof.prover.latent.domain import domain_from_name
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.proof.encode import certificate_core
from protoproof.prover.search.deletion import drop_facts
from protoproof.region.bounds.interval import LatentBox
from protoproof.region.bounds.latent_bounds import latent_box, refinements, widened
from protoproof.region.bounds.margins import measurement_ends
from protoproof.region.sets.region import Region
from protoproof.region.sets.statement import require_statement
from protoproof.verdict import Status

WORDS = ("as stated", "wider facts")
_STEPS = 32  # ceilings that are considered

Matrix = Float[NDArray[np.float64], "location prototype"]
Vector = Float[NDArray[np.float64], " prototype"]


@dataclass(frozen=True, eq=False)
class Held:
    """A region in the certificate's words, and the range of every measurement over it.

    ``low``, ``high`` bound q_lj; the recorded latent's own measurements are among them.
    """

    stated: InputRegion
    low: Matrix
    high: Matrix

    @classmethod
    def over(cls, network: Network, region: Region, instance: Instance) -> Held:
        """By the interval walk, with room for the checker's own.

        Raises:
            BoundsError: the walk fails.
            UsageError: a region that a certificate has no words for.
        """
        finest = refinements(region)[-1]
        words = require_statement(finest)
        known: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)
        box = latent_box(network, finest)
        lower, upper = widened(box.lower[0], box.upper[0])
        wide = LatentBox(lower[None], upper[None])
        low, high = measurement_ends(network.head, wide)
        here = instance.measurement
        spare = 1e-12 * (1 + here)
        return cls(
            known.validate_python(dict(words)),
            np.minimum(low[0], here - spare),
            np.maximum(high[0], here + spare),
        )

    @property
    def best(self) -> tuple[Vector, Vector]:
        """Ranges of the best measurement of every prototype, the least over locations."""
        return self.low.min(axis=0), self.high.min(axis=0)


def restated(core: Core, held: Held) -> Iterator[Core]:
    """An explanation, said to hold over the region: as it is, then with wider intervals.

    What rests on the stated intervals (witnesses, a size bound) is left out of the wider one. The
    claim about the region is at level R, whatever the level of the explanation.

    Raises:
        InputError: the certificate is about another input, or has no fact.
        UsageError: its domain does not hold what the region reaches.
    """
    domain = core.domain
    if isinstance(domain, ReachDomain) and (domain.region != held.stated or domain.bounds):
        raise UsageError("--explanation: its domain is another region; explain over --domain free")
    if not core.facts:
        raise InputError("--explanation: the certificate states no fact; make one with explain")
    over = {"holds": held.stated, "level": "R", "execution": None}
    yield core.model_copy(update=over)
    wider = over | {
        "facts": tuple(_wide(fact, held) for fact in core.facts),
        "premises": "interval",
        "witnesses": (),
        "size_bound": None,
        "contrasts": (),
    }
    yield core.model_copy(update=wider)


def require_about(core: Core, network: Network, observation: Observation) -> None:
    """Refuse a certificate about another model or input.

    Raises:
        InputError: it is.
    """
    if core.model.sha256 != network.sha256:
        raise InputError("--explanation: the certificate is about another model; explain again")
    if core.instance.input_sha256 != input_digest(observation.x):
        raise InputError("--explanation: the certificate is about another input; explain this one")


def _wide(fact: Fact, held: Held) -> Fact:
    """A fact with the least interval that contains the stated one and the region's range."""
    low, high = held.best
    if isinstance(fact, StoredCeiling):
        below = np.delete(low, list(fact.exempt))
        bound = min([float.fromhex(fact.bound), *below.tolist()])
        return fact.model_copy(update={"bound": bound.hex()})
    if isinstance(fact, StoredActivation):
        least, most = float(low[fact.prototype]), float(high[fact.prototype])
    else:
        least = float(held.low[fact.location, fact.prototype])
        most = float(held.high[fact.location, fact.prototype])
    ends = {
        "lower": min(float.fromhex(fact.lower), least).hex(),
        "upper": max(float.fromhex(fact.upper), most).hex(),
    }
    return fact.model_copy(update=ends)


def of_region(
    network: Network, observation: Observation, instance: Instance, held: Held
) -> Core | None:
    """Few facts about activations that hold over the region and force the class; None for none.

    They start as the ranges of all prototypes and a staircase of ceilings, and are dropped one by
    one: names before ceilings, which say something about many prototypes, and of each kind first
    those that leave the largest margin when dropped alone.
    """
    low, high = held.best
    ends = enumerate(zip(low.tolist(), high.tolist(), strict=True))
    named = tuple(ActivationFact(j, least, most) for j, (least, most) in ends)
    order = np.argsort(low, kind="stable")
    levels = sorted(set(np.linspace(0, len(low) - 1, _STEPS).astype(int).tolist()))
    steps = {
        float(low[order[k]]): tuple(np.flatnonzero(low < low[order[k]]).tolist()) for k in levels
    }
    ceilings = tuple(CeilingFact(bound, exempt) for bound, exempt in steps.items())
    oracle = IntervalOracle()
    channels = network.head.channels
    bounded = network.latent_range in ("sigmoid", "relu")
    domain = domain_from_name("box" if bounded else "free", network.latent_range, channels)
    state = oracle.prepare(instance, domain)
    facts = FactSet(activations=named, ceilings=ceilings)
    if oracle.decide(state, facts).verdict.status is not Status.PROVED:
        return None
    for kind in (ActivationFact, CeilingFact):
        tried = [fact for fact in facts if isinstance(fact, kind)]
        facts = drop_facts(facts, tried, partial(oracle.decide, state))
    core = certificate_core(network, observation, domain, "mixed", facts, state)
    return core.model_copy(update={"premises": "interval", "holds": held.stated})


def candidates(
    explainer: Explainer,
    region: Region,
    observation: Observation,
    instance: Instance,
    explanation: Core | None,
) -> Iterator[tuple[str, Core]]:
    """Certificates that may be accepted, the best first, each with a few words.

    Args:
        explanation: to be restated; None: those of the centre, widened, the smallest first, then
            facts that are chosen for the region.

    Raises:
        BoundsError, InputError, UsageError: see :meth:`Held.over`, :func:`restated`.
    """
    network = explainer.network
    held = Held.over(network, region, instance)
    if explanation is not None:
        require_about(explanation, network, observation)
        yield from zip(WORDS, restated(explanation, held), strict=True)
        return
    known = [
        explainer.explain(observation.x, vocabulary=word, widen=True, witnesses=False)
        for word in ("pairs", "ceiling")
    ]
    proved = [e.certificate.core for e in known if e.certificate is not None]
    for core in sorted(proved, key=lambda core: len(core.facts)):
        yield from zip(WORDS, restated(core, held), strict=True)
    found = of_region(network, observation, instance, held)
    if found is not None:
        yield "facts of the region", found
