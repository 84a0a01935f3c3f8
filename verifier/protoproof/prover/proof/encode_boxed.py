"""Evidence that uses a bounded domain: which bounds need it, and their multipliers.

A row over the domain costs the checker D exact operations, a row in free space none. So the domain
is used only where the hull's bound and the domain's own range both miss what the margins ask for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate import schema
from protoproof.prover.relaxation.boxed import Bounded
from protoproof.prover.relaxation.boxed_forms import multipliers
from protoproof.prover.relaxation.forms import Forms
from protoproof.prover.relaxation.intervals import ExactState

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "row term"]

# Multipliers are stored over 2**SHIFT; see latent/lagrangian.py for why rounding costs little.
SHIFT = 48
# Over an unbounded box the leading coefficient stays at least this large, so that no rounding
# makes it negative; the loss is this share of a squared distance.
_LEAST_LEADING = 2.0**-30


@dataclass(frozen=True)
class Wanted:
    """Per location, the bounds of q_lj that the free rows have to prove, and those over the domain.

    ``below``, ``above``: prototypes with a free row; ``domain_below``, ``domain_above``: with a
    row over the domain.
    """

    below: list[int]
    above: list[int]
    domain_below: list[int]
    domain_above: list[int]


def sort_out(state: ExactState, location: int, target: Vector, above: NDArray[np.bool_]) -> Wanted:
    """Which rule proves each bound that is wanted at a location, the cheapest one that does.

    Args:
        target: [P] the value that a lower bound has to reach; minus infinity for none.
        above: [P] whether the upper bound is needed.
    """
    place = state.places[location]
    open_ = np.ones(len(target), dtype=bool)
    open_[list(place.facts)] = False  # a fact about the pair itself is all there is to say
    low = np.full(len(target), -np.inf)
    high = np.full(len(target), np.inf)
    if place.hull is not None:
        low, high = place.hull.bounds()
    lacking = open_ & (target > -np.inf) & (state.near[location] < target)
    open_top = open_ & above & (state.far[location] > place.high)
    free_low, free_high = lacking & (low >= target), open_top & (high <= place.high)
    if state.bounded is None:
        free_low, free_high = lacking, open_top
    return Wanted(
        np.flatnonzero(free_low).tolist(),
        np.flatnonzero(free_high).tolist(),
        np.flatnonzero(lacking & ~free_low).tolist(),
        np.flatnonzero(open_top & ~free_high).tolist(),
    )


def domain_block(state: ExactState, location: int, wanted: Wanted) -> schema.DomainBlock | None:
    """The rows over the domain at one location; None where none is wanted."""
    bounded = state.bounded
    if bounded is None or not (wanted.domain_below or wanted.domain_above):
        return None
    hull = state.places[location].hull
    return schema.DomainBlock(
        location=location,
        facts=() if hull is None else hull.spanning,
        shift=SHIFT,
        lower=_domain_rows(state, bounded, location, wanted.domain_below, 1),
        upper=_domain_rows(state, bounded, location, wanted.domain_above, -1),
    )


def _domain_rows(
    state: ExactState, bounded: Bounded, location: int, prototypes: list[int], sign: int
) -> schema.Rows:
    hull = state.places[location].hull
    leading = np.full(len(prototypes), float(sign))
    found = bounded.rows(location, hull, np.array(prototypes, dtype=np.intp), leading)
    count = 0 if hull is None else len(hull.spanning)
    x = _bent(bounded, location, leading, found.x, count)
    return schema.Rows(prototypes=tuple(prototypes), theta=dyadic(x))


def _bent(
    bounded: Bounded,
    location: int,
    leading: Float[NDArray[np.float64], " row"],
    x: Matrix,
    count: int,
) -> Matrix:
    """Multipliers whose rounding leaves an unbounded box with a positive leading coefficient."""
    if np.isfinite(bounded.upper[location]).all() or not count:
        return x
    total = leading + x[:, :count].sum(axis=1)
    x = x.copy()
    x[:, 0] += np.maximum(_LEAST_LEADING - total, 0.0)
    return x


def domain_form(
    state: ExactState, forms: Forms, row: int
) -> tuple[tuple[schema.PlaceMultipliers, ...], schema.JointMultipliers | None]:
    """The multipliers of one rival's forms over the domain."""
    bounded = state.bounded
    if bounded is None:
        return (), None
    found = multipliers(state, bounded, forms, row)
    nu = dyadic(found.nu[None])[0]
    linear = forms.linear[row]
    used = set(forms.location[row][linear].tolist())
    most = max([len(span) for span in found.spans], default=0)
    entries = []
    for location, span, x in zip(found.places, found.spans, found.x, strict=True):
        if location not in used and not (any(nu) and span):
            continue
        here = linear & (forms.location[row] == location)
        leading = np.array([forms.slope[row][here].sum()])
        steady = _bent(bounded, location, leading, x[None], len(span))[0]
        mu = np.concatenate([steady[: len(span)], steady[most:]])
        entries.append(
            schema.PlaceMultipliers(
                location=location, facts=span, shift=SHIFT, mu=dyadic(mu[None])[0], domain=True
            )
        )
    joint = schema.JointMultipliers(shift=SHIFT, nu=nu) if any(nu) else None
    return tuple(entries), joint


def dyadic(theta: Matrix) -> tuple[tuple[int, ...], ...]:
    """Integers over ``2**SHIFT``: Python's round() of a float is exact."""
    rows: Iterable[list[float]] = (theta * 2.0**SHIFT).tolist()
    return tuple(tuple(round(value) for value in row) for row in rows)
