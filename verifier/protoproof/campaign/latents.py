"""One run of the network per instance, however much is asked about it.

What the runtime computed for an instance is kept in the campaign's directory: an explanation,
every region around it, and later runs with other options read it from there. A file's name is a
hash of the model's bytes, the input's (prepared as the campaign prepares it), the tensors that are
read, and the runtime's release, whose numbers alone it holds: float32, one tensor after another.

Nothing is taken on trust that was not before: certificates are about the latent that they record,
and whoever checks a campaign against its data runs the network again (``recheck``).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InputError, OutputError
from protoproof.files import make_directory, read_regular, write_atomic
from protoproof.network import Network
from protoproof.network.onnx.runtime import Session

_MOST_BYTES = 1 << 28  # of the latents of one instance


class KeptSession(Session):
    """A session that runs once for each instance it is told about.

    Args:
        network: whose session it stands for.
        folder: where results are kept.
    """

    def __init__(self, network: Network, folder: Path) -> None:
        self._inner, self._folder = network.session, folder
        self._shapes = network.graph.shapes
        self._about = [network.sha256, _runtime()]
        self._instance: NDArray[np.float32] | None = None

    def about(self, x: NDArray[np.float32]) -> None:
        """The instance whose results are kept, until the next one; of other inputs none are."""
        self._instance = x[None]

    def run(self, outputs: tuple[str, ...], feed: Mapping[str, Any]) -> list[NDArray[np.float32]]:
        """See :meth:`Session.run`."""
        (x,) = feed.values()
        if self._instance is None or not np.array_equal(x, self._instance):
            return self._inner.run(outputs, feed)
        path = self._folder / f"{self._name(outputs, x)}.f32"
        known = self._read(path, outputs)
        if known is None:
            known = self._inner.run(outputs, feed)
            self._write(path, known)
        return known

    def shapes(
        self, outputs: tuple[str, ...], feed: Mapping[str, Any]
    ) -> dict[str, tuple[int, ...]]:
        """See :meth:`Session.shapes`."""
        return self._inner.shapes(outputs, feed)

    def _name(self, outputs: tuple[str, ...], x: NDArray[np.float32]) -> str:
        data = np.ascontiguousarray(x, dtype="<f4")
        about = json.dumps([*self._about, outputs, data.shape])
        return hashlib.sha256(about.encode() + data.tobytes()).hexdigest()

    def _read(self, path: Path, outputs: tuple[str, ...]) -> list[NDArray[np.float32]] | None:
        """What was kept; None where nothing was, or no such tensors.

        The graph alone says how many numbers they have, so that no other file is ever unpacked.
        """
        shapes = [self._shapes.get(name) for name in outputs]
        known = [shape for shape in shapes if shape is not None]
        ends = np.cumsum([0, *map(math.prod, known)])
        size = 4 * int(ends[-1])
        if len(known) < len(shapes) or size > _MOST_BYTES:
            return None
        try:
            data = read_regular(path, size)
        except InputError:
            return None
        if data is None or len(data) != size:
            return None
        numbers = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
        if not np.isfinite(numbers).all():
            return None
        numbers.setflags(write=False)
        parts = zip(ends, ends[1:], known, strict=False)
        return [numbers[first:end].reshape(shape) for first, end, shape in parts]

    def _write(self, path: Path, tensors: list[NDArray[np.float32]]) -> None:
        content = b"".join(np.ascontiguousarray(tensor, "<f4").tobytes() for tensor in tensors)
        try:
            make_directory(self._folder)
            write_atomic(path, content)
        except OutputError:  # no room: it is computed again where it is needed
            return


def _runtime() -> str:
    try:
        return version("onnxruntime")
    except PackageNotFoundError:
        return "none"
