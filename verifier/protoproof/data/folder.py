"""Reading image folders: ``DIR/train/CLASS/*.png`` and ``DIR/test/CLASS/*.png``.

Every file of a class is read, by the same rules as a single image (see ``picture``); what is no
image is named, never left out in silence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from protoproof.data.limits import MAX_BYTES
from protoproof.data.picture import SUFFIXES, Pixels, as_colour, read_picture
from protoproof.errors import InputError

# what systems leave in folders that people look at
_NOT_DATA = frozenset({"thumbs.db", "desktop.ini"})


def read_folder(root: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Arrays as in an ``.npz`` file, and the class names: the sorted folder names of ``train/``.

    The images are grey when every file is stored so, otherwise RGB. Files are taken in sorted
    order. Raises InputError for a missing folder, an image that cannot be taken as it is, images of
    different sizes, or anything in a class folder that is no image.
    """
    classes = tuple(folder.name for folder in _class_folders(root / "train"))
    parts = {part: _files(root / part, classes) for part in ("train", "test")}
    pictures = _pictures(root, [path for files in parts.values() for path, _ in files])
    grey = all(pixels.ndim == 2 for pixels in pictures)
    shaped = [_channels(pixels, grey) for pixels in pictures]
    arrays: dict[str, np.ndarray] = {}
    for part, files in parts.items():
        arrays[f"x_{part}"] = np.stack(shaped[: len(files)])
        arrays[f"y_{part}"] = np.array([label for _, label in files], dtype=np.int64)
        del shaped[: len(files)]
    return arrays, classes


def test_files(root: Path, classes: tuple[str, ...]) -> tuple[str, ...]:
    """What the test images are called, in the order of their arrays: ``CLASS/FILE``."""
    part = root / "test"
    return tuple(path.relative_to(part).as_posix() for path, _ in _files(part, classes))


def _pictures(root: Path, paths: list[Path]) -> list[Pixels]:
    """The pixels of all files, which must be of one size and fit the memory."""
    found: list[Pixels] = []
    for path in paths:
        pixels = read_picture(path).pixels
        rows, columns = pixels.shape[:2]
        if not found and 4 * len(paths) * pixels.size > MAX_BYTES:
            raise InputError(
                f"{root}: {len(paths)} images of {rows}x{columns} need more than the limit of "
                f"{MAX_BYTES} bytes: use fewer or smaller images"
            )
        if found and pixels.shape[:2] != found[0].shape[:2]:
            first_rows, first_columns = found[0].shape[:2]
            raise InputError(
                f"{path}: size {columns}x{rows} differs from {first_columns}x{first_rows} of "
                f"{paths[0].name}: resize all images to one size"
            )
        found.append(pixels)
    return found


def _channels(pixels: Pixels, grey: bool) -> Pixels:
    """[channel, row, column]."""
    return pixels[None] if grey else np.moveaxis(as_colour(pixels), 2, 0)


def _class_folders(part: Path) -> list[Path]:
    if not part.is_dir():
        raise InputError(
            f"{part}: no such folder: an image folder needs train/CLASS and test/CLASS"
        )
    entries = [entry for entry in part.iterdir() if not entry.name.startswith(".")]
    for entry in entries:
        if not entry.is_dir() and entry.suffix.lower() in SUFFIXES:
            raise InputError(f"{entry}: lies in no class folder: move it into one")
    folders = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: entry.name)
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
        files = _images(folder)
        if part.name == "train" and not files:
            raise InputError(f"{folder}: holds no image: add some or remove the folder")
        found.extend((entry, classes.index(folder.name)) for entry in files)
    if not found:
        raise InputError(f"{part}: holds no image: add some")
    return found


def _images(folder: Path) -> list[Path]:
    """The images of a class folder, in sorted order.

    Raises:
        InputError: it holds something else, which a reader might take for data.
    """
    visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    files = sorted(
        (entry for entry in visible if entry.name.lower() not in _NOT_DATA),
        key=lambda entry: entry.name,
    )
    for entry in files:
        if entry.is_dir():
            raise InputError(
                f"{entry}: a folder inside a class folder is not read: move its images up"
            )
        if entry.suffix.lower() not in SUFFIXES:
            known = ", ".join(sorted(SUFFIXES))
            raise InputError(f"{entry}: is no image of a known kind ({known}): convert it")
    return files
