"""How large a model may be. Everything is checked before anything of that size is allocated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper limits, all inclusive.

    ``file_bytes``: the file. ``nodes``: operators in the graph. ``elements``: numbers in one
    tensor. ``activations``: numbers in all computed tensors of one image together. ``work``:
    multiply-adds for one image (the default is about ten times a ResNet-152 at 224x224).
    ``constant_work``: the part of it that depends on no input (done while loading). ``fields``:
    protobuf fields in the file.
    """

    file_bytes: int = 512 << 20
    nodes: int = 10_000
    elements: int = 1 << 27
    activations: int = 1 << 28
    work: int = 1 << 37
    constant_work: int = 1 << 28
    fields: int = 1_000_000


DEFAULT_LIMITS = Limits()
