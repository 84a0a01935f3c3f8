"""Whoever may write to a campaign's directory makes no answer of a gate better.

One honest campaign of three digits, of which the network takes one for another, and in which wide
regions are refuted. Then its ledger and its files are changed in every way.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.campaign import (
    Confirmed,
    Instances,
    Options,
    confirm,
    read_campaign,
    recheck,
    run_campaign,
)
from protoproof.campaign.database import TABLES
from protoproof.campaign.lock import only_writer
from protoproof.campaign.summary import FOUND_AGAIN, RECORDED
from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import ActivationFact, CeilingFact, Fact, IntervalEvidence
from protoproof.errors import InputError, OutputError, ProtoProofError
from protoproof.gate import compare_directories
from protoproof.gate.compare import compare
from protoproof.gate.outcome import Check
from protoproof.gate.policy import BaselineRules, Rules
from protoproof.gate.rules import baseline_checks, checks
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.arithmetic.exact import decode_floats
from protoproof.kernel.claims import words
from protoproof.kernel.latent.measurement import Latent
from protoproof.network import load
from protoproof.report.audit import audit_page
from tests.support.campaign import MODEL, InlineEngine, digits, network
from tests.support.gate import classes_swapped, gate, nothing, sabotaged

SMALL, LARGE = "linf:0.005", "linf:0.2"
# every rule, most of them beyond what the honest campaign reaches
RULES: dict[str, Any] = {
    "accuracy": {"at_least": 0.9, "per_class_at_least": 0.9},
    "certified_accuracy": (
        {"region": SMALL, "at_least": 0.9},
        {"region": LARGE, "at_least": 0.1},
    ),
    "explanation_size": tuple(
        {"vocabulary": name, "median_at_most": 0.5, "p95_at_most": 50.0}
        for name in ("topk", "ceiling", "mixed", "pairs")
    ),
    "witness_share": {"at_least": 1.0},
    "vacuous": {"share_of_possible": 0.01, "at_most": 0.0},
    "ambiguous": {"at_most": 0.0},
    "contradictory_prototypes": {"at_most": 0},
    "unused_prototypes": {"at_most": 1},
    "duplicate_prototypes": {"squared_distance": 100.0, "at_most": 0},
    "certificates": {"accepted": "all"},
    "undecided": {"at_most": 0.0},
}


@pytest.fixture(scope="module", autouse=True)
def proved_once() -> Iterator[None]:
    """The same bytes are proved once: a check is a function of what it is given, and no directory
    here is out of the checker's reach in any other way."""
    known: dict[tuple[object, ...], CheckReport] = {}

    def remembered(content: bytes, model: ModelFile, digest: str) -> CheckReport:
        key = (content, model.sha256, digest)
        if key not in known:
            known[key] = check(content, model, digest)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recheck, "check", remembered)
        yield


@pytest.fixture(scope="module")
def data() -> Instances:
    every, chosen = digits(), [296, 314, 150]
    return Instances("part", "0" * 64, every.x[chosen], every.y[chosen], every.classes)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, data: Instances) -> Path:
    out = tmp_path_factory.mktemp("honest") / "c"
    run_campaign(
        network(),
        data,
        out,
        options=Options(compare=True),
        regions=(SMALL, LARGE),
        engine=InlineEngine,
    )
    return out


@pytest.fixture
def copy(honest: Path, tmp_path: Path) -> Path:
    return shutil.copytree(honest, tmp_path / "c")


def again(directory: Path, data: Instances | None) -> Confirmed:
    """As a gate finds out again what it has just run."""
    chosen = None if data is None else range(len(data.y))
    return confirm(read_campaign(directory), network(), data, chosen=chosen)


def answers(directory: Path, data: Instances) -> dict[str, Check]:
    found = checks(Rules.model_validate(RULES), again(directory, data))
    return {f"{check.id}/{check.place}": check for check in found}


def answers_or_refusal(directory: Path, data: Instances) -> dict[str, Check] | None:
    """None where the directory is refused: with one line, as bad input."""
    try:
        return answers(directory, data)
    except ProtoProofError as error:
        if error.exit_code != 2 or "\n" in str(error):
            raise
        return None


