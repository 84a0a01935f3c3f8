"""A progress bar on stderr, or lines where no terminal shows it; stdout stays free for results."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from protoproof.cli.terminal import Log, watched


class Progress:
    """Counts epochs over named stages; says nothing when ``quiet``."""

    def __init__(self, epochs: int, quiet: bool) -> None:
        seen = watched()
        self._log = None if quiet or seen else Log()
        self._epochs, self._done, self._stage = epochs, 0, "training"
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} epochs"),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet or not seen,
        )
        self._task = self._bar.add_task("training", total=epochs, loss="-")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def stage(self, name: str) -> None:
        """Name what the following epochs belong to."""
        self._stage = name
        self._bar.update(self._task, description=name)

    def epoch(self, loss: float) -> None:
        """One epoch is done; ``loss`` is its mean."""
        self._bar.update(self._task, advance=1, loss=f"{loss:.4f}")
        self._done += 1
        if self._log is not None:
            self._log(f"{self._stage}, {self._done} of {self._epochs} epochs, loss {loss:.4f}")
