"""Exports are slow: each is made once in a session, by whichever worker needs it first."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.foreign.export import export_family
from tests.support.foreign.family import Family

Exported = Callable[[Family, str], Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The file of a network of the list, by either exporter."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # shared by the workers of one session
    shared = base / "foreign-exports"
    shared.mkdir(exist_ok=True)

    def made(family: Family, exporter: str) -> Path:
        folder = shared / f"{family.name}.{exporter}"
        if not folder.exists():
            own = Path(tempfile.mkdtemp(dir=base))
            export_family(family, own, exporter)
            with contextlib.suppress(OSError):  # another worker was faster
                own.rename(folder)
        return folder / f"{family.name}.{exporter}.onnx"

    return made
