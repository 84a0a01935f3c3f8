"""Where torch computes: the processor, or a GPU that is there."""

from __future__ import annotations

from verifier.errors import UsageError


def require_device(device: str) -> None:
    """Refuse a device that torch cannot use here.

    Raises:
        UsageError: neither ``cpu`` nor a CUDA device that is there.
    """
    if device == "cpu":
        return
    kind, colon, number = device.partition(":")
    if kind == "cuda" and (number.isdecimal() or not colon):
        import torch

        if torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count():
            return
    raise UsageError(f"--device {device}: no such device here; use --device cpu")
