"""Where batched float64 work runs: numpy on the processor, or torch on a device.

A kernel is written once, against the array API standard, and takes its functions from
:func:`namespace` of its arguments. It computes in float64 wherever it runs (so TF32 never applies)
and uses elementwise functions, matrix products, reductions, and writes to places that differ, all
of which are deterministic on every device; the least of equal numbers is the one of lowest index in
numpy and torch alike. Results differ between devices by rounding only.

An engine is untrusted, as all float64 is: witnesses are replayed exactly before they are kept, and
proofs count when the checker accepts them. A device that errs costs a witness, never a wrong claim.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import UsageError
from protoproof.extras import require

# An array of numpy, or of what an engine computes with.
Array = Any

# Float64 numbers that one array of a batch may have on the processor: 1 MiB, so that what a step
# works on stays in the caches.
_CELLS = 1 << 17
# On a device, the share of its free memory that a batch may take.
_SHARE = 0.5
# What a torch device is called where torch runs on the processor.
_ON_PROCESSOR = "torch:cpu"


def namespace(array: Array) -> Any:
    """The functions of the library that an array belongs to, as the array API standard has them."""
    if isinstance(array, np.ndarray):
        return np
    from array_api_compat import array_namespace

    return array_namespace(array)


@dataclass(frozen=True)
class Engine:
    """A place to compute. ``device``: ``cpu`` (numpy), or ``cuda``, ``cuda:1`` ... (torch).

    ``torch:cpu`` is torch on the processor: the code path of a device, without one. No option
    names it.
    """

    device: str = "cpu"

    @property
    def _torch_device(self) -> str | None:
        if self.device == "cpu":
            return None
        return "cpu" if self.device == _ON_PROCESSOR else self.device

    def put(self, array: NDArray[Any]) -> Array:
        """An array as the engine's library has it, in the engine's memory."""
        if self._torch_device is None:
            return array
        import torch

        return torch.tensor(np.ascontiguousarray(array), device=self._torch_device)

    def get(self, array: Array) -> NDArray[Any]:
        """Back to numpy."""
        return np.asarray(array if isinstance(array, np.ndarray) else array.cpu().numpy())

    def cells(self, alive: int) -> int:
        """How many float64 numbers an array may have, where ``alive`` such arrays are in use.

        On a device, by the memory that is free now; what torch holds in reserve for its next
        arrays counts as free.
        """
        if self._torch_device in (None, "cpu"):
            return _CELLS
        import torch

        free, _ = torch.cuda.mem_get_info(self._torch_device)
        free += torch.cuda.memory_reserved(self._torch_device)
        free -= torch.cuda.memory_allocated(self._torch_device)
        return max(1, int(_SHARE * free) // (8 * alive))


PROCESSOR = Engine()


def engine_named(device: str) -> Engine:
    """The engine of a ``--device``: ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        UsageError: there is no such device here.
        MissingDependencyError: a device other than the processor, without torch.
    """
    if device == "cpu":
        return PROCESSOR
    refused = UsageError(f"--device {device}: no such device here; use --device cpu")
    kind, colon, number = device.partition(":")
    if kind != "cuda" or (colon and not (number.isascii() and number.isdigit())):
        raise refused
    require("certify", f"--device {device}")
    import torch

    if not torch.cuda.is_available() or int(number or 0) >= torch.cuda.device_count():
        raise refused
    # read by cuBLAS: with a workspace of fixed size, equal products give equal bits
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return Engine(device)
