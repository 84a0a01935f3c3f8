"""The layers between encoder and head: a sequence of few kinds, read or as published."""

from __future__ import annotations

from collections.abc import Sequence

from protoproof.errors import InputError
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

Layer = tuple[str, str]
"""A kind and the path of its tensors."""

_FUNCTIONS = {"ReLU": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh"}
_IDLE = {"Identity", "Dropout", "Dropout2d"}


def sequence(checkpoint: Checkpoint, path: str, published: Sequence[str]) -> list[Layer]:
    """The layers of a numbered sequence.

    Of a whole module they are read. A state dictionary has the numbers of convolutions only: what
    stands between two of them, and after the last, is ``published`` (the last entry stands last,
    the others in turn, the first again where there are more).
    """
    if checkpoint.whole:
        return [
            (name.rpartition(".")[2], found)
            for found, name in checkpoint.classes.items()
            if found.rpartition(".")[0] == path
        ]
    numbers = sorted(
        int(word)
        for name in checkpoint.tensors
        if name.startswith(f"{path}.")
        and name.endswith(".weight")
        and (word := name[len(path) + 1 : -len(".weight")]).isdecimal()
    )
    layers: list[Layer] = []
    for number in numbers:
        layers.append(("Conv2d", f"{path}.{number}"))
        kind = published[-1] if number == numbers[-1] else published[0]
        layers.append((kind, f"{path}.{number + 1}"))
    return layers


def apply(writer: Writer, x: Value, layers: Sequence[Layer]) -> Value:
    """All layers in turn.

    Raises:
        InputError: one of another kind than those that are known.
    """
    for kind, path in layers:
        if kind == "Conv2d":
            x = writer.conv(x, path)
        elif kind == "BatchNorm2d":
            x = writer.norm(x, path)
        elif kind == "Upsample":
            x = _twice(writer, x, path)
        elif kind in _FUNCTIONS:
            x = writer.apply(_FUNCTIONS[kind], x)
        elif kind not in _IDLE:
            where = f"{writer.checkpoint.path}: layer '{path}'"
            raise InputError(f"{where} is a {kind}, which is not imported")
    return x


def _twice(writer: Writer, x: Value, path: str) -> Value:
    """Twice as many rows and columns, bilinear."""
    checkpoint = writer.checkpoint
    factor = checkpoint.attribute(path, "scale_factor", 2.0)
    mode = checkpoint.attribute(path, "mode", "bilinear")
    if (
        factor not in (2, (2, 2))
        or mode != "bilinear"
        or checkpoint.attribute(path, "align_corners")
    ):
        raise InputError(f"{checkpoint.path}: '{path}' resizes otherwise than twice, bilinearly")
    writer.constant("twice", [1.0, 1.0, 2.0, 2.0])
    shape = (x.shape[0], 2 * x.shape[1], 2 * x.shape[2])
    return writer.add("Resize", [x.name, "", "twice"], shape, mode="linear")
