"""The protobuf wire format, read strictly: every byte has one meaning, or the message is refused.

Protobuf parsers are lenient in ways that let two readers see two messages in the same bytes: a
field that is unknown or has another wire type is skipped, a singular field that occurs again is
merged or replaces the first, a number that is too long is cut, one number has many spellings. None
of that is done here. A message is read by its table (:class:`MessageType`), which names every field
that may occur; whatever the table does not name, or is not spelled as protobuf writes it, is an
error. Tables do not refer to themselves, so nesting is bounded by them.

Wire format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from protoproof.errors import ModelError
from protoproof.kernel.budget import current

# Steps and bytes of a value on the wire. A network of a hundred layers has a few thousand values.
PER_VALUE, STORED_VALUE = 1 << 16, 400

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types
_WIDTH = {FIXED64: 8, FIXED32: 4}


class Kind(Enum):
    """What a field holds, with its wire type."""

    INT64 = ("int64", VARINT)
    INT32 = ("int32", VARINT)  # and enumerations
    UINT64 = ("uint64", VARINT)
    DOUBLE = ("double", FIXED64)
    FLOAT = ("float", FIXED32)
    TEXT = ("string", LENGTH)
    BYTES = ("bytes", LENGTH)
    MESSAGE = ("message", LENGTH)

    @property
    def wire(self) -> int:
        """The number of the wire type."""
        return self.value[1]


@dataclass(frozen=True)
class Field:
    """One field of a message.

    Attributes:
        name: as the schema writes it.
        kind: what it holds.
        many: whether it may occur more than once.
        message: the table of what it holds, for messages.
        silent: it carries no meaning; it is read like others, and then dropped.
    """

    name: str
    kind: Kind
    many: bool = False
    message: MessageType | None = None
    silent: bool = False


@dataclass(frozen=True)
class MessageType:
    """All fields that a message may have, by number, and what to say about known ones it may not.

    Every other number is an error, too.
    """

    name: str
    fields: Mapping[int, Field]
    refused: Mapping[int, str] = field(default_factory=dict)


class Record:
    """A message that was read: values by field name.

    FLOAT and DOUBLE are kept as the bytes that the file has (of one number, or of many where they
    are packed), so that no bit of a NaN gets lost on the way.
    """

    __slots__ = ("found", "where")

    def __init__(self, where: str) -> None:
        self.where = where
        self.found: dict[str, list[Any]] = {}

    def has(self, name: str) -> bool:
        """Whether a field occurs."""
        return name in self.found

    def one(self, name: str, default: Any = None) -> Any:
        """Value of a field that occurs once at most."""
        return self.found[name][0] if name in self.found else default

    def all(self, name: str) -> list[Any]:
        """Values of a field in the order of the file."""
        return self.found.get(name, [])

    def bytes(self, name: str) -> bytes:
        """Values of a field of FLOAT, DOUBLE or BYTES, one after the other."""
        return b"".join(self.all(name))

    def refuse(self, problem: str) -> ModelError:
        """The error about this message."""
        return ModelError(f"{self.where}: {problem}")


class Reader:
    """Reads messages of one file, and charges every value of them."""

    def __init__(self) -> None:
        self._budget = current()

    def read(self, data: memoryview, kind: MessageType, where: str) -> Record:
        """The message in ``data``, all of which is accounted for.

        Raises:
            ModelError: something in it could be read in another way, or not at all.
            OutOfBudgetError, MemoryError: it has too many values.
        """
        record = Record(where)
        closed: set[str] = set()  # fields that no further value may be added to
        position = 0
        while position < len(data):
            self._charge()
            key, position = varint(data, position, where)
            number, wire = key >> 3, key & 7
            known = kind.fields.get(number)
            if number in kind.refused:
                raise ModelError(f"{where}: {kind.refused[number]}")
            if known is None:
                raise _malformed(where, f"{kind.name} has no field {number}")
            if known.name in closed:
                raise _malformed(where, f"field '{known.name}' occurs twice")
            values = record.found.setdefault(known.name, [])
            if wire == known.kind.wire:
                value, position = self._value(data, position, known, where, len(values))
                values.append(value)
                if not known.many:
                    closed.add(known.name)
            elif wire == LENGTH and known.many:
                if values:
                    raise _malformed(where, f"field '{known.name}' is packed and not packed")
                part, position = part_of(data, position, where)
                values.extend(self._packed(part, known, where))
                closed.add(known.name)
            else:
                raise _malformed(where, f"field '{known.name}' has wire type {wire}")
        for known in kind.fields.values():
            if known.silent:
                record.found.pop(known.name, None)
        return record

    def _value(
        self, data: memoryview, position: int, known: Field, where: str, index: int
    ) -> tuple[Any, int]:
        wire = known.kind.wire
        if wire == VARINT:
            number, position = varint(data, position, where)
            return _integer(number, known, where), position
        if wire in _WIDTH:
            end = position + _WIDTH[wire]
            if end > len(data):
                raise _malformed(where, "it ends too early")
            return data[position:end], end
        part, position = part_of(data, position, where)
        if known.kind is Kind.TEXT:
            try:
                return str(part, "utf-8"), position
            except UnicodeDecodeError as error:
                raise _malformed(where, f"field '{known.name}' is not UTF-8") from error
        if known.message is not None:
            inner = f"{where}.{known.name}" + (f"[{index}]" if known.many else "")
            return self.read(part, known.message, inner), position
        return part, position

    def _packed(self, part: memoryview, known: Field, where: str) -> list[Any]:
        """The values of a field that holds many numbers in one piece."""
        wire = known.kind.wire
        if wire in _WIDTH:
            if len(part) % _WIDTH[wire]:
                raise _malformed(where, f"field '{known.name}' ends inside a number")
            return [part]
        values, position = [], 0
        while position < len(part):
            self._charge()
            number, position = varint(part, position, where)
            values.append(_integer(number, known, where))
        return values

    def _charge(self) -> None:
        self._budget.spend("a value of the model", PER_VALUE)
        self._budget.hold("a value of the model", STORED_VALUE)


def varint(data: memoryview, position: int, where: str) -> tuple[int, int]:
    """(number below 2**64, next position); only its shortest spelling is read."""
    value = 0
    for index in range(min(10, len(data) - position)):
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if (index and not byte) or value >> 64:
                raise _malformed(where, "a number is not in its shortest form, or too long")
            return value, position + index + 1
    raise _malformed(where, "it ends too early, or a number is too long")


def _integer(number: int, known: Field, where: str) -> int:
    """A varint as the field's type has it; negative numbers are written with 64 bits."""
    if known.kind is Kind.UINT64:
        return number
    signed = number - (1 << 64) if number >> 63 else number
    if known.kind is Kind.INT32 and not -(1 << 31) <= signed < 1 << 31:
        raise _malformed(where, f"field '{known.name}' does not fit 32 bits")
    return signed


def part_of(data: memoryview, position: int, where: str) -> tuple[memoryview, int]:
    """The bytes of a value that is written with its length."""
    size, position = varint(data, position, where)
    if size > len(data) - position:
        raise _malformed(where, "it ends too early")
    return data[position : position + size], position + size


def float32(value: memoryview) -> float:
    """The float64 that equals four bytes."""
    return float(struct.unpack("<f", value)[0])


def _malformed(where: str, problem: str) -> ModelError:
    return ModelError(
        f"{where}: not an ONNX file, or not one that can be read in one way only ({problem}); "
        "pass the file that was explained"
    )
