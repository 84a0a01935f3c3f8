"""Run all obligations of a certificate and report every failure."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from protoproof.certificate.schema import (
    BoxDomain,
    Domain,
    Instance,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.certificate.strict_json import MAX_BYTES
from protoproof.errors import CertificateError
from protoproof.kernel.budget import Budget, OutOfBudgetError, room
from protoproof.kernel.conditions import conditions, vouched, walked_words
from protoproof.kernel.context import Case
from protoproof.kernel.encoder.input_region import describe
from protoproof.kernel.model.file import ModelFile
from protoproof.kernel.obligations import RULES, IncompleteError, Rule

_SHOWN = 8  # complaints of one obligation that are spelled out
_RESERVE = 1 << 25  # bytes that must be free before an obligation is examined
# What Python raises where this process may not have as much memory, or as deep a stack, as it asks
# for, or where a number is too large for it.
_RESOURCES = (MemoryError, RecursionError, OverflowError)


@dataclass(frozen=True)
class Obligation:
    """Outcome of one obligation; ``passed`` None: undecided, or not examined."""

    number: int
    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class CheckReport:
    """What the checker found.

    Attributes:
        status: ``accepted``; ``conditional`` (every obligation is met, but something rests on
            somebody's word: see ``conditions``); ``rejected`` (something is false or malformed);
            or ``incomplete`` (nothing is false, but the evidence does not prove every margin, or
            the check would cost more than it may: see ``budget``).
        obligations: all thirteen, in order.
        margins: (rival, a number below its margin over all latents that meet the facts).
        necessary: indices of the facts whose witness was accepted.
        assumptions: what an accepted or conditional certificate still rests on.
        claims: what is proved (of a conditional one: what is, if the conditions hold):
            ``sufficient``, ``necessary:I`` per fact, ``subset-minimal``,
            ``at-least:N`` (no explanation in this vocabulary and domain has fewer than N facts),
            ``minimum-size`` (N is the number of facts), ``contrast:K:N`` (a latent that meets all
            pair facts but N is predicted K), ``robust`` (all of a region of inputs has the class),
            ``robust-explanation`` (and all of it meets every fact). Under a region of inputs,
            necessity, size and contrasts are about the latents that the checker's own walk finds.
        subject: what the certificate is about, (word, value) in reading order.
        conditions: those of the assumptions that are somebody's word, and whose. With any of them
            nothing is proved yet.
        instance: what the certificate records of the input, for whoever runs it again.
    """

    status: Literal["accepted", "conditional", "rejected", "incomplete"]
    obligations: tuple[Obligation, ...]
    margins: tuple[tuple[int, float], ...]
    necessary: tuple[int, ...]
    assumptions: tuple[str, ...]
    claims: tuple[str, ...]
    subject: tuple[tuple[str, str], ...] = ()
    conditions: tuple[str, ...] = ()
    instance: Instance | None = field(default=None, repr=False)

    @property
    def accepted(self) -> bool:
        """Whether every obligation is met, and nothing rests on anybody's word."""
        return self.status == "accepted"

    @property
    def met(self) -> bool:
        """Whether every obligation is met: the proof holds where the ``conditions`` do."""
        return self.status in ("accepted", "conditional")

    @property
    def exit_code(self) -> int:
        """0 accepted, 1 rejected, 3 conditional or incomplete."""
        return {"accepted": 0, "rejected": 1, "conditional": 3, "incomplete": 3}[self.status]

    @property
    def lower_bound(self) -> int | None:
        """The proved least size of an explanation in this vocabulary, or None."""
        known = [claim for claim in self.claims if claim.startswith("at-least:")]
        return int(known[0].removeprefix("at-least:")) if known else None

    @property
    def failures(self) -> tuple[Obligation, ...]:
        """The obligations that are not met."""
        return tuple(o for o in self.obligations if o.passed is not True)

    def to_json(self) -> dict[str, object]:
        """The report as plain data; a margin of minus infinity becomes None."""
        return {
            "accepted": self.accepted,
            "status": self.status,
            "obligations": [
                {"number": o.number, "name": o.name, "passed": o.passed, "detail": o.detail}
                for o in self.obligations
            ],
            "margins": [
                {"rival": rival, "lower": lower if math.isfinite(lower) else None}
                for rival, lower in self.margins
            ],
            "necessary": list(self.necessary),
            "assumptions": list(self.assumptions),
            "claims": list(self.claims),
            "subject": dict(self.subject),
            "conditions": list(self.conditions),
        }


def check(
    certificate: bytes | str | Path,
    model: bytes | str | Path | ModelFile,
    input_sha256: str | None = None,
    *,
    allow_declared: bool = False,
) -> CheckReport:
    """Prove a certificate again, from its bytes and the model's bytes alone.

    Args:
        certificate: the file's content or path.
        model: the ONNX file's content or path, or a :class:`ModelFile` to share among many calls.
        input_sha256: hash of the input that the certificate is presented with, if any.
        allow_declared: go on as if the graph computed a head that is only declared; what is then
            found is conditional on that. Otherwise such a certificate is incomplete.

    Raises:
        CertificateError, ModelError: a file cannot be read. (Content never raises: a malformed
            certificate or model is reported as rejected.)
    """
    content = certificate if isinstance(certificate, bytes) else read_file(Path(certificate))
    if isinstance(model, bytes):
        model = ModelFile(model)
    elif not isinstance(model, ModelFile):
        model = ModelFile.read(model)
    case = Case(content, model, input_sha256, allow_declared)
    outcomes: dict[int, Obligation] = {}
    with Budget().active():
        for rule in RULES:
            outcomes[rule.number] = _outcome(rule, case, outcomes)
    return _report(case, tuple(outcomes.values()))


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


def _outcome(rule: Rule, case: Case, earlier: dict[int, Obligation]) -> Obligation:
    """Examine one obligation. Fails closed: only a run without complaint or exception passes.

    What broke off for want of memory or steps is undecided: it says nothing about the certificate.
    """
    unmet = [str(number) for number in rule.needs if earlier[number].passed is not True]
    if unmet:
        reason = f"not examined: needs obligation {', '.join(unmet)}"
        return Obligation(rule.number, rule.name, None, reason)
    complaints: list[str] = []
    unproved: str | None = None
    try:
        room("the examination", _RESERVE)
        for complaint in rule.examine(case):
            complaints.append(complaint)  # noqa: PERF402  # those before an exception count too
    except (IncompleteError, OutOfBudgetError) as error:
        unproved = str(error)
    except _RESOURCES as error:
        unproved = f"the machine's limits were reached ({type(error).__name__}): {error}"
    except Exception as error:  # noqa: BLE001  # whatever broke, this obligation is not met
        complaints.append(str(error) or type(error).__name__)
    if not complaints and unproved is not None:
        return Obligation(rule.number, rule.name, None, _printable(unproved))
    if not complaints:
        return Obligation(rule.number, rule.name, True, "met")
    text = "; ".join(complaints[:_SHOWN])
    if len(complaints) > _SHOWN:
        text += f"; and {len(complaints) - _SHOWN} more"
    return Obligation(rule.number, rule.name, False, _printable(text))


def _printable(text: str) -> str:
    """Escaped and shortened: details quote names from files that nobody vouches for."""
    return text.encode("unicode_escape").decode("ascii")[:2000]


def _report(case: Case, obligations: tuple[Obligation, ...]) -> CheckReport:
    if all(o.passed is True for o in obligations):
        core = case.core
        necessary = tuple(sorted(case.necessary))
        claims = ["sufficient", *(f"necessary:{index}" for index in necessary)]
        rests_on = conditions(core)
        if core.parts:  # proved over the parts' boxes, not over the box around them
            claims.clear()
        if core.holds is not None:
            claims += ["robust", "robust-explanation"]
        domain = core.domain
        if not core.facts and isinstance(domain, ReachDomain) and domain.region:
            # linear bounds that were not propagated are an assumption: then nothing is claimed
            # about the inputs
            claims += [] if vouched(domain) else ["robust"]
        elif core.facts and len(necessary) == len(core.facts):
            claims.append("subset-minimal")
        if case.at_least:
            claims.append(f"at-least:{case.at_least}")
        if core.facts and case.at_least == len(core.facts):
            claims.append("minimum-size")
        claims += [f"contrast:{rival}:{count}" for rival, count in case.contrasts]
        return CheckReport(
            "conditional" if rests_on else "accepted",
            obligations,
            _lower(case),
            necessary,
            (*_assumptions(case), *rests_on),
            tuple(claims),
            _subject(case),
            rests_on,
            core.instance,
        )
    rejected = any(o.passed is False for o in obligations)
    status: Literal["rejected", "incomplete"] = "rejected" if rejected else "incomplete"
    return CheckReport(status, obligations, _lower(case), (), (), ())


def _subject(case: Case) -> tuple[tuple[str, str], ...]:
    """What the certificate is about, so that nobody accepts a true claim about something else."""
    core = case.core
    premises = {"exact": "exactly as recorded", "interval": "within stated intervals"}
    region = core.domain.region if isinstance(core.domain, ReachDomain) else None
    stated = (("region", region), ("facts hold over", core.holds))
    about = tuple((word, describe(inputs)) for word, inputs in stated if inputs is not None)
    walked = walked_words(core) if core.facts or core.contrasts else ""
    about += (("necessity and size over", walked),) if walked else ()
    return (
        ("model", core.model.sha256),
        ("head", core.model.binding),
        ("input tensor", ", ".join(case.bound.inputs)),
        ("latent tensor", case.bound.latent),
        ("output tensor", case.bound.logits),
        ("input", core.instance.input_sha256),
        ("predicted", str(core.instance.predicted)),
        ("domain", _domain_words(core.domain)),
        *about,
        ("vocabulary", core.vocabulary),
        ("facts", f"{len(core.facts)}, {premises[core.premises]}"),
    )


def _domain_words(domain: Domain) -> str:
    """The domain's kind and every number of it, or their hash: what size and necessity rest on."""
    if isinstance(domain, SphereDomain | SimplexDomain):
        return f"{domain.kind}, slack {float.fromhex(domain.slack)!r}"
    if isinstance(domain, ReachDomain):
        numbers = [domain.lower, domain.upper]
        numbers += [part for bound in domain.bounds for part in (bound.coefficients, bound.bound)]
        digest = hashlib.sha256("\n".join(numbers).encode()).hexdigest()
        return f"{domain.kind}, box and bounds with sha256 {digest[:16]}"
    return domain.kind


def _lower(case: Case) -> tuple[tuple[int, float], ...]:
    return tuple((margin.rival, margin.lower) for margin in case.margins)


def _assumptions(case: Case) -> tuple[str, ...]:
    core = case.core
    replayed = isinstance(core.domain, ReachDomain) and core.domain.region is not None
    what = "encoder and head" if replayed or core.holds is not None else "the head"
    result = [f"level R: {what} with exactly these float32 weights, over the real numbers"]
    if not (replayed and not core.facts):
        # over a region that the checker walked itself, without facts, nothing rests on the latent
        result.append(
            "the recorded latent is what the encoder computes for the input with the recorded hash"
        )
    if case.input_sha256 is None:
        result.append("no input was presented, so the recorded input hash was not compared")
    if core.model.description is not None:
        result.append("the head description came with the certificate, not with the model")
    if isinstance(core.domain, BoxDomain | SphereDomain | SimplexDomain):
        result.append(f"the latent is an output of {case.bound.latent_operator}, over the reals")
    if isinstance(core.domain, SphereDomain):
        result.append("what is normalised is not zero at any location")
    return tuple(result)
