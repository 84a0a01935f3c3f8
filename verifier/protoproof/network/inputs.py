"""Reading inputs from a file: an image, or one entry or all entries of a NumPy array.

Nothing is resized or cropped unless that is stated: an explanation of another image would be about
another image. What is done to a file's numbers on the way is said (``InputFile.remarks``).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protoproof.data.npz import UNREADABLE, reason, require_sensible
from protoproof.data.picture import SUFFIXES, Pixels, as_colour, as_grey, read_picture
from protoproof.errors import InputError
from protoproof.network.layout import layout_of, words
from protoproof.network.pixels import PixelRule

if TYPE_CHECKING:
    from jaxtyping import Float32

_ARRAY_KEYS = ("x", "x_test", "images", "arr_0")

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class InputFile:
    """An input tensor, and what was done to the file's numbers to get it, in sentences."""

    x: Float32[NDArray[np.float32], "..."]
    remarks: tuple[str, ...] = ()


def read_input(
    path: Path, rule: PixelRule, index: int | None = None
) -> Float32[NDArray[np.float32], "..."]:
    """An image or an entry of an array as an input tensor; see :func:`read_input_file`."""
    return read_input_file(path, rule, index).x


def read_input_file(path: Path, rule: PixelRule, index: int | None = None) -> InputFile:
    """Read a picture, ``.npy`` or ``.npz`` as an input tensor.

    Integer pixels (0..255) become numbers as the rule says; floats are taken as they are.

    Args:
        path: the file.
        rule: what the network expects, and how pixels become that: images with their channels
            first or last, signals, tokens, vectors (see ``Network.pixels``).
        index: which entry of an array with a batch axis.

    Raises:
        InputError: the file is missing or unreadable, shape, type or range do not fit, or it
            holds pixels and nobody states what these become.
    """
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder, and one input is asked for; give an image or array in it (a "
            "data set, with images in folders of classes, is given to explain by --data)"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file; give an image (.png, .jpg) or array (.npy, .npz)")
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        if index is not None:
            raise InputError(f"{path}: --index selects from an array (.npy, .npz), not an image")
        return _picture(path, rule)
    if suffix in (".npy", ".npz"):
        array = _entry(_read_array(path), rule.shape, index, path)
        return _fit(array, rule, path)
    raise InputError(f"{path}: unknown kind of file; use .png, .jpg, .npy or .npz")


@dataclass(frozen=True)
class InputArray:
    """The entries of an array with a batch axis, made into input tensors one at a time."""

    path: Path
    array: NDArray[np.generic]
    rule: PixelRule

    def __len__(self) -> int:
        return len(self.array)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is done to the numbers of every entry.

        Nothing where entries do not fit, which each of them says.
        """
        first = np.asarray(self.array[0])
        try:
            return _fit(first, self.rule, self.path).remarks
        except InputError:
            return ()

    def entry(self, index: int) -> Float32[NDArray[np.float32], "..."]:
        """One entry as an input tensor.

        Raises:
            InputError: shape or type do not fit.
        """
        return _fit(np.asarray(self.array[index]), self.rule, self.path).x

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self.entry(index) for index in range(len(self)))


def open_inputs(path: Path, rule: PixelRule) -> InputArray | None:
    """The entries of an ``.npy`` or ``.npz`` file, or None where the file holds one input.

    A ``.npy`` file is mapped, not loaded. Where an input has one channel, [N, H, W] stands for N
    inputs, unless it is the shape of one.

    Raises:
        InputError: the file is unreadable, or holds no entries.
    """
    if not path.is_file() or path.suffix.lower() not in (".npy", ".npz"):
        return None
    array = _read_array(path)
    if not _many(array, rule.shape) or len(array) == 1:
        return None
    if not len(array):
        raise InputError(f"{path}: holds no entries, so there is nothing to explain")
    if array.dtype == np.uint8 and rule.problem:
        raise InputError(f"{path}: {rule.problem}")
    return InputArray(path, array, rule)


def _many(array: NDArray[np.generic], shape: Shape) -> bool:
    """Whether an array has a batch axis."""
    if array.ndim == len(shape) + 1:
        return True
    return array.ndim == len(shape) and _lone_axis(shape) is not None and not _fits(array, shape)


def _holds_several(array: NDArray[np.generic], shape: Shape) -> bool:
    """Whether every entry of an array would be one input."""
    lone = _lone_axis(shape)
    bare = tuple(size for axis, size in enumerate(shape) if axis != lone)
    several = array.ndim > 1 and len(array) > 1
    return several and array.shape[1:] in (shape, _other_layout(shape), bare)


def _fits(array: NDArray[np.generic], shape: Shape) -> bool:
    """Whether an array is one input, maybe with its channels at the other end."""
    return array.shape in (shape, _other_layout(shape))


def _other_layout(shape: Shape) -> Shape | None:
    """An image's shape with the channels at the other end."""
    layout = layout_of(shape)
    if layout is None:
        return None
    return (*shape[1:], shape[0]) if layout == "channels first" else (shape[2], *shape[:2])


def _lone_axis(shape: Shape) -> int | None:
    """The axis of an only channel, which arrays may leave out."""
    if layout_of(shape) == "channels last":
        return len(shape) - 1 if shape[-1] == 1 else None
    return 0 if len(shape) > 1 and shape[0] == 1 else None


def _picture(path: Path, rule: PixelRule) -> InputFile:
    shape = rule.shape
    layout = layout_of(shape)
    if layout is None:
        raise InputError(
            f"{path}: the network takes {words(shape)}, of which no axis is known to be an image's "
            "colours; give an array (.npy) of that shape"
        )
    if rule.problem:
        raise InputError(f"{path}: {rule.problem}")
    pixels, turned = read_picture(path)
    if rule.channels == 1:
        grey = as_grey(pixels)
        if grey is None:
            raise InputError(f"{path}: has colours, the network takes grey; convert it first")
        pixels = grey
    image = as_channels(pixels, rule, path)
    found = _fit(image if layout == "channels first" else np.moveaxis(image, 0, 2), rule, path)
    remarks = list(found.remarks)
    if layout == "channels last":
        remarks.append(f"the network takes {words(shape)}")
    if rule.channels == 3 and pixels.ndim == 2:
        remarks.append("the image is grey; its three colours are equal")
    if turned:
        remarks.append("the image is turned as its EXIF orientation says")
    return InputFile(found.x, tuple(remarks))


def as_channels(pixels: Pixels, rule: PixelRule, path: Path) -> Pixels:
    """A picture as [channel, row, column], resized and cropped where that is stated."""
    stated = rule.preprocessing
    if stated is not None:
        try:
            pixels = stated.pixels(pixels)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return pixels[None] if rule.channels == 1 else np.moveaxis(as_colour(pixels), 2, 0)


def _read_array(path: Path) -> NDArray[np.generic]:
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False, mmap_mode="r"))
        with zipfile.ZipFile(path) as archive:
            require_sensible(archive, path)
        with np.load(path, allow_pickle=False) as arrays:
            for key in _ARRAY_KEYS:
                if key in arrays:
                    return np.asarray(arrays[key])
            raise InputError(f"{path}: holds none of the arrays {', '.join(_ARRAY_KEYS)}")
    except UNREADABLE as error:
        raise InputError(f"{path}: not a readable NumPy file ({reason(error)})") from error


