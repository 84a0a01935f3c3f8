"""The contact sheet: one picture per prototype, as one PNG; see ``patches`` for how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLUMNS = 10


def tiled(patches: Sequence[NDArray[np.floating]], tile: tuple[int, int]) -> bytes:
    """PNG bytes of pictures [channel, row, column] in [0,1], each resized to ``tile``."""
    pixels = [np.rint(patch.transpose(1, 2, 0) * 255).astype(np.uint8) for patch in patches]
    return tiled_pixels(pixels, tile)


def tiled_pixels(patches: Sequence[NDArray[np.uint8]], tile: tuple[int, int]) -> bytes:
    """PNG bytes of 8-bit pictures [row, column] or [row, column, colour], row-major."""
    rows = -(-len(patches) // COLUMNS)
    shaped = [patch if patch.ndim == 3 else patch[..., None] for patch in patches]
    channels = shaped[0].shape[2]
    sheet = np.zeros((rows * tile[0], COLUMNS * tile[1], channels), dtype=np.uint8)
    for index, pixels in enumerate(shaped):
        top, left = (index // COLUMNS) * tile[0], (index % COLUMNS) * tile[1]
        sheet[top : top + tile[0], left : left + tile[1]] = _resized(pixels, tile)
    stream = BytesIO()
    Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet).save(stream, format="PNG")
    return stream.getvalue()


def _resized(pixels: NDArray[np.uint8], tile: tuple[int, int]) -> NDArray[np.uint8]:
    if pixels.shape[:2] == tile:
        return pixels
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(picture.resize((tile[1], tile[0]), Image.Resampling.BILINEAR))
    return resized.reshape(*tile, pixels.shape[2])
