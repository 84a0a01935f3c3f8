"""One test per patch, and none of them for releases that do not need any."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
import torch

from protoproof.region.bounds import lirpa
from protoproof.region.bounds import lirpa_compat as compat

OLD, NEW = (0, 3), (0, 7, 1)


def test_which_releases_are_patched() -> None:
    assert compat.needs_patches(OLD)
    assert not compat.needs_patches((0, 6))
    assert not compat.needs_patches(NEW)


def test_array_set_operations_are_there_for_the_import_only() -> None:
    name = "numpy.lib.arraysetops"
    before = sys.modules.get(name)
    with compat.array_set_operations():
        assert sys.modules[name].isin is np.isin  # type: ignore[attr-defined]
    assert sys.modules.get(name) is before


def test_the_recursion_limit_survives_the_import() -> None:
    before = sys.getrecursionlimit()
    with compat.recursion_limit():
        sys.setrecursionlimit(before + 1000)
    assert sys.getrecursionlimit() == before


def test_script_is_the_identity_for_the_import_only() -> None:
    before = torch.jit.script

    def untouched(x: torch.Tensor) -> torch.Tensor:
        return x

    with compat.eager_script():
        assert torch.jit.script(untouched) is untouched
    assert torch.jit.script is before


def test_the_opset_setter_reaches_the_exporter() -> None:
    compat.opset_setter()
    settings = import_module("torch.onnx._internal.torchscript_exporter._globals").GLOBALS
    before = settings.export_onnx_opset_version
    try:
        import_module("torch.onnx.symbolic_helper")._set_opset_version(12)
        assert settings.export_onnx_opset_version == 12
    finally:
        settings.export_onnx_opset_version = before


def test_nodes_answer_for_their_attributes() -> None:
    compat.node_attributes()
    graph = torch._C.Graph()
    node = graph.create("test::op")
    node.i_("number", 7)
    node.s_("word", "yes")
    assert node["number"] == 7
    assert node["word"] == "yes"


def test_members_accept_the_new_argument_once() -> None:
    class Old:
        def _named_members(self, get: object, prefix: str = "", recurse: bool = True) -> str:
            return f"{prefix}{recurse}"

    compat.named_members(Old)
    first = Old._named_members
    assert Old()._named_members(None, "x", remove_duplicate=True) == "xTrue"  # type: ignore[call-arg]
    compat.named_members(Old)
    assert Old._named_members is first


def test_nothing_is_touched_for_current_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("opset_setter", "node_attributes", "array_set_operations", "eager_script"):
        monkeypatch.setattr(compat, name, lambda: pytest.fail("patched"))
    with compat.patched_import(NEW):
        pass


PATCHES = (
    "opset_setter", "node_attributes", "array_set_operations", "eager_script", "named_members",
)  # fmt: skip


@pytest.mark.parametrize("text", ["0.6", "0.6rc1", "0.7.1+cpu", "1.0.0"])
def test_the_engine_patches_nothing_where_a_current_release_is_installed(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stated version decides, up to the call of the package; nothing else is asked."""

    def not_wanted(*_: object) -> None:
        pytest.fail("patched")

    monkeypatch.setattr(compat, "version", lambda _: text)
    for name in PATCHES:
        monkeypatch.setattr(compat, name, not_wanted)
    monkeypatch.setitem(sys.modules, "auto_LiRPA", ModuleType("auto_LiRPA"))
    release = compat.installed_version()
    assert release is not None
    assert release >= (0, 6)
    assert lirpa._package(release) is sys.modules["auto_LiRPA"]


def test_the_engine_patches_an_old_release(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(compat, "version", lambda _: "0.3")
    for name in ("opset_setter", "node_attributes"):
        monkeypatch.setattr(compat, name, lambda name=name: called.append(name))
    monkeypatch.setattr(compat, "named_members", lambda module: called.append(module))
    fake = ModuleType("auto_LiRPA")
    fake.BoundedModule = "module"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "auto_LiRPA", fake)
    release = compat.installed_version()
    assert release == (0, 3)
    lirpa._package(release)
    assert called == ["opset_setter", "node_attributes", "module"]


def test_an_absent_package_has_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "PACKAGE", "no-such-package-here")
    assert compat.installed_version() is None
