"""What every verb of the program shares: its name, ``--debug``, ``--version``."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from protoproof.version import VERSION


def new_program() -> typer.Typer:
    """The program without any verb."""
    app = typer.Typer(
        name="protoproof",
        help="Prove why a prototype network predicts what it predicts.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(common)
    return app


def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Prove why a prototype network predicts what it predicts."""
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s: %(message)s")
    if version:
        print(f"protoproof {VERSION}")
        raise typer.Exit
