"""The contact sheet: the training patch behind every prototype, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from models.projection import Origin

COLUMNS = 10


def contact_sheet(images: np.ndarray, origins: tuple[Origin, ...], tile: tuple[int, int]) -> bytes:
    """PNG bytes; tile i (row-major, ``COLUMNS`` per row) is the patch of prototype i.

    Patches are cut from the original images [image, channel, row, column] in [0,1] and resized
    to ``tile`` (rows, columns): at the border a patch is smaller than its receptive field.
    """
    patches = []
    for origin in origins:
        y0, x0, y1, x1 = origin.box
        patches.append(images[origin.image, :, y0:y1, x0:x1])
    return tiled(patches, tile)


def tiled(patches: Sequence[np.ndarray], tile: tuple[int, int]) -> bytes:
    """PNG bytes of pictures [channel, row, column] in [0,1], each resized to ``tile``."""
    rows = -(-len(patches) // COLUMNS)
    channels = patches[0].shape[0]
    sheet = np.zeros((rows * tile[0], COLUMNS * tile[1], channels), dtype=np.uint8)
    for index, patch in enumerate(patches):
        pixels = np.rint(patch.transpose(1, 2, 0) * 255).astype(np.uint8)
        top, left = (index // COLUMNS) * tile[0], (index % COLUMNS) * tile[1]
        sheet[top : top + tile[0], left : left + tile[1]] = _resized(pixels, tile)
    stream = BytesIO()
    Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet).save(stream, format="PNG")
    return stream.getvalue()


def _resized(pixels: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    if pixels.shape[:2] == tile:
        return pixels
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(picture.resize((tile[1], tile[0]), Image.Resampling.BILINEAR))
    return resized.reshape(*tile, pixels.shape[2])
