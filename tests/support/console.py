"""Sessions in the documents: blocks of ``console``, in which ``$`` precedes a command.

``# exit 3`` behind a command is the exit code it ends with, if not 0. What stands below a command
is what it prints; ``...`` stands for anything, and white space counts as one space. A block without
a title is typed in a checkout, one with a title where a reader's own files are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r'^```console(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"\s+# exit (\d)$")


@dataclass(frozen=True)
class Command:
    """A line of a document, and what it is said to do; ``printed`` is empty where nothing is."""

    line: int
    text: str
    exit: int
    printed: str

    def prints(self, output: str) -> bool:
        """Whether an output is what the document says."""
        parts = [re.escape(_plain(part)) for part in self.printed.split("...")]
        pattern = r".*".join(part.replace(r"\ ", r"\s+") for part in parts)
        return not self.printed or re.fullmatch(pattern, _plain(output), re.DOTALL) is not None


def _plain(text: str) -> str:
    return " ".join(text.split())


def titles(page: Path) -> set[str]:
    """Whose files a page speaks about, beside a checkout's."""
    return {title for title, _ in _BLOCK.findall(page.read_text(encoding="utf-8")) if title}


def commands(page: Path, title: str = "") -> Iterator[Command]:
    """What a page tells its readers to type, in order, in all blocks of a title."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        if (block.group(1) or "") != title:
            continue
        line = text.count("\n", 0, block.start()) + 2
        lines = block.group(2).splitlines()
        starts = [k for k, each in enumerate(lines) if each.startswith("$ ")]
        if not starts or starts[0]:
            raise ValueError(f"{page.name}:{line}: a session begins with a command")
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            said = lines[start][2:]
            ends = _EXIT.search(said)
            yield Command(
                line + start,
                _EXIT.sub("", said),
                int(ends.group(1)) if ends else 0,
                "\n".join(lines[start + 1 : end]),
            )
