"""What only a process shows: the shim from any directory, exit codes, streams, the last words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import explain
from protoproof.resources import zoo_path
from tests.support.cli import SHIM, process, protoproof
from tests.support.sources import SOURCE_ROOT

MODEL = zoo_path("mnist-certified")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("process") / "x.cert.json"
    explain(MODEL, load_data("mnist5k").x_test[3], vocabulary="topk", witnesses=False).save(path)
    return path


def test_a_process_gives_what_the_tests_see(certificate: Path, tmp_path: Path) -> None:
    """From another directory: exit codes 0, 1 and 2, both streams, byte for byte."""
    np.save(tmp_path / "other.npy", load_data("mnist5k").x_test[9])
    for arguments, code in (
        (("check", certificate, MODEL), 0),
        (("check", certificate, MODEL, "--input", "other.npy", "--json"), 1),
        (("check", "no.json", MODEL), 2),
    ):
        here = protoproof(*arguments, cwd=tmp_path)
        assert process(*arguments, cwd=tmp_path) == here
        assert here.code == code
        assert bool(here.err) == (code == 2)


def test_python_runs_the_package_as_a_module(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "protoproof", "--version"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(SOURCE_ROOT)},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert told.strip() == process("--version").out.strip()


def test_a_closed_pipe_is_never_a_rejection(certificate: Path) -> None:
    command = [sys.executable, SHIM, "check", str(certificate), str(MODEL)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.close()
        assert running.wait() != 1


@pytest.mark.trust(36)
def test_a_full_disk_is_no_bug(certificate: Path) -> None:
    command = [sys.executable, SHIM, "check", str(certificate), str(MODEL)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "internal error" not in done.stderr


def test_the_tests_process_is_left_as_it_was(tmp_path: Path) -> None:
    """Whatever a command does to its process: the next test does not see it."""
    import logging
    import os
    import signal

    def seen() -> tuple[object, ...]:
        root = logging.getLogger()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
        streams = sys.stdin, sys.stdout, sys.stderr
        handlers = [signal.getsignal(number) for number in numbers]
        return (
            Path.cwd(),
            dict(os.environ),
            sys.argv,
            root.handlers[:],
            root.level,
            streams,
            handlers,
        )

    before = seen()
    assert protoproof("--version", cwd=tmp_path).out.startswith("protoproof ")
    assert protoproof("nonsense", cwd=tmp_path).code == 2
    assert seen() == before
