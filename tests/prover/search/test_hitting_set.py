"""Smallest hitting sets and their proofs, against brute force and another solver."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.certificate import schema
from protoproof.kernel.latent.size import Clause, _Tree
from protoproof.prover.oracle.smt import Solver
from protoproof.prover.search import hitting_set
from protoproof.prover.search.hitting_set import SCALE, Node, Packing, Split, prove, smallest

MEMBERS = 7
Clauses = list[frozenset[int]]
families = st.lists(
    st.frozensets(st.integers(0, MEMBERS - 1), min_size=1, max_size=4), min_size=1, max_size=9
)


def brute_force(clauses: Clauses) -> int:
    for size in range(MEMBERS + 1):
        for chosen in itertools.combinations(range(MEMBERS), size):
            if all(clause & set(chosen) for clause in clauses):
                return size
    raise AssertionError


def stored(nodes: tuple[Node, ...]) -> tuple[schema.Split | schema.Packing, ...]:
    return tuple(
        schema.Split(fact=node.member)
        if isinstance(node, Split)
        else schema.Packing(scale=SCALE, weights=node.weights)
        for node in nodes
    )


def checked(nodes: tuple[Node, ...], clauses: Clauses) -> int:
    """What the checker derives from a tree."""
    return _Tree(stored(nodes), [Clause(clause, frozenset()) for clause in clauses]).least()


@given(families)
def test_smallest_sets_and_their_proofs(clauses: Clauses) -> None:
    found = smallest(clauses)
    assert found is not None
    assert all(clause & set(found) for clause in clauses)
    least = brute_force(clauses)
    assert len(found) == least
    nodes = prove(clauses, least)
    assert nodes is not None
    assert checked(nodes, clauses) == least
    assert prove(clauses, least + 1) is None


def test_no_clauses_are_met_by_nothing() -> None:
    assert smallest([]) == []
    assert prove([], 1) is None
    assert checked(prove([], 0) or (), []) == 0


def test_an_empty_clause_cannot_be_met() -> None:
    clauses = [frozenset({1}), frozenset[int]()]
    assert smallest(clauses) is None
    nodes = prove(clauses, 5)
    assert nodes is not None
    assert checked(nodes, clauses) >= 5


def test_a_proof_that_needs_splits() -> None:
    """All pairs of five members: fractionally 5/2 suffice, in whole numbers 4 are needed."""
    clauses = [frozenset(pair) for pair in itertools.combinations(range(5), 2)]
    nodes = prove(clauses, 4)
    assert nodes is not None
    assert any(isinstance(node, Split) for node in nodes)
    assert checked(nodes, clauses) == 4


def test_proofs_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clauses = [frozenset(pair) for pair in itertools.combinations(range(7), 2)]
    assert prove(clauses, 6) is not None
    monkeypatch.setattr(hitting_set, "NODES", 2)
    assert prove(clauses, 6) is None


def test_z3_finds_sets_of_the_same_size() -> None:
    rng = np.random.default_rng(0)
    with Solver() as solver:
        for _ in range(8):
            clauses = [
                frozenset(rng.choice(20, size=rng.integers(2, 6), replace=False).tolist())
                for _ in range(15)
            ]
            found = smallest(clauses)
            answer = solver.hit([sorted(clause) for clause in clauses])
            assert found is not None
            assert answer.status == "sat"
            assert len(answer.model) == len(found)


def test_packings_hold_in_whole_numbers() -> None:
    clauses = [frozenset({i, (i + 1) % 3}) for i in range(3)]
    nodes = prove(clauses, 2)
    assert nodes is not None
    (packing,) = nodes
    assert isinstance(packing, Packing)
    load = [sum(w for c, w in packing.weights if m in clauses[c]) for m in range(3)]
    assert max(load) <= SCALE
    assert sum(weight for _, weight in packing.weights) > SCALE


def test_standard_output_stays_clean() -> None:
    """What a library writes to the descriptor itself does not reach the one JSON document."""
    program = (
        "import os\n"
        "from protoproof.prover.search.hitting_set import quiet, smallest\n"
        "print('before', flush=True)\n"
        "with quiet(): os.write(1, b'noise')\n"
        "smallest([frozenset({1, 2}), frozenset({2, 3})])\n"
        "print('after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "before\nafter\n"
