"""Models that keep weights in other files: honest and hostile ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from tests.support.network.builders import draft

NAME = "weights.bin"
Entries = dict[str, str]


def tensor_of(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def put(tensor: TensorProto, entries: Entries) -> None:
    """Say that a tensor's numbers are elsewhere."""
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def split(model: onnx.ModelProto, spread: int = 1, gap: int = 0) -> dict[str, bytes]:
    """Move all initializers to data files, as many as ``spread``, ``gap`` bytes apart."""
    contents: dict[str, bytes] = {}
    for index, tensor in enumerate(model.graph.initializer):
        name = NAME if spread == 1 else f"{index % spread}-{NAME}"
        before = contents.get(name, b"") + b"\xa5" * gap
        contents[name] = before + tensor.raw_data
        put(
            tensor,
            {"location": name, "offset": str(len(before)), "length": str(len(tensor.raw_data))},
        )
    return contents


def pair(spread: int = 1, gap: int = 0) -> tuple[onnx.ModelProto, dict[str, bytes]]:
    """A valid model, all of whose weights are in data files, and those."""
    model = draft().build()
    return model, split(model, spread, gap)


def write(
    folder: Path, model: onnx.ModelProto, files: dict[str, bytes], name: str = "m.onnx"
) -> Path:
    """Model and data files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    (folder / name).write_bytes(model.SerializeToString())
    return folder / name


def at(**entries: str) -> Callable[[onnx.ModelProto], None]:
    """Change what the tensor ``w1`` (180 bytes at 0) says about its place; "-" drops an entry."""

    def change(model: onnx.ModelProto) -> None:
        tensor = tensor_of(model, "w1")
        stated = {entry.key: entry.value for entry in tensor.external_data} | entries
        put(tensor, {key: value for key, value in stated.items() if value != "-"})

    return change


def _said_twice(model: onnx.ModelProto) -> None:
    tensor_of(model, "w1").external_data.add(key="offset", value="0")


def _here_too(model: onnx.ModelProto) -> None:
    tensor_of(model, "w1").raw_data = np.zeros(45, np.float32).tobytes()


def _not_said(model: onnx.ModelProto) -> None:
    tensor_of(model, "w1").ClearField("data_location")


def _no_place(model: onnx.ModelProto) -> None:
    del tensor_of(model, "w1").external_data[:]


def _in_a_constant(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="hidden", dims=[1], data_type=1)
    put(tensor, {"location": NAME, "offset": "0", "length": "4"})
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["unused"], value=tensor))


def _huge(model: onnx.ModelProto) -> None:
    tensor = tensor_of(model, "w1")
    tensor.dims[:] = [1 << 40]
    at(length=str(1 << 42))(model)


def _many_views(model: onnx.ModelProto) -> None:
    """4 GiB of tensors out of one small file cannot be; refused by the end of the file at last."""
    for index in range(64):
        tensor = model.graph.initializer.add(name=f"v{index}", dims=[1 << 24], data_type=1)
        put(tensor, {"location": NAME, "offset": "0", "length": str(1 << 26)})


# What is wrong is in the model; no file but weights.bin may be opened for any of these.
MALFORMED: dict[str, Callable[[onnx.ModelProto], None]] = {
    "parent": at(location=f"../{NAME}"),
    "deep parent": at(location=f"x/../../{NAME}"),
    "folder": at(location=f"sub/{NAME}"),
    "this folder": at(location=f"./{NAME}"),
    "backslash": at(location=f"..\\{NAME}"),
    "absolute": at(location="/dev/zero"),
    "dot": at(location="."),
    "dots": at(location=".."),
    "empty": at(location=""),
    "no location": at(location="-"),
    "control": at(location="weights.bin\n"),
    "nul": at(location="weights.bin\0"),
    "override": at(location="weights\u202e.bin"),
    "long": at(location="w" * 256),
    "negative offset": at(offset="-4"),
    "signed offset": at(offset="+0"),
    "spaced offset": at(offset=" 0"),
    "padded offset": at(offset="00"),
    "hexadecimal": at(offset="0x0"),
    "other digits": at(offset="\u0660"),
    "underscore": at(offset="0_0"),
    "huge offset": at(offset="9" * 19),
    "endless offset": at(offset="9" * 400),
    "beyond the end": at(offset="100000"),
    "one byte beyond": at(offset="208"),
    "negative length": at(length="-180"),
    "no bytes": at(length="0"),
    "one byte short": at(length="179"),
    "one byte long": at(length="181"),
    "huge length": at(length="9" * 19),
    "unknown key": at(basepath="/"),
    "said twice": _said_twice,
    "stored here too": _here_too,
    "not said": _not_said,
    "no place": _no_place,
    "in a constant": _in_a_constant,
    "huge": _huge,
    "many views": _many_views,
}


def _replaced_by(make: Callable[[Path, Path], None]) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        moved = data.parent.parent / "elsewhere"
        data.rename(moved)
        make(data, moved)

    return change


def _fifo(data: Path, _: Path) -> None:
    os.mkfifo(data)


def _device(data: Path, _: Path) -> None:
    data.symlink_to("/dev/zero")


# What is wrong is the data file itself.
IRREGULAR: dict[str, Callable[[Path], None]] = {
    "missing": lambda data: data.unlink(),
    "symbolic link": _replaced_by(lambda data, moved: data.symlink_to(moved)),
    "hard link": _replaced_by(lambda data, moved: data.hardlink_to(moved)),
    "folder": _replaced_by(lambda data, _: data.mkdir()),
    "pipe": _replaced_by(_fifo),
    "device": _replaced_by(_device),
}
