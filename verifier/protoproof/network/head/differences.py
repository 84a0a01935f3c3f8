"""Two pooled values of which a decision weighs the difference alone, as one: nearest less mean.

Where f(least s) has the weights w and f(mean s), of the same s = g(m) at the same locations, the
weights -w, only t = f(least s) - f(mean s) counts. With a g that rises and an f that falls it is
never negative, as the least is at most the mean. One fact about t says what is needed, where facts
about both parts are two. If f is affine, t is what the largest f(s) exceeds their mean by: focal.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from protoproof.network.head.chain import Chain
from protoproof.network.head.decisions import Found
from protoproof.network.head.features import Features, features, measured_range
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.steps import Named, merged, steps_of
from protoproof.network.head.tables import Pool, Tables

_AFFINE = ("add", "mul", "mul_root", "div_root")


def features_of(tables: Tables, seen: Found) -> tuple[Found, Features]:
    """The features of a decision; of a linear one over such differences alone, the differences, in
    the order of the features of the nearest location.

    Raises:
        NotRecognisedError: see :func:`features`.
    """
    joined = _joined(tables, seen)
    return joined or (seen, features(tables, seen.atoms))


def _joined(tables: Tables, seen: Found) -> tuple[Found, Features] | None:
    """None where the decision is about anything else than such differences."""
    pairs = _pairs(tables, seen)
    if pairs is None:
        return None
    near, means = pairs
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
    if all(name in _AFFINE for name, _ in common_steps):
        # f(least s) - f(mean s) of an affine f that falls: the largest f(s) less their mean
        kind = "focal"
        inner_steps, common_steps = _unmoved([*inner_steps, *common_steps]), []
    made = replace(
        means,
        kinds=(kind,) * count,
        inner=_chain(inner_steps),
        common=_chain(common_steps),
        chain=Chain(()),
    )
    atoms = tuple(seen.atoms[j] for j in near)
    return replace(seen, atoms=atoms, weight=seen.weight[:, near] * sign + 0.0), made


def _pairs(tables: Tables, seen: Found) -> tuple[list[int], Features] | None:
    """The atoms of the nearest location, and the features of the means in their order; None where
    some atom is in no such pair, or the decision is not linear."""
    if seen.tree is not None or seen.groups is not None:
        return None
    best: list[int] = []
    means: list[int] = []
    for j, atom in enumerate(seen.atoms):
        pool = tables.records[atom.record]
        if not isinstance(pool, Pool) or pool.kind not in ("max", "min", "mean"):
            return None
        (means if pool.kind == "mean" else best).append(j)
    if len(best) != len(means) or not means:
        return None
    try:
        first, second = (features(tables, [seen.atoms[j] for j in part]) for part in (best, means))
    except NotRecognisedError:
        return None  # refused later, as what it is
    if {*first.kinds} != {"nearest"} or {*second.kinds} != {"mean"}:
        return None
    partner = dict(zip(_measured(second), means, strict=True))
    keys = _measured(first)
    if partner.keys() != {*keys}:
        return None
    pairs = [partner[key] for key in keys]
    if not np.array_equal(seen.weight[:, best], -seen.weight[:, pairs]):
        return None
    return best, features(tables, [seen.atoms[k] for k in pairs])


def _measured(found: Features) -> list[tuple[object, ...]]:
    """Of every feature what is measured where, and the function of it; which of several equal ones
    it is."""
    count = len(found.prototypes)
    scales = np.zeros((count, 0)) if found.scales is None else found.scales
    lengths = np.column_stack([found.epsilon, np.full(count, found.added), found.beside])
    table = np.ascontiguousarray(np.column_stack([found.prototypes, scales, lengths])) + 0.0
    functions = _functions([*_named(found.inner), *_named(found.chain)], count)
    seen: dict[tuple[object, ...], int] = {}
    keys: list[tuple[object, ...]] = []
    for row, sites, function in zip(table, found.site_sets, functions, strict=True):
        key = found.geometry, row.tobytes(), sites, function
        keys.append((*key, seen.get(key, 0)))
        seen[key] = seen.get(key, 0) + 1
    return keys


def _functions(steps: list[Named], count: int) -> list[tuple[object, ...]]:
    """Steps of every feature; what is affine between others as one factor and one addend."""
    result = []
    columns = [None if c is None else np.broadcast_to(c, count).tolist() for _, c in steps]
    for j in range(count):
        made: list[object] = []
        slope, shift = Fraction(1), Fraction(0)
        for (name, _), column in zip(steps, columns, strict=True):
            number = None if column is None else Fraction(column[j])
            if name == "add" and number is not None:
                shift += number
            elif name == "mul" and number is not None:
                slope, shift = slope * number, shift * number
            else:
                made += [(slope, shift), (name, number)]
                slope, shift = Fraction(1), Fraction(0)
        result.append((*made, (slope, shift)))
    return result


def _unmoved(steps: list[Named]) -> list[Named]:
    """Without what is added behind the last function that is not affine: a number, which the
    largest and the mean have alike."""
    last = max((k for k, (name, _) in enumerate(steps) if name not in _AFFINE), default=-1) + 1
    return [*steps[:last], *(step for step in steps[last:] if step[0] != "add")]


def _named(chain: Chain) -> list[Named]:
    return [(step.name, step.constant) for step in chain.steps]


def _chain(steps: list[Named]) -> Chain:
    return Chain(steps_of(merged(steps)))
