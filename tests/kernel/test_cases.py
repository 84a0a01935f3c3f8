"""Cases of units: bounds, slopes and multipliers that hold, and certificates that must be refused.

The networks are written twice (see ``tests.support.deep``), so that no rule of the package says
what is true of a sample.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from protoproof.certificate import canonical_bytes
from protoproof.certificate.partition import Part, PartForm, PartNode, Slopes, UnitCut
from protoproof.certificate.schema import Core, Envelope, ReachDomain
from protoproof.certification.certify import Certifier
from protoproof.errors import CertificateError
from protoproof.kernel import CheckReport, check
from protoproof.kernel.arithmetic.outward import Range
from protoproof.kernel.claims import words
from protoproof.kernel.encoder.activation import Chosen, leaky_relaxation, sigmoid_relaxation
from protoproof.kernel.encoder.backward import LinearPropagation, Side, least_of_forms
from protoproof.kernel.encoder.cases import Case, ImpossibleCaseError
from protoproof.kernel.model.graph import Graph
from protoproof.network import load
from protoproof.region.sets.region import LinfBall
from tests.support.deep import Deep, deep, grid

Array = NDArray[np.float64]
LOW, HIGH = np.array([-0.7, -0.5]), np.array([0.6, 0.8])
SHAPES = {"c0": 4, "c1": 4, "c2": 2}


def propagation(net: Deep) -> LinearPropagation:
    ends = (end.reshape(1, 1, 1, 2) for end in (LOW, HIGH))
    found = LinearPropagation(Graph(net.model()), Range(*ends), None, 100)
    found.reach("latent")
    return found


def values(net: Deep, x: Array) -> dict[str, Array]:
    return dict(zip(SHAPES, net.hidden(x), strict=True))


def drawn(rng: np.random.Generator, seen: dict[str, Array], count: int) -> list[Side]:
    """Sides that some samples are on; every kind of unit, any threshold."""
    member = int(rng.integers(len(seen["c0"])))
    sides = []
    for _ in range(count):
        tensor = ("c0", "c1", "c2")[int(rng.integers(3))]
        unit = int(rng.integers(SHAPES[tensor]))
        at = 0.0 if tensor != "c2" and rng.integers(2) else float(rng.choice(seen[tensor][:, unit]))
        sides.append(Side(tensor, unit, at, bool(seen[tensor][member, unit] >= at)))
    return sides


def on(sides: list[Side], seen: dict[str, Array]) -> NDArray[np.bool_]:
    """Which samples are in the case."""
    kept = np.ones(len(seen["c0"]), dtype=bool)
    for side in sides:
        own = seen[side.tensor][:, side.number]
        kept &= own >= side.at if side.above else own <= side.at
    return kept


def any_slopes(rng: np.random.Generator) -> dict[str, Chosen]:
    relu = {f"r{k}": Chosen(rng.random((1, 4, 1, 1)), None) for k in (0, 1)}
    below, above = rng.normal(0.12, 0.1, (2, 1, 2, 1, 1))
    return relu | {"latent": Chosen(below, above)}


@pytest.mark.parametrize("seed", range(30))
def test_no_sample_of_a_case_is_outside_its_bounds(seed: int) -> None:
    """Whatever slopes, multipliers and sides are drawn."""
    rng, net = np.random.default_rng(seed), deep(seed)
    whole, x = propagation(net), grid(LOW, HIGH, 41)
    seen = values(net, x)
    sides = drawn(rng, seen, int(rng.integers(1, 5)))
    inside = on(sides, seen)
    assert inside.any()
    case = Case(whole, sides)
    for name, own in seen.items():
        low, high = (end.ravel() for end in case.known[name])
        assert (own[inside] >= low - 1e-9).all()
        assert (own[inside] <= high + 1e-9).all()
        assert (low >= whole.known[name].low.ravel()).all()
    latent = 1 / (1 + np.exp(-seen["c2"]))
    rows = rng.normal(size=(3, 2, 1, 1))
    duals = [(side, float(rng.choice([0.0, rng.exponential()]))) for side in sides]
    for chosen in ({}, any_slopes(rng)):
        found = least_of_forms(case, "latent", rows, chosen, duals)
        assert (found[:, None] <= rows.reshape(3, 2) @ latent[inside].T + 1e-9).all()


def test_a_multiplier_can_be_what_proves_a_case() -> None:
    """What a number of the first layer is at least where it is at least t: the box of inputs says
    less than t, the multiplier 1 of that side exactly t, and another one less again."""
    net = deep(3)
    whole = propagation(net)
    seen = values(net, grid(LOW, HIGH, 81))
    unit = int(np.argmax(seen["c0"].min(axis=0) < 0))
    side = Side("c0", unit, 0.5 * float(seen["c0"][:, unit].max()), True)
    case = Case(whole, [side])
    row = np.zeros((1, 4, 1, 1))
    row[0, unit] = 1.0
    # c0 itself: an affine function of the input, whose bound over the box ignores the side
    exact = float(seen["c0"][on([side], seen)][:, unit].min())
    case.known = {"input": whole.known["input"], "c0": whole.known["c0"]}  # nothing is clipped
    without = float(least_of_forms(case, "c0", row)[0])
    with_side = float(least_of_forms(case, "c0", row, {}, [(side, 1.0)])[0])
    assert without < 0.0 < side.at
    assert with_side == pytest.approx(side.at, abs=1e-9)
    assert with_side <= exact + 1e-9
    assert float(least_of_forms(case, "c0", row, {}, [(side, 2.0)])[0]) < with_side


def test_a_case_without_inputs_is_impossible() -> None:
    whole = propagation(deep(1))
    most = float(whole.known["c1"].high.ravel()[2])
    with pytest.raises(ImpossibleCaseError):
        Case(whole, [Side("c1", 2, most + 1e-9, True)])
    with pytest.raises(ImpossibleCaseError):
        Case(whole, [Side("c0", 0, 0.0, True), Side("c0", 0, -1e-300, False)])
    with pytest.raises(ImpossibleCaseError):  # not there, but further on
        Case(whole, [Side("c1", 2, most, True)])
    assert Case(whole, [Side("c0", 0, 0.0, True), Side("c0", 0, 0.0, False)]).known


def test_slopes_that_no_line_has_are_refused() -> None:
    x = Range(np.array([-1.0, -2.0]), np.array([1.0, 3.0]))
    fine = leaky_relaxation(x, 0.25, Chosen(np.array([0.25, 1.0]), None))
    assert fine.low_slope.tolist() == [0.25, 1.0]
    for low in ([0.2, 0.5], [0.5, 1.0 + 2.0**-52], [float("nan"), 0.5]):
        with pytest.raises(CertificateError, match="through the kink"):
            leaky_relaxation(x, 0.25, Chosen(np.array(low), None))
    with pytest.raises(CertificateError, match="through the kink"):
        leaky_relaxation(x, 0.25, Chosen(np.array([0.5, 0.5]), np.array([1.0, 1.0])))
    with pytest.raises(CertificateError, match="missing"):
        sigmoid_relaxation(x, Chosen(np.array([0.1, 0.1]), None))


# whole certificates


@cache
def answered(seed: int = 11) -> tuple[Certifier, Core]:
    """A tiny network, and a region of it that only cases prove."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep.onnx"
        path.write_bytes(deep(seed).model())
        known = Certifier(load(path))
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 0.5, 2).astype(np.float32).reshape(1, 1, 2)
    region = LinfBall(x, (-1.0, 1.0), Fraction(int(rng.integers(1, 16)), 32))
    found = known.certify(region, method="split", falsify=False, timeout=1e9)
    return known, found.certificates[0].core


