"""EvalProtoPNet (Huang et al., ICCV 2023): projections, weighed among the prototypes of a class."""

from __future__ import annotations

import numpy as np

from protoproof.errors import UsageError
from protoproof.importing import heads
from protoproof.importing.answers import Answers, number
from protoproof.importing.layouts.layout import Layout, Owners, Plan, image_size
from protoproof.importing.layouts.lineage import ATTRIBUTES, published_notes, trunk
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.pickled.machine import Made
from protoproof.importing.writer import Value, Writer


def here(checkpoint: Checkpoint) -> bool:
    return checkpoint.has("activation_weight") and checkpoint.has("prototype_vectors")


def _stored(checkpoint: Checkpoint, name: str) -> int | None:
    """A number of the network or, beside its tensors, of the arguments of its training."""
    arguments = checkpoint.entries.get("args")
    state = arguments.state if isinstance(arguments, Made) else None
    beside = state.get(name) if isinstance(state, dict) else None
    found = checkpoint.attribute("", name, beside)
    return found if type(found) is int and found > 0 else None


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    name, channels, latent = trunk(checkpoint, answers, published=("ReLU", "Sigmoid"))
    count = checkpoint.shape("activation_weight")[0]
    classes = answers.need(
        "classes",
        "how many, each with as many prototypes",
        _stored(checkpoint, "num_classes"),
        number,
    )
    if classes is not None and count % classes:
        raise UsageError(f"--set classes={classes}: {count} prototypes cannot be shared out evenly")

    def build(writer: Writer, x: Value) -> Owners:
        each = count // (classes or 1)
        along = heads.projections(writer, latent(writer, x), "prototype_vectors")
        best = heads.largest(writer, writer.output(along, "measurement"))
        best = writer.output(best, "activation")
        owner = np.arange(count) // each
        raw = checkpoint.array("activation_weight").astype(np.float64).reshape(-1, each)
        share = np.exp(raw - raw.max(axis=1, keepdims=True))
        share *= each / share.sum(axis=1, keepdims=True)
        weight = np.where(owner == np.arange(classes or 1)[:, None], share.reshape(-1), 0.0)
        writer.output(heads.votes(writer, best, "activation_weight", weight), "logits")
        return tuple(int(k) for k in owner)

    size = image_size(checkpoint)
    notes = published_notes(checkpoint)
    return Plan("EvalProtoPNet", name, channels, build, size, idle=("ones",), notes=notes)


LAYOUT = Layout(
    "evalprotopnet",
    "largest projection, weighed within its class",
    frozenset({"OursNet"}),
    here,
    plan,
    ATTRIBUTES | {"shallow_layer_idx"},
)
