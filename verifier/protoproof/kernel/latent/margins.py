"""Margins between scores, in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from flint import arb, ctx

from protoproof.certificate.schema import Instance
from protoproof.kernel.arithmetic.exact import Ratio, ball, decided, float_below
from protoproof.kernel.budget import BALL, OPERATION, spend
from protoproof.kernel.latent.bounds import Interval, as_ends
from protoproof.kernel.latent.measurement import Moved
from protoproof.kernel.model.decision import Score
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.primitives import End, as_ball


@dataclass(frozen=True)
class Margin:
    """What is known about the margin over one rival: its certain sign, and a float below it."""

    rival: int
    sign: int
    lower: float


def stated_score(head: Head, here: Instance, rival: int) -> Score:
    """What has to be positive for the recorded prediction to hold against one rival.

    Where labels are decided alone, the rivals are the labels that are explained, each with the
    sign of what is recorded about it.
    """
    spend("the margins", OPERATION * len(head.decision.weight[0]))
    if head.decision.kind == "labels":
        return head.decision.label(rival, rival in here.labels)
    return head.decision.over(here.predicted, rival)


def loses(head: Head, here: Instance, rival: int, at: Moved) -> bool:
    """Whether the recorded prediction certainly does not hold against one rival at a latent.

    The rival's own lead is asked for: a score may be less than it is by what rounding took, so
    that a negative one would prove nothing.
    """
    if head.decision.kind == "labels":
        contrary = head.decision.label(rival, rival not in here.labels)
    else:
        contrary = head.decision.over(rival, here.predicted)
    return observed_margin(head, contrary, rival, at).sign > 0


def margins(head: Head, here: Instance, rivals: Iterable[int], ends: Ends) -> list[Margin]:
    """Lower bounds of margins when each pooled value lies in an interval.

    Sound because an activation lies in its chain's range over that interval, and by the rules of
    ``decision``. A sign of 1 is a proof.
    """
    return [_margin(head, stated_score(head, here, rival), rival, ends) for rival in rivals]


class Ends:
    """Both ends of all activations, computed once per precision.

    Args:
        best: the pooled values' intervals over ``2**GRID``.
        caps: what is known to be above an activation; None: nothing.
    """

    def __init__(
        self, head: Head, best: Sequence[Interval], caps: Sequence[Ratio | None] = ()
    ) -> None:
        self._head, self._best = head, best
        self._caps = {j: cap for j, cap in enumerate(caps) if cap is not None}
        self._known: dict[int, tuple[list[arb | None], list[arb | None]]] = {}

    def balls(self) -> tuple[list[arb | None], list[arb | None]]:
        """The lower and the upper ends at the working precision; None: infinite."""
        if ctx.prec not in self._known:
            chain = self._head.chain
            spend("the similarities", 2 * chain.cost * len(self._best))
            kept: dict[tuple[Interval, int], tuple[End, End]] = {}  # most are the same
            ranges = []
            for j, ends in enumerate(self._best):
                key = ends, 0 if chain.uniform else j
                if key not in kept:
                    kept[key] = chain.range(j, *as_ends(*ends))
                ranges.append(kept[key])
            high = [_finite(end) for _, end in ranges]
            for j, cap in self._caps.items():
                known = high[j]
                high[j] = ball(cap) if known is None else known.min(ball(cap))
            self._known[ctx.prec] = [_finite(end) for end, _ in ranges], high
        return self._known[ctx.prec]

    def least(self, score: Score, apart: Collection[int] = ()) -> arb | None:
        """The least value of a score, less the terms of the prototypes ``apart``; None: none."""
        low, high = self.balls()
        spend("the margins", BALL * self._head.decision.work)
        return self._head.decision.least(score, low.__getitem__, high.__getitem__, apart)


def _finite(end: End) -> arb | None:
    if isinstance(end, float):
        return None
    value = as_ball(end)
    return value if value.is_finite() else None


class UnboundedError(Exception):
    """Nothing bounds a score from below, at whatever precision."""


def _margin(head: Head, score: Score, rival: int, ends: Ends) -> Margin:
    try:
        sign, value = decided(lambda: known(ends.least(score)))
    except UnboundedError:
        return Margin(rival, 0, -math.inf)
    return Margin(rival, sign, float_below(value, head.weight_shift))


def known(value: arb | None) -> arb:
    """A bound that there is.

    Raises:
        UnboundedError: there is none.
    """
    if value is None:
        raise UnboundedError
    return value


def observed_margin(head: Head, score: Score, rival: int, at: Moved) -> Margin:
    """The margin at one latent, whose positive sign is a proof.

    Prototypes without weight are not asked for.
    """
    needed = head.decision.needed(score.weights)
    spend("the margin at a latent", OPERATION * head.prototype_count)

    def margin() -> arb:
        work = head.decision.work if head.decision.kind == "tree" else 0
        spend("the margin at a latent", (BALL * 4) * len(needed) + BALL * work)
        found: dict[int, arb | None] = {j: at.activation(j) for j in needed}
        return known(head.decision.least(score, found.__getitem__, found.__getitem__))

    sign, value = decided(margin)
    slack = head.decision.slack
    if sign < 0 and slack:  # the true score is at most so much above the rounded one
        sign = min(0, decided(lambda: margin() + 2 * slack)[0])
    return Margin(rival, sign, float_below(value, head.weight_shift))
