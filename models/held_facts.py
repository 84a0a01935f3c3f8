"""The bound behind training for explanations: one fact that holds all over a region, and forces.

The fact names the prototype j of the image's class that surely stays nearest: the least upper bound
u of its squared distance over the region, by intervals through the encoder. *Some latent vector of
every image of the region is within sqrt(u) of p_j* then is a fact of the whole region. What it says
about every other prototype k, whatever the latent, is the triangle inequality,

    |p_j - p_k| - sqrt(u)  <=  |z - p_k|  <=  |p_j - p_k| + sqrt(u),

and these ranges bound the similarities, and they the margins W_y - W_k. Where all of them are
positive, "prototype j is seen at least so strongly" is an explanation by itself: it is met by every
image of the region, and every latent that meets it has the class. Both halves are differentiable,
so a loss on these margins trains encoder and prototypes for it: tight images, prototypes of
different classes far apart. The bound of the margins is that of Saralajew, Holdijk and Villmann
("Fast Adversarial Robustness Certification of Nearest Prototype Classifiers for Arbitrary
Seminorms", NeurIPS 2020), here for similarities and votes and behind an encoder; the bound of
the encoder is interval bound propagation (see :mod:`models.intervals`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from models.intervals import (
    Box,
    all_won,
    encoder_bounds,
    input_box,
    margin_bounds,
    measurement_bounds,
)
from models.protopnet import ProtoPNet, similarity

LEAST = 1e-12
"""Least squared distance that a fact states: the root has no gradient at 0. A larger distance is a
weaker fact, so the bounds stay true."""


class HeldFact(NamedTuple):
    """For each image: the named prototype, and how far from it the latent is at most (a length)."""

    prototype: Int[Tensor, "image"]
    distance: Float[Tensor, "image"]


def held_fact(
    measurement: Box, own: Bool[Tensor, "class_ prototype"], labels: Int[Tensor, "image"]
) -> HeldFact:
    """The strongest fact about a prototype of the label that holds over the region.

    ``measurement`` bounds squared distances [image, prototype, row, column] there. The nearest
    location of an image is at most as far as the location with the least upper bound.
    """
    most = measurement.upper.flatten(2).amin(dim=2)
    squared, prototype = most.masked_fill(~own[labels], float("inf")).min(dim=1)
    return HeldFact(prototype, squared.clamp(min=LEAST).sqrt())


def implied_activations(fact: HeldFact, prototypes: Float[Tensor, "prototype channel 1 1"]) -> Box:
    """Bounds of all similarities [image, prototype] over every latent vector that meets the fact.

    For a latent of one location: further locations would be free to come near other prototypes.
    """
    points = prototypes.flatten(1)
    apart = torch.linalg.vector_norm(points[fact.prototype].unsqueeze(1) - points, dim=2)
    reach = fact.distance.unsqueeze(1)
    near, far = torch.relu(apart - reach), apart + reach
    return Box(similarity(far * far), similarity(near * near))


def fact_bounds(model: ProtoPNet, measurement: Box, labels: Int[Tensor, "image"]) -> Box:
    """Bounds of all similarities that follow from the held fact alone."""
    return implied_activations(held_fact(measurement, model.own_class(), labels), model.prototypes)


@torch.no_grad()
def held(
    model: ProtoPNet, x: Tensor, labels: Tensor, radius: float, batch: int = 32
) -> Bool[Tensor, "image"]:
    """Which images have one fact that holds all over the ball and forces their label.

    Intervals alone, evaluation mode, a latent of one location.
    """
    proved = []
    for start in range(0, len(x), batch):
        part, truth = x[start : start + batch], labels[start : start + batch]
        latent = encoder_bounds(model.encoder, input_box(part, radius))
        bounds = fact_bounds(model, measurement_bounds(latent, model.prototypes), truth)
        proved.append(all_won(margin_bounds(bounds, model.head.weight, truth), truth))
    return torch.cat(proved)
