"""Algebra of measurements: sums of quadratics over a site, and functions of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from protoproof.network.head import constants
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import Shape, condense, lift, one
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import Applied, Index, Measured, Norm, Pooled, Real, same_norm
from protoproof.network.head.tables import Rows

Chained = TypeVar("Chained", Measured, Pooled)
_AFFINE = ("add", "mul", "mul_root", "div_root")


def widened(x: Chained, shape: Shape) -> Chained:
    """The value at the rank of a larger shape."""
    if x.shape == shape:
        return x
    rank = len(shape)
    return x.moved(shape, lambda array, _: lift(array, rank))


def applied(x: Chained, name: str, numbers: Numbers | None = None) -> Chained:
    """A function of one variable, with constants that broadcast.

    Neighbouring steps that undo each other, or that join exactly, are joined.
    """
    if numbers is None:
        if name == "square" and x.steps and x.steps[-1].name == "sqrt":
            return replace(x, steps=x.steps[:-1])
        return replace(x, steps=(*x.steps, Applied(name)))
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    x = widened(x, shape)
    constant = lift(condense(numbers.plain), len(shape))
    if not np.isfinite(constant).all():
        raise NotRecognisedError("a constant that is not finite")
    return replace(x, steps=_joined(x.steps, Applied(name, constant)))


def _joined(steps: tuple[Applied, ...], new: Applied) -> tuple[Applied, ...]:
    """Steps with one more affine or other step; affine neighbours become one where exact."""
    constant = new.constant
    if constant is None:
        return (*steps, new)
    if new.name == "add" and not constant.any():
        return steps
    if new.name == "mul" and (constant == 1).all():
        return steps
    last = steps[-1] if steps else None
    if last is not None and last.constant is not None:
        if new.name == "add" and last.name == "add":
            total, error = constants.two_sum(last.constant, constant)
            if not error.any():
                return _joined(steps[:-1], Applied("add", total))
        if new.name == "mul" and powers_of_two(constant):
            if last.name == "mul":
                return _joined(steps[:-1], Applied("mul", last.constant * constant))
            if last.name == "add":
                inner = _joined(steps[:-1], new)
                return _joined(inner, Applied("add", last.constant * constant))
    return (*steps, new)


def powers_of_two(values: Real) -> bool:
    """Whether multiplying by all of these rounds nothing (zero is no power)."""
    mantissa, _ = np.frexp(values)
    return bool((np.abs(mantissa) == 0.5).all())


def _new_rows(x: Measured, high: Real, low: Real, multiply: bool) -> Measured:
    """Rows times, or plus, numbers: one new row for every pair that occurs."""
    outer = np.broadcast_shapes(x.row.shape, high.shape, low.shape)
    if len(outer) and outer[0] * int(np.prod(outer[1:])) > max(1 << 20, 4 * x.space.count):
        raise NotRecognisedError("constants that differ from location to location")
    rows = x.space.rows(np.broadcast_to(x.row, outer).reshape(-1))
    first, second = (np.broadcast_to(part, outer).reshape(-1) for part in (high, low))
    if multiply:
        c, c_low = constants.multiply(rows.c, rows.c_low, first, second)
        a, g = rows.a * first[:, None], rows.g * first[:, None]
        made = Rows(a, g, c, c_low, rows.unit * first)
    else:
        c, c_low = constants.add(rows.c, rows.c_low, first, second)
        made = Rows(rows.a, rows.g, c, c_low, rows.unit)
    return replace(x, row=x.space.add_rows(made).reshape(outer))


def add_numbers(x: Measured, numbers: Numbers) -> Measured:
    """x + numbers: into the rows while nothing else was done to them."""
    if x.steps or x.norm is not None:
        return applied(x, "add", numbers)
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    rank = len(shape)
    high = lift(condense(numbers.plain), rank)
    low = lift(condense(numbers.rest), rank) if numbers.exact else one(0.0, rank)
    if not high.any() and not low.any():
        return widened(x, shape)
    return _new_rows(widened(x, shape), high, low, multiply=False)


def multiply_numbers(x: Measured, numbers: Numbers) -> Measured:
    """x * numbers: into the rows where that rounds nothing.

    Raises:
        NotRecognisedError: by zero.
    """
    shape = np.broadcast_shapes(x.shape, numbers.shape)
    stored = numbers.root
    if stored is not None:
        root = lift(condense(stored), len(shape))
        if np.array_equal(numbers.high, stored):
            x = widened(x, shape)
            return replace(x, steps=(*x.steps, Applied("mul_root", root)))
        x = multiply_numbers(x, Numbers(numbers.high, numbers.low))
        return replace(x, steps=(*x.steps, Applied("div_root", root)))
    values = lift(condense(numbers.plain), len(shape))
    if not values.all():
        raise NotRecognisedError("a measurement times zero")
    if not x.steps and powers_of_two(values):
        return _new_rows(widened(x, shape), values, np.zeros_like(values), multiply=True)
    return applied(x, "mul", numbers)


def bare(x: Measured) -> Measured:
    """Affine steps put into the rows (they may round).

    Raises:
        NotRecognisedError: another function was applied.
    """
    steps, x = x.steps, replace(x, steps=())
    for step in steps:
        if step.name not in _AFFINE or step.constant is None:
            raise NotRecognisedError(f"a sum with '{step.name}' of a measurement")
        values = step.constant
        if step.name.endswith("root"):
            values = np.sqrt(values) if step.name == "mul_root" else 1.0 / np.sqrt(values)
        if step.name == "add" and x.norm is not None:
            raise NotRecognisedError("a sum of cosines with constants")
        x = _new_rows(x, values, np.zeros_like(values), multiply=step.name != "add")
    return x


def add(x: Measured, y: Measured, sign: float) -> Measured:
    """x + sign * y at the same sites.

    Raises:
        NotRecognisedError: other sites, or functions of measurements.
    """
    shape = np.broadcast_shapes(x.shape, y.shape)
    x, y = widened(bare(x), shape), widened(bare(y), shape)
    if x.space is not y.space or not same_norm(x.norm, y.norm) or not _same_sites(x, y):
        raise NotRecognisedError("a sum of measurements at different locations")
    outer = np.broadcast_shapes(x.row.shape, y.row.shape)
    first, second = (x.space.rows(np.broadcast_to(v.row, outer).reshape(-1)) for v in (x, y))
    c, c_low = constants.add(first.c, first.c_low, sign * second.c, sign * second.c_low)
    a, g = first.a + sign * second.a, first.g + sign * second.g
    made = Rows(a, g, c, c_low, np.ones(len(a)))
    return replace(x, row=x.space.add_rows(made).reshape(outer))


def _same_sites(x: Measured, y: Measured) -> bool:
    return x.site.shape == y.site.shape and bool((x.site == y.site).all())


def ratio(x: Chained, y: Chained) -> Chained:
    """(m + a) / (m + b) = 1 + (a - b) / (m + b) of one m.

    Raises:
        NotRecognisedError: x and y do not differ by a constant.
    """
    shape = np.broadcast_shapes(x.shape, y.shape)
    x, y = widened(x, shape), widened(y, shape)
    if isinstance(x, Measured) and isinstance(y, Measured):
        if x.space is not y.space or not same_norm(x.norm, y.norm) or not _same_sites(x, y):
            raise NotRecognisedError("a ratio of measurements at different locations")
        if not x.steps and not y.steps:
            return _row_ratio(x, y)
        bases = _same(x.row, y.row)
    else:
        bases = isinstance(x, Pooled) and isinstance(y, Pooled) and _same(x.record, y.record)
    first, own = _split(x.steps)
    second, other = _split(y.steps)
    if not bases or not same_steps(first, second):
        raise NotRecognisedError("a ratio of values that do not differ by a constant")
    difference = own - other
    return applied(y, "one_plus", Numbers(np.asarray(difference, dtype=np.float64)))


def _same(x: Index, y: Index) -> bool:
    return x.shape == y.shape and bool((x == y).all())


def _split(steps: tuple[Applied, ...]) -> tuple[tuple[Applied, ...], Real]:
    """Steps without the last addition, and what it adds."""
    if steps and steps[-1].name == "add" and steps[-1].constant is not None:
        return steps[:-1], steps[-1].constant
    return steps, np.zeros(())


def same_steps(x: tuple[Applied, ...], y: tuple[Applied, ...]) -> bool:
    """Whether two chains are the same."""
    if [step.name for step in x] != [step.name for step in y]:
        return False
    for first, second in zip((s.constant for s in x), (s.constant for s in y), strict=True):
        if first is None or second is None:
            if first is not second:
                return False
        elif not np.array_equal(first, second):
            return False
    return True


def _row_ratio(x: Measured, y: Measured) -> Measured:
    outer = np.broadcast_shapes(x.row.shape, y.row.shape)
    first, second = (x.space.rows(np.broadcast_to(v.row, outer).reshape(-1)) for v in (x, y))
    if not (np.array_equal(first.a, second.a) and np.array_equal(first.g, second.g)):
        raise NotRecognisedError("a ratio of different measurements")
    difference, _ = constants.add(first.c, first.c_low, -second.c, -second.c_low)
    return applied(y, "one_plus", Numbers(difference.reshape(outer)))


def norm_of(y: Measured) -> tuple[Norm, tuple[Applied, ...]]:
    """The norm of which y is a multiple, and the steps that dividing by the multiple is.

    y = k (max(sqrt(|z|^2 + added), floor) + beside); for a factor k that differs from prototype to
    prototype, floor and what is beside do so too.

    Raises:
        NotRecognisedError: y is no norm.
    """
    rows = y.space.rows(y.row.reshape(-1))
    names = [step.name for step in y.steps]
    under = names.index("sqrt") if "sqrt" in names else 0
    inside = y.steps[:under]
    plain = y.norm is None and not rows.g.any() and (rows.a == 1).all()
    scales = [step.constant for step in inside if step.name == "mul" and step.constant is not None]
    if (
        not plain or names[under : under + 1] != ["sqrt"] or np.ptp(rows.c) or (rows.c < 0).any()
        or len(scales) < len(inside) or any((scale <= 0).any() for scale in scales)
    ):  # fmt: skip
        raise NotRecognisedError("a quotient of measurements that is no division by a norm")
    rank = len(y.shape)
    factor, floor, beside = one(1.0, rank), one(0.0, rank), one(0.0, rank)
    steps: list[Applied] = []
    for scale in scales:
        factor = factor * np.sqrt(scale)
        steps.append(Applied("div_root", scale))
    for step in y.steps[under + 1 :]:
        constant = step.constant
        known = constant is not None and not beside.any()
        if step.name == "max" and constant is not None and known:
            floor = np.maximum(floor, constant / factor)
        elif step.name == "add" and constant is not None and known and (constant >= 0).all():
            beside = constant / factor
        elif step.name == "mul_root" and constant is not None:
            factor = factor * np.sqrt(constant)
            steps.append(Applied("div_root", constant))
        elif step.name == "mul" and constant is not None and (constant > 0).all():
            factor = factor * constant
            steps.append(Applied("mul", 1.0 / constant))
        else:
            raise NotRecognisedError(
                f"'{step.name}' of a norm: only max(sqrt(|z|^2 + c), epsilon), and a number from 0 "
                "on beside it, divides"
            )
    return Norm(condense(floor), float(rows.c[0]), condense(beside)), tuple(steps)


def divided_by_norm(x: Measured, y: Measured) -> Measured:
    """x / y, a multiple of the norm of the site that x is about.

    Raises:
        NotRecognisedError: y is no norm, or that of something else.
    """
    shape = np.broadcast_shapes(x.shape, y.shape)
    x, y = widened(x, shape), widened(y, shape)
    norm, steps = norm_of(y)
    if x.space is not y.space or not _same_sites(x, y):
        raise NotRecognisedError("a division by the norm of something else")
    rows = x.space.rows(x.row.reshape(-1))
    affine = all(step.name in _AFFINE and step.name != "add" for step in x.steps)
    if x.norm is not None or not affine or rows.a.any() or rows.c.any():
        raise NotRecognisedError("a division of something else than a product by a norm")
    return replace(x, norm=norm, steps=(*x.steps, *steps))
