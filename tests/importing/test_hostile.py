"""Files that want something to happen when they are read. Nothing does, and one line says why."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from protoproof.errors import InputError
from protoproof.importing.pickled import checkpoint, machine
from protoproof.importing.pickled.checkpoint import read_checkpoint
from protoproof.importing.pickled.machine import Made, Name, Stream, read_pickle
from tests.support.cli import protoproof
from tests.support.importing.saving import Reduced, hostile, pickled


class Waiting:
    """An object whose state would be given to a method of its own."""

    def __setstate__(self, state: object) -> None:
        raise AssertionError("a method of the file's class was called")

    def __getstate__(self) -> dict[str, str]:
        return {"command": "touch ran"}


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


# programs, and a word of the refusal; each would create the file `ran` where a pickle is executed
CALLS: dict[str, tuple[bytes, str]] = {
    "reduce": (pickled(Reduced(os.system, "touch ran")), "posix.system"),
    "exec": (pickled(Reduced(exec, "open('ran', 'w')")), "builtins.exec"),
    "eval": (pickled(Reduced(eval, "open('ran', 'w')"), 0), "builtins.eval"),
    "open": (pickled(Reduced(open, "ran", "w"), 4), "open"),
    "getattr": (pickled(Reduced(getattr, "text", "format")), "builtins.getattr"),
    "named only": (_global("os", "system") + b".", "os.system"),
    "python 2": (_global("__builtin__", "eval") + b".", "builtins.eval"),
    "instruction INST": (b"(S'touch ran'\nios\nsystem\n.", "os.system"),
    "instruction OBJ": (b"(" + _global("os", "system") + b"S'touch ran'\no.", "os.system"),
    "through another module": (
        _global("torch.serialization", "os.system") + b"(S'x'\ntR.", "no module of a network"),
    "process": (pickled(Reduced(subprocess.Popen, "touch ran")), ".Popen'"),
    "nested": (pickled(Reduced(pickle.loads, b"cos\nsystem\n.")), "loads"),
    "numbered": (b"\x82\x01.", "EXT1"),
    "of a method": (pickled([Reduced(str.format, "{}", 1)]), "getattr"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    program, word = CALLS[name]
    path = hostile(tmp_path / "model.pth", program)
    result = protoproof("import", path, "--out", tmp_path / "n.onnx", cwd=tmp_path)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert word in result.err
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "n.onnx").exists()


def test_classes_of_the_file_are_never_imported_and_their_methods_never_called() -> None:
    program = pickled(Waiting())
    found = read_pickle(Stream(program), {})
    assert isinstance(found, Made)
    assert found.of.name == "Waiting"
    assert found.state == {"command": "touch ran"}
    # a module that does not exist, and one that would be loaded if somebody tried to
    value = read_pickle(Stream(_global("antigravity_of_somebody", "fly") + b"."), {})
    assert isinstance(value, Name)
    before = set(sys.modules)
    read_pickle(Stream(_global("torch.hub", "load") + b"(S'a/b'\ntR."), {})
    assert set(sys.modules) == before


def test_a_state_cannot_change_what_reads_it() -> None:
    """BUILD on a name, a tensor or a plain dictionary sets nothing."""
    for target in (_global("model", "Net"), b"}", b"]"):
        program = target + b"(S'__class__'\nS'x'\nS'_do_reduce'\nS'y'\ndb."
        found = read_pickle(Stream(program), {})
        assert not isinstance(found, Made)
        assert getattr(found, "_do_reduce", None) is None


BROKEN = {
    "empty": b"",
    "cut": pickled({"a": [1, 2, 3]})[:-4],
    "no stop": b"}",
    "empty stack": b".",
    "call of a number": b"I1\n(tR.",
    "arguments that are no tuple": _global("model", "Net") + b"]R.",
    "append to a number": b"I1\nI2\na.",
    "unhashable key": b"}]I1\ns.",
    "unknown memo": b"h\x07.",
    "outside": b"Pfile\n.",
    "long number": b"\x8b" + struct.pack("<i", (1 << 31) - 1) + b".",
    "no pickle": b"<html>",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pickles_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_checkpoint(hostile(tmp_path / "m.pth", BROKEN[name]))


def _doubled(levels: int) -> bytes:
    """A value that holds twice what the one before it holds: exponential, unless shared."""
    return b"I1\nq\x00" + b"(h\x00h\x00tq\x00" * levels


def _modules(levels: int) -> bytes:
    """A whole network whose modules hold the one below twice; without levels, itself."""
    fresh = _global("model", "Net") + b"(t\x81"
    if not levels:
        return fresh + b"q\x00}(S'_modules'\n}(S'a'\nh\x00uub."
    made = fresh + b"}(S'_modules'\n}ub"
    for _ in range(levels):
        made += b"q\x00" + fresh + b"}(S'_modules'\n}(S'a'\nh\x00S'b'\nh\x00uub"
    return made + b"."


BOMBS: dict[str, Callable[[], bytes]] = {
    "doubled tuples": lambda: _doubled(200) + b".",
    "doubled tuples as a key": lambda: b"}" + _doubled(60) + b"I1\ns.",
    "deep lists": lambda: b"]" * 4_000 + b"a" * 3_999 + b".",
    "many lists": lambda: b"]" * 6_000,
    "doubled modules": lambda: _modules(50),
    "a module that holds itself": lambda: _modules(0),
    "huge memo index": lambda: b"Nr" + struct.pack("<I", (1 << 32) - 1) + b".",
    "long string": lambda: b"\x8e" + struct.pack("<Q", 1 << 40) + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_little_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MOST_INSTRUCTIONS", 5_000)
    monkeypatch.setattr(checkpoint, "_MOST_MODULES", 200)
    path = hostile(tmp_path / "m.pth", BOMBS[name]())
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            read_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def _storage(count: int, key: str = "0", kind: str = "FloatStorage") -> bytes:
    text = f"(S'storage'\nctorch\n{kind}\nS'{key}'\nS'cpu'\nI{count}\ntQ"
    return text.encode()


def _tensor(storage: bytes, offset: int, shape: str, stride: str) -> bytes:
    """A dictionary of one tensor."""
    call = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return b"}S'weight'\n" + call + storage + f"I{offset}\n({shape}t({stride}tI00\n}}tRs.".encode()


TENSORS = {
    "outside its storage": _tensor(_storage(2), 1, "I2\n", "I1\n"),
    "of another size": _tensor(_storage(3), 0, "I3\n", "I1\n"),
    "huge storage": _tensor(_storage(1 << 50), 0, "I2\n", "I1\n"),
    "huge, of stride zero": _tensor(_storage(2), 0, "I1000000\nI1000000\n", "I0\nI0\n"),
    "negative offset": _tensor(_storage(2), -1, "I1\n", "I1\n"),
    "negative stride": _tensor(_storage(2), 1, "I2\n", "I-1\n"),
    "missing": _tensor(_storage(2, "7"), 0, "I2\n", "I1\n"),
    "outside the archive": _tensor(_storage(2, "../data.pkl"), 0, "I2\n", "I1\n"),
    "unknown numbers": _tensor(_storage(2, kind="QInt8Storage"), 0, "I2\n", "I1\n"),
    "no storage": _tensor(b"N", 0, "I2\n", "I1\n"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_are_none_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_checkpoint(hostile(tmp_path / "m.pth", TENSORS[name])).array("weight")


def test_a_good_one_is_read(tmp_path: Path) -> None:
    path = hostile(tmp_path / "m.pth", _tensor(_storage(2), 0, "I2\n", "I1\n"))
    assert read_checkpoint(path).array("weight").tolist() == [0.0, 0.0]


def test_packed_archives_are_refused(tmp_path: Path) -> None:
    """A packed record of a few bytes could unpack to any size."""
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "m.pth")
    with zipfile.ZipFile(tmp_path / "m.pth") as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(tmp_path / "m.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="packed"):
        read_checkpoint(tmp_path / "m.pth").array("weight")


@pytest.mark.parametrize("legacy", [False, True])
def test_cut_files_are_refused(legacy: bool, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(64)}, tmp_path / "m.pth", _use_new_zipfile_serialization=not legacy)
    data = (tmp_path / "m.pth").read_bytes()
    for part in range(0, len(data), 41):
        (tmp_path / "cut.pth").write_bytes(data[:part])
        with pytest.raises(InputError):
            read_checkpoint(tmp_path / "cut.pth").array("w")


def test_pipes_and_directories_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(InputError):
            read_checkpoint(path)


KINDS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8]


@pytest.mark.parametrize("legacy", [False, True])
def test_numbers_are_what_torch_reads(legacy: bool, tmp_path: Path) -> None:
    """Every kind of number; views share a storage, turned and offset."""
    base = torch.arange(24).reshape(2, 3, 4) / 7
    tensors = {str(kind): (base * 9).to(kind) for kind in KINDS}
    tensors |= {"turned": base.permute(2, 0, 1), "part": base[1, 1:, ::2], "scalar": base[1, 1, 1]}
    torch.save(tensors, tmp_path / "m.pth", _use_new_zipfile_serialization=not legacy)
    found = read_checkpoint(tmp_path / "m.pth")
    assert set(found.tensors) == set(tensors)
    for name, tensor in tensors.items():
        wanted = tensor.float() if tensor.is_floating_point() else tensor
        np.testing.assert_array_equal(found.array(name), wanted.numpy())


def test_a_wrapper_for_several_devices_is_taken_off(tmp_path: Path) -> None:
    net = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1, stride=2)))
    torch.save(net, tmp_path / "m.pth")
    found = read_checkpoint(tmp_path / "m.pth")
    assert set(found.tensors) == {"0.weight", "0.bias"}
    assert found.attribute("0", "stride") == (2, 2)
    assert found.classes == {"": "torch.nn.modules.container.Sequential",
                             "0": "torch.nn.modules.conv.Conv2d"}  # fmt: skip
