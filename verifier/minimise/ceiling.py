"""Vocabulary *ceiling*: choose the ceiling and the named prototypes together.

For a ceiling at the t-th largest activation, the prototypes above it are exempt; every other one
lies below. Naming prototype j replaces its worst case by its observed activation, which gains
``gain_kj >= 0`` against rival k. The fewest names that close every deficit are a small covering
integer program (theory, section 5); over all t the smallest set found wins. Solving each program
to the end does not pay: where the margin is small, branch and bound runs for minutes to gain one
fact. A greedy cover and a rounded linear relaxation are within a few facts of the relaxation's
lower bound, and usually on it.

Exempt prototypes need not be named: one that is exempt and unnamed may take any activation the
domain allows, and its worst case is charged. (A supporting prototype often costs nothing that
way.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import linprog

from verifier.latent.facts import FactSet
from verifier.minimise.build import activation_fact, ceiling_fact
from verifier.oracle.exact import SLACK, ExactState
from verifier.oracle.interface import Instance

Gain = Float[NDArray[np.float64], "rival prototype"]
# The solver's feasibility tolerance is 1e-7; its answers only propose, the margins decide.
_LP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class _Program:
    """Cover ``deficit`` with as few columns of ``gain`` as possible, for one ceiling."""

    above: int
    gain: Gain
    deficit: Float[NDArray[np.float64], " rival"]

    def bound(self) -> int:
        """A lower bound of the size: each rival alone needs its largest gains."""
        running = np.cumsum(-np.sort(-self.gain, axis=1), axis=1)
        size = self.gain.shape[1]
        needed = np.where(self.deficit < 0, 0, 1 + (running <= self.deficit[:, None]).sum(axis=1))
        largest = int(needed.max(initial=0))
        return largest if largest <= size else size + 1

    def near_relaxation(self) -> list[int]:
        """A cover near the optimum of the linear relaxation.

        A vertex of the relaxation has at most one fractional entry per rival; the whole entries
        are kept and the rest is completed greedily.
        """
        scale = np.maximum(np.abs(self.deficit), self.gain.max(axis=1, initial=0.0))
        scale = np.where(scale > 0, scale, 1.0)[:, None]
        solution = linprog(
            np.ones(self.gain.shape[1]),
            A_ub=-self.gain / scale,
            b_ub=-self.deficit / scale[:, 0],
            bounds=(0, 1),
        )
        if solution.status != 0:
            return self.cover([])
        whole = np.flatnonzero(solution.x > 1 - _LP_TOLERANCE).tolist()
        return self.cover(whole)

    def cover(self, start: list[int]) -> list[int]:
        """``start``, completed by the prototype that closes most, then less what is redundant."""
        chosen = list(start)
        missing = self.deficit - self.gain[:, chosen].sum(axis=1)
        free = np.ones(self.gain.shape[1], dtype=bool)
        free[chosen] = False
        while (missing >= 0).any() and free.any():
            useful = np.minimum(self.gain, np.maximum(missing, 0.0)[:, None]).sum(axis=0)
            best = int(np.argmax(np.where(free, useful, -1.0)))
            if useful[best] <= 0:
                break
            chosen.append(best)
            free[best] = False
            missing = missing - self.gain[:, best]
        for j in sorted(chosen, key=lambda j: (self.gain[:, j].sum(), j)):
            rest = [other for other in chosen if other != j]
            if self.covers(rest):
                chosen = rest
        return sorted(chosen)

    def covers(self, chosen: list[int]) -> bool:
        """Whether naming ``chosen`` closes every deficit."""
        return bool((self.gain[:, chosen].sum(axis=1) > self.deficit).all())


def ceiling(state: ExactState, slack: float = SLACK) -> FactSet | None:
    """A small sufficient ceiling explanation, or None where naming everything fails.

    No single activation fact of it can be dropped.
    """
    instance = state.instance
    nearest = instance.measurement.min(axis=0)
    ranking = np.lexsort((np.arange(len(nearest)), nearest))
    programs = [_program(state, nearest, ranking, t, slack) for t in range(len(ranking))]
    best: tuple[_Program, list[int]] | None = None
    for program in sorted(programs, key=lambda p: (p.bound(), p.above)):
        if best is not None and program.bound() >= len(best[1]):
            break
        covers = [program.cover([])]
        if len(covers[0]) > program.bound():
            covers.append(program.near_relaxation())
        for cover in covers:
            if program.covers(cover) and (best is None or len(cover) < len(best[1])):
                best = program, cover
    if best is None:
        return None
    program, cover = best
    exempt = [int(j) for j in ranking[: program.above]]
    return FactSet(
        activations=tuple(activation_fact(instance, j) for j in cover),
        ceiling=ceiling_fact(instance, int(ranking[program.above]), exempt),
    )


def _program(
    state: ExactState,
    nearest: Float[NDArray[np.float64], " prototype"],
    ranking: NDArray[np.intp],
    above: int,
    slack: float,
) -> _Program:
    """The covering program for a ceiling at activation number ``above`` (from the largest)."""
    instance: Instance = state.instance
    low = state.floor.copy()
    under = ranking[above:]
    low[under] = np.maximum(low[under], nearest[ranking[above]])
    weights = instance.margin_weights
    least = instance.similarity(state.roof)
    most = instance.similarity(low)
    with np.errstate(invalid="ignore"):
        worst = np.where(weights == 0, 0.0, weights * np.where(weights > 0, least, most))
    observed = weights * instance.activation
    # An unbounded similarity makes the worst case infinite and naming unavoidable: a penalty that
    # all other gains together cannot close says the same in finite numbers. (The oracle decides
    # about the final set; this program only proposes it.)
    finite = np.isfinite(worst)
    penalty = 1e6 * (1.0 + np.abs(observed).sum())
    worst = np.where(finite, worst, observed - penalty)
    deficit = slack - worst.sum(axis=1) - instance.margin_offset
    return _Program(above, observed - worst, deficit)
