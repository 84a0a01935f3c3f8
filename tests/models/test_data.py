"""Data sets: one form whatever the source, and one clear line for every kind of bad file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from protoproof.data import limits
from protoproof.data import npz as data_npz
from protoproof.data.dataset import load_data
from protoproof.data.npz import read_npz
from protoproof.data.preprocess import parse
from protoproof.errors import InputError
from tests.support.training import stripes

Arrays = dict[str, Any]
MNIST5K = "812f1cbed27510b749efdb5d9fcf3f625fdfdb6960193c75a3018d81846d5e97"


def _refusal(source: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        load_data(str(source))
    message = str(caught.value)
    assert "\n" not in message
    return message


def _save(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)
    return path


def test_mnist5k_is_split_by_class_and_never_moves() -> None:
    dataset = load_data("mnist5k")
    assert dataset.sha256 == MNIST5K
    assert dataset.x_train.shape == (4000, 1, 28, 28)
    assert dataset.x_test.shape == (1000, 1, 28, 28)
    assert dataset.x_train.dtype == np.float32
    assert np.bincount(dataset.y_train).tolist() == [400] * 10
    assert np.bincount(dataset.y_test).tolist() == [100] * 10
    seen = {image.tobytes() for image in dataset.x_train}
    assert not any(image.tobytes() in seen for image in dataset.x_test)


def test_uint8_and_float_files_hold_the_same_data(tmp_path: Path) -> None:
    arrays = stripes(40, 1, 8, 9, 2)
    scaled = {
        key: value.astype(np.float32) / np.float32(255) if key[0] == "x" else value.astype(np.uint8)
        for key, value in arrays.items()
    }
    flat = {key: value[:, 0] if key[0] == "x" else value for key, value in arrays.items()}
    fingerprints = {
        load_data(str(_save(tmp_path / f"{number}.npz", content))).sha256
        for number, content in enumerate((arrays, scaled, flat))
    }
    assert len(fingerprints) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_are_the_same_data(tmp_path: Path, channels: int) -> None:
    arrays = stripes(40, channels, 8, 9, 2)
    turned = {
        key: value.transpose(0, 2, 3, 1) if key[0] == "x" else value
        for key, value in arrays.items()
    }
    found = [
        load_data(str(_save(tmp_path / f"{number}.npz", content)))
        for number, content in enumerate((arrays, turned))
    ]
    assert found[0].sha256 == found[1].sha256
    assert found[1].input_shape == (channels, 8, 9)


def _write_folder(root: Path, arrays: Arrays, names: tuple[str, ...]) -> Path:
    for part in ("train", "test"):
        for number, (pixels, label) in enumerate(
            zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)
        ):
            folder = root / part / names[label]
            folder.mkdir(parents=True, exist_ok=True)
            picture = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
            Image.fromarray(picture).save(folder / f"{number:03}.png")
    return root


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_holds_the_same_data_as_a_file(tmp_path: Path, channels: int) -> None:
    arrays = stripes(40, channels, 8, 9, 2)
    folder = load_data(str(_write_folder(tmp_path / "birds", arrays, ("jay", "wren"))))
    assert folder.classes == ("jay", "wren")
    assert folder.name == "birds"
    ordered = dict(arrays)
    for part in ("train", "test"):
        order = np.argsort(arrays[f"y_{part}"], kind="stable")
        ordered[f"x_{part}"] = arrays[f"x_{part}"][order]
        ordered[f"y_{part}"] = arrays[f"y_{part}"][order]
    file = load_data(str(_save(tmp_path / "birds.npz", ordered)))
    assert folder.sha256 == file.sha256


def test_one_part_stands_for_both(tmp_path: Path) -> None:
    arrays, names = stripes(40, 3, 8, 9, 2), ("jay", "wren")
    _write_folder(tmp_path / "birds", arrays, names)
    folder = load_data(str(tmp_path / "birds" / "test"))
    assert (folder.divided, folder.classes) == (False, names)
    assert folder.files == tuple(sorted(folder.files))
    assert {Path(name).parent.name for name in folder.files} == set(names)
    order = np.argsort(arrays["y_test"], kind="stable")
    one = {"x_test": arrays["x_test"][order], "y_test": arrays["y_test"][order]}
    file = load_data(str(_save(tmp_path / "one.npz", one)))
    assert (file.divided, file.sha256) == (False, folder.sha256)
    for made in (folder, file):
        assert np.array_equal(made.x_test[:, :, :, 0], one["x_test"][:, :, :, 0] / np.float32(255))
        assert made.x_train is made.x_test
    (tmp_path / "birds" / "test" / "owl").mkdir()
    assert "owl: holds no image" in _refusal(tmp_path / "birds" / "test")


def _put(key: str, change: Callable[[np.ndarray], Any]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {key: change(arrays[key])}


BAD_ARRAYS: list[tuple[str, Callable[[Arrays], Arrays], str]] = [
    ("missing", lambda a: {k: v for k, v in a.items() if k != "y_test"}, "no array named y_test"),
    ("two dimensions", _put("x_train", lambda x: x[:, 0, 0]), "x_train has 2 dimensions"),
    ("two channels", _put("x_train", lambda x: np.repeat(x, 2, axis=1)), "no image's channels"),
    ("other size", _put("x_test", lambda x: x[:, :, :7]), "different shapes"),
    ("wide integers", _put("x_train", lambda x: x.astype(np.int64)), "type int64"),
    ("range", _put("x_train", lambda x: x.astype(np.float32)), "scale float images to [0,1]"),
    ("negative", _put("x_test", lambda x: x / 255.0 - 0.5), "scale float images to [0,1]"),
    ("not a number", _put("x_test", lambda x: np.full(x.shape, np.nan)), "NaN"),
    ("empty", _put("x_test", lambda x: x[:0]), "is empty"),
    ("fewer labels", _put("y_train", lambda y: y[1:]), "29 labels for 30 images"),
    ("column of labels", _put("y_train", lambda y: y[:, None]), "one label per image"),
    ("fractions", _put("y_train", lambda y: y + 0.5), "labels must be integers"),
    ("words", _put("y_train", lambda y: y.astype(str)), "only numbers are read"),
    ("negative label", _put("y_test", lambda y: y - 1), "negative label -1"),
    ("huge label", _put("y_test", lambda y: y.astype(np.uint64) + 2**63), "number the classes"),
    ("a gap", _put("y_train", lambda y: y * 2), "without a gap"),
    (
        "a gap of one part",
        lambda a: {"x_test": a["x_test"], "y_test": a["y_test"] * 2},
        "y_test must use every label",
    ),
    (
        "half a part",
        lambda a: {k: v for k, v in a.items() if k != "x_train"},
        "no array named x_train",
    ),
    ("one class", _put("y_train", lambda y: y * 0), "one class only"),
    ("unknown class", _put("y_test", lambda y: y + 1), "y_test holds label 2"),
    ("objects", _put("y_train", lambda y: y.astype(object)), "only numbers are read"),
]


@pytest.mark.parametrize(
    ("change", "said"), [row[1:] for row in BAD_ARRAYS], ids=[row[0] for row in BAD_ARRAYS]
)
def test_bad_arrays_are_refused(
    tmp_path: Path, change: Callable[[Arrays], Arrays], said: str
) -> None:
    path = tmp_path / "bad.npz"
    arrays = change(stripes(40, 1, 8, 9, 2))
    np.savez(path, allow_pickle=True, **arrays)
    assert said in _refusal(path)


def test_a_file_larger_than_the_limit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    arrays = stripes(40, 1, 8, 9, 2)
    np.savez_compressed(path, **arrays | {"x_train": np.zeros((200_000, 28, 28), np.uint8)})
    monkeypatch.setattr(data_npz, "MAX_BYTES", 4 * 150_000 * 28 * 28)
    monkeypatch.setattr(
        np.lib.format, "read_array", lambda *_, **__: pytest.fail("unpacked before the check")
    )
    assert "more than the limit" in _refusal(path)


@pytest.mark.trust(29, 47)
def test_a_small_file_that_unpacks_to_much_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    arrays = stripes(40, 1, 8, 9, 2)
    np.savez_compressed(path, **arrays | {"x_train": np.zeros((2000, 28, 28), np.uint8)})
    read_npz(path)  # little, however well it is packed
    monkeypatch.setattr(limits, "_SMALL", 1 << 20)
    monkeypatch.setattr(
        np.lib.format, "read_array", lambda *_, **__: pytest.fail("unpacked before the check")
    )
    assert "small archive" in _refusal(path)
    np.savez(path, **arrays | {"x_train": np.zeros((2000, 28, 28), np.uint8)})
    monkeypatch.undo()
    monkeypatch.setattr(limits, "_SMALL", 1 << 20)
    read_npz(path)  # as large as it says


@pytest.mark.trust(29)
def test_a_header_that_promises_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "honest.npz", stripes(40, 1, 8, 9, 2))
    liar = tmp_path / "liar.npz"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(liar, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename == "x_train.npy":
                stream = io.BytesIO()
                header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**9)}
                np.lib.format.write_array_header_1_0(stream, header)
                content = stream.getvalue() + content[-100:]
            target.writestr(info.filename, content)
    assert "another size" in _refusal(liar)


@pytest.mark.trust(29)
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = _save(tmp_path / "whole.npz", stripes(40, 1, 8, 9, 2)).read_bytes()
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in _refusal(truncated)
    flipped = tmp_path / "flipped.npz"
    place = whole.index(b"NUMPY") + 500
    flipped.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    assert "cannot be read" in _refusal(flipped)
    text = tmp_path / "text.npz"
    text.write_text("hello")
    assert "cannot be read" in _refusal(text)


def test_sources_that_are_no_data(tmp_path: Path) -> None:
    assert "does not exist" in _refusal(tmp_path / "nowhere.npz")
    other = tmp_path / "data.csv"
    other.write_text("1,2,3")
    assert "not a .npz file" in _refusal(other)


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    arrays, names = stripes(40, 1, 8, 9, 2), ("jay", "wren")
    assert "holds no class folder" in _refusal(tmp_path)
    (tmp_path / "train").mkdir()
    assert "train: holds no class folder" in _refusal(tmp_path)
    (tmp_path / "train").rmdir()
    (tmp_path / "test" / "jay").mkdir(parents=True)
    assert "train: no such folder" in _refusal(tmp_path)
    root = _write_folder(tmp_path / "a", arrays, names)
    (root / "test" / "owl").mkdir()
    assert "class 'owl' has no training images" in _refusal(root)
    root = _write_folder(tmp_path / "b", arrays, names)
    (root / "train" / "jay" / "new.png").write_text("no picture")
    assert "not a readable image" in _refusal(root)
    root = _write_folder(tmp_path / "c", arrays, names)
    Image.new("L", (9, 7)).save(root / "train" / "wren" / "flat.png")
    assert "resize all images" in _refusal(root)
    root = _write_folder(tmp_path / "d", arrays, names)
    picture = root / "train" / "jay" / "000.png"
    picture.write_bytes(picture.read_bytes()[:-30])
    assert "damaged or truncated" in _refusal(root)
    root = _write_folder(tmp_path / "e", arrays, names)
    Image.fromarray(np.zeros((8, 9), np.uint16)).save(root / "train" / "jay" / "deep.png")
    assert "8-bit grey or RGB" in _refusal(root)


def test_all_that_cannot_be_taken_is_counted_and_the_first_named(tmp_path: Path) -> None:
    root = _write_folder(tmp_path / "f", stripes(40, 1, 8, 9, 2), ("jay", "wren"))
    for number in range(4):
        (root / "train" / "jay" / f"note{number}.txt").write_text("no picture")
    (root / "train" / "jay" / "sub").mkdir()
    said = _refusal(root)
    assert said.startswith("5 files are no images: ")
    assert "note0.txt" in said
    assert said.endswith("; and 2 more")
    root = _write_folder(tmp_path / "g", stripes(40, 1, 8, 9, 2), ("jay", "wren"))
    for number in range(2):
        Image.new("CMYK", (9, 8)).save(root / "test" / "wren" / f"x{number}.jpg")
    assert _refusal(root).startswith("2 files cannot be taken: ")


def test_pictures_of_every_size_where_it_is_said_what_becomes_of_them(tmp_path: Path) -> None:
    arrays = stripes(40, 1, 8, 9, 2)
    root = _write_folder(tmp_path / "s", arrays, ("jay", "wren"))
    Image.new("L", (19, 17)).save(root / "train" / "wren" / "large.png")
    assert "--preprocess resize=" in _refusal(root)
    stated = parse("resize=8,crop=6x7", "x")
    found = load_data(str(root), stated)
    assert (found.input_shape, found.pixels) == ((1, 6, 7), True)
    same = load_data(str(_save(tmp_path / "s.npz", arrays)), stated)
    assert same.input_shape == (1, 6, 7)
    assert np.array_equal(same.x_test[0, 0], arrays["x_test"][0, 0, 1:7, 1:8] / np.float32(255))
    floats = {k: v / np.float32(255) if k[0] == "x" else v for k, v in arrays.items()}
    plain = load_data(str(_save(tmp_path / "f.npz", floats)))
    assert not plain.pixels
    with pytest.raises(InputError, match="only pictures and 8-bit images are resized"):
        load_data(str(tmp_path / "f.npz"), stated)
