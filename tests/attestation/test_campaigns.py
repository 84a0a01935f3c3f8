"""A campaign's directory is attested: all of it, about the data, and past the policy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from protoproof.attestation.places import decided
from protoproof.campaign import Options, run_campaign
from protoproof.errors import UsageError
from tests.support.attestation import Given
from tests.support.campaign import MODEL, InlineEngine, network, small_file, some
from tests.support.cli import Result, protoproof
from tests.support.gate import HEADER

POLICY = HEADER + "rules: {{accuracy: {{at_least: {share}}}, certificates: {{accepted: all}}}}\n"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    options = Options(vocabulary="topk", witnesses=False)
    run_campaign(network(), some(10), folder / "c", options=options, engine=InlineEngine)
    small_file(folder, 10)
    return folder


def attested(given: Given, campaign: Path, out: Path, *more: object) -> Result:
    start = ("attest", campaign, "--model", MODEL, "--key", given.key, "--out", out)
    return protoproof(*start, *more, "--json")


def test_a_campaign_about_its_data(given: Given, campaign: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "a.json", campaign / "digits.npz"
    done = attested(given, campaign / "c", out, "--data", data)
    assert done.code == 0, done.err
    about = json.loads(done.out)["statement"]["predicate"]
    both = {"F": {"sufficient": 10}, "R": {"sufficient": 10}}  # each claim at its own level
    assert about["accepted"] == {"certificates": 10, "inputs": 10, "claims": both}
    assert about["data"]["name"] == "digits.npz"
    assert not any("no input was presented" in rest["on"] for rest in about["assumptions"])
    look = ("verify-attestation", out, "--key", given.public, "--model", MODEL)
    assert protoproof(*look).code == 0


def test_other_data_are_not_what_it_is_about(given: Given, campaign: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    data = small_file(tmp_path / "other", 11)
    done = attested(given, campaign / "c", tmp_path / "a.json", "--data", data)
    assert done.code == 1
    assert "none of the data" in json.loads(done.out)["refused"][0]["why"]
    assert not list(tmp_path.glob("a*"))


@pytest.mark.parametrize(("share", "code"), [(0.5, 0), (1.01, 2)])
def test_a_policy_is_decided_anew(
    given: Given, campaign: Path, tmp_path: Path, share: float, code: int
) -> None:
    policy, out = tmp_path / "policy.yaml", tmp_path / "a.json"
    policy.write_text(POLICY.format(share=share))
    asked = ("--data", campaign / "digits.npz", "--policy", policy)
    done = attested(given, campaign / "c", out, *asked)
    assert done.code == code, done.err
    if code == 0:
        stated = json.loads(done.out)["statement"]["predicate"]["policy"]
        assert stated["name"] == "test"
        assert stated["outcome"] == "passed"
        look = ("verify-attestation", out, "--key", given.public, "--policy")
        assert protoproof(*look, policy).code == 0
        policy.write_text(POLICY.format(share=0.25))
        assert protoproof(*look, policy).code == 1


def test_a_policy_that_is_not_passed_is_not_signed(
    given: Given, campaign: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    sizes = "rules: {explanation_size: [{vocabulary: topk, median_at_most: 0.5}]}\n"
    policy.write_text(HEADER + sizes)
    asked = ("--data", campaign / "digits.npz", "--policy", policy)
    done = attested(given, campaign / "c", tmp_path / "a.json", *asked)
    assert done.code == 1, done.err
    assert json.loads(done.out)["policy"]["outcome"] == "failed"
    assert not list(tmp_path.glob("a*"))


def test_what_the_directory_tells_of_must_be_there(
    given: Given, campaign: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "c"
    shutil.copytree(campaign / "c", copy)
    next((copy / "certificates").iterdir()).unlink()
    done = attested(given, copy, tmp_path / "a.json")
    assert done.code == 1
    assert "not as the campaign stored it" in json.loads(done.out)["refused"][0]["why"]
    assert not list(tmp_path.glob("a*"))


def test_an_altered_certificate_is_not_signed(given: Given, campaign: Path, tmp_path: Path) -> None:
    copy = tmp_path / "c"
    shutil.copytree(campaign / "c", copy)
    path = next((copy / "certificates").iterdir())
    path.write_bytes(path.read_bytes().replace(b'"about":{', b'"about" :{', 1))  # still proved
    done = attested(given, copy, tmp_path / "a.json")
    assert done.code == 1
    assert not list(tmp_path.glob("a*"))


def test_a_policy_about_an_earlier_campaign_is_not_attested(tmp_path: Path) -> None:
    """Nothing is compared here: a policy that lets first releases pass is not fulfilled by that."""
    policy = tmp_path / "policy.yaml"
    rules = "rules:\n  baseline: {drift: {at_most: 0.1}, first_release: allowed}\n"
    policy.write_text(HEADER + rules)
    nothing: Any = None
    with pytest.raises(UsageError, match="line 4: baseline: an attestation compares with no"):
        decided(policy, nothing, nothing, nothing)
