"""Packages that only some work needs, and the one line that says what to install.

A plain installation checks, inspects and reads. Everything else asks :func:`require` before it
begins, so that a missing package is found before any work and never ends in a traceback.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from protoproof.errors import MissingDependencyError

# What each extra of the distribution adds, in the order in which a user meets it.
_EXPLAIN: Final = ("onnxruntime", "scipy")
_CERTIFY: Final = (*_EXPLAIN, "array_api_compat", "torch")
PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "explain": _EXPLAIN,
    "smt": (*_EXPLAIN, "z3"),
    "certify": _CERTIFY,
    "parquet": ("pyarrow",),
    "campaign": (*_CERTIFY, "pyarrow"),
    "demo": (*_EXPLAIN, "mlxtend"),
    "train": (*_CERTIFY, "mlxtend", "safetensors"),
    "ray": (*_CERTIFY, "ray"),
    "attest": ("cryptography",),
    "vnnlib": (*_CERTIFY, "vnnlib"),
}


def require(extra: str, purpose: str) -> None:
    """Refuse work whose packages are not installed; nothing is imported.

    Args:
        extra: the extra that adds them, a key of :data:`PACKAGES`.
        purpose: what needs them, the beginning of the message.

    Raises:
        MissingDependencyError: naming the packages and the command that installs them.
    """
    absent = [name for name in PACKAGES[extra] if not installed(name)]
    if absent:
        raise missing(extra, purpose, absent)


def missing(extra: str, purpose: str, absent: list[str]) -> MissingDependencyError:
    """The error about packages that are not installed, in one line."""
    *most, last = absent
    names = f"{', '.join(most)} and {last}" if most else last
    return MissingDependencyError(
        f"{purpose} needs {names}, which {'are' if most else 'is'} not installed: "
        f"pip install 'protoproof[{extra}]'"
    )


def told(error: ImportError) -> MissingDependencyError | None:
    """The same about an import that failed, if an extra has the package; else None: a bug."""
    name = (error.name or "").partition(".")[0]
    if not name or installed(name):  # installed and broken is another story
        return None
    extra = next((extra for extra, names in PACKAGES.items() if name in names), None)
    return None if extra is None else missing(extra, "this", [name])


def installed(name: str) -> bool:
    """Whether a package can be found here; it is not imported."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # a parent without a place, or a finder that refuses
        return False
