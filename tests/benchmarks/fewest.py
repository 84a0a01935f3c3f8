"""Workload ``fewest``: how far the search for names and ceilings is from what its bounds allow.

The choice of names and ceilings is a facility location problem. With n_i and c_t the names and
ceilings that are chosen, every prototype j takes its least activation from one name, x_ji <= n_i,
and its greatest from one ceiling or its own name, y_jt <= c_t; every margin is linear in x and y.
Its relaxation (variables between 0 and 1) bounds from below how few facts, or numbers to read,
any set of names and ceilings has, as long as each activation is bounded from one fact alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.prover.search.greedy_cover import Cover
from protoproof.prover.search.reading import carried, shortest
from protoproof.prover.search.search import Shared
from tests.benchmarks.measure import Settings
from tests.benchmarks.mnist import explainer, images, lowest_margins

NAME, COUNT = "mnist-7x7", 2


def fewest(settings: Settings) -> list[dict[str, Any]]:
    """The lowest margins among the test images; seconds are of one thread's processor time."""
    rows = []
    for index in lowest_margins(NAME, min(COUNT, settings.lowest)):
        known = explainer(NAME)
        instance = known.instance(known.network.observe(images()[index]))
        started = time.process_time()
        cover = Shared(instance, Free()).cover(SLACK)
        found = cover.smallest(cover.levels[::4], ceilings=True)
        assert found is not None
        short = shortest(cover, found)
        seconds = time.process_time() - started
        everything = np.arange(2 * cover.count)
        rows.append(
            {
                "method": f"{NAME}, test image {index}",
                "facts": len(found),
                "facts_at_least": least(cover, instance, np.ones(2 * cover.count)),
                "numbers": int(carried(cover, short).sum()),
                "numbers_at_least": least(cover, instance, carried(cover, everything)),
                "seconds": round(seconds, 3),
            }
        )
    return [{"workload": "fewest names and ceilings", "rows": rows}]


def least(cover: Cover, instance: Instance, price: NDArray[Any]) -> int:
    """What any names (by prototype) and ceilings (by rank) that close all margins cost at least."""
    count, rivals = cover.count, len(instance.margin_offset)
    entries: list[tuple[int, int, float]] = []  # row, column, coefficient
    upper: list[float] = []
    gains: list[tuple[int, NDArray[np.float64]]] = []  # column, what it adds to every margin
    columns = 2 * count

    def takes(sources: Sequence[tuple[int, NDArray[np.float64]]]) -> None:
        """One prototype takes a bound from at most one of what is chosen."""
        nonlocal columns
        together = len(upper)
        upper.append(1.0)
        for chosen, gain in sources:
            entries.append((together, columns, 1.0))
            entries.extend([(len(upper), columns, 1.0), (len(upper), chosen, -1.0)])
            upper.append(0.0)
            gains.append((columns, gain))
            columns += 1

    everybody = np.arange(count)
    lifts = cover.lifts(everybody) - cover.start.low
    for place, j in enumerate(cover.useful.tolist()):
        weight = instance.supporting[:, j]
        takes([(i, weight * lifts[i, place]) for i in everybody if lifts[i, place] > 0])
    activation, high = instance.activation, cover.start.high
    for j in np.flatnonzero((instance.opposing < 0).any(axis=0)).tolist():
        weight = -instance.opposing[:, j]
        roofs = activation[cover.ranking[: cover.rank[j] + 1]]
        under = [(count + t, weight * (high[j] - roof)) for t, roof in enumerate(roofs)]
        takes([(j, weight * (high[j] - activation[j])), *under])
    for rival in range(rivals):
        entries.extend((len(upper), column, -gain[rival]) for column, gain in gains)
        upper.append(float(cover.start.margins[rival] - cover.slack))
    rows, cols, values = zip(*entries, strict=True)
    matrix = coo_matrix((values, (rows, cols)), shape=(len(upper), columns)).tocsr()
    cost = np.append(price, np.zeros(columns - 2 * count))
    solved = linprog(cost, A_ub=matrix, b_ub=upper, bounds=(0, 1), method="highs")
    return math.ceil(solved.fun - 1e-6)
