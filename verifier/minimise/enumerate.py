"""All minimal explanations and minimal contrastive sets, as far as time and a limit allow.

Explanations are the minimal sets that hit every contrastive set, and the other way round (hitting
set duality, as in MARCO). The search goes by size:

    loop: H = a smallest set that hits all clauses and contains no explanation found so far
        no such H: everything was found
        H is proved: it is a minimal explanation
        a latent refutes H: grow it; what it violates is a clause
        neither: H is undecided; from then on the enumeration is not complete

A set that is proved here is minimal as long as nothing is undecided: for each of its facts some
clause is hit by that fact alone (else H without it would be a smaller hitting set), and the latent
behind this clause meets all the others and loses. These latents are the evidence; where one is
missing, the fact may be superfluous. A clause is a *contrastive* set: release its facts and the
class can change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from verifier.latent.domain import Domain
from verifier.latent.facts import Fact, FactSet
from verifier.minimise.hitting_set import quiet
from verifier.minimise.minimum import KINDS, decided
from verifier.minimise.refute import Refutation, Refuter, of_facts
from verifier.minimise.search import Candidate, Vocabulary
from verifier.oracle.interface import Instance

# Vocabularies in which every set of facts is an explanation's candidate.
ENUMERABLE: tuple[Vocabulary, ...] = ("pairs", "mixed")
# Rounds without a deadline; undecided sets after which the search ends.
_ROUNDS, _UNDECIDED = 2000, 50


@dataclass(frozen=True)
class Minimal:
    """A minimal explanation; ``because`` has, per fact, a latent that needs it."""

    found: Candidate
    because: tuple[tuple[Fact, Refutation], ...]

    @property
    def facts(self) -> FactSet:
        """Its facts."""
        return self.found.facts


@dataclass(frozen=True)
class Contrast:
    """Facts that, released together, let the class change; ``minimal``: none of them can stay."""

    facts: FactSet
    refutation: Refutation
    minimal: bool


@dataclass(frozen=True)
class End:
    """The last item of a stream: whether everything was found, and if not, why."""

    complete: bool
    undecided: int
    reason: str = ""


def minimal_explanations(
    instance: Instance,
    domain: Domain,
    vocabulary: Vocabulary,
    *,
    limit: int,
    deadline: float = float("inf"),
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Minimal | Contrast | End]:
    """Stream minimal explanations, smallest first, and contrastive sets as they turn up.

    Args:
        vocabulary: one of :data:`ENUMERABLE`.
        limit: the most explanations to find.
        deadline: when to stop, by the clock ``now``.
    """
    refuter = Refuter(instance, domain, kinds=KINDS[vocabulary], now=now)
    elements = refuter.elements()
    number = {fact: index for index, fact in enumerate(elements)}
    refutations: list[Refutation] = []
    clauses: list[frozenset[int]] = []
    found: list[frozenset[int]] = []
    guesses: list[frozenset[int]] = []

    def end(reason: str) -> End:
        return End(not reason and not guesses, len(guesses), reason)

    for _ in range(_ROUNDS):
        if len(found) >= limit:
            yield end(f"the limit of {limit} explanations")
            return
        left = deadline - now()
        if left <= 0:
            yield end("out of time")
            return
        chosen, over = _next(len(elements), [*clauses, *guesses], found, min(left, 60.0))
        if chosen is None:
            reason = "" if over else "out of time for the next hitting set"
            yield end("some sets are neither proved nor refuted" if over and guesses else reason)
            return
        facts = of_facts(elements[index] for index in chosen)
        proved = decided(instance, domain, facts)
        if proved is not None:
            found.append(frozenset(chosen))
            yield Minimal(proved, _because(frozenset(chosen), clauses, refutations, elements))
            continue
        (refutation,) = refuter.refute([facts])
        if refutation is None:
            guesses.append(frozenset(range(len(elements))) - frozenset(chosen))
            if len(guesses) >= _UNDECIDED:
                yield end("too many sets are neither proved nor refuted")
                return
            continue
        refutation = refuter.grow(facts, refutation, deadline)
        refutations.append(refutation)
        clauses.append(frozenset(number[fact] for fact in refutation.violated))
        yield Contrast(
            of_facts(fact for fact in elements if fact in refutation.violated),
            refutation,
            cannot_stay(instance, domain, elements, refutation, deadline, now),
        )
    yield end(f"{_ROUNDS} rounds")


def _next(
    count: int,
    clauses: list[frozenset[int]],
    found: list[frozenset[int]],
    seconds: float,
) -> tuple[list[int] | None, bool]:
    """A smallest set that hits all clauses and contains no found one; whether that is certain."""
    rows = np.zeros((len(clauses) + len(found) + 1, count))
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for row, clause in enumerate(clauses):
        rows[row, list(clause)], low[row] = 1.0, 1.0
    for row, facts in enumerate(found, len(clauses)):
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
    return np.flatnonzero(answer.x > 0.5).tolist(), True


def _because(
    chosen: frozenset[int],
    clauses: list[frozenset[int]],
    refutations: list[Refutation],
    elements: list[Fact],
) -> tuple[tuple[Fact, Refutation], ...]:
    """For every fact, a latent that violates it and no other fact of the set."""
    pairs = []
    for index in sorted(chosen):
        alone = [c for c, clause in enumerate(clauses) if clause & chosen == {index}]
        if alone:
            pairs.append((elements[index], refutations[alone[0]]))
    return tuple(pairs)


def cannot_stay(
    instance: Instance,
    domain: Domain,
    elements: list[Fact],
    refutation: Refutation,
    deadline: float,
    now: Callable[[], float],
) -> bool:
    """Whether an oracle proves that keeping any one of the violated facts keeps the class."""
    kept = [fact for fact in elements if fact not in refutation.violated]
    return all(
        now() < deadline and decided(instance, domain, of_facts([*kept, fact])) is not None
        for fact in elements
        if fact in refutation.violated
    )
