"""The part of the list that measures projections, angles and channels."""

from __future__ import annotations

from functools import partial

from tests.support.foreign import beyond, channels, encoders, projections
from tests.support.foreign.by_distance import COLOUR, GRID, IMAGE, SIGNAL
from tests.support.foreign.family import Family, Form, Refused


def _form(
    geometry: str = "linear",
    pooling: str = "nearest",
    decision: str = "linear",
    cuts: tuple[tuple[int, ...], ...] = GRID,
    locations: int = 9,
    width: int = 8,
    features: int = 6,
    classes: int = 3,
) -> Form:
    return Form(geometry, (pooling,), decision, cuts, locations, width, features, classes)


def _two() -> encoders.Two:
    """Features of twice the size under two add-ons."""
    return encoders.Two(encoders.upsampled(8), *(encoders.nn.Conv2d(8, 8, 1) for _ in range(2)))


PROJECTIONS = (
    Family(
        "projection",
        "TesNet: max of z . p/|p| over a sigmoid latent, a dense layer",
        partial(encoders.plain, 8),
        partial(projections.Projection, 8),
        IMAGE,
        _form(),
    ),
    Family(
        "projection-two-outputs",
        "TesNet as its forward returns it: logits and the smallest cosine distances",
        partial(encoders.plain, 8),
        partial(projections.Projection, 8, both=True),
        IMAGE,
        _form(),
    ),
    Family(
        "projection-large",
        "TesNet with more coefficients than exporters fold: p/|p| stays a computation",
        partial(encoders.plain, 128),
        partial(projections.Projection, 128, classes=5, each=14),
        IMAGE,
        _form(cuts=((1, 128, 3, 3),), width=128, features=70, classes=5),
    ),
    Family(
        "cosine",
        "CaBRNet's cosine: the product divided by both norms, 1 - (1 - cosine), the maximum",
        partial(encoders.plain, 8, last="none"),
        partial(projections.Cosine, 8),
        IMAGE,
        _form("angular"),
    ),
    Family(
        "directions",
        "TesNet with one prototype for each class and no layer behind the maxima",
        partial(encoders.plain, 8),
        partial(projections.Directions, 8),
        IMAGE,
        _form(features=3),
    ),
    Family(
        "cosine-distance",
        "The mean cosine distance to one prototype for each class, negated, over a temperature",
        partial(encoders.plain, 8, last="none"),
        partial(projections.CosineDistance, 8),
        IMAGE,
        _form("angular", "mean", features=3),
    ),
    Family(
        "cosine-function",
        "The library's cosine similarity of tokens and prototypes; the best token",
        partial(encoders.plain, 8, last="none"),
        partial(projections.CosineFunction, 8),
        IMAGE,
        _form("angular"),
    ),
    Family(
        "cosine-beside",
        "z/(|z| + 0.001) against prototypes that are divided likewise",
        partial(encoders.plain, 8, last="none"),
        partial(projections.CosineBeside, 8),
        IMAGE,
        _form("linear", cuts=((1, 9, 8),)),
    ),
    Family(
        "two-banks",
        "ST-ProtoPNet: relu of cosines in two latents, the logits are added",
        _two,
        partial(projections.TwoBanks, 8),
        COLOUR,
        _form(cuts=((1, 8, 4, 4), (1, 8, 4, 4)), locations=32, features=12),
    ),
    Family(
        "two-banks-two-outputs",
        "ST-ProtoPNet as its forward returns it: the logits of one bank",
        _two,
        partial(projections.TwoBanks, 8, added=False),
        COLOUR,
        _form(cuts=((1, 8, 4, 4),), locations=16),
    ),
    Family(
        "class-weights",
        "EvalProtoPNet: projections weighted within their class and summed",
        partial(encoders.plain, 8),
        partial(projections.ClassWeights, 8),
        IMAGE,
        _form(),
    ),
    Family(
        "deformable",
        "Deformable ProtoPNet without offsets: constants beside z and under the roots, top-1",
        partial(encoders.plain, 8),
        partial(projections.Parts, 8, dense=True),
        IMAGE,
        _form(cuts=((1, 10, 3, 3),), width=10),
    ),
    Family(
        "audio",
        "AudioProtoPNet: the same over a spectrogram, own positive weights and a bias",
        partial(encoders.convnext, 8, inputs=1),
        partial(projections.Parts, 8, dense=False),
        IMAGE,
        _form(cuts=((1, 10, 3, 3),), width=10),
    ),
    Family(
        "hypersphere",
        "Hyperspherical prototype networks: a normalised vector against fixed unit vectors",
        partial(encoders.Pooled, 8),
        partial(projections.Poles, 8),
        IMAGE,
        _form(cuts=((1, 8),), locations=1, features=4, classes=4),
    ),
    Family(
        "signal-arc",
        "ProtoECGNet 1D: the cosine of one vector, one sigmoid per label",
        partial(encoders.SignalVector, 8),
        partial(projections.Arc, 8),
        SIGNAL,
        _form(decision="labels", cuts=((1, 8),), locations=1),
    ),
    Family(
        "signal-stretches",
        "ProtoECGNet 2D: normalised windows of three steps, the mean over the windows",
        partial(encoders.signal, 8),
        partial(projections.Stretches, 8),
        SIGNAL,
        _form("angular", "mean", "labels", ((1, 8, 6),), locations=4, width=24),
    ),
    Family(
        "token-cosine",
        "Patch tokens of a transformer less its class token, normalised; the best token",
        partial(encoders.Tokens, 8),
        partial(projections.TokenCosine, 8),
        IMAGE,
        _form(cuts=((1, 9, 8),)),
    ),
    Family(
        "token-distance",
        "Patch tokens of a transformer against prototypes by squared distance",
        partial(encoders.Tokens, 8),
        partial(projections.TokenDistance, 8),
        IMAGE,
        _form("euclidean", cuts=((1, 10, 8),)),
    ),
    Family(
        "token-global-local",
        "ProtoPFormer: prototypes of the class token and of patch tokens, the logits are added",
        partial(encoders.Transformer, 8),
        partial(projections.GlobalAndLocal, 8),
        IMAGE,
        _form("euclidean", cuts=((1, 10, 8),), locations=10, features=12),
    ),
)

