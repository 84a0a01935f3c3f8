"""What the descendants of one code base share: ``features``, ``add_on_layers``, one grid."""

from __future__ import annotations

from collections.abc import Callable

from protoproof.importing import addon
from protoproof.importing.answers import Answers
from protoproof.importing.encoders import planned
from protoproof.importing.encoders.encoder import Wish
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

ATTRIBUTES = frozenset({
    "img_size", "prototype_shape", "num_prototypes", "num_classes", "epsilon",
    "prototype_activation_function", "prototype_class_identity", "num_prototypes_per_class",
    "proto_layer_rf_info",
})  # fmt: skip
PUBLISHED = ("ReLU", "Sigmoid")
"""Between two convolutions, and after the last."""

Latent = Callable[[Writer, Value], Value]


def trunk(
    checkpoint: Checkpoint,
    answers: Answers,
    *,
    encoder: str = "features.",
    layers: str = "add_on_layers",
    published: tuple[str, ...] = PUBLISHED,
    wish: Wish | None = None,
) -> tuple[str, int, Latent]:
    """Encoder's name, channels of the input, and how to build the latent."""
    name, build, channels = planned(checkpoint, encoder, wish or Wish(), answers)
    steps = addon.sequence(checkpoint, layers, published)

    def latent(writer: Writer, x: Value) -> Value:
        return writer.output(addon.apply(writer, build(writer, x), steps), "latent")

    return name, channels, latent


def published_notes(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What a state dictionary does not say, and is taken as published."""
    if checkpoint.whole:
        return ()
    return ("strides and functions of the layers are the published ones: only tensors are stored",)
