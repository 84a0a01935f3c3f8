"""Margins proved case by case: certificates of random tiny networks, and forgeries of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from protoproof.kernel import CheckReport, check
from protoproof.kernel.latent.case_tree import MAX_DEPTH
from tests.support.cases import Proved, proved

# seeds whose proofs split by these, besides leaves
SEEDS = {11: {"distance"}, 19: {"place", "distance"}, 97: {"channel"}}


def verdict(here: Proved, document: Any) -> CheckReport:
    return check(json.dumps(document).encode(), here.network.data)


def forged(seed: int, change: Callable[[list[Any]], None]) -> CheckReport:
    """The checker's answer after ``change`` to the nodes of the first tree with a split."""
    here = proved(seed)
    document = json.loads(json.dumps(here.document))
    change(Proved(here.network, document).nodes)
    assert document != here.document
    return verdict(here, document)


def leaves(nodes: list[Any]) -> list[int]:
    return [index for index, node in enumerate(nodes) if node["kind"] == "leaf"]


@pytest.mark.parametrize(("seed", "kinds"), SEEDS.items())
def test_proofs_by_cases_are_accepted(seed: int, kinds: set[str]) -> None:
    here = proved(seed)
    trees = here.document["core"]["evidence"]["cases"]
    assert {node["kind"] for tree in trees for node in tree["nodes"]} == {*kinds, "leaf"}
    assert verdict(here, here.document).accepted


def test_the_multipliers_of_an_empty_case_are_written() -> None:
    """No latent is left in one case of this proof, and its dual has no largest value."""
    here = proved(194)
    assert any(
        abs(number) >= 1 << 100
        for node in here.nodes
        for block in node.get("domain_blocks", ())
        for side in ("lower", "upper")
        for row in block[side]["theta"]
        for number in row
    )
    assert verdict(here, here.document).status in ("accepted", "incomplete")


@pytest.mark.parametrize("seed", SEEDS)
def test_without_its_cases_the_proof_is_incomplete(seed: int) -> None:
    """The shape of certificates that know no cases: read, and not proved by what is left."""
    here = proved(seed)
    for change in ("empty", "absent"):
        document = json.loads(json.dumps(here.document))
        evidence = document["core"]["evidence"]
        evidence["cases"] = []
        if change == "absent":
            del evidence["cases"]
        assert verdict(here, document).status == "incomplete"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_missing_case_is_rejected(seed: int) -> None:
    for index in leaves(proved(seed).nodes):
        report = forged(seed, lambda nodes, index=index: nodes.pop(index))  # type: ignore[misc]
        assert report.status == "rejected"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_too_many_is_rejected(seed: int) -> None:
    assert forged(seed, lambda nodes: nodes.append(nodes[-1])).status == "rejected"
    assert forged(seed, lambda nodes: nodes.insert(0, nodes[-1])).status == "rejected"


def test_an_empty_tree_is_rejected() -> None:
    assert forged(11, lambda nodes: nodes.clear()).status == "rejected"


@pytest.mark.parametrize("seed", [11, 19])
def test_a_leaf_without_evidence_proves_nothing(seed: int) -> None:
    """Unless its case is impossible, or intervals prove it by themselves."""
    nodes = proved(seed).nodes
    needed = [index for index in leaves(nodes) if nodes[index]["form"] is not None]
    assert needed

    def strip(nodes: list[Any]) -> None:
        for index in needed:
            nodes[index] = {"kind": "leaf"}

    assert not forged(seed, strip).accepted


def test_evidence_of_another_case_proves_nothing() -> None:
    nodes = proved(11).nodes
    one, other = leaves(nodes)

    def swap(nodes: list[Any]) -> None:
        nodes[one], nodes[other] = nodes[other], nodes[one]

    assert nodes[one] != nodes[other]
    assert not forged(11, swap).accepted

    def repeat(nodes: list[Any], source: int, target: int) -> None:
        nodes[target] = nodes[source]

    answers = [
        forged(11, lambda nodes, s=s, t=t: repeat(nodes, s, t)).accepted  # type: ignore[misc]
        for s, t in ((one, other), (other, one))
    ]
    assert not all(answers)


def test_another_threshold_proves_nothing() -> None:
    """At either end, one of the two cases is all there is, and its evidence is for less."""

    def move(nodes: list[Any], at: float) -> None:
        next(node for node in nodes if node["kind"] == "distance")["at"] = at.hex()

    answers = [
        forged(11, lambda nodes, at=at: move(nodes, at)).accepted  # type: ignore[misc]
        for at in (0.0, 2.0**40)
    ]
    assert not all(answers)


@pytest.mark.parametrize(
    "at", ["nan", "inf", "-inf", "0.1", "0x1p-1", "0x1.8p+2000", 1.5, None, "0x1.00000000000001p+0"]
)
@pytest.mark.parametrize("seed", [11, 97])
def test_thresholds_that_are_no_exact_numbers_are_rejected(seed: int, at: object) -> None:
    def change(nodes: list[Any]) -> None:
        next(node for node in nodes if "at" in node)["at"] = at

    assert forged(seed, change).status == "rejected"


@pytest.mark.parametrize(
    ("seed", "kind", "field", "value"),
    [
        (11, "distance", "prototype", 10_000),
        (11, "distance", "location", 7),
        (11, "distance", "kind", "leaf"),
        (19, "place", "prototype", 10_000),
        (19, "place", "locations", []),
        (19, "place", "locations", [1, 0]),
        (19, "place", "locations", [0, 0]),
        (19, "place", "locations", [0, 1, 2]),
        (97, "channel", "channel", 9),
        (97, "channel", "location", 2),
        (97, "channel", "unknown", 1),
    ],
)
def test_splits_out_of_range_or_order_are_rejected(
    seed: int, kind: str, field: str, value: object
) -> None:
    def change(nodes: list[Any]) -> None:
        next(node for node in nodes if node["kind"] == kind)[field] = value

    assert forged(seed, change).status == "rejected"


def test_a_form_about_another_class_is_rejected() -> None:
    def change(nodes: list[Any]) -> None:
        form = next(n["form"] for n in nodes if n["kind"] == "leaf" and n["form"])
        form["rival"] += 1

    assert forged(19, change).status == "rejected"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tree_about_no_rival_or_twice_is_rejected(seed: int) -> None:
    here = proved(seed)
    document = json.loads(json.dumps(here.document))
    trees = document["core"]["evidence"]["cases"]
    trees.append(trees[0])
    assert verdict(here, document).status == "rejected"
    trees.pop()
    trees[0]["rival"] = document["core"]["instance"]["predicted"]
    assert verdict(here, document).status == "rejected"


def test_deep_trees_are_refused_before_they_are_evaluated() -> None:
    split = {"kind": "nearest", "prototype": 0, "at": (1.0).hex()}
    leaf = {"kind": "leaf"}

    def deep(nodes: list[Any]) -> None:
        nodes[:] = [split] * (MAX_DEPTH + 1) + [leaf] * (MAX_DEPTH + 2)

    report = forged(11, deep)
    assert report.status == "rejected"
    assert "deeper" in report.failures[0].detail


def test_a_split_that_leaves_nothing_out_changes_nothing() -> None:
    """The harmless neighbour: both cases of a superfluous split get the evidence of the whole."""
    here = proved(11)
    document = json.loads(json.dumps(here.document))
    nodes = Proved(here.network, document).nodes
    nodes[:] = [{"kind": "nearest", "prototype": 0, "at": (0.5).hex()}, *nodes, *nodes]
    assert verdict(here, document).accepted
