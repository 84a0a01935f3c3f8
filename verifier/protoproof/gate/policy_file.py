"""A policy from its YAML file, with the line of every key, so that a failure can point at one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from protoproof.errors import UsageError
from protoproof.gate.policy import Policy
from protoproof.resources import policy_path
from protoproof.strict_yaml import PlainLoader, one_line

_MOST_BYTES = 1 << 17

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class PolicyFile:
    """A policy, where it was read from, the hash of its bytes, and the lines of its keys."""

    path: Path
    sha256: str
    policy: Policy
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of a key; of the nearest section around it where it is not written."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_policy(path: Path) -> PolicyFile:
    """Read and validate a policy.

    Raises:
        UsageError: no regular file, too large, not plain YAML, empty, an unknown key or version,
            or a value out of range; with the line.
    """
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise UsageError(f"--policy {path}: {what}; see {policy_path('release')} for an example")
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--policy {path}: cannot be read ({error.strerror})") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"--policy {path}: larger than {_MOST_BYTES >> 10} KiB")
    content, lines = _parse(data, path)
    if not isinstance(content, dict) or not content:
        raise UsageError(f"--policy {path}: asks for nothing; see specs/policies/ for an example")
    try:
        policy = Policy.model_validate(_with_tuples(content))
    except ValidationError as error:
        raise UsageError(_first_problem(error, path, lines)) from error
    return PolicyFile(path, hashlib.sha256(data).hexdigest(), policy, lines)


def _parse(data: bytes, path: Path) -> tuple[Any, dict[Place, int]]:
    try:
        loader = PlainLoader(data.decode("utf-8"))
        node = loader.get_single_node()
        if node is None:
            return None, {}
        return loader.construct_document(node), dict(_lines(node, ()))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = one_line(error, 200)
        raise UsageError(f"--policy {path}: not plain YAML ({problem}); correct it") from error


def _lines(node: Any, place: Place) -> Iterator[tuple[Place, int]]:
    """Where every key and every item of a list begins, counted from 1."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*place, number), value.start_mark.line + 1
            yield from _lines(value, (*place, number))


def _with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return value


def _first_problem(error: ValidationError, path: Path, lines: Mapping[Place, int]) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = tuple(problem["loc"])
    known = place
    while known and known not in lines:
        known = known[:-1]
    where = f", line {lines[known]}" if known else ""
    field = ".".join(map(str, place)) or "policy"
    line = f"--policy {path}{where}: {field}: {problem['msg'].removeprefix('Value error, ')}"
    return one_line(line, 400)
