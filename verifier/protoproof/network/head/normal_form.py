"""A value of the output, brought into the normal form: the head that the prover reasons about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head import decisions
from protoproof.network.head.chain import Chain, Step
from protoproof.network.head.features import Features, features, measured_range
from protoproof.network.head.head import Head
from protoproof.network.head.layout import Shape
from protoproof.network.head.pooling import Pooling
from protoproof.network.head.refusal import NotRecognisedError, ProductsError
from protoproof.network.head.symbols import Value
from protoproof.network.head.tables import Tables

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cut:
    """One latent tensor; ``sites`` [L, D]: the flat indices of every location's elements."""

    tensor: str
    shape: Shape
    sites: Index

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns where locations lie along two axes of the tensor, else one row."""
        count = len(self.sites)
        place = np.unravel_index(self.sites[:, 0], self.shape)
        sizes = [len(np.unique(axis)) for axis in place]
        varied = [size for size in sizes if size > 1]
        if len(varied) == 2 and varied[0] * varied[1] == count:
            return varied[0], varied[1]
        return 1, count


@dataclass(frozen=True, eq=False)
class Form:
    """A head with the cuts that its latent is read from, one after the other.

    ``trivial``: every score is one pooled value (or its negative) by itself. ``ratio``: the
    output's scores are the head's over a positive number that all of them share.
    """

    head: Head
    cuts: tuple[Cut, ...]
    trivial: bool
    ratio: bool


def normal_form(tables: Tables, value: Value, cuts: Mapping[str, Shape], labels: bool) -> Form:
    """The head of an output's value.

    Raises:
        NotRecognisedError: what the output would have needed to be one.
    """
    seen = decisions.found(tables, value)
    found = features(tables, seen.atoms)
    tree = seen.tree is not None
    chain, rising = _falling(found, decisions.turned(seen), tree)
    banks, banked = _banks(tables, found, cuts)
    location_bank = np.concatenate([np.full(len(c.sites), b) for c, b in banks])
    grid = banks[0][0].grid if len(banks) == 1 else (1, len(location_bank))
    nearest = all(kind == "nearest" for kind in found.kinds)
    try:
        head = Head(
            geometry=found.geometry,
            prototypes=found.prototypes,
            chain=chain,
            decision=decisions.decision(seen, rising, labels),
            grid=grid,
            scales=found.scales,
            inner=None if nearest else found.inner,
            pooling=Pooling(found.kinds, found.counts),  # type: ignore[arg-type]
            location_bank=location_bank,
            prototype_bank=np.array(banked),
            epsilon=found.epsilon,
            added=found.added,
        )
    except InternalError as error:
        raise NotRecognisedError(str(error)) from error
    return Form(head, tuple(cut for cut, _ in banks), seen.trivial, seen.ratio)


def _falling(
    found: Features, turn: NDArray[np.float64], tree: bool
) -> tuple[Chain, NDArray[np.bool_]]:
    """The chain with activations that fall with what is measured, and which were turned round.

    ``turn``: -1 where the decision is about the negative anyway.
    """
    chain = found.chain
    count = len(found.prototypes)
    rises = np.broadcast_to(_direction(found) > 0, count) ^ (turn < 0)
    sign = np.where(rises, -1.0, 1.0) * turn
    steps = list(chain.steps)
    if (sign < 0).any():
        steps = _times(steps, sign)
        if tree:
            steps.append(Step("add", np.where(sign < 0, 1.0, 0.0)))
    return Chain(tuple(steps)), rises


def _times(steps: list[Step], sign: NDArray[np.float64]) -> list[Step]:
    """One more factor of 1 or -1, joined with the last one."""
    if steps and steps[-1].name == "mul" and steps[-1].constant is not None:
        last = np.broadcast_to(steps[-1].constant, sign.shape) * sign
        return steps[:-1] if (last == 1).all() else [*steps[:-1], Step("mul", last)]
    return [*steps, Step("mul", sign)]


def _direction(found: Features) -> NDArray[np.int8]:
    """Whether activations rise (1) or fall (-1) with the least measurement (0: neither).

    Raises:
        NotRecognisedError: neither; the function that does neither is named.
    """
    count = len(found.prototypes)
    low, high = measured_range(found)
    nearest = np.array([kind == "nearest" for kind in found.kinds])
    inner = found.inner.over(low, high)
    chain = found.chain.over(low, high)
    if not nearest.all():
        least = np.where(nearest, low, np.broadcast_to(inner.infimum, count))
        most = np.where(nearest, high, np.broadcast_to(inner.supremum, count))
        chain = found.chain.over(least, most)
    for part in (inner, chain):
        if part.broken is not None:
            kind = ProductsError if found.geometry == "linear" else NotRecognisedError
            raise kind(f"'{part.broken}' neither rises nor falls over its arguments")
    # other poolings keep their sign: no measurement is the nearest one there
    return np.where(nearest, np.broadcast_to(chain.direction, count), 0)


def _banks(
    tables: Tables, found: Features, cuts: Mapping[str, Shape]
) -> tuple[list[tuple[Cut, int]], list[int]]:
    """The sets of locations that are pooled together, in order, and each feature's.

    Raises:
        NotRecognisedError: sets that overlap, or a site of two latents.
    """
    space = tables.spaces[found.size]
    starts, first = {}, 0
    for name, shape in cuts.items():
        starts[name] = (first, first + math.prod(shape))
        first += math.prod(shape)
    made = []
    for number in dict.fromkeys(found.site_sets):
        sites = np.array([space.elements(site) for site in tables.site_sets[number]])
        sites = sites[np.lexsort(sites.T[::-1])]
        owner = [
            n for n, (low, high) in starts.items() if low <= sites.min() and sites.max() < high
        ]
        if not owner:
            raise NotRecognisedError("locations that are made of two latents")
        made.append((sites, owner[0], number))
    made.sort(key=lambda one: tuple(one[0][0].tolist()))
    if len(made) > 1 and _overlapping(made):
        raise NotRecognisedError(f"{len(made)} different sets of locations that overlap")
    banks = [
        (Cut(name, cuts[name], sites - starts[name][0]), place)
        for place, (sites, name, _) in enumerate(made)
    ]
    place_of = {number: place for place, (_, _, number) in enumerate(made)}
    return banks, [place_of[number] for number in found.site_sets]


def _overlapping(made: list[tuple[Index, str, int]]) -> bool:
    """Whether one site belongs to two sets."""
    seen: set[bytes] = set()
    for sites, _, _ in made:
        keys = {row.tobytes() for row in np.ascontiguousarray(sites)}
        if seen & keys:
            return True
        seen |= keys
    return False
