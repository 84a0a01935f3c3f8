"""Three small trained networks, ready to verify: ``zoo_path("mnist-7x7")`` and its siblings."""

from __future__ import annotations

from pathlib import Path

from protoproof.errors import UsageError

NAMES = ("mnist-7x7", "mnist-1x1", "mnist-certified")


def zoo_path(name: str) -> Path:
    """The ONNX file of a zoo network; NAME.json and NAME.prototypes.png lie beside it.

    Raises UsageError for an unknown name.
    """
    if name not in NAMES:
        raise UsageError(f"zoo network '{name}' does not exist: choose {', '.join(NAMES)}")
    return Path(__file__).resolve().parent / f"{name}.onnx"
