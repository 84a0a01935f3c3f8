"""What a certificate's evidence proves when its facts become intervals, in float64.

A certificate's multipliers bound every margin for whatever intervals [l_i, h_i] its pair facts
have; the bounds get looser where the intervals get wider (theory, section 4: a row theta loses
theta_i^+ per unit of h_i and theta_i^- per unit of l_i). Here the margins are evaluated for any
intervals with the multipliers held fixed, location by location, so that one changed fact costs one
location. It repeats the arithmetic of the checker with float64 and decides nothing: what it calls
proved is offered to the checker.

All distances are seen from the latent v: with x_j = p_j - v, the bound of a row is
q_j(v) - |x_j + sum theta_i x_i|^2 / A less what the widths cost, and no large terms cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate import schema
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance, interval_margins
from protoproof.prover.relaxation.forms import chord, elsewhere

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "location prototype"]
Margins = Float[NDArray[np.float64], " rival"]
Widths = Float[NDArray[np.float64], " fact"]


@dataclass(frozen=True)
class _Rows:
    """Bounds of one side at one location: ``at_rest`` less ``up @ above + down @ below``.

    ``prototypes`` are those bounded; the columns are the pair facts of the location.
    """

    prototypes: NDArray[np.intp]
    at_rest: Float[NDArray[np.float64], " row"]
    up: Float[NDArray[np.float64], "row fact"]
    down: Float[NDArray[np.float64], "row fact"]

    @classmethod
    def of(cls, instance: Instance, block: schema.PairBlock, rows: schema.Rows, sign: int) -> _Rows:
        """The rows that bound ``sign * q_j`` from below."""
        prototypes = np.array(rows.prototypes, dtype=np.intp)
        theta = np.array(rows.theta, dtype=np.float64).reshape(len(prototypes), len(block.facts))
        theta = theta / 2.0**block.shift
        away = instance.head.prototypes - instance.latent[block.location]
        leading = sign + theta.sum(axis=1)
        off = sign * away[prototypes] + theta @ away[list(block.facts)]
        at_rest = sign * instance.measurement[block.location, prototypes]
        at_rest = at_rest - (off**2).sum(axis=1) / leading
        return cls(prototypes, at_rest, np.maximum(theta, 0.0), np.maximum(-theta, 0.0))

    def bounds(self, above: Widths, below: Widths) -> Float[NDArray[np.float64], " row"]:
        """The lower bounds for facts that reach from q - ``below`` to q + ``above``."""
        return np.asarray(self.at_rest - self.up @ above - self.down @ below)


class Evidence:
    """The margins that the evidence of a certificate proves, for facts that can be widened.

    ``facts`` are those of the certificate at first; :meth:`set_pair`, :meth:`set_activation` and
    :meth:`set_ceiling` move their ends. ``near`` and ``far`` are the least and the largest squared
    distances in the domain, location by location: a reach box differs from one to the next.
    """

    def __init__(
        self,
        instance: Instance,
        near: Matrix,
        far: Matrix,
        facts: FactSet,
        evidence: schema.IntervalEvidence,
    ) -> None:
        self.instance, self.near, self.far = instance, near, far
        locations, count = instance.measurement.shape
        self.pairs = {(f.location, f.prototype): (f.lower, f.upper) for f in facts.pairs}
        self.activations = {f.prototype: (f.lower, f.upper) for f in facts.activations}
        self.ceilings = [fact.bound for fact in facts.ceilings]
        self._under = np.ones((len(facts.ceilings), count), dtype=bool)
        for under, fact in zip(self._under, facts.ceilings, strict=True):
            under[list(fact.exempt)] = False
        self._implied = [
            (entry.prototype, entry.via, float.fromhex(entry.stretch)) for entry in evidence.implied
        ]
        self._stated = [[f.prototype for f in facts.at(location)] for location in range(locations)]
        # per location: the facts that a block uses, its lower and its upper bounds
        self._blocks: list[list[tuple[list[int], _Rows, _Rows]]] = [[] for _ in range(locations)]
        for block in evidence.blocks:
            lower, upper = (
                _Rows.of(instance, block, rows, sign)
                for rows, sign in ((block.lower, 1), (block.upper, -1))
            )
            self._blocks[block.location].append((list(block.facts), lower, upper))
        self._low: Matrix = near.copy()
        self._high: Matrix = far.copy()
        # what uses the domain is left out here: its facts are then not widened on its account
        self._forms = [
            Form(instance, form)
            for form in evidence.forms
            if not any(entry.domain for entry in form.multipliers)
        ]
        for location in range(locations):
            self._renew(location)

    def set_pair(self, location: int, prototype: int, lower: float, upper: float) -> None:
        """Give a pair fact another interval."""
        self.pairs[location, prototype] = lower, upper
        self._renew(location)

    def set_activation(self, prototype: int, lower: float, upper: float) -> None:
        """Give an activation fact another interval."""
        self.activations[prototype] = lower, upper

    def set_ceiling(self, number: int, bound: float) -> None:
        """Give one of the ceilings another bound."""
        self.ceilings[number] = bound

    def _renew(self, location: int) -> None:
        """Recompute the bounds of one location."""
        low, high = self.near[location].copy(), self.far[location].copy()
        for prototype in self._stated[location]:
            lower, upper = self.pairs[location, prototype]
            low[prototype] = max(low[prototype], lower)
            high[prototype] = min(high[prototype], upper)
        for used, lower_rows, upper_rows in self._blocks[location]:
            ends = np.array([self.pairs[location, i] for i in used])
            seen = self.instance.measurement[location, used]
            above = np.maximum(ends[:, 1] - seen, 0.0)
            below = np.maximum(seen - ends[:, 0], 0.0)
            at = lower_rows.prototypes
            low[at] = np.maximum(low[at], lower_rows.bounds(above, below))
            at = upper_rows.prototypes
            high[at] = np.minimum(high[at], -upper_rows.bounds(above, below))
        self._low[location], self._high[location] = low, high

    def nearest(self) -> tuple[Vector, Vector]:
        """Bounds of the least distance to every prototype."""
        low, high = self._low.min(axis=0), self._high.min(axis=0)
        for prototype, (lower, upper) in self.activations.items():
            low[prototype] = max(low[prototype], lower)
            high[prototype] = min(high[prototype], upper)
        for under, bound in zip(self._under, self.ceilings, strict=True):
            low = np.where(under, np.maximum(low, bound), low)
        for prototype, via, stretch in self._implied:
            below = stretch < 0
            told = self._least_told(via) if below else self.activations[via][1]
            apart = float(self.instance.gram[via, prototype])
            bound = (1 + stretch) * told + (1 + 1 / stretch) * apart
            if below:
                low[prototype] = max(low[prototype], bound)
            else:
                high[prototype] = min(high[prototype], bound)
        return low, high

    def _least_told(self, prototype: int) -> float:
        """What activation facts and ceilings say about a prototype from below."""
        bounds = zip(self._under, self.ceilings, strict=True)
        told = [bound for under, bound in bounds if under[prototype]]
        told += [self.activations[prototype][0]] if prototype in self.activations else []
        return max(told)

    def margins(self) -> Margins:
        """A lower bound of every margin: the better of intervals and forms."""
        low, high = self.nearest()
        instance = self.instance
        similar = instance.similarity(high), instance.similarity(low)
        margins = interval_margins(
            instance.supporting, instance.opposing, instance.margin_offset, *similar
        )
        for form in self._forms:
            bound = form.bound(self._low, self._high, low, similar, self.pairs)
            margins[form.row] = max(margins[form.row], bound)
        return margins


class Form:
    """One rival's linear forms, with their tangents and multipliers fixed.

    Chords follow the bounds, as they do in the checker.
    """

    def __init__(self, instance: Instance, form: schema.RivalForm) -> None:
        self.row = instance.rivals.index(form.rival)
        self._instance = instance
        weights = instance.margin_weights[self.row]
        supports = np.array([t.prototype for t in form.supports], dtype=np.intp)
        locations = [entry.location for entry in form.multipliers]
        at = np.array([float.fromhex(t.at) for t in form.supports])
        slope = instance.head.chain.derivative(at, supports)
        rising = weights[supports] * slope
        level = instance.similarity(at, supports) - slope * at
        self._constant = float(weights[supports] @ level + instance.margin_offset[self.row])
        self._chords = np.array([c.prototype for c in form.opposes], dtype=np.intp)
        self._where = np.array([c.location for c in form.opposes], dtype=np.intp)
        self._site = np.array([locations.index(int(k)) for k in self._where], dtype=np.intp)
        self._alone = np.ones(len(weights), dtype=bool)
        self._alone[supports] = False
        self._weights = weights
        # per location that takes part, without chords: leading coefficient, value at v, vector sum
        channels = instance.head.channels
        self._leading, self._value = np.zeros(len(locations)), np.zeros(len(locations))
        self._pull = np.zeros((len(locations), channels))
        self._away = instance.head.prototypes[self._chords] - instance.latent[self._where]
        self._mu: list[tuple[int, Sequence[int], Widths]] = []
        for tangent, coefficient in zip(form.supports, rising.tolist(), strict=True):
            self._add(locations.index(tangent.location), tangent, coefficient)
        for location, entry in enumerate(form.multipliers):
            mu = np.array(entry.mu, dtype=np.float64) / 2.0**entry.shift
            away = instance.head.prototypes[list(entry.facts)] - instance.latent[entry.location]
            self._leading[location] += mu.sum()
            self._pull[location] += mu @ away
            self._mu.append((entry.location, entry.facts, mu))

    def _add(self, site: int, tangent: schema.Tangent, coefficient: float) -> None:
        j, location = tangent.prototype, tangent.location
        self._leading[site] += coefficient
        self._value[site] += coefficient * self._instance.measurement[location, j]
        self._pull[site] += coefficient * (
            self._instance.head.prototypes[j] - self._instance.latent[location]
        )

    def bound(
        self,
        low: Matrix,
        high: Matrix,
        least: Vector,
        similar: tuple[Vector, Vector],
        pairs: dict[tuple[int, int], tuple[float, float]],
    ) -> float:
        """The least margin, for these bounds of every measurement and these pair facts.

        Args:
            least: lower bounds of the least distances.
            similar: similarities at the upper and at the lower bounds of the least distances.
        """
        leading, value, pull = self._leading.copy(), self._value.copy(), self._pull.copy()
        alone, total = self._alone.copy(), self._constant
        if len(self._chords):
            j, at = self._chords, self._where
            near, far = np.maximum(low[at, j], least[j]), high[at, j]
            known = np.isfinite(far) & (near < far)
            alone[j[known]] = False
            others = self._elsewhere(low, least)
            slope, at_near = chord(
                lambda q: self._instance.similarity(q, j), near, far, known, others
            )
            constant = at_near - slope * near
            falling = np.where(known, self._weights[j] * slope, 0.0)
            total += float(self._weights[j[known]] @ constant[known])
            np.add.at(leading, self._site, falling)
            np.add.at(value, self._site, falling * self._instance.measurement[at, j])
            np.add.at(pull, self._site, falling[:, None] * self._away)
        weights = np.where(alone, self._weights, 0.0)
        ends = np.where(weights > 0, similar[0], similar[1])
        total += float(np.where(weights != 0, weights * np.where(weights != 0, ends, 0), 0.0).sum())
        if not (leading > 0).all():
            return -np.inf
        total += float((value - (pull**2).sum(axis=1) / leading).sum())
        for location, facts, mu in self._mu:
            ends = np.array([pairs[location, i] for i in facts])
            seen = self._instance.measurement[location, list(facts)]
            total -= float(
                np.where(mu > 0, mu * (ends[:, 1] - seen), mu * (ends[:, 0] - seen)).sum()
            )
        return total

    def _elsewhere(self, low: Matrix, least: Vector) -> Vector:
        """Lower bounds at all other locations, for the prototypes of the chords."""
        column = low[:, self._chords]
        return np.maximum(elsewhere(column, self._where), least[self._chords])
