"""ProtoPool (Rymarczyk et al., ECCV 2022): classes choose from one pool; focal similarity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protoproof.importing import heads
from protoproof.importing.answers import Answers
from protoproof.importing.layouts.layout import Layout, Owners, Plan, activation
from protoproof.importing.layouts.lineage import ATTRIBUTES, published_notes, trunk
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer


def here(checkpoint: Checkpoint) -> bool:
    return checkpoint.has("proto_presence") and checkpoint.has("prototype_vectors")


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    name, channels, latent = trunk(checkpoint, answers)
    kind, epsilon = activation(checkpoint, answers)

    def build(writer: Writer, x: Value) -> Owners:
        presence = checkpoint.array("proto_presence")
        chosen = presence.argmax(axis=1)  # [class, slot]
        focal(
            writer,
            latent(writer, x),
            "prototype_vectors",
            chosen,
            epsilon if kind == "log" else None,
        )
        return None

    note = (
        "every slot holds its most probable prototype: the published test draws at random, so "
        "sharply that this is what it draws"
    )
    return Plan(
        "ProtoPool",
        name,
        channels,
        build,
        idle=("ones", "proto_presence", "alfa"),
        notes=(note, *published_notes(checkpoint)),
    )


def focal(
    writer: Writer,
    latent: Value,
    prototypes: str,
    chosen: NDArray[np.int64],
    epsilon: float | None,
    weight: str = "last_layer.weight",
) -> None:
    """The head: similarity of the smallest distance minus that of the mean one, per slot.

    ``chosen`` [class, slot]; ``epsilon`` None: similarity 1 / (d + 1).
    """
    checkpoint = writer.checkpoint
    distances = heads.squared_distances(writer, latent, prototypes)
    distances = writer.output(distances, "measurement")
    slots = np.eye(distances.shape[0])[chosen.reshape(-1)].T  # [prototype, slot], one one per slot
    writer.constant("slots", slots)
    similar = []
    for pooled in (heads.smallest(writer, distances), heads.mean(writer, distances)):
        found = writer.add("MatMul", [pooled.name, "slots"], (chosen.size,))
        if epsilon is None:
            similar.append(heads.reciprocal(writer, found))
        else:
            similar.append(heads.log_ratio(writer, found, epsilon))
    focused = writer.output(writer.join("Sub", *similar), "activation")
    if checkpoint.has(weight):
        votes = checkpoint.array(weight)
    else:
        votes = np.repeat(np.eye(len(chosen)), chosen.shape[1], axis=1)
    writer.output(heads.votes(writer, focused, weight, votes), "logits")


LAYOUT = Layout(
    "protopool",
    "slots of a common pool, smallest against mean distance",
    frozenset({"PrototypeChooser"}),
    here,
    plan,
    ATTRIBUTES
    | {"num_descriptive", "proto_depth", "use_thresh", "arch", "pretrained", "inat", "alfa", "beta"}
    | {"use_last_layer"},
)
