"""Lower bounds as pseudo-Boolean proofs: another reader accepts what is true, and only that."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.trees import Node, Packing, Split
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.formal.pseudo_boolean import problem, proof
from protoproof.network import load
from protoproof.prover.search import hitting_set
from protoproof.prover.search.hitting_set import prove, smallest
from protoproof.report.files.explanation_files import Files, explain_to_files
from protoproof.resources import zoo_path
from tests.support.pseudo_boolean import refuted


def stored(tree: tuple[hitting_set.Node, ...]) -> list[Node]:
    return [
        Split(fact=node.member)
        if isinstance(node, hitting_set.Split)
        else Packing(scale=hitting_set.SCALE, weights=node.weights)
        for node in tree
    ]


FIVE = [frozenset(pair) for pair in itertools.combinations(range(5), 2)]


def families(seed: int) -> list[frozenset[int]]:
    rng = np.random.default_rng(seed)
    return [frozenset(rng.choice(9, size=4, replace=False).tolist()) for _ in range(12)]


@pytest.mark.parametrize("clauses", [FIVE, *map(families, range(5))], ids=range(6))
def test_the_bound_is_proved_and_no_larger_one(clauses: list[frozenset[int]]) -> None:
    least = smallest(clauses)
    assert least is not None
    tree = prove(clauses, len(least))
    assert tree is not None
    nodes = stored(tree)
    for bound in range(1, len(least) + 1):
        assert refuted(problem(clauses, bound), proof(clauses, nodes, bound))
    assert not refuted(problem(clauses, len(least) + 1), proof(clauses, nodes, len(least) + 1))


def test_forged_trees_are_not_accepted() -> None:
    tree = prove(FIVE, 4)
    assert tree is not None
    nodes = stored(tree)
    text = problem(FIVE, 4)
    assert refuted(text, proof(FIVE, nodes, 4))
    split = next(i for i, node in enumerate(nodes) if isinstance(node, Split))
    leaf = next(i for i, node in enumerate(nodes) if isinstance(node, Packing) and node.weights)
    assert isinstance(nodes[leaf], Packing)
    few = Packing(scale=nodes[leaf].scale, weights=nodes[leaf].weights[:-1])  # type: ignore[union-attr]
    for forged in (
        [*nodes[:leaf], few, *nodes[leaf + 1 :]],
        [*nodes[:split], *nodes[split + 1 :]][: len(nodes) - 2],
        list[Node]([Packing(scale=1, weights=((0, 3),))]),
    ):
        assert not refuted(text, proof(FIVE, forged, 4))


def test_a_step_left_out_is_noticed() -> None:
    tree = prove(FIVE, 4)
    assert tree is not None
    lines = proof(FIVE, stored(tree), 4).splitlines()
    short = "\n".join([*lines[:2], *lines[3:]])
    with pytest.raises((IndexError, AssertionError)):
        assert refuted(problem(FIVE, 4), short)
    assert not refuted(problem(FIVE[:-1], 4), "\n".join(lines))


def test_explanations_bring_their_proof_of_size(tmp_path: Path) -> None:
    """Of an image that needs two facts, the files say why one is too few."""
    files = Files(tmp_path / "36.cert.json", ["protoproof"], [], (), page=False)
    options = ExplainOptions(vocabulary="pairs", minimal="minimum", witnesses=False)
    x = load_data("mnist5k").x_test[36]
    session = explain_to_files(Explainer(load(zoo_path("mnist-1x1"))), x, "36", files, options)
    found = session.explanation
    assert found.size == found.lower_bound == 2
    text, steps = ((tmp_path / f"36{ending}").read_text() for ending in (".opb", ".pbp"))
    assert refuted(text, steps)
    clauses = text.splitlines()
    head = f"* #variable= 100 #constraint= {len(clauses) - 1}"
    assert clauses[0] == head
    # with one clause less, or one fact more, nothing is proved
    assert not refuted("\n".join([head, *clauses[1:-2], "+1 x1 >= 0 ;", clauses[-1]]), steps)
    assert not refuted(text.replace(">= -1 ;", ">= -2 ;"), steps)
