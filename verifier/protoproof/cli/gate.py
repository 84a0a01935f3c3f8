"""``gate``: decide about a release."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from protoproof.cli.campaign import (
    CORES,
    Address,
    Device,
    Engine,
    Workers,
    end_by_signal,
    print_healed,
    progress_bar,
)
from protoproof.cli.options import Json, Label, Latent, Output, Preprocess, Quiet
from protoproof.cli.terminal import console, print_json, program, safe
from protoproof.errors import OutputError, UsageError
from protoproof.extras import require

if TYPE_CHECKING:
    from protoproof.gate import GateResult

# needed, and often stated by protoproof.yaml: see ``_needed``
Policy = Annotated[
    Path | None, typer.Option("--policy", help="What the release has to fulfil (needed).")
]
Net = Annotated[Path | None, typer.Option("--model", help="The network, an ONNX file (needed).")]
Data = Annotated[
    str | None,
    typer.Option("--data", help="mnist5k, FILE.npz, or an image folder (test); needed."),
]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", help="Earlier campaign or gate to compare with.")
]
BaselineModel = Annotated[
    Path | None,
    typer.Option("--baseline-model", help="Its network, if it does not lie where it did."),
]
Markdown = Annotated[
    Path | None, typer.Option("--markdown", help="Also write the result to this file.")
]
SHOWN = 5  # complaints of one check that the terminal spells out


def gate(
    policy: Policy = None,
    model: Net = None,
    data: Data = None,
    out: Annotated[Path, typer.Option("--out", help="Directory of campaign and results.")] = Path(
        "out/gate"
    ),
    baseline: Baseline = None,
    baseline_model: BaselineModel = None,
    latent: Latent = None,
    output: Output = None,
    label: Label = None,
    preprocess: Preprocess = None,
    workers: Workers = CORES,
    engine: Engine = "local",
    address: Address = None,
    device: Device = "cpu",
    markdown: Markdown = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a campaign and decide by a policy: exit code 0 passed, 1 failed, 3 undecided."""
    from protoproof.files import write_atomic
    from protoproof.gate.stale import set_results_aside

    # before anything can go wrong: nobody is to take the last run's result for this one's
    set_results_aside(out, *([] if markdown is None else [markdown]))
    asked = _needed(policy, model, data)
    require("explain", "the gate")
    from protoproof.explanation.evidence import called
    from protoproof.gate import run_gate
    from protoproof.gate.markdown import to_markdown

    with progress_bar(quiet or as_json) as step:
        result = run_gate(
            *asked,
            out,
            latent=latent or (),
            output=output,
            label=label,
            preprocess=preprocess,
            baseline=baseline,
            baseline_model=baseline_model,
            workers=workers,
            engine=engine,
            address=address,
            device=device,
            progress=step,
            about=called([*program(), *sys.argv[1:]]),
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


def _needed(policy: Path | None, model: Path | None, data: str | None) -> tuple[Path, Path, str]:
    """What no gate does without.

    Raises:
        UsageError: something is missing; where a start is made is said.
    """
    if policy is not None and model is not None and data is not None:
        return policy, model, data
    given = {"--policy": policy, "--model": model, "--data": data}
    missing = ", ".join(name for name, value in given.items() if value is None)
    raise UsageError(
        f"gate needs {missing}, on the command line or in protoproof.yaml here; for a start, "
        "protoproof init MODEL --data DATA writes that file and a policy"
    )


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
    words = {"passed": "ok", "failed": "[bold red]FAILED[/bold red]", "undecided": "undecided"}
    for check in result.checks:
        table.add_row(words[check.status], safe(check.id), safe(check.measured), safe(check.limit))
    screen.print(table)
    for check in result.checks:
        if check.status == "passed" and not (check.refers and check.findings):
            continue
        place = f"{result.policy.path}:{result.policy.line(check.place)}"
        what = ": to be looked at by a person" if check.refers and check.findings else ""
        screen.print(f"\n[bold]{safe(check.id)}[/bold] ({safe(place)}){what}", highlight=False)
        for finding in check.findings[:SHOWN]:
            screen.print(f"  - {safe(finding.name)}: {safe(finding.text)}", highlight=False)
        if len(check.findings) > SHOWN:
            screen.print(f"  - and {len(check.findings) - SHOWN} more (see gate.json)")
    proved, right = result.signals
    screen.print(f"\nexplained   {proved}", highlight=False)
    screen.print(f"predictions {right}, which no proof says", highlight=False)
    screen.print(f"gate        [bold]{result.outcome}[/bold]")
    print_healed(result.healed)
    screen.print(f"results     {safe(str(out))}/gate.json, gate.junit.xml, gate.sarif")
