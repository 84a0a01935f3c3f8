"""Pooled values brought into the normal form: geometry, orientation, one chain for each.

A row of coefficients a_d v_d^2 + g_d v_d + c becomes one of the four geometries b and an affine
prefix: |z - p|^2 with equal a, the diagonal form with a >= 0, <g, z> with a = 0. A monotone function
before a maximum or minimum over locations is moved behind it. The pooled b is then the nearest one:
the least distance, or the largest product (the product with -g where the least one counts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head import constants
from protoproof.network.head.chain import Chain, Step
from protoproof.network.head.head import Geometry
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.tables import Atom, Group, Pool, Scalar, Tables

Real = NDArray[np.float64]
Named = tuple[str, Real | None]
# what is left of |p|^2 when it was computed and not stored, relative to its size: pairs of float64
_NOTHING = 2.0**-90


@dataclass(frozen=True, eq=False)
class Features:
    """P features of one geometry in their order; see ``Head`` for the arrays.

    ``rising`` [P]: where the similarity was turned round, so that its activation is negated.
    """

    geometry: Geometry
    prototypes: Real
    scales: Real | None
    epsilon: float
    kinds: tuple[str, ...]
    counts: tuple[int, ...]
    inner: Chain
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
        if isinstance(record, Group):
            raise NotRecognisedError("the best of a group inside another function")
        pools.append(record)
    size = pools[0].space.size
    if any(pool.space.size != size for pool in pools):
        raise NotRecognisedError("measurements over different numbers of channels")
    if len({pool.epsilon for pool in pools}) != 1:
        raise NotRecognisedError("cosines and other measurements side by side")
    rows = _geometry(tables, pools)
    kinds, counts, inner, chain, prototypes = _oriented(rows, atoms, pools, tables)
    return _finished(rows, atoms, pools, (kinds, counts, inner, chain, prototypes))


def _geometry(tables: Tables, pools: Sequence[Pool]) -> _Rows:
    """Which geometry all rows share."""
    space = pools[0].space
    a, g, c, c_low = space.rows(np.array([pool.row for pool in pools]))
    squared = a.any(axis=1)
    if not squared.any():
        ones = np.ones(len(a))
        kind: Geometry = "linear" if pools[0].epsilon is None else "angular"
        return _Rows(kind, g, None, ones, c + c_low)
    if not squared.all() or pools[0].epsilon is not None:
        raise NotRecognisedError("distances and products side by side")
    sign = np.where(a.sum(axis=1) < 0, -1.0, 1.0)
    scales = a * sign[:, None]
    if (scales < 0).any():
        raise NotRecognisedError("a quadratic form that is neither a distance nor its negative")
    if ((scales == 0) & (g != 0)).any():
        raise NotRecognisedError("a measurement that is quadratic in some channels only")
    divisor = np.where(scales == 0, 1.0, 2.0 * scales * sign[:, None])
    prototypes = -g / divisor + 0.0
    shift = _left_over(a, prototypes, c, c_low)
    if (a == a[:, :1]).all():
        return _Rows("euclidean", prototypes, None, a[:, 0].copy(), shift)
    return _Rows("diagonal", prototypes, scales, sign, shift)


def _left_over(a: Real, p: Real, c: Real, c_low: Real) -> Real:
    """c - sum_d a_d p_d^2 in pairs of float64: zero where |p|^2 was computed and not stored."""
    zero = np.zeros_like(p)
    terms = constants.multiply(*constants.two_product(p, p), a, zero)
    high, low = constants.total(*terms, (1,))
    left, rest = constants.add(c, c_low, -high[:, 0], -low[:, 0])
    size = np.abs(c) + np.abs(high[:, 0])
    left = left + rest
    return np.where(np.abs(left) <= _NOTHING * size, 0.0, left) + 0.0


def _oriented(
    rows: _Rows, atoms: Sequence[Atom], pools: Sequence[Pool], tables: Tables
) -> tuple[tuple[str, ...], tuple[int, ...], list[Named], list[Named], Real]:
    """Kinds, counts, inner steps, steps, and prototypes turned as the pooling needs them."""
    groups: dict[object, list[int]] = {}
    for j, (atom, pool) in enumerate(zip(atoms, pools, strict=True)):
        names = tuple(n for n, _ in pool.steps), tuple(n for n, _ in atom.steps)
        one = len(tables.site_sets[pool.sites]) == 1
        groups.setdefault((pool.kind, pool.count, one and pool.kind in _ENDS, *names), []).append(j)
    count = len(pools)
    kinds, counts = ["nearest"] * count, [1] * count
    prototypes = rows.prototypes.copy()
    inside: list[_Part] = []
    outside: list[_Part] = []
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
                kinds[j], counts[j] = pool.kind, pool.count
    steps = _aligned(count, outside)
    return tuple(kinds), tuple(counts), _aligned(count, inside), steps, prototypes


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

    def _prefix(self) -> list[Named]:
        return [("mul", self.rows.factor[self.members]), ("add", self.rows.shift[self.members])]

    def nearest(self, kind: str, alone: bool) -> tuple[Real, _Part]:
        """+1 or -1 for prototypes, and the steps of the nearest location's measurement."""
        low, high = self._range()
        before = simplified([*self._prefix(), *self._columns(self.before)], low, high)
        direction = np.broadcast_to(_direction(before, low, high), len(self.members))
        # over locations, the pooled value is f at the least b, or at the largest b
        least = direction < 0 if kind == "max" else direction > 0
        distance = self.rows.geometry in ("euclidean", "diagonal")
        if distance and not alone and not (least | (direction == 0)).all():
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
        return turn, _Part(self.members.tolist(), simplified(steps, low, high), low, high)

    def pooled(self, kind: str) -> tuple[_Part, _Part]:
        """Inner steps, and the steps after the pooling, which takes what is affine at their end."""
        low, high = self._range()
        first: list[Named] = []
        if self.rows.geometry not in ("euclidean", "diagonal"):
            first = [("mul", np.full(len(self.members), -1.0))]
            low, high = -high, -low
        inner = simplified([*first, *self._prefix(), *self._columns(self.before)], low, high)
        _direction(inner, low, high)
        after = self._columns(self.after)
        while inner and kind == "mean" and inner[-1][0] in ("add", "mul"):
            after.insert(0, inner.pop())
        chain = Chain(_steps(inner)).over(low, high)
        least, most = (np.broadcast_to(end, low.shape) for end in (chain.infimum, chain.supremum))
        if kind == "sum":
            least, most = (
                np.where(end == 0, 0.0, np.copysign(np.inf, end)) for end in (least, most)
            )
        members = self.members.tolist()
        return _Part(members, inner, low, high), _Part(members, _merged(after), least, most)


