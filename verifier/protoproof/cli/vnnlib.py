"""``vnnlib``: a solver with the command line of the VNN-LIB standard, and a short form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from protoproof.cli.options import Latent, Output
from protoproof.errors import UsageError
from protoproof.extras import require
from protoproof.version import VERSION

Query = Annotated[Path, typer.Argument(metavar="QUERY", help="The query, a VNN-LIB file.")]
Seconds = Annotated[
    int | None, typer.Option("--timeout", min=0, help="Seconds; then no further stage starts.")
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--serialise-assignments",
        metavar="FOLDER",
        help="Write a satisfying assignment there, one TensorProto per variable.",
    ),
]
_SHORT = "decide"


class _Solver(TyperGroup):
    """``MODEL QUERY`` where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = next((word for word in args if not word.startswith("-")), None)
        if first is not None and first not in self.commands:
            args = [_SHORT, *args]
        return super().parse_args(ctx, args)


def solver() -> typer.Typer:
    """The verb with its commands."""
    app = typer.Typer(
        cls=_Solver,
        help="Decide queries in VNN-LIB 1.0 and 2.0, hidden nodes included: vnnlib MODEL QUERY, or "
        "with the standard's command line. Prints sat (with the input), unsat, unknown or "
        "timed-out; the exit code is 0 whatever the answer is.",
        no_args_is_help=True,
        subcommand_metavar="MODEL QUERY | COMMAND [ARGS]...",
        add_completion=False,
    )
    app.callback(invoke_without_command=True)(_about)
    app.command(_SHORT, hidden=True)(decide)
    app.command("verify")(verify)
    app.command(
        "supports",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(supports)
    return app


def _about(
    context: typer.Context,
    name: Annotated[bool, typer.Option("--name", help="Print the solver's name.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print its version.")] = False,
) -> None:
    if name and version:
        raise UsageError("give --name or --version, one of the two")
    if (name or version) and context.invoked_subcommand is not None:
        raise UsageError("--name and --version stand alone")
    if name or version:
        print("ProtoProof" if name else VERSION)
        raise typer.Exit


def decide(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The network, an ONNX file.")],
    query: Query,
    timeout: Seconds = None,
    serialise_assignments: Folder = None,
    latent: Latent = None,
    output: Output = None,
) -> None:
    """Decide a query about a model."""
    _run(query, {"": model}, timeout, serialise_assignments, latent, output)


def verify(
    query: Query,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network", metavar="NAME=FILE", help="The ONNX file of the network of this name."
        ),
    ] = None,
    timeout: Seconds = None,
    serialise_assignments: Folder = None,
    latent: Latent = None,
    output: Output = None,
) -> None:
    """Whether some input satisfies the query (chapter 5 of the standard)."""
    given: dict[str, Path] = {}
    for pair in network or ():
        name, sign, path = pair.partition("=")
        if not sign or not name or not path:
            raise UsageError(f"--network {pair}: write NAME=FILE")
        if name in given:
            raise UsageError(f"--network {name}: is given twice")
        given[name] = Path(path)
    _run(query, given, timeout, serialise_assignments, latent, output)


def _run(
    path: Path,
    given: dict[str, Path],
    timeout: int | None,
    folder: Path | None,
    latent: list[str] | None,
    output: str | None,
) -> None:
    require("vnnlib", "deciding queries")
    from protoproof.network import load
    from protoproof.query.decide import decide as decided
    from protoproof.query.language import read_query
    from protoproof.query.standard import lines, network_file, serialise

    query = read_query(path)
    file = given[""] if "" in given else network_file(query, given)
    answer = decided(query, load(file, latent=tuple(latent or ()), output=output), timeout)
    if folder is not None:
        serialise(answer, folder)
    print("\n".join(lines(answer, assignment=folder is None)))
    if answer.reason:
        print(f"{answer.word}: {' '.join(answer.reason.split())}", file=sys.stderr)


def supports(
    context: typer.Context,
    capability: Annotated[
        list[str] | None,
        typer.Argument(metavar="--CAPABILITY", help="None: all are listed."),
    ] = None,
) -> None:
    """Print what is supported: one of the standard's capabilities, as an option."""
    from protoproof.query.standard import CAPABILITIES

    asked = [word.removeprefix("--") for word in (*(capability or ()), *context.args)]
    if len(asked) != 1 or asked[0] not in CAPABILITIES:
        known = ", ".join(f"--{name}" for name in CAPABILITIES)
        raise UsageError(f"supports: give one of {known}")
    print("\n".join(CAPABILITIES[asked[0]]()))
