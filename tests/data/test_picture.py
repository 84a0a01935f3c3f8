"""Pictures are taken as a viewer shows them, bit for bit, or refused in one line that is true."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protoproof.data.folder import read_folder
from protoproof.data.picture import as_colour, as_grey, read_picture
from protoproof.errors import InputError

RNG = np.random.default_rng(2)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
FULL = np.full((5, 7, 1), 255, np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(values: np.ndarray, kind: int, bits: int) -> bytes:
    """A PNG of raw numbers; Pillow writes no 16-bit colours."""
    rows, columns = values.shape[:2]
    header = struct.pack(">IIBBBBB", columns, rows, bits, kind, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in values)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def palette() -> Image.Image:
    image = Image.fromarray(RNG.integers(0, 9, (5, 7), dtype=np.uint8)).convert("P")
    image.putpalette(RNG.integers(0, 256, 27, dtype=np.uint8).tobytes())
    return image


def in_format(image: Image.Image, suffix: str) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        path = folder / f"x{suffix}"
        image.save(path, **({"lossless": True} if suffix == ".webp" else {}))
        return path

    return save


PALETTE = palette()
EXACT: dict[str, tuple[Callable[[Path], Path], np.ndarray]] = {
    f"{name} {suffix}": (in_format(image, suffix), pixels)
    for name, image, pixels in (
        ("grey", Image.fromarray(GREY), GREY),
        ("colour", Image.fromarray(COLOUR), COLOUR),
    )
    for suffix in (".png", ".bmp", ".tif", ".tiff")
} | {
    "grey .pgm": (in_format(Image.fromarray(GREY), ".pgm"), GREY),
    "colour .ppm": (in_format(Image.fromarray(COLOUR), ".ppm"), COLOUR),
    "colour .webp": (in_format(Image.fromarray(COLOUR), ".webp"), COLOUR),
    "black and white": (
        in_format(Image.fromarray(GREY > 99), ".png"), np.where(GREY > 99, 255, 0).astype(np.uint8)
    ),
    "palette": (in_format(PALETTE, ".png"), np.asarray(PALETTE.convert("RGB"))),
    "palette .gif": (in_format(PALETTE, ".gif"), np.asarray(PALETTE.convert("RGB"))),
    "opaque colour": (
        in_format(Image.fromarray(np.concatenate([COLOUR, FULL], 2)), ".png"), COLOUR
    ),
    "opaque grey": (
        in_format(Image.fromarray(np.stack([GREY, FULL[..., 0]], 2), "LA"), ".png"), GREY
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_pixels_are_exact(tmp_path: Path, name: str) -> None:
    save, pixels = EXACT[name]
    found = read_picture(save(tmp_path))
    assert found.pixels.dtype == np.uint8
    assert np.array_equal(found.pixels, pixels)
    assert not found.turned


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.trust(52)
def test_a_cameras_note_is_followed(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Stored in any of eight ways, the picture is the one that was seen."""
    back: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.T,
        6: lambda x: np.rot90(x, 1),
        7: lambda x: x[::-1, ::-1].T,
        8: lambda x: np.rot90(x, -1),
    }
    seen = np.zeros((16, 24), np.uint8)
    seen[:8, :8] = 255
    seen[:8, 8:16] = 128
    stored = Image.fromarray(np.ascontiguousarray(back[orientation](seen))).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x{suffix}"
    stored.save(path, exif=exif, quality=100)
    found = read_picture(path)
    assert found.turned == (orientation != 1)
    assert found.pixels.shape == (16, 24, 3)
    assert np.abs(found.pixels[..., 0].astype(int) - seen).max() < 8


def transparent(mode: str, **more: object) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        image = Image.fromarray(np.concatenate([COLOUR, FULL], 2)).convert(mode)
        if "A" in mode:
            alpha = FULL[..., 0].copy()
            alpha[2, 3] = 254
            image.putalpha(Image.fromarray(alpha))
        image.save(folder / "x.png", **more)
        return folder / "x.png"

    return save


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return save


def frames(folder: Path) -> Path:
    images = [Image.fromarray(np.roll(GREY, n)) for n in range(3)]
    images[0].save(folder / "x.gif", save_all=True, append_images=images[1:])
    return folder / "x.gif"


