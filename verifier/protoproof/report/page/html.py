"""The explanation page: one HTML file that loads nothing and needs no network.

Every value that reaches the template is made visible (no control or bidirectional characters) and
escaped. The content security policy admits the page's own style sheet, by its hash, and pictures
inside ``data:`` addresses; where the page proves itself (see :mod:`.again`) also its own script and
the kernel, by their hashes; nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protoproof.errors import MissingDependencyError
from protoproof.report.page import text
from protoproof.report.page.again import MARK, again, policy
from protoproof.report.page.page import ExplanationPage
from protoproof.report.page.view import context
from protoproof.report.page.words import VOCABULARIES
from protoproof.wording import plural

if TYPE_CHECKING:
    import jinja2


TEMPLATES = Path(__file__).parent / "templates"


def render_explanation(page: ExplanationPage) -> str:
    """The page as HTML text (encode it as UTF-8).

    Raises:
        MissingDependencyError: jinja2 is not installed.
        InternalError: a picture is not an 8-bit image.
    """
    values = {"vocabularies": VOCABULARIES, "mark": MARK, "scripts": page.portable is not None}
    if page.portable is None:
        return rendered("explanation.html.j2", context(page) | values | {"policy": ""})
    text = rendered("explanation.html.j2", context(page) | values | {"policy": policy()})
    before, between, after = text.split(MARK)
    box, scripts = again(page.portable, page.predicted, text)
    return "".join([before, box, between, scripts, after])


def rendered(template: str, values: dict[str, Any]) -> str:
    made = environment()
    style = (TEMPLATES / "explanation.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return made.get_template(template).render(values, style=style, style_digest=digest)


def environment() -> jinja2.Environment:
    """The template engine, under which every value is made visible and escaped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        import jinja2
        import markupsafe
    except ImportError as error:
        raise MissingDependencyError(
            "the page needs jinja2, which is not installed: pip install jinja2"
        ) from error

    def made_visible(value: Any) -> Any:
        # Markup is what our own filters and templates made; everything else is data
        if isinstance(value, str) and not isinstance(value, markupsafe.Markup):
            return text.visible(value)
        return value

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=made_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        text.at_least,
        text.at_most,
        text.class_name,
        text.label,
        text.nearest,
        plural,
        text.seconds,
        text.signed,
    ):
        made.filters[function.__name__] = function
    return made
