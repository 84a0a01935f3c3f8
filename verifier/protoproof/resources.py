"""What rides along with the package: trained networks, policies, JSON schemas.

In a wheel these are folders of the package; in a checkout they lie where they are made and edited.
"""

from __future__ import annotations

from pathlib import Path

from protoproof.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[1]


def _folder(installed: str, checkout: str) -> Path:
    inside = _PACKAGE / installed
    return inside if inside.is_dir() else _CHECKOUT / checkout


ZOO = tuple(sorted(path.stem for path in _folder("zoo", "models/zoo").glob("*.onnx")))
"""All networks that ride along: at least one of each family of heads."""


def zoo_path(name: str) -> Path:
    """The ONNX file of a zoo network; NAME.json and NAME.prototypes.png lie beside it.

    Raises:
        UsageError: there is no network of that name.
    """
    if name not in ZOO:
        raise UsageError(f"zoo network '{name}' does not exist: choose {', '.join(ZOO)}")
    return _folder("zoo", "models/zoo") / f"{name}.onnx"


def digit_path() -> Path:
    """The picture of the demonstration: test image 0 of mnist5k, a zero."""
    return _folder("zoo", "models/zoo") / "digit.png"


def policy_path(name: str) -> Path:
    """A policy that comes with the package, for example ``release``."""
    return _folder("policies", "specs/policies") / f"{name}.yaml"


def starter_path(name: str) -> Path:
    """A file of what ``init`` writes, with words in it that are replaced."""
    return _folder("starter", "specs/starter") / name
