"""What a vocabulary chooses among, and whether an oracle proves a set of its facts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from protoproof.prover.counterexample.refute import Kinds
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.time_limit import OutOfTimeError
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle, Latent
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.oracle import Decision, Oracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.search.deletion import drop_facts
from protoproof.prover.search.names import Vocabulary
from protoproof.prover.search.quickxplain import quickxplain
from protoproof.prover.search.search import Candidate
from protoproof.verdict import Status

# What a vocabulary chooses among. (In `ceiling` every explanation has one ceiling, so these are
# cases; in `topk` the sets are a chain.)
KINDS: dict[Vocabulary, Kinds] = {
    "topk": frozenset({"activations"}),
    "path": frozenset({"activations"}),
    "ceiling": frozenset({"activations"}),
    "mixed": frozenset({"pairs", "activations", "ceilings"}),
    "pairs": frozenset({"pairs"}),
}

# Cases per rival.
CASES = 64
# Sets that are halved before their facts are tried one by one.
_LARGE = 64


def strongest(facts: FactSet) -> Oracle:
    """The strongest oracle that looks at more than intervals only where there is more to see.

    (Where a head has intervals only, the relational oracle falls back on them.)
    """
    return RelationalOracle() if facts.pairs else IntervalOracle()


def decided(instance: Instance, domain: Domain, facts: FactSet) -> Candidate | None:
    """A set as a candidate for the checker, if the strongest oracle for its facts proves it."""
    if not facts:
        return None
    state = strongest(facts).prepare(instance, domain)
    proved = state.decide(facts).verdict.status is Status.PROVED
    return Candidate(facts, state.oracle, state) if proved else None


def by_cases(
    instance: Instance, domain: Domain, facts: FactSet, most: int = CASES
) -> Candidate | tuple[int, Latent] | None:
    """The same by a proof by cases, which sees more and takes longer.

    Or a margin's row and a latent that meets the facts and loses, in float64, where the proof met
    one; None where it is neither.
    """
    if not facts or not instance.head.plain:
        return None
    state = BranchAndBoundOracle(most=most).cases(instance, domain)
    proved = state.decide(facts).verdict.status is Status.PROVED
    return Candidate(facts, state.oracle, state) if proved else state.losing


def shrunk(
    instance: Instance,
    domain: Domain,
    facts: FactSet,
    *,
    deadline: float = math.inf,
    now: Callable[[], float] = time.monotonic,
) -> Candidate | None:
    """A proved subset of a proved set, from which the oracle can drop no fact.

    Large sets are halved first (few of their facts are needed), then every fact is tried alone.

    Args:
        deadline: when to give up, by the clock ``now``.

    Raises:
        OutOfTimeError: the deadline passed before the set was minimal.
    """
    state = strongest(facts).prepare(instance, domain)

    def decide(some: FactSet) -> Decision:
        if now() >= deadline:
            raise OutOfTimeError
        return state.decide(some)

    def suffices(some: Iterable[Fact]) -> bool:
        return decide(of_facts(some)).verdict.status is Status.PROVED

    if len(facts) > _LARGE:
        # what is about the whole latent is kept rather than what is about one location
        fewer = of_facts(quickxplain(list(facts), suffices))
        # halving is exact for a monotone oracle; with forms over a box it is nearly one
        facts = fewer if suffices(fewer) else facts
    return decided(instance, domain, drop_facts(facts, facts, decide))
