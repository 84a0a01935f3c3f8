"""CaBRNet (Xu-Darme et al., 2024) and beyond_l2: one directory says all, heads by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from protoproof.errors import InputError
from protoproof.importing import addon, heads
from protoproof.importing.answers import Answers
from protoproof.importing.encoders import planned
from protoproof.importing.encoders.encoder import Wish
from protoproof.importing.layouts import cabrnet_files as files
from protoproof.importing.layouts import pipnet, protopool, prototree
from protoproof.importing.layouts.cabrnet_files import part
from protoproof.importing.layouts.layout import Layout, Owners, Plan
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

PROTOTYPES = "classifier.prototypes"
WEIGHT = "classifier.last_layer.weight"
SIMILARITY = "classifier.similarity_layer"
# names of the package, before and after it renamed them
DISTANCES = ("LegacyProtoPNetSimilarity", "ProtoPNetSimilarity")
EXPONENTIAL = ("LegacyProtoTreeSimilarity", "ProtoTreeSimilarity")
IDLE = (
    "_summation_kernel", "proto_class_map", "slot_class_map", "normalization_multiplier", "_eye",
    "_root_prob", "_root_greedy_path", "proto_slot_map", "_relative_distribution",
)  # fmt: skip

Head = Callable[[Writer, Value], Owners]


def here(checkpoint: Checkpoint) -> bool:
    return any(name.startswith("extractor.convnet.") for name in checkpoint.tensors)


def plan(checkpoint: Checkpoint, answers: Answers) -> Plan:
    folder = checkpoint.path.parent
    stated = files.read_yaml(folder / files.ARCHITECTURE)
    if stated is None:
        raise InputError(
            f"{folder}: holds no {files.ARCHITECTURE}, which says what the tensors are"
        )
    extractor = part(stated, "extractor")
    name, encode, channels = planned(checkpoint, "extractor.convnet.", _wish(extractor), answers)
    layers = [
        (str(part(step, "type")), f"extractor.add_on.{key}")
        for key, step in (part(extractor, "add_on") or {}).items()
        if key != "init_mode"
    ]
    kind = str(part(stated, "classifier", "name"))
    if kind not in CLASSIFIERS:
        raise InputError(
            f"{folder}: classifier '{kind}' is not imported; known: {', '.join(CLASSIFIERS)}"
        )
    family, make = CLASSIFIERS[kind]
    head = make(checkpoint, stated)
    size, scale, resized = files.preprocessing(folder)

    def build(writer: Writer, x: Value) -> Owners:
        return head(writer, addon.apply(writer, encode(writer, x), layers))

    return Plan(f"{family} (CaBRNet)", name, channels, build, size, scale, IDLE, resized=resized)


def _wish(extractor: Any) -> Wish:
    """What the file says of the encoder."""
    extra = set(extractor or {}) - {"backbone", "add_on"}
    backbone = part(extractor, "backbone")
    layer = part(backbone, "layer")
    if extra or not isinstance(layer, str):
        raise InputError(f"{files.ARCHITECTURE}: an extractor of several layers is not imported")
    if set(part(backbone, "params") or {}) - {"num_classes"}:
        raise InputError(f"{files.ARCHITECTURE}: parameters of the backbone are not imported")
    after = part(backbone, "postprocess") or {}
    ratio = part(after, "stride_divider", "ratio")
    divided = part(after, "stride_divider", "min_channels")
    if set(after) - {"stride_divider"} or (after and (ratio != 2 or type(divided) is not int)):
        raise InputError(f"{files.ARCHITECTURE}: this postprocess of the backbone is not imported")
    return Wish(divided=divided, last=layer, final_relu=False)


def _similarity(stated: Any, default: str) -> tuple[str, Any]:
    found = part(stated, "similarity")
    if found is None:
        return default, {}
    return str(part(found, "name")), part(found, "params") or {}


def _factor(params: Any, default: float) -> float:
    value = params.get("stability_factor", default) if isinstance(params, dict) else default
    if not isinstance(value, float) or not 0 <= value < 1:
        raise InputError(f"{files.ARCHITECTURE}: a stability_factor that is no small number")
    return value


def _distances(checkpoint: Checkpoint, stated: Any) -> Head:
    """Log similarity of the smallest distance: squared, or divided by a prototype's variance."""
    kind, params = _similarity(stated, DISTANCES[0])
    known = (*DISTANCES, "MahalanobisLogDistance", "MahalanobisLogDensity")
    spread = part(params, "cov_type") or "isotropic"
    if kind not in known or spread not in ("isotropic", "diagonal"):
        shown = f"{kind} {spread}" if kind in known else kind
        raise InputError(f"{files.ARCHITECTURE}: similarity '{shown}' is not imported")
    epsilon = _factor(params, 1e-4)
    if part(stated, "classifier", "params", "compatibility_mode"):
        epsilon = 1e-4  # whatever the layer says

    def head(writer: Writer, z: Value) -> Owners:
        z = writer.output(z, "latent")
        if kind in DISTANCES:
            distances = heads.squared_distances(writer, z, PROTOTYPES)
        else:
            distances = _spread(writer, z)
        distances = writer.output(distances, "measurement")
        if kind == "MahalanobisLogDensity":
            similar = heads.largest(writer, _density(writer, distances, z.shape[0]))
        else:
            similar = heads.log_ratio(writer, heads.smallest(writer, distances), epsilon)
        return _voted(writer, similar)

    return head


