"""Engines: where instances are computed. What happens to their workers is decided here, once.

An engine starts workers, hands them tasks and reports what they say. Its laws: a worker has at
most one task at a time; :meth:`Engine.wait` never blocks longer than asked; a killed worker says
nothing more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from protoproof.campaign.record import Limits, Record
from protoproof.campaign.regions import RegionRecord
from protoproof.campaign.store import Timing
from protoproof.errors import FragileError, InternalError, ProtoProofError, UsageError

GRACE = 2.0  # seconds beyond the limit that a worker gets to stop by itself
_TICK = 0.1
_START = 600.0  # seconds that loading a network may take
_TRIES = 3  # workers that may die while starting, one after another


@dataclass(frozen=True, eq=False)
class Earlier:
    """A proved result of another campaign: certificate, and those in ``others`` vocabularies."""

    record: Record
    certificate: bytes
    others: Mapping[str, bytes]


@dataclass(frozen=True, eq=False)
class Task:
    """One instance to explain, or to certify over a region.

    ``earlier`` is a result on an equal head, to carry over; ``region`` is a region as users write
    it, or None to explain; ``name`` is what people call the instance.
    """

    key: str
    index: int
    x: NDArray[np.float32]
    earlier: Earlier | None = None
    region: str | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a task; ``region`` where one was certified, with an input that refutes it.

    ``others``: certificates of explanations that were not chosen, by vocabulary.
    """

    record: Record
    certificate: bytes | None = None
    carried: bool = False
    megabytes: float | None = None
    region: RegionRecord | None = None
    counterexample: bytes | None = None
    others: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """The worker has loaded the network."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot work at all: its network or its options; others would say the same."""

    error: ProtoProofError


@dataclass(frozen=True)
class Died:
    """The worker is gone without an answer."""

    reason: str


Message = Ready | Refused | Died | Outcome
Server = Callable[[Task], Outcome]  # made once per worker; answers one task after another
MakeServer = Callable[[], Server]  # must be importable by name, for it travels to workers


class Worker(Protocol):
    """One worker."""

    def submit(self, task: Task) -> None:
        """Hand over a task; the answer comes through :meth:`Engine.wait`."""

    def kill(self) -> None:
        """End it now, whatever it does."""

    def megabytes(self) -> float | None:
        """Its memory at the moment, where that can be observed."""


class Engine(Protocol):
    """A kind of workers."""

    def start(self) -> Any:
        """A new worker; it says Ready, Refused or Died first."""

    def wait(self, workers: Sequence[Any], seconds: float) -> list[tuple[Any, Message]]:
        """Messages of ``workers``, possibly none, after at most ``seconds``."""


@dataclass
class _Busy:
    number: int
    since: float
    task: Task | None = None
    ready: bool = False


def compute(
    engine: Engine,
    tasks: Sequence[Task],
    *,
    workers: int,
    limits: Limits,
    stopped: Callable[[], bool],
) -> Generator[tuple[Task, Outcome, Timing], None, None]:
    """Answers in the order in which they come. However it ends, no worker is left behind.

    A task that exceeds its limits costs its worker and nothing else; a new worker takes the next.

    Args:
        engine: where to work.
        tasks: what to do.
        workers: how many at once.
        limits: what one task may cost.
        stopped: asked at least every tenth of a second; True ends the work.

    Raises:
        ProtoProofError: what a worker said when it could not start.
        InternalError: workers die while starting.
    """
    pool = _Pool(engine, deque(tasks), workers, limits)
    try:
        while pool.unfinished and not stopped():
            pool.fill()
            for worker, message in engine.wait(list(pool.busy), _TICK):
                if (done := pool.heard(worker, message)) is not None:
                    yield done
            for worker in list(pool.busy):
                if (done := pool.looked_at(worker)) is not None:
                    yield done
    finally:
        for worker in pool.busy:
            worker.kill()


