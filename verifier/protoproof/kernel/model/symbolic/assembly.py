"""From what the output is to the head in its normal form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import fmpq

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.head import Geometry, Head, Pooling
from protoproof.kernel.model.primitives import ZERO, End, at_least
from protoproof.kernel.model.symbolic.decisions import Votes, read_votes
from protoproof.kernel.model.symbolic.expressions import Exponential, Expressions, Single
from protoproof.kernel.model.symbolic.geometry import Canonical, canonical, geometry_of, numbers
from protoproof.kernel.model.symbolic.locations import Locations, locate
from protoproof.kernel.model.symbolic.programs import (
    HALF,
    WHOLE,
    Derived,
    bounds,
    chain,
    direction,
    positive,
    tidied,
)
from protoproof.kernel.model.symbolic.tables import Feature, Program

_KINDS = {"mean": "mean", "sum": "sum", "top": "k-largest mean", "bottom": "k-largest mean"}
_TURNED: Program = (("mul", Fraction(-1)),)
_AFFINE = ("add", "mul", "div_root")


@dataclass(frozen=True)
class Reading:
    """A head, and which elements of the latents its locations are.

    Attributes:
        head: in exact numbers.
        where: its locations.
        rows: per prototype, the row that measures it, and the program from m to the row's value.
        features: everything pooled that the head is about.
    """

    head: Head
    where: Locations
    rows: tuple[tuple[int, Program], ...]
    features: frozenset[int]


@dataclass(frozen=True)
class _Oriented:
    """A feature of a geometry, whose smaller measurements are nearer."""

    row: Canonical
    pooling: Pooling
    inner: Program
    outer: Program


def read_head(
    known: Expressions, logits: Sequence[int], ends: Sequence[int], labels: bool
) -> Reading:
    """The head whose logits these expressions are.

    Args:
        ends: where the cuts end among the flat indices.
        labels: whether each logit decides by its sign alone.

    Raises:
        ModelError: they are no head's.
    """
    votes = read_votes(known, logits)
    if not votes.features:
        raise ModelError("model: the output does not depend on the latent")
    tables = known.tables
    features = [tables.features[s.feature] for s in votes.features]
    about = frozenset(s.feature for s in votes.features)
    where = locate(tables, features, ends)
    geometry = geometry_of(tables, features)
    rows: list[_Oriented] = []
    derived: Derived = {}
    for single, feature in zip(votes.features, features, strict=True):
        outer = tables.programs[single.program]
        row = canonical(tables.rows[feature.row], geometry)
        alone = tables.size(feature.group) == 1
        inner = tables.programs[feature.inner]
        rows.append(_oriented(row, feature, alone, inner, outer, derived))
    turned, outers = [], []
    for one in rows:
        nearest = one.pooling.kind == "nearest"
        rises = nearest and direction(one.outer, _range(one.row), derived) > 0
        turned.append(rises)
        outers.append((*one.outer, *votes.turning) if rises else one.outer)
    pairs, common = differences(votes, features, rows), None
    if pairs:
        near = list(pairs)
        votes = votes.over(near)
        features = [features[j] for j in near]
        where = locate(tables, features, ends)
        turned = [turned[j] for j in near]
        rows, functions = _differing([rows[k] for k in pairs.values()], turned)
        outers = [one.outer for one in rows]
        common = chain(functions, [_floor_of_inner(one) for one in rows])
    for index in known.positive:
        _require_positive(known, index, geometry)
    canon = [one.row for one in rows]
    prototypes, scales = numbers(canon, where)
    inners = [one.inner for one in rows if one.pooling.kind != "nearest"]
    if inners and len(inners) < len(rows):
        inners = [one.inner for one in rows]
    try:
        head = Head(
            geometry, prototypes, scales, chain(outers, [_floor(one) for one in rows]),
            chain(inners, [_distance(one.row) for one in rows][: len(inners)]) if inners else None,
            [one.pooling for one in rows], votes.finished(turned, labels),
            where.location_bank, where.feature_bank, where.channels, where.lengths,
            max(one.row.slack for one in rows), where.zero, common,
        )  # fmt: skip
    except DescriptionError as error:
        raise ModelError(f"model: {error}") from error
    measured = tuple((f.row, one.row.program) for f, one in zip(features, rows, strict=True))
    return Reading(head, where, measured, about)


def _require_positive(known: Expressions, index: int, geometry: Geometry) -> None:
    """Whether a sum of terms is positive for every latent: each is at least 0, and one is more.

    Raises:
        ModelError: that is not certain.
    """
    total, tables = known.as_sum(index), known.tables
    sound, certain = total.constant >= 0, total.constant > 0
    for term, weight in zip(total.terms, total.weights, strict=True):
        single = known.all[term]
        if isinstance(single, Exponential) and weight > 0:
            certain = True
            continue
        if not isinstance(single, Single):
            raise ModelError("model: terms are divided by what is no sum of terms")
        feature = tables.features[single.feature]
        if feature.kind not in ("max", "min"):
            raise ModelError("model: terms are divided by what is pooled by no single location")
        row = canonical(tables.rows[feature.row], geometry)
        inner, outer = tables.programs[feature.inner], tables.programs[single.program]
        whole = (*row.program, *inner, *outer, *(() if weight > 0 else _TURNED))
        more = positive(whole, _range(row))
        certain |= more
        sound &= more or at_least(bounds(whole, _range(row))[0], ZERO)
    if not (sound and certain):
        raise ModelError("model: a divisor or a logarithm of terms that are not certainly positive")


def _range(row: Canonical) -> tuple[End, End]:
    """Bounds of the measurement over all latents."""
    if row.geometry in ("euclidean", "diagonal"):
        return HALF
    if row.geometry == "linear":
        return WHOLE
    norm = fmpq(*row.norm_above.as_integer_ratio())
    return -norm, norm


def _distance(row: Canonical) -> Fraction | None:
    """What its measurement is never less than."""
    return Fraction(0) if row.geometry in ("euclidean", "diagonal") else None


def _floor(one: _Oriented) -> Fraction | None:
    """What the pooled value of a feature is never less than, if anything is known."""
    if one.pooling.kind == "nearest":
        return _distance(one.row)
    if one.pooling.kind in ("focal", "nearest less mean"):
        return Fraction(0)
    return _floor_of_inner(one)


def _floor_of_inner(one: _Oriented) -> Fraction | None:
    """The same of what is pooled; a mean or a sum of what is never negative is not, either."""
    return Fraction(0) if at_least(bounds(one.inner, _range(one.row))[0], ZERO) else None


def _oriented(
    row: Canonical,
    feature: Feature,
    alone: bool,
    inner: Program,
    outer: Program,
    derived: Derived,
) -> _Oriented:
    """Pooling by the least measurement, wherever the graph pools by largest or least."""
    if feature.kind in ("max", "min"):
        # what has to fall in the measurement, so that the least one decides
        falling = (*inner, *outer) if alone else inner
        if feature.kind == "min" and not alone:
            falling = (*inner, *_TURNED)
        if not alone:
            row = _turned(row, falling)
        way = direction((*row.program, *falling), _range(row), derived)
        if way != -1 and not (alone and way == 1):
            raise ModelError(
                "model: the similarity of a prototype has no direction"
                if not way
                else "model: the farthest location counts, not the nearest"
            )
        return _Oriented(row, Pooling(), (), (*row.program, *inner, *outer))
    if feature.kind == "bottom":
        inner, outer = (*inner, *_TURNED), (*_TURNED, *outer)
    pooling = Pooling(_KINDS[feature.kind], feature.largest)  # type: ignore[arg-type]
    whole = tidied((*row.program, *inner), _distance(row))
    if _passes(feature.kind, whole):
        return _Oriented(row, pooling, (), (*whole, *outer))
    return _Oriented(row, pooling, whole, outer)


def differences(
    votes: Votes, features: Sequence[Feature], rows: Sequence[_Oriented]
) -> dict[int, int]:
    """The feature of the mean for each one of the nearest location, where a linear decision is only
    about differences f(least s) - f(mean s) of the same s = g(m): all features are in such a pair,
    and the weights in it are opposite. Empty where that is not so."""
    if votes.kind != "linear" or {one.pooling.kind for one in rows} != {"nearest", "mean"}:
        return {}
    spend("pairs of features", OPERATION * sum(8 + len(column) for column in votes.columns))
    means, found = {}, {}
    for j, (feature, one) in enumerate(zip(features, rows, strict=True)):
        if one.pooling.kind == "mean":
            means[_measured(feature, one)] = j
    for j, (feature, one) in enumerate(zip(features, rows, strict=True)):
        if one.pooling.kind == "nearest":
            mean = means.pop(_measured(feature, one), None)
            if mean is None or votes.columns[j] != [-weight for weight in votes.columns[mean]]:
                return {}
            found[j] = mean
    return found if 2 * len(found) == len(rows) else {}


def _measured(feature: Feature, one: _Oriented) -> tuple[object, ...]:
    """What a feature measures where, and the function of it, without what does nothing."""
    function = tidied((*one.inner, *one.outer), _distance(one.row))
    return feature.group, feature.row, one.row.point, function


def _differing(
    means: Sequence[_Oriented], rises: Sequence[bool]
) -> tuple[list[_Oriented], list[Program]]:
    """Features of nearest less mean, by those of the mean, and the f of each: with a g that rises,
    so that the least s is that of the nearest location, and an f that falls. Where all f are
    affine and f(g) never rises, f(least s) - f(mean s) is the largest f(s) less their mean: focal,
    with no f. Elsewhere the head itself asks for both directions.

    Args:
        rises: where f(g) does not fall, but rises, so that its negative is taken.
    """
    inner, functions = [], []
    for one, rising in zip(means, rises, strict=True):
        turn = _TURNED if direction(one.inner, _range(one.row)) < 0 else ()
        inner.append((*one.inner, *turn))
        functions.append(tidied((*turn, *one.outer, *(_TURNED if rising else ())), None))
    pooling = Pooling("nearest less mean")
    affine = all(_passes("mean", function) for function in functions)
    if affine and all(
        direction((*g, *f), _range(one.row)) < 0
        for one, g, f in zip(means, inner, functions, strict=True)
    ):
        pooling = Pooling("focal")
        inner = [_unmoved((*g, *f)) for g, f in zip(inner, functions, strict=True)]
        functions = [()] * len(inner)
    rows = [_Oriented(m.row, pooling, g, ()) for m, g in zip(means, inner, strict=True)]
    return rows, functions


def _unmoved(program: Program) -> Program:
    """Without what it adds behind its last function that is not affine: a number, which the largest
    and the mean have alike."""
    last = max((k for k, (name, _) in enumerate(program) if name not in _AFFINE), default=-1) + 1
    end = tuple(one for one in program[last:] if one[0] != "add")
    return tidied((*program[:last], *end), None)


def _passes(kind: str, program: Program) -> bool:
    """Whether a program may as well follow the pooling: a mean of affine values is the affine value
    of the mean, a sum likewise without an addend."""
    if kind == "mean":
        return all(name in _AFFINE for name, _ in program)
    return kind == "sum" and all(
        name in ("mul", "div_root") or (name == "add" and not constant)
        for name, constant in program
    )


def _turned(row: Canonical, falling: Program) -> Canonical:
    """A linear form has two signs: the one with which a program falls in it."""
    if row.geometry in ("euclidean", "diagonal"):
        return row
    return row.negative() if direction(falling, _range(row)) < 0 else row
