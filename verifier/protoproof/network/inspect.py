"""What would be verified, or everything that stands in the way.

``inspect_file`` goes as far as it can: a model that ``load`` refuses at its first problem is
described with all problems that can be found.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from protoproof.errors import ModelError, ProtoProofError
from protoproof.extras import installed
from protoproof.network.head import words
from protoproof.network.head.about import find_about
from protoproof.network.layout import layout_of
from protoproof.network.network import Network, assemble
from protoproof.network.onnx.file import OnnxFile, read_model
from protoproof.network.onnx.limits import DEFAULT_LIMITS, Limits
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.screen import refusals

_MOST_REFUSALS = 100


@dataclass(frozen=True)
class Inspection:
    """Everything ``inspect`` prints. Parts that could not be read are None or empty.

    ``operators``: how many nodes of each kind; ``parameters``: stored float32 numbers; ``head``:
    the parts of the normal form, one line each, none where no head is recognised;
    ``runners_up``: other heads that the graph has; ``certifiable``: whether the checker reads the
    same head (None: it was not asked), with its ``objection``; ``compared``: whether ONNX Runtime,
    where it is installed, computed the scores of the head; ``refusals``: one line each, the
    objection among them: nothing is explained where there is one.
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
    classes: list[str] | None = None
    latent: dict[str, Any] | None = None
    prototypes: dict[str, Any] | None = None
    head: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    runners_up: list[str] = dataclasses.field(default_factory=list)
    certifiable: bool | None = None
    objection: str = ""
    compared: bool | None = None
    refusals: tuple[str, ...] = ()
    float32: tuple[str, ...] = ()

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
            family = f" (family {printable(self.family)})" if self.family else ""
            yield "name", f"{printable(self.name)}{family}"
        if self.opset:
            counts = ", ".join(f"{op} {n}" for op, n in sorted(self.operators.items()))
            yield "graph", f"opset {self.opset}, {sum(self.operators.values())} nodes: {counts}"
            yield "parameters", f"{self.parameters}"
        yield "input", _input_text(self.input)
        yield "classes", _classes_text(self.classes)
        yield from self.head
        for text in self.runners_up:
            yield "or", text
        if self.head:
            yield "head", self._head_text()
        for text in self.float32:
            yield "float32", text
        if self.compared is False:
            yield "runtime", "not compared: ONNX Runtime is not installed"
        for refusal in self.refusals:
            yield "refused", refusal

    def _head_text(self) -> str:
        if self.certifiable is None:
            return "recognised in the graph"
        if self.certifiable:
            return "recognised in the graph, by the checker too: explanations can be certified"
        return "recognised in the graph, but not by the checker"


def _input_text(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    low, high = part["range"]
    values = f"values in [{low}, {high}]"
    if part["bytes"]:
        values = "whole numbers 0..255 (uint8)"
    elif not part["range_stated"]:
        values = "input range not stated: pictures need --preprocess, arrays are taken as given"
    if part["preprocessing"]:
        values += f", pictures prepared as stated ({printable(part['preprocessing'], 200)})"
    layout = layout_of(tuple(part["shape"]))
    axes = f" ({layout})" if layout else ""
    what = "image" if layout else "input"
    batch = f"any number of {what}s" if part["free_batch"] else f"one {what}"
    return f"'{printable(part['tensor'])}' {part['shape']}{axes}, {values}, {batch}"


def _classes_text(names: list[str] | None) -> str:
    if names is None:
        return ""
    shown = ", ".join(printable(name, 20) for name in names[:12])
    return f"{len(names)}: {shown}{', ...' if len(names) > 12 else ''}"


def inspect_file(
    path: str | Path,
    limits: Limits = DEFAULT_LIMITS,
    *,
    latent: str | Sequence[str] = (),
    output: str | None = None,
    checker: Callable[[Network], str] | None = None,
    rounding: Callable[[Network], tuple[str, ...]] | None = None,
) -> Inspection:
    """Describe a model file; never raises for a model that is refused.

    ``latent`` and ``output`` choose a head, as for :func:`protoproof.network.load`. ``checker``
    says what the checker objects to a head, "" for nothing; ``rounding``, what is known of float32
    executions of one that it does not object to.
    """
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
            network = assemble(file, limits, latent=latent, output=output)
            if installed("onnxruntime"):
                _compare(network)
            found = _describe(found, network)
            if checker is not None:
                objection = checker(network)
                refused = (f"explanations cannot be certified: {objection}",) if objection else ()
                found = dataclasses.replace(
                    found, certifiable=not objection, objection=objection, refusals=refused
                )
                if rounding is not None and not objection:
                    found = dataclasses.replace(found, float32=rounding(network))
            return found
        except ProtoProofError as error:
            problems = [str(error)]
    if len(problems) > _MOST_REFUSALS:
        rest = len(problems) - _MOST_REFUSALS
        problems = [*problems[:_MOST_REFUSALS], f"and {rest} more"]
    return dataclasses.replace(found, refusals=tuple(problems))


def _compare(network: Network) -> None:
    """The recognised head against the runtime, on both ends of the range and in between.

    Raises:
        FragileError: they differ by more than rounding explains.
    """
    low, high = network.input_range
    middle = np.random.default_rng(0).uniform(low, high, network.input_shape)
    if network.graph.bytes_in:
        middle = np.rint(middle)
    for x in (np.full(network.input_shape, low), np.full(network.input_shape, high), middle):
        network.check_head(network.observe(np.clip(x, low, high).astype(np.float32)))


def _problems(file: OnnxFile, limits: Limits) -> Iterator[ProtoProofError]:
    """Everything wrong that can be found without running anything."""
    yield from refusals(file.model, limits, file.files)
    try:
        find_about(file.model, file.path)
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


def _describe(found: Inspection, network: Network) -> Inspection:
    """Add what only a loaded network can say."""
    about, head = network.about, network.head
    return dataclasses.replace(
        found,
        name=about.name,
        family=about.family,
        input={
            "tensor": network.view.input,
            "shape": list(network.input_shape),
            "range": list(network.input_range),
            "range_stated": network.range_stated,
            "preprocessing": network.pixels.text,
            "bytes": network.graph.bytes_in,
            "free_batch": network.graph.free_batch,
        },
        classes=list(about.classes),
        latent={
            "tensors": list(network.recognised.latents),
            "grid": list(head.grid),
            "channels": head.channels,
            "range": network.latent_range,
        },
        prototypes={
            "count": len(head.prototypes),
            "duplicates": words.duplicates(head.prototypes),
        },
        head=list(words.parts(network.recognised, network.latent_range)),
        runners_up=[words.runner_up(other) for other in network.recognised.runners_up],
        compared=installed("onnxruntime"),
    )
