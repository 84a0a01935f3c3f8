"""The head description, read by the checker itself. A field that it does not know stops it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protoproof.certificate.strict_json import parse
from protoproof.errors import DescriptionError

SCHEMA = "protoproof.head/1"
PARAMETERS = {"log_ratio": "epsilon", "exponential": "temperature", "negated": "", "reciprocal": ""}

_REQUIRED = {
    "schema", "latent", "measurement", "similarity", "pooling", "activation", "decision", "classes"
}  # fmt: skip
# carry no meaning for the proof
_INFORMATION = {"family", "name", "input", "prototype_class", "training_data", "producer"}


@dataclass(frozen=True)
class Description:
    """What the proof needs of a head description: tensor names, sizes, and the similarity.

    ``constant`` is the similarity's parameter rounded to float32; 1.0 where there is none.
    """

    latent: str
    channels: int
    grid: tuple[int, int]
    measurement: str
    prototypes: str
    similarity: str
    constant: float
    activation: str
    weight: str
    bias: str | None
    logits: str
    classes: int


def read_description(text: str) -> Description:
    """Parse a head description.

    Raises:
        CertificateError: the text is not strict JSON.
        DescriptionError: a field is missing, unknown, or of the wrong kind.
    """
    root = _fields(parse(text.encode("utf-8"), "head description"), "", _REQUIRED, _INFORMATION)
    if root["schema"] != SCHEMA:
        raise DescriptionError(f"head description: field 'schema' is not {SCHEMA!r}")
    latent = _fields(root["latent"], "latent", {"tensor", "channels", "grid"}, {"receptive_field"})
    measurement = _fields(
        root["measurement"], "measurement", {"kind", "tensor", "prototypes"}, set()
    )
    decision = _fields(root["decision"], "decision", {"kind", "weight", "logits"}, {"bias"})
    pooling = _fields(root["pooling"], "pooling", {"kind"}, set())
    kinds = measurement["kind"], pooling["kind"], decision["kind"]
    if kinds != ("squared_l2", "max", "linear"):
        raise DescriptionError(f"head description: {kinds!r} is not squared_l2, max, linear")
    similarity, constant = _similarity(root["similarity"])
    grid, classes = latent["grid"], root["classes"]
    if not (isinstance(grid, tuple) and len(grid) == 2 and isinstance(classes, tuple)):
        raise DescriptionError("head description: latent.grid is not two sizes, or no class list")
    bias = decision.get("bias")
    return Description(
        latent=_name(latent["tensor"], "latent.tensor"),
        channels=_size(latent["channels"], "latent.channels"),
        grid=(_size(grid[0], "latent.grid"), _size(grid[1], "latent.grid")),
        measurement=_name(measurement["tensor"], "measurement.tensor"),
        prototypes=_name(measurement["prototypes"], "measurement.prototypes"),
        similarity=similarity,
        constant=constant,
        activation=_name(root["activation"], "activation"),
        weight=_name(decision["weight"], "decision.weight"),
        bias=None if bias is None else _name(bias, "decision.bias"),
        logits=_name(decision["logits"], "decision.logits"),
        classes=len(classes),
    )


def _similarity(value: object) -> tuple[str, float]:
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in PARAMETERS:
        raise DescriptionError(f"head description: similarity.kind {kind!r} is unknown")
    parameter = PARAMETERS[kind]
    fields = _fields(value, "similarity", {"kind", parameter} - {""}, set())
    if not parameter:
        return kind, 1.0
    number = fields[parameter]
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1e38:
        raise DescriptionError(f"head description: similarity.{parameter} is not positive")
    return kind, float(np.float32(number))


def _fields(value: object, where: str, required: set[str], optional: set[str]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise DescriptionError(f"head description: '{where or 'root'}' is not an object")
    present = set(value)
    if not required <= present <= required | optional:
        odd = sorted((required - present) | (present - required - optional))
        raise DescriptionError(
            f"head description: '{where or 'root'}' lacks or has unknown fields {odd!r:.200}"
        )
    return value


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise DescriptionError(f"head description: {where} is not a tensor name")
    return value


def _size(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1 << 24:
        raise DescriptionError(f"head description: {where} is not a size")
    return value
