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
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from protoproof.prover.counterexample.refute import Refutation, Refuter, of_facts
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.search.entailment import KINDS, OutOfTimeError, decided, shrunk
from protoproof.prover.search.hitting_set import quiet
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
    refuter = Refuter(instance, domain, kinds=KINDS[vocabulary], now=now)
    elements = refuter.elements()
    number = {fact: index for index, fact in enumerate(elements)}
    explanations: list[frozenset[int]] = []
    contrasts: list[frozenset[int]] = []  # and the undecided ones, which are not looked at again
    undecided = 0

    def end(reason: str) -> End:
        if undecided and not reason:
            reason = "some sets are neither proved nor refuted"
        return End(not reason, undecided, reason)

    def beside(facts: FactSet) -> Iterator[Contrast]:
        count = len(explanations)
        if not early or count & (count - 1):  # beside the 1st, 2nd, 4th, 8th, ...
            return
        # another fact each time, so that the sets differ
        fact = list(facts)[(count - 1) % len(facts)]
        begun = now()
        until = begun + _BESIDE * (deadline - begun)
        found = _grown_contrast(refuter, facts.without(fact), until, now)
        if found is None:
            return
        released = frozenset(number[fact] for fact in found.facts)
        if released not in contrasts:
            contrasts.append(released)
            yield found

    if start is not None and decided(instance, domain, start) is not None:
        with contextlib.suppress(OutOfTimeError):
            known = shrunk(instance, domain, start, deadline=deadline, now=now)
            if known is not None:
                explanations.append(frozenset(number[fact] for fact in known.facts))
                yield Minimal(known)
                yield from beside(known.facts)
    for _ in range(rounds):
        if len(explanations) >= limit:
            yield end(f"the limit of {limit} explanations")
            return
        left = deadline - now()
        if left <= 0:
            yield end("out of time")
            return
        released, certain = _next(len(elements), explanations, contrasts, min(left, 60.0))
        if released is None:
            yield end("" if certain else "out of time for the next hitting set")
            return
        kept = of_facts(fact for index, fact in enumerate(elements) if index not in released)
        if decided(instance, domain, kept) is not None:
            try:
                found = shrunk(instance, domain, kept, deadline=deadline, now=now)
            except OutOfTimeError:
                yield end("out of time")
                return
            if found is None:  # deletion ends with a proved set, up to rounding of its margin
                undecided += 1
                contrasts.append(released)
                continue
            explanations.append(frozenset(number[fact] for fact in found.facts))
            yield Minimal(found)
            yield from beside(found.facts)
            continue
        contrasts.append(released)
        (refutation,) = refuter.refute([kept])
        if refutation is None:
            undecided += 1
            if undecided >= _UNDECIDED:
                yield end("too many sets are neither proved nor refuted")
                return
            continue
        yield Contrast(of_facts(elements[index] for index in released), refutation)
    yield end(f"{rounds} rounds")


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
    with quiet():
        answer = milp(
            np.ones(count),
            constraints=LinearConstraint(rows, low, high),
            integrality=np.ones(count),
            bounds=Bounds(0, 1),
            options={"time_limit": max(seconds, 0.01)},
        )
    if answer.status == 2:  # infeasible
        return None, True
    if answer.status != 0 or answer.x is None:
        return None, False
    return frozenset(np.flatnonzero(answer.x > 0.5).tolist()), True


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
