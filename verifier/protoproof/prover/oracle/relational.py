"""The relational oracle: all prototypes of a location bounded together (theory, section 4).

The interval oracle bounds each distance alone and pays ``sum |lambda_j| |beta_j|``; here the linear
forms of one rival's margin are added up per location first, which pays only
``|sum lambda_j beta_j|``, far less because prototypes cancel.

For a rival with weights w:

* w_j > 0 needs a_j from below: ``a_j >= sigma(q_lj)`` for any one location l, and the convex
  sigma lies above each of its tangents;
* w_j < 0 needs a_j from above: with t a bound on the similarity at all locations but l,
  ``a_j <= t + max(0, sigma(q_lj) - t)``, and a convex function lies below its chord over
  [low_lj, high_lj].

Both are linear in q_lj, and on the sphere that the facts leave at location l,
``q_lj = alpha_j - 2 r <beta_j, u>`` with |u| <= 1, so the form's least value there is
``sum lambda_j alpha_j - 2 r |sum lambda_j beta_j|``. Every choice of locations and tangent points
gives a valid bound; the tangent points are improved by putting them at the form's own minimiser.
A supporting prototype is bounded at the location where the instance matches it best, an opposing
one where it could match best. With few facts about few locations the former is mostly a location
without any fact, where nothing is known: ``at_facts`` bounds it where the facts say most. Such a
state is no monotone oracle (one more fact can move a prototype to a worse place), so that it serves
to try single sets, and what it proves is as good as any proof.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.interval import IntervalOracle, IntervalState
from protoproof.prover.oracle.oracle import Evidence
from protoproof.prover.relaxation.boxed_forms import BoxForms
from protoproof.prover.relaxation.forms import Forms
from protoproof.prover.relaxation.intervals import Known, Margins
from protoproof.prover.relaxation.sphere_forms import SphereForms, Spheres


class RelationalState(IntervalState):
    """Bounds as in the interval oracle, and relational margins for the rivals that those miss."""

    oracle = "relational"

    def __init__(
        self, instance: Instance, domain: Domain, slack: float, *, at_facts: bool = False
    ) -> None:
        super().__init__(instance, domain, slack)
        self.at_facts = at_facts
        self.spheres = Spheres(instance)

    def support_at(self) -> Int[NDArray[np.intp], " prototype"]:
        """As in general, or with ``at_facts`` where pair facts bound the distance best."""
        usual = super().support_at()
        if not self.at_facts:
            return usual
        stated = np.array([known.hull is not None for known in self.known])
        high = np.where(stated[:, None], self.high, np.inf)
        return np.where(np.isfinite(high.min(axis=0)), np.argmin(high, axis=0), usual)

    def put(self, location: int, known: Known) -> Known:
        """As in the interval oracle, and the location's sphere."""
        if known.hull is not None:
            self.spheres.put(location, known.hull)
        return super().put(location, known)

    def margins(self, facts: FactSet | None = None) -> Margins:
        """Interval margins, improved where they do not suffice."""
        margins = super().margins(facts)
        missed = np.flatnonzero(~(margins > self.slack))
        if len(missed):
            # the interval bound holds as well: the better of two valid bounds is valid
            margins[missed] = np.maximum(margins[missed], self.forms(missed.tolist()).bound)
        return margins

    def least_without_each(self, location: int) -> Float[NDArray[np.float64], " fact"]:
        """The least margin were each of the pair facts at a location not assumed."""
        return self._least_one_by_one(location)

    def suffices(self) -> bool:
        """Whether the present pair facts prove every margin; as cheaply as that can be told.

        Rivals are taken one at a time, the one that intervals miss by most first, because one
        failure settles the answer.
        """
        margins = super().margins()
        missed = np.flatnonzero(~(margins > self.slack))
        return all(
            self._forms([rival], self.slack).bound[0] > self.slack
            for rival in missed[np.argsort(margins[missed], kind="stable")].tolist()
        )

    def evidence(self, facts: FactSet) -> Evidence:
        """Linear forms for the rivals whose interval margin does not suffice."""
        self.adopt(facts)
        return Evidence(self, self.open_forms())

    def open_forms(self, settled: Collection[int] = ()) -> Forms | None:
        """Forms for the margins that intervals do not prove, but for those ``settled``."""
        margins = super().margins()
        missed = np.flatnonzero(~(margins > self.slack)).tolist()
        rows = [row for row in missed if row not in settled]
        return self.forms(rows) if rows else None

    def forms(self, rivals: Sequence[int]) -> Forms:
        """The best linear forms found for the margins over ``rivals`` (indices of margin rows)."""
        return self._forms(rivals, math.inf)

    def _forms(self, rivals: Sequence[int], enough: float) -> Forms:
        """In free space first, then, where that is not enough, over the domain too."""
        forms = SphereForms(self, self.spheres, rivals).solve(enough)
        if self.bounded is None or (forms.bound > enough).all():
            return forms
        return forms.better(BoxForms(self, self.bounded, rivals).solve(enough))


@dataclass(frozen=True)
class RelationalOracle(IntervalOracle):
    """See the module's docstring; activation facts enter by their interval."""

    name = RelationalState.oracle

    at_facts: bool = False

    def prepare(self, instance: Instance, domain: Domain) -> IntervalState:
        """Bounds from the domain alone; by intervals, where forms do not apply."""
        if not instance.head.plain:
            return super().prepare(instance, domain)
        return RelationalState(instance, domain, self.slack, at_facts=self.at_facts)
