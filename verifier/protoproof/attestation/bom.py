"""Bills of materials in CycloneDX 1.6 (JSON): of a network, and of this tool from its lock file.

https://cyclonedx.org/docs/1.6/json/. Equal files give equal bills: nothing depends on the time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from protoproof.attestation.statement import File, Model
from protoproof.errors import InputError
from protoproof.network.inspect import Inspection
from protoproof.version import VERSION

SPECIFICATION: Final = "1.6"
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_CLASSES = 1000  # names of classes that are listed


def model_bill(model: Model, found: Inspection) -> dict[str, Any]:
    """The bill of a network: its files by hash, and a model card of what ``inspect`` finds.

    Args:
        model: the network's files.
        found: what would be verified of it, or why nothing would.
    """
    parameters: dict[str, Any] = {
        "architectureFamily": "prototype network",
        "inputs": [{"format": text} for text in _inputs(found)],
        "outputs": [{"format": text} for text in _outputs(found)],
    }
    if found.classes is not None:
        parameters |= {"task": "classification"}
    component = {
        "type": "machine-learning-model",
        "bom-ref": model.identity,
        "name": found.name or model.file.name,
        "hashes": _hashes(model.file.sha256),
        "modelCard": {"modelParameters": parameters, "properties": list(_properties(model, found))},
    }
    files = [_file(file) for file in model.data_files]
    return _bill(component, files, f"model:{model.identity}")


def tool_bill(lock: str) -> dict[str, Any]:
    """The bill of this tool: everything that its lock file pins.

    Raises:
        InputError: a line is no pin.
    """
    pins = []
    for number, line in enumerate(lock.splitlines(), 1):
        text = line.partition("#")[0].strip()
        pin = _PIN.fullmatch(text)
        if text and pin is None:
            raise InputError(f"--lock: line {number} pins nothing (NAME==VERSION)")
        if pin is not None:
            pins.append((pin[1], pin[2]))
    purls = [f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}" for name, version in pins]
    if not pins or len(set(purls)) != len(purls):
        raise InputError("--lock: pins nothing, or something twice")
    root = f"pkg:pypi/protoproof@{VERSION}"
    component = {
        "type": "application",
        "bom-ref": root,
        "name": "protoproof",
        "version": VERSION,
        "purl": root,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    libraries = [
        {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        for (name, version), purl in zip(pins, purls, strict=True)
    ]
    bill = _bill(component, libraries, "tool:" + ",".join(purls))
    # a lock file says what is there, not what needs what
    return bill | {"compositions": [{"aggregate": "unknown", "dependencies": [root]}]}


def to_text(bill: dict[str, Any]) -> str:
    """A bill as JSON for files and people."""
    return json.dumps(bill, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _bill(component: dict[str, Any], parts: list[dict[str, Any]], name: str) -> dict[str, Any]:
    tool = {"type": "application", "name": "protoproof", "version": VERSION}
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'protoproof:{VERSION}:{name}')}",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": component},
        "components": parts,
    }


def _inputs(found: Inspection) -> Iterator[str]:
    part = found.input
    if part is not None:
        kind = "uint8" if part["bytes"] else "float32"
        low, high = part["range"]
        stated = "" if part["range_stated"] else ", not stated by the network"
        yield f"{part['tensor']}: {kind} {part['shape']}, values in [{low}, {high}]{stated}"


def _outputs(found: Inspection) -> Iterator[str]:
    if found.classes is not None:
        yield f"scores of {len(found.classes)} classes"


def _properties(model: Model, found: Inspection) -> Iterator[dict[str, str]]:
    """What a model card has no field for, under names of this tool."""
    for index, name in enumerate((found.classes or [])[:_CLASSES]):
        yield _property(f"class:{index}", name)
    for word, text in found.head:
        yield _property(f"head:{word}", text)
    if found.certifiable is not None:
        yield _property("certifiable", "yes" if found.certifiable else "no")
    for refusal in found.refusals:
        yield _property("refused", refusal)
    if found.opset is not None:
        yield _property("onnx:opset", str(found.opset))
    if found.producer:
        yield _property("onnx:producer", found.producer)
    if found.parameters is not None:
        yield _property("parameters", str(found.parameters))
    yield _property("identity", model.identity)


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"protoproof:{name}", "value": value}


def _file(file: File) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"{file.sha256}:{file.name}",
        "name": file.name,
        "hashes": _hashes(file.sha256),
    }


def _hashes(sha256: str) -> Sequence[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
