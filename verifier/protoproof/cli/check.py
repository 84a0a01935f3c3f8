"""``check``: a certificate, proved again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protoproof.cli.options import Index, Json, Model, Quiet
from protoproof.cli.terminal import alarming, print_json, strong
from protoproof.cli.two_files import read_certificate_file
from protoproof.errors import UsageError
from protoproof.report.page.text import visible

FACTS = 12  # that are said without --verbose

if TYPE_CHECKING:
    from protoproof.kernel import CheckReport, ModelFile
    from protoproof.kernel.claims import Claim
    from protoproof.network import Network


def check(
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="The certificate.")],
    model: Model,
    input_: Annotated[
        Path | None, typer.Option("--input", help="Also run this input, and compare its latent.")
    ] = None,
    index: Index = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="All facts in words, and each that is proved necessary."),
    ] = False,
    machine: Annotated[
        bool,
        typer.Option(
            "--kernel", help="Also let the machine-checked kernel prove it (make kernel)."
        ),
    ] = False,
    statement: Annotated[
        Path | None,
        typer.Option("--statement", metavar="FILE", help="Write what is claimed, as integers."),
    ] = None,
    coq: Annotated[
        Path | None,
        typer.Option(
            "--coq",
            metavar="FILE.v",
            help="With what --kernel does, write what it proved as theorems that coqc accepts.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Re-prove a certificate from the model file alone, in exact arithmetic."""
    from protoproof.kernel import ModelFile

    _require_both(index, input_)
    _require_apart({"--statement": statement, "--coq": coq}, (certificate, model, input_))
    machine = machine or coq is not None
    if machine:
        _require_kernel()
    # what is proved and what is observed are about the same bytes: each file is read once
    content = read_certificate_file(certificate, model, "protoproof check")
    if input_ is None:
        file, observed = ModelFile.read(model), None
        report, code = _proved(content, certificate, file, None)
    else:
        file, report, code, observed = _observed(content, certificate, model, input_, index)
    stated, words = _stated(content, file, report, statement), _in_words(content, file, report)
    answer = _asked(content, file, coq) if machine and report.met else None
    code = code or (0 if answer is None else answer.exit_code)
    if as_json:
        also: dict[str, object] = {"observed": observed, "exit_code": code, "statement": stated}
        also["words"] = None if words is None else words.to_json()
        if machine:
            also["kernel"] = None if answer is None else answer.to_json()
        print_json(report.to_json() | also)
    elif not quiet:
        print_check(report, observed, code, verbose, stated, answer, words)
    raise typer.Exit(code)


def _require_kernel() -> None:
    """Find out before any work whether the machine-checked kernel is built."""
    from protoproof.formal import find_program, find_reader

    find_program(), find_reader()


def _require_apart(written: Mapping[str, Path | None], read: Sequence[Path | None]) -> None:
    """Refuse to write over what is checked.

    Raises:
        OutputError: a file that is read lies there.
    """
    for option, path in written.items():
        if path is not None:
            from protoproof.files import require_apart

            require_apart(f"{option} {path}", [path], read)


def _require_both(index: int | None, input_: Path | None) -> None:
    """Refuse an entry of no input.

    Raises:
        UsageError: there is an index, and no input.
    """
    if index is not None and input_ is None:
        raise UsageError("--index chooses an entry of --input; give both, or neither")


@dataclass(frozen=True)
class _Words:
    """What was proved, in a sentence, and every fact in one."""

    claim: str
    facts: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {"claim": self.claim, "facts": list(self.facts)}

    def lines(self, verbose: bool, conditional: bool) -> tuple[str, ...]:
        """For the terminal: all facts, or the first few."""
        shown = self.facts if verbose else self.facts[:FACTS]
        more = len(self.facts) - len(shown)
        rest = (f"  - and {more} more (--verbose lists all)",) if more else ()
        word = "if so   " if conditional else "in words"
        return f"{word} {self.claim}", *(f"  - {fact}" for fact in shown), *rest


def _in_words(content: bytes, model: ModelFile, report: CheckReport) -> _Words | None:
    """What a certificate whose obligations are met says, of classes and prototypes by number."""
    if not report.met:
        return None
    from protoproof.certificate.reader import read_certificate
    from protoproof.kernel.budget import Budget
    from protoproof.kernel.statement import stated_head
    from protoproof.report.page.stated import class_words, fact_stated, headline

    core = read_certificate(content).core
    with Budget().active():
        uniform = stated_head(core, model).head.uniform
    facts = tuple(fact_stated(fact, core, uniform) for fact in core.facts)
    return _Words(headline(core, class_words(core)), facts)


