"""Small campaigns on real images, and servers that misbehave on purpose."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protoproof.campaign import executor_process
from protoproof.campaign.executor import MakeServer, Message, Outcome, Ready, Server, Task, answer
from protoproof.campaign.explain_task import ExplainJob
from protoproof.campaign.instances import Instances
from protoproof.campaign.model_identity import model_facts
from protoproof.campaign.record import Limits, Options, Record
from protoproof.data.dataset import load_data
from protoproof.errors import FragileError, InputError
from protoproof.network import Network, load
from protoproof.resources import zoo_path

MODEL = zoo_path("mnist-certified")
PATIENT = Limits(seconds=None)  # what is proved does not depend on the machine


@cache
def network() -> Network:
    return load(MODEL)


@cache
def digits() -> Instances:
    data = load_data("mnist5k")
    return Instances(data.name, data.sha256, data.x_test, data.y_test, data.classes)


def some(count: int) -> Instances:
    """A few of every class: the test images are sorted by class."""
    data = digits()
    chosen = np.arange(count) * (len(data.y) // count)
    return Instances("some", "0" * 64, data.x[chosen], data.y[chosen], data.classes)


def small_file(directory: Path, count: int = 60) -> Path:
    """A data file that is read much faster than all images are."""
    data, path = some(count), directory / "digits.npz"
    arrays = {"x_train": data.x, "y_train": data.y, "x_test": data.x, "y_test": data.y}
    np.savez(path, **arrays)
    return path


@contextlib.contextmanager
def warm_workers() -> Iterator[None]:
    """Local workers are forks of this process, which has imported everything: milliseconds.

    Pipes, limits, death and order are those of workers that start afresh.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_process, "_SPAWN", multiprocessing.get_context("fork"))
        yield


class InlineWorker:
    """Computes where it is asked."""

    def __init__(self, make: MakeServer) -> None:
        self._server = make()
        self.waiting: Task | None = None
        self.said = False

    def submit(self, task: Task) -> None:
        self.waiting = task

    def receive(self) -> Message | None:
        if not self.said:
            self.said = True
            return Ready()
        if self.waiting is None:
            return None
        task, self.waiting = self.waiting, None
        return answer(self._server, task, None)

    def kill(self) -> None:
        self.waiting = None

    def megabytes(self) -> None:
        return None


class InlineEngine:
    """No processes: for what does not depend on them."""

    def __init__(self, make: MakeServer, limits: Limits) -> None:
        self._make = make

    def start(self) -> InlineWorker:
        return InlineWorker(self._make)

    def wait(
        self, workers: Sequence[InlineWorker], seconds: float
    ) -> list[tuple[InlineWorker, Message]]:
        said = [(worker, worker.receive()) for worker in workers]
        return [(worker, message) for worker, message in said if message is not None]


@dataclass(frozen=True)
class Poisoned:
    """What a server does instead of explaining, by index of the instance."""

    harm: dict[int, str]

    def __call__(self) -> Server:
        def serve(task: Task) -> Outcome:
            match self.harm.get(task.index):
                case "hang":
                    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                    while True:
                        time.sleep(60)
                case "crash":
                    os.kill(os.getpid(), signal.SIGSEGV)
                case "exhaust":
                    raise AssertionError(len(bytearray(1 << 33)))
                case "raise":
                    raise ZeroDivisionError("a planted\nfailure")
                case "refuse":
                    raise InputError("a planted refusal")
                case "fragile":
                    raise FragileError("a planted disagreement")
            return Outcome(Record("undecided", "harmless", predicted=task.index % 3))

        return serve


class Halting(ExplainJob):
    """Explains the first few instances, and never comes to an end with any other."""

    ANSWERED = 4

    def __call__(self) -> Server:
        serve = super().__call__()

        def halting(task: Task) -> Outcome:
            while task.index >= self.ANSWERED:
                time.sleep(60)
            return serve(task)

        return halting


@dataclass(frozen=True)
class Canned:
    """Real outcomes that were computed before, by key: a campaign without the computing."""

    outcomes: dict[str, Outcome]

    def __call__(self) -> Server:
        return lambda task: self.outcomes[task.key]


@dataclass(frozen=True)
class Counting:
    """Explains for real, and writes down what it was asked."""

    log: Path

    def __call__(self) -> Server:
        serve = ExplainJob(MODEL, model_facts(network()).key, Options(witnesses=False))()

        def counted(task: Task) -> Outcome:
            with self.log.open("a") as stream:
                stream.write(f"{task.index}\n")
            return serve(task)

        return counted

    def asked(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0
