"""The question that an explanation answers, as text for other solvers."""

from __future__ import annotations

from pathlib import Path

from verifier.explanation import Explanation
from verifier.files import write_atomic
from verifier.network import Network
from verifier.oracle.nonlinear import smtlib
from verifier.pipeline import Explainer


def write_smt2(network: Network, explanation: Explanation, path: Path) -> None:
    """One query per rival, each after ``(reset)``: all unsatisfiable means that the facts suffice.

    Raises:
        UsageError: the similarity has no exact encoding in rational arithmetic.
        OutputError: the file cannot be written.
    """
    explainer = Explainer(network)
    instance = explainer.instance(explanation.observation)
    domain = explanation.where or explainer.domain(explanation.domain, explanation.observation)
    queries = [
        f"; can class {rival} win?\n{smtlib(instance, domain, explanation.facts, rival)}"
        for rival in instance.rivals
    ]
    write_atomic(path, "(reset)\n".join(queries).encode())
