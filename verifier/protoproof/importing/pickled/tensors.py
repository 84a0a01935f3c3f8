"""Tensors as a pickle describes them: a window of a storage, whose numbers lie elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError
from protoproof.importing.pickled.machine import Meaning, Name

# by the name of the storage; bfloat16 is the upper half of a float32
TYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
MOST_AXES = 8


@dataclass(frozen=True, eq=False)
class Storage:
    """``count`` numbers of one kind, under a key of the file."""

    kind: str
    key: str
    count: int

    @property
    def bytes(self) -> int:
        """How many bytes they take."""
        return self.count * np.dtype(TYPES[self.kind]).itemsize


Raw = Callable[[Storage], "NDArray[Any]"]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A window: element ``i`` lies at ``offset + sum(i * stride)`` of its storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self, raw: Raw) -> NDArray[Any]:
        """Its numbers (float32 for every float), a view or copy of ``raw(storage)``.

        Raises:
            InputError: the window leaves its storage.
        """
        count = math.prod(self.shape)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        # more elements than the storage has would be a small file that asks for much memory
        if count > self.storage.count or (count and last >= self.storage.count):
            raise InputError("a tensor of it lies outside its storage")
        if not count:
            return np.zeros(self.shape, np.float32)
        flat = raw(self.storage)
        step = flat.itemsize
        window = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, [s * step for s in self.stride], writeable=False
        )
        if self.storage.kind == "BFloat16Storage":
            return (window.astype(np.uint32) << 16).view(np.float32)
        if window.dtype.kind == "f" and window.dtype != np.float32:
            return window.astype(np.float32)  # from 64 bits: rounded to nearest
        return window


def persistent(identity: Any) -> Any:
    """What the identities of torch's files stand for: storages; in old files, classes with source.

    Raises:
        InputError: another identity, or a number type that is not known.
    """
    if isinstance(identity, tuple) and identity[:1] == ("module",) and len(identity) >= 2:
        return identity[1]  # beside it: the class's source, which is not read
    if not (isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage"):
        raise InputError("its pickle refers to something outside of it")
    kind, key, _, count = identity[1:5]
    name = kind.name if isinstance(kind, Name) else ""
    if name not in TYPES:
        raise InputError(f"its numbers are of a kind that is not known ({name or 'unnamed'})")
    if len(identity) > 5 and identity[5] is not None:
        raise InputError("a storage of it is a part of another storage")
    if type(count) is not int or count < 0 or not isinstance(key, str):
        raise InputError("a storage of it has no size")
    return Storage(name, key, count)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> Tensor:
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, Storage) or len(shape) != len(stride) or len(shape) > MOST_AXES:
        raise InputError("a tensor of it has no storage, or no shape")
    if any(type(n) is not int or not 0 <= n < 1 << 40 for n in numbers):
        raise InputError("a tensor of it has a size that no tensor has")
    return Tensor(storage, offset, tuple(shape), tuple(stride))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    found = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise TypeError("an ordered dictionary with other keys than text")
        found[key] = value
    return found


def _sequence(items: Any = ()) -> tuple[Any, ...]:
    if not isinstance(items, tuple | list):
        raise TypeError("no sequence")
    return tuple(items)


MEANINGS: dict[tuple[str, str], Meaning] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("collections", "OrderedDict"): _ordered,
    ("torch", "Size"): _sequence,
    ("builtins", "set"): _sequence,
    ("builtins", "frozenset"): _sequence,
    ("builtins", "tuple"): _sequence,
}
