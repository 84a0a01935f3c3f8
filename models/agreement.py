"""Do torch and ONNX Runtime compute the same network? Export refuses when they do not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from models.protopnet import EPSILON, ProtoPNet
from models.runtime import Runtime, chunk
from protoproof.errors import TrainingError

LATENT_TOLERANCE = 1e-4
"""Latents lie in [0,1]. Reordered float32 sums and folded batch norms differ by about 1e-6; a
wrong padding, stride or batch-norm constant by 1e-2 and more. The threshold lies between."""
LOGIT_FLOOR = 1e-3
"""Rounding of log, exp and the last sum, for logits of magnitude up to about 100."""


@dataclass(frozen=True)
class Agreement:
    """Largest absolute differences over the test set, and how many images were compared."""

    images: int
    latent: float
    logits: float


@torch.no_grad()
def compare(model: ProtoPNet, runtime: Runtime, images: np.ndarray) -> Agreement:
    """Run every image through both.

    Raises TrainingError when a latent differs by more than LATENT_TOLERANCE, a logit by more than
    rounding explains, or a prediction differs whose margin is larger than that.
    """
    latent = logits = 0.0
    count, channels = model.prototypes.shape[:2]
    size = chunk(count, channels, math.prod(model.architecture.grid))
    for start in range(0, len(images), size):
        part = images[start : start + size]
        ours, observed = model.encoder(torch.from_numpy(part)), runtime.observe(part)
        nearest, decided = (tensor.numpy() for tensor in model.decide(ours))
        gap = np.abs(ours.numpy() - observed.latent).max()
        difference = np.abs(decided - observed.logits)
        latent, logits = max(latent, float(gap)), max(logits, float(difference.max()))
        allowed = _allowed(model, nearest, float(gap))
        if not gap <= LATENT_TOLERANCE or not (difference <= allowed).all():
            raise TrainingError(
                f"torch and ONNX Runtime disagree on test images {start}..{start + len(part) - 1} "
                f"(latent by {gap:.3g}, logits by {difference.max():.3g}): nothing was exported; "
                "report this with the data set's shape and the package versions"
            )
        _same_predictions(decided, observed.logits, allowed, start)
    return Agreement(len(images), latent, logits)


def _allowed(model: ProtoPNet, nearest: np.ndarray, gap: float) -> np.ndarray:
    """Per image and class, how far rounding can move a logit.

    A float32 sum of D squared differences errs by less than (D + 3) 2^-24 of itself, however it is
    ordered; it moves by 2 sqrt(q D) gap + D gap^2 when each channel of the latent moves by gap.
    The similarity is steep near q = 0 (slope 1/epsilon = 10^4), so the resulting change is taken
    from the similarity itself, at both ends of the interval.
    """
    channels = model.architecture.channels
    q = nearest.astype(np.float64)
    error = (channels + 3) * 2.0**-24 * q + 2 * np.sqrt(q * channels) * gap + channels * gap**2
    swing = _similarity(np.maximum(q - error, 0.0)) - _similarity(q + error)
    weight = np.abs(model.head.weight.detach().numpy().astype(np.float64))
    return np.asarray(swing @ weight.T + LOGIT_FLOOR)


def _similarity(q: np.ndarray) -> np.ndarray:
    return np.asarray(np.log((q + 1) / (q + EPSILON)))


def _same_predictions(
    ours: np.ndarray, theirs: np.ndarray, allowed: np.ndarray, start: int
) -> None:
    for row in np.flatnonzero(ours.argmax(axis=1) != theirs.argmax(axis=1)):
        first, second = np.sort(ours[row])[::-1][:2]
        if first - second > 2 * allowed[row].max():
            raise TrainingError(
                f"torch and ONNX Runtime predict different classes for test image {start + row}: "
                "nothing was exported; report this with the package versions"
            )
