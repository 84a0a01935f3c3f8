"""A progress bar on stderr, so that stdout stays free for results."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Counts epochs over named stages; draws nothing when ``quiet``."""

    def __init__(self, epochs: int, quiet: bool) -> None:
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} epochs"),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
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
        self._bar.update(self._task, description=name)

    def epoch(self, loss: float) -> None:
        """One epoch is done; ``loss`` is its mean."""
        self._bar.update(self._task, advance=1, loss=f"{loss:.4f}")
