"""Bills of materials follow the schema of CycloneDX, and name what is there by hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from protoproof.attestation.bom import tool_bill
from protoproof.errors import InputError
from protoproof.resources import zoo_path
from tests.support.cli import protoproof
from tests.support.sources import ROOT


def valid(text: str) -> dict[str, Any]:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


@pytest.mark.parametrize("name", ["mnist-1x1", "mnist-tree", "motion-labels"])
def test_a_network(name: str) -> None:
    done = protoproof("bom", zoo_path(name))
    assert done.code == 0
    component = valid(done.out)["metadata"]["component"]
    assert component["type"] == "machine-learning-model"
    digest = hashlib.sha256(zoo_path(name).read_bytes()).hexdigest()
    assert component["hashes"] == [{"alg": "SHA-256", "content": digest}]
    card = component["modelCard"]
    said = {item["name"]: item["value"] for item in card["properties"]}
    assert said["protoproof:certifiable"] == "yes"
    assert "float32 [" in card["modelParameters"]["inputs"][0]["format"]
    classes = sum(name.startswith("protoproof:class:") for name in said)
    assert card["modelParameters"]["outputs"] == [{"format": f"scores of {classes} classes"}]
    assert any(name.startswith("protoproof:head:") for name in said)
    assert protoproof("bom", zoo_path(name)).out == done.out


def test_a_network_that_would_be_refused_says_why(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(model, tmp_path / "net.onnx")
    done = protoproof("bom", tmp_path / "net.onnx")
    assert done.code == 0
    card = valid(done.out)["metadata"]["component"]["modelCard"]
    assert [p["value"] for p in card["properties"] if p["name"] == "protoproof:refused"]


def test_the_tool() -> None:
    done = protoproof("bom", "--lock", ROOT / "requirements.lock")
    bill = valid(done.out)
    assert bill["metadata"]["component"]["name"] == "protoproof"
    purls = {component["purl"] for component in bill["components"]}
    pins = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    assert purls == {
        f"pkg:pypi/{pin.replace('==', '@')}" for pin in pins if not pin.startswith("#")
    }


@pytest.mark.parametrize("lock", ["", "torch>=2\n", "a==1\nA==1\n", "-r other.txt\n"])
def test_what_pins_nothing_is_no_lock(lock: str) -> None:
    with pytest.raises(InputError, match="--lock"):
        tool_bill(lock)


def test_a_bill_is_about_one_thing(tmp_path: Path) -> None:
    assert protoproof("bom").code == 2
    assert protoproof("bom", zoo_path("mnist-1x1"), "--lock", "requirements.lock").code == 2
    (tmp_path / "no.onnx").write_bytes(b"\xff")
    assert protoproof("bom", tmp_path / "no.onnx").code == 2
