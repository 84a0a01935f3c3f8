"""The network's parts against their definitions."""

from __future__ import annotations

import torch

from models.architecture import plan
from models.protopnet import ProtoPNet, cluster_cost, separation_cost, similarity


def _network() -> ProtoPNet:
    torch.manual_seed(0)
    return ProtoPNet(plan((1, 12, 12), 3, 8), 3, 2, [0.3], [0.4]).eval()


def test_measurements_are_squared_distances() -> None:
    model = _network().double()
    latent = torch.rand(4, 8, 3, 3, dtype=torch.float64)
    measured = model.measure(latent, model.prototypes)
    direct = (latent[:, None] - model.prototypes[None]).square().sum(dim=2)
    torch.testing.assert_close(measured, direct, rtol=0, atol=1e-12)
    itself = model.measure(model.prototypes, model.prototypes).diagonal().flatten()
    assert (itself < 1e-12).all()


def test_activation_is_the_largest_similarity_over_locations() -> None:
    model = _network()
    output = model(torch.rand(5, 1, 12, 12))
    every = similarity(output.measurement).flatten(2)
    torch.testing.assert_close(output.activation, every.amax(dim=2))
    torch.testing.assert_close(output.logits, output.activation @ model.head.weight.T)


def test_the_last_layer_starts_with_the_published_votes() -> None:
    weight = _network().head.weight
    expected = torch.full((3, 6), -0.5)
    for prototype, class_ in enumerate([0, 0, 1, 1, 2, 2]):
        expected[class_, prototype] = 1.0
    assert torch.equal(weight, expected)


def test_similarity_falls_from_its_maximum_to_zero() -> None:
    q = torch.tensor([0.0, 1e-3, 0.1, 1.0, 100.0], dtype=torch.float64)
    values = similarity(q)
    assert (values.diff() < 0).all()
    assert (values > 0).all()
    torch.testing.assert_close(values[0].exp(), torch.tensor(1e4, dtype=torch.float64))


def test_costs_look_at_the_nearest_prototype_of_the_right_classes() -> None:
    own = _network().own_class()
    nearest = torch.tensor([[1.0, 2.0, 9.0, 4.0, 3.0, 8.0], [5.0, 6.0, 7.0, 2.0, 9.0, 1.0]])
    labels = torch.tensor([0, 1])
    assert cluster_cost(nearest, labels, own) == (1.0 + 2.0) / 2
    assert separation_cost(nearest, labels, own) == -(3.0 + 1.0) / 2
