"""Workload ``necessity``: how many facts are necessary, superfluous or open, by vocabulary.

Nothing is certified here: facts are searched, then witnesses, each replayed exactly before it
counts. ``superfluous`` are facts that the interval oracle leaves out one at a time (explanations
hold a proof of each): a list of the most activated (`topk`) is as short as can be proved, and still
names some needlessly. ``necessary_share`` is of all facts, ``share_of_rest`` of those that are not
superfluous.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

from models.heldout import heldout
from protoproof.explanation.explainer import Explainer, vocabularies_of
from protoproof.explanation.options import ExplainOptions
from protoproof.network import load
from protoproof.prover.counterexample.witness import needed
from protoproof.prover.latent.domain import Domain, Free
from protoproof.prover.latent.gram import squared_distances
from protoproof.prover.latent.instance import Instance
from protoproof.prover.search.names import VOCABULARIES
from protoproof.prover.search.search import Shared, candidates
from protoproof.resources import zoo_path
from tests.benchmarks.measure import Settings, share
from tests.benchmarks.mnist import images, random_images
from tests.benchmarks.synthetic import Shape, make_head, make_instance

Case = tuple[Instance, Domain]

NETWORKS = (
    "mnist-7x7",
    "emoji-protopnet",
    "mnist-gaussian",
    "mnist-components",
    "motion-labels",
    "emoji-projection",
    "emoji-protopool",
)
# of a synthetic head as large as one for CUB-200-2011
LARGE = "cub-size"


def necessity(settings: Settings) -> list[dict[str, Any]]:
    """All networks; times are processor seconds with one thread."""
    rows = [row for name in (*NETWORKS, LARGE) for row in of_network(name, settings)]
    return [{"workload": "necessity", "rows": rows}]


def of_network(name: str, settings: Settings) -> list[dict[str, Any]]:
    """One row for each vocabulary."""
    if name == LARGE:
        head = make_head(Shape())
        gram = squared_distances(head.prototypes)
        cases = [(make_instance(head, seed, gram), Free()) for seed in range(settings.synthetic)]
        return [row(name, word, cases) for word in VOCABULARIES]
    known = Explainer(load(zoo_path(name)))
    if name == "mnist-7x7":
        inputs = [images()[index] for index in random_images(settings.grid)]
    else:
        inputs = list(heldout(name, settings.necessity).x)
    found = list(_cases(known, inputs))
    return [row(name, word, found) for word in vocabularies_of(known.network.head)]


def _cases(known: Explainer, inputs: list[Any]) -> Iterator[Case]:
    for x in inputs:
        observation = known.network.observe(x)
        domain = known.domain(ExplainOptions().domain, observation)
        yield known.instance(observation), domain


def row(name: str, vocabulary: str, cases: list[Case]) -> dict[str, Any]:
    """What is found of one vocabulary."""
    facts = necessary = superfluous = images = 0
    seconds = []
    for instance, domain in cases:
        shared = Shared(instance, domain)
        found = next(candidates(instance, domain, vocabulary, "auto", shared=shared), None)  # type: ignore[arg-type]
        if found is None:
            continue
        images += 1
        started = time.process_time()
        known = needed(instance, domain, found.facts)
        seconds.append(time.process_time() - started)
        facts += len(found.facts)
        necessary += len(known.found)
        superfluous += len(known.spared)
    return {
        "method": f"{name}, {vocabulary}",
        "images": images,
        "facts_mean": round(facts / images, 2) if images else None,
        "facts": facts,
        "necessary": necessary,
        "superfluous": superfluous,
        "open": facts - necessary - superfluous,
        "necessary_share": share(necessary, facts),
        "share_of_rest": share(necessary, facts - superfluous),
        "witness_s": round(statistics.median(seconds), 4) if seconds else None,
    }
