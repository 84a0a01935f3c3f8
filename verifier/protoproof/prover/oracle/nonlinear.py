"""Ground truth for tiny networks: sufficiency as one exact nonlinear question per rival.

    is there a z in the domain that meets the facts with margin_k(z) <= 0 ?

Everything is a rational number, exactly as the graph stores it. With t_l = |z_l|^2 (the only
nonlinear equation besides the similarity), q_lj = t_l - 2 z_l.p_j + |p_j|^2 is linear;
m_j = min over l of q_lj is "at most each of them, and equal to one"; and the similarity is -q, or
a with a (q + 1) = 1. Similarities with log or exp have no such encoding and are refused.

z3 decides small instances of this completely, which makes it the judge of all other oracles in the
tests. It is no proof: "no such z" is only z3's word, and a model counts as a refutation only if it
is rational and holds in exact arithmetic, or leads to a point that does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from flint import fmpz_mat
from numpy.typing import NDArray

from protoproof.errors import UsageError
from protoproof.network.head.head import Head
from protoproof.network.head.unrounded import Points
from protoproof.prover.latent.domain import Box, Domain
from protoproof.prover.latent.facts import ActivationFact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.replay import Move, Replay
from protoproof.prover.oracle.smt import STEPS, Answer, Enclosure, Solver

RATIONAL = ("negated", "reciprocal")
_STEPS: dict[tuple[tuple[str, float | None], ...], str] = {
    (("mul", -1.0),): "negated",
    (("add", 1.0), ("reciprocal", None)): "reciprocal",
}

Point = list[list[Fraction]]


def rational_kind(head: Head) -> str | None:
    """Which of :data:`RATIONAL` the similarity of a head over squared distances is, if any."""
    steps = tuple(
        (step.name, None if step.constant is None else float(step.constant[0]))
        for step in head.chain.steps
    )
    return _STEPS.get(steps) if head.plain and head.chain.uniform else None


@dataclass(frozen=True)
class Truth:
    """What is known about the sufficiency of a set of facts.

    Attributes:
        status: ``entails`` (z3 found every rival impossible), ``refuted`` (``latent`` or ``moves``
            shows it, exactly) or ``open``.
        answers: z3's word per rival, in the order of the instance's rivals.
        latent: an exact counterexample [L][D], if there is one.
        moves: the same as moves of a witness, where the model was not rational.
        reason: why it is open.
    """

    status: Literal["entails", "refuted", "open"]
    answers: tuple[str, ...]
    latent: tuple[tuple[Fraction, ...], ...] | None = None
    moves: tuple[Move, ...] = ()
    reason: str = ""


def truth(
    instance: Instance,
    domain: Domain,
    facts: FactSet,
    solver: Solver,
    *,
    steps: int = STEPS,
    seconds: float = 600.0,
) -> Truth:
    """Ask z3 about every rival; see :class:`Truth`.

    Raises:
        UsageError: the similarity has no rational encoding.
    """
    answers: list[str] = []
    reason = ""
    found: Truth | None = None
    for rival in instance.rivals:
        script = smtlib(instance, domain, facts, rival)
        answer = solver.solve(script, logic="QF_NRA", steps=steps, seconds=seconds)
        answers.append(answer.status)
        if answer.status == "unknown":
            reason = reason or answer.reason
        elif answer.status == "sat" and found is None:
            found = _replayed(instance, domain, facts, rival, answer)
    if found is not None and found.status == "refuted":
        return Truth("refuted", tuple(answers), found.latent, found.moves)
    if all(answer == "unsat" for answer in answers):
        return Truth("entails", tuple(answers))
    return Truth("open", tuple(answers), reason=reason or (found.reason if found else ""))


def smtlib(instance: Instance, domain: Domain, facts: FactSet, rival: int) -> str:
    """The question about one rival as SMT-LIB text (logic QF_NRA), for any solver.

    Raises:
        UsageError: the similarity has no rational encoding.
    """
    head = instance.head
    kind = rational_kind(head)
    if kind is None:
        raise UsageError(
            f"the head, with similarity {head.chain.words()}, has no exact encoding in rational "
            f"arithmetic (only {' and '.join(RATIONAL)} similarities of squared distances have one)"
        )
    locations, prototypes = instance.measurement.shape
    lines = ["(set-logic QF_NRA)"]
    for location in range(locations):
        lines += [f"(declare-const z_{location}_{d} Real)" for d in range(head.channels)]
        lines.append(f"(declare-const t_{location} Real)")
        squares = [f"(* z_{location}_{d} z_{location}_{d})" for d in range(head.channels)]
        lines.append(f"(assert (= t_{location} {total(squares)}))")
        lines += _inside(domain, location, head.channels)
    for j in range(prototypes):
        lines += [f"(declare-const m_{j} Real)", f"(declare-const a_{j} Real)"]
        measured = [_measurement(instance, location, j) for location in range(locations)]
        lines += [f"(assert (<= m_{j} {q}))" for q in measured] if locations > 1 else []
        equal = [f"(= m_{j} {q})" for q in measured]
        lines.append(f"(assert {equal[0] if locations == 1 else f'(or {_words(equal)})'})")
        similar = f"(= a_{j} (- m_{j}))"
        if kind == "reciprocal":
            similar = f"(= (* a_{j} (+ m_{j} 1)) 1)"
        lines.append(f"(assert {similar})")
    lines += [f"(assert {text})" for text in fact_assertions(instance, facts)]
    weights, offset = _margin(instance, rival)
    terms = [f"(* {number(weight)} a_{j})" for j, weight in enumerate(weights) if weight]
    lines.append(f"(assert (<= {total([*terms, number(offset)])} 0))")
    return "\n".join([*lines, "(check-sat)", ""])


def _measurement(instance: Instance, location: int, prototype: int) -> str:
    point = instance.exact.points.fractions(prototype)
    terms = [f"(* {number(-2 * p)} z_{location}_{d})" for d, p in enumerate(point) if p]
    return total([f"t_{location}", *terms, number(sum((p * p for p in point), Fraction(0)))])


def _inside(domain: Domain, location: int, channels: int) -> list[str]:
    if not isinstance(domain, Box):
        return []
    ends = [("<=", domain.lower)]
    if math.isfinite(domain.upper):
        ends.append((">=", domain.upper))
    return [
        f"(assert ({sign} {number(Fraction(end))} z_{location}_{d}))"
        for d in range(channels)
        for sign, end in ends
    ]


def fact_assertions(instance: Instance, facts: FactSet) -> list[str]:
    """What the facts say, about the variables ``m_j``, ``t_l`` and ``z_l_d``."""
    found: list[str] = []
    for fact in _measured(facts):
        name = f"m_{fact.prototype}"
        if not isinstance(fact, ActivationFact):
            name = _measurement(instance, fact.location, fact.prototype)
        if fact.lower == fact.upper:
            found.append(f"(= {name} {number(Fraction(fact.lower))})")
            continue
        found.append(f"(>= {name} {number(Fraction(fact.lower))})")
        if math.isfinite(fact.upper):
            found.append(f"(<= {name} {number(Fraction(fact.upper))})")
    for ceiling in facts.ceilings:
        bound, exempt = number(Fraction(ceiling.bound)), set(ceiling.exempt)
        found += [
            f"(>= m_{j} {bound})" for j in range(instance.head.decision.inputs) if j not in exempt
        ]
    return found


def _measured(facts: FactSet) -> list[PairFact | ActivationFact]:
    """The facts that are about one measurement."""
    return [*facts.pairs, *facts.activations]


def total(terms: Sequence[str]) -> str:
    """A sum in SMT-LIB."""
    return terms[0] if len(terms) == 1 else f"(+ {_words(terms)})"


def _words(terms: Sequence[str]) -> str:
    return " ".join(terms)


def number(value: Fraction) -> str:
    """A rational in SMT-LIB."""
    size = f"{abs(value.numerator)}.0"
    if value.denominator != 1:
        size = f"(/ {size} {value.denominator}.0)"
    return f"(- {size})" if value < 0 else size


def _replayed(
    instance: Instance, domain: Domain, facts: FactSet, rival: int, answer: Answer
) -> Truth:
    """A model of z3 as an exact counterexample, or why it is none."""
    locations = len(instance.latent)
    values = [
        [answer.model.get(f"z_{location}_{d}", Fraction(0)) for d in range(instance.head.channels)]
        for location in range(locations)
    ]
    rational = [[v for v in row if isinstance(v, Fraction)] for row in values]
    if all(len(row) == instance.head.channels for row in rational):
        if refutes(instance, domain, facts, rival, rational):
            return Truth("refuted", (), tuple(tuple(row) for row in rational))
        return Truth("open", (), reason="uncertified: z3's model is no counterexample")
    near = np.array(
        [[float(v.lower) if isinstance(v, Enclosure) else float(v) for v in row] for row in values]
    )
    moves = counterexample_moves(instance, facts, near)
    if moves and Replay(instance, domain).survives(facts, None, rival, moves):
        return Truth("refuted", (), moves=tuple(moves))
    return Truth("open", (), reason="uncertified: z3's model has algebraic coordinates")


def counterexample_moves(
    instance: Instance, facts: FactSet, near: NDArray[np.float64]
) -> list[Move]:
    """Moves towards ``near`` that keep the distances which the facts ask for."""
    attained = {
        fact.prototype: int(np.argmin(instance.measurement[:, fact.prototype]))
        for fact in facts.activations
    }
    moves = []
    for location, point in enumerate(near):
        direction = (point - instance.latent[location]).astype(np.float32)
        wanted = [fact.prototype for fact in facts.at(location)]
        wanted += [j for j, at in attained.items() if at == location and j not in wanted]
        if direction.any():
            moves.append(Move(location, _independent(instance.exact.points, wanted), direction))
    return moves


def _independent(points: Points, prototypes: Sequence[int]) -> tuple[int, ...]:
    """Prototypes of a list that span the same affine hull, decided in rationals."""
    chosen = list(prototypes[:1])
    for j in prototypes[1:]:
        base = points.rows[chosen[0]]
        rows = [
            [a - b for a, b in zip(points.rows[i], base, strict=True)] for i in (*chosen[1:], j)
        ]
        if fmpz_mat(rows).rank() == len(rows):
            chosen.append(j)
    return tuple(chosen)


def refutes(instance: Instance, domain: Domain, facts: FactSet, rival: int, latent: Point) -> bool:
    """Whether a rational latent is in the domain, meets the facts and does not beat ``rival``.

    In fractions throughout; for similarities that are rational.
    """
    head = instance.head
    if isinstance(domain, Box) and not all(
        v >= Fraction(domain.lower) and (math.isinf(domain.upper) or v <= Fraction(domain.upper))
        for row in latent
        for v in row
    ):
        return False
    points = [instance.exact.points.fractions(j) for j in range(len(head.prototypes))]
    measured = [
        [sum(((a - b) ** 2 for a, b in zip(z, p, strict=True)), Fraction(0)) for p in points]
        for z in latent
    ]
    best = [min(column) for column in zip(*measured, strict=True)]
    for fact in _measured(facts):
        value = best[fact.prototype]
        if not isinstance(fact, ActivationFact):
            value = measured[fact.location][fact.prototype]
        if value < Fraction(fact.lower) or (
            math.isfinite(fact.upper) and value > Fraction(fact.upper)
        ):
            return False
    for ceiling in facts.ceilings:
        bound, exempt = Fraction(ceiling.bound), set(ceiling.exempt)
        if any(q < bound for j, q in enumerate(best) if j not in exempt):
            return False
    similar = [-q if rational_kind(head) == "negated" else 1 / (q + 1) for q in best]
    weights, offset = _margin(instance, rival)
    return sum((w * s for w, s in zip(weights, similar, strict=True)), offset) <= 0


def _margin(instance: Instance, rival: int) -> tuple[list[Fraction], Fraction]:
    """Weights and offset of the margin over a rival, exactly."""
    head, own = instance.head, instance.predicted
    pairs = zip(head.weight[own].tolist(), head.weight[rival].tolist(), strict=True)
    offset = Fraction(float(head.bias[own])) - Fraction(float(head.bias[rival]))
    return [Fraction(a) - Fraction(b) for a, b in pairs], offset
