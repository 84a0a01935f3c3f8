"""The kernel as a program: where it is, and what it answers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core, ReachDomain
from protoproof.errors import UsageError
from protoproof.formal.built import find_built
from protoproof.formal.limited import TooCostlyError, run
from protoproof.formal.proof import proof
from protoproof.formal.reading import Reading, find_reader, second_reading
from protoproof.formal.script import NotCoveredError
from protoproof.formal.steps import stepwise
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.model.file import ModelFile
from protoproof.kernel.statement import digest, part_boxes, stated_head, write

NAME = "protoproof-kernel"
LEVEL_F = "level F"
VARIABLE = "PROTOPROOF_KERNEL"
_ALSO = ("contrast", "at-least")
_TRIES = 3
_HALVINGS = 2


@dataclass(frozen=True)
class Answer:
    """What the kernel said about one statement.

    Attributes:
        statement: its SHA-256.
        sufficient: whether it proved that the facts suffice and that the recorded latent has them.
        over: where the facts suffice, if not over the whole domain: "on each of 4 parts".
        necessary: the facts whose witnesses it proved.
        open: the facts whose witnesses it did not prove.
        also: what else it proved: "contrast RIVAL COUNT", "at-least COUNT VOCABULARY LEVEL".
        unproved: what it did not prove of that.
        beyond: what the certificate claims besides, and the kernel does not know.
        float32: whether it proved level F, where the certificate is at that level.
        reason: why it proved nothing, where it knew that it could not.
        reading: what the second reading says of the statement; None: it was not asked.
    """

    statement: str
    sufficient: bool
    necessary: tuple[int, ...] = ()
    open: tuple[int, ...] = ()
    also: tuple[str, ...] = ()
    unproved: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    float32: bool = False
    reason: str = ""
    over: str = ""
    reading: Reading | None = None

    @property
    def proved(self) -> bool:
        """Whether everything that it was asked is proved, and the statement is confirmed."""
        read = self.reading is None or self.reading.confirmed
        return self.sufficient and not self.open and not self.unproved and read

    @property
    def left(self) -> tuple[str, ...]:
        """What a certificate claims besides sufficiency and is not proved, each in a line."""
        found = [f"not proved: necessary:{fact}" for fact in self.open]
        found += [f"not proved: {claim}" for claim in self.unproved]
        found += [
            f"{LEVEL_F} not covered by the kernel"
            if claim == LEVEL_F
            else f"not covered by the kernel: {claim}"
            for claim in self.beyond
        ]
        return tuple(found)


def find_program() -> Path:
    """The kernel's program.

    Raises:
        UsageError: there is none.
    """
    return find_built(NAME, VARIABLE, "the machine-checked kernel")


def verify(certificate: bytes, model: ModelFile) -> Answer:
    """Let the kernel prove the statement of a certificate, and the second reader confirm it.

    Raises:
        UsageError: a program is missing or broke off.
        CertificateError, DescriptionError, ModelError: a file cannot be read.
    """
    reader = find_reader()
    answer, text, _ = _tried(certificate, model, range(_TRIES))
    return replace(answer, reading=second_reading(reader, certificate, model, text))


def prove(certificate: bytes, model: ModelFile) -> Answer:
    """Let the kernel prove the statement of a certificate, as the checker in Python writes it.

    What it claims besides (see :func:`beyond`) is left to the checker in Python.

    Raises:
        UsageError: the program is missing or broke off.
        CertificateError, DescriptionError, ModelError: a file cannot be read.
    """
    return _tried(certificate, model, range(_TRIES))[0]


def closed(certificate: bytes, model: ModelFile) -> tuple[Answer, str]:
    """What :func:`verify` says; and what is proved as a file for ``coqc``, in which no program has
    to be believed.

    The file is empty where nothing is proved or the statement is not confirmed. It is asked for
    with as little precision as will do, because Coq computes more slowly than the program.

    Raises:
        UsageError, CertificateError, DescriptionError, ModelError: see :func:`verify`.
    """
    reader = find_reader()
    answer, *texts = _tried(certificate, model, range(-_HALVINGS, _TRIES))
    answer = replace(answer, reading=second_reading(reader, certificate, model, texts[0]))
    if not answer.sufficient or answer.reading is None or not answer.reading.confirmed:
        return answer, ""
    try:
        result = _run(find_program(), ["--coq"], texts)
    except TooCostlyError as error:
        return replace(answer, sufficient=False, reason=_no_proof(error)), ""
    if result.returncode:
        raise UsageError(_complaint(result))
    about = "What one certificate claims, and why; the SHA-256 of its statement is"
    use = "coqc -Q build/kernel Protoproof FILE.v    in a checkout, after `make kernel`"
    return answer, f"(* {about}\n   {answer.statement}\n   {use} *)\n{result.stdout}"


def _tried(
    certificate: bytes, model: ModelFile, attempts: Iterable[int]
) -> tuple[Answer, str, str]:
    """The answer, statement and proof of the first attempt that proves everything, or the last."""
    program = find_program()
    with Budget().active():
        core = read_certificate(certificate).core
        bound = stated_head(core, model)
        parts = part_boxes(core, bound, model)
        text, evidence = write(core, bound, parts), ""
        answer = Answer(digest(text), False)
        for more in attempts:
            try:
                tried = proof(core, bound.head, more, parts)
                answer, evidence = ask(program, text, tried, core), tried
            except NotCoveredError as error:
                return Answer(digest(text), False, reason=str(error)), text, ""
            except (TooCostlyError, OutOfBudgetError) as error:  # more precision costs more
                answer = answer if answer.sufficient else replace(answer, reason=_no_proof(error))
                break
            if answer.proved:
                break
        if answer.float32 and not stepwise(bound):
            left = (*answer.beyond, LEVEL_F)
            answer = replace(answer, float32=False, beyond=left)
    return answer, text, evidence


def _run(
    program: Path, options: Sequence[str], texts: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """The program on texts, as files.

    Raises:
        UsageError: it did not answer.
        TooCostlyError: it would take too long, or too much memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "statement", Path(folder) / "proof"
        for path, text in zip(files, texts, strict=True):
            path.write_text(text, encoding="ascii")
        try:
            return run([str(program), *options, *map(str, files)])
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"the kernel {str(program)!r} did not answer: {error}") from error


