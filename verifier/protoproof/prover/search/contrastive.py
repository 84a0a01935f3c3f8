"""Contrastive explanations: which facts to release so that the class can become another one.

All facts of the vocabulary together force the prediction. A *contrastive set* for class k is a set
of facts such that some latent meets all the others and is predicted k, ahead of every other class.
The search starts from latents that are predicted k and lets each meet as many facts as it can
(``refute.grow``); the smallest set that is left over wins. It is minimal where an oracle proves
that the class stays when any one of its facts stays. That no smaller set exists is not claimed.

The latent is exact and replayed; it is a point of the latent space, and no input need reach it.

Reference: A. Ignatiev, N. Narodytska, N. Asher, J. Marques-Silva, "From Contrastive to Abductive
Explanations and Back Again", AI*IA 2020 (contrastive explanations, CXps).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from protoproof.errors import UsageError
from protoproof.prover.counterexample.refute import Latent, Refutation, Refuter
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import Fact, FactSet, of_facts
from protoproof.prover.latent.instance import Instance
from protoproof.prover.search.entailment import KINDS, decided

# Facts kept from the start, in as many different ways: each leads to a set of its own.
_WAYS = 4
_NEAR = 3


@dataclass(frozen=True)
class Change:
    """What happens to one prototype at a contrastive latent: similarity before and after.

    ``effect`` is how much of the new class's lead over the old one it makes: the mean of what it
    adds as the first of all changes and as the last one, which of a linear decision are the same.
    ``location`` is the one that saw it most if it is seen less now, else the one that does now;
    None where the prototype counts with more than its nearest location.
    """

    prototype: int
    before: float
    after: float
    effect: float
    location: int | None


@dataclass(frozen=True, eq=False)
class Contrastive:
    """A set of facts to release, with the latent that shows it.

    Attributes:
        target: the class that it is predicted as.
        released: the facts that the latent violates, in the vocabulary's order.
        refutation: its exact moves.
        latent: where it is [L, D], in float64.
        minimal: whether none of the facts can stay, proved by an oracle in float64.
        changes: per prototype whose activation changes, the most effective for ``target`` first.
        nearest: per moved location, the prototypes it now looks most like, the nearest first.
    """

    target: int
    released: tuple[Fact, ...]
    refutation: Refutation
    latent: Latent
    minimal: bool
    changes: tuple[Change, ...]
    nearest: tuple[tuple[int, tuple[int, ...]], ...]


def contrastive(
    instance: Instance,
    domain: Domain,
    target: int,
    *,
    deadline: float = float("inf"),
    now: Callable[[], float] = time.monotonic,
) -> Contrastive | None:
    """The smallest contrastive set of pair facts that was found for a class, or None.

    Args:
        target: a class other than the predicted one; or one of the labels that are explained,
            which is to be decided otherwise.
        deadline: when to stop improving, by the clock ``now``.

    Raises:
        UsageError: ``target`` is the predicted class or none of the network's.
    """
    if target not in instance.rivals:
        raise UsageError(
            f"class {target} is the predicted one, or none of the {len(instance.rivals) + 1}; "
            "choose another"
        )
    refuter = Refuter(instance, domain, kinds=KINDS["pairs"], target=target, now=now)
    (first,) = refuter.refute([FactSet()])
    if first is None:
        return None
    best: Refutation | None = None
    for start in _starts(refuter, first):
        if best is not None and now() >= deadline:
            break
        grown = refuter.grow(*start, deadline)
        if best is None or len(grown.violated) < len(best.violated):
            best = grown
    if best is None:
        return None
    elements = refuter.elements()
    released = tuple(fact for fact in elements if fact in best.violated)
    return Contrastive(
        target,
        released,
        best,
        best.latent,
        _cannot_stay(instance, domain, elements, best, deadline, now),
        _changes(instance, target, best.latent),
        _nearest(instance, best),
    )


def _starts(refuter: Refuter, first: Refutation) -> list[tuple[FactSet, Refutation]]:
    """The first latent, and latents that keep one fact from the start: other ways to grow."""
    order = refuter.by_use(first)
    single = [FactSet(pairs=(fact,)) for fact in order[:: max(1, len(order) // _WAYS)][:_WAYS]]  # type: ignore[arg-type]
    found = refuter.refute(single, [first] * len(single))
    kept = [(facts, r) for facts, r in zip(single, found, strict=True) if r is not None]
    return [(FactSet(), first), *kept]


def _changes(instance: Instance, target: int, latent: Latent) -> tuple[Change, ...]:
    head = instance.head
    measured = head.measurement(latent)
    after = head.activation(measured)
    # activations are largest where distances are least
    before = instance.activation
    was, is_ = instance.measurement.argmin(axis=0), measured.argmin(axis=0)
    moved = np.flatnonzero(np.abs(after - before) > 1e-6)
    effects = _effects(instance, instance.rivals.index(target), after, moved)
    changes = (
        Change(
            int(j),
            float(before[j]),
            float(after[j]),
            float(effect),
            int((was if after[j] < before[j] else is_)[j])
            if head.pooling_of.kinds[j] == "nearest"
            else None,
        )
        for j, effect in zip(moved, effects, strict=True)
    )
    return tuple(sorted(changes, key=lambda change: (-change.effect, change.prototype)))


def _effects(
    instance: Instance,
    row: int,
    after: Float[NDArray[np.float64], " prototype"],
    moved: Int[NDArray[np.intp], " change"],
) -> Float[NDArray[np.float64], " change"]:
    """What every change takes off a margin; see :class:`Change`."""
    before, index = instance.activation, np.arange(len(moved))
    first, last = np.tile(before, (len(moved), 1)), np.tile(after, (len(moved), 1))
    first[index, moved], last[index, moved] = after[moved], before[moved]
    margins = instance.atoms.margins(np.vstack([before, after, first, last]))[:, row]
    count = len(moved)
    alone = margins[0] - margins[2 : 2 + count]
    undone = margins[2 + count :] - margins[1]
    return np.asarray((alone + undone) / 2)


def _nearest(instance: Instance, refutation: Refutation) -> tuple[tuple[int, tuple[int, ...]], ...]:
    measured = instance.head.measurement(refutation.latent)
    return tuple(
        (
            move.location,
            tuple(int(j) for j in np.argsort(measured[move.location], kind="stable")[:_NEAR]),
        )
        for move in refutation.moves
    )


def _cannot_stay(
    instance: Instance,
    domain: Domain,
    elements: list[Fact],
    refutation: Refutation,
    deadline: float,
    now: Callable[[], float],
) -> bool:
    """Whether an oracle proves that keeping any one of the violated facts keeps the class."""
    kept = [fact for fact in elements if fact not in refutation.violated]
    return all(
        now() < deadline and decided(instance, domain, of_facts([*kept, fact])) is not None
        for fact in elements
        if fact in refutation.violated
    )
