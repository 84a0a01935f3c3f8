"""``campaign``: many instances, resumably."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from protoproof.cli.options import (
    Compare,
    Domain,
    ForReading,
    Inflate,
    Json,
    Label,
    Latent,
    Level,
    Model,
    Oracle,
    Output,
    Preprocess,
    Quiet,
    Seed,
    Vocabulary,
    Witnesses,
)
from protoproof.cli.terminal import Log, console, print_json, program, safe, watched
from protoproof.extras import require

if TYPE_CHECKING:
    from protoproof.campaign import Campaign, CampaignOptions, Instances
    from protoproof.campaign import Progress as Step
    from protoproof.campaign.signal import Signal
    from protoproof.network import Network

Data = Annotated[str, typer.Option("--data", help="mnist5k, FILE.npz, or an image folder (test).")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes (default: all cores).")]
Engine = Annotated[str, typer.Option("--engine", help="local (processes here) or ray.")]
Address = Annotated[
    str | None, typer.Option("--address", help="Of a Ray cluster; default: one on this machine.")
]
Device = Annotated[
    str,
    typer.Option("--device", help="cpu or cuda: where regions are falsified and bounded."),
]
PerClass = Annotated[
    int | None, typer.Option("--per-class", min=1, help="So many of each class, by --seed.")
]
Indices = Annotated[str | None, typer.Option("--indices", help="Only these, like 0,5,10-19.")]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Certify every instance over it, like linf:0.1; repeatable."),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="Seconds per instance, and per region of one; then with the best that is proved.",
    ),
]
Memory = Annotated[
    int | None, typer.Option("--memory", min=1, help="Megabytes per worker process.")
]
Baseline = Annotated[
    Path | None,
    typer.Option("--baseline", help="Earlier campaign whose certificates may carry over."),
]
Parquet = Annotated[
    Path | None, typer.Option("--parquet", help="Also write the rows to this file.")
]
CORES = os.cpu_count() or 1
_WRONG = 5  # wrong predictions that are named


def campaign(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Directory; resumes what it holds.")],
    per_class: PerClass = None,
    indices: Indices = None,
    seed: Seed = 0,
    vocabulary: Vocabulary = "auto",
    domain: Domain = "free",
    oracle: Oracle = "auto",
    witnesses: Witnesses = True,
    inflate: Inflate = False,
    label: Label = None,
    level: Level = "auto",
    compare: Compare = False,
    for_reading: ForReading = False,
    latent: Latent = None,
    output: Output = None,
    preprocess: Preprocess = None,
    region: Regions = None,
    timeout: Timeout = 60.0,
    memory: Memory = None,
    workers: Workers = CORES,
    engine: Engine = "local",
    address: Address = None,
    device: Device = "cpu",
    baseline: Baseline = None,
    parquet: Parquet = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Explain many instances, resumably; certificates, ledger and summary go to --out."""
    require("explain", "a campaign")
    from protoproof.campaign import CampaignOptions, Limits, Options, Selection, parse_indices
    from protoproof.explanation.evidence import called
    from protoproof.network import load

    how = vocabulary, domain, oracle, witnesses, inflate, label, level
    asked = CampaignOptions(
        selection=Selection(per_class, seed, None if indices is None else parse_indices(indices)),
        options=Options(*how, compare, for_reading),
        regions=region or (),
        limits=Limits(timeout, memory),
        workers=workers,
        device=device,
        engine=engine,
        address=address,
        earlier=baseline,
        about=called([*program(), *sys.argv[1:]]),
    )
    _require_ready(asked, parquet)
    from protoproof.campaign.instances import read_instances

    network = load(model, latent=latent or (), output=output, preprocess=preprocess)
    instances = read_instances(data, network.pixels.preprocessing)
    result = _run(network, instances, out, asked, parquet, hidden=quiet or as_json)
    _answer(result, as_json=as_json, quiet=quiet)
    end_by_signal(result.stopped)
    raise typer.Exit(0 if set(_seen(result)) <= {"proved"} and _decided(result) else 3)


