"""Mutated files: success or one of our errors, never a crash, a hang, or another exception."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protoproof.errors import ProtoProofError
from protoproof.network import load
from protoproof.network.inspect import inspect_file
from tests.support.examples import examples
from tests.support.network.builders import draft

VALID = draft(bias=True).build().SerializeToString()
OTHER = draft("exponential", "reduce_min", "direct").build().SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def survive(folder: Path, data: bytes) -> None:
    path = folder / "mutant.onnx"
    path.write_bytes(data)
    start = time.process_time()
    found = inspect_file(path)
    assert all(line.isprintable() for line in found.to_text().split("\n"))
    problem = refusal(path)
    # a model that loads may still overflow, or fail, on the input that `inspect` tries
    ran = ("NaN or infinite for this input", "ONNX Runtime fails on the model")
    fails = any(word in text for word in ran for text in found.refusals)
    assert bool(problem) == bool(found.refusals) or fails
    assert problem.isprintable()
    assert time.process_time() - start < 60


def refusal(path: Path) -> str:
    """What `load` says, "" where it loads; only our own errors count."""
    try:
        load(path)
    except ProtoProofError as error:
        return str(error)
    return ""


# one mutation: position, and what is put there
edits = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.one_of(
        st.tuples(st.just("set"), st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("flip"), st.integers(0, 7)),
        st.tuples(st.just("insert"), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("delete"), st.integers(1, 8)),
        st.tuples(st.just("repeat"), st.integers(1, 64)),
    ),
)


def mutate(data: bytes, changes: list[tuple[float, tuple[str, object]]]) -> bytes:
    for where, (kind, what) in changes:
        at = int(where * len(data))
        if kind == "set" and isinstance(what, bytes):
            data = data[:at] + what + data[at + len(what) :]
        elif kind == "flip" and isinstance(what, int):
            data = data[:at] + bytes([data[at] ^ 1 << what]) + data[at + 1 :] if data else data
        elif kind == "insert" and isinstance(what, bytes):
            data = data[:at] + what + data[at:]
        elif kind == "delete" and isinstance(what, int):
            data = data[:at] + data[at + what :]
        elif isinstance(what, int):
            data = data[: at + what] + data[at:]
    return data


@given(st.lists(edits, min_size=1, max_size=4))
@examples(
    500, 2500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.trust(33)
def test_mutations(folder: Path, changes: list[tuple[float, tuple[str, object]]]) -> None:
    survive(folder, mutate(VALID, changes))


@given(st.integers(0, 10**9), st.integers(0, 10**9))
@settings(max_examples=300, deadline=None)
def test_splices(folder: Path, cut: int, join: int) -> None:
    survive(folder, VALID[: cut % len(VALID)] + OTHER[join % len(OTHER) :])


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_noise(folder: Path, data: bytes) -> None:
    survive(folder, data)


@pytest.mark.parametrize("step", [12, pytest.param(3, marks=pytest.mark.sweep)])
def test_every_byte_of_the_header(folder: Path, step: int) -> None:
    """Structure, not weights: names, types and lengths lie at the start of the file."""
    for at in range(0, 1200, step):
        for bit in (0, 3, 7):
            survive(folder, VALID[:at] + bytes([VALID[at] ^ 1 << bit]) + VALID[at + 1 :])
