"""Bytes that two readers may read in two ways, as protobuf and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np

from tests.support.kernel.wire import FIXED32, LENGTH, VARINT, fields, put, tamper, varint

# ModelProto.graph, GraphProto.node and .initializer, NodeProto.attribute
GRAPH, NODE, INITIALIZER, ATTRIBUTE = 7, 1, 5, 5
MESSAGES: dict[str, tuple[int, ...]] = {
    "model": (),
    "graph": (GRAPH,),
    "node": (GRAPH, NODE),
    "tensor": (GRAPH, INITIALIZER),
    "input": (GRAPH, 11),
    "output": (GRAPH, 12),
    "type of the input": (GRAPH, 11, 2),
    "opset": (8,),
}


def models(data: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """The model with bytes that one reader skips, cuts, merges or lets replace others."""
    parts = list(fields(data))
    graph = next(payload for number, _, payload in parts if number == GRAPH)
    yield "a second graph", data + put(GRAPH, LENGTH, graph)
    yield "an empty second graph", data + put(GRAPH, LENGTH, b"")
    yield "a second graph of one node", data + put(GRAPH, LENGTH, _part(graph, NODE))
    for word, path in MESSAGES.items():
        for what, extra in (
            ("an unknown field", put(99, LENGTH, b"more")),
            ("an unknown number", put(500, VARINT, b"\1")),
            ("a field of number 0", b"\0\0"),
            ("a byte at the end", b"\x0a"),
            ("a group", b"\x0b\x0c"),
        ):
            yield f"{word}: {what}", tamper(data, path, extra)
    for word, path, number, payload in (
        ("ir_version", (), 1, b"\x08"),
        ("the graph's name", (GRAPH,), 2, b"other"),
        ("a node's name", (GRAPH, NODE), 3, b"other"),
        ("a node's operator", (GRAPH, NODE), 4, b"Neg"),
        ("a node's domain", (GRAPH, NODE), 7, b"ai.other"),
        ("a tensor's type", (GRAPH, INITIALIZER), 2, b"\x01"),
        ("a tensor's name", (GRAPH, INITIALIZER), 8, b"other"),
        ("a tensor's numbers", (GRAPH, INITIALIZER), 9, b"\0" * 4),
        ("an opset's version", (8,), 2, b"\x0d"),
    ):
        twice = put(number, VARINT if len(payload) == 1 else LENGTH, payload)
        yield f"{word} twice", tamper(tamper(data, path, twice), path, twice)
    yield "numbers twice over", tamper(data, (GRAPH, INITIALIZER), put(4, FIXED32, b"\0\0\x80\x3f"))
    yield "a long number", _long(data, rng)
    yield "a long length", _long_length(data)
    yield (
        "a number of eleven bytes",
        put(1, VARINT, b"\x88" + b"\x80" * 10 + b"\0") + _without(data, 1),
    )
    yield "nothing behind the model", data + b"\0"
    yield "the model twice", data + data


def _part(message: bytes, wanted: int) -> bytes:
    """The first field of a number, with its key."""
    number, wire, payload = next(f for f in fields(message) if f[0] == wanted)
    return put(number, wire, payload)


def _without(message: bytes, unwanted: int) -> bytes:
    return b"".join(put(*field) for field in fields(message) if field[0] != unwanted)


def _long(data: bytes, rng: np.random.Generator) -> bytes:
    """The version of the format, in more bytes than it takes."""
    for number, wire, payload in fields(data):
        if wire == VARINT:
            longer = bytes([*payload[:-1], payload[-1] | 0x80, *[0x80] * int(rng.integers(3)), 0])
            return put(number, wire, longer) + _without(data, number)
    raise AssertionError


def _long_length(data: bytes) -> bytes:
    """The graph, whose length is written in more bytes than it takes."""
    graph = next(payload for number, _, payload in fields(data) if number == GRAPH)
    size = bytearray(varint(len(graph)))
    size[-1] |= 0x80
    return _without(data, GRAPH) + varint(GRAPH << 3 | LENGTH) + bytes(size) + b"\0" + graph


def certificates(data: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """The certificate with keys that occur twice, other spellings, and what is around it."""
    text = data.decode()
    core = json.loads(data)["core"]
    yield "a byte order mark", b"\xef\xbb\xbf" + data
    yield "in UTF-16", text.encode("utf-16")
    yield "a byte at the end", data + b"\0"
    yield "two documents", data + data
    yield "a comment", data + b"// more"
    for key in re.findall(r'"(\w+)": ?', text):
        if rng.random() < 0.3:
            once = re.search(rf'"{key}": ?', text)
            assert once is not None
            yield (
                f"{key} twice",
                (text[: once.start()] + f'"{key}":0,' + text[once.start() :]).encode(),
            )
    predicted = core["instance"]["predicted"]
    for word in ("NaN", "Infinity", "1e999", f"{predicted}.0", f'"{predicted}"', "true", "01", "-0",
                 f"+{predicted}", "null", f"[{predicted}]"):  # fmt: skip
        other = re.sub(r'("predicted": ?)\d+', rf"\g<1>{word}", text)
        yield f"predicted {word}", other.encode()
    for word in ("-0x0.0p+0", "0x1p0", "nan", "inf", "1.0", "0X1.0P+0", " 0x1.0p+0", "0x1.0p+9999"):
        for name in ("lower", "bound"):
            other = re.sub(rf'("{name}": ?)"-?0x[^"]*"', rf'\g<1>"{word}"', text, count=1)
            if other != text:
                yield f"{name} {word}", other.encode()
    latent = core["instance"]["latent"]
    for word, spelled in (
        ("a space", latent[:4] + " " + latent[4:]),
        ("a line", latent[:4] + "\\n" + latent[4:]),
        ("no padding", latent.rstrip("=") + ("" if latent.endswith("=") else "A")),
        ("more padding", latent + "="),
        ("other letters", latent[:-4] + "-_" + latent[-2:]),
    ):
        yield f"a latent with {word}", text.replace(latent, spelled, 1).encode()
    yield "an escaped key", text.replace('"core"', '"\\u0063ore","core"', 1).encode()
    yield "half of a pair", text.replace('"tool"', '"\\ud800"', 1).encode()
    yield (
        "another schema",
        text.replace("protoproof.certificate/2", "protoproof.certificate/02").encode(),
    )
    yield "deep", b'{"core":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
