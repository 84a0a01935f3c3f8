"""Exact arithmetic about a head: prototypes as integers, comparisons as fractions, balls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from flint import arb, fmpq, fmpq_mat, fmpz_mat

from protoproof.errors import InternalError
from protoproof.network.head.head import Head
from protoproof.network.head.unrounded import Number, Points, Steps, Unrounded

# What float64 makes of numbers that a graph computes by a few steps, relative to them.
_ROUNDED = 2.0**-51


class ExactHead:
    """Products with prototypes, and norms of them, in integers."""

    def __init__(self, points: Points) -> None:
        self._points, self.shift = points.rows, points.shift
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
def exact_head(points: Points) -> ExactHead:
    """Made once for all instances of one network."""
    return ExactHead(points)


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


def around(value: Number) -> arb:
    """A ball around a number whose factors were rounded."""
    return arb(value) * arb(1, _ROUNDED)


def weighted(head: Head, exact: Unrounded, prototype: int, differences: Sequence[fmpq]) -> Number:
    """The weighted squared distance of a latent whose coordinates differ so from a prototype's."""
    if exact.weights is not None:
        weights: Sequence[fmpq] = exact.weights[prototype]
    elif head.scales is not None:
        weights = [exactly(weight) for weight in head.scales[prototype].tolist()]
    else:
        raise InternalError("a weighted distance without weights")
    squares = [apart * apart for apart in differences]
    total = sum((w * s for w, s in zip(weights, squares, strict=True)), fmpq(0))
    if exact.slack:
        return arb(total).union(arb(total + exact.slack * sum(squares, fmpq(0))))
    return around(total) if exact.weights is None and head.rounded else total


def length_number(head: Head, square: fmpq, prototype: int) -> arb:
    """A ball around what an angle with a prototype is divided by; ``square`` is |z|^2."""
    floor, beside = (
        around(exactly(float(part[prototype])))
        for part in (np.asarray(head.epsilon), np.asarray(head.beside))
    )
    return arb(square + exactly(head.added)).sqrt().max(floor) + beside
