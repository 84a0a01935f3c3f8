"""Which bounds of distances a proof uses, and which rule proves each of them.

A bound that no margin needs is not proved. A row over the domain costs the checker D exact
operations, a row in free space none: the domain is used only where the hull's bound and the
domain's own range both miss what the margins ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.oracle.oracle import Evidence
from protoproof.prover.oracle.slack import loosened
from protoproof.prover.relaxation.case_forms import Leaf, Tree
from protoproof.prover.relaxation.intervals import Intervals

Vector = Float[NDArray[np.float64], " prototype"]


@dataclass(frozen=True)
class Wanted:
    """The bounds of q_lj that the margins use.

    ``below[l, j]`` is the value that a lower bound has to reach (minus infinity: any will do),
    ``above[l, j]`` whether an upper bound is needed; ``implied[j]`` whether that of an activation
    fact about another prototype is, ``kept[j]`` whether the lower one of a ceiling about another.
    """

    below: Float[NDArray[np.float64], "location prototype"]
    above: NDArray[np.bool_]
    implied: NDArray[np.bool_]
    kept: NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """Per location, which bounds the facts alone have to prove, and which facts and domain."""

    below: list[int]
    above: list[int]
    domain_below: list[int]
    domain_above: list[int]


def wanted(evidence: Evidence, *, short: bool) -> Wanted:
    """What intervals and chords use; tangents need no bounds.

    By interval, a lower bound of q_lj is needed only up to min over locations of q_lj, an upper
    bound only at the one location that gives the least. ``short``: spend part of the margins on
    looser bounds, which have fewer and smaller multipliers.
    """
    state, forms = evidence.intervals, evidence.forms
    weights = state.instance.margin_weights
    alone = weights != 0
    if not state.instance.head.plain:
        return _everything(state)
    if forms is not None:
        alone[list(forms.rivals)] &= ~forms.linear
    _, roof = state.seen()
    # what facts imply is in it, too: a prototype whose target lies above needs rows of its own
    floor, _ = state.nearest()
    if short:
        floor = loosened(state, [*([] if forms is None else forms.rivals), *evidence.trees])
    told = state.implied
    opposing = (alone & (weights < 0)).any(axis=0)
    alone_low, alone_high = state.near.min(axis=0), state.far.min(axis=0)
    needed = opposing & (floor > np.maximum(alone_low, told.low))
    below = np.tile(np.where(needed, floor, -np.inf), (len(state.known), 1))
    supporting = (alone & (weights > 0)).any(axis=0)
    by_name = told.via == np.arange(len(floor))
    implied = supporting & (told.high < roof) & (told.high < alone_high) & ~by_name
    supporting &= (roof < alone_high) & (roof <= told.high)
    above = np.zeros(below.shape, dtype=bool)
    above[np.argmin(state.high, axis=0), np.arange(len(floor))] = supporting
    _chords(evidence, below, above)
    if evidence.trees:
        cases_below, cases_above = _of_cases(evidence)
        below = np.where(cases_below, np.maximum(below, state.low), below)
        above |= cases_above
    kept = opposing & (told.off >= 0) & (floor > np.maximum(alone_low, told.stated))
    return Wanted(below, above, implied, kept)


def _everything(state: Intervals) -> Wanted:
    """Whatever facts say beyond themselves and the domain: for decisions of any kind."""
    told, index = state.implied, np.arange(len(state.floor))
    below = np.where(state.low > state.near, state.low, -np.inf)
    above = state.high < state.far
    _, roof = state.seen()
    implied = (told.via >= 0) & (told.via != index) & (told.high < np.minimum(roof, state.roof))
    return Wanted(below, above, implied, told.off >= 0)


def _chords(
    evidence: Evidence,
    below: Float[NDArray[np.float64], "location prototype"],
    above: NDArray[np.bool_],
) -> None:
    """Add what chords use: both ends at their own location, and lower bounds up to the least of
    the others everywhere else."""
    state, forms = evidence.intervals, evidence.forms
    if forms is None:
        return
    rows = np.array(forms.rivals)
    chord = forms.linear & (state.instance.margin_weights[rows] < 0)
    alone_low = state.near.min(axis=0)
    for j in np.flatnonzero(chord.any(axis=0)).tolist():
        location = int(forms.location[np.argmax(chord[:, j]), j])
        others = np.delete(state.low[:, j], location)
        least = float(others.min()) if len(others) else -np.inf
        below[:, j] = np.maximum(below[:, j], least if least > alone_low[j] else -np.inf)
        below[location, j] = state.low[location, j]
        above[location, j] = True


def _of_cases(evidence: Evidence) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[L, P] which lower and which upper bounds of q_lj the trees take from the facts as a whole.

    All that may enter an interval, a chord, or the contradiction of an impossible case.
    """
    state = evidence.intervals
    below, above = np.zeros(state.low.shape, dtype=bool), np.zeros(state.low.shape, dtype=bool)
    attained = np.argmin(state.high, axis=0)
    for row, tree in evidence.trees.items():
        weights = state.instance.margin_weights[row]
        below[:, weights < 0] = True
        supporting = np.flatnonzero(weights > 0)
        above[attained[supporting], supporting] = True
        for leaf in _leaves(tree):
            for cut, _ in leaf.node.path:
                if cut.kind == "distance":
                    below[cut.location, cut.index] = above[cut.location, cut.index] = True
                elif cut.kind in ("place", "nearest"):
                    below[:, cut.index] = True
                    above[attained[cut.index], cut.index] = True
            if leaf.form is not None:
                opposing = np.flatnonzero(leaf.form.oppose)
                above[leaf.form.location[opposing], opposing] = True
    return below, above


def _leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
        return
    for child in tree.children:
        yield from _leaves(child)


def rules(state: Intervals, location: int, target: Vector, above: NDArray[np.bool_]) -> Rules:
    """Which rule proves each bound that is wanted at a location, the cheapest one that does.

    Args:
        state: describes the facts.
        target: [P] the value that a lower bound has to reach; minus infinity for none.
        above: [P] whether the upper bound is needed.
    """
    known = state.known[location]
    open_ = np.ones(len(target), dtype=bool)
    open_[list(known.facts)] = False  # a fact about the pair itself is all there is to say
    low = np.full(len(target), -np.inf)
    high = np.full(len(target), np.inf)
    if known.hull is not None:
        low, high = known.hull.bounds()
    lacking = open_ & (target > -np.inf) & (state.near[location] < target)
    open_top = open_ & above & (state.far[location] > known.high)
    free_low, free_high = lacking & (low >= target), open_top & (high <= known.high)
    if state.bounded is None:
        free_low, free_high = lacking, open_top
    return Rules(
        np.flatnonzero(free_low).tolist(),
        np.flatnonzero(free_high).tolist(),
        np.flatnonzero(lacking & ~free_low).tolist(),
        np.flatnonzero(open_top & ~free_high).tolist(),
    )
