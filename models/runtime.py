"""ONNX Runtime as training and export see it: one thread, the graph's named outputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import onnxruntime

from models.onnx_graph import OUTPUTS

BATCH = 64
CELLS = 1 << 25
"""Largest number of squared differences (image x prototype x channel x location) held at once."""


class Observed(NamedTuple):
    """Outputs for a batch of images, float32, first axis the image."""

    logits: np.ndarray
    activation: np.ndarray
    measurement: np.ndarray
    latent: np.ndarray


def chunk(prototypes: int, channels: int, locations: int) -> int:
    """How many images to run at once: at most ``BATCH``, fewer for a large head."""
    return max(1, min(BATCH, CELLS // (prototypes * channels * locations)))


class Runtime:
    """An exported network in ONNX Runtime."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def observe(self, images: np.ndarray) -> Observed:
        """Run all images [N, C, H, W] as one batch."""
        return Observed(*self._session.run(list(OUTPUTS), {"input": images}))

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predicted labels of all images, in batches."""
        shapes = {output.name: output.shape[1:] for output in self._session.get_outputs()}
        channels, *grid = shapes["latent"]
        size = chunk(shapes["activation"][0], channels, math.prod(grid))
        parts = [
            self._session.run(["logits"], {"input": images[start : start + size]})[0]
            for start in range(0, len(images), size)
        ]
        return np.asarray(np.concatenate(parts).argmax(axis=1))
