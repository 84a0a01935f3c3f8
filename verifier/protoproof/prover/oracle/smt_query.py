"""The question about one rival in linear real arithmetic, refined around spurious models.

Variables are the latent z, t_l for |z_l|^2, m_j and the activations a_j; every q_lj is linear in
them. That m_j is one of the q_lj, and which piece of a chord applies, are cases that z3 chooses.
What is not linear enters by lemmas, added where a model breaks it:

    t_l >= 2 <c, z_l> - |c|^2                       (tangent, at the model's z_l)
    t_l <= sum of chords of z_ld^2, piece by piece  (McCormick; pieces end at the model's z_ld)
    a_j >= tangent of the similarity at the model's m_j             (weight > 0)
    a_j <= chord of the similarity between the nearest thresholds   (weight < 0)

A model is first tried as a real latent, in exact arithmetic. That there is no model proves nothing
here: thresholds at which the pieces end are then splits to try. Numbers of the similarity are
float64, which is enough for guidance. The same text is what other solvers can be asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.replay import Move, Replay
from protoproof.prover.oracle.nonlinear import counterexample_moves, fact_assertions, number, total
from protoproof.prover.oracle.smt import Solver
from protoproof.prover.relaxation.case import Cut
from protoproof.prover.relaxation.case_split import Cases

# Models looked at per rival, steps of z3 for each, and wall time after which its process is ended.
_ROUNDS, _STEPS, _SECONDS = 40, 2_000_000, 10.0
# What counts as broken.
_EPSILON = 1e-6

Latent = Float[NDArray[np.float64], "location channel"]


@dataclass
class Outcome:
    """``status``: ``none`` (z3 finds no model), ``refuted`` (``moves`` shows one) or ``open``.

    ``cuts`` are the splits that the lemmas suggest, those added last first.
    """

    status: str
    moves: tuple[Move, ...] = ()
    cuts: list[Cut] = field(default_factory=list)


class Query:
    """One rival's question with the lemmas so far."""

    def __init__(self, cases: Cases, row: int) -> None:
        self.cases, self.row = cases, row
        instance = self.instance = cases.instance
        self.weights = instance.margin_weights[row]
        self.tangents: list[tuple[int, list[float]]] = []
        self.rising: dict[int, list[float]] = {}
        self.pieces: dict[int, list[float]] = {}
        self.channels: dict[tuple[int, int], list[float]] = {}
        self.cuts: list[Cut] = []
        root = cases.root
        for j in np.flatnonzero(self.weights > 0).tolist():
            self.rising[j] = [float(instance.measurement[:, j].min())]
        for j in np.flatnonzero(self.weights < 0).tolist():
            self.pieces[j] = [float(root.near[j])]
            if math.isfinite(root.far[j]):
                self.pieces[j].append(float(root.far[j]))
        for location in range(len(instance.latent)):
            lower, upper = cases.box(root, location)
            if np.isfinite(lower).all() and np.isfinite(upper).all():
                for channel, v in enumerate(instance.latent[location].tolist()):
                    ends = [v + float(lower[channel]), v + float(upper[channel])]
                    self.channels[location, channel] = ends

    def script(self) -> str:
        """The question as SMT-LIB text, logic QF_LRA."""
        head, instance = self.instance.head, self.instance
        locations, prototypes = instance.measurement.shape
        lines = ["(set-logic QF_LRA)"]
        for location in range(locations):
            lines.append(f"(declare-const t_{location} Real)")
            for d in range(head.channels):
                lines.append(f"(declare-const z_{location}_{d} Real)")
                lines.append(f"(declare-const s_{location}_{d} Real)")
            lines += self._channels(location)
        for j in range(prototypes):
            lines += [f"(declare-const m_{j} Real)", f"(declare-const a_{j} Real)"]
            measured = [self._measured(location, j) for location in range(locations)]
            lines += [f"(assert (<= m_{j} {q}))" for q in measured]
            lines.append(f"(assert (or {' '.join(f'(= m_{j} {q})' for q in measured)} false))")
            lines.append(f"(assert (>= m_{j} {number(self._exact(self.cases.root.near[j]))}))")
        lines += [
            f"(assert {text})" for text in fact_assertions(head, self.cases.facts, prototypes)
        ]
        lines += self._similarities()
        terms = [
            f"(* {number(Fraction(w))} a_{j})" for j, w in enumerate(self.weights.tolist()) if w
        ]
        offset = Fraction(float(instance.margin_offset[self.row]))
        lines.append(f"(assert (<= {total([*terms, number(offset)])} 0))")
        return "\n".join([*lines, "(check-sat)", ""])

    def _exact(self, value: float) -> Fraction:
        # a shade below: float64 bounds must not cut off what the facts themselves allow
        return Fraction(float(value) * (1 - 1e-12))

    def _measured(self, location: int, j: int) -> str:
        point = [Fraction(v) for v in self.instance.head.prototypes[j].tolist()]
        terms = [f"(* {number(-2 * p)} z_{location}_{d})" for d, p in enumerate(point) if p]
        constant = number(sum((p * p for p in point), Fraction(0)))
        return total([f"t_{location}", *terms, constant])

    def _channels(self, location: int) -> list[str]:
        lines = []
        for at in (at for where, at in self.tangents if where == location):
            terms = [f"(* {number(Fraction(2 * c))} z_{location}_{d})" for d, c in enumerate(at)]
            square = sum((Fraction(c) ** 2 for c in at), Fraction(0))
            lines.append(f"(assert (>= t_{location} {total([*terms, number(-square)])}))")
        channels = range(self.instance.head.channels)
        known = [self.channels.get((location, d)) for d in channels]
        if any(ends is None for ends in known):
            return lines
        lines.append(f"(assert (= t_{location} {total([f's_{location}_{d}' for d in channels])}))")
        for d, ends in enumerate(known):
            knots = sorted(ends or [])
            z, s = f"z_{location}_{d}", f"s_{location}_{d}"
            first, last = number(Fraction(knots[0])), number(Fraction(knots[-1]))
            lines += [f"(assert (>= {z} {first}))", f"(assert (<= {z} {last}))"]
            lines.append(f"(assert (>= {s} 0))")
            for low, high in pairwise(knots):
                a, b = Fraction(low), Fraction(high)
                chord = total([f"(* {number(a + b)} {z})", number(-a * b)])
                inside = f"(and (>= {z} {number(a)}) (<= {z} {number(b)}))"
                lines.append(f"(assert (=> {inside} (<= {s} {chord})))")
            for knot in knots:
                c = Fraction(knot)
                below = total([f"(* {number(2 * c)} {z})", number(-c * c)])
                lines.append(f"(assert (>= {s} {below}))")
        return lines

    def _similarities(self) -> list[str]:
        sigma = self.instance.head.chain
        lines = []
        for j, points in self.rising.items():
            for at in points:
                value, slope = (
                    float(f(np.array([at]), [j])[0]) for f in (sigma.value, sigma.derivative)
                )
                line = total(
                    [f"(* {number(Fraction(slope))} m_{j})", number(Fraction(value - slope * at))]
                )
                lines.append(f"(assert (>= a_{j} {line}))")
        for j, points in self.pieces.items():
            knots = sorted(points)
            values = sigma.value(np.array(knots), [j] * len(knots)).tolist()
            for i in range(len(knots) - 1):
                width = knots[i + 1] - knots[i]
                if width <= 0:
                    continue
                slope = (values[i + 1] - values[i]) / width
                level = Fraction(values[i] - slope * knots[i])
                chord = total([f"(* {number(Fraction(slope))} m_{j})", number(level)])
                top = number(Fraction(knots[i + 1]))
                inside = f"(<= m_{j} {top})"
                if i:
                    inside = f"(and (>= m_{j} {number(Fraction(knots[i]))}) {inside})"
                lines.append(f"(assert (=> {inside} (<= a_{j} {chord})))")
            beyond = f"(>= m_{j} {number(Fraction(knots[-1]))})"
            lines.append(f"(assert (=> {beyond} (<= a_{j} {number(Fraction(values[-1]))})))")
        return lines

    def refine(self, model: dict[str, float]) -> bool:
        """Add the lemmas that a model breaks; False where it breaks none."""
        before = len(self.cuts) + len(self.tangents) + sum(map(len, self.rising.values()))
        sigma, head = self.instance.head.chain, self.instance.head
        for location in range(len(self.instance.latent)):
            z = [model.get(f"z_{location}_{d}", 0.0) for d in range(head.channels)]
            t, square = model.get(f"t_{location}", 0.0), sum(v * v for v in z)
            if t < square - _EPSILON:
                self.tangents.append((location, z))
            for d, v in enumerate(z if t > square + _EPSILON else []):
                knots = self.channels.get((location, d), [])
                if knots and min(abs(v - knot) for knot in knots) > 1e-4:
                    knots.append(v)
                    self.cuts.append(Cut("channel", d, location, v))
        for j, points in self.rising.items():
            m, a = max(model.get(f"m_{j}", 0.0), 0.0), model.get(f"a_{j}", 0.0)
            if a < float(sigma.value(np.array([m]), [j])[0]) - _EPSILON:
                points.append(m)
        for j, points in self.pieces.items():
            m, a = max(model.get(f"m_{j}", 0.0), 0.0), model.get(f"a_{j}", 0.0)
            far = min(abs(m - knot) for knot in points)
            if a > float(sigma.value(np.array([m]), [j])[0]) + _EPSILON and far > _EPSILON:
                points.append(m)
                root = self.cases.root
                location = int(np.argmin(root.low[:, j]))
                if len(root.low) > 1:
                    listed = tuple(range(min(len(root.low), 4)))
                    self.cuts.append(Cut("place", j, locations=listed))
                self.cuts.append(Cut("distance", j, location, m))
        return len(self.cuts) + len(self.tangents) + sum(map(len, self.rising.values())) > before


