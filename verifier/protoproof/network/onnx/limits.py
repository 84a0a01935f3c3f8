"""How large a model may be. Everything is checked before anything of that size is allocated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper limits, all inclusive.

    ``file_bytes``: the file and its data files together, and all tensors in data files (which may
    overlap). ``nodes``: operators in the graph. ``elements``: numbers in one tensor.
    ``activations``: numbers in all computed tensors of one image together. ``work``: multiply-adds
    for one image (the default is about ten times a ResNet-152 at 224x224). ``constant_work``: the
    part of it that depends on no input (done while loading). ``fields``: protobuf fields in the
    file (the checker reads no more either).
    """

    file_bytes: int = (2 << 30) - 1
    nodes: int = 10_000
    elements: int = 1 << 27
    activations: int = 1 << 28
    work: int = 1 << 37
    constant_work: int = 1 << 28
    fields: int = 1 << 18


DEFAULT_LIMITS = Limits()