def examine(core: Core) -> CheckReport:
    known, _ = answered()
    return check(canonical_bytes(Envelope(core=core)), known.explainer.model_file)


def test_cases_prove_a_region_without_assumptions() -> None:
    _, core = answered()
    kinds = [node.kind for node in core.parts]
    assert kinds.count("unit") >= 3
    report = examine(core)
    assert report.accepted, report.failures
    assert words(report.claims) == ("robust",)
    assert report.conditions == ()


def nodes(change: Callable[[list[Any]], list[PartNode]]) -> Callable[[], Core]:
    def made() -> Core:
        _, core = answered()
        return core.model_copy(update={"parts": tuple(change(list(core.parts)))})

    return made


def at_leaf(**changes: Any) -> Callable[[], Core]:
    """The first leaf with forms, its first form changed; a callable makes of what was there."""

    def change(parts: list[Any]) -> list[PartNode]:
        place = next(i for i, n in enumerate(parts) if isinstance(n, Part) and n.forms)
        form = parts[place].forms[0]
        update = {k: v(getattr(form, k)) for k, v in changes.items()}
        form = PartForm.model_validate(form.model_copy(update=update).model_dump())
        parts[place] = parts[place].model_copy(update={"forms": (form, *parts[place].forms[1:])})
        return parts

    return nodes(change)


def slope(**changes: Any) -> Callable[[], Core]:
    return at_leaf(slopes=lambda known: (known[0].model_copy(update=changes), *known[1:]))


def half(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, dtype="<f2").tobytes()).decode()


def cut(**changes: Any) -> Callable[[], Core]:
    return nodes(lambda parts: [parts[0].model_copy(update=changes), *parts[1:]])


def without_propagation() -> Core:
    _, core = answered()
    assert isinstance(core.domain, ReachDomain)
    domain = core.domain.model_copy(update={"propagated": None})
    return core.model_copy(update={"domain": domain})


