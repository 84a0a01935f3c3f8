"""Command line: the verbs, one file each, and how a failure ends."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from protoproof.cli import ambiguity, campaign, certify, demo, explain, gate, report
from protoproof.cli.memory import end_undecided, is_check, is_exhausted, require_room
from protoproof.errors import InternalError, OutputError, ProtoProofError, UsageError
from protoproof.report.page.text import visible
from protoproof.version import VERSION

app = typer.Typer(
    name="protoproof",
    help="Prove why a prototype network predicts what it predicts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Prove why a prototype network predicts what it predicts."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, stream=sys.stderr)
    if version:
        print(f"protoproof {VERSION}")
        raise typer.Exit


for verb in (
    explain.inspect,
    explain.explain,
    certify.certify,
    explain.check,
    ambiguity.ambiguity,
    campaign.campaign,
    gate.gate,
    gate.diff,
    report.report,
    demo.demo,
):
    app.command()(verb)


def _fail(error: Exception, debug: bool) -> NoReturn:
    """One line on stderr; a bug says how to report it, and is never exit code 1."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        error = OutputError("no space left on the device that was written to")
    line = " ".join(visible(str(error)).split())
    if isinstance(error, ProtoProofError) and not isinstance(error, InternalError):
        print(f"error: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(
        f"internal error: {type(error).__name__}: {line} - this is a bug: please report it with "
        "the output of the same command after `protoproof --debug`",
        file=sys.stderr,
    )
    sys.exit(InternalError.exit_code)


def _undecided(error: Exception, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    end_undecided()


def main(add_verbs: Callable[[typer.Typer], None] | None = None) -> None:
    """Entry point of the console script; ``add_verbs`` adds those that only a checkout has."""
    if add_verbs is not None:
        add_verbs(app)
    debug = "--debug" in sys.argv[1:]
    # a reader that has seen enough ends the program by the signal, never by exit code 1
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    check = is_check(sys.argv[1:])
    try:
        if check:
            require_room()
        app()
    except SystemExit as end:
        sys.exit(_flushed(end.code))
    except MemoryError as error:
        if check:
            _undecided(error, debug)
        _fail(UsageError("out of memory: model or data set is too large for this machine"), debug)
    except Exception as error:  # noqa: BLE001  # the last stop: every failure is one line
        if check and is_exhausted(error):
            _undecided(error, debug)
        _fail(error, debug)


def _flushed(code: str | int | None) -> str | int | None:
    """The exit code, once standard output has taken everything; else that of bad output."""
    try:
        sys.stdout.flush()
    except OSError as error:
        print(f"error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        return OutputError.exit_code
    return code
