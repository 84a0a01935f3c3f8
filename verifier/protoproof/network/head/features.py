"""Pooled values brought into the normal form: geometry, orientation, one chain for each.

A row of coefficients a_d v_d^2 + g_d v_d + c becomes one of the four geometries b, and an affine
prefix: |z - p|^2 with equal a, the diagonal form with a >= 0, <g, z> with a = 0. A monotone
function before a maximum or minimum over locations is moved behind it. The pooled b is then the
nearest one: the least distance, or the largest product (that with -g where the least one counts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head import constants
from protoproof.network.head.chain import Chain
from protoproof.network.head.head import Geometry, rounded
from protoproof.network.head.refusal import NotRecognisedError, ProductsError
from protoproof.network.head.steps import (
    Named,
    Part,
    aligned,
    direction,
    merged,
    simplified,
    steps_of,
)
from protoproof.network.head.tables import Atom, Group, Pool, Scalar, Tables

Real = NDArray[np.float64]
# what is left of |p|^2 when it was computed and not stored, relative to its size: pairs of float64
_NOTHING = 2.0**-90
# the same where the weights of the squares are rounded
_ROUNDED = 2.0**-46


@dataclass(frozen=True, eq=False)
class Features:
    """P features of one geometry in their order; see ``Head`` for the arrays.

    ``rising`` [P]: where the similarity was turned round, so that its activation is negated.
    """

    geometry: Geometry
    prototypes: Real
    scales: Real | None
    epsilon: Real
    added: float
    beside: Real
    kinds: tuple[str, ...]
    counts: tuple[int, ...]
    inner: Chain
    common: Chain
    chain: Chain
    rising: NDArray[np.bool_]
    site_sets: tuple[int, ...]
    size: int


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows as a geometry: b, and scale * b + shift."""

    geometry: Geometry
    prototypes: Real
    scales: Real | None
    factor: Real
    shift: Real


def features(tables: Tables, atoms: Sequence[Atom]) -> Features:
    """The normal form of pooled values.

    Raises:
        NotRecognisedError: several geometries, or a function without a direction.
    """
    pools = []
    for atom in atoms:
        record = tables.records[atom.record]
        if not isinstance(record, Pool):
            what = "the best of a group" if isinstance(record, Group) else "a product of shares"
            raise NotRecognisedError(f"{what} inside another function")
        pools.append(record)
    size = pools[0].space.size
    if any(pool.space.size != size for pool in pools):
        raise NotRecognisedError("measurements over different numbers of channels")
    if len({pool.norm and pool.norm[1] for pool in pools}) != 1:
        raise NotRecognisedError("cosines and other measurements side by side")
    rows = _geometry(tables, pools)
    kinds, counts, inner, chain, prototypes = _oriented(rows, atoms, pools, tables)
    return _finished(rows, atoms, pools, (kinds, counts, inner, chain, prototypes))


def _geometry(tables: Tables, pools: Sequence[Pool]) -> _Rows:
    """Which geometry all rows share."""
    space = pools[0].space
    a, g, c, c_low, unit = space.rows(np.array([pool.row for pool in pools]))
    squared = a.any(axis=1)
    if not squared.any():
        kind: Geometry = "linear" if pools[0].norm is None else "angular"
        return _Rows(kind, g / unit[:, None], None, unit, c + c_low)
    if not squared.all() or pools[0].norm is not None:
        raise NotRecognisedError("distances and products side by side")
    sign = np.where(a.sum(axis=1) < 0, -1.0, 1.0)
    scales = a * sign[:, None]
    if (scales < 0).any():
        raise NotRecognisedError("a quadratic form that is neither a distance nor its negative")
    if ((scales == 0) & (g != 0)).any():
        raise NotRecognisedError("a measurement that is quadratic in some channels only")
    divisor = np.where(scales == 0, 1.0, 2.0 * scales * sign[:, None])
    prototypes = _stored(-g / divisor + 0.0)
    shift = _left_over(a, prototypes, c, c_low, _ROUNDED if rounded(scales) else _NOTHING)
    if (a == a[:, :1]).all():
        return _Rows("euclidean", prototypes, None, a[:, 0].copy(), shift)
    size = np.abs(unit)
    return _Rows("diagonal", prototypes, scales / size[:, None], sign * size, shift)


