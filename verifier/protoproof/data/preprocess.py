"""How pictures become a network's numbers, where somebody states it: as in torch's transforms.

``imagenet``, ``mean=..,std=..,resize=256,crop=224,bgr``, or a YAML file with the same words. What
is stated is applied in this order: resize, crop, colour order, scaling to ``range``, (x - mean) /
std. Sizes and numbers are those of torchvision (``Resize`` of a picture, ``CenterCrop``,
``ToTensor``, ``Normalize``), so that a network sees here what it saw in training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError, UsageError
from protoproof.files import read_regular
from protoproof.strict_yaml import plain_yaml

if TYPE_CHECKING:
    from protoproof.data.picture import Pixels

_MOST_TEXT = 4096
_MOST_SIZE = 1 << 14
_FILTERS = ("bilinear", "bicubic", "nearest", "lanczos")
WORDS = ("resize", "crop", "interpolation", "colour", "range", "mean", "std")
HOW = (
    "say imagenet, or what of mean=..,std=..,range=0,1,resize=256,crop=224,bgr holds, or give a "
    "YAML file with these words"
)

Unit = NDArray[np.float32]  # [channel, row, column]
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a picture. What is None is not done, or not stated.

    Attributes:
        resize: the shorter side in pixels, or (rows, columns).
        crop: (rows, columns) of the middle.
        interpolation: how ``resize`` finds pixels; smoothed where it shrinks.
        bgr: the network's channels are blue, green, red; else red, green, blue.
        range: to what 0..255 is scaled, before ``mean`` and ``std``.
        mean, std: one number, or one per channel of the network, in the network's order.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    bgr: bool = False
    range: tuple[float, float] | None = None
    mean: Numbers | None = None
    std: Numbers | None = None

    @property
    def states_values(self) -> bool:
        """Whether it says what numbers pixels become, and not only which pixels count."""
        return self.range is not None or self.mean is not None

    @property
    def moves(self) -> bool:
        """Whether other pixels come out than go in."""
        return self.resize is not None or self.crop is not None

    def __str__(self) -> str:
        """The text that states the same; see :func:`parse`."""
        parts = []
        if self.resize is not None:
            parts.append(f"resize={_size(self.resize)}")
            if self.interpolation != "bilinear":
                parts.append(f"interpolation={self.interpolation}")
        if self.crop is not None:
            parts.append(f"crop={_size(self.crop)}")
        if self.bgr:
            parts.append("bgr")
        for word in ("range", "mean", "std"):
            numbers = getattr(self, word)
            if numbers is not None:
                parts.append(f"{word}={','.join(map(_short, numbers))}")
        return ",".join(parts)

    def pixels(self, pixels: Pixels) -> Pixels:
        """A picture, resized and cropped.

        Raises:
            InputError: it is smaller than what is cut out of it.
        """
        from protoproof.data.picture import MAX_PIXELS  # what inspects needs no pictures

        if self.resize is not None:
            rows, columns = _resized(pixels.shape[0], pixels.shape[1], self.resize)
            if rows * columns > MAX_PIXELS:
                raise InputError(f"resized to {rows} x {columns} pixels it is too large")
            if pixels.shape[:2] != (rows, columns):
                pixels = _filtered(pixels, rows, columns, self.interpolation)
        if self.crop is not None:
            rows, columns = self.crop
            if pixels.shape[0] < rows or pixels.shape[1] < columns:
                raise InputError(
                    f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too few to cut {rows} x "
                    f"{columns} out of them; state resize, another crop, or crop=none"
                )
            top = round((pixels.shape[0] - rows) / 2.0)
            left = round((pixels.shape[1] - columns) / 2.0)
            pixels = pixels[top : top + rows, left : left + columns]
        return np.ascontiguousarray(pixels)

    def values(self, image: Unit) -> Unit:
        """An image in [0, 1], red, green, blue, as the network's numbers.

        Raises:
            InputError: another number of channels than of means.
        """
        found = image[::-1] if self.bgr and len(image) == 3 else image
        if self.range is not None and self.range != (0.0, 1.0):
            low, high = map(np.float32, self.range)
            found = found * (high - low) + low
        if self.mean is not None and self.std is not None:
            found = (found - _each(self.mean, len(image))) / _each(self.std, len(image))
        return np.ascontiguousarray(found, dtype=np.float32)

    def image(self, x: Unit) -> NDArray[np.float64]:
        """The image in [0, 1] that the network's numbers show: :meth:`values` the other way."""
        found = x.astype(np.float64)
        if self.mean is not None and self.std is not None:
            found = found * _each(self.std, len(x)) + _each(self.mean, len(x))
        if self.range is not None:
            found = (found - self.range[0]) / (self.range[1] - self.range[0])
        return found[::-1] if self.bgr and len(x) == 3 else found

    def limits(self, channels: int) -> tuple[float, float]:
        """The least and largest number that pixels become."""
        ends = [self.values(np.full((channels, 1, 1), end, np.float32)) for end in (0, 1)]
        return float(np.min(ends)), float(np.max(ends))


