"""``inspect``, ``explain`` and ``check``: one prediction, its explanation, its certificate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from verifier.console.options import (
    Contrast,
    Device,
    Domain,
    DumpSmt2,
    Index,
    Inflate,
    Json,
    Minimal,
    Model,
    Most,
    Oracle,
    Quiet,
    Timeout,
    Vocabulary,
    Witnesses,
)
from verifier.console.streaming import from_array, from_data, run_stream
from verifier.console.terminal import console, print_json, program, safe
from verifier.errors import UsageError

SHOWN = 12  # facts that the terminal spells out


def inspect(model: Model, as_json: Json = False) -> None:
    """Say exactly what would be verified: graph, latent, prototypes, head, and any refusal."""
    from verifier.network.inspect import inspect_file

    found = inspect_file(model)
    if as_json:
        print_json(found.to_json())
    else:
        console().print(found.to_text(), markup=False, highlight=False)
    if found.refusals:
        raise typer.Exit(2)


def explain(
    model: Model,
    input_: Annotated[
        Path | None,
        typer.Option("--input", help="An image (.png, .jpg) or array (.npy, .npz) of inputs."),
    ] = None,
    index: Index = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="mnist5k, an .npz or a folder: explain all its test images."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Of many inputs, only the first so many.")
    ] = None,
    vocabulary: Vocabulary = "auto",
    domain: Domain = "free",
    oracle: Oracle = "auto",
    witnesses: Witnesses = True,
    inflate: Inflate = False,
    minimal: Minimal = "subset",
    timeout: Timeout = 60.0,
    contrast: Contrast = None,
    most: Most = 100,
    dump_smt2: DumpSmt2 = None,
    device: Device = "cpu",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The certificate's file; of many inputs, the directory."),
    ] = None,
    pages: Annotated[
        bool | None,
        typer.Option("--pages/--no-pages", help="Write pages. Default: for a single input."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find few facts that force a prediction, prove them, and write certificate and page.

    Many inputs (--data, or an array without --index) are explained one after another, one line
    each, with a summary at the end; --json gives JSON Lines.
    """
    from verifier.network import load
    from verifier.network.inputs import open_inputs, read_input
    from verifier.session import explain_to_files

    if (input_ is None) == (data is None):
        raise UsageError("give the inputs by --input or by --data, one of the two")
    if index is not None and data is not None:
        raise UsageError("--index chooses an entry of --input; with --data, use --limit")
    network = load(model)
    options: dict[str, Any] = {
        "vocabulary": vocabulary,
        "domain": domain,
        "oracle": oracle,
        "witnesses": witnesses,
        "widen": inflate,
        "minimal": minimal,
        "timeout": timeout,
        "contrast": contrast,
        "most": most,
        "device": device,
        "protected": [] if input_ is None else [input_],
    }
    many = None
    if data is not None:
        many = from_data(network, data)
    elif input_ is not None and index is None:
        array = open_inputs(input_, network.input_shape, network.input_range)
        many = None if array is None else from_array(array)
    if many is not None or input_ is None:
        folder = out or Path("out/explain")
        show = bool(pages)
        code = run_stream(
            network, many or iter(()), limit, folder, as_json, quiet, pages=show, **options
        )
        raise typer.Exit(code)
    if limit is not None:
        raise UsageError("--limit is for many inputs, and this is one")
    x = read_input(input_, network.input_shape, network.input_range, index)
    name = input_.name if index is None else f"{input_.name}[{index}]"
    stem = input_.stem if index is None else f"{input_.stem}-{index}"
    result = explain_to_files(
        network,
        x,
        out=out or Path("out/explain") / f"{stem}.cert.json",
        input_name=name,
        program=program(),
        arguments=sys.argv[1:],
        page=pages is not False,
        **options,
    )
    if dump_smt2 is not None and result.explanation.certificate is not None:
        from verifier.questions import write_smt2

        write_smt2(network, result.explanation, dump_smt2)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        print_explanation(result, network.description.name)
    raise typer.Exit(result.explanation.verdict.exit_code)


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
    content = checker.read_file(certificate)
    subject: Path | bytes = model
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
        print_json(report.to_json() | {"observed": observed, "exit_code": code})
    elif not quiet:
        print_check(report, observed, code)
    raise typer.Exit(code)


