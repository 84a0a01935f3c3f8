"""Mutants put to the tests: one process has everything imported, each mutant is a fork of it.

Which tests call which function is found out once, by tests that pass; a mutant meets those that
call its function, first those that noticed others of it, then the quickest, until one fails. It
takes the place of the function's code, wherever that function is held, so that nothing is imported
again.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import json
import os
import resource
import selectors
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

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
    """A mutant, and what came of it.

    ``killed`` or ``ended`` (by time or memory); or ``survived``, ``unreached`` (no test calls its
    function), ``unplaced`` (no function has its code).
    """

    mutant: Mutant
    word: str
    by: str = ""

    @property
    def noticed(self) -> bool:
        """Whether some test told it from the original."""
        return self.word in ("killed", "ended")


class Asked(NamedTuple):
    """Which mutants, and what each of them meets."""

    seconds: float  # processor time of the tests that one meets
    every: int = 1
    only: str = ""  # text that a mutant's key contains
    jobs: int = 1  # mutants at a time


class Runner:
    """A plugin of pytest: in place of running the tests it has collected, it runs mutants."""

    def __init__(self, modules: Sequence[str], asked: Asked, kept: Path) -> None:
        self.modules, self.asked, self.kept = modules, asked, kept
        self.found: dict[str, list[Outcome]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings  # pytest wants to be the first to import it

        phases = [Phase.explicit, Phase.generate]  # a failure need not be made small
        settings.register_profile(PROFILE, derandomize=True, deadline=None, phases=phases)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        known: Map = {
            test: (taken, frozenset((file, function) for file, function in functions))
            for test, (taken, functions) in self._called(items).items()
            if test in items
        }
        for module in self.modules:
            path, place = PACKAGE / module, Place(PACKAGE / module)
            chosen = [
                mutant
                for number, mutant in enumerate(mutants(path.read_text(encoding="utf-8"), path))
                if not number % self.asked.every and self.asked.only in mutant.key
            ]
            self.found[module] = _outcomes(chosen, place, items, known, self.asked)
            _told(module, self.found[module])
        return True

    def _called(self, items: dict[str, pytest.Item]) -> dict[str, Any]:
        """Which tests call which functions.

        What was found out before is kept, for as long as the package, what tests have in common,
        and the file of the test stay as they are.
        """
        common = _digest(
            path
            for folder in (PACKAGE, ROOT / "tests" / "support")
            for path in sorted(folder.rglob("*.py"))
        )
        states = {path: common + _digest([path]) for path in {item.path for item in items.values()}}
        kept = json.loads(self.kept.read_text("utf-8")) if self.kept.is_file() else {}
        found = {
            test: kept[test][1]
            for test, item in items.items()
            if test in kept and kept[test][0] == states[item.path]
        }
        missing = [item for test, item in items.items() if test not in found]
        if missing:
            found |= _apart(lambda: _map(missing))
            kept |= {test: (states[items[test].path], found[test]) for test in found}
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            self.kept.write_text(json.dumps(kept), encoding="utf-8")
        # those that fail as things are say nothing of mutants
        return {test: calls for test, calls in found.items() if calls is not None}


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _outcomes(
    chosen: Sequence[Mutant], place: Place, items: dict[str, pytest.Item], known: Map, asked: Asked
) -> list[Outcome]:
    """What comes of mutants of one file, several at a time."""
    found: dict[int, Outcome] = {}
    noticed: Counter[tuple[str, str]] = Counter()  # by function and test
    waiting, running = list(enumerate(chosen))[::-1], 0
    with selectors.DefaultSelector() as selector:
        while waiting or running:
            while waiting and running < asked.jobs:
                number, mutant = waiting.pop()
                tests = _tests(mutant, place.path, known, asked.seconds)
                if not tests:
                    found[number] = Outcome(mutant, "unreached")
                    continue
                tests.sort(key=lambda test: -noticed[mutant.function, test])
                child, pipe = _start(mutant, place, [items[test] for test in tests], asked.seconds)
                selector.register(pipe, selectors.EVENT_READ, (number, mutant, child))
                running += 1
            for event, _ in selector.select() if running else ():
                number, mutant, child = event.data
                selector.unregister(event.fileobj)
                running -= 1
                outcome = found[number] = Outcome(mutant, *_end(child, int(event.fd)))
                noticed[mutant.function, outcome.by] += outcome.noticed
    return [found[number] for number in range(len(chosen))]


def _tests(mutant: Mutant, path: Path, known: Map, seconds: float) -> list[str]:
    """The quickest tests that call a mutant's function."""
    place, chosen = (str(path), mutant.function), []
    for taken, test in sorted((t, test) for test, (t, calls) in known.items() if place in calls):
        seconds -= taken
        if seconds < 0 and chosen:
            break
        chosen.append(test)
    return chosen


