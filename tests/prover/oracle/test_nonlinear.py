"""Exact nonlinear ground truth: no oracle ever contradicts it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from protoproof.errors import UsageError
from protoproof.network.head.decision import Linear
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.observed import pair_fact
from protoproof.prover.latent.replay import Replay
from protoproof.prover.oracle.nonlinear import refutes, smtlib, truth
from protoproof.prover.oracle.smt import Solver
from tests.support import heads
from tests.support.strategies import make_head, make_instance, random_instance
from tests.support.tiny import Judgement, judge, tiny_case

# networks of the slice; the benchmark workload `truth` asks about 500
SLICE = 60


@pytest.mark.parametrize("count", [SLICE // 5, pytest.param(SLICE, marks=pytest.mark.sweep)])
@pytest.mark.trust(11)
def test_no_oracle_contradicts_the_ground_truth(count: int) -> None:
    kinds: Counter[str] = Counter()
    with Solver() as solver:
        for seed in range(count):
            # most take milliseconds; what z3 does not see by then stays open, which is no answer
            found = judge(tiny_case(seed), solver, steps=200_000, seconds=1.0)
            assert not found.wrong, f"seed {seed}: {found}"
            kinds[found.truth.status] += 1
    # a slice on which z3 decides nothing would show nothing
    assert kinds["entails"] >= count // 6
    assert kinds["refuted"] >= count // 6


@pytest.mark.trust(11)
def test_a_wrong_oracle_would_be_found() -> None:
    """Of no facts at all the ground truth has a counterexample that holds exactly."""
    with Solver() as solver:
        for seed in (2, 3, 12):
            case = tiny_case(seed)
            found = truth(case.instance, Free(), FactSet(), solver, steps=500_000, seconds=600.0)
            assert Judgement(found, {"says yes": True, "says no": False}).wrong == ["says yes"]
            assert found.status == "refuted"
            replay = Replay(case.instance, Free())
            rivals = case.instance.rivals
            if found.latent is None:  # algebraic: a nearby point that is rational
                assert any(replay.survives(FactSet(), None, k, found.moves) for k in rivals)
                continue
            point = [list(row) for row in found.latent]
            assert any(refutes(case.instance, Free(), FactSet(), k, point) for k in rivals)


def test_the_instance_itself_is_no_counterexample() -> None:
    case = tiny_case(4)
    here = [[Fraction(v) for v in row] for row in case.instance.latent.tolist()]
    assert not any(
        refutes(case.instance, case.domain, case.facts, k, here) for k in case.instance.rivals
    )


def test_a_tie_is_not_entailed() -> None:
    head = replace(
        make_head(np.random.default_rng(0), 2, 2, 2, (1, 1)),
        prototypes=np.array([[0.25, 0.5], [0.75, 0.5]]),
        decision=Linear(np.array([[1.0, -0.5], [-0.5, 1.0]]), np.zeros(2)),
        chain=heads.similarity("negated"),
    )
    instance = make_instance(head, np.array([[0.5, 0.5]]))
    facts = FactSet(pairs=tuple(pair_fact(instance, 0, j) for j in range(2)))
    with Solver() as solver:
        found = truth(instance, Free(), facts, solver, seconds=600.0)
    assert found.answers == ("sat",)
    assert found.status == "refuted"


def test_a_solver_in_trouble_leaves_the_question_open() -> None:
    case = tiny_case(4)
    with Solver(command=["false"]) as solver:
        found = truth(case.instance, case.domain, case.facts, solver, seconds=10)
    assert found.status == "open"
    assert set(found.answers) == {"unknown"}
    assert found.reason


def test_logarithms_are_refused() -> None:
    instance = random_instance(0)
    with pytest.raises(UsageError, match="no exact encoding"):
        smtlib(instance, Free(), FactSet(), instance.rivals[0])
