"""The picture of every prototype: a patch of a sample, a decoded prototype, a piece of a signal."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from models.corpora.corpus import Corpus
from models.heads.base import Head
from models.heads.case_based import CaseBasedHead
from models.origins import Place
from models.sheet import tiled

SIGNAL_TILE = (48, 72)
INK = ((200, 30, 30), (30, 140, 30), (30, 60, 200), (220, 140, 30), (130, 50, 160), (60, 160, 170))
"""One colour per channel of a signal."""


def prototype_sheet(
    head: Head, corpus: Corpus, places: tuple[Place, ...]
) -> tuple[bytes, tuple[int, int]]:
    """PNG bytes with one tile per prototype, in order, and the size of a tile."""
    if isinstance(head, CaseBasedHead):
        drawn = head.pictures().numpy()
        return tiled(list(drawn), drawn.shape[2:]), drawn.shape[2:]
    if len(corpus.shape) == 2:
        pieces = [corpus.x_train[p.sample][:, p.box[1] : p.box[3]] for p in places]
        return tiled([_plot(piece) for piece in pieces], SIGNAL_TILE), SIGNAL_TILE
    patches = []
    for place in places:
        y0, x0, y1, x1 = place.box
        patches.append(corpus.x_train[place.sample][:, y0:y1, x0:x1])
    tile = (max(p.shape[1] for p in patches), max(p.shape[2] for p in patches))
    return tiled(patches, tile), tile


def _plot(piece: np.ndarray) -> np.ndarray:
    """A piece [channel, step] as curves on white [3, row, column]; the height is the extent."""
    rows, columns = SIGNAL_TILE
    picture = Image.new("RGB", (columns, rows), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    extent = max(1.0, float(np.abs(piece).max()))
    across = np.linspace(1, columns - 2, piece.shape[1])
    for values, ink in zip(piece, INK, strict=False):
        down = (rows - 1) / 2 * (1 - values / extent)
        pen.line(list(zip(across.tolist(), down.tolist(), strict=True)), fill=ink)
    return np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
