"""The wire format: what is read, bit for bit, and what is refused because it has two readings."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.errors import ModelError
from protoproof.kernel.model.protobuf import Field, Kind, MessageType, Reader, Record
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


def read(data: bytes, most: int = 1000) -> Record:
    return Reader(most).read(memoryview(data), TABLE, "table")


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


@pytest.mark.parametrize("packed", [False, True])
def test_numbers_packed_or_one_by_one(packed: bool) -> None:
    longs, floats = [0, 127, 128, -1], struct.pack("<3f", 1.5, -0.0, 3e38)
    spelled = [varint(n % (1 << 64)) for n in longs]
    if packed:
        data = put(9, LENGTH, b"".join(spelled)) + put(10, LENGTH, floats)
    else:
        data = b"".join(put(9, VARINT, part) for part in spelled)
        data += b"".join(put(10, FIXED32, floats[i : i + 4]) for i in (0, 4, 8))
    record = read(data)
    assert record.all("longs") == longs
    assert record.bytes("floats") == floats


def test_messages_and_remarks() -> None:
    inner = put(1, VARINT, varint(3))
    data = put(12, LENGTH, inner) + put(13, LENGTH, b"x") + put(12, LENGTH) + put(8, LENGTH, inner)
    with pytest.raises(ModelError, match=r"table\.inners\[1\]"):
        read(data)  # a message of one zero byte
    record = read(put(12, LENGTH, inner) + put(13, LENGTH, b"x") + put(12, LENGTH, b""))
    assert [part.one("one", 0) for part in record.all("inners")] == [3, 0]
    assert not record.has("remark")


LONG = put(1, VARINT, b"\x81\x00")
REFUSED: dict[str, tuple[bytes, str]] = {
    "unknown field": (put(16, VARINT), "no field 16"),
    "field 0": (put(0, VARINT), "no field 0"),
    "largest field": (put((1 << 29) - 1, VARINT), "no field"),
    "key beyond 32 bits": (varint(1 << 35 | 1 << 3) + b"\0", "no field"),
    "known, not supported": (put(15, VARINT), "wheels are not supported"),
    "twice": (put(1, VARINT) * 2, "occurs twice"),
    "text twice": (put(6, LENGTH, b"a") + put(6, LENGTH, b"b"), "occurs twice"),
    "message twice": (put(8, LENGTH, b"") * 2, "occurs twice"),
    "remark twice": (put(13, LENGTH, b"") * 2, "occurs twice"),
    "start of a group": (b"\x0b", "wire type 3"),
    "end of a group": (b"\x0c", "wire type 4"),
    "wire type 6": (b"\x0e", "wire type 6"),
    "wire type 7": (b"\x0f", "wire type 7"),
    "number as bytes": (put(1, LENGTH), "wire type 2"),
    "number as fixed": (put(1, FIXED64, b"\0" * 8), "wire type 1"),
    "float as double": (put(4, FIXED64, b"\0" * 8), "wire type 1"),
    "double as float": (put(5, FIXED32, b"\0" * 4), "wire type 5"),
    "text as number": (put(6, VARINT), "wire type 0"),
    "message as number": (put(8, VARINT), "wire type 0"),
    "texts as numbers": (put(11, VARINT), "wire type 0"),
    "floats as varint": (put(10, VARINT), "wire type 0"),
    "long spelling of a value": (LONG, "shortest form"),
    "long spelling of zero": (put(1, VARINT, b"\x80\x00"), "shortest form"),
    "long spelling of a key": (b"\x88\x00\x01", "shortest form"),
    "long spelling of a length": (b"\x32\x81\x00a", "shortest form"),
    "beyond 64 bits": (put(1, VARINT, b"\xff" * 9 + b"\x02"), "too long"),
    "eleven bytes": (put(1, VARINT, b"\xff" * 10 + b"\x01"), "too long"),
    "beyond 32 bits": (put(2, VARINT, varint(1 << 31)), "32 bits"),
    "32 bits without sign": (put(2, VARINT, varint((1 << 32) - 1)), "32 bits"),
    "far below 32 bits": (put(2, VARINT, varint((1 << 64) - (1 << 31) - 1)), "32 bits"),
    "key alone": (b"\x08", "ends too early"),
    "half a varint": (b"\x08\x80", "ends too early"),
    "half a float": (put(4, FIXED32, b"\0\0"), "ends too early"),
    "half a double": (put(5, FIXED64, b"\0" * 7), "ends too early"),
    "length beyond the end": (b"\x32\x05abc", "ends too early"),
    "length beyond the message": (put(8, LENGTH, b"\x08") + b"\x01", "ends too early"),
    "huge length": (b"\x32" + varint((1 << 64) - 1), "ends too early"),
    "not UTF-8": (put(6, LENGTH, b"\xff"), "not UTF-8"),
    "surrogate": (put(6, LENGTH, b"\xed\xa0\x80"), "not UTF-8"),
    "remark that is not UTF-8": (put(13, LENGTH, b"\xc0\x80"), "not UTF-8"),
    "packed twice": (put(9, LENGTH, b"\1") * 2, "occurs twice"),
    "packed, then single": (put(9, LENGTH, b"\1") + put(9, VARINT), "occurs twice"),
    "single, then packed": (put(9, VARINT) + put(9, LENGTH, b"\1"), "packed and not packed"),
    "packed float and a half": (put(10, LENGTH, b"\0" * 6), "inside a number"),
    "packed double and a half": (put(14, LENGTH, b"\0" * 12), "inside a number"),
    "packed half varint": (put(9, LENGTH, b"\1\x80"), "ends too early"),
    "packed long spelling": (put(9, LENGTH, b"\x80\x00"), "shortest form"),
    "inside": (put(12, LENGTH, put(2, VARINT)), "no field 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_two_readings_is_refused(name: str) -> None:
    data, problem = REFUSED[name]
    with pytest.raises(ModelError, match=problem):
        read(data)


@pytest.mark.parametrize("packed", [False, True])
def test_the_number_of_values_is_limited(packed: bool) -> None:
    data = put(9, LENGTH, b"\1" * 9) if packed else put(9, VARINT, b"\1") * 10
    assert len(read(data, 10).all("longs")) == (9 if packed else 10)
    with pytest.raises(ModelError, match="too many"):
        read(data, 9)


def test_the_limit_is_that_of_all_messages_together() -> None:
    data = put(12, LENGTH, put(1, VARINT)) * 5
    assert len(read(data, 10).all("inners")) == 5
    with pytest.raises(ModelError, match="too many"):
        read(data, 9)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 3))
def test_a_number_has_one_spelling(value: int, more: int) -> None:
    """However many zeros are put behind a number, only the shortest form is read."""
    spelled = varint(value)
    assert read(put(3, VARINT, spelled)).one("unsigned") == value
    longer = spelled[:-1] + bytes([spelled[-1] | 0x80]) + b"\x80" * more + b"\0"
    with pytest.raises(ModelError):
        read(put(3, VARINT, longer))
