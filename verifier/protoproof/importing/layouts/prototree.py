"""ProtoTree (Nauta et al., CVPR 2021): a soft decision tree. Only whole modules hold its map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError
from protoproof.importing import heads
from protoproof.importing.answers import Answers
from protoproof.importing.layouts.layout import Layout, Owners, Plan
from protoproof.importing.layouts.lineage import trunk
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.pickled.machine import Made
from protoproof.importing.writer import Value, Writer

PROTOTYPES = "prototype_layer.prototype_vectors"
STABILITY = 1e-14
DEEPEST = 16
LOGARITHMS = "the tree gives probabilities, where its training used their logarithms"


def here(checkpoint: Checkpoint) -> bool:
    return checkpoint.has(PROTOTYPES)


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    if not checkpoint.whole:
        raise InputError(
            f"{checkpoint.path}: says not which prototype belongs to which node of the tree: only "
            "the whole module does (model.pth beside it); import that file"
        )
    name, channels, latent = trunk(
        checkpoint, answers, encoder="_net.", layers="_add_on", published=("Sigmoid",)
    )

    def build(writer: Writer, x: Value) -> Owners:
        mix(writer, latent(writer, x), PROTOTYPES, _tree(checkpoint), STABILITY)
        return None

    notes = (LOGARITHMS,) if checkpoint.attribute("", "_log_probabilities") else ()
    return Plan("ProtoTree", name, channels, build, idle=("ones", "_dist_params"), notes=notes)


def mix(writer: Writer, latent: Value, prototypes: str, tree: heads.Tree, stability: float) -> None:
    """The head: s = exp(-sqrt(d + stability)) of the nearest location goes right."""
    distances = heads.squared_distances(writer, latent, prototypes)
    distances = writer.output(distances, "measurement")
    writer.constant("stability", stability)
    kept = writer.add("Add", [distances.name, "stability"], distances.shape)
    nearest = heads.smallest(writer, writer.apply("Sqrt", kept))
    similar = writer.apply("Exp", writer.apply("Neg", nearest))
    similar = writer.output(similar, "activation")
    writer.output(heads.soft_tree(writer, similar, tree), "logits")


def softmax(values: NDArray[Any]) -> NDArray[Any]:
    """A distribution, rounded once."""
    wide = values.astype(np.float64)
    share = np.exp(wide - wide.max())
    return np.asarray(share / share.sum(), np.float32)


def _tree(checkpoint: Checkpoint) -> heads.Tree:
    """The tree below ``_root``, with the prototype that its map gives every branch."""
    mapped = checkpoint.attribute("", "_out_map")
    if not isinstance(mapped, dict):
        raise InputError(f"{checkpoint.path}: has no map '_out_map' from nodes to prototypes")
    plain = checkpoint.attribute("", "_kontschieder_normalization")
    count = checkpoint.shape(PROTOTYPES)[0]

    def grown(path: str, depth: int) -> heads.Tree:
        node = checkpoint.nodes.get(path)
        leaf = f"{path}._dist_params"
        if checkpoint.has(leaf):
            values = checkpoint.array(leaf)
            return np.asarray(values / values.sum(), np.float32) if plain else softmax(values)
        index = mapped.get(node) if isinstance(node, Made) else None
        if type(index) is not int or not 0 <= index < count or depth >= DEEPEST:
            raise InputError(f"{checkpoint.path}: node '{path}' of the tree has no prototype")
        return index, grown(f"{path}.l", depth + 1), grown(f"{path}.r", depth + 1)

    return grown("_root", 0)


LAYOUT = Layout(
    "prototree",
    "a soft decision tree over the nearest distances",
    frozenset({"ProtoTree"}),
    here,
    plan,
    frozenset({
        "_num_classes", "num_features", "num_prototypes", "prototype_shape", "_parents",
        "_log_probabilities", "_kontschieder_normalization", "_kontschieder_train", "_out_map",
    }),
)  # fmt: skip
