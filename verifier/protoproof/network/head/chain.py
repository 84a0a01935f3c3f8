"""A similarity: a chain of one-variable primitives, with constants of its own for each prototype.

``t -> step_n(... step_1(t))``. Direction, range and curvature are derived from the primitives and
from the ends between which t lies; nobody declares them. They hold over the reals; values here are
float64, good for searching and never a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from protoproof.backend import Array, namespace
from protoproof.errors import InternalError
from protoproof.network.head.primitives import NONE, PRIMITIVES, Signs

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    Ends = Float[NDArray[np.float64], " prototype"]
    # indices that broadcast with the values they are for
    Chosen = Int[NDArray[np.intp], "..."] | Sequence[int] | None


# an array of numpy, or of a device
Kind = TypeVar("Kind")

# How far rounding may put a value outside ends that are not zero, relative to their size.
_ROUNDING = 1e-9
# Halvings of an interval of float64 numbers, counted by their order: none is left after these.
_HALVINGS = 65


@dataclass(frozen=True, eq=False)
class Step:
    """One primitive; ``constant`` [P], or [1] for all prototypes alike, or None.

    Raises:
        InternalError: an unknown primitive, or a constant that is missing, not finite, zero for
            ``mul``, or not positive for ``div_root``.
    """

    name: str
    constant: Float[NDArray[np.float64], " prototype"] | None = None

    def __post_init__(self) -> None:
        row = PRIMITIVES.get(self.name)
        if row is None or row.needs != (self.constant is not None):
            raise InternalError(f"'{self.name}' is no primitive, or its constant is missing")
        if self.constant is None:
            return
        values = np.array(self.constant, dtype=np.float64).reshape(-1)
        wrong = {"mul": values == 0, "div_root": ~(values > 0)}.get(self.name)
        if not values.size or not np.isfinite(values).all() or (wrong is not None and wrong.any()):
            raise InternalError(f"the constant of '{self.name}' makes no sense")
        if (values == values[0]).all():
            values = values[:1]
        values.setflags(write=False)
        object.__setattr__(self, "constant", values)


@dataclass(frozen=True)
class _Traits:
    """What the derivation found between two ends: all arrays broadcast."""

    direction: Signs
    curvature: Signs
    at_low: Ends
    at_high: Ends
    broken: str | None


@dataclass(frozen=True, eq=False)
class Chain:
    """See the module's docstring; no steps are the identity.

    ``low`` and ``high`` ([P] or [1]) are the ends between which arguments lie, from the geometry
    and from what bounds the latent. None: not known yet; then arguments are taken as they are, and
    traits are those over all numbers.
    """

    steps: tuple[Step, ...]
    low: Ends | None = None
    high: Ends | None = None

    def over(self, low: Any, high: Any = np.inf) -> Chain:
        """The chain with other ends of its arguments, numbers or arrays [P]."""
        ends = (np.atleast_1d(np.asarray(end, dtype=np.float64)) for end in (low, high))
        return replace(self, low=next(ends), high=next(ends))

    @cached_property
    def _fused(self) -> tuple[Step, ...]:
        """The steps, a quotient and its logarithm as one."""
        fused: list[Step] = []
        for step in self.steps:
            if step.name == "log" and fused and fused[-1].name == "one_plus":
                step = Step("log_one_plus", fused.pop().constant)
            fused.append(step)
        return tuple(fused)

    @cached_property
    def uniform(self) -> bool:
        """Whether all prototypes have the same constants."""
        return all(step.constant is None or step.constant.size == 1 for step in self.steps)

    def value(self, t: Kind, prototypes: Chosen = None) -> Kind:
        """Similarity, elementwise; an infinite argument gives the limit.

        Args:
            t: ``[..., P]``, or of any shape where ``prototypes`` says whose each value is.
            prototypes: indices that broadcast with ``t``; all, along the last axis, by default.

        Raises:
            InternalError: NaN, or an argument outside the ends.
        """
        x: Array = self._within(t, prototypes)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for step in self._fused:
                x = PRIMITIVES[step.name].value(x, _constant(step, x, prototypes))
        result: Kind = x if self._fused else +x
        return result

    def derivative(self, t: Kind, prototypes: Chosen = None) -> Kind:
        """d similarity / d t, elementwise; one side's at a corner, capped where a root begins.

        Raises:
            InternalError: NaN, or an argument outside the ends.
        """
        return self.with_slope(t, prototypes)[1]

    def with_slope(self, t: Kind, prototypes: Chosen = None) -> tuple[Kind, Kind]:
        """Value and derivative at once: see :meth:`value` and :meth:`derivative`.

        Raises:
            InternalError: NaN, or an argument outside the ends.
        """
        x: Array = self._within(t, prototypes)
        slope: Array = namespace(x).ones_like(x)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for number, step in enumerate(self._fused):
                row, constant = PRIMITIVES[step.name], _constant(step, x, prototypes)
                own = row.slope(x, constant)
                slope = own if number == 0 else slope * own
                x = row.value(x, constant)
        value: Kind = x if self._fused else +x
        result: Kind = slope
        return value, result

    def inverse(self, a: NDArray[np.float64], prototypes: Chosen = None) -> NDArray[np.float64]:
        """The largest argument whose similarity is at least ``a`` (of a falling chain).

        Closed forms where all primitives have one, else bisection. NaN where every similarity is
        below ``a``.
        """
        a = np.asarray(a, dtype=np.float64)
        if any(PRIMITIVES[step.name].inverse is None for step in self._fused):
            return self._bisected(a, prototypes)
        y = a
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for step in reversed(self._fused):
                inverse = PRIMITIVES[step.name].inverse
                if inverse is not None:
                    y = np.asarray(inverse(y, _constant(step, y, prototypes)))
        return y

    def _bisected(self, a: NDArray[np.float64], prototypes: Chosen) -> NDArray[np.float64]:
        low, high = self._ends(prototypes)
        shape = np.broadcast_shapes(a.shape, np.shape(low))
        below, above = (_order(np.broadcast_to(end, shape)) for end in (low, high))
        never = ~(self.value(_number(below), prototypes) >= a)
        always = self.value(_number(above), prototypes) >= a
        # float64 numbers are ordered as their bits are: halve the numbers, not the distance
        for _ in range(_HALVINGS):
            middle = below // 2 + above // 2 + (below % 2 + above % 2) // 2
            enough = self.value(_number(middle), prototypes) >= a
            below, above = np.where(enough, middle, below), np.where(enough, above, middle)
        found = np.where(always, np.broadcast_to(high, shape), _number(below))
        return np.asarray(np.where(never, np.nan, found))

    def _ends(self, prototypes: Chosen) -> tuple[Ends, Ends]:
        low = np.array([-np.inf]) if self.low is None else self.low
        high = np.array([np.inf]) if self.high is None else self.high
        if prototypes is not None:
            low, high = (end if end.size == 1 else end[prototypes] for end in (low, high))
        return low, high

    def _within(self, t: Any, prototypes: Chosen) -> Array:
        """The arguments, moved inside the ends where rounding put them out."""
        if isinstance(t, np.ndarray | np.generic | float | int | list):
            t = np.asarray(t, dtype=np.float64)
        if self.low is None or self.high is None:
            return t
        if self._from_zero:
            if not (t >= 0).all():  # also False for NaN
                raise InternalError("a measurement that is a square is negative or NaN")
            return t
        low, high = (_like(end, t) for end in self._ends(prototypes))
        xp = namespace(t)
        slack = _ROUNDING * (1.0 + xp.abs(xp.where(xp.isinf(t), 0.0, t)))
        if not ((t >= low - slack) & (t <= high + slack)).all():
            raise InternalError("a measurement is outside its range, or NaN")
        return xp.where(t < low, low, xp.where(t > high, high, t))

    @cached_property
    def _from_zero(self) -> bool:
        return bool(
            self.low is not None
            and self.high is not None
            and (self.low == 0).all()
            and (self.high == np.inf).all()
        )

    @cached_property
    def _traits(self) -> _Traits:
        return self._derive(*self._ends(None), None)

    def _derive(self, low: Ends, high: Ends, prototypes: Chosen) -> _Traits:
        """Walk an interval through the steps; ``broken`` names the first without a direction."""
        direction, curvature = np.ones(1, dtype=np.int8), np.zeros(1, dtype=np.int8)
        broken = None
        low, high = low + 0.0, high + 0.0
        with np.errstate(all="ignore"):
            for step in self._fused:
                row, constant = PRIMITIVES[step.name], _constant(step, low, prototypes)
                own, bent = row.shape(low, high, constant)
                if broken is None and (own == NONE).any():
                    broken = step.name
                # f(g): bent as f where g is straight, as g where f is; both have to agree else
                through = np.where(own == 0, 0, curvature * own)
                through = np.where((curvature == NONE) | (own == NONE), NONE, through)
                joined = np.where(through == 0, bent, np.where(bent == 0, through, NONE))
                curvature = np.where((through == bent) & (bent != NONE), bent, joined)
                direction = np.where(
                    (direction == NONE) | (own == NONE), NONE, direction * own
                ).astype(np.int8)
                # an end at zero from below: a pole there goes down
                upper = np.where((high == 0) & (low < 0), -0.0, high)
                first, last = row.value(low, constant), row.value(upper, constant)
                low, high = np.fmin(first, last), np.fmax(first, last)
        at_low, at_high = np.where(direction < 0, high, low), np.where(direction < 0, low, high)
        return _Traits(direction, curvature.astype(np.int8), at_low, at_high, broken)

    @property
    def broken(self) -> str | None:
        """The first primitive that has no direction where it is used; None where all have."""
        return self._traits.broken

    @property
    def direction(self) -> Signs:
        """+1 for a similarity that rises with its argument, -1 for one that falls; [P] or [1]."""
        return self._traits.direction

    @property
    def decreasing(self) -> bool:
        """Whether no similarity ever rises with its argument."""
        return bool(self.broken is None and (self._traits.direction <= 0).all())

    @property
    def infimum(self) -> Ends:
        """The least similarity, or what it tends to; [P] or [1]."""
        return np.minimum(self._traits.at_low, self._traits.at_high)

    @property
    def supremum(self) -> Ends:
        """The greatest similarity, or what it tends to; [P] or [1]."""
        return np.maximum(self._traits.at_low, self._traits.at_high)

    @property
    def convex(self) -> NDArray[np.bool_]:
        """For which prototypes the similarity is known to be convex; [P] or [1]."""
        return np.isin(self._traits.curvature, (0, 1))

    def convex_between(
        self, low: NDArray[np.float64], high: NDArray[np.float64], prototypes: Chosen = None
    ) -> NDArray[np.bool_]:
        """Where the similarity is known to be convex between two arguments, elementwise."""
        found = self._derive(low, high, prototypes)
        return np.broadcast_to(np.isin(found.curvature, (0, 1)), np.shape(low))

    def words(self, text: str = "t", letters: str = "cdefgh") -> str:
        """The chain as a formula in t, such as ``log((1 + 0.9999 / (t + 0.0001)))``.

        ``text``: what the argument is called; ``letters`` of constants that prototypes do not
        share, one for each step (see :meth:`letters`).
        """
        names = iter(self.letters(letters))
        for step in self.steps:
            several = step.constant is not None and step.constant.size > 1
            constant = "" if step.constant is None else f"{step.constant[0]:.6g}"
            text = PRIMITIVES[step.name].words(text, next(names) if several else constant)
        return text

    def letters(self, letters: str = "cdefgh") -> tuple[str, ...]:
        """A name for the constants of every step that has one for each prototype."""
        count = sum(step.constant is not None and step.constant.size > 1 for step in self.steps)
        rest = len(letters)
        return tuple(
            f"{letters[k % rest]}{k // rest + 1 if k >= rest else ''}_j" for k in range(count)
        )


def _constant(step: Step, like: Array, prototypes: Chosen) -> Any:
    """The constant of a step for some values: a number, or an array where those are."""
    if step.constant is None:
        return None
    if step.constant.size == 1:
        return float(step.constant[0])
    return _like(step.constant if prototypes is None else step.constant[prototypes], like)


def _like(values: NDArray[np.float64], like: Array) -> Array:
    if isinstance(like, np.ndarray | np.generic):
        return values
    if values.size == 1:
        return float(values.reshape(-1)[0])
    return namespace(like).asarray(values, dtype=like.dtype, device=like.device)


def _order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of float64 numbers in their order."""
    bits = np.ascontiguousarray(values + 0.0).view(np.int64)
    return np.asarray(np.where(bits >= 0, bits, np.int64(-(2**63)) - bits))


def _number(order: NDArray[np.int64]) -> NDArray[np.float64]:
    bits = np.where(order >= 0, order, np.int64(-(2**63)) - order)
    return np.asarray(bits.astype(np.int64).view(np.float64))