def _spread(writer: Writer, z: Value) -> Value:
    precision = np.exp(-writer.checkpoint.array(f"{SIMILARITY}.log_var").astype(np.float64))
    if precision.ndim == 2:
        return heads.squared_distances(writer, z, PROTOTYPES, precision)
    distances = heads.squared_distances(writer, z, PROTOTYPES)
    writer.constant("precision", precision[:, None, None])
    return writer.add("Mul", [distances.name, "precision"], distances.shape)


def _density(writer: Writer, distances: Value, channels: int) -> Value:
    """-(d + D log 2 pi + log det) / 2, before the largest is taken."""
    variance = writer.checkpoint.array(f"{SIMILARITY}.log_var").astype(np.float64)
    spread = variance.sum(axis=1) if variance.ndim == 2 else channels * variance
    constant = -0.5 * (channels * np.log(2 * np.pi) + spread)
    writer.constant("half", -0.5)
    writer.constant("normaliser", constant[:, None, None])
    half = writer.add("Mul", [distances.name, "half"], distances.shape)
    return writer.add("Add", [half.name, "normaliser"], distances.shape)


def _voted(writer: Writer, similar: Value) -> Owners:
    weight = writer.checkpoint.array(WEIGHT)
    similar = writer.output(similar, "activation")
    writer.output(heads.votes(writer, similar, WEIGHT, weight), "logits")
    return heads.owners(weight)


def _cosines(checkpoint: Checkpoint, stated: Any) -> Head:
    kind, _ = _similarity(stated, "CosineSimilarity")
    if kind != "CosineSimilarity":
        raise InputError(f"{files.ARCHITECTURE}: similarity '{kind}' is not imported")

    def head(writer: Writer, z: Value) -> Owners:
        z = writer.output(heads.unit(writer, z), "latent")
        along = writer.output(heads.projections(writer, z, PROTOTYPES), "measurement")
        return _voted(writer, heads.largest(writer, along))

    return head


def _shares(checkpoint: Checkpoint, stated: Any) -> Head:
    def head(writer: Writer, z: Value) -> Owners:
        pipnet.present(writer, z, 0.0, WEIGHT, "classifier.last_layer.bias")
        return heads.owners(np.maximum(checkpoint.array(WEIGHT), 0))

    return head


def _slots(checkpoint: Checkpoint, stated: Any) -> Head:
    kind, params = _similarity(stated, DISTANCES[1])
    if kind not in DISTANCES:
        raise InputError(f"{files.ARCHITECTURE}: similarity '{kind}' is not imported")
    epsilon = _factor(params, 1e-4)

    def head(writer: Writer, z: Value) -> Owners:
        slots = checkpoint.array("classifier.proto_slot_map")
        if not np.array_equal(slots, slots == slots.max(axis=1, keepdims=True)):
            raise InputError(
                f"{checkpoint.path}: its slots are not chosen yet (proto_slot_map is not one-hot): "
                "finish the training, which fixes them"
            )
        z = writer.output(z, "latent")
        protopool.focal(writer, z, PROTOTYPES, slots.argmax(axis=1), epsilon, WEIGHT)
        return None

    return head


def _tree(checkpoint: Checkpoint, stated: Any) -> Head:
    kind, params = _similarity(stated, EXPONENTIAL[0])
    if kind not in EXPONENTIAL:
        raise InputError(f"{files.ARCHITECTURE}: similarity '{kind}' is not imported")
    stability = _factor(params, prototree.STABILITY)
    count = checkpoint.shape(PROTOTYPES)[0]

    def grown(node: Any, path: str, depth: int) -> heads.Tree:
        if part(node, "module") == "LeafNode":
            return prototree.softmax(checkpoint.array(f"{path}._relative_distribution")[0])
        below, owned, name = part(node, "children"), part(node, "proto_idxs"), part(node, "node_id")
        known = part(node, "module") == "BinaryNode" and isinstance(name, str)
        fits = isinstance(owned, list) and len(owned) == 1 and type(owned[0]) is int
        if not (known and fits and isinstance(below, list) and len(below) == 2) or (
            depth >= prototree.DEEPEST or not 0 <= owned[0] < count
        ):
            raise InputError(f"{checkpoint.path}: node '{path[:200]}' of its tree cannot be read")
        ends = ("nsim", "sim")  # away from the prototype, towards it
        left, right = (
            grown(child, f"{path}.{name}_child_{end}", depth + 1)
            for child, end in zip(below, ends, strict=True)
        )
        return owned[0], left, right

    def head(writer: Writer, z: Value) -> Owners:
        root = checkpoint.entries.get("_extra_state")
        if root is None:
            raise InputError(f"{checkpoint.path}: says not which prototype belongs to which node")
        tree = grown(root, "classifier.tree", 0)
        z = writer.output(z, "latent")
        prototree.mix(writer, z, PROTOTYPES, tree, stability)
        return None

    return head


CLASSIFIERS: dict[str, tuple[str, Callable[[Checkpoint, Any], Head]]] = {
    "ProtoPNetClassifier": ("ProtoPNet", _distances),
    "GaussianProtoPNetClassifier": ("Gaussian ProtoPNet", _distances),
    "TesNetClassifier": ("TesNet", _cosines),
    "PIPNetClassifier": ("PIP-Net", _shares),
    "ProtoPoolClassifier": ("ProtoPool", _slots),
    "ProtoTreeClassifier": ("ProtoTree", _tree),
}

LAYOUT = Layout(
    "cabrnet",
    "a directory of CaBRNet or beyond_l2: model_arch.yml, model_state.pth, dataset.yml",
    frozenset(),
    here,
    plan,
)
