"""Regions of campaigns: every instance certified, stored, resumed, and carried as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.backend import engine_named
from protoproof.campaign import Campaign, Limits, Options, confirm, read_campaign, run_campaign
from protoproof.campaign.explain_task import ExplainJob
from protoproof.campaign.model_identity import model_facts
from protoproof.campaign.places import region_paths
from protoproof.campaign.recheck import stored_input
from protoproof.campaign.record import STATES
from protoproof.errors import UsageError
from protoproof.kernel import check
from protoproof.kernel.claims import words
from protoproof.network import load
from tests.support.arrays import HEADERS, array_with_header
from tests.support.campaign import MODEL, PATIENT, InlineEngine, Poisoned, network, small_file, some
from tests.support.cli import protoproof

QUICK = Options(vocabulary="topk", witnesses=False)
REGIONS = ("linf:0.02", "linf:0.2", "brightness:0.01")


def run(out: Path, count: int = 4, **settings: Any) -> Campaign:
    usual = {"options": QUICK, "engine": InlineEngine, "regions": REGIONS, "limits": PATIENT}
    return run_campaign(network(), some(count), out, **(usual | settings))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("regions")
    run(out)
    return out


def test_every_instance_has_a_result_per_region(directory: Path) -> None:
    campaign = read_campaign(directory)
    assert tuple(campaign.regions) == tuple(sorted(REGIONS))
    for row in campaign.rows:
        small = campaign.regions["linf:0.02"][row.key]
        assert (small.state, small.predicted) == ("proved", row.record.predicted)
        content = (directory / "regions" / f"{small.key}.cert.json").read_bytes()
        report = check(content, MODEL, row.instance)
        assert "robust" in words(report.claims)
        assert dict(report.subject)["region"].startswith("linf:0.02 ")
        large = campaign.regions["linf:0.2"][row.key]
        assert large.state == "refuted"
        x = np.load(directory / "regions" / f"{large.key}.npy")
        assert network().observe(x).predicted == large.instead != large.predicted
        centre = some(4).x[row.index]
        assert np.abs(x.astype(float) - centre.astype(float)).max() <= 0.2 + 1e-7
    summary = json.loads((directory / "summary.json").read_text())
    none = dict.fromkeys(STATES, 0)
    assert summary["regions"]["linf:0.02"] == {"certified": 4, "states": none | {"proved": 4}}
    assert summary["regions"]["linf:0.2"] == {"certified": 0, "states": none | {"refuted": 4}}


def test_a_second_run_computes_nothing_and_a_new_region_only_itself(tmp_path: Path) -> None:
    first = run(tmp_path, 2, regions=("linf:0.02",))
    assert (first.computed, first.reused) == (4, 0)
    before = (tmp_path / "summary.json").read_bytes()
    again = run(tmp_path, 2, regions=("linf:0.02",))
    assert (again.computed, again.reused) == (0, 4)
    assert (tmp_path / "summary.json").read_bytes() == before
    more = run(tmp_path, 2, regions=("linf:2/100", "linf:0.01"))  # the first by another name
    assert (more.computed, more.reused) == (2, 4)
    fewer = run(tmp_path, 2, regions=())
    assert (fewer.computed, fewer.reused, fewer.regions) == (0, 2, {})
    other = run(tmp_path, 2, regions=("linf:0.02",), options=replace(QUICK, vocabulary="ceiling"))
    assert (other.computed, other.reused) == (2, 2)  # what is certified does not depend on it


@pytest.mark.parametrize("ending", ["cert.json", "npy"])
@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_lost_file_is_made_again(tmp_path: Path, ending: str, harm: str) -> None:
    regions = ("linf:0.02",) if ending == "cert.json" else ("linf:0.2",)
    run(tmp_path, 1, regions=regions)
    (path,) = (tmp_path / "regions").glob(f"*.{ending}")
    content = path.read_bytes()
    path.unlink() if harm == "gone" else path.write_bytes(content[:-9])
    again = run(tmp_path, 1, regions=regions)
    assert (again.computed, path.read_bytes()) == (1, content)


@pytest.mark.parametrize(
    ("harm", "state"), [("raise", "error"), ("refuse", "error"), ("fragile", "undecided")]
)
def test_a_poisoned_region_is_recorded(tmp_path: Path, harm: str, state: str) -> None:
    made = Poisoned({0: harm})
    result = run(tmp_path, 2, regions=("linf:0.02",), make_server=made)
    found = {row.index: result.regions["linf:0.02"][row.key] for row in result.rows}
    assert (found[0].state, found[1].state) == (state, "undecided")
    assert "planted" in found[0].reason


def test_no_time_is_a_timeout_until_there_is_more(tmp_path: Path) -> None:
    hard, none = ("linf:0.14",), Limits(1e-9)
    ask = {"regions": hard, "count": 6}
    result = run(tmp_path, **ask, limits=none)
    states = {record.state for record in result.regions[hard[0]].values()}
    assert "timeout" in states
    late = sum(record.state == "timeout" for record in result.regions[hard[0]].values())
    assert run(tmp_path, **ask, limits=none).computed == 0
    assert run(tmp_path, **ask, limits=Limits(1e-8)).computed == late


@pytest.mark.parametrize(
    "regions",
    [
        ("box:x.npz",),
        ("shift:1",),
        ("linf:nan",),
        ("linf:0.1", "linf:1/10"),
        ("occlude:1,1",),
    ],
)
def test_regions_without_sense_are_refused_before_any_work(
    tmp_path: Path, regions: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="--region"):
        run(tmp_path / "out", regions=regions)
    assert not (tmp_path / "out").exists()


def test_a_certificate_of_another_domain_is_no_explanation(tmp_path: Path) -> None:
    """Narrower than what was asked for: true, and not the claim that the row makes."""
    import hashlib
    import sqlite3

    run(tmp_path / "free", 1, regions=())
    run(tmp_path / "near", 1, regions=(), options=replace(QUICK, domain="linf:0.01"))
    near = read_campaign(tmp_path / "near")
    content = next((tmp_path / "near" / "certificates").iterdir()).read_bytes()
    record = near.rows[0].record
    path = next((tmp_path / "free" / "certificates").iterdir())
    path.write_bytes(content)
    with sqlite3.connect(tmp_path / "free" / "ledger.sqlite") as connection:
        connection.execute(
            "UPDATE results SET certificate = ?, size = ?",
            (hashlib.sha256(content).hexdigest(), record.size),
        )
    assert confirm(near, network(), some(1)).states["proved"] == 1
    found = confirm(read_campaign(tmp_path / "free"), network(), some(1))
    (complaint,) = found.complaints.values()
    assert (complaint.text, complaint.final) == ("certificate is not about the domain free", True)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:99", "tpu", "cuda:-1"])
def test_a_device_that_is_not_there_is_one_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=f"--device {name}: no such device here"):
        run(tmp_path / "out", 1, device=name)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="no such device"):  # nor does a cluster's node go on
        ExplainJob(MODEL, model_facts(network()).key, QUICK, name)()


def test_a_device_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch says about devices decides, and the certifier gets the word."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("cuda", "cuda:1"):
        engine_named(name)
    with pytest.raises(UsageError):
        engine_named("cuda:2")
    from protoproof.certification.certify import Certifier

    assert Certifier(load(MODEL), "cuda:1").device == "cuda:1"


def test_from_the_command_line(tmp_path: Path) -> None:
    ask = ("campaign", MODEL, "--data", small_file(tmp_path), "--out", tmp_path / "out")
    ask += ("--indices", "0,50", "--workers", "1", "--timeout", "1e6")
    ask += ("--vocabulary", "topk", "--region", "linf:0.01", "--region", "linf:0.2")
    done = protoproof(*ask)
    assert done.code == 0, done.err  # refuted is an answer
    assert "linf:0.01: 2 of 2 certified (2 proved)" in done.out
    assert "linf:0.2: 0 of 2 certified (2 refuted)" in done.out
    done = protoproof("report", tmp_path / "out", "--out", tmp_path / "r.html", "--json")
    assert (done.code, json.loads(done.out)["accepted"]) == (0, 4)
    html = (tmp_path / "r.html").read_text("utf-8")
    assert "Inputs that refute a region" in html
    assert html.count('alt="An input near instance') == 2
    assert "radius (linf)" in html
    assert "out/regions/*.cert.json" in html


@pytest.mark.trust(29, 33)
@pytest.mark.parametrize("header", HEADERS)
def test_a_counterexample_with_a_header_that_is_none_is_none(header: str, tmp_path: Path) -> None:
    path = region_paths(tmp_path, "k")[1]
    path.parent.mkdir(parents=True)
    path.write_bytes(array_with_header(header))
    assert stored_input(tmp_path, "k", network()) is None
