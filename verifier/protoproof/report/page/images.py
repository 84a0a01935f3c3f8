"""Arrays as pictures that a page can carry inside itself."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw

from protoproof.errors import InternalError
from protoproof.network.layout import layout_of
from protoproof.report.page.page import Box, Image

if TYPE_CHECKING:
    from protoproof.network import Network

LARGE, SMALL = 512, 256  # longest sides of the input and of tiles; larger ones are shown smaller


# Height of one channel's curve, and the least width of a drawing of curves.
_CURVE, _WIDE = 64, 384
_MOST_CURVES = 12
_FINEST, _LONGEST = 4, 1 << 14  # at most so many times larger, and pixels wide
_COLOURS = (1, 3)  # channels that a picture shows as they are


def to_picture(x: Float[NDArray[Any], "..."], low: float, high: float) -> Image:
    """An input tensor in [low, high] as an image; other than 1 or 3 channels show their mean.

    What is no image is drawn as curves where it has few rows (signals by channel, a vector), else
    shown as a table of its numbers, grey. What leaves the range is shown between its extremes.
    """
    if x.min() < low or x.max() > high:  # nobody stated a range
        low, high = float(x.min()), float(max(x.max(), np.nextafter(x.min(), np.inf)))
    if x.ndim != 3:
        x = x.reshape(1, -1, x.shape[-1])
        if x.shape[1] <= _MOST_CURVES and x.shape[2] > 1:
            return _curves(x[0], low, high)
    elif layout_of(x.shape) == "channels last":
        x = np.moveaxis(x, 2, 0)
    channels = x if len(x) in _COLOURS else x.mean(axis=0, keepdims=True)
    scaled = (channels.astype(np.float64) - low) / (high - low)
    pixels = np.rint(np.clip(np.nan_to_num(scaled), 0, 1) * 255).astype(np.uint8)
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)


def input_picture(network: Network, x: NDArray[np.float32]) -> Image:
    """An input of a network as the picture that it came from, or would have come from."""
    return to_picture(network.pixels.image(x), 0.0, 1.0)


def _curves(x: NDArray[Any], low: float, high: float) -> Image:
    """One curve per channel, below each other; values run upwards from ``low`` to ``high``."""
    # large enough that a part of a long signal can be read, and lines survive being shown smaller
    times = max(1, min(_FINEST, 2 * x.shape[1] // _WIDE))
    width, tall = max(_WIDE * times, min(x.shape[1], _LONGEST)), _CURVE * times
    share = (np.nan_to_num(x.astype(np.float64)) - low) / (high - low)
    height = 1.0 - np.clip(share, 0.0, 1.0)
    picture = Picture.new("L", (width, tall * len(x)), 255)
    pen = ImageDraw.Draw(picture)
    across = (np.arange(x.shape[1]) + 0.5) * width / x.shape[1]
    for channel, row in enumerate(height):
        top, edge = channel * tall, 4 * times
        pen.line([(0, top), (width, top)], fill=220, width=times)
        points = zip(across.tolist(), (top + edge + row * (tall - 2 * edge)).tolist(), strict=True)
        pen.line(list(points), fill=40, width=2 * times)
    return np.asarray(picture)


def crop(image: Image, box: Box) -> Image:
    """The part of an image inside a box; at least one pixel."""
    y0, x0, y1, x1 = box
    return image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def data_uri(image: Image, longest: int) -> str:
    """The image as a PNG inside a ``data:`` address, its longer side at most ``longest``.

    Raises:
        InternalError: not an 8-bit image of [h, w] or [h, w, 3].
    """
    right_shape = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not right_shape or not image.size:
        raise InternalError(f"a page cannot show an array of {image.dtype} {list(image.shape)}")
    picture = Picture.fromarray(np.ascontiguousarray(image))
    shrink = math.ceil(max(picture.size) / longest)
    if shrink > 1:
        picture = picture.reduce(shrink)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
