"""The pictures beside a model: read when they fit, refused when they do not."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from protoproof.errors import InputError
from protoproof.report.page.patches import load_patches

TILES, COLUMNS = 5, 3


def write(folder: Path, **changes: Any) -> Path:
    """A model's provenance and its sheet: tile i is filled with the value 10 * i."""
    sheet = np.zeros((2 * 4, COLUMNS * 4), np.uint8)
    for index in range(TILES):
        row, column = divmod(index, COLUMNS)
        sheet[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 10 * index
    Picture.fromarray(sheet).save(folder / "m.prototypes.png")
    document = {
        "schema": "protoproof.provenance/1",
        "seed": 0,
        "sheet": {"file": "m.prototypes.png", "tile": [4, 4], "columns": COLUMNS},
        "prototypes": [
            {"prototype": j, "class": 0, "image": 100 + j, "location": [0, 0], "box": [0, 0, 4, 3]}
            for j in range(TILES)
        ],
        **changes,
    }
    (folder / "m.json").write_text(json.dumps(document), encoding="utf-8")
    return folder / "m.onnx"


def test_tiles_in_their_own_proportions(tmp_path: Path) -> None:
    patches = load_patches(write(tmp_path), TILES)
    assert patches is not None
    assert [picture.shape for picture in patches.pictures] == [(4, 3)] * TILES
    assert [int(picture.max()) for picture in patches.pictures] == [0, 10, 20, 30, 40]
    assert patches.origins[2] == "training image 102"


def test_a_model_without_them_has_none(tmp_path: Path) -> None:
    assert load_patches(tmp_path / "m.onnx", TILES) is None


def test_another_models_provenance(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lists 5 prototypes where the head has 7"):
        load_patches(write(tmp_path), 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sheet": {"file": "../m.png", "tile": [4, 4], "columns": 3}}, r"sheet\.file"),
        ({"sheet": {"file": "m.png", "tile": [0, 4], "columns": 3}}, r"sheet\.tile"),
        ({"sheet": {"file": "gone.png", "tile": [4, 4], "columns": 3}}, "cannot be read"),
        (
            {"sheet": {"file": "m.prototypes.png", "tile": [40, 4], "columns": 3}},
            "too small for 5 tiles",
        ),
        ({"prototypes": "none"}, "prototypes"),
    ],
)
def test_malformed_provenance(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_patches(write(tmp_path, **changes), TILES)


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100])
def test_what_is_not_json(tmp_path: Path, text: str) -> None:
    path = write(tmp_path)
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="export the model again"):
        load_patches(path, TILES)


def bomb(side: int) -> bytes:
    """A PNG header that announces a picture of side x side pixels, and no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(header) - 4) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 30, bomb(4), bomb(10_000), bomb(1 << 30)],
)
def test_what_is_not_a_png(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path)
    (tmp_path / "m.prototypes.png").write_bytes(content)
    with pytest.raises(InputError, match=r"not a readable PNG|too large"):
        load_patches(path, TILES)
