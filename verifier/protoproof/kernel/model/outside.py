"""Tensors whose numbers are in a data file: where exactly, and that every file is accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from protoproof.errors import ModelError
from protoproof.kernel.model.data_files import MAX_TOTAL, is_plain
from protoproof.kernel.model.protobuf import Record

_KEYS = ("location", "offset", "length", "checksum")
_DECIMAL = re.compile("0|[1-9][0-9]{0,18}")


class Outside:
    """The data files that were given with a model, while its tensors are read.

    Parts of a file may be shared by tensors, or by none.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._used: set[str] = set()
        self._total = 0

    def numbers(self, tensor: Record, size: int) -> memoryview:
        """The ``size`` bytes of a tensor, not copied. (What ONNX calls a checksum is a remark.)

        Raises:
            ModelError: the place is not stated in one way only, or nothing that long is there.
        """
        if tensor.one("data_location", 0) != 1:
            raise _refused(tensor, "but it does not say so, it only names one")
        pairs = [(e.one("key", ""), e.one("value", "")) for e in tensor.all("external_data")]
        stated = dict(pairs)
        if len(stated) != len(pairs) or not set(stated) <= set(_KEYS):
            raise _refused(tensor, f"{pairs!r:.200} is not known, or stated twice")
        name = stated.get("location", "")
        if not is_plain(name):
            raise _refused(tensor, f"{name!r:.200} is not a plain name beside the model")
        offset = _natural(tensor, stated.get("offset", "0"))
        if _natural(tensor, stated.get("length", str(size))) != size:
            raise _refused(tensor, f"its part of {name!r} is not the {size} bytes of its shape")
        if name not in self._files:
            raise _refused(tensor, f"{name!r} was not given with the model")
        if offset + size > len(self._files[name]):
            raise _refused(tensor, f"its part ends behind the end of {name!r}")
        self._used.add(name)
        self._total += size
        if self._total > MAX_TOTAL:
            raise _refused(tensor, f"those that are have more than {MAX_TOTAL} bytes together")
        return memoryview(self._files[name])[offset : offset + size]

    def finish(self) -> None:
        """Refuse a data file that no tensor is in: it would be part of the model's identity only.

        Raises:
            ModelError: there is one.
        """
        unused = sorted(set(self._files) - self._used)
        if unused:
            raise ModelError(f"model: nothing is stored in {unused[0]!r}, which was given with it")


def _natural(tensor: Record, text: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise _refused(tensor, f"{text!r:.200} is no number of bytes in plain form")
    return int(text)


def _refused(tensor: Record, why: str) -> ModelError:
    return tensor.refuse(
        f"constant {tensor.one('name', '')!r:.200} is stored in another file: {why}"
    )
