"""Colour pictures that anybody recognises: 415 emoji of Google's Noto set in seven kinds.

The sheet ``emoji/noto.png`` holds the drawings (licence and source beside it). A sample is a
drawing at a random size, angle and place, mirrored or not, on a random plain background, 48x48
pixels. Every fourth drawing of a kind is held out: no held-out sample shows a drawing that was
trained on.
"""

from __future__ import annotations

import json
import math
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from models.corpora.corpus import Corpus

FOLDER = Path(__file__).with_name("emoji")
VIEWS, TEST_VIEWS = 4, 2
"""Samples per drawing: in an epoch of training, and held out."""
SIZE, ANGLE, SHIFT = (0.75, 1.1), 20.0, 0.12
"""Relative size; largest angle in degrees; largest shift as a share of the picture."""
SEED = 0


def emoji() -> Corpus:
    """Seven kinds of emoji, varied by size, angle, place and background."""
    facts = json.loads((FOLDER / "noto.json").read_text(encoding="utf-8"))
    classes = tuple(facts["classes"])
    pictures, labels = drawings(facts)
    rank = np.concatenate([np.arange(count) for count in np.bincount(labels)])
    held_out = rank % 4 == 3
    seen, seen_labels = pictures[~held_out], torch.from_numpy(labels[~held_out])
    generator = torch.Generator().manual_seed(SEED)
    x_train, y_train = views(seen, seen_labels, VIEWS, generator)
    x_test, y_test = views(
        pictures[held_out], torch.from_numpy(labels[held_out]), TEST_VIEWS, generator
    )

    def fresh(epoch: torch.Generator) -> tuple[Tensor, Tensor]:
        balanced = functional.one_hot(seen_labels).float()
        chances = (balanced / balanced.sum(dim=0)).sum(dim=1)
        drawn = torch.multinomial(chances, VIEWS * len(seen), replacement=True, generator=epoch)
        return views(seen[drawn], seen_labels[drawn], 1, epoch)

    return Corpus(
        "emoji",
        x_train.numpy(),
        y_train.numpy(),
        x_test.numpy(),
        y_test.numpy(),
        classes,
        "Noto emoji, Copyright Google, from the npm package emoji-datasource-google 16.0.0",
        "Apache-2.0",
        "drawings at random size, angle and place, half of them mirrored, on plain backgrounds, "
        "newly drawn every epoch; "
        "every fourth drawing of a kind is held out and shown twice",
        fresh=fresh,
        drawn_from=sha256((FOLDER / "noto.png").read_bytes()).hexdigest(),
    )


def drawings(facts: dict[str, object]) -> tuple[Tensor, np.ndarray]:
    """All drawings as [n, 4, 48, 48] in [0,1], colours multiplied by opacity, and their kinds."""
    tile, columns, classes = facts["tile"], facts["columns"], facts["classes"]
    rows = facts["pictures"]
    if not (isinstance(tile, int) and isinstance(columns, int)):
        raise TypeError("tile and columns must be numbers")
    if not (isinstance(classes, list) and isinstance(rows, list)):
        raise TypeError("classes and pictures must be lists")
    with Image.open(FOLDER / "noto.png") as picture:
        sheet = np.asarray(picture.convert("RGBA"), dtype=np.float32) / np.float32(255)
    sheet[..., :3] *= sheet[..., 3:]
    tiles = []
    for index in range(len(rows)):
        top, left = index // columns * tile, index % columns * tile
        tiles.append(sheet[top : top + tile, left : left + tile].transpose(2, 0, 1))
    labels = np.array([classes.index(row["class"]) for row in rows], dtype=np.int64)
    return torch.from_numpy(np.stack(tiles)), labels


def views(
    pictures: Tensor, labels: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``count`` samples of every drawing: turned, resized, moved, half of them mirrored, on a plain
    background.
    """
    pictures, labels = pictures.repeat_interleave(count, 0), labels.repeat_interleave(count, 0)
    number = len(pictures)
    drawn = torch.rand((number, 8), generator=generator)
    angle = (2 * drawn[:, 0] - 1) * math.radians(ANGLE)
    zoom = 1 / (SIZE[0] + (SIZE[1] - SIZE[0]) * drawn[:, 1])
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    across, down = ((2 * drawn[:, 2:4] - 1) * 2 * SHIFT).unbind(1)
    mirrored = torch.where(drawn[:, 7] < 0.5, -1.0, 1.0)
    maps = torch.stack([mirrored * cosine, -mirrored * sine, across, sine, cosine, down], dim=1)
    grid = functional.affine_grid(
        maps.view(number, 2, 3), list(pictures.shape), align_corners=False
    )
    moved = functional.grid_sample(pictures, grid, align_corners=False)
    background = 0.4 + 0.6 * drawn[:, 4:7, None, None]
    samples = moved[:, :3] + (1 - moved[:, 3:]) * background
    # Eight bits per colour, so that a sample is a picture that a file can hold.
    return (samples.clamp(0, 1) * 255).round() / 255, labels
