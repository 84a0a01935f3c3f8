"""One campaign from plan to summary."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from protoproof.backend import engine_named
from protoproof.campaign.executor import Earlier, Engine, MakeServer, Outcome, Task, compute
from protoproof.campaign.executor_process import LocalEngine
from protoproof.campaign.explain_task import ExplainJob
from protoproof.campaign.instances import Instances, Selection
from protoproof.campaign.lock import only_writer
from protoproof.campaign.model_identity import ModelFacts, model_facts
from protoproof.campaign.record import Limits, Options, Row, State, result_key, versions
from protoproof.campaign.regions import RegionRecord, domain_words, region_key, wording
from protoproof.campaign.store import Ledger, Planned, Timing
from protoproof.campaign.summary import state_counts, summary, timings, to_bytes
from protoproof.errors import UsageError
from protoproof.files import make_directory, require_writable, write_together
from protoproof.network import Network, load
from protoproof.network.recorded import input_digest

ENGINES = ("local", "ray")
MakeEngine = Callable[[MakeServer, "Limits"], Engine]


@dataclass(frozen=True)
class Progress:
    """How far a campaign is: ``done`` results of ``total``, of which ``reused`` were there before.

    Every instance has one result for its explanation, and one for each region.
    """

    done: int
    total: int
    reused: int
    state: State | None = None


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a campaign's directory holds.

    ``stopped`` is the number of the signal that ended it early; ``computed``, ``reused`` and
    ``carried`` (a part of ``computed``) say how the results came about in this run. ``regions``
    holds, per region as users write it and by the key of each row, what came of it.
    """

    directory: Path
    about: dict[str, Any]
    model: ModelFacts
    rows: tuple[Row, ...]
    regions: dict[str, dict[str, RegionRecord]]
    computed: int = 0
    reused: int = 0
    carried: int = 0
    stopped: int | None = None

    @property
    def states(self) -> dict[str, int]:
        """How many instances are in each state."""
        return state_counts(self.rows)

    @property
    def summary(self) -> dict[str, Any]:
        """The document ``summary.json``."""
        return summary(self.about, self.model, self.rows, self.regions)


def read_campaign(directory: Path) -> Campaign:
    """What an earlier campaign left behind: its word, which :mod:`recheck` does not take.

    Raises:
        InputError: the directory holds none.
    """
    with Ledger.read(directory) as ledger:
        about, model = ledger.about(), ledger.model()
        return Campaign(directory, about, model, ledger.rows(), ledger.regions())


def run_campaign(
    model: Path | Network,
    instances: Instances,
    out: Path,
    *,
    selection: Selection | None = None,
    options: Options | None = None,
    regions: Sequence[str] = (),
    limits: Limits | None = None,
    workers: int = 1,
    device: str = "cpu",
    engine: str | MakeEngine = "local",
    address: str | None = None,
    earlier: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    make_server: MakeServer | None = None,
) -> Campaign:
    """Explain many instances; resume where an earlier run into the same directory stopped.

    Args:
        model: the network, or its file.
        instances: the data.
        out: directory of ledger, certificates, ``summary.json`` and ``timings.json``.
        selection: which instances; all by default.
        options: how to explain.
        regions: over which every instance is certified too, such as ``linf:0.1``.
        limits: what one instance may cost.
        workers: how many processes.
        device: where they falsify and bound regions: ``cpu`` or ``cuda``. Like the number of
            workers, it does not enter the keys: a proof is a proof.
        engine: ``local``, ``ray``, or a function that makes an engine.
        address: of a Ray cluster; None is one of this machine's own.
        earlier: directory of another campaign. Where its network has an equal head and this one
            computes the same latent, its certificates are carried over and checked again.
        progress: called after every instance.
        make_server: what workers do, instead of explaining (for tests).

    Raises:
        UsageError: options that make no sense, or another campaign writes to ``out``.
        InputError, ModelError, DescriptionError: data or network cannot be used.
        OutputError: disk full or read-only; what was finished before stays.
    """
    selection, options = selection or Selection(), options or Options()
    limits = limits or Limits()
    _refuse_nonsense(limits, workers, earlier, out)
    network = model if isinstance(model, Network) else load(model)
    instances.fit(network.class_names)
    chosen = selection.choose(instances)
    require_writable(out)
    if engine != "ray":  # the nodes of a cluster speak for themselves
        engine_named(device)  # refuses one that is not here
    facts, words = model_facts(network), wording(regions, network)
    domain = domain_words(options.domain, network)
    make_directory(out)
    with only_writer(out), _catching_signals() as caught:
        known = {} if earlier is None else _earlier_results(earlier, facts, options)
        with Ledger.create(out) as ledger:
            planned = [_planned(instances, i, facts, network, options) for i in chosen]
            about = _about(network, instances, selection, options)
            about |= {"regions": words, "domain": domain, "model": facts.sha256}
            ledger.plan(about, facts, planned)
            todo = _tasks(ledger, planned, instances, network, limits, known)
            todo += _region_tasks(ledger, planned, instances, network, limits, words)
            tasks, occurrences = [task for task, _ in todo], {t.key: n for t, n in todo}
            total = len(planned) * (1 + len(words))
            reused = total - sum(occurrences.values())
            job = make_server or ExplainJob(
                network.path.resolve(), facts.sha256, options, device, limits.seconds
            )
            where = _engine(engine, address, job, limits, device)
            done, carried = reused, 0
            progress(Progress(done, total, reused))
            answers = compute(
                where, tasks, workers=workers, limits=limits, stopped=lambda: bool(caught)
            )
            try:
                with closing(answers):
                    for task, outcome, timing in answers:
                        _store(ledger, task, outcome, timing)
                        done += occurrences[task.key]
                        carried += outcome.carried
                        progress(Progress(done, total, reused, outcome.record.state))
            finally:
                if close := getattr(where, "close", None):
                    close()
            result = Campaign(
                out,
                about,
                facts,
                ledger.rows(),
                ledger.regions(),
                done - reused,
                reused,
                carried,
                next(iter(caught), None),
            )
            write_together(
                {
                    out / "summary.json": to_bytes(result.summary),
                    out / "timings.json": to_bytes(timings(result.rows, ledger.timings())),
                }
            )
            return result