CHANNELS = (
    Family(
        "concepts",
        "PIP-Net as trained: softmax over channels, maximum, non-negative weights",
        partial(encoders.convnext, 8),
        partial(channels.Concepts, 8, clamped=False, bias=True),
        COLOUR,
        _form(features=8),
    ),
    Family(
        "concepts-clamped",
        "PIP-Net as deployed: what is below 0.1 counts as absent",
        partial(encoders.convnext, 8),
        partial(channels.Concepts, 8, clamped=True),
        COLOUR,
        _form(features=8),
    ),
    Family(
        "concepts-volume",
        "PIP-Net for volumes: the same head over three axes",
        partial(encoders.volume, 8),
        partial(channels.Volume, 8),
        (1, 1, 8, 8, 8),
        _form(cuts=((1, 8, 2, 2, 2),), locations=8, features=8),
    ),
    Family(
        "components",
        "CBC 2025: reasons for and against on PIP-Net's latent",
        partial(encoders.residual, 8),
        partial(channels.Components, 8),
        COLOUR,
        _form(features=8),
    ),
    Family(
        "detections",
        "CBC 2019: exp(-q/s), positive and negative reasoning over its sum",
        partial(encoders.vector, 8, last="sigmoid"),
        partial(channels.Detections, 8),
        (1, 6),
        _form("euclidean", cuts=((1, 8),), locations=1, features=5),
    ),
)

BEYOND = (
    Family(
        "greedy-matching",
        "ProtoViT: sub-prototypes matched to distinct tokens in turn",
        partial(encoders.Tokens, 8),
        partial(beyond.GreedyMatching, 8),
        IMAGE,
        Refused("an activation depends on which tokens other sub-prototypes have taken"),
    ),
    Family(
        "token-attention",
        "Patch tokens of the library's transformer, weighted by a softmax of their similarities",
        partial(encoders.Transformer, 8),
        partial(beyond.Attention, 8),
        IMAGE,
        Refused("a weighted mean over locations whose weights are similarities"),
    ),
    Family(
        "divergence",
        "MCPNet: the Jensen-Shannon divergence between concept responses and class centres",
        partial(encoders.plain, 8),
        partial(beyond.Divergence, 8),
        IMAGE,
        Refused("the decision is no linear form of activations"),
    ),
    Family(
        "ordinary",
        "No prototypes: global mean and a perceptron",
        partial(encoders.plain, 8, last="relu"),
        partial(beyond.Ordinary, 8),
        IMAGE,
        Refused("nothing is compared with a prototype"),
    ),
)

FAMILIES = PROJECTIONS + CHANNELS + BEYOND
