"""What every verb prints with: text made safe, one JSON document, a console."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protoproof.report.page.text import visible

if TYPE_CHECKING:
    from rich.console import Console


def safe(text: str) -> str:
    """Text from files and users for a console: no markup, no terminal escape, nothing hidden."""
    from rich.markup import escape

    return escape(visible(text))


def strong(text: str) -> str:
    """Bold, where standard output is a terminal that can do it; for text without markup."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\033[1m{text}\033[0m"


def print_json(document: Any) -> None:
    """The one document of ``--json``."""
    print(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False))


def console() -> Console:
    """Standard output, without breaking long lines."""
    from rich.console import Console

    return Console(soft_wrap=True)


def watched() -> bool:
    """Whether somebody sees standard error as it is written."""
    return sys.stderr.isatty()


class Log:
    """A line on standard error now and then, where nobody watches a bar.

    Args:
        every: seconds between two lines, and before the first.
        now: the clock.
    """

    def __init__(self, every: float = 30.0, now: Callable[[], float] = time.monotonic) -> None:
        self._every, self._now, self._begun = every, now, now()
        self._last = self._begun

    def __call__(self, words: str) -> None:
        """Say how far it is, if it is time for a line."""
        now = self._now()
        if now - self._last < self._every:
            return
        self._last = now
        print(f"after {now - self._begun:.0f} s: {visible(words)}", file=sys.stderr, flush=True)


@contextmanager
def progress_bar(shown: bool) -> Iterator[Callable[[float, str], None] | None]:
    """A bar on standard error if that is a terminal, else lines; gives what moves it, or None.

    The function takes the share that is done, from 0 to 1, and a few words.
    """
    if shown and not watched():
        log = Log()
        yield lambda share, words: log(f"{share:.0%} {words}")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    where = Console(stderr=True)
    if not shown or not where.is_terminal:
        yield None
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=where, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda share, words: bar.update(task, completed=share, description=escape(words))


def program() -> list[str]:
    """How this program was started: the console script, or this file."""
    name = Path(sys.argv[0]).name
    if name == "__main__.py":
        return ["python", "-m", "protoproof"]
    if name != "cli.py":
        return ["protoproof"]
    python = Path(sys.executable)
    below = python.is_relative_to(Path.cwd())  # the environment that make creates
    return [str(python.relative_to(Path.cwd())) if below else "python", sys.argv[0]]
