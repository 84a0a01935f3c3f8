"""Oracles: whether a set of facts entails the predicted class. What a search sees of them.

``prepare(instance, domain)`` does the work that does not depend on facts and gives a
:class:`State`, which answers for one set of facts after another. Laws, tested for every oracle:

* *soundness*: PROVED only if every latent of the domain that meets the facts is predicted the
  same; the certificate checker, not the oracle, has the last word;
* *monotonicity*: a superset of proved facts is proved (the relational oracle: up to how far its
  tangents, and over a bounded domain its multipliers, are optimised);
* *order independence*: the answer depends on the set alone;
* *evidence*: what a state calls proved it can give the reasons for.

An oracle never answers REFUTED without a witness, and UNKNOWN never counts as proved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.case_forms import Tree
from protoproof.prover.relaxation.forms import Forms
from protoproof.prover.relaxation.intervals import SLACK, Intervals
from protoproof.verdict import Verdict

Margins = Float[NDArray[np.float64], " rival"]


@dataclass(frozen=True)
class Decision:
    """An oracle's answer: verdict, and the lower bound of the margin over every rival."""

    verdict: Verdict
    margins: Margins


@dataclass(frozen=True)
class Evidence:
    """Why the margins are positive: intervals, and for some rivals forms, or trees of cases.

    ``intervals`` describe the facts. ``trees`` are by the row of the margin; rivals with neither
    form nor tree are proved by intervals.
    """

    intervals: Intervals
    forms: Forms | None = None
    trees: Mapping[int, Tree] = field(default_factory=dict)


class State(Protocol):
    """One instance over one domain as an oracle sees it, under the facts assumed at present."""

    @property
    def instance(self) -> Instance:
        """The explained latent."""

    @property
    def oracle(self) -> str:
        """The word of its oracle in options and certificates."""

    @property
    def slack(self) -> float:
        """The least float64 margin that counts as proved."""

    @property
    def facts(self) -> FactSet:
        """The facts assumed at present."""

    @property
    def intervals(self) -> Intervals:
        """The intervals of all measurements under these facts, from which every bound starts."""

    def decide(self, facts: FactSet, slack: float | None = None) -> Decision:
        """Assume facts, and say whether they entail the class; with another slack for once."""

    def margins(self, facts: FactSet | None = None) -> Margins:
        """Lower bounds of all margins, under other facts from now on if any are given."""

    def margins_without(self, fact: Fact) -> Margins:
        """Lower bounds of all margins were one fact not assumed; nothing changes."""

    def drop(self, fact: Fact) -> bool:
        """Assume a fact no longer if the rest proves every margin; whether it does."""

    def evidence(self, facts: FactSet) -> Evidence:
        """Assume facts, and give the reasons why they prove the margins."""


@dataclass(frozen=True)
class Oracle:
    """One way to decide. ``slack`` is the least float64 margin that it calls proved."""

    slack: float = SLACK
    name: ClassVar[str]

    def prepare(self, instance: Instance, domain: Domain) -> State:
        """Everything that does not depend on the facts."""
        raise NotImplementedError

    def decide(self, state: State, facts: FactSet) -> Decision:
        """Whether the facts entail the predicted class over the state's domain."""
        return state.decide(facts, self.slack)