def _entry(
    array: NDArray[np.generic], shape: Shape, index: int | None, path: Path
) -> NDArray[np.generic]:
    """The entry of a batch."""
    if index is None:
        return array
    if array.ndim < len(shape) or not 0 <= index < len(array):
        raise InputError(f"{path}: --index {index} is outside the {len(array)} entries it holds")
    return np.asarray(array[index])


def _fit(array: NDArray[np.generic], rule: PixelRule, path: Path) -> InputFile:
    """An array as an input: axes of size 1 that arrays leave out or add, channels at either end."""
    shape = rule.shape
    found, lone = array, _lone_axis(shape)
    if found.ndim == len(shape) + 1 and len(found) == 1:
        found = found[0]
    if found.ndim == len(shape) and len(found) == 1 and not _fits(found, shape):
        found = found[0]
    if found.ndim == len(shape) - 1 and lone is not None:
        found = np.expand_dims(found, lone)
    remarks = []
    if found.shape != shape and found.shape == _other_layout(shape):
        ends = (0, 2) if layout_of(shape) == "channels last" else (2, 0)
        found = np.moveaxis(found, *ends)
        remarks.append(f"the array's channels were moved: the network takes {words(shape)}")
    if found.shape != shape:
        several = _holds_several(array, shape)
        how = "of several entries choose one with --index" if several else rule.how_to_fit
        raise InputError(
            f"{path}: shape {list(array.shape)} does not fit the network's input {list(shape)}; "
            f"{how}"
        )
    if found.dtype == np.uint8:
        if rule.problem:
            raise InputError(f"{path}: {rule.problem}")
        if rule.remark():
            remarks.append(rule.remark())
        return InputFile(_scaled(found, rule), tuple(remarks))
    if found.dtype.kind != "f":
        raise InputError(f"{path}: values of type {array.dtype}; use uint8 or float")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is refused
        return InputFile(np.asarray(found, dtype=np.float32, order="C"), tuple(remarks))


def _scaled(pixels: NDArray[np.generic], rule: PixelRule) -> NDArray[np.float32]:
    """0..255 as the rule says; where nothing is done to them, exactly as they are."""
    numbers = np.asarray(pixels, dtype=np.float32, order="C")
    if rule.preprocessing is None and rule.range == (0.0, 255.0):
        return numbers
    unit = numbers / np.float32(255)
    if rule.preprocessing is None or layout_of(rule.shape) is None:
        return rule.linear(unit)
    last = layout_of(rule.shape) == "channels last"
    return rule.values(np.moveaxis(unit, 2, 0) if last else unit)
