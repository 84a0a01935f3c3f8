"""The head description: what the author of a model says its head is, and where it was found.

It is read from ``metadata_props["protoproof"]`` (JSON) or, for models without it, from a YAML file
beside the model. How it was *bound* to the graph is a separate word: ``recognised`` (the subgraph
from latent to logits was matched structurally) or ``declared`` (only compared numerically).
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protoproof.errors import DescriptionError
from protoproof.network.head.similarity import ROWS, Similarity

METADATA_KEY = "protoproof"
SCHEMA = "protoproof.head/1"
MAX_TEXT = 1 << 24
MAX_DEPTH = 16  # a description needs four
# a string that never ends is matched to the end, so that the time stays linear
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_MARKS = re.compile(r"[\[\]{}]")

Binding = Literal["recognised", "declared"]
TensorName = Annotated[str, Field(min_length=1, max_length=1024)]
Text = Annotated[str, Field(max_length=4096)]
Size = Annotated[int, Field(ge=1, le=1 << 24)]
Offset = Annotated[int, Field(ge=-(1 << 24), le=1 << 24)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0, lt=1 << 31)]


class _Closed(BaseModel):
    """Strict, immutable, and closed: an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Normalisation(_Closed):
    """Per channel: (x - mean) / std, applied *inside* the graph. Information for readers."""

    mean: Annotated[tuple[Real, ...], Field(min_length=1)]
    std: Annotated[tuple[Annotated[Real, Field(gt=0)], ...], Field(min_length=1)]


class InputDescription(_Closed):
    """The input tensor: name, shape [C, h, w] without the batch axis, closed range of values."""

    tensor: TensorName
    shape: tuple[Size, Size, Size]
    range: tuple[Real, Real]
    normalisation: Normalisation | None = None

    @model_validator(mode="after")
    def _consistent(self) -> InputDescription:
        if not self.range[0] < self.range[1]:
            raise ValueError("range must be [low, high] with low < high")
        normalisation = self.normalisation
        if normalisation is not None and not (
            len(normalisation.mean) == len(normalisation.std) == self.shape[0]
        ):
            raise ValueError("normalisation needs one mean and one std per input channel")
        return self


class ReceptiveField(_Closed):
    """What location (r, c) sees: rows ``y0 + r*sy .. + h``, columns likewise, clipped."""

    size: tuple[Size, Size]
    stride: tuple[Size, Size]
    start: tuple[Offset, Offset]


class LatentDescription(_Closed):
    """The latent tensor [N, channels, *grid]."""

    tensor: TensorName
    channels: Size
    grid: tuple[Size, Size]
    receptive_field: ReceptiveField | None = None


class MeasurementDescription(_Closed):
    """Squared L2 distances [N, P, *grid] to the rows of the initializer ``prototypes``."""

    kind: Literal["squared_l2"]
    tensor: TensorName
    prototypes: TensorName


class LogRatio(_Closed):
    """log((q + 1) / (q + epsilon)), 0 < epsilon < 1."""

    kind: Literal["log_ratio"]
    epsilon: Annotated[Real, Field(gt=0, lt=1)]


class Exponential(_Closed):
    """exp(-q / temperature), temperature > 0."""

    kind: Literal["exponential"]
    temperature: Annotated[Real, Field(gt=0)]


class Negated(_Closed):
    """-q."""

    kind: Literal["negated"]


class Reciprocal(_Closed):
    """1 / (q + 1)."""

    kind: Literal["reciprocal"]


SimilarityDescription = Annotated[
    LogRatio | Exponential | Negated | Reciprocal, Field(discriminator="kind")
]


class Pooling(_Closed):
    """Over locations: the largest similarity."""

    kind: Literal["max"]


class Decision(_Closed):
    """logits = weight @ activation + bias, by initializer names."""

    kind: Literal["linear"]
    weight: TensorName
    bias: TensorName | None = None
    logits: TensorName


class TrainingData(_Closed):
    """Which data the network was trained on."""

    name: Text
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class HeadDescription(_Closed):
    """See the module's docstring; the JSON schema is ``specs/schema/head.schema.json``."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True, title="Head description"
    )

    schema_: Annotated[Literal["protoproof.head/1"], Field(alias="schema")]
    family: Text
    name: Text
    input: InputDescription
    latent: LatentDescription
    measurement: MeasurementDescription
    similarity: SimilarityDescription
    pooling: Pooling
    activation: TensorName
    decision: Decision
    classes: Annotated[tuple[Text, ...], Field(min_length=2)]
    prototype_class: tuple[Index, ...] | None = None
    training_data: TrainingData | None = None
    producer: Text = ""

    @model_validator(mode="after")
    def _consistent(self) -> HeadDescription:
        if any(class_ >= len(self.classes) for class_ in self.prototype_class or ()):
            raise ValueError("prototype_class names a class that 'classes' does not have")
        constant = similarity_constant(self)
        row = ROWS[self.similarity.kind]
        if not row.least < constant < row.most:
            raise ValueError(f"similarity.{row.parameter} leaves its range when made a float32")
        return self

    def to_json(self) -> str:
        """The JSON text as exporters store it: sorted keys, no spaces."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def similarity_constant(description: HeadDescription) -> float:
    """The described similarity constant rounded to float32 (1.0 where the kind has none)."""
    parameter = ROWS[description.similarity.kind].parameter
    if parameter is None:
        return 1.0
    with np.errstate(over="ignore"):
        return float(np.float32(getattr(description.similarity, parameter)))


def described_similarity(description: HeadDescription) -> Similarity:
    """The similarity of the description, its constant rounded to float32."""
    return Similarity(description.similarity.kind, similarity_constant(description))


def json_schema() -> dict[str, Any]:
    """The JSON schema of head descriptions."""
    schema = HeadDescription.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def parse_description(text: str, where: str) -> HeadDescription:
    """Read a head description from JSON text, strictly.

    Raises:
        DescriptionError: text too long, not JSON, a key twice, NaN or infinity, nesting too deep,
            an unknown or missing field, or fields that contradict each other.
    """
    if len(text) > MAX_TEXT:
        raise DescriptionError(f"{where}: longer than {MAX_TEXT} characters; shorten it")
    try:
        _refuse_depth(text)
        json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DescriptionError(f"{where}: not strict JSON ({_line(error)}); correct it") from error
    try:
        return HeadDescription.model_validate_json(text)
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
