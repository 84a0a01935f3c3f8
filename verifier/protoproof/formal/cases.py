"""Proofs by cases."""

from __future__ import annotations

from protoproof.certificate.cases import CaseTree
from protoproof.formal.known import Root
from protoproof.formal.lines import Lines, Precision
from protoproof.formal.script import NotCoveredError, Token


class Cases:
    """Writes trees of cases."""

    def __init__(self, root: Root, lines: Lines, precision: Precision) -> None:
        self._root, self._lines, self._precision = root, lines, precision

    def tree(self, tree: CaseTree) -> list[Token]:
        """The proof of one margin."""
        raise NotCoveredError("proofs by cases")
