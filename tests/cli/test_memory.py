"""``check`` without memory: undecided, wherever it breaks off; never rejected, never bad input."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from protoproof import kernel
from protoproof.certificate import reader
from protoproof.certificate.canonical import canonical_bytes
from protoproof.cli import app, memory
from protoproof.errors import ModelError
from protoproof.explanation.explainer import Explainer
from protoproof.kernel.model.file import ModelFile
from protoproof.network import load
from tests.support.network.builders import draft


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    model = draft().save(folder)
    network = load(model)
    x = np.random.default_rng(1).random(network.input_shape, dtype=np.float32)
    np.save(folder / "x.npy", x)
    found = Explainer(network).explain(x, vocabulary="topk", witnesses=False)
    assert found.certificate is not None
    (folder / "c.json").write_bytes(canonical_bytes(found.certificate))
    return {"model": model, "certificate": folder / "c.json", "input": folder / "x.npy"}


def exhausted(*_: Any, **__: Any) -> NoReturn:
    raise MemoryError


def raised_from(cause: Exception) -> ModelError:
    error = ModelError("cannot be read")
    error.__cause__ = cause
    return error


ERRORS: list[tuple[Exception, int]] = [
    (OSError(errno.ENOMEM, "Cannot allocate memory"), 3),
    (ImportError("libx.so: failed to map segment from shared object"), 3),
    (ImportError("libx.so: cannot allocate memory in static TLS block"), 3),
    (raised_from(MemoryError()), 3),
    (raised_from(OSError(errno.ENOMEM, "no")), 3),
    (raised_from(OSError(errno.EIO, "no")), 2),
    (ImportError("No module named 'x'"), 4),
    (ZeroDivisionError(), 4),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: repr(value)[:60])
def test_only_a_lack_of_memory_is_undecided(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(kernel, "check", fail)
    assert code_of(monkeypatch, "check", files["certificate"], files["model"]) == code


def code_of(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    monkeypatch.setattr(sys, "argv", ["protoproof", *map(str, arguments)])
    monkeypatch.setattr(app.signal, "signal", lambda *_: None)  # the tests' process keeps its own
    with pytest.raises(SystemExit) as end:
        app.main()
    return end.value.code


PLACES: list[tuple[object, str]] = [
    (memory.mmap, "mmap"),
    (kernel, "read_file"),
    (reader, "parse"),
    (ModelFile, "read"),
    (kernel, "check"),
]


@pytest.mark.parametrize("options", [[], ["--json"], ["--quiet"], ["--debug"]])
@pytest.mark.parametrize(("owner", "name"), PLACES, ids=[name for _, name in PLACES])
def test_it_is_undecided(
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    owner: Any,
    name: str,
    options: list[str],
) -> None:
    first = [option for option in options if option == "--debug"]
    rest = [option for option in options if option not in first]
    ask = [*first, "check", files["certificate"], files["model"], *rest]
    assert code_of(monkeypatch, *ask) == 0
    capfd.readouterr()
    monkeypatch.setattr(owner, name, exhausted)
    assert code_of(monkeypatch, *ask) == 3
    said = capfd.readouterr()
    last = said.err.splitlines()[-1]
    assert last.startswith("undecided: out of memory")
    assert ("Traceback" in said.err) == (said.err.count("\n") > 1) == bool(first)
    assert "accepted" not in said.out
    assert "rejected" not in said.out


def test_with_an_input_too(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import protoproof.network

    ask = ["check", files["certificate"], files["model"], "--input", files["input"]]
    assert code_of(monkeypatch, *ask) == 0
    monkeypatch.setattr(protoproof.network, "load", exhausted)
    assert code_of(monkeypatch, *ask) == 3


def test_other_verbs_ask_for_no_room(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.mmap, "mmap", exhausted)
    assert code_of(monkeypatch, "inspect", files["model"], "--json") == 0


@pytest.mark.parametrize(
    ("number", "raised"), [(errno.ENOMEM, MemoryError), (errno.EPERM, PermissionError)]
)
def test_the_room_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, number: int, raised: type[BaseException]
) -> None:
    memory.require_room()

    def refuse(*_: Any) -> NoReturn:
        raise OSError(number, "no")

    monkeypatch.setattr(memory.mmap, "mmap", refuse)
    with pytest.raises(raised):
        memory.require_room()


@contextmanager
def address_space(size: int) -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_small_file_asks_for_little_memory(files: dict[str, Path]) -> None:
    """Reading allocates what it asks for: never the largest size that would be allowed."""
    from protoproof.files import read_regular

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource_page()
    with address_space(used + (1 << 26)):
        assert ModelFile.read(files["model"]).data == files["model"].read_bytes()
        assert kernel.read_file(files["certificate"]) == files["certificate"].read_bytes()
        assert read_regular(files["model"], 1 << 40) == files["model"].read_bytes()
        assert load(files["model"]).data == files["model"].read_bytes()


def resource_page() -> int:
    import resource

    return resource.getpagesize()
