"""Similarities as chains: values, slopes, and the traits that are derived from their primitives."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.backend import Engine
from protoproof.errors import InternalError
from protoproof.network.head.chain import Chain, Step
from protoproof.network.head.primitives import PRIMITIVES
from tests.support.heads import CONSTANTS, SIMILARITIES, similarity, step

# chains over arguments from the first number on: each primitive at least once
CHAINS: dict[str, tuple[float, tuple[Step, ...]]] = {
    "log ratio": (0.0, (step("add", 1e-4), step("one_plus", 1 - 1e-4), step("log"))),
    "tiny epsilon": (0.0, (step("add", 2.0**-60), step("one_plus", 1.0), step("log"))),
    "exponential": (0.0, (step("mul", -1.5), step("exp"))),
    "root": (0.0, (step("sqrt"), step("mul", -1.0), step("exp"))),
    "reciprocal": (0.0, (step("add", 1.0), step("reciprocal"))),
    "folded": (0.0, (step("add", -0.01), step("max", 0.0), step("mul", -2.0))),
    "capped": (0.0, (step("mul", -1.0), step("exp"), step("min", 0.5))),
    "jump": (0.0, (step("mul", -1.0), step("add", 0.75), step("zero_below", 0.1))),
    "cosine": (-1.0, (step("mul", -1.0), step("add", 1.0), step("square"))),
    "length": (-1.0, (step("div_root", 2.0), step("mul", -1.0))),
    "bell": (-5.0, (step("mul", -1.0), step("sigmoid"))),
    "bend": (-5.0, (step("mul", -1.0), step("tanh"))),
    "soft": (-5.0, (step("mul", -1.0), step("softplus"))),
    "power": (0.0, (step("add", 1.0), step("power", -1.5))),
    "size": (0.0, (step("abs"), step("mul", -1.0))),
    "identity": (-2.0, (step("mul", -1.0),)),
}
HIGH = {"cosine": 1.0, "length": 1.0}
names = st.sampled_from(sorted(CHAINS))


def made(name: str) -> Chain:
    low, steps = CHAINS[name]
    return Chain(steps).over(low, HIGH.get(name, np.inf))


def exact(chain: Chain, t: float) -> mpmath.mpf:
    """The definition, to 60 digits."""
    with mpmath.workdps(60):
        x = mpmath.mpf(t)
        for part in chain.steps:
            c = None if part.constant is None else mpmath.mpf(float(part.constant[0]))
            x = {
                "add": lambda x, c: x + c,
                "mul": lambda x, c: x * c,
                "div_root": lambda x, c: x / mpmath.sqrt(c),
                "max": lambda x, c: max(x, c),
                "min": lambda x, c: min(x, c),
                "sqrt": lambda x, _: mpmath.sqrt(x),
                "square": lambda x, _: x * x,
                "exp": lambda x, _: mpmath.exp(x),
                "log": lambda x, _: mpmath.log(x),
                "reciprocal": lambda x, _: 1 / x,
                "one_plus": lambda x, c: 1 + c / x,
                "sigmoid": lambda x, _: 1 / (1 + mpmath.exp(-x)),
                "tanh": lambda x, _: mpmath.tanh(x),
                "softplus": lambda x, _: mpmath.log(1 + mpmath.exp(x)),
                "power": lambda x, c: mpmath.power(x, c),
                "abs": lambda x, _: abs(x),
                "zero_below": lambda x, c: x if x >= c else mpmath.mpf(0),
            }[part.name](x, c)
        return +x


def arguments(name: str) -> st.SearchStrategy[float]:
    low = CHAINS[name][0]
    return st.floats(low, min(HIGH.get(name, 40.0), 40.0))


def test_every_primitive_is_tested() -> None:
    used = {part.name for _, steps in CHAINS.values() for part in steps}
    assert used | {"log_one_plus"} == set(PRIMITIVES)


@given(st.data(), names)
def test_values_are_those_of_the_definition(data: st.DataObject, name: str) -> None:
    chain, t = made(name), data.draw(arguments(name))
    truth = exact(chain, t)
    got = float(chain.value(np.array([t]))[0])
    jump = name == "jump" and abs(t - 0.65) < 1e-12
    assert jump or abs(mpmath.mpf(got) - truth) <= 1e-13 * (1 + abs(truth))


@given(st.sampled_from(SIMILARITIES), st.floats(0, 1e30))
def test_similarities_of_distances_keep_their_digits(kind: str, q: float) -> None:
    """However far away: no cancellation, and the limits at both ends."""
    chain, c = similarity(kind), CONSTANTS[kind]
    got, at_zero, at_infinity = chain.value(np.array([q, 0.0, np.inf])).tolist()
    truth = exact(chain, q)
    # the quotient errs by half a unit, which the exponential magnifies by its argument
    units = 8 + (q / c if kind == "exponential" else 0)
    assert abs(mpmath.mpf(got) - truth) <= units * 2.0**-52 * abs(truth) + 1e-300
    assert at_infinity == chain.infimum[0]
    assert at_zero == chain.supremum[0]


@given(st.data(), names)
def test_slopes_are_those_of_the_values(data: st.DataObject, name: str) -> None:
    chain, t = made(name), data.draw(arguments(name))
    kinks = {"folded": 0.01, "capped": math.log(2), "jump": 0.65, "root": 0.0, "size": 0.0}
    if abs(t - kinks.get(name, -99.0)) < 1e-3 or t + 1e-3 > HIGH.get(name, np.inf):
        return
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -25
        slope = (exact(chain, mpmath.mpf(t) + h) - exact(chain, t)) / h
    got = float(chain.derivative(np.array([t]))[0])
    assert got == pytest.approx(float(slope), rel=1e-7, abs=1e-9)


@given(st.data(), names)
def test_derived_traits_hold(data: st.DataObject, name: str) -> None:
    """Falling, within its range; convex where that is said; the inverse is the last argument."""
    chain = made(name)
    assert chain.broken is None
    assert chain.decreasing
    a, b = sorted((data.draw(arguments(name)), data.draw(arguments(name))))
    at_a, at_b = chain.value(np.array([a, b])).tolist()
    slack = 1e-12 * (1 + abs(at_a))
    assert at_b <= at_a + slack
    assert chain.infimum[0] - slack <= at_b
    assert at_a <= chain.supremum[0] + slack
    if chain.convex_between(np.array([a]), np.array([b]))[0]:
        middle = float(chain.value(np.array([(a + b) / 2]))[0])
        assert middle <= (at_a + at_b) / 2 + slack
    back = float(chain.inverse(np.array([at_b]))[0])
    assert back >= b - 1e-6 * (1 + abs(b))


def test_curvature_is_derived() -> None:
    convex = {name for name in CHAINS if made(name).convex.all()}
    assert convex == {
        "log ratio", "tiny epsilon", "exponential", "root", "reciprocal", "cosine", "length",
        "soft", "power", "size", "identity",
    }  # fmt: skip
    bell = made("bell")
    inside, outside = np.array([0.5]), np.array([-3.0])
    assert bell.convex_between(inside, inside + 1).all()
    assert not bell.convex_between(outside, outside + 1).any()


@pytest.mark.parametrize(
    ("low", "steps", "broken"),
    [
        (-1.0, (step("square"),), "square"),
        (-np.inf, (step("sqrt"),), "sqrt"),
        (-1.0, (step("reciprocal"),), "reciprocal"),
        (-np.inf, (step("log"),), "log"),
        (-1.0, (step("zero_below", -0.5),), "zero_below"),
        (-1.0, (step("abs"),), "abs"),
        (0.0, (step("add", -1.0), step("one_plus", 2.0)), "one_plus"),
    ],
)
def test_what_has_no_direction_is_named(low: float, steps: tuple[Step, ...], broken: str) -> None:
    chain = Chain(steps).over(low)
    assert chain.broken == broken
    assert not chain.decreasing


def test_every_prototype_has_its_own_constants() -> None:
    chain = Chain((step("mul", -1.0, -2.0, 3.0), step("exp"))).over(0.0)
    assert not chain.uniform
    assert chain.direction.tolist() == [-1, -1, 1]
    t = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(chain.value(t), np.exp(t * [-1.0, -2.0, 3.0]))
    chosen = np.array([2, 0])
    np.testing.assert_array_equal(chain.value(t[:, chosen], chosen), chain.value(t)[:, chosen])
    np.testing.assert_array_equal(
        chain.derivative(t[:, chosen], chosen), chain.derivative(t)[:, chosen]
    )
    assert Chain((step("mul", -2.0, -2.0),)).uniform


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_devices_compute_the_same(name: str) -> None:
    there, chain = Engine("torch:cpu"), made(name)
    t = np.linspace(CHAINS[name][0] + 0.001, HIGH.get(name, 20.0), 200)
    for function in (chain.value, chain.derivative):
        got = there.get(function(there.put(t)))
        np.testing.assert_allclose(got, function(t), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("t", [-1e-12, math.nan, -math.inf])
def test_squares_are_never_silently_clamped(t: float) -> None:
    chain = made("log ratio")
    for function in (chain.value, chain.derivative):
        with pytest.raises(InternalError, match="negative or NaN"):
            function(np.array([1.0, t]))


def test_rounding_at_other_ends_is_forgiven_and_no_more() -> None:
    chain = made("cosine")
    assert chain.value(np.array([1.0 + 1e-12]))[0] == 0.0
    with pytest.raises(InternalError, match="outside its range"):
        chain.value(np.array([1.1]))


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("cosine", None),
        ("add", None),
        ("exp", np.array([1.0])),
        ("mul", np.array([0.0])),
        ("div_root", np.array([-1.0])),
        ("add", np.array([np.nan])),
        ("add", np.array([])),
    ],
)
def test_steps_that_make_no_sense(name: str, constant: np.ndarray | None) -> None:
    with pytest.raises(InternalError):
        Step(name, constant)


def test_words() -> None:
    assert made("log ratio").words() == "log((1 + 0.9999 / (t + 0.0001)))"
    assert Chain((step("mul", 1.0, 2.0),)).words() == "c_j t"


def test_constants_of_different_steps_have_different_letters() -> None:
    chain = Chain(
        (Step("add", np.array([1.0, 2.0])), Step("sqrt"), Step("mul", np.array([3.0, 4])))
    )
    assert chain.letters() == ("c_j", "d_j")
    formula = chain.words()
    assert "c_j" in formula
    assert "d_j" in formula
    # the argument's name is not looked for in the names of functions
    assert chain.words("m", "uv") == formula.replace("(t ", "(m ").replace("c_j", "u_j").replace(
        "d_j", "v_j"
    )
    many = Chain(tuple(Step("add", np.array([k, 2.5])) for k in range(8)))
    assert len(set(many.letters())) == 8
