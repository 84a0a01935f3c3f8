"""``gate`` and ``diff``: decide about a release; compare two campaigns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from protoproof.cli.campaign import (
    CORES,
    Address,
    Data,
    Device,
    Engine,
    Workers,
    end_by_signal,
    progress_bar,
    read_instances,
)
from protoproof.cli.options import Json, Quiet
from protoproof.cli.terminal import console, print_json, safe
from protoproof.errors import OutputError

if TYPE_CHECKING:
    from protoproof.gate import Comparison, GateResult

SHOWN = 5  # complaints of one check that the terminal spells out


def gate(
    policy: Annotated[Path, typer.Option("--policy", help="What the release has to fulfil.")],
    model: Annotated[Path, typer.Option("--model", help="The network, an ONNX file.")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Directory of campaign and results.")] = Path(
        "out/gate"
    ),
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", help="Earlier campaign or gate to compare with."),
    ] = None,
    workers: Workers = CORES,
    engine: Engine = "local",
    address: Address = None,
    device: Device = "cpu",
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Also write the result to this file.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a campaign and decide by a policy: exit code 0 passed, 1 failed, 3 undecided."""
    from protoproof.files import write_atomic
    from protoproof.gate import run_gate
    from protoproof.gate.markdown import to_markdown

    with progress_bar(quiet or as_json) as step:
        result = run_gate(
            policy,
            model,
            read_instances(data),
            out,
            baseline=baseline,
            workers=workers,
            engine=engine,
            address=address,
            device=device,
            progress=step,
        )
    if markdown is not None:
        write_atomic(markdown, to_markdown(result).encode("utf-8"))
    append_job_summary(to_markdown(result))
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        print_gate(result, out)
    end_by_signal(result.stopped)
    raise typer.Exit(result.exit_code)


def append_job_summary(text: str) -> None:
    """Add to the summary page of a GitHub job, where the environment names one.

    Raises:
        OutputError: it cannot be written.
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise OutputError(f"cannot write $GITHUB_STEP_SUMMARY: {error.strerror}") from error


def print_gate(result: GateResult, out: Path) -> None:
    """The table of checks, what the failing ones complain about, and where everything is."""
    screen = console()
    name = safe(result.model["name"])
    policy = safe(result.policy.policy.name)
    screen.print(f"[bold]{name}[/bold] against the policy [bold]{policy}[/bold]")
    table = Table("", box=None, pad_edge=False)
    table.add_column("check", no_wrap=True)  # a rule's name is never cut
    table.add_column("measured", overflow="fold")
    table.add_column("asked for", overflow="fold")
    words = {"passed": "ok", "failed": "FAILED", "undecided": "undecided"}
    for check in result.checks:
        table.add_row(words[check.status], safe(check.id), safe(check.measured), safe(check.limit))
    screen.print(table)
    for check in result.failures:
        place = f"{result.policy.path}:{result.policy.line(check.place)}"
        screen.print(f"\n[bold]{safe(check.id)}[/bold] ({safe(place)})", highlight=False)
        for finding in check.findings[:SHOWN]:
            screen.print(f"  - {safe(finding.name)}: {safe(finding.text)}", highlight=False)
        if len(check.findings) > SHOWN:
            screen.print(f"  - and {len(check.findings) - SHOWN} more (see gate.json)")
    screen.print(f"\ngate        [bold]{result.outcome}[/bold]")
    screen.print(f"results     {safe(str(out))}/gate.json, gate.junit.xml, gate.sarif")


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Directory of a campaign or gate.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Directory of a later one.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two campaigns: proofs lost, won, changed. Exit code 1 if any was lost."""
    from protoproof.gate import compare_directories

    found = compare_directories(old, new)
    if as_json:
        print_json(found.to_json())
    elif not quiet:
        print_diff(found)
    raise typer.Exit(1 if found.count("lost") else 0)


def print_diff(found: Comparison) -> None:
    """Changes over all, per class and per prototype."""
    screen, document = console(), found.to_json()
    head = "the same head" if found.same_head else "another head"
    screen.print(
        f"{safe(found.old.model.name)} -> [bold]{safe(found.new.model.name)}[/bold]: {head}, "
        f"{len(found.pairs)} common instances"
    )
    screen.print("proofs      " + ", ".join(f"{n} {c}" for c, n in document["changes"].items()))
    if document["drift"]["mean"] is not None:
        drift = document["drift"]
        screen.print(f"drift       mean {drift['mean']:.4f}, largest {drift['max']:.4f} (Jaccard)")
    for name, region in document["regions"].items():
        moved = f"{region['certified_old']} -> {region['certified_new']} certified"
        screen.print(f"region      {safe(name)}: {moved}", highlight=False)
    classes = Table("class", "same", "changed", "lost", "won", "open", "right", box=None)
    for row in document["classes"]:
        counts = [str(row["changes"].get(c, 0)) for c in ("same", "changed", "lost", "won", "open")]
        right = f"{row['correct_old']} -> {row['correct_new']} of {row['instances']}"
        classes.add_row(safe(row["class"]), *counts, right)
    screen.print(classes)
    if document["prototypes"]:
        table = Table("prototype", "values", "named", "in lost", "in won", box=None)
        for row in document["prototypes"]:
            values = "changed" if row["changed"] else "equal"
            named = f"{row['used_old']} -> {row['used_new']}"
            cells = (row["prototype"], values, named, row["lost"], row["won"])
            table.add_row(*map(str, cells))
        screen.print(table)
    for row in document["instances"]:
        if row["change"] == "lost":
            text = f"lost        instance {row['index']}: {row['new_state']} {row['reason']}"
            screen.print(safe(text), highlight=False)
