"""What walks found out about a graph, which is the same for every certificate."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protoproof.kernel.budget import hold, spend
from protoproof.kernel.float32.record import Array
from protoproof.kernel.float32.rows import Line, Sizes

_LINE, _INSTRUCTION = 1 << 16, 1 << 14  # steps of one that is composed
_PER_LINE = 512  # bytes of one that is kept


@dataclass(frozen=True)
class Plan:
    """Elements as lines of measurements.

    Attributes:
        lines, numbers: [n, 4] and [n], each line and of which measurement it is.
        starts: where the lines of each kind of element begin.
        place: of every element, its kind.
        longest: instructions that a line is composed of, at most.
    """

    lines: Array
    numbers: NDArray[np.intp]
    starts: NDArray[np.intp]
    place: NDArray[np.intp]
    longest: int


@dataclass
class Kept:
    """See the module's docstring: tables only grow, and nothing here depends on ranges.

    Attributes:
        sizes, lines: of rows and of programs, by number.
        composed: of a measurement, by number, and a program of a row that it is of, the line from
            one to the other.
        about: of expressions, by number, whether all that they are made of is the head's.
        sound: those of which it is.
        plans: of tensors that are functions of measurements, by what they hold.
        terms: of tensors, by name, the expressions that sums are made of.
        values: of constants, by name, the bounds of their numbers.
    """

    sizes: dict[int, Sizes] = field(default_factory=dict)
    lines: dict[int, Line | None] = field(default_factory=dict)
    composed: dict[tuple[int, int], Line | None] = field(default_factory=dict)
    about: dict[int, bool] = field(default_factory=dict)
    sound: set[int] = field(default_factory=set)
    plans: dict[tuple[tuple[int, ...], bytes, bytes], Plan] = field(default_factory=dict)
    terms: dict[str, Array | None] = field(default_factory=dict)
    values: dict[str, tuple[Array, Array]] = field(default_factory=dict)


def pay(lines: int, longest: int) -> None:
    """Charge the lines of a plan, each of so many instructions at most, whoever composed them."""
    spend("the lines of measurements", (_LINE + _INSTRUCTION * longest) * lines)
    hold("the lines of measurements", _PER_LINE * lines)
