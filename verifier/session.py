"""One explanation with the files it leaves behind: certificate, check result, page."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifier.certificate.canonical import canonical_bytes
from verifier.certificate.schema import About
from verifier.errors import InputError
from verifier.files import make_directory, write_atomic
from verifier.network import Network
from verifier.pipeline import Explainer, Explanation
from verifier.report.build import explanation_page
from verifier.report.html import render_explanation
from verifier.report.images import to_picture
from verifier.report.page import PageCertificate, PageModel, PageSize
from verifier.report.patches import Patches, load_patches
from verifier.report.reading import Reading, ReceptiveField

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """An explanation and where its files are; the paths are None where nothing was proved."""

    explanation: Explanation
    certificate: Path | None = None
    report: Path | None = None
    page: Path | None = None
    recheck: str = ""
    sentences: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document of ``explain --json``."""
        document = self.explanation.to_json(_text(self.certificate))
        return document | {"check": _text(self.report), "page": _text(self.page)}


def explain_to_files(
    network: Network,
    x: NDArray[np.float32],
    *,
    out: Path,
    input_name: str,
    program: Sequence[str],
    arguments: Sequence[str],
    vocabulary: str = "auto",
    domain: str = "free",
) -> Session:
    """Explain one input; write the certificate to ``out``, check result and page beside it.

    Nothing is written unless something was proved.

    Args:
        network: the network.
        x: the input [C, H, W].
        out: the certificate's file; its directory is created.
        input_name: what the user called the input.
        program: how the program was started, for the command that checks again.
        arguments: what it was given; recorded beside the certificate's core.
        vocabulary: see :meth:`verifier.pipeline.Explainer.explain`.
        domain: likewise.

    Raises:
        OutputError: a file cannot be written.
        InputError, UsageError, FragileError: see the explainer.
    """
    make_directory(out.parent)  # found out before any work starts
    about = About(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join([*program, *arguments]),
        input_name=input_name,
    )
    result = Explainer(network).explain(x, vocabulary=vocabulary, domain=domain, about=about)
    if result.certificate is None or result.check is None:
        return Session(result)
    content = canonical_bytes(result.certificate)
    recheck = shlex.join([*program, "check", str(out), _short(network.path)])
    page = explanation_page(
        envelope=result.certificate,
        check=result.check,
        reading=_reading(network, result),
        picture=to_picture(result.observation.x, *network.input_range),
        input_name=input_name,
        model=_model(network),
        certificate=PageCertificate(out.name, hashlib.sha256(content).hexdigest(), recheck),
        sizes=tuple(
            PageSize(a.vocabulary, a.size, str(a.verdict), a.seconds) for a in result.attempts
        ),
        seconds=result.seconds,
        patches=_patches(network),
    )
    paths = [out, _beside(out, ".check.json"), _beside(out, ".html")]
    write_atomic(paths[0], content)
    write_atomic(paths[1], (json.dumps(result.check.to_json(), indent=2) + "\n").encode())
    write_atomic(paths[2], render_explanation(page).encode("utf-8"))
    return Session(
        result, paths[0], paths[1], paths[2], recheck, tuple(f.sentence for f in page.facts)
    )


def _patches(network: Network) -> Patches | None:
    """Pictures of the prototypes. They only illustrate: a broken file costs no more than them."""
    try:
        return load_patches(network.path, len(network.head.prototypes))
    except InputError as error:
        _log.warning("no pictures of prototypes: %s", error)
        return None


def _reading(network: Network, result: Explanation) -> Reading:
    field = network.description.latent.receptive_field
    head = network.head
    return Reading(
        classes=network.class_names,
        grid=head.grid,
        measurement=head.measurement(result.observation.latent.astype(np.float64)),
        similarity=head.similarity.value,
        weight=head.weight,
        bias=head.bias,
        predicted=result.predicted,
        prototype_class=head.prototype_class,
        receptive_field=None
        if field is None
        else ReceptiveField(size=field.size, stride=field.stride, start=field.start),
    )


def _model(network: Network) -> PageModel:
    description, head = network.description, network.head
    about = (
        ("prototypes", f"{len(head.prototypes)} of {head.channels} channels"),
        ("similarity", description.similarity.kind),
        ("producer", description.producer),
    )
    return PageModel(description.name, network.sha256, network.binding, head.grid, about)


def _beside(path: Path, ending: str) -> Path:
    """``digit.cert.json`` -> ``digit.html``: the certificate's name with another ending."""
    stem = path.name.removesuffix(".json").removesuffix(".cert")
    return path.with_name(stem + ending)


def _short(path: Path) -> str:
    """Relative to the working directory where the path lies below it."""
    absolute = path.resolve()
    below = absolute.is_relative_to(Path.cwd())
    return str(absolute.relative_to(Path.cwd()) if below else path)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