@pytest.fixture(scope="module")
def truth(honest: Path, data: Instances) -> dict[str, Check]:
    return answers(honest, data)


def test_the_honest_answers_leave_room_for_better_ones(truth: dict[str, Check]) -> None:
    failing = {check.rule for check in truth.values() if check.status == "failed"}
    assert failing == {
        "accuracy",
        "certified_accuracy",
        "explanation_size",
        "vacuous",
        "unused_prototypes",
        "duplicate_prototypes",
        "witness_share",
    } | ({"contradictory_prototypes", "ambiguous"} & failing)


def no_better(then: Check, now: Check) -> bool:
    """Nothing passes that did not pass before."""
    return then.status == "passed" or now.status != "passed"


def columns() -> Iterator[tuple[str, str]]:
    """Every column of the ledger, by its own schema: a new one is covered by itself."""
    ledger = sqlite3.connect(":memory:")
    ledger.executescript(TABLES)
    for (table,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        for row in ledger.execute(f"PRAGMA table_info({table})"):
            yield table, row[1]
    ledger.close()


def flattering(table: str, column: str, ledger: sqlite3.Connection) -> list[Any]:
    """Values that a forger would try: what other rows have, and what the rules like."""
    found = [value for (value,) in ledger.execute(f'SELECT DISTINCT "{column}" FROM {table}')]  # noqa: S608
    found = [*found[-2:], "proved", "f" * 64, None, 0, 7]
    if column == "sizes":
        one = {"status": "proved", "reason": "", "size": 0}
        found.append(json.dumps(dict.fromkeys(("topk", "ceiling", "mixed", "pairs"), one)))
    if column == "prototypes":
        found.append(json.dumps(list(range(50))))
    for word, instead in ((SMALL, LARGE), ('"free"', '"box"'), ("listed", "all")):
        found += [v.replace(word, instead) for v in list(found) if isinstance(v, str) and word in v]
    return found


@pytest.mark.parametrize(("table", "column"), list(columns()))
@pytest.mark.trust(45)
def test_no_edited_column_makes_an_answer_better(
    table: str, column: str, copy: Path, data: Instances, truth: dict[str, Check]
) -> None:
    path, edited = copy / "ledger.sqlite", 0
    original = path.read_bytes()
    with sqlite3.connect(path) as ledger:
        values = flattering(table, column, ledger)
    for value in values:
        path.write_bytes(original)
        ledger = sqlite3.connect(path)
        for where in ("", f" WHERE rowid = (SELECT min(rowid) FROM {table})"):  # noqa: S608
            try:
                with ledger:
                    ledger.execute(f'UPDATE {table} SET "{column}" = ?{where}', (value,))  # noqa: S608
                edited += 1
                break
            except sqlite3.DatabaseError:  # the schema itself refuses the value, or it exists
                continue
        ledger.close()
        now = answers_or_refusal(copy, data)
        if now is None:
            continue
        assert now.keys() == truth.keys() or table == "about"
        for name, check_ in now.items():
            assert no_better(truth[name], check_), (value, check_)
            if table != "about":  # the plan's question; a gate asks its policy's instead
                assert truth[name].status == check_.status, (value, check_)
    assert edited


def test_a_summary_says_whose_word_it_is(copy: Path, data: Instances) -> None:
    """What a campaign tells is its ledger's word; what is found out again is not."""
    honest_summary = again(copy, data).summary
    with sqlite3.connect(copy / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE results SET predicted = 9, size = 0, prototypes = '[1]', top = 1")
    recorded, found = read_campaign(copy), again(copy, data)
    assert {row["size"] for row in recorded.summary["instances"]} == {0}
    assert recorded.summary["values"] == RECORDED
    assert found.summary["values"] == FOUND_AGAIN
    assert found.summary == honest_summary
    assert not hasattr(recorded, "unused_prototypes")  # rules take only what was found again


def certificates(directory: Path, data: Instances) -> list[Path]:
    """Of the explanations, in order of the instances."""
    rows = again(directory, data).rows
    return [directory / "certificates" / f"{row.key}.cert.json" for row in rows]


def hash_again(directory: Path) -> None:
    """Make the ledger agree with whatever the files are now."""
    with sqlite3.connect(directory / "ledger.sqlite") as ledger:
        for folder, table in (("certificates", "results"), ("regions", "regions")):
            for path in (directory / folder).glob("*.cert.json"):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                key = path.name.partition(".")[0]
                ledger.execute(f"UPDATE {table} SET certificate = ? WHERE key = ?", (digest, key))  # noqa: S608


def about_another_latent(mine: bytes, other: bytes) -> bytes:
    """A true certificate of another instance, with this instance's hash written over its own."""
    here, there = read_certificate(mine), read_certificate(other)
    digest = here.core.instance.input_sha256
    instance = there.core.instance.model_copy(update={"input_sha256": digest})
    core = there.core.model_copy(update={"instance": instance})
    return canonical_bytes(there.model_copy(update={"core": core}))


def padded(mine: bytes) -> bytes:
    """A true certificate of the same instance that names every prototype, needed or not."""
    found = read_certificate(mine)
    head = ModelFile.read(MODEL).bound(found.core.model.latent, found.core.model.output).head
    recorded = decode_floats(
        found.core.instance.latent, head.location_count * head.channels, np.float32
    )
    latent = Latent(head, recorded)
    ends = [latent.best(j) for j in range(head.prototype_count)]
    last = max(end.down() for end in ends)
    facts: list[Fact] = [CeilingFact(bound=last.hex(), exempt=tuple(range(len(ends))))]
    facts += [
        ActivationFact(prototype=j, lower=end.down().hex(), upper=end.up().hex())
        for j, end in enumerate(ends)
    ]
    update = {
        "vocabulary": "topk", "premises": "exact", "facts": tuple(facts),
        "evidence": IntervalEvidence(), "witnesses": (), "size_bound": None, "contrasts": (),
    }  # fmt: skip
    core = found.core.model_copy(update=update)
    return canonical_bytes(found.model_copy(update={"core": core}))


@pytest.mark.parametrize("which", [(0,), (0, 1, 2)], ids=["one", "all"])
def test_facts_that_nobody_needs_answer_nothing(
    copy: Path, data: Instances, truth: dict[str, Check], which: tuple[int, ...]
) -> None:
    for number, path in enumerate(certificates(copy, data)):
        if number in which:
            content = padded(path.read_bytes())
            assert check(content, MODEL).accepted
            path.write_bytes(content)
    hash_again(copy)
    now = answers(copy, data)
    for name, then in truth.items():
        assert no_better(then, now[name]), name
    assert {c.status for c in now.values() if c.rule == "unused_prototypes"} == {"failed"}


def made_by(model: Path, data: Instances, directory: Path, **options: Any) -> bytes:
    found = run_campaign(
        model, data, directory, options=Options(**options), engine=InlineEngine
    ).rows[0]
    return (directory / "certificates" / f"{found.key}.cert.json").read_bytes()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("swapped", "input"),
        ("doubled", "input"),
        ("another latent", "another latent than ONNX Runtime computes"),
        ("another network", "hash"),
        ("another domain", "not about the domain free"),
        ("nonsense", "rejected"),
        ("empty", "rejected"),
    ],
)
@pytest.mark.trust(45)
def test_a_certificate_of_something_else_does_not_count(
    copy: Path, data: Instances, tmp_path: Path, harm: str, words: str
) -> None:
    first, second, _ = certificates(copy, data)
    mine, other = first.read_bytes(), second.read_bytes()
    one = Instances("one", "1" * 64, data.x[:1], data.y[:1], data.classes)
    match harm:
        case "swapped":
            first.write_bytes(other)
            second.write_bytes(mine)
        case "doubled":
            first.write_bytes(other)
        case "another latent":
            forged = about_another_latent(mine, other)
            # the checker alone cannot know what the encoder computes for an input
            assert check(forged, MODEL, read_certificate(mine).core.instance.input_sha256).accepted
            first.write_bytes(forged)
        case "another network":
            model = sabotaged(tmp_path / "model.onnx", nothing)
            first.write_bytes(made_by(model, one, tmp_path / "n", vocabulary="topk"))
        case "another domain":
            first.write_bytes(made_by(MODEL, one, tmp_path / "d", domain="box"))
        case _:
            first.write_bytes(b"{}" if harm == "nonsense" else b"")
    hash_again(copy)
    found = again(copy, data)
    harmed = (0, 1) if harm == "swapped" else (0,)
    assert [row.record.state == "proved" for row in found.rows] == [
        number not in harmed for number in range(3)
    ]
    for number in harmed:
        complaint = found.complaints[found.rows[number].key]
        assert complaint.final
        assert words in complaint.text
    assert found.rows[0].correct is False  # the network is wrong about it, whoever says what
    status = {c.rule: c.status for c in answers(copy, data).values()}
    assert (status["certificates"], status["undecided"]) == ("failed", "undecided")


