"""The text about a network in YAML beside the model, for models that carry none.

Only what JSON could say is accepted: no tags, no anchors or aliases (so no alias bombs), one
document, no key twice. It is turned into JSON text, which is what certificates quote.
"""

from __future__ import annotations

import json
from pathlib import Path

from protoproof.errors import DescriptionError
from protoproof.network.onnx.file import read_regular_file
from protoproof.strict_yaml import plain_yaml

_SUFFIXES = (".yaml", ".yml")
# The parser is slow: larger descriptions belong into the model's metadata.
_MOST_BYTES = 1 << 17


def read_about_yaml(model: Path) -> str | None:
    """The JSON text of the YAML file beside ``model``, or None where there is none.

    Raises:
        DescriptionError: not a regular file, too large, or not plain YAML.
    """
    for suffix in _SUFFIXES:
        path = model.with_suffix(suffix)
        if path.exists():
            return _to_json(read_regular_file(path, _MOST_BYTES, DescriptionError), path)
    return None


def _to_json(data: bytes, path: Path) -> str:
    content = plain_yaml(data, path, DescriptionError)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
