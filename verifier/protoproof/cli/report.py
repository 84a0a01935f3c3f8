"""``report``: the audit report of a campaign, or the page of one certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protoproof.cli.campaign import data_of, where_it_lay
from protoproof.cli.options import Index, Json, Quiet
from protoproof.cli.terminal import console, print_json, program, safe
from protoproof.errors import UsageError


def report(
    subject: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A campaign's or gate's directory, or a certificate."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The HTML file.")] = Path("out/report.html"),
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also print it, with a headless Chromium, beside --out.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option("--model", help="The network, if it does not lie where it did.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="The data, if it does not lie where it did.")
    ] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="For a certificate: the input that it is about.")
    ] = None,
    index: Index = None,
    instances: Annotated[
        int, typer.Option("--instances", min=0, help="How many get a section of their own.")
    ] = 200,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write an audit report: one HTML file that loads nothing and runs nothing."""
    from protoproof.files import make_directory, require_writable
    from protoproof.report.audit import audit_to_files

    if subject.is_file():
        _single(subject, out, pdf, model, input_, index, as_json, quiet)
        return
    if input_ is not None or index is not None:
        raise UsageError("--input and --index are for a single certificate")
    where = where_it_lay(subject)
    if model is None and not where["model"]:
        raise UsageError(f"{subject}: does not say where the network lies; give it with --model")
    require_writable(out.parent)
    make_directory(out.parent)
    target = out.with_suffix(".pdf") if pdf else None
    page = audit_to_files(
        subject,
        out,
        model=model or Path(where["model"]),
        instances=data_of(data, where["data"]),
        pdf=target,
        sections=instances,
        program=program(),
    )
    if as_json:
        print_json(
            {
                "report": str(out),
                "pdf": None if target is None else str(target),
                "instances": page.total,
                "accepted": page.accepted,
                "rejected": page.rejected,
                "conditional": page.conditional,
                "undecided": page.undecided,
                "bytes": out.stat().st_size,
            }
        )
    elif not quiet:
        screen = console()
        word = f" ({page.conditional} on somebody's word)" if page.conditional else ""
        screen.print(f"certificates {page.accepted} accepted, {page.unaccepted} not{word}")
        absent = page.total - page.count("proved")
        if absent:
            screen.print(f"instances    {absent} of {page.total} not proved")
        for sentence in page.missing:
            screen.print(safe(sentence))
        screen.print(f"report       {safe(str(out))}")
        if target is not None:
            screen.print(f"pdf          {safe(str(target))}")
    raise typer.Exit(page.exit_code)


def _single(
    certificate: Path,
    out: Path,
    pdf: bool,
    model: Path | None,
    input_: Path | None,
    index: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """The one-page version, from a certificate, its model and its input."""
    from protoproof.files import make_directory, require_writable
    from protoproof.report.audit import page_to_files

    if model is None or input_ is None:
        raise UsageError("the page of one certificate needs --model and --input")
    require_writable(out.parent)
    make_directory(out.parent)
    target = out.with_suffix(".pdf") if pdf else None
    found = page_to_files(
        certificate, out, model=model, input_=input_, index=index, pdf=target, program=program()
    )
    if as_json:
        document = {"report": str(out), "pdf": None if target is None else str(target)}
        told = {"accepted": found.accepted, "status": found.status}
        print_json(document | told | {"conditions": list(found.conditions)})
    elif not quiet:
        screen = console()
        screen.print(f"certificate  {found.status}")
        for condition in found.conditions:
            screen.print(f"holds if     {safe(condition)}", highlight=False)
        screen.print(f"report       {safe(str(out))}")
        if target is not None:
            screen.print(f"pdf          {safe(str(target))}")
    raise typer.Exit(found.exit_code)
