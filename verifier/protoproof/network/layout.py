"""Which axes of a network's input are rows, columns and channels.

A network says nothing but sizes. An image is an input of three axes, one of which, the first or the
last, has 1 or 3 entries: its channels. Where both have, nobody can tell.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Layout = Literal["channels first", "channels last"]
CHANNELS = (1, 3)
T = TypeVar("T", bound=np.generic)


def layout_of(shape: tuple[int, ...]) -> Layout | None:
    """Where the channels of an input (without batch axis) are; None for one that is no image."""
    if len(shape) != 3 or (shape[0] in CHANNELS) == (shape[2] in CHANNELS):
        return None
    return "channels first" if shape[0] in CHANNELS else "channels last"


def planes(values: NDArray[T]) -> NDArray[T] | None:
    """A view [channel, row, column] of an input; None where it has no rows and columns.

    The channels are the last axis where that alone has 1 or 3 entries, else (whatever their number)
    the first. Where both have, nobody can tell.
    """
    shape = values.shape
    if len(shape) != 3 or {shape[0], shape[2]} <= set(CHANNELS):
        return None
    return np.moveaxis(values, 2, 0) if layout_of(shape) == "channels last" else values


def words(shape: tuple[int, ...]) -> str:
    """An input's shape as people write it: ``1 x 28 x 28 (channels first)``."""
    layout = layout_of(shape)
    sizes = " x ".join(map(str, shape))
    return f"{sizes} ({layout})" if layout else sizes


def from_image(image: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """[channel, row, column] as an input of this shape; None where it does not fit.

    Three equal channels are grey, and grey is three equal channels: nothing is invented.
    """
    layout = layout_of(shape)
    if layout is None or image.ndim != 3:
        return None
    wanted = shape[0] if layout == "channels first" else shape[2]
    if wanted == 1 and len(image) == 3 and (image == image[:1]).all():
        image = image[:1]
    elif wanted == 3 and len(image) == 1:
        image = np.repeat(image, 3, axis=0)
    if layout == "channels last":
        image = np.moveaxis(image, 0, 2)
    return np.ascontiguousarray(image) if image.shape == shape else None
