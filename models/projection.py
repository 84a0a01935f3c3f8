"""Projection: every prototype becomes the latent of a real training patch of its class.

This is what makes a prototype showable: after projection, "similar to prototype j" means "similar
to this patch of this training image", and the provenance recorded here finds the patch again.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from models.protopnet import ProtoPNet
from protoproof.errors import TrainingError

CANDIDATES = 2048
"""Nearest patches remembered per prototype, to choose distinct ones from."""
FEW_IMAGES = 64
"""A class with fewer images offers every location of each, not only the nearest one."""
DISTINCT = 1e-4
"""Squared distance below which two prototypes count as the same (the similarity's epsilon)."""
BATCH = 256


class Origin(BaseModel):
    """Where a prototype comes from: a location of the latent of one training image."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    prototype: int
    class_: int
    image: int
    location: tuple[int, int]
    box: tuple[int, int, int, int]


def batches(images: Tensor, size: int = BATCH) -> Iterator[Tensor]:
    """Consecutive slices of at most ``size`` images."""
    for start in range(0, len(images), size):
        yield images[start : start + size]


@torch.no_grad()
def project(
    model: ProtoPNet,
    images: Float[Tensor, "image input_channel height width"],
    labels: Int[Tensor, "image"],
) -> tuple[Origin, ...]:
    """Move every prototype onto the nearest training patch of its class; return the origins.

    The model must be in evaluation mode. Where several prototypes of the network would land on
    (nearly) the same latent, the later one takes its next nearest patch, so that prototypes stay
    distinct; only where a class has too few patches does one serve twice.
    """
    if model.training:
        raise TrainingError("projection needs the model in evaluation mode: call model.eval()")
    columns = model.architecture.grid[1]
    field = model.architecture.receptive_field()
    size = (images.shape[2], images.shape[3])
    origins: list[Origin] = []
    chosen: list[Tensor] = []
    used: set[tuple[int, int]] = set()
    for class_ in range(model.head.out_features):
        members = torch.nonzero(labels == class_).flatten()
        mine = torch.nonzero(model.prototype_class == class_).flatten()
        patches = _nearest_patches(model, images[members], mine)
        for prototype, candidates in zip(mine.tolist(), patches, strict=True):
            places = [(int(members[image]), location) for image, location in candidates]
            image, location = _pick(model, images, places, chosen, used)
            used.add((image, location))
            chosen.append(_latents(model, images, [(image, location)])[0])
            place = (location // columns, location % columns)
            origins.append(
                Origin(
                    prototype=prototype,
                    class_=class_,
                    image=image,
                    location=place,
                    box=field.box(place, size),
                )
            )
    model.prototypes.copy_(torch.stack(chosen).view_as(model.prototypes))
    return tuple(origins)


def _nearest_patches(
    model: ProtoPNet, images: Tensor, prototypes: Tensor
) -> list[list[tuple[int, int]]]:
    """Per prototype the nearest patches as (image, location), nearest first.

    One patch per image (its nearest location) when there are images enough, which shows more
    different images; otherwise every location is a candidate.
    """
    points = model.prototypes[prototypes]
    locations = model.architecture.grid[0] * model.architecture.grid[1]
    every = len(images) < FEW_IMAGES
    best = torch.full((len(prototypes), 0), float("inf"))
    where = torch.zeros((len(prototypes), 0), dtype=torch.int64)
    for start, part in zip(range(0, len(images), BATCH), batches(images), strict=True):
        measured = model.measure(model.encoder(part), points).flatten(2)
        index = torch.arange(start * locations, (start + len(part)) * locations)
        index = index.view(1, len(part), locations).expand_as(measured.transpose(0, 1))
        found = measured.transpose(0, 1)
        if not every:
            found, nearest = found.min(dim=2, keepdim=True)
            index = index.gather(2, nearest)
        best = torch.cat([best, found.flatten(1)], dim=1)
        where = torch.cat([where, index.flatten(1)], dim=1)
        # A stable sort keeps the earlier image on ties, so the result is reproducible.
        order = best.sort(dim=1, stable=True).indices[:, :CANDIDATES]
        best, where = best.gather(1, order), where.gather(1, order)
    return [[divmod(index, locations) for index in row] for row in where.tolist()]


def _latents(
    model: ProtoPNet, images: Tensor, places: list[tuple[int, int]]
) -> Float[Tensor, "place channel"]:
    parts = [model.encoder(part) for part in batches(images[[image for image, _ in places]])]
    latent = torch.cat(parts).flatten(2)
    return latent[torch.arange(len(places)), :, [location for _, location in places]]


def _pick(
    model: ProtoPNet,
    images: Tensor,
    places: list[tuple[int, int]],
    chosen: list[Tensor],
    used: set[tuple[int, int]],
) -> tuple[int, int]:
    """The nearest patch with a new latent, else the nearest unused patch, else the nearest."""
    if not chosen:
        return places[0]
    for start in range(0, len(places), BATCH):
        part = places[start : start + BATCH]
        latents = _latents(model, images, part)
        gaps = (latents[:, None] - torch.stack(chosen)[None]).square().sum(dim=2).amin(dim=1)
        for place, gap in zip(part, gaps.tolist(), strict=True):
            if place not in used and gap > DISTINCT:
                return place
    return next((place for place in places if place not in used), places[0])
