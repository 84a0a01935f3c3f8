"""The stages' results in the words of the answer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from protoproof.explanation.describe import describe
from protoproof.explanation.minimum import Proof
from protoproof.explanation.prediction import predicted_name
from protoproof.explanation.quantities import Quantities
from protoproof.explanation.question import Question
from protoproof.explanation.result import Attempt, Explanation, identity
from protoproof.network import Network
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.search.names import Vocabulary
from protoproof.verdict import Verdict

# The best proof so far: its size, when it was found, its vocabulary, itself. The least is best.
Best = tuple[int, int, Vocabulary, Proof]


def answer(
    question: Question,
    network: Network,
    verdict: Verdict,
    attempts: Sequence[Attempt],
    best: Best | None,
    started: float,
) -> Explanation:
    """What ``explain`` returns; ``started`` is when it began, by ``time.perf_counter``."""
    asked, observation = question.options, question.observation
    proof = None if best is None else best[3]
    facts = FactSet() if proof is None else proof.facts
    quantities = Quantities(network.head, network.latent_range)
    return Explanation(
        verdict=verdict,
        observation=observation,
        predicted_name=predicted_name(question.instance, network.class_names),
        margin=float(question.instance.margins.min()),
        domain=question.domain.name,
        oracle=asked.oracle if proof is None else proof.oracle,
        attempts=tuple(attempts),
        vocabulary=None if best is None else best[2],
        facts=facts,
        certificate=None if proof is None else proof.certificate,
        check=None if proof is None else proof.check,
        seconds=time.perf_counter() - started,
        for_reading=asked.for_reading,
        facts_json=tuple(describe(fact, quantities) for fact in facts),
        gap_reason="" if proof is None else proof.gap_reason,
        level_reason="" if proof is None else proof.level_reason,
        where=question.domain,
        # a region in its own words; any other domain by the name of what was taken
        identity=identity(network),
        asked=asked.domain if isinstance(asked.domain, str) and ":" in asked.domain else "",
    )
