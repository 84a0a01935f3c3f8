"""Weights in other files: read once, only from beside the model, and part of its identity."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import ModelError
from protoproof.kernel import ModelFile
from protoproof.kernel.model import outside
from protoproof.network import load
from protoproof.network.inspect import inspect_file
from protoproof.network.onnx.external import identity, listing, plain_name
from protoproof.network.onnx.file import read_model
from protoproof.network.onnx.limits import Limits
from protoproof.network.onnx.runtime import Session
from tests.support.network.builders import draft, node
from tests.support.network.data_files import (
    IRREGULAR,
    MALFORMED,
    NAME,
    at,
    pair,
    put,
    split,
    tensor_of,
    write,
)

IMAGE = np.random.default_rng(3).random((1, 6, 6)).astype(np.float32)


def both_refuse(path: Path) -> None:
    """The prover in one line, and the checker, from path or from the bytes that it read."""
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()
    with pytest.raises(ModelError):
        ModelFile.read(path).graph  # noqa: B018


@pytest.mark.parametrize(("spread", "gap"), [(1, 0), (1, 3), (3, 0), (4, 64)])
def test_the_same_network_as_in_one_file(tmp_path: Path, spread: int, gap: int) -> None:
    whole, parts = load(draft().save(tmp_path)), load(write(tmp_path / "x", *pair(spread, gap)))
    assert parts.observe(IMAGE).logits.tobytes() == whole.observe(IMAGE).logits.tobytes()
    for name, values in whole.graph.constants.items():
        assert parts.graph.constants[name].tobytes() == values.tobytes()
    checked = ModelFile.read(parts.path)
    assert checked.sha256 == parts.sha256 != whole.sha256
    assert len(checked.files) == len(parts.files) == spread
    given_bytes = ModelFile(parts.data, parts.files)
    assert given_bytes.sha256 == parts.sha256
    for name in ("prototypes", "head.weight"):
        assert np.array_equal(given_bytes.graph.floats(name), whole.graph.constants[name].ravel())


def test_one_file_is_known_by_its_own_hash(tmp_path: Path) -> None:
    path = draft().save(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(path).sha256 == ModelFile.read(path).sha256 == digest
    assert ModelFile.read(path).files == ()


def test_the_manifest_is_spelled_out(tmp_path: Path) -> None:
    path = write(tmp_path, *pair(spread=2))

    def line(content: bytes, name: str) -> str:
        return f"{hashlib.sha256(content).hexdigest()}  {len(content)}  {name}\n"

    names = [f"0-{NAME}", f"1-{NAME}"]
    lines = [line((tmp_path / name).read_bytes(), name) for name in names]
    text = line(path.read_bytes(), "model") + "".join(lines)
    assert load(path).sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_a_pair_may_move_and_its_model_be_renamed(tmp_path: Path) -> None:
    model, files = pair()
    places = [write(tmp_path / "a", model, files), write(tmp_path / "b", model, files, "other.bin")]
    (tmp_path / "c").mkdir()
    (tmp_path / "a" / NAME).rename(tmp_path / "c" / NAME)
    places[0].rename(tmp_path / "c" / "moved.onnx")
    known = {load(path).sha256 for path in (places[1], tmp_path / "c" / "moved.onnx")}
    assert known == {ModelFile(model.SerializeToString(), files).sha256}


def test_every_byte_counts(tmp_path: Path) -> None:
    model, files = pair(gap=5)
    known = {identity(model.SerializeToString(), files)}
    for position in range(0, len(files[NAME]), 7):  # also those that no tensor is in
        changed = bytearray(files[NAME])
        changed[position] ^= 1
        known.add(ModelFile(model.SerializeToString(), {NAME: bytes(changed)}).sha256)
        known.add(identity(model.SerializeToString(), {NAME: bytes(changed)}))
    assert len(known) == 1 + len(range(0, len(files[NAME]), 7))


@given(
    data=st.binary(max_size=4),
    files=st.dictionaries(st.text(min_size=1, max_size=3), st.binary(max_size=4), max_size=3),
)
def test_both_sides_know_a_model_alike(data: bytes, files: dict[str, bytes]) -> None:
    named = {name: content for name, content in files.items() if plain_name(name)}
    checked = ModelFile(data, named)
    assert checked.sha256 == identity(data, named)
    assert checked.files == listing(named)


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.trust(24)
def test_malformed_places(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, files = pair()
    change(model)
    path = write(tmp_path / "x", model, files)
    (tmp_path / NAME).write_bytes(files[NAME])
    (tmp_path / "x" / "sub").mkdir()
    (tmp_path / "x" / "sub" / NAME).write_bytes(files[NAME])
    opened: list[object] = []
    original = os.open

    def recorded(name: object, *rest: object, **more: object) -> int:
        opened.append(name)
        return original(name, *rest, **more)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(os, "open", recorded)
    start = time.process_time()
    both_refuse(path)
    assert time.process_time() - start < 20
    assert set(opened) <= {path, path.parent, NAME}


@pytest.mark.parametrize("change", IRREGULAR.values(), ids=IRREGULAR)
@pytest.mark.trust(24)
def test_irregular_data_files(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = write(tmp_path / "x", *pair())
    change(path.parent / NAME)
    start = time.process_time()
    both_refuse(path)
    assert time.process_time() - start < 20
    assert len(inspect_file(path).refusals) == 1


def test_a_data_file_that_is_too_short(tmp_path: Path) -> None:
    model, files = pair()
    both_refuse(write(tmp_path, model, {NAME: files[NAME][:-1]}))


@pytest.mark.parametrize(
    "change", [at(offset="-"), at(length="-"), at(checksum="whatever"), at(offset="180")]
)
def test_what_may_be_left_out_or_shared(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    """No offset is 0, no length is the shape's; parts may overlap (w1 over b1 and w2)."""
    model, files = pair()
    change(model)
    network = load(write(tmp_path, model, files))
    stated = {entry.key: entry.value for entry in tensor_of(model, "w1").external_data}
    begin = int(stated.get("offset", "0"))
    assert network.graph.constants["w1"].tobytes() == files[NAME][begin : begin + 180]
    assert ModelFile.read(network.path).sha256 == network.sha256


