"""A ramp in front of an encoder that absorbs what moves a pixel, chosen from the training images.

relu(1 - relu(high - x) / (high - low)) is x cut to [low, high] and stretched to [0, 1]: two layers
of 1x1 whose intervals are exact, for each is monotone. A pixel that stays above ``high`` or below
``low`` wherever the ball moves it yields an interval of no width. Images whose pixels are mostly
dark or bright so lose little to a ball; the encoder learns from what is left.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.protopnet import Block, Encoder

STEP = 0.05
STEEPEST = 0.1
"""Least ``high - low``: a step function would make every grey pixel a coin."""
TOLERANCE = 0.1
_BINS = 256


def chosen_ramp(images: np.ndarray, radius: float) -> tuple[float, float]:
    """``low`` and ``high`` for images in [0,1] and balls of this radius.

    The mean width of a pixel's interval after the ramp, divided by the standard deviation of the
    pixels after it, says how much of the picture a ball hides. Among ramps on a coarse grid that
    hide at most a tenth more than the best, the least steep one keeps most shades of grey.
    """
    share = np.bincount((images.ravel() * (_BINS - 1)).round().astype(int), minlength=_BINS)
    share = share / share.sum()
    pixel = np.linspace(0, 1, _BINS)
    ends = np.clip(pixel - radius, 0, 1), np.clip(pixel + radius, 0, 1)
    steps = [round(STEP * number, 2) for number in range(round(1 / STEP) + 1)]
    found: list[tuple[float, float, float]] = []
    for low in steps:
        for high in (step for step in steps if step - low >= STEEPEST - 1e-9):
            below, above, here = (_ramp(part, low, high) for part in (*ends, pixel))
            spread = float(np.sqrt(max(0.0, share @ here**2 - (share @ here) ** 2)))
            if spread > 0:
                found.append((float(share @ (above - below)) / spread, low, high))
    if not found:
        return 0.0, 1.0  # images of one shade: there is nothing to lose
    most = min(found)[0] * (1 + TOLERANCE)
    _, low, high = max((e for e in found if e[0] <= most), key=lambda e: (e[2] - e[1], -e[0]))
    return low, high


@torch.no_grad()
def absorb(encoder: Encoder, low: float, high: float) -> None:
    """Make the first two layers of the encoder (1x1, one channel per colour) the ramp, for good."""
    slope = torch.full_like(encoder.std, -1 / (high - low))
    _fix(encoder.blocks[0], -encoder.std, high - encoder.mean)
    _fix(encoder.blocks[1], slope, torch.ones_like(slope))


def _fix(block: torch.nn.Module, scale: Tensor, shift: Tensor) -> None:
    if not isinstance(block, Block) or block.convolution.bias is None:
        raise TypeError(f"{type(block).__name__} cannot be part of a ramp")
    block.convolution.weight.copy_(torch.diag(scale.flatten())[:, :, None, None])
    block.convolution.bias.copy_(shift.flatten())
    block.requires_grad_(False)


def _ramp(pixel: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((pixel - low) / (high - low), 0, 1)
