"""What is known about the tensors of a walk, and about the terms of sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from protoproof.kernel.budget import hold
from protoproof.kernel.float32.measured import Factor, Measuring, UnroundableError
from protoproof.kernel.float32.record import NOWHERE, ZERO, Array, Record
from protoproof.kernel.float32.rows import powers_of_two, values_of
from protoproof.kernel.model.symbolic.arrays import thin
from protoproof.kernel.model.symbolic.evaluator import Evaluation
from protoproof.kernel.model.symbolic.expressions import (
    Best,
    Exponential,
    Product,
    Single,
    Sum,
    Tree,
)
from protoproof.kernel.model.symbolic.values import (
    Constant,
    Joined,
    Latent,
    Measured,
    Ranked,
    Terms,
    Value,
)


@dataclass
class Atom:
    """A computed number that sums are made of.

    Attributes:
        error: how far it is from what it is; ``r`` and ``a``: the same as r |x| + a.
        low, high: between what the computed number lies; ``least``, ``most``: the exact one.
        tensor: in which it was computed; None for several.
    """

    error: float
    r: float
    a: float
    low: float
    least: float
    high: float
    most: float
    tensor: str | None

    def beside(self, other: Atom) -> None:
        """The same number, computed in another tensor too."""
        for name in ("error", "r", "a", "high", "most"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name in ("low", "least"):
            setattr(self, name, min(getattr(self, name), getattr(other, name)))
        if self.tensor != other.tensor:
            self.tensor = None


UNKNOWN = Atom(math.inf, math.inf, math.inf, -math.inf, -math.inf, math.inf, math.inf, None)


class Tensors:
    """The tensors of one walk, for one set of ranges.

    Attributes:
        functions: those that a runtime approximates, in the order in which they occur.
        curved: whether a measurement's error grows with the latent's length.
        atoms: the terms of sums, by expression.
        features: what the head is about: of all else that is pooled, no range is known.
    """

    def __init__(self, here: Evaluation, rules: Measuring, features: frozenset[int]) -> None:
        self.here, self.rules, self.features = here, rules, features
        self._about, self._sound = rules.kept.about, rules.kept.sound
        self._sound_parts: tuple[int, ...] = ()  # of the sum that was sound last
        self.functions: dict[str, None] = {}
        self.curved = False
        self.atoms: dict[int, Atom] = {}
        self._records: dict[str, Record] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        self._entered: set[str] = set()

    def value(self, tensor: str) -> Value:
        """What a tensor is over the reals."""
        return self.here.values[tensor]

    def record(self, tensor: str) -> Record:
        """What is known about a tensor."""
        found = self._records.get(tensor)
        if found is None:
            value = self.value(tensor)
            if isinstance(value, Latent):
                found = Record(value.shape)
            elif isinstance(value, Constant):
                low, high = self.ends(tensor, value)
                found = Record(value.shape, low=low, high=high, least=low, most=high)
            else:
                raise UnroundableError(f"nothing is known about {tensor!r}")
            self._records[tensor] = found
        return found

    def ends(self, tensor: str, value: Constant) -> tuple[Array, Array]:
        """Bounds of the numbers of a constant, the same in every walk; paid for in each."""
        kept = self.rules.kept.values
        hold("the constants in float32", 16 * thin(value.number.numerators).size)
        if tensor not in kept:
            kept[tensor] = values_of(value)
        return kept[tensor]

    def number(self, tensor: str) -> Record:
        """A record of what does not grow with the latent's length any more."""
        x, value = self.record(tensor), self.value(tensor)
        if isinstance(value, Latent):
            single = self.here.rules.measurement(value)
            if x.curved:
                raise UnroundableError("elements of the latent that were computed with")
            return self.rules.ranged(replace(x, low=-NOWHERE, high=NOWHERE), single)
        if isinstance(value, Measured):
            self.curved |= x.curved
            return self.rules.settled(x, value)
        return x

    def factor(self, tensor: str) -> Factor:
        """A constant as a factor."""
        x = self.record(tensor)
        size = np.maximum(np.abs(x.low), np.abs(x.high))
        least = np.where(
            (x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high))
        )
        exact = x.exact and powers_of_two(x.low) and powers_of_two(x.high)
        return Factor(
            float(size.max()), float(least.min()), float(np.max(x.r)), float(np.max(x.a0)), exact
        )

    def term(self, tensor: str) -> Record:
        """A record of numbers that sums are made of."""
        x, term = self.number(tensor).pooled(), self._terms(tensor)
        return x if term is None else self.bounded(x, term)

    def bounded(self, x: Record, term: Array) -> Record:
        """Without any bound where a term is about more than the head: over the reals something
        cancels, which any latent may be at, and what is rounded there does not."""
        keys, place = np.unique(term, return_inverse=True)
        known = np.array([self._known(k) for k in keys.tolist()], dtype=bool)
        if known.all():
            return x
        there = np.broadcast_to(known[place].reshape(term.shape), x.shape)
        ends = [
            np.where(there, x.spread(name), end)
            for name, end in (
                ("low", -np.inf), ("high", np.inf), ("least", -np.inf), ("most", np.inf)
            )
        ]  # fmt: skip
        a0, fresh = (np.where(there, x.spread(name), np.inf) for name in ("a0", "fresh"))
        return replace(x.between(*ends), a0=a0, fresh=fresh)

    def _known(self, index: int) -> bool:
        """Whether all that an expression is made of is the head's."""
        if index not in self._about:
            one = self.here.known.all[index]
            parts: tuple[int, ...] = ()
            if isinstance(one, Sum):
                parts = one.terms
            elif isinstance(one, Best):
                parts = one.members
            elif isinstance(one, Product | Tree | Exponential):
                parts = tuple(one)
            alone = not isinstance(one, Single) or one.feature in self.features
            # most sums are of the same terms
            sound = parts == self._sound_parts or self._sound.issuperset(parts)
            self._about[index] = alone and (sound or all(self._known(k) for k in parts))
            if self._about[index]:
                self._sound.add(index)
                self._sound_parts = parts
        return self._about[index]

    # the terms of sums

    def _terms(self, tensor: str) -> Array | None:
        """The expressions of a tensor that sums are made of."""
        kept = self.rules.kept.terms
        if tensor not in kept:
            value = self.value(tensor)
            none = isinstance(value, Constant | Ranked | Joined)
            kept[tensor] = None if none else np.asarray(self.here.rules.terms(value).term)
        return kept[tensor]

    def _register(self, tensor: str) -> None:
        """Enter what sums are made of."""
        term = self._terms(tensor) if tensor not in self._entered else None
        if term is None:
            return
        self._entered.add(tensor)
        x = self.term(tensor)
        known = self.here.known.all
        keys, place = np.unique(term, return_inverse=True)
        low, high = x.computed
        rows = []
        for join, start, ends in (
            (np.maximum, 0.0, x.error), (np.maximum, 0.0, x.r), (np.maximum, 0.0, x.a0),
            (np.minimum, np.inf, low), (np.minimum, np.inf, x.low),
            (np.maximum, -np.inf, high), (np.maximum, -np.inf, x.high),
        ):  # fmt: skip
            table = np.full(keys.size, start)
            join.at(table, place.ravel(), np.broadcast_to(ends, x.shape).ravel())
            rows.append(table.tolist())
        for key, *(error, r, a, low_, least, high_, most) in zip(keys.tolist(), *rows, strict=True):
            if isinstance(known[key], Sum):
                continue
            atom = Atom(error, r, a, low_, least, high_, most, tensor)
            if key in self.atoms:
                self.atoms[key].beside(atom)
            else:
                self.atoms[key] = atom

    def _fresh(self, tensor: str, x: Record) -> Array:
        """How far a tensor is from the sums of computed terms that it is."""
        value = self.value(tensor)
        if not isinstance(value, Terms):
            return ZERO
        known = self.here.known.all
        keys, place = np.unique(value.term, return_inverse=True)
        single = np.array([not isinstance(known[k], Sum) for k in keys.tolist()])
        return np.asarray(np.where(single[place].reshape(value.shape), 0.0, x.spread("fresh")))

    def score(self, tensor: str) -> Record:
        """The record of the scores, which themselves may be the terms of which they are made."""
        self._register(tensor)
        x = self.term(tensor)
        return replace(x, fresh=self._fresh(tensor, x))
