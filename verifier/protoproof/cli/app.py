"""Command line: the verbs, one file each, and how a failure ends.

A verb's file is loaded when it is asked for, and ``--version`` loads none: ``check`` runs the
trusted checker in a process that holds no prover, and every verb starts in the time it needs.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from protoproof.cli.memory import end_undecided, is_check, is_exhausted, require_room
from protoproof.errors import InternalError, OutputError, ProtoProofError, UsageError
from protoproof.extras import told
from protoproof.version import VERSION

if TYPE_CHECKING:
    import typer

Verb = Callable[..., None]


def _inspect() -> Verb:
    from protoproof.cli.inspect import inspect

    return inspect


def _explain() -> Verb:
    from protoproof.cli.explain import explain

    return explain


def _certify() -> Verb:
    from protoproof.cli.certify import certify

    return certify


def _check() -> Verb:
    from protoproof.cli.check import check

    return check


def _show() -> Verb:
    from protoproof.cli.show import show

    return show


def _ambiguity() -> Verb:
    from protoproof.cli.ambiguity import ambiguity

    return ambiguity


def _campaign() -> Verb:
    from protoproof.cli.campaign import campaign

    return campaign


def _gate() -> Verb:
    from protoproof.cli.gate import gate

    return gate


def _diff() -> Verb:
    from protoproof.cli.diff import diff

    return diff


def _report() -> Verb:
    from protoproof.cli.report import report

    return report


def _demo() -> Verb:
    from protoproof.cli.demo import demo

    return demo


def _attest() -> Verb:
    from protoproof.cli.attest import attest

    return attest


def _verify_attestation() -> Verb:
    from protoproof.cli.verify_attestation import verify_attestation

    return verify_attestation


def _bom() -> Verb:
    from protoproof.cli.bom import bom

    return bom


# in the order of `protoproof --help`
VERBS: dict[str, Callable[[], Verb]] = {
    "inspect": _inspect,
    "explain": _explain,
    "certify": _certify,
    "check": _check,
    "show": _show,
    "ambiguity": _ambiguity,
    "campaign": _campaign,
    "gate": _gate,
    "diff": _diff,
    "report": _report,
    "attest": _attest,
    "verify-attestation": _verify_attestation,
    "bom": _bom,
    "demo": _demo,
}


def program(
    arguments: Sequence[str] = (), add_verbs: Callable[[typer.Typer], None] | None = None
) -> typer.Typer:
    """The program, with the verb that ``arguments`` ask for; with every verb if they name none.

    Args:
        arguments: the command line, without the program's name.
        add_verbs: adds the verbs that only a checkout has.
    """
    from protoproof.cli.common import new_program

    app = new_program()
    asked = next((word for word in arguments if not word.startswith("-")), None)
    for name in [asked] if asked in VERBS else VERBS:
        app.command(name)(VERBS[name]())
    if asked not in VERBS and add_verbs is not None:
        add_verbs(app)
    return app


def main(add_verbs: Callable[[typer.Typer], None] | None = None) -> None:
    """Entry point of the console script; ``add_verbs`` as for :func:`program`."""
    arguments = sys.argv[1:]
    # a reader that has seen enough ends the program by the signal, never by exit code 1
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    debug, check = "--debug" in arguments, is_check(arguments)
    try:
        if check:
            require_room()
        if arguments == ["--version"]:
            print(f"protoproof {VERSION}")
            sys.exit()
        program(arguments, add_verbs)()
    except SystemExit as end:
        sys.exit(_flushed(end.code))
    except MemoryError as error:
        if check:
            _undecided(error, debug)
        _fail(UsageError("out of memory: model or data set is too large for this machine"), debug)
    except Exception as error:  # noqa: BLE001  # the last stop: every failure is one line
        if check and is_exhausted(error):
            _undecided(error, debug)
        _fail((told(error) if isinstance(error, ImportError) else None) or error, debug)


def _fail(error: Exception, debug: bool) -> NoReturn:
    """One line on stderr; a bug says how to report it, and is never exit code 1."""
    from protoproof.report.page.text import visible

    if debug:
        import traceback

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
        import traceback

        traceback.print_exception(error)
    end_undecided()


def _flushed(code: Any) -> Any:
    """The exit code, once standard output has taken everything; else that of bad output."""
    try:
        sys.stdout.flush()
    except OSError as error:
        print(f"error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        return OutputError.exit_code
    return code
