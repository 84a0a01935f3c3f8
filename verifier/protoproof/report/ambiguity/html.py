"""The explanation page: one HTML file that loads nothing, runs nothing, and needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protoproof.report.ambiguity.page import AmbiguityPage, ambiguity_context
from protoproof.report.page.html import rendered

if TYPE_CHECKING:
    pass


def render_ambiguity(page: AmbiguityPage) -> str:
    """The page about colliding explanations; see :func:`render_explanation`."""
    return rendered("ambiguity.html.j2", ambiguity_context(page))
