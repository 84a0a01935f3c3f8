"""``certify`` on the command line: verdicts as exit codes, one document, one line on bad input."""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, ROUND_FLOOR
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from protoproof.data.dataset import load_data
from protoproof.report.files.region_files import radius_words
from protoproof.resources import zoo_path
from tests.support.cli import protoproof

MODEL = zoo_path("mnist-certified")
CERTIFY = ("certify", MODEL, "--timeout", "1e6")  # what is proved does not depend on the machine


@pytest.fixture(scope="module")
def digit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("region") / "digit.npy"
    np.save(path, load_data("mnist5k").x_test[3])
    return path


def test_proved_checked_and_refuted(digit: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.cert.json"
    proved = protoproof(*CERTIFY, "--input", digit, "--region", "linf:0.1", "--out", out, "--json")
    assert proved.code == 0
    document = json.loads(proved.out)
    assert document["verdict"] == "proved"
    assert document["certificates"] == [str(out)]
    assert document["top_k"]["certain"]
    checked = protoproof("check", out, MODEL, "--input", digit, "--json")
    assert checked.code == 0
    assert "robust" in json.loads(checked.out)["claims"]
    other = tmp_path / "wide.cert.json"
    refuted = protoproof(*CERTIFY, "--input", digit, "--region", "linf:0.3", "--out", other)
    assert refuted.code == 1
    assert "refuted" in refuted.out
    assert (tmp_path / "wide.counterexample.npy").is_file()
    page = (tmp_path / "wide.html").read_text(encoding="utf-8")
    assert "Not every input of the region is predicted alike" in page
    assert "linf:0.3" in page


def test_undecided_is_three(digit: Path, tmp_path: Path) -> None:
    undecided = protoproof(
        *CERTIFY, "--input", digit, "--region", "linf:0.18", "--no-falsify",
        "--method", "interval", "--out", tmp_path / "u.cert.json", "--json",
    )  # fmt: skip
    assert undecided.code == 3
    document = json.loads(undecided.out)
    assert document["verdict"] == "unknown"
    assert document["reason"]
    page = tmp_path / "u.html"  # it says what is open; beside it lies which question that answers
    assert set(tmp_path.iterdir()) == {page, tmp_path / "u.region.json"}
    assert document["page"] == str(page)
    assert "Neither proved nor refuted" in page.read_text(encoding="utf-8")
    told = protoproof(
        *CERTIFY, "--input", digit, "--region", "linf:0.18", "--no-falsify",
        "--method", "interval", "--out", tmp_path / "v.cert.json",
    )  # fmt: skip
    assert "may help    a smaller region (--radius-up-to" in told.out


def test_a_property_file_and_a_radius(digit: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "schema: protoproof.property/1\nregion: {kind: linf, radius: 2/255}\nexpect: 0\n"
    )
    result = protoproof(
        *CERTIFY, "--input", digit, "--region", path, "--radius-up-to", "0.3",
        "--method", "interval", "--out", tmp_path / "p.cert.json", "--json",
    )  # fmt: skip
    assert result.code == 0
    radius = json.loads(result.out)["radius"]
    assert 0.1 < radius["proved"] < radius["refuted"] <= 0.3


def test_a_radius_is_shown_rounded_to_the_safe_side() -> None:
    radius = Fraction(158209, 1000000)
    assert radius_words(radius, ROUND_FLOOR) == "0.15820"
    assert radius_words(radius, ROUND_CEILING) == "0.15821"
    assert Fraction(radius_words(Fraction(1, 3), ROUND_FLOOR)) < Fraction(1, 3)
    assert radius_words(Fraction(1, 100), ROUND_FLOOR) == "0.01"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--region", "linf:nan"], "no number"),
        (["--region", "linf:0.1", "--out", "x.txt"], ".json"),
        (["--region", "occlude:1,1,2,2", "--radius-up-to", "1"], "no radius"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], problem: str, digit: Path, tmp_path: Path
) -> None:
    result = protoproof(*CERTIFY, "--input", digit, *arguments, cwd=tmp_path)
    assert result.code == 2
    assert problem in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert result.out == ""


def test_explanations_over_a_region(digit: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.cert.json"
    result = protoproof(
        "explain", MODEL, "--input", digit, "--domain", "linf:0.15", "--vocabulary", "pairs",
        "--out", out, "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert document["domain"] == "reach"
    checked = json.loads(protoproof("check", out, MODEL, "--json").out)
    assert checked["accepted"]
    assert checked["subject"]["region"].startswith("linf:0.15")


def test_a_region_in_parts(digit: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.cert.json"
    result = protoproof(*CERTIFY, "--input", digit, "--region", "brightness:0.2,0.2", "--out", out)
    assert result.code == 0, result.err
    assert "branch" in result.out
    assert "parts proved, 0 open" in result.out
    # the bar is for terminals; long work says in a line now and then how far it is
    assert all(line.startswith("after ") for line in result.err.splitlines())
    checked = json.loads(protoproof("check", out, MODEL, "--input", digit, "--json").out)
    assert checked["claims"] == ["robust"]


def test_an_explanation_that_holds_over_a_region(digit: Path, tmp_path: Path) -> None:
    first, out = tmp_path / "e.cert.json", tmp_path / "h.cert.json"
    protoproof(
        "explain", MODEL, "--input", digit, "--vocabulary", "pairs", "--inflate", "--out", first
    )
    result = protoproof(
        *CERTIFY, "--input", digit, "--region", "linf:0.02", "--explanation", first,
        "--out", out, "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert json.loads(result.out)["method"].startswith("explanation")
    checked = json.loads(protoproof("check", out, MODEL, "--input", digit, "--json").out)
    assert "robust-explanation" in checked["claims"]
    assert checked["subject"]["facts hold over"].startswith("linf:0.02")
