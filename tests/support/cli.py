"""Run the command line: in this process as a rule, as a process of its own where that matters."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TextIO

from models.verbs import add_training
from protoproof.cli.app import main
from tests.support.campaign import warm_workers

ROOT = Path(__file__).resolve().parents[2]
SHIM = str(ROOT / "cli.py")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def protoproof(*arguments: object, cwd: Path | None = None) -> Result:
    """``python cli.py ARGUMENTS`` without the start of a process; never with a traceback.

    The same function is called, and what it writes is caught where a process would write it: at
    the file descriptors, so that native code and workers are heard too. What a process would take
    along when it ends (directory, environment, signals, logging, warnings) is put back.
    """
    result = called(*arguments, cwd=cwd)
    assert "Traceback" not in result.out + result.err
    return result


def process(
    *arguments: object, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Result:
    """``python cli.py ARGUMENTS`` as a user does it: a process of its own. There is no hurry."""
    done = subprocess.run(
        [sys.executable, SHIM, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        env=environment,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def forked(prepare: Callable[[], None], *arguments: object) -> Result:
    """The program in a fork of this process, where ``prepare`` can do what cannot be undone."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                with _own_surroundings():
                    os.chdir(ROOT)
                    sys.argv = [SHIM, *map(str, arguments)]
                    prepare()
                    code = _exit_code()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        return Result(os.waitstatus_to_exitcode(status), _text(out), _text(err))


def called(*arguments: object, cwd: Path | None = None) -> Result:
    """The program in this process, tracebacks and all."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _descriptor(1, out.fileno()), _descriptor(2, err.fileno()), _own_surroundings():
            os.chdir(cwd or ROOT)
            sys.argv = [SHIM, *map(str, arguments)]
            code = _exit_code()
        return Result(code, _text(out), _text(err))


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


def _exit_code() -> int:
    """What the operating system would be told, and the last words on standard error."""
    with _stream("stdout", 1), _stream("stderr", 2):
        try:
            main(add_training)
        except SystemExit as end:
            if end.code is None or isinstance(end.code, int):
                return end.code or 0
            sys.stderr.write(f"{end.code}\n")
            return 1
    return 0


@contextlib.contextmanager
def _stream(name: str, number: int) -> Iterator[None]:
    """``sys.stdout`` or ``sys.stderr`` as a program finds it, on its descriptor."""
    before: TextIO = getattr(sys, name)
    with os.fdopen(number, "w", encoding="utf-8", closefd=False) as stream:
        setattr(sys, name, stream)
        try:
            yield
        finally:
            setattr(sys, name, before)


@contextlib.contextmanager
def _descriptor(number: int, other: int) -> Iterator[None]:
    """Let a descriptor lead elsewhere for a while."""
    kept = os.dup(number)
    os.dup2(other, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


@contextlib.contextmanager
def _own_surroundings() -> Iterator[None]:
    """All that a process has to itself; a closed pipe never ends the tests by a signal."""
    root = logging.getLogger()
    here, environment, arguments = Path.cwd(), dict(os.environ), sys.argv
    handlers, level = root.handlers[:], root.level
    signals = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)}
    set_signal = signal.signal

    def harmless(number: int, handler: Any) -> Any:
        return signals[number] if number == signal.SIGPIPE else set_signal(number, handler)

    root.handlers[:] = []
    signal.signal = harmless  # type: ignore[assignment]
    try:
        with warm_workers(), _program_warnings():
            yield
    finally:
        signal.signal = set_signal
        for number, handler in signals.items():
            signal.signal(number, handler)
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        os.chdir(here)
        sys.argv = arguments
        _restore(environment)


def _restore(environment: dict[str, str]) -> None:
    """Undo changes and touch nothing else: native threads may be reading the environment."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextlib.contextmanager
def _program_warnings() -> Iterator[None]:
    """Warnings as Python shows them to users, not as pytest treats them."""

    def show(message: Any, category: Any, filename: str, line: int, *_: Any) -> None:
        sys.stderr.write(warnings.formatwarning(message, category, filename, line))

    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in (
            DeprecationWarning,
            PendingDeprecationWarning,
            ImportWarning,
            ResourceWarning,
        ):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield
