"""Honest certificates of networks with their graphs: every kind of head and of claim.

Each is made by a program that the checker shares no code with, from a network of the zoo, a small
graph that is written node by node, or an exported head of the field; and is accepted as it is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core, Envelope
from protoproof.certification.certify import Certifier
from protoproof.certification.invariance import Held, restated
from protoproof.explanation.alternatives import contrasted
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import ModelFile, check
from protoproof.network import Network, load
from protoproof.region.sets.syntax import parse_region
from protoproof.resources import zoo_path
from tests.support.foreign.export import export_family
from tests.support.foreign.families import BY_NAME, RECOGNISED
from tests.support.foreign.running import inputs
from tests.support.kernel.builders import file, pair_core, scene, topk_core

DATA = "weights.data"


@dataclass(frozen=True, eq=False)
class Files:
    """A model, the data beside it, and a certificate."""

    model: bytes
    certificate: bytes
    data: tuple[tuple[str, bytes], ...] = ()

    @property
    def read(self) -> ModelFile:
        """The model as the checker takes it."""
        return ModelFile(self.model, dict(self.data))


@dataclass(frozen=True, eq=False)
class Original:
    """Honest files.

    ``least``: a number of facts that suffices, so that no bound of a size may be above it.
    ``exact``: an execution at level F of the same network, where a certificate is at level R.
    """

    name: str
    files: Files
    least: int | None = None
    execution: dict[str, Any] | None = None

    @property
    def core(self) -> Core:
        return read_certificate(self.files.certificate).core


@cache
def explainer(name: str, routing: str = "") -> Explainer:
    """What explains the inputs of a network: of the zoo, or an exported head."""
    path = zoo_path(name) if name not in BY_NAME else exported(name)
    return Explainer(load(path, routing=routing or None))


@cache
def exported(name: str) -> Path:
    """A head of the field, by the exporter that keeps everything in one file where it can."""
    family = BY_NAME[name]
    exporter = "default" if "legacy" in family.unexported else "legacy"
    return export_family(family, Path(tempfile.mkdtemp(prefix="foreign-")), exporter)


def image(network: Network, seed: int) -> NDArray[np.float32]:
    low, high = network.input_range
    (x,) = inputs((1, *network.input_shape), 1, seed)
    return np.asarray(low + (high - low) * x[0], dtype=np.float32)


def _files(network: Network, core: Core) -> Files:
    content = canonical_bytes(Envelope(core=core))
    return Files(network.data, content, tuple(sorted(dict(network.files).items())))


def explained(name: str, seed: int = 0, routing: str = "", **options: Any) -> Original:
    """An explanation with its witnesses."""
    known = explainer(name, routing)
    contrast = options.pop("contrast", False)
    result = known.explain(image(known.network, seed), **options)
    if contrast:
        result, found = contrasted(known, result, "closest", 10)
        assert found is not None, name
    assert result.certificate is not None, (name, result.verdict)
    core = result.certificate.core
    least = len(core.facts) if core.size_bound is not None else None
    original = Original(name, _files(known.network, core), least)
    if core.level == "F" and core.execution is not None:
        return replace(original, execution=core.execution.model_dump(mode="json"))
    return original


def at_level_r(name: str, seed: int = 0) -> Original:
    """At level R, although level F holds or does not; with what would be stated at level F."""
    high = explained(name, seed)
    low = explained(name, seed, level="R")
    return replace(low, execution=high.execution)


def certified(name: str, region: str, seed: int = 0, **options: Any) -> Original:
    """A claim about a region of inputs."""
    known = explainer(name)
    network = known.network
    x = image(network, seed)
    asked = parse_region(region, x, network.input_shape, network.input_range)
    result = Certifier(known).certify(asked, falsify=False, top=1, **options)
    assert result.certificates, (name, region, result.verdict)
    return Original(name, _files(network, result.certificates[0].core))


def holding(name: str, region: str, seed: int = 0) -> Original:
    """An explanation whose facts hold over a region of inputs."""
    known = explainer(name)
    network = known.network
    x = image(network, seed)
    result = known.explain(x, vocabulary="topk", level="R")
    assert result.certificate is not None
    asked = parse_region(region, x, network.input_shape, network.input_range)
    held = Held.over(network, asked, known.instance(result.observation))
    for core in restated(result.certificate.core, held):
        files = _files(network, core)
        if check(files.certificate, files.read).accepted:
            return Original(name, files)
    raise AssertionError(name)


def small(seed: int, pairs: bool, **changes: Any) -> Original:
    """A graph of a dozen nodes."""
    here = scene(seed, **changes)
    core = pair_core(here) if pairs else topk_core(here)
    return Original("small", Files(here.data, file(core)))


def beside(original: Original, count: int = 1) -> Original:
    """The same with its numbers in files of their own."""
    model = onnx.load_model_from_string(original.files.model)
    contents = [bytearray() for _ in range(count)]
    for index, tensor in enumerate(model.graph.initializer):
        if not tensor.HasField("raw_data") or len(tensor.raw_data) < 16:
            continue
        content = contents[index % count]
        place = {"location": _data_name(index % count), "offset": str(len(content)),
                 "length": str(len(tensor.raw_data))}  # fmt: skip
        content += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)
    data = tuple((_data_name(k), bytes(content)) for k, content in enumerate(contents) if content)
    written = bytes(model.SerializeToString(deterministic=True))
    return replace(original, files=in_step(replace(original.files, model=written, data=data)))


def _data_name(index: int) -> str:
    return f"{index}.{DATA}"


def in_step(files: Files) -> Files:
    """The certificate, said to be about these bytes of the model."""
    document = json.loads(files.certificate)
    read = files.read
    document["core"]["model"]["sha256"] = read.sha256
    document["core"]["model"]["files"] = [
        {"name": name, "sha256": digest, "size": size} for name, digest, size in read.files
    ]
    return replace(files, certificate=json.dumps(document).encode())


ZOO_TREE, ZOO_REGION = "mnist-tree", "mnist-certified"
ORIGINALS: dict[str, Callable[[], Original]] = {
    "distances, written by hand": lambda: small(4, True, grid=(1, 2), classes=3),
    "most activated, written by hand": lambda: small(7, False, grid=(2, 2), classes=3),
    "data beside the model": lambda: beside(small(5, True, grid=(2, 1), classes=3)),
    "two files of data": lambda: beside(small(6, False, grid=(1, 2), classes=3), 2),
    "a size": lambda: explained("mnist-1x1", 3, vocabulary="pairs", minimal="minimum"),
    "a size of ceilings": lambda: explained(
        "mnist-certified", 1, vocabulary="ceiling", minimal="minimum"
    ),
    "a contrast": lambda: explained("mnist-certified", 2, contrast=True),
    "level R": lambda: at_level_r("mnist-certified", 3),
    "wide intervals": lambda: explained("mnist-certified", 4, vocabulary="mixed", widen=True),
    "a region": lambda: certified(ZOO_REGION, "linf:0.01"),
    "a region, propagated": lambda: certified(ZOO_REGION, "linf:0.02", method="linear"),
    "light": lambda: certified(ZOO_REGION, "brightness:0.02,0.01", 1),
    "parts": lambda: certified(ZOO_REGION, "occlude:2,2,2,2", 2, method="branch"),
    "units in cases": lambda: certified(ZOO_REGION, "linf:0.14", 1, method="split"),
    "facts over a region": lambda: explained(ZOO_REGION, 3, domain="linf:0.01"),
    "facts that hold": lambda: holding(ZOO_REGION, "linf:0.005", 5),
    "scaled distances": lambda: explained("digits-diagonal"),
    "angles on a sphere": lambda: explained("digits-hyperspherical", 1),
    "angles": lambda: explained("mnist-cosine", 2, vocabulary="topk"),
    "two latents": lambda: explained("mnist-two-banks", 3, vocabulary="topk"),
    "labels": lambda: explained("motion-labels", 4),
    "one label": lambda: explained("motion-labels", 5, label="0"),
    "a tree": lambda: explained(ZOO_TREE, 0, vocabulary="topk"),
    "a greedy tree": lambda: explained(ZOO_TREE, 1, "greedy"),
    "the largest leaf": lambda: explained(ZOO_TREE, 2, "sample-max"),
    "channels": lambda: explained("emoji-pipnet", 3, vocabulary="topk"),
    "focal": lambda: explained("emoji-protopool", 4, vocabulary="topk"),
    "products": lambda: explained("emoji-projection", 5, vocabulary="topk"),
    "nearest mean": lambda: explained("mnist-shots", 6),
    "groups": lambda: explained("mnist-components", 7, vocabulary="mixed"),
    "densities": lambda: explained("mnist-gaussian", 8, vocabulary="topk"),
    "cases": lambda: explained("mnist-cases", 9),
}
FOREIGN: dict[str, Callable[[], Original]] = {
    f"head of the field: {family.name}": lambda name=family.name: explained(name)  # type: ignore[misc]
    for family in RECOGNISED
}