def _answer(result: Campaign, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(_document(result))
    elif not quiet:
        print_campaign(result)


def _require_ready(asked: CampaignOptions, parquet: Path | None) -> None:
    """Refuse, before any work, what is not installed or cannot be written."""
    from protoproof.files import require_writable

    asked.require_installed()
    if parquet is not None:
        require("parquet", "--parquet")
        require_writable(parquet.parent)


def _run(
    network: Network,
    instances: Instances,
    out: Path,
    asked: CampaignOptions,
    parquet: Path | None,
    *,
    hidden: bool,
) -> Campaign:
    """Run it, with a bar unless ``hidden``, and export its rows where asked for."""
    from protoproof.campaign import run_campaign

    with progress_bar(hidden) as step:
        result = run_campaign(network, instances, out, asked, progress=step)
    if parquet is not None:
        from protoproof.campaign.parquet import export_parquet

        export_parquet(out, parquet)
    return result


def end_by_signal(number: int | None) -> None:
    """End as the signal would have ended the program, now that everything is in order."""
    if number is not None:
        sys.stdout.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def print_campaign(result: Campaign) -> None:
    """States, accuracy and sizes, and where everything is."""
    from protoproof.campaign.signal import signal

    out, document = console(), result.summary
    out.print(
        f"[bold]{safe(result.model.name)}[/bold] on {safe(result.about['data']['name'])}: "
        f"{len(result.rows)} instances ({_results(result)}"
        + (f", {result.carried} of them carried over)" if result.carried else ")")
    )
    print_healed(result.healed)
    out.print("states      " + ", ".join(f"{n} {state}" for state, n in _seen(result).items()))
    accuracy = document["accuracy"]
    wrong = [row.shown for row in result.rows if row.correct is False]
    which = f"; [bold red]WRONG[/bold red]: {safe(', '.join(wrong[:_WRONG]))}" if wrong else ""
    which += f" and {len(wrong) - _WRONG} more" if len(wrong) > _WRONG else ""
    right = f"{accuracy['correct']} of {len(result.rows)} right"
    out.print(f"predictions {right}, which no proof says{which}", highlight=False)
    columns = "vocabulary", "proved", "median", "p95", "largest", "numbers: median", "largest"
    table = Table(*columns, box=None, pad_edge=False)
    for vocabulary, sizes in document["sizes"].items():
        if not sizes["count"]:
            continue  # never the smallest
        read = sizes["numbers"]
        values = *(sizes[n] for n in ("count", "median", "p95", "max")), read["median"], read["max"]
        table.add_row(safe(vocabulary), *("-" if v is None else f"{v:g}" for v in values))
    if document["sizes"]:
        out.print(table)
    for line in signal_lines(signal(result.rows)):
        out.print(f"signal      {line}", highlight=False)
    for name, found in document["regions"].items():
        states = ", ".join(f"{n} {state}" for state, n in found["states"].items() if n)
        certified = f"{found['certified']} of {len(result.rows)} certified"
        out.print(f"region      {safe(name)}: {certified} ({states})", highlight=False)
    reasons = {row.record.reason: row for row in reversed(result.rows) if row.record.reason}
    for reason, row in sorted(reasons.items(), key=lambda item: item[1].index)[:5]:
        out.print(f"not proved  {safe(row.shown)}: {safe(reason)}", highlight=False)
    out.print(f"summary     {safe(str(result.directory / 'summary.json'))}")
    if result.stopped is not None:
        out.print("[bold]stopped early[/bold]; run the same command again to go on")


def signal_lines(found: Signal) -> Iterator[str]:
    """How well sizes tell wrong predictions from right ones, or why that was not measured."""
    if found.reason:
        yield found.reason
    for curve in found.curves:
        what = f"{curve.unit}: median {abs(curve.right[1]):g} right, {abs(curve.wrong[1]):g} wrong"
        area = f"area {curve.area:.2f} ({curve.low:.2f} to {curve.high:.2f})"
        yield f"{what}; {area} for telling {found.wrong} wrong from {found.right} right"


def print_healed(count: int) -> None:
    """Say that results of an earlier run were not what it left: a directory is nobody's word."""
    if count:
        console().print(
            f"healed      {count} of an earlier run's results were missing or altered since, and "
            "were computed again"
        )


def _results(result: Campaign) -> str:
    known = (
        f"{result.reused} results known before"
        if result.regions
        else f"{result.reused} known before"
    )
    return f"{known}, {result.computed} computed"


def _seen(result: Campaign) -> dict[str, int]:
    return {state: n for state, n in result.states.items() if n}


def _decided(result: Campaign) -> bool:
    """Whether every region is proved or refuted: both are answers."""
    records = (record for found in result.regions.values() for record in found.values())
    return all(record.state in ("proved", "refuted") for record in records)


def _document(result: Campaign) -> dict[str, Any]:
    run = {"computed": result.computed, "reused": result.reused, "carried": result.carried}
    run |= {"healed": result.healed}
    return result.summary | {"run": run, "directory": str(result.directory)}


class _Rate(ProgressColumn):
    """Instances per second of this run."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


@contextmanager
def progress_bar(hidden: bool) -> Iterator[Callable[[Step], None]]:
    """A bar on standard error with count, rate and time left; lines where it is no terminal."""
    if not hidden and not watched():
        log = Log()
        yield lambda now: log(f"{now.done} of {now.total} results")
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=hidden,
    )
    started: list[TaskID] = []

    def step(now: Step) -> None:
        if not started:  # not before there is something to show: a refusal is one line
            bar.start()
            started.append(bar.add_task("explaining", total=now.total, completed=now.done))
        elif now.state is not None:
            bar.update(started[0], completed=now.done)

    try:
        yield step
    finally:
        if started:
            bar.stop()
