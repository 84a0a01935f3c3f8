"""Margins between logits, in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress

from flint import arb, ctx

from protoproof.kernel.arithmetic.exact import Ratio, ball, decided, float_below
from protoproof.kernel.model.head import Head


@dataclass(frozen=True)
class Margin:
    """What is known about the margin over one rival: its certain sign, and a float below it."""

    rival: int
    sign: int
    lower: float


def margins(head: Head, predicted: int, rivals: Iterable[int], ends: Ends) -> list[Margin]:
    """Lower bounds of margins when each best measurement lies in [low_j, high_j].

    Sound because similarities decrease and a linear form over a box is least where each variable
    is at the end that its coefficient chooses: a prototype that supports the prediction is charged
    at its farthest, one that opposes it at its nearest, one without weight not at all (not even
    where its similarity is unbounded). An infinite end stands for every finite one, so the
    infimum of the similarity replaces the value.

    With low = high the margin itself is evaluated. A sign of 1 is a proof in either case; a sign
    of -1 disproves the margin only with low = high.
    """
    return [_margin(head, predicted, rival, ends) for rival in rivals]


class Ends:
    """Similarities at both ends, computed once per precision.

    ``bottomless`` are the prototypes whose similarity nothing bounds from below.
    """

    def __init__(self, head: Head, low: Sequence[Ratio], high: Sequence[Ratio | None]) -> None:
        self._head, self._low, self._high = head, low, high
        unbounded = head.similarity.at_infinity() is None
        self.bottomless = [j for j, end in enumerate(high) if end is None and unbounded]
        self._known: dict[int, tuple[list[arb], list[arb | None]]] = {}

    def balls(self) -> tuple[list[arb], list[arb | None]]:
        """At the nearest and at the farthest end, at the working precision."""
        similarity = self._head.similarity
        if ctx.prec not in self._known:
            self._known[ctx.prec] = (
                [similarity.value(ball(end)) for end in self._low],
                [
                    similarity.at_infinity() if end is None else similarity.value(ball(end))
                    for end in self._high
                ],
            )
        return self._known[ctx.prec]

    def unbounded(self, weights: Sequence[int], apart: Container[int] = ()) -> bool:
        """Whether nothing bounds the form over all prototypes but ``apart`` from below."""
        return any(weights[j] > 0 for j in self.bottomless if j not in apart)

    def least(self, weights: Sequence[int], apart: Container[int] = ()) -> arb:
        """The least value of sum w_j a_j over all prototypes but ``apart``.

        Assumes that it is not :meth:`unbounded`.
        """
        total = arb(0)
        nearest, farthest = self.balls()
        for j in compress(range(len(weights)), weights):  # those with a weight
            weight, far = weights[j], farthest[j]
            if j in apart:
                continue
            if weight < 0:
                total += nearest[j] * weight
            elif far is not None:
                total += far * weight
        return total


def _margin(head: Head, predicted: int, rival: int, ends: Ends) -> Margin:
    weights, offset = head.margin_weights(predicted, rival)
    if ends.unbounded(weights):
        return Margin(rival, 0, -math.inf)
    sign, value = decided(lambda: ends.least(weights) + offset)
    return Margin(rival, sign, float_below(value, head.weight_shift))


def observed_margin(head: Head, predicted: int, rival: int, best: Callable[[int], Ratio]) -> Margin:
    """The margin at one latent, whose best measurements are ``best(j)``; both signs are proofs.

    Prototypes without weight are not asked for.
    """
    weights, offset = head.margin_weights(predicted, rival)
    charged = [(weights[j], best(j)) for j in compress(range(len(weights)), weights)]

    def margin() -> arb:
        terms = (head.similarity.value(ball(q)) * weight for weight, q in charged)
        return sum(terms, arb(offset))

    sign, value = decided(margin)
    return Margin(rival, sign, float_below(value, head.weight_shift))
