"""A head description in YAML beside the model, for models that carry none.

Only what JSON could say is accepted: no tags, no anchors or aliases (so no alias bombs), one
document, no key twice. It is turned into JSON text, which is what certificates quote.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from verifier.errors import DescriptionError, ProtoProofError
from verifier.network.onnx_file import read_regular_file

_SUFFIXES = (".yaml", ".yml")
# The parser is slow: larger descriptions belong into the model's metadata.
_MOST_BYTES = 1 << 17


class _PlainLoader(yaml.SafeLoader):
    """A safe loader without anchors, explicit tags, or double keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        loader: Any = self
        event = loader.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.YAMLError("anchors and aliases are not allowed")
        if getattr(event, "tag", None):
            raise yaml.YAMLError("tags are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        pairs = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(not isinstance(key, str) for key in pairs) or len(set(pairs)) != len(pairs):
            raise yaml.YAMLError("keys must be strings, each at most once")
        return super().construct_mapping(node, deep)


# YAML 1.1 demands a point in "1.0e-4"; JSON and people do not
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml_description(model: Path) -> str | None:
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


def plain_yaml(data: bytes, path: Path, error_type: type[ProtoProofError]) -> Any:
    """One YAML document that says nothing JSON could not say.

    Raises:
        ``error_type``: it is not such a document; the message names ``path``.
    """
    try:
        content = yaml.load(data.decode("utf-8"), Loader=_PlainLoader)  # noqa: S506 - safer than safe
        json.dumps(content, allow_nan=False)  # refuses dates, sets, NaN
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        problem = " ".join(str(error).split())[:200]
        raise error_type(f"{path}: not plain YAML ({problem}); correct it") from error
    return content
