"""Explanations over every domain, their certificates, and forgeries of these."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Envelope
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.formal import verify
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.claims import words
from protoproof.network import Network, load
from protoproof.prover.latent.domain import Domain, rounding_slack
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.latent.reach import Reach
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.proof.encode import certificate_core
from protoproof.report.page.words import domain_words
from protoproof.verdict import Status
from tests.support.formal import built
from tests.support.network.builders import draft

LAST = {"box": "Sigmoid", "relu": "Relu", "sphere": "LpNormalization", "simplex": "Softmax"}
KINDS = (*LAST, "reach", "linear")
WIDTH = 0.05  # half of a reach box


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


_networks: dict[str, Network] = {}


def network(kind: str, folder: Path) -> Network:
    last = LAST.get(kind, "Sigmoid")
    if last not in _networks:
        parts = draft(last=last)
        if kind in ("sphere", "simplex"):
            parts.node("latent").attribute.append(helper.make_attribute("axis", 1))
        (folder / last).mkdir()
        _networks[last] = load(parts.save(folder / last))
    return _networks[last]


def image(known: Network, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(known.input_shape, dtype=np.float32)


def domain(kind: str, known: Network, x: np.ndarray) -> str | Domain:
    if kind in LAST:
        return "box" if kind == "relu" else kind
    latent = known.observe(x).latent.astype(np.float64)
    if kind == "reach":
        return Reach(latent - WIDTH, latent + WIDTH, "tests")
    # about what the margin needs: its own gradient
    rng = np.random.default_rng(1)
    coefficients = np.stack([margin_gradient(known, latent), rng.normal(size=latent.shape)])
    bounds = (coefficients * latent).sum(axis=(1, 2)) - [0.002, 0.1]
    return Reach(latent - WIDTH, latent + WIDTH, "tests", coefficients, bounds)


def margin_gradient(known: Network, latent: np.ndarray) -> np.ndarray:
    """Of the margin over the only rival, where the best locations stay the best."""
    head = known.head
    measured = head.measurement(latent)
    logits = head.logits(head.activation(measured))
    weights = head.weight[logits.argmax()] - head.weight[logits.argmin()]
    gradient = np.zeros_like(latent)
    for j, location in enumerate(measured.argmin(axis=0)):
        slope = head.chain.derivative(measured[location, j])
        gradient[location] += 2 * weights[j] * slope * (latent[location] - head.prototypes[j])
    return gradient


_explained: dict[tuple[str, str, str], Explanation] = {}


def explained(kind: str, vocabulary: str, oracle: str, folder: Path) -> Explanation:
    key = kind, vocabulary, oracle
    if key not in _explained:
        known = network(kind, folder)
        x = image(known)
        _explained[key] = Explainer(known).explain(
            x, domain=domain(kind, known, x), vocabulary=vocabulary, oracle=oracle
        )
    return _explained[key]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("vocabulary", "oracle"),
    [("topk", "auto"), ("ceiling", "auto"), ("mixed", "auto")]
    + [("pairs", o) for o in ("triangle", "exact", "relational", "auto")],
)
def test_every_certificate_is_accepted(
    kind: str, vocabulary: str, oracle: str, folder: Path
) -> None:
    result = explained(kind, vocabulary, oracle, folder)
    word = {"relu": "box", "linear": "reach"}.get(kind, kind)
    assert result.check is not None
    if word == "reach":  # nobody derived this box: it is somebody's word
        assert (result.verdict.status, result.check.status) == (Status.UNKNOWN, "conditional")
        assert "vouched for by: tests" in result.verdict.reason
    else:
        assert result.verdict.status is Status.PROVED
        assert result.check.accepted
    assert result.domain == word
    assumed = " ".join(result.check.assumptions)
    assert ("vouched for by: tests" in assumed) == (word == "reach")
    assert ("what is normalised is not zero" in assumed) == (word == "sphere")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("relu", "values of at least 0"),
        ("sphere", "length 1 (up to rounding)"),
        ("simplex", "sum 1 (up to rounding)"),
        ("reach", "That the network stays in it is an assumption (source: tests)."),
        ("linear", "2 linear bounds"),
    ],
)
def test_pages_and_documents_name_domain_and_assumption(
    kind: str, words: str, folder: Path
) -> None:
    result = explained(kind, "pairs", "exact", folder)
    assert result.certificate is not None
    assert words in domain_words(result.certificate.core)
    document = result.to_json()
    assert document["domain"] == {"relu": "box", "linear": "reach"}.get(kind, kind)
    assert any("latent" in text for text in document["assumptions"][2:])


def test_stronger_oracles_need_fewer_facts(folder: Path) -> None:
    for kind in KINDS:
        sizes = [
            explained(kind, "pairs", oracle, folder).size
            for oracle in ("triangle", "exact", "auto")
        ]
        assert sizes == sorted(sizes, reverse=True)


def test_evidence_uses_the_domain_only_where_it_has_to(folder: Path) -> None:
    used = {kind: explained(kind, "pairs", "exact", folder).evidence for kind in ("relu", "reach")}
    for evidence in used.values():
        assert evidence is not None
        assert evidence.domain_blocks
    free = Explainer(network("box", folder)).explain(
        image(network("box", folder)), vocabulary="pairs", oracle="exact"
    )
    assert free.evidence is not None
    assert not free.evidence.domain_blocks


def jointly(folder: Path) -> Envelope:
    """A certificate that needs a linear bound over all locations.

    Its one fact says little: intervals miss the margin with it, and so do forms without the bound.
    """
    known = network("linear", folder)
    x = image(known)
    explainer = Explainer(known)
    instance = explainer.instance(known.observe(x))
    where = domain("linear", known, x)
    assert isinstance(where, Reach)
    alone = Reach(where.lower, where.upper, "tests")
    for j in range(len(known.head.prototypes)):
        facts = FactSet(pairs=(pair_fact(instance, 0, j),))
        state = RelationalOracle().prepare(instance, where)
        verdicts = [
            oracle.decide(oracle.prepare(instance, place), facts).verdict.status
            for oracle, place in ((IntervalOracle(), where), (RelationalOracle(), alone))
        ]
        proved = RelationalOracle().decide(state, facts).verdict.status
        if proved is Status.PROVED and Status.PROVED not in verdicts:
            seen = known.observe(x)
            return Envelope(core=certificate_core(known, seen, where, "pairs", facts, state))
    raise AssertionError("no fact says little enough")


def test_linear_bounds_over_all_locations_are_used(folder: Path) -> None:
    envelope = jointly(folder)
    report = check(canonical_bytes(envelope), network("linear", folder).data)
    assert report.status == "conditional"  # on the word of whoever states the bounds
    assert all(form.joint is not None for form in envelope.core.evidence.forms)

    def without(core: Any) -> None:
        core["evidence"]["forms"][0]["joint"]["nu"] = [0, 0]

    assert forged(envelope, without, folder).status == "incomplete"


@built
def test_linear_bounds_over_all_locations_are_proved_in_coq(folder: Path) -> None:
    known = network("linear", folder)
    model = ModelFile(known.data)
    assert verify(canonical_bytes(jointly(folder)), model).proved
    # what they say about a single location, too: as rows
    x = image(known)
    found = Explainer(known).explain(x, domain=domain("linear", known, x), vocabulary="pairs")
    assert found.certificate is not None
    blocks = found.certificate.core.evidence.domain_blocks
    rows = [row[len(b.facts) :] for b in blocks for row in (*b.lower.theta, *b.upper.theta)]
    assert any(any(row) for row in rows)
    assert verify(canonical_bytes(found.certificate), model).proved


def test_a_small_region_needs_no_fact(folder: Path) -> None:
    known = network("reach", folder)
    x = image(known)
    latent = known.observe(x).latent.astype(np.float64)
    result = Explainer(known).explain(
        x, domain=Reach(latent - 1e-4, latent + 1e-4, "tests"), vocabulary="pairs"
    )
    assert result.check is not None
    assert (result.check.status, result.size) == ("conditional", 0)
    assert not {"subset-minimal", "minimum-size"} & set(words(result.check.claims))


@pytest.mark.parametrize("oracle", ["exact", "relational"])
def test_facts_are_widened_no_further_than_each_location_of_a_region_allows(
    oracle: str, folder: Path
) -> None:
    """One location barely moves and the others far: what holds for one is not taken for all."""
    known = network("reach", folder)
    x = image(known)
    latent = known.observe(x).latent.astype(np.float64)
    for narrow in range(len(latent)):
        width = np.full_like(latent, 0.4)
        width[narrow] = 1e-6
        result = Explainer(known).explain(
            x,
            domain=Reach(latent - width, latent + width, "tests"),
            vocabulary="pairs",
            oracle=oracle,
            widen=True,
        )
        assert result.check is not None
        assert result.check.status == "conditional"
        assert any(fact.lower < fact.upper for fact in result.facts.pairs) or not result.size


# forgeries


def forged(
    result: Explanation | Envelope, change: Callable[[Any], None], folder: Path
) -> CheckReport:
    envelope = result if isinstance(result, Envelope) else result.certificate
    assert envelope is not None
    document = json.loads(canonical_bytes(envelope))
    before = json.dumps(document)
    change(document["core"])
    assert json.dumps(document) != before
    sha = document["core"]["model"]["sha256"]
    data = next(known.data for known in _networks.values() if known.sha256 == sha)
    return check(json.dumps(document).encode(), data)


def failed(report: CheckReport) -> list[int]:
    return [o.number for o in report.obligations if o.passed is False]


def doubles(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f8").copy()


def text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f8").tobytes()).decode()


@cache
def _set(*path: str | int) -> Callable[[Any, Any], None]:
    def change(core: Any, value: Any) -> None:
        for key in path[:-1]:
            core = core[key]
        core[path[-1]] = value

    return change


@pytest.mark.parametrize("kind", ["sphere", "simplex", "box"])
def test_a_domain_that_the_graph_does_not_guarantee_is_rejected(kind: str, folder: Path) -> None:
    result = explained("reach", "pairs", "exact", folder)
    other = {"kind": kind, "slack": (2.0**-10).hex()}
    if kind == "box":
        other = {"kind": "box", "lower": (0.0).hex(), "upper": (0.9).hex()}
    assert 5 in failed(forged(result, lambda core: core.update(domain=other), folder))


@pytest.mark.parametrize("kind", ["sphere", "simplex"])
def test_a_slack_that_excludes_the_latent_is_rejected(kind: str, folder: Path) -> None:
    result = explained(kind, "pairs", "exact", folder)
    for slack in (2.0**-60, 1.0, -1.0):
        report = forged(result, lambda c, s=slack: c["domain"].update(slack=s.hex()), folder)  # type: ignore[misc]
        assert failed(report) == [5]
    # a wider shell is a stronger claim, which the evidence may prove; it may not crash
    wider = forged(result, lambda c: c["domain"].update(slack=(0.9).hex()), folder)
    assert wider.status in ("accepted", "incomplete")


def test_a_wider_box_than_the_evidence_proves_is_not_accepted(folder: Path) -> None:
    result = explained("reach", "pairs", "exact", folder)

    def widen(core: Any) -> None:
        core["domain"]["lower"] = text(doubles(core["domain"]["lower"]) - 2.0)
        core["domain"]["upper"] = text(doubles(core["domain"]["upper"]) + 2.0)

    assert forged(result, widen, folder).status == "incomplete"


def test_a_box_that_excludes_the_latent_or_is_empty_is_rejected(folder: Path) -> None:
    result = explained("reach", "pairs", "exact", folder)
    for shift in (0.06, 0.2):

        def narrow(core: Any, shift: float = shift) -> None:
            lower = doubles(core["domain"]["lower"])
            lower[3] += shift
            core["domain"]["lower"] = text(lower)

        assert failed(forged(result, narrow, folder)) == [5]


def test_contradictory_linear_bounds_are_rejected(folder: Path) -> None:
    """Bounds that no latent meets would prove anything; the recorded latent has to meet them."""
    result = explained("linear", "pairs", "relational", folder)

    def contradict(core: Any) -> None:
        core["domain"]["bounds"][0]["bound"] = (1e6).hex()

    assert failed(forged(result, contradict, folder)) == [5]


def test_multipliers_in_the_unsound_direction_are_rejected(folder: Path) -> None:
    envelope = jointly(folder)

    def negative(core: Any) -> None:
        nu = core["evidence"]["forms"][0]["joint"]["nu"]
        nu[0] = -nu[0] - 1

    assert 7 in failed(forged(envelope, negative, folder))

    def unflagged(core: Any) -> None:
        for entry in core["evidence"]["forms"][0]["multipliers"]:
            entry["domain"] = False

    assert 7 in failed(forged(envelope, unflagged, folder))

    def fewer(core: Any) -> None:
        core["evidence"]["forms"][0]["joint"]["nu"].pop()

    assert 7 in failed(forged(envelope, fewer, folder))


def test_charging_the_open_end_of_a_linear_bound_is_rejected(folder: Path) -> None:
    result = explained("linear", "pairs", "exact", folder)
    assert result.evidence is not None
    assert result.evidence.domain_blocks

    def charge(core: Any) -> None:
        block = core["evidence"]["domain_blocks"][0]
        side = block["lower"] if block["lower"]["theta"] else block["upper"]
        side["theta"][0][-1] = 1

    report = forged(result, charge, folder)
    assert 7 in failed(report)
    assert "open end" in report.obligations[6].detail


@pytest.mark.parametrize("kind", ["relu", "sphere"])
def test_useless_multipliers_prove_nothing(kind: str, folder: Path) -> None:
    known = network(kind, folder)
    x = image(known, 0)
    result = Explainer(known).explain(
        x, domain=domain(kind, known, x), vocabulary="pairs", oracle="exact", witnesses=False
    )
    assert result.evidence is not None
    assert result.evidence.domain_blocks

    def spoil(core: Any) -> None:
        for block in core["evidence"]["domain_blocks"]:
            for side in ("lower", "upper"):
                rows = block[side]["theta"]
                block[side]["theta"] = [[t + (1 << 66) for t in row] for row in rows]

    assert not forged(result, spoil, folder).accepted


# bad input


def test_domains_that_make_no_sense_are_refused_before_any_work(folder: Path) -> None:
    good = np.zeros((2, 3)), np.ones((2, 3))
    cases: list[tuple[str, Callable[[], object]]] = [
        ("contradictory interval", lambda: Reach(good[1], good[0], "x")),
        ("NaN or infinity", lambda: Reach(good[0], np.full((2, 3), np.nan), "x")),
        ("NaN or infinity", lambda: Reach(np.full((2, 3), -np.inf), good[1], "x")),
        ("must both be", lambda: Reach(good[0], np.ones((3, 2)), "x")),
        ("source", lambda: Reach(*good, " ")),
        ("coefficients", lambda: Reach(*good, "x", np.ones((1, 2)), np.ones(1))),
        ("NaN or infinity", lambda: Reach(*good, "x", np.ones((1, 2, 3)), np.array([np.nan]))),
        ("no array", lambda: Reach([["a"]], [["b"]], "x")),  # type: ignore[arg-type]
    ]
    for message, make in cases:
        with pytest.raises(UsageError, match=message):
            make()


def test_a_latent_outside_its_own_domain_is_refused(folder: Path) -> None:
    known = network("reach", folder)
    x = image(known)
    latent = known.observe(x).latent.astype(np.float64)
    explain = Explainer(known).explain
    with pytest.raises(UsageError, match="location 0, channel 0"):
        explain(x, domain=Reach(latent + 0.01, latent + 0.02, "tests"))
    with pytest.raises(UsageError, match="locations, channels"):
        explain(x, domain=Reach(latent[:1], latent[:1], "tests"))
    ones = np.ones((1, *latent.shape))
    high = np.array([latent.sum() + 1.0])
    with pytest.raises(UsageError, match="linear form 0"):
        explain(x, domain=Reach(latent - 1, latent + 1, "tests", ones, high))


def test_domains_need_the_operator_that_guarantees_them(folder: Path) -> None:
    known = network("box", folder)
    for name in ("sphere", "simplex"):
        with pytest.raises(UsageError, match="does not end in"):
            Explainer(known).explain(image(known), domain=name)
    with pytest.raises(UsageError, match="comparison only"):
        Explainer(known).explain(image(known), oracle="hypersphere")


def test_the_slack_covers_float32_rounding(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for channels in (2, 64, 2048):
        z = rng.normal(size=(200, channels)).astype(np.float32)
        unit = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float64)
        weights = np.exp(z - z.max(axis=1, keepdims=True))
        soft = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float64)
        slack = rounding_slack(channels)
        assert np.abs((unit**2).sum(axis=1) - 1).max() < slack / 4
        assert np.abs(soft.sum(axis=1) - 1).max() < slack / 4
