"""The wire format: what is read, bit for bit, and what is refused because it has two readings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import ModelError
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.model.protobuf import (
    PER_VALUE,
    STORED_VALUE,
    Field,
    Kind,
    MessageType,
    Reader,
    Record,
)
from tests.support.kernel.wire import FIXED32, FIXED64, LENGTH, VARINT, put, varint

INNER = MessageType("Inner", {1: Field("one", Kind.INT64)})
TABLE = MessageType(
    "Table",
    {
        1: Field("long", Kind.INT64),
        2: Field("int", Kind.INT32),
        3: Field("unsigned", Kind.UINT64),
        4: Field("float", Kind.FLOAT),
        5: Field("double", Kind.DOUBLE),
        6: Field("text", Kind.TEXT),
        7: Field("bytes", Kind.BYTES),
        8: Field("inner", Kind.MESSAGE, message=INNER),
        9: Field("longs", Kind.INT64, many=True),
        10: Field("floats", Kind.FLOAT, many=True),
        11: Field("texts", Kind.TEXT, many=True),
        12: Field("inners", Kind.MESSAGE, many=True, message=INNER),
        13: Field("remark", Kind.TEXT, silent=True),
        14: Field("doubles", Kind.DOUBLE, many=True),
    },
    {15: "wheels are not supported"},
)


def read(data: bytes) -> Record:
    return Reader().read(memoryview(data), TABLE, "table")


SPELLED = [
    (put(1, VARINT, varint(5)), "long", 5),
    (put(1, VARINT, varint((1 << 64) - 5)), "long", -5),
    (put(1, VARINT, varint(1 << 63)), "long", -(1 << 63)),
    (put(1, VARINT, varint((1 << 63) - 1)), "long", (1 << 63) - 1),
    (put(2, VARINT, varint((1 << 64) - (1 << 31))), "int", -(1 << 31)),
    (put(2, VARINT, varint((1 << 31) - 1)), "int", (1 << 31) - 1),
    (put(3, VARINT, varint((1 << 64) - 1)), "unsigned", (1 << 64) - 1),
    (put(6, LENGTH, "ü".encode()), "text", "ü"),
]


@pytest.mark.parametrize(("data", "name", "value"), SPELLED)
def test_single_values(data: bytes, name: str, value: object) -> None:
    assert read(data).one(name) == value


def test_bytes_are_kept_bit_for_bit() -> None:
    signalling = bytes.fromhex("0100a07f")
    data = put(4, FIXED32, signalling) + put(5, FIXED64, b"\1\0\0\0\0\0\xf4\x7f")
    record = read(data + put(7, LENGTH, b"\xff\0"))
    assert record.bytes("float") == signalling
    assert record.bytes("double") == b"\1\0\0\0\0\0\xf4\x7f"
    assert record.bytes("bytes") == b"\xff\0"
    assert not record.has("text")


LIMITS: dict[str, Callable[[int], Budget]] = {
    "steps": lambda count: Budget(max_steps=PER_VALUE * count),
    "bytes": lambda count: Budget(max_bytes=STORED_VALUE * count),
}
REPEATED = {
    "packed": (put(9, LENGTH, b"\1" * 9), "longs", 9),
    "one by one": (put(9, VARINT, b"\1") * 10, "longs", 10),
    "of all messages together": (put(12, LENGTH, put(1, VARINT)) * 5, "inners", 5),
}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", REPEATED)
def test_every_value_is_charged_before_it_is_kept(name: str, limit: str) -> None:
    """Ten values: too many of them are undecided, and no fault of the file."""
    data, field, count = REPEATED[name]
    with LIMITS[limit](10).active():
        assert len(read(data).all(field)) == count
    with LIMITS[limit](9).active(), pytest.raises(OutOfBudgetError, match="a value of the model"):
        read(data)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 3))
def test_a_number_has_one_spelling(value: int, more: int) -> None:
    """However many zeros are put behind a number, only the shortest form is read."""
    spelled = varint(value)
    assert read(put(3, VARINT, spelled)).one("unsigned") == value
    longer = spelled[:-1] + bytes([spelled[-1] | 0x80]) + b"\x80" * more + b"\0"
    with pytest.raises(ModelError):
        read(put(3, VARINT, longer))
