"""The training patches that prototypes are, from a model's metadata or the files beside it.

``MODEL.json`` (provenance) names the contact sheet and says where each prototype comes from;
``MODEL.prototypes.png`` holds one tile per prototype. Both may be one text inside the model. They
only illustrate: no proof reads them.
"""

from __future__ import annotations

import base64
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image as Picture
from PIL import UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protoproof.certificate.strict_json import parse
from protoproof.errors import CertificateError, InputError
from protoproof.network import Network
from protoproof.network.head.about import PICTURES
from protoproof.report.page.page import Image

_log = logging.getLogger(__name__)
_MAX_BYTES = 1 << 26
_MAX_PIXELS = 1 << 25

_UNREADABLE = (
    OSError,
    Picture.DecompressionBombError,
    Picture.DecompressionBombWarning,
    SyntaxError,
    UnidentifiedImageError,
    ValueError,
)

Length = Annotated[int, Field(ge=1, le=4096)]
Index = Annotated[int, Field(ge=0, lt=1 << 31)]


class _Part(BaseModel):
    """A part of the provenance that pictures need; its other fields are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Sheet(_Part):
    """``file`` beside the model, or ``png`` in base64 where all of it is inside."""

    file: Annotated[str, Field(pattern=r"^[^/\\\x00]{1,200}\.png$")] | None = None
    png: str | None = None
    tile: tuple[Length, Length]
    columns: Length


class _Origin(_Part):
    prototype: Index
    image: Index
    box: tuple[Index, Index, Index, Index]
    nearest: bool = False  # the patch that is nearest to the prototype, which is none itself


class _Provenance(_Part):
    sheet: _Sheet
    prototypes: tuple[_Origin, ...]


@dataclass(frozen=True, eq=False)
class Patches:
    """One picture and one origin ("training image 123") per prototype.

    ``others``: prototypes of which the patch is only the nearest that was found, and not their own.
    """

    pictures: tuple[Image, ...]
    origins: tuple[str, ...]
    others: frozenset[int] = frozenset()


def patches_of(network: Network) -> Patches | None:
    """The patches of a network's prototypes, or None where nobody says where they come from.

    They only illustrate: a broken file costs no more than them.
    """
    inside = next((e.value for e in network.file.model.metadata_props if e.key == PICTURES), None)
    try:
        return load_patches(network.path, len(network.head.prototypes), inside)
    except InputError as error:
        _log.warning("no pictures of prototypes: %s", error)
        return None


def load_patches(model: Path, prototypes: int, inside: str | None = None) -> Patches | None:
    """The patches of a model's prototypes, or None where the model has no such files.

    Args:
        model: the ONNX file; the other two lie beside it.
        prototypes: how many the head has.
        inside: what the model's metadata says of them; then nothing beside it is read.

    Raises:
        InputError: the files exist but are malformed, too large, or of another model.
    """
    path = model.with_suffix(".json") if inside is None else model
    if not path.is_file():
        return None
    try:
        content = _read(path) if inside is None else inside.encode("utf-8")
        if len(content) > _MAX_BYTES:
            raise InputError(f"{path}: metadata '{PICTURES}' is too large; prepare it again")
        provenance = _Provenance.model_validate(parse(content, str(path)))
    except CertificateError as error:
        raise InputError(f"{error}; export the model again, or remove the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: {where}: {first['msg']}; export the model again, or remove the file"
        ) from error
    order = [origin.prototype for origin in provenance.prototypes]
    if order != list(range(prototypes)):
        raise InputError(
            f"{path}: lists {len(order)} prototypes where the head has {prototypes}, or not in "
            "order; export the model again, or remove the file"
        )
    tiles = _tiles(path, provenance.sheet, prototypes)
    return Patches(
        tuple(
            _shape(tile, origin) for tile, origin in zip(tiles, provenance.prototypes, strict=True)
        ),
        tuple(
            f"training image {origin.image}"
            + (", the nearest patch, not the prototype's own" if origin.nearest else "")
            for origin in provenance.prototypes
        ),
        frozenset(origin.prototype for origin in provenance.prototypes if origin.nearest),
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than {_MAX_BYTES >> 20} MiB; remove the file")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _tiles(path: Path, sheet: _Sheet, count: int) -> list[Image]:
    """The first ``count`` tiles of the sheet, row-major."""
    if sheet.file is not None:
        path = path.with_name(sheet.file)
    elif sheet.png is None:
        raise InputError(f"{path}: names no sheet of pictures; export or prepare the model again")
    try:
        content = _read(path) if sheet.png is None else base64.b64decode(sheet.png, validate=True)
        with Picture.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise InputError(f"{path}: {picture.width} x {picture.height} pixels is too large")
            colour = picture.mode not in ("1", "L", "I", "I;16")
            pixels = np.asarray(picture.convert("RGB" if colour else "L"))
    except _UNREADABLE as error:
        raise InputError(f"{path}: not a readable PNG ({error})") from error
    height, width = sheet.tile
    rows = -(-count // sheet.columns)
    if pixels.shape[0] < rows * height or pixels.shape[1] < sheet.columns * width:
        raise InputError(
            f"{path}: too small for {count} tiles of {height} x {width}; export the model again"
        )
    tiles = []
    for index in range(count):
        top, left = (index // sheet.columns) * height, (index % sheet.columns) * width
        tiles.append(pixels[top : top + height, left : left + width])
    return tiles


def _shape(tile: Image, origin: _Origin) -> Image:
    """A tile in its patch's own proportions: at the image border a patch is clipped."""
    y0, x0, y1, x1 = origin.box
    if not (0 < y1 - y0 <= tile.shape[0] and 0 < x1 - x0 <= tile.shape[1]):
        return tile
    if (y1 - y0, x1 - x0) == tile.shape[:2]:
        return tile
    resized = Picture.fromarray(tile).resize((x1 - x0, y1 - y0), Picture.Resampling.BILINEAR)
    return np.asarray(resized)
