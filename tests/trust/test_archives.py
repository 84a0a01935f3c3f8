"""Archives that lead elsewhere, or unpack to more than they are."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from protoproof.data.npz import KEYS, read_npz
from protoproof.errors import InputError


def array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def archive(path: Path, more: dict[str, bytes], less: str = "") -> Path:
    members = {
        f"{key}.npy": array(np.zeros((4, 3, 3) if key.startswith("x") else 4, np.uint8))
        for key in KEYS
        if key != less
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in {**members, **more}.items():
            target.writestr(name, content)
    return path


@pytest.mark.trust(29)
@pytest.mark.parametrize("name", ["../x_train.npy", "/x_train.npy", "a/../x_train.npy"])
def test_a_member_that_leads_elsewhere_is_no_array_and_is_never_unpacked(
    tmp_path: Path, name: str
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    evil = {name: array(np.ones((4, 3, 3), np.uint8))}
    found = read_npz(archive(inner / "a.npz", evil))
    assert not found["x_train"].any()
    with pytest.raises(InputError, match="no array named x_train"):
        read_npz(archive(inner / "b.npz", evil, less="x_train"))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.npz", "b.npz", "inner"]


@pytest.mark.trust(29)
def test_a_bomb_beside_the_arrays_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "a.npz", {"more.npy": bytes(1 << 24)})
    opened: list[str] = []
    plain = zipfile.ZipFile.open

    def recording(self: zipfile.ZipFile, name: zipfile.ZipInfo, *args: object) -> object:
        opened.append(name.filename)
        return plain(self, name, *args)

    monkeypatch.setattr(zipfile.ZipFile, "open", recording)
    read_npz(path)
    assert opened
    assert "more.npy" not in opened
