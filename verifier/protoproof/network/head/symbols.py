"""What a tensor between the latent and the output can be: integers and numbers.

Every element of a tensor is described by indices: which latent element, which site and which row
of coefficients, which pooled value. So layout operators are executed on index arrays, and only
arithmetic needs rules. Component arrays are compact (see ``layout``), of the rank of ``shape``.

    Entries      a v^2 + g v + c of one latent element v
    Measured     steps(sum_d a_d v_d^2 + g_d v_d + c) over the elements v of a site
    Ranked       the k largest of Measured along an axis
    Pooled       steps(a pooled value), or steps(the best of some)
    Combination  W a + b over pooled values a
    Share, Tree  (alpha + beta a) * value, and (1 - a) * left + a * right
    Joined       values of several kinds, concatenated
    Condition    where a value is below a number
    Several      several tensors, each taken out by its number
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head.constants import Numbers
from protoproof.network.head.layout import Array, Shape, view
from protoproof.network.head.tables import Space

Index = NDArray[np.int64]
Real = NDArray[np.float64]
Move = Callable[[Array, Shape], Array]
Kind = TypeVar("Kind")


class Applied(NamedTuple):
    """One primitive on a value: its name and its constant (compact), or None."""

    name: str
    constant: Real | None = None


@dataclass(frozen=True, eq=False)
class Norm:
    """A division by max(sqrt(|z|^2 + ``added``), ``floor``) + ``beside`` of the site's latent.

    ``floor`` and ``beside`` (compact) may differ from prototype to prototype.
    """

    floor: Real
    added: float
    beside: Real

    def moved(self, shape: Shape, move: Move) -> Norm:
        """The same layout operator on the numbers; ``shape`` is that before."""
        return Norm(move(self.floor, shape), self.added, move(self.beside, shape))

    def same(self, other: Norm | None) -> bool:
        """Whether another one is equal, number by number."""
        return other is not None and (
            self.added == other.added
            and np.array_equal(self.floor, other.floor)
            and np.array_equal(self.beside, other.beside)
        )


def same_norm(x: Norm | None, y: Norm | None) -> bool:
    """Whether two values are divided alike, or both not at all."""
    return y is None if x is None else x.same(y)


@dataclass(frozen=True, eq=False)
class Lengths:
    """The sites whose norm divides each of some elements."""

    space: Space
    site: Index
    norm: Norm


def _steps(steps: tuple[Applied, ...], shape: Shape, move: Move) -> tuple[Applied, ...]:
    return tuple(
        step if step.constant is None else Applied(step.name, move(step.constant, shape))
        for step in steps
    )


@dataclass(frozen=True, eq=False)
class Entries:
    """See the module's docstring; ``c`` + ``c_low`` is a pair of float64.

    ``lengths``: norms that divide the elements (which then are neither squared nor shifted);
    ``root``: all of it is divided by the square root of this (compact).
    """

    shape: Shape
    element: Index
    a: Real
    g: Real
    c: Real
    c_low: Real
    lengths: Lengths | None = None
    root: Real | None = None
    word = "latent elements"

    def moved(self, shape: Shape, move: Move) -> Entries:
        """The same layout operator on every component."""
        parts = (self.element, self.a, self.g, self.c, self.c_low)
        element, a, g, c, c_low = (move(part, self.shape) for part in parts)
        lengths = self.lengths
        if lengths is not None:
            lengths = replace(lengths, site=move(lengths.site, self.shape))
        root = None if self.root is None else move(self.root, self.shape)
        return Entries(shape, element, a, g, c, c_low, lengths, root)

    @property
    def linear(self) -> bool:
        """Whether no element is squared."""
        return not self.a.any()


@dataclass(frozen=True, eq=False)
class Measured:
    """See the module's docstring; sites and rows are those of ``space``."""

    shape: Shape
    space: Space
    site: Index
    row: Index
    norm: Norm | None = None
    steps: tuple[Applied, ...] = ()
    word = "measurements"

    @property
    def varying(self) -> tuple[Array, ...]:
        """What tells elements apart besides their sites."""
        norm = () if self.norm is None else (self.norm.floor, self.norm.beside)
        constants = (step.constant for step in self.steps if step.constant is not None)
        return (self.row, *norm, *constants)

    def moved(self, shape: Shape, move: Move) -> Measured:
        """The same layout operator on every component."""
        return replace(
            self,
            shape=shape,
            site=move(self.site, self.shape),
            row=move(self.row, self.shape),
            norm=None if self.norm is None else self.norm.moved(self.shape, move),
            steps=_steps(self.steps, self.shape, move),
        )


