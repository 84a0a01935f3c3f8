"""The graph, its cut at the latent, and its translation to torch."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from protoproof.errors import InternalError
from protoproof.network import Network, load
from protoproof.network.onnx.graph import Graph, part
from protoproof.network.onnx.torch_graph import TorchGraph
from tests.support.network.builders import DISTANCES, POOLINGS, SIMILARITIES, draft
from tests.support.network.crosscheck import cross_check

OUTPUTS = ("logits", "activation", "measurement", "latent")


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return load(draft().save(tmp_path))


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, 6, 6), dtype=np.float32)


def results(graph: Graph, x: np.ndarray) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found = TorchGraph(graph).double()(torch.from_numpy(x.astype(np.float64)))
    return found if isinstance(found, tuple) else (found,)


def head_part(network: Network) -> Graph:
    """From the latent to all outputs but the latent itself."""
    return part(network.graph, "latent", OUTPUTS[:3])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_whole_graph_in_torch_equals_the_runtime(
    tmp_path: Path, similarity: str, pooling: str, distance: str
) -> None:
    network = load(draft(similarity, pooling, distance, bias=True).save(tmp_path))
    x = images(1)
    seen = network.observe(x[0])
    logits, activation, measurement, latent = results(network.graph, x)
    np.testing.assert_allclose(latent[0].flatten(1).T, seen.latent, atol=1e-6)
    own = network.head.measurement(seen.latent.astype(np.float64))
    np.testing.assert_allclose(measurement[0].flatten(1).T, own, atol=1e-5)
    np.testing.assert_allclose(activation[0], network.head.activation(own), atol=1e-3)
    np.testing.assert_allclose(logits[0], seen.logits, atol=1e-3)


def test_shapes_are_for_one_image(network: Network) -> None:
    shapes = network.graph.shapes
    assert shapes["input"] == (1, 1, 6, 6)
    assert shapes["latent"] == (1, 3, 2, 2)
    assert shapes["p_norm"] == (1, 4, 1, 1)
    assert shapes["logits"] == (1, 2)
    assert network.graph.free_batch


def test_encoder_and_head_are_the_whole(network: Network) -> None:
    x = images(3)
    encoder, head = network.encoder_graph, head_part(network)
    assert {n.output for n in encoder.nodes} == {"c1", "r1", "c2", "latent"}
    assert len(encoder.nodes) + len(head.nodes) == len(network.graph.nodes)
    assert set(encoder.constants) == {"w1", "b1", "w2"}
    (latent,) = results(encoder, x)
    logits, *_ = results(head, latent.numpy())
    torch.testing.assert_close(logits, results(network.graph, x)[0])


def test_batches_in_torch_equal_single_images(network: Network) -> None:
    x = images(5)
    together = results(network.graph, x)
    for index in range(5):
        alone = results(network.graph, x[index : index + 1])
        for whole, single in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[index : index + 1], single)


def test_constant_parts_are_folded_once(network: Network) -> None:
    module = TorchGraph(head_part(network))
    steps = {call.node.output for call, _ in module._steps}
    assert not steps & {"p_squared", "p_sum", "p_norm"}
    assert "z_dot_p" in steps
    folded = [buffer for buffer in module.buffers() if buffer.shape == (1, 4, 1, 1)]
    truth = (network.head.prototypes**2).sum(axis=1).astype(np.float32)
    np.testing.assert_allclose(folded[0].flatten(), truth, rtol=1e-7)


def test_a_fixed_batch_is_not_stretched(tmp_path: Path) -> None:
    parts = draft()
    parts.batch = 1
    network = load(parts.save(tmp_path))
    with pytest.raises(InternalError, match="one image at a time"):
        network.encoder(torch.zeros(2, 1, 6, 6))


def test_encoder_is_differentiable_and_traceable(network: Network) -> None:
    x = torch.from_numpy(images(2)).requires_grad_()
    network.encoder(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).any())


def test_networks_travel_between_processes(network: Network) -> None:
    x = images(1)[0]
    seen = cross_check(network, x)  # fills every cache first
    for other in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):  # noqa: S301
        again = cross_check(other, x)
        np.testing.assert_array_equal(again.logits, seen.logits)
        assert other.sha256 == network.sha256


def test_part_from_a_tensor_to_itself(network: Network) -> None:
    assert part(network.graph, "latent", ("latent",)).nodes == ()
