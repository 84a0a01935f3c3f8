"""Where prototypes come from: the training place nearest to each, and moving prototypes there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.corpora.corpus import Corpus
from models.heads.base import Head
from models.trunk import Trunk

CHUNK = 256


@dataclass(frozen=True)
class Place:
    """A location of the latent of a training sample, and the part of the sample that it sees.

    ``location`` and ``box`` (y0, x0, y1, x1; ends excluded) have one row for a signal.
    """

    sample: int
    label: int
    location: tuple[int, int]
    box: tuple[int, int, int, int]


@torch.no_grad()
def nearest_places(encoder: Trunk, head: Head, corpus: Corpus) -> tuple[Place, ...]:
    """For each prototype, in the order of the banks, the nearest place not taken by another.

    Only samples of the prototype's class count where it has one, and support samples alone where
    the corpus has some. One place per sample is considered: its nearest.
    """
    first = len(corpus.x_train) - corpus.support if corpus.support else 0
    x = torch.from_numpy(corpus.x_train[first:])
    y = torch.from_numpy(corpus.y_train[first:])
    values, where = [], []
    for part in x.split(CHUNK):
        best, place = head.closeness(encoder(part)).max(dim=2)
        values.append(best)
        where.append(place)
    closeness, locations = torch.cat(values), torch.cat(where)
    grid = _grid(encoder(x[:1]))
    taken: set[tuple[int, int]] = set()
    places = []
    for prototype in range(closeness.shape[1]):
        order = _allowed(closeness[:, prototype], y, head.owner, prototype)
        candidates = [(int(i), int(locations[i, prototype])) for i in order]
        sample, location = next((c for c in candidates if c not in taken), candidates[0])
        taken.add((sample, location))
        row, column = divmod(location, grid[1])
        label = int(y[sample]) if y.ndim == 1 else int(head.owner[prototype])
        box = encoder.receptive_field().box((row, column), _size(corpus))
        places.append(Place(first + sample, label, (row, column), box))
    return tuple(places)


@torch.no_grad()
def place_prototypes(encoder: Trunk, head: Head, corpus: Corpus, places: tuple[Place, ...]) -> None:
    """Every prototype becomes the latent of its place."""
    start = 0
    for index in range(len(head.banks(encoder(torch.from_numpy(corpus.x_train[:1]))))):
        moved: list[Tensor] = []
        count = 1
        while len(moved) < count:
            place = places[start + len(moved)]
            x = torch.from_numpy(corpus.x_train[place.sample : place.sample + 1])
            vectors, prototypes = head.banks(encoder(x))[index]
            count = len(prototypes)
            columns = vectors.shape[-1]
            moved.append(vectors.flatten(2)[0, :, place.location[0] * columns + place.location[1]])
        prototypes.copy_(torch.stack(moved))
        start += count


def _allowed(closeness: Tensor, labels: Tensor, owner: Tensor, prototype: int) -> list[int]:
    """Samples that may stand for the prototype, nearest first; ties by their order."""
    order = closeness.sort(descending=True, stable=True).indices
    if len(owner) == 0:
        return order.tolist()
    wanted = int(owner[prototype])
    mine = labels == wanted if labels.ndim == 1 else labels[:, wanted] > 0
    return order[mine[order]].tolist()


def _grid(latent: Tensor) -> tuple[int, int]:
    return (1, latent.shape[2]) if latent.ndim == 3 else (latent.shape[2], latent.shape[3])


def _size(corpus: Corpus) -> tuple[int, int]:
    return (1, corpus.shape[1]) if len(corpus.shape) == 2 else (corpus.shape[1], corpus.shape[2])
