"""A checkpoint: tensors by name, and what is said beside them.

A file holds either a dictionary of tensors, alone or among other entries, or a whole module with
its classes, attributes and children. Of the latter the tree of attributes is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError
from protoproof.importing.pickled.container import Saved, read_saved
from protoproof.importing.pickled.machine import Made
from protoproof.importing.pickled.tensors import Raw, Tensor

# under which a dictionary of tensors is kept among other entries
_WRAPPED = ("model_state_dict", "state_dict", "model", "net", "network")
_PARTS = ("_parameters", "_buffers", "_modules")
_MOST_MODULES = 100_000
_MOST_DEPTH = 100
_MOST_TENSORS = 1_000_000
_LONGEST = 200  # of one name; a path is made of many


@dataclass
class Checkpoint:
    """What a file holds.

    Attributes:
        tensors: by the name that a state dictionary gives them.
        attributes: of whole modules, by their path ("" is the network itself): the plain ones.
        classes: the names of their classes, likewise ("model.PPNet").
        nodes: the modules themselves, for what their attributes say of each other.
        entries: what lies beside the tensors in the file: arguments of the training, an epoch.
        used: names of tensors that somebody asked for.
    """

    path: Path
    raw: Raw
    tensors: dict[str, Tensor] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, Made] = field(default_factory=dict)
    entries: dict[str, Any] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Is it a whole module (with its attributes), not only its tensors?"""
        return bool(self.classes)

    def has(self, name: str) -> bool:
        return name in self.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor that is there."""
        return self.tensors[name].shape

    def array(self, name: str) -> NDArray[Any]:
        """The numbers of a tensor.

        Raises:
            InputError: there is none of this name, or a number in it is not finite.
        """
        if name not in self.tensors:
            raise InputError(f"{self.path}: holds no tensor '{name}', which this layout needs")
        self.used.add(name)
        found = self.of(self.tensors[name])
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise InputError(f"{self.path}: tensor '{name}' holds NaN or infinity")
        return found

    def of(self, tensor: Tensor) -> NDArray[Any]:
        """The numbers of a tensor that is an attribute. Raises InputError."""
        try:
            return tensor.array(self.raw)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def attribute(self, module: str, name: str, default: Any = None) -> Any:
        """A plain attribute of a module; the default where only tensors were saved."""
        return self.attributes.get(module, {}).get(name, default)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file; a wrapper for several devices is taken off the names.

    Raises:
        InputError: it cannot be read, or holds no tensors.
    """
    saved = read_saved(path)
    found = Checkpoint(path, saved.raw)
    _fill(found, saved)
    if not found.tensors:
        raise InputError(f"{path}: holds no tensors by name, so it is no checkpoint of a network")
    if all(name.startswith("module.") for name in found.tensors):
        found = _unwrapped(found, "module.")
    return found


def _fill(found: Checkpoint, saved: Saved) -> None:
    value = saved.value
    if isinstance(value, dict) and not any(isinstance(v, Tensor) for v in value.values()):
        found.entries = {k: v for k, v in value.items() if isinstance(k, str)}
        value = next((value[key] for key in _WRAPPED if key in value), None)
    if isinstance(value, dict):
        found.tensors = {k: v for k, v in value.items() if isinstance(v, Tensor)}
        found.entries |= {k: v for k, v in value.items() if not isinstance(v, Tensor)}
    elif isinstance(value, Made):
        _walk(found, value, "", 0, set())


def _walk(found: Checkpoint, module: Made, path: str, depth: int, above: set[int]) -> None:
    """Tensors and attributes of a module and, below it, of its children."""
    state = module.state
    if not isinstance(state, dict):
        raise InputError(f"{found.path}: '{path or module.of.name}' is no module of a network")
    if (
        id(module) in above
        or depth > _MOST_DEPTH
        or len(found.classes) > _MOST_MODULES
        or len(found.tensors) > _MOST_TENSORS
    ):
        raise InputError(f"{found.path}: its modules hold each other, or are too many")
    here = path.rstrip(".")
    found.classes[here] = str(module.of)
    found.nodes[here] = module
    found.attributes[here] = {k: v for k, v in state.items() if k not in _PARTS and _short(k)}
    for part in _PARTS[:2]:
        for name, value in _dictionary(state.get(part)).items():
            if isinstance(value, Tensor) and _short(name):
                found.tensors[f"{path}{name}"] = value
    for name, child in _dictionary(state.get("_modules")).items():
        if isinstance(child, Made) and _short(name):
            _walk(found, child, f"{path}{name}.", depth + 1, above | {id(module)})


def _short(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= _LONGEST


def _dictionary(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _unwrapped(found: Checkpoint, prefix: str) -> Checkpoint:
    size = len(prefix)
    short = prefix.rstrip(".")

    def inside(table: Mapping[str, Any]) -> dict[str, Any]:
        moved = {name[size:]: value for name, value in table.items() if name.startswith(prefix)}
        return {"": table[short], **moved} if short in table else moved

    return Checkpoint(
        found.path,
        found.raw,
        {name[size:]: tensor for name, tensor in found.tensors.items()},
        inside(found.attributes),
        inside(found.classes),
        inside(found.nodes),
        found.entries,
    )
