"""Checkpoints of public projects become one ONNX file each; no code of theirs is ever run.

``pickled/`` reads what a learning library saved, as data; ``encoders/`` and ``layouts/`` say what
the tensors in it mean, one file per kind; ``run`` asks for what a checkpoint does not hold, writes
the file and compares it. The layouts may name families: they are the only rooms of the package that
do. What is imported means nothing to a proof: the ONNX file is read again, as any other.
"""
