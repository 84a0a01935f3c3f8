"""YAML that says nothing JSON could not say: what people write is read by one loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from protoproof.errors import ProtoProofError


class PlainLoader(yaml.SafeLoader):
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


def one_line(problem: object, longest: int) -> str:
    """What a loader complains about, in one line that is inert wherever it is shown: it quotes the
    file, which may hold characters that hide or turn round what a terminal shows."""
    line = " ".join(str(problem).split())
    return "".join(c if c.isprintable() else "?" for c in line)[:longest]


def plain_yaml(data: bytes, path: Path, error_type: type[ProtoProofError]) -> Any:
    """One YAML document that says nothing JSON could not say.

    Raises:
        ``error_type``: it is not such a document; the message names ``path``.
    """
    try:
        content = yaml.load(data.decode("utf-8"), Loader=PlainLoader)  # noqa: S506 - safer than safe
        json.dumps(content, allow_nan=False)  # refuses dates, sets, NaN
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        problem = one_line(error, 200)
        raise error_type(f"{path}: not plain YAML ({problem}); correct it") from error
    return content


# YAML 1.1 demands a point in "1.0e-4"; JSON and people do not
PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)
