"""JSON without surprises: one meaning per document, and a bounded cost to find it.

The standard parser keeps the last of two equal keys, accepts NaN, turns 1e999 into infinity, and
recurses as deep as the document nests. Here every one of these is an error, and size, nesting,
number lengths and the number of values are bounded before or while parsing.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from protoproof.errors import CertificateError

MAX_BYTES = 1 << 27
MAX_DEPTH = 16
MAX_VALUES = 1 << 22
MAX_MEMBERS = 64
MAX_INTEGER_DIGITS = 320
MAX_FLOAT_LENGTH = 64

_NEGATIVE_ZERO = re.compile(rb"-0(?![0-9.eE])")  # an integer that some readers make a float of
_LONG_INTEGER = re.compile(rb"[0-9]{%d,}" % (MAX_INTEGER_DIGITS + 1))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CURLY_TO_SQUARE = bytes.maketrans(b"{}", b"[]")


def parse(data: bytes, what: str = "certificate") -> object:
    """The document's value, with arrays as tuples.

    Args:
        data: UTF-8 without byte order mark.
        what: how error messages call the document.

    Raises:
        CertificateError: not JSON, ambiguous, or beyond a limit.
    """
    _refuse_bombs(data, what)
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_float=_real,
            parse_constant=_constant,
            object_pairs_hook=_members,
        )
    except CertificateError as error:
        raise CertificateError(f"{what}: {error}") from error
    except (ValueError, RecursionError) as error:
        reason = str(error)[:200].encode("unicode_escape").decode("ascii")
        raise CertificateError(f"{what}: not a JSON document in UTF-8 ({reason})") from error
    return _with_tuples(value)


def _refuse_bombs(data: bytes, what: str) -> None:
    """Limits that must hold before the parser sees the document.

    Brackets are counted outside strings only. Escapes are removed first, so the quotes left are
    exactly the delimiters of strings, up to the first byte that no JSON parser gets past.
    """
    if len(data) > MAX_BYTES:
        raise CertificateError(f"{what}: larger than {MAX_BYTES >> 20} MiB")
    if data.count(b",") > MAX_VALUES or data.count(b'"') > MAX_VALUES:
        raise CertificateError(f"{what}: more than {MAX_VALUES} values")
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b" ".join(data.split(b'"')[::2])
    longest = _LONG_INTEGER.search(outside)  # a hook of the parser would be called per integer
    if longest is not None:
        raise CertificateError(f"{what}: an integer of {len(longest[0])} digits")
    if _NEGATIVE_ZERO.search(outside) is not None:
        raise CertificateError(f"{what}: the integer -0; write 0")
    brackets = outside.translate(_CURLY_TO_SQUARE, _NOT_BRACKETS)
    if len(brackets) > MAX_VALUES:
        raise CertificateError(f"{what}: more than {MAX_VALUES} brackets")
    for _ in range(MAX_DEPTH):  # each pass removes the innermost level everywhere
        brackets = brackets.replace(b"[]", b"")
    if (
        brackets and len(brackets) <= MAX_DEPTH and not brackets.strip(b"[")
    ):  # none is left to close
        raise CertificateError(f"{what}: ends in the middle; a part of the file is missing")
    if brackets:
        raise CertificateError(f"{what}: nested deeper than {MAX_DEPTH}, or unbalanced brackets")


def _real(text: str) -> float:
    value = float(text) if len(text) <= MAX_FLOAT_LENGTH else math.inf
    if not math.isfinite(value):
        raise CertificateError("a number that is too long or too large")
    return value


def _constant(text: str) -> NoReturn:
    raise CertificateError(f"{text} is not JSON")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > MAX_MEMBERS:
        raise CertificateError(f"an object with {len(pairs)} fields")
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CertificateError("an object names one key twice")
    return members


def _with_tuples(value: object) -> object:
    if isinstance(value, list):
        if set(map(type, value)).isdisjoint((list, dict)):
            return tuple(value)  # most arrays hold numbers only
        return tuple([_with_tuples(item) for item in value])
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return value
