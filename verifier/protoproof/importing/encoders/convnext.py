"""Modernised convolutional networks (Liu et al., "A ConvNet for the 2020s", CVPR 2022).

Tensors are named as torchvision names them. Prototype networks of parts take strides out, so that
the grid stays fine; a state dictionary does not tell which, so it is asked for.
"""

from __future__ import annotations

from protoproof.errors import InputError
from protoproof.importing.answers import Answers, one_of
from protoproof.importing.encoders.encoder import Build, Encoder, Wish, counted
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

EPSILON = 1e-6
KNOWN: dict[tuple[int, ...], str] = {(3, 3, 9, 3): "convnext_tiny", (3, 3, 27, 3): "convnext_small"}
# strides between the stages, by the names of those who took some out
STRIDES = {
    "convnext_tiny": (2, 2, 2),
    "convnext_tiny_13": (2, 2, 1),
    "convnext_tiny_26": (2, 1, 1),
}


def here(checkpoint: Checkpoint, prefix: str) -> bool:
    return checkpoint.has(f"{prefix}features.1.0.layer_scale")


def _stages(checkpoint: Checkpoint, prefix: str) -> tuple[int, ...]:
    stages: list[int] = []
    while count := counted(checkpoint, f"{prefix}features.{2 * len(stages) + 1}.{{}}.layer_scale"):
        stages.append(count)
    return tuple(stages)


def name(checkpoint: Checkpoint, prefix: str) -> str:
    stages = _stages(checkpoint, prefix)
    return KNOWN.get(stages, f"convnext of {', '.join(map(str, stages))} blocks")


def plan(checkpoint: Checkpoint, prefix: str, wish: Wish, answers: Answers) -> Build:
    if wish.last not in (None, "features"):
        raise InputError(f"{checkpoint.path}: layer '{wish.last}' of a convnext is not imported")
    strides = STRIDES["convnext_tiny"]
    if wish.asks_strides and not checkpoint.whole:
        chosen = answers.need(
            "backbone",
            "convnext_tiny_26, convnext_tiny_13 or convnext_tiny: the name it was trained under; "
            "they differ in strides only",
            None,
            one_of(*STRIDES),
        )
        strides = STRIDES.get(chosen or "", strides)
    stages = _stages(checkpoint, prefix)
    if len(stages) != len(strides) + 1:
        raise InputError(f"{checkpoint.path}: a convnext of {len(stages)} stages is not imported")

    def build(writer: Writer, x: Value) -> Value:
        x = writer.conv(x, f"{prefix}features.0.0", 4, 0)
        x = _normed(writer, x, f"{prefix}features.0.1")
        for stage, blocks in enumerate(stages):
            for block in range(blocks):
                x = _block(writer, x, f"{prefix}features.{2 * stage + 1}.{block}.")
            if stage < len(stages) - 1:
                path = f"{prefix}features.{2 * stage + 2}"
                x = writer.conv(_normed(writer, x, f"{path}.0"), f"{path}.1", strides[stage], 0)
        return x

    return build


def _normed(writer: Writer, x: Value, path: str) -> Value:
    last = writer.layer_norm(writer.channels_last(x), path, EPSILON)
    return writer.channels_first(last)


def _block(writer: Writer, x: Value, path: str) -> Value:
    size = writer.checkpoint.shape(f"{path}block.0.weight")[-1]
    inner = writer.channels_last(writer.conv(x, f"{path}block.0", 1, size // 2))
    inner = writer.layer_norm(inner, f"{path}block.2", EPSILON)
    inner = writer.apply("Gelu", writer.linear(inner, f"{path}block.3"))
    inner = writer.channels_first(writer.linear(inner, f"{path}block.5"))
    scale = writer.weight(f"{path}layer_scale")
    inner = writer.add("Mul", [inner.name, scale], inner.shape)
    return writer.join("Add", inner, x)


ENCODER = Encoder(here, name, plan)
