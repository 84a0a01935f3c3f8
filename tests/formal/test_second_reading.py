"""A statement counts where another program reads the same from model and certificate."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core, Envelope, Released
from protoproof.formal import Reading, find_reader, second_reading
from protoproof.formal.reading import VARIABLE
from protoproof.kernel import ModelFile
from protoproof.kernel.statement import statement
from protoproof.network import load
from protoproof.resources import ZOO, zoo_path
from tests.support.cli import protoproof
from tests.support.formal import built, line_changed
from tests.support.kernel.builders import file, pair_core, scene, topk_core
from tests.support.reading import other_heads, plain_certificate, plain_reading, reads
from tests.support.sources import ROOT

SWEEP = pytest.mark.sweep
FEW = ("digits-diagonal", "mnist-shots", "mnist-two-banks")


def asked(content: bytes, model: ModelFile, text: str) -> Reading:
    return second_reading(find_reader(), content, model, text)


def zoo_head(name: str) -> tuple[ModelFile, tuple[str, ...], str]:
    recognised = load(zoo_path(name)).recognised
    return ModelFile.read(zoo_path(name)), tuple(recognised.latents), recognised.output


@reads
@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=SWEEP) for name in ZOO]
)
def test_every_network_of_the_zoo_is_read_alike(name: str) -> None:
    assert str(plain_reading(*zoo_head(name))).startswith("second reading: confirmed")


@reads
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("mnist-shots", "emoji-pipnet") else pytest.param(name, marks=SWEEP)
        for name in ZOO
    ],
)
def test_another_head_is_not_confirmed(name: str) -> None:
    model, latents, output = zoo_head(name)
    content = plain_certificate(model, latents, output)
    text = statement(content, model)
    tried = [what for what, other in other_heads(text) if asked(content, model, other).confirmed]
    assert not tried


@reads
def test_premises_and_claims_are_compared() -> None:
    here = scene(5)
    for core in (pair_core(here), topk_core(here)):
        content, model = file(core), ModelFile(here.data)
        assert asked(content, model, statement(content, model)).confirmed


@reads
def test_what_a_certificate_proves_of_inputs_does_not_matter_to_its_statement() -> None:
    here = scene(5)
    shown = Released(tile=0, rival=1, x="")
    content = file(pair_core(here).model_copy(update={"released": (shown,)}))
    model = ModelFile(here.data)
    assert asked(content, model, statement(content, model)).confirmed


def test_the_reader_knows_every_field_of_a_certificate() -> None:
    """Those that it reads, and those that it leaves to others: any other is a contradiction."""
    text = (ROOT / "verifier" / "formal" / "reader" / "reader.ml").read_text()
    assert set(Core.model_fields) <= set(re.findall(r'"(\w+)"', text))


def renamed(word: str, name: str) -> Callable[[str], str]:
    return lambda text: re.sub(
        rf'^{word} (\d+ )?"[^"]*"', rf'{word} \g<1>"{name}"', text, flags=re.M
    )


def one_more(word: str, place: int) -> Callable[[str], str]:
    def change(tokens: list[str]) -> None:
        tokens[place] = str(int(tokens[place]) + 1)

    return lambda text: line_changed(text, word, change)


@reads
@pytest.mark.parametrize(
    "change",
    [
        one_more("claim", 2),
        one_more("pair", 1),
        one_more("pair", 3),
        one_more("facts", 1),
        one_more("latent", 1),
        lambda text: text.replace("\ndomain 0 0\n", "\ndomain 0 1\neverywhere 0 inf\n"),
        lambda text: re.sub("^input .{64}", "input " + "1" * 64, text, flags=re.M),
        lambda text: re.sub("^model .{64}", "model " + "1" * 64, text, flags=re.M),
        renamed("output", "activation"),
        renamed("tensors", "input"),
        lambda text: text + "end\n",
        lambda text: text.replace("\nend\n", "\n"),
    ],
)
def test_another_claim_is_contradicted(change: Callable[[str], str]) -> None:
    here = scene(5)
    content, model = file(pair_core(here)), ModelFile(here.data)
    text = statement(content, model)
    other = change(text)
    assert other != text
    assert asked(content, model, other).verdict == "contradicted"


@reads
@pytest.mark.parametrize(
    ("field", "value"),
    [("latent", ("prototypes",)), ("output", "measurement"), ("geometry", "linear")],
)
def test_another_certificate_is_contradicted(field: str, value: object) -> None:
    here = scene(5)
    core, model = pair_core(here), ModelFile(here.data)
    identity = core.model.model_copy(update={field: value})
    other = core.model_copy(update={"model": identity})
    reading = asked(file(other), model, statement(file(core), model))
    assert reading.verdict == "contradicted"


def changed_model(change: Callable[[onnx.ModelProto], None]) -> tuple[bytes, ModelFile, str]:
    """A certificate, another model, and the statement as if it were about that one."""
    here = scene(5)
    core = pair_core(here)
    message = onnx.load_from_string(here.data)
    change(message)
    other = ModelFile(message.SerializeToString())
    identity = core.model.model_copy(update={"sha256": other.sha256})
    moved: Core = core.model_copy(update={"model": identity})
    text = statement(file(core), ModelFile(here.data))
    text = text.replace(ModelFile(here.data).sha256, other.sha256)
    return canonical_bytes(Envelope(core=moved)), other, text


def weight(message: onnx.ModelProto) -> None:
    for tensor in message.graph.initializer:
        if tensor.name == "prototypes":
            values = onnx.numpy_helper.to_array(tensor).copy()
            values.reshape(-1)[0] *= 1 + 2.0**-20
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def bypass(message: onnx.ModelProto) -> None:
    """The output takes the input past the latent."""
    logits = message.graph.output[0].name
    for node in message.graph.node:
        node.output[:] = ["before" if name == logits else name for name in node.output]
    entry = message.graph.input[0].name
    message.graph.node.append(onnx.helper.make_node("ReduceSum", [entry], ["all"], keepdims=0))
    message.graph.node.append(onnx.helper.make_node("Add", ["before", "all"], [logits]))


def unknown_operator(message: onnx.ModelProto) -> None:
    logits = message.graph.output[0].name
    for node in message.graph.node:
        node.output[:] = ["before" if name == logits else name for name in node.output]
    message.graph.node.append(onnx.helper.make_node("Erf", ["before"], [logits]))


def shape(message: onnx.ModelProto) -> None:
    latent = read_certificate(file(pair_core(scene(5)))).core.model.latent[0]
    values = [*message.graph.value_info, *message.graph.output]
    (stated,) = [value for value in values if value.name == latent]
    stated.CopyFrom(onnx.helper.make_tensor_value_info(latent, TensorProto.FLOAT, [1, 1, 1, 1]))


@reads
@pytest.mark.parametrize(
    ("change", "verdict", "word"),
    [
        (lambda message: None, "confirmed", "agree"),
        (weight, "not covered", "common factor"),  # two scores are always proportional
        (bypass, "contradicted", "by the latents alone"),
        (unknown_operator, "not covered", "Erf computes"),
        (shape, "contradicted", "shape"),
    ],
    ids=["none", "weight", "bypass", "operator", "shape"],
)
def test_another_network_is_not_confirmed(
    change: Callable[[onnx.ModelProto], None], verdict: str, word: str
) -> None:
    content, model, text = changed_model(change)
    reading = asked(content, model, text)
    assert reading.verdict == verdict, reading
    assert word in reading.reason


@reads
def test_bytes_that_belong_to_no_field_are_not_read() -> None:
    here = scene(5)
    core = pair_core(here)
    text = statement(file(core), ModelFile(here.data))
    for tail in (b"\x98\x06\x01", b"\x00", b"\x0a"):  # field 99, field 0, a text that is cut off
        other = ModelFile(here.data + tail)
        identity = core.model.model_copy(update={"sha256": other.sha256})
        content = file(core.model_copy(update={"model": identity}))
        reading = asked(content, other, text.replace(core.model.sha256, other.sha256))
        assert reading.verdict == "not covered"


@built
@reads
def test_the_command_rejects_what_two_readings_disagree_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = scene(5)
    (tmp_path / "c.json").write_bytes(file(pair_core(here)))
    (tmp_path / "m.onnx").write_bytes(here.data)
    for verdict, code in (("contradicted", 1), ("not covered", 3)):
        program = tmp_path / "reader"
        program.write_text(f"#!/bin/sh\necho '{verdict}: a test'\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv(VARIABLE, str(program))
        result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--kernel")
        assert result.code == code
        assert f"kernel   second reading: {verdict}: a test" in result.out


def test_a_missing_reader_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    here = scene(5)
    (tmp_path / "c.json").write_bytes(file(pair_core(here)))
    (tmp_path / "m.onnx").write_bytes(here.data)
    result = protoproof("check", tmp_path / "c.json", tmp_path / "m.onnx", "--kernel")
    assert result.code == 2
    assert "make kernel" in result.err
