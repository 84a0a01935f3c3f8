"""Whatever rests on somebody's word: exit code 3 in every verb, whose word it is, never green."""

from __future__ import annotations

import hashlib
import html
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from protoproof.campaign import Instances, Options, read_campaign, run_campaign
from protoproof.certificate.canonical import canonical_bytes
from protoproof.cli import app as cli
from protoproof.explanation.explainer import Explainer
from protoproof.gate import run_gate
from protoproof.gate.policy_file import read_policy
from protoproof.gate.rules import checks
from protoproof.kernel import check
from protoproof.network import Network, load
from protoproof.prover.latent.reach import Reach
from protoproof.report.audit import audit_page
from protoproof.verdict import Status
from tests.campaign.support import InlineEngine
from tests.gate.support import HEADER
from tests.network.builders import draft

SOURCE = "the author of this box"


@dataclass(frozen=True)
class Word:
    """A model, an input, and a certificate that rests on somebody's word; ``whose`` says so."""

    model: Path
    x: Path
    certificate: Path
    network: Network
    whose: str
    trust: tuple[str, ...]


def declared_model(folder: Path) -> Path:
    """The same function in a spelling that is not recognised."""
    parts = draft()
    parts.nodes.remove(parts.node("measurement"))
    parts.rename("expanded", "measurement")
    return parts.save(folder)


def reached(network: Network, x: np.ndarray, linear: bool) -> Reach:
    latent = network.observe(x).latent.astype(np.float64)
    ends = latent - 1e-3, latent + 1e-3
    if not linear:
        return Reach(*ends, SOURCE)
    rows = np.ones((1, *latent.shape))
    return Reach(*ends, SOURCE, rows, (rows * latent).sum(axis=(1, 2)) - 0.5)


KINDS = ("declared", "box", "linear bounds")


