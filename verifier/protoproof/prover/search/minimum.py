"""Minimum-size explanations (AXps) by implicit hitting sets, with a lower bound at every moment.

    clauses = []
    while the smallest set H that hits all clauses is smaller than the best explanation:
        if an oracle proves H: H is a smallest explanation
        else if a latent refutes H: grow it; clauses += { facts that it violates }
        else: H is undecided; look for another one

The size of a smallest hitting set bounds every explanation from below, because every explanation
hits every clause. In vocabulary ``ceiling`` each of the P possible ceilings has hitting sets of its
own, and a clause belongs to the ceilings that its latent respects; the bound is the least of them.
In ``topk`` the sets are a chain, so one latent settles it.

Of a single location that measures squared distances, in free space, sets of a small size are listed
(``survivors``), and a refutation breaks few of the facts that most of them hold (``narrow``). What
the relational oracle leaves open there is put to a proof by cases, except under a ceiling, where a
case costs as much as many refutations. With ceilings for parts, refutations are narrowed too.

An undecided set is left out of further proposals by a *guess* ("some fact outside it is needed"),
which serves the search and never the bound. Work is limited by counts, so equal runs agree; a
deadline cuts it short and keeps what is known.

Reference: A. Ignatiev, A. Previti, M. Liffiton, J. Marques-Silva, "Smallest MUS Extraction with
Minimal Hitting Set Dualization", CP 2015.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.counterexample.refute import Refutation, Refuter
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.enclosed import ranked
from protoproof.prover.latent.facts import CeilingFact, Fact, FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, ceilings_of
from protoproof.prover.search.entailment import KINDS, by_cases, decided
from protoproof.prover.search.enumerate import Contrast, Minimal, minimal_explanations
from protoproof.prover.search.hitting_set import smallest
from protoproof.prover.search.names import Vocabulary
from protoproof.prover.search.search import Candidate
from protoproof.prover.search.size_proof import SizeProof, covering, used
from protoproof.prover.search.survivors import Survivors

# Proposals and undecided sets after which the search gives up, and proposals per round.
_PROPOSALS, _UNDECIDED, _ROUND = 400, 24, 32
# Of a single location: cases per margin of a set, at first and at most; undecided sets after which
# each gets four times as many.
_FEW_CASES, _MOST_CASES, _FEW = 128, 512, 8
# Sets that are looked at from above, before.
_FROM_ABOVE = 300


@dataclass(frozen=True)
class Minimum:
    """The best explanation found and what bounds all others from below.

    Attributes:
        best: a sufficient set; the start where nothing smaller was found.
        lower: no explanation of the vocabulary is smaller (what ``proof`` proves).
        proof: evidence for ``lower``; None where there is none.
        reason: why it is not, or empty.
    """

    best: Candidate
    lower: int
    proof: SizeProof | None
    reason: str = ""

    @property
    def finished(self) -> bool:
        """Whether the best explanation is a smallest one."""
        return self.lower == len(self.best.facts)


def minimum(
    instance: Instance,
    domain: Domain,
    vocabulary: Vocabulary,
    start: Candidate,
    *,
    deadline: float = float("inf"),
    now: Callable[[], float] = time.monotonic,
    progress: Callable[[int, int], None] | None = None,
) -> Minimum:
    """A smallest explanation, or the best one and a lower bound when work or time is over.

    Args:
        instance: the explained latent.
        domain: the latents that are quantified over.
        vocabulary: the kinds of facts.
        start: a sufficient set to improve on.
        deadline: when to stop, by the clock ``now``.
        progress: told (lower bound, size of the best) whenever one of them changes.
    """
    if vocabulary == "topk":
        return _topk(instance, domain, start, now)
    return _Search(instance, domain, vocabulary, start, deadline, now, progress).run()


@dataclass
class _Part:
    """The explanations with one ceiling (or none): their clauses, and a smallest hitting set."""

    ceiling: CeilingFact | None
    clauses: list[int] = field(default_factory=list)  # indices of refutations
    guesses: list[frozenset[int]] = field(default_factory=list)  # undecided sets
    hitting: list[int] | None = field(default_factory=list)
    lower: int = 0
    stale: bool = False


class _Search:
    """One run of the algorithm."""

    def __init__(
        self,
        instance: Instance,
        domain: Domain,
        vocabulary: Vocabulary,
        start: Candidate,
        deadline: float,
        now: Callable[[], float],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.instance, self.domain, self.vocabulary = instance, domain, vocabulary
        self.best, self.deadline, self.now = start, deadline, now
        self._progress, self._told = progress, (-1, -1)
        self.refuter = Refuter(instance, domain, kinds=KINDS[vocabulary], now=now)
        self.elements = self.refuter.elements()
        self._number = {fact: index for index, fact in enumerate(self.elements)}
        self.ceilings = ceilings_of(instance) if vocabulary == "ceiling" else []
        self.parts = [_Part(fact) for fact in self.ceilings] or [_Part(None)]
        self.refutations: list[Refutation] = []
        self.clauses: list[frozenset[int]] = []
        self.survivors = None
        if "pairs" in KINDS[vocabulary] and self.refuter.narrows:
            self._members, self._member_of = alike(self.elements)
            self.survivors = Survivors(len(self._members))
        self.reason = ""
        self._cases = _FEW_CASES

    @property
    def extra(self) -> int:
        """Facts besides the elements: the ceiling."""
        return int(self.vocabulary == "ceiling")

    @property
    def lower(self) -> int:
        """The bound that the hitting sets give."""
        return min(part.lower for part in self.parts) + self.extra

    def run(self) -> Minimum:
        """Rounds of proposals until bound and size meet, or work or time is over."""
        if self.survivors is None and not self.ceilings and len(self.best.facts) > 1:
            self._from_above()
        proposals = undecided = 0
        while self.lower < len(self.best.facts):
            if self.now() >= self.deadline:
                self.reason = "out of time"
                break
            if proposals >= _PROPOSALS and not self.refuter.narrows:
                self.reason = "out of proposals"
                break
            most = _FEW if self.refuter.narrows else _UNDECIDED
            round_ = list(self._proposals()) if undecided < most else []
            if not round_:
                if self._harder():
                    undecided = 0
                    continue
                self.reason = self.reason or "some sets are neither proved nor refuted"
                break
            proposals += len(round_)
            undecided += self._decide(round_)
            self._refresh()
            self._tell()
        return self._result()

    def _harder(self) -> bool:
        """More cases for every set that is undecided, if there are any and it is worth trying."""
        self._cases *= 4
        if not self.refuter.narrows or self._cases > _MOST_CASES:
            return False
        for part in self.parts:
            part.stale = part.stale or bool(part.guesses)
            part.guesses.clear()
        if self.survivors is not None:
            self.survivors.reopen()
        self._refresh()
        return True

    def _from_above(self) -> None:
        """Small contrastive sets are the strongest clauses: look for them first, for a while."""
        half = self.now() + (self.deadline - self.now()) / 2
        for item in minimal_explanations(
            self.instance,
            self.domain,
            self.vocabulary,
            limit=_FROM_ABOVE,
            rounds=_FROM_ABOVE,
            deadline=half,
            now=self.now,
        ):
            if isinstance(item, Minimal) and len(item.facts) < len(self.best.facts):
                self.best = item.found
            elif isinstance(item, Contrast):
                self._add(item.refutation)
        self._refresh()
        self._tell()

    def _proposals(self) -> Iterator[tuple[_Part, FactSet]]:
        """The least hitting sets of the parts that hold the bound down."""
        room = len(self.best.facts) - self.extra
        open_ = [p for p in self.parts if p.hitting is not None and len(p.hitting) < room]
        least = min((len(part.hitting or ()) for part in open_), default=0)
        chosen = [part for part in open_ if len(part.hitting or ()) == least]
        # spread over the ceilings: one latent often respects many of them
        step = max(1, len(chosen) // _ROUND)
        for part in chosen[::-step][:_ROUND]:
            yield part, self._facts(part, part.hitting or [])

    def _facts(self, part: _Part, members: Sequence[int]) -> FactSet:
        chosen = [self.elements[member] for member in members]
        return of_facts(chosen if part.ceiling is None else [*chosen, part.ceiling])

    def _decide(self, round_: Sequence[tuple[_Part, FactSet]]) -> int:
        """Prove or refute every proposal; the number of those that resisted both."""
        if self.survivors is not None:
            return self._narrowed(*round_[0], self.survivors)
        if self.refuter.narrows:
            return sum(self._narrowed_under(part, facts) for part, facts in round_)
        for _, facts in round_:
            proved = decided(self.instance, self.domain, facts)
            if proved is not None and len(facts) < len(self.best.facts):
                self.best = proved
                return 0
        undecided = 0
        found = self.refuter.refute([facts for _, facts in round_])
        for (part, facts), refutation in zip(round_, found, strict=True):
            if refutation is None:
                undecided += 1
                part.guesses.append(frozenset(part.hitting or ()))
                part.stale = True
            elif not any(self.clauses[c].isdisjoint(part.hitting or ()) for c in part.clauses):
                # a clause that was added in this round may have met the proposal already
                self._add(self._grown(facts, refutation))
        return undecided

    def _narrowed(self, part: _Part, facts: FactSet, survivors: Survivors) -> int:
        """The same for one set, where refutations can be narrowed."""
        dear = survivors.use()[: self.instance.measurement.shape[1]]
        found = self.refuter.narrow(facts, dear)
        if found is not None:
            self._add(found)
            return 0
        if self._settled(facts, dear):
            return 0
        part.guesses.append(frozenset(part.hitting or ()))
        survivors.guess(self._member_of[member] for member in part.hitting or ())
        part.stale = True
        return 1

    def _narrowed_under(self, part: _Part, facts: FactSet) -> int:
        """The same for one set of a round, unless an earlier one of the round settled it."""
        hitting = part.hitting or []
        met = any(self.clauses[index].isdisjoint(hitting) for index in part.clauses)
        if met or len(facts) >= len(self.best.facts) or self.now() >= self.deadline:
            return 0
        found = self.refuter.narrow(facts, self._often(part))
        if found is not None:
            self._add(found)
            return 0
        if self._settled(facts, self._often(part)):
            return 0
        part.guesses.append(frozenset(hitting))
        part.stale = True
        return 1

    def _settled(self, facts: FactSet, dear: Float[NDArray[np.float64], " prototype"]) -> bool:
        """Whether a set that no search refuted is proved or refuted by cases."""
        answer = decided(self.instance, self.domain, facts)
        answer = answer or by_cases(self.instance, self.domain, facts, self._cases)
        if isinstance(answer, Candidate):
            self.best = answer
        elif answer is not None:
            found = self.refuter.narrow_from(facts, *answer, dear)
            if found is None:
                return False
            self._add(found)
        return answer is not None

    def _often(self, part: _Part) -> Float[NDArray[np.float64], " prototype"]:
        """Per activation, the share of the part's clauses that it meets."""
        count = np.zeros(len(self.elements))
        for index in part.clauses:
            count[list(self.clauses[index])] += 1.0
        return count / max(len(part.clauses), 1)

    def _grown(self, facts: FactSet, refutation: Refutation) -> Refutation:
        """Growing pays where a bound of more than the first fact is wanted."""
        if len(self.best.facts) - self.extra < 2 or self.now() >= self.deadline:
            return refutation
        return self.refuter.grow(facts, refutation, self.deadline)

    def _add(self, refutation: Refutation) -> None:
        index = len(self.refutations)
        self.refutations.append(refutation)
        self.clauses.append(frozenset(self._number[fact] for fact in refutation.violated))
        if self.survivors is not None:
            self.survivors.add(self._member_of[number] for number in self.clauses[-1])
        met = self.refuter.met(refutation, self.ceilings) if self.ceilings else [0]
        for number in met:
            self.parts[number].clauses.append(index)
            self.parts[number].stale = True

    def _refresh(self) -> None:
        """Smallest hitting sets of the parts that changed."""
        for part in self.parts:
            if not part.stale:
                continue
            part.stale = False
            if self.survivors is not None and self._listed(part, self.survivors):
                continue
            left = min(max(self.deadline - self.now(), 0.1), 60.0)
            clauses = [self.clauses[index] for index in part.clauses]
            everything = frozenset(range(len(self.elements)))
            found = smallest(clauses, left)
            if found is None:
                continue  # the old bound still holds, and the old set is still proposed
            part.lower = max(part.lower, len(found))
            if part.guesses:
                # "something outside": for proposals only
                guessed = [everything - guess for guess in part.guesses]
                found = smallest([*clauses, *guessed], left) if all(guessed) else None
            part.hitting = found

    def _listed(self, part: _Part, survivors: Survivors) -> bool:
        """The next of the sets that are listed; False where there are too many."""
        survivors.advance()
        if not survivors.guesses:
            part.lower = max(part.lower, survivors.size)
        if not survivors.listed:
            return False
        found = survivors.next()
        part.hitting = None if found is None else [self._members[member] for member in found]
        return True

    def _tell(self) -> None:
        now = self.lower, len(self.best.facts)
        if self._progress is not None and now != self._told:
            self._progress(*now)
        self._told = now

    def _result(self) -> Minimum:
        """The best set with the largest bound that a tree proves."""
        for lower in range(min(self.lower, len(self.best.facts)), self.extra, -1):
            parts = [part.clauses for part in self.parts]
            covers = covering(parts, self.clauses, lower - self.extra, bool(self.ceilings))
            if covers is not None:
                proof = used(SizeProof(tuple(self.refutations), covers))
                return Minimum(self.best, lower, proof, self.reason)
        return Minimum(self.best, self.extra, None, self.reason)


