"""Command line: the verbs, and how a failure ends. Verbs of the verifier: verifier/console."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from protoproof.cli import (
    ambiguity as ambiguous,
)
from protoproof.cli import (
    campaign as campaigning,
)
from protoproof.cli import (
    certify as certifying,
)
from protoproof.cli import (
    explain as explaining,
)
from protoproof.cli import (
    gate as gating,
)
from protoproof.cli import (
    report as reporting,
)
from protoproof.cli.options import Json, Quiet, Seed
from protoproof.cli.render import print_explanation
from protoproof.cli.terminal import print_json, program
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
    explaining.inspect,
    explaining.explain,
    certifying.certify,
    explaining.check,
    ambiguous.ambiguity,
    campaigning.campaign,
    gating.gate,
    gating.diff,
    reporting.report,
):
    app.command()(verb)


@app.command()
def train(
    data: Annotated[str, typer.Option("--data", help="mnist5k, FILE.npz, or an image folder.")],
    out: Annotated[
        Path, typer.Option("--out", help="Directory for checkpoint, model, provenance.")
    ],
    family: Annotated[str, typer.Option("--family", help="Kind of network: protopnet.")] = (
        "protopnet"
    ),
    grid: Annotated[int, typer.Option("--grid", min=1, help="Latent grid, rows and columns.")] = 7,
    certified_eps: Annotated[
        float | None,
        typer.Option("--certified-eps", min=0.0, help="Train for this L-inf radius (pixel units)."),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Default: by size.")] = None,
    prototypes_per_class: Annotated[
        int | None, typer.Option("--prototypes-per-class", min=1, help="How many.")
    ] = None,
    channels: Annotated[int | None, typer.Option("--channels", min=1, help="Latent size.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the network.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a prototype network and export it to ONNX with its head description."""
    from models.train import train_model

    result = train_model(
        family,
        data,
        out,
        grid=grid,
        certified_eps=certified_eps,
        seed=seed,
        epochs=epochs,
        prototypes_per_class=prototypes_per_class,
        channels=channels,
        name=name,
        quiet=quiet or as_json,
    )
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        print(f"model        {result.export.model}")
        print(f"checkpoint   {result.checkpoint}")
        for key, value in result.accuracy.items():
            print(f"{key:<12} {value:.4g}")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="From `train`.")],
    out: Annotated[Path, typer.Option("--out", help="The ONNX file to write.")],
    data: Annotated[str, typer.Option("--data", help="Data to compare torch and ONNX on.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export a checkpoint to ONNX; refuses unless torch and ONNX Runtime agree."""
    from models.export import export_checkpoint

    result = export_checkpoint(checkpoint, out, data)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        print(f"model                {result.model}")
        print(f"largest difference   {result.agreement.logits:.3g} (logits)")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Output directory.")] = Path("out/demo"),
    index: Annotated[int, typer.Option("--index", min=0, help="Which test image.")] = 0,
    as_json: Json = False,
) -> None:
    """Explain one real handwritten digit with the 7x7 zoo network, and check the proof."""
    from protoproof.cli.demo import run_demo

    result = run_demo(out, index, program(), sys.argv[1:])
    if as_json:
        print_json(result.to_json())
    else:
        print_explanation(result, "mnist-7x7")
    raise typer.Exit(result.explanation.verdict.exit_code)


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


def main() -> None:
    """Entry point of the console script."""
    debug = "--debug" in sys.argv[1:]
    # a reader that has seen enough ends the program by the signal, never by exit code 1
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app()
    except SystemExit as end:
        sys.exit(_flushed(end.code))
    except MemoryError:
        _fail(UsageError("out of memory: model or data set is too large for this machine"), debug)
    except Exception as error:  # noqa: BLE001  # the last stop: every failure is one line
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


if __name__ == "__main__":
    main()
