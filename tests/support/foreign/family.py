"""One entry of the list: a kind of head, how it is built, and what it must be recognised as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from tests.support.foreign.encoders import Network


@dataclass(frozen=True)
class Form:
    """The normal form to be found. ``cuts``: the shapes of the latent tensors, batch included."""

    geometry: str
    pooling: tuple[str, ...]  # sorted, distinct
    decision: str
    cuts: tuple[tuple[int, ...], ...]
    locations: int
    channels: int
    features: int
    classes: int


@dataclass(frozen=True)
class Refused:
    """Knowingly not covered, and why in our words."""

    why: str


@dataclass(frozen=True)
class Family:
    """A kind of head of the field.

    ``source``: whose it is, and its formula in words. ``encoder`` and ``head`` are called after
    seeding. ``unexported``: exporters that cannot write it, and why. ``output``: the position of
    the output that is the prediction. ``uncertified``: exporters whose file is refused in one line,
    and why: over the reals the checker cannot read what is stored there.
    """

    name: str
    source: str
    encoder: Callable[[], nn.Module]
    head: Callable[[], nn.Module]
    shape: tuple[int, ...]
    expected: Form | Refused
    unexported: Mapping[str, str] = field(default_factory=dict)
    uncertified: Mapping[str, str] = field(default_factory=dict)
    output: int = 0
    seed: int = 0

    def build(self, seed: int | None = None) -> nn.Module:
        """The network with random weights, ready to be exported; the same for the same seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed if seed is None else seed)
            encoder = self.encoder()
            head = self.head()
        return Network(encoder, head).eval()
