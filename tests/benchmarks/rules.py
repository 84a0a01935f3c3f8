"""Which comparison rules apply to a head, and how many facts each of them needs: :data:`RULES`.

*Carried over*: the k most activated prototypes and a ceiling at the last of them, with the true
least activation over the domain where the published rule takes 0 (which for a similarity that can
be negative is no explanation), and the decision's own bounds where it is not linear.

Not implemented, because what they find forces nothing: the triangle and hypersphere for focal
similarity, which keep the mean over locations at its observed value although no fact fixes it; and
top-k with 0 as the least similarity where similarities can be negative.

All are implemented anew from their descriptions, are for comparison only, and never part of
``explain``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head.decision import Labels, Linear, Tree
from protoproof.prover.latent.atoms import Atoms
from protoproof.prover.latent.domain import Domain, Simplex
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.observed import activation_fact
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.triangle import Rays
from tests.benchmarks import baseline, channels

Vector = Float[NDArray[np.float64], " slot"]
CARRIED_OVER = "top-k, carried over"
RULES = (
    ("triangle, hypersphere",
     "squared distances (also isotropic Gaussian), nearest location, linear decision", "ALE"),
    ("angles, cap",
     "cosines, also of normalised latents; nearest location, linear decision", "Beyond L2"),
    ("simplex", "channels of a softmax; nearest location, linear decision", "Beyond L2"),
    ("sparse evidence", "votes that are never negative, bounded activations", "Beyond L2"),
    ("top-k", "linear decision, activations never negative", "ALE"),
    ("slots top-k",
     "nearest minus mean similarity as one activation each, linear decision", "Beyond L2"),
    ("path", "soft trees: all nodes on the path of the input, where they force the prediction",
     "ProtoTree"),
    (CARRIED_OVER,
     "all others (nothing is published): true least activations, the decision's own bounds", "-"),
)  # fmt: skip
"""Names, the heads they apply to, and whose they are."""


@dataclass(frozen=True)
class Result:
    """What one rule needs for one instance: ``facts``, or None where it does not get there."""

    rule: str
    facts: int | None


def results(instance: Instance, domain: Domain, *, pairs: bool = True) -> Iterator[Result]:
    """Every rule that applies; without ``pairs``, but for those that grow and delete pairs."""
    head = instance.head
    classes = isinstance(head.decision, Linear) and not isinstance(head.decision, Labels)
    if pairs and classes and head.plain:
        yield _pairs("triangle", "triangle", instance, domain)
        yield _pairs("hypersphere", "hypersphere", instance, domain)
    if pairs and classes and head.all_nearest and Rays.of(instance, domain) is not None:
        yield _pairs("angles", "triangle", instance, domain)
        yield _pairs("cap", "cap", instance, domain)
    if classes and isinstance(domain, Simplex) and channels.are_channels(instance, domain):
        named = channels.simplex(instance, domain)
        yield Result("simplex", None if named is None else len(named))
    if channels.evidence_counts(instance, domain):
        yield Result("sparse evidence", len(channels.sparse_evidence(instance, domain)))
    if isinstance(head.decision, Tree):
        yield Result("path", path(instance, domain))
    yield _topk(instance, domain, published=classes)


def _pairs(rule: str, paradigm: str, instance: Instance, domain: Domain) -> Result:
    found = baseline.pairs(instance, paradigm, domain, afresh=False)
    return Result(rule, len(found.pairs) if found.proved else None)


def _topk(instance: Instance, domain: Domain, *, published: bool) -> Result:
    head = instance.head
    state = IntervalOracle(slack=0.0).prepare(instance, domain)
    least = head.activation_between(*state.seen())[0]
    if not published or not (least >= 0).all():
        return Result(CARRIED_OVER, baseline.topk(instance.activation, instance.atoms, least))
    merged = slots(instance)
    if merged is not None:
        return Result("slots top-k", baseline.topk(*merged))
    return Result("top-k", baseline.topk(instance.activation, instance.atoms))


def slots(instance: Instance) -> tuple[Vector, Atoms] | None:
    """Focal activations and margins over them; None unless every prototype is pooled twice, by the
    nearest location and by the mean, with opposite weights.

    No activation of a slot is negative: the nearest location is at least as near as the mean.
    """
    head = instance.head
    columns = head.pooling_of.columns
    if set(columns) != {"nearest", "mean"}:
        return None
    near, mean = columns["nearest"], columns["mean"]
    rows = np.concatenate([head.prototypes, np.abs(head.weight.T)], axis=1)
    order, other = (np.lexsort(rows[part].T) for part in (near, mean))
    near, mean = near[order], mean[other]
    if len(near) != len(mean) or not np.array_equal(rows[near], rows[mean]):
        return None
    if not np.array_equal(head.weight[:, near], -head.weight[:, mean]):
        return None
    merged = Linear(head.weight[:, near], head.bias)
    focal = instance.activation[near] - instance.activation[mean]
    return focal, Atoms.of(merged, instance.predicted, merged.scores(focal))


def path(instance: Instance, domain: Domain) -> int | None:
    """Of a tree: the prototypes on the path that the input takes, where they force the prediction
    (as published, nothing is proved; the path is all there is)."""
    tree = instance.head.decision
    if not isinstance(tree, Tree):
        raise InternalError("only a tree has a path")
    taken = list(dict.fromkeys(int(tree.feature[n]) for n in tree.path(instance.activation)))
    named = tuple(activation_fact(instance, j) for j in taken)
    state = IntervalOracle(slack=0.0).prepare(instance, domain)
    return len(taken) if state.proves(state.margins(FactSet(activations=named))) else None
