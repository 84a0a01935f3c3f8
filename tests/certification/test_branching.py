"""Branch and bound on regions of inputs, and explanations that hold over them.

Samples are drawn uniformly, at corners, and along the directions in which the margin falls; none
may contradict a proof.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from protoproof.certificate.partition import Part as Leaf
from protoproof.certification import branch_and_bound
from protoproof.certification.branch_and_bound import Progress
from protoproof.certification.certify import Certifier
from protoproof.certification.result import Certified
from protoproof.data.dataset import load_data
from protoproof.errors import InputError, UsageError
from protoproof.kernel import check
from protoproof.kernel.budget import MAX_STEPS
from protoproof.kernel.claims import words
from protoproof.kernel.encoder import partition as parts
from protoproof.kernel.model.chain import Chain, Step
from protoproof.network import Network, load
from protoproof.region.bounds import attack
from protoproof.region.bounds import partition as branch
from protoproof.region.bounds.partition import BoxPart, LightPart, Part, slopes, whole
from protoproof.region.sets.region import LinfBall, Region
from protoproof.region.sets.syntax import parse_region
from protoproof.region.sets.transformations import Brightness
from protoproof.resources import zoo_path
from protoproof.verdict import Status
from tests.support.certification import certifier

DOMAIN = (0.0, 1.0)
# log((q + 1) / (q + eps)), as the checker has it
LOG_RATIO = Chain(
    [Step("add", (Fraction(1, 8),)), Step("one_plus", (Fraction(7, 8),)), Step("log", ())]
)
SAMPLES = 10_000
ROUNDS = 3
LIGHT = "brightness:0.2,0.2"


@cache
def images() -> NDArray[np.float32]:
    return np.asarray(load_data("mnist5k").x_test[3::25])


def region_of(text: str, number: int) -> Region:
    x = images()[number]
    return parse_region(text, x, x.shape, DOMAIN)


@cache
def branched(text: str = LIGHT, number: int = 0) -> Certified:
    return certifier().certify(region_of(text, number), method="branch")


def logits(network: Network, x: NDArray[np.float32]) -> NDArray[np.float32]:
    name = network.recognised.output
    return network.session.run((name,), {network.graph.input: x})[0]


def descended(network: Network, part: Part, predicted: int) -> NDArray[np.float32]:
    """Points of a part, walked towards its corners by the sign of the margin's slope."""
    low, high = (torch.from_numpy(e.astype(np.float32)) for e in (part.box.lower, part.box.upper))
    share = torch.from_numpy(np.random.default_rng(0).random((32, *low.shape), dtype=np.float32))
    x = low + share * (high - low)
    for _ in range(10):
        x = x.detach().requires_grad_()
        least = attack.margins(network, network.encoder(x), predicted)
        (slope,) = torch.autograd.grad(least.sum(), x)
        x = torch.clamp(x - 0.2 * (high - low) * slope.sign(), low, high)
    return np.asarray(x.detach().numpy())


@pytest.mark.parametrize(
    ("text", "number", "count"),
    [(LIGHT, 0, SAMPLES), (LIGHT, 2, 1000), ("occlude:2,2,2,2", 5, 1000)],
)
def test_samples_never_contradict_parts(text: str, number: int, count: int) -> None:
    """Uniform, corners and descents, over the region and over a part of it."""
    known, region, answer = certifier(), region_of(text, number), branched(text, number)
    assert answer.verdict.status is Status.PROVED
    samples = region.sample(np.random.default_rng(0), count)
    assert (logits(known.network, samples).argmax(axis=1) == answer.predicted).all()
    part = whole(region)
    assert part is not None
    for _ in range(4):
        if not isinstance(part, LightPart):  # the box around a family holds more than the family
            seen = logits(known.network, descended(known.network, part, answer.predicted))
            assert (seen.argmax(axis=1) == answer.predicted).all()
        slope = slopes(known.network, [part], answer.predicted)[0]
        part = part.cuts(slope, 1)[0][1]