@dataclass
class _Pool:
    """The workers of one campaign: what each is doing, and what is left to do."""

    engine: Engine
    queue: deque[Task]
    workers: int
    limits: Limits
    busy: dict[Any, _Busy] = field(default_factory=dict)
    started: int = 0
    failures: int = 0  # workers that died while starting, one after another

    @property
    def unfinished(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self.queue) or any(busy.task for busy in self.busy.values())

    def fill(self) -> None:
        """Start workers, as many as there are tasks for."""
        occupied = sum(busy.task is not None for busy in self.busy.values())
        while len(self.busy) < min(self.workers, len(self.queue) + occupied):
            self.busy[self.engine.start()] = _Busy(self.started, time.monotonic())
            self.started += 1

    def heard(self, worker: Any, message: Message) -> tuple[Task, Outcome, Timing] | None:
        """Take a worker's message: the answer to its task, if that is what it says.

        Raises:
            ProtoProofError: the worker could not start, for a reason that it tells.
            InternalError: workers die while starting.
        """
        busy = self.busy[worker]
        if isinstance(message, Refused):
            raise message.error
        if isinstance(message, Died):
            del self.busy[worker]
            self.failures = 0 if busy.ready else self.failures + 1
            if self.failures == _TRIES:
                raise InternalError(f"workers die while starting: {message.reason}")
        elif isinstance(message, Ready):
            self.failures, busy.ready = 0, True
        done = _finish(busy, message)
        if done is not None and isinstance(message, Outcome) and message.record.state == "memory":
            worker.kill()  # its heap may be of no more use
            self.busy.pop(worker, None)
        if worker in self.busy and busy.task is None and self.queue:
            busy.task, busy.since = self.queue.popleft(), time.monotonic()
            worker.submit(busy.task)
        return done

    def looked_at(self, worker: Any) -> tuple[Task, Outcome, Timing] | None:
        """End a worker that exceeds its limits, or has nothing more to do."""
        busy = self.busy[worker]
        excess = _excess(worker, busy, self.limits)
        if excess is None and (busy.task is not None or not busy.ready or self.queue):
            return None
        worker.kill()
        del self.busy[worker]
        return None if excess is None else _finish(busy, Outcome(excess))


def _finish(busy: _Busy, message: Message) -> tuple[Task, Outcome, Timing] | None:
    """The answer to the worker's task, if the message ends it."""
    task = busy.task
    if task is None or isinstance(message, Ready | Refused):
        return None
    if isinstance(message, Died):
        message = Outcome(Record("error", f"the worker ended without an answer: {message.reason}"))
    busy.task = None
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    spent = round(time.monotonic() - busy.since, 4)
    timing = Timing(spent, ended, busy.number, message.megabytes, message.carried)
    return task, message, timing


def _excess(worker: Worker, busy: _Busy, limits: Limits) -> Record | None:
    """The record of a task that went beyond its limits."""
    spent = time.monotonic() - busy.since
    if busy.task is None:
        if not busy.ready and spent > _START:
            raise InternalError(f"a worker did not start within {_START:.0f} s")
        return None
    if limits.seconds is not None and spent > limits.seconds + GRACE:
        return Record("timeout", f"more than {limits.seconds:g} s", limit=limits.seconds)
    used = worker.megabytes() if limits.megabytes is not None else None
    if limits.megabytes is not None and used is not None and used > limits.megabytes:
        return beyond_memory(limits.megabytes)
    return None


def beyond_memory(megabytes: int | None) -> Record:
    """The record of an instance that needed more memory than it may have."""
    limit = "there is" if megabytes is None else f"{megabytes} MB"
    return Record("memory", f"more memory than {limit}", limit=megabytes)


def answer(server: Server, task: Task, megabytes: int | None) -> Outcome | Refused:
    """Let a server answer; whatever it raises becomes the outcome of this task alone.

    Only options that make no sense for any instance end the campaign.
    """
    try:
        return server(task)
    except MemoryError:
        return Outcome(beyond_memory(megabytes))
    except FragileError as error:
        return Outcome(Record("undecided", _line(error)))
    except UsageError as error:
        return Refused(error)
    except ProtoProofError as error:
        return Outcome(Record("error", _line(error)))
    except Exception as error:  # noqa: BLE001  # one instance never stops the others
        if any(word in str(error) for word in ("bad_alloc", "Failed to allocate memory")):
            return Outcome(beyond_memory(megabytes))  # native code's way to say MemoryError
        return Outcome(Record("error", f"{type(error).__name__}: {_line(error)}"))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
