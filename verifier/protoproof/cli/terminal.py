"""What every verb prints with: text made safe, one JSON document, a console."""

from __future__ import annotations

import json
import os
import shlex
import shutil
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


def alarming(text: str) -> str:
    """Bold and red, where standard output is a terminal that can do it."""
    return strong(text).replace("\033[1m", "\033[1;31m")


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
    """How this program is started again from here: the console script, or this file.

    For lines on this terminal. What others read names the console script: how
    a producer started it is nothing that works elsewhere.
    """
    name = Path(sys.argv[0]).name
    if name == "__main__.py":
        return [_python(), "-m", "protoproof"]
    if name != "cli.py":
        return ["protoproof"]
    return [_python(), sys.argv[0]]


def _python() -> str:
    """The interpreter as the shell finds it from here."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):  # the environment that make creates
        return str(python.relative_to(Path.cwd()))
    found = shutil.which("python")
    if found is not None and Path(found).absolute() == python.absolute():
        return "python"
    return str(python)


def program_words(verb: str, *paths: Path) -> str:
    """A command line that works from here, as a shell reads it."""
    return shlex.join([*program(), verb, *(nearby(path) for path in paths)])


def nearby(path: Path) -> str:
    """Relative to the working directory where the path lies below it."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)
