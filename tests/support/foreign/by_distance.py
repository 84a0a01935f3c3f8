"""The part of the list that measures squared or plain Euclidean distances."""

from __future__ import annotations

from functools import partial

from tests.support.foreign import distances, encoders
from tests.support.foreign.family import Family, Form, Refused

IMAGE = (1, 1, 12, 12)
COLOUR = (1, 3, 12, 12)
SIGNAL = (1, 3, 24)
VECTOR = (1, 6)
GRID = ((1, 8, 3, 3),)
NO_CDIST = "the library's pairwise distance has no rule in it (a tensor used as a Python number)"


def _euclidean(
    pooling: str = "nearest",
    decision: str = "linear",
    cuts: tuple[tuple[int, ...], ...] = GRID,
    locations: int = 9,
    channels: int = 8,
    features: int = 6,
    classes: int = 3,
) -> Form:
    return Form("euclidean", (pooling,), decision, cuts, locations, channels, features, classes)


PROTOPNET = (
    Family(
        "protopnet-log",
        "ProtoPNet: log((q+1)/(q+1e-4)) of the smallest expanded squared distance; logits, minima",
        partial(encoders.plain, 8),
        partial(distances.ProtoPNet, 8),
        IMAGE,
        _euclidean(),
    ),
    Family(
        "protopnet-linear",
        "ProtoPNet: minus the smallest expanded squared distance",
        partial(encoders.plain, 8),
        partial(distances.ProtoPNet, 8, similarity="linear", both=False),
        IMAGE,
        _euclidean(),
    ),
    Family(
        "protopnet-residual",
        "ProtoPNet on a residual network with batch normalisation",
        partial(encoders.residual, 8),
        partial(distances.ProtoPNet, 8),
        COLOUR,
        _euclidean(),
    ),
    Family(
        "protopnet-large",
        "ProtoPNet with more coefficients than exporters fold: |p|^2 stays a computation",
        partial(encoders.plain, 128),
        partial(distances.ProtoPNet, 128, classes=5, each=14),
        IMAGE,
        _euclidean(cuts=((1, 128, 3, 3),), channels=128, features=70, classes=5),
    ),
    Family(
        "protopnet-windows",
        "ProtoPNet with prototypes of 2x2 places",
        partial(encoders.plain, 8),
        partial(distances.ProtoPNet, 8, size=(2, 2)),
        IMAGE,
        _euclidean(locations=4, channels=32),
    ),
    Family(
        "protopnet-similarity-map",
        "ProtoPNet's similarity as a map, its maximum afterwards",
        partial(encoders.plain, 8),
        partial(distances.SimilarityThenPool, 8),
        IMAGE,
        _euclidean(),
    ),
    Family(
        "pairwise-difference",
        "mbahng's ProtoPNet: sum_c (z-p)^2 written out, amin over both axes, negated",
        partial(encoders.plain, 8),
        partial(distances.Pairwise, 8),
        IMAGE,
        _euclidean(),
    ),
    Family(
        "topk-mean",
        "ProtoPDebug: the mean of the k largest log similarities",
        partial(encoders.plain, 8),
        partial(distances.TopK, 8),
        IMAGE,
        _euclidean("k-largest mean"),
    ),
    Family(
        "topk-one",
        "ProtoPDebug with k = 1: the maximum",
        partial(encoders.plain, 8),
        partial(distances.TopK, 8, k=1),
        IMAGE,
        _euclidean(),
    ),
    Family(
        "plain-distance",
        "IAIA-BL: log((d+1)/(d+1e-4)) of a distance that is not squared, mean of the k largest",
        partial(encoders.plain, 8),
        partial(distances.PlainDistance, 8),
        IMAGE,
        _euclidean("k-largest mean"),
    ),
    Family(
        "cabrnet-cdist",
        "CaBRNet's ProtoPNet: cdist^2, min over the flattened grid, relu, log ratio",
        partial(encoders.plain, 8),
        partial(distances.Cdist, 8),
        IMAGE,
        _euclidean(features=30),
        unexported={"legacy": NO_CDIST},
    ),
)

