"""Which vocabulary explains a prediction: all are searched, and the winner alone is certified.

    best = none
    for every vocabulary, those first that are cheap or mostly win:
        leave it out if it cannot need fewer facts than the best set so far
        search it; the best set is the smallest, of equally small ones that with the fewest numbers
    certify the best set, with witnesses, by one check
    if the checker does not accept it: its vocabulary's next set counts, and on

What is left out or not certified is said so: a size without a certificate is no result. Where sizes
of all vocabularies are asked for (``compare``), each is searched to its end and certified. Where a
set is made for reading (``for_reading``), numbers count before facts, and only a vocabulary without
any set of fewer numbers is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protoproof.certificate.schema import Core
from protoproof.explanation.answer import Best
from protoproof.explanation.level import missed
from protoproof.explanation.minimum import Proof
from protoproof.explanation.question import Question
from protoproof.explanation.result import OUT_OF_TIME, Attempt
from protoproof.kernel import CheckReport
from protoproof.length import numbers, of_pair
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.time_limit import OutOfTimeError, until
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.names import Vocabulary
from protoproof.prover.search.search import Candidate, Shared, candidates
from protoproof.verdict import Verdict, judged, unknown

if TYPE_CHECKING:
    from protoproof.explanation.explainer import Explainer

# characters of the checker's sentence that an answer repeats
_SENTENCE = 200
# The order of searches: lists of the most activated cost next to nothing, mixed sets mostly win.
# At a single location one fact mostly suffices, which mixed sets see at once.
_ORDER = ("path", "topk", "mixed", "ceiling", "pairs")
_SINGLE = ("path", "mixed", "topk", "ceiling", "pairs")
# Where margins are no linear forms, mixed sets are those of `ceiling`.
_OTHER = ("path", "topk", "ceiling", "mixed", "pairs")


class _Sets:
    """One vocabulary's sets, best first. After the first that is refused for its level alone, what
    rounding may take is a condition of the search.

    Args:
        search: sets whose margins exceed a floor.
        floors: for a core that missed level F, what to ask of margins, less and less ambitious.
        limit: only sets of fewer facts are looked for; None for all.
    """

    def __init__(
        self,
        search: Callable[[float, int | None], Iterator[Candidate]],
        floors: Callable[[Core], Sequence[float]],
        limit: int | None,
    ) -> None:
        self.limit, self._search, self._floors = limit, search, floors
        self._ahead: list[float] | None = None  # floors that are still to come, once a set missed F
        self._now = search(0.0, limit)

    def next(self) -> Candidate | None:
        """The next set; None at the end."""
        while (found := next(self._now, None)) is None and self._ahead:
            self._now = self._search(self._ahead.pop(0), self.limit)
        return found

    def refused(self, core: Core) -> None:
        """The last one missed level F, and nothing else."""
        if self._ahead is None:
            self._ahead, self._now = list(self._floors(core)), iter(())


@dataclass(eq=False)
class _Entry:
    """One vocabulary.

    Attributes:
        place: in the order of searches, by which equally short sets are preferred.
        reason: why there is nothing, so far.
        aside: whether that is because another vocabulary made it needless.
        sets: what is searched; None before that.
        ended: whether there are no more of them.
        found: the set that counts at present.
    """

    word: Vocabulary
    place: int
    reason: Verdict = field(
        default_factory=lambda: unknown("no set of facts of this vocabulary suffices")
    )
    aside: bool = False
    sets: _Sets | None = None
    ended: bool = False
    found: Candidate | None = None
    proof: Proof | None = None
    seconds: float = 0.0

    @property
    def size(self) -> int:
        """Facts of the set that counts."""
        return len(self.found.facts) if self.found is not None else 0

    def numbers(self, locations: int) -> int:
        """Numbers of the set that counts, as a reader meets them."""
        return numbers(self.found.facts, locations) if self.found is not None else 0

    @property
    def limit(self) -> int | None:
        """Only sets of fewer facts were looked for."""
        return None if self.sets is None else self.sets.limit


class Choosing:
    """The choice for one question.

    Args:
        explainer: certifies.
        question: what is asked.
        words: the vocabularies to try; of equally small sets, that of the first search is taken.
        deadline: by ``time.perf_counter``; once something is found, no vocabulary is begun after.
    """

    def __init__(
        self, explainer: Explainer, question: Question, words: list[Vocabulary], deadline: float
    ) -> None:
        self._explainer, self._question, self._deadline = explainer, question, deadline
        instance = question.instance
        self._shared = Shared(instance, question.domain)
        order = _SINGLE if len(instance.measurement) == 1 else _ORDER
        if not instance.atoms.linear:
            order = _OTHER
        self._words = words
        chosen = [word for word in order if word in words]
        self._entries = [_Entry(word, place) for place, word in enumerate(chosen)]
        self._least: int | None = None
        self._unfinished: dict[str, str] = {}
        self._witnesses_cut = False

    @property
    def unfinished(self) -> list[str]:
        """What there was no time for."""
        cut = ["witnesses were not looked for to the end"] if self._witnesses_cut else []
        return [*self._unfinished.values(), *cut]

    def made(self) -> tuple[list[Attempt], Best | None]:
        """What each vocabulary gave, and the smallest proof."""
        best: Best | None = None
        while (winner := self._leading()) is not None:
            self._certify(winner, witnesses=self._wants_witnesses)
            if winner.proof is not None:
                best = winner.size, winner.place, winner.word, winner.proof
                break
        if self._question.options.compare:
            for entry in self._entries:
                while entry.proof is None and self._searched(entry, None):
                    self._certify(entry)
        ordered = sorted(self._entries, key=lambda entry: self._words.index(entry.word))
        return [self._attempt(entry, best) for entry in ordered], best

    @property
    def _wants_witnesses(self) -> bool:
        # of a smallest set they are sought once it is known
        options = self._question.options
        return options.witnesses and options.minimal != "minimum"

    def _leading(self) -> _Entry | None:
        """The vocabulary with the smallest set that is not refused, once all had their turn."""
        compare = self._question.options.compare
        for entry in self._entries:
            best = self._best()
            if entry.ended and entry.limit is not None and (best or entry.limit + 1) > entry.limit:
                entry.ended, entry.sets = False, None  # what it was measured by was refused
            if entry.found is not None or entry.ended:
                continue
            if not compare and best is not None and self._needless(entry, best):
                continue
            self._searched(entry, best)
        known = [entry for entry in self._entries if entry.found is not None]
        return min(known, key=lambda entry: (*self._length(entry), entry.place), default=None)

    def _length(self, entry: _Entry) -> tuple[int, int]:
        """What is made least, and then what decides between equals: facts and numbers."""
        length = entry.size, entry.numbers(len(self._question.instance.measurement))
        return length[::-1] if self._question.options.for_reading else length

    def _best(self) -> int | None:
        """The least facts that are found, or the least numbers where a set is made for reading."""
        return min((self._length(e)[0] for e in self._entries if e.found is not None), default=None)

    def _needless(self, entry: _Entry, best: int) -> bool:
        """Whether a vocabulary cannot need fewer facts than are known to suffice; with the reason
        in its entry."""
        head, options = self._question.instance.head, self._question.options
        reason = ""
        if best <= self._floor:
            reason = "one fact suffices" if best else "no fact is needed"
        else:
            each = self._each(entry.word)
            least = each * self._shared.fewest(entry.word, options.oracle)
            if least >= best:
                unit = "numbers" if options.for_reading else "facts"
                reason = f"none with fewer than {least} {unit} would be found"
            elif entry.word == "pairs" and not head.plain and each * head.locations > best:
                # without a relational proof nearly every location needs a fact of its own
                reason = "another vocabulary needs fewer facts than there are locations"
            elif entry.word == "mixed" and not self._question.instance.atoms.linear:
                known = next((e for e in self._entries if e.word == "ceiling"), None)
                if known is not None and known.found is not None:
                    reason = "for this decision it is the search of ceiling"
        entry.aside = bool(reason)
        if reason:
            entry.reason = unknown(f"not searched: {reason}")
        return entry.aside

    def _each(self, word: Vocabulary) -> int:
        """What a fact counts at least where sets are compared; of ``topk``, with its exemption."""
        if not self._question.options.for_reading:
            return 1
        return of_pair(len(self._question.instance.measurement)) if word == "pairs" else 2

    @property
    def _floor(self) -> int:
        """No set has fewer facts, nor fewer numbers."""
        if self._least is None:
            margins = self._shared.state(SLACK).margins(FactSet())
            self._least = 0 if (margins > 0.0).all() else 1
        return self._least

    def _searched(self, entry: _Entry, best: int | None) -> bool:
        """Whether a vocabulary has a set to offer, after a search for one where it has none."""
        if entry.found is not None:
            return True
        if entry.ended:
            return False
        begun = time.perf_counter()
        if begun >= self._deadline and any(
            e.found is not None or e.proof is not None for e in self._entries
        ):
            entry.reason, entry.aside = unknown(f"{OUT_OF_TIME}: not tried"), False
            self._unfinished[entry.word] = f"{entry.word} was not tried"
            entry.ended = True
            return False
        if entry.sets is None:
            entry.sets = self._sets(entry.word, best)
        entry.aside = False
        with until(self._deadline) as limit:
            try:
                entry.found = entry.sets.next()
            except OutOfTimeError:
                entry.reason = unknown(f"{OUT_OF_TIME}: no set of facts was found until then")
        if limit.cut:
            what = "searched to the end" if entry.found is None else "made as small as it could be"
            self._unfinished[entry.word] = f"{entry.word} was not {what}"
        if entry.found is None:
            entry.ended = True
            if entry.limit is not None and not limit.cut:
                entry.reason, entry.aside = unknown("nothing smaller was found"), True
        entry.seconds += time.perf_counter() - begun
        return entry.found is not None

    def _sets(self, word: Vocabulary, known: int | None) -> _Sets:
        """The sets of a vocabulary, where another one has a set of ``known`` facts, or numbers."""
        question = self._question
        facts = None if known is None else known // self._each(word)

        def search(floor: float, limit: int | None) -> Iterator[Candidate]:
            return candidates(
                question.instance,
                question.domain,
                word,
                question.options.oracle,
                facts,
                floor,
                shared=self._shared,
                limit=limit,
                reading=question.options.for_reading,
            )

        limited = word == "ceiling" and not question.options.compare
        return _Sets(search, self._floors, known if limited else None)

    def _floors(self, core: Core) -> Sequence[float]:
        return self._explainer.levels.floors(core)

    def _certify(self, entry: _Entry, *, witnesses: bool = False) -> None:
        """A proof of the set that counts; or why there is none, and no set that counts."""
        found = entry.found
        if found is None:
            return
        begun = time.perf_counter()
        question, deadline = self._question, self._deadline if witnesses else None
        proof, report, core, cut = self._explainer.attempted(
            question, entry.word, found, deadline=deadline
        )
        self._witnesses_cut |= cut
        entry.proof = proof
        if proof is None:
            entry.found, entry.reason = None, unknown(f"uncertified: {_complaint(report)}")
            if question.options.level == "F" and missed(report) and entry.sets is not None:
                entry.sets.refused(core)
        entry.seconds += time.perf_counter() - begun

    def _attempt(self, entry: _Entry, best: Best | None) -> Attempt:
        proof, seconds = entry.proof, entry.seconds
        locations = len(self._question.instance.measurement)
        if proof is not None:
            verdict, size = judged(proof.check.conditions), len(proof.facts)
            read = numbers(proof.facts, locations)
            return Attempt(entry.word, verdict, size, seconds, proof.certificate, numbers=read)
        if entry.found is None or best is None:
            return Attempt(entry.word, entry.reason, None, seconds, aside=entry.aside)
        read = entry.numbers(locations)
        reason = unknown(f"found, not certified: {best[2]} has {self._shorter(entry, best)}")
        return Attempt(
            entry.word, reason, None, seconds, found=entry.size, aside=True, numbers=read
        )

    def _shorter(self, entry: _Entry, best: Best) -> str:
        """Why another vocabulary's proof was taken and not this set: what it has less of."""
        read = numbers(best[3].facts, len(self._question.instance.measurement))
        less = read < entry.numbers(len(self._question.instance.measurement))
        if self._question.options.for_reading:
            return f"{'fewer' if less else 'as few'} numbers to read"
        if best[0] < entry.size:
            return "fewer facts"
        return "as few facts" + (", and fewer numbers to read" if less else "")


def _complaint(report: CheckReport) -> str:
    """The checker's own sentence about the first obligation that is not met."""
    for failure in report.failures:
        first = failure.detail.partition("; ")[0]
        return f"the checker says of '{failure.name}': {first[:_SENTENCE]}"
    return "the checker did not accept the proof"
