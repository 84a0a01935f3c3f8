"""The words by which vocabularies and oracles are asked for. Imports nothing but errors."""

from __future__ import annotations

from typing import Literal

from protoproof.errors import UsageError

Vocabulary = Literal["topk", "ceiling", "mixed", "pairs", "path"]
VOCABULARIES: tuple[Vocabulary, ...] = ("topk", "ceiling", "mixed", "pairs")
# a tree has paths besides
WORDS: tuple[Vocabulary, ...] = (*VOCABULARIES, "path")
# those of which all minimal explanations are listed; mixed has the facts of topk and ceiling
ENUMERABLE: tuple[Vocabulary, ...] = ("pairs", "mixed")
ORACLES = ("auto", "triangle", "interval", "relational", "branch-and-bound")
# The words that certificates and records use for some of them; options take both.
STORED = {"interval": "exact", "branch-and-bound": "smt"}
# Words of options that mean another one by now.
_OLDER = {"cascade": "relational"}


def require_vocabulary(name: str) -> None:
    """Refuse a word that names no vocabulary.

    Raises:
        UsageError: it is neither ``auto`` nor one of :data:`WORDS`.
    """
    if name != "auto" and name not in WORDS:
        raise UsageError(f"--vocabulary {name}: unknown; use auto, " + ", ".join(WORDS))


def require_oracle(name: str) -> str:
    """The word by which records call an oracle to search with.

    Raises:
        UsageError: the name is none of :data:`ORACLES`, and no older word for one of them.
    """
    known = ", ".join(ORACLES)
    if name == "hypersphere":
        raise UsageError(
            "--oracle hypersphere: for comparison only; one more fact can loosen it, so nothing "
            f"may be dropped on its word; use {known}"
        )
    name = _OLDER.get(name, name)
    if name not in ORACLES and name not in STORED.values():
        raise UsageError(f"--oracle {name}: unknown; use {known}")
    return STORED.get(name, name)


def shown(stored: str) -> str:
    """The name of an oracle that records call by its older word."""
    return next((name for name, word in STORED.items() if word == stored), stored)
