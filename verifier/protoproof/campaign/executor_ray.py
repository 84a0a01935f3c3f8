"""The Ray engine: workers are actors of a cluster. The only file that imports ray.

The model file must be readable at the same path on every node; each worker compares its hash.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from protoproof import QUIET
from protoproof.campaign.executor import (
    Died,
    MakeServer,
    Message,
    Ready,
    Refused,
    Server,
    Task,
    answer,
)
from protoproof.campaign.executor_process import environment, limit_memory
from protoproof.errors import MissingDependencyError, ProtoProofError, UsageError

# What a worker claims of a GPU: networks that can be verified are small, and share one.
_GPU_SHARE = 0.125
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _Actor:
    """A worker's life inside an actor; the same as a local one's."""

    def __init__(self, make: MakeServer, megabytes: int | None) -> None:
        self._make, self._megabytes = make, megabytes
        self._server: Server | None = None

    def load(self) -> Message:
        """Load the network."""
        try:
            limit_memory(self._megabytes)
            self._server = self._make()
        except ProtoProofError as error:
            return Refused(error)
        return Ready()

    def answer(self, task: Task) -> Message:
        """Answer one task."""
        if self._server is None:
            return Died("asked before it was ready")
        return answer(self._server, task, self._megabytes)


class RayWorker:
    """An actor, and the one answer that it owes."""

    def __init__(self, actor: Any, ray: Any) -> None:
        self._ray, self._actor = ray, actor
        self.owed: Any = actor.load.remote()

    def submit(self, task: Task) -> None:
        """Hand over a task."""
        self.owed = self._actor.answer.remote(task)

    def receive(self) -> Message:
        """The answer that :meth:`RayEngine.wait` found to be there."""
        owed, self.owed = self.owed, None
        try:
            message: Message = self._ray.get(owed)
        except self._ray.exceptions.RayError as error:
            return Died(" ".join(type(error).__name__.split()))
        return message

    def kill(self) -> None:
        """End the actor's process."""
        self.owed = None
        self._ray.kill(self._actor, no_restart=True)

    def megabytes(self) -> None:
        """Not observed from here; the actor's own limit holds."""


class RayEngine:
    """Actors on a cluster, or on a Ray of this machine's own that ends with the campaign.

    Raises:
        MissingDependencyError: ray is not installed.
        UsageError: the cluster cannot be reached; a Python whose path Ray cannot start.
    """

    def __init__(
        self, make: MakeServer, megabytes: int | None, address: str | None, gpu: bool = False
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingDependencyError(
                "--engine ray needs ray, which is not installed: pip install 'protoproof[ray]'"
            ) from error
        self._ray, self._mine = ray, not ray.is_initialized()
        if self._mine and address is None and " " in sys.executable:
            # Ray starts its workers by an unquoted shell line, and would try for ever
            raise UsageError(
                f"--engine ray: Ray cannot start {sys.executable!r}, whose path has a space; move "
                "the environment or use --engine local"
            )
        if self._mine:
            try:
                with environment({} if address or "RAY_ADDRESS" in os.environ else _token()):
                    ray.init(
                        address=address,
                        include_dashboard=False if address is None else None,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                        # one thread, for the reasons given in the local engine
                        runtime_env={"env_vars": QUIET | dict.fromkeys(_ONE_THREAD, "1")},
                    )
            except Exception as error:  # Ray's share no root: a node that is slow to start is one
                line = " ".join(str(error).split())[:200]
                if address is None:
                    raise UsageError(f"--engine ray: Ray does not start here ({line})") from error
                raise UsageError(f"--address {address}: no Ray there ({line})") from error
        self._make, self._megabytes = make, megabytes
        self._share = _GPU_SHARE if gpu else 0.0
        resources: Any = ray.cluster_resources  # untyped
        if gpu and not resources().get("GPU"):
            self.close()
            raise UsageError("--device cuda: no node of the cluster has a GPU; use --device cpu")

    def start(self) -> RayWorker:
        """A new actor on one core, and on a part of a GPU where one is asked for."""
        actor = self._ray.remote(num_cpus=1, num_gpus=self._share, max_restarts=0)(_Actor)
        return RayWorker(actor.remote(self._make, self._megabytes), self._ray)

    def wait(self, workers: Sequence[RayWorker], seconds: float) -> list[tuple[RayWorker, Message]]:
        """One message of every worker that has one."""
        by_answer = {worker.owed: worker for worker in workers if worker.owed is not None}
        if not by_answer:
            return []
        ready, _ = self._ray.wait(list(by_answer), num_returns=len(by_answer), timeout=seconds)
        return [(by_answer[answer], by_answer[answer].receive()) for answer in ready]

    def close(self) -> None:
        """End the Ray that was started here."""
        if self._mine:
            self._ray.shutdown()


def _token() -> dict[str, str]:
    """The password of a Ray of our own; without one Ray would write one into the user's home."""
    return {"RAY_AUTH_TOKEN": os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)}