def test_parts_prove_what_intervals_leave_open() -> None:
    known, region = certifier(), region_of(LIGHT, 0)
    assert known.certify(region, method="interval").verdict.status is Status.UNKNOWN
    answer = branched()
    assert answer.method == "branch"
    assert words(answer.checks[0].claims) == ("robust",)
    assert not any("auto_LiRPA" in text for text in answer.assumptions)
    stage = next(s for s in answer.stages if s.name == "branch")
    leaves = sum(isinstance(node, Leaf) for node in answer.certificates[0].core.parts)
    assert leaves > 1
    assert stage.outcome == f"{leaves} parts proved, 0 open"


def test_the_certificate_is_enough(tmp_path: Path) -> None:
    (path,) = branched().save(tmp_path / "b.cert.json")
    report = check(path, zoo_path("mnist-certified"))
    assert report.accepted
    assert ("region", "brightness:0.2,0.2 around the input, inside [0.0, 1.0]") in report.subject


def test_equal_runs_give_equal_trees() -> None:
    again = certifier().certify(region_of(LIGHT, 0), method="branch")
    assert again.certificates[0].core == branched().certificates[0].core


def test_refuted_and_proved_never_meet_in_nested_regions() -> None:
    known = certifier()
    refuted = False
    for size in ("0.1", "0.2", "0.5"):
        region = region_of(f"brightness:{size},{size}", 1)
        status = known.certify(region, method="branch", timeout=2.0).verdict.status
        assert not (refuted and status is Status.PROVED)
        refuted |= status is Status.REFUTED
    assert refuted


def test_middles_of_parts_refute_without_the_falsifier() -> None:
    found = certifier().certify(region_of("brightness:0.6", 1), method="branch", falsify=False)
    assert found.verdict.status is Status.REFUTED
    assert found.counterexample is not None
    assert found.counterexample.observation.predicted != found.predicted


