"""Input tensors and boxes as pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image as Picture

from protoproof.report.page.images import crop, data_uri, to_picture


def test_a_tensor_in_its_range_becomes_bytes() -> None:
    x = np.array([[[-1.0, 0.0, 1.0]]], dtype=np.float32)
    assert to_picture(x, -1.0, 1.0).tolist() == [[0, 128, 255]]


def test_values_outside_and_not_a_number_stay_in_range() -> None:
    x = np.array([[[-9.0, np.nan, 9.0]]], dtype=np.float32)
    assert to_picture(x, 0.0, 1.0).tolist() == [[0, 0, 255]]


def test_three_channels_are_colours_and_other_counts_their_mean() -> None:
    assert to_picture(np.zeros((3, 4, 5), np.float32), 0, 1).shape == (4, 5, 3)
    two = np.stack([np.zeros((4, 5)), np.ones((4, 5))]).astype(np.float32)
    assert to_picture(two, 0, 1).tolist() == [[128] * 5] * 4


def test_an_empty_box_still_shows_a_pixel() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert crop(image, (1, 2, 3, 4)).tolist() == [[6, 7], [10, 11]]
    assert crop(image, (1, 2, 1, 2)).shape == (1, 1)


def test_pictures_survive_and_large_ones_shrink() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(_decode(data_uri(image, 64)), image)
    assert _decode(data_uri(image, 10)).shape == (7, 10, 3)


def _decode(uri: str) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
