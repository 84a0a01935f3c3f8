"""One picture file as 8-bit pixels, exactly as a viewer shows them, or a refusal that says why.

Nothing is converted that loses or invents anything: 16-bit numbers are not cut to 8, colours are
not turned into grey, what is transparent has no colour of its own, and of several frames none is
the picture. A palette, an alpha channel that is full everywhere, and the orientation that a camera
notes beside the pixels are resolved, which is exact.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from protoproof.errors import InputError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
)
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
# A tenfold margin over any image this tool is meant for; stops decompression bombs early.
MAX_PIXELS = 1 << 24
_ORIENTATION = 0x0112
_BROKEN = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

Pixels = NDArray[np.uint8]


class Picture(NamedTuple):
    """The pixels of a file: [row, column] where it is stored grey, else [row, column, 3].

    ``turned``: a camera's note said that the stored pixels are turned or mirrored.
    """

    pixels: Pixels
    turned: bool


def read_picture(path: Path) -> Picture:
    """The picture in a file.

    Raises:
        InputError: not a picture, damaged, too large, or one that cannot be taken as it is.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=_FORMATS)
    except _BROKEN as error:
        raise InputError(f"{path}: is not a readable image: replace or remove it") from error
    with opened as image:
        if image.width * image.height > MAX_PIXELS:
            raise InputError(f"{path}: {image.width} x {image.height} pixels is too large")
        problem = _problem(image)
        if problem:
            raise InputError(f"{path}: {problem}")
        try:
            # before the pixels are there: some formats are turned while they are loaded
            turned = image.getexif().get(_ORIENTATION, 1) in range(2, 9)
            image.load()
            pixels = _eight_bits(ImageOps.exif_transpose(image))
        except _BROKEN as error:
            raise InputError(
                f"{path}: the image is damaged or truncated: replace or remove it"
            ) from error
    if pixels is None:
        raise InputError(
            f"{path}: parts of the image are transparent, so it has no colours of its own; convert "
            "it to one without transparency"
        )
    return Picture(pixels, turned)


def as_grey(pixels: Pixels) -> Pixels | None:
    """[row, column] of pixels that are grey, however they are stored; None where colours differ."""
    if pixels.ndim == 2:
        return pixels
    same = bool((pixels == pixels[..., :1]).all())
    return np.ascontiguousarray(pixels[..., 0]) if same else None


def as_colour(pixels: Pixels) -> Pixels:
    """[row, column, 3]: grey pixels have three equal colours."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _problem(image: Image.Image) -> str:
    """Why a picture cannot be taken as it is, or ""; nothing is decoded yet."""
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        return f"it holds {frames} pictures; save the one that is meant"
    for tile in getattr(image, "tile", ()):  # how the stored numbers become pixels
        stated = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        wide = any(isinstance(part, str) and ";16" in part for part in stated)
        scaled = tile[0].startswith("ppm") and any(
            isinstance(part, int) and part != 255 for part in stated
        )
        if wide or scaled:
            return "its numbers have not 8 bits: convert it to 8-bit grey or RGB, or give an array"
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        return (
            f"pixel format {image.mode} is not supported: convert it to 8-bit grey or RGB, or give "
            "an array"
        )
    return ""


def _eight_bits(image: Image.Image) -> Pixels | None:
    """The pixels, None where something is transparent."""
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        whole = np.asarray(image.convert("RGBA"), dtype=np.uint8)
        if (whole[..., 3] != 255).any():
            return None
        colours = np.ascontiguousarray(whole[..., :3])
        return colours if image.mode in ("RGB", "RGBA", "P", "PA") else colours[..., 0]
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"), dtype=np.uint8)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)
