"""ProtoPNet (Chen et al., NeurIPS 2019) and what kept its head, such as ProtoPShare."""

from __future__ import annotations

from protoproof.importing import heads
from protoproof.importing.answers import Answers
from protoproof.importing.layouts.layout import Layout, Owners, Plan, activation, image_size
from protoproof.importing.layouts.lineage import ATTRIBUTES, published_notes, trunk
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

HEAD = ("prototype_vectors", "last_layer.weight")
_OTHERS = ("proto_presence", "activation_weight")


def here(checkpoint: Checkpoint) -> bool:
    return all(map(checkpoint.has, HEAD)) and not any(map(checkpoint.has, _OTHERS))


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    name, channels, latent = trunk(checkpoint, answers)
    kind, epsilon = activation(checkpoint, answers)

    def build(writer: Writer, x: Value) -> Owners:
        distances = heads.squared_distances(writer, latent(writer, x), "prototype_vectors")
        distances = writer.output(distances, "measurement")
        nearest = heads.smallest(writer, distances)
        if kind == "log":
            similar = heads.log_ratio(writer, nearest, epsilon or 1e-4)
        else:
            similar = writer.apply("Neg", nearest)
        weight = checkpoint.array("last_layer.weight")
        similar = writer.output(similar, "activation")
        votes = heads.votes(writer, similar, "last_layer.weight", weight, "last_layer.bias")
        writer.output(votes, "logits")
        return heads.owners(weight)

    notes = published_notes(checkpoint)
    return Plan(
        "ProtoPNet", name, channels, build, image_size(checkpoint), idle=("ones",), notes=notes
    )


LAYOUT = Layout(
    "protopnet",
    "similarity of the smallest squared distance, linear votes",
    frozenset({"PPNet"}),
    here,
    plan,
    ATTRIBUTES,
)
