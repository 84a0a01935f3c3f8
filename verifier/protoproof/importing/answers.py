"""What a checkpoint does not say, asked for in one message; ``--set KEY=VALUE`` answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from protoproof.errors import UsageError

T = TypeVar("T")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass
class Answers:
    """Answers that were given, and the questions that are open.

    ``found``: by key, what was settled and where it comes from; ``open``: by key, how to answer.
    """

    given: dict[str, str]
    found: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    def need(
        self,
        key: str,
        how: str,
        known: T | None,
        read: Callable[[str], T],
        source: str = "in the checkpoint",
    ) -> T | None:
        """An answer: the given one, else what the checkpoint says, else a question is open.

        Args:
            key: of ``--set``.
            how: what to answer, for people; with an example.
            known: what the checkpoint says, None where it says nothing.
            read: from text to value; raises ValueError.
            source: where the known value comes from, for people.

        Raises:
            UsageError: the given answer cannot be read.
        """
        self._asked.add(key)
        if key in self.given:
            try:
                value = read(self.given[key])
            except (ValueError, OSError, OverflowError) as error:
                raise UsageError(f"--set {key}={self.given[key]}: {error or how}; {how}") from error
            self.found[key] = f"{self.given[key]} (as set)"
            return value
        if known is None:
            self.open[key] = how
        elif known:
            self.found[key] = f"{shown(known)} ({source})"
        return known

    def settle(self, what: str) -> None:
        """End the questions.

        Raises:
            UsageError: some are open; all of them, each with how to answer. Or an answer was given
                that nobody asked for.
        """
        idle = sorted(set(self.given) - self._asked)
        if self.open:
            asked = "; ".join(f"--set {key}=... ({how})" for key, how in self.open.items())
            # while the family is open, so is what it asks
            stray = idle if "family" not in self.open else []
            also = f"; --set {stray[0]}: nothing of this name is asked here" if stray else ""
            raise UsageError(
                f"{what} does not say everything that the network needs: {asked}{also}"
            )
        if idle:
            known = ", ".join(sorted(self._asked))
            raise UsageError(f"--set {idle[0]}: nothing of this name is asked here; asked: {known}")


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` texts by key. Raises UsageError for others, and for a key given twice."""
    found: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"--set {setting}: give KEY=VALUE, such as activation=log")
        if key in found:
            raise UsageError(f"--set {key} is given twice; give it once")
        found[key] = value
    return found


def one_of(*words: str) -> Callable[[str], str]:
    """A reader of one word of several."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return text

    return read


def positive(text: str) -> float:
    """A finite number above zero."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError("not a positive number")
    return value


def number(text: str) -> int:
    """A whole number above zero."""
    value = int(text)
    if not 0 < value < 1 << 24:
        raise ValueError("not a whole number above zero")
    return value


def size(text: str) -> tuple[int, int]:
    """``224`` or ``rows,columns``."""
    parts = [number(part) for part in text.replace("x", ",").split(",")]
    if len(parts) > 2:
        raise ValueError("not one number, nor rows and columns")
    return parts[0], parts[-1]


Scale = tuple[tuple[float, ...], tuple[float, ...]]


def normalisation(text: str) -> Scale:
    """``imagenet``, ``none``, or ``mean,mean,mean/std,std,std``; () stands for none."""
    if text == "imagenet":
        return IMAGENET
    if text == "none":
        return (), ()
    means, slash, deviations = text.partition("/")
    if not slash:
        raise ValueError("not imagenet, none, or MEANS/DEVIATIONS")
    mean = tuple(float(part) for part in means.split(","))
    std = tuple(positive(part) for part in deviations.split(","))
    if len(mean) != len(std) or not all(map(math.isfinite, mean)):
        raise ValueError("not as many means as deviations, or not finite")
    return mean, std


def shown(value: Any) -> str:
    """A value in a report."""
    if isinstance(value, tuple):
        return ", ".join(shown(part) for part in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
