"""Command line: parse arguments, call the library, print, set the exit code. No logic."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from verifier.errors import InternalError, OutputError, ProtoProofError, UsageError
from verifier.report.text import visible
from verifier.version import VERSION

_SHOWN = 12  # facts that the terminal spells out

app = typer.Typer(
    name="protoproof",
    help="Prove why a prototype network predicts what it predicts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The network, an ONNX file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Input = Annotated[
    Path, typer.Option("--input", help="An image (.png, .jpg) or array (.npy, .npz).")
]
Index = Annotated[
    int | None, typer.Option("--index", min=0, help="Which entry of an array with many inputs.")
]
Vocabulary = Annotated[
    str,
    typer.Option(
        "--vocabulary", help="auto (the smallest proved), topk, ceiling, pairs: kinds of facts."
    ),
]
Domain = Annotated[
    str,
    typer.Option("--domain", help="free (every latent) or box (what the last layer can output)."),
]

Witnesses = Annotated[
    bool, typer.Option(help="Search, for every fact, a latent that shows why it is needed.")
]
Inflate = Annotated[
    bool,
    typer.Option("--inflate", help="Widen facts (not pairs) to intervals that keep the proof."),
]
Oracle = Annotated[
    str,
    typer.Option("--oracle", help="auto, exact (each prototype alone), relational (all together)."),
]


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


@app.command()
def inspect(model: Model, as_json: Json = False) -> None:
    """Say exactly what would be verified: graph, latent, prototypes, head, and any refusal."""
    from verifier.network.inspect import inspect_file

    found = inspect_file(model)
    if as_json:
        _print_json(found.to_json())
    else:
        _console().print(found.to_text(), markup=False, highlight=False)
    if found.refusals:
        raise typer.Exit(2)


@app.command()
def explain(
    model: Model,
    input_: Input,
    index: Index = None,
    vocabulary: Vocabulary = "auto",
    domain: Domain = "free",
    oracle: Oracle = "auto",
    witnesses: Witnesses = True,
    inflate: Inflate = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The certificate's file; the page is written beside it."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find few facts that force one prediction, prove them, and write certificate and page."""
    from verifier.network import load
    from verifier.network.inputs import read_input
    from verifier.session import explain_to_files

    network = load(model)
    description = network.description
    x = read_input(input_, network.input_shape, network.input_range, index)
    name = input_.name if index is None else f"{input_.name}[{index}]"
    stem = input_.stem if index is None else f"{input_.stem}-{index}"
    result = explain_to_files(
        network,
        x,
        out=out or Path("out/explain") / f"{stem}.cert.json",
        input_name=name,
        program=_program(),
        arguments=sys.argv[1:],
        vocabulary=vocabulary,
        domain=domain,
        oracle=oracle,
        witnesses=witnesses,
        widen=inflate,
        protected=[input_],
    )
    if as_json:
        _print_json(result.to_json())
    elif not quiet:
        _print_explanation(result, description.name)
    raise typer.Exit(result.explanation.verdict.exit_code)


