"""Command line: the verbs, one file each, and how a failure ends.

A verb's file is loaded when it is asked for, and ``--version`` loads none: ``check`` runs the
trusted checker in a process that holds no prover, and every verb starts in the time it needs.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from protoproof.cli.memory import (
    end_undecided,
    is_check,
    is_exhausted,
    print_failure,
    require_room,
)
from protoproof.errors import InternalError, OutputError, ProtoProofError, UsageError
from protoproof.extras import told
from protoproof.version import VERSION

_ALLOCATIONS = 50_000  # of containers, before cycles are looked for

if TYPE_CHECKING:
    import typer

Verb = Callable[..., None]


def _import() -> Verb:
    from protoproof.cli.import_checkpoint import import_checkpoint

    return import_checkpoint


def _inspect() -> Verb:
    from protoproof.cli.inspect import inspect

    return inspect


def _init() -> Verb:
    from protoproof.cli.init import init

    return init


def _prepare() -> Verb:
    from protoproof.cli.prepare import prepare

    return prepare


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


def _vnnlib() -> typer.Typer:
    from protoproof.cli.vnnlib import solver

    return solver()


# in the order of `protoproof --help`
VERBS: dict[str, Callable[[], Verb | typer.Typer]] = {
    "import": _import,
    "inspect": _inspect,
    "prepare": _prepare,
    "explain": _explain,
    "certify": _certify,
    "check": _check,
    "show": _show,
    "ambiguity": _ambiguity,
    "campaign": _campaign,
    "init": _init,
    "gate": _gate,
    "diff": _diff,
    "report": _report,
    "attest": _attest,
    "verify-attestation": _verify_attestation,
    "bom": _bom,
    "demo": _demo,
    "vnnlib": _vnnlib,
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
        verb = VERBS[name]()
        if callable(getattr(verb, "add_typer", None)):
            app.add_typer(cast("typer.Typer", verb), name=name)
        else:
            app.command(name)(cast(Verb, verb))
    if asked not in VERBS and add_verbs is not None:
        add_verbs(app)
    return app


def main(add_verbs: Callable[[typer.Typer], None] | None = None) -> None:
    """Entry point of the console script; ``add_verbs`` as for :func:`program`."""
    sys.argv[1:] = arguments = _debug_first(sys.argv[1:])
    as_json = "--json" in arguments
    # a reader that has seen enough ends the program by the signal, never by exit code 1
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # nearly all that is read from files stays until the end, and is no cycle: looking through it as
    # often as Python does by default would be a tenth of a check
    gc.set_threshold(_ALLOCATIONS, 10, 10)
    debug, check = "--debug" in arguments, is_check(arguments)
    try:
        if check:
            require_room()
        if arguments == ["--version"]:
            print(f"protoproof {VERSION}")
            sys.exit()
        words = completed()
        app = program(words or arguments, add_verbs)
        if words:
            app()
        command = _configured(app, arguments)
        if as_json:
            sys.exit(_called(command, arguments))
        command()
    except SystemExit as end:
        sys.exit(_flushed(end.code))
    except KeyboardInterrupt:  # while something was still being loaded
        sys.exit(128 + signal.SIGINT)
    except MemoryError as error:
        if check:
            _undecided(error, debug, as_json)
        _fail(
            UsageError("out of memory: model or data set is too large for this machine"),
            debug,
            as_json,
        )
    except Exception as error:  # noqa: BLE001  # the last stop: every failure is one line
        if check and is_exhausted(error):
            _undecided(error, debug, as_json)
        _fail((told(error) if isinstance(error, ImportError) else None) or error, debug, as_json)


def _debug_first(arguments: list[str]) -> list[str]:
    """``--debug`` is the program's own option, wherever it stands before a bare ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    if "--debug" not in arguments[:end]:
        return arguments
    return ["--debug", *(word for word in arguments[:end] if word != "--debug"), *arguments[end:]]


def _configured(app: typer.Typer, arguments: Sequence[str]) -> Any:
    """The program as a command, with what ``protoproof.yaml`` states for its verb.

    Raises:
        UsageError: that file is malformed.
    """
    from typer.main import get_command

    command = get_command(app)
    asked = next((word for word in arguments if not word.startswith("-")), "")
    verb = getattr(command, "commands", {}).get(asked)
    if verb is not None and asked in ("explain", "campaign", "gate"):
        from protoproof.cli.settings import settings

        verb.context_settings["default_map"] = settings(asked, verb, Path())
    return command


def completed() -> list[str]:
    """The words before the one that a shell wants to complete; none otherwise.

    Only the verb that they name is loaded then.
    """
    if not any(name.endswith("_COMPLETE") and name.startswith("_") for name in os.environ):
        return []
    words = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return words.split()[1:]


def _called(command: Any, arguments: Sequence[str]) -> int:
    """The exit code; what is wrong with the command line is said in the document, too."""
    try:
        code = command.main(list(arguments), standalone_mode=False)
    except Exception as error:
        # click's own: its class has no public name
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        _fail(UsageError(message()), False, True)
    return code if isinstance(code, int) else 0


def _fail(error: Exception, debug: bool, as_json: bool = False) -> NoReturn:
    """One line on stderr, and with ``--json`` one document on standard output.

    A bug says how to report it, and is never exit code 1.
    """
    from protoproof.report.page.text import visible

    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        error = OutputError("no space left on the device that was written to")
    line = " ".join(visible(str(error)).split())
    code = InternalError.exit_code
    if isinstance(error, ProtoProofError) and not isinstance(error, InternalError):
        code, told = error.exit_code, f"error: {line}"
    else:
        line = f"internal error: {type(error).__name__}: {line}"
        told = (
            f"{line} - this is a bug: please report it with the output of the same command after "
            "`protoproof --debug`"
        )
    print(told, file=sys.stderr)
    if as_json:
        print_failure(line, code)
    sys.exit(code)


def _undecided(error: Exception, debug: bool, as_json: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exception(error)
    end_undecided(as_json)


def _flushed(code: Any) -> Any:
    """The exit code, once standard output has taken everything; else that of bad output."""
    try:
        sys.stdout.flush()
    except OSError as error:
        print(f"error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        return OutputError.exit_code
    return code