REJECTED: dict[str, tuple[Callable[[], Core], str]] = {
    "a missing half": (nodes(lambda parts: parts[:-1]), "missing"),
    "a half too many": (nodes(lambda parts: [*parts, parts[-1]]), "after the end"),
    "a negative multiplier": (
        at_leaf(duals=lambda known: ((-1.0).hex(), *known[1:])),
        "negative multiplier",
    ),
    "a multiplier too few": (at_leaf(duals=lambda known: known[1:]), "not one multiplier"),
    "a multiplier too many": (at_leaf(duals=lambda known: (*known, "0x0.0p+0")), "not one mult"),
    "a slope above 1": (slope(low=half(1.5, 1.5, 1.5, 1.5)), "through the kink"),
    "a slope below 0": (slope(low=half(-0.5, -0.5, -0.5, -0.5)), "through the kink"),
    "a slope that is no number": (slope(low=half(np.nan, 0, 0, 0)), "NaN"),
    "too few slopes": (slope(low=half(0, 0, 0)), "does not hold"),
    "slopes above a ReLU": (slope(high=half(1, 1, 1, 1)), "through the kink"),
    "slopes of no activation": (slope(tensor="c0"), "no activation"),
    "slopes of no tensor": (slope(tensor="nowhere"), "no activation"),
    "slopes twice": (at_leaf(slopes=lambda known: (*known, known[0])), "twice"),
    "a form of another size": (at_leaf(coefficients=lambda _: half(1, 1)), "does not hold"),
    "a unit of no tensor": (cut(tensor="nowhere"), "does not have"),
    "a unit that the tensor does not have": (cut(number=1000), "does not have"),
    "a threshold beyond float64": (cut(at="0x1.0p+9999"), "not a float64"),
    "no propagation": (without_propagation, "no linear bounds are propagated"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_forged_cases_are_rejected(name: str) -> None:
    make, text = REJECTED[name]
    report = examine(make())
    assert report.status == "rejected"
    assert not report.claims
    assert any(text in o.detail for o in report.failures), report.failures


def swapped(parts: list[Any]) -> list[PartNode]:
    """The proofs of two neighbouring halves exchanged."""
    place = next(
        i for i, n in enumerate(parts[:-1]) if n.kind == "part" and parts[i + 1].kind == "part"
    )
    first, second = parts[place], parts[place + 1]
    parts[place] = first.model_copy(update={"forms": second.forms})
    parts[place + 1] = second.model_copy(update={"forms": first.forms})
    return parts


def merged(parts: list[Any]) -> list[PartNode]:
    """The last cut undone, with the proof of its first half."""
    place = next(i for i, n in enumerate(parts) if [m.kind for m in parts[i : i + 3]] == LAST)
    form = parts[place + 1].forms[0]
    fewer = form.model_copy(update={"duals": form.duals[:-1]})
    return [*parts[:place], parts[place + 1].model_copy(update={"forms": (fewer,)}),
            *parts[place + 3 :]]  # fmt: skip


LAST = ["unit", "part", "part"]
UNPROVED = {
    "swapped halves": nodes(swapped),
    "an empty leaf": nodes(lambda parts: [parts[0], *(
        n.model_copy(update={"forms": (), "evidence": None}) if n.kind == "part" else n
        for n in parts[1:])]),
    "a threshold elsewhere": cut(at=(50.0).hex()),
}  # fmt: skip


@pytest.mark.parametrize("name", UNPROVED)
def test_what_does_not_follow_is_not_accepted(name: str) -> None:
    report = examine(UNPROVED[name]())
    assert report.status in ("rejected", "incomplete")
    assert not report.claims


def test_a_case_that_no_input_is_in_needs_no_proof() -> None:
    """A cut far outside: one half is impossible, the other is the whole, proved as before."""
    _, core = answered()
    most = UnitCut(tensor="c0", number=0, at=(1e6).hex())

    def with_side(node: PartNode) -> PartNode:
        if not isinstance(node, Part):
            return node
        forms = tuple(
            form.model_copy(update={"duals": ("0x0.0p+0", *form.duals)}) for form in node.forms
        )
        return node.model_copy(update={"forms": forms})

    parts = (most, *map(with_side, core.parts), Part())
    assert examine(core.model_copy(update={"parts": parts})).accepted
    # and the other way round, the whole on the impossible side
    other = (most, Part(), *map(with_side, core.parts))
    assert not examine(core.model_copy(update={"parts": other})).accepted


def test_slopes_are_written_as_they_are_read() -> None:
    entry = Slopes(tensor="r0", low=half(0.5, 1), high=None)
    assert Slopes.model_validate_json(entry.model_dump_json()) == entry