@app.command()
def check(
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="The certificate.")],
    model: Model,
    input_: Annotated[
        Path | None, typer.Option("--input", help="Also run this input, and compare its latent.")
    ] = None,
    index: Index = None,
    allow_declared: Annotated[
        bool,
        typer.Option(
            "--allow-declared",
            help="Take it on trust that the graph computes a head that is only declared.",
        ),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Re-prove a certificate from the model file alone, in exact arithmetic."""
    from verifier import checker

    if index is not None and input_ is None:
        raise UsageError("--index chooses an entry of --input; give both, or neither")
    # what is proved and what is observed are about the same bytes: each file is read once
    content, subject = checker.read_file(certificate), model
    digest, observed = None, None
    if input_ is not None:
        from verifier.assembly import input_digest
        from verifier.network import load
        from verifier.network.inputs import read_input

        network = load(model)
        x = read_input(input_, network.input_shape, network.input_range, index)
        digest, subject = input_digest(x), network.data
    report = checker.check(content, subject, digest, allow_declared=allow_declared)
    code = {"accepted": 0, "rejected": 1, "incomplete": 3}[report.status]
    if input_ is not None and report.accepted:
        from verifier.session import confirm_latent

        verdict, observed = confirm_latent(content, network, x)
        code = verdict.exit_code
    if as_json:
        _print_json(report.to_json() | {"observed": observed, "exit_code": code})
    elif not quiet:
        _print_check(report, observed, code)
    raise typer.Exit(code)


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
        _print_json(result.to_json())
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
        _print_json(result.to_json())
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
    from models.demo import run_demo

    result = run_demo(out, index, _program(), sys.argv[1:])
    if as_json:
        _print_json(result.to_json())
    else:
        _print_explanation(result, "mnist-7x7")
    raise typer.Exit(result.explanation.verdict.exit_code)


def _print_explanation(result: Any, model_name: str) -> None:
    explanation, console = result.explanation, _console()
    console.print(
        f"{_safe(result.input_name)}: [bold]{_safe(model_name)}[/bold] sees "
        f"[bold]{_safe(explanation.predicted_name)}[/bold]"
        f"  (margin {explanation.margin:.3f} over the closest rival)"
    )
    table = Table("vocabulary", "facts", "verdict", "time", box=None, pad_edge=False)
    for attempt in explanation.attempts:
        table.add_row(
            attempt.vocabulary,
            "-" if attempt.size is None else str(attempt.size),
            _safe(str(attempt.verdict)),
            f"{attempt.seconds * 1e3:.0f} ms",
        )
    if explanation.attempts:
        console.print(table)
    if explanation.certificate is None:
        console.print(f"verdict     [bold]{_safe(str(explanation.verdict))}[/bold]")
        return
    count = f"{explanation.size} fact" + ("" if explanation.size == 1 else "s")
    console.print(f"\nThe smallest, {explanation.vocabulary} ({count}):")
    for sentence in result.sentences[:_SHOWN]:
        console.print(f"  - {_safe(sentence)}", highlight=False)
    if len(result.sentences) > _SHOWN:
        console.print(f"  - and {len(result.sentences) - _SHOWN} more (see the page)")
    proved = len(explanation.necessary)
    console.print("\nverdict     [bold]proved[/bold], level R (real arithmetic, float32 weights)")
    console.print(f"necessary   {proved} proved by a witness, {explanation.size - proved} open")
    console.print(f"checker     certificate {explanation.check.status}")
    console.print(f"certificate {_safe(str(result.certificate))}")
    console.print(f"page        {_safe(str(result.page))}")
    console.print(f"re-check    {_safe(result.recheck)}")


def _print_check(report: Any, observed: str | None, code: int) -> None:
    console = _console()
    for obligation in report.obligations:
        mark = {True: "ok", False: "FAILED", None: "not run"}[obligation.passed]
        console.print(
            f"{obligation.number:>3}  {mark:<8} {_safe(obligation.name)}"
            + (f": {_safe(obligation.detail)}" if obligation.detail else ""),
            highlight=False,
        )
    for word, value in report.subject:
        console.print(f"about    {word}: {_safe(value)}", highlight=False)
    for assumption in report.assumptions:
        console.print(f"assumes  {_safe(assumption)}", highlight=False)
    for claim in report.claims:
        console.print(f"claim    {_safe(claim)}", highlight=False)
    if observed is not None:
        console.print(f"observed {_safe(observed)}", highlight=False)
    if report.accepted and code:
        console.print("[bold]the certificate is sound, but not confirmed for this input[/bold]")
    else:
        console.print(f"certificate [bold]{report.status}[/bold]")


def _safe(text: str) -> str:
    """Text from files and users: no markup, no terminal escape, nothing hidden."""
    return escape(visible(text))


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False))


def _console() -> Console:
    return Console(soft_wrap=True)


def _program() -> list[str]:
    """How this program was started: the console script, or this file."""
    if Path(sys.argv[0]).name != "cli.py":
        return ["protoproof"]
    python = Path(sys.executable)
    below = python.is_relative_to(Path.cwd())  # the environment that make creates
    return [str(python.relative_to(Path.cwd())) if below else "python", sys.argv[0]]


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
