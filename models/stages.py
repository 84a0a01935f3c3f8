"""The stages of training before and after projection: joint, and last layer.

Every stage draws its batches from the generator it is given and touches no global state, so a
seed decides the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.held_facts import fact_bounds
from models.intervals import (
    Box,
    activation_bounds,
    encoder_bounds,
    input_box,
    margin_bounds,
    measurement_bounds,
    worst_margins,
)
from models.progress import Progress
from models.projection import BATCH, batches
from models.protopnet import ProtoPNet, cluster_cost, separation_cost
from models.recipe import Recipe
from protoproof.errors import TrainingError

RAMP = (0.05, 0.6)
"""Share of the joint stage at which the training radius starts to grow, and is fully grown."""
SILENT = 1e-3
"""Off-class votes below this become exactly zero. Adam hovers around the zero that the L1 cost asks
for; an activation is at most log(1/eps) < 9.3, so such a vote moves a logit by less than 0.01."""


@dataclass(frozen=True)
class Samples:
    """Training images [image, channel, row, column] in [0,1] and their labels."""

    images: Tensor
    labels: Tensor

    def shuffled(self, batch: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of batches; a last batch of a single image is left out (batch norm)."""
        order = torch.randperm(len(self.labels), generator=generator)
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            if len(part) > 1:
                yield self.images[part], self.labels[part]


