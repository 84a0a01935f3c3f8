"""What auto_LiRPA 0.3 needs to run on a current torch and NumPy; nothing for 0.6 and later.

Each patch is a function of its own, named after what 0.3 expects to find. Those that concern only
the import are undone after it; the others stay, and are harmless to everybody else: they add what
is not there, or accept an argument more.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np
import torch

PACKAGE = "auto_LiRPA"
FIRST_CURRENT = (0, 6)  # from here on upstream follows torch by itself


def installed_version() -> tuple[int, ...] | None:
    """The installed release as numbers; None where there is none."""
    try:
        text = version(PACKAGE)
    except PackageNotFoundError:
        return None
    numbers = re.match(r"\d+(\.\d+)*", text)  # what follows says how it was built
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def needs_patches(release: tuple[int, ...]) -> bool:
    """Whether a release is older than those that follow torch."""
    return release < FIRST_CURRENT


@contextmanager
def patched_import(release: tuple[int, ...]) -> Iterator[None]:
    """The surroundings in which the package can be imported.

    Permanent patches are made first, temporary ones around the import.
    """
    if not needs_patches(release):
        yield
        return
    opset_setter()
    node_attributes()
    with ExitStack() as stack:
        stack.enter_context(array_set_operations())
        stack.enter_context(eager_script())
        yield


@contextmanager
def recursion_limit() -> Iterator[None]:
    """Undo the import's change of the recursion limit.

    The package raises it to a million for the whole process, after which deeply nested data end in
    a segmentation fault where Python would raise RecursionError.
    """
    before = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def array_set_operations() -> Iterator[None]:
    """``numpy.lib.arraysetops``, a module that NumPy 2 made private; 0.3 takes ``isin`` from it."""
    name = "numpy.lib.arraysetops"
    stub = ModuleType(name)
    stub.isin = np.isin  # type: ignore[attr-defined]
    before = sys.modules.get(name)
    sys.modules[name] = stub
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before


@contextmanager
def eager_script() -> Iterator[None]:
    """``torch.jit.script`` as the identity: 0.3 compiles helpers that no longer compile."""
    before = torch.jit.script

    def identity(function: Any, *_: Any, **__: Any) -> Any:
        return function

    setattr(torch.jit, "script", identity)  # noqa: B010  # no type fits
    try:
        yield
    finally:
        setattr(torch.jit, "script", before)  # noqa: B010


def opset_setter() -> None:
    """``torch.onnx.symbolic_helper._set_opset_version``: the setting lives elsewhere today."""
    helper = import_module("torch.onnx.symbolic_helper")  # not what torch.onnx calls by that name
    if not hasattr(helper, "_set_opset_version"):
        helper._set_opset_version = _set_opset_version  # type: ignore[attr-defined]


def _set_opset_version(opset: int) -> None:
    exporter = import_module("torch.onnx._internal.torchscript_exporter._globals")
    exporter.GLOBALS.export_onnx_opset_version = opset


def node_attributes() -> None:
    """``node[name]`` for nodes of traced graphs, which torch 1.13 took away."""
    if not hasattr(torch._C.Node, "__getitem__"):
        setattr(torch._C.Node, "__getitem__", _attribute)  # noqa: B010  # no type fits


def _attribute(node: Any, name: str) -> Any:
    return getattr(node, node.kindOf(name))(name)


def named_members(bounded_module: Any) -> None:
    """``_named_members`` of the package's module class, with the argument that torch passes now."""
    before: Callable[..., Any] = bounded_module._named_members
    if getattr(before, "accepts_duplicates", False):
        return

    def accepting(self: Any, get_members: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("remove_duplicate", None)
        return before(self, get_members, *args, **kwargs)

    accepting.accepts_duplicates = True  # type: ignore[attr-defined]
    bounded_module._named_members = accepting
