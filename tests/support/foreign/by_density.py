"""The part of the list with variances, votes, slots and trees."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.support.foreign import densities, encoders, trees
from tests.support.foreign.by_distance import GRID, IMAGE, VECTOR
from tests.support.foreign.family import Family, Form, Refused

NO_EXPM1 = "it has no rule for expm1"


def _form(
    geometry: str = "euclidean",
    pooling: tuple[str, ...] = ("nearest",),
    decision: str = "linear",
    cuts: tuple[tuple[int, ...], ...] = GRID,
    locations: int = 9,
    features: int = 6,
) -> Form:
    return Form(geometry, pooling, decision, cuts, locations, 8, features, 3)


DENSITIES = (
    Family(
        "gaussian-isotropic",
        "beyond_l2: exp(-v_j) q, relu of the minimum, log ratio",
        partial(encoders.plain, 8),
        partial(densities.Mahalanobis, 8, "isotropic"),
        IMAGE,
        _form(),
    ),
    Family(
        "gaussian-diagonal",
        "beyond_l2: sum_c exp(-v_jc) (z-p)^2, relu of the minimum, log ratio",
        partial(encoders.plain, 8),
        partial(densities.Mahalanobis, 8, "diagonal"),
        IMAGE,
        _form("diagonal"),
    ),
    Family(
        "gaussian-general",
        "beyond_l2: |L_j (z-p)|^2 with a matrix per prototype",
        partial(encoders.plain, 8),
        partial(densities.Mahalanobis, 8, "general"),
        IMAGE,
        Refused("a full matrix per prototype is no separable quadratic"),
    ),
    Family(
        "gaussian-density",
        "beyond_l2: the log density of a diagonal Gaussian",
        partial(encoders.plain, 8, last="tanh"),
        partial(densities.LogDensity, 8),
        IMAGE,
        _form("diagonal"),
    ),
    Family(
        "mixture",
        "MGProto: densities on normalised latents, mixture weights per class",
        partial(encoders.plain, 8),
        partial(densities.Mixture, 8, logged=False),
        IMAGE,
        _form("diagonal"),
    ),
    Family(
        "mixture-logged",
        "MGProto: the logarithm of the mixture, which changes no decision",
        partial(encoders.plain, 8),
        partial(densities.Mixture, 8, logged=True),
        IMAGE,
        _form("diagonal"),
    ),
    Family(
        "radial",
        "A radial basis network: exp(-gamma_j q) and a dense layer",
        partial(encoders.vector, 8),
        partial(densities.Radial, 8),
        VECTOR,
        _form(cuts=((1, 8),), locations=1),
    ),
    Family(
        "votes-softmax",
        "Nadaraya-Watson attention: a softmax over minus distances times values",
        partial(encoders.vector, 8),
        partial(densities.Votes, 8, "softmax"),
        VECTOR,
        _form(cuts=((1, 8),), locations=1, features=9),
    ),
    Family(
        "votes-ratio",
        "The same with the sum of weights as an explicit denominator",
        partial(encoders.vector, 8),
        partial(densities.Votes, 8, "ratio"),
        VECTOR,
        _form(cuts=((1, 8),), locations=1, features=9),
    ),
    Family(
        "votes-normalised",
        "A normalised radial basis network: activations over their sum, then a dense layer",
        partial(encoders.vector, 8),
        partial(densities.Votes, 8, "normalised"),
        VECTOR,
        _form(cuts=((1, 8),), locations=1, features=9),
    ),
)

SLOTS = (
    Family(
        "slots-log",
        "ProtoPool with chosen slots: log ratio of the smallest less that of the mean distance",
        partial(encoders.plain, 8),
        partial(densities.Slots, 8, "log"),
        IMAGE,
        _form(pooling=("nearest less mean",), features=5),
    ),
    Family(
        "slots-linear",
        "ProtoPool with 1/(d+1) and the sum over the slots of a class",
        partial(encoders.plain, 8),
        partial(densities.Slots, 8, "linear", dense=False),
        IMAGE,
        _form(pooling=("nearest less mean",), features=5),
    ),
    Family(
        "slots-plain",
        "ProtoPool's focal activation of plain distances, one prototype for each class",
        partial(encoders.plain, 8),
        partial(densities.Plain, 8),
        IMAGE,
        replace(_form(pooling=("nearest less mean",), features=4), classes=4),
    ),
    Family(
        "focal",
        "Gaussian similarities: the largest less their mean, then a dense layer",
        partial(encoders.plain, 8),
        partial(densities.Focal, 8),
        IMAGE,
        _form(pooling=("focal",), features=6),
    ),
    Family(
        "slots-soft",
        "ProtoPool before its slots are chosen: mixtures of distances inside the logarithm",
        partial(encoders.plain, 8),
        partial(densities.Slots, 8, "log", hard=False),
        IMAGE,
        Refused("a similarity of a mixture of several prototypes' distances"),
    ),
)

TREES = (
    Family(
        "tree",
        "ProtoTree: exp(-distance) routes softly through a balanced tree of leaves",
        partial(encoders.plain, 8),
        partial(trees.Tree, 8),
        IMAGE,
        _form(decision="tree", features=7),
    ),
    Family(
        "tree-pruned",
        "ProtoTree after pruning: branches of different depth",
        partial(encoders.plain, 8),
        partial(trees.Tree, 8, trees.PRUNED),
        IMAGE,
        _form(decision="tree", features=4),
    ),
    Family(
        "tree-split",
        "ProtoTree with the similarities taken apart as a list of tensors",
        partial(encoders.plain, 8),
        partial(trees.Tree, 8, split=True),
        IMAGE,
        _form(decision="tree", features=7),
    ),
    Family(
        "tree-by-level",
        "A soft decision tree level by level: all shares of a level at once, leaves as a matrix",
        partial(encoders.plain, 8),
        partial(trees.ByLevel, 8),
        IMAGE,
        _form(decision="tree", features=7),
    ),
    Family(
        "tree-by-leaf",
        "A soft decision tree leaf by leaf, with one prototype for all nodes of a level",
        partial(encoders.plain, 8),
        partial(trees.ByLeaf, 8),
        IMAGE,
        _form(decision="tree", features=3),
    ),
    Family(
        "tree-logged",
        "ProtoTree in log space: logsumexp at every node",
        partial(encoders.plain, 8),
        partial(trees.Tree, 8, logged=True),
        IMAGE,
        Refused("sums of exponentials at every node, split at log 2"),
        unexported={"legacy": NO_EXPM1},
    ),
)

FAMILIES = DENSITIES + SLOTS + TREES