def joint(
    model: ProtoPNet,
    samples: Samples,
    recipe: Recipe,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Train encoder and prototypes together; the last layer keeps its initial votes.

    With ``certified_eps`` the loss becomes a mix of the ordinary and the worst-case cross
    entropy: the radius and the share of the worst case grow along a ramp, because interval bounds
    of an untrained network are too wide to learn from. Training for explanations adds what follows
    from one fact: see ``_explained_loss``.
    """
    parameters = [*model.encoder.parameters(), model.prototypes]
    steps = recipe.epochs * math.ceil(len(samples.labels) / recipe.batch)
    schedule = _warm_cosine(steps)

    def loss(step: int, x: Tensor, y: Tensor) -> Tensor:
        return _loss(model, x, y, recipe, _ramp(step / steps))

    model.train()
    _descend(loss, parameters, samples, recipe, recipe.epochs, schedule, generator, progress)
    model.eval()


def last_layer(
    model: ProtoPNet,
    samples: Samples,
    recipe: Recipe,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Optimise the last layer alone, with an L1 cost that drives off-class votes to zero.

    Encoder and prototypes are fixed, so activations (and their bounds) are computed once and the
    rest is a convex problem.
    """
    clean, boxes = _activations(model, samples, recipe)
    weight = model.head.weight
    off_class = ~model.own_class()

    def loss(_: int, rows: Tensor, y: Tensor) -> Tensor:
        cost = recipe.l1 * (weight * off_class).abs().sum()
        ordinary = nn.functional.cross_entropy(clean[rows] @ weight.T, y)
        if not boxes:
            return ordinary + cost
        shares = (1 - recipe.fact_share, recipe.fact_share)[: len(boxes)]
        robust = torch.zeros(())
        for share, box in zip(shares, boxes, strict=True):
            worst = margin_bounds(Box(box.lower[rows], box.upper[rows]), weight, y)
            robust = robust + share * nn.functional.cross_entropy(-worst, y)
        return cost + (1 - recipe.robust_share) * ordinary + recipe.robust_share * robust

    indexed = Samples(torch.arange(len(samples.labels)), samples.labels)
    epochs = recipe.last_layer_epochs
    steps = max(1, epochs * math.ceil(len(samples.labels) / recipe.batch))
    _descend(
        loss,
        [weight],
        indexed,
        recipe,
        epochs,
        lambda step: _cosine(step / steps),
        generator,
        progress,
    )
    with torch.no_grad():
        weight[off_class & (weight.abs() < SILENT)] = 0.0


def _loss(
    model: ProtoPNet,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    ramp: float,
) -> Tensor:
    if recipe.fact_share > 0 and recipe.training_eps is not None:
        return _explained_loss(model, x, y, recipe.training_eps * ramp, recipe.fact_share)
    own = model.own_class()
    output = model(x)
    loss = nn.functional.cross_entropy(output.logits, y)
    if recipe.certified_eps is not None and ramp > 0:
        margins = worst_margins(model, x, y, ramp * recipe.certified_eps)
        share = ramp * recipe.robust_share
        loss = (1 - share) * loss + share * nn.functional.cross_entropy(-margins, y)
    loss = loss + recipe.cluster * cluster_cost(output.nearest, y, own)
    return loss + recipe.separation * separation_cost(output.nearest, y, own)


def _explained_loss(
    model: ProtoPNet, x: Tensor, y: Tensor, radius: float, fact_share: float
) -> Tensor:
    """Cross entropy of the worst case over the ball, and over all latents that meet its fact.

    At radius 0, where the ramp starts, the first is the ordinary one; and the second pulls images
    to a prototype of their class and prototypes of different classes apart, so that the published
    costs for both are not needed.
    """
    latent = encoder_bounds(model.encoder, input_box(x, radius))
    measurement = measurement_bounds(latent, model.prototypes)
    worst, forced = (
        nn.functional.cross_entropy(-margin_bounds(box, model.head.weight, y), y)
        for box in (activation_bounds(measurement), fact_bounds(model, measurement, y))
    )
    return (1 - fact_share) * worst + fact_share * forced


def _descend(
    loss: Callable[[int, Tensor, Tensor], Tensor],
    parameters: Sequence[Tensor],
    samples: Samples,
    recipe: Recipe,
    epochs: int,
    schedule: Callable[[int], float],
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Adam with clipped gradients; ``schedule`` maps a step to a factor of the learning rate."""
    optimiser = torch.optim.Adam(parameters, lr=recipe.learning_rate)
    step = 0
    for _ in range(epochs):
        total = torch.zeros(())
        count = 0
        for x, y in samples.shuffled(recipe.batch, generator):
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * schedule(step)
            value = loss(step, x, y)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(value)
            nn.utils.clip_grad_norm_(parameters, 10.0)
            optimiser.step()
            total += value.detach()
            step, count = step + 1, count + 1
        mean = float(total) / max(1, count)
        if not math.isfinite(mean):
            raise TrainingError(
                "training diverged (the loss is not finite): try another --seed or more images"
            )
        progress.epoch(mean)


@torch.no_grad()
def _activations(
    model: ProtoPNet, samples: Samples, recipe: Recipe
) -> tuple[Float[Tensor, "image prototype"], list[Box]]:
    """Activations of all training images and, in certified training, their bounds.

    Bounds over the ball, and in training for explanations those that follow from its fact.
    """
    radius = recipe.training_eps
    clean: list[Tensor] = []
    bounds: list[list[Box]] = []
    size = BATCH if radius is None else 32
    for part, y in zip(batches(samples.images, size), batches(samples.labels, size), strict=True):
        clean.append(model(part).activation)
        if radius is not None:
            latent = encoder_bounds(model.encoder, input_box(part, radius))
            measurement = measurement_bounds(latent, model.prototypes)
            found = [activation_bounds(measurement)]
            if recipe.fact_share > 0:
                found.append(fact_bounds(model, measurement, y))
            bounds.append(found)
    joined = [
        Box(torch.cat([box.lower for box in kind]), torch.cat([box.upper for box in kind]))
        for kind in zip(*bounds, strict=True)
    ]
    return torch.cat(clean), joined


def _ramp(share: float) -> float:
    start, end = RAMP
    return min(1.0, max(0.0, (share - start) / (end - start)))


def _cosine(share: float) -> float:
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _warm_cosine(steps: int) -> Callable[[int], float]:
    """A short linear rise, then a cosine down to 2%."""
    rise = max(1, min(200, steps // 10))
    return lambda step: min(1.0, (step + 1) / rise) * _cosine(step / steps)
