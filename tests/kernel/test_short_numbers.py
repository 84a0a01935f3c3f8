"""What is computed by whole arrays where numbers are short, against the same with fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protoproof.errors import ModelError
from protoproof.kernel.float32.rows import sizes
from protoproof.kernel.float32.scores import _quotients
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import Exact, dyadic, multiply, require_short
from protoproof.kernel.model.symbolic.expressions import Expressions, Irrational
from protoproof.kernel.model.symbolic.geometry import _common, canonical
from protoproof.kernel.model.symbolic.programs import (
    HALF,
    WHOLE,
    Derived,
    chain,
    direction,
    tidied,
)
from protoproof.kernel.model.symbolic.tables import Program, Row, Tables

F = Fraction
ROOT = Real("root", F(2))
# integers on both sides of what fits into 64 bits, or into the significant bits of a float64
EDGES = [n + more for n in (0, 1 << 31, 1 << 53, 1 << 62, 1 << 63, 1 << 64, 1 << 1024)
         for more in (-1, 0, 1)]  # fmt: skip
WHOLE_NUMBERS = st.one_of(
    st.integers(-9, 9), st.sampled_from(EDGES).flatmap(lambda n: st.sampled_from([n, -n]))
)
NUMBERS = st.one_of(WHOLE_NUMBERS, st.fractions(-3, 3, max_denominator=9))


def objects(values: Sequence[Any]) -> Any:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f4"])
@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=48))
def test_stored_floats_are_the_numbers_that_they_are(kind: str, data: bytes) -> None:
    """Any bits: denormal numbers, the largest ones, zeros, the least beside the largest."""
    size = np.dtype(kind).itemsize
    values = np.frombuffer(data[: len(data) // size * size], dtype=kind)
    if not np.isfinite(values).all():
        with pytest.raises(ModelError, match="NaN or infinity"):
            dyadic(values)
        return
    found = dyadic(values)
    assert [F(n, found.denominator) for n in found.numerators.tolist()] == [
        F(float(x)) for x in values
    ]
    assert {type(n) for n in found.numerators.tolist()} <= {int}


@pytest.mark.parametrize(
    "values",
    [
        [2.0**-149, 2.0**127, -0.0],
        [2.0**-149, -(2.0**-126)],
        [-(2.0**128 - 2.0**104), 1.0],
        # the longest that 63 bits hold, and one more
        [2.0**39 * (2**24 - 1) / 2, 1.0, -0.5],
        [2.0**39 * (2**24 - 1), 0.5, -0.5],
        [],
    ],
)
def test_floats_at_the_edge_of_64_bits(values: list[float]) -> None:
    found = dyadic(np.array(values, dtype=np.float32))
    assert [F(n, found.denominator) for n in found.numerators.tolist()] == list(map(F, values))


def test_floats_that_are_no_numbers_are_refused_in_any_company() -> None:
    for bad in (np.inf, -np.inf, np.nan):
        with pytest.raises(ModelError, match="NaN or infinity"):
            dyadic(np.array([1.0, bad], dtype=np.float32))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4), st.booleans())
@example([(1 << 63, 1 << 63)], False)
@example([(F(1), 3)], True)
def test_products_are_products(pairs: list[tuple[Any, Any]], single: bool) -> None:
    left, right = (objects([pair[k] for pair in pairs]) for k in (0, 1))
    if single:  # one number for all, also where it is 1
        left = np.broadcast_to(objects([pairs[0][0]]), right.shape)
    for one, other in ((left, right), (right, left)):
        found = multiply(Exact(one, 6), Exact(other, 35))
        wanted = [F(a) / 6 * F(b) / 35 for a, b in zip(one, other, strict=True)]
        assert [F(n) / found.denominator for n in found.numerators.tolist()] == wanted


@pytest.mark.parametrize("beside", [(), (F(1, 3),), (ROOT,), (1 << 64, -7)])
def test_numbers_are_short_up_to_a_length(beside: tuple[Any, ...]) -> None:
    longest = (1 << (1 << 13)) - 1
    for sign in (1, -1):
        require_short((sign * longest, *beside))
        require_short(objects([3, sign * longest, *beside]))
        for numbers in ((sign * (longest + 1), *beside), (5, *beside, sign * (longest + 1))):
            with pytest.raises(ModelError, match="too long"):
                require_short(numbers)
            with pytest.raises(ModelError, match="too long"):
                require_short(objects(numbers))
    require_short(())
    require_short((F(1 << 9000, 3),))  # of fractions nothing is asked


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(WHOLE_NUMBERS, min_size=2, max_size=2), st.integers(0, 70)),
        min_size=1,
        max_size=4,
    )
)
@example([([0, 0], 5)])
@example([([-4, 0], 1), ([8, 24], 70)])
def test_rows_over_one_denominator_as_short_as_they_can_be(
    rows: list[tuple[list[int], int]],
) -> None:
    found, shift = _common([tuple(row) for row, _ in rows], [1 << n for _, n in rows])
    wanted = [F(n, 1 << places) for row, places in rows for n in row]
    assert [F(n, 1 << shift) for n in found] == wanted
    assert shift == 0 or any(n % 2 for n in found) or not any(found)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, -1, 2, -8, 3, 1 << 70]),
    st.lists(st.one_of(WHOLE_NUMBERS, st.just(F(1, 2))), min_size=2, max_size=2),
    st.sampled_from([1, 8, 1 << 149]),
)
def test_a_sum_of_squares_is_a_distance(square: int, slope: list[Any], under: int) -> None:
    """a |z|^2 + <g, z> is its program of |z - p|^2."""
    row = Row((square, square), tuple(slope), under)
    try:
        found = canonical(row, "euclidean")
    except ModelError:
        assert any((F(g) / (2 * square)).denominator.bit_count() > 1 for g in slope)
        return
    z = [F(7, 5), F(-3)]
    point = [F(n, found.denominator) for n in found.point]
    value = sum((a - b) ** 2 for a, b in zip(z, point, strict=True))
    for name, constant in found.program:
        assert isinstance(constant, Fraction)
        value = value * constant if name == "mul" else value + constant
    assert value == sum(F(square) / under * a * a + F(g) / under * a
                        for a, g in zip(z, slope, strict=True))  # fmt: skip


STEPS: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.sampled_from(["add", "mul"]), st.sampled_from([F(0), F(1), F(-2), F(1, 3), ROOT])),
    st.tuples(st.just("max"), st.sampled_from([F(0), F(-1), F(2)])),
    st.tuples(st.just("exp"), st.none()),
)


def slowly(program: Program, floor: Fraction | None) -> Program:
    """The same function without what does nothing, one instruction after the other."""
    done: list[Any] = []
    for name, constant in program:
        neutral = {"add": 0, "mul": 1}
        idle = all(n in neutral and c == neutral[n] for n, c in done)
        if name == "max" and idle and floor is not None and constant <= floor:
            continue
        done.append((name, constant))
        tail: list[Any] = []
        while done and done[-1][0] in neutral and not isinstance(done[-1][1], Real):
            tail.insert(0, done.pop())
        slope, shift = F(1), F(0)
        for word, by in tail:
            slope, shift = (slope * by, shift * by) if word == "mul" else (slope, shift + by)
        words = [word for word, _ in tail]
        done += [("mul", slope)] * ("mul" in words) + [("add", shift)] * ("add" in words)
    return tuple((n, c) for n, c in done if c != {"add": 0, "mul": 1, "div_root": 1}.get(n, "none"))


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=7), st.sampled_from([None, F(0), F(-3)]))
@example([("add", F(0)), ("mul", F(1)), ("max", F(0)), ("add", F(2)), ("mul", F(-2))], F(0))
@example([("add", ROOT), ("add", F(0)), ("max", F(0))], F(0))
def test_a_program_without_what_does_nothing(program: list[Any], floor: Fraction | None) -> None:
    assert tidied(tuple(program), floor) == slowly(tuple(program), floor)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([F(1), F(3), F(-1, 2)])] * 3), min_size=1, max_size=5))
def test_one_chain_for_all_features(constants: list[tuple[Fraction, ...]]) -> None:
    programs: list[Program] = [
        (("mul", a), ("add", b), ("max", F(-9)), ("add", c)) for a, b, c in constants
    ]
    found = chain(programs, [None] * len(programs))
    for j, (a, b, c) in enumerate(constants):
        for t in (F(-7), F(1, 3), F(4)):
            assert found.number(j, _rational(t)) == _rational(max(a * t + b, F(-9)) + c)


def _rational(value: Fraction) -> Any:
    from flint import fmpq

    return fmpq(value.numerator, value.denominator)


def test_directions_that_are_known_are_what_they_are_derived_to_be() -> None:
    known: Derived = {}
    for sign in (F(1), F(-1)):
        for ends in (HALF, WHOLE):
            for constant in (F(0), F(2), F(2), F(-3)):
                program: Program = (
                    ("add", constant), ("add", -constant), ("mul", sign), ("exp", None),
                    ("sqrt", None), ("tanh", None), ("max", F(0)), ("reciprocal", None),
                )  # fmt: skip
                try:
                    alone = direction(program, ends)
                except ModelError:
                    with pytest.raises(ModelError):
                        direction(program, ends, known)
                    continue
                assert direction(program, ends, known) == alone
    assert len(known) in (2, 4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(WHOLE_NUMBERS, min_size=3, max_size=3), min_size=1, max_size=3),
    st.permutations([0, 1, 2]),
    st.sampled_from([1, 6, 1 << 149]),
    st.sampled_from([False, True]),
)
def test_many_sums_are_the_sums_that_they_are(
    columns: list[list[int]], parts: list[int], under: int, sums: bool
) -> None:
    """Also of sums, and with weights of zero, which are remembered."""
    both = []
    for _ in range(2):
        known = Expressions(Tables())
        for name in (F(2), F(3), F(5)):
            known.enter(Irrational(Real("root", name)))
        if sums:
            parts = [*parts[:2], known.total([0, 1], [1, 1])]
        both.append(known)
    first = both[0].totals(parts, objects_of(columns).T, under)
    second = [both[1].total(parts, column, under) for column in columns]
    assert first == second
    assert both[0].all == both[1].all
    assert both[0].idle == both[1].idle


def objects_of(rows: list[list[int]]) -> Any:
    return np.array([objects(row) for row in rows], dtype=object)


@settings(max_examples=60, deadline=None)
@given(st.lists(WHOLE_NUMBERS, min_size=1, max_size=4), st.sampled_from([1, 3, 1 << 10, 1 << 149]))
def test_sizes_of_rows_are_bounds(slope: list[int], under: int) -> None:
    slope = [n for n in slope if abs(n) < 1 << 100] or [0]
    found = sizes(Row(tuple([2] * len(slope)), tuple(slope), under))
    square = sum(F(n, under) ** 2 for n in slope)
    assert square <= F(found.slope) ** 2 <= square * (1 + F(1, 1 << 30)) + F(1, 1 << 900)
    assert square / (4 * F(2, under) ** 2) <= F(found.centre) ** 2
    assert F(found.least) <= F(2, under) <= F(found.largest)


@settings(max_examples=80, deadline=None)
@given(st.lists(WHOLE_NUMBERS, max_size=4), st.sampled_from([1, 3, 1 << 20, 1 << 511, 1 << 600]))
def test_weights_are_the_nearest_floats(numbers: list[int], under: int) -> None:
    numbers = [n for n in numbers if abs(n) < 1 << 1000]  # of others no float is near
    wanted = [n / under for n in numbers]
    found = _quotients(numbers, under)
    assert found.tolist() == wanted
    assert all(
        math.copysign(1, a) == math.copysign(1, b) for a, b in zip(found, wanted, strict=True)
    )