def _stated(content: bytes, model: ModelFile, report: CheckReport, path: Path | None) -> str | None:
    """The hash of the statement, where there is one; also writes it, where that is asked for.

    Raises:
        CertificateError: it was asked for, and there is none.
    """
    from protoproof.errors import CertificateError
    from protoproof.kernel.statement import digest, statement

    if path is None and not report.met:
        return None
    try:
        text = statement(content, model)
    except CertificateError:
        if path is not None:
            raise
        return None
    if path is not None:
        from protoproof.files import write_atomic

        write_atomic(path, text.encode())
    return digest(text)


@dataclass(frozen=True)
class _Asked:
    """What the machine-checked kernel proved, what it left, and where it is written for coqc."""

    proved: tuple[str, ...]
    left: tuple[str, ...]
    written: Path | None = None
    contradicted: bool = False

    @property
    def exit_code(self) -> int:
        """0: proved; 1: model and certificate say something else; 3: something is left."""
        return 1 if self.contradicted else 3 if self.left else 0

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        found: dict[str, object] = {"proved": list(self.proved), "left": list(self.left)}
        if self.written is not None:
            found["written"] = str(self.written)
        return found

    def lines(self) -> tuple[str, ...]:
        """For the terminal."""
        written = () if self.written is None else (f"written: {self.written}",)
        return *self.proved, *self.left, *written


def _asked(content: bytes, model: ModelFile, coq: Path | None) -> _Asked:
    """What the kernel says; ``coq``: where what it proved is written, for coqc."""
    from protoproof.formal import closed, verify
    from protoproof.formal.program import LEVEL_F

    if coq is None:
        answer, theorems = verify(content, model), ""
    else:
        answer, theorems = closed(content, model)
    nothing = "" if coq is None else "; nothing is written"
    reading = answer.reading
    if reading is not None and not reading.confirmed:  # whatever is proved, it is not known of what
        return _Asked((), (f"{reading}{nothing}",), contradicted=reading.verdict == "contradicted")
    if not answer.sufficient:
        return _Asked((), ((answer.reason or "not proved: the kernel found no proof") + nothing,))
    if coq is not None:
        from protoproof.files import write_atomic

        write_atomic(coq, theorems.encode())
    proved = ["second reading: confirmed", f"sufficient {answer.over}".rstrip()]
    proved += [LEVEL_F] if answer.float32 else []
    if answer.necessary:
        count = len(answer.necessary)
        proved.append(f"necessary: {count} fact{'' if count == 1 else 's'}")
    proved += answer.also
    return _Asked(tuple(proved), answer.left, written=coq)


def _proved(
    content: bytes, name: Path, model: ModelFile, digest: str | None
) -> tuple[CheckReport, int]:
    """What the checker says, and the exit code.

    Raises:
        CertificateError: the file does not even claim to be a certificate.
    """
    from protoproof import kernel
    from protoproof.certificate.reader import require_certificate

    report = kernel.check(content, model, digest)
    if report.obligations[0].passed is not True:  # is it a certificate at all?
        require_certificate(content, str(name))
    return report, report.exit_code


def _observed(
    content: bytes, name: Path, model: Path, input_: Path, index: int | None
) -> tuple[ModelFile, CheckReport, int, str | None]:
    """The same, with what the runtime computes here for the input that was presented.

    Without a runtime the input's hash is compared all the same; what was asked for stays open then.
    """
    from protoproof.extras import installed, missing
    from protoproof.kernel import ModelFile
    from protoproof.network.inputs import read_input_file
    from protoproof.network.recorded import confirm_latent, input_digest

    network = _as_stated(content, name, model)
    read = read_input_file(input_, network.pixels, index)
    x = read.x
    model_file = ModelFile(network.data, network.files)
    report, code = _proved(content, name, model_file, input_digest(x))
    if not report.met or report.instance is None:
        return model_file, report, code, None
    # whose word that is matters: the certificate says it, and its proof does not cover it
    how = network.pixels.remark()
    stated = network.pixels.preprocessing is not None and how in read.remarks
    prepared = f"; its {how}" if stated else ""
    if not installed("onnxruntime"):
        told = missing("explain", "to run the network on it", ["onnxruntime"])
        return model_file, report, 3, f"the input has the recorded hash{prepared}; {told}"
    verdict, sentence = confirm_latent(report.instance, network, x)
    sentence += prepared
    return model_file, report, verdict.exit_code or code, sentence  # what is conditional stays so


