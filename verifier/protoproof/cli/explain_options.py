"""What ``explain`` was asked for: options that would have no effect are refused before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from protoproof.errors import OutputError, UsageError
from protoproof.explanation.options import ExplainOptions
from protoproof.files import require_new, require_writable
from protoproof.prover.search.names import shown

Printed = Literal["json", "words", "nothing"]


@dataclass(frozen=True)
class Asked:
    """One call of ``explain``; ``given`` are the names that the user wrote."""

    model: Path
    options: ExplainOptions
    given: frozenset[str]
    input_: Path | None
    index: int | None
    data: str | None
    limit: int | None
    contrast: str | None
    training: str | None
    most: int
    dump_smt2: Path | None
    device: str
    out: Path | None
    pages: bool | None
    no_script: bool
    printed: Printed
    latent: tuple[str, ...] = ()
    output: str | None = None
    routing: str | None = None
    preprocess: str | None = None
    dump_vnnlib: Path | None = None
    truth: str | None = None
    outside: bool = False

    @property
    def protected(self) -> list[Path]:
        """Files that must not be written over, besides the model."""
        return [] if self.input_ is None else [self.input_]


def printed(as_json: bool, quiet: bool) -> Printed:
    """What standard output is for."""
    return "json" if as_json else "nothing" if quiet else "words"


def seconds(timeout: float | None, minimal: str, contrast: str | None) -> float:
    """What one explanation may take: searches that could go on for ever get less by default."""
    endless = minimal in ("minimum", "all") or contrast is not None
    return timeout if timeout is not None else 60.0 if endless else 600.0


def given(context: typer.Context) -> frozenset[str]:
    """The names of the parameters that stand on the command line."""
    return frozenset(
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    )


def require_coherent(asked: Asked) -> None:
    """Refuse options that contradict each other, or of which one makes another do nothing.

    Raises:
        UsageError: naming both options and what to do.
    """
    if (asked.input_ is None) == (asked.data is None):
        raise UsageError("give the inputs by --input or by --data, one of the two")
    if asked.index is not None and asked.data is not None:
        raise UsageError("--index chooses an entry of --input; with --data, use --limit")
    if asked.index is not None and asked.limit is not None:
        raise UsageError("--limit is for many inputs, and --index chooses one; give one of the two")
    if asked.truth is not None and asked.data is not None:
        raise UsageError("--truth is about one input; the images of --data have labels")
    minimal = asked.options.minimal
    searches = minimal in ("minimum", "all")
    if "most" in asked.given and minimal != "all":
        raise UsageError("--most limits what --minimal all lists; add that, or leave it out")
    if asked.training is not None and asked.contrast is None:
        raise UsageError("--training is searched for --contrast; add that, or leave it out")
    if asked.no_script and asked.pages is False:
        raise UsageError("--no-script is about pages; with --no-pages, leave it out")
    _require_effective_oracle(asked, searches)
    if asked.data is not None:
        require_for_many(asked)


def _require_effective_oracle(asked: Asked, searches: bool) -> None:
    """An oracle bounds pairs: where there are none, or where all oracles are used, it is nothing.

    ``branch-and-bound`` alone drops facts of every kind, by cases.

    Raises:
        UsageError: the chosen oracle would not be used.
    """
    oracle, vocabulary = asked.options.oracle, asked.options.vocabulary
    if oracle == "auto":
        return
    by_cases = oracle == "smt"
    if vocabulary in ("topk", "ceiling") and not by_cases:
        raise UsageError(
            f"--oracle {shown(oracle)}: bounds pairs, and --vocabulary {vocabulary} has none; "
            "use --oracle branch-and-bound, or --vocabulary pairs, mixed or auto, or leave it out"
        )
    if vocabulary == "mixed" and oracle not in ("exact", "relational", "smt"):
        raise UsageError(
            f"--oracle {shown(oracle)}: for --vocabulary pairs or auto; mixed facts are bounded by "
            "interval, relational or branch-and-bound"
        )
    if searches:
        raise UsageError(
            f"--oracle {shown(oracle)}: --minimal {asked.options.minimal} asks the strongest one "
            "in any case; leave --oracle out, or use --minimal subset"
        )


def require_for_many(asked: Asked) -> None:
    """Refuse what makes no sense for many inputs.

    Raises:
        UsageError, OutputError: see the lines.
    """
    if asked.dump_smt2 is not None:
        raise UsageError(
            "--dump-smt2 writes the question about one input; give one (--input with --index)"
        )
    if asked.dump_vnnlib is not None:
        raise UsageError(
            "--dump-vnnlib writes the question about one input; give one (--input with --index)"
        )
    if asked.contrast not in (None, "closest"):
        raise UsageError(
            f"--contrast {asked.contrast}: of many inputs some may be predicted as that class; use "
            "--contrast closest, or give one input"
        )
    if asked.no_script and not asked.pages:
        raise UsageError("--no-script is about pages, which many inputs have with --pages only")
    if asked.out is None:
        return
    if asked.out.suffix == ".json":
        raise OutputError(
            f"--out {asked.out}: of many inputs, --out is a directory for their certificates; give "
            "a name that does not end in .json"
        )
    if os.path.lexists(asked.out) and not asked.out.is_dir():
        raise OutputError(f"--out {asked.out}: exists and is no directory; choose another")
    require_writable(asked.out)


def require_new_question(option: str, path: Path) -> None:
    """Refuse a file for an option that writes a question, if it exists or cannot be written.

    Raises:
        OutputError: it is there, or its directory is missing or read-only.
    """
    require_new(f"{option} {path}", path)
    if not path.parent.is_dir():
        raise OutputError(f"{option} {path}: {path.parent} is no directory; create it first")
