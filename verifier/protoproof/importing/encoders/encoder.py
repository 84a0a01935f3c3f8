"""What an encoder of a checkpoint is: found by its tensors' names, built from their shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protoproof.importing.answers import Answers
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

Build = Callable[[Writer, Value], Value]


@dataclass(frozen=True)
class Wish:
    """How a layout uses its encoder, beyond what the tensors tell.

    Attributes:
        strides: of the stages of a residual network; those of the original where none are given.
        divided: strided convolutions of more input channels than this lose their stride.
        asks_strides: is it to be asked which strides a convnext was trained with?
        last: the layer that is read, None for the last one.
        final_relu: does a densely connected network end in its rectifier?
    """

    strides: tuple[int, ...] = (1, 2, 2, 2)
    divided: int | None = None
    asks_strides: bool = False
    last: str | None = None
    final_relu: bool = True


@dataclass(frozen=True)
class Encoder:
    """One kind. ``here``: are a checkpoint's tensors below this prefix of the kind?

    ``name``: what the tensors make it, such as "resnet50". ``plan``: asks, and says how to build.
    """

    here: Callable[[Checkpoint, str], bool]
    name: Callable[[Checkpoint, str], str]
    plan: Callable[[Checkpoint, str, Wish, Answers], Build]


def counted(checkpoint: Checkpoint, pattern: str) -> int:
    """How many of ``pattern.format(0)``, ``pattern.format(1)`` ... are there, without a gap."""
    count = 0
    while checkpoint.has(pattern.format(count)):
        count += 1
    return count