@pytest.mark.parametrize("harm", ["gone", "link", "pipe", "folder", "huge"])
@pytest.mark.parametrize("folder", ["certificates", "regions", "sizes"])
def test_a_file_that_is_none_does_not_count(
    copy: Path, data: Instances, harm: str, folder: str, truth: dict[str, Check]
) -> None:
    honest_count = count_proofs(again(copy, data))
    for path in (copy / folder).glob("*.cert.json"):
        content = path.read_bytes()
        path.unlink()
        match harm:
            case "link":
                (copy / path.name).write_bytes(content)
                path.symlink_to(copy / path.name)
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "huge":
                with path.open("wb") as stream:
                    stream.truncate(1 << 40)
    found = again(copy, data)
    without = {folder: 0} | ({"sizes": 0} if folder == "certificates" else {})
    assert count_proofs(found) == honest_count | without
    for name, check_ in answers(copy, data).items():
        assert no_better(truth[name], check_)


def count_proofs(found: Confirmed) -> dict[str, int]:
    """By folder, how many of its certificates prove something."""
    proved = [row.record for row in found.rows if row.record.state == "proved"]
    return {
        "certificates": len(proved),
        "regions": sum(
            r.state == "proved" for known in found.regions.values() for r in known.values()
        ),
        "sizes": sum(
            size["size"] is not None
            for record in proved
            for name, size in record.sizes.items()
            if name != record.vocabulary
        ),
    }