@dataclass(frozen=True, eq=False)
class Ranked:
    """The ``count`` largest along ``axis``, in order; ``shape`` has them on that axis.

    ``negated``: their negatives, which are the smallest of the negatives of ``base``.
    """

    shape: Shape
    base: Measured
    axis: int
    count: int
    negated: bool = False
    word = "the k largest of measurements"


@dataclass(frozen=True, eq=False)
class Pooled:
    """Records of ``Tables.records``; ``ratio``: over a common positive denominator."""

    shape: Shape
    record: Index
    steps: tuple[Applied, ...] = ()
    ratio: int | None = None
    word = "pooled values"

    def moved(self, shape: Shape, move: Move) -> Pooled:
        """The same layout operator on every component."""
        record = move(self.record, self.shape)
        return Pooled(shape, record, _steps(self.steps, self.shape, move), self.ratio)


@dataclass(frozen=True, eq=False)
class Combination:
    """``weight`` [n, A] over the atoms ``atom`` [A], ``bias`` [n]; the n elements row-major."""

    shape: Shape
    atom: tuple[int, ...]
    weight: Real
    bias: Real
    ratio: int | None = None
    word = "a linear combination of pooled values"

    def moved(self, shape: Shape, move: Move) -> Combination:
        """The same layout operator on the elements; atoms that only left ones weighed go too."""
        place = np.arange(len(self.bias)).reshape(self.shape)
        taken = view(move(place, self.shape), shape).reshape(-1)
        weight, bias = self.weight[taken], self.bias[taken]
        gone = self.weight.any(axis=0) & ~weight.any(axis=0)
        if gone.any():
            atom = tuple(self.atom[k] for k in np.flatnonzero(~gone))
            return replace(self, shape=shape, atom=atom, weight=weight[:, ~gone], bias=bias)
        return replace(self, shape=shape, weight=weight, bias=bias)


@dataclass(frozen=True, eq=False)
class Tree:
    """A soft tree with scores [K] at its leaves: the share ``atom`` goes right."""

    shape: Shape
    atom: int
    left: Tree | Real
    right: Tree | Real
    word = "a soft tree"


@dataclass(frozen=True, eq=False)
class Share:
    """(``alpha`` + ``beta`` a) times a tree or the scores of a leaf."""

    shape: Shape
    alpha: float
    beta: float
    atom: int
    below: Tree | Combination
    word = "a share of a soft tree"


@dataclass(frozen=True, eq=False)
class Joined:
    """Values side by side along ``axis``."""

    shape: Shape
    parts: tuple[Value, ...]
    axis: int
    word = "values of several kinds"


@dataclass(frozen=True, eq=False)
class Condition:
    """Where ``value`` is below ``threshold`` (or not below it)."""

    shape: Shape
    value: Value
    threshold: Numbers
    below: bool
    word = "a condition"


@dataclass(frozen=True, eq=False)
class Several:
    """Several tensors."""

    parts: tuple[Value, ...]
    word = "a sequence of tensors"

    @property
    def shape(self) -> Shape:
        """No tensor, no axes: nothing but taking one out is done to it."""
        return ()


Value = (
    Numbers
    | Entries
    | Measured
    | Ranked
    | Pooled
    | Combination
    | Tree
    | Share
    | Joined
    | Condition
    | Several
)


def word(value: Value | None) -> str:
    """What a value is, for people."""
    if value is None:
        return "nothing"
    return "numbers" if isinstance(value, Numbers) else value.word


def only(value: object, kind: type[Kind]) -> Kind:
    """The value, which is of this kind by construction.

    Raises:
        InternalError: it is not.
    """
    if not isinstance(value, kind):
        raise InternalError(f"{type(value).__name__} where {kind.__name__} was made")
    return value
