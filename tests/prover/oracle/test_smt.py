"""The solver behind its process: answers, limits, and everything that can go wrong."""

from __future__ import annotations

import os
import sys
import threading
import time
from fractions import Fraction

import pytest

from protoproof.prover.oracle.smt import Enclosure, Solver

PATIENT = 1e6  # seconds

HARD = """
(declare-const a Int) (declare-const b Int)
(assert (= (* a b) 1000000016000000063)) (assert (> a 1)) (assert (> b a))
"""


def test_rational_models_are_exact() -> None:
    with Solver() as solver:
        answer = solver.solve("(declare-const x Real)(assert (= (* 3.0 x) 1.0))", logic="QF_NRA")
    assert answer.status == "sat"
    assert answer.model == {"x": Fraction(1, 3)}


def test_algebraic_numbers_are_enclosed_never_rounded() -> None:
    text = "(declare-const x Real)(assert (= (* x x) 2.0))(assert (> x 0.0))"
    with Solver() as solver:
        found = solver.solve(text, logic="QF_NRA", seconds=PATIENT).model["x"]
    assert isinstance(found, Enclosure)
    assert found.lower**2 < 2 < found.upper**2
    assert found.upper - found.lower < Fraction(1, 10**20)


def test_unsat_and_equal_runs_agree() -> None:
    text = "(declare-const x Real)(assert (< (* x x) 0.0))"
    with Solver() as solver:
        answers = {solver.solve(text, logic="QF_NRA", seconds=PATIENT).status for _ in range(3)}
    assert answers == {"unsat"}


def test_steps_run_out() -> None:
    with Solver() as solver:
        answer = solver.solve(HARD, logic="QF_NIA", steps=1000, seconds=PATIENT)
    assert answer.status == "unknown"
    assert answer.reason.startswith("z3: ")


def test_time_runs_out_and_the_next_query_is_answered() -> None:
    hard = HARD.replace("1000000016000000063", str((2**89 - 1) * (2**107 - 1)))
    with Solver() as solver:
        started = time.monotonic()
        answer = solver.solve(hard, logic="QF_NIA", steps=0, seconds=0.5)
        assert time.monotonic() - started >= 0.5  # without the limit it would take for ever
        assert answer.status == "unknown"
        assert answer.reason.startswith("timeout")
        assert solver.solve("(assert true)", logic="QF_NRA", seconds=PATIENT).status == "sat"


@pytest.mark.trust(40)
def test_memory_runs_out() -> None:
    wide = "".join(f"(declare-const x{i} Real)" for i in range(200))
    wide += "(assert (> (* " + " ".join(f"(+ x{i} 1.0)" for i in range(200)) + ") 3.0))"
    with Solver(memory=4) as solver:
        answer = solver.solve(wide, logic="QF_NRA", seconds=PATIENT)
    assert answer.status == "unknown"
    assert "memory" in answer.reason or "crashed" in answer.reason or "exit code" in answer.reason


def test_text_that_is_no_query() -> None:
    with Solver() as solver:
        answer = solver.solve("(assert (no such thing))", logic="QF_NRA", seconds=PATIENT)
    assert answer.status == "unknown"
    assert answer.reason.startswith("the solver gave up")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.abort()", "the solver crashed (SIGABRT)"),
        ("import sys; sys.exit(7)", "the solver ended with exit code 7"),
        ("print('no json'); import time; time.sleep(60)", "the solver's answer cannot be read"),
        ('print(\'{"status": "maybe"}\'); input()', "the solver's answer cannot be read"),
        (
            'print(\'{"status": "sat", "model": {"x": ["1/0"]}}\'); input()',
            "the solver's answer cannot be read",
        ),
        ("import time; time.sleep(60)", "timeout: no answer in 0.5 s"),
    ],
)
@pytest.mark.trust(3)
def test_a_solver_that_fails_is_unknown(program: str, reason: str) -> None:
    seconds = 0.5 if reason.startswith("timeout") else PATIENT
    with Solver(command=[sys.executable, "-u", "-c", program]) as solver:
        answer = solver.solve("(assert true)", logic="QF_NRA", seconds=seconds)
    assert (answer.status, answer.reason) == ("unknown", reason)


@pytest.mark.trust(3)
def test_a_solver_killed_from_outside_is_unknown() -> None:
    with Solver() as solver:
        assert solver.solve("(assert true)", logic="QF_NRA", seconds=PATIENT).status == "sat"
        child = solver._child
        assert child is not None
        timer = threading.Timer(0.3, os.kill, (child.pid, 9))
        timer.start()
        hard = HARD.replace("1000000016000000063", str((2**89 - 1) * (2**107 - 1)))
        answer = solver.solve(hard, logic="QF_NIA", steps=0, seconds=PATIENT)
        timer.join()
    assert (answer.status, answer.reason) == ("unknown", "the solver crashed (SIGKILL)")


def test_the_solver_needs_no_path_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that found the package by itself hands on where it lies."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with Solver() as solver:
        assert solver.solve("(assert true)", logic="QF_NRA", seconds=PATIENT).status == "sat"