@pytest.mark.parametrize("harm", ["another input", "another vocabulary", "the explanation"])
@pytest.mark.trust(45)
def test_a_size_of_something_else_does_not_count(copy: Path, data: Instances, harm: str) -> None:
    """Every size rests on a certificate in that vocabulary, about that input."""
    first, second, _ = certificates(copy, data)
    key, other = (path.name.partition(".")[0] for path in (first, second))
    honest = again(copy, data).rows[0].record.sizes
    proved = [
        path for path in sorted((copy / "sizes").glob(f"{key}.*")) if vocabulary(path, honest)
    ]
    before = {path: path.read_bytes() for path in proved}
    assert len(before) >= 2
    for path, turned in zip(proved, [*proved[1:], proved[0]], strict=True):
        source = {
            "another input": copy / "sizes" / path.name.replace(key, other),
            "another vocabulary": turned,
            "the explanation": first,
        }[harm]
        content = before.get(source) or (source.read_bytes() if source.exists() else b"{}")
        path.write_bytes(content)
    found = again(copy, data).rows[0].record
    assert found.state == "proved"
    assert not any(vocabulary(path, found.sizes) for path in proved)


def vocabulary(path: Path, sizes: dict[str, dict[str, Any]]) -> bool:
    """Whether a certificate in ``sizes/`` gives a size."""
    return sizes[path.name.split(".")[1]]["size"] is not None


