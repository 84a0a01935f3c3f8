"""One file may have several heads: results of one are never taken for another's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.campaign import (
    Campaign,
    Instances,
    Options,
    confirm,
    read_campaign,
    run_campaign,
)
from protoproof.campaign.places import CERTIFICATES
from protoproof.certificate.reader import read_certificate
from protoproof.errors import InputError, UsageError
from protoproof.gate import compare_directories
from protoproof.network import Network, load
from protoproof.report.audit import audit_page
from tests.support.campaign import InlineEngine
from tests.support.cli import protoproof
from tests.support.network.builders import draft, node

OUTPUTS = ("logits", "turned", "marks")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One latent, one set of prototypes, three decisions: classes, those turned round, labels."""
    parts = draft()
    parts.weights["turned.weight"] = parts.weights["head.weight"][::-1].copy()
    parts.nodes += [
        node("Gemm", ["activation", "turned.weight"], "turned", transB=1),
        node("Gemm", ["activation", "head.weight"], "sums", transB=1),
        node("Sigmoid", ["sums"], "marks"),
    ]
    parts.outputs = dict.fromkeys(OUTPUTS, (2,))
    return parts.save(tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def networks(model: Path) -> dict[str, Network]:
    return {name: load(model, output=name) for name in OUTPUTS}


@pytest.fixture(scope="module")
def data(networks: dict[str, Network]) -> Instances:
    """Labelled as ``turned`` predicts."""
    network = networks["turned"]
    x = np.random.default_rng(0).random((4, 1, 6, 6), dtype=np.float32)
    y = [network.observe(network.input_range[1] * image).predicted for image in x]
    return Instances("made", "0" * 64, x, np.array(y), network.class_names)


def run(network: Network, data: Instances, out: Path, **options: Any) -> Campaign:
    return run_campaign(network, data, out, options=Options(**options), engine=InlineEngine)


def stated(campaign: Campaign) -> set[tuple[str, tuple[int, ...]]]:
    """Output and alternatives of every stored certificate of the plan."""
    folder = campaign.directory / CERTIFICATES
    found = [read_certificate((folder / f"{r.key}.cert.json").read_bytes()) for r in campaign.rows]
    return {(envelope.core.model.output, envelope.core.rivals) for envelope in found}


def test_two_outputs_share_a_directory_and_no_result(
    networks: dict[str, Network], data: Instances, tmp_path: Path
) -> None:
    found = {name: run(networks[name], data, tmp_path) for name in OUTPUTS}
    for name, campaign in found.items():
        assert (campaign.computed, campaign.states["proved"]) == (4, 4)
        assert {output for output, _ in stated(campaign)} == {name}
        assert run(networks[name], data, tmp_path).computed == 0
        assert read_campaign(tmp_path).model.output == name
        again = confirm(read_campaign(tmp_path), networks[name], data)
        assert (again.states["proved"], again.complaints) == (4, {})
        assert [row.record.margin for row in again.rows] == pytest.approx(
            [row.record.margin for row in campaign.rows]
        )
    right = {name: campaign.summary["accuracy"]["correct"] for name, campaign in found.items()}
    assert right == {"logits": 0, "turned": 4, "marks": 0}


def test_labels_are_explained_together_or_alone(
    networks: dict[str, Network], data: Instances, tmp_path: Path
) -> None:
    names = networks["marks"].class_names
    wanted = {None: (0, 1), "0": (0,), names[1]: (1,)}
    about = ("each of 2 labels", f"“{names[0]}”; of the other", f"“{names[1]}”; of the other")
    for (label, rivals), words in zip(wanted.items(), about, strict=True):
        campaign = run(networks["marks"], data, tmp_path, label=label)
        assert (campaign.computed, campaign.states["proved"]) == (4, 4)
        assert stated(campaign) == {("marks", rivals)}
        for instances in (data, None):
            again = confirm(read_campaign(tmp_path), networks["marks"], instances)
            assert (again.states["proved"], again.complaints) == (4, {})
            assert [r.record.predicted for r in again.rows] == [
                r.record.predicted for r in campaign.rows
            ]
        said = audit_page(tmp_path, networks["marks"].path, data).claim[0]
        assert f"is answered the same about {words}" in said


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (("logits", None), ("turned", None), "is about another head of the network"),
        (("marks", "0"), ("marks", None), "is about other labels than were asked for"),
        (("marks", "0"), ("marks", "1"), "is about other labels than were asked for"),
    ],
)
def test_a_certificate_of_another_head_or_label_does_not_count(
    networks: dict[str, Network],
    data: Instances,
    tmp_path: Path,
    one: tuple[str, str | None],
    other: tuple[str, str | None],
    why: str,
) -> None:
    foreign, own = (
        run(networks[output], data, tmp_path, label=label) for output, label in (one, other)
    )
    folder = tmp_path / CERTIFICATES
    for here, there in zip(foreign.rows, own.rows, strict=True):
        shutil.copy(folder / f"{here.key}.cert.json", folder / f"{there.key}.cert.json")
    again = confirm(own, networks[other[0]], data)
    assert again.states["proved"] == 0
    assert all(why in complaint.text for complaint in again.complaints.values())


