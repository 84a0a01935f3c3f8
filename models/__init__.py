"""The networks that get verified: data, families, training, ONNX export and a small zoo."""

from protoproof import QUIET as QUIET  # before any module here imports ONNX Runtime
