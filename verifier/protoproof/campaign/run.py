"""One campaign from plan to summary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Unpack

from protoproof.backend import engine_named
from protoproof.campaign.executor import MakeServer, Outcome, Task, compute
from protoproof.campaign.executor_process import LocalEngine
from protoproof.campaign.explain_task import ExplainJob
from protoproof.campaign.instances import Instances
from protoproof.campaign.lock import only_writer
from protoproof.campaign.options import CampaignKeywords, CampaignOptions
from protoproof.campaign.places import LATENTS
from protoproof.campaign.plan import Plan, earlier_results, make_plan
from protoproof.campaign.regions import RegionRecord
from protoproof.campaign.result import Campaign, Progress
from protoproof.campaign.store import Ledger, Timing
from protoproof.campaign.summary import timings, to_bytes
from protoproof.errors import UsageError
from protoproof.files import make_directory, require_writable, write_together
from protoproof.network import Network, load


def run_campaign(
    model: Path | Network,
    instances: Instances,
    out: Path,
    asked: CampaignOptions | None = None,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    make_server: MakeServer | None = None,
    **keywords: Unpack[CampaignKeywords],
) -> Campaign:
    """Explain many instances; resume where an earlier run into the same directory stopped.

    Args:
        model: the network, or its file.
        instances: the data.
        out: directory of ledger, certificates, ``summary.json`` and ``timings.json``.
        asked: what is asked; the defaults if not given.
        progress: called after every instance.
        make_server: what workers do, instead of explaining (for tests).
        keywords: fields of ``asked`` that differ from those given.

    Raises:
        UsageError: options that make no sense, or another campaign writes to ``out``.
        InputError, ModelError, DescriptionError: data or network cannot be used.
        OutputError: disk full or read-only; what was finished before stays.
        MissingDependencyError: what it needs is not installed.
    """
    asked = replace(asked or CampaignOptions(), **keywords)
    if asked.earlier is not None and asked.earlier.resolve() == out.resolve():
        raise UsageError("--baseline and --out are the same directory; choose two")
    asked.require_installed()
    network = model if isinstance(model, Network) else load(model)
    require_writable(out)
    if asked.engine != "ray":  # the nodes of a cluster speak for themselves
        engine_named(asked.device)  # refuses one that is not here
    plan = make_plan(network, instances, asked)
    make_directory(out)
    with only_writer(out), _catching_signals() as caught:
        known = {}
        if asked.earlier is not None:
            known = earlier_results(asked.earlier, plan.facts, asked.options)
        with Ledger.create(out) as ledger:
            ledger.plan(plan.about, plan.facts, plan.planned)
            healed = ledger.altered()
            todo = plan.open_tasks(ledger, known)
            where = _engine(plan, out / LATENTS, make_server)
            computed, carried = _worked(ledger, plan, todo, where, progress, caught)
            reused = plan.total - sum(count for _, count in todo)
            rows = tuple(replace(row, file=instances.file(row.index)) for row in ledger.rows())
            found = plan.about, plan.facts, rows, ledger.regions()
            stopped = next(iter(caught), None)
            result = Campaign(out, *found, computed, reused, carried, stopped, healed)
            write_together(
                {
                    out / "summary.json": to_bytes(result.summary),
                    out / "timings.json": to_bytes(timings(result.rows, ledger.timings())),
                }
            )
            return result


def _worked(
    ledger: Ledger,
    plan: Plan,
    todo: list[tuple[Task, int]],
    where: Any,
    progress: Callable[[Progress], None],
    caught: list[int],
) -> tuple[int, int]:
    """Do what is left until a signal is caught: how many results that gave, and carried over."""
    occurrences = {task.key: count for task, count in todo}
    reused = plan.total - sum(occurrences.values())
    computed = carried = 0
    progress(Progress(reused, plan.total, reused))
    answers = compute(
        where,
        [task for task, _ in todo],
        workers=plan.asked.workers,
        limits=plan.asked.limits,
        stopped=lambda: bool(caught),
    )
    try:
        with closing(answers):
            for task, outcome, timing in answers:
                _store(ledger, task, outcome, timing)
                computed += occurrences[task.key]
                carried += outcome.carried
                progress(Progress(reused + computed, plan.total, reused, outcome.record.state))
    finally:
        if close := getattr(where, "close", None):
            close()
    return computed, carried


def _store(ledger: Ledger, task: Task, outcome: Outcome, timing: Timing) -> None:
    if task.region is None:
        ledger.store(task.key, outcome.record, timing, outcome.certificate, outcome.others)
        return
    plain = outcome.record  # of a task that came to no answer: too slow, too large, an error
    record = outcome.region or RegionRecord(
        task.key, plain.state, plain.reason, plain.predicted, limit=plain.limit
    )
    ledger.store_region(record, timing, outcome.certificate, outcome.counterexample)


def _engine(plan: Plan, latents: Path, make_server: MakeServer | None) -> Any:
    """What makes workers, and what these do."""
    asked, limits = plan.asked, plan.asked.limits
    network = plan.network
    job = make_server or ExplainJob(
        network.path.resolve(),
        plan.facts.key,
        asked.options,
        asked.device,
        limits.seconds,
        # workers read the network as this one was
        asked.about.model_copy(update={"preprocessing": network.pixels.text}),
        None if asked.engine == "ray" else latents.resolve(),  # a node may have another disk
    )
    if not isinstance(asked.engine, str):
        return asked.engine(job, limits)
    if asked.engine == "ray":
        from protoproof.campaign.executor_ray import RayEngine

        return RayEngine(job, limits.megabytes, asked.address, gpu=asked.device != "cpu")
    return LocalEngine(job, limits.megabytes)


@contextmanager
def _catching_signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM end the work in good order: finished results are kept, workers reaped."""
    caught: list[int] = []

    def catch(number: int, _: FrameType | None) -> None:
        caught.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield caught  # signals go to the main thread, which has its own plans for them
        return
    before = {n: signal.signal(n, catch) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
