"""How large a region can get: bisection between a radius that holds and one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

from protoproof.errors import UsageError
from protoproof.region.sets.region import Image, L2Ball, LinfBall, Region
from protoproof.region.sets.transformations import Brightness

_GRID = 1 << 16  # radii that a bisection tries are multiples of 1 / _GRID


def bisect(
    most: Fraction, holds: Callable[[Fraction], bool], steps: int, deadline: float
) -> tuple[Fraction | None, Fraction | None]:
    """(a radius where ``holds``, one where not), close together; None where there is none."""
    if holds(most):
        return most, None
    if not holds(Fraction(0)):
        return None, Fraction(0)
    low, high = Fraction(0), most
    for _ in range(steps):
        middle = Fraction(round((low + high) / 2 * _GRID), _GRID)
        if not low < middle < high or time.perf_counter() > deadline:
            break
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, high


def ball(kind: str, x: Image, domain: tuple[float, float], radius: Fraction) -> Region:
    """The region of a kind (``linf``, ``l2``, ``brightness``) with a radius, around an input.

    Raises:
        UsageError: another kind.
    """
    kinds: dict[str, Callable[[], Region]] = {
        "linf": lambda: LinfBall(x, domain, radius),
        "l2": lambda: L2Ball(x, domain, radius),
        "brightness": lambda: Brightness(x, domain, radius),
    }
    if kind not in kinds:
        raise UsageError(f"region {kind}: it has no radius; use " + ", ".join(kinds))
    return kinds[kind]()
