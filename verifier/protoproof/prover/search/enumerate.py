"""All minimal explanations and all minimal contrastive sets, as far as time and a limit allow.

A *contrastive set* is a set of facts whose release lets the class change. Explanations and minimal
contrastive sets are each other's minimal hitting sets (the duality that MARCO uses). With U all
facts of the vocabulary:

    loop: C = a smallest set that hits all explanations found so far and contains no known contrast
        no such C: everything was found
        an oracle proves U - C: shrink it by deletion, a new explanation
        a latent that meets U - C loses: C is a contrastive set
        neither: C is undecided; from then on the enumeration is not complete

Where both kinds are wanted early, some explanations also lead to a contrastive set: a latent
that meets all of it but one fact is made to violate as few facts as possible (``refute.grow``), and
counts where an oracle proves that none of the violated facts can stay. Every set of facts that is
released with a known contrast among it is left out of the loop, so it stays complete.

A contrastive set that the loop finds is minimal: without one of its facts it would miss a known
explanation E, so U less that smaller set contains E and is sufficient. Contrastive sets come
smallest first. An explanation is one from which the oracle could drop no fact; a fact of it is
*necessary* where some contrastive set meets it in this fact alone (:func:`because`).

In the field's words, explanations are AXps (abductive) and contrastive sets CXps.

Reference: M. H. Liffiton, A. Previti, A. Malik, J. Marques-Silva, "Fast, Flexible MUS Enumeration",
Constraints 21, 2016 (MARCO).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import LinearConstraint

from protoproof.prover.counterexample.refute import Refutation, Refuter
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.time_limit import OutOfTimeError
from protoproof.prover.search.entailment import KINDS, decided, shrunk
from protoproof.prover.search.hitting_set import least
from protoproof.prover.search.names import Vocabulary
from protoproof.prover.search.search import Candidate

# Vocabularies in which every set of facts is an explanation's candidate.
# Rounds without a deadline; undecided sets after which the search ends.
_ROUNDS, _UNDECIDED = 4000, 100
# Share of the time that is left which one contrastive set beside an explanation may take.
_BESIDE = 0.2


@dataclass(frozen=True)
class Minimal:
    """An explanation from which the oracle can drop no fact."""

    found: Candidate

    @property
    def facts(self) -> FactSet:
        """Its facts."""
        return self.found.facts


@dataclass(frozen=True)
class Contrast:
    """Facts that, released together, let the class change; none of them can stay."""

    facts: FactSet
    refutation: Refutation


@dataclass(frozen=True)
class End:
    """The last item of a stream: whether everything was found, and if not, why."""

    complete: bool
    undecided: int
    reason: str = ""


Item = Minimal | Contrast | End


def minimal_explanations(
    instance: Instance,
    domain: Domain,
    vocabulary: Vocabulary,
    *,
    limit: int,
    rounds: int = _ROUNDS,
    start: FactSet | None = None,
    early: bool = False,
    deadline: float = float("inf"),
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Stream minimal explanations and contrastive sets as they turn up; an :class:`End` is last.

    Args:
        vocabulary: one of :data:`ENUMERABLE`.
        limit: the most explanations to find.
        rounds: the most sets to look at.
        start: facts of the vocabulary that are known to be sufficient: a minimal part of them
            comes first.
        early: spend time on a contrastive set beside some explanations.
        deadline: when to stop, by the clock ``now``.
    """
    search = _Enumeration(instance, domain, vocabulary, early, deadline, now)
    if start is not None:
        yield from search.given(start)
    yield from search.run(limit, rounds)


