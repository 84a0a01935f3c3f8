"""Which tiles of an input have to stay for its class to hold, whatever the rest shows in a region.

An abductive explanation over pixels. Freeing a tile costs every margin at most what a linear form
below the margins says (see ``sketch``), and a form that holds over a box holds over every smaller
one. So one propagation over too large a box still says which of its tiles can be freed together:
those whose costs fit into the margins. Rounds of that, from all tiles at once down to single ones,
need some tens of propagations where deciding tile by tile needs one for each.

Nothing is proved here. A tile that stays is necessary if some input, which differs from the one
explained only in that tile and in freed ones, is predicted otherwise: such inputs are searched by
gradients, for many tiles at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from protoproof.network import Network
from protoproof.region.bounds.attack import Counterexample, margins, replay
from protoproof.region.bounds.sketch import Sketch, Under
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.region import InputBox

_SPARE = 1e-3  # relative to the margin at the input: what a proof in float64 may need
_CHEAP = 0.1  # of a margin, for all tiles together
_PATIENCE = 3  # single tiles that cannot be freed, one after another, before the search ends
_STEPS, _AT_ONCE = 20, 64  # of the search by gradients
Flags = NDArray[np.bool_]  # per tile


@dataclass(eq=False)
class Keeping:
    """One search.

    Attributes:
        region: the tiles, the input, and how far the rest may move.
        propagations: how many boxes were bounded so far.
        necessary: per tile that is shown to be, the input that shows it, and the class there.
    """

    network: Network
    region: Kept
    predicted: int
    deadline: float
    propagations: int = 0
    necessary: dict[int, tuple[NDArray[np.float32], int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sketch = Sketch(self.network, self.predicted)
        everything = self.region.keeping(())
        (box,) = everything.cover()
        self.lower, self.upper = box.lower, box.upper
        self.x = self.region.centre.astype(np.float64)
        self.tiles = self.region.tiles
        self.apart = np.random.default_rng(0).permutation(self.region.count)

    def run(self) -> Flags:
        """The tiles that can be freed together, as far as float32 bounds say."""
        free = np.zeros(self.region.count, dtype=bool)
        under = self._over(free)
        if not under.least(self.x.ravel(), self.x.ravel()).min() > 0:
            return free
        spare = _SPARE * under.least(self.x.ravel(), self.x.ravel())
        stuck, failed, step = free.copy(), 0, len(free)
        while time.perf_counter() < self.deadline and failed < _PATIENCE:
            costs, here = self._costs(under)
            scores = (costs / np.maximum(here, 1e-9)[:, None]).max(axis=0)
            rest = np.flatnonzero(~free & ~stuck)
            if not len(rest):
                break
            # what costs next to nothing counts alike: freed tiles that lie apart move every unit
            # less than as many side by side, which is what costs when many are freed
            alike = np.maximum(scores[rest], _CHEAP / len(free))
            some = rest[np.lexsort((self.apart[rest], alike))][:step]
            tried = free.copy()
            tried[some] = True
            found = self._over(tried)
            fitting = self._fitting(found, tried, spare)
            if fitting.sum() > free.sum():
                whole = bool(fitting[some].all())
                step = min(len(free), 2 * step) if whole else max(1, step // 2)
                free, failed = fitting, 0
                under = found if whole else self._over(free)
            elif len(some) == 1:
                stuck[some], failed = True, failed + 1
            else:
                step = max(1, len(some) // 2)
        return free

    def _fitting(self, under: Under, tried: Flags, spare: NDArray[np.float64]) -> Flags:
        """The most of the tried tiles whose costs fit into all margins together."""
        costs, here = self._costs(under)
        left = here - spare
        if not left.min() > 0:
            return np.zeros_like(tried)
        which = np.flatnonzero(tried)
        order = which[np.argsort((costs[:, which] / left[:, None]).max(axis=0), kind="stable")]
        fits = (np.cumsum(costs[:, order], axis=1) <= left[:, None]).all(axis=0)
        freed = np.zeros_like(tried)
        freed[order[: len(order) if fits.all() else int(np.argmin(fits))]] = True
        return freed

    def sensitivity(self) -> NDArray[np.float64]:
        """What freeing each tile alone costs, next to the margin that it costs most of."""
        costs, here = self._costs(self._over(np.zeros(self.region.count, dtype=bool)))
        return np.asarray((costs / np.maximum(here, 1e-9)[:, None]).max(axis=0))

    def proves(self, free: Flags) -> bool:
        """Whether float32 bounds say that the class holds whatever the freed tiles show."""
        moves = free[self.tiles].ravel()
        x, lower, upper = self.x.ravel(), self.lower.ravel(), self.upper.ravel()
        least = self._over(free).least(np.where(moves, lower, x), np.where(moves, upper, x))
        return bool(least.min() > 0)

    def forms(self, free: Flags) -> NDArray[np.float64]:
        """Per rival the form of the latent by which its margin is bounded, [rival, L, D]."""
        return self._over(free).form

    def fewer(self, free: Flags, share: float) -> Flags:
        """So much of the freed tiles, the cheapest."""
        costs, here = self._costs(self._over(free))
        which = np.flatnonzero(free)
        scores = (costs / np.maximum(here, 1e-9)[:, None]).max(axis=0)[which]
        less = np.zeros_like(free)
        less[which[np.argsort(scores, kind="stable")][: int(share * len(which))]] = True
        return less

    def _over(self, free: Flags) -> Under:
        self.propagations += 1
        moves = free[self.tiles]
        return self.sketch.over(
            np.where(moves, self.lower, self.x), np.where(moves, self.upper, self.x)
        )

    def _costs(self, under: Under) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What every tile costs each margin, and the margins' bounds at the input itself."""
        x = self.x.ravel()
        each = under.costs(x, self.lower.ravel(), self.upper.ravel())
        costs = np.stack(
            [np.bincount(self.tiles.ravel(), row, minlength=self.region.count) for row in each]
        ).astype(np.float64)
        return costs, under.least(x, x)

    def show(self, free: Flags, which: NDArray[np.int64]) -> None:
        """Search, for each of some kept tiles, an input that shows that it is necessary, until the
        time is up."""
        for start in range(0, len(which), _AT_ONCE):
            if time.perf_counter() >= self.deadline:
                return
            some = which[start : start + _AT_ONCE]
            for tile, x in zip(some.tolist(), self._descended(free, some), strict=True):
                point = InputBox(x.astype(np.float64), x.astype(np.float64))
                found = replay(self.network, x, point, self.predicted)
                if isinstance(found, Counterexample):
                    self.necessary[tile] = found.x, found.observation.predicted

    def _descended(self, free: Flags, some: NDArray[np.int64]) -> NDArray[np.float32]:
        """Per tile, the input with the least margin that gradients lead to."""
        moves = np.stack([(free | (np.arange(len(free)) == k))[self.tiles] for k in some])
        lower, upper = self.region.keeping(()).float32_ends()
        centre = self.region.centre
        low, high = (torch.from_numpy(np.where(moves, e, centre)) for e in (lower, upper))
        x = torch.from_numpy(np.repeat(centre[None], len(some), axis=0))
        best, found = torch.full((len(some),), torch.inf), x.clone()
        encoder = self.network.encoder
        for step in range(_STEPS):
            x = x.detach().requires_grad_()
            value = margins(self.network, encoder(x), self.predicted)
            better = value.detach() < best
            best = torch.where(better, value.detach(), best)
            found = torch.where(better[:, None, None, None], x.detach(), found)
            (gradient,) = torch.autograd.grad(value.sum(), x)
            share = 1.0 if not step else 0.5 * 0.85**step
            x = torch.clamp(x - share * (high - low) * gradient.sign(), low, high)
        return np.asarray(found.numpy(), dtype=np.float32)
