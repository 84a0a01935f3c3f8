"""ST-ProtoPNet (Wang et al., ICCV 2023): two latents, trivial and support; scores are added."""

from __future__ import annotations

from protoproof.importing import addon, heads
from protoproof.importing.answers import Answers, one_of
from protoproof.importing.encoders import planned
from protoproof.importing.encoders.encoder import Wish
from protoproof.importing.layouts.layout import Layout, Owners, Plan, image_size
from protoproof.importing.layouts.lineage import ATTRIBUTES, published_notes
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

KINDS = ("trivial", "support")


def here(checkpoint: Checkpoint) -> bool:
    return all(checkpoint.has(f"prototype_vectors_{kind}") for kind in KINDS)


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    name, encode, channels = planned(checkpoint, "features.", Wish(), answers)
    first = f"add_on_layers_{KINDS[0]}"
    # the numbers of the convolutions tell the two published forms apart: 1, 2 behind an upsampling
    # (full pictures), 0, 2 with functions between (cropped pictures)
    full = checkpoint.has(f"{first}.1.weight")
    known = None if checkpoint.whole else ("cosine" if full else "projection")
    measure = answers.need(
        "measure",
        "cosine (the published form for full pictures) or projection (for cropped ones)",
        known,
        one_of("cosine", "projection"),
        "by its layers",
    )
    grown = not name.startswith("vgg")

    def bank(writer: Writer, x: Value, kind: str) -> Value:
        path = f"add_on_layers_{kind}"
        if checkpoint.whole or not full:
            layers = addon.sequence(checkpoint, path, ("Tanh", "Tanh"))
        else:
            layers = [("Upsample", f"{path}.0")] if grown else []
            layers += [("Conv2d", f"{path}.1"), ("Conv2d", f"{path}.2")]
        z = addon.apply(writer, x, layers)
        cosine = measure == "cosine"
        z = writer.output(heads.unit(writer, z) if cosine else z, f"latent_{kind}")
        similar = heads.projections(writer, z, f"prototype_vectors_{kind}")
        if cosine:
            similar = writer.apply("Relu", similar)
        best = heads.largest(writer, similar)
        weight = f"last_layer_{kind}.weight"
        return heads.votes(writer, best, weight, checkpoint.array(weight))

    def build(writer: Writer, x: Value) -> Owners:
        x = encode(writer, x)
        scores = [bank(writer, x, kind) for kind in KINDS]
        writer.output(writer.join("Add", *scores), "logits")
        both = [heads.owners(checkpoint.array(f"last_layer_{kind}.weight")) for kind in KINDS]
        return both[0] + both[1]

    notes = ("the scores of both kinds of prototypes are added, as the published test does",)
    size = image_size(checkpoint)
    return Plan(
        "ST-ProtoPNet",
        name,
        channels,
        build,
        size,
        idle=("ones",),
        notes=notes + published_notes(checkpoint),
    )


LAYOUT = Layout(
    "stprotopnet",
    "two latents with prototypes each, scores added",
    frozenset({"STProtoPNet"}),
    here,
    plan,
    ATTRIBUTES,
)
