"""Pictures of prototypes, looked for in training images: the patch that each one is nearest to.

Where a prototype was a patch's latent, as most families make them, that patch is found. Elsewhere
the nearest one is shown, and called so: an observation about these images, never proved.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError
from protoproof.network import Network
from protoproof.report.files.nearest_patches import Training
from protoproof.report.page.images import crop, input_picture
from protoproof.report.page.reading import reading_of
from protoproof.report.page.sheet import COLUMNS, tiled_pixels

MOST_INSIDE = 4 << 20  # bytes of pictures in a model's own file
_LARGEST = 96  # pixels of a tile's longer side
_ROUNDED = 1e-4  # of a prototype's length: what float32 on another machine may change


@dataclass(frozen=True)
class Pictures:
    """The provenance's text and the sheet it names, to lie beside a model; or one text inside it.

    ``exact``: how many prototypes are the latent of their patch, up to rounding.
    """

    provenance: bytes
    sheet: bytes
    exact: int

    @property
    def inside(self) -> str | None:
        """Both in one text for the model's metadata; None where they are large."""
        if len(self.sheet) > MOST_INSIDE:
            return None
        facts = json.loads(self.provenance)
        del facts["sheet"]["file"]
        facts["sheet"]["png"] = base64.b64encode(self.sheet).decode("ascii")
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def prototype_pictures_of(network: Network, training: Training, sheet: str) -> Pictures:
    """The nearest patch of every prototype, among the training images.

    Args:
        network: that the pictures are of.
        training: the images.
        sheet: the name of the sheet's file.

    Raises:
        InputError: the images do not fit the network, or there is none.
    """
    origins, tiles, exact = [], [], 0
    latent = np.zeros((network.head.locations, network.head.channels))
    reading = reading_of(network, latent, 0)  # for where locations lie
    for j, near in enumerate(_nearest(network, training)):
        if near is None:
            raise InputError(
                f"{training.name}: shows nothing that prototype {j} can be measured at"
            )
        picture = input_picture(network, training.read(near.image))
        height, width = picture.shape[:2]
        box = reading.box(near.location, picture) or (0, 0, height, width)
        tiles.append(crop(picture, box))
        exact += near.own
        origins.append(
            {"prototype": j, "image": near.image, "box": list(box), "nearest": not near.own}
        )
    tile = _tile(tiles)
    facts = {
        "schema": "protoproof.provenance/1",
        "data": {"name": training.name, "searched": training.searched},
        "sheet": {"file": sheet, "tile": list(tile), "columns": COLUMNS},
        "prototypes": origins,
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return Pictures(text.encode(), tiled_pixels(tiles, tile), exact)


@dataclass(frozen=True)
class _Near:
    """A patch; ``own``: its latent is the prototype, up to float32 rounding."""

    image: int
    location: int
    own: bool


def _nearest(network: Network, training: Training) -> list[_Near | None]:
    """Per prototype the patch that it measures least at; None where it can be measured nowhere."""
    prototypes = network.head.prototypes
    count, each = len(prototypes), np.arange(len(prototypes))
    best, vector = np.full(count, np.inf), np.zeros_like(prototypes)
    image, location = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for index in training.indices:
        seen = network.observe(training.read(index)).latent.astype(np.float64)
        measured = network.head.measurement(seen)
        where = measured.argmin(axis=0)
        better = measured[where, each] < best
        best[better] = measured[where, each][better]
        image[better], location[better] = index, where[better]
        vector[better] = seen[where[better]]
    size = np.linalg.norm(prototypes, axis=1)
    own = np.linalg.norm(vector - prototypes, axis=1) <= _ROUNDED * size
    return [
        _Near(int(image[j]), int(location[j]), bool(own[j])) if np.isfinite(best[j]) else None
        for j in each
    ]


def _tile(tiles: list[NDArray[np.uint8]]) -> tuple[int, int]:
    height = max(tile.shape[0] for tile in tiles)
    width = max(tile.shape[1] for tile in tiles)
    shrink = max(1.0, max(height, width) / _LARGEST)
    return max(1, round(height / shrink)), max(1, round(width / shrink))
