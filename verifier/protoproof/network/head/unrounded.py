"""The numbers of a head that float64 may round, as the graph means them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from protoproof.network.head.chain import Chain
from protoproof.network.head.head import Head

Number = arb | fmpq


@dataclass(frozen=True, eq=False)
class Points:
    """Prototypes as integers over ``2**shift``; ``rounded``: the head has them in float64 only."""

    rows: list[list[int]]
    shift: int
    rounded: bool = False

    def fractions(self, prototype: int) -> list[Fraction]:
        """One prototype."""
        return [Fraction(n, 1 << self.shift) for n in self.rows[prototype]]


@lru_cache(maxsize=2)
def points_of(head: Head) -> Points:
    """The prototypes of a head that float64 holds."""
    return Points(*integers(head.prototypes))


def integers(values: NDArray[np.floating]) -> tuple[list[list[int]], int]:
    """A matrix of float64 values as integers over ``2**shift``, ``shift >= 0``, exactly."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    whole = np.ldexp(mantissa, 53).astype(np.int64)  # 53 significant bits: an integer
    _, lowest = np.frexp((whole & -whole).astype(np.float64))
    zeros = np.where(whole == 0, 0, lowest - 1)
    whole >>= zeros
    power = np.where(whole == 0, 0, exponent.astype(np.int64) - 53 + zeros)
    shift = max(0, -int(power.min(initial=0)))
    return [
        [n << up for n, up in zip(row, ups, strict=True)]
        for row, ups in zip(whole.tolist(), (power + shift).tolist(), strict=True)
    ], shift


class Irrational(Protocol):
    """A constant that is evaluated where it is used, at the precision of that place."""

    def ball(self) -> arb:
        """A ball around it, at the working precision."""


@dataclass(frozen=True)
class ExactStep:
    """One primitive; ``constants``: none, one for all prototypes alike, or one for each."""

    name: str
    constants: tuple[Fraction | Irrational, ...] = ()

    def constant(self, prototype: int) -> Number | None:
        """What the primitive takes for a prototype."""
        if not self.constants:
            return None
        found = self.constants[0 if len(self.constants) == 1 else prototype]
        if isinstance(found, Fraction):
            return fmpq(found.numerator, found.denominator)
        return found.ball()


Steps = tuple[ExactStep, ...]
_NOTHING = fmpq(0)


@dataclass(frozen=True)
class Unrounded:
    """What a head measures, pools and makes of that, with numbers that float64 may not hold.

    A graph that divides by 64.64, or by a norm, has such constants; one that multiplies prototypes
    by a matrix has such prototypes. Facts about what they make are only true at the explained
    latent where they are not rounded.

    Attributes:
        inner, chain, common: the similarities; see ``Head``.
        points: the prototypes.
        weights: [P][D] of channels, each at most ``slack`` less than it is; None: the head's.
    """

    inner: Steps
    chain: Steps
    common: Steps
    points: Points
    weights: tuple[tuple[fmpq, ...], ...] | None = None
    slack: fmpq = _NOTHING

    @classmethod
    def of(cls, head: Head) -> Unrounded:
        """Those of a head whose float64 numbers are what the graph means."""
        inner, chain, common = map(_exact_steps, (head.inner_chain, head.chain, head.common_chain))
        return cls(inner, chain, common, points_of(head))


def _exact_steps(chain: Chain) -> Steps:
    return tuple(
        ExactStep(
            step.name,
            () if step.constant is None else tuple(map(Fraction, step.constant.tolist())),
        )
        for step in chain.steps
    )
