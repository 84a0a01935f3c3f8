"""How a page proves its claim again in a browser: the script, and what it is given, packed.

The script runs under a policy that admits it by its hash, the kernel by another, and a worker made
of the two; no address of any kind. What it is given is base64, so no name can end its block, and
carries its own hash, as does what the page shows: a page of which a digit was changed refuses.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from protoproof.formal.portable import PortableProof, kernel_script

MARK = "<!-- proved again -->"  # no value can hold it: all of them are escaped
_SCRIPT = Path(__file__).parent / "templates" / "again.js"


class Again(NamedTuple):
    """Markup in place of the first and the second :data:`MARK`."""

    box: str
    scripts: str


_BOX = """<section id="again" class="again" aria-labelledby="again-title">
  <p class="stamp">Not checked again here</p>
  <h2 id="again-title">This page carries its proof</h2>
  <p>Claim, proof and a machine-checked kernel are in this file, but did not run: scripts are switched off, or this page was changed.</p>
</section>"""  # noqa: E501


def policy() -> str:
    """What the content security policy admits besides: the page's script, the kernel, a worker."""
    return f"; script-src {source(_script())} {source(kernel_script())}; worker-src blob:"


def again(portable: PortableProof, predicted: str, page: str) -> Again:
    """The box and the scripts for a page whose markup is ``page``.

    Args:
        portable: what is proved again.
        predicted: what the page calls what is predicted.
        page: its markup, without the box.
    """
    about = {
        "statement": portable.statement,
        "proof": portable.proof,
        "reason": portable.reason,
        "witnesses": portable.witnesses,
        "beyond": portable.beyond,
        "predicted": predicted,
        "shown": hashlib.sha256(shown(page).encode("utf-8")).hexdigest(),
    }
    scripts = _kernel(), _block("proof", json.dumps(about)), f"<script>{_script()}</script>"
    return Again(_BOX, "\n".join(scripts))


def shown(page: str) -> str:
    """What a page shows: its title, every text, and of header and main how their parts are made.

    Pictures, their words, sizes and places are attributes; names of data are left out, and what a
    reader opens. Blanks are made one.
    """
    reader = _Shown()
    reader.feed(page)
    reader.close()
    parts = [" ".join(reader.title.split()), " ", *reader.parts]
    return re.sub("[ \t\n\f\r]+", " ", "".join(parts)).strip(" \t\n\f\r")


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.title = ""
        self._inside = self._body = self._title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._title = tag == "title" and not self._body
        self._body = self._body or tag == "body"
        self._inside = self._inside or tag in ("header", "main")
        if self._inside:
            self.parts += [
                f" {name}={value or ''} "
                for name, value in attrs
                if name != "open" and not name.startswith("data-")
            ]

    def handle_endtag(self, tag: str) -> None:
        self._title = False
        self._inside = self._inside and tag not in ("header", "main")

    def handle_data(self, data: str) -> None:
        if self._title:
            self.title += data
        elif self._body:
            self.parts.append(data)


def _script() -> str:
    return _SCRIPT.read_text(encoding="utf-8")


@cache
def _kernel() -> str:
    return _block("kernel", kernel_script())


def source(text: str) -> str:
    """A script as a content security policy admits it, by its hash."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _block(name: str, text: str) -> str:
    """Data that no browser runs: packed, with its hash."""
    content = text.encode("ascii")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = base64.b64encode(packer.compress(content) + packer.flush()).decode("ascii")
    digest = hashlib.sha256(content).hexdigest()
    return f'<script type="text/plain" id="{name}" data-sha256="{digest}">{packed}</script>'
