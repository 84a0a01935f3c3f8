"""Inputs of every form from files: the numbers, and what is said about them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from protoproof.data.preprocess import Preprocessing
from protoproof.errors import InputError
from protoproof.network.inputs import open_inputs, read_input, read_input_file
from protoproof.network.layout import from_image, layout_of, words
from protoproof.network.pixels import PixelRule
from protoproof.report.page.images import to_picture
from tests.support.arrays import HEADERS, array_with_header

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (6, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
UNIT = (0.0, 1.0)


def saved(folder: Path, pixels: np.ndarray, name: str = "x.png") -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def array(folder: Path, values: np.ndarray, name: str = "x.npy") -> Path:
    np.save(folder / name, values)
    return folder / name


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 6, 8), "channels first"),
        ((3, 6, 8), "channels first"),
        ((6, 8, 1), "channels last"),
        ((6, 8, 3), "channels last"),
        ((3, 8, 3), None),
        ((1, 28, 1), None),
        ((1, 6, 3), None),
        ((4, 6, 8), None),
        ((64,), None),
        ((12, 100), None),
        ((2, 3, 4, 5), None),
    ],
)
def test_where_the_channels_are(shape: tuple[int, ...], layout: str | None) -> None:
    assert layout_of(shape) == layout
    assert (layout in words(shape)) if layout else ("channels" not in words(shape))


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("value_range", [UNIT, (-1.0, 1.0), (0.0, 255.0)])
def test_images_for_both_layouts(
    tmp_path: Path, pixels: np.ndarray, value_range: tuple[float, float]
) -> None:
    path = saved(tmp_path, pixels)
    image = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    low, high = value_range
    first = read_input(path, PixelRule(image.shape, value_range))
    want = low + (high - low) * (image / 255)
    np.testing.assert_allclose(first, want, rtol=0, atol=1e-6 * (high - low))
    assert first.dtype == np.float32
    assert (first.min(), first.max()) == (image.min() * 0 + first.min(), first.max())
    if value_range == (0.0, 255.0):
        assert np.array_equal(first, image)  # exactly, as bytes are
    last = read_input_file(path, PixelRule((6, 8, len(image)), value_range))
    assert np.array_equal(last.x, np.moveaxis(first, 0, 2))
    assert last.x.flags.c_contiguous
    assert any("6 x 8 x" in remark and "channels last" in remark for remark in last.remarks)


def test_what_was_done_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, GREY)
    assert read_input_file(path, PixelRule((1, 6, 8), UNIT)).remarks == (
        "numbers 0..255 were scaled to [0, 1]",
    )
    said = read_input_file(path, PixelRule((3, 6, 8), UNIT)).remarks
    assert said == (
        "numbers 0..255 were scaled to [0, 1]",
        "the image is grey; its three colours are equal",
    )
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(GREY).save(tmp_path / "turned.png", exif=exif)
    turned = read_input_file(tmp_path / "turned.png", PixelRule((1, 6, 8), UNIT))
    assert "turned as its EXIF orientation says" in turned.remarks[-1]
    assert np.array_equal(turned.x[0], read_input(path, PixelRule((1, 6, 8), UNIT))[0, ::-1, ::-1])
    floats = array(tmp_path, np.zeros((1, 6, 8), np.float32))
    assert read_input_file(floats, PixelRule((1, 6, 8), UNIT, known=False)).remarks == ()


def test_colours_for_a_grey_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has colours, the network takes grey; convert it"):
        read_input(saved(tmp_path, COLOUR), PixelRule((1, 6, 8), UNIT))
    same = saved(tmp_path, np.repeat(GREY[..., None], 3, 2), "same.png")
    grey = saved(tmp_path, GREY, "grey.png")
    assert np.array_equal(
        read_input(same, PixelRule((1, 6, 8), UNIT)), read_input(grey, PixelRule((1, 6, 8), UNIT))
    )


@pytest.mark.parametrize("shape", [(3, 8, 3), (4, 6, 8), (12, 100), (64,), (1, 28, 1)])
def test_an_image_for_a_network_without_colours(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"give an array \(.npy\) of that shape"):
        read_input(saved(tmp_path, GREY), PixelRule(shape, UNIT))


SHAPES = [(1, 6, 8), (3, 6, 8), (6, 8, 1), (6, 8, 3), (2, 50), (1, 50), (7,), (5, 4), (2, 3, 4, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_of_every_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = RNG.random((4, *shape)).astype(np.float32)
    one = array(tmp_path, values[2], "one.npy")
    assert open_inputs(one, PixelRule(shape, UNIT)) is None
    assert np.array_equal(read_input(one, PixelRule(shape, UNIT)), values[2])
    single = array(tmp_path, values[1:2], "single.npy")
    assert open_inputs(single, PixelRule(shape, UNIT)) is None
    assert np.array_equal(read_input(single, PixelRule(shape, UNIT)), values[1])
    many = array(tmp_path, values, "many.npy")
    np.savez(tmp_path / "many.npz", x=values)
    for path in (many, tmp_path / "many.npz"):
        found = open_inputs(path, PixelRule(shape, UNIT))
        assert found is not None
        assert len(found) == 4
        for entry, value in zip(found, values, strict=True):
            assert np.array_equal(entry, value)
        assert np.array_equal(read_input(path, PixelRule(shape, UNIT), 3), values[3])
    with pytest.raises(InputError, match="choose one with --index"):
        read_input(many, PixelRule(shape, UNIT))
    with pytest.raises(InputError, match="--index 4 is outside"):
        read_input(many, PixelRule(shape, UNIT), 4)


@pytest.mark.parametrize("shape", [(1, 6, 8), (6, 8, 1), (1, 50)])
def test_an_only_channel_may_be_left_out(tmp_path: Path, shape: tuple[int, ...]) -> None:
    bare = tuple(size for size in shape if size != 1)
    values = RNG.random((5, *bare)).astype(np.float32)
    many = open_inputs(array(tmp_path, values, "many.npy"), PixelRule(shape, UNIT))
    assert many is not None
    assert np.array_equal(many.entry(3), values[3].reshape(shape))
    one = read_input(array(tmp_path, values[0], "one.npy"), PixelRule(shape, UNIT))
    assert np.array_equal(one, values[0].reshape(shape))


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_at_the_other_end_are_moved_and_that_is_said(
    tmp_path: Path, channels: int
) -> None:
    values = RNG.random((6, 8, channels)).astype(np.float32)
    path = array(tmp_path, values)
    first = read_input_file(path, PixelRule((channels, 6, 8), UNIT))
    assert np.array_equal(first.x, np.moveaxis(values, 2, 0))
    assert "channels were moved" in first.remarks[0]
    assert open_inputs(path, PixelRule((channels, 6, 8), UNIT)) is None
    same = read_input_file(path, PixelRule((6, 8, channels), UNIT))
    assert np.array_equal(same.x, values)
    assert same.remarks == ()
    batch = array(tmp_path, np.stack([values] * 2), "two.npy")
    many = open_inputs(batch, PixelRule((channels, 6, 8), UNIT))
    assert many is not None
    assert np.array_equal(many.entry(1), first.x)


@pytest.mark.parametrize(
    "values", [np.zeros((1, 6, 9)), np.zeros((8, 6)), np.zeros((6, 8, 2)), np.zeros(48)]
)
def test_other_shapes_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(InputError, match="does not fit the network's input") as caught:
        read_input(array(tmp_path, values.astype(np.float32)), PixelRule((1, 6, 8), UNIT))
    assert "--index" not in str(caught.value)


def test_only_where_there_are_several_entries_is_one_to_be_chosen(tmp_path: Path) -> None:
    rule = PixelRule((1, 6, 8), UNIT)
    with pytest.raises(InputError, match="choose one with --index"):
        read_input(array(tmp_path, np.zeros((3, 1, 6, 8), np.float32)), rule)
    Image.fromarray(np.zeros((5, 8), np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="does not fit") as caught:
        read_input(tmp_path / "x.png", rule)
    assert "--index" not in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (None, "such as resize=6x8$"),
        (Preprocessing(crop=(3, 3)), "such as resize=6x8,crop=none$"),
    ],
)
def test_a_picture_of_another_size_is_told_what_to_state(
    stated: Preprocessing | None, told: str, tmp_path: Path
) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match=told):
        read_input(tmp_path / "x.png", PixelRule((1, 6, 8), UNIT, preprocessing=stated))


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint16, np.bool_, np.complex64])
def test_other_numbers_are_refused(tmp_path: Path, kind: type) -> None:
    with pytest.raises(InputError, match="use uint8 or float"):
        read_input(array(tmp_path, np.zeros((1, 6, 8), kind)), PixelRule((1, 6, 8), UNIT))


@given(
    image=st.sampled_from([1, 3]).flatmap(
        lambda c: st.tuples(st.just(c), st.integers(4, 9), st.integers(4, 9))
    ),
    last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_images_in_both_layouts(image: tuple[int, int, int], last: bool, seed: int) -> None:
    x = np.random.default_rng(seed).random(image).astype(np.float32)
    shape = (*image[1:], image[0]) if last else image
    there = from_image(x, shape)
    assert there is not None
    assert np.array_equal(there, np.moveaxis(x, 0, 2) if last else x)
    assert from_image(x, (image[0], image[1] + 1, image[2])) is None


def test_images_that_are_no_images() -> None:
    x = np.zeros((5, 7), np.float32)
    assert from_image(x, (5, 7)) is None
    assert from_image(np.zeros((1, 5, 7), np.float32), (5, 7)) is None
    grey = RNG.random((1, 5, 7)).astype(np.float32)
    three = from_image(grey, (3, 5, 7))
    assert three is not None
    assert np.array_equal(from_image(three, (1, 5, 7)), grey)
    three[1, 0, 0] += 1
    assert from_image(three, (1, 5, 7)) is None


def test_data_of_images_for_both_layouts() -> None:
    """A data set holds [channel, row, column]; a network may want the channels last."""
    image = RNG.random((3, 6, 8)).astype(np.float32)
    for value_range in (UNIT, (-1.0, 3.0)):
        first = PixelRule((3, 6, 8), value_range).values(image)
        last = PixelRule((6, 8, 3), value_range).values(image)
        assert np.array_equal(last, np.moveaxis(first, 0, 2))
        assert PixelRule((3, 6, 9), value_range).values(image).shape == (
            3,
            6,
            8,
        )  # for others to refuse


@pytest.mark.parametrize("shape", [(1, 6, 8), (6, 8, 1), (3, 6, 8), (6, 8, 3)])
def test_images_of_both_layouts_are_shown_alike(shape: tuple[int, ...]) -> None:
    x = RNG.random(shape).astype(np.float32)
    image = np.moveaxis(x, 0, 2) if shape[0] in (1, 3) else x
    pixels = np.rint(image.astype(np.float64) * 255).astype(np.uint8)
    assert np.array_equal(to_picture(x, 0.0, 1.0), pixels if 3 in shape else pixels[..., 0])


@pytest.mark.parametrize("shape", [(2, 50), (7,), (5, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_every_input_can_be_shown(shape: tuple[int, ...], scale: float) -> None:
    shown = to_picture(RNG.normal(0, scale, shape).astype(np.float32), 0.0, 1.0)
    assert shown.dtype == np.uint8
    assert shown.ndim in (2, 3)
    assert shown.min() < shown.max()


@pytest.mark.trust(29, 33)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_are_none_are_refused_in_one_line(
    header: str, suffix: str, tmp_path: Path
) -> None:
    content = array_with_header(header)
    path = tmp_path / f"x.{suffix}"
    if suffix == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable NumPy file") as caught:
        read_input(path, (1, 2, 2), (0.0, 1.0))
    assert "\n" not in str(caught.value)
    assert "()" not in str(caught.value)
