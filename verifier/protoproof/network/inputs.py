"""Reading inputs from a file: an image, or one entry or all entries of a NumPy array."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from protoproof.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float32

# A tenfold margin over any image this tool is meant for; stops decompression bombs early.
_MAX_PIXELS = 1 << 24
_MAX_BYTES = 1 << 32
_ARRAY_KEYS = ("x", "x_test", "images", "arr_0")


def read_input(
    path: Path,
    shape: tuple[int, int, int],
    value_range: tuple[float, float],
    index: int | None = None,
) -> Float32[NDArray[np.float32], "channel row column"]:
    """Read ``.png``, ``.jpg``, ``.npy`` or ``.npz`` as an input tensor [C, H, W].

    Integer pixels (0..255) are scaled to ``value_range``; floats are taken as they are. Nothing is
    resized: an explanation of a resized image would be about another image.

    Args:
        path: the file.
        shape: the [C, H, W] that the network expects.
        value_range: the least and largest input value, as the head description declares.
        index: which entry of an array with a batch axis.

    Raises:
        InputError: the file is missing or unreadable, or shape, type or range do not fit.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give an image (.png, .jpg) or array (.npy, .npz)")
    suffix = path.suffix.lower()
    if suffix in (".png", ".jpg", ".jpeg"):
        if index is not None:
            raise InputError(f"{path}: --index selects from an array (.npy, .npz), not an image")
        array: NDArray[np.generic] = _read_image(path, shape)
    elif suffix in (".npy", ".npz"):
        array = _entry(_read_array(path), len(shape), index, path)
    else:
        raise InputError(f"{path}: unknown kind of file; use .png, .jpg, .npy or .npz")
    return _fit(array, shape, value_range, path)


@dataclass(frozen=True)
class InputArray:
    """The entries of an array with a batch axis, made into input tensors one at a time."""

    path: Path
    array: NDArray[np.generic]
    shape: tuple[int, int, int]
    value_range: tuple[float, float]

    def __len__(self) -> int:
        return len(self.array)

    def entry(self, index: int) -> Float32[NDArray[np.float32], "channel row column"]:
        """One entry as an input tensor [C, H, W].

        Raises:
            InputError: shape or type do not fit.
        """
        entry = np.asarray(self.array[index])
        return _fit(entry, self.shape, self.value_range, self.path)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self.entry(index) for index in range(len(self)))


def open_inputs(
    path: Path, shape: tuple[int, int, int], value_range: tuple[float, float]
) -> InputArray | None:
    """The entries of an ``.npy`` or ``.npz`` file, or None where the file holds one input.

    A ``.npy`` file is mapped, not loaded. [N, H, W] stands for N inputs of one channel, unless it
    is [1, H, W], which is one input.

    Raises:
        InputError: the file is unreadable, or holds no entries.
    """
    if not path.is_file() or path.suffix.lower() not in (".npy", ".npz"):
        return None
    array = _read_array(path)
    batch = array.ndim == len(shape) + 1 or (
        array.ndim == len(shape) and shape[0] == 1 and array.shape != shape
    )
    if not batch or len(array) == 1:
        return None
    if not len(array):
        raise InputError(f"{path}: holds no entries, so there is nothing to explain")
    return InputArray(path, array, shape, value_range)


def _read_image(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    modes = {1: "L", 3: "RGB"}
    if shape[0] not in modes:
        raise InputError(f"{path}: the network takes {shape[0]} channels; give an array (.npy)")
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise InputError(f"{path}: {image.width} x {image.height} pixels is too large")
            pixels = _pixels(image, modes[shape[0]], path)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable image ({error})") from error
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def _pixels(image: Image.Image, wanted: str, path: Path) -> NDArray[np.uint8]:
    """The pixels as they are: converting colours would explain another image."""
    if image.mode == "1" and wanted == "L":
        return np.asarray(image.convert("L"), dtype=np.uint8)
    pixels = np.asarray(image) if image.mode in ("L", "RGB") else np.empty(0, dtype=np.uint8)
    if wanted == "L" and image.mode == "RGB" and (pixels == pixels[..., :1]).all():
        return np.asarray(pixels[..., 0])  # grey, stored as colour
    if image.mode != wanted:
        raise InputError(
            f"{path}: an image of mode {image.mode}, the network takes {wanted}; convert it first"
        )
    return pixels


def _read_array(path: Path) -> NDArray[np.generic]:
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False, mmap_mode="r"))
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise InputError(f"{path}: the archive unpacks to more than 4 GiB")
        with np.load(path, allow_pickle=False) as arrays:
            for key in _ARRAY_KEYS:
                if key in arrays:
                    return np.asarray(arrays[key])
            raise InputError(f"{path}: holds none of the arrays {', '.join(_ARRAY_KEYS)}")
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable NumPy file ({error})") from error


def _entry(
    array: NDArray[np.generic], rank: int, index: int | None, path: Path
) -> NDArray[np.generic]:
    """The entry of a batch. [N, H, W] and [H, W] stand for one channel, as in ``.npz`` data."""
    if index is None:
        return array
    if array.ndim < rank or not 0 <= index < len(array):
        raise InputError(f"{path}: --index {index} is outside the {len(array)} entries it holds")
    return np.asarray(array[index])


def _fit(
    array: NDArray[np.generic],
    shape: tuple[int, int, int],
    value_range: tuple[float, float],
    path: Path,
) -> NDArray[np.float32]:
    if array.ndim == len(shape) and len(array) == 1 and array.shape != shape:
        array = array[0]
    if array.ndim == len(shape) - 1 and shape[0] == 1:
        array = array[None]
    if array.ndim == len(shape) + 1 and len(array) == 1:
        array = array[0]
    if array.shape != shape:
        raise InputError(
            f"{path}: shape {list(array.shape)} does not fit the network's input {list(shape)}; "
            "inputs are never resized (several entries: choose one with --index)"
        )
    low, high = value_range
    if array.dtype == np.uint8:
        scaled = array.astype(np.float32) / np.float32(255)
        return np.asarray(scaled * np.float32(high - low) + np.float32(low))
    if array.dtype.kind != "f":
        raise InputError(f"{path}: values of type {array.dtype}; use uint8 or float")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is refused
        return np.asarray(array, dtype=np.float32)
