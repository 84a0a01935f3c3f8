"""Exact arithmetic about a head: prototypes as integers, comparisons as fractions, balls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import numpy as np
from flint import arb, fmpq, fmpq_mat, fmpz_mat
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head.chain import Chain
from protoproof.network.head.head import Head


class ExactHead:
    """Prototypes as integers over ``2**shift``."""

    def __init__(self, head: Head) -> None:
        self._points, self.shift = integers(head.prototypes)
        self._norms: dict[int, int] = {}
        self._transposed: fmpz_mat | None = None

    @property
    def count(self) -> int:
        """P."""
        return len(self._points)

    def norm(self, prototype: int) -> int:
        """The squared norm of a prototype over ``2**(2 * shift)``."""
        if prototype not in self._norms:
            self._norms[prototype] = sum(n * n for n in self._points[prototype])
        return self._norms[prototype]

    def products(self, vectors: fmpz_mat, prototypes: Sequence[int]) -> list[list[int]]:
        """The inner products of some vectors with some prototypes, a row per vector."""
        if 2 * len(prototypes) < self.count:
            chosen = fmpz_mat([self._points[j] for j in prototypes]).transpose()
            return [[int(n) for n in row] for row in (vectors * chosen).tolist()]
        if self._transposed is None:
            self._transposed = fmpz_mat(self._points).transpose()
        rows = (vectors * self._transposed).tolist()
        return [[int(row[j]) for j in prototypes] for row in rows]

    def rows(self, indices: Sequence[int]) -> list[list[int]]:
        """p_i - p_first for all but the first of ``indices``."""
        base = self._points[indices[0]]
        return [[a - b for a, b in zip(self._points[i], base, strict=True)] for i in indices[1:]]


@lru_cache(maxsize=2)
def exact_head(head: Head) -> ExactHead:
    """Made once for all instances of one network."""
    return ExactHead(head)


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


def across(rows: list[list[int]], direction: list[int]) -> tuple[list[int], int] | None:
    """The direction's part orthogonal to ``rows``, as numerators over a unit; None: dependent."""
    if not rows:
        return direction, 1
    matrix = fmpz_mat(rows)
    column = fmpz_mat([[n] for n in direction])
    try:
        weights = fmpq_mat(matrix * matrix.transpose()).solve(fmpq_mat(matrix * column))
    except ZeroDivisionError:
        return None
    numerators, denominator = weights.numer_denom()
    spanned = (matrix.transpose() * numerators).tolist()
    whole = int(denominator)
    return [whole * d - int(part[0]) for d, part in zip(direction, spanned, strict=True)], whole


def orthogonal(rows: list[list[int]], direction: list[int]) -> list[int] | None:
    """A short multiple of the direction's part orthogonal to ``rows``; None: dependent."""
    if not rows:
        return direction
    found = across(rows, direction)
    if found is None:
        return None
    common = math.gcd(*found[0]) or 1
    return [n // common for n in found[0]]


def ordered(lower: float, value: tuple[int, int], upper: float | None) -> bool:
    """lower <= value <= upper, exactly."""
    numerator, denominator = value
    low, unit = lower.as_integer_ratio()
    if low * denominator > numerator * unit:
        return False
    if upper is None:
        return True
    high, unit = upper.as_integer_ratio()
    return numerator * unit <= high * denominator


Number = arb | fmpq


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


@dataclass(frozen=True)
class Similarities:
    """What is pooled, and what becomes of that, with constants that float64 may not hold.

    A graph that divides by 64.64, or by a norm, has such constants. Facts about what they make are
    only true at the explained latent where they are not rounded.
    """

    inner: Steps
    chain: Steps

    @classmethod
    def of(cls, head: Head) -> Similarities:
        """Those of a head whose float64 constants are what the graph means."""
        return cls(_exact_steps(head.inner_chain), _exact_steps(head.chain))


def _exact_steps(chain: Chain) -> Steps:
    return tuple(
        ExactStep(
            step.name,
            () if step.constant is None else tuple(map(Fraction, step.constant.tolist())),
        )
        for step in chain.steps
    )


def chain_ball(chain: Steps, prototype: int, value: Number) -> arb:
    """A ball around the similarity of a measurement; constants are exact."""
    found = chain_number(chain, prototype, value)
    return found if isinstance(found, arb) else arb(found)


def chain_number(chain: Steps, prototype: int, value: Number) -> Number:
    """The similarity of a measurement: a fraction as long as everything rational keeps it one.

    Raises:
        InternalError: a primitive without balls.
    """
    for step in chain:
        value = _applied(step.name, value, step.constant(prototype))
    return value


def exactly(value: float) -> fmpq:
    """A float64 number as a fraction."""
    return fmpq(*value.as_integer_ratio())


def _applied(name: str, x: Number, c: Number | None) -> Number:
    """One primitive of :mod:`protoproof.network.head.primitives`."""
    if isinstance(x, fmpq) and not isinstance(c, arb):
        found = _rational(name, x, c)
        if found is not None:
            return found
    ball = x if isinstance(x, arb) else arb(x)
    return _ball(name, ball) if c is None else _ball_with(name, ball, arb(c))


def _rational(name: str, x: fmpq, c: fmpq | None) -> fmpq | None:
    """Where the value is a fraction, and defined; else None."""
    if c is not None:
        match name:
            case "add":
                return x + c
            case "mul":
                return x * c
            case "max":
                return max(x, c)
            case "min":
                return min(x, c)
            case "one_plus" if x != 0:
                return 1 + c / x
            case "zero_below":
                return x if x >= c else fmpq(0)
    match name:
        case "square":
            return x * x
        case "reciprocal" if x != 0:
            return 1 / x
        case "abs":
            return abs(x)
    return None


def _ball_with(name: str, x: arb, c: arb) -> arb:
    match name:
        case "add":
            return x + c
        case "mul":
            return x * c
        case "div_root":
            return x / c.sqrt()
        case "max":
            return x.max(c)
        case "min":
            return x.min(c)
        case "one_plus":
            return 1 + c / x
        case "power":
            return x**c
        case "log_one_plus":
            return (c / x).log1p()
        case "zero_below":
            if x >= c:
                return x
            return arb(0) if x < c else x.union(arb(0))
    raise InternalError(f"the primitive '{name}' has no balls")


def _ball(name: str, x: arb) -> arb:
    match name:
        case "sqrt":
            return x.max(arb(0)).sqrt()
        case "square":
            return x * x
        case "exp":
            return x.exp()
        case "log":
            return x.log()
        case "reciprocal":
            return 1 / x
        case "sigmoid":
            return 1 / (1 + (-x).exp())
        case "tanh":
            return x.tanh()
        case "softplus":
            return (1 + x.exp()).log()
        case "abs":
            return abs(x)
    raise InternalError(f"the primitive '{name}' has no balls")