def test_what_is_run_again_is_run_with_the_campaigns_head(
    model: Path, networks: dict[str, Network], data: Instances, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    run(networks["logits"], data, old)
    run(networks["turned"], data, new)
    page = audit_page(new, model, data)
    assert (page.accepted, page.correct) == (4, 4)
    assert ("Output", "turned") in page.identity
    compared = compare_directories(old, new, instances=data)
    outputs = [side.model.output for side in (compared.old, compared.new)]
    assert (outputs, len(compared.pairs)) == (["logits", "turned"], 4)
    with pytest.raises(InputError, match="is about another head of the network"):
        confirm(read_campaign(new), networks["logits"], data)


def test_an_earlier_proof_of_another_label_is_not_carried_over(
    networks: dict[str, Network], data: Instances, tmp_path: Path
) -> None:
    run(networks["marks"], data, tmp_path / "old", label="0")
    for label, carried in (("0", 4), ("1", 0), (None, 0)):
        out = tmp_path / f"new-{label}"
        found = run_campaign(
            networks["marks"],
            data,
            out,
            options=Options(label=label),
            engine=InlineEngine,
            earlier=tmp_path / "old",
        )
        assert (found.carried, found.states["proved"]) == (carried, 4)


@pytest.mark.parametrize(
    ("output", "label", "message"),
    [("logits", "0", "predicts one class, and no labels"), ("marks", "9", "no such label")],
)
def test_a_label_that_there_is_not_is_refused_before_any_work(
    networks: dict[str, Network],
    data: Instances,
    tmp_path: Path,
    output: str,
    label: str,
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        run(networks[output], data, tmp_path / "out", label=label)
    assert not (tmp_path / "out").exists()


def test_the_command_line_chooses_latent_output_and_label(
    model: Path, data: Instances, tmp_path: Path
) -> None:
    """The gate passes the output that the data is labelled by, and fails the other."""
    source = tmp_path / "data.npz"
    both = np.arange(len(data.y)) % 2
    np.savez(source, x_train=data.x, y_train=both, x_test=data.x, y_test=data.y)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: protoproof.policy/1\nname: heads\nrules:\n  accuracy:\n    at_least: 1.0\n"
    )
    usual = ["--data", source, "--workers", "1", "--quiet"]
    out = tmp_path / "out"
    asked = (("turned", [], 0), ("logits", [], 1), ("marks", ["--label", 1], 1))
    for output, label, code in asked:
        chosen = ["--latent", "latent", "--output", output, *label]
        ran = protoproof(
            "gate", "--policy", policy, "--model", model, *usual, *chosen, "--out", out
        )
        assert (ran.code, ran.err) == (code, "")
        assert read_campaign(out / "campaign").model.output == output
    campaign = ["campaign", model, *usual, "--out", out / "campaign", "--output", "marks"]
    assert protoproof(*campaign, "--label", 1).code == 0
    assert read_campaign(out / "campaign").about["options"]["label"] == "1"


def test_other_verbs_choose_the_head_too(model: Path, data: Instances, tmp_path: Path) -> None:
    image = tmp_path / "image.npy"
    np.save(image, data.x[0])
    for output in ("logits", "turned"):
        out = tmp_path / f"{output}.cert.json"
        region = ["--region", "linf:0.0001", "--input", image, "--out", out, "--quiet"]
        assert protoproof("certify", model, *region, "--output", output).code == 0
        assert read_certificate(out.read_bytes()).core.model.output == output
        assert protoproof("check", out, model).code == 0
