"""Multipliers of sides by a linear program, where a case is a polytope on which all is affine.

Once every ReLU of a case is on one side of its kink, a form of the latent is, by its lines, an
affine function F x + k of the input, and each side says that an affine function F_i x + k_i is at
most 0. The best multipliers are then those of the program

    min F x + k + M t   over x in the box, t >= 0, with F_i x + k_i <= t for every side,

whose dual is the bound that ``dual`` computes, with multipliers that add up to M at most. If no
input is in the case, the value grows with M: gradient steps do not get that far.

Whatever the solver says, the multipliers are only a choice; the bound is computed again.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoproof.region.bounds.ascent import Ascent, Problem
from protoproof.region.bounds.dual import CURVED, Choice, Dual, crossing

_MOST = 1e6  # M
_NUMBERS = 1 << 16  # of all sides' forms together


@torch.no_grad()
def in_cells(
    problem: Problem, found: Ascent, enough: float
) -> tuple[Ascent, dict[int, NDArray[np.float64]]]:
    """The same with the best multipliers, for rows that are still open and whose case allows it;
    and for these the inputs of the case where the forms are least, flat."""
    dual, duals = problem.dual, found.choice.duals.clone()
    inputs: dict[int, NDArray[np.float64]] = {}
    size = dual.bounds.values[dual.passage.graph.input].lower[0].numel()
    open_ = torch.nonzero(found.bound <= enough).flatten().tolist()
    few = [
        row for row in open_ if dual.sides[row] and (len(dual.sides[row]) + 1) * size <= _NUMBERS
    ]
    rows = [row for row in few if _affine(dual, row)]
    if not rows:
        return found, inputs
    forms = problem.in_the_latent(problem.lines.forms(found.free)[0])
    for row in rows:
        solved = _solved(dual, forms, found.choice, row)
        if solved is not None:
            duals[row, : len(solved[0])], inputs[row] = torch.from_numpy(solved[0]), solved[1]
    if not inputs:
        return found, inputs
    choice = Choice(found.choice.low, found.choice.high, duals)
    bound = problem.bounds(choice, found.free)
    better = bound > found.bound
    choice = Choice(
        choice.low, choice.high, torch.where(better[:, None], duals, found.choice.duals)
    )
    return Ascent(problem.bounds(choice, found.free), choice, found.free), inputs


def _affine(dual: Dual, row: int) -> bool:
    """Whether no unit of a case is on both sides of its kink."""
    return not any(
        bool(crossing(dual.input_of(node))[row].any())
        for node in dual.nodes.values()
        if node.op not in CURVED
    )


def _solved(
    dual: Dual, forms_of_latent: Tensor, choice: Choice, row: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Multipliers of the sides of one row, and an input; None where the solver has none."""
    from scipy.optimize import linprog  # a third of a second, and rarely needed

    sides = dual.sides[row]
    count = len(sides)
    # the form without any side, and with the multiplier 1 of each
    copies = torch.full((count + 1,), row)
    alone = Dual(dual.passage, dual.bounds.chosen(copies), [sides] * (count + 1))
    forms = alone.at_input(
        forms_of_latent[copies],
        Choice(
            {name: value[copies] for name, value in choice.low.items()},
            {name: value[copies] for name, value in choice.high.items()},
            torch.cat([torch.zeros(1, count), torch.eye(count)]).double(),
        ),
    )
    if forms is None:
        return None
    flat, fixed = forms.flatten(1).numpy(), alone.fixed.numpy()
    known = np.flatnonzero((flat[1:] != flat[0]).any(1))  # cuts of the input have narrowed the box
    ends = dual.bounds.values[dual.passage.graph.input]
    box = (end[row].flatten().tolist() for end in (ends.lower, ends.upper))
    solved = linprog(
        np.append(flat[0], _MOST),
        A_ub=np.column_stack([flat[1:][known] - flat[0], np.full(len(known), -1.0)]),
        b_ub=fixed[0] - fixed[1:][known],
        bounds=[*zip(*box, strict=True), (0.0, None)],
        method="highs",
    )
    if solved.status:
        return None
    best = np.zeros(count)
    best[known] = np.maximum(-solved.ineqlin.marginals, 0.0)
    return best, solved.x[:-1]
