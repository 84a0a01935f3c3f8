"""The protobuf wire format, walked by hand before any parser sees it.

Protobuf parsers are lenient in ways that let two readers see two models in one file. A singular
field that occurs twice is merged, so two models written one after the other parse as one graph; a
field that is unknown, has the wrong wire type, or holds an unknown enum value is skipped. All of
this is refused here, in every message of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import onnx

from protoproof.errors import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 64
_AGAIN = "export the model again"

# numbers that descriptor.proto gives to field types
_DOUBLE, _FLOAT, _STRING, _MESSAGE, _RAW, _ENUM = 1, 2, 9, 11, 12, 14
_WIRE = {_DOUBLE: _FIXED64, _FLOAT: _FIXED32, _STRING: _BYTES, _MESSAGE: _BYTES, _RAW: _BYTES}


@dataclass(frozen=True)
class _Field:
    """A field's description; ``once`` names what may occur once (the field, or its oneof)."""

    name: str
    once: str
    wires: frozenset[int]
    text: bool
    message: Any
    values: frozenset[int] | None


@cache
def _fields(descriptor: Any) -> dict[int, _Field]:
    return {field.number: _field(field) for field in descriptor.fields}


def _field(field: Any) -> _Field:
    wire = _WIRE.get(field.type, _VARINT)
    packed = field.is_repeated and wire != _BYTES
    oneof = field.containing_oneof
    return _Field(
        name=field.name,
        once="" if field.is_repeated else (oneof.name if oneof else field.name),
        wires=frozenset({wire, _BYTES} if packed else {wire}),
        text=field.type == _STRING,
        message=field.message_type if field.type == _MESSAGE else None,
        values=frozenset(field.enum_type.values_by_number) if field.type == _ENUM else None,
    )


@dataclass(frozen=True)
class _Value:
    """One value on the wire: field number, wire type, and where its bytes are."""

    number: int
    wire: int
    begin: int
    end: int


def check_wire(data: bytes, most_fields: int) -> None:
    """Refuse whatever parsers merge or skip, and truncation.

    Raises:
        ModelError: the first problem, with the path of the field and its byte offset.
    """
    stack: list[tuple[Any, str, int, int, int]] = [
        (onnx.ModelProto.DESCRIPTOR, "model", 0, len(data), 0)
    ]
    count = 0
    while stack:
        descriptor, path, begin, end, depth = stack.pop()
        if depth > _DEEPEST:
            raise ModelError(f"{path[:80]}...: messages are nested too deeply; {_AGAIN}")
        known = _fields(descriptor)
        seen: set[str] = set()
        for value in _message(data, begin, end, path):
            count += 1
            if count > most_fields:
                raise ModelError(f"more than {most_fields} protobuf fields; use a smaller model")
            field = known.get(value.number)
            if field is None:
                raise ModelError(
                    f"{path}: unknown field {value.number} at byte {value.begin}; {_AGAIN}"
                )
            _check_value(data, value, field, seen, path)
            if field.message is not None:
                inner = f"{path}.{field.name}"
                stack.append((field.message, inner, value.begin, value.end, depth + 1))


def _check_value(data: bytes, value: _Value, field: _Field, seen: set[str], path: str) -> None:
    where = f"{path}: field '{field.name}' at byte {value.begin}"
    if value.wire not in field.wires:
        raise ModelError(f"{where} has the wrong wire type; {_AGAIN}")
    if field.once:
        if field.once in seen:
            raise ModelError(f"{where} occurs twice (two files merged?); {_AGAIN}")
        seen.add(field.once)
    if field.values is not None:
        number, _ = _varint(data, value.begin, value.end, path)
        if number not in field.values:
            raise ModelError(f"{where} has the unknown value {number}; {_AGAIN}")
    if field.text:
        try:
            data[value.begin : value.end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{where} is not UTF-8; {_AGAIN}") from error


def _message(data: bytes, position: int, end: int, path: str) -> Iterator[_Value]:
    """The values of the message in data[position:end]."""
    while position < end:
        key, position = _varint(data, position, end, path)
        number, wire = key >> 3, key & 7
        begin = position
        if wire == _VARINT:
            _, position = _varint(data, position, end, path)
        elif wire == _BYTES:
            size, begin = _varint(data, position, end, path)
            position = begin + size
        elif wire in (_FIXED32, _FIXED64):
            position += 4 if wire == _FIXED32 else 8
        else:
            raise ModelError(f"{path}: not an ONNX file (wire type {wire} at byte {position})")
        if position > end or number == 0:
            raise ModelError(f"{path}: truncated or not an ONNX file (byte {begin}); {_AGAIN}")
        yield _Value(number, wire, begin, position)


def _varint(data: bytes, position: int, end: int, path: str) -> tuple[int, int]:
    """(value, next position) of the variable-length integer at ``position``."""
    value = 0
    for index in range(min(10, end - position)):
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ModelError(f"{path}: truncated or not an ONNX file (byte {position}); {_AGAIN}")