@pytest.mark.parametrize("harm", ["holds", "smaller", "instance", "explanation"])
def test_a_certificate_of_another_region_does_not_count(
    copy: Path, data: Instances, harm: str
) -> None:
    from protoproof.campaign.regions import region_at
    from protoproof.certification.certify import Certifier
    from protoproof.explanation.explainer import Explainer

    rows = again(copy, data).rows
    records = again(copy, data).regions[SMALL]
    assert {record.state for record in records.values()} == {"proved"}
    target = copy / "regions" / f"{records[rows[1].key].key}.cert.json"
    certifier = Certifier(Explainer(network()))
    if harm == "holds":
        region = region_at(SMALL, data.x[1], network())
        answer = certifier.certify(region, falsify=False, explanation="region")
        content = canonical_bytes(answer.certificates[0])
        assert {"robust", "robust-explanation"} <= set(words(check(content, MODEL).claims))
    elif harm == "smaller":
        region = region_at("linf:0.001", data.x[1], network())
        content = canonical_bytes(certifier.certify(region, falsify=False).certificates[0])
    elif harm == "instance":
        content = (copy / "regions" / f"{records[rows[2].key].key}.cert.json").read_bytes()
    else:
        content = certificates(copy, data)[1].read_bytes()
    target.write_bytes(content)
    hash_again(copy)
    found = again(copy, data)
    states = [found.regions[SMALL][row.key].state for row in found.rows]
    assert states == ["proved", "undecided", "proved"]
    complaint = found.complaints[found.regions[SMALL][rows[1].key].key]
    assert complaint.final
    assert ("rejected" if harm == "instance" else "not about the region") in complaint.text


@pytest.mark.trust(45)
def test_extra_missing_and_doubled_rows_change_nothing(copy: Path, data: Instances) -> None:
    """A report chooses again what the plan says it chose; a doubled instance counts once."""
    honest_page = audit_page(copy, MODEL, data)
    for statement in (
        "INSERT INTO plan SELECT position + 10, idx, label, instance, key FROM plan",
        "INSERT INTO plan SELECT position + 10, idx + 10, label, instance, key FROM plan",
        "DELETE FROM plan WHERE idx = 0",
        "DELETE FROM results",
        "DELETE FROM regions",
    ):
        path = copy / "ledger.sqlite"
        before = path.read_bytes()
        with sqlite3.connect(path) as ledger:
            ledger.execute(statement)
        page = audit_page(copy, MODEL, data)
        told = (page.total, page.correct, page.accepted, page.rejected, page.states)
        honest_told = (
            honest_page.total, honest_page.correct, honest_page.accepted, honest_page.rejected,
            honest_page.states,
        )  # fmt: skip
        assert told == honest_told, statement
        path.write_bytes(before)


