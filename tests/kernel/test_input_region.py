"""Certificates about regions of inputs: what the checker recomputes, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

from protoproof.certificate import canonical_bytes
from protoproof.certificate.input_region import BoxInputs
from protoproof.certificate.schema import Core, Envelope, LinearBound, ReachDomain
from protoproof.errors import CertificateError
from protoproof.kernel import ModelFile, check
from protoproof.kernel.budget import OutOfBudgetError
from protoproof.kernel.claims import words
from protoproof.kernel.encoder.input_region import Inputs, describe
from protoproof.region.sets.region import LinfBall, Region
from protoproof.region.sets.statement import statement
from protoproof.region.sets.syntax import parse_region
from protoproof.region.sets.transformations import Brightness
from tests.support.certification import ADAPTER, certifier, examine, forged, image

DOMAIN = (0.0, 1.0)


@cache
def proved(text: str = "linf:0.1") -> Core:
    region = parse_region(text, image(), image().shape, DOMAIN)
    result = certifier().certify(region, falsify=False, method="interval")
    assert len(result.certificates) == 1, result.stages
    return result.certificates[0].core


def moved(core: Core, end: str, share: float) -> Core:
    """The same certificate with every stated latent interval cut by a share at one end."""
    domain = core.domain
    assert isinstance(domain, ReachDomain)
    low, high = (
        np.frombuffer(base64.b64decode(text), dtype="<f8") for text in (domain.lower, domain.upper)
    )
    values = low + share * (high - low) if end == "lower" else high - share * (high - low)
    text = base64.b64encode(values.tobytes()).decode()
    return core.model_copy(update={"domain": domain.model_copy(update={end: text})})


@pytest.mark.parametrize(
    "text", ["linf:0.1", "linf:0", "l2:0.01", "occlude:0,0,4,4", "occlude:2,2,2", "brightness:0.1"]
)
def test_robust_predictions_are_accepted_without_assumptions(text: str) -> None:
    report = examine(proved(text))
    assert report.accepted
    assert "robust" in words(report.claims)
    assert [a for a in report.assumptions if "level R" not in a and "presented" not in a] == []
    assert any(word == "region" and "around the input" in about for word, about in report.subject)


REJECTED = {
    "larger radius": {"radius": "11/100"},
    "wider domain": {"low": float(-1).hex()},
    "domain without the centre": {"high": (0.5).hex()},
    "empty domain": {"low": (1.0).hex()},
    "another norm, same radius": {"kind": "l2", "radius": "1"},
}


@pytest.mark.parametrize("name", REJECTED)
def test_other_regions_are_rejected(name: str) -> None:
    report = examine(forged(proved(), **REJECTED[name]))
    assert report.status == "rejected"
    assert next(o.number for o in report.failures if o.passed is False) == 5


def stated_box(low: float, high: float) -> Core:
    """The proved certificate, about a stated box of inputs instead of the ball."""
    core = proved()
    assert isinstance(core.domain, ReachDomain)
    assert core.domain.region is not None
    whole = core.domain.region
    ends = [
        base64.b64encode(np.full(image().size, end).astype("<f8").tobytes()).decode()
        for end in (low, high)
    ]
    shared = {key: getattr(whole, key) for key in ("shape", "centre", "low", "high")}
    region = BoxInputs(lower=ends[0], upper=ends[1], **shared)
    return core.model_copy(update={"domain": core.domain.model_copy(update={"region": region})})


@pytest.mark.parametrize(("low", "high"), [(-3.0, -2.0), (0.2, 0.3), (-0.1, 1.0), (0.0, 1.1)])
def test_a_box_away_from_its_input_or_beyond_the_domain_is_rejected(
    low: float, high: float
) -> None:
    report = examine(stated_box(low, high))
    assert report.status == "rejected"
    assert "not around its centre, inside the domain" in report.failures[0].detail


def test_the_subject_shows_every_digit() -> None:
    domain = forged(proved(), high=(0.9999996).hex()).domain
    assert isinstance(domain, ReachDomain)
    assert domain.region is not None
    assert describe(domain.region).endswith("inside [0.0, 0.9999996]")


def test_linear_bounds_are_assumed_so_nothing_is_robust() -> None:
    core = proved()
    assert isinstance(core.domain, ReachDomain)
    count = core.instance.locations * core.instance.channels
    zero = base64.b64encode(np.zeros(count).astype("<f8").tobytes()).decode()
    bound = LinearBound(coefficients=zero, bound=(-1.0).hex())
    report = examine(
        core.model_copy(update={"domain": core.domain.model_copy(update={"bounds": (bound,)})})
    )
    assert report.status == "conditional"
    assert report.conditions[0].endswith("vouched for by: encoder bound: interval, replayed")
    assert "robust" not in words(report.claims)


@pytest.mark.parametrize("changes", [{"radius": "1/10"}, {"radius": "9/100"}, {"kind": "l2"}])
def test_smaller_regions_are_accepted(changes: dict[str, Any]) -> None:
    """What holds for a region holds for its parts; the stated box is large enough for them."""
    assert examine(forged(proved(), **changes)).accepted


def test_a_region_around_another_input_is_rejected() -> None:
    other = np.array(image())
    other[0, 0, 0] = 0.5
    report = examine(forged(proved(), centre=base64.b64encode(other.tobytes()).decode()))
    assert report.status == "rejected"
    assert "another input" in report.obligations[4].detail


@pytest.mark.parametrize("end", ["lower", "upper"])
def test_a_box_that_is_too_small_is_rejected(end: str) -> None:
    report = examine(moved(proved(), end, 0.01))
    assert report.status == "rejected"
    assert "stated box" in report.obligations[4].detail


def test_without_a_region_the_box_is_an_assumption() -> None:
    domain = proved().domain
    core = proved().model_copy(update={"domain": domain.model_copy(update={"region": None})})
    report = examine(core)
    assert report.status == "conditional"
    assert report.conditions[0].endswith("vouched for by: encoder bound: interval, replayed")
    assert "robust" not in words(report.claims)
    assert any("stays in the stated box" in text for text in report.assumptions)


def test_a_class_that_is_not_predicted_everywhere_is_never_accepted() -> None:
    """Every other class in the place of the predicted one, over the same region."""
    core = proved()
    for wrong in range(10):
        if wrong == core.instance.predicted:
            continue
        instance = core.instance.model_copy(update={"predicted": wrong})
        rivals = tuple(k for k in range(10) if k != wrong)
        assert not examine(
            core.model_copy(update={"instance": instance, "rivals": rivals})
        ).accepted


def test_an_encoder_that_cannot_be_walked_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    from protoproof.kernel.encoder import interval as walk

    monkeypatch.delitem(walk.RULES, "Conv")
    model = ModelFile(certifier().network.data)
    report = check(canonical_bytes(Envelope(core=proved())), model)
    assert report.status == "incomplete"
    assert "cannot be walked" in report.obligations[4].detail


REGIONS = [
    "linf:0.1", "linf:2/255", "l2:0.5", "occlude:1,2,3,4", "occlude:9,9,4", "brightness:0.05",
    "contrast:0.2", "brightness:0.05,0.1",
]  # fmt: skip


@pytest.mark.parametrize("text", REGIONS)
def test_covers_agree_with_the_prover_s(text: str) -> None:
    """Two computations of the same boxes, in rationals here and in float64 there."""
    region = parse_region(text, image(), image().shape, DOMAIN)
    regions: list[Region] = [region]
    if isinstance(region, Brightness):
        regions.append(Brightness(image(), DOMAIN, region.brightness, region.contrast, 3))
    for one in regions:
        stated = ADAPTER.validate_python(dict(statement(one) or {}))
        theirs = list(Inputs(stated).boxes())
        assert len(theirs) == len(one.cover())
        for box, ours in zip(theirs, one.cover(), strict=True):
            assert np.abs(box.low[0] - ours.lower).max() < 1e-15
            assert np.abs(box.high[0] - ours.upper).max() < 1e-15


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 1), (3, 5, 4), (2, 5, 4)], ids=str)
@pytest.mark.parametrize("text", ["occlude:1,2,3,2", "occlude:3,1,1"])
def test_freed_pixels_are_those_of_the_network_s_rows_and_columns(
    text: str, shape: tuple[int, int, int]
) -> None:
    centre = np.full(shape, 0.5, np.float32)
    region = parse_region(text, centre, shape, DOMAIN)
    (box,) = Inputs(ADAPTER.validate_python(dict(statement(region) or {}))).boxes()
    free = box.high[0] > 0.5
    pixels = free.any(axis=2) if shape[2] in (1, 3) else free.any(axis=0)
    assert pixels.shape == (5, 4)
    assert pixels.sum() == (6 if text.count(",") == 3 else 5)
    assert free.sum() == pixels.sum() * (free.size / pixels.size)
    assert np.array_equal(box.low[0], region.cover()[0].lower)
    assert np.array_equal(box.high[0], region.cover()[0].upper)


def test_covers_contain_exact_members() -> None:
    """Members by their definition, in rationals, at parameters that are corners and others."""
    centre = np.random.default_rng(0).random((1, 3, 3)).astype(np.float32)
    radius, scale = Fraction(1, 10), Fraction(1, 7)
    exact = [Fraction(float(v)) for v in centre.ravel()]
    ball = Inputs(ADAPTER.validate_python(dict(statement(LinfBall(centre, DOMAIN, radius)) or {})))
    light = Brightness(centre, DOMAIN, radius, scale, parts=2)
    boxes = list(Inputs(ADAPTER.validate_python(dict(statement(light) or {}))).boxes())
    box = next(ball.boxes())
    shares = [Fraction(n, 4) for n in range(-4, 5)]
    for a in shares:
        member = [min(max(c + a * radius, Fraction(0)), Fraction(1)) for c in exact]
        ends = zip(box.low.ravel().tolist(), member, box.high.ravel().tolist(), strict=True)
        assert all(Fraction(low) <= m <= Fraction(high) for low, m, high in ends)
        for b in shares:
            shown = [(1 + b * scale) * c + a * radius for c in exact]
            shown = [min(max(v, Fraction(0)), Fraction(1)) for v in shown]
            assert any(
                all(
                    Fraction(low) <= v <= Fraction(high)
                    for low, v, high in zip(
                        p.low.ravel().tolist(), shown, p.high.ravel().tolist(), strict=True
                    )
                )
                for p in boxes
            )


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("occlude:0,0,4,4", {"circle": (1, 1, 1)}),
    ("occlude:0,0,4,4", {"rectangle": None}),
    ("linf:0.1", {"shape": (1, 28, 27)}),
    ("linf:0.1", {"centre": "AAAA"}),
]


@pytest.mark.parametrize(("text", "changes"), MALFORMED)
def test_malformed_regions_are_refused(text: str, changes: dict[str, Any]) -> None:
    region = parse_region(text, image(), image().shape, DOMAIN)
    stated = ADAPTER.validate_python(dict(statement(region) or {}) | changes)
    with pytest.raises(CertificateError):
        list(Inputs(stated).boxes())


def test_more_pieces_than_can_be_examined_are_undecided() -> None:
    region = parse_region("brightness:0.1,0.1", image(), image().shape, DOMAIN)
    stated = ADAPTER.validate_python(dict(statement(region) or {}) | {"parts": 4096})
    for pieces in (Inputs(stated).boxes, Inputs(stated).starts):
        with pytest.raises(OutOfBudgetError, match="the pieces of the region"):
            next(pieces())


def test_the_digest_is_the_one_of_inputs() -> None:
    stated = ADAPTER.validate_python(dict(statement(LinfBall(image(), DOMAIN, Fraction(0))) or {}))
    text = b"<f4" + repr((1, 28, 28)).encode() + image().tobytes()
    assert Inputs(stated).digest == hashlib.sha256(text).hexdigest()
