"""Chains of several prototypes at once: simplified, and brought to the same functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head import constants
from protoproof.network.head.chain import Chain, Step
from protoproof.network.head.refusal import NotRecognisedError

Real = NDArray[np.float64]
# a function with a constant for each prototype
Named = tuple[str, Real | None]


def steps_of(steps: Sequence[Named]) -> tuple[Step, ...]:
    made = []
    for name, constant in steps:
        if name == "mul_root" and constant is not None:
            name, constant = "mul", np.sqrt(constant)
        try:
            made.append(Step(name, constant))
        except InternalError as error:
            raise NotRecognisedError(
                f"a similarity whose constants ('{name}') are zero, infinite or NaN: a prototype "
                "of norm zero, or a division by zero"
            ) from error
    return tuple(made)


def direction(steps: Sequence[Named], low: Real, high: Real) -> NDArray[np.int8]:
    chain = Chain(steps_of(steps)).over(low, high)
    if chain.broken is not None:
        raise NotRecognisedError(f"'{chain.broken}' neither rises nor falls over its arguments")
    return chain.direction


def simplified(steps: Sequence[Named], low: Real, high: Real) -> list[Named]:
    """Affine neighbours joined where that is exact; |x|, max, min dropped that do nothing."""
    kept: list[Named] = []
    for name, constant in steps:
        if name in ("abs", "max", "min"):
            chain = Chain(steps_of(kept)).over(low, high)
            if chain.broken is None:
                limit = np.zeros(1) if constant is None else constant
                below = name == "min" and (chain.supremum <= limit).all()
                if below or (name != "min" and (chain.infimum >= limit).all()):
                    continue
        kept = _appended(kept, name, constant)
    return kept


def merged(steps: Sequence[Named]) -> list[Named]:
    kept: list[Named] = []
    for name, constant in steps:
        kept = _appended(kept, name, constant)
    return kept


def _appended(steps: list[Named], name: str, constant: Real | None) -> list[Named]:
    """Steps with one more; nothing that does nothing, and exact joins of neighbours."""
    if constant is None:
        return [*steps, (name, None)]
    if (name == "mul" and (constant == 1).all()) or (name == "add" and not constant.any()):
        return steps
    if steps and steps[-1][0] == name and steps[-1][1] is not None:
        last = steps[-1][1]
        if name == "add":
            total, error = constants.two_sum(last, constant)
            if not error.any():
                return _appended(steps[:-1], "add", total)
        elif name == "mul":
            product, error = constants.two_product(last, constant)
            if not error.any():
                return _appended(steps[:-1], "mul", product)
    return [*steps, (name, constant)]


@dataclass(frozen=True, eq=False)
class Part:
    """Steps of some features, and the ends of what they are applied to."""

    members: list[int]
    steps: list[Named]
    low: Real
    high: Real


def aligned(count: int, parts: Sequence[Part]) -> list[Named]:
    """The steps of all features; where some lack a step, one that does nothing to them.

    Raises:
        NotRecognisedError: no constant makes the missing step do nothing.
    """
    if not parts:
        return []
    longest = max((part.steps for part in parts), key=len)
    result: list[Named] = []
    places = [0] * len(parts)
    for name, constant in longest:
        values = None if constant is None else np.zeros(count)
        for number, part in enumerate(parts):
            place = places[number]
            if place < len(part.steps) and part.steps[place][0] == name:
                places[number] += 1
                if values is not None:
                    values[part.members] = part.steps[place][1]
            elif values is not None:
                values[part.members] = _idle(part, place, name)
            else:
                raise NotRecognisedError("prototypes with different similarities")
        result.append((name, values))
    if any(place != len(part.steps) for place, part in zip(places, parts, strict=True)):
        raise NotRecognisedError("prototypes with different similarities")
    return result


def _idle(part: Part, place: int, name: str) -> Real | float:
    """The constant with which a step changes nothing after the first ``place`` steps."""
    if name in ("add", "mul"):
        return 1.0 if name == "mul" else 0.0
    chain = Chain(steps_of(part.steps[:place])).over(part.low, part.high)
    if name in ("max", "min") and chain.broken is None:
        end = chain.infimum if name == "max" else chain.supremum
        if np.isfinite(end).all():
            return end
    raise NotRecognisedError("prototypes with different similarities")