def test_without_the_data_a_certificate_s_word_counts_and_labels_are_marked(
    copy: Path, data: Instances
) -> None:
    with sqlite3.connect(copy / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE results SET predicted = 9, size = 0, necessary = 0, state = 'error'")
        ledger.execute("INSERT INTO plan SELECT position + 10, idx, label, instance, key FROM plan")
    found, honest_found = again(copy, None), again(copy, data)
    assert not found.labelled
    assert [row.record for row in found.rows] == [row.record for row in honest_found.rows]
    page = audit_page(copy, MODEL, None)
    assert "are as the campaign recorded them" in page.limits[0] + page.limits[1]


@pytest.mark.parametrize("rules", ["accuracy: {at_least: 0.5}", "certificates: {accepted: all}"])
def test_one_statement_does_not_pass_a_gate(tmp_path: Path, data: Instances, rules: str) -> None:
    """Two of three predictions wrong, and a ledger that says the opposite, hashes included."""
    wrong = Instances("w", "2" * 64, data.x, (data.y + np.array([0, 1, 1])) % 10, data.classes)
    settings = "campaign: {vocabulary: topk, witnesses: false}\nrules:\n  " + rules + "\n"
    result = gate(tmp_path, settings, data=wrong)
    assert sum(row.correct is True for row in result.rows) == 0
    directory = tmp_path / "out" / "campaign"
    with sqlite3.connect(directory / "ledger.sqlite") as ledger:
        ledger.execute(
            "UPDATE results SET predicted = (SELECT label FROM plan WHERE plan.key = results.key)"
        )
    first, second, third = certificates(directory, wrong)
    contents = [path.read_bytes() for path in (first, second, third)]
    for path, content in zip((second, third, first), contents, strict=True):
        path.write_bytes(content)
    hash_again(directory)
    result = gate(tmp_path, settings, data=wrong)
    assert (result.outcome, result.states["proved"]) == ("failed", 0)
    assert sum(row.correct is True for row in result.rows) == 0


def test_a_directory_of_another_campaign_is_computed_again(
    copy: Path, data: Instances, tmp_path: Path
) -> None:
    """Copied to where another network's gate runs: nothing of it is about that network."""
    model = sabotaged(tmp_path / "model.onnx", classes_swapped)
    shutil.copytree(copy, tmp_path / "out" / "campaign")
    rules = (
        "campaign: {vocabulary: topk, witnesses: false}\nrules:\n  certificates: {accepted: all}\n"
    )
    result = gate(tmp_path, rules, model, data=data)
    assert {row.key for row in result.rows}.isdisjoint(row.key for row in read_campaign(copy).rows)
    swapped = load(model)
    for number, row in enumerate(result.rows):
        assert row.record.predicted == swapped.observe(data.x[number]).predicted


def sabotage(path: Path, harm: str) -> None:
    """Make a ledger something else."""
    ledger = sqlite3.connect(path) if harm in STATEMENTS else None
    if ledger is not None:
        with ledger:
            ledger.executescript(STATEMENTS[harm])
        ledger.close()
    elif harm == "text":
        path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        path.rename(path.with_name("moved"))
        if harm == "pipe":
            os.mkfifo(path)
        elif harm == "link":
            path.symlink_to(path.with_name("moved"))
        elif harm == "folder":
            path.mkdir()


STATEMENTS = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON plan BEGIN UPDATE plan SET label = 0; END;",
    "view": "ALTER TABLE plan RENAME TO hidden; CREATE VIEW plan AS WITH RECURSIVE n(i) AS "
    "(SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i AS position, 0 AS idx, 0 AS label, "
    "'' AS instance, '' AS key FROM n;",
    "column": "ALTER TABLE results ADD COLUMN more TEXT;",
    "table": "CREATE TABLE more (a TEXT);",
    "missing": "DROP TABLE regions;",
    "version": "UPDATE about SET value = 'protoproof.ledger/99' WHERE name = 'format';",
    "no plan": "DELETE FROM about WHERE name = 'plan';",
    "no model": "DELETE FROM models;",
    "state": "UPDATE results SET state = 'proven';",
    "deep": "UPDATE about SET value = '" + "[" * 100_000 + "' WHERE name = 'plan';",
    "key": "UPDATE plan SET key = '../../../x' WHERE position = 0;",
    "label": "UPDATE plan SET label = 99;",
    "vocabulary": 'UPDATE results SET sizes = \'{"../x": {"size": 1}}\';',
}


@pytest.mark.parametrize("harm", [*STATEMENTS, "text", "cut", "pipe", "link", "folder"])
def test_a_ledger_that_is_none_is_one_line(copy: Path, data: Instances, harm: str) -> None:
    sabotage(copy / "ledger.sqlite", harm)
    with pytest.raises(ProtoProofError) as found:
        audit_page(copy, MODEL, data)
    assert (found.value.exit_code, str(found.value).count("\n")) == (2, 0)
    if harm in ("trigger", "view", "column", "table", "missing", "version", "text", "link", "pipe"):
        with pytest.raises(ProtoProofError) as found:
            run_campaign(network(), data, copy, options=Options(compare=True), engine=InlineEngine)
        assert (found.value.exit_code, str(found.value).count("\n")) == (2, 0)