def print_explanation(result: Any, model_name: str) -> None:
    """The outcome of ``explain``: sizes, facts in words, what is proved, where the files are."""
    explanation, out = result.explanation, console()
    out.print(
        f"{safe(result.input_name)}: [bold]{safe(model_name)}[/bold] sees "
        f"[bold]{safe(explanation.predicted_name)}[/bold]"
        f"  (margin {explanation.margin:.3f} over the closest rival)"
    )
    table = Table("vocabulary", "facts", "verdict", "time", box=None, pad_edge=False)
    for attempt in explanation.attempts:
        table.add_row(
            attempt.vocabulary,
            "-" if attempt.size is None else str(attempt.size),
            safe(str(attempt.verdict)),
            f"{attempt.seconds * 1e3:.0f} ms",
        )
    if explanation.attempts:
        out.print(table)
    if explanation.certificate is None:
        out.print(f"verdict     [bold]{safe(str(explanation.verdict))}[/bold]")
        return
    count = f"{explanation.size} fact" + ("" if explanation.size == 1 else "s")
    if explanation.size:
        out.print(f"\nThe smallest, {explanation.vocabulary} ({count}):")
    else:
        out.print("\nNo fact is needed: the domain alone forces the prediction.")
    for sentence in result.sentences[:SHOWN]:
        out.print(f"  - {safe(sentence)}", highlight=False)
    if len(result.sentences) > SHOWN:
        out.print(f"  - and {len(result.sentences) - SHOWN} more (see the page)")
    proved = len(explanation.necessary)
    out.print("\nverdict     [bold]proved[/bold], level R (real arithmetic, float32 weights)")
    out.print(f"domain      {safe(explanation.domain_name)}")
    out.print(f"necessary   {proved} proved by a witness, {explanation.size - proved} open")
    least = explanation.lower_bound
    if least is not None:
        open_ = f" ({explanation.gap_reason})" if explanation.gap_reason else ""
        word = "proved: none of this vocabulary has fewer facts over this domain"
        if least < explanation.size:
            word = f"open: at least {least} of these {explanation.size} are needed{open_}"
        out.print(f"smallest    {word}")
    elif explanation.gap_reason:
        out.print(f"smallest    open: {safe(explanation.gap_reason)}")
    for note in result.extras.notes(None):
        out.print(f"\n{safe(note.title)}:")
        for sentence in note.sentences:
            out.print(f"  - {safe(sentence)}", highlight=False)
    out.print(f"checker     certificate {explanation.check.status}")
    out.print(f"certificate {safe(str(result.certificate))}")
    if result.page is not None:
        out.print(f"page        {safe(str(result.page))}")
    out.print(f"re-check    {safe(result.recheck)}")


def print_check(report: Any, observed: str | None, code: int) -> None:
    """The outcome of ``check``: one line per obligation, then what is proved of what."""
    out = console()
    for obligation in report.obligations:
        mark = {True: "ok", False: "FAILED", None: "not run"}[obligation.passed]
        out.print(
            f"{obligation.number:>3}  {mark:<8} {safe(obligation.name)}"
            + (f": {safe(obligation.detail)}" if obligation.detail else ""),
            highlight=False,
        )
    for word, value in report.subject:
        out.print(f"about    {word}: {safe(value)}", highlight=False)
    for assumption in report.assumptions:
        out.print(f"assumes  {safe(assumption)}", highlight=False)
    for claim in report.claims:
        out.print(f"claim    {safe(claim)}", highlight=False)
    if observed is not None:
        out.print(f"observed {safe(observed)}", highlight=False)
    if report.accepted and code:
        out.print("[bold]the certificate is sound, but not confirmed for this input[/bold]")
    else:
        out.print(f"certificate [bold]{report.status}[/bold]")
