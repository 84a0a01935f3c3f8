"""The files of a CaBRNet directory: architecture and data set as YAML, tensors as a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from protoproof.errors import InputError
from protoproof.files import read_regular
from protoproof.importing.answers import Scale
from protoproof.strict_yaml import PlainLoader, one_line

ARCHITECTURE = "model_arch.yml"
STATE = "model_state.pth"
DATA = "dataset.yml"
_LARGEST = 1 << 20
_SETS = ("test_set", "projection_set", "train_set")


def read_yaml(path: Path) -> dict[str, Any] | None:
    """The mapping in a file, None where there is no such file. Raises InputError."""
    content = read_regular(path, _LARGEST)
    if content is None:
        return None
    try:
        found = yaml.load(content, PlainLoader)  # noqa: S506  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: no YAML that is read: {one_line(error, 200)}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no mapping")
    return found


def part(table: Any, *keys: str) -> Any:
    """``table[a][b]...``, None where a part is missing."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def preprocessing(folder: Path) -> tuple[tuple[int, int] | None, Scale | None, str]:
    """Input size, normalisation and resizing of the data, as far as its file states them.

    The last in words of ``--preprocess``; "" where something else is done to pictures, too.
    """
    data = read_yaml(folder / DATA)
    transforms = [part(data, name, "params", "transform") for name in _SETS]
    found = next((t for t in transforms if isinstance(t, dict)), None)
    size: tuple[int, int] | None = None
    scale: Scale | None = ((), ()) if found is not None else None
    for kind, params in _steps(found):
        if kind in ("Resize", "CenterCrop"):
            size = _size(params.get("size"), square=kind == "CenterCrop") or size
        elif kind == "Normalize":
            scale = _numbers(params.get("mean")), _numbers(params.get("std"))
    return size, scale, _resized(list(_steps(found)))


def _resized(steps: list[tuple[str, dict[str, Any]]]) -> str:
    """How pictures are resized and cropped, where nothing else moves their pixels."""
    words = {"Resize": "resize", "CenterCrop": "crop"}
    moving = [(kind, params) for kind, params in steps if kind not in ("ToTensor", "Normalize")]
    said = []
    for kind, params in moving:
        size = params.get("size")
        sizes = size if isinstance(size, list) else [size]
        whole = len(sizes) in (1, 2) and all(type(n) is int for n in sizes)
        if kind not in words or set(params) != {"size"} or not whole:
            return ""
        said.append(f"{words[kind]}={'x'.join(map(str, sizes))}")
    in_order = [kind for kind, _ in moving] in (
        ["Resize"],
        ["CenterCrop"],
        ["Resize", "CenterCrop"],
    )
    return ",".join(said) if in_order else ""


def _steps(transform: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for step in (transform or {}).values():
        kind, params = part(step, "type"), part(step, "params")
        if isinstance(kind, str):
            yield kind, params if isinstance(params, dict) else {}


def _size(value: Any, square: bool) -> tuple[int, int] | None:
    """One number is the shorter side of a resized picture, or the side of a cropped one."""
    if type(value) is int:
        return (value, value) if square else None
    if isinstance(value, list) and len(value) == 2 and all(type(n) is int for n in value):
        return value[0], value[1]
    return None


def _numbers(value: Any) -> tuple[float, ...]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(n, int | float) for n in items):
        raise InputError(f"{DATA}: a normalisation that is no list of numbers")
    return tuple(map(float, items))
