"""ONNX Runtime as training and export see it: one thread, the graph's named outputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnxruntime

from models.onnx_graph import OUTPUTS

BATCH = 64


class Observed(NamedTuple):
    """Outputs for a batch of images, float32, first axis the image."""

    logits: np.ndarray
    activation: np.ndarray
    measurement: np.ndarray
    latent: np.ndarray


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
        parts = [
            self._session.run(["logits"], {"input": images[start : start + BATCH]})[0]
            for start in range(0, len(images), BATCH)
        ]
        return np.asarray(np.concatenate(parts).argmax(axis=1))
