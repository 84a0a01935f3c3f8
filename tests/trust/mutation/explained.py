"""Mutants that no test can notice, and why: by file, a mutant's key, and the reason."""

from __future__ import annotations

EXPLAINED: dict[str, dict[str, str]] = {}
