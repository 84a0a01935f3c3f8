"""PIP-Net (Nauta et al., CVPR 2023): a softmax over channels; a prototype is a channel."""

from __future__ import annotations

import numpy as np

from protoproof.importing import heads
from protoproof.importing.answers import Answers, positive
from protoproof.importing.encoders import planned
from protoproof.importing.encoders.encoder import Wish
from protoproof.importing.layouts.layout import Layout, Owners, Plan
from protoproof.importing.layouts.lineage import published_notes
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

PRESENT = 0.1
WEIGHT = "_classification.weight"


def here(checkpoint: Checkpoint) -> bool:
    return checkpoint.has(WEIGHT) and not checkpoint.has("prototype_layer.prototype_vectors")


def _threshold(text: str) -> float:
    return 0.0 if text == "none" else positive(text)


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    wish = Wish(strides=(1, 2, 1, 1), asks_strides=True)
    name, encode, channels = planned(checkpoint, "_net.", wish, answers)
    threshold = answers.need(
        "threshold",
        "below which a prototype counts as absent, or none",
        PRESENT,
        _threshold,
        "as published, of the network as it is deployed",
    )

    def build(writer: Writer, x: Value) -> Owners:
        features = encode(writer, x)
        if checkpoint.has("_add_on.0.weight"):
            features = writer.conv(features, "_add_on.0")
        present(writer, features, threshold or 0.0, WEIGHT, "_classification.bias")
        return heads.owners(np.maximum(checkpoint.array(WEIGHT), 0))

    return Plan(
        "PIP-Net",
        name,
        channels,
        build,
        idle=("normalization_multiplier", "_multiplier"),
        notes=published_notes(checkpoint),
    )


def present(writer: Writer, features: Value, threshold: float, weight: str, bias: str) -> None:
    """The head: softmax over channels, largest share, nothing below the threshold, W >= 0."""
    shares = writer.output(writer.apply("Softmax", features, axis=1), "latent")
    best = heads.largest(writer, shares)
    if threshold:
        writer.constant("present", threshold)
        writer.constant("absent", 0.0)
        low = writer.add("Less", [best.name, "present"], best.shape)
        best = writer.add("Where", [low.name, "absent", best.name], best.shape)
    best = writer.output(best, "activation")
    positive_part = np.maximum(writer.checkpoint.array(weight), 0)
    writer.output(heads.votes(writer, best, weight, positive_part, bias), "logits")


LAYOUT = Layout(
    "pipnet",
    "largest share of a channel, non-negative votes",
    frozenset({"PIPNet"}),
    here,
    plan,
    frozenset({"_num_features", "_num_classes", "_num_prototypes"}),
)
