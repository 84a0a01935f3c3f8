"""Replaying a witness in float64, with bounds of its error: says yes, or that it does not know.

Most witnesses hold with far more to spare than rounding takes. For latents that nothing bounds,
this says so without a single long integer; where it does not know, the exact replay decides.

A location that keeps prototypes goes to z = v - 2 (u.g / |u|^2) u with g = v - p for a kept p, and
u the part of its direction that is orthogonal to the differences R of the kept prototypes. Let u be
computed, and e its error. Across the span of R, u differs from the direction by rounding alone; in
it, e has length |R u| / s at most, with s the least singular value of R. The reflection
f(u) = 2 (u.g) u / |u|^2 has slope at most 8 |g| / |u|, so z is wrong by 9 |g| |e| / |u| at most
(with |e| < |u| / 1000) and rounding, and |z - p_j|^2 by 2 |z - p_j| times that, its square and the
rounding of the expanded product, (D + 8) (|z| + |p_j|)^2 units (N. J. Higham, "Accuracy and
Stability of Numerical Algorithms", 2002, section 3). Distances to kept prototypes are what they
were, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.replay import Move, Replay

Vector = Float[NDArray[np.float64], " channel"]
Table = Float[NDArray[np.float64], "move prototype"]

# Units of rounding, with a factor of four to spare everywhere.
_UNIT = 4 * 2.0**-53
# What the float64 value of a similarity may be wrong by, relative to the largest, generously.
_VALUE = 1e-11


class NearReplay:
    """The recorded latent of one instance of a plain, uniform head over latents without bounds."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._norms = (instance.head.prototypes**2).sum(axis=1)

    def survives(self, kept: Iterable[Fact], rival: int, moves: Sequence[Move]) -> bool:
        """Whether the moved latent certainly meets ``kept``, facts that hold at the instance, and
        loses against ``rival``."""
        ends = self._measured(moves)
        if ends is None:
            return False
        low, high = ends
        where = {move.location: row for row, move in enumerate(moves)}
        still = np.array(
            [k for k in range(len(self._instance.latent)) if k not in where], dtype=int
        )
        return all(self._holds(fact, moves, where, low) for fact in kept) and self._loses(
            rival, still, low, high
        )

    def _measured(self, moves: Sequence[Move]) -> tuple[Table, Table] | None:
        """Ends of the squared distances of all moved locations; those of kept prototypes are what
        float64 makes of the recorded ones."""
        prototypes = self._instance.head.prototypes
        found = [self._point(move) for move in moves]
        points = [one for one in found if one is not None]
        if not points or len(points) < len(found):
            return None
        z, wrong = np.stack([point for point, _ in points]), np.array([[e] for _, e in points])
        own = (z**2).sum(axis=1)[:, None]
        middle = np.maximum(own - 2.0 * z @ prototypes.T + self._norms, 0.0)
        size = (np.sqrt(own) + np.sqrt(self._norms)) ** 2
        error = (z.shape[1] + 8) * _UNIT * size
        error += 2.0 * np.sqrt(middle + error) * wrong + wrong**2
        for row, move in enumerate(moves):
            keep = list(move.keep)
            middle[row, keep] = self._instance.measurement[move.location, keep]
        return np.maximum(middle - error, 0.0), middle + error

    def _point(self, move: Move) -> tuple[Vector, float] | None:
        """Where a move leads, and how far off that is at most; None where it is not known."""
        here = self._instance.latent[move.location]
        u = move.direction.astype(np.float64)
        if not move.keep:
            point = here + u
            return point, _UNIT * float(np.linalg.norm(point))
        kept = self._instance.head.prototypes[list(move.keep)]
        length = float(np.linalg.norm(u))
        error = _UNIT * length
        if len(kept) > 1:
            rows = kept[1:] - kept[0]
            values = np.linalg.svd(rows, compute_uv=False)
            if len(rows) > rows.shape[1] or not values[-1] > 1e-6 * values[0]:
                return None
            weights = np.linalg.lstsq(rows.T, u, rcond=None)[0]
            u = u - weights @ rows
            terms = length + float(np.abs(weights) @ np.linalg.norm(rows, axis=1))
            error = (len(here) + len(rows) + 8) * _UNIT * terms
            error += float(np.linalg.norm(rows @ u) + error * values[0]) / float(values[-1])
        size = float(np.linalg.norm(u))
        if not error < 1e-3 * size:
            return None
        away = here - kept[0]
        point = here - 2.0 * (u @ away) / size**2 * u
        span = float(np.linalg.norm(away))
        rounding = (len(here) + 8) * _UNIT * (float(np.linalg.norm(here)) + 4.0 * span)
        return point, 9.0 * span * error / size + rounding

    def _holds(self, fact: Fact, moves: Sequence[Move], where: dict[int, int], low: Table) -> bool:
        """Whether a fact that holds at the instance certainly holds at the moved latent."""
        match fact:
            case PairFact(location, prototype):
                row = where.get(location)
                return row is None or prototype in moves[row].keep
            case ActivationFact(prototype, lower, _):
                seen = int(np.argmin(self._instance.measurement[:, prototype]))
                row = where.get(seen)
                attained = row is None or prototype in moves[row].keep
                return attained and bool(
                    all(
                        low[row, prototype] >= lower or prototype in move.keep
                        for row, move in enumerate(moves)
                    )
                )
            case CeilingFact(bound, exempt):
                under = low >= bound
                under[:, list(exempt)] = True
                for row, move in enumerate(moves):
                    under[row, list(move.keep)] = True
                return bool(under.all())

    def _loses(self, rival: int, still: NDArray[np.intp], low: Table, high: Table) -> bool:
        instance = self._instance
        weight, bias = instance.head.weight, instance.head.bias
        weights = weight[instance.predicted] - weight[rival]
        columns = np.flatnonzero(weights)
        weights = weights[columns]
        seen = instance.measurement[np.ix_(still, columns)]
        unit = (instance.latent.shape[1] + 8) * _UNIT * (1.0 + seen)
        least = np.vstack([seen - unit, low[:, columns]]).min(axis=0)
        most = np.vstack([seen + unit, high[:, columns]]).min(axis=0)
        top = instance.similarity(np.maximum(least, 0.0), columns)
        bottom = instance.similarity(most, columns)
        worth = np.where(weights > 0, weights * top, weights * bottom)
        scale = 1.0 + np.abs(weights) @ np.maximum(np.abs(top), np.abs(bottom))
        offset = float(bias[instance.predicted]) - float(bias[rival])
        margin = float(worth.sum()) + offset + _VALUE * (scale + abs(offset))
        return bool(margin < 0)


class NearFirst:
    """The exact replay, asked only where float64 with bounds of its error does not know."""

    def __init__(self, instance: Instance, domain: Domain) -> None:
        self._instance, self._domain = instance, domain
        self._near = NearReplay(instance)

    @cached_property
    def _exact(self) -> Replay:
        return Replay(self._instance, self._domain)

    def survives(
        self, facts: FactSet, dropped: Fact | None, rival: int, moves: Sequence[Move]
    ) -> bool:
        """See :meth:`.replay.Replay.survives`."""
        if len({move.location for move in moves}) != len(moves):
            return False
        kept = [fact for fact in facts if fact != dropped]
        return self._near.survives(kept, rival, moves) or self._exact.survives(
            facts, dropped, rival, moves
        )

    def predicts(self, class_: int, moves: Sequence[Move]) -> bool:
        """See :meth:`.replay.Replay.predicts`."""
        return self._exact.predicts(class_, moves)

    def broken(self, facts: Iterable[Fact], moves: Sequence[Move]) -> list[Fact]:
        """See :meth:`.replay.Replay.broken`."""
        return self._exact.broken(facts, moves)