def test_two_tensors_may_share_their_numbers(tmp_path: Path) -> None:
    model, files = pair()
    entries = {entry.key: entry.value for entry in tensor_of(model, "axis_2").external_data}
    put(tensor_of(model, "axis_1"), {**entries, "offset": str(int(entries["offset"]) - 8)})
    network = load(write(tmp_path, model, files))
    assert network.observe(IMAGE).logits.shape == (2,)


def test_nan_in_a_data_file_is_refused(tmp_path: Path) -> None:
    model, files = pair()
    content = np.frombuffer(files[NAME][:180], np.float32).copy()
    content[7] = np.nan
    with pytest.raises(ModelError, match="a weight is NaN"):
        load(write(tmp_path, model, {NAME: content.tobytes() + files[NAME][180:]}))


def test_model_and_data_are_limited_together(tmp_path: Path) -> None:
    model, files = pair()
    path = write(tmp_path, model, files)
    size = path.stat().st_size + len(files[NAME])
    assert load(path, Limits(file_bytes=size)).sha256
    with pytest.raises(ModelError, match="larger than allowed"):
        load(path, Limits(file_bytes=size - 1))


def test_tensors_in_data_files_are_limited_together(tmp_path: Path) -> None:
    model, files = pair()
    for index in range(40):  # each is a view of the same 180 bytes
        tensor = model.graph.initializer.add(name=f"v{index}", dims=[45], data_type=1)
        put(tensor, {"location": NAME})
    path = write(tmp_path, model, files)
    size = path.stat().st_size + len(files[NAME])
    assert size < 41 * 180
    with pytest.raises(ModelError, match=f"more than {size} bytes"):
        load(path, Limits(file_bytes=size))


def test_the_checker_limits_them_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    model, files = pair()
    for index in range(40):
        tensor = model.graph.initializer.add(name=f"v{index}", dims=[45], data_type=1)
        put(tensor, {"location": NAME})
    data, total = model.SerializeToString(), len(files[NAME]) + 40 * 180
    monkeypatch.setattr(outside, "MAX_TOTAL", total)
    assert ModelFile(data, files).graph.inputs == ("input",)
    monkeypatch.setattr(outside, "MAX_TOTAL", total - 1)
    with pytest.raises(ModelError, match=f"more than {total - 1} bytes"):
        ModelFile(data, files).graph  # noqa: B018


@pytest.mark.trust(24)
def test_nothing_is_opened_again(tmp_path: Path) -> None:
    """Whatever happens to the files after they were read, the runtime computes what was hashed."""
    path = write(tmp_path, *pair())
    file = read_model(path)
    (tmp_path / NAME).write_bytes(b"\x7f" * (tmp_path / NAME).stat().st_size)
    path.unlink()
    feed = {"input": IMAGE[None]}
    want = Session(draft().build().SerializeToString()).run(("logits",), feed)[0]
    session = Session(file.data, file.files)
    assert session.run(("logits",), feed)[0].tobytes() == want.tobytes()
    (tmp_path / NAME).unlink()
    again: Session = pickle.loads(pickle.dumps(session))  # noqa: S301  # as workers get it
    assert again.run(("logits",), feed)[0].tobytes() == want.tobytes()


@pytest.mark.parametrize("gap", [0, 1])
def test_large_tensors_reach_the_runtime(tmp_path: Path, gap: int) -> None:
    """Those that are not copied into the model, also where they are not aligned."""
    parts = draft()
    parts.weights["w1"] = np.random.default_rng(0).normal(0, 0.1, (900, 1, 3, 3)).astype(np.float32)
    parts.weights["b1"] = np.zeros(900, np.float32)
    parts.weights["w2"] = np.random.default_rng(1).normal(0, 0.1, (3, 900, 1, 1)).astype(np.float32)
    whole = load(parts.save(tmp_path))
    model = parts.build()
    assert max(values.size for values in parts.weights.values()) > 4096
    network = load(write(tmp_path / "x", model, split(model, gap=gap)))
    assert network.observe(IMAGE).logits.tobytes() == whole.observe(IMAGE).logits.tobytes()


def test_the_checker_wants_exactly_the_named_files() -> None:
    model, files = pair()
    data = model.SerializeToString()
    assert ModelFile(data, files).graph.inputs == ("input",)
    for given_files in ({}, {"other": files[NAME]}, files | {"more": b""}):
        with pytest.raises(ModelError):
            ModelFile(data, given_files).graph  # noqa: B018
    whole = draft().build().SerializeToString()
    with pytest.raises(ModelError, match="nothing is stored in"):
        ModelFile(whole, {"more": b""}).graph  # noqa: B018


def test_an_unused_external_tensor_is_part_of_the_model(tmp_path: Path) -> None:
    parts = draft()
    parts.weights["spare"] = np.ones(3, np.float32)
    parts.nodes.append(node("Identity", ["spare"], "nobody"))
    model = parts.build()
    path = write(tmp_path, model, split(model))
    assert load(path).sha256 == ModelFile.read(path).sha256