WIDE = RNG.integers(0, 1 << 16, (5, 7)).astype(">u2")
WIDE3 = RNG.integers(0, 1 << 16, (5, 7, 3)).astype(">u2")
REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "16-bit grey": (written("x.png", png(WIDE, 0, 16)), "have not 8 bits"),
    "16-bit colour": (written("x.png", png(WIDE3, 2, 16)), "have not 8 bits"),
    "16-bit tiff": (in_format(Image.fromarray(WIDE.astype("<u2")), ".tif"), "have not 8 bits"),
    "16-bit ppm": (
        written("x.ppm", b"P6 7 5 65535\n" + WIDE3.tobytes()), "have not 8 bits"
    ),
    "ppm of few levels": (
        written("x.ppm", b"P6 7 5 15\n" + (COLOUR % 16).tobytes()), "have not 8 bits"
    ),
    "floats": (in_format(Image.fromarray(GREY.astype(np.float32)), ".tif"), "pixel format F"),
    "cmyk": (in_format(Image.fromarray(COLOUR).convert("CMYK"), ".jpg"), "pixel format CMYK"),
    "lab": (in_format(Image.fromarray(COLOUR).convert("LAB"), ".tif"), "pixel format LAB"),
    "colour, transparent": (transparent("RGBA"), "transparent"),
    "grey, transparent": (transparent("LA"), "transparent"),
    "one transparent colour": (
        transparent("RGB", transparency=tuple(int(v) for v in COLOUR[0, 0])), "transparent"
    ),
    "one transparent grey": (
        lambda folder: _saved(Image.fromarray(GREY), folder, transparency=int(GREY[1, 1])),
        "transparent",
    ),
    "one transparent entry": (
        lambda folder: _saved(PALETTE, folder, transparency=int(np.asarray(PALETTE)[0, 0])),
        "transparent",
    ),
    "frames": (frames, "holds 3 pictures"),
    "empty": (written("x.png", b""), "not a readable image"),
    "text": (written("x.png", b"hello"), "not a readable image"),
    "cut": (written("x.png", png(GREY, 0, 8)[:-30]), "damaged or truncated"),
    "postscript": (written("x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"), "not a readable image"),
}  # fmt: skip


def _saved(image: Image.Image, folder: Path, **more: object) -> Path:
    image.save(folder / "x.png", **more)
    return folder / "x.png"


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.trust(52)
def test_refused_in_one_line(tmp_path: Path, name: str) -> None:
    save, problem = REFUSED[name]
    path = save(tmp_path)
    with pytest.raises(InputError, match=problem) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_too_many_pixels(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 1 << 13, 1 << 12, 8, 0, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(InputError, match="8192 x 4096 pixels is too large"):
        read_picture(tmp_path / "x.png")


def test_grey_and_colour() -> None:
    assert as_grey(COLOUR) is None
    found = as_grey(as_colour(GREY))
    assert found is not None
    assert np.array_equal(found, GREY)
    assert as_colour(COLOUR) is COLOUR


def folder_of(root: Path, files: dict[str, Callable[[Path], Path]]) -> Path:
    """A data folder of two classes with two images each, and other files where they are said."""
    for part in ("train", "test"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for number in range(2):
                Image.fromarray(GREY).save(root / part / name / f"{number}.png")
    for place, save in files.items():
        target = root / place
        target.mkdir(parents=True, exist_ok=True)
        save(target)
    return root


@pytest.mark.parametrize("suffix", [".webp", ".tiff", ".tif", ".bmp"])
def test_a_folder_reads_every_known_kind(tmp_path: Path, suffix: str) -> None:
    root = folder_of(tmp_path, {"test/a": in_format(Image.fromarray(GREY), ".png")})
    image = Image.fromarray(GREY if suffix != ".webp" else np.repeat(GREY[..., None], 3, 2))
    in_format(image, suffix)(root / "train" / "a")
    arrays, classes = read_folder(root)
    assert classes == ("a", "b")
    assert len(arrays["x_train"]) == len(arrays["x_test"]) == 5
    assert all(np.array_equal(x, np.broadcast_to(GREY, x.shape)) for x in arrays["x_train"])


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.trust(52)
def test_a_folder_refuses_what_a_single_image_is_refused_for(tmp_path: Path, name: str) -> None:
    save, problem = REFUSED[name]
    with pytest.raises(InputError, match=problem):
        read_folder(folder_of(tmp_path, {"train/a": save}))


@pytest.mark.trust(52)
def test_nothing_is_left_out_in_silence(tmp_path: Path) -> None:
    nested = folder_of(tmp_path / "1", {"test/b/sub": in_format(Image.fromarray(GREY), ".png")})
    with pytest.raises(InputError, match="folder inside a class folder"):
        read_folder(nested)
    beside = folder_of(tmp_path / "2", {"train": in_format(Image.fromarray(GREY), ".png")})
    with pytest.raises(InputError, match="lies in no class folder"):
        read_folder(beside)
    for name in ("x.txt", "x.heic", "x"):
        other = folder_of(tmp_path / f"3-{name}", {"train/b": written(name, b"?")})
        with pytest.raises(InputError, match="is no image of a known kind"):
            read_folder(other)
    hidden = {"train/b": written(".DS_Store", b"?"), "test/a": written("Thumbs.db", b"?")}
    arrays, _ = read_folder(folder_of(tmp_path / "4", hidden))
    assert len(arrays["x_train"]) == 4


def test_a_folder_turns_pictures_alike(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    root = folder_of(tmp_path, {})
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(GREY, 1)))
    stored.save(root / "train" / "a" / "2.png", exif=exif)
    arrays, _ = read_folder(root)
    assert np.array_equal(arrays["x_train"][2][0], GREY)