def _steps(steps: Sequence[Named]) -> tuple[Step, ...]:
    made = []
    for name, constant in steps:
        if name == "mul_root" and constant is not None:
            name, constant = "mul", np.sqrt(constant)
        made.append(Step(name, constant))
    return tuple(made)


def _direction(steps: Sequence[Named], low: Real, high: Real) -> NDArray[np.int8]:
    chain = Chain(_steps(steps)).over(low, high)
    if chain.broken is not None:
        raise NotRecognisedError(f"'{chain.broken}' neither rises nor falls over its arguments")
    return chain.direction


def simplified(steps: Sequence[Named], low: Real, high: Real) -> list[Named]:
    """Affine neighbours joined where that is exact; |x|, max and min dropped where they do nothing."""
    kept: list[Named] = []
    for name, constant in steps:
        if name in ("abs", "max", "min"):
            chain = Chain(_steps(kept)).over(low, high)
            if chain.broken is None:
                limit = np.zeros(1) if constant is None else constant
                below = name == "min" and (chain.supremum <= limit).all()
                if below or (name != "min" and (chain.infimum >= limit).all()):
                    continue
        kept = _appended(kept, name, constant)
    return kept


def _merged(steps: Sequence[Named]) -> list[Named]:
    kept: list[Named] = []
    for name, constant in steps:
        kept = _appended(kept, name, constant)
    return kept


def _appended(steps: list[Named], name: str, constant: Real | None) -> list[Named]:
    """Steps with one more; nothing that does nothing, and exact joins of neighbours."""
    if constant is None:
        return [*steps, (name, None)]
    if (name == "mul" and (constant == 1).all()) or (name == "add" and not constant.any()):
        return steps
    if steps and steps[-1][0] == name and steps[-1][1] is not None:
        last = steps[-1][1]
        if name == "add":
            total, error = constants.two_sum(last, constant)
            if not error.any():
                return _appended(steps[:-1], "add", total)
        elif name == "mul":
            product, error = constants.two_product(last, constant)
            if not error.any():
                return _appended(steps[:-1], "mul", product)
    return [*steps, (name, constant)]


@dataclass(frozen=True, eq=False)
class _Part:
    """Steps of some features, and the ends of what they are applied to."""

    members: list[int]
    steps: list[Named]
    low: Real
    high: Real


def _aligned(count: int, parts: Sequence[_Part]) -> list[Named]:
    """The steps of all features; where some lack a step, one that does nothing to them.

    Raises:
        NotRecognisedError: no constant makes the missing step do nothing.
    """
    if not parts:
        return []
    longest = max((part.steps for part in parts), key=len)
    result: list[Named] = []
    places = [0] * len(parts)
    for name, constant in longest:
        values = None if constant is None else np.zeros(count)
        for number, part in enumerate(parts):
            place = places[number]
            if place < len(part.steps) and part.steps[place][0] == name:
                places[number] += 1
                if values is not None:
                    values[part.members] = part.steps[place][1]
            elif values is not None:
                values[part.members] = _idle(part, place, name)
            else:
                raise NotRecognisedError("prototypes with different similarities")
        result.append((name, values))
    if any(place != len(part.steps) for place, part in zip(places, parts, strict=True)):
        raise NotRecognisedError("prototypes with different similarities")
    return result


def _idle(part: _Part, place: int, name: str) -> Real | float:
    """The constant with which a step changes nothing after the first ``place`` steps."""
    if name in ("add", "mul"):
        return 1.0 if name == "mul" else 0.0
    chain = Chain(_steps(part.steps[:place])).over(part.low, part.high)
    if name in ("max", "min") and chain.broken is None:
        end = chain.infimum if name == "max" else chain.supremum
        if np.isfinite(end).all():
            return end
    raise NotRecognisedError("prototypes with different similarities")


def _finished(
    rows: _Rows,
    atoms: Sequence[Atom],
    pools: Sequence[Pool],
    oriented: tuple[tuple[str, ...], tuple[int, ...], list[Named], list[Named], Real],
) -> Features:
    kinds, counts, inner, steps, prototypes = oriented
    epsilon = pools[0].epsilon
    return Features(
        geometry=rows.geometry,
        prototypes=prototypes,
        scales=rows.scales,
        epsilon=epsilon or 0.0,
        kinds=kinds,
        counts=counts,
        inner=Chain(_steps(inner)),
        chain=Chain(_steps(steps)),
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