def _refuse_nonsense(limits: Limits, workers: int, earlier: Path | None, out: Path) -> None:
    if workers < 1:
        raise UsageError("--workers: must be at least 1")
    if limits.seconds is not None and not limits.seconds > 0:
        raise UsageError("--timeout: must be positive")
    if limits.megabytes is not None and limits.megabytes < 1:
        raise UsageError("--memory: must be at least 1")
    if earlier is not None and earlier.resolve() == out.resolve():
        raise UsageError("--baseline and --out are the same directory; choose two")


def _planned(
    instances: Instances, index: int, facts: ModelFacts, network: Network, options: Options
) -> Planned:
    digest = input_digest(instances.scaled(index, *network.input_range))
    key = result_key(facts.sha256, facts.description_sha256, digest, options)
    return Planned(index, int(instances.y[index]), digest, key)


def _tasks(
    ledger: Ledger,
    planned: Sequence[Planned],
    instances: Instances,
    network: Network,
    limits: Limits,
    known: dict[str, Earlier],
) -> list[tuple[Task, int]]:
    """What is left to explain, and for how many planned instances; equal inputs are one task."""
    counts, tasks = Counter(plan.key for plan in planned), dict[str, Task]()
    for plan in planned:
        record = ledger.result(plan.key)
        if plan.key in tasks or (record is not None and record.settled(limits)):
            continue
        x = instances.scaled(plan.index, *network.input_range)
        tasks[plan.key] = Task(plan.key, plan.index, x, known.get(plan.instance))
    return [(task, counts[key]) for key, task in tasks.items()]


def _region_tasks(
    ledger: Ledger,
    planned: Sequence[Planned],
    instances: Instances,
    network: Network,
    limits: Limits,
    words: dict[str, str],
) -> list[tuple[Task, int]]:
    """What is left to certify, likewise."""
    counts, tasks = Counter(plan.instance for plan in planned), dict[str, tuple[Task, int]]()
    identity = network.sha256, network.description_sha256
    for name, text in words.items():
        for plan in planned:
            key = region_key(*identity, plan.instance, text)
            record = ledger.region(key)
            if key in tasks or (record is not None and record.settled(limits)):
                continue
            x = instances.scaled(plan.index, *network.input_range)
            tasks[key] = Task(key, plan.index, x, region=name), counts[plan.instance]
    return list(tasks.values())


def _store(ledger: Ledger, task: Task, outcome: Outcome, timing: Timing) -> None:
    if task.region is None:
        ledger.store(task.key, outcome.record, timing, outcome.certificate, outcome.others)
        return
    plain = outcome.record  # of a task that came to no answer: too slow, too large, an error
    record = outcome.region or RegionRecord(
        task.key, plain.state, plain.reason, plain.predicted, limit=plain.limit
    )
    ledger.store_region(record, timing, outcome.certificate, outcome.counterexample)


def _earlier_results(directory: Path, facts: ModelFacts, options: Options) -> dict[str, Earlier]:
    """Proved results of another campaign on an equal head with equal options, by instance."""
    with Ledger.read(directory) as ledger:
        about, model = ledger.about(), ledger.model()
        same = about["options"] == options.to_json() and model.head_sha256 == facts.head_sha256
        if not same:
            return {}
        found = {}
        for row in ledger.rows():
            content = ledger.certificate(row.key, row.record)
            others = ledger.others(row.key, row.record)
            if row.record.state == "proved" and content is not None and others is not None:
                found[row.instance] = Earlier(row.record, content, others)
        return found


def _about(
    network: Network, instances: Instances, selection: Selection, options: Options
) -> dict[str, Any]:
    return {
        # for reports; not a part of the summary, which is equal wherever the files lie
        "where": {"model": str(network.path.resolve()), "data": instances.source},
        "data": {"name": instances.name, "sha256": instances.sha256},
        "selection": selection.to_json(),
        "options": options.to_json(),
        "versions": versions(),
    }


def _engine(
    engine: str | MakeEngine, address: str | None, job: MakeServer, limits: Limits, device: str
) -> Any:
    if callable(engine):
        return engine(job, limits)
    if engine not in ENGINES:
        raise UsageError(f"--engine {engine}: unknown; use " + ", ".join(ENGINES))
    if engine == "ray":
        from protoproof.campaign.executor_ray import RayEngine

        return RayEngine(job, limits.megabytes, address, gpu=device != "cpu")
    if address is not None:
        raise UsageError("--address is for --engine ray")
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
