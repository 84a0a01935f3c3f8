"""Reading image folders: ``DIR/train/CLASS/*.png`` and ``DIR/test/CLASS/*.png``.

A folder without ``train`` and ``test`` is one part, ``DIR/CLASS/*.png``: all of its images are
what is explained, and what prototypes are looked for in.

Every file of a class is read, by the same rules as a single image (see ``picture``); what is no
image is named, never left out in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from protoproof.data.limits import MAX_BYTES
from protoproof.data.picture import SUFFIXES, Pixels, as_colour, read_picture
from protoproof.errors import InputError

if TYPE_CHECKING:
    from protoproof.data.preprocess import Preprocessing

# what systems leave in folders that people look at
_NOT_DATA = frozenset({"thumbs.db", "desktop.ini"})
_NAMED = 3  # of many files that cannot be taken


def read_folder(
    root: Path, preprocessing: Preprocessing | None = None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Arrays as in an ``.npz`` file, and the class names: the folder names of ``train/``.

    Of a folder that is one part, the test arrays alone.

    Folders and files are taken in sorted order, as torchvision does (1, 10, 2). The images are grey
    when every file is stored so, otherwise RGB.

    Raises InputError for a missing folder, an image that cannot be taken as it is, images of
    different sizes (which ``preprocessing`` may change), or anything in a class folder that is no
    image. All of these are counted, and the first few named.
    """
    first, *_ = places = _parts(root)
    classes = tuple(folder.name for folder in _class_folders(places[first]))
    parts = {part: _files(place, classes, root) for part, place in places.items()}
    paths = [path for files in parts.values() for path, _ in files]
    pictures = _pictures(root, paths, preprocessing)
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
    part = _parts(root)["test"]
    return tuple(path.relative_to(part).as_posix() for path, _ in _files(part, classes, root))


def _parts(root: Path) -> dict[str, Path]:
    """Where the images of each part are, the one that names the classes first."""
    divided = any((root / part).is_dir() for part in ("train", "test"))
    return {"train": root / "train", "test": root / "test"} if divided else {"test": root}


def _pictures(root: Path, paths: list[Path], preprocessing: Preprocessing | None) -> list[Pixels]:
    """The pixels of all files, which must be of one size and fit the memory."""
    found: list[Pixels] = []
    problems: list[str] = []
    for path in paths:
        try:
            pixels = _read(path, preprocessing)
        except InputError as error:
            problems.append(str(error))
            continue
        rows, columns = pixels.shape[:2]
        if not found and 4 * len(paths) * pixels.size > MAX_BYTES:
            raise InputError(
                f"{root}: {len(paths)} images of {rows}x{columns} need more than the limit of "
                f"{MAX_BYTES} bytes: use fewer or smaller images"
            )
        if found and pixels.shape[:2] != found[0].shape[:2]:
            first_rows, first_columns = found[0].shape[:2]
            problems.append(
                f"{path}: size {columns}x{rows} differs from {first_columns}x{first_rows} of "
                f"{paths[0].name}: resize all images to one size (--preprocess resize=..,crop=..)"
            )
        else:
            found.append(pixels)
    _refuse(problems, "cannot be taken")
    return found


def _read(path: Path, preprocessing: Preprocessing | None) -> Pixels:
    pixels = read_picture(path).pixels
    if preprocessing is None or not preprocessing.moves:
        return pixels
    try:
        return preprocessing.pixels(pixels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _refuse(problems: list[str], word: str) -> None:
    """One line for all problems: how many there are, and the first few.

    Raises:
        InputError: there is one.
    """
    if not problems:
        return
    if len(problems) == 1:
        raise InputError(problems[0])
    more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    raise InputError(f"{len(problems)} files {word}: " + "; ".join(problems[:_NAMED]) + more)


def _channels(pixels: Pixels, grey: bool) -> Pixels:
    """[channel, row, column]."""
    return pixels[None] if grey else np.moveaxis(as_colour(pixels), 2, 0)


def _class_folders(part: Path) -> list[Path]:
    if not part.is_dir():
        raise InputError(
            f"{part}: no such folder: an image folder has train/CLASS and test/CLASS, or CLASS "
            "alone"
        )
    entries = [entry for entry in part.iterdir() if not entry.name.startswith(".")]
    for entry in entries:
        if not entry.is_dir() and entry.suffix.lower() in SUFFIXES:
            raise InputError(f"{entry}: lies in no class folder: move it into one")
    folders = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: entry.name)
    if not folders:
        raise InputError(
            f"{part}: holds no class folder: put the images of a class into one (CLASS, or "
            "train/CLASS and test/CLASS)"
        )
    return folders


def _files(part: Path, classes: tuple[str, ...], root: Path) -> list[tuple[Path, int]]:
    """Image files of one part with their labels, in sorted order."""
    found: list[tuple[Path, int]] = []
    for folder in _class_folders(part):
        if folder.name not in classes:
            raise InputError(
                f"{folder}: class '{folder.name}' has no training images: "
                "add a folder of that name under train/"
            )
        files = _images(folder)
        if not files and part in (root, root / "train"):  # it would only lend its name
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
    problems = []
    for entry in files:
        if entry.is_dir():
            problems.append(
                f"{entry}: a folder inside a class folder is not read: move its images up"
            )
        elif entry.suffix.lower() not in SUFFIXES:
            known = ", ".join(sorted(SUFFIXES))
            problems.append(f"{entry}: is no image of a known kind ({known}): convert it")
    _refuse(problems, "are no images")
    return files
