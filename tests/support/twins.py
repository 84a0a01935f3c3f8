"""A head of the prover as the checker has it, without a graph in between; and what it proves."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from protoproof.certificate import schema
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import read_domain
from protoproof.kernel.latent.facts import malformed, untrue, vocabulary_complaints
from protoproof.kernel.latent.margins import Ends, Margin, margins
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.rows import row_complaints
from protoproof.kernel.model import chain, decision
from protoproof.kernel.model import head as exact
from protoproof.network.head import chain as network_chain
from protoproof.network.head.decision import Best, Labels, Linear, Tree
from protoproof.network.head.head import Head
from protoproof.prover.latent.instance import Instance


def whole(values: np.ndarray) -> tuple[list[int], int]:
    """Dyadic numbers as integers over ``2**shift``."""
    exactly = [Fraction(v) for v in np.asarray(values, dtype=float).ravel().tolist()]
    shift = max((f.denominator.bit_length() - 1 for f in exactly), default=0)
    return [int(f * (1 << shift)) for f in exactly], shift


def twin_chain(found: network_chain.Chain) -> chain.Chain:
    """The same steps with exact constants."""
    return chain.Chain(
        [
            chain.Step(
                step.name,
                () if step.constant is None else tuple(Fraction(c) for c in step.constant.tolist()),
            )
            for step in found.steps
        ]
    )


def twin_decision(head: Head) -> decision.Decision:
    """The same decision over integers."""
    match head.decision:
        case Labels() | Linear() as linear:
            weight, bias = linear.weight, head.bias
            groups: tuple[tuple[int, ...], ...] = ()
            nodes: tuple[decision.Node, ...] = ()
        case Best() as best:
            weight, bias, nodes = best.then.weight, best.then.bias, ()
            groups = tuple(
                tuple(np.flatnonzero(best.group == g).tolist()) for g in range(best.then.inputs)
            )
        case Tree() as tree:
            weight, bias, groups = tree.leaf.T, np.zeros(tree.classes), ()
            nodes = tuple(
                decision.Node(*map(int, node))
                for node in zip(tree.feature, tree.left, tree.right, strict=True)
            )
    flat, shift = whole(np.concatenate([np.ravel(weight), bias]))
    columns = weight.shape[1]
    rows = [flat[k * columns : (k + 1) * columns] for k in range(len(weight))]
    return decision.Decision(
        head.decision.kind, head.decision.inputs, rows, flat[weight.size :], shift, groups, nodes,
        routing=getattr(head.decision, "routing", "distributed"),
    )  # fmt: skip


def twin(head: Head) -> exact.Head:
    """The checker's head."""
    kinds = zip(head.pooling_of.kinds, head.pooling_of.count, strict=True)
    locations, prototypes = head.location_bank, head.prototype_bank
    assert locations is not None
    assert prototypes is not None
    return exact.Head(
        head.geometry,
        whole(head.prototypes),
        None if head.scales is None else whole(head.scales),
        twin_chain(head.chain),
        twin_chain(head.inner_chain),
        [exact.Pooling(kind, k if kind == "k-largest mean" else 0) for kind, k in kinds],
        twin_decision(head),
        locations.tolist(),
        prototypes.tolist(),
        head.channels,
    )


def identity(head: Head) -> schema.ModelIdentity:
    """A model of which only the head is looked at."""
    return schema.ModelIdentity(
        sha256="0" * 64,
        latent=("z",),
        output="logits",
        geometry=head.geometry,
        pooling=tuple(sorted(set(head.pooling_of.kinds))),
        decision=head.decision.kind,  # type: ignore[arg-type]  # one of the words
        routing=getattr(head.decision, "routing", None),
    )


def complaints(head: exact.Head, core: schema.Core, instance: Instance) -> Iterator[str]:
    """What is wrong with facts and evidence of a core."""
    latent = Latent(head, instance.latent.astype(np.float32))
    where = read_domain(core.domain, *instance.latent.shape)
    yield from malformed(head, core.facts)
    yield from untrue(core, latent)
    yield from vocabulary_complaints(core, latent)
    yield from row_complaints(head, core, where)


def proved(head: exact.Head, core: schema.Core) -> list[Margin]:
    """The margins that the intervals of a core prove."""
    where = read_domain(core.domain, core.instance.locations, core.instance.channels)
    bounds = Bounds(head, core, where)
    return margins(head, core.instance, core.rivals, Ends(head, bounds.best, bounds.caps))
