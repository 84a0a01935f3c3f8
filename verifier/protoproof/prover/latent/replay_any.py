"""Replaying a witness exactly, for heads of every kind: moves, facts and margins in numbers.

A number is a fraction where everything rational keeps it one, else a ball of many bits. What is not
certain counts against the witness. Moves are those of the certificate's format: a location goes to
v + direction where nothing is kept; where prototypes are kept, to

* the second point of a line with the sphere around a kept prototype (squared distances),
* v + the direction's part that is orthogonal to the kept prototypes (dot products),
* the second point of that line with the sphere around 0 (angles, and latents of fixed norm).

Every kept measurement is then what it was: differences of kept squared distances, or products with
kept prototypes, do not change along the line, and both points have the same distance from the
sphere's centre.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Protocol

from flint import arb, ctx, fmpq, fmpz_mat

from protoproof.errors import InternalError
from protoproof.network.head.decision import Best, Labels, Linear, Tree
from protoproof.network.head.unrounded import Number, integers
from protoproof.prover.latent.domain import Ball, Domain, Free, Sphere
from protoproof.prover.latent.enclosed import least, pooled_numbers
from protoproof.prover.latent.exact import across, chain_number, exactly, length_number, weighted
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.membership import Membership
from protoproof.prover.latent.replay import Move, Replay
from protoproof.prover.latent.replay_near import NearFirst

_BITS = 192


class Judge(Protocol):
    """What decides about moved latents: :class:`Replay`, or :class:`AnyReplay`."""

    def survives(
        self, facts: FactSet, dropped: Fact | None, rival: int, moves: Sequence[Move]
    ) -> bool:
        """See :meth:`.replay.Replay.survives`."""

    def predicts(self, class_: int, moves: Sequence[Move]) -> bool:
        """See :meth:`.replay.Replay.predicts`."""

    def broken(self, facts: Iterable[Fact], moves: Sequence[Move]) -> list[Fact]:
        """See :meth:`.replay.Replay.broken`."""


def judge_of(instance: Instance, domain: Domain) -> Judge:
    """The fast one where it applies."""
    head = instance.head
    if head.plain and head.uniform and not isinstance(head.decision, Labels):
        near = isinstance(domain, Free) and not instance.exact.points.rounded
        return NearFirst(instance, domain) if near else Replay(instance, domain)
    return AnyReplay(instance, domain)


@dataclass(frozen=True)
class _Point:
    """A location's latent: ``numerators`` over ``scale``."""

    numerators: list[int]
    scale: int