def _complaint(result: subprocess.CompletedProcess[str]) -> str:
    return (result.stderr.strip().splitlines()[-1:] or ["no answer"])[0]


def _no_proof(error: Exception) -> str:
    return f"the kernel found no proof: {error}"


def ask(program: Path, statement: str, evidence: str, core: Core) -> Answer:
    """One run of the program.

    Raises:
        UsageError: it did not answer.
        TooCostlyError: it would take too long, or too much memory.
    """
    result = _run(program, (), (statement, evidence))
    if result.returncode not in (0, 1):
        return Answer(digest(statement), False, reason=_complaint(result))
    proved, unproved = _sorted(result.stdout.splitlines())
    sufficient = [line.split(" ", 1) for line in proved if line.startswith("sufficient")]
    necessary = {int(line.split()[1]) for line in proved if line.startswith("necessary ")}
    asked = {witness.fact for witness in core.witnesses}
    float32 = "float32" in proved
    return Answer(
        digest(statement),
        bool(sufficient),
        tuple(sorted(necessary & asked)),
        tuple(sorted(asked - necessary)),
        tuple(line for line in proved if line.split()[0] in _ALSO),
        tuple(line for line in unproved if line.split()[0] in _ALSO),
        (*beyond(core), *([LEVEL_F] if core.level == "F" and sufficient and not float32 else [])),
        float32,
        over="".join(word for line in sufficient for word in line[1:]),
    )


def _sorted(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """What the program says is proved, and what is not."""
    proved = [line.removeprefix("proved ") for line in lines if line.startswith("proved ")]
    return proved, [line.removeprefix("not proved ") for line in lines if line[:4] == "not "]


def beyond(core: Core) -> tuple[str, ...]:
    """The kinds of claims that are left to the checker in Python."""
    region = isinstance(core.domain, ReachDomain) and core.domain.region is not None
    walked = region or core.holds is not None
    region_words = ("what the encoder makes of a region of inputs",) if walked else ()
    return (
        *region_words,
        *(["which kept tiles are necessary"] if core.released else []),
        *(["which facts are superfluous"] if core.superfluous else []),
    )
