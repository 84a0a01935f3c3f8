"""What was recognised, as the list words it, and evaluated next to the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from protoproof.network import Network, load
from protoproof.network.head.head import Head
from tests.support.foreign.family import Form
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


def latents(network: Network, tensors: Sequence[NDArray[np.float32]]) -> Floats:
    """The latent [L, D] of one image, from the tensors at the cuts."""
    parts = [
        tensor.reshape(-1)[cut.sites]
        for cut, tensor in zip(network.recognised.cuts, tensors, strict=True)
    ]
    return np.concatenate(parts).astype(np.float64)


def scores(head: Head, latent: Floats) -> Floats:
    """The scores [K] of a latent, in float64."""
    return np.asarray(head.logits(head.activation(head.measurement(latent))))


def computed(
    network: Network, model: ModelProto, images: Sequence[NDArray[np.float32]], output: str
) -> tuple[Floats, Floats]:
    """Scores [image, K] of the recognised head, and what the runtime gives at ``output``."""
    names = [cut.tensor for cut in network.recognised.cuts]
    seen = run(model, [*names, output], images)
    ours = np.stack([scores(network.head, latents(network, one[:-1])) for one in seen])
    return ours, np.stack([one[-1].reshape(-1) for one in seen]).astype(np.float64)


def loaded(path: Path, output: int = 0) -> tuple[Network, ModelProto, str]:
    """The network, its message, and the name of the output that is meant."""
    model = load_model(path)
    name = model.graph.output[output].name
    network = load(path, output=name) if len(model.graph.output) > 1 else load(path)
    return network, model, name
