"""The question that an explanation answers, as text for other solvers."""

from __future__ import annotations

from pathlib import Path

from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.files import write_atomic
from protoproof.network import Network
from protoproof.prover.oracle.nonlinear import RATIONAL, rational_kind, smtlib


def require_question(network: Network, domain: str) -> None:
    """Refuse, before any work, what has no exact question in rational arithmetic.

    Raises:
        UsageError: the similarity or the domain has none.
    """
    kind = rational_kind(network.head)
    if kind is None:
        raise UsageError(
            f"--dump-smt2: the head, with similarity {network.head.chain.words()}, has no exact "
            f"encoding in rational arithmetic (only {' and '.join(RATIONAL)} similarities of "
            "squared distances have one)"
        )
    if domain not in ("free", "box"):
        raise UsageError(f"--dump-smt2: for --domain free and box only, not {domain}")


def write_smt2(network: Network, explanation: Explanation, path: Path) -> None:
    """One query per rival, each after ``(reset)``: all unsatisfiable means that the facts suffice.

    Raises:
        UsageError: see :func:`require_question`.
        OutputError: the file cannot be written.
    """
    require_question(network, explanation.domain)
    explainer = Explainer(network)
    instance = explainer.instance(explanation.observation)
    domain = explanation.where or explainer.domain(explanation.domain, explanation.observation)
    queries = [
        f"; can class {rival} win?\n{smtlib(instance, domain, explanation.facts, rival)}"
        for rival in instance.rivals
    ]
    write_atomic(path, "(reset)\n".join(queries).encode())
