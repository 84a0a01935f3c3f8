"""What ``attest`` and ``verify-attestation`` say of an attestation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from protoproof.report.page.text import visible
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.attestation.statement import Predicate


def leaves_beside(attestation: Path) -> Path:
    """Where the leaves of an attestation lie."""
    return attestation.with_suffix(".leaves.json")


def lines_about(about: Predicate) -> Iterator[str]:
    """What was signed, a line each; what rests on somebody's word stands apart."""
    file = about.model.file
    yield f"about       {visible(file.name)}, sha256 {about.model.identity}"
    for head in about.heads:
        routing = "" if head.routing is None else f", read {visible(head.routing)}"
        tensors = f"{', '.join(map(visible, head.latent))} to {visible(head.output)}"
        yield f"about       the head from {tensors}{routing}: {_certificates(head.certificates)}"
    if about.data is None:
        yield "about       inputs as recorded: the network was not run on any"
    else:
        yield f"about       inputs of {visible(about.data.name)}, run again when this was signed"
    if about.policy is not None:
        yield f"policy      {visible(about.policy.name)}: {about.policy.outcome}"
    yield f"tree        {_certificates(about.certificates.size)}, root {about.certificates.root}"
    inputs = plural(about.accepted.inputs, "different input")
    yield f"proved      {_certificates(about.accepted.certificates)} about {inputs}"
    yield from claim_lines(about.accepted.claims)
    if about.conditional.certificates:
        inputs = plural(about.conditional.inputs, "different input")
        count = _certificates(about.conditional.certificates)
        yield f"conditional {count} about {inputs}, proved only if"
        for rest in about.conditional.rests:
            yield f"  - {visible(rest.on)} ({_certificates(rest.certificates)})"
        yield from claim_lines(about.conditional.claims, "would be")
    for rest in about.assumptions:
        yield f"assumes     {visible(rest.on)} ({_certificates(rest.certificates)})"


def claim_lines(claims_of: Mapping[str, Mapping[str, int]], word: str = "claims") -> Iterator[str]:
    """How often which claim, a line for each level."""
    for level, claims in claims_of.items():
        each = ", ".join(f"{visible(kind)} {count:,}" for kind, count in claims.items())
        yield f"{word:<11} level {visible(level)}: {each}"


def _certificates(count: int) -> str:
    return plural(count, "certificate")