OTHERS = (
    Family(
        "raw-distances",
        "Li et al. 2018: one vector, squared distances straight into a dense layer, softmax",
        partial(encoders.plain, 4, last="relu"),
        partial(distances.RawDistances, 36),
        IMAGE,
        _euclidean(cuts=((1, 4, 3, 3),), locations=1, channels=36),
    ),
    Family(
        "nearest-mean",
        "Prototypical networks: log softmax of minus squared distances to the class means",
        partial(encoders.Pooled, 8),
        partial(distances.NearestMean, 8),
        IMAGE,
        _euclidean(cuts=((1, 8),), locations=1, features=4, classes=4),
    ),
    Family(
        "one-each",
        "A radial unit per class and as many as channels, an identity layer, softmax, no batch",
        partial(encoders.plain, 4),
        partial(distances.OneEach, 4),
        IMAGE,
        _euclidean(cuts=((1, 4, 3, 3),), channels=4, features=4, classes=4),
    ),
    Family(
        "channels-last",
        "ProtoPNet over a latent with channels last",
        partial(encoders.plain, 8, last="none"),
        partial(distances.Flat, 8),
        IMAGE,
        _euclidean(cuts=((1, 3, 3, 8),)),
    ),
    Family(
        "pixel",
        "ProtoSeg: no pooling; the logits of one place",
        partial(encoders.plain, 8),
        partial(distances.Pixels, 8, (1, 2)),
        IMAGE,
        _euclidean(locations=1),
    ),
    Family(
        "pixels",
        "ProtoSeg: no pooling; logits at every place",
        partial(encoders.plain, 8),
        partial(distances.Pixels, 8, None),
        IMAGE,
        Refused("as many predictions as places"),
    ),
    Family(
        "levels",
        "HierProtoPNet: three latents of different sizes, exp(-d/256), the logits are added",
        partial(encoders.Pyramid, 8),
        partial(distances.Levels, 8),
        IMAGE,
        _euclidean(cuts=((1, 8, 2, 2), (1, 8, 3, 3), (1, 8, 6, 6)), locations=49, features=18),
    ),
    Family(
        "channels-as-places",
        "ProtoSolo: prototypes are maps, channels are places; best of class, then linear",
        partial(encoders.plain, 8),
        partial(distances.ChannelsAsPlaces, 9),
        IMAGE,
        _euclidean(decision="best", locations=8, channels=9),
    ),
    Family(
        "lvq",
        "GLVQ on features behind a small network: the class of the nearest prototype",
        partial(encoders.vector, 8),
        partial(distances.Lvq, 8),
        VECTOR,
        _euclidean(decision="best", cuts=((1, 8),), locations=1),
    ),
    Family(
        "lvq-matrix",
        "GMLVQ as |A z - A p|^2: the matrix is the encoder's last layer",
        partial(encoders.vector, 8),
        partial(distances.MatrixLvq, 8, differences=False),
        VECTOR,
        _euclidean(decision="best", cuts=((1, 8),), locations=1),
    ),
    Family(
        "lvq-matrix-differences",
        "GMLVQ as |A (z - p)|^2: no tensor of the graph is A z",
        partial(encoders.vector, 8),
        partial(distances.MatrixLvq, 8, differences=True),
        VECTOR,
        Refused("a full matrix, applied to differences only"),
    ),
    Family(
        "signal-labels",
        "ProtoPNet over time with one sigmoid per label",
        partial(encoders.signal, 8),
        partial(distances.Labels, 8),
        SIGNAL,
        _euclidean(decision="labels", cuts=((1, 8, 6),), locations=6),
    ),
    Family(
        "signal-distance",
        "ProtoECGNet 1D with distances: the library's pairwise distance, not squared, log ratio",
        partial(encoders.SignalVector, 8),
        partial(distances.SignalDistance, 8),
        SIGNAL,
        _euclidean(decision="labels", cuts=((1, 8),), locations=1, features=30),
    ),
)

FAMILIES = PROTOPNET + OTHERS
