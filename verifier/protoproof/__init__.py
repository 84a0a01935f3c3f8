"""ProtoProof: formal verification of the explanations that prototype networks give.

    import protoproof
    network = protoproof.load("model.onnx")
    explanation = protoproof.explain(network, x)
    explanation.save("certificate.json")
    protoproof.check("certificate.json", "model.onnx")
    protoproof.certify(network, x, "linf:0.02")

Names are imported on first use, so that the checker can be imported without any solver. A plain
installation checks, inspects and reads; ``explain`` and ``certify`` need the extras of their names.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protoproof.campaign.options import CampaignOptions as CampaignOptions
    from protoproof.certification.certify import Certifier as Certifier
    from protoproof.certification.certify import certify as certify
    from protoproof.certification.options import CertifyOptions as CertifyOptions
    from protoproof.certification.result import Certified as Certified
    from protoproof.explanation.explainer import Explainer as Explainer
    from protoproof.explanation.explainer import explain as explain
    from protoproof.explanation.options import ExplainOptions as ExplainOptions
    from protoproof.explanation.result import Explanation as Explanation
    from protoproof.kernel import CheckReport as CheckReport
    from protoproof.kernel import check as check
    from protoproof.network import Network as Network
    from protoproof.network import load as load
    from protoproof.prover.latent.reach import Reach as Reach
    from protoproof.verdict import Status as Status
    from protoproof.verdict import Verdict as Verdict

    __version__: str

# What this one stands on has a habit of writing to the user's home and of telling its makers about
# it: ONNX Runtime an identity of the machine and a queue of events, Ray its usage. Both are asked
# not to, before either is imported; workers inherit it. Nobody's setting turns it on again.
QUIET = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
os.environ.update(QUIET)

_HOME = {
    "CampaignOptions": "protoproof.campaign.options",
    "CertifyOptions": "protoproof.certification.options",
    "CheckReport": "protoproof.kernel",
    "ExplainOptions": "protoproof.explanation.options",
    "Explainer": "protoproof.explanation.explainer",
    "Certified": "protoproof.certification.result",
    "Certifier": "protoproof.certification.certify",
    "Explanation": "protoproof.explanation.result",
    "Network": "protoproof.network",
    "Reach": "protoproof.prover.latent.reach",
    "Status": "protoproof.verdict",
    "Verdict": "protoproof.verdict",
    "certify": "protoproof.certification.certify",
    "check": "protoproof.kernel",
    "explain": "protoproof.explanation.explainer",
    "load": "protoproof.network",
}

# What a plain installation lacks for a name, and the extra that brings it.
_EXTRA = {
    "Certified": "certify",
    "Certifier": "certify",
    "Explainer": "explain",
    "Explanation": "explain",
    "Reach": "explain",
    "certify": "certify",
    "explain": "explain",
}

__all__ = [*_HOME]


def __dir__() -> list[str]:
    """What is for users, imported yet or not."""
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from protoproof.version import VERSION

        return VERSION
    if name not in _HOME:
        raise AttributeError(f"module 'protoproof' has no attribute {name!r}")
    if name in _EXTRA:
        from protoproof.extras import require

        require(_EXTRA[name], f"protoproof.{name}")
    return getattr(import_module(_HOME[name]), name)
