"""The families of the zoo: one row per trained network, from the data to the head.

``mnist-7x7``, ``mnist-1x1`` and ``mnist-certified`` are made by ``protoproof train`` and have rows
in ``build_zoo``; everything else is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from models.fit import Schedule
from models.heads.base import Head
from models.heads.case_based import CaseBasedHead
from models.heads.components import ComponentsHead
from models.heads.cosine import CosineHead
from models.heads.gaussian import GaussianHead
from models.heads.hyperspherical import HypersphericalHead
from models.heads.labels import LabelsHead
from models.heads.nearest_mean import NearestMeanHead
from models.heads.pipnet import PipNetHead
from models.heads.projection import ProjectionHead
from models.heads.protopnet import ProtoPNetHead
from models.heads.protopool import ProtoPoolHead
from models.heads.prototree import ProtoTreeHead
from models.heads.two_banks import TwoBanksHead
from models.trunk import Trunk

Exporter = Literal["default", "legacy"]


@dataclass(frozen=True)
class Family:
    """How one network is made; ``title`` is what the list of the zoo says about its head."""

    title: str
    corpus: str
    encoder: Callable[[], Trunk]
    head: Callable[[], Head]
    schedule: Schedule
    exporter: Exporter = "default"
    seed: int = 0


def digit_grid(channels: int, ending: Literal["sigmoid", "relu", "none"]) -> Trunk:
    """28x28 to 7x7."""
    return Trunk(1, ((24, 5, 2, 2), (48, 3, 2, 1), (48, 3, 1, 1)), channels, ending)


def digit_coarse(channels: int, ending: Literal["sigmoid", "relu", "none"]) -> Trunk:
    """28x28 to 4x4."""
    return Trunk(1, ((24, 5, 2, 2), (48, 3, 2, 1), (64, 3, 2, 1)), channels, ending)


def digit_whole(channels: int, ending: Literal["sigmoid", "relu", "none"]) -> Trunk:
    """28x28 to one location."""
    return Trunk(1, ((24, 5, 2, 2), (48, 3, 2, 1), (96, 7, 1, 0)), channels, ending)


def small_grid(channels: int, ending: Literal["sigmoid", "relu", "none"]) -> Trunk:
    """8x8 to 4x4."""
    return Trunk(1, ((32, 3, 1, 1), (48, 3, 2, 1)), channels, ending)


def small_whole(channels: int, ending: Literal["sigmoid", "relu", "none"]) -> Trunk:
    """8x8 to one location."""
    return Trunk(1, ((32, 3, 1, 1), (48, 3, 2, 1), (64, 4, 1, 0)), channels, ending)


def colour_grid(channels: int, ending: Literal["sigmoid", "relu", "none"]) -> Trunk:
    """48x48 in three colours to 6x6."""
    steps = ((24, 5, 2, 2), (48, 3, 2, 1), (64, 3, 2, 1), (96, 3, 1, 1))
    return Trunk(3, steps, channels, ending)


def watch(channels: int) -> Trunk:
    """Six signals of 160 steps to 20 moments."""
    steps = ((24, 7, 2, 3), (32, 5, 2, 2), (48, 5, 2, 2))
    return Trunk(6, steps, channels, "sigmoid", axes=1)


FAMILIES: dict[str, Family] = {
    "emoji-protopnet": Family(
        "ProtoPNet: log similarity of the smallest squared distance",
        "emoji",
        lambda: colour_grid(32, "sigmoid"),
        lambda: ProtoPNetHead(32, 7, 5),
        Schedule(epochs=50, settle_epochs=60, rate=3e-3),
    ),
    "mnist-cosine": Family(
        "cosine similarity (TesNet as cabrnet writes it)",
        "mnist5k",
        lambda: digit_grid(32, "relu"),
        lambda: CosineHead(32, 10, 5),
        Schedule(epochs=20, settle_epochs=40),
    ),
    "emoji-projection": Family(
        "projection onto unit prototypes (TesNet as published)",
        "emoji",
        lambda: colour_grid(32, "sigmoid"),
        lambda: ProjectionHead(32, 7, 5),
        Schedule(epochs=40, settle_epochs=60),
        exporter="legacy",
    ),
    "mnist-two-banks": Family(
        "trivial and support prototypes, two latents, cosine (ST-ProtoPNet)",
        "mnist5k",
        lambda: digit_grid(48, "relu"),
        lambda: TwoBanksHead(48, 24, 10, 3),
        Schedule(epochs=20, settle_epochs=40),
    ),
    "emoji-pipnet": Family(
        "softmax channels, sparse votes that are never negative (PIP-Net)",
        "emoji",
        lambda: colour_grid(48, "none"),
        lambda: PipNetHead(48, 7),
        Schedule(epochs=40, settle_epochs=60),
    ),
    "emoji-protopool": Family(
        "prototypes shared through slots, nearest minus mean similarity (ProtoPool)",
        "emoji",
        lambda: colour_grid(32, "sigmoid"),
        lambda: ProtoPoolHead(32, 7, 4, 24),
        Schedule(epochs=50, settle_epochs=60, rate=3e-3),
    ),
    "mnist-tree": Family(
        "soft decision tree of depth 5 (ProtoTree)",
        "mnist5k",
        lambda: digit_grid(16, "sigmoid"),
        lambda: ProtoTreeHead(16, 10, 5),
        Schedule(epochs=30, settle_epochs=60, rate=5e-3),
    ),
    "mnist-gaussian": Family(
        "Gaussian prototypes, one variance each",
        "mnist5k",
        lambda: digit_coarse(24, "sigmoid"),
        lambda: GaussianHead(24, 10, 4, diagonal=False),
        Schedule(epochs=20, settle_epochs=40),
        exporter="legacy",
    ),
    "digits-diagonal": Family(
        "Gaussian prototypes, a variance per channel",
        "digits8",
        lambda: small_grid(16, "sigmoid"),
        lambda: GaussianHead(16, 10, 3, diagonal=True),
        Schedule(epochs=25, settle_epochs=40),
    ),
    "digits-hyperspherical": Family(
        "fixed class directions on the sphere (hyperspherical prototypes)",
        "digits8",
        lambda: small_whole(10, "none"),
        lambda: HypersphericalHead(10, 10),
        Schedule(epochs=25),
    ),
    "mnist-shots": Family(
        "nearest mean of a few samples (prototypical network)",
        "mnist5k-shots",
        lambda: digit_whole(32, "none"),
        lambda: NearestMeanHead(32, 5),
        Schedule(epochs=15, batch=100),
    ),
    "mnist-cases": Family(
        "raw squared distances to prototypes that a decoder draws (Li et al.)",
        "mnist5k",
        lambda: digit_whole(40, "sigmoid"),
        lambda: CaseBasedHead(40, 10, 15),
        Schedule(epochs=20),
        exporter="legacy",
    ),
    "mnist-components": Family(
        "positive and negative reasoning over detected components (CBC, RBF)",
        "mnist5k",
        lambda: digit_coarse(16, "sigmoid"),
        lambda: ComponentsHead(16, 10, 24, 0.5),
        Schedule(epochs=20, settle_epochs=40),
    ),
    "motion-labels": Family(
        "several labels on a signal, log similarity of the nearest moment",
        "motions",
        lambda: watch(24),
        lambda: LabelsHead(24, 4, 5),
        Schedule(epochs=40, settle_epochs=60),
    ),
}
