"""Mutants put to the tests: one process has everything imported, each mutant is a fork of it.

Which tests call which function is found out once; a mutant meets those that call its function, the
quickest first, until one fails. It takes the place of the function's code, wherever that function
is held, so that nothing is imported again.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.support.sources import ROOT
from tests.trust.mutation.mutants import Mutant, mutants

PACKAGE = ROOT / "verifier" / "protoproof"
PROFILE = "mutants"
MEMORY = 4 << 30

# test -> (seconds, the functions that it calls)
Map = dict[str, tuple[float, frozenset[tuple[str, str]]]]


@dataclass(frozen=True)
class Outcome:
    """A mutant: ``killed``, ``ended`` (by time or memory), ``survived``, or ``unreached``."""

    mutant: Mutant
    word: str
    by: str = ""


class Runner:
    """A plugin of pytest: in place of running the tests it has collected, it runs mutants."""

    def __init__(
        self, modules: Sequence[str], seconds: float, every: int, only: str, kept: Path
    ) -> None:
        self.modules, self.seconds, self.every, self.only = modules, seconds, every, only
        self.kept = kept
        self.found: dict[str, list[Outcome]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings  # pytest wants to be the first to import it

        phases = [Phase.explicit, Phase.generate]  # a failure need not be made small
        settings.register_profile(PROFILE, derandomize=True, deadline=None, phases=phases)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        called = self._called(items)
        known: Map = {
            test: (taken, frozenset((file, function) for file, function in functions))
            for test, (taken, functions) in called.items()
            if test in items
        }
        for module in self.modules:
            self.found[module] = list(self._module(module, items, known))
            _told(module, self.found[module])
        return True

    def _called(self, items: dict[str, pytest.Item]) -> dict[str, Any]:
        """Which tests call which functions; what was found out before is kept in a file."""
        called = json.loads(self.kept.read_text("utf-8")) if self.kept.is_file() else {}
        missing = [item for test, item in items.items() if test not in called]
        if missing:
            called |= _apart(lambda: _map(missing))
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            self.kept.write_text(json.dumps(called), encoding="utf-8")
        return dict(called)

    def _module(self, module: str, items: dict[str, pytest.Item], known: Map) -> Iterator[Outcome]:
        path = PACKAGE / module
        for number, mutant in enumerate(mutants(path.read_text(encoding="utf-8"))):
            if number % self.every or self.only not in mutant.key:
                continue
            place = (str(path), mutant.function)
            tests = sorted(
                (taken, test) for test, (taken, calls) in known.items() if place in calls
            )
            chosen, left = [], self.seconds
            for taken, test in tests:
                left -= taken
                if left < 0 and chosen:
                    break
                chosen.append(items[test])
            if not chosen:
                yield Outcome(mutant, "unreached")
                continue
            word, by = _put(mutant, path, chosen, self.seconds)
            yield Outcome(mutant, word, by)


def _told(module: str, outcomes: list[Outcome]) -> None:
    words = [outcome.word for outcome in outcomes]
    counts = {word: words.count(word) for word in sorted(set(words))}
    print(module, len(words), counts, flush=True)
    for outcome in outcomes:
        if outcome.word in ("survived", "unreached"):
            print(f"  {outcome.word} {outcome.mutant.line} {outcome.mutant.key}", flush=True)


def _apart(work: Any) -> Any:
    """The result of some work in a fork, so that nothing that it keeps stays here."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as pipe:
            json.dump(work(), pipe)
            pipe.flush()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def _map(items: Iterable[pytest.Item]) -> dict[str, tuple[float, list[tuple[str, str]]]]:
    found = {}
    inside = str(PACKAGE)
    for item in items:
        calls: set[tuple[str, str]] = set()

        def called(frame: Any, event: str, _: Any, calls: set[tuple[str, str]] = calls) -> None:
            code = frame.f_code
            if event == "call" and code.co_filename.startswith(inside):
                calls.add((code.co_filename, code.co_qualname.split(".<locals>")[0]))

        started = time.process_time()
        sys.settrace(called)
        try:
            reports = runtestprotocol(item, log=False, nextitem=None)
        finally:
            sys.settrace(None)
        if all(not report.failed for report in reports):
            found[item.nodeid] = (time.process_time() - started, sorted(calls))
    return found


def _put(
    mutant: Mutant, path: Path, tests: Sequence[pytest.Item], seconds: float
) -> tuple[str, str]:
    """Run tests with the mutant in place, in a fork, until one fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        word = "ended "
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            limit = int(4 * seconds) + 10
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            resource.setrlimit(resource.RLIMIT_AS, (_used() + MEMORY,) * 2)
            replace(mutant, path)
            word = _first_failure(tests)
        finally:
            os.write(writing, word.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    word, _, by = text.partition(" ")
    if os.WIFSIGNALED(status) or not word:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return "ended", signal.Signals(number).name if number else "memory"
    return word, by


def _used() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _first_failure(tests: Sequence[pytest.Item]) -> str:
    for item in tests:
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=None)):
            return f"killed {item.nodeid}"
    return "survived "


def replace(mutant: Mutant, path: Path) -> int:
    """Put the mutant's code into every function that has the original's; how many had it."""
    code = _code(compile(mutant.tree, str(path), "exec"), mutant.function)
    functions = [
        thing
        for thing in gc.get_objects()
        if type(thing) is FunctionType  # objects may answer for their class as they like
        and thing.__code__.co_filename == str(path)
        and thing.__code__.co_qualname == mutant.function
        and thing.__code__.co_firstlineno == code.co_firstlineno
    ]
    for function in functions:
        function.__code__ = code
    return len(functions)


def _code(inside: CodeType, qualified: str) -> CodeType:
    waiting = [inside]
    while waiting:
        code = waiting.pop()
        if code.co_qualname == qualified:
            return code
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
    raise LookupError(qualified)


def run(
    modules: Sequence[str],
    tests: Sequence[str],
    seconds: float,
    every: int = 1,
    only: str = "",
    kept: Path = ROOT / "build" / "trust" / "calls.json",
) -> dict[str, list[Outcome]]:
    """Put every ``every``-th mutant of modules of the package to tests.

    Args:
        modules: paths below ``verifier/protoproof``.
        tests: what pytest is to collect.
        seconds: processor time of the tests that one mutant meets.
        only: the text that a mutant's key contains.
    """
    runner = Runner(modules, seconds, every, only, kept)
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", f"--hypothesis-profile={PROFILE}"]
    code = pytest.main([*options, *tests], plugins=[runner])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or not runner.found:
        raise RuntimeError(f"pytest ended with {code}")
    return runner.found
