"""Writes and changes protobuf bytes without a parser, so that they can be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def put(number: int, wire: int, payload: bytes = b"\0") -> bytes:
    """One value with its key; ``payload`` of LENGTH is written with its length."""
    key = varint(number << 3 | wire)
    return key + varint(len(payload)) + payload if wire == LENGTH else key + payload


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(number, wire type, payload) of a well-formed message."""
    position = 0

    def number() -> int:
        nonlocal position
        value, shift = 0, 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(data):
        key = number()
        begin = position
        if key & 7 == VARINT:
            number()
        elif key & 7 == LENGTH:
            size = number()
            begin, position = position, position + size
        else:
            position += 8 if key & 7 == FIXED64 else 4
        yield key >> 3, key & 7, data[begin:position]


def tamper(data: bytes, path: Sequence[int], extra: bytes) -> bytes:
    """The message with ``extra`` behind the first message that the field numbers lead to."""
    if not path:
        return data + extra
    result, done = b"", False
    for number, wire, payload in fields(data):
        if number == path[0] and not done:
            payload, done = tamper(payload, path[1:], extra), True
        result += put(number, wire, payload)
    assert done
    return result
