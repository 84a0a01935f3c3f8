"""Densely connected networks (Huang et al., CVPR 2017): every layer reads all before it."""

from __future__ import annotations

from protoproof.errors import InputError
from protoproof.importing.answers import Answers
from protoproof.importing.encoders.encoder import Build, Encoder, Wish
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

# first channels, layers in the four blocks
KNOWN: dict[tuple[int, tuple[int, ...]], str] = {
    (64, (6, 12, 24, 16)): "densenet121",
    (96, (6, 12, 36, 24)): "densenet161",
    (64, (6, 12, 32, 32)): "densenet169",
    (64, (6, 12, 48, 32)): "densenet201",
}


def here(checkpoint: Checkpoint, prefix: str) -> bool:
    return checkpoint.has(f"{prefix}features.conv0.weight")


def _blocks(checkpoint: Checkpoint, prefix: str) -> tuple[int, ...]:
    blocks: list[int] = []
    while True:
        start = f"{prefix}features.denseblock{len(blocks) + 1}.denselayer"
        count = 0
        while checkpoint.has(f"{start}{count + 1}.conv1.weight"):
            count += 1
        if not count:
            return tuple(blocks)
        blocks.append(count)


def name(checkpoint: Checkpoint, prefix: str) -> str:
    blocks = _blocks(checkpoint, prefix)
    first = checkpoint.shape(f"{prefix}features.conv0.weight")[0]
    return KNOWN.get((first, blocks), f"densenet of {', '.join(map(str, blocks))} layers")


def plan(checkpoint: Checkpoint, prefix: str, wish: Wish, answers: Answers) -> Build:
    if wish.last not in (None, "features"):
        raise InputError(f"{checkpoint.path}: layer '{wish.last}' of a densenet is not imported")
    blocks = _blocks(checkpoint, prefix)
    stem = f"{prefix}features."

    def build(writer: Writer, x: Value) -> Value:
        x = writer.norm(writer.conv(x, f"{stem}conv0", 2, 3), f"{stem}norm0")
        x = writer.max_pool(writer.apply("Relu", x), 3, 2, 1)
        for block, layers in enumerate(blocks, 1):
            for layer in range(1, layers + 1):
                x = _joined(writer, x, f"{stem}denseblock{block}.denselayer{layer}.")
            if block < len(blocks):
                x = _read(writer, x, f"{stem}transition{block}.", "norm", "conv", 0)
                x = writer.average_pool(x, 2, 2)
        x = writer.norm(x, f"{stem}norm5")
        return writer.apply("Relu", x) if wish.final_relu else x

    return build


def _joined(writer: Writer, x: Value, path: str) -> Value:
    inner = _read(writer, x, path, "norm1", "conv1", 0)
    inner = _read(writer, inner, path, "norm2", "conv2", 1)
    shape = (x.shape[0] + inner.shape[0], *x.shape[1:])
    return writer.add("Concat", [x.name, inner.name], shape, axis=1)


def _read(writer: Writer, x: Value, path: str, norm: str, conv: str, padding: int) -> Value:
    x = writer.apply("Relu", writer.norm(x, f"{path}{norm}"))
    return writer.conv(x, f"{path}{conv}", 1, padding)


ENCODER = Encoder(here, name, plan)