def _filtered(pixels: Pixels, rows: int, columns: int, interpolation: str) -> Pixels:
    from PIL import Image

    by = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(pixels).resize((columns, rows), by))


IMAGENET = Preprocessing(
    resize=256, crop=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


def preprocessing_of(given: str) -> Preprocessing:
    """What ``--preprocess`` says: a text, or the name of a YAML file.

    Raises:
        UsageError: neither; the message says what would be one.
    """
    if not given.lower().endswith((".yaml", ".yml")):
        return parse(given, f"--preprocess {given}")
    path = Path(given)
    where = f"--preprocess {given}"
    content = read_regular(path, 1 << 16)
    if content is None:
        raise UsageError(f"{where}: no such file, or a large one; {HOW}")
    found = plain_yaml(content, path, UsageError)
    if not isinstance(found, Mapping):
        raise UsageError(f"{where}: holds no words with values; {HOW}")
    return stated({str(word): value for word, value in found.items()}, where)


def recorded(text: str) -> Preprocessing | None:
    """What a certificate or a campaign says was done; it names no file. None where it is "".

    Raises:
        UsageError: it is no such text.
    """
    return parse(text, f"recorded preprocessing {text}"[:200]) if text else None


def parse(text: str, where: str) -> Preprocessing:
    """Read a text such as ``resize=256,crop=224,mean=0.5,0.5,0.5,std=0.2,bgr``.

    Raises:
        UsageError: it is none; ``where`` begins the message.
    """
    if len(text) > _MOST_TEXT:
        raise UsageError(f"{where[:80]}: longer than {_MOST_TEXT} characters")
    words: dict[str, Any] = {}
    last = ""
    for part in (part.strip() for part in text.split(",")):
        word, sign, value = (item.strip() for item in part.partition("="))
        if sign:
            last = word
            value_of: Any = value
        elif word in ("imagenet", "bgr", "rgb"):
            last, word, value_of = "", "colour" if word != "imagenet" else word, word
        elif last and word:
            words[last] = f"{words[last]},{word}"
            continue
        else:
            raise UsageError(f"{where}: '{part}' is not understood; {HOW}")
        if word in words:
            raise UsageError(f"{where}: '{word}' is said twice")
        words[word] = value_of
    return stated(words, where)


def stated(words: Mapping[str, Any], where: str) -> Preprocessing:
    """The words of a text or a YAML file, each with its value.

    Raises:
        UsageError: an unknown word, or a value that is none.
    """
    found = Preprocessing()
    if words.get("imagenet") or words.get("preset") == "imagenet":
        found = IMAGENET
    for word, value in words.items():
        if word in ("imagenet", "preset") and found is IMAGENET:
            continue
        if word not in WORDS and word not in ("imagenet", "preset"):
            raise UsageError(f"{where}: '{word}' is unknown; {HOW}")
        try:
            changed = _changed(word, value)
        except (ValueError, TypeError, OverflowError) as error:
            raise UsageError(f"{where}: {word}={value}: {error or 'is none'}; {HOW}") from error
        found = replace(found, **changed)
    if (found.mean is None) != (found.std is None):
        missing = "mean" if found.mean is None else "std"
        raise UsageError(f"{where}: {missing} is missing; say both mean and std, or none")
    if found == Preprocessing():
        raise UsageError(f"{where}: says nothing; {HOW}")
    if not _keeps_apart(found):
        raise UsageError(f"{where}: in float32, pixels that differ become the same number; {HOW}")
    return found


def _keeps_apart(found: Preprocessing) -> bool:
    """Whether the 256 values of a pixel become different numbers.

    Else pictures that differ are one input, and what is proved of it is shown with any of them.
    """
    channels = max(len(found.mean or (0,)), len(found.std or (0,)))
    pixels = np.arange(256, dtype=np.float32) / np.float32(255)
    try:
        numbers = found.values(np.tile(pixels, (channels, 1, 1)))
    except InputError:  # another number of means than of deviations: refused where they are used
        return True
    return all(len(np.unique(row)) == len(pixels) for row in numbers)


def _changed(word: str, value: Any) -> dict[str, Any]:
    if value is None or value == "none":
        if word in ("resize", "crop", "mean", "std", "range"):
            return {word: None}
        raise ValueError("needs a value")
    match word:
        case "resize":
            sizes = _sizes(value)
            return {"resize": sizes if len(sizes) == 2 else sizes[0]}
        case "crop":
            sizes = _sizes(value)
            return {"crop": (sizes[0], sizes[-1])}
        case "interpolation":
            if value not in _FILTERS:
                raise ValueError(f"is none of {', '.join(_FILTERS)}")
            return {"interpolation": value}
        case "colour":
            if value not in ("rgb", "bgr"):
                raise ValueError("is neither rgb nor bgr")
            return {"bgr": value == "bgr"}
        case "range":
            numbers = _numbers(value)
            if len(numbers) != 2 or not numbers[0] < numbers[1]:
                raise ValueError("wants two numbers, the smaller first")
            return {"range": numbers}
        case "mean":
            return {"mean": _numbers(value)}
        case "std":
            numbers = _numbers(value)
            if not all(number > 0 for number in numbers):
                raise ValueError("must be above 0")
            return {"std": numbers}
    raise ValueError("is unknown")


def _numbers(value: Any) -> Numbers:
    given = value.split(",") if isinstance(value, str) else value
    given = given if isinstance(given, (list, tuple)) else [given]
    if any(isinstance(number, bool) for number in given):
        raise ValueError("wants numbers")
    numbers = tuple(float(number) for number in given)
    if not 1 <= len(numbers) <= 3 or not all(1e-6 < abs(n) < 1e6 or n == 0 for n in numbers):
        raise ValueError("wants one to three numbers, none larger than a million")
    return numbers


def _sizes(value: Any) -> tuple[int, ...]:
    given = re.split("[x,]", value) if isinstance(value, str) else value
    given = given if isinstance(given, (list, tuple)) else [given]
    if any(isinstance(size, (bool, float)) for size in given):
        raise ValueError("wants whole numbers of pixels")
    sizes = tuple(int(size) for size in given)
    if len(sizes) not in (1, 2) or not all(1 <= size <= _MOST_SIZE for size in sizes):
        raise ValueError("wants pixels, or ROWSxCOLUMNS")
    return sizes


def _resized(rows: int, columns: int, wanted: int | tuple[int, int]) -> tuple[int, int]:
    """As torchvision: the longer side is cut down to a whole number."""
    if isinstance(wanted, tuple):
        return wanted
    short, long = min(rows, columns), max(rows, columns)
    other = int(wanted * long / short)
    return (wanted, other) if rows <= columns else (other, wanted)


def _each(numbers: Numbers, channels: int) -> NDArray[np.float32]:
    """Per channel, [channel, 1, 1]."""
    if len(numbers) not in (1, channels):
        raise InputError(
            f"mean and std are stated for {len(numbers)} channels, and the network takes {channels}"
        )
    return np.broadcast_to(np.asarray(numbers, np.float32), channels)[:, None, None]


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


def _size(size: int | tuple[int, int]) -> str:
    return str(size) if isinstance(size, int) else "x".join(map(str, size))
