"""Small data sets and short training runs."""

from __future__ import annotations

import numpy as np

SMALL = {"epochs": 4, "prototypes_per_class": 3, "channels": 8, "quiet": True}
"""Options of a training run of a few seconds."""


def stripes(images: int, channels: int, rows: int, columns: int, classes: int) -> dict:
    """Noise with a bright vertical stripe whose place decides the class; uint8 N x C x H x W."""
    state = np.random.RandomState(7)
    labels = np.arange(images) % classes
    pixels = state.randint(0, 70, (images, channels, rows, columns))
    for image, label in enumerate(labels):
        start = label * columns // classes
        pixels[image, label % channels, :, start : start + columns // classes] += 180
    pixels, half = pixels.astype(np.uint8), images * 3 // 4
    return {
        "x_train": pixels[:half],
        "y_train": labels[:half],
        "x_test": pixels[half:],
        "y_test": labels[half:],
    }
