"""Sufficient sets of facts, best first: which oracle looks, and what to try when a proof fails.

    topk, ceiling, path: the interval oracle
    mixed:              the interval oracle, then the relational one, with prototypes named where
                        they are seen; pairs alone where they are fewer
    pairs, triangle:    grow until proved, delete by the published triangle inequality, of distances
                        or of angles (else as interval)
    pairs, interval:    grow until proved, delete and exchange by the interval oracle
    pairs, relational:  as interval, then delete what either bound spares: never more facts
    pairs, auto:        as relational, but for pairs that are far more than is known to suffice
    all, branch-and-bound: as relational, then drop what a proof by cases leaves out

Heads whose measurements are no squared distances, or whose margins are no linear forms, have the
interval oracle and the triangle only, whatever is asked for.

Each set comes with the state that proved it. A prover's yes is float64; where the checker does
not accept the proof, the next candidate asks for more margin, and at last for less ambition: the
interval oracle's set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from protoproof.length import of_pair
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.time_limit import OutOfTimeError, time_is_up
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.oracle.oracle import State
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.triangle import TriangleOracle
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.ceiling import ceiling
from protoproof.prover.search.deletion import (
    by_worth,
    delete,
    delete_facts,
    spare,
    without_cheapest,
)
from protoproof.prover.search.deletion_by_cases import fewer
from protoproof.prover.search.exchange import exchange
from protoproof.prover.search.greedy_cover import Cover
from protoproof.prover.search.mixed import mixed, where_seen
from protoproof.prover.search.named import along_path
from protoproof.prover.search.names import Vocabulary, require_oracle
from protoproof.prover.search.pairs import fewest, grow
from protoproof.prover.search.reading import length_of
from protoproof.prover.search.topk import topk
from protoproof.verdict import Status

# Where the checker does not accept, the prover asks itself for more margin and tries again.
_SLACKS = (SLACK, 1e-6, 1e-4)
# Exchange and the relational oracle have never spared more than a third of the pairs.
_HOPELESS = 2
# Facts in a row that the relational oracle could not drop, after which it is asked no more.
_PATIENCE = 128
# Pairs that it is asked about: of more it has spared none, at the price of all that went before.
_TOGETHER = 1200


@dataclass(frozen=True)
class Candidate:
    """A set of facts that an oracle calls sufficient, and the state that describes its pairs."""

    facts: FactSet
    oracle: str
    state: State


class Shared:
    """What the searches for activation facts about one instance share: bounds and covers."""

    def __init__(self, instance: Instance, domain: Domain) -> None:
        self.instance, self.domain = instance, domain
        self._states: dict[float, IntervalState] = {}
        self._covers: dict[float, Cover] = {}

    def state(self, slack: float) -> IntervalState:
        """Bounds; whoever uses them says first what facts they are about."""
        if slack not in self._states:
            self._states[slack] = IntervalOracle(slack).prepare(self.instance, self.domain)
        return self._states[slack]

    def cover(self, slack: float) -> Cover:
        """What activation facts and ceilings prove."""
        if slack not in self._covers:
            self._covers[slack] = Cover(self.state(slack), slack)
        return self._covers[slack]

    def fewest(self, vocabulary: Vocabulary, oracle: str) -> int:
        """As many facts as every set has that a search proposes; 0 where that is not known."""
        if vocabulary == "topk":
            return 2  # a name and the ceiling
        if vocabulary == "pairs" and oracle != BranchAndBoundOracle.name:
            return fewest(self.state(SLACK))
        return 0


def candidates(
    instance: Instance,
    domain: Domain,
    vocabulary: Vocabulary,
    oracle: str,
    known: int | None = None,
    floor: float = 0.0,
    *,
    shared: Shared | None = None,
    limit: int | None = None,
    reading: bool = False,
) -> Iterator[Candidate]:
    """Sufficient sets of facts in the order in which to offer them to the checker.

    Args:
        instance: the explained latent.
        domain: the latents that are quantified over.
        vocabulary: the kinds of facts.
        oracle: one of :data:`ORACLES`, or an older word for one.
        known: the size of the best set of another vocabulary. With oracle ``auto``, pairs that
            are far more are only deleted from, neither exchanged nor bounded together.
        floor: what every margin has to exceed, whatever is dropped: a condition of the search, not
            a filter after it.
        shared: of the instance and domain, where it is made already.
        limit: of ``ceiling``, only sets of fewer facts are looked for, or of fewer numbers.
        reading: whether sets are made short in numbers to read, and only then in facts.
    """
    shared = shared or Shared(instance, domain)
    oracle = require_oracle(oracle)
    slacks = [floor + slack for slack in _SLACKS]
    if vocabulary == "pairs" and oracle == TriangleOracle.name:
        yield from _triangle(instance, domain, floor)
        return
    if not instance.head.plain or vocabulary == "path":
        # relational proofs and proofs by cases need squared distances and linear margins
        oracle = IntervalOracle.name
    if oracle == BranchAndBoundOracle.name:
        yield from _by_cases(instance, domain, vocabulary, floor)
        return
    if vocabulary == "pairs" and oracle != IntervalOracle.name:
        for slack in slacks:
            auto = oracle == "auto"
            hopeless = known if auto else None
            yield from _relational(instance, domain, slack, floor, known=hopeless, spared=auto)
    for slack in slacks:
        state, facts = _propose(vocabulary, shared, slack, limit, reading=reading)
        if facts is None:
            return  # asking for more margin finds nothing either
        if vocabulary == "mixed" and instance.head.plain:
            yield from _beside(shared, oracle, slack, facts, floor, reading=reading)
        yield from _decided(facts, state, floor)


def _beside(
    shared: Shared, oracle: str, slack: float, facts: FactSet, floor: float, *, reading: bool
) -> Iterator[Candidate]:
    """What is shorter than a set of mixed facts: pairs alone, or what is left of it together."""
    instance, domain = shared.instance, shared.domain
    locations = len(instance.measurement)
    length = length_of(locations, reading=reading)
    each = of_pair(locations) if reading else 1
    if length(facts)[0] > each * locations:
        # over free latents pairs need one fact per location at least
        pairs = _in_time(candidates(instance, domain, "pairs", oracle, floor=floor))
        yield from (found for found in islice(pairs, 1) if length(found.facts) < length(facts))
    together = oracle not in (IntervalOracle.name, TriangleOracle.name)
    if together and len(facts) > 1 and not time_is_up():
        if facts.pairs:
            yield from _related(instance, domain, slack, facts, floor)
        else:
            yield from _located(shared, slack, facts, floor)


def _in_time(found: Iterator[Candidate]) -> Iterator[Candidate]:
    """Those that are found before the time is up."""
    with suppress(OutOfTimeError):
        yield from found


def _propose(
    vocabulary: Vocabulary, shared: Shared, slack: float, limit: int | None, *, reading: bool
) -> tuple[IntervalState, FactSet | None]:
    """A sufficient set of facts that the interval oracle cannot shrink, or None; and bounds."""
    if vocabulary == "pairs":
        state = IntervalOracle(slack).prepare(shared.instance, shared.domain)
        if not grow(state):
            return state, None
        delete(state, spare(state))
        if state.instance.head.plain:
            exchange(state)
        return state, state.facts
    state = shared.state(slack)
    if vocabulary == "path":
        return state, along_path(state)
    if vocabulary == "topk":
        return state, topk(state, slack, shared.cover(slack))
    if vocabulary == "ceiling":
        return state, ceiling(state, slack, shared.cover, limit, reading=reading)
    return state, mixed(state, slack, shared.cover, reading=reading)


def _triangle(instance: Instance, domain: Domain, floor: float) -> Iterator[Candidate]:
    """A set that the triangle inequality cannot shrink.

    The interval oracle, which is never looser, supplies the proof: certificates have one kind of
    row. Where there is no triangle inequality, its own set.
    """
    for slack in (floor + slack for slack in _SLACKS):
        triangle = TriangleOracle(slack).prepare(instance, domain)
        if not grow(triangle):
            return
        delete(triangle, spare(triangle))
        state = IntervalOracle(slack).prepare(instance, domain)
        state.follow(triangle)
        for candidate in _decided(state.facts, state, floor):
            yield replace(candidate, oracle=triangle.oracle)


def _relational(
    instance: Instance,
    domain: Domain,
    slack: float,
    floor: float,
    *,
    known: int | None,
    spared: bool,
) -> Iterator[Candidate]:
    """What the relational oracle leaves of the interval oracle's set; see ``candidates`` for
    ``known``.

    The relational state drops a fact where either bound proves the rest, and begins where the
    interval oracle ends, so that its set is never larger. With ``spared``, the interval oracle's
    proof is kept where nothing more can be dropped.
    """
    exact = IntervalOracle(slack).prepare(instance, domain)
    if not grow(exact):
        return
    delete(exact, spare(exact))
    if known is None or len(exact.pairs) <= _HOPELESS * known:
        exchange(exact)
        if not time_is_up() and len(exact.pairs) <= _TOGETHER:
            state = RelationalOracle(slack).prepare(instance, domain)
            state.follow(exact)
            # interval margins order the facts as well as relational ones would, and are cheaper
            delete(state, by_worth(exact), _PATIENCE)
            if not spared or len(state.pairs) < len(exact.pairs):
                yield from _decided(state.facts, state, floor)
                return
    yield from _decided(exact.facts, exact, floor)


def _by_cases(
    instance: Instance, domain: Domain, vocabulary: Vocabulary, floor: float
) -> Iterator[Candidate]:
    """What a proof by cases leaves of the relational oracle's set, where that is less; then that
    set."""
    relational = candidates(instance, domain, vocabulary, RelationalOracle.name, floor=floor)
    for number, candidate in enumerate(relational):
        if number == 0 and not time_is_up():
            found = fewer(instance, domain, vocabulary, candidate.facts, 2 * floor + SLACK)
            if found is not None:
                yield from _decided(*found, floor)
        yield candidate


def _related(
    instance: Instance, domain: Domain, slack: float, facts: FactSet, floor: float
) -> Iterator[Candidate]:
    """What the relational oracle leaves of a set with pair facts, where that is less."""
    state = RelationalOracle(slack).prepare(instance, domain)
    fewer = delete_facts(state, facts)
    if len(fewer) < len(facts):
        yield from _decided(fewer, state, floor)


def _located(shared: Shared, slack: float, facts: FactSet, floor: float) -> Iterator[Candidate]:
    """What is left of a set once its prototypes are named where they are seen, where that is less.

    There is a location then of which all that is known is taken together.
    """
    named = where_seen(shared.state(slack), facts)
    if named.pairs:
        oracle = RelationalOracle(slack, at_facts=True)
        state = oracle.prepare(shared.instance, shared.domain)
        fewer = without_cheapest(named, shared.state(slack), state.decide)
        if len(fewer) < len(facts):
            yield from _decided(fewer, state, floor)


def _decided(facts: FactSet, state: State, floor: float) -> Iterator[Candidate]:
    """The candidate, if the oracle still agrees now that the facts are float64 enclosures.

    These are a shade wider than the values that the search worked with, hence half the slack above
    the floor.
    """
    if state.decide(facts, (state.slack + floor) / 2).verdict.status is Status.PROVED:
        yield Candidate(facts, state.oracle, state)
