"""Where the integers of the evaluator point: sites, rows of coefficients, pooled values, atoms."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.refusal import NotRecognisedError

Index = NDArray[np.int64]
Real = NDArray[np.float64]
# a primitive with its constant for one prototype
Scalar = tuple[str, float | None]
# rows of coefficients times channels that one space may hold
_MOST = 1 << 26


class Rows(NamedTuple):
    """Coefficients of rows: ``a``, ``g`` [R, D], and ``c`` + ``c_low`` [R].

    ``unit`` [R]: by what power of two all of them were multiplied since they were summed up; facts
    are about the row without it.
    """

    a: Real
    g: Real
    c: Real
    c_low: Real
    unit: Real


@dataclass(eq=False)
class Space:
    """All sites of ``size`` latent elements, and the rows of coefficients over them."""

    size: int
    _sites: dict[int, list[int]] = field(default_factory=dict)  # by a sum that tells most apart
    _elements: list[Index] = field(default_factory=list)
    _blocks: list[Rows] = field(default_factory=list)
    _merged: Rows | None = None
    _known: dict[tuple[bytes, int], int] = field(default_factory=dict)
    count: int = 0

    def add_sites(self, elements: Index) -> tuple[Index, Index]:
        """Numbers of the sites [S] with these latent elements [S, D], and the order [D] of a row.

        A site's elements are ascending, so a row's coefficients have to be brought into ``order``.

        Raises:
            NotRecognisedError: an element twice, or sites that are not ordered alike.
        """
        order = np.argsort(elements[0], kind="stable")
        sorted_ = (order[1:] > order[:-1]).all()
        ordered = elements if sorted_ else elements[:, order]
        if not (ordered[:, 1:] > ordered[:, :-1]).all():
            raise NotRecognisedError(
                "the latent elements of one location are in another order than those of the next"
            )
        sums = ordered @ np.arange(1, 2 * self.size, 2)
        found = [self._site(total, row) for total, row in zip(sums.tolist(), ordered, strict=True)]
        return np.array(found, dtype=np.int64), order

    def _site(self, total: int, row: Index) -> int:
        known = self._sites.setdefault(total, [])
        for number in known:
            if np.array_equal(self._elements[number], row):
                return number
        known.append(len(self._elements))
        self._elements.append(row)
        return known[-1]

    def add_rows(self, rows: Rows) -> Index:
        """Numbers of the rows of one operator.

        Equal rows of one operator stay several, as equal prototypes do; what another operator
        computes again with the same coefficients is the same row.
        """
        columns = (part[:, None] for part in rows[2:])
        table = np.ascontiguousarray(np.concatenate([*rows[:2], *columns], axis=1)) + 0.0
        seen: dict[bytes, int] = {}
        numbers: list[int] = []
        fresh: list[int] = []
        for place, line in enumerate(table):
            content = hashlib.blake2b(line, digest_size=16).digest()
            key = content, seen.get(content, 0)
            seen[content] = key[1] + 1
            if key not in self._known:
                self._known[key] = self.count + len(fresh)
                fresh.append(place)
            numbers.append(self._known[key])
        if (self.count + len(fresh)) * self.size > _MOST:
            raise NotRecognisedError("too many different rows of coefficients")
        if fresh:
            self._blocks.append(Rows(*(part[fresh] for part in rows)))
            self._merged = None
            self.count += len(fresh)
        return np.array(numbers, dtype=np.int64)

    def rows(self, numbers: Index) -> Rows:
        """The coefficients of rows [n]."""
        if self._merged is None:
            self._merged = Rows(
                *(np.concatenate(parts) for parts in zip(*self._blocks, strict=True))
            )
            self._blocks = [self._merged]
        return Rows(*(part[numbers] for part in self._merged))

    def elements(self, site: int) -> Index:
        """The latent elements of a site."""
        return self._elements[site]


class Pool(NamedTuple):
    """One pooled value: ``kind`` (max, min, mean, sum, k-largest mean) of steps(row at every site).

    ``largest`` is k of the k largest; ``sites`` a number of ``Tables.site_sets``; ``norm``: floor,
    addend, and what is beside (see ``symbols.Norm``).
    """

    kind: str
    largest: int
    space: Space
    sites: int
    row: int
    norm: tuple[float, float, float] | None
    steps: tuple[Scalar, ...]


class Group(NamedTuple):
    """The largest or least of several atoms' values, each scale * atom + shift."""

    kind: str
    members: tuple[int, ...]


class Path(NamedTuple):
    """A product of shares: of each atom a itself (True), or 1 - a."""

    literals: frozenset[tuple[int, bool]]


class Atom(NamedTuple):
    """steps(record): what a decision weighs."""

    record: int
    steps: tuple[Scalar, ...]


@dataclass(eq=False)
class Tables:
    """Everything that one evaluation refers to; ``sums``: how many sums over sites were made;
    ``shares``: atoms that are known to lie between 0 and 1.
    """

    spaces: dict[int, Space] = field(default_factory=dict)
    sums: int = 0
    records: list[Pool | Group | Path] = field(default_factory=list)
    atoms: list[Atom] = field(default_factory=list)
    ratios: list[object] = field(default_factory=list)
    shares: set[int] = field(default_factory=set)
    site_sets: list[tuple[int, ...]] = field(default_factory=list)
    _site_set: dict[object, int] = field(default_factory=dict)
    _record: dict[object, int] = field(default_factory=dict)
    _atom: dict[Atom, int] = field(default_factory=dict)

    def space(self, size: int) -> Space:
        """The space of sites of ``size`` elements."""
        return self.spaces.setdefault(size, Space(size))

    def site_set(self, space: Space, sites: tuple[int, ...]) -> int:
        """The number of a set of sites that are pooled together."""
        sites = tuple(sorted(sites))
        return self._number(self._site_set, self.site_sets, (space.size, *sites), sites)

    def record(self, record: Pool | Group | Path) -> int:
        """The number of a pooled value, or of a product of some; equal ones share it."""
        key = (record.space.size, *record[:2], *record[3:]) if isinstance(record, Pool) else record
        return self._number(self._record, self.records, key, record)

    def atom(self, atom: Atom) -> int:
        """The number of an atom; equal ones share it."""
        return self._number(self._atom, self.atoms, atom, atom)

    @staticmethod
    def _number(index: dict[Any, int], items: list[Any], key: object, item: object) -> int:
        if key not in index:
            index[key] = len(items)
            items.append(item)
        return int(index[key])