@pytest.fixture(scope="module", params=KINDS)
def word(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Word:
    kind, folder = request.param, tmp_path_factory.mktemp("word")
    model = declared_model(folder) if kind == "declared" else draft().save(folder)
    network = load(model)
    x = np.random.default_rng(1).random(network.input_shape, dtype=np.float32)
    np.save(folder / "x.npy", x)
    domain = "box" if kind == "declared" else reached(network, x, kind != "box")
    result = Explainer(network).explain(x, domain=domain)
    assert result.verdict.status is Status.UNKNOWN
    assert result.verdict.reason.startswith("conditional: ")
    assert result.certificate is not None
    path = folder / "c.json"
    path.write_bytes(canonical_bytes(result.certificate))
    whose = "head description" if kind == "declared" else SOURCE
    trust = ("--allow-declared",) if kind == "declared" else ()
    return Word(model, folder / "x.npy", path, network, whose, trust)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    return result.exit_code, " ".join(result.output.split())


def verbs(word: Word, out: Path) -> dict[str, list[object]]:
    """Every verb that answers about one certificate, network or input."""
    at = [word.model, "--input", word.x]
    every: dict[str, list[object]] = {
        "check": ["check", word.certificate, word.model, *word.trust],
        "check with the input": ["check", word.certificate, *at, *word.trust],
        "report": [
            *("report", word.certificate, "--model", *at, "--out", out / "r.html"),
        ],
    }
    if word.trust:
        every |= {
            "explain": ["explain", *at, "--out", out / "e.json"],
            "explain a region": ["explain", *at, "--domain", "linf:0.001", "--out", out / "d.json"],
            "certify": ["certify", *at, "--region", "linf:0.001", "--out", out / "f.json"],
        }
    return every


@pytest.mark.parametrize("as_json", [False, True])
def test_every_verb_exits_3_and_says_whose_word(word: Word, as_json: bool, tmp_path: Path) -> None:
    for name, arguments in verbs(word, tmp_path).items():
        code, text = run(*arguments, *(["--json"] if as_json else []))
        assert code == 3, (name, text)
        assert word.whose in text, name
        assert "verdict proved" not in text
        assert "certificate accepted" not in text
        if as_json:
            document = json.loads(text)
            assert document["conditions"], name
            told = document.get("status", document.get("verdict"))
            assert told in ("conditional", "unknown"), name
            assert document.get("accepted", False) is False


def test_unasked_a_declared_head_is_3_too(word: Word) -> None:
    code, _ = run("check", word.certificate, word.model)
    assert code == 3


def test_the_printed_line_that_checks_again_exits_the_same_way(word: Word, tmp_path: Path) -> None:
    """On the terminal of explain and certify, and on the page of a report."""
    every = verbs(word, tmp_path)
    for verb in [v for v in ("explain", "certify", "report") if v in every]:
        code, printed = run(*every[verb])
        if verb == "report":
            page = (tmp_path / "r.html").read_text()
            printed = html.unescape(page[: page.index("</code>")].rpartition("<code>")[2])
        again = printed[printed.rindex(" check ") :].split()
        assert run(*again)[0] == code == 3, verb


@pytest.mark.parametrize("stage", ["report", "explain"])
def test_no_page_is_green(word: Word, stage: str, tmp_path: Path) -> None:
    arguments = verbs(word, tmp_path).get(stage)
    if arguments is None:
        arguments = verbs(word, tmp_path)["report"]
    run(*arguments)
    (page,) = [p.read_text() for p in tmp_path.glob("*.html")]
    assert '<section class="verdict conditional">' in page
    assert '<body class="conditional">' in page
    assert 'class="verdict good"' not in page
    assert "Proved, and accepted" not in page
    assert word.whose in page


def many(network: Network, count: int = 4) -> Instances:
    x = np.random.default_rng(2).random((count, *network.input_shape), dtype=np.float32)
    y = np.array([network.observe(image).predicted for image in x])
    return Instances("some", "0" * 64, x, y, network.class_names)


RULES = "rules:\n  certificates: {accepted: all, allow_declared: %s}\n  undecided: {at_most: 0.0}\n"


@pytest.mark.parametrize("allowed", ["false", "true"])
def test_campaign_and_gate_do_not_count_it(allowed: str, tmp_path: Path) -> None:
    network = load(declared_model(tmp_path))
    data = many(network)
    policy = tmp_path / "policy.yaml"
    policy.write_text(HEADER + RULES % allowed)
    result = run_gate(policy, network.path, data, tmp_path / "out", engine=InlineEngine)
    assert result.exit_code != 0
    assert {c.id: c.status for c in result.checks}["certificates"] == "undecided"
    assert result.states["proved"] == 0
    assert result.states["undecided"] == len(data.x)


@pytest.mark.parametrize("allowed", ["false", "true"])
def test_a_campaign_that_calls_it_proved_does_not_make_it_count(
    allowed: str, tmp_path: Path
) -> None:
    """A ledger of another hand: the certificate is there, the row says proved."""
    network = load(declared_model(tmp_path))
    data, out = many(network, 2), tmp_path / "out"
    run_campaign(network, data, out, options=Options(witnesses=False), engine=InlineEngine)
    made, rows = read_campaign(out), []
    for row in made.rows:
        found = Explainer(network).explain(data.x[row.index], witnesses=False)
        assert found.certificate is not None
        content = canonical_bytes(found.certificate)
        report = check(content, network.data, row.instance, allow_declared=True)
        assert (report.status, report.accepted, report.exit_code) == ("conditional", False, 3)
        path = out / "certificates" / f"{row.key}.cert.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        core = found.certificate.core
        told = {"size": len(core.facts), "vocabulary": core.vocabulary, "necessary": 0}
        record = replace(row.record, state="proved", reason="", certificate=digest, **told)
        rows.append(replace(row, record=record))
    policy = tmp_path / "policy.yaml"
    policy.write_text(HEADER + RULES % allowed)
    rules = read_policy(policy).policy.rules
    answers = {c.id: c for c in checks(rules, replace(made, rows=tuple(rows)), network.data)}
    assert answers["certificates"].status == "undecided"
    assert answers["certificates"].measured.startswith("0 of 2")


def test_regions_by_another_tools_word_are_undecided(tmp_path: Path) -> None:
    network = load(declared_model(tmp_path))
    out = tmp_path / "out"
    made = run_campaign(
        network,
        many(network, 2),
        out,
        options=Options(witnesses=False),
        engine=InlineEngine,
        regions=("linf:0.001",),
    )
    records = list(made.regions["linf:0.001"].values())
    assert [record.state for record in records] == ["undecided"] * 2
    assert all("declared head" in record.reason for record in records)
    page = audit_page(out, network.path, None, 10, ())
    assert (page.accepted, page.exit_code) == (0, 0)
    assert all(region.certified == 0 for region in page.regions)
