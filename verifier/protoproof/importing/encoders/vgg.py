"""Plain convolutional networks (Simonyan & Zisserman, ICLR 2015), with batch norm or without.

The numbers of a sequence's layers tell where its poolings are: they have no tensors, but count.
"""

from __future__ import annotations

from protoproof.errors import InputError
from protoproof.importing.answers import Answers
from protoproof.importing.encoders.encoder import Build, Encoder, Wish
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

KNOWN = {8: "vgg11", 10: "vgg13", 13: "vgg16", 16: "vgg19"}  # by convolutions


def here(checkpoint: Checkpoint, prefix: str) -> bool:
    first = f"{prefix}features.0.weight"
    return checkpoint.has(first) and len(checkpoint.shape(first)) == 4


def _convolutions(checkpoint: Checkpoint, prefix: str) -> list[int]:
    start = f"{prefix}features."
    numbers = [
        int(number)
        for tensor, found in checkpoint.tensors.items()
        if tensor.startswith(start) and tensor.endswith(".weight") and len(found.shape) == 4
        if (number := tensor[len(start) : -len(".weight")]).isdecimal()
    ]
    return sorted(numbers)


def _norm(checkpoint: Checkpoint, prefix: str, number: int) -> bool:
    return checkpoint.has(f"{prefix}features.{number + 1}.running_mean")


def name(checkpoint: Checkpoint, prefix: str) -> str:
    count = len(_convolutions(checkpoint, prefix))
    normed = "_bn" if _norm(checkpoint, prefix, 0) else ""
    return f"{KNOWN.get(count, f'vgg of {count} convolutions')}{normed}"


def plan(checkpoint: Checkpoint, prefix: str, wish: Wish, answers: Answers) -> Build:
    layers = _layers(checkpoint, prefix)
    end = layers[-1][0] + 1
    if wish.last is None or wish.last == "features":
        layers.append((end, "pool"))
    elif wish.last.startswith("features.") and wish.last[len("features.") :].isdecimal():
        last = int(wish.last[len("features.") :])
        layers = [layer for layer in [*layers, (end, "pool")] if layer[0] <= last]
    else:
        raise InputError(f"{checkpoint.path}: layer '{wish.last}' of a vgg is not imported")

    def build(writer: Writer, x: Value) -> Value:
        for number, kind in layers:
            path = f"{prefix}features.{number}"
            if kind == "conv":
                x = writer.conv(x, path, 1, 1)
            elif kind == "norm":
                x = writer.norm(x, path)
            else:
                x = writer.apply("Relu", x) if kind == "relu" else writer.max_pool(x, 2, 2)
        return x

    return build


def _layers(checkpoint: Checkpoint, prefix: str) -> list[tuple[int, str]]:
    """Numbers and kinds, up to the last rectifier."""
    layers: list[tuple[int, str]] = []
    following = 0
    for number in _convolutions(checkpoint, prefix):
        if number == following + 1:
            layers.append((following, "pool"))
        elif number != following:
            raise InputError(f"{checkpoint.path}: '{prefix}features' is no vgg: layer {following}")
        layers.append((number, "conv"))
        following = number + 1
        if _norm(checkpoint, prefix, number):
            layers.append((following, "norm"))
            following += 1
        layers.append((following, "relu"))
        following += 1
    return layers


ENCODER = Encoder(here, name, plan)
