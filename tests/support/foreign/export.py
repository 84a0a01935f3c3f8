"""Both exporters with their defaults, quietly; ``python -m tests.support.foreign.export FOLDER``.

A call without a folder writes nothing; with one, every network of the list and what is expected
of it (``expected.json``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.support.foreign.families import FAMILIES, Form
from tests.support.foreign.family import Family

EXPORTERS = ("default", "legacy")

# what else people ask the exporters for, beside their defaults
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "one file": ("default", {"external_data": False}),
    "any batch": ("default", {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},)}),
    "not optimised": ("default", {"optimize": False}),
    "opset 21": ("default", {"opset_version": 21}),
    "opset 13": ("legacy", {"opset_version": 13}),
    "opset 15": ("legacy", {"opset_version": 15}),
    "opset 17": ("legacy", {"opset_version": 17}),
    "nothing folded": ("legacy", {"do_constant_folding": False}),
    "initialisers as inputs": ("legacy", {"keep_initializers_as_inputs": True}),
    "named": ("legacy", {"input_names": ["image"], "output_names": ["scores"]}),
}


def export(
    module: nn.Module, shape: tuple[int, ...], path: Path, exporter: str, **options: Any
) -> Path:
    """``torch.onnx.export(module, (x,), path)`` as a user calls it; the file, perhaps with data."""
    x = torch.zeros(shape)
    with quiet(), torch.no_grad():
        if exporter == "default":
            torch.onnx.export(module, (x,), str(path), **options)
        else:
            torch.onnx.export(module, (x,), str(path), dynamo=False, **options)
    return path


def export_family(family: Family, folder: Path, exporter: str, seed: int | None = None) -> Path:
    """One network of the list as ``NAME.EXPORTER.onnx`` in a folder."""
    path = folder / f"{family.name}.{exporter}.onnx"
    return export(family.build(seed), family.shape, path, exporter)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters warn about themselves and print their progress."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def write_all(folder: Path) -> None:
    """Every export and the expected forms."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for family in FAMILIES:
        files = {}
        for exporter in EXPORTERS:
            if exporter in family.unexported:
                files[exporter] = f"not exported: {family.unexported[exporter]}"
            else:
                files[exporter] = export_family(family, folder, exporter).name
        form = isinstance(family.expected, Form)
        expected[family.name] = {
            "source": family.source,
            "files": files,
            "recognised": form,
            "input": family.shape,
            "output": family.output,
            **dataclasses.asdict(family.expected),
        }
    text = json.dumps(expected, indent=1) + "\n"
    (folder / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
