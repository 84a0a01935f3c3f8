"""Encoders: one file per kind, written from the papers. Tensors' names and shapes tell which."""

from __future__ import annotations

from protoproof.errors import InputError
from protoproof.importing.answers import Answers
from protoproof.importing.encoders import convnext, densenet, efficientnet, resnet, vgg
from protoproof.importing.encoders.encoder import Build, Wish
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

# in the order of asking: the names of the later ones are more common
KINDS = (densenet, convnext, vgg, resnet, efficientnet)


def planned(
    checkpoint: Checkpoint, prefix: str, wish: Wish, answers: Answers
) -> tuple[str, Build, int]:
    """The encoder below a prefix: its name, how to build it, and its input channels.

    Raises:
        InputError: the tensors there are of no kind that is known.
    """
    for kind in KINDS:
        encoder = kind.ENCODER
        if encoder.here(checkpoint, prefix):
            name = encoder.name(checkpoint, prefix)
            first = next(n for n in _FIRST if checkpoint.has(f"{prefix}{n}"))
            channels = checkpoint.shape(f"{prefix}{first}")[1]
            return name, _alone(encoder.plan(checkpoint, prefix, wish, answers), wish), channels
    names = [name for name in checkpoint.tensors if name.startswith(prefix)][:3]
    raise InputError(
        f"{checkpoint.path}: its encoder (tensors '{prefix}...': {', '.join(names) or 'none'}) is "
        "no resnet, vgg, densenet, convnext or efficientnet_lite; export it with torch.onnx instead"
    )


def _alone(build: Build, wish: Wish) -> Build:
    """Strides are taken out of the encoder only."""

    def built(writer: Writer, x: Value) -> Value:
        writer.divided = wish.divided
        found = build(writer, x)
        writer.divided = None
        return found

    return built


_FIRST = (
    "features.conv0.weight",
    "features.0.0.weight",
    "features.0.weight",
    "conv1.weight",
    "conv_stem.weight",
)
