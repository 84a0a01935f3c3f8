"""What the elements of a tensor can be, seen from the latent.

All arrays of a value have the tensor's shape; a layout operator does to each of them what it does
to the tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from protoproof.kernel.budget import hold
from protoproof.kernel.model.symbolic.arrays import Array, Exact, Shape, exact, spread


@dataclass(frozen=True)
class Value:
    """Elements of one kind. ``PIECES``: the names of the arrays."""

    PIECES: ClassVar[tuple[str, ...]] = ()
    WORDS: ClassVar[str] = "a value"

    @property
    def shape(self) -> Shape:
        return np.shape(self.pieces[0])

    @property
    def pieces(self) -> tuple[Array, ...]:
        found = [getattr(self, name) for name in self.PIECES]
        return tuple(p.numerators if isinstance(p, Exact) else p for p in found)

    def moved(self, move: Callable[[Array], Array]) -> Any:
        """The value with every array moved."""
        changes = {}
        for name in self.PIECES:
            piece = getattr(self, name)
            array = piece.numerators if isinstance(piece, Exact) else piece
            moved = np.asarray(move(array), dtype=array.dtype)  # one number of many is no array
            if not np.may_share_memory(moved, array):
                hold("the layout of a tensor", moved.nbytes)
            changes[name] = Exact(moved, piece.denominator) if isinstance(piece, Exact) else moved
        return replace(self, **changes)

    def words(self) -> str:
        """For a refusal."""
        return f"{self.WORDS} of shape {list(self.shape)}"


@dataclass(frozen=True)
class Constant(Value):
    """number / sqrt(root). ``whole``: of an integer type, whose quotients are whole, too."""

    number: Exact
    root: Exact
    whole: bool = False
    PIECES: ClassVar = ("number", "root")
    WORDS: ClassVar = "a constant"

    @property
    def rational(self) -> bool:
        """Whether there is no root: all roots are 1."""
        return bool(np.all(spread(lambda n: n == self.root.denominator, self.root.numerators)))


def constant(number: Exact, whole: bool = False) -> Constant:
    return Constant(number, exact(1, number.numerators.shape), whole)


@dataclass(frozen=True)
class Latent(Value):
    """weight / sqrt(root) * (scale * z[index] / norm + shift)**power.

    ``index``: flat, over all cuts one after the other; -1 where there is only the shift.
    ``norm``: which entry of :attr:`Tables.norms` divides; -1: none. ``power`` is 1 or 2; with 1,
    the weight is 1.
    """

    index: Array
    scale: Exact
    shift: Exact
    weight: Exact
    root: Exact
    norm: Array
    power: int
    PIECES: ClassVar = ("index", "scale", "shift", "weight", "root", "norm")
    WORDS: ClassVar = "the latent"


def latent(index: Array) -> Latent:
    """Elements of the latent themselves."""
    one, zero = exact(1, index.shape), exact(0, index.shape)
    none = np.broadcast_to(np.int64(-1), index.shape)
    return Latent(index, one, zero, one, one, none, 1)


@dataclass(frozen=True)
class Measured(Value):
    """A program applied to a measurement: which site, which row of coefficients, which program."""

    site: Array
    row: Array
    program: Array
    PIECES: ClassVar = ("site", "row", "program")
    WORDS: ClassVar = "a measurement"


@dataclass(frozen=True)
class Terms(Value):
    """Expressions over pooled measurements (see ``expressions``).

    ``over``: the expression that all of them are divided by, which is positive; -1: none.
    """

    term: Array
    over: int = -1
    PIECES: ClassVar = ("term",)
    WORDS: ClassVar = "pooled measurements"


@dataclass(frozen=True)
class Ranked(Value):
    """The ``count`` largest (or least) of a value along an axis, in order."""

    value: Value
    axis: int
    count: int
    largest: bool
    WORDS: ClassVar = "the largest measurements, ranked"

    @property
    def shape(self) -> Shape:
        shape = list(self.value.shape)
        shape[self.axis] = self.count
        return tuple(shape)


@dataclass(frozen=True)
class Below(Value):
    """Whether a value is below a constant (or, ``negated``, at least it)."""

    value: Value
    limit: Constant
    negated: bool
    WORDS: ClassVar = "a comparison"

    @property
    def shape(self) -> Shape:
        return np.broadcast_shapes(self.value.shape, self.limit.shape)


@dataclass(frozen=True)
class Several(Value):
    """A sequence of tensors, of which single ones are taken out."""

    parts: tuple[Value, ...]
    WORDS: ClassVar = "a sequence of tensors"

    @property
    def shape(self) -> Shape:
        return ()


@dataclass(frozen=True)
class Joined(Value):
    """Values of several kinds beside each other along an axis, for a matrix product."""

    parts: tuple[Value, ...]
    axis: int
    WORDS: ClassVar = "values of several kinds beside each other"

    @property
    def shape(self) -> Shape:
        shape = list(self.parts[0].shape)
        shape[self.axis] = sum(part.shape[self.axis] for part in self.parts)
        return tuple(shape)
