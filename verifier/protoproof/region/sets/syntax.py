"""Regions as users write them on the command line: ``linf:2/255``, ``occlude:4,4,8,8``, ..."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from protoproof.data.npz import UNREADABLE, require_sensible
from protoproof.errors import InputError, UsageError
from protoproof.network.onnx.file import read_regular_file
from protoproof.network.onnx.node import printable
from protoproof.region.sets.occlusion import Occlusion
from protoproof.region.sets.region import (
    BoxRegion,
    Image,
    InputBox,
    L2Ball,
    LinfBall,
    Region,
    as_typed,
)
from protoproof.region.sets.transformations import Brightness, Shifts
from protoproof.region.sets.vnnlib import VnnLib, read_vnnlib

KINDS = "linf:R, l2:R, box:FILE.npz, occlude:ROW,COLUMN,HEIGHT,WIDTH, occlude:ROW,COLUMN,RADIUS, \
brightness:R, contrast:R, brightness:R,R, shift:N, vnnlib:FILE"

Domain = tuple[float, float]
_NUMBER = re.compile(r"\d{1,12}(\.\d{0,18})?([eE]-?\d{1,2})?(/\d{1,12})?")
_MOST_BYTES = 1 << 30


def parse_number(text: str, where: str) -> Fraction:
    """A decimal or a quotient of two, exactly.

    Raises:
        UsageError: NaN, infinity, a sign, too many digits, or a zero denominator.
    """
    word = text.strip()
    if not _NUMBER.fullmatch(word):
        raise UsageError(f"{where}: '{printable(text, 40)}' is no number like 0.1 or 2/255")
    top, _, bottom = word.partition("/")
    if bottom and not int(bottom):
        raise UsageError(f"{where}: '{word}' divides by zero")
    return Fraction(top) / (int(bottom) if bottom else 1)


def parse_region(text: str, centre: Image | None, shape: tuple[int, ...], domain: Domain) -> Region:
    """The region that ``KIND:PARAMETERS`` says, around an input.

    Args:
        text: see :data:`KINDS`.
        centre: the input [C, H, W]; None is allowed where the region has a point of its own.
        shape: the network's input shape.
        domain: least and largest input value.

    Raises:
        UsageError: an unknown kind, or parameters that are no numbers.
        InputError: an empty or inverted region, one outside the domain, a missing input.
    """
    kind, separator, body = text.partition(":")
    build = _BUILDERS.get(kind)
    if not separator or build is None:
        raise UsageError(f"--region '{printable(text, 60)}': unknown; use one of {KINDS}")
    return build(body, centre, shape, domain)


def _with_centre(kind: str, centre: Image | None) -> Image:
    if centre is None:
        raise InputError(f"region {kind}: it lies around an input; give one")
    return centre


def _ball(make: Callable[[Image, Domain, Fraction], Region], kind: str) -> _Builder:
    def build(body: str, centre: Image | None, _: tuple[int, ...], domain: Domain) -> Region:
        radius = parse_number(body, f"--region {kind}")
        return make(_with_centre(kind, centre), domain, radius)

    return build


def _occlusion(body: str, centre: Image | None, _: tuple[int, ...], domain: Domain) -> Region:
    words = body.split(",")
    if len(words) not in (3, 4) or not all(re.fullmatch(r"\s*\d{1,6}\s*", word) for word in words):
        raise UsageError(
            f"--region occlude: '{printable(body, 60)}' is not ROW,COLUMN,HEIGHT,WIDTH or "
            "ROW,COLUMN,RADIUS (whole pixels)"
        )
    region = Occlusion(_with_centre("occlude", centre), domain, tuple(int(word) for word in words))
    _refuse_beyond(region)
    return region


def _refuse_beyond(region: Occlusion) -> None:
    """Refuse a shape that reaches beyond the image: what would be certified is smaller.

    Raises:
        InputError: naming the part inside; of a circle, the largest one there.
    """
    rows, columns = region.mask.shape
    row, column, *size = region.shape
    if len(size) == 1:  # every pixel whose centre is at most so far away
        inside = [min(*size, row, column, rows - 1 - row, columns - 1 - column)]
        part = "the largest circle there that lies inside is"
    else:
        inside = [min(size[0], rows - row), min(size[1], columns - column)]
        part = "what lies inside is"
    if inside != size:
        words = ",".join(map(str, (row, column, *inside)))
        raise InputError(
            f"region {region}: reaches beyond the image of {rows} rows and {columns} columns; "
            f"{part} occlude:{words}"
        )


def _brightness(body: str, centre: Image | None, _: tuple[int, ...], domain: Domain) -> Region:
    words = body.split(",")
    if len(words) > 2:
        raise UsageError("--region brightness: give BRIGHTNESS or BRIGHTNESS,CONTRAST")
    shift = parse_number(words[0], "--region brightness")
    scale = parse_number(words[1], "--region brightness") if len(words) == 2 else Fraction(0)
    return Brightness(_with_centre("brightness", centre), domain, shift, scale)


def _contrast(body: str, centre: Image | None, _: tuple[int, ...], domain: Domain) -> Region:
    radius = parse_number(body, "--region contrast")
    return Brightness(_with_centre("contrast", centre), domain, Fraction(0), radius)


def _shift(body: str, centre: Image | None, _: tuple[int, ...], domain: Domain) -> Region:
    if not re.fullmatch(r"\d{1,6}", body):
        raise UsageError(f"--region shift: '{printable(body, 40)}' is no number of whole pixels")
    return Shifts(_with_centre("shift", centre), domain, int(body))


def _box(body: str, centre: Image | None, shape: tuple[int, ...], domain: Domain) -> Region:
    path = Path(body)
    data = io.BytesIO(read_regular_file(path, _MOST_BYTES, InputError))
    try:
        with zipfile.ZipFile(data) as archive:
            require_sensible(archive, path)
        with np.load(data, allow_pickle=False) as arrays:
            if not {"lower", "upper"} <= set(arrays):
                raise InputError(f"{printable(path, 400)}: needs the arrays lower and upper")
            ends = [arrays[name] for name in ("lower", "upper")]
    except UNREADABLE as error:
        raise InputError(f"{printable(path, 400)}: not a readable .npz file") from error
    if any(end.dtype.kind != "f" or end.shape != shape for end in ends):
        raise InputError(
            f"{printable(path, 400)}: lower and upper must be floats of shape {list(shape)}"
        )
    return box_region(InputBox(*ends), centre, domain, path.name)


def box_region(
    box: InputBox,
    centre: Image | None,
    domain: Domain,
    name: str,
    stated: Sequence[tuple[Fraction, Fraction]] | None = None,
) -> Region:
    """A box with the given centre, or else its middle in float32.

    Args:
        stated: the exact ends in row-major order, where the box is rounded outwards.

    Raises:
        InputError: no float32 number lies between two ends; see also :class:`BoxRegion`.
    """
    first = box.lower.astype(np.float32)  # the least float32 number that is not below the end
    first = np.where(first < box.lower, np.nextafter(first, np.float32(np.inf)), first)
    empty = np.argwhere(first > box.upper)
    if len(empty):
        where = tuple(empty[0].tolist())
        least, most = map(str, (box.lower[where], box.upper[where]))
        if stated is not None:
            ends = stated[int(np.ravel_multi_index(where, box.lower.shape))]
            least, most = (as_typed(str(end)) for end in ends)
        raise InputError(
            f"{printable(name, 400)}: at {list(where)}, between {least} and {most}, there is no "
            "float32 number, so no input lies in the region; widen it there"
        )
    if centre is None:
        middle = (box.lower / 2 + box.upper / 2).astype(np.float32)
        # rounding may leave a box that is hardly wider than a float32 unit
        below, above = (
            np.nextafter(middle, np.float32(-np.inf)),
            np.nextafter(middle, np.float32(np.inf)),
        )
        middle = np.where(middle < box.lower, above, np.where(middle > box.upper, below, middle))
        centre = middle.astype(np.float32)
    return BoxRegion(centre, domain, box, name)


def _vnnlib(body: str, centre: Image | None, shape: tuple[int, ...], domain: Domain) -> Region:
    return vnnlib_region(read_vnnlib(Path(body)), centre, shape, domain, Path(body).name)


def vnnlib_region(
    file: VnnLib, centre: Image | None, shape: tuple[int, ...], domain: Domain, name: str
) -> Region:
    """The input box of a VNN-LIB file, row-major over [C, H, W].

    Raises:
        InputError: another number of inputs than the network's.
    """
    count = int(np.prod(shape))
    if file.box.lower.size != count:
        raise InputError(f"{name}: has {file.box.lower.size} inputs, the network takes {count}")
    box = InputBox(file.box.lower.reshape(shape), file.box.upper.reshape(shape))
    return box_region(box, centre, domain, name, file.stated)


_Builder = Callable[[str, Image | None, tuple[int, ...], Domain], Region]
_BUILDERS: dict[str, _Builder] = {
    "linf": _ball(LinfBall, "linf"),
    "l2": _ball(L2Ball, "l2"),
    "box": _box,
    "occlude": _occlusion,
    "brightness": _brightness,
    "contrast": _contrast,
    "shift": _shift,
    "vnnlib": _vnnlib,
}
