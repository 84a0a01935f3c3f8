"""What pages tell of the producer's machine: names and commands, never where its files lay."""

from __future__ import annotations

import os
import shlex
from datetime import datetime
from pathlib import Path

PROGRAM = "protoproof"  # whatever the producer called it


def told_path(path: Path, base: Path) -> str:
    """A file as a page in ``base`` names it.

    Relative to the page where it lies below it, or both below the working directory, so that the
    page's commands work where it was made; else the name alone, for a reader who puts the files
    together.
    """
    here, file, page = Path.cwd(), path.absolute(), base.absolute()
    if file.is_relative_to(page) or (file.is_relative_to(here) and page.is_relative_to(here)):
        return os.path.relpath(file, page)
    return path.name


def told_command(command: str) -> str:
    """A recorded command line without the machine in it: absolute paths become names.

    What is no command line is told as it is; empty stays empty.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    script = next((n for n, word in enumerate(words[:2]) if Path(word).name == "cli.py"), None)
    if script is not None:
        words = [PROGRAM, *words[script + 1 :]]
    return shlex.join(map(_told, words))


def _told(word: str) -> str:
    option, equals, value = word.partition("=")
    if equals and option.startswith("--"):
        return f"{option}={_told(value)}"
    return Path(word).name if word.startswith("/") and len(Path(word).parts) > 1 else word


def date_words(created: str) -> str:
    """``30 November 2026, 14:20 UTC``; what is no ISO date is told as it is."""
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = "" if when.tzinfo is None else f" {when.tzname() or ''}".rstrip()
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M}{zone}"


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
