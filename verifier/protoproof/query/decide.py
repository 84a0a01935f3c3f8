"""The order of stages for one query: alternatives, those that cannot be, an input, proofs.

``unsat`` rests on the checker's word about every alternative, ``sat`` on an input that was
replayed; everything else is ``unknown``, with a reason.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np

from protoproof.arithmetic.rounding import float_above, float_below
from protoproof.certification.certify import Certifier
from protoproof.errors import InputError, ProtoProofError
from protoproof.explanation.explainer import Explainer
from protoproof.network import Network
from protoproof.network.recorded import input_digest
from protoproof.prover.latent.facts import FactSet
from protoproof.query.binding import Bound, bind
from protoproof.query.formula import Either, Element, Formula
from protoproof.query.formula import disjuncts as alternatives
from protoproof.query.language import Query
from protoproof.query.margins import Lead, Start, leads
from protoproof.query.points import Points, Satisfying, latent_at
from protoproof.query.premises import (
    Premises,
    anywhere,
    domain_of,
    facts_of,
    input_ends,
    premises_of,
)
from protoproof.query.starts import starts
from protoproof.region.bounds.latent_bounds import reach_of
from protoproof.region.sets.region import BoxRegion, InputBox
from protoproof.verdict import Status

Word = Literal["sat", "unsat", "unknown", "timed-out"]
_SEARCHED = 16  # alternatives for which an input is looked for


@dataclass(frozen=True, eq=False)
class Answer:
    """What is decided; ``found`` of a satisfiable query, ``reason`` where nothing is."""

    word: Word
    bound: Bound
    found: Satisfying | None = None
    reason: str = ""


@dataclass
class _Group:
    """Alternatives that say the same of inputs and latent."""

    premises: Premises
    members: list[Premises] = field(default_factory=list)

    def settled(self, lead: Lead) -> bool:
        """Whether every member is refuted by a lead."""
        return all(
            any(lead.refutes(c.weights, c.limit, c.strict) for c in each.scores)
            for each in self.members
        )


def decide(query: Query, network: Network | Explainer, timeout: float | None = None) -> Answer:
    """Whether some input satisfies the query.

    Args:
        network: a network; or the explainer of one, for many queries about it.
        timeout: seconds after which no further stage starts.

    Raises:
        InputError: the query does not fit the network, or asks for soundness over float32 numbers
            where there is none.
        ModelError: the network has no head that explanations can be certified for.
    """
    return _Decision(query, network, timeout).answer()


class _Decision:
    def __init__(self, query: Query, network: Network | Explainer, timeout: float | None) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.explainer = network if isinstance(network, Explainer) else Explainer(network)
        self.bound = bind(query, self.explainer.network, self.explainer.model_file)
        self.single = query.type == "float32"
        self.reasons: list[str] = []

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def left(self) -> float:
        return 60.0 if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def answer(self) -> Answer:
        bound = self.bound
        whole: dict[int, object] = {}
        _kept(bound, bound.query.condition, whole)
        every = [premises_of(bound, each) for each in alternatives(bound.query.condition, whole)]
        open_ = [each for each in every if not each.empty]
        if not open_:
            return Answer("unsat", bound)
        if self.single:
            self._require_sound(open_)
        points = Points(bound)
        for known in open_[:_SEARCHED]:
            if self.late:
                return Answer("timed-out", bound)
            found = points.search(known)
            if found is not None:
                return Answer("sat", bound, found)
        groups: dict[Hashable, _Group] = {}
        for known in open_:
            groups.setdefault(_key(bound, known), _Group(known)).members.append(known)
        for group in groups.values():
            if self.late:
                return Answer("timed-out", bound)
            if not self._refuted(group):
                word: Word = "timed-out" if self.late else "unknown"
                reason = points.fragile or "; ".join(dict.fromkeys(self.reasons))
                return Answer(word, bound, reason=reason or "no bound that was tried decides it")
        return Answer("unsat", bound)

    def _require_sound(self, open_: list[Premises]) -> None:
        levels = self.explainer.levels
        if levels.execution is None:
            raise InputError(
                f"float32: no sound analysis of this head's float32 executions ({levels.reason}); "
                "declare real to ask about the real numbers"
            )
        if not all(each.hidden for each in open_):
            raise InputError(
                "float32: sound from a latent on, which the query does not speak about (declare "
                "the latent as a hidden node and bound it), or declare real to ask about the real "
                "numbers"
            )

    def _refuted(self, group: _Group) -> bool:
        """Whether no input satisfies any member."""
        if not all(each.scores for each in group.members):
            self.reasons.append("an alternative compares no scores that the head decides by")
            return False
        if group.premises.hidden and self._by_latent(group):
            return True
        if self.single:
            return False
        ends = input_ends(self.bound, group.premises)
        if ends is not None:
            return self._by_inputs(group, *ends)
        return not group.premises.hidden and self._by_latent(group)

    def _by_latent(self, group: _Group) -> bool:
        """From what is said about the latent, whatever the input."""
        domain = domain_of(self.bound, group.premises)
        facts = facts_of(self.bound, group.premises)
        for latent in starts(self.bound, domain, facts):
            if self.late:
                return False
            start = Start(latent, domain, facts)
            lead = leads(self.explainer, start, group.settled, single=self.single)
            if lead is not None:
                if not group.settled(lead):
                    self.reasons.append("margins: the premises do not prove the scores' order")
                return group.settled(lead)
        self.reasons.append("no latent was found that meets the premises, to start a proof at")
        return False

    def _by_inputs(
        self, group: _Group, lower: Sequence[Fraction], upper: Sequence[Fraction]
    ) -> bool:
        """From the box of inputs: the checker walks the encoder over it."""
        region = _region(self.bound, lower, upper)
        try:
            latent = latent_at(self.bound.network, region.centre)
            reach = reach_of(self.bound.network, region, latent)
            start = Start(latent, reach, FactSet(), input_digest(region.centre))
            lead = leads(self.explainer, start, group.settled, single=False)
            if lead is not None and group.settled(lead):
                return True
            if lead is None:
                self.reasons.append("the checker cannot walk the encoder over the inputs")
            if lead is None or self.late:
                return False
            every = frozenset(range(len(self.bound.network.class_names))) - {lead.label}
            if not group.settled(Lead(lead.label, dict(lead.over), every)):
                self.reasons.append("margins: the bounds over the inputs do not suffice")
                return False
            certifier = Certifier(self.explainer)
            result = certifier.certify(region, falsify=False, timeout=self.left)
        except ProtoProofError as error:
            self.reasons.append(str(error))
            return False
        if result.verdict.status is Status.PROVED and result.predicted == lead.label:
            return group.settled(Lead(lead.label, dict(lead.over), every))
        self.reasons.append(str(result.verdict))
        return False


def _kept(bound: Bound, formula: Formula, whole: dict[int, object]) -> None:
    """Alternatives that are a fact about the nearest location stay together."""
    if isinstance(formula, Either) and len(formula.parts) > 1:
        known = anywhere(bound, formula)
        if known is not None:
            whole[id(formula)] = known
            return
    for part in getattr(formula, "parts", ()):
        _kept(bound, part, whole)


def _key(bound: Bound, known: Premises) -> Hashable:
    """What tells premises apart, besides scores."""
    groups = (known.units, known.pairs, known.pooled)
    ends = [frozenset(part.items()) for each in groups for part in (each.lower, each.upper)]
    inputs = _inputs(bound, known)
    linear = tuple((frozenset(form.items()), value) for form, value in known.linear)
    return (*ends, inputs, linear)


def _inputs(bound: Bound, known: Premises) -> Hashable:
    return frozenset(
        (above, what, value)
        for above, part in ((0, known.elements.lower), (1, known.elements.upper))
        for what, value in part.items()
        if isinstance(what, Element) and what.variable == bound.input.name
    )


def _region(bound: Bound, lower: Sequence[Fraction], upper: Sequence[Fraction]) -> BoxRegion:
    """The box of inputs, rounded outwards; to float32 where no such number is between two ends."""
    shape = bound.network.input_shape
    low = np.array([float_below(value) for value in lower])
    high = np.array([float_above(value) for value in upper])
    first = low.astype(np.float32)
    first = np.where(first < low, np.nextafter(first, np.float32(np.inf)), first)
    none = first > high
    down = np.nextafter(first, np.float32(-np.inf))
    low, high = np.where(none, down, low), np.where(none, first, high)
    middle = (low / 2 + high / 2).astype(np.float32)
    middle = np.where((middle < low) | (middle > high), first, middle).astype(np.float32)
    stated = bound.network.input_range
    domain = min(stated[0], float(low.min())), max(stated[1], float(high.max()))
    box = InputBox(low.reshape(shape), high.reshape(shape))
    return BoxRegion(middle.reshape(shape), domain, box, "query")
