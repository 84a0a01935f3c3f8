"""VNN-LIB: what is read, and what is refused by name."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import InputError
from protoproof.region.sets import vnnlib
from protoproof.region.sets.vnnlib import Comparison, VnnLib, parse_vnnlib, read_vnnlib
from protoproof.region.sets.yaml_file import expected_class, load_region

EXAMPLE = Path(__file__).parents[2] / "specs" / "properties" / "robust.vnnlib"
HEAD = "(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)"
BOX = "(assert (>= X_0 0.1))(assert (<= X_0 0.3))"
UNSAFE = "(assert (<= Y_0 Y_1))"


def test_the_example() -> None:
    found = read_vnnlib(EXAMPLE)
    assert found.outputs == 3
    assert found.box.lower.tolist() == [0.25, 0.0]
    assert found.box.upper.tolist() == [0.75, 1.0]
    zero = Fraction(0)
    assert found.unsafe == ((Comparison(0, 1, zero),), (Comparison(0, 2, zero),))
    assert found.robust_class() == 0


def test_bounds_are_rounded_outwards() -> None:
    found = parse_vnnlib(HEAD + BOX + UNSAFE)
    assert Fraction(float(found.box.lower[0])) <= Fraction(1, 10)
    assert Fraction(float(found.box.upper[0])) >= Fraction(3, 10)


def test_the_tightest_bound_counts_and_both_sides_are_read() -> None:
    text = HEAD + BOX + "(assert (and (<= 0.125 X_0) (>= 0.25 X_0)))" + UNSAFE
    found = parse_vnnlib(text)
    assert (found.box.lower[0], found.box.upper[0]) == (0.125, 0.25)


def test_conditions_become_a_disjunction_of_conjunctions() -> None:
    text = "(assert (or (and (<= Y_0 Y_1) (>= Y_0 (- 0.5))) (<= Y_1 3)))(assert (<= Y_0 1e1))"
    found = parse_vnnlib(HEAD + BOX + text)
    last = Comparison(0, None, Fraction(10))
    assert found.unsafe == (
        (Comparison(0, 1, Fraction(0)), Comparison(None, 0, Fraction(1, 2)), last),
        (Comparison(1, None, Fraction(3)), last),
    )
    assert found.robust_class() is None


THREE = HEAD + "(declare-const Y_2 Real)" + BOX
ROBUST = [
    "(assert (or (<= Y_1 Y_0) (<= Y_1 Y_2)))",
    "(assert (or (>= Y_2 Y_1) (and (>= Y_0 Y_1) (>= Y_0 Y_2))))",
    "(assert (or (and (<= Y_1 Y_0) (<= Y_2 Y_0)) (and (<= Y_0 Y_2) (<= Y_1 Y_2))))",
    "(assert (or (<= Y_1 Y_0) (<= Y_1 Y_2) (and (<= Y_1 Y_0) (<= Y_2 Y_0))))",
]
OTHERWISE = [
    "(assert (<= Y_1 Y_0))",  # Y_2 may be the largest
    "(assert (and (<= Y_1 Y_0) (<= Y_1 Y_2)))",  # both at once
    "(assert (or (<= Y_1 Y_0) (<= Y_1 Y_2) (<= Y_0 Y_1)))",
    "(assert (or (<= Y_1 Y_0) (and (<= Y_1 Y_2) (<= Y_2 Y_0))))",
    "(assert (or (<= Y_1 Y_0) (and (<= Y_1 Y_2) (<= Y_1 0.5))))",
    "(assert (or (<= Y_1 Y_0) (<= Y_0 Y_2)))",
]


@pytest.mark.parametrize("text", ROBUST)
def test_forms_of_robustness_are_equivalent_to_one_class_being_the_largest(text: str) -> None:
    found = parse_vnnlib(THREE + text)
    assert found.robust_class() == 1
    assert all(unsafe(found, y) == (y[1] <= max(y[0], y[2])) for y in OUTPUTS)


@pytest.mark.parametrize("text", OTHERWISE)
def test_other_conditions_are_no_robustness(text: str, tmp_path: Path) -> None:
    assert parse_vnnlib(THREE + text).robust_class() is None
    path = tmp_path / "other.vnnlib"
    path.write_text(THREE + text)
    with pytest.raises(InputError, match="only that is proved here"):
        expected_class(str(path))


OUTPUTS = list(product((-1.0, 0.0, 1.0), repeat=3))


def unsafe(found: VnnLib, y: tuple[float, ...]) -> bool:
    """The condition as it is written."""

    def value(index: int | None) -> float:
        return 0.0 if index is None else y[index]

    return any(
        all(value(c.smaller) <= value(c.larger) + c.offset for c in disjunct)
        for disjunct in found.unsafe
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(assert (<= X_0 0.05))" + UNSAFE, "contradiction: X_0"),
        ("(assert (<= Y_0 1))(assert (>= Y_0 2))", "contradiction"),
        ("(assert (<= Y_0 (- 1)))(assert (<= Y_1 Y_0))(assert (>= Y_1 0))", "contradiction"),
        ("", "no condition"),
        ("(assert (<= X_0 Y_0))", "mixes"),
        ("(assert (or (<= X_0 0.2) (>= X_0 0.25)))" + UNSAFE, "only boxes"),
        ("(assert (< Y_0 Y_1))", "not supported"),
        ("(assert (not (<= Y_0 Y_1)))", "not supported"),
        ("(assert (<= (+ Y_0 Y_1) 1))", "no decimal"),
        ("(assert (<= Y_0 Y_7))", "Y_7 is used but not declared"),
        ("(assert (<= Y_0 nan))", "no decimal"),
        ("(assert (<= Y_0 1e50000000))", "no decimal"),
        ("(assert (<= 1 2))", "two numbers"),
        ("(declare-fun f () Real)", "declare-fun"),
        ("(declare-const X_5 Real)", "out of order"),
        ("(declare-const Z Real)", "not X_i"),
        ("(declare-const X_1 Int)", "only Real"),
        ("(check-sat)", "check-sat"),
        ("(assert (<= Y_0 Y_1)", "never closed"),
        (")", "outside any command"),
        ("(" * 100, "nested"),
        ("(assert" + "(and " * 9 + UNSAFE + ")" * 10, "not supported"),
    ],
)
def test_the_rest_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        parse_vnnlib(HEAD + BOX + text)
    assert "\n" not in str(caught.value)


def test_another_version_is_named() -> None:
    text = "(vnnlib-version <2.0>)(declare-network N (declare-input X float32 [1,1,8,8]))"
    with pytest.raises(InputError, match=r"VNN-LIB '<2.0>'; only 1.0 .* protoproof vnnlib"):
        parse_vnnlib(text)


def test_pixels_fixed_to_decimals_hold_no_input(tmp_path: Path) -> None:
    path = tmp_path / "fixed.vnnlib"
    two = HEAD.replace("(declare-const Y_0", "(declare-const X_1 Real)(declare-const Y_0")
    path.write_text(two + "(assert (and (<= X_0 1) (>= X_0 0) (<= X_1 0.151) (>= X_1 0.151)))"
                    + UNSAFE)  # fmt: skip
    with pytest.raises(
        InputError, match=r"fixed.vnnlib: at \[0, 0, 1\], between 0.151 and 0.151, "
    ):
        load_region(f"vnnlib:{path}", None, (1, 1, 2), (0.0, 1.0))


def test_an_unbounded_input_is_refused() -> None:
    with pytest.raises(InputError, match="X_0 has no lower bound"):
        parse_vnnlib(HEAD + "(assert (<= X_0 1))" + UNSAFE)


def test_exponential_conditions_are_refused() -> None:
    clause = "(assert (or (<= Y_0 Y_1) (<= Y_1 1)))"
    with pytest.raises(InputError, match="disjuncts"):
        parse_vnnlib(HEAD + BOX + clause * 20)


def test_other_sizes_and_other_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 inputs, the network takes 4"):
        load_region(str(EXAMPLE), None, (1, 2, 2), (0.0, 1.0))
    region = load_region(str(EXAMPLE), None, (1, 1, 2), (0.0, 1.0))
    assert np.array_equal(region.centre, np.array([[[0.5, 0.5]]], dtype=np.float32))
    path = tmp_path / "x.vnnlib"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not ASCII"):
        read_vnnlib(path)


@pytest.mark.trust(47)
@pytest.mark.parametrize("most", ["MOST_COMPARISONS", "MOST_COPIES"])
def test_conditions_that_are_put_together_are_bounded(
    most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one of many conditions is copied into every disjunct."""
    monkeypatch.setattr(vnnlib, most, 1000)
    either = "(assert (or (<= Y_0 Y_1) (<= Y_1 Y_0)))"
    assert len(parse_vnnlib(HEAD + BOX + either * 4).unsafe) == 16
    with pytest.raises(InputError, match="too many comparisons"):
        parse_vnnlib(HEAD + BOX + either * 8)
    with pytest.raises(InputError, match="too many comparisons"):
        parse_vnnlib(HEAD + BOX + f"(assert (and {'(<= Y_0 Y_1)' * 2000}))")


@pytest.mark.trust(47)
def test_the_search_for_contradictions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = "".join(f"(declare-const Y_{k} Real)" for k in range(2, 50))
    chain = "".join(f"(<= Y_{k} Y_{k + 1})" for k in range(49))
    text = HEAD + outputs + BOX + f"(assert (and {chain} (<= Y_49 -1)))"
    assert len(parse_vnnlib(text).unsafe[0]) == 50
    monkeypatch.setattr(vnnlib, "MOST_STEPS", 2000)
    with pytest.raises(InputError, match="too many"):
        parse_vnnlib(text)
