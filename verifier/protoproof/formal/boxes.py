"""The boxes that splits of channels leave in one case of a proof by cases, written as steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isqrt
from typing import Protocol

from protoproof.formal.known import Known, Root
from protoproof.formal.script import NotCoveredError, Ref, Token
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.latent.bounds import Interval
from protoproof.kernel.latent.case_domain import CaseDomain, EmptyBoxError, Half
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.model.head import Head


class Writer(Protocol):
    """The case that is written."""

    root: Root

    def use(self, *tokens: Token | Ref) -> None:
        """Write tokens."""

    def add(self, *tokens: Token | Ref) -> Ref:
        """Write a step, whose conclusion is a new premise."""

    def high(self, location: int, prototype: int) -> Known | None:
        """The best upper bound of m_lj."""

    def at(self, location: int, prototype: int) -> Interval:
        """Bounds of m_lj."""


class Boxes:
    """Of one case.

    Attributes:
        where: the domain with these boxes, once they are written; None where nothing is split.
    """

    def __init__(self) -> None:
        self.where: LatentDomain | None = None
        self._halves: dict[int, list[tuple[Half, Ref]]] = {}
        self._refs: dict[int, Ref] = {}

    def fork(self) -> Boxes:
        """The same splits, to be told more."""
        other = Boxes()
        other._halves = {location: list(parts) for location, parts in self._halves.items()}
        return other

    def enter(self, location: int, half: Half, ref: Ref) -> None:
        """A split says this about a channel of z_l."""
        self._halves.setdefault(location, []).append((half, ref))

    def box(self, root: Root, location: int) -> Ref | None:
        """The premise about the box of a location."""
        return self._refs.get(location) or root.stated.box(location)

    def locations(self) -> list[int]:
        """Where something is split."""
        return list(self._halves)

    def write(self, case: Writer, unit: int) -> bool:
        """Write the boxes over ``2**unit``, and whether one of them is empty.

        The checker refuses splits by channels of angles.
        """
        for location, parts in self._halves.items():
            ref = _around(case, location, unit)
            for _, half in parts:
                ref = case.add("cut", ref, half)
            self._refs[location] = ref
            try:
                self._domain(case, [location])
            except EmptyBoxError:
                case.use("empty", ref)
                return True
        if self._halves:
            self.where = self._domain(case, self._halves)
        return False

    def _domain(self, case: Writer, locations: Iterable[int]) -> CaseDomain:
        halves = {k: [half for half, _ in self._halves[k]] for k in locations}
        return CaseDomain(case.root.head, case.root.where, case, halves)


def _around(case: Writer, location: int, unit: int) -> Ref:
    """The box before any split: the domain's, and those around prototypes."""
    head, ref = case.root.head, case.root.stated.box(location)
    radius: dict[int, int] = {}
    if head.geometry == "euclidean":
        for j in range(head.prototype_count):
            far = case.high(location, j) if head.measures(location, j) else None
            if far is not None:
                radius[j] = isqrt(max(far.value, 0) << GRID) + 1
    for j in _narrowest(head, radius):
        far = case.high(location, j)
        if far is not None:
            here = case.add("around", location, j, far.premise(), radius[j] << (unit - GRID))
            ref = here if ref is None else case.add("meet", here, ref)
    if ref is None:
        raise NotCoveredError("a split of a channel that nothing bounds")
    return ref


def _narrowest(head: Head, radius: Mapping[int, int]) -> list[int]:
    """The prototypes whose surroundings end first, in some channel and direction."""
    chosen: set[int] = set()
    points = {j: head.prototype(j) for j in radius}
    for channel in range(head.channels if radius else 0):
        for side in (1, -1):
            ends = {
                j: (side * points[j][channel] << GRID) + (radius[j] << head.shift) for j in radius
            }
            chosen.add(min(ends, key=ends.__getitem__))
    return sorted(chosen)
