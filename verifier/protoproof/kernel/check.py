"""Run all obligations of a certificate and report every failure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from protoproof.certificate.schema import Core
from protoproof.certificate.strict_json import MAX_BYTES
from protoproof.errors import CertificateError
from protoproof.kernel.budget import Budget, OutOfBudgetError, room
from protoproof.kernel.claims import (
    Alike,
    AtLeast,
    Claim,
    Held,
    Robust,
    Sufficient,
    minimal_tiles,
    minimum_size,
    robust_explanation,
    subset_minimal,
)
from protoproof.kernel.conditions import conditions
from protoproof.kernel.model.file import BoundHead, ModelFile
from protoproof.kernel.obligations import RULES
from protoproof.kernel.report import CheckReport, Obligation
from protoproof.kernel.rule import (
    Contrasted,
    Established,
    Examination,
    IncompleteError,
    Margins,
    Question,
    Readings,
    Rule,
    Witnessed,
)
from protoproof.kernel.subject import assumptions, subject

_SHOWN = 8  # complaints of one obligation that are spelled out
_RESERVE = 1 << 25  # bytes that must be free before an obligation is examined
# What Python raises where this process may not have as much memory, or as deep a stack, as it asks
# for, where a number is too large for it, or where a part of this checker cannot be loaded.
_RESOURCES = (MemoryError, RecursionError, OverflowError, ImportError)


class _Outcome(NamedTuple):
    """One obligation, and what it found: established where it is met."""

    obligation: Obligation
    found: object = None


def check(
    certificate: bytes | str | Path,
    model: bytes | str | Path | ModelFile,
    input_sha256: str | None = None,
) -> CheckReport:
    """Prove a certificate again, from its bytes and the model's bytes alone.

    Args:
        certificate: the file's content or path.
        model: the ONNX file's content or path, or a :class:`ModelFile` to share among many calls.
        input_sha256: hash of the input that the certificate is presented with, if any.

    Raises:
        CertificateError, ModelError: a file cannot be read. (Content never raises: a malformed
            certificate or model is reported as rejected.)
    """
    content = certificate if isinstance(certificate, bytes) else read_file(Path(certificate))
    if isinstance(model, bytes):
        model = ModelFile(model)
    elif not isinstance(model, ModelFile):
        model = ModelFile.read(model)
    asked = Question(content, model, input_sha256)
    outcomes: dict[int, _Outcome] = {}
    with Budget().active():
        for rule in RULES:
            outcomes[rule.number] = _outcome(rule, asked, outcomes)
    return _report(asked, outcomes)


def read_file(path: Path) -> bytes:
    """A certificate's bytes, one too many at most.

    Raises:
        CertificateError: no regular file, or unreadable.
    """
    if not path.exists():
        raise CertificateError(f"cannot read certificate {str(path)!r}: no such file")
    if not path.is_file():  # a pipe or device would never end
        raise CertificateError(f"cannot read certificate {str(path)!r}: not a regular file")
    try:
        with path.open("rb") as stream:
            # as much as there is, for reading allocates what is asked for; one byte too many is
            # refused by the reader
            return stream.read(min(MAX_BYTES, os.fstat(stream.fileno()).st_size) + 1)
    except OSError as error:
        raise CertificateError(
            f"cannot read certificate {str(path)!r}: {error.strerror}"
        ) from error


def _outcome(rule: Rule, asked: Question, earlier: Mapping[int, _Outcome]) -> _Outcome:
    """Examine one obligation. Fails closed: only a run without complaint or exception passes.

    What broke off for want of memory or steps is undecided: it says nothing about the certificate.
    """
    unmet = [str(n) for n in rule.needs if earlier[n].obligation.passed is not True]
    if unmet:
        reason = f"not examined: needs obligation {', '.join(unmet)}"
        return _Outcome(Obligation(rule.number, rule.name, None, reason))
    known = Established(earlier[number].found for number in rule.needs)
    complaints: list[str] = []
    unproved: str | None = None
    found: object = None
    try:
        room("the examination", _RESERVE)
        found = _finished(rule.examine(asked, known), complaints)
    except (IncompleteError, OutOfBudgetError) as error:
        unproved = str(error)
        found = getattr(error, "found", None)
    except _RESOURCES as error:
        unproved = f"the machine's limits were reached ({type(error).__name__}): {error}"
    except Exception as error:  # noqa: BLE001  # whatever broke, this obligation is not met
        complaints.append(str(error) or type(error).__name__)
    if not complaints and unproved is not None:
        return _Outcome(Obligation(rule.number, rule.name, None, _printable(unproved)), found)
    if not complaints:
        return _Outcome(Obligation(rule.number, rule.name, True, "met"), found)
    text = "; ".join(complaints[:_SHOWN])
    if len(complaints) > _SHOWN:
        text += f"; and {len(complaints) - _SHOWN} more"
    return _Outcome(Obligation(rule.number, rule.name, False, _printable(text)), found)


def _finished(examination: Examination[object], complaints: list[str]) -> object:
    """What an examination returns in the end; its complaints so far count if it breaks off."""
    while True:
        try:
            complaints.append(next(examination))
        except StopIteration as end:
            return end.value


def _printable(text: str) -> str:
    """Escaped and shortened: details quote names from files that nobody vouches for."""
    return text.encode("unicode_escape").decode("ascii")[:2000]


def _report(asked: Question, outcomes: Mapping[int, _Outcome]) -> CheckReport:
    obligations = tuple(outcome.obligation for outcome in outcomes.values())
    found = [outcome.found for outcome in outcomes.values()]
    margins = next((each.margins for each in found if isinstance(each, Margins)), ())
    lower = tuple((margin.rival, margin.lower) for margin in margins)
    if not all(o.passed is True for o in obligations):
        rejected = any(o.passed is False for o in obligations)
        return CheckReport("rejected" if rejected else "incomplete", obligations, lower, (), (), ())
    known = Established(found)
    core, bound = known[Core], known[BoundHead]
    rests_on, claims = conditions(core), _claims(known)
    return CheckReport(
        "conditional" if rests_on else "accepted",
        obligations,
        lower,
        tuple(claim.fact for claim in known[Witnessed].necessary),
        (*assumptions(core, bound, asked.input_sha256 is not None, claims), *rests_on),
        claims,
        subject(core, bound),
        rests_on,
        core.instance,
    )


def _claims(known: Established) -> tuple[Claim, ...]:
    """What all obligations together prove, and what follows from that."""
    proved, necessary = known[Margins].claims, known[Witnessed].necessary
    held, least = known.get(Held), known.get(AtLeast)
    everywhere = {claim.routing for claim in proved if isinstance(claim, Alike)}
    here = (claim for claim in known[Readings].alike if claim.routing not in everywhere)
    tiles, spare = known[Witnessed].tiles, known[Witnessed].superfluous
    claims: list[Claim] = [*proved, *here, *necessary, *spare, *tiles]
    robust = next((claim for claim in proved if isinstance(claim, Robust)), None)
    claims += () if robust is None else minimal_tiles(robust, tiles)
    sufficient = next((claim for claim in proved if isinstance(claim, Sufficient)), None)
    if sufficient is not None:
        claims += () if held is None else robust_explanation(sufficient, held)
        claims += subset_minimal(sufficient, necessary)
    if least is not None:
        claims.append(least)
        claims += () if sufficient is None else minimum_size(sufficient, least)
    return (*claims, *known[Contrasted].contrasts)
