"""Reading image folders: ``DIR/train/CLASS/*.png`` and ``DIR/test/CLASS/*.png``."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from protoproof.data.limits import MAX_BYTES
from protoproof.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm"})
_GREY = frozenset({"1", "L"})
_COLOUR = frozenset({"P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"})


def read_folder(root: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Arrays as in an ``.npz`` file, and the class names: the sorted folder names of ``train/``.

    The images are grey when every file is grey, otherwise RGB. Files are taken in sorted order.
    Raises InputError for a missing folder, an unreadable image or images of different sizes.
    """
    classes = tuple(folder.name for folder in _class_folders(root / "train"))
    parts = {part: _files(root / part, classes) for part in ("train", "test")}
    every = [path for files in parts.values() for path, _ in files]
    (columns, rows), grey = _common_format(every)
    channels = 1 if grey else 3
    if 4 * len(every) * channels * rows * columns > MAX_BYTES:
        raise InputError(
            f"{root}: {len(every)} images of {rows}x{columns} need more than the limit of "
            f"{MAX_BYTES} bytes: use fewer or smaller images"
        )
    arrays: dict[str, np.ndarray] = {}
    for part, files in parts.items():
        arrays[f"x_{part}"] = np.stack([_pixels(path, grey) for path, _ in files])
        arrays[f"y_{part}"] = np.array([label for _, label in files], dtype=np.int64)
    return arrays, classes


def _class_folders(part: Path) -> list[Path]:
    if not part.is_dir():
        raise InputError(
            f"{part}: no such folder: an image folder needs train/CLASS and test/CLASS"
        )
    folders = sorted(
        (entry for entry in part.iterdir() if entry.is_dir() and not entry.name.startswith(".")),
        key=lambda entry: entry.name,
    )
    if not folders:
        raise InputError(f"{part}: holds no class folder: put the images of a class into one")
    return folders


def _files(part: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Image files of one part with their labels, in sorted order."""
    found: list[tuple[Path, int]] = []
    for folder in _class_folders(part):
        if folder.name not in classes:
            raise InputError(
                f"{folder}: class '{folder.name}' has no training images: "
                "add a folder of that name under train/"
            )
        files = sorted(
            (entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES),
            key=lambda entry: entry.name,
        )
        if part.name == "train" and not files:
            raise InputError(f"{folder}: holds no image: add some or remove the folder")
        found.extend((entry, classes.index(folder.name)) for entry in files)
    if not found:
        raise InputError(f"{part}: holds no image: add some")
    return found


def _open(path: Path) -> Image.Image:
    """Open without decoding; a decompression bomb is an error like any other."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path)
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise InputError(f"{path}: is not a readable image: replace or remove it") from error


def _common_format(paths: list[Path]) -> tuple[tuple[int, int], bool]:
    """The size (columns, rows) that all images share, and whether all of them are grey."""
    common: tuple[int, int] | None = None
    grey = True
    for path in paths:
        with _open(path) as image:
            if image.mode not in _GREY | _COLOUR:
                raise InputError(
                    f"{path}: pixel format {image.mode} is not supported: save 8-bit grey or RGB"
                )
            grey = grey and image.mode in _GREY
            if common is None:
                common = image.size
            elif image.size != common:
                raise InputError(
                    f"{path}: size {image.size[0]}x{image.size[1]} differs from "
                    f"{common[0]}x{common[1]} of {paths[0].name}: resize all images to one size"
                )
    if common is None:
        raise InputError("the image folder holds no image: add some")
    return common, grey


def _pixels(path: Path, grey: bool) -> np.ndarray:
    """Pixels as uint8 [channel, row, column]."""
    with _open(path) as image:
        try:
            array = np.asarray(image.convert("L" if grey else "RGB"), dtype=np.uint8)
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(
                f"{path}: the image is damaged or truncated: replace or remove it"
            ) from error
    return array[None] if grey else np.ascontiguousarray(array.transpose(2, 0, 1))
