"""What ONNX Runtime makes of a model, and statements about tensors that it does not need."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper


def image(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random(shape or (1, 1, 2, 2)).astype(np.float32)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    data = model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def annotate(model: onnx.ModelProto, where: str, name: str, shape: list[int | str]) -> None:
    value = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    getattr(model.graph, where).append(value)
