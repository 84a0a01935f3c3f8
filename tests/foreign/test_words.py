"""What a stranger reads about a network without metadata: terminal, document, page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.cli import protoproof
from tests.support.foreign.families import BY_NAME
from tests.support.foreign.family import Family
from tests.support.foreign.running import inputs

Exported = Callable[[Family, str], Path]
ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "specs" / "schema" / "explanation.schema.json"

# how a fact of the network reads, and what is never said about it
READS = {
    "protopnet-log": ("similarity", r"Prototype \d is seen with similarity .* \(squared distance"),
    "gaussian-diagonal": ("similarity", r"weighted squared distance"),
    "cosine": ("cosine", r"Prototype \d is seen with cosine .*, here at row \d, column \d"),
    "concepts": ("presence", r"Concept \d is seen with presence"),
    "token-cosine": ("cosine", r"cosine .*, here at location \d"),
    "tree": ("similarity", r"similarity .* \(squared distance"),
    "signal-labels": ("similarity", r"here at location \d"),
    "topk-mean": ("similarities", r"exceeds mean of the 3 largest similarities \d"),
    "two-banks": ("cosine", r"here at latent [12], row \d, column \d"),
}


@pytest.mark.parametrize("name", READS)
def test_facts_read_in_the_network_s_own_measure(
    name: str, exported: Exported, tmp_path: Path
) -> None:
    family = BY_NAME[name]
    model, out = exported(family, "default"), tmp_path / "x.cert.json"
    np.save(tmp_path / "x.npy", inputs(family.shape, 1)[0][0])
    asked = ("explain", model, "--input", tmp_path / "x.npy", "--out", out)
    # topk names prototypes in every network; pairs of a large one take their time
    said = protoproof(*asked, "--vocabulary", "topk")
    assert (said.code, said.err) == (0, "")
    word, sentence = READS[name]
    assert word in said.out
    assert re.search(sentence, said.out), said.out
    if word != "similarity":
        assert "squared distance" not in said.out
    if word == "cosine" and name != "two-banks":  # those are cut off at 0 before they count
        assert "similarity" not in said.out
    assert "∞" not in said.out
    assert "at location at" not in said.out
    assert protoproof("check", out, model, "--input", tmp_path / "x.npy").code == 0
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert re.search(sentence, page)
    for assumed in ("no range stated: pictures are scaled to 0 to 1", "classes are numbered"):
        assert assumed in page
    # a window over the input is read off the graph; attention and deep networks see all of it
    whole = name in ("concepts", "token-cosine", "two-banks")
    assert ("by the graph, it may be all of it" in page) == whole
    placed = "here at" in said.out
    assert (re.search(r'alt="Part \d of the input"', page) is not None) == (placed and not whole)
    assert "class “class" not in page
    assert ">looks like<" not in page  # nothing is shown beside the parts of the input
    if name == "tree":
        assert "The way through the tree" in page


@pytest.mark.parametrize("name", ["cosine", "concepts", "signal-labels", "tree", "slots-log"])
def test_the_document_is_as_published(name: str, exported: Exported, tmp_path: Path) -> None:
    family = BY_NAME[name]
    np.save(tmp_path / "x.npy", inputs(family.shape, 1)[0][0])
    asked = ("--input", tmp_path / "x.npy", "--out", tmp_path / "x.cert.json", "--json")
    said = protoproof("explain", exported(family, "default"), *asked, "--vocabulary", "ceiling")
    assert said.code == 0
    document = json.loads(said.out)
    published = json.loads(SCHEMA.read_text())
    assert document["schema"] == published["properties"]["schema"]["const"]
    assert set(published["required"]) <= set(document)
    fact_fields = published["properties"]["facts"]["items"]["properties"]
    for fact in document["facts"]:
        assert set(fact) <= set(fact_fields)
        assert set(published["properties"]["facts"]["items"]["required"]) <= set(fact)
        for ends in (fact["between"], fact["activation"]):
            known = [end for end in ends or () if end is not None]
            assert known == sorted(known)
    distances = [fact for fact in document["facts"] if "squared_distance" in fact]
    head = document["model"]["geometry"], "nearest" in document["model"]["pooling"]
    assert bool(distances) == (head == ("euclidean", True))
    assert (document["predicted"] is None) == (name == "signal-labels")


def test_one_label_or_all_of_them(exported: Exported, tmp_path: Path) -> None:
    family = BY_NAME["signal-labels"]
    model, out = exported(family, "default"), tmp_path / "x.cert.json"
    np.save(tmp_path / "x.npy", inputs(family.shape, 1)[0][0])
    asked = ("explain", model, "--input", tmp_path / "x.npy", "--out", out)
    every = protoproof(*asked)
    # one label is another question: its answer takes no place of the first
    assert "another question" in protoproof(*asked, "--label", "class 1").err
    asked = (*asked[:-1], tmp_path / "one.cert.json")
    one = protoproof(*asked, "--label", "class 1")
    assert (every.code, one.code) == (0, 0)
    first = every.out.partition("margin")[0]
    assert all(f"class {k}" in first for k in range(3))
    assert re.search(r"sees class 1 (on|off) ", one.out)
    assert protoproof("check", out, model).code == 0
    for wrong in ("class 9", "3"):
        refused = protoproof(*asked, "--label", wrong)
        assert refused.code == 2
        assert refused.err == f"error: --label {wrong}: there is no such label\n"


def test_a_label_of_a_network_without_labels_is_refused(exported: Exported, tmp_path: Path) -> None:
    family = BY_NAME["cosine"]
    np.save(tmp_path / "x.npy", inputs(family.shape, 1)[0][0])
    asked = ("--input", tmp_path / "x.npy", "--label", "0")
    refused = protoproof("explain", exported(family, "default"), *asked)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "predicts one class" in refused.err
