"""Saving as the projects do: whole modules under their own names, dictionaries, two formats."""

from __future__ import annotations

import contextlib
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

OURS = "tests.support.importing"


@contextlib.contextmanager
def foreign(network: nn.Module, home: str = "model") -> Iterator[None]:
    """While it lasts, the network's classes of this package live in a module ``home``.

    Afterwards nothing of that name can be imported: a reader that tried to would fail.
    """
    kinds = {type(part) for part in network.modules() if type(part).__module__.startswith(OURS)}
    before = {kind: kind.__module__ for kind in kinds}
    module = ModuleType(home)
    for kind in kinds:
        setattr(module, kind.__name__, kind)
        kind.__module__ = home
    sys.modules[home] = module
    try:
        yield
    finally:
        del sys.modules[home]
        for kind, name in before.items():
            kind.__module__ = name


def save_whole(network: nn.Module, path: Path, legacy: bool = False) -> Path:
    """A pickled module, in the zip format or the older one."""
    with foreign(network), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the older format wants the classes' source
        torch.save(network, path, _use_new_zipfile_serialization=not legacy)
    return path


def save_state(network: nn.Module, path: Path, legacy: bool = False, **beside: object) -> Path:
    """A state dictionary; with ``beside`` wrapped as ``model_state_dict`` or the given key."""
    content: object = network.state_dict()
    if beside:
        key = str(beside.pop("key", "model_state_dict"))
        content = {key: content, **beside}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def hostile(path: Path, program: bytes) -> Path:
    """A file of torch (zip format) whose pickle is the given one."""
    torch.save({"weight": torch.zeros(2)}, path)
    with zipfile.ZipFile(path) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records.items():
            archive.writestr(name, program if name.endswith("/data.pkl") else content)
    return path


class Reduced:
    """Pickles to a call of ``function``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._call


def pickled(value: object, protocol: int = 2) -> bytes:
    return pickle.dumps(value, protocol)