def _as_stated(content: bytes, name: Path, model: Path) -> Network:
    """The network with the latent and the output that the certificate is about.

    Raises:
        CertificateError: the file is none.
        ModelError: the model is refused, or has no such head.
    """
    from protoproof.certificate.reader import read_certificate, require_certificate
    from protoproof.data.preprocess import recorded
    from protoproof.network import load

    require_certificate(content, str(name))
    envelope = read_certificate(content)
    stated = envelope.core.model
    return load(
        model,
        latent=stated.latent,
        output=stated.output,
        routing=stated.routing,
        # not proved, and no matter: the hash of the input that comes out of it is compared
        preprocess=recorded(envelope.about.preprocessing),
    )


def _summed_up(claims: tuple[Claim, ...]) -> list[str]:
    """The claims, with one line for all facts that are proved necessary, or superfluous."""
    from protoproof.kernel.claims import Necessary, NecessaryTile, Superfluous

    each = Necessary | NecessaryTile | Superfluous
    necessary = [claim for claim in claims if isinstance(claim, Necessary)]
    spare = sum(isinstance(claim, Superfluous) for claim in claims)
    tiles = sum(isinstance(claim, NecessaryTile) for claim in claims)
    lines = [str(claim) for claim in claims if not isinstance(claim, each)]
    if tiles:
        count = f"{tiles} kept tile{'' if tiles == 1 else 's'}"
        lines.append(f"necessary: {count}, each by an input (--verbose lists them)")
    if necessary:
        count = f"{len(necessary)} fact{'' if len(necessary) == 1 else 's'}"
        lines.insert(1, f"necessary: {count}, each by a witness (--verbose lists them)")
    if spare:
        count = f"{spare} fact{'' if spare == 1 else 's'}"
        lines.append(f"superfluous: {count}, each by itself (--verbose lists them)")
    return lines


def _claims_nothing(obligation: str, report: CheckReport) -> bool:
    """Whether an obligation is met because the certificate makes no claim of its kind."""
    from protoproof.kernel.claims import (
        AtLeast,
        Contrast,
        Necessary,
        NecessaryTile,
        RobustExplanation,
        Superfluous,
    )

    kinds = {
        "witnesses": Necessary | NecessaryTile | Superfluous,
        "size": AtLeast,
        "contrast": Contrast,
    }
    kind = (kinds | {"holding": RobustExplanation}).get(obligation)
    return kind is not None and not any(isinstance(claim, kind) for claim in report.claims)


def print_check(
    report: CheckReport,
    observed: str | None,
    code: int,
    verbose: bool,
    stated: str | None = None,
    asked: _Asked | None = None,
    words: _Words | None = None,
) -> None:
    """The outcome of ``check``: one line per obligation, what is proved of what, and in words."""
    for obligation in report.obligations:
        mark = {True: "ok", False: "FAILED", None: "not run"}[obligation.passed].ljust(8)
        mark = alarming(mark) if obligation.passed is False else mark
        nothing = obligation.passed and _claims_nothing(obligation.name, report)
        detail = ": nothing claimed" if nothing else f": {visible(obligation.detail)}"
        print(f"{obligation.number:>3}  {mark} {visible(obligation.name)}{detail}")
    for word, value in report.subject:
        print(f"about    {word}: {visible(value)}")
    if stated is not None:
        print(f"about    statement: {stated}")
    for assumption in report.assumptions:
        word = "holds if" if assumption in report.conditions else "assumes "
        print(f"{word} {visible(assumption)}")
    then = "would be proved then: " if report.conditions else ""
    for claim in map(str, report.claims) if verbose else _summed_up(report.claims):
        print(f"claim    {then}{visible(claim)}")
    if observed is not None:
        print(f"observed {visible(observed)}")
    for text in () if asked is None else asked.lines():
        print(f"kernel   {visible(text)}")
    for text in () if words is None else words.lines(verbose, bool(report.conditions)):
        print(visible(text))
    _print_outcome(report, code, asked)


def _print_outcome(report: CheckReport, code: int, asked: _Asked | None) -> None:
    """The last line: what it comes to."""
    if asked is not None and report.accepted and asked.contradicted:
        print(f"certificate {alarming('rejected')}: two readings of it and its model do not agree")
    elif asked is not None and report.accepted and asked.left:
        print(
            strong("the certificate is accepted, but not all of it by the machine-checked kernel")
        )
    elif report.accepted and code:
        print(strong("the certificate is sound, but not confirmed for this input"))
    elif report.conditions:
        print(f"certificate {strong('conditional')}: it rests on somebody's word, see above")
    else:
        say = alarming if report.status == "rejected" else strong
        print(f"certificate {say(report.status)}")