def ask(cases: Cases, domain: Domain, row: int, solver: Solver, rounds: int = _ROUNDS) -> Outcome:
    """Refine until z3 finds no model, a model is a real latent, or the budget is used up."""
    query, instance = Query(cases, row), cases.instance
    replay = Replay(instance, domain)
    rival = instance.rivals[row]
    for _ in range(rounds):
        answer = solver.solve(query.script(), logic="QF_LRA", steps=_STEPS, seconds=_SECONDS)
        cuts = list(dict.fromkeys(reversed(query.cuts)))
        if answer.status == "unsat":
            return Outcome("none", cuts=cuts)
        if answer.status != "sat":
            return Outcome("open", cuts=cuts)
        values = {k: float(v) for k, v in answer.model.items() if isinstance(v, Fraction)}
        near = np.array(
            [
                [values.get(f"z_{location}_{d}", 0.0) for d in range(instance.head.channels)]
                for location in range(len(instance.latent))
            ]
        )
        moves = counterexample_moves(instance, cases.facts, near)
        if moves and replay.survives(cases.facts, None, rival, moves):
            return Outcome("refuted", tuple(moves), cuts)
        if not query.refine(values):
            return Outcome("open", cuts=cuts)
    return Outcome("open", cuts=list(dict.fromkeys(reversed(query.cuts))))
