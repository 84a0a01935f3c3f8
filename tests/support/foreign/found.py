"""What was recognised, as the list words it, and evaluated next to the runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from protoproof.explanation.explainer import Explainer
from protoproof.network import Network, load
from protoproof.network.head.head import Head
from tests.support.foreign.family import Form
from tests.support.foreign.precise import Precise
from tests.support.foreign.running import Floats, load_model, run

POOLING = {"largest": "k-largest mean"}  # the list's word where it is another one


def form_of(network: Network) -> Form:
    """The normal form of a loaded network."""
    head, cuts = network.head, network.recognised.cuts
    pooling = sorted({POOLING.get(kind, kind) for kind in head.pooling_of.kinds})
    return Form(
        head.geometry,
        tuple(pooling),
        head.decision.kind,
        tuple(tuple(cut.shape) for cut in cuts),
        head.locations,
        head.channels,
        len(head.prototypes),
        head.classes,
    )


def latents(network: Network, tensors: Mapping[str, NDArray[np.float32]]) -> Floats:
    """The latent [L, D] of one image, from the tensors at the cuts."""
    cuts = network.recognised.cuts
    parts = [tensors[cut.tensor].reshape(-1)[cut.sites] for cut in cuts]
    return np.concatenate(parts).astype(np.float64)


def scores(head: Head, latent: Floats) -> Floats:
    """The scores [K] of a latent, in float64."""
    return np.asarray(head.logits(head.activation(head.measurement(latent))))


@dataclass(frozen=True)
class Computed:
    """Scores [image, K]: of the head, of the graph behind the latent, and the runtime's."""

    ours: Floats
    precise: Floats
    runtime: Floats


def computed(
    network: Network, model: ModelProto, images: Sequence[NDArray[np.float32]], output: str
) -> Computed:
    """What the recognised head gives for the latents of images, and what ``output`` is."""
    names = network.recognised.latents
    behind = Precise(model, names, output)
    seen = run(model, [*names, output], images)
    tensors = [dict(zip(names, one, strict=False)) for one in seen]
    return Computed(
        np.stack([scores(network.head, latents(network, one)) for one in tensors]),
        np.stack([behind(one[:-1]) for one in seen]),
        np.stack([one[-1].reshape(-1) for one in seen]).astype(np.float64),
    )


@cache
def explainer(path: Path, output: int = 0) -> Explainer:
    """What explains the inputs of a network, made once."""
    return Explainer(loaded(path, output)[0])


@cache
def loaded(path: Path, output: int = 0) -> tuple[Network, ModelProto, str]:
    """The network, its message, and the name of the output that is meant; read once."""
    model = load_model(path)
    name = model.graph.output[output].name
    network = load(path, output=name) if len(model.graph.output) > 1 else load(path)
    return network, model, name
