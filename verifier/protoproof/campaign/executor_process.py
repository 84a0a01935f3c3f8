"""The local engine: one process per worker, started afresh, the network loaded once in each."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

from protoproof.campaign.executor import (
    Died,
    MakeServer,
    Message,
    Outcome,
    Ready,
    Refused,
    Task,
    answer,
)
from protoproof.errors import ProtoProofError, UsageError

# Workers share the cores among themselves; threads inside each would only get in the way. One
# thread also gives one order of summation, so that results do not depend on the machine's size.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_SPAWN = multiprocessing.get_context("spawn")
_PR_SET_PDEATHSIG = 1
_OURS = (signal.SIGINT, signal.SIGTERM)  # that end a campaign in good order


class LocalWorker:
    """A process and the pipe to it."""

    def __init__(self, make: MakeServer, megabytes: int | None) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(theirs, make, megabytes, os.getpid()), daemon=True
        )
        # Ctrl-C reaches every process of a terminal. A new one would end in the middle of its
        # imports, with a traceback: it starts with the signals held back, until it ignores them.
        resource_tracker.ensure_running()  # which lets them through again where it starts
        held = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        try:
            with environment(_ONE_THREAD):
                self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        theirs.close()  # so that the pipe ends when the worker does

    def submit(self, task: Task) -> None:
        """Hand over a task. A worker that is already gone is found out by :meth:`receive`."""
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send(task)

    def receive(self) -> Message:
        """The message that waits in the pipe."""
        try:
            message: Message = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            self.kill()
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            return Died(how)
        return message

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def megabytes(self) -> float | None:
        """Resident memory, from the kernel's table; None where there is none."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return None
        return pages * resource.getpagesize() / 2**20


class LocalEngine:
    """Processes on this machine."""

    def __init__(self, make: MakeServer, megabytes: int | None = None) -> None:
        self._make, self._megabytes = make, megabytes

    def start(self) -> LocalWorker:
        """A new process."""
        return LocalWorker(self._make, self._megabytes)

    def wait(
        self, workers: Sequence[LocalWorker], seconds: float
    ) -> list[tuple[LocalWorker, Message]]:
        """One message of every worker that has one."""
        by_pipe = {worker.pipe: worker for worker in workers}
        ready = wait(list(by_pipe), timeout=seconds)
        return [(by_pipe[pipe], by_pipe[pipe].receive()) for pipe in ready]  # type: ignore[index]


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that processes inherit which are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(
    pipe: Connection[Outcome | Message, Task],
    make: MakeServer,
    megabytes: int | None,
    parent: int,
) -> None:
    """A worker's life: load, then answer until the pipe ends."""
    for number in _OURS:
        signal.signal(number, signal.SIG_IGN)  # the parent decides, and kills
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
    _die_with(parent)
    try:
        limit_memory(megabytes)
        server = make()
    except ProtoProofError as error:
        pipe.send(Refused(error))
        return
    except MemoryError:
        pipe.send(Refused(UsageError(f"--memory {megabytes}: too little to load the network")))
        return
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(Ready())
        while True:
            pipe.send(answer(server, pipe.recv(), megabytes))


def limit_memory(megabytes: int | None) -> None:
    """Let allocations beyond the limit fail in this process (MemoryError).

    Data, not address space: allocators reserve much more than they use.
    """
    if megabytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = megabytes << 20
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that ends.

    Elsewhere than on Linux a worker ends when it next looks into its pipe.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was faster
            os.kill(os.getpid(), signal.SIGKILL)
