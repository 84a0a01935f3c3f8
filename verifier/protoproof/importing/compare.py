"""The written file against outputs of the source network, computed by ONNX Runtime."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.data.npz import read_npz
from protoproof.errors import InputError
from protoproof.extras import require
from protoproof.importing.answers import Scale
from protoproof.network.onnx.runtime import Session

TOLERANCE = 1e-4
"""Of scores, relative to the largest of an input where that is above one."""


@dataclass(frozen=True)
class Agreement:
    """On how many inputs the scores agree, and their largest difference."""

    inputs: int
    largest: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"inputs": self.inputs, "largest_difference": self.largest}


def agreement(content: bytes, archive: Path, scale: Scale) -> Agreement:
    """Compare scores.

    The archive (.npz) holds ``logits`` [n, class], and either ``pictures`` [n, channel, row,
    column], with values as a picture has them, or ``inputs``, normalised as the source network was
    given them.

    Raises:
        InputError: the archive cannot be read, or the scores differ.
    """
    require("explain", "--compare")
    pictures, expected = _read(archive, scale)
    session = Session(content)
    largest = 0.0
    for number, (picture, scores) in enumerate(zip(pictures, expected, strict=True)):
        [found] = session.run(("logits",), {"input": picture[None]})
        if found.shape[1:] != scores.shape:
            raise InputError(f"{archive}: logits have {scores.size} classes, not {found[0].size}")
        apart = float(np.abs(found[0] - scores).max())
        bound = TOLERANCE * max(1.0, float(np.abs(scores).max()))
        if not apart <= bound:
            raise InputError(
                f"{archive}: scores of input {number} differ by {apart:.3g} from what the file "
                "computes (argmax "
                f"{int(scores.argmax())} against {int(found[0].argmax())}): an answer or the "
                "layout is wrong; nothing was written"
            )
        largest = max(largest, apart)
    return Agreement(len(expected), largest)


def _read(archive: Path, scale: Scale) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    kind = "inputs" if _has(archive, "inputs") else "pictures"
    held = read_npz(archive, (kind, "logits"))
    pictures, logits = held[kind].astype(np.float32), held["logits"]
    if kind == "inputs" and scale[0] and pictures.ndim == 4:
        mean, std = (np.array(part, np.float32)[:, None, None] for part in scale)
        pictures = pictures * std + mean
    if pictures.ndim != 4 or logits.ndim != 2 or not 0 < len(pictures) == len(logits):
        raise InputError(
            f"{archive}: is to hold [n, channel, row, column] and logits [n, class], n alike"
        )
    return pictures, logits.astype(np.float32)


def _has(archive: Path, key: str) -> bool:
    """Is there an array of this name, as far as the file can be read?"""
    try:
        with zipfile.ZipFile(archive) as stored:
            return f"{key}.npy" in stored.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
