"""Samples that a zoo network has never seen: ``heldout("emoji-pipnet", 100)``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.corpora import corpus
from models.families import FAMILIES
from protoproof.errors import UsageError
from protoproof.resources import ZOO

SEED = 0


class HeldOut(NamedTuple):
    """Samples [n, channel, *place], classes [n] or labels [n, label], class names."""

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]


def heldout(name: str, count: int | None = None) -> HeldOut:
    """Held-out samples of a zoo network; ``count`` of them, drawn evenly with a fixed seed.

    The networks made by ``protoproof train`` have seen no image of ``mnist5k`` at all; its test
    part stands for it. Raises UsageError for an unknown name or when there are fewer samples.
    """
    if name not in ZOO:
        raise UsageError(f"zoo network '{name}' does not exist: choose {', '.join(names())}")
    data = corpus(FAMILIES[name].corpus if name in FAMILIES else "mnist5k")
    if count is None:
        return HeldOut(data.x_test, data.y_test, data.classes)
    if not 1 <= count <= len(data.x_test):
        raise UsageError(
            f"{name} has {len(data.x_test)} held-out samples: choose at most that many"
        )
    chosen = np.sort(np.random.RandomState(SEED).permutation(len(data.x_test))[:count])
    return HeldOut(data.x_test[chosen], data.y_test[chosen], data.classes)


def names() -> tuple[str, ...]:
    """All networks of the zoo."""
    return (*(name for name in ZOO if name not in FAMILIES), *FAMILIES)
