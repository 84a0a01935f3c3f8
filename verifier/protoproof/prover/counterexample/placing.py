"""A point for every location that may move, chosen together: heads that take the nearest one.

Over a grid a margin is a matter of coverage: every prototype counts with the location that sees it
best, so what speaks for a rival needs one location each, and the others had better see nothing that
speaks for the prediction. Gradients see only what is seen best already; here whole points are
chosen:

    stock = per prototype, the last admissible point on lines towards it; what sees little
    location after location: the point of the stock that takes most off the margin

A point is admissible where it respects all limits by itself, so every choice of points does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.counterexample.gradient import measured
from protoproof.prover.counterexample.regions import Region
from protoproof.prover.latent.instance import Instance

Points = Float[NDArray[np.float64], "point channel"]
Limits = tuple[NDArray[np.float64], NDArray[np.float64]]

# Prototypes that are aimed at, halvings on the way to each, rounds over the locations, locations
# that keep something.
_AIMS, _HALVINGS, _ROUNDS, _BOUND = 48, 8, 2, 4
# How far inside the limits points stay.
_SPARE = 1e-6


class Stock(NamedTuple):
    """Admissible points, and their similarities to all prototypes (of other banks: minus
    infinity)."""

    points: Points
    similar: Float[NDArray[np.float64], "point prototype"]


@dataclass(frozen=True, eq=False)
class Placing:
    """Chooses points for the locations of an instance.

    ``regions``: per location, where it may go (None: it stays); ``kept``: the prototypes whose
    measurements it keeps; ``limits``: the least measurement and the greatest activation of each
    prototype.
    """

    instance: Instance
    regions: list[Region | None]
    kept: list[list[int]]
    limits: Limits

    @cached_property
    def places(self) -> list[int]:
        """The locations to move: those that keep nothing, and a few that keep least.

        None where a head takes more than the nearest location.
        """
        if not self.instance.head.all_nearest:
            return []
        able = [place for place, region in enumerate(self.regions) if region is not None]
        free = [place for place in able if not self.kept[place]]
        bound = sorted((len(self.kept[place]), place) for place in able if self.kept[place])
        return sorted([*free, *(place for _, place in bound[:_BOUND])])

    def placed(self, rows: Sequence[int], aims: Points) -> list[NDArray[np.float64]]:
        """Per row, the latent that comes closest to losing by that margin.

        Args:
            aims: points to go to besides the prototypes that matter most to the margins.
        """
        head = self.instance.head
        weights = np.abs(self.instance.margin_weights[list(rows)]).max(axis=0)
        towards = head.prototypes[np.argsort(-weights, kind="stable")[:_AIMS]]
        far = 3.0 if head.geometry in ("linear", "angular") else 1.0
        aims = np.vstack([far * towards, aims])
        like = {self._key(place): place for place in reversed(self.places)}
        stocks = {key: self._stock(place, aims) for key, place in like.items()}
        return [self._chosen(row, stocks) for row in rows]

    def _chosen(self, row: int, stocks: dict[tuple[int, int], Stock]) -> NDArray[np.float64]:
        """Location after location, the point that takes most off one margin."""
        instance, places = self.instance, self.places
        activation = self._activation(instance.measurement)
        best = activation.copy()
        chosen: dict[int, NDArray[np.float64]] = {}
        best[places] = -np.inf
        for _ in range(_ROUNDS):
            for place in places:
                points, similar = stocks[self._key(place)]
                points = np.vstack([points, instance.latent[place][None]])
                similar = np.vstack([similar, activation[place][None]])
                best[place] = -np.inf
                trial = np.maximum(best.max(axis=0), similar)
                # what nothing sees yet is seen as little as by this point
                margins = self._margin(row, np.where(np.isfinite(trial), trial, 0.0))
                index = int(np.argmin(margins))
                chosen[place], best[place] = points[index], similar[index]
        latent = instance.latent.copy()
        for place, point in chosen.items():
            latent[place] = point
        return latent

    def _margin(self, row: int, activation: NDArray[np.float64]) -> NDArray[np.float64]:
        atoms = self.instance.atoms
        if atoms.linear:  # the other margins cost more than this one
            return np.asarray(activation @ atoms.weights[row])
        return np.asarray(atoms.margins(activation)[:, row])

    def _key(self, place: int) -> tuple[int, int]:
        """Locations of a bank that keep nothing share one stock."""
        return self._bank(place), place if self.kept[place] else -1

    def _bank(self, place: int) -> int:
        banks = self.instance.head.location_bank
        return 0 if banks is None else int(banks[place])

    def _stock(self, place: int, aims: Points) -> Stock:
        """Admissible points of a location, or of all like it, and the similarities they have."""
        bank, region, kept = self._bank(place), self.regions[place], self.kept[place]
        like = [place] if kept else [k for k in self.places if self._key(k) == self._key(place)]
        homes = self.instance.latent[like]
        end = homes[:0] if region is None else region.onto(aims)
        known = np.vstack([homes, end])
        starts = known[self._admissible(known, bank, kept)]
        if region is None or not len(starts):
            return Stock(homes[:0], np.zeros((0, self.instance.measurement.shape[1])))
        seen = self._similar(starts, bank)
        weak = starts[[int(np.argmin(np.where(np.isfinite(seen), seen, 0.0).sum(axis=1)))]]
        begin = np.repeat(weak, len(aims), axis=0)
        low, high = np.zeros((len(aims), 1)), np.ones((len(aims), 1))
        reached = self._admissible(end, bank, kept)[:, None]
        low = np.where(reached, 1.0, low)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            middles = region.onto(begin + middle * (end - begin))
            good = self._admissible(middles, bank, kept)[:, None]
            low, high = np.where(good, middle, low), np.where(good, high, middle)
        points = region.onto(begin + low * (end - begin))
        points = np.vstack([points[self._admissible(points, bank, kept)], starts])
        return Stock(points, self._similar(points, bank))

    def _measured(self, points: Points, bank: int) -> NDArray[np.float64]:
        head = self.instance.head
        table = measured(head, points)
        if head.mask is None or head.prototype_bank is None:
            return table
        return np.where(head.prototype_bank == bank, table, np.inf)

    def _similar(self, points: Points, bank: int) -> NDArray[np.float64]:
        return self._activation(self._measured(points, bank))

    def _activation(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """The similarities of measurements; minus infinity where nothing is measured."""
        head, inside = self.instance.head, np.isfinite(table)
        similar = head.chain.value(np.where(inside, table, np.clip(0.0, *head.range)))
        return np.where(inside, similar, -np.inf)

    def _admissible(self, points: Points, bank: int, kept: list[int]) -> NDArray[np.bool_]:
        """Which points break no limit by themselves; what is kept breaks none."""
        table, (least, most) = self._measured(points, bank), self.limits
        spare = _SPARE * (1.0 + np.abs(np.where(np.isfinite(least), least, 0.0)))
        good = (table >= least + spare) & (self._similar(points, bank) <= most - _SPARE)
        good[:, kept] = True
        return np.asarray(good.all(axis=1))
