"""``protoproof.yaml``: options that stand in the working directory, below the command line.

A key is the name of an option without its dashes (``no-script``), or ``model``. What is for several
verbs stands at the top; a verb's own options stand under its name, and come before those at the
top. Nothing is guessed: a key that no verb has, or a section's key that its verb lacks, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protoproof.errors import UsageError
from protoproof.files import read_regular

FILE = "protoproof.yaml"
VERBS = ("explain", "campaign", "gate")
# what may stand at the top, and for which verbs; data would take the place of explain's --input
SHARED: dict[str, tuple[str, ...]] = {
    "model": VERBS,
    "data": ("campaign", "gate"),
    "policy": ("gate",),
    "preprocess": VERBS,
    "latent": VERBS,
    "output": VERBS,
    "label": VERBS,
}
_MOST_BYTES = 1 << 16


def settings(verb: str, command: Any, directory: Path) -> dict[str, Any]:
    """The options of a verb that the directory's file states, by name of the parameter.

    ``command`` is the verb as typer made it.

    Raises:
        UsageError: the file is malformed, or has a key that is not known.
    """
    content = read_regular(directory / FILE, _MOST_BYTES) if verb in VERBS else None
    if content is None:
        return {}
    from protoproof.strict_yaml import plain_yaml  # only where there is such a file

    said = plain_yaml(content, Path(FILE), UsageError)
    if not isinstance(said, Mapping):
        raise UsageError(f"{FILE}: holds no options; write KEY: VALUE")
    sections = {name: said[name] for name in VERBS if name in said}
    for name, section in sections.items():
        if not isinstance(section, Mapping):
            raise UsageError(f"{FILE}: '{name}' holds no options; write KEY: VALUE below it")
    unknown = sorted(said.keys() - SHARED.keys() - set(VERBS))
    if unknown:
        known = ", ".join([*SHARED, *VERBS])
        raise UsageError(f"{FILE}: '{unknown[0]}' is unknown; at the top stand {known}")
    own = {key: value for key, value in said.items() if verb in SHARED.get(key, ())}
    return _by_parameter(verb, command, own) | _by_parameter(
        verb, command, dict(sections.get(verb, {}))
    )


def _by_parameter(verb: str, command: Any, said: dict[str, Any]) -> dict[str, Any]:
    """Option names to names of parameters, values of the kind that they take."""
    named = {_plain(option): p for p in command.params for option in (*p.opts, p.name or "")}
    found: dict[str, Any] = {}
    for key, value in said.items():
        parameter = named.get(key)
        if parameter is None or parameter.name is None:
            raise UsageError(f"{FILE}: '{key}' is no option of {verb}; see {verb} --help")
        found[parameter.name] = _value(f"{FILE}: {key}", parameter, value)
    return found


def _plain(option: str) -> str:
    return option.lstrip("-")


def _value(where: str, parameter: Any, value: Any) -> Any:
    """A value as the command line would have it."""
    if parameter.multiple:
        items = value if isinstance(value, list) else [value]
        return tuple(_one(where, parameter, item) for item in items)
    return _one(where, parameter, value)


def _one(where: str, parameter: Any, value: Any) -> Any:
    flag = bool(getattr(parameter, "is_flag", False))
    if flag != isinstance(value, bool) or not isinstance(value, (str, int, float, bool)):
        wanted = "true or false" if flag else "a text or a number"
        raise UsageError(f"{where}: wants {wanted}")
    return value if flag else str(value)
