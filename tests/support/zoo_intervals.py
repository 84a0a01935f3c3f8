"""Interval bounds read straight from an ONNX file, in NumPy: a second opinion on the training's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

Bounds = tuple[np.ndarray, np.ndarray]


def _convolve(x: np.ndarray, weight: np.ndarray, stride: list[int], pads: list[int]) -> np.ndarray:
    """Plain convolution of [N, C, H, W] by gathering windows."""
    top, left, bottom, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    return np.einsum("nchwij,dcij->ndhw", windows, weight, optimize=True)


def latent_bounds(model: onnx.ModelProto, lower: np.ndarray, upper: np.ndarray) -> Bounds:
    """Bounds of the tensor ``latent``; the graph must be normalisation, Conv, Relu, Sigmoid."""
    weights = {
        tensor.name: numpy_helper.to_array(tensor).astype(np.float64)
        for tensor in model.graph.initializer
    }
    for node in model.graph.node:
        constants = [weights[name] for name in node.input if name in weights]
        attributes = {entry.name: list(entry.ints) for entry in node.attribute}
        if node.op_type == "Sub":
            lower, upper = lower - constants[0], upper - constants[0]
        elif node.op_type == "Div":
            lower, upper = lower / constants[0], upper / constants[0]
        elif node.op_type == "Conv":
            weight, bias = constants[0], constants[1][:, None, None]
            stride, pads = attributes["strides"], attributes["pads"]
            up, down = np.maximum(weight, 0), np.minimum(weight, 0)
            high = _convolve(upper, up, stride, pads) + _convolve(lower, down, stride, pads)
            low = _convolve(lower, up, stride, pads) + _convolve(upper, down, stride, pads)
            lower, upper = low + bias, high + bias
        elif node.op_type == "Relu":
            lower, upper = np.maximum(lower, 0), np.maximum(upper, 0)
        elif node.op_type == "Sigmoid":
            lower, upper = 1 / (1 + np.exp(-lower)), 1 / (1 + np.exp(-upper))
        else:
            raise ValueError(f"no interval rule for {node.op_type}")
        if node.output[0] == "latent":
            return lower, upper
    raise ValueError("the graph has no tensor named latent")


def certified_images(
    path: Path, images: np.ndarray, labels: np.ndarray, radius: float
) -> np.ndarray:
    """Which images keep their label over the L-infinity ball; the grid must be 1 x 1."""
    model = onnx.load(path)
    weights = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    x = images.astype(np.float64)
    low, high = latent_bounds(model, np.clip(x - radius, 0, 1), np.clip(x + radius, 0, 1))
    points = weights["prototypes"][:, :, 0, 0]
    below = low[:, None, :, 0, 0] - points
    above = high[:, None, :, 0, 0] - points
    q_low = (np.maximum(below, 0) ** 2 + np.maximum(-above, 0) ** 2).sum(axis=2)
    q_high = np.maximum(below**2, above**2).sum(axis=2)
    epsilon = weights["epsilon"]
    a_low, a_high = (np.log((q + 1) / (q + epsilon)) for q in (q_high, q_low))
    head = weights["head.weight"]
    rows = head[labels][:, None] - head[None]
    margins = np.einsum("nkp,np->nk", np.maximum(rows, 0), a_low)
    margins += np.einsum("nkp,np->nk", np.minimum(rows, 0), a_high)
    margins[np.arange(len(labels)), labels] = np.inf
    return np.asarray((margins > 0).all(axis=1))
