"""Reading: only regular files, one read, and bytes that every protobuf reader sees alike."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import ModelError
from protoproof.network import load
from protoproof.network.onnx.file import parse, read_model
from protoproof.network.onnx.limits import Limits
from tests.support.network.builders import draft


@pytest.fixture
def data() -> bytes:
    return draft().build().SerializeToString()


@pytest.mark.trust(24)
def test_fifo_device_directory_and_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, problem in (
        (tmp_path / "fifo", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "missing.onnx", "no such file"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (Path("a\0b"), "cannot be read"),
    ):
        start = time.process_time()
        with pytest.raises(ModelError, match=problem):
            read_model(path)
        assert time.process_time() - start < 20


def test_symbolic_links_to_files_are_fine(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "real.onnx").write_bytes(data)
    (tmp_path / "link.onnx").symlink_to(tmp_path / "real.onnx")
    assert read_model(tmp_path / "link.onnx").data == data
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "trap.onnx").symlink_to(tmp_path / "fifo")
    with pytest.raises(ModelError, match="not a regular file"):
        read_model(tmp_path / "trap.onnx")


def test_control_characters_in_a_path_stay_inert(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(tmp_path / "a\x1b[31m\nb.onnx")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"import torch\nmodel = torch.nn.Linear(1, 1)\n", "text file"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x80\x04\x95rest", "pickle"),
        (b"\x93NUMPY\x01\x00", "NumPy array"),
        (b"\x89PNG\r\n\x1a\n", "PNG image"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x00\x01\x02\x03" * 20, "not an ONNX file"),
        (b"\xff" * 100, "not an ONNX file"),
    ],
)
@pytest.mark.trust(28)
def test_other_files(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=problem) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_every_truncation_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            load(path)


@pytest.mark.trust(26)
def test_two_models_in_one_file(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"occurs twice \(two files merged\?\)"):
        parse(data + data)
    only_graph = draft().build()
    for name in ("ir_version", "opset_import", "metadata_props"):
        only_graph.ClearField(name)
    with pytest.raises(ModelError, match=r"'graph' .* occurs twice"):
        parse(data + only_graph.SerializeToString())


@pytest.mark.parametrize(
    ("tail", "problem"),
    [
        (b"\xfa\x07\x00", "unknown field 127"),
        (b"\x3a\x02\x0a\x00", "'graph' at byte .* occurs twice"),
        (b"\x08\x09", "'ir_version' at byte .* occurs twice"),
        (b"\x12\x01\xff", "'producer_name' at byte .* is not UTF-8"),
        (b"\x10\x01", "'producer_name' at byte .* wrong wire type"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x12\xff\xff\xff\xff\x7f", "truncated"),
        (b"\x12", "truncated"),
        (b"\x00\x00", "truncated or not an ONNX file"),
        (b"\x28\x81\x00", "not spelled as protobuf"),
        (b"\xa8\x00\x01", "not spelled as protobuf"),
        (b"\x32\x80\x00", "not spelled as protobuf"),
        (b"\x28" + b"\xff" * 9 + b"\x02", "not spelled as protobuf"),
        (b"\x42\x82\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "truncated"),
    ],
)
def test_appended_bytes(data: bytes, tail: bytes, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        parse(data + tail)


def _nested(number: int, content: bytes) -> bytes:
    assert number < 16
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (b"\x12\x01a\x12\x01b", r"model\.graph: field 'name' at byte \d+ occurs twice"),
        (_nested(1, b"\x78\x01"), r"model\.graph\.node: unknown field 15"),
        (_nested(5, b"\x70\x07"), "'data_location' at byte .* unknown value 7"),
        # dim_value and dim_param of one axis
        (
            _nested(11, _nested(2, _nested(1, _nested(2, _nested(1, b"\x08\x01\x12\x01N"))))),
            "'dim_param' at byte .* occurs twice",
        ),
        (b"\x0a\x05\x0a", "truncated"),
    ],
)
def test_nested_ambiguity(graph: bytes, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        parse(b"\x08\x09" + _nested(7, graph))


def test_deep_nesting_is_cheap() -> None:
    content = b""
    for _ in range(5000):  # node > attribute > g > node > ...
        for tag in (b"\x0a", b"\x2a", b"\x32"):
            size, length = len(content), bytearray()
            while size >= 128:
                length.append(size & 127 | 128)
                size >>= 7
            length.append(size)
            content = tag + bytes(length) + content
    start = time.process_time()
    with pytest.raises(ModelError):
        parse(b"\x08\x09\x3a" + b"\xff\xff\xff\x7f" + content)
    with pytest.raises(ModelError):
        parse(content)
    assert time.process_time() - start < 60


def test_many_fields_are_cheap() -> None:
    start = time.process_time()
    with pytest.raises(ModelError, match="more than 200000 protobuf fields"):
        parse(b"\x42\x00" * 3_000_000, Limits(fields=200_000))
    assert time.process_time() - start < 60


@pytest.mark.trust(27)
def test_one_read_serves_hash_parser_and_runtime(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is swapped as soon as it was read: nothing may look again."""
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    import protoproof.network.onnx.file as module

    original = module.read_regular_file

    def once(where: Path, limit: int, error: type[ModelError]) -> bytes:
        content = original(where, limit, error)
        where.write_bytes(b"swapped")
        return content

    monkeypatch.setattr(module, "read_regular_file", once)
    network = load(path)
    assert network.data == data
    assert network.observe(np.zeros((1, 6, 6), dtype=np.float32)).logits.shape == (2,)
