"""Results of an earlier run are set aside before anything else happens.

A run that ends early, for whatever reason, must not leave the last one's "passed" where its own
result is looked for.
"""

from __future__ import annotations

from pathlib import Path

from protoproof.files import set_aside

RESULTS = ("gate.json", "gate.junit.xml", "gate.sarif")
PAGES = ("report.html", "report.pdf")  # under the names that the documentation gives them


def set_results_aside(out: Path, *further: Path) -> None:
    """Rename what an earlier gate left in ``out``, and ``further`` files, to ``NAME.stale``.

    Raises:
        OutputError: one of them cannot be renamed.
    """
    for path in (*(out / name for name in (*RESULTS, *PAGES)), *further):
        set_aside(path)
