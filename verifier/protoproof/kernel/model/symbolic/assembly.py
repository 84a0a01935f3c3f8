"""From what the output is to the head in its normal form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import fmpq

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.model.head import Geometry, Head, Pooling
from protoproof.kernel.model.primitives import ZERO, End, at_least
from protoproof.kernel.model.symbolic.decisions import read_votes
from protoproof.kernel.model.symbolic.expressions import Exponential, Expressions, Single
from protoproof.kernel.model.symbolic.geometry import Canonical, canonical, geometry_of, numbers
from protoproof.kernel.model.symbolic.locations import Locations, locate
from protoproof.kernel.model.symbolic.programs import (
    HALF,
    WHOLE,
    bounds,
    chain,
    direction,
    positive,
)
from protoproof.kernel.model.symbolic.tables import Feature, Program

_KINDS = {"mean": "mean", "sum": "sum", "top": "k-largest mean", "bottom": "k-largest mean",
          "focal": "focal"}  # fmt: skip
_TURNED: Program = (("mul", Fraction(-1)),)


@dataclass(frozen=True)
class Reading:
    """A head, and which elements of the latents its locations are.

    Attributes:
        head: in exact numbers.
        where: its locations.
    """

    head: Head
    where: Locations


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
    where = locate(tables, features, ends)
    geometry = geometry_of(tables, features)
    rows: list[_Oriented] = []
    for single, feature in zip(votes.features, features, strict=True):
        outer = tables.programs[single.program]
        row = canonical(tables.rows[feature.row], geometry)
        alone = tables.size(feature.group) == 1
        rows.append(_oriented(row, feature, alone, tables.programs[feature.inner], outer))
    turned, outers = [], []
    for one in rows:
        rises = one.pooling.kind == "nearest" and direction(one.outer, _range(one.row)) > 0
        turned.append(rises)
        outers.append((*one.outer, *votes.turning) if rises else one.outer)
    for index in known.positive:
        _require_positive(known, index, geometry)
    canon = [one.row for one in rows]
    prototypes, scales = numbers(canon, where)
    inner = [one.inner for one in rows if one.pooling.kind != "nearest"]
    if inner and len(inner) < len(rows):
        inner = [one.inner for one in rows]
    try:
        head = Head(
            geometry, prototypes, scales, chain(outers, [_floor(one) for one in rows]),
            chain(inner, [_distance(one.row) for one in rows][: len(inner)]) if inner else None,
            [one.pooling for one in rows], votes.finished(turned, labels),
            where.location_bank, where.feature_bank, where.channels, where.floor, where.added,
            where.zero,
        )  # fmt: skip
    except DescriptionError as error:
        raise ModelError(f"model: {error}") from error
    return Reading(head, where)


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
        raise ModelError("model: terms are divided by what is not certainly positive")


def _range(row: Canonical) -> tuple[End, End]:
    """Bounds of the measurement over all latents."""
    if row.geometry in ("euclidean", "diagonal"):
        return HALF
    if row.geometry == "linear":
        return WHOLE
    return -fmpq(row.norm_above), fmpq(row.norm_above)


def _distance(row: Canonical) -> Fraction | None:
    """What its measurement is never less than."""
    return Fraction(0) if row.geometry in ("euclidean", "diagonal") else None


def _floor(one: _Oriented) -> Fraction | None:
    """What the pooled value of a feature is never less than, if anything is known."""
    if one.pooling.kind == "nearest":
        return _distance(one.row)
    if one.pooling.kind == "focal":
        return Fraction(0)
    # a mean, or a sum, of what is never negative is not negative either
    return Fraction(0) if at_least(bounds(one.inner, _range(one.row))[0], ZERO) else None


def _oriented(
    row: Canonical, feature: Feature, alone: bool, inner: Program, outer: Program
) -> _Oriented:
    """Pooling by the least measurement, wherever the graph pools by largest or least."""
    if feature.kind in ("max", "min"):
        # what has to fall in the measurement, so that the least one decides
        falling = (*inner, *outer) if alone else inner
        if feature.kind == "min" and not alone:
            falling = (*inner, *_TURNED)
        row = _turned(row, falling)
        way = direction((*row.program, *falling), _range(row))
        if way != -1 and not (alone and way == 1):
            raise ModelError(
                "model: the similarity of a prototype has no direction"
                if not way
                else "model: the farthest location counts, not the nearest"
            )
        return _Oriented(row, Pooling(), (), (*row.program, *inner, *outer))
    if feature.kind == "bottom":
        inner, outer = (*inner, *_TURNED), (*_TURNED, *outer)
    row = _turned(row, inner)
    pooling = Pooling(_KINDS[feature.kind], feature.largest)  # type: ignore[arg-type]
    whole = (*row.program, *inner)
    if _passes(feature.kind, whole):
        return _Oriented(row, pooling, (), (*whole, *outer))
    return _Oriented(row, pooling, whole, outer)


def _passes(kind: str, program: Program) -> bool:
    """Whether a program may as well follow the pooling: a mean of affine values is the affine value
    of the mean, a sum likewise without an addend."""
    if kind == "mean":
        return all(name in ("add", "mul", "div_root") for name, _ in program)
    return kind == "sum" and all(
        name in ("mul", "div_root") or (name == "add" and not constant)
        for name, constant in program
    )


def _turned(row: Canonical, falling: Program) -> Canonical:
    """A linear form has two signs: the one with which a program falls in it."""
    if row.geometry in ("euclidean", "diagonal"):
        return row
    return row.negative() if direction(falling, _range(row)) < 0 else row