def alike(elements: Sequence[Fact]) -> tuple[list[int], list[int]]:
    """Of facts about one location, those that say different things; per fact, its place there.

    The one location attains every activation, so that a pair says what its activation does: a
    latent violates both or none. A search needs one of them; the proof speaks about all.
    """
    members: list[int] = []
    place: dict[Hashable, int] = {}
    member_of: list[int] = []
    for number, fact in enumerate(elements):
        key = fact if isinstance(fact, CeilingFact) else fact.prototype
        if key not in place:
            place[key] = len(members)
            members.append(number)
        member_of.append(place[key])
    return members, member_of


def _topk(
    instance: Instance, domain: Domain, start: Candidate, now: Callable[[], float]
) -> Minimum:
    """The least k by refuting the next smaller one."""
    names = len(start.facts.activations)
    if names < 2:
        return Minimum(start, len(start.facts), SizeProof((), ()))
    refuter = Refuter(instance, domain, kinds=KINDS["topk"], now=now)
    ranking = ranked(instance)
    for k in range(names - 1, 0, -1):
        named = ranking[:k]
        facts = FactSet(
            activations=tuple(activation_fact(instance, j) for j in named),
            ceilings=(ceiling_fact(instance, named[-1], named),),
        )
        (found,) = refuter.refute([facts])
        if found is not None:
            reason = "" if k == names - 1 else "some sets are neither proved nor refuted"
            return Minimum(start, k + 2, SizeProof((found,), ()), reason)
    return Minimum(start, 2, SizeProof((), ()), "some sets are neither proved nor refuted")
