"""The oracle by cases: agreement with the ground truth, its gain, its refutations, its limits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import activation_fact, ceiling_fact, pair_fact
from protoproof.prover.latent.replay import Replay
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle, CaseState
from protoproof.prover.oracle.nonlinear import truth
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.oracle.smt import Enclosure, Solver
from protoproof.prover.oracle.smt_query import Query, ask
from protoproof.prover.relaxation.case_forms import Branch, Leaf, Tree
from protoproof.prover.relaxation.case_split import Cases
from protoproof.prover.search.deletion_by_cases import fewer
from protoproof.verdict import Status
from tests.support.strategies import random_instance
from tests.support.tiny import TinyCase, tiny_case

SLICE = 12
# entailed, and missed by the relational oracle
GAINED = (21, 65, 89, 108, 109, 115, 122)
# not entailed; the ground truth's solver leaves both open
REFUTED = (44, 71)


def decided(
    case: TinyCase, solver: Solver | None = None, most: int = 80
) -> tuple[Status, CaseState]:
    oracle = BranchAndBoundOracle(most=most, solver=solver)
    state = oracle.prepare(case.instance, case.domain)
    return oracle.decide(state, case.facts).verdict.status, state


def related(case: TinyCase) -> Status:
    oracle = RelationalOracle()
    return oracle.decide(oracle.prepare(case.instance, case.domain), case.facts).verdict.status


@pytest.mark.trust(5, 11)
def test_it_never_contradicts_the_ground_truth() -> None:
    proved = refuted = 0
    with Solver() as solver, Solver() as judge:
        for seed in range(SLICE):
            case = tiny_case(seed)
            status, _ = decided(case, solver)
            if status is Status.UNKNOWN:
                continue
            known = truth(case.instance, case.domain, case.facts, judge, steps=200_000, seconds=0.5)
            if status is Status.PROVED:
                proved += 1
                assert known.status != "refuted", seed
                assert "sat" not in known.answers, seed
            else:
                refuted += 1
                assert known.status != "entails", seed
    assert proved >= 6
    assert refuted >= 1


@pytest.mark.parametrize("seed", GAINED)
def test_it_proves_what_the_relational_oracle_misses(seed: int) -> None:
    case = tiny_case(seed)
    assert related(case) is Status.UNKNOWN
    status, state = decided(case)
    assert status is Status.PROVED
    assert state.trees


def test_whatever_the_relational_oracle_proves_needs_no_cases() -> None:
    for seed in range(12):
        case = tiny_case(seed)
        if related(case) is Status.PROVED:
            status, state = decided(case)
            assert status is Status.PROVED
            assert not state.trees


@pytest.mark.parametrize("seed", REFUTED)
def test_refutations_hold_exactly(seed: int) -> None:
    case = tiny_case(seed)
    with Solver() as solver:
        status, state = decided(case, solver)
    assert status is Status.REFUTED
    assert state.refutation is not None
    rival, moves = state.refutation
    assert Replay(case.instance, case.domain).survives(case.facts, None, rival, moves)


def test_without_a_solver_nothing_else_is_proved_or_refuted_wrongly() -> None:
    """A solver that always fails leaves the verdict to the cases."""
    for seed in (44, 65):
        case = tiny_case(seed)
        with Solver(command=["false"]) as broken:
            status, _ = decided(case, broken)
        assert status is decided(case)[0]


def test_equal_runs_give_equal_trees() -> None:
    case = tiny_case(65)

    def shape(tree: Tree) -> object:
        if isinstance(tree, Leaf):
            return tree.node.path
        return tree.cut, [shape(child) for child in tree.children]

    def run() -> list[object]:
        with Solver() as solver:
            _, state = decided(case, solver)
        return [(row, shape(tree)) for row, tree in state.trees.items()]

    first = run()
    assert any(isinstance(tree, Branch) for tree in decided(case)[1].trees.values())
    assert first == run()


def test_the_number_of_cases_is_limited() -> None:
    for most in (1, 5):
        _, state = decided(tiny_case(167), most=most)
        # every split may add some before the limit is looked at again
        assert state.cases <= state.asked * (most + 4)


def test_the_children_of_a_case_cover_it() -> None:
    """Random latents that meet the facts: each lies within the bounds of some leaf."""
    for seed in (65, 176, 108):
        case = tiny_case(seed)
        _, state = decided(case)
        for tree in state.trees.values():
            q = case.instance.head.measurement(case.instance.latent)
            inside = [
                bool(
                    (node.low <= q + 1e-9).all()
                    and (q <= node.high + 1e-9).all()
                    and (node.near <= q.min(axis=0) + 1e-9).all()
                )
                for node in _nodes(tree)
            ]
            assert any(inside)


def _nodes(tree: Tree) -> list:
    if isinstance(tree, Leaf):
        return [tree.node]
    return [node for child in tree.children for node in _nodes(child)]


def test_the_question_in_linear_arithmetic_is_a_relaxation() -> None:
    """The instance itself satisfies every lemma; only the margin excludes it."""
    case = tiny_case(65)
    oracle = BranchAndBoundOracle()
    state = oracle.prepare(case.instance, case.domain)
    state.adopt(case.facts)
    query = Query(Cases(state, case.facts, [0]), 0)
    margin = query.script().splitlines()[-2]
    assert margin.startswith("(assert (<= ")
    at_instance = [
        f"(assert (= z_{place}_{d} (/ {n}.0 {u}.0)))" if n >= 0 else
        f"(assert (= z_{place}_{d} (- (/ {-n}.0 {u}.0))))"
        for place, row in enumerate(case.instance.latent.tolist())
        for d, value in enumerate(row)
        for n, u in [float(value).as_integer_ratio()]
    ]  # fmt: skip
    with Solver() as solver:
        for _ in range(3):
            script = query.script().replace(margin, "\n".join(at_instance))
            assert solver.solve(script, logic="QF_LRA").status == "sat"
            answer = solver.solve(query.script(), logic="QF_LRA")
            if answer.status != "sat":
                break
            values = {k: v for k, v in answer.model.items() if not isinstance(v, Enclosure)}
            assert all(isinstance(v, Fraction) for v in values.values())
            query.refine({k: float(v) for k, v in values.items()})


def test_no_model_is_not_a_proof() -> None:
    """z3 finds none where the facts entail; that alone never makes the oracle say proved."""
    case = tiny_case(65)
    oracle = BranchAndBoundOracle(most=1)
    state = oracle.prepare(case.instance, case.domain)
    with Solver() as solver:
        state.adopt(case.facts)
        rows = [int(np.argmin(state.margins()))]
        outcome = ask(Cases(state, case.facts, rows), case.domain, rows[0], solver)
        limited = BranchAndBoundOracle(most=1, solver=solver)
        verdict = limited.decide(limited.prepare(case.instance, case.domain), case.facts).verdict
    assert outcome.status == "none"
    assert verdict.status is Status.UNKNOWN


@pytest.mark.parametrize("vocabulary", ["topk", "pairs"])
def test_what_is_left_is_no_larger_and_still_proved(vocabulary: str) -> None:
    instance = random_instance(3, prototypes=8, grid=(1, 1))
    ranking = np.argsort(instance.measurement[0], kind="stable").tolist()
    facts = FactSet(
        activations=tuple(activation_fact(instance, j) for j in ranking),
        ceilings=(ceiling_fact(instance, ranking[-1], ranking),),
    )
    if vocabulary == "pairs":
        facts = FactSet(pairs=tuple(pair_fact(instance, 0, j) for j in ranking))
    found = fewer(instance, Free(), vocabulary, facts)
    assert found is not None
    rest, state = found
    assert 0 < len(rest) < len(facts)
    assert len(rest.ceilings) == len(facts.ceilings)
    assert state.entails(rest, state.slack)[0]
    if vocabulary == "topk":
        named = {fact.prototype for fact in rest.activations}
        assert named == set(ranking[: len(named)])
        assert rest.ceilings[0].exempt == tuple(sorted(named))
