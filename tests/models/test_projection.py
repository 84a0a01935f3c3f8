"""The projection law: every prototype *is* the latent of the patch that its origin names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.architecture import plan
from models.checkpoint import load_checkpoint
from models.projection import DISTINCT, project
from models.protopnet import ProtoPNet
from models.train import TrainResult
from protoproof.data.dataset import Dataset
from protoproof.errors import TrainingError


def _network(prototypes_per_class: int) -> ProtoPNet:
    torch.manual_seed(1)
    architecture = plan((3, 12, 14), 3, 8)
    return ProtoPNet(architecture, 3, prototypes_per_class, [0.3] * 3, [0.3] * 3).eval()


@torch.no_grad()
def test_prototypes_are_latents_of_their_patches(colour_data: Dataset) -> None:
    model = _network(4)
    images, labels = torch.from_numpy(colour_data.x_train), torch.from_numpy(colour_data.y_train)
    origins = project(model, images, labels)
    assert [origin.prototype for origin in origins] == list(range(12))
    for origin in origins:
        assert origin.class_ == model.prototype_class[origin.prototype] == labels[origin.image]
        latent = model.encoder(images[origin.image : origin.image + 1])[0]
        row, column = origin.location
        difference = latent[:, row, column] - model.prototypes[origin.prototype].flatten()
        assert difference.abs().max() < 1e-6  # one image or a batch: reordered float32 sums
    assert len({(origin.image, origin.location) for origin in origins}) == 12


@torch.no_grad()
def test_the_nearest_patch_of_the_class_is_taken(colour_data: Dataset) -> None:
    model = _network(1)
    images, labels = torch.from_numpy(colour_data.x_train), torch.from_numpy(colour_data.y_train)
    before = model.prototypes.clone()
    distances = model.measure(model.encoder(images), before)
    origins = project(model, images, labels)
    for origin in origins:
        mine = distances[labels == origin.class_, origin.prototype]
        found = distances[(origin.image, origin.prototype, *origin.location)]
        assert found <= mine.min() + 1e-6


@torch.no_grad()
def test_equal_prototypes_are_spread_over_different_patches(colour_data: Dataset) -> None:
    model = _network(4)
    model.prototypes[:] = 0.5
    project(model, torch.from_numpy(colour_data.x_train), torch.from_numpy(colour_data.y_train))
    points = model.prototypes.flatten(1).double()
    gaps = torch.cdist(points, points).square() + torch.eye(12)
    assert gaps.min() > DISTINCT / 2


@torch.no_grad()
def test_too_few_patches_serve_twice() -> None:
    torch.manual_seed(1)
    model = ProtoPNet(plan((1, 8, 8), 1, 4), 2, 3, [0.5], [0.3]).eval()
    images, labels = torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 1])
    origins = project(model, images, labels)
    assert [origin.image for origin in origins[:3]] == [0, 0, 0]
    assert {origin.image for origin in origins[3:]} == {1, 2}


def test_projection_refuses_batch_statistics() -> None:
    model = _network(1).train()
    with pytest.raises(TrainingError, match="evaluation mode"):
        project(model, torch.rand(2, 3, 12, 14), torch.tensor([0, 1]))


@torch.no_grad()
def test_a_trained_network_obeys_the_law(trained: TrainResult, colour_data: Dataset) -> None:
    record, model = load_checkpoint(trained.checkpoint)
    assert record.origins == trained.origins
    for origin in record.origins:
        image = torch.from_numpy(colour_data.x_train[origin.image][np.newaxis])
        latent = model.encoder(image)[0, :, origin.location[0], origin.location[1]]
        assert (latent - model.prototypes[origin.prototype].flatten()).abs().max() < 1e-6