def _stored(points: Real) -> Real:
    """Points as the file stores them: float32, where only a product's rounding is in between."""
    with np.errstate(over="ignore"):  # infinite is not near
        single = points.astype(np.float32).astype(np.float64)
    return np.where(np.abs(points - single) <= 2.0**-51 * np.abs(points), single, points)


def _left_over(a: Real, p: Real, c: Real, c_low: Real, nothing: float) -> Real:
    """c - sum_d a_d p_d^2 in pairs of float64: zero where |p|^2 was computed and not stored."""
    zero = np.zeros_like(p)
    terms = constants.multiply(*constants.two_product(p, p), a, zero)
    high, low = constants.total(*terms, (1,))
    left, rest = constants.add(c, c_low, -high[:, 0], -low[:, 0])
    size = np.abs(c) + np.abs(high[:, 0])
    left = left + rest
    return np.where(np.abs(left) <= nothing * size, 0.0, left) + 0.0


def _oriented(
    rows: _Rows, atoms: Sequence[Atom], pools: Sequence[Pool], tables: Tables
) -> tuple[tuple[str, ...], tuple[int, ...], list[Named], list[Named], Real]:
    """Kinds, counts, inner steps, steps, and prototypes turned as the pooling needs them."""
    groups: dict[object, list[int]] = {}
    for j, (atom, pool) in enumerate(zip(atoms, pools, strict=True)):
        names = tuple(n for n, _ in pool.steps), tuple(n for n, _ in atom.steps)
        one = len(tables.site_sets[pool.sites]) == 1
        groups.setdefault((pool.kind, pool.largest, one and pool.kind in _ENDS, *names), []).append(
            j
        )
    count = len(pools)
    kinds, counts = ["nearest"] * count, [1] * count
    prototypes = rows.prototypes.copy()
    inside: list[Part] = []
    outside: list[Part] = []
    for members in groups.values():
        pool = pools[members[0]]
        own = _Group(rows, np.array(members), [pools[j].steps for j in members],
                     [atoms[j].steps for j in members])  # fmt: skip
        alone = len(tables.site_sets[pool.sites]) == 1
        if pool.kind in _ENDS or alone:
            turn, part = own.nearest(pool.kind, alone)
            prototypes[members] *= turn[:, None]
            outside.append(part)
        else:
            inner, part = own.pooled(pool.kind)
            inside.append(inner)
            outside.append(part)
            for j in members:
                kinds[j], counts[j] = pool.kind, pool.largest
    steps = aligned(count, outside)
    return tuple(kinds), tuple(counts), aligned(count, inside), steps, prototypes


_ENDS = frozenset({"max", "min"})