class _Enumeration:
    """What is known: explanations and contrasts, as numbers of the vocabulary's facts.

    ``contrasts`` has the undecided sets too, which are not looked at again.
    """

    def __init__(
        self,
        instance: Instance,
        domain: Domain,
        vocabulary: Vocabulary,
        early: bool,
        deadline: float,
        now: Callable[[], float],
    ) -> None:
        self.instance, self.domain, self.early = instance, domain, early
        self.deadline, self.now = deadline, now
        self.refuter = Refuter(instance, domain, kinds=KINDS[vocabulary], now=now)
        self.elements = self.refuter.elements()
        self._number = {fact: index for index, fact in enumerate(self.elements)}
        self.explanations: list[frozenset[int]] = []
        self.contrasts: list[frozenset[int]] = []
        self.undecided = 0

    def given(self, start: FactSet) -> Iterator[Item]:
        """A minimal part of a set that is known to be sufficient, where an oracle agrees."""
        if decided(self.instance, self.domain, start) is None:
            return
        with contextlib.suppress(OutOfTimeError):
            known = self._shrunk(start)
            if known is not None:
                yield from self._found(known)

    def run(self, limit: int, rounds: int) -> Iterator[Item]:
        """The loop of the module's docstring."""
        for _ in range(rounds):
            if len(self.explanations) >= limit:
                yield self._end(f"the limit of {limit} explanations")
                return
            left = self.deadline - self.now()
            if left <= 0:
                yield self._end("out of time")
                return
            released, certain = _next(
                len(self.elements), self.explanations, self.contrasts, min(left, 60.0)
            )
            if released is None:
                yield self._end("" if certain else "out of time for the next hitting set")
                return
            try:
                yield from self._examined(released)
            except OutOfTimeError:
                yield self._end("out of time")
                return
            if self.undecided >= _UNDECIDED:
                yield self._end("too many sets are neither proved nor refuted")
                return
        yield self._end(f"{rounds} rounds")

    def _examined(self, released: frozenset[int]) -> Iterator[Item]:
        """What is said about all facts but some.

        Raises:
            OutOfTimeError: the deadline passed.
        """
        kept = of_facts(f for index, f in enumerate(self.elements) if index not in released)
        if decided(self.instance, self.domain, kept) is not None:
            found = self._shrunk(kept)
            if found is None:  # deletion ends with a proved set, up to rounding of its margin
                self.undecided += 1
                self.contrasts.append(released)
                return
            yield from self._found(found)
            return
        self.contrasts.append(released)
        (refutation,) = self.refuter.refute([kept])
        if refutation is None:
            self.undecided += 1
            return
        yield Contrast(of_facts(self.elements[index] for index in released), refutation)

    def _shrunk(self, facts: FactSet) -> Candidate | None:
        return shrunk(self.instance, self.domain, facts, deadline=self.deadline, now=self.now)

    def _found(self, explanation: Candidate) -> Iterator[Item]:
        """An explanation, and what is found beside it."""
        numbers = frozenset(self._number[fact] for fact in explanation.facts)
        self.explanations.append(numbers)
        yield Minimal(explanation)
        yield from self._beside(explanation.facts)

    def _beside(self, facts: FactSet) -> Iterator[Contrast]:
        count = len(self.explanations)
        if not self.early or count & (count - 1):  # beside the 1st, 2nd, 4th, 8th, ...
            return
        # another fact each time, so that the sets differ
        fact = list(facts)[(count - 1) % len(facts)]
        begun = self.now()
        until = begun + _BESIDE * (self.deadline - begun)
        found = _grown_contrast(self.refuter, facts.without(fact), until, self.now)
        if found is None:
            return
        released = frozenset(self._number[fact] for fact in found.facts)
        if released not in self.contrasts:
            self.contrasts.append(released)
            yield found

    def _end(self, reason: str) -> End:
        if self.undecided and not reason:
            reason = "some sets are neither proved nor refuted"
        return End(not reason, self.undecided, reason)


def _grown_contrast(
    refuter: Refuter, facts: FactSet, deadline: float, now: Callable[[], float]
) -> Contrast | None:
    """A minimal contrastive set from a latent that meets some facts and loses, if one is found."""
    (first,) = refuter.refute([facts])
    if first is None:
        return None
    grown = refuter.grow(facts, first, deadline)
    instance, domain = refuter.instance, refuter.domain
    kept = [fact for fact in refuter.elements() if fact not in grown.violated]
    released = [fact for fact in refuter.elements() if fact in grown.violated]
    for fact in released:
        if now() >= deadline or decided(instance, domain, of_facts([*kept, fact])) is None:
            return None
    return Contrast(of_facts(released), grown)


def _next(
    count: int,
    explanations: list[frozenset[int]],
    contrasts: list[frozenset[int]],
    seconds: float,
) -> tuple[frozenset[int] | None, bool]:
    """A smallest set that hits all explanations and contains no contrast; whether it is certain."""
    rows = np.zeros((len(explanations) + len(contrasts) + 1, count))
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for row, facts in enumerate(explanations):
        rows[row, list(facts)], low[row] = 1.0, 1.0
    for row, facts in enumerate(contrasts, len(explanations)):
        # the empty set is contained in everything
        rows[row, list(facts)], high[row] = 1.0, len(facts) - 1.0
    found, certain = least(LinearConstraint(rows, low, high), seconds)
    return None if found is None else frozenset(found), certain


def because(facts: FactSet, contrasts: Iterable[Contrast]) -> dict[Fact, Contrast]:
    """Per fact, a contrast that releases it and no other fact of the set: why it is necessary.

    The latent behind the contrast meets all other facts of the set, and loses.
    """
    chosen = frozenset(facts)
    found: dict[Fact, Contrast] = {}
    for contrast in contrasts:
        met = chosen & frozenset(contrast.facts)
        if len(met) == 1:
            found.setdefault(next(iter(met)), contrast)
    return found
