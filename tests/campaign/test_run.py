"""A campaign computes what is missing and nothing else, and says how everything ended."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from protoproof.campaign import (
    Campaign,
    Instances,
    Limits,
    Options,
    Row,
    read_campaign,
    record,
    run_campaign,
)
from protoproof.campaign.lock import only_writer
from protoproof.campaign.record import STATES, Record
from protoproof.campaign.store import Ledger
from protoproof.certificate.schema import SCHEMA
from protoproof.errors import InputError, OutputError, UsageError
from protoproof.kernel import check
from tests.support.campaign import MODEL, Counting, InlineEngine, network, some

QUICK = Options(witnesses=False)


def run(out: Path, instances: Instances | None = None, **settings: Any) -> Campaign:
    settings = {"options": QUICK, "engine": InlineEngine} | settings
    return run_campaign(network(), instances or some(6), out, **settings)


def test_every_instance_has_a_row_and_an_accepted_certificate(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.states == dict.fromkeys(STATES, 0) | {"proved": 6}
    for row in result.rows:
        content = (tmp_path / "certificates" / f"{row.key}.cert.json").read_bytes()
        report = check(content, MODEL, row.instance)
        assert report.accepted
        assert [s["size"] for s in row.record.sizes.values() if s["size"] is not None] == [
            row.record.size
        ]
    assert len(list((tmp_path / "certificates").iterdir())) == 6
    document = json.loads((tmp_path / "summary.json").read_text())
    assert document["states"]["proved"] == document["accuracy"]["correct"] == 6
    assert document == json.loads(json.dumps(read_campaign(tmp_path).summary))


@pytest.mark.trust(37)
def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    server = Counting(tmp_path / "log")
    first = run(tmp_path / "out", make_server=server)
    files = {p: p.read_bytes() for p in (tmp_path / "out" / "certificates").iterdir()}
    before = (tmp_path / "out" / "summary.json").read_bytes()
    second = run(tmp_path / "out", make_server=server)
    assert (first.computed, first.reused, server.asked()) == (6, 0, 6)
    assert (second.computed, second.reused) == (0, 6)
    assert (tmp_path / "out" / "summary.json").read_bytes() == before
    assert {p: p.read_bytes() for p in (tmp_path / "out" / "certificates").iterdir()} == files


@pytest.mark.trust(37)
def test_a_changed_option_computes_again_and_the_old_results_stay(tmp_path: Path) -> None:
    run(tmp_path)
    other = run(tmp_path, options=replace(QUICK, vocabulary="topk"))
    assert (other.computed, other.reused) == (6, 0)
    assert {row.record.vocabulary for row in other.rows} == {"topk"}
    assert run(tmp_path).computed == 0


@pytest.mark.parametrize("what", ["tool", "certificate", "scipy"])
@pytest.mark.trust(37)
def test_another_version_computes_again(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert record.versions()["certificate"] == SCHEMA
    run(tmp_path, some(2))
    other = record.versions() | {what: "another"}
    monkeypatch.setattr(record, "versions", lambda: other)
    again = run(tmp_path, some(2))
    assert (again.computed, again.reused) == (2, 0)


def test_a_larger_selection_computes_the_rest(tmp_path: Path) -> None:
    every = some(6)
    part = Instances("some", every.sha256, every.x[:4], every.y[:4], every.classes)
    run(tmp_path, part)
    assert (run(tmp_path, every).computed, run(tmp_path, every).reused) == (2, 6)


def test_equal_inputs_are_computed_once(tmp_path: Path) -> None:
    data = some(3)
    twice = Instances(
        "twice", data.sha256, np.concatenate([data.x, data.x]), np.tile(data.y, 2), data.classes
    )
    server = Counting(tmp_path / "log")
    result = run(tmp_path / "out", twice, make_server=server)
    assert server.asked() == 3
    assert result.states["proved"] == result.computed == 6


@pytest.mark.parametrize("harm", ["removed", "changed"])
def test_a_lost_certificate_is_made_again(tmp_path: Path, harm: str) -> None:
    first = run(tmp_path)
    path = tmp_path / "certificates" / f"{first.rows[2].key}.cert.json"
    before = path.read_bytes()
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(before[:-2] + b" }")
    assert read_campaign(tmp_path).states["not_run"] == 1
    again = run(tmp_path)
    assert (again.computed, again.reused) == (1, 5)
    assert (first.healed, again.healed) == (0, 1)  # and that is told
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("state", "limit", "limits", "settled"),
    [
        ("timeout", 10.0, Limits(10.0), True),
        ("timeout", 10.0, Limits(5.0), True),
        ("timeout", 10.0, Limits(11.0), False),
        ("timeout", 10.0, Limits(None), False),
        ("memory", 100, Limits(1.0, 100), True),
        ("memory", 100, Limits(1.0, 200), False),
        ("memory", None, Limits(1.0, None), False),
        ("error", None, Limits(), True),
        ("undecided", None, Limits(), True),
        ("not_run", None, Limits(), False),
    ],
)
def test_only_a_wider_limit_is_worth_another_try(
    state: Any, limit: float | None, limits: Limits, settled: bool
) -> None:
    assert Record(state, "because", limit=limit).settled(limits) is settled


def renamed(path: Path) -> Path:
    """The same network in other bytes: a re-export."""
    model = onnx.load(MODEL)
    model.producer_name = "another exporter"
    onnx.save(model, path)
    return path


def sizes(row: Row) -> dict[str, Any]:
    """Per vocabulary; the certificates name the network, so their hashes differ."""
    return {name: found["size"] for name, found in row.record.sizes.items()}


def test_an_equal_head_carries_certificates_over(tmp_path: Path) -> None:
    old = run(tmp_path / "old", options=Options(compare=True))
    other = renamed(tmp_path / "other.onnx")
    both: dict[str, Any] = {"options": Options(compare=True), "engine": InlineEngine}
    new = run_campaign(other, some(6), tmp_path / "new", earlier=tmp_path / "old", **both)
    assert new.carried == new.computed == 6
    assert [sizes(row) for row in new.rows] == [sizes(row) for row in old.rows]
    plain = run_campaign(other, some(6), tmp_path / "plain", **both)
    assert plain.rows == new.rows  # carrying over changes nothing but the time
    for row in new.rows:
        content = (tmp_path / "new" / "certificates" / f"{row.key}.cert.json").read_bytes()
        assert check(content, other, row.instance).accepted
        assert check(content, MODEL).status == "rejected"


@pytest.mark.parametrize("harm", ["domain", "facts", "instance", "nonsense"])
def test_a_tampered_baseline_is_computed_again(tmp_path: Path, harm: str) -> None:
    """Certificates that the checker would accept, for a claim that nobody asked for."""
    data = some(2)
    run(tmp_path / "old", data)
    if harm == "domain":
        run(tmp_path / "source", data, options=replace(QUICK, domain="box"))
    else:
        run(tmp_path / "source", data, options=replace(QUICK, vocabulary="ceiling"))
    rows = read_campaign(tmp_path / ("old" if harm == "instance" else "source")).rows
    source = tmp_path / ("old" if harm == "instance" else "source") / "certificates"
    content = (source / f"{rows[1].key}.cert.json").read_bytes()
    content = b"{}" if harm == "nonsense" else content
    with Ledger.create(tmp_path / "old") as ledger:
        row = ledger.rows()[0 if harm == "instance" else 1]
        forged = replace(row.record, certificate=hashlib.sha256(content).hexdigest())
        ledger.store(row.key, forged, ledger.timings()[row.key], content)
    other = renamed(tmp_path / "other.onnx")
    settings: dict[str, Any] = {"options": QUICK, "engine": InlineEngine}
    new = run_campaign(other, data, tmp_path / "new", earlier=tmp_path / "old", **settings)
    assert (new.computed, new.carried) == (2, 1)
    assert new.rows == run_campaign(other, data, tmp_path / "plain", **settings).rows


def test_another_head_carries_nothing_over(tmp_path: Path) -> None:
    run(tmp_path / "old")
    model = onnx.load(MODEL)
    name = "head.weight"
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    values = onnx.numpy_helper.to_array(weight) * np.float32(1.001)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, name))
    onnx.save(model, tmp_path / "other.onnx")
    new = run_campaign(
        tmp_path / "other.onnx",
        some(2),
        tmp_path / "new",
        earlier=tmp_path / "old",
        options=QUICK,
        engine=InlineEngine,
    )
    assert (new.carried, new.computed) == (0, 2)


@pytest.mark.trust(38)
def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with only_writer(tmp_path), pytest.raises(UsageError, match="another campaign"):
        run(tmp_path)
    assert run(tmp_path).computed == 6


def test_what_is_no_campaign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ledger\.sqlite"):
        read_campaign(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"something else, and long enough to be looked at" * 9)
    with pytest.raises(InputError, match="ledger"):
        read_campaign(tmp_path)
    with pytest.raises(InputError, match="ledger"):
        run(tmp_path)


def test_an_output_that_cannot_be_is_refused_early(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    server = Counting(tmp_path / "log")
    with pytest.raises(OutputError, match="no directory"):
        run(tmp_path / "file" / "out", make_server=server)
    assert server.asked() == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"workers": 0},
        {"limits": Limits(0.0)},
        {"limits": Limits(1.0, 0)},
        {"engine": "mainframe"},
        {"engine": "local", "address": "somewhere"},
        {"options": Options(vocabulary="esperanto")},
        {"options": Options(oracle="delphi")},
        {"options": Options(domain="elsewhere")},
    ],
)
def test_nonsense_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--"):
        run(tmp_path, **settings)


def test_a_copy_of_the_directory_is_the_same_campaign(tmp_path: Path) -> None:
    run(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert run(tmp_path / "there").computed == 0
