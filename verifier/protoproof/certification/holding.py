"""Whether the checker finds that facts hold over a region, whatever follows from them."""

from __future__ import annotations

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import (
    Core,
    Envelope,
    Fact,
    FreeDomain,
    IntervalEvidence,
    PairFact,
)
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.region.sets.region import Region
from protoproof.region.sets.statement import require_statement

_OBLIGATION = "holding"


def unheld(explainer: Explainer, core: Core, region: Region, facts: tuple[Fact, ...]) -> str:
    """Why the checker does not say that facts hold over a region; empty where it does.

    What it is asked is a certificate of these facts alone. They need not force the class, so the
    whole of it may well be incomplete; what counts is the one obligation that the facts hold.

    Args:
        explainer: of the network.
        core: a certificate about the same input.
        region: around that input, with words in a certificate.
        facts: true of that input.
    """
    claim = Core.model_validate(
        core.model_dump(exclude_defaults=True)
        | {
            "domain": FreeDomain(),
            "vocabulary": "pairs" if all(isinstance(f, PairFact) for f in facts) else "mixed",
            "facts": facts,
            "premises": "interval",
            "evidence": IntervalEvidence(),
            "holds": dict(require_statement(region)),
            "level": "R",
            "execution": None,
            "witnesses": (),
            "size_bound": None,
            "contrasts": (),
            "parts": (),
            "part_evidence": (),
        }
    )
    content = canonical_bytes(Envelope(core=claim))
    report = check(content, explainer.model_file, core.instance.input_sha256)
    answer = next(each for each in report.obligations if each.name == _OBLIGATION)
    return "" if answer.passed is True else f"the checker: {answer.detail}"
