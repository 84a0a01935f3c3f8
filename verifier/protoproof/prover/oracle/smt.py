"""z3, behind a process that can be killed. The only file that imports it.

A query is SMT-LIB text. A child process reads it into a fresh context and solver, limited in
resources (a count of steps, so that equal runs agree) and in memory; this process waits no longer
than it was told to, and then ends the child. Whatever goes wrong there (a crash, no memory, no
time, an answer that cannot be read) is an ``unknown`` with its reason.

z3 proves nothing here: a model becomes a witness only after an exact replay, and an ``unsat`` is
re-proved by other means or stays uncertified. Values of a model are exact rationals; a number that
is algebraic but not rational comes as an enclosure and is never rounded.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from protoproof.errors import MissingDependencyError

# Steps of z3 and MiB of one query, unless the caller says otherwise: a few seconds.
STEPS, MEMORY = 20_000_000, 2048
# Decimal digits of the enclosure of an algebraic number.
_DIGITS = 30
# How often the waiting process looks whether its time is over, in seconds.
_PULSE = 0.05

Status = Literal["sat", "unsat", "unknown"]


@dataclass(frozen=True)
class Enclosure:
    """An algebraic number: it lies in [lower, upper]."""

    lower: Fraction
    upper: Fraction


@dataclass(frozen=True)
class Answer:
    """What z3 said; ``reason`` belongs to ``unknown``, ``model`` to ``sat``."""

    status: Status
    reason: str = ""
    model: Mapping[str, Fraction | Enclosure] = field(default_factory=dict)


class Solver:
    """A child process that answers queries one after another.

    It starts with the first query, and again after one that killed it. Use it as a context manager.

    Args:
        memory: MiB that one query may use.
        command: what to start instead of the child that this module defines.
    """

    def __init__(self, memory: int = MEMORY, command: Sequence[str] | None = None) -> None:
        self._memory = memory
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Solver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def solve(
        self, script: str, *, logic: str, steps: int = STEPS, seconds: float = 600.0
    ) -> Answer:
        """Whether the assertions of ``script`` can hold together.

        Args:
            script: SMT-LIB text; commands other than declarations and assertions are ignored.
            logic: the logic whose solver is used, such as ``QF_NRA``.
            steps: z3's resource limit; the same limit gives the same answer.
            seconds: wall time after which the child is killed.
        """
        return self._ask({"script": script, "logic": logic, "steps": steps}, seconds)

    def close(self) -> None:
        """End the child, whatever it is doing."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                # what it did not read any more is of no interest
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _ask(self, query: dict[str, Any], seconds: float) -> Answer:
        deadline = time.monotonic() + seconds
        child = self._started()
        if child.stdin is None or child.stdout is None:
            return Answer("unknown", "the solver's process has no pipes")
        try:
            child.stdin.write(json.dumps(query | {"memory": self._memory}).encode() + b"\n")
            child.stdin.flush()
        except OSError:
            return self._crashed()
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                self.close()
                return Answer("unknown", f"timeout: no answer in {seconds:g} s")
            if select.select([child.stdout], [], [], min(left, _PULSE))[0]:
                part = os.read(child.stdout.fileno(), 1 << 16)
                if not part:
                    return self._crashed()
                line += part
        try:
            return _read(json.loads(line))
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            self.close()
            return Answer("unknown", "the solver's answer cannot be read")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            root = str(Path(__file__).parents[3])
            known = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            call = f"from {__name__} import serve; serve()"
            self._child = subprocess.Popen(  # noqa: S603  # this interpreter
                self._command or [sys.executable, "-c", call],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(known)},
                start_new_session=True,  # an interrupt ends this process, which ends the child
            )
        return self._child

    def _crashed(self) -> Answer:
        code = self._child.wait() if self._child is not None else 0
        self.close()
        if code < 0:
            return Answer("unknown", f"the solver crashed ({signal.Signals(-code).name})")
        return Answer("unknown", f"the solver ended with exit code {code}")


def _read(answer: Mapping[str, Any]) -> Answer:
    status = answer["status"]
    if status not in ("sat", "unsat", "unknown"):
        raise ValueError(status)
    model: dict[str, Fraction | Enclosure] = {}
    for name, ends in answer.get("model", {}).items():
        numbers = [Fraction(end) for end in ends]
        model[name] = numbers[0] if len(numbers) == 1 else Enclosure(numbers[0], numbers[1])
    return Answer(status, str(answer.get("reason", "")), model)


def serve() -> None:
    """The child: one query per line in, one answer per line out, until the input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    with open(0, "rb", closefd=False) as queries:
        for line in queries:
            data = json.dumps(_answer(json.loads(line))).encode() + b"\n"
            while data:
                data = data[os.write(answers, data) :]


def _answer(query: Mapping[str, Any]) -> dict[str, Any]:
    try:
        import z3
    except ImportError as error:
        raise MissingDependencyError(
            "the SMT oracle needs z3, which is not installed: pip install 'protoproof[smt]'"
        ) from error
    z3.set_param("memory_max_size", int(query["memory"]))
    try:
        return _solve(z3, query)
    except z3.Z3Exception as error:
        text = str(error)
        word = "memory" if "memory" in text else text[:200]
        return {"status": "unknown", "reason": f"the solver gave up: {word}"}


def _solve(z3: Any, query: Mapping[str, Any]) -> dict[str, Any]:
    context = z3.Context()
    solver = z3.SolverFor(query["logic"], ctx=context)
    solver.set("rlimit", int(query["steps"]))
    solver.from_string(query["script"])
    status = str(solver.check())
    if status == "unknown":
        return {"status": status, "reason": f"z3: {solver.reason_unknown()}"}
    if status != "sat":
        return {"status": status}
    found = solver.model()
    values = {str(item): _value(z3, found[item]) for item in found.decls() if item.arity() == 0}
    return {"status": status, "model": values}


def _value(z3: Any, value: Any) -> list[str]:
    """A model's value as one rational or as the two ends of an enclosure."""
    if z3.is_rational_value(value):
        return [str(value.as_fraction())]
    if z3.is_algebraic_value(value):
        near, error = value.approx(_DIGITS).as_fraction(), Fraction(1, 10**_DIGITS)
        return [str(near - error), str(near + error)]
    if z3.is_true(value) or z3.is_false(value):
        return ["1" if z3.is_true(value) else "0"]
    raise z3.Z3Exception(f"a value of sort {value.sort()}")
