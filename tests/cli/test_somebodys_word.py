"""Whatever rests on somebody's word: exit code 3 in every verb, whose word it is, never green."""

from __future__ import annotations

import hashlib
import html
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from protoproof.campaign import Instances, Options, confirm, read_campaign, run_campaign
from protoproof.certificate.canonical import canonical_bytes
from protoproof.cli.app import program
from protoproof.explanation.explainer import Explainer
from protoproof.gate.policy_file import read_policy
from protoproof.gate.rules import checks
from protoproof.kernel import check
from protoproof.network import Network, load
from protoproof.prover.latent.reach import Reach
from protoproof.verdict import Status
from tests.support.campaign import InlineEngine
from tests.support.gate import HEADER
from tests.support.network.builders import draft

SOURCE = "the author of this box"


@dataclass(frozen=True)
class Word:
    """A model, an input, and a certificate that rests on somebody's word; ``whose`` says so."""

    model: Path
    x: Path
    certificate: Path
    network: Network
    whose: str


def reached(network: Network, x: np.ndarray, linear: bool) -> Reach:
    latent = network.observe(x).latent.astype(np.float64)
    ends = latent - 1e-3, latent + 1e-3
    if not linear:
        return Reach(*ends, SOURCE)
    rows = np.ones((1, *latent.shape))
    return Reach(*ends, SOURCE, rows, (rows * latent).sum(axis=(1, 2)) - 0.5)


KINDS = ("box", "linear bounds")


@pytest.fixture(scope="module", params=KINDS)
def word(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Word:
    kind, folder = request.param, tmp_path_factory.mktemp("word")
    model = draft().save(folder)
    network = load(model)
    x = np.random.default_rng(1).random(network.input_shape, dtype=np.float32)
    np.save(folder / "x.npy", x)
    result = Explainer(network).explain(x, domain=reached(network, x, kind != "box"))
    assert result.verdict.status is Status.UNKNOWN
    assert result.verdict.reason.startswith("conditional: ")
    assert result.certificate is not None
    path = folder / "c.json"
    path.write_bytes(canonical_bytes(result.certificate))
    return Word(model, folder / "x.npy", path, network, SOURCE)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(program(), [str(a) for a in arguments])
    return result.exit_code, " ".join(result.output.split())


def verbs(word: Word, out: Path) -> dict[str, list[object]]:
    """Every verb that answers about one certificate, network or input."""
    at = [word.model, "--input", word.x]
    return {
        "check": ["check", word.certificate, word.model],
        "check with the input": ["check", word.certificate, *at],
        "report": [
            *("report", word.certificate, "--model", *at, "--out", out / "r.html"),
        ],
    }


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.trust(46)
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


def test_the_printed_line_that_checks_again_exits_the_same_way(
    word: Word, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the page of a report, where the files were put together: it names no place of theirs."""
    code, _ = run(*verbs(word, tmp_path)["report"])
    page = (tmp_path / "r.html").read_text()
    assert str(word.model.parent) not in page
    printed = html.unescape(page[: page.index("</code>")].rpartition("<code>")[2])
    again = printed[printed.rindex(" check ") :].split()
    for path in (word.model, word.certificate):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(*again)[0] == code == 3


@pytest.mark.trust(46)
def test_no_page_is_green(word: Word, tmp_path: Path) -> None:
    run(*verbs(word, tmp_path)["report"])
    (page,) = [p.read_text() for p in tmp_path.glob("*.html")]
    assert '<section class="verdict conditional">' in page
    assert '<body class="conditional">' in page
    assert 'class="verdict good"' not in page
    assert "accepted by the independent checker" not in page
    assert word.whose in page


def many(network: Network, count: int = 4) -> Instances:
    x = np.random.default_rng(2).random((count, *network.input_shape), dtype=np.float32)
    y = np.array([network.observe(image).predicted for image in x])
    return Instances("some", "0" * 64, x, y, network.class_names)


RULES = "rules:\n  certificates: {accepted: all}\n  undecided: {at_most: 0.0}\n"


def test_a_campaign_that_calls_it_proved_does_not_make_it_count(tmp_path: Path) -> None:
    """A ledger of another hand: the certificate is there, the row says proved."""
    network = load(draft().save(tmp_path))
    data, out = many(network, 2), tmp_path / "out"
    run_campaign(network, data, out, options=Options(witnesses=False), engine=InlineEngine)
    made, rows = read_campaign(out), []
    for row in made.rows:
        domain = reached(network, data.x[row.index], False)
        found = Explainer(network).explain(data.x[row.index], domain=domain, witnesses=False)
        assert found.certificate is not None
        content = canonical_bytes(found.certificate)
        report = check(content, network.data, row.instance)
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
    policy.write_text(HEADER + RULES)
    rules = read_policy(policy).policy.rules
    forged = replace(made, rows=tuple(rows))
    again = confirm(forged, network, data)
    assert again.states["proved"] == 0
    answers = {c.id: c for c in checks(rules, again)}
    assert answers["certificates"].status == "undecided"
    assert answers["certificates"].measured.startswith("0 of 2")
