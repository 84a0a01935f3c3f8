"""Export as the field does it: a torch exporter with its defaults, scores as the only output.

What is taken away is what would differ from one machine to the next (the exporter's notes about
source files); what is added is one metadata entry of names, which no proof reads.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from typing import Any

import onnx
import torch

from models.trunk import Network
from protoproof.errors import TrainingError

KEY = "protoproof"


def export_plain(network: Network, shape: tuple[int, ...], exporter: str) -> onnx.ModelProto:
    """The network for one sample of ``shape`` as ONNX, in one file.

    Raises TrainingError when the exporter fails.
    """
    network.eval()
    example = (torch.zeros(1, *shape),)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses packages nobody needs
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if exporter == "legacy":
                torch.onnx.export(network, example, buffer, dynamo=False)
            else:
                program = torch.onnx.export(network, example, dynamo=True, verbose=False)
                if program is None:
                    raise TrainingError("the exporter returned nothing")
                program.save(buffer, external_data=False)
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise TrainingError(f"the {exporter} exporter failed: {error}") from error
    model = onnx.load_from_string(buffer.getvalue())
    _forget_sources(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def add_names(model: onnx.ModelProto, names: dict[str, Any]) -> bytes:
    """The file's bytes, with what the file says about itself as metadata."""
    text = json.dumps(names, sort_keys=True, separators=(",", ":"), allow_nan=False)
    onnx.helper.set_model_props(model, {KEY: text})
    return bytes(model.SerializeToString(deterministic=True))


def _forget_sources(model: onnx.ModelProto) -> None:
    """Remove stack traces, documentation strings and the exporter's own metadata."""
    del model.metadata_props[:]
    model.doc_string = ""
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
