"""Two pooled values of which a decision weighs the difference alone, as one: nearest less mean.

Where f(least s) has the weights w and f(mean s), of the same s = g(m) at the same locations, the
weights -w, only t = f(least s) - f(mean s) counts. With a g that rises and an f that falls it is
never negative, as the least is at most the mean. One fact about t says what is needed, where facts
about both parts are two. If f is the negative, t is what the largest -s exceeds their mean by:
focal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from protoproof.network.head.chain import Chain
from protoproof.network.head.decisions import Found
from protoproof.network.head.features import Features, features, measured_range
from protoproof.network.head.steps import Named, merged, steps_of
from protoproof.network.head.tables import Atom, Pool, Tables


def features_of(tables: Tables, seen: Found) -> tuple[Found, Features]:
    """The features of a decision; of a linear one over such differences alone, the differences, in
    the order of the features of the nearest location.

    Raises:
        NotRecognisedError: see :func:`features`.
    """
    pairs = _pairs(tables, seen)
    joined = _joined(tables, seen, pairs) if pairs else None
    return joined or (seen, features(tables, seen.atoms))


def _joined(tables: Tables, seen: Found, pairs: dict[int, int]) -> tuple[Found, Features] | None:
    """None where it is not the nearest location that the mean is taken from."""
    near = list(pairs)
    nearest = features(tables, [seen.atoms[j] for j in near])
    means = features(tables, [seen.atoms[k] for k in pairs.values()])
    if {*nearest.kinds} != {"nearest"} or {*means.kinds} != {"mean"}:
        return None
    if not np.array_equal(nearest.prototypes, means.prototypes):  # turned by the pooling
        return None
    inner = means.inner.over(*measured_range(means))
    common = means.chain.over(inner.infimum, inner.supremum)
    if inner.broken is not None or common.broken is not None:
        return None  # refused later, as what it is
    count = len(near)
    turn = np.where(np.broadcast_to(inner.direction, count) < 0, -1.0, 1.0)
    sign = np.where(np.broadcast_to(common.direction, count) * turn > 0, -1.0, 1.0)
    inner_steps = [*_named(means.inner), ("mul", turn)]
    common_steps = merged([("mul", turn), *_named(means.chain), ("mul", sign)])
    kind = "nearest less mean"
    if _is_negative(common_steps):  # mean(s) - least(s): the largest -s less their mean
        kind = "focal"
        inner_steps, common_steps = [*inner_steps, *common_steps], []
    made = replace(
        means,
        kinds=(kind,) * count,
        inner=_chain(inner_steps),
        common=_chain(common_steps),
        chain=Chain(()),
    )
    atoms = tuple(seen.atoms[j] for j in near)
    return replace(seen, atoms=atoms, weight=seen.weight[:, near] * sign + 0.0), made


def _pairs(tables: Tables, seen: Found) -> dict[int, int]:
    """The atom of the mean for each one of the best location; none where some atom is in no such
    pair, or the decision is not linear."""
    if seen.tree is not None or seen.groups is not None:
        return {}
    best: dict[tuple[object, ...], int] = {}
    means: dict[tuple[object, ...], int] = {}
    for j, atom in enumerate(seen.atoms):
        pool = tables.records[atom.record]
        if not isinstance(pool, Pool) or pool.kind not in ("max", "min", "mean"):
            return {}
        (means if pool.kind == "mean" else best)[_measured(pool, atom)] = j
    if best.keys() != means.keys() or 2 * len(best) != len(seen.atoms):
        return {}
    pairs = {j: means[key] for key, j in best.items()}
    opposite = (np.array_equal(seen.weight[:, j], -seen.weight[:, k]) for j, k in pairs.items())
    return pairs if all(opposite) else {}


def _measured(pool: Pool, atom: Atom) -> tuple[object, ...]:
    """What is measured where, and the function of it, without what does nothing."""
    steps = [(name, None if c is None else np.array([c])) for name, c in (*pool.steps, *atom.steps)]
    function = tuple((name, None if c is None else float(c[0])) for name, c in merged(steps))
    return pool.space.size, pool.row, pool.sites, pool.norm, function


def _is_negative(steps: list[Named]) -> bool:
    if len(steps) != 1 or steps[0][0] != "mul" or steps[0][1] is None:
        return False
    return bool((steps[0][1] == -1).all())


def _named(chain: Chain) -> list[Named]:
    return [(step.name, step.constant) for step in chain.steps]


def _chain(steps: list[Named]) -> Chain:
    return Chain(steps_of(merged(steps)))
