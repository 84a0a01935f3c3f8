"""What a sceptic has to read: the kernel's code that a certificate's check really loads."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from protoproof.certificate.schema import Core, Fact
from tests.support.code_lines import code_lines
from tests.support.kernel.builders import (
    Scene,
    ceiling_core,
    core,
    file,
    pair_core,
    scene,
    topk_core,
)
from tests.support.kernel.moves import with_witnesses
from tests.support.sources import SOURCE_ROOT

SCRIPT = """
import json, sys
from protoproof.kernel import check
status = check(sys.argv[1], sys.argv[2]).status
loaded = {n: m.__file__ for n, m in sys.modules.items() if n.startswith("protoproof.kernel")}
print(json.dumps([status, loaded]))
"""
# What no explanation over the free domain needs, whatever else it has.
ROOMS = ("encoder", "latent.bounded", "latent.ranges", "arithmetic.outward")
# What a certificate needs where it has such evidence, and else not.
EVIDENCE: dict[str, Callable[[Core], object]] = {
    "latent.cases": lambda c: c.evidence.cases,
    "latent.case_domain": lambda c: c.evidence.cases,
    "latent.case_bounds": lambda c: c.evidence.cases,
    "latent.relaxation": lambda c: c.evidence.forms,
    "latent.lagrangian": lambda c: c.evidence.blocks or c.evidence.implied or c.evidence.forms,
    "latent.witness": lambda c: c.witnesses,
    "latent.size": lambda c: c.size_bound is not None,
    "latent.contrast": lambda c: c.contrasts,
}
# A reader of ONNX files, and of the data files beside them; everything else is about the claim.
READER = (
    "model.protobuf", "model.onnx_tables", "model.onnx_reader", "model.outside",
    "model.data_files", "model.file", "model.graph",
)  # fmt: skip
# What evaluates the nodes between latent and output.
RECOGNISER = ("model.reading", "model.symbolic")
DATA_FILES = ("model.data_files", "model.outside")


def ceiling() -> tuple[Scene, Core]:
    here = scene(0, count=6, channels=3, classes=2, grid=(1, 2))
    return here, ceiling_core(here, 6, 5)


def mixed() -> tuple[Scene, Core]:
    here = scene(1)
    facts: list[Fact] = [here.ceiling(0, ()), *(here.activation(j) for j in range(len(here.best)))]
    return here, core(here, facts, "mixed")


CERTIFICATES: dict[str, Callable[[], tuple[Scene, Core]]] = {
    "topk": lambda: (scene(2, grid=(2, 2), bias=None), topk_core(scene(2, grid=(2, 2), bias=None))),
    "ceiling": ceiling,
    "mixed": mixed,
    "pairs": lambda: (scene(1), pair_core(scene(1))),
    "pairs with witnesses": lambda: with_witnesses(0),
}


@cache
def loaded(name: str) -> tuple[Core, dict[str, int]]:
    """A certificate, and the code lines of the kernel's modules that its check loads."""
    here, content = CERTIFICATES[name]()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "c.json").write_bytes(file(content))
        (Path(folder) / "m.onnx").write_bytes(here.data)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "c.json", "m.onnx"],
            cwd=folder, env={"PYTHONPATH": str(SOURCE_ROOT)}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
    status, files = json.loads(done.stdout)
    assert status == "accepted"
    return content, {
        module.removeprefix("protoproof.kernel").lstrip("."): code_lines(Path(path).read_text())
        for module, path in files.items()
    }


@pytest.mark.parametrize("name", CERTIFICATES)
def test_only_what_a_certificate_has_is_loaded(name: str) -> None:
    content, modules = loaded(name)
    for module in modules:
        assert not module.startswith(ROOMS)
    for module, needed in EVIDENCE.items():
        assert (module in modules) == bool(needed(content)), module


@pytest.mark.parametrize("name", CERTIFICATES)
def test_what_has_to_be_read_is_little(name: str) -> None:
    """For an explanation over the free domain: the argument, the reader of ONNX files, and what
    reads a head of any kind from a graph."""
    content, modules = loaded(name)
    reader = sum(modules[module] for module in READER)
    recogniser = sum(n for module, n in modules.items() if module.startswith(RECOGNISER))
    assert reader <= 850
    assert recogniser <= 4450
    argument = sum(modules.values()) - reader - recogniser
    assert argument <= 3600 + (200 if content.witnesses else 0)


def test_lines_of_code_are_counted_without_words() -> None:
    text = '"""Two\nlines."""\n\n# a remark\nx = (\n    1,  # one\n)\n\n\ndef f():\n    """No."""\n'
    assert code_lines(text) == 4
    assert code_lines("") == 0
    assert code_lines("x = '''a\nb'''\n") == 2