def _told(module: str, outcomes: list[Outcome]) -> None:
    words = [outcome.word for outcome in outcomes]
    counts = {word: words.count(word) for word in sorted(set(words))}
    print(module, len(words), counts, flush=True)
    for outcome in outcomes:
        if not outcome.noticed:
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


def _map(items: Iterable[pytest.Item]) -> dict[str, tuple[float, list[tuple[str, str]]] | None]:
    """Per test its seconds, and what it calls; nothing of one that fails."""
    found: dict[str, tuple[float, list[tuple[str, str]]] | None] = {}
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
        failed = any(report.failed for report in reports)
        found[item.nodeid] = None if failed else (time.process_time() - started, sorted(calls))
    return found


def _start(
    mutant: Mutant, place: Place, tests: Sequence[pytest.Item], seconds: float
) -> tuple[int, int]:
    """Run tests with the mutant in place, in a fork, until one fails: its number, and its pipe."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    word = "unplaced "  # also where that fails
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        gc.disable()  # what it looks at would be copied
        if place.replace(mutant.changed(), mutant.function):
            limit = int(4 * seconds) + 10
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            resource.setrlimit(resource.RLIMIT_AS, (_used() + MEMORY,) * 2)
            word = "ended "
            word = _first_failure(tests)
    finally:
        os.write(writing, word.encode())
        os._exit(0)


def _end(child: int, reading: int) -> tuple[str, str]:
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


class Place:
    """A file whose functions are found once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._codes = list(_codes(compile(path.read_text(encoding="utf-8"), str(path), "exec")))
        self._functions = [
            thing
            for thing in gc.get_objects()
            if type(thing) is FunctionType  # objects may answer for their class as they like
            and thing.__code__.co_filename == str(path)
        ]

    def replace(self, tree: ast.Module, function: str) -> int:
        """Put the code of a changed file into every function that has the original's.

        Returns:
            How many had it.
        """
        pairs = zip(self._codes, _codes(compile(tree, str(self.path), "exec")), strict=True)
        (changed,) = ((a, b) for a, b in pairs if a.co_qualname == function and a != b)
        found = [thing for thing in self._functions if thing.__code__ == changed[0]]
        for thing in found:
            thing.__code__ = changed[1]
        return len(found)


def _codes(inside: CodeType) -> Iterator[CodeType]:
    """Functions of a module, and of its classes."""
    for code in inside.co_consts:
        if isinstance(code, CodeType):
            yield code
            if not code.co_flags & 0x02:  # a class has no fast locals
                yield from _codes(code)


def run(
    modules: Sequence[str],
    tests: Sequence[str],
    asked: Asked,
    kept: Path = ROOT / "build" / "trust" / "calls.json",
) -> dict[str, list[Outcome]]:
    """Put mutants of modules (paths below ``verifier/protoproof``) to tests.

    Args:
        tests: what pytest is to collect.
        kept: where it is kept which tests call which functions.

    Raises:
        RuntimeError: the tests could not be collected.
    """
    runner = Runner(modules, asked, kept)
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", f"--hypothesis-profile={PROFILE}"]
    code = pytest.main([*options, *tests], plugins=[runner])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or not runner.found:
        raise RuntimeError(f"pytest ended with {code}")
    return runner.found
