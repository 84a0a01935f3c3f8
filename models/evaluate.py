"""How good a network is: plain accuracy, and the shares certified by interval bounds."""

from __future__ import annotations

import numpy as np
import torch

from models.held_facts import held
from models.intervals import certified
from models.projection import batches
from models.protopnet import ProtoPNet


@torch.no_grad()
def accuracy(model: ProtoPNet, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is the label's (evaluation mode)."""
    parts = [model(part).logits.argmax(dim=1) for part in batches(torch.from_numpy(images))]
    return round(float((torch.cat(parts).numpy() == labels).mean()), 4)


def certified_accuracy(
    model: ProtoPNet, images: np.ndarray, labels: np.ndarray, radius: float
) -> float:
    """Share of images that keep their label over the L-infinity ball, by intervals alone."""
    proved = certified(model, torch.from_numpy(images), torch.from_numpy(labels), radius)
    return round(float(proved.float().mean()), 4)


def explained_accuracy(
    model: ProtoPNet, images: np.ndarray, labels: np.ndarray, radius: float
) -> float:
    """Share of images with one fact that holds over the ball and forces the label, likewise."""
    proved = held(model, torch.from_numpy(images), torch.from_numpy(labels), radius)
    return round(float(proved.float().mean()), 4)
