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

    ``weight`` is what a unit of its similarity adds to the new class's lead over the old one;
    ``location`` is the one that saw it most if it is seen less now, else the one that does now.
    """

    prototype: int
    before: float
    after: float
    weight: float
    location: int

    @property
    def effect(self) -> float:
        """How much of the new class's lead it makes."""
        return self.weight * (self.after - self.before)


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
        target: a class other than the predicted one.
        deadline: when to stop improving, by the clock ``now``.

    Raises:
        UsageError: ``target`` is the predicted class or none of the network's.
    """
    if not instance.head.all_nearest:
        raise UsageError(
            "a contrast releases facts about single locations, which say nothing about means over "
            "all of them; ask for --minimal all --vocabulary mixed"
        )
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
    was, is_ = instance.measurement.argmin(axis=0), measured.argmin(axis=0)
    weight = -instance.margin_weights[instance.rivals.index(target)]
    moved = np.flatnonzero(np.abs(after - instance.activation) > 1e-6)
    changes = (
        Change(
            int(j),
            float(instance.activation[j]),
            float(after[j]),
            float(weight[j]),
            int((was if after[j] < instance.activation[j] else is_)[j]),
        )
        for j in moved
    )
    return tuple(sorted(changes, key=lambda change: (-change.effect, change.prototype)))


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
