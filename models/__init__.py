"""The networks that get verified: data, families, training, ONNX export and a small zoo."""
