"""What every data set of the zoo offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from protoproof.data.dataset import fingerprint

Fresh = Callable[[torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Corpus:
    """Samples [n, channel, *place] as float32 within ``value_range``, and what they show.

    ``y`` holds class indices [n] or, where ``multi_label``, zeros and ones [n, label]. ``fresh``
    draws one epoch of newly varied training samples; without it every epoch sees ``x_train``.
    The last ``support`` training samples are examples of classes that no epoch shows.
    ``prepared`` says in one sentence how samples and labels were made from the source.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    source: str
    licence: str
    prepared: str
    value_range: tuple[float, float] = (0.0, 1.0)
    fresh: Fresh | None = None
    drawn_from: str | None = None
    support: int = 0

    @property
    def multi_label(self) -> bool:
        """Does a sample carry a set of labels instead of one class?"""
        return bool(self.y_train.ndim == 2)

    @property
    def sha256(self) -> str:
        """Fingerprint of the four arrays, or ``drawn_from``: that of the file they are drawn from.

        Interpolated pixels differ by a rounding from one kind of processor to the next.
        """
        if self.drawn_from is not None:
            return self.drawn_from
        return fingerprint(self.x_train, self.y_train, self.x_test, self.y_test)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and places of one sample."""
        return self.x_train.shape[1:]

    def epoch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The training samples of one epoch."""
        if self.fresh is not None:
            return self.fresh(generator)
        shown = len(self.x_train) - self.support
        return torch.from_numpy(self.x_train[:shown]), torch.from_numpy(self.y_train[:shown])