def test_a_timeout_keeps_and_reports_what_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stops the search after a few rounds; the share and the open parts are told."""
    seen: list[Progress] = []
    clock = SimpleNamespace(perf_counter=lambda: np.inf if len(seen) > ROUNDS else 0.0)
    monkeypatch.setattr(branch_and_bound, "time", clock)
    result = certifier().certify(
        region_of("linf:0.1", 28), method="branch", timeout=1e6, watch=seen.append
    )
    assert len(seen) == ROUNDS + 1
    assert result.verdict.status is Status.UNKNOWN
    assert "% of the region's volume, open on" in result.verdict.reason
    assert seen[0].open == 1
    assert all(0 <= far.proved < 1 for far in seen)
    assert sorted(far.done for far in seen) == [far.done for far in seen]
    assert not result.certificates


@pytest.mark.parametrize("make", [LinfBall, Brightness])
def test_halves_cover_what_was_cut(make: Callable[..., Region]) -> None:
    rng = np.random.default_rng(1)
    region = make(images()[0], DOMAIN, Fraction(1, 8))
    part = whole(region)
    assert isinstance(part, BoxPart | LightPart)
    for _ in range(6):
        slope = rng.random(images()[0].shape)
        cut, first, second = part.cuts(slope, 1)[0]
        low = np.minimum(first.box.lower, second.box.lower)
        high = np.maximum(first.box.upper, second.box.upper)
        assert (low <= part.box.lower).all()
        assert (high >= part.box.upper).all()
        assert first.share + second.share == part.share
        assert cut.at is not None
        part = (first, second)[int(rng.integers(2))]


def test_a_point_is_not_cut() -> None:
    part = whole(LinfBall(images()[0], DOMAIN, Fraction(0)))
    assert part is not None
    assert part.cuts(np.ones(images()[0].shape), 4) == []
    assert whole(parse_region("shift:1", images()[0], images()[0].shape, DOMAIN)) is None


def test_explanations_hold_over_a_region() -> None:
    """As stated, with wider facts, or with facts of the region; every sample meets them."""
    known = certifier()
    ball = region_of("linf:0.1", 0)
    answer = known.certify(ball, explanation="region")
    assert answer.verdict.status is Status.PROVED
    assert "robust-explanation" in words(answer.checks[0].claims)
    core = answer.certificates[0].core
    assert len(core.facts) <= 3
    (fact,) = core.facts
    assert fact.kind == "pair"
    low, high = float.fromhex(fact.lower), float.fromhex(fact.upper)
    for x in ball.sample(np.random.default_rng(3), 200):
        latent = known.network.observe(x).latent.astype(np.float64)
        value = known.network.head.measurement(latent)[fact.location, fact.prototype]
        assert low - 1e-5 <= value <= high + 1e-5  # the float32 latent differs from the real one
    exact = known.explainer.explain(images()[0], vocabulary="pairs", witnesses=False)
    assert exact.certificate is not None
    wider = known.certify(
        region_of("linf:0.001", 0), explanation=exact.certificate.core
    )  # exact facts hold at one latent only
    assert wider.method == "explanation, wider facts"
    assert wider.certificates[0].core.premises == "interval"


def test_explanations_of_something_else_are_refused() -> None:
    known = certifier()
    mine = known.explainer.explain(images()[0], vocabulary="pairs", witnesses=False)
    assert mine.certificate is not None
    core = mine.certificate.core
    with pytest.raises(InputError, match="another input"):
        known.certify(region_of("linf:0.01", 1), explanation=core)
    model = core.model.model_copy(update={"sha256": "0" * 64})
    other = core.model_copy(update={"model": model})
    with pytest.raises(InputError, match="another model"):
        known.certify(region_of("linf:0.01", 0), explanation=other)
    elsewhere = known.explainer.explain(
        images()[0], vocabulary="pairs", domain="linf:0.15", witnesses=False
    )
    assert elsewhere.certificate is not None
    with pytest.raises(UsageError, match="another region"):
        known.certify(region_of("linf:0.01", 0), explanation=elsewhere.certificate.core)


def test_a_large_region_has_no_explanation() -> None:
    answer = certifier().certify(region_of("linf:0.3", 0), explanation="region", falsify=False)
    assert answer.verdict.status is Status.UNKNOWN
    assert "explanation: no facts" in answer.verdict.reason


def test_many_parts_on_a_network_that_was_not_trained_for_it() -> None:
    known = Certifier(load(zoo_path("mnist-1x1")))
    answer = known.certify(region_of("contrast:0.005", 0), method="branch", falsify=False)
    assert answer.method == "branch"
    assert words(answer.checks[0].claims) == ("robust",)
    assert len(answer.certificates[0].core.parts) > 4


def test_hopeless_cuts_are_given_up() -> None:
    """784 numbers at once: a few rounds tell that no part will be proved."""
    answer = certifier().certify(region_of("linf:0.2", 28), method="branch", falsify=False)
    assert answer.verdict.reason.startswith("cutting does not help")


def test_the_limits_are_the_checkers() -> None:
    """The two sides state them apart; what the prover builds, the checker must walk."""
    assert branch.MOST_DEPTH == parts.MAX_DEPTH
    for locations, channels, prototypes, classes in (
        (49, 128, 2000, 200), (49, 64, 20, 10), (1, 128, 100, 10), (9, 16, 40, 1000)
    ):  # fmt: skip
        head = SimpleNamespace(
            location_count=locations, channels=channels, prototype_count=prototypes,
            class_count=classes, chain=LOG_RATIO,
        )  # fmt: skip
        network = SimpleNamespace(
            head=SimpleNamespace(
                locations=locations, channels=channels, prototypes=range(prototypes),
                classes=classes,
            ),
            input_shape=(1, 28, 28),
        )  # fmt: skip
        most = branch_and_bound._most_parts(network)  # type: ignore[arg-type]
        assert most > 1
        assert most * parts.part_cost(head) < MAX_STEPS * 3 // 4  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "few"),
    [("linf:0.1", False), (LIGHT, True), ("occlude:2,2,4,4", True), ("occlude:2,2,5,5", False),
     ("linf:0", False), ("shift:1", False)],
)  # fmt: skip
def test_only_few_quantities_are_cut_unasked(text: str, few: bool) -> None:
    assert branch.worth_cutting(region_of(text, 0)) is few
