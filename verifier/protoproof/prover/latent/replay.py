"""Replaying a witness exactly, before anybody else sees it.

The search for witnesses works in float64; here its result becomes a latent in rationals, every
fact is compared with it, and the margin's sign is decided in ball arithmetic. One witness that
does not hold would spoil a whole certificate, so only what survives this is handed on.

Reflecting v at the sphere of the kept prototypes, z = v + t d with |d| orthogonal to their
differences and t = -2 s / n, s = d.(v - c), n = |d|^2, gives for *every* prototype

    |z - p|^2  =  |v - p|^2 - 2 t d.(p - c)  =  (|v - p|^2 n + 4 s d.(p - c)) / n,

which is |v - p|^2 where d.(p - c) = 0, that is for the kept ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from flint import arb, ctx, fmpz_mat
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.exact import (
    chain_ball,
    exact_head,
    integers,
    ordered,
    orthogonal,
)
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.membership import Membership

# Bits of the balls, tried in this order until the margin's sign is certain.
_PRECISIONS = (96, 192, 384)


@dataclass(frozen=True, eq=False)
class Move:
    """Where one location goes; see :class:`protoproof.certificate.schema.Move`.

    ``direction`` [D] is float32. With ``keep`` empty the location goes to v + direction, otherwise
    to the reflection of v along the direction's part that no kept distance feels.
    """

    location: int
    keep: tuple[int, ...]
    direction: Float[NDArray[np.float32], " channel"]


@dataclass
class _Row:
    """One moved location, ``point / scale``: is it in the domain, and how far is it from what.

    q_j = ``numerators[j] / denominator`` for the prototypes asked for so far; ``measure`` gives
    the numerators of others.
    """

    denominator: int
    inside: bool
    point: list[int]
    scale: int
    measure: Callable[[list[int]], Iterable[int]]
    numerators: dict[int, int] = field(default_factory=dict)

    def require(self, prototypes: Iterable[int]) -> None:
        """Make the numerators of some prototypes known."""
        missing = [j for j in prototypes if j not in self.numerators]
        if missing:
            self.numerators.update(zip(missing, self.measure(missing), strict=True))


# per prototype, the least q_lj over all locations, as a fraction that is not reduced
_Best = dict[int, tuple[int, int]]


class Replay:
    """The recorded latent of one instance in exact arithmetic, ready to be moved.

    Distances are worked out for the prototypes that a question is about: those of its facts, and
    those whose weights the compared classes do not share. Of a large head these are few.
    """

    def __init__(self, instance: Instance, domain: Domain) -> None:
        self._instance = instance
        self._membership = Membership(domain, *instance.latent.shape)
        self._head = exact_head(instance.head)
        own, shift = integers(instance.latent)
        self._shift = max(shift, self._head.shift)
        self._latent = [[n << (self._shift - shift) for n in row] for row in own]
        self._matrix = fmpz_mat(self._latent)
        self._squares = [sum(n * n for n in z) for z in self._latent]
        self._rows: dict[tuple[int, tuple[int, ...], bytes], _Row | None] = {}
        # per prototype that was asked for: q_lj of all locations, and the locations by distance
        self._measurement: dict[int, list[int]] = {}
        self._nearest: dict[int, list[int]] = {}
        self._unit = 1 << (2 * self._shift)

    def survives(
        self, facts: FactSet, dropped: Fact | None, rival: int, moves: Sequence[Move]
    ) -> bool:
        """Whether the moved latent is in the domain, meets ``facts`` less ``dropped``, and loses.

        Everything but the margin's sign is compared as rationals; a sign that is not certain
        counts as not losing. A construction that makes no sense counts as not surviving.
        """
        if len({move.location for move in moves}) != len(moves):
            return False
        rows: dict[int, _Row] = {}
        for move in moves:
            row = self._row(move)
            if row is None or not row.inside:
                return False
            rows[move.location] = row
        points = {location: (row.point, row.scale) for location, row in rows.items()}
        if not self._membership.jointly(self._latent, 1 << self._shift, points):
            return False
        kept = [fact for fact in facts if fact != dropped]
        predicted = self._instance.predicted
        best = self._best(rows, self._named(kept) | self._weighed(rival, predicted))
        self._know_pairs(kept, rows)
        met = all(self._holds(fact, rows, best) for fact in kept)
        return met and self._beats(rival, predicted, best)

    def predicts(self, class_: int, moves: Sequence[Move]) -> bool:
        """Whether the moved latent certainly has ``class_`` ahead of every other class."""
        others = [k for k in range(len(self._instance.head.weight)) if k != class_]
        weighed = set().union(*(self._weighed(class_, k) for k in others))
        best = self._best(self._moved(moves), weighed)
        return all(self._beats(class_, k, best) for k in others)

    def broken(self, facts: Iterable[Fact], moves: Sequence[Move]) -> list[Fact]:
        """The facts that the moved latent violates, compared exactly.

        Raises:
            InternalError: the moves make no sense (:meth:`survives` is asked first).
        """
        rows, listed = self._moved(moves), list(facts)
        best = self._best(rows, self._named(listed))
        self._know_pairs(listed, rows)
        return [fact for fact in listed if not self._holds(fact, rows, best)]

    def _moved(self, moves: Sequence[Move]) -> dict[int, _Row]:
        rows: dict[int, _Row] = {}
        for move in moves:
            row = self._row(move)
            if row is None:
                raise InternalError(f"the move of location {move.location} leads nowhere")
            rows[move.location] = row
        return rows

    def _row(self, move: Move) -> _Row | None:
        key = move.location, move.keep, move.direction.tobytes()
        if key not in self._rows:
            self._rows[key] = self._reflected(move) if move.keep else self._shifted(move)
        return self._rows[key]

    def _shifted(self, move: Move) -> _Row:
        own, shift = integers(move.direction[None].astype(np.float64))
        total = max(shift, self._shift)
        up, down = total - self._shift, total - self._head.shift
        along = [n << (total - shift) for n in own[0]]
        point = [(n << up) + d for n, d in zip(self._latent[move.location], along, strict=True)]
        square = sum(n * n for n in point)
        matrix = fmpz_mat([point])

        def measure(prototypes: list[int]) -> Iterable[int]:
            (dots,) = self._head.products(matrix, prototypes)
            for j, dot in zip(prototypes, dots, strict=True):
                yield square - (dot << (down + 1)) + (self._head.norm(j) << (2 * down))

        inside = self._membership.inside(move.location, point, 1 << total)
        return _Row(1 << (2 * total), inside, point, 1 << total, measure)

    def _reflected(self, move: Move) -> _Row | None:
        here = self._latent[move.location]
        along = orthogonal(self._head.rows(move.keep), integers(move.direction[None])[0][0])
        if along is None:
            return None
        square = sum(d * d for d in along)
        if not square:
            return None
        # over 2**shift of the latent: d.p_j, then s = d.(v - c)
        up, matrix = self._shift - self._head.shift, fmpz_mat([along])
        centre = self._head.products(matrix, move.keep[:1])[0][0] << up
        product = sum(d * n for d, n in zip(along, here, strict=True)) - centre

        def measure(prototypes: list[int]) -> Iterable[int]:
            self._know(prototypes)
            (dots,) = self._head.products(matrix, prototypes)
            for j, dot in zip(prototypes, dots, strict=True):
                measured = self._measurement[j][move.location]
                yield measured * square + 4 * product * ((dot << up) - centre)

        point = [n * square - 2 * product * d for n, d in zip(here, along, strict=True)]
        scale = square << self._shift
        inside = self._membership.inside(move.location, point, scale)
        return _Row(square * self._unit, inside, point, scale, measure)

    def _know(self, prototypes: Iterable[int]) -> None:
        """Measure the recorded latent against some prototypes, at all locations."""
        missing = [j for j in prototypes if j not in self._measurement]
        if not missing:
            return
        up, locations = self._shift - self._head.shift, range(len(self._latent))
        columns = zip(*self._head.products(self._matrix, missing), strict=True)
        for j, dots in zip(missing, columns, strict=True):
            norm = self._head.norm(j) << (2 * up)
            measured = self._measurement[j] = [
                own - (dot << (up + 1)) + norm for own, dot in zip(self._squares, dots, strict=True)
            ]
            self._nearest[j] = sorted(locations, key=measured.__getitem__)

    def _know_pairs(self, facts: Iterable[Fact], rows: dict[int, _Row]) -> None:
        """Measure what pair facts are about."""
        still: set[int] = set()
        moved: defaultdict[int, set[int]] = defaultdict(set)
        for fact in facts:
            if isinstance(fact, PairFact):
                (moved[fact.location] if fact.location in rows else still).add(fact.prototype)
        self._know(sorted(still))
        for location, prototypes in moved.items():
            rows[location].require(sorted(prototypes))

    def _named(self, facts: Iterable[Fact]) -> set[int]:
        """The prototypes whose nearest distance facts are about."""
        named: set[int] = set()
        for fact in facts:
            if isinstance(fact, ActivationFact):
                named.add(fact.prototype)
            elif isinstance(fact, CeilingFact):
                named |= set(range(self._head.count)) - set(fact.exempt)
        return named

    def _weighed(self, first: int, second: int) -> set[int]:
        """The prototypes whose weights two classes do not share."""
        weight = self._instance.head.weight
        return set(np.flatnonzero(weight[first] != weight[second]).tolist())

    def _best(self, rows: dict[int, _Row], prototypes: Iterable[int]) -> _Best:
        """The nearest distance to some prototypes."""
        wanted = sorted(prototypes)
        self._know(wanted)
        for row in rows.values():
            row.require(wanted)
        result: _Best = {}
        for j in wanted:
            least, unit = 1, 0  # infinite
            for location in self._nearest[j]:
                if location not in rows:
                    least, unit = self._measurement[j][location], self._unit
                    break
            for row in rows.values():
                if row.numerators[j] * unit < least * row.denominator:
                    least, unit = row.numerators[j], row.denominator
            result[j] = least, unit
        return result

    def _holds(self, fact: Fact, rows: dict[int, _Row], best: _Best) -> bool:
        match fact:
            case CeilingFact(bound, exempt):
                free = set(exempt)
                named = (j for j in range(self._head.count) if j not in free)
                return all(ordered(bound, best[j], None) for j in named)
            case ActivationFact(prototype, lower, upper):
                return ordered(lower, best[prototype], upper)
            case PairFact(location, prototype, lower, upper):
                row = rows.get(location)
                if row is not None:
                    value = row.numerators[prototype], row.denominator
                else:
                    value = self._measurement[prototype][location], self._unit
                return ordered(lower, value, upper)

    def _beats(self, winner: int, loser: int, best: _Best) -> bool:
        """Whether the logit of ``winner`` is certainly above that of ``loser``."""
        head = self._instance.head
        weights = [
            (j, float(head.weight[winner, j]), float(head.weight[loser, j]))
            for j in sorted(self._weighed(winner, loser))
        ]
        for precision in _PRECISIONS:
            with ctx.workprec(precision):
                total = arb(float(head.bias[winner])) - arb(float(head.bias[loser]))
                for j, own, other in weights:
                    numerator, denominator = best[j]
                    q = arb(numerator) / arb(denominator)
                    activation = chain_ball(self._instance.exact.chain, j, q)
                    total += (arb(own) - arb(other)) * activation
                if total > 0:  # true only where every number of the ball is positive
                    return True
                if total <= 0:
                    return False
        return False
