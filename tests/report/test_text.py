"""Text and numbers: nothing hidden, bounds rounded away from flattery."""

from __future__ import annotations

import unicodedata
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.report.page.text import (
    LONGEST_LABEL,
    at_least,
    at_most,
    class_name,
    label,
    nearest,
    seconds,
    signed,
    visible,
)
from protoproof.wording import plural

finite = st.floats(allow_nan=False, allow_infinity=False)
DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")


def read(text: str) -> Fraction:
    """The number that a reader sees."""
    mantissa, _, power = text.translate(DIGITS).partition(" × 10")
    return Fraction(mantissa) * Fraction(10) ** int(power or 0)


@given(finite)
def test_a_lower_bound_reads_as_a_lower_bound(value: float) -> None:
    assert read(at_least(value)) <= Fraction(value)


@given(finite)
def test_an_upper_bound_reads_as_an_upper_bound(value: float) -> None:
    assert read(at_most(value)) >= Fraction(value)


@given(finite)
def test_three_digits_are_right(value: float) -> None:
    # half a unit in the third significant digit
    assert abs(read(nearest(value)) - Fraction(value)) <= abs(Fraction(value)) / 200


@pytest.mark.parametrize(
    ("value", "down", "near", "up"),
    [
        (6.4149, "6.41", "6.41", "6.42"),
        (-0.003121, "−0.00313", "−0.00312", "−0.00312"),
        (0.0, "0", "0", "0"),
        (1234.56, "1234", "1235", "1235"),
        (9.615e-7, "9.61 × 10⁻⁷", "9.62 × 10⁻⁷", "9.62 × 10⁻⁷"),
        (float("inf"), "∞", "∞", "∞"),
        (float("-inf"), "−∞", "−∞", "−∞"),
        (float("nan"), "not a number", "not a number", "not a number"),
    ],
)
def test_numbers(value: float, down: str, near: str, up: str) -> None:
    assert (at_least(value), nearest(value), at_most(value)) == (down, near, up)


def test_signs_durations_counts() -> None:
    assert (signed(1.5), signed(-1.5)) == ("+1.50", "−1.50")
    assert (seconds(0.0312), seconds(2.04)) == ("31 ms", "2.0 s")
    assert plural(1, "fact") == "1 fact"
    assert plural(1200, "class", "classes") == "1,200 classes"


@given(st.text(alphabet=st.characters()))
def test_nothing_invisible_is_left(text: str) -> None:
    left = {unicodedata.category(character) for character in visible(text)}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_hiding_characters_are_shown() -> None:
    assert visible("a\u202eb\x1b[0m\n\ud800") == "a[U+202E]b[U+001B][0m [U+D800]"
    assert visible("größer 日本 ×") == "größer 日本 ×"


def test_labels_are_cut_and_never_empty() -> None:
    assert len(label("x" * 5000)) == LONGEST_LABEL
    assert label("") == "(no name)"


def test_a_class_is_not_called_one_twice() -> None:
    assert class_name("cat") == "the class “cat”"
    assert class_name("class 0") == "class 0"
    assert class_name("classic\u202e") == "the class “classic[U+202E]”"
