"""TesNet (Wang et al., ICCV 2021): projections on unit vectors; the latent is not normalised."""

from __future__ import annotations

from protoproof.importing import heads
from protoproof.importing.answers import Answers
from protoproof.importing.layouts import protopnet
from protoproof.importing.layouts.layout import Layout, Owners, Plan, image_size
from protoproof.importing.layouts.lineage import ATTRIBUTES, published_notes, trunk
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    name, channels, latent = trunk(checkpoint, answers)

    def build(writer: Writer, x: Value) -> Owners:
        along = heads.projections(writer, latent(writer, x), "prototype_vectors")
        best = heads.largest(writer, writer.output(along, "measurement"))
        weight = checkpoint.array("last_layer.weight")
        best = writer.output(best, "activation")
        writer.output(heads.votes(writer, best, "last_layer.weight", weight), "logits")
        return heads.owners(weight)

    notes = published_notes(checkpoint)
    return Plan(
        "TesNet", name, channels, build, image_size(checkpoint), idle=("ones",), notes=notes
    )


LAYOUT = Layout(
    "tesnet",
    "largest projection on a unit prototype, linear votes",
    frozenset({"TESNet"}),
    protopnet.here,
    plan,
    ATTRIBUTES,
)