@pytest.mark.parametrize("folder", ["certificates", "regions", "sizes", "latents"])
def test_nothing_is_written_through_a_link(tmp_path: Path, data: Instances, folder: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / folder).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        run_campaign(network(), data, tmp_path / "c", engine=InlineEngine)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_lock_neither_waits_nor_leads_elsewhere(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with only_writer(tmp_path):  # no other end of the pipe is waited for
        pass
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="cannot write"), only_writer(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


BASELINE: dict[str, Any] = {
    "lost_proofs": {"at_most": 0},
    "drift": {"at_most": 0.0},
    "class_loss": {"at_most": 0.0},
}


def against(old: Path, new: Path, data: Instances) -> list[str]:
    ask: dict[str, Any] = {"chosen": range(len(data.y))}
    before = confirm(read_campaign(old), network(), data, **ask, only_known=True)
    if any(found.final for found in before.complaints.values()):
        return ["refused"]
    found = compare(before, confirm(read_campaign(new), network(), data, **ask))
    return [c.status for c in baseline_checks(BaselineRules.model_validate(BASELINE), found)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE results SET state = 'undecided', certificate = NULL, prototypes = '[]'",
        "UPDATE regions SET state = 'undecided', certificate = NULL",
        "UPDATE results SET predicted = 0",
        "UPDATE plan SET label = 0",
        "UPDATE plan SET instance = '" + "0" * 64 + "'",
        "DELETE FROM plan",
        "DELETE FROM results",
        "DELETE FROM regions",
    ],
)
def test_an_edited_baseline_excuses_nothing(
    copy: Path, honest: Path, data: Instances, statement: str
) -> None:
    """The new campaign lost a proof; whatever the old one's ledger says now, that is seen."""
    new = shutil.copytree(honest, copy.parent / "new")
    certificates(new, data)[1].unlink()
    assert against(copy, new, data)[0] == "failed"
    with sqlite3.connect(copy / "ledger.sqlite") as ledger:
        ledger.execute(statement)
    assert against(copy, new, data)[0] == "failed"


def test_a_baseline_without_its_certificates_is_refused(tmp_path: Path, data: Instances) -> None:
    settings = "campaign: {vocabulary: topk, witnesses: false}\nrules:\n"
    plain = settings + "  accuracy: {at_least: 0.1}\n"
    gate(tmp_path / "old", plain, data=data)
    next((tmp_path / "old" / "out" / "campaign" / "certificates").iterdir()).unlink()
    rules = settings + "  baseline: {lost_proofs: {at_most: 0}}\n"
    with pytest.raises(InputError, match="1 of its results are not what it tells of them"):
        gate(tmp_path / "new", rules, data=data, baseline=tmp_path / "old" / "out")


def test_a_baseline_s_network_is_needed(tmp_path: Path, data: Instances) -> None:
    settings = "campaign: {vocabulary: topk, witnesses: false}\nrules:\n"
    before = sabotaged(tmp_path / "before.onnx", nothing)
    gate(tmp_path / "old", settings + "  accuracy: {at_least: 0.1}\n", before, data=data)
    moved = before.rename(tmp_path / "moved.onnx")
    rules = settings + "  baseline: {lost_proofs: {at_most: 0}}\n"
    old = tmp_path / "old" / "out"
    with pytest.raises(InputError, match="give it with --baseline-model"):
        gate(tmp_path / "new", rules, data=data, baseline=old)
    with pytest.raises(InputError, match="is not the network of"):
        gate(tmp_path / "new", rules, data=data, baseline=old, baseline_model=MODEL)
    result = gate(tmp_path / "new", rules, data=data, baseline=old, baseline_model=moved)
    assert (result.outcome, (result.baseline or {})["common"]) == ("passed", 3)


def test_diff_tells_what_is_found_out_again(copy: Path, honest: Path, data: Instances) -> None:
    with sqlite3.connect(copy / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE results SET state = 'undecided', size = 0, prototypes = '[]'")
    found = compare_directories(honest, copy, instances=data)
    assert found.count("same") == len(found.pairs) == 3
    assert found.to_json()["labels"] == "from the data"
    certificates(copy, data)[0].unlink()
    assert compare_directories(honest, copy, instances=data).count("lost") == 1
    told = compare_directories(honest, copy).to_json()
    assert (told["labels"], told["changes"]["lost"]) == ("as stored, not recomputed", 1)
