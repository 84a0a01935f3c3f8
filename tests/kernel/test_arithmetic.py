"""Exact numbers: nothing is lost, and rounding goes only where it is said to go."""

from __future__ import annotations

import base64
import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import example, given
from hypothesis import strategies as st

from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import (
    GRID,
    ball,
    certain_sign,
    decided,
    decode_floats,
    float32_integers,
    float_below,
    grid_ceiling,
    grid_floor,
    hex_ratio,
    round_down,
    round_up,
    sigmoid,
)

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
RATIOS = st.tuples(st.integers(-(10**40), 10**40), st.integers(1, 10**40))


@given(st.lists(FLOAT32, max_size=8))
@example([0.0, -0.0])
@example([2.0**-149, -(2.0**128 - 2.0**104), 2.0**-126])
def test_float32_values_become_the_same_numbers(values: list[float]) -> None:
    integers, shift = float32_integers(np.array(values, dtype=np.float32))
    assert shift >= 0
    assert [Fraction(n, 1 << shift) for n in integers] == [Fraction(v) for v in values]


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(-0.0)
def test_hex_floats_are_read_exactly(value: float) -> None:
    assert Fraction(*hex_ratio(value.hex())) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    ["0x1p+0", "0x1.80p+0", "0x1.0p+9999", "0x1.8p-1080", "0x1.00000000000000p+0", "1.0", "nan"],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(CertificateError):
        hex_ratio(text)


@given(RATIOS)
@example((1, 3))
@example((0, 7))
@example((-1, 10**400))
@example((2**53 + 1, 1))
def test_rounding_gives_the_tightest_enclosure(value: tuple[int, int]) -> None:
    low, high, exact = round_down(value), round_up(value), Fraction(*value)
    assert Fraction(low) <= exact <= Fraction(high)
    assert Fraction(math.nextafter(low, math.inf)) > exact
    assert Fraction(math.nextafter(high, -math.inf)) < exact


@given(RATIOS)
def test_the_grid_rounds_outwards_by_less_than_one_step(value: tuple[int, int]) -> None:
    step = Fraction(1, 1 << GRID)
    exact = Fraction(*value)
    assert exact - step < grid_floor(value) * step <= exact <= grid_ceiling(value) * step
    assert grid_ceiling(value) * step < exact + step


@given(RATIOS, st.integers(-50, 50))
def test_a_float_below_a_ball_is_below_it(value: tuple[int, int], shift: int) -> None:
    with ctx.workprec(80):
        around = ball(value)
    below = float_below(around, shift)
    exact = Fraction(*value) / Fraction(2) ** shift
    assert Fraction(below) <= exact
    assert below >= float(exact) - abs(float(exact)) * 1e-15


def test_extreme_balls_have_a_float_below() -> None:
    tiny = (-(arb(10) ** 40)).exp()
    assert -1e-300 < float_below(tiny) <= 0  # the ball of such a number reaches below zero
    assert float_below(arb(2) ** -5000) == 0.0
    assert -1e-300 < float_below(-(arb(2) ** -5000)) < 0
    assert float_below(arb(2) ** 5000) > 1e300
    assert float_below(-(arb(2) ** 5000)) == -math.inf
    assert float_below(arb("nan")) == -math.inf


def test_signs_are_certain_or_not_given() -> None:
    assert certain_sign(arb(1)) == 1
    assert certain_sign(arb(-1)) == -1
    for unclear in (arb(0), arb(0, 1), arb(1, 2), arb("nan"), arb("inf"), arb(0).log()):
        assert certain_sign(unclear) == 0


def test_precision_rises_until_the_sign_is_certain() -> None:
    used: list[int] = []

    def close() -> arb:
        used.append(ctx.prec)
        return (arb(2).sqrt() ** 2 - 2) + arb(2) ** -200

    sign, _ = decided(close)
    assert sign == 1
    assert used == [64, 128, 256]
    assert decided(lambda: arb(2).sqrt() ** 2 - 2)[0] == 0


@pytest.mark.trust(22)
def test_a_float_below_is_the_largest_one_whatever_the_precision() -> None:
    with ctx.workprec(200):
        for value in (arb(1) / 3, -arb(1) / 3, 1 - arb(2) ** -100, -1 - arb(2) ** -100):
            below = float_below(value)
            assert arb(below) < value < arb(math.nextafter(below, math.inf))
        assert float_below(arb(3) * 2**40, 41) == 1.5


FLOATS = [0.1, -0.0, 2.0**-149]
TEXT = base64.b64encode(np.array(FLOATS, "<f4").tobytes()).decode()


@pytest.mark.trust(22)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_base64_holds_floats_bit_by_bit(
    kind: type[np.float32] | type[np.float64], count: int
) -> None:
    values = np.array([*FLOATS, -1.5], dtype=kind)[:count]
    stored = values.astype(values.dtype.newbyteorder("<")).tobytes()
    found = decode_floats(base64.b64encode(stored).decode(), count, kind)
    assert found.dtype == kind
    assert found.tobytes() == values.tobytes()


@pytest.mark.trust(22)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT[:-4], "does not hold 3"),
        (TEXT + "AAAA", "does not hold 3"),
        ("", "does not hold 3"),
        (TEXT[:-1] + "!", "not base64"),
        (TEXT[:-5] + "\n" + TEXT[-4:], "not base64"),
        ("=" + TEXT[1:], "base64"),
    ],
)
def test_other_texts_are_no_floats(text: str, words: str) -> None:
    with pytest.raises(CertificateError, match=words):
        decode_floats(text, 3, np.float32)


@pytest.mark.trust(22)
def test_stray_bits_and_numbers_that_are_none_are_refused() -> None:
    one = base64.b64encode(np.array([1.0], "<f4").tobytes()).decode()  # ends in ==
    assert decode_floats(one, 1, np.float32).tolist() == [1.0]
    stray = one[:5] + chr(ord(one[5]) + 1) + one[6:]
    for text in (stray, one[:4] + "AAA=", one[:4] + "AAAA"):
        with pytest.raises(CertificateError, match="exactly 1"):
            decode_floats(text, 1, np.float32)
    for values in ([math.nan, 1.0], [1.0, math.inf], [-math.inf, -math.inf]):
        text = base64.b64encode(np.array(values, "<f8").tobytes()).decode()
        with pytest.raises(CertificateError, match="NaN or infinity"):
            decode_floats(text, 2, np.float64)


def test_a_sigmoid_is_known_however_large_its_argument() -> None:
    huge = arb(2) ** 200
    assert abs(sigmoid(huge) - 1) < 1e-12
    assert abs(sigmoid(-huge)) < 1e-12
