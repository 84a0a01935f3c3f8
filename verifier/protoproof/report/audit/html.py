"""The audit report: one HTML file under the same rules as the explanation page, and its PDF."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from protoproof.errors import InternalError, MissingDependencyError
from protoproof.report.audit.figures import (
    HEIGHT,
    SIDE,
    WIDTH,
    curves,
    histogram,
    matrix,
    roc,
    waterfall,
)
from protoproof.report.audit.overview import (
    failures_first,
    filters,
    is_odd,
    kind,
    least_reliable,
    margin_dots,
    size_ranges,
)
from protoproof.report.audit.page import AuditPage
from protoproof.report.page.again import source
from protoproof.report.page.html import TEMPLATES, environment
from protoproof.report.page.images import data_uri
from protoproof.report.page.page import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PDF_SECONDS = 180.0
_GALLERY = 12  # wrong or open instances that are shown as pictures, besides their lines
_THUMBNAIL = 48  # pixels of the longer side
_MANY = 60  # sections with pictures; beyond it they are drawn smaller


def render_audit(page: AuditPage, *, scripts: bool = True) -> str:
    """The report as HTML text (encode it as UTF-8).

    ``scripts``: with a script that searches and orders the instances, admitted by its hash; filters
    work without it, and nothing else needs it.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    sheets = ("explanation.css", "audit.css")
    style = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in sheets)
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    longest = 192 if len(page.instances) <= _MANY else 96

    def picture(image: Image) -> str:
        return data_uri(image, longest)

    script = (TEMPLATES / "audit.js").read_text(encoding="utf-8") if scripts else ""
    dots, reach, top = margin_dots(page.instances)
    ordered = failures_first(page.instances)
    return (
        environment()
        .get_template("audit.html.j2")
        .render(
            page=page,
            style=style,
            style_digest=digest,
            script=script,
            policy=f"; script-src {source(script)}" if script else "",
            ordered=ordered,
            files={item.index: item.file for item in (*page.wrong, *ordered) if item.file},
            kinds={item.index: kind(item) for item in ordered},
            filters=filters(ordered),
            most=_GALLERY,
            dots=dots,
            reach=reach,
            top=top,
            ranges=size_ranges(page.instances),
            unreliable=least_reliable(page),
            odd=[item for item in page.prototypes if is_odd(item)],
            plain=[item for item in page.prototypes if not is_odd(item)],
            picture=picture,
            thumbnail=lambda image: data_uri(image, _THUMBNAIL),
            waterfall=waterfall,
            histograms=[histogram(name, sizes) for name, sizes in page.sizes if sizes],
            curves=curves(page.regions, page.correct),
            matrix=matrix(page.use),
            rocs=roc(page.signal),
            side=SIDE,
            width=WIDTH,
            height=HEIGHT,
        )
    )


def find_browser() -> str | None:
    """A Chromium on this machine, if there is one."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def print_pdf(html: Path) -> bytes:
    """The page as a headless Chromium prints it.

    Raises:
        MissingDependencyError: there is no Chromium.
        InternalError: it printed nothing.
    """
    browser = find_browser()
    if browser is None:
        raise MissingDependencyError(
            "--pdf needs Chromium, which is not installed: install it, or print the HTML file "
            "from any browser"
        )
    with tempfile.TemporaryDirectory(prefix="protoproof-") as directory:
        target = Path(directory) / "report.pdf"
        # a sandbox of its own needs privileges that containers lack; the page is ours and
        # loads nothing
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [
            browser,
            "--headless",
            *sandbox,
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={directory}/profile",
            f"--print-to-pdf={target}",
            html.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(  # noqa: S603  # a fixed program and our own file
                command, capture_output=True, timeout=_PDF_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InternalError(f"{browser} did not print within {_PDF_SECONDS:.0f} s") from error
        if not target.is_file():
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise InternalError(f"{browser} printed nothing: {' '.join(last)[:200]}")
        return target.read_bytes()
