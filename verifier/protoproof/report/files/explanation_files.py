"""One explanation with the files it leaves behind: certificate, check result, page."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import About
from protoproof.errors import InternalError, OutputError
from protoproof.explanation.evidence import (
    Question,
    another_question,
    asked_about,
    called,
    kept_beside,
    short,
    taken,
)
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.explanation.result import Explanation
from protoproof.files import make_directory, require_apart, require_writable, write_together
from protoproof.formal.portable import portable_proof
from protoproof.formal.pseudo_boolean import size_files
from protoproof.network import Network
from protoproof.report.files.alternatives_view import Extras
from protoproof.report.files.beside import Beside, explained_beside
from protoproof.report.page.build import explanation_page
from protoproof.report.page.facts import fact_words
from protoproof.report.page.html import render_explanation
from protoproof.report.page.identity import page_model
from protoproof.report.page.images import input_picture
from protoproof.report.page.page import (
    ExplanationPage,
    PageCertificate,
    PageNote,
    PageSize,
)
from protoproof.report.page.patches import Patches, patches_of
from protoproof.report.page.reading import Reading, reading_of
from protoproof.report.page.told import PROGRAM, told_path
from protoproof.report.page.units import unit_of


@dataclass(frozen=True)
class Files:
    """Where an answer goes, and how it was asked for.

    Attributes:
        out: the certificate's file; its directory is created. Check result and page lie beside it.
        program: how the program was started, for the command that checks again.
        arguments: what it was given; recorded beside the certificate's core.
        protected: files that must not be written over, besides the model.
        page: whether to write the page; certificate and check result are written in any case.
        scripts: whether the page proves itself in a browser.
        chosen: whether somebody chose the name. Where it is taken by the answer to another
            question, a chosen name is refused, and another one gets a few digits more.
    """

    out: Path
    program: Sequence[str]
    arguments: Sequence[str]
    protected: Sequence[Path] = ()
    page: bool = True
    scripts: bool = True
    chosen: bool = True

    def about(self, question: Question) -> Files:
        """The same, under a name that no answer to another question has.

        Raises:
            OutputError: the name was chosen, and is taken.
        """
        other = taken(_paths(self.out), question)
        if other is None:
            return self
        if self.chosen:
            raise another_question(other)
        free = replace(self, out=_beside(self.out, f"--{short(question)}.cert.json"))
        # a few digits of a hash, so this is never seen; if it is, nothing is written over
        if (other := taken(_paths(free.out), question)) is not None:
            raise another_question(other)
        return free


@dataclass(frozen=True)
class Session:
    """An explanation and where its files are; the paths are None where nothing was proved.

    ``notes`` and ``extras`` say what was found beside it, in words and as data; ``labelled`` is
    what the input is labelled as, where somebody says so; ``unit`` in what the size of a region is
    measured, where the domain is one. ``earlier``: another proof of the same question, which stays.
    """

    explanation: Explanation
    input_name: str
    certificate: Path | None = None
    report: Path | None = None
    page: Path | None = None
    recheck: str = ""
    sentences: tuple[str, ...] = ()
    notes: tuple[PageNote, ...] = ()
    extras: dict[str, Any] = field(default_factory=dict)
    labelled: str | None = None
    unit: str = ""
    earlier: Path | None = None

    @property
    def right(self) -> bool | None:
        """Whether the prediction is what the input is labelled as; no proof says that."""
        if self.labelled is None or self.explanation.about_labels:
            return None
        return self.labelled == self.explanation.predicted_name

    def to_json(self) -> dict[str, Any]:
        """The document of ``explain --json``."""
        document = self.explanation.to_json(_text(self.certificate)) | self.extras
        document |= {"labelled": self.labelled, "right": self.right, "unit": self.unit or None}
        document["earlier"] = _text(self.earlier)
        return document | {"check": _text(self.report), "page": _text(self.page)}


def explain_to_files(
    explainer: Explainer,
    x: NDArray[np.float32],
    input_name: str,
    files: Files,
    options: ExplainOptions | None = None,
    beside: Beside | None = None,
    pictures: Callable[[], Patches | None] | None = None,
    labelled: str | None = None,
) -> Session:
    """Explain one input; write certificate, check result and page.

    Nothing is written unless something was proved, and nothing that answers another question is
    written over.

    Args:
        explainer: of the network.
        x: the input [C, H, W].
        input_name: what the user called the input.
        files: where to write.
        options: how to explain.
        beside: what to show beside the explanation.
        pictures: the prototypes' pictures, for calls about many inputs; read here if not given.
        labelled: the class that the input is labelled as, where somebody says so.

    Raises:
        OutputError: a file cannot be written.
        InputError, UsageError, FragileError: see the explainer.
    """
    # found out before any work starts
    options, network = options or ExplainOptions(), explainer.network
    options.require_enumerable()
    kept = [network.path, *beside_the_network(network.path), *files.protected]
    _outputs(files.out, kept)
    files = files.about(asked_about(network, x, options.domain, options.label))
    paths = _outputs(files.out, kept)
    about = called([*files.program, *files.arguments], input_name, network.pixels.text)
    result, extras = explained_beside(explainer, x, options, beside or Beside(), about)
    if result.certificate is None or result.check is None:
        earlier = files.out if files.out.is_file() else None  # of this question: see ``about``
        return Session(result, input_name, labelled=labelled, earlier=earlier)
    patches = None
    if files.page:
        patches = patches_of(network) if pictures is None else pictures()
    session = Session(result, input_name, *paths, labelled=labelled)
    return _written(explainer, result, extras, session, files, patches)


def _written(
    explainer: Explainer,
    result: Explanation,
    extras: Extras,
    session: Session,
    files: Files,
    patches: Patches | None,
) -> Session:
    """Write what was found; ``session`` says under which names, and comes back complete."""
    network = explainer.network
    certificate, check = session.certificate, session.report
    if result.certificate is None or result.check is None or certificate is None or check is None:
        raise InternalError("files need a certificate")
    out, content = files.out, canonical_bytes(result.certificate)
    recheck = shlex.join([*files.program, "check", str(out), _short(network.path)])
    checked = (json.dumps(result.check.to_json(), indent=2) + "\n").encode()
    core = result.certificate.core
    earlier = kept_beside({certificate: core})
    written = {certificate: content, check: checked} | earlier
    latent, instance = result.observation.latent, core.instance
    reading = reading_of(network, latent, instance.predicted, core.rivals)
    listed = _listed(out, extras, result.certificate.about)
    names = [_utf8(str(path)) for path in listed]
    notes = extras.notes(reading, names, patches)
    if files.page and session.page is not None:
        again = shlex.join([PROGRAM, "check", out.name, told_path(network.path, out.parent)])
        identity = PageCertificate(out.name, hashlib.sha256(content).hexdigest(), again)
        shown = _page(network, session, identity, reading, patches, notes)
        if result.check.met:
            proof = portable_proof(core, explainer.model_file, proved=files.scripts)
            shown = shown.with_proof(proof)
        written[session.page] = render_explanation(shown).encode("utf-8")
    if core.size_bound is not None and result.check.met:
        sizes = size_files(core, explainer.model_file)
        written |= {_beside(out, ending): text.encode() for ending, text in sizes.items()}
    make_directory(out.parent)
    if listed:
        make_directory(next(iter(listed)).parent)
    write_together(written | listed)
    return replace(
        session,
        page=session.page if files.page else None,
        recheck=recheck,
        sentences=tuple(fact_words(fact, reading) for fact in result.certificate.core.facts),
        notes=notes,
        extras=extras.to_json(reading, names),
        unit=unit_of(network, core),
        earlier=next(iter(earlier), None),
    )


def _listed(out: Path, extras: Extras, about: About) -> dict[Path, bytes]:
    """The certificates of all minimal explanations, in a folder beside the first one's."""
    others = extras.others
    folder = _beside(out, ".explanations")
    return {
        folder / f"{number:03d}.cert.json": canonical_bytes(
            listed.certificate.model_copy(
                update={
                    "about": about.model_copy(update={"oracle": listed.certificate.about.oracle})
                }
            )
        )
        for number, listed in enumerate(() if others is None else others.explanations, 1)
    }


