"""Residual networks (He et al., CVPR 2016; the stride of a bottleneck in its 3x3 convolution).

Tensors are named as torchvision names them. Depth, widths and groups follow from their shapes.
"""

from __future__ import annotations

from protoproof.errors import InputError
from protoproof.importing.answers import Answers
from protoproof.importing.encoders.encoder import Build, Encoder, Wish, counted
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

# convolutions in a block, blocks in the four stages
KNOWN: dict[tuple[int, tuple[int, ...]], str] = {
    (2, (2, 2, 2, 2)): "resnet18",
    (2, (3, 4, 6, 3)): "resnet34",
    (3, (3, 4, 6, 3)): "resnet50",
    (3, (3, 4, 23, 3)): "resnet101",
    (3, (3, 8, 36, 3)): "resnet152",
}


def here(checkpoint: Checkpoint, prefix: str) -> bool:
    return all(checkpoint.has(f"{prefix}{n}.weight") for n in ("conv1", "bn1", "layer1.0.conv2"))


def _blocks(checkpoint: Checkpoint, prefix: str) -> tuple[int, ...]:
    stages = (counted(checkpoint, f"{prefix}layer{s}.{{}}.conv1.weight") for s in range(1, 5))
    return tuple(stages)


def name(checkpoint: Checkpoint, prefix: str) -> str:
    inner = 3 if checkpoint.has(f"{prefix}layer1.0.conv3.weight") else 2
    blocks = _blocks(checkpoint, prefix)
    return KNOWN.get((inner, blocks), f"resnet of {', '.join(map(str, blocks))} blocks")


def plan(checkpoint: Checkpoint, prefix: str, wish: Wish, answers: Answers) -> Build:
    stages = _blocks(checkpoint, prefix)
    end = 4
    if wish.last is not None:
        if wish.last not in ("layer1", "layer2", "layer3", "layer4"):
            raise InputError(f"{checkpoint.path}: layer '{wish.last}' of a resnet is not imported")
        end = int(wish.last[-1])

    def build(writer: Writer, x: Value) -> Value:
        x = _normed(writer, x, f"{prefix}conv1", f"{prefix}bn1", 2, 3)
        x = writer.max_pool(writer.apply("Relu", x), 3, 2, 1)
        for stage, (blocks, stride) in enumerate(zip(stages, wish.strides, strict=True), 1):
            for block in range(blocks if stage <= end else 0):
                path = f"{prefix}layer{stage}.{block}."
                x = _block(writer, x, path, stride if block == 0 else 1)
        return x

    return build


def _block(writer: Writer, x: Value, path: str, stride: int) -> Value:
    bottleneck = writer.checkpoint.has(f"{path}conv3.weight")
    steps = ((1, 0), (stride, 1), (1, 0)) if bottleneck else ((stride, 1), (1, 1))
    inner = x
    for number, (step, padding) in enumerate(steps, 1):
        inner = _normed(writer, inner, f"{path}conv{number}", f"{path}bn{number}", step, padding)
        if number < len(steps):
            inner = writer.apply("Relu", inner)
    if writer.checkpoint.has(f"{path}downsample.0.weight"):
        x = _normed(writer, x, f"{path}downsample.0", f"{path}downsample.1", stride, 0)
    if x.shape != inner.shape:
        raise InputError(f"{writer.checkpoint.path}: '{path}' does not add up: its strides differ")
    return writer.apply("Relu", writer.join("Add", inner, x))


def _normed(writer: Writer, x: Value, conv: str, norm: str, stride: int, padding: int) -> Value:
    return writer.norm(writer.conv(x, conv, stride, padding), norm)


ENCODER = Encoder(here, name, plan)
