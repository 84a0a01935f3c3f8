"""Honest certificates are accepted, in every vocabulary, similarity and domain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.schema import IntervalEvidence
from protoproof.errors import CertificateError, ModelError
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.claims import words
from tests.support.heads import SIMILARITIES
from tests.support.kernel.builders import INPUT, Scene, core, file, pair_core, scene, topk_core
from tests.support.kernel.models import random_tiny


def accepted(report: CheckReport) -> bool:
    assert report.accepted, [(o.number, o.detail) for o in report.failures]
    return True


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_pairs(similarity: str, box: bool, seed: int) -> None:
    here = scene(seed, similarity=similarity)
    report = check(file(pair_core(here, box=box)), here.data, INPUT)
    assert accepted(report)
    assert words(report.claims) == ("sufficient",)
    assert [o.number for o in report.obligations] == list(range(1, 14))


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("seed", range(6))
def test_topk(similarity: str, seed: int) -> None:
    here = scene(seed, similarity=similarity)
    report = check(file(topk_core(here)), here.data)
    assert accepted(report)
    assert {rival for rival, _ in report.margins} == set(here.rivals)
    assert all(lower > 0 for _, lower in report.margins)


def test_fewer_activations_with_a_ceiling() -> None:
    """Somewhere among the seeds, fewer than all prototypes need to be named."""
    smaller = 0
    for seed in range(12):
        here = scene(seed, count=6, classes=2)
        for count in range(1, 6):
            report = check(file(topk_core(here, count)), here.data)
            assert report.status in ("accepted", "incomplete")
            smaller += report.accepted
    assert smaller > 0


def test_ceiling_may_exempt_what_it_does_not_name() -> None:
    here = scene(4, count=5, classes=2)
    ranking = sorted(range(5), key=lambda j: here.best[j])
    facts = [here.ceiling(ranking[2], ranking[:2]), *(here.activation(j) for j in range(5))]
    assert accepted(check(file(core(here, facts, "ceiling")), here.data))
    # nothing of the ceiling is needed here: the same facts with another order
    assert accepted(check(file(core(here, facts[::-1], "ceiling")), here.data))


def test_mixed() -> None:
    here = scene(5, grid=(2, 2))
    facts = [here.activation(j) for j in range(len(here.best))]
    facts += [here.pair(1, 0), here.pair(3, 1)]
    report = check(file(core(here, facts, "mixed")), here.data)
    assert accepted(report)


def test_a_head_with_bias() -> None:
    bias = np.array([0.25, -0.5, 0.125], dtype=np.float32)
    here = scene(6, classes=3, bias=bias)
    assert accepted(check(file(pair_core(here)), here.data))
    assert accepted(check(file(topk_core(here)), here.data))


def test_margins_are_bounds_of_the_true_margins() -> None:
    here = scene(7)
    report = check(file(pair_core(here)), here.data)
    logits = here.logits([float(q) for q in here.best])
    for rival, lower in report.margins:
        assert 0 < lower <= logits[here.predicted] - logits[rival] + 1e-12


def test_relu_gives_a_half_open_box() -> None:
    tiny = random_tiny(8, operator="Relu")
    latent = np.random.default_rng(1).random((tiny.locations, tiny.prototypes.shape[1]))
    here = Scene(tiny, (3 * latent).astype(np.float32))
    assert accepted(check(file(pair_core(here, box=True)), here.data))


def test_interval_premises_may_be_wider() -> None:
    here = scene(9)
    content = topk_core(here)
    wide = [
        fact
        if fact.kind == "ceiling"
        else fact.model_copy(
            update={
                "lower": (float.fromhex(fact.lower) * (1 - 1e-9)).hex(),
                "upper": (float.fromhex(fact.upper) * (1 + 1e-9)).hex(),
            }
        )
        for fact in content.facts
    ]
    update = {"facts": tuple(wide), "premises": "interval"}
    assert accepted(check(file(content.model_copy(update=update)), here.data))
    lying = content.model_copy(update={"facts": tuple(wide)})
    assert check(file(lying), here.data).status == "rejected"


@pytest.mark.trust(20)
def test_missing_evidence_is_incomplete_and_no_lie() -> None:
    here = next(
        s for s in map(scene, range(40)) if len(pair_core(s).evidence.blocks[0].lower.theta) > 0
    )
    content = pair_core(here)
    bare = content.model_copy(update={"evidence": IntervalEvidence()})
    report = check(file(bare), here.data)
    assert report.status == "incomplete"
    assert not report.accepted
    assert [o.number for o in report.failures] == [8]
    assert words(report.claims) == report.necessary == ()


def test_a_location_may_have_several_blocks_which_prove_the_same() -> None:
    """One block per row: every block bounds on its own, and the best bound counts."""
    here = next(
        s for s in map(scene, range(40)) if len(pair_core(s).evidence.blocks[0].lower.theta) > 1
    )
    content = pair_core(here)
    whole = check(file(content), here.data)
    split = []
    for block in content.evidence.blocks:
        for index in range(len(block.lower.theta)):
            row = block.lower.model_copy(
                update={
                    "prototypes": block.lower.prototypes[index : index + 1],
                    # finer by `index` bits, so that no two blocks are alike
                    "theta": (tuple(t << index for t in block.lower.theta[index]),),
                }
            )
            upper = block.upper.model_copy(
                update={"theta": tuple(tuple(t << index for t in r) for r in block.upper.theta)}
            )
            part = {"lower": row, "upper": upper, "shift": block.shift + index}
            split.append(block.model_copy(update=part))
    evidence = content.evidence.model_copy(update={"blocks": tuple(split)})
    apart = check(file(content.model_copy(update={"evidence": evidence})), here.data)
    assert accepted(apart)
    assert apart.margins == whole.margins


def test_one_model_file_serves_many_certificates_and_paths_work(tmp_path: Path) -> None:
    here = scene(10)
    data = file(pair_core(here))
    model = ModelFile(here.data)
    assert check(data, model) == check(data, model) == check(data, here.data)
    (tmp_path / "c.json").write_bytes(data)
    (tmp_path / "m.onnx").write_bytes(here.data)
    assert accepted(check(tmp_path / "c.json", tmp_path / "m.onnx"))
    assert accepted(check(str(tmp_path / "c.json"), str(tmp_path / "m.onnx")))
    with pytest.raises(CertificateError, match="cannot read"):
        check(tmp_path / "absent", model)
    with pytest.raises(ModelError, match="cannot read"):
        check(data, tmp_path)


def test_the_report_is_plain_data() -> None:
    here = scene(11)
    report = check(file(pair_core(here)), here.data)
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["accepted"] is True
    assert document["status"] == "accepted"
    assert len(document["obligations"]) == 13
    assert document["claims"] == ["sufficient"]
    assert any("level R" in line for line in document["assumptions"])


def test_an_unbounded_similarity_needs_upper_bounds() -> None:
    """With -q over the free domain, an unnamed supporter can cost infinitely much."""
    here = scene(3, similarity="negated", count=4, classes=2, grid=(1, 1))
    supporter = here.predicted  # prototype k belongs to class k % classes
    facts = [here.activation(j) for j in range(4) if j != supporter]
    report = check(file(core(here, facts, "mixed")), here.data)
    assert report.status == "incomplete"
    assert json.dumps(report.to_json(), allow_nan=False)
