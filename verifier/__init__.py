"""ProtoProof: formal verification of the explanations that prototype networks give.

    import verifier
    network = verifier.load("model.onnx")
    explanation = verifier.explain(network, x)
    explanation.save("certificate.json")
    verifier.check("certificate.json", "model.onnx")

Names are imported on first use, so that the checker can be imported without any solver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifier.certified import Certified as Certified
    from verifier.checker import CheckReport as CheckReport
    from verifier.checker import check as check
    from verifier.explanation import Explanation as Explanation
    from verifier.latent.reach import Reach as Reach
    from verifier.network import Network as Network
    from verifier.network import load as load
    from verifier.pipeline import Explainer as Explainer
    from verifier.pipeline import explain as explain
    from verifier.robustness import certify as certify
    from verifier.verdict import Status as Status
    from verifier.verdict import Verdict as Verdict

_HOME = {
    "CheckReport": "verifier.checker",
    "Explainer": "verifier.pipeline",
    "Certified": "verifier.certified",
    "Explanation": "verifier.explanation",
    "Network": "verifier.network",
    "Reach": "verifier.latent.reach",
    "Status": "verifier.verdict",
    "Verdict": "verifier.verdict",
    "certify": "verifier.robustness",
    "check": "verifier.checker",
    "explain": "verifier.pipeline",
    "load": "verifier.network",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'verifier' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
