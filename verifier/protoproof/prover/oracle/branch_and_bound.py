"""The branch-and-bound oracle: proofs by cases for what one relaxation misses (theory, 4 and 6).

A tree of cases (``case_search``) proves a margin where all its leaves do. Small networks for which
a few cases do not suffice are put to z3 (``smt_query``), whose models may be counterexamples and
whose lemmas say where to split; nothing rests on its word. The number of cases is limited, never
the time, so that equal runs agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.replay import Move, Replay
from protoproof.prover.oracle.case_search import CaseSearch
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.oracle.nonlinear import counterexample_moves
from protoproof.prover.oracle.oracle import Decision, Evidence
from protoproof.prover.oracle.relational import RelationalState
from protoproof.prover.oracle.smt import Solver
from protoproof.prover.oracle.smt_query import ask
from protoproof.prover.relaxation.case_forms import Tree
from protoproof.prover.relaxation.case_split import Cases
from protoproof.prover.relaxation.intervals import Margins
from protoproof.verdict import PROVED, REFUTED, unknown

Latent = Float[NDArray[np.float64], "location channel"]
# Cases per rival: for networks so small that a case costs next to nothing, and for all others.
_CASES, _SMALL_CASES = 24, 300
_SMALL = 64  # locations times channels, or prototypes


class CaseState(RelationalState):
    """Bounds as in the relational oracle, and trees of cases for the rivals that those miss.

    ``trees`` are those of the last set of facts that was proved: row of the margin -> tree.
    ``refutation`` is the rival and the moves of a latent that meets the facts and loses to it.
    ``losing`` is a margin's row and a latent that meets the facts and loses, both in float64 only.
    ``budget`` limits ``cases``: beyond it no further margin is put to the search (None: no limit).
    ``asked`` counts margins that were put to the search, ``cases`` the cases it looked at.
    """

    oracle = "smt"

    def __init__(
        self,
        instance: Instance,
        domain: Domain,
        slack: float,
        most: int | None,
        solver: Solver | None,
    ) -> None:
        super().__init__(instance, domain, slack)
        self.domain, self.solver = domain, solver
        self.refutation: tuple[int, tuple[Move, ...]] | None = None
        self.losing: tuple[int, Latent] | None = None
        self.small = max(instance.latent.size, len(self.floor)) <= _SMALL
        self.most = most or (_SMALL_CASES if self.small else _CASES)
        self.trees: dict[int, Tree] = {}
        self.proved: FactSet | None = None
        self.budget: int | None = None
        self.asked = self.cases = 0

    def decide(self, facts: FactSet, slack: float | None = None) -> Decision:
        """PROVED where every margin is above the slack in every case.

        REFUTED where a latent survived the exact replay; ``refutation`` has it.
        """
        proved, margins = self.entails(facts, self.slack if slack is None else slack)
        if self.refutation is not None:
            return Decision(REFUTED, margins)
        return Decision(PROVED if proved else unknown("margin not proved"), margins)

    def evidence(self, facts: FactSet) -> Evidence:
        """Trees of cases, and forms for the other rivals that intervals do not prove."""
        if self.proved != facts and not self.entails(facts, self.slack / 2)[0]:
            self.trees, self.proved = {}, None
        self.adopt(facts)
        return Evidence(self, self.open_forms(self.trees), self.trees)

    def entails(self, facts: FactSet, slack: float) -> tuple[bool, Margins]:
        """Whether the facts prove every margin, and the best bounds found until that was settled.

        The rivals that are missed by most come first: one failure settles the answer.
        """
        self.adopt(facts)
        margins = self.margins()
        missed = np.flatnonzero(~(margins > slack))
        self.refutation = self.losing = None
        trees: dict[int, Tree] = {}
        cases = Cases(self, facts, missed.tolist())
        for row in missed[np.argsort(margins[missed], kind="stable")].tolist():
            if self.budget is not None and self.cases >= self.budget:
                return False, margins
            self.asked += 1
            most = self.most if self.solver is None else min(self.most, _CASES)
            search = CaseSearch(cases, row, slack, most, deep=self.small)
            tree = search.run()
            self.cases += search.count
            margins[row] = max(margins[row], search.bound)
            if search.refuted is not None:
                self.losing = row, search.refuted
                if self.small:
                    self._replay(row, facts, search.refuted)
            elif tree is None:
                tree = self._with_hints(cases, row, slack)
            if tree is None:
                return False, margins
            trees[row] = tree
        self.trees, self.proved = trees, facts
        return True, margins

    def _replay(self, row: int, facts: FactSet, latent: NDArray[np.float64]) -> None:
        """Keep a latent that loses if it does so exactly."""
        moves = counterexample_moves(self.instance, facts, latent)
        rival = self.instance.rivals[row]
        if moves and Replay(self.instance, self.domain).survives(facts, None, rival, moves):
            self.refutation = rival, tuple(moves)

    def _with_hints(self, cases: Cases, row: int, slack: float) -> Tree | None:
        """Once more with the splits that z3 needs, where it finds no counterexample."""
        if self.solver is None or not self.small:
            return None
        outcome = ask(cases, self.domain, row, self.solver)
        if outcome.status == "refuted":
            self.refutation = self.instance.rivals[row], outcome.moves
        if outcome.status != "none":
            return None
        search = CaseSearch(cases, row, slack, self.most, deep=True, hints=outcome.cuts)
        tree = search.run()
        self.cases += search.count
        return tree


@dataclass(frozen=True)
class BranchAndBoundOracle(IntervalOracle):
    """See the module's docstring. ``most`` limits the cases per rival."""

    name = CaseState.oracle

    most: int | None = None
    solver: Solver | None = None

    def prepare(self, instance: Instance, domain: Domain) -> IntervalState:
        """Bounds from the domain alone; by intervals, where cases do not apply."""
        if not instance.head.plain:
            return super().prepare(instance, domain)
        return self.cases(instance, domain)

    def cases(self, instance: Instance, domain: Domain) -> CaseState:
        """The same, of a head to which cases apply."""
        return CaseState(instance, domain, self.slack, self.most, self.solver)