def _page(
    network: Network,
    session: Session,
    certificate: PageCertificate,
    reading: Reading,
    patches: Patches | None,
    notes: tuple[PageNote, ...],
) -> ExplanationPage:
    result = session.explanation
    if result.certificate is None or result.check is None:
        raise InternalError("a page needs a certificate")
    return explanation_page(
        envelope=result.certificate,
        check=result.check,
        reading=reading,
        picture=input_picture(network, result.observation.x),
        input_name=_utf8(session.input_name),
        model=page_model(network),
        certificate=certificate,
        sizes=tuple(
            PageSize(
                a.vocabulary,
                a.facts,
                a.numbers,
                a.words,
                a.seconds,
                result.lower_bound if a.vocabulary == result.vocabulary else None,
            )
            for a in result.attempts
        ),
        seconds=result.seconds,
        patches=patches,
        notes=notes,
        labelled=session.labelled,
        unit=unit_of(network, result.certificate.core),
    )


def beside_the_network(path: Path) -> list[Path]:
    """Provenance and prototype sheet of a network, which nothing may write over."""
    return [path.with_suffix(".json"), path.with_suffix(".prototypes.png")]


def _outputs(out: Path, protected: Sequence[Path]) -> tuple[Path, Path, Path]:
    """Certificate, check result and page.

    Raises:
        OutputError: ``out`` is no ``.json`` name, its directory cannot be written to, or one of
            the three would replace a file that is needed.
    """
    if not out.name.endswith(".json") or out.name in (".json", ".cert.json"):
        raise OutputError(f"--out {out}: a certificate's name must end in .json")
    paths = _paths(out)
    require_apart(f"--out {out}", paths, protected)
    require_writable(out.parent)
    return paths


def _paths(out: Path) -> tuple[Path, Path, Path]:
    return (out, _beside(out, ".check.json"), _beside(out, ".html"))


def _beside(path: Path, ending: str) -> Path:
    """``digit.cert.json`` -> ``digit.html``: the certificate's name with another ending."""
    stem = path.name.removesuffix(".json").removesuffix(".cert")
    return path.with_name(stem + ending)


def _short(path: Path) -> str:
    """Relative to the working directory where the path lies below it."""
    absolute = path.resolve()
    below = absolute.is_relative_to(Path.cwd())
    return str(absolute.relative_to(Path.cwd()) if below else path)


def _utf8(text: str) -> str:
    """File names may hold bytes that are no text; they are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _text(path: Path | None) -> str | None:
    return None if path is None else _utf8(str(path))
