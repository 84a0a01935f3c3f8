"""How results show themselves: one line in a console, a short table in a notebook.

Neither dumps an array. Everything that comes from a file is escaped.
"""

from __future__ import annotations

import html


def line(what: str, *about: str) -> str:
    """``<WHAT: ABOUT, ABOUT>``: a ``repr`` of one line, of printable characters."""
    body = ", ".join(filter(None, about))
    text = f"<{what}: {body}>" if body else f"<{what}>"
    return "".join(c if c.isprintable() else "?" for c in text)


def table(caption: str, **rows: str) -> str:
    """A short HTML table; underscores in the names of rows are shown as spaces."""
    cells = "".join(
        f"<tr><th>{html.escape(name.replace('_', ' '))}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>{html.escape(caption)}</caption>{cells}</table>"


def count(number: int, noun: str) -> str:
    """``1 fact``, ``2 facts``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
