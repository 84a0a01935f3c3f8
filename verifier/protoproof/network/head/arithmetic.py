"""Add, Sub, Mul, Div and functions of one variable, whatever the operands are."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from protoproof.network.head import constants, entries, measured, pooled, trees
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import condense, taken
from protoproof.network.head.refusal import GREEDY, NotRecognisedError
from protoproof.network.head.symbols import (
    Combination,
    Condition,
    Entries,
    Joined,
    Measured,
    Pooled,
    Real,
    Share,
    Tree,
    Value,
    same_norm,
    word,
)
from protoproof.network.head.tables import Tables

UNARY = {
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Reciprocal": "reciprocal",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
}


_WEIGHED = (Measured, Pooled, Combination)
_SHARES = (Share, Pooled, Combination)


def unknown(op: str, *values: Value | None) -> NotRecognisedError:
    """No rule for these operands."""
    return NotRecognisedError(f"no rule for {op} of {' and '.join(map(word, values))}")


def add(tables: Tables, x: Value, y: Value, sign: float) -> Value:
    """x + sign * y."""
    if isinstance(x, Numbers) and isinstance(y, Numbers):
        low = constants.add(x.plain, x.rest, sign * y.plain, sign * y.rest)
        if x.exact and y.exact:
            return Numbers(*low)
        return Numbers(x.plain + sign * y.plain, rounded=True)
    if isinstance(x, Numbers):
        turned = multiply(tables, y, Numbers(np.array(sign)))
        return add(tables, turned, x, 1.0)
    if isinstance(y, Numbers):
        y = y if sign == 1.0 else Numbers(-y.plain, -y.rest if y.exact else None)
        return _add_numbers(tables, x, y)
    if isinstance(x, Entries) and isinstance(y, Entries):
        return entries.add(x, y, sign)
    if isinstance(x, Measured) and isinstance(y, Measured):
        try:
            return measured.add(x, y, sign)
        except NotRecognisedError:
            if any(size > 1 for size in (*x.site.shape, *y.site.shape)):
                raise
    if isinstance(x, Share) or isinstance(y, Share):
        if sign == 1.0 and isinstance(x, _SHARES) and isinstance(y, _SHARES):
            return trees.joined(tables, x, y)
        raise unknown("a sum", x, y)
    if isinstance(x, _WEIGHED) and isinstance(y, _WEIGHED):
        return pooled.add(pooled.combined(tables, x), pooled.combined(tables, y), sign)
    raise unknown("a sum", x, y)


def _add_numbers(tables: Tables, x: Value, y: Numbers) -> Value:
    if isinstance(x, Entries):
        return entries.add_numbers(x, y)
    if isinstance(x, Measured):
        return measured.add_numbers(x, y)
    if isinstance(x, Pooled):
        if x.ratio is not None:
            return pooled.shifted(tables, pooled.combined(tables, x), y)
        return measured.applied(x, "add", y)
    if isinstance(x, Combination):
        bare = pooled.bare(tables, x)
        if bare is not None:
            return _add_numbers(tables, bare, y)
        return pooled.shifted(tables, x, y)
    if isinstance(x, Joined):
        return _by_parts(x, y, lambda part, own: add(tables, part, own, 1.0))
    raise unknown("a sum", x, y)


def multiply(tables: Tables, x: Value, y: Value) -> Value:
    """x * y."""
    if isinstance(x, Numbers):
        if isinstance(y, Numbers):
            return _product_of_numbers(x, y)
        x, y = y, x
    if isinstance(y, Numbers):
        return _multiply_numbers(tables, x, y)
    if isinstance(x, Entries) and isinstance(y, Entries) and entries.equal(x, y):
        return entries.square(x)
    if isinstance(x, Measured) and isinstance(y, Measured) and _equal(x, y):
        return measured.applied(x, "square")
    if isinstance(x, Pooled) and isinstance(y, Pooled) and _same_pooled(x, y):
        return function(tables, x, "square")
    if isinstance(x, Tree | Pooled | Combination) and isinstance(y, Tree | Pooled | Combination):
        if isinstance(x, Tree) or (not isinstance(y, Tree) and _larger(x, y)):
            x, y = y, x
        if isinstance(x, Pooled | Combination) and math.prod(x.shape) == 1:
            return trees.share(tables, x, y)
    if isinstance(x, _SHARES) and isinstance(y, _SHARES):
        return trees.product(tables, multiplied(tables, x), multiplied(tables, y))
    raise unknown("a product", x, y)


def multiplied(tables: Tables, x: Share | Pooled | Combination) -> Combination:
    """Shares as a combination of products of them."""
    if not isinstance(x, Share):
        return pooled.combined(tables, x)
    if not isinstance(x.below, Combination):
        raise unknown("a product with others", x)
    share = Combination((1,) * len(x.shape), (x.atom,), np.array([[x.beta]]), np.array([x.alpha]))
    return trees.product(tables, share, x.below)


def _larger(x: Value, y: Value) -> bool:
    """Which of two factors lies below a node: the one with more elements, or more atoms."""
    first, second = (int(np.prod(v.shape)) for v in (x, y))
    atoms = [len(v.atom) if isinstance(v, Combination) else 1 for v in (x, y)]
    return (first, atoms[0]) > (second, atoms[1])


def _equal(x: Measured, y: Measured) -> bool:
    return x is y or (
        x.shape == y.shape
        and x.space is y.space
        and np.array_equal(x.site, y.site)
        and np.array_equal(x.row, y.row)
        and same_norm(x.norm, y.norm)
        and measured.same_steps(x.steps, y.steps)
    )


def _same_pooled(x: Pooled, y: Pooled) -> bool:
    return x is y or (
        x.shape == y.shape
        and x.ratio == y.ratio
        and np.array_equal(x.record, y.record)
        and measured.same_steps(x.steps, y.steps)
    )


def _product_of_numbers(x: Numbers, y: Numbers) -> Numbers:
    if x.exact and y.exact:
        return Numbers(*constants.multiply(x.plain, x.rest, y.plain, y.rest))
    if y.exact:
        x, y = y, x
    if x.exact and y.rounded:
        return _scaled(x, y.plain)
    return Numbers(x.plain * y.plain, rounded=True)


def _scaled(x: Numbers, factor: Real) -> Numbers:
    """x times numbers that float64 does not hold exactly: x stays what it is."""
    shape = np.broadcast_shapes(x.shape, factor.shape)
    return Numbers(
        np.broadcast_to(x.plain, shape), np.broadcast_to(x.rest, shape),
        scale=np.broadcast_to(factor, shape),
    )  # fmt: skip


def _multiply_numbers(tables: Tables, x: Value, y: Numbers) -> Value:
    if isinstance(x, Entries):
        return entries.multiply_numbers(x, y)
    if isinstance(x, Measured):
        return measured.multiply_numbers(x, y)
    if isinstance(x, Pooled):
        factors = condense(y.plain)
        if factors.size > 1 or not factors.all():  # one weight each: part of the decision
            return pooled.scaled(pooled.combined(tables, x), y)
        return measured.applied(x, "mul", y)
    if isinstance(x, Combination):
        bare = pooled.bare(tables, x)
        return pooled.scaled(x, y) if bare is None else _multiply_numbers(tables, bare, y)
    if isinstance(x, Joined):
        return _by_parts(x, y, lambda part, own: multiply(tables, part, own))
    raise unknown("a product", x, y)


def divide(tables: Tables, x: Value, y: Value) -> Value:
    """x / y."""
    if isinstance(x, Numbers) and isinstance(y, Numbers):
        return _quotient_of_numbers(x, y)
    if isinstance(y, Numbers):
        values = y.plain
        if not condense(values).all():
            raise NotRecognisedError("a division by zero")
        return multiply(tables, x, Numbers(1.0 / values))
    if isinstance(x, Numbers):
        return multiply(tables, function(tables, y, "reciprocal"), x)
    if isinstance(y, Measured) and any(step.name == "sqrt" for step in y.steps):
        if isinstance(x, Measured) and all(step.name != "sqrt" for step in x.steps):
            return measured.divided_by_norm(x, y)
        if isinstance(x, Entries):
            return entries.normalised(x, y)
    if isinstance(x, Measured) and isinstance(y, Measured):
        return measured.ratio(x, y)
    if isinstance(x, Combination) and isinstance(y, Combination) and len(y.bias) > 1:
        x, y = pooled.alone(tables, x), pooled.alone(tables, y)
    if isinstance(x, Pooled) and isinstance(y, Pooled):
        return measured.ratio(x, y)
    if isinstance(x, Measured) and isinstance(y, Combination):
        x = pooled.single(tables, x)
    if isinstance(x, Pooled | Combination) and isinstance(y, Combination):
        return pooled.over_sum(tables, x, y)
    raise unknown("a quotient", x, y)


def _quotient_of_numbers(x: Numbers, y: Numbers) -> Numbers:
    """p / (n / sqrt(n)) is p / sqrt(n); anything else is rounded, but for powers of two."""
    if y.root is not None and x.exact and np.array_equal(y.high, y.root):
        return Numbers(x.plain, x.low, np.asarray(y.root))
    if x.exact and y.exact and measured.powers_of_two(y.plain):
        return Numbers(x.plain / y.plain, x.rest / y.plain)
    with np.errstate(divide="ignore", invalid="ignore"):
        if x.exact and y.rounded:
            return _scaled(x, 1.0 / y.plain)
        if x.scale is not None and y.exact and x.root is None:
            return Numbers(x.high, x.low, None, x.scale / y.plain)
        return Numbers(x.plain / y.plain, rounded=not (x.exact and y.exact))


def function(tables: Tables, x: Value, name: str, numbers: Numbers | None = None) -> Value:
    """A function of one variable."""
    if isinstance(x, Combination):
        x = pooled.alone(tables, x)
    if isinstance(x, Measured):
        return measured.applied(x, name, numbers)
    if isinstance(x, Pooled):
        if x.ratio is not None:
            raise NotRecognisedError(f"'{name}' of a vote over a common denominator")
        return measured.applied(x, name, numbers)
    if isinstance(x, Joined) and (numbers is None or numbers.high.size == 1):
        parts = tuple(function(tables, part, name, numbers) for part in x.parts)
        return Joined(x.shape, parts, x.axis)
    if isinstance(x, Entries) and name == "square":
        return entries.square(x)
    raise unknown(f"'{name}'", x)


def cleared(tables: Tables, condition: Condition, yes: Value, no: Value) -> Value:
    """Where(x < c, 0, x), or the other way round: 0 below c, else x."""
    kept, gone = (no, yes) if condition.below else (yes, no)
    value = condition.value
    zero = isinstance(gone, Numbers) and not np.any(gone.plain)
    same = kept is value
    if isinstance(kept, Pooled) and isinstance(value, Pooled):
        same = _same_pooled(kept, value)
    same = same or (
        isinstance(kept, Measured) and isinstance(value, Measured) and _equal(kept, value)
    )
    if not zero or not same:
        raise NotRecognisedError(f"a choice between other values: {GREEDY}")
    return function(tables, kept, "zero_below", condition.threshold)


def _by_parts(x: Joined, y: Numbers, operate: Callable[[Value, Numbers], Value]) -> Value:
    """An operation with numbers, on every part with its own share of them."""
    axis = x.axis - len(x.shape)
    if y.high.ndim > len(x.shape):
        raise unknown("an operation", x, y)
    parts, start = [], 0
    for part in x.parts:
        size = part.shape[axis]
        own = y
        if y.high.ndim >= -axis and y.shape[axis] > 1:
            own = y.map(
                partial(taken, index=np.arange(start, start + size), axis=y.high.ndim + axis)
            )
        parts.append(operate(part, own))
        start += size
    return Joined(x.shape, tuple(parts), x.axis)