@dataclass(frozen=True, eq=False)
class _Group:
    """Features with the same functions of the same pooling."""

    rows: _Rows
    members: NDArray[np.intp]
    before: Sequence[tuple[Scalar, ...]]
    after: Sequence[tuple[Scalar, ...]]

    def _columns(self, steps: Sequence[tuple[Scalar, ...]]) -> list[Named]:
        result: list[Named] = []
        for number, (name, first) in enumerate(steps[0]):
            values = None if first is None else np.array([row[number][1] for row in steps], float)
            result.append((name, values))
        return result

    def _range(self) -> tuple[Real, Real]:
        """Ends of b."""
        count = len(self.members)
        if self.rows.geometry in ("euclidean", "diagonal"):
            return np.zeros(count), np.full(count, np.inf)
        if self.rows.geometry == "angular":
            norm = np.sqrt((self.rows.prototypes[self.members] ** 2).sum(axis=1)) * (1 + 1e-12)
            return -norm, norm
        return np.full(count, -np.inf), np.full(count, np.inf)

    def _way(self, steps: list[Named], low: Real, high: Real) -> NDArray[np.int8]:
        try:
            return direction(steps, low, high)
        except NotRecognisedError as error:
            if self.rows.geometry == "linear":
                raise ProductsError(str(error)) from error
            raise

    def _prefix(self) -> list[Named]:
        return [("mul", self.rows.factor[self.members]), ("add", self.rows.shift[self.members])]

    def nearest(self, kind: str, alone: bool) -> tuple[Real, Part]:
        """+1 or -1 for prototypes, and the steps of the nearest location's measurement."""
        low, high = self._range()
        before = simplified([*self._prefix(), *self._columns(self.before)], low, high)
        way = np.broadcast_to(self._way(before, low, high), len(self.members))
        # over locations, the pooled value is f at the least b, or at the largest b
        least = way < 0 if kind == "max" else way > 0
        distance = self.rows.geometry in ("euclidean", "diagonal")
        if distance and not alone and not (least | (way == 0)).all():
            raise NotRecognisedError("the location farthest from a prototype decides")
        turn = np.where(least & (not distance) & (not alone), -1.0, 1.0)
        if distance:
            first: list[Named] = []
        else:
            first = [("mul", -turn)]
            low, high = -high, -low
            if (turn < 0).any():
                low, high = np.where(turn < 0, -high, low), np.where(turn < 0, -low, high)
        steps = [*first, *self._prefix(), *self._columns(self.before), *self._columns(self.after)]
        return turn, Part(self.members.tolist(), simplified(steps, low, high), low, high)

    def pooled(self, kind: str) -> tuple[Part, Part]:
        """Inner steps, and the steps after the pooling; all of them, where a mean of affine values
        is the affine value of the mean."""
        low, high = self._range()
        first: list[Named] = []
        if self.rows.geometry not in ("euclidean", "diagonal"):
            first = [("mul", np.full(len(self.members), -1.0))]
            low, high = -high, -low
        inner = simplified([*first, *self._prefix(), *self._columns(self.before)], low, high)
        self._way(inner, low, high)
        after = self._columns(self.after)
        affine = {"mean": ("add", "mul", "div_root"), "sum": ("mul", "div_root")}.get(kind, ())
        if affine and all(name in affine for name, _ in inner):
            inner, after = [], [*inner, *after]  # the mean, or sum, of the measurement itself
        chain = Chain(steps_of(inner)).over(low, high)
        least, most = (np.broadcast_to(end, low.shape) for end in (chain.infimum, chain.supremum))
        if kind == "sum":
            least, most = (
                np.where(end == 0, 0.0, np.copysign(np.inf, end)) for end in (least, most)
            )
        members = self.members.tolist()
        return Part(members, inner, low, high), Part(members, merged(after), least, most)


def _finished(
    rows: _Rows,
    atoms: Sequence[Atom],
    pools: Sequence[Pool],
    oriented: tuple[tuple[str, ...], tuple[int, ...], list[Named], list[Named], Real],
) -> Features:
    kinds, counts, inner, steps, prototypes = oriented
    floors, added, beside = zip(*(pool.norm or (0.0, 0.0, 0.0) for pool in pools), strict=True)
    return Features(
        geometry=rows.geometry,
        prototypes=prototypes,
        scales=rows.scales,
        epsilon=np.array(floors),
        added=added[0],
        beside=np.array(beside),
        kinds=kinds,
        counts=counts,
        inner=Chain(steps_of(inner)),
        common=Chain(()),
        chain=Chain(steps_of(steps)),
        rising=np.zeros(len(atoms), dtype=bool),
        site_sets=tuple(pool.sites for pool in pools),
        size=pools[0].space.size,
    )


def least_values(tables: Tables, atoms: Sequence[Atom]) -> Real:
    """The least value that each atom can have, whatever the latent.

    Raises:
        NotRecognisedError: see :func:`features`.
    """
    found = features(tables, atoms)
    count = len(found.prototypes)
    low, high = measured_range(found)
    near = np.array([kind == "nearest" for kind in found.kinds])
    inner = found.inner.over(low, high)
    if not near.all():
        low = np.where(near, low, np.broadcast_to(inner.infimum, count))
        high = np.where(near, high, np.broadcast_to(inner.supremum, count))
    chain = found.chain.over(low, high)
    if inner.broken is not None or chain.broken is not None:
        return np.full(count, -np.inf)
    return np.asarray(np.broadcast_to(chain.infimum, count))


def measured_range(found: Features) -> tuple[Real, Real]:
    """Ends of the measurements, whatever the latent."""
    count = len(found.prototypes)
    if found.geometry in ("euclidean", "diagonal"):
        return np.zeros(count), np.full(count, np.inf)
    if found.geometry == "linear":
        return np.full(count, -np.inf), np.full(count, np.inf)
    norm = np.sqrt((found.prototypes**2).sum(axis=1)) * (1 + 1e-12)
    return -norm, norm