class AnyReplay:
    """The recorded latent of one instance in exact arithmetic, ready to be moved."""

    def __init__(self, instance: Instance, domain: Domain) -> None:
        self._instance, head = instance, instance.head
        self._membership = Membership(domain, *instance.latent.shape)
        self._around_zero = head.geometry == "angular" or (
            isinstance(domain, Sphere) and not isinstance(domain, Ball)
        )
        self._prototypes, self._shift = instance.exact.points.rows, instance.exact.points.shift
        self._matrix = fmpz_mat(self._prototypes).transpose()
        rows, self._up = integers(instance.latent)
        self._latent = rows
        self._still = [_Point(row, 1 << self._up) for row in rows]
        self._moved: dict[tuple[int, tuple[int, ...], bytes], _Point | None] = {}
        self._measured: dict[tuple[int, int], list[Number]] = {}

    def survives(
        self, facts: FactSet, dropped: Fact | None, rival: int, moves: Sequence[Move]
    ) -> bool:
        """Whether the moved latent is in the domain, meets ``facts`` less ``dropped``, and loses.

        A construction that makes no sense counts as not surviving.
        """
        if len({move.location for move in moves}) != len(moves):
            return False
        points = self._points(moves)
        if points is None:
            return False
        inside = all(
            self._membership.inside(location, point.numerators, point.scale)
            for location, point in points.items()
        )
        pairs = {place: (p.numerators, p.scale) for place, p in points.items()}
        if not inside or not self._membership.jointly(self._latent, 1 << self._up, pairs):
            return False
        with ctx.workprec(_BITS):
            at = _Latent(self, points)
            if not all(at.meets(fact) for fact in facts if fact != dropped):
                return False
            if isinstance(self._instance.head.decision, Labels):
                return bool(at.margin(-1, rival) < 0)
            # the rival's own lead: at a leaf that scores both alike, neither is ahead
            return bool(at.margin(rival, self._instance.predicted) > 0)

    def predicts(self, class_: int, moves: Sequence[Move]) -> bool:
        """Whether the moved latent certainly has ``class_`` ahead of every other class.

        For labels: whether label ``class_`` is certainly not as it was.
        """
        with ctx.workprec(_BITS):
            at = _Latent(self, self._required(moves))
            decision = self._instance.head.decision
            if isinstance(decision, Labels):
                return bool(at.margin(-1, class_) < 0)
            others = (k for k in range(decision.classes) if k != class_)
            return all(bool(at.margin(class_, k) > 0) for k in others)

    def broken(self, facts: Iterable[Fact], moves: Sequence[Move]) -> list[Fact]:
        """The facts that the moved latent may violate.

        Raises:
            InternalError: the moves make no sense (:meth:`survives` is asked first).
        """
        with ctx.workprec(_BITS):
            at = _Latent(self, self._required(moves))
            return [fact for fact in facts if not at.meets(fact)]

    @property
    def instance(self) -> Instance:
        """What is moved."""
        return self._instance

    def _required(self, moves: Sequence[Move]) -> dict[int, _Point]:
        points = self._points(moves)
        if points is None:
            raise InternalError("a move leads nowhere")
        return points

    def _points(self, moves: Sequence[Move]) -> dict[int, _Point] | None:
        found: dict[int, _Point] = {}
        for move in moves:
            key = move.location, move.keep, move.direction.tobytes()
            if key not in self._moved:
                self._moved[key] = self._reached(move)
            point = self._moved[key]
            if point is None:
                return None
            found[move.location] = point
        return found

    def _reached(self, move: Move) -> _Point | None:
        """Where a move leads; None for nowhere."""
        here = self._latent[move.location]
        (direction,), shift = integers(move.direction[None].astype(float))
        head = self._instance.head
        if not move.keep:
            return _shifted(here, self._up, direction, 1 << shift)
        if head.geometry == "diagonal":
            return None
        kept = [self._prototypes[j] for j in move.keep]
        euclidean = head.geometry == "euclidean"
        base = kept[0] if euclidean else [0] * head.channels
        rows = [[a - b for a, b in zip(p, base, strict=True)] for p in kept[euclidean:]]
        found = across(rows, direction)
        if found is None:
            return None
        along, unit = found
        if not euclidean and not self._around_zero:
            return _shifted(here, self._up, along, unit << shift)
        return self._reflected(here, base, along)

    def _reflected(self, here: list[int], base: list[int], along: list[int]) -> _Point | None:
        """z = v - 2 d (d.(v - c)) / |d|^2."""
        common = math.gcd(*along) or 1
        along = [n // common for n in along]
        square = sum(n * n for n in along)
        if not square:
            return None
        # over 2**total for both v and c
        total = max(self._up, self._shift)
        up, down = total - self._up, total - self._shift
        product = sum(
            d * ((v << up) - (c << down)) for d, v, c in zip(along, here, base, strict=True)
        )
        numerators = [
            (v << up) * square - 2 * product * d for v, d in zip(here, along, strict=True)
        ]
        return _Point(numerators, square << total)

    def measured(self, location: int, point: _Point | None) -> list[Number]:
        """All measurements of a location, moved to a point or as it is."""
        key = location, id(point)
        if key not in self._measured:
            self._measured[key] = self._measure(self._still[location] if point is None else point)
        return self._measured[key]

    def _measure(self, point: _Point) -> list[Number]:
        head, n, scale = self._instance.head, point.numerators, point.scale
        unit = scale << self._shift
        if head.geometry == "diagonal":
            return [self._weighted(point, j) for j in range(len(self._prototypes))]
        dots = [int(dot) for dot in (fmpz_mat([n]) * self._matrix).entries()]
        if head.geometry == "linear":
            return [fmpq(-dot, unit) for dot in dots]
        square = sum(v * v for v in n)
        if head.geometry == "euclidean":
            own = fmpq(square, scale * scale)
            norms = (sum(v * v for v in p) for p in self._prototypes)
            return [
                own - fmpq(2 * dot, unit) + fmpq(norm, 1 << 2 * self._shift)
                for dot, norm in zip(dots, norms, strict=True)
            ]
        size = fmpq(square, scale * scale)
        if head.one_length:
            lengths = [length_number(head, size, 0)] * len(dots)
        else:
            lengths = [length_number(head, size, j) for j in range(len(dots))]
        return [
            -arb(fmpq(dot, unit)) / length if dot else fmpq(0)
            for dot, length in zip(dots, lengths, strict=True)
        ]

    def _weighted(self, point: _Point, prototype: int) -> Number:
        instance, pairs = (
            self._instance,
            zip(point.numerators, self._prototypes[prototype], strict=True),
        )
        apart = [fmpq(a, point.scale) - fmpq(b, 1 << self._shift) for a, b in pairs]
        return weighted(instance.head, instance.exact, prototype, apart)


class _Latent:
    """A moved latent, and what is exactly true there."""

    def __init__(self, replay: AnyReplay, points: Mapping[int, _Point]) -> None:
        self._replay, self._points = replay, points
        self._head = replay.instance.head
        self._exact = replay.instance.exact
        self._pooled: dict[int, Number] = {}
        self._similar: dict[int, Number] = {}

    def _at(self, location: int, prototype: int) -> Number:
        return self._replay.measured(location, self._points.get(location))[prototype]

    def pooled(self, prototype: int) -> Number:
        """The pooled value of one prototype."""
        if prototype not in self._pooled:
            head, pooling = self._head, self._head.pooling_of
            mask = head.mask
            places = [k for k in range(head.locations) if mask is None or mask[k, prototype]]
            values = [self._at(place, prototype) for place in places]
            kind = pooling.kinds[prototype]
            if kind == "nearest":
                found = least(values)
            else:
                inner = [chain_number(self._exact.inner, prototype, value) for value in values]
                common = partial(chain_number, self._exact.common, prototype)
                found = pooled_numbers(kind, inner, pooling.count[prototype], common)
            self._pooled[prototype] = found
        return self._pooled[prototype]

    def activation(self, prototype: int) -> Number:
        """The activation of one prototype."""
        if prototype not in self._similar:
            value = self.pooled(prototype)
            self._similar[prototype] = chain_number(self._exact.chain, prototype, value)
        return self._similar[prototype]

    def meets(self, fact: Fact) -> bool:
        """Whether a fact certainly holds."""
        match fact:
            case PairFact(location, prototype, lower, upper):
                return _between(self._at(location, prototype), lower, upper)
            case ActivationFact(prototype, lower, upper):
                return _between(self.pooled(prototype), lower, upper)
            case CeilingFact(bound, exempt):
                free = set(exempt)
                named = (j for j in range(len(self._head.prototypes)) if j not in free)
                if self._head.uniform:
                    return all(_between(self.pooled(j), bound, math.inf) for j in named)
                return all(_between(self.activation(j), -math.inf, -bound) for j in named)

    def margin(self, predicted: int, rival: int) -> arb:
        """The margin of a class over a rival; of a label (``predicted`` -1), as it is recorded."""
        decision = self._head.decision
        match decision:
            case Labels():
                on = self._replay.instance.atoms.on
                total = self._weighed(decision.weight[rival].tolist(), self.activation)
                total += arb(float(decision.bias[rival])) - arb(float(decision.threshold[rival]))
                return total if rival in on else -total
            case Linear():
                return self._over(decision, predicted, rival, self.activation)
            case Best():
                groups = [
                    [j for j, of in enumerate(decision.group.tolist()) if of == g]
                    for g in range(decision.then.inputs)
                ]
                return self._over(
                    decision.then, predicted, rival, lambda g: self._largest(groups[g])
                )
        apart = [arb(float(row[predicted])) - arb(float(row[rival])) for row in decision.leaf]
        if decision.routing != "distributed":
            return self._of_leaves(decision, [difference > 0 for difference in apart])
        below: dict[int, arb] = {-1 - k: difference for k, difference in enumerate(apart)}
        for node in reversed(range(len(decision.feature))):
            share = _ball(self.activation(int(decision.feature[node])))
            left, right = below[int(decision.left[node])], below[int(decision.right[node])]
            below[node] = (1 - share) * left + share * right
        return below[0]

    def _of_leaves(self, tree: Tree, good: Sequence[bool]) -> arb:
        """What is positive where the leaf that counts is certainly a good one."""
        best, worst = [arb(-1)], [arb(-1)]
        nodes, sides, real = tree.ways
        for leaf, is_good in enumerate(good):
            shares = []
            for node, right in zip(nodes[leaf][real[leaf]], sides[leaf][real[leaf]], strict=True):
                share = _ball(self.activation(int(tree.feature[node])))
                shares.append(share if right else 1 - share)
            # the leaf with no share below a half; the one with the largest product
            greedy = tree.routing == "greedy"
            if greedy:
                value = -_greatest([-share for share in shares])
            else:
                value = math.prod(shares, start=arb(1))
            (best if is_good else worst).append(value)
        if tree.routing == "greedy":
            return arb(1) / 2 - _greatest(worst)
        return _greatest(best) - _greatest(worst)

    def _over(
        self, linear: Linear, predicted: int, rival: int, value: Callable[[int], Number]
    ) -> arb:
        total = arb(float(linear.bias[predicted])) - arb(float(linear.bias[rival]))
        for j, (own, other) in enumerate(
            zip(linear.weight[predicted].tolist(), linear.weight[rival].tolist(), strict=True)
        ):
            if own != other:
                total += (arb(own) - arb(other)) * _ball(value(j))
        return total

    @staticmethod
    def _weighed(weights: Sequence[float], value: Callable[[int], Number]) -> arb:
        total = arb(0)
        for j, weight in enumerate(weights):
            if weight:
                total += arb(weight) * _ball(value(j))
        return total

    def _largest(self, members: Sequence[int]) -> Number:
        found = _ball(self.activation(members[0]))
        for j in members[1:]:
            found = found.max(_ball(self.activation(j)))
        return found


def _greatest(values: Sequence[arb]) -> arb:
    return reduce(arb.max, values)


def _between(value: Number, low: float, high: float) -> bool:
    """Whether a number certainly lies in [low, high]."""
    if isinstance(value, fmpq):
        above = math.isinf(low) or value >= exactly(low)
        return bool(above and (math.isinf(high) or value <= exactly(high)))
    return bool(value >= arb(low) and value <= arb(high))


def _ball(value: Number) -> arb:
    return value if isinstance(value, arb) else arb(value)


def _shifted(here: list[int], up: int, along: list[int], unit: int) -> _Point:
    """v + along / unit."""
    numerators = [(v * unit) + (d << up) for v, d in zip(here, along, strict=True)]
    return _Point(numerators, unit << up)
