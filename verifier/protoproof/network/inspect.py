"""What would be verified, or everything that stands in the way.

``inspect_file`` goes as far as it can: a model that ``load`` refuses at its first problem is
described with all problems that can be found.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from protoproof.errors import ModelError, ProtoProofError
from protoproof.extras import installed
from protoproof.network.network import Network, assemble, find_description
from protoproof.network.onnx.file import OnnxFile, read_model
from protoproof.network.onnx.graph import Graph, build_graph
from protoproof.network.onnx.limits import DEFAULT_LIMITS, Limits
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.screen import refusals

_MOST_REFUSALS = 100
_RANGES = {
    "sigmoid": "[0, 1] (made by Sigmoid)",
    "relu": "[0, inf) (made by Relu)",
    "free": "unbounded",
}


@dataclass(frozen=True)
class Inspection:
    """Everything ``inspect`` prints. Parts that could not be read are None or empty.

    ``operators``: how many nodes of each kind; ``parameters``: stored float32 numbers; ``latent``,
    ``prototypes``, ``similarity``, ``decision``: see ``to_json``; ``binding``: ``recognised``,
    ``declared`` or None, with ``reason`` in plain words; ``compared``: whether ONNX Runtime, where
    it is installed, computed the described head; ``refusals``: one line each.
    """

    path: str
    sha256: str | None = None
    size: int | None = None
    opset: int | None = None
    producer: str | None = None
    name: str | None = None
    family: str | None = None
    operators: dict[str, int] = dataclasses.field(default_factory=dict)
    parameters: int | None = None
    input: dict[str, Any] | None = None
    latent: dict[str, Any] | None = None
    prototypes: dict[str, Any] | None = None
    similarity: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    binding: str | None = None
    reason: str | None = None
    compared: bool | None = None
    refusals: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, by field name."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """For people: one aligned line per fact, refusals last."""
        rows = [(label, text) for label, text in self._rows() if text]
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "model", printable(self.path, 400)
        if self.sha256:
            yield "sha256", f"{self.sha256} ({self.size} bytes)"
        if self.name is not None:
            yield "name", f"{printable(self.name)} (family {printable(self.family)})"
        if self.opset:
            counts = ", ".join(f"{op} {n}" for op, n in sorted(self.operators.items()))
            yield "graph", f"opset {self.opset}, {sum(self.operators.values())} nodes: {counts}"
            yield "parameters", f"{self.parameters}"
        yield "input", _input_text(self.input)
        yield "latent", _latent_text(self.latent)
        yield "prototypes", _prototypes_text(self.prototypes)
        yield "similarity", _similarity_text(self.similarity)
        yield "decision", _decision_text(self.decision)
        if self.binding:
            yield "head", f"{self.binding}: {self.reason}"
        if self.compared is False:
            yield "runtime", "not compared: ONNX Runtime is not installed"
        for refusal in self.refusals:
            yield "refused", refusal


def _input_text(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    low, high = part["range"]
    batch = "any number of images" if part["free_batch"] else "one image"
    return f"'{printable(part['tensor'])}' {part['shape']}, values in [{low}, {high}], {batch}"


def _latent_text(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    rows, columns = part["grid"]
    return (
        f"'{printable(part['tensor'])}' {rows} x {columns} locations, {part['channels']} channels, "
        f"range {_RANGES[part['range']]}"
    )


def _prototypes_text(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    groups = part["duplicates"]
    same = "; ".join(" = ".join(str(j) for j in group) for group in groups[:5])
    more = f" and {len(groups) - 5} more groups" if len(groups) > 5 else ""
    return f"{part['count']}" + (f" (identical: {same}{more})" if groups else " (all different)")


def _similarity_text(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    constant = f", {part['parameter']} = {part['constant']!r}" if part["parameter"] else ""
    return f"{part['kind']} of the squared L2 distance{constant}, largest over locations"


def _decision_text(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    bias = "with bias" if part["bias"] else "without bias"
    shown = ", ".join(printable(name, 20) for name in part["classes"][:12])
    more = ", ..." if len(part["classes"]) > 12 else ""
    return f"linear {bias}, {len(part['classes'])} classes: {shown}{more}"


def inspect_file(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> Inspection:
    """Describe a model file; never raises for a model that is refused."""
    start = Inspection(path=str(path))
    try:
        file = read_model(path, limits)
    except ModelError as error:
        return dataclasses.replace(start, refusals=(str(error),))
    found = dataclasses.replace(
        start, sha256=file.sha256, size=len(file.data) + sum(map(len, file.files.values()))
    )
    found = dataclasses.replace(found, **_outside(file.model))
    problems = [str(problem) for problem in _problems(file, limits)]
    if not problems:
        try:
            network = assemble(file, build_graph(file.model, limits, file.files, file.data))
            if installed("onnxruntime"):
                _compare(network)
            return _describe(found, network)
        except ProtoProofError as error:
            problems = [str(error)]
    if len(problems) > _MOST_REFUSALS:
        rest = len(problems) - _MOST_REFUSALS
        problems = [*problems[:_MOST_REFUSALS], f"and {rest} more"]
    return dataclasses.replace(found, refusals=tuple(problems))


def _compare(network: Network) -> None:
    """The described head against the runtime, on both ends of the range and in between.

    Raises:
        FragileError: they differ by more than rounding explains.
    """
    low, high = network.input_range
    middle = np.random.default_rng(0).uniform(low, high, network.input_shape)
    for x in (np.full(network.input_shape, low), np.full(network.input_shape, high), middle):
        network.check_head(network.observe(np.clip(x, low, high).astype(np.float32)))


def _problems(file: OnnxFile, limits: Limits) -> Iterator[ProtoProofError]:
    """Everything wrong that can be found without running anything."""
    yield from refusals(file.model, limits, file.files)
    try:
        find_description(file.model, file.path)
    except ModelError as error:
        yield error


def _outside(model: ModelProto) -> dict[str, Any]:
    """What the file says on its face."""
    versions = [int(e.version) for e in model.opset_import if e.domain in ("", "ai.onnx")]
    floats = [t for t in model.graph.initializer if t.data_type == t.FLOAT]
    operators = Counter(printable(node.op_type) for node in model.graph.node)
    return {
        "opset": versions[0] if versions else None,
        "producer": printable(f"{model.producer_name} {model.producer_version}".strip()),
        "operators": dict(sorted(operators.items())),
        "parameters": sum(math.prod(t.dims) for t in floats),
    }


def _input(graph: Graph) -> dict[str, Any]:
    shape = list(graph.shapes[graph.input][1:])
    return {"tensor": graph.input, "shape": shape, "free_batch": graph.free_batch}


def _describe(found: Inspection, network: Network) -> Inspection:
    """Add what only a loaded network can say."""
    description, head = network.description, network.head
    row, decision = head.similarity.row, description.decision
    how = (
        "its graph from latent to logits was matched node by node"
        if network.binding == "recognised"
        else f"agrees with the description on random and extreme latents only ({network.reason})"
    )
    return dataclasses.replace(
        found,
        name=description.name,
        family=description.family,
        input={**_input(network.graph), "range": list(network.input_range)},
        latent={
            "tensor": description.latent.tensor,
            "grid": list(head.grid),
            "channels": head.channels,
            "range": network.latent_range,
        },
        prototypes={
            "tensor": description.measurement.prototypes,
            "count": len(head.prototypes),
            "duplicates": duplicates(head.prototypes),
        },
        similarity={
            "kind": row.kind,
            "parameter": row.parameter,
            "constant": head.similarity.constant,
        },
        decision={
            "kind": decision.kind,
            "bias": decision.bias is not None,
            "classes": list(description.classes),
        },
        binding=network.binding,
        reason=how,
        compared=installed("onnxruntime"),
    )


def duplicates(prototypes: NDArray[np.float64]) -> list[list[int]]:
    """Groups of prototypes that are the same point (they say the same thing twice)."""
    groups: dict[bytes, list[int]] = {}
    for index, row in enumerate(prototypes + 0.0):  # -0.0 + 0.0 is 0.0
        groups.setdefault(row.tobytes(), []).append(index)
    return [group for group in groups.values() if len(group) > 1]
