"""ONNX Runtime on foreign networks, and whether a recognised head computes the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, helper

Floats = NDArray[np.float64]

# Float32 results against float64: expanded distances lose about 1e-6, and a logarithm near its
# pole or an angle between short latents makes that a hundred times larger.
SINGLE = 1e-3
# Float64 against float64, by other formulas for the same numbers.
DOUBLE = 1e-8

# What graphs do to scores last. It changes no decision, so recognition strips it.
UNDONE: tuple[Callable[[Floats], Floats], ...] = (lambda y: y, np.log, np.exp)


def inputs(shape: Sequence[int], count: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Inputs in [0, 1] with as much contrast as that allows, one after the other."""
    rng = np.random.default_rng(seed)
    return [rng.beta(0.4, 0.4, shape).astype(np.float32) for _ in range(count)]


def run(
    model: ModelProto, names: Sequence[str], images: Sequence[NDArray[np.float32]]
) -> list[list[NDArray[np.float32]]]:
    """The named tensors, whether outputs or not, for every image.

    ``model`` holds its data (see ``onnx.load``). Raises what the runtime raises.
    """
    more = ModelProto()
    more.CopyFrom(model)
    known = {output.name for output in more.graph.output}
    more.graph.output.extend(
        helper.make_empty_tensor_value_info(name)
        for name in dict.fromkeys(names)
        if name not in known
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        more.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = session.get_inputs()[0].name
    return [session.run(list(names), {feed: image}) for image in images]


def load_model(path: object) -> ModelProto:
    """The model with the data beside it, as one message."""
    return onnx.load(str(path))


def same_scores(ours: Floats, theirs: Floats, labels: bool, tolerance: float = DOUBLE) -> bool:
    """Whether scores [image, class] decide as a graph's outputs do, number by number.

    Labels: equal logits. Else: equal up to a positive factor and a common constant, which may
    differ from image to image, after what a graph may do to scores last has been undone.
    """
    ours = np.asarray(ours, dtype=np.float64)
    theirs = np.asarray(theirs, dtype=np.float64)
    if ours.shape != theirs.shape:
        return False
    with np.errstate(all="ignore"):
        if labels:
            return _near(ours, theirs, tolerance) or _near(
                1 / (1 + np.exp(-ours)), theirs, tolerance
            )
        return any(_same_order(ours, undo(theirs), tolerance) for undo in UNDONE)


def _near(left: Floats, right: Floats, tolerance: float) -> bool:
    return bool((np.abs(left - right) <= tolerance * np.maximum(1.0, np.abs(right))).all())


def _same_order(ours: Floats, theirs: Floats, tolerance: float) -> bool:
    if not np.isfinite(theirs).all():
        return False
    # where all scores are nearly equal, only rounding has a direction
    spread = np.ptp(ours, axis=1)
    clear = spread >= np.maximum(1e-10, tolerance**0.5 * np.abs(ours).max(axis=1))
    return bool(
        (np.abs(_direction(ours) - _direction(theirs)) <= tolerance).all(axis=1)[clear].all()
    )


def _direction(scores: Floats) -> Floats:
    """Scores less their mean, with length 1."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-30))
