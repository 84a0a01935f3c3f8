"""What somebody says *about* a model: names, never meaning.

It is read from ``metadata_props["protoproof"]`` (JSON) or, for models without it, from a YAML file
beside the model. It names the network and its classes, says what values its inputs have, what a
location sees, which class a prototype belongs to, and what it was trained on. What the head *is* is
read from the graph alone; whatever else the text says is ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from onnx import ModelProto
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protoproof.errors import DescriptionError
from protoproof.network.head.about_yaml import read_about_yaml

PICTURES = "protoproof.pictures"  # metadata: prototypes' pictures, as text; they only illustrate
METADATA_KEY = "protoproof"
MAX_TEXT = 1 << 24
MAX_DEPTH = 16  # a description needs four
# a string that never ends is matched to the end, so that the time stays linear
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_MARKS = re.compile(r"[\[\]{}]")

Text = Annotated[str, Field(max_length=4096)]
Size = Annotated[int, Field(ge=1, le=1 << 24)]
Offset = Annotated[int, Field(ge=-(1 << 24), le=1 << 24)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0, lt=1 << 31)]


class _Named(BaseModel):
    """Strict and immutable; fields that are not known are somebody else's."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Normalisation(_Named):
    """Per channel: (x - mean) / std.

    Applied *inside* the graph where the range is that of pixels ([0, 1], [0, 255]), and then
    information for readers; outside where the range is the one of what comes out of it. Whoever
    states no range leaves it open, and has pictures refused.
    """

    mean: Annotated[tuple[Real, ...], Field(min_length=1)]
    std: Annotated[tuple[Annotated[Real, Field(gt=0)], ...], Field(min_length=1)]


class InputText(_Named):
    """The closed range of the input's values, and how they are normalised.

    ``preprocessing``: what is done to a picture before the graph sees it, in the words of
    ``--preprocess``.
    """

    range: tuple[Real, Real] | None = None
    normalisation: Normalisation | None = None
    preprocessing: Text | None = None


class ReceptiveField(_Named):
    """What location (r, c) sees: rows ``y0 + r*sy .. + h``, columns likewise, clipped."""

    size: tuple[Size, Size]
    stride: tuple[Size, Size]
    start: tuple[Offset, Offset]


class LatentText(_Named):
    """What locations of the latent see."""

    receptive_field: ReceptiveField | None = None


class TrainingData(_Named):
    """Which data the network was trained on."""

    name: Text
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AboutText(_Named):
    """The fields that are read; all may be left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, title="About a network")

    family: Text = ""
    name: Text = ""
    input: InputText = InputText()
    latent: LatentText = LatentText()
    classes: tuple[Text, ...] | None = None
    prototype_class: tuple[Index, ...] | None = None
    training_data: TrainingData | None = None
    producer: Text = ""


@dataclass(frozen=True)
class About:
    """Names for a recognised network.

    Attributes:
        name: what it is called; the file's stem where nobody says.
        input_range: closed range of input values; [0, 1] where nobody says (``range_stated``).
        classes: one name per class; "class 0" ... where nobody says.
        preprocessing: the text of ``input.preprocessing``, or None.
        text: the text that was read, "" where there is none; ``external``: from beside the model.
    """

    name: str
    family: str
    producer: str
    input_range: tuple[float, float]
    range_stated: bool
    normalisation: Normalisation | None
    preprocessing: str | None
    classes: tuple[str, ...]
    classes_stated: bool
    prototype_class: tuple[int, ...] | None
    receptive_field: ReceptiveField | None
    training_data: TrainingData | None
    text: str = ""
    external: bool = False


def json_schema() -> dict[str, Any]:
    """The JSON schema of what is read; other fields are allowed and mean nothing."""
    schema = AboutText.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def find_about(model: ModelProto, path: Path) -> tuple[AboutText, str, bool]:
    """What is said about a model, its text ("" where nothing is), and whether it lay beside it.

    Raises:
        DescriptionError: the text is not strict JSON (or plain YAML), or a field is malformed.
    """
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return parse_about(entry.value, f"metadata '{METADATA_KEY}'"), entry.value, False
    text = read_about_yaml(path)
    if text is None:
        return AboutText(), "", False
    return parse_about(text, f"{path.stem}.yaml"), text, True


def named(
    found: tuple[AboutText, str, bool], path: Path, classes: int, prototypes: int, chosen: bool
) -> About:
    """The names that fit a head of so many classes and prototypes.

    ``chosen``: somebody chose the head, so names that do not fit are another head's.

    Raises:
        DescriptionError: counts that cannot be right.
    """
    text, stored, external = found
    if chosen and text.classes is not None and len(text.classes) != classes:
        text = text.model_copy(update={"classes": None, "prototype_class": None})
    if chosen and text.prototype_class is not None and len(text.prototype_class) != prototypes:
        text = text.model_copy(update={"prototype_class": None})
    if text.classes is not None and len(text.classes) != classes:
        raise DescriptionError(
            f"classes has {len(text.classes)} names for {classes} classes; correct it"
        )
    owners = text.prototype_class
    if owners is not None and len(owners) != prototypes:
        raise DescriptionError(
            f"prototype_class has {len(owners)} entries for {prototypes} prototypes; correct it"
        )
    if any(owner >= classes for owner in owners or ()):
        raise DescriptionError("prototype_class names a class that the network does not have")
    stated = text.input.range
    if stated is not None and not stated[0] < stated[1]:
        raise DescriptionError("input.range must be [low, high] with low < high; correct it")
    return About(
        name=text.name or path.stem,
        family=text.family,
        producer=text.producer,
        input_range=(0.0, 1.0) if stated is None else stated,
        range_stated=stated is not None,
        normalisation=text.input.normalisation,
        preprocessing=text.input.preprocessing,
        classes=text.classes or tuple(f"class {k}" for k in range(classes)),
        classes_stated=text.classes is not None,
        prototype_class=owners,
        receptive_field=text.latent.receptive_field,
        training_data=text.training_data,
        text=stored,
        external=external,
    )


def parse_about(text: str, where: str) -> AboutText:
    """Read JSON text, strictly.

    Raises:
        DescriptionError: text too long, not JSON, a key twice, NaN or infinity, nesting too deep,
            or a known field that is malformed.
    """
    if len(text) > MAX_TEXT:
        raise DescriptionError(f"{where}: longer than {MAX_TEXT} characters; shorten it")
    try:
        _refuse_depth(text)
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DescriptionError(f"{where}: not strict JSON ({_line(error)}); correct it") from error
    if not isinstance(content, Mapping):
        raise DescriptionError(f"{where}: not an object of names; correct it")
    try:
        return AboutText.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "description"
        message = f"{where}: field '{_line(field)}': {_line(first['msg'])}; correct the description"
        raise DescriptionError(message) from error


def _line(value: object) -> str:
    """One printable line of at most 200 characters: file content never controls a terminal."""
    text = str(value)[:200]
    return "".join(c if c.isprintable() else "?" for c in text)


def _refuse_depth(text: str) -> None:
    """Nesting is limited before the parser recurses into it, whatever Python's own limit is."""
    depth = 0
    for mark in _MARKS.findall(_STRINGS.sub("", text)):
        depth += 1 if mark in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key occurs twice")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
