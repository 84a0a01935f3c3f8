"""The contact sheet: the training patch behind every prototype, as one PNG."""

from __future__ import annotations

import numpy as np

from models.projection import Origin
from protoproof.report.page.sheet import COLUMNS as COLUMNS
from protoproof.report.page.sheet import tiled as tiled


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
