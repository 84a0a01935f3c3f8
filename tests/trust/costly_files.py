"""Small files that ask for much, for every reader of what strangers make.

Each case writes its files into a folder and gives the work that reads them: it ends within a minute
and 2 GiB (``tests.trust.spent``), with one of the words of ``GOOD``.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from cryptography.hazmat.primitives.asymmetric import ed25519
from onnx import TensorProto, helper, numpy_helper

from protoproof.attestation.verify import verify as verified
from protoproof.campaign import read_campaign
from protoproof.campaign.database import TABLES
from protoproof.certificate.schema import PairFact
from protoproof.data.dataset import load_data
from protoproof.errors import ProtoProofError
from protoproof.formal import verify
from protoproof.gate import read_policy
from protoproof.kernel import ModelFile, check
from protoproof.network.inputs import read_input
from protoproof.region.sets.vnnlib import read_vnnlib
from protoproof.region.sets.yaml_file import read_property
from tests.support.kernel.builders import file, pair_core, scene
from tests.support.kernel.hostile import about, tiny
from tests.support.kernel.models import Tiny, sha256
from tests.support.kernel.wire import LENGTH, VARINT, put, tamper

Work = Callable[[], str]
Case = Callable[[Path], Work]
HERE = scene(3, grid=(1, 2), count=4, channels=3, classes=2)
# "proved" and "read" of what is true, or says nothing
GOOD = ("rejected", "incomplete", "refused", "undecided", "proved", "read")


def put_file(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def word(read: Callable[[], object]) -> str:
    """Whether something is read, or refused in one line of ours."""
    try:
        read()
    except ProtoProofError as error:
        return "refused" if "\n" not in str(error) else "more than one line"
    return "read"


# certificates


def certificate(make: Callable[[str], str | bytes]) -> Case:
    """A file in a certificate's place, made of the honest one's text."""

    def case(folder: Path) -> Work:
        content = make(file(pair_core(HERE)).decode())
        path = put_file(folder, "c.json", content)
        return lambda: check(path, HERE.data).status

    return case


def value(name: str, text: str) -> Callable[[str], str]:
    """The first value of a field replaced, as text."""
    pattern = rf'("{name}": ?)("[^"]*"|\d+|\[[^\[\]]*\]|null)'
    return lambda whole: re.sub(pattern, lambda found: found[1] + text, whole, count=1)


CERTIFICATES: dict[str, Case] = {
    "deep lists": certificate(lambda t: "[" * 5_000_000 + "]" * 5_000_000),
    "deep objects": certificate(lambda t: '{"core":' * 500_000 + "1" + "}" * 500_000),
    "a number of many digits": certificate(value("predicted", "9" * 10_000_000)),
    "a fraction of many digits": certificate(value("predicted", "0." + "9" * 10_000_000)),
    "a power of ten": certificate(value("predicted", "1e" + "9" * 300)),
    "a long hexadecimal number": certificate(value("lower", '"0x1.' + "0" * 10_000_000 + 'p+0"')),
    "a long exponent": certificate(value("lower", '"0x1.0p+' + "9" * 10_000_000 + '"')),
    "a large exponent": certificate(value("lower", '"0x1.0000000000000p+999999999"')),
    "four million numbers": certificate(value("rivals", "[" + "1," * 4_000_000 + "1]")),
    "two million lists": certificate(value("facts", "[" + "[]," * 2_000_000 + "[]]")),
    "a million facts": certificate(value("witnesses", "[" + "{}," * 1_000_000 + "{}]")),
    "four million texts": certificate(value("rivals", "[" + '"",' * 2_000_000 + '""]')),
    "escaped quotes": certificate(lambda t: '{"schema":"' + '\\"' * 20_000_000 + '"}'),
    "backslashes": certificate(lambda t: '{"schema":"' + "\\" * 40_000_001 + '"}'),
    "a long key": certificate(lambda t: '{"' + "k" * 60_000_000 + '":1}'),
    "a latent of a hundred megabytes": certificate(value("latent", '"' + "A" * 100_000_000 + '"')),
    "many locations": certificate(value("locations", "9" * 18)),
    "a long name": certificate(value("tool", '"' + "\\u202e" * 10_000_000 + '"')),
}


# models


def model(make: Callable[[], bytes], same: bool = False) -> Case:
    """A model, and the honest certificate as if it were about it; ``same``: it computes the same,
    so that accepting it is right."""

    def case(folder: Path) -> Work:
        content = make()
        core = pair_core(HERE)
        identity = core.model.model_copy(update={"sha256": sha256(content)})
        made = file(core.model_copy(update={"model": identity}))
        path = put_file(folder, "m.onnx", content)

        def work() -> str:
            status = check(made, path).status
            return "read" if same and status == "accepted" else status

        return work

    return case


def between(nodes: Sequence[onnx.NodeProto], first: str, last: str, more: Any = ()) -> bytes:
    """The honest model with operators from ``first`` to ``last`` behind the former."""
    made = onnx.load_model_from_string(HERE.data)
    for node in made.graph.node:
        node.input[:] = [last if name == first else name for name in node.input]
    place = next(k for k, node in enumerate(made.graph.node) if first in node.output) + 1
    after = list(made.graph.node)[place:]
    del made.graph.node[place:]
    made.graph.node.extend([*nodes, *after])
    del made.graph.output[1:]
    for name, values in more:
        made.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return bytes(made.SerializeToString(deterministic=True))


def chain(kind: str, count: int, **attributes: Any) -> bytes:
    """So many operators of one kind, one after the other, behind the latent."""
    twice = kind in ("Add", "Mul", "Concat", "Sub", "Max")
    nodes = [
        helper.make_node(kind, [f"x{k}"] * (2 if twice else 1), [f"x{k + 1}"], **attributes)
        for k in range(count)
    ]
    nodes[0].input[:] = ["latent"] * len(nodes[0].input)
    return between([*nodes, helper.make_node("Identity", [f"x{count}"], ["end"])], "latent", "end")


def grown(operator: str, inputs: Sequence[str], more: Any, **attributes: Any) -> bytes:
    """One operator that makes much of little, in the place of the latent's copy."""
    nodes = [
        helper.make_node(operator, list(inputs), ["much"], **attributes),
        helper.make_node("ReduceMax", ["much"], ["little"], keepdims=1),
        helper.make_node("Add", ["latent", "little"], ["end"]),
    ]
    return between(nodes, "latent", "end", more)


def nested(depth: int, kind: str) -> bytes:
    """Graphs in graphs in graphs."""
    inner = put(1, LENGTH, put(2, LENGTH, b"x") + put(4, LENGTH, b"Identity"))
    for _ in range(depth):
        attribute = put(1, LENGTH, b"body") + put(6, LENGTH, inner) + put(20, VARINT, b"\x05")
        node = put(2, LENGTH, b"y") + put(4, LENGTH, kind.encode()) + put(5, LENGTH, attribute)
        inner = put(1, LENGTH, node)
    return tamper(HERE.data, (7,), inner)


def functions(count: int) -> bytes:
    """Functions that call the next one twice."""
    made = onnx.load_model_from_string(HERE.data)
    opset = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    for k in range(count):
        nodes = [
            helper.make_node(f"f{k + 1}", ["x"], ["t"], domain="own"),
            helper.make_node(f"f{k + 1}", ["t"], ["y"], domain="own"),
        ]
        if k == count - 1:
            nodes = [helper.make_node("Neg", ["x"], ["y"])]
        made.functions.append(helper.make_function("own", f"f{k}", ["x"], ["y"], nodes, opset))
    made.opset_import.append(helper.make_opsetid("own", 1))
    made.graph.node.append(helper.make_node("f0", ["latent"], ["called"], domain="own"))
    return bytes(made.SerializeToString(deterministic=True))


def repeated(path: tuple[int, ...], value: bytes, count: int) -> bytes:
    """A field again and again."""
    return tamper(HERE.data, path, value * count)


def dims(*sizes: int) -> bytes:
    """A stored tensor that says it is large."""
    made = onnx.load_model_from_string(HERE.data)
    made.graph.initializer[0].dims[:] = sizes
    return bytes(made.SerializeToString(deterministic=True))


def elsewhere(size: int) -> Case:
    """A tensor in a sparse file beside the model."""

    def case(folder: Path) -> Work:
        made = onnx.load_model_from_string(HERE.data)
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="m.data")
        with (folder / "m.data").open("wb") as stream:
            stream.truncate(size)
        path = put_file(folder, "m.onnx", made.SerializeToString())
        return lambda: check(file(pair_core(HERE)), path).status

    return case


_F = np.float32
_NODE = put(1, LENGTH, put(1, LENGTH, b"q") + put(4, LENGTH, b"Constant"))
_ATTRIBUTE = put(1, LENGTH, b"axes") + put(8, VARINT, b"\1") * 1_000_000


def _named(number: int, name: bytes = b"q") -> bytes:
    return put(number, LENGTH, put(1, LENGTH, name))


def stored(*names: str) -> Callable[..., Callable[[], bytes]]:
    """An operator over numbers of these names: their values, then the operator's attributes."""

    def made(operator: str, *values: Any, **attributes: Any) -> Callable[[], bytes]:
        own = [name for name in names if name not in ("latent", "")]
        more = [(name, np.asarray(v)) for name, v in zip(own, values, strict=True)]
        return lambda: grown(operator, names, more, **attributes)

    return made


_COLUMN, _ROW = np.ones((1 << 16, 1), _F), np.ones((1, 1 << 16), _F)
_PADS = [0, 0, 0, 0, *[1 << 20] * 4]
GRAPHS: dict[str, Callable[[], bytes]] = {
    "30,000 copies": lambda: chain("Identity", 30_000),
    "30,001 signs": lambda: chain("Neg", 30_001),
    "3,000 sums": lambda: chain("Add", 3000),
    "3,000 products": lambda: chain("Mul", 3000),
    "3,000 functions": lambda: chain("Sigmoid", 3000),
    "beside itself 60 times": lambda: chain("Concat", 60, axis=1),
    "broadcast": stored("u", "w")("Add", _COLUMN, _ROW),
    "broadcast with the latent": stored("latent", "u")("Mul", np.ones((1 << 20, 1, 1, 1), _F)),
    "an outer product": stored("u", "w")("MatMul", _COLUMN, _ROW),
    "expanded with the latent": stored("latent", "s")("Expand", [1 << 20, 1 << 20, 1, 1]),
    "expanded to a gigabyte": stored("latent", "s")("Expand", [1 << 14, 1 << 7, 3, 2]),
    "a range": stored("a", "b", "c")("Range", 0, 1 << 40, 1),
    "a pad of the latent": stored("latent", "s")("Pad", _PADS),
    "resized": stored("latent", "", "f")("Resize", np.full(4, 1e6, _F)),
    "a padded convolution": stored("latent", "k")(
        "Conv", np.ones((1, 3, 1, 1), _F), pads=[1 << 30] * 4
    ),
    "a dilated convolution": stored("latent", "k")(
        "Conv", np.ones((1, 3, 2, 2), _F), dilations=[1 << 30] * 2, pads=[1 << 30] * 4
    ),
    "a wide window": stored("latent")("MaxPool", kernel_shape=[1 << 20] * 2, pads=[1 << 19] * 4),
    "gathered again and again": stored("latent", "i")("Gather", np.zeros((1 << 16, 4), np.int64)),
    "a sum of twelve axes": stored("latent", "latent", "latent")(
        "Einsum", equation="abcd,efgh,ijkl->abcdefghijkl"
    ),
    "5,001 axes": stored("latent", "s")("Reshape", [6] + [1] * 5000),
    "a thousand million pieces": stored("latent")("Split", num_outputs=1 << 30),
    "loops in loops": lambda: nested(5000, "Loop"),
    "choices in choices": lambda: nested(5000, "If"),
    "scans in scans": lambda: nested(5000, "Scan"),
    "functions that call twice": lambda: functions(60),
    "300,000 nodes": lambda: repeated((7,), _NODE, 300_000),
    "300,000 outputs": lambda: repeated((7,), _named(12, b"latent"), 300_000),
    "300,000 inputs": lambda: repeated((7,), _named(11), 300_000),
    "300,000 shapes": lambda: repeated((7,), _named(13), 300_000),
    "300,000 notes": lambda: repeated((), _named(14), 300_000),
    "a million attributes": lambda: repeated((7, 1), _named(5), 1_000_000),
    "a million sizes": lambda: repeated((7, 5), put(1, VARINT, b"\1"), 1_000_000),
    "a million numbers": lambda: repeated((7, 1), put(5, LENGTH, _ATTRIBUTE), 1),
    "sizes of a large product": lambda: dims(1 << 32, 1 << 32, 1 << 32),
    "a size of 0": lambda: dims(1 << 62, 0, 1 << 62),
    "a name of ten megabytes": lambda: repeated((7,), put(10, LENGTH, b"x" * 10_000_000), 1),
}


# what is accepted, and costs the machine-checked kernel more


def _winning(prototypes: int, classes: int, side: int = 1) -> Tiny:
    """A head of which one class always wins: nothing has to be known."""
    here = tiny(prototypes, side=side)
    weight = np.zeros((classes, prototypes), np.float32)
    weight[0] = 1
    bias = np.zeros(classes, np.float32)
    bias[0] = 1
    return replace(here, weight=weight, bias=bias)


def accepted(here: Tiny, **changes: Any) -> Case:
    """What the checker in Python accepts, given to the machine-checked kernel."""

    def case(folder: Path) -> Work:
        data = here.data
        rivals = tuple(range(1, len(here.weight)))
        content = file(about(here, data, rivals=rivals, **changes))
        put_file(folder, "c.json", content), put_file(folder, "m.onnx", data)
        return lambda: "proved" if verify(content, ModelFile(data)).proved else "undecided"

    return case


def _many_pairs(count: int) -> dict[str, Any]:
    low, high = (0.0).hex(), (1e6).hex()
    facts = tuple(PairFact(location=0, prototype=j, lower=low, upper=high) for j in range(count))
    return {"facts": facts, "premises": "interval"}


KERNEL: dict[str, Case] = {
    "20,000 prototypes, proved in Coq": accepted(_winning(20_000, 2)),
    "2,000 classes, proved in Coq": accepted(_winning(200, 2000)),
    "2,500 locations, proved in Coq": accepted(_winning(100, 2, 50)),
    "40,000 locations, proved in Coq": accepted(_winning(10, 2, 200)),
    "3,000 facts, proved in Coq": accepted(_winning(3000, 2), **_many_pairs(3000)),
}


# other files


def read_by(name: str, read: Callable[[Path], object], make: Callable[[], bytes | str]) -> Case:
    def case(folder: Path) -> Work:
        path = put_file(folder, name, make())
        return lambda: word(lambda: read(path))

    return case


def policy(text: str) -> Case:
    return read_by("policy.yaml", read_policy, lambda: text)


def prop(text: str) -> Case:
    return read_by("property.yaml", read_property, lambda: text)


def vnnlib(make: Callable[[], str]) -> Case:
    return read_by("p.vnnlib", read_vnnlib, make)


def given(name: str, make: Callable[[], bytes]) -> Case:
    return read_by(name, lambda path: read_input(path, (1, 1, 2), (0.0, 1.0)), make)


def many(make: Callable[[], bytes]) -> Case:
    return read_by("data.npz", lambda path: load_data(str(path)), make)


def _npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + body


def _npz(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _bomb(size: int) -> bytes:
    """So many zeros, twice, among what data hold."""
    images = _npy(_ARRAY % f"({size // 8}, 1, 1, 2)", b"\0" * size)
    labels = _npy(_ARRAY % "(0,)")
    return _npz(x=images, x_train=images, y_train=labels, x_test=labels, y_test=labels)


def _short(size: int) -> bytes:
    """Arrays that say to be large and are not there."""
    header = _npy(_ARRAY % f"({size}, 1, 1, 2)")
    return _npz(**dict.fromkeys(("x_train", "x_test", "y_train", "y_test"), header))


def _png(width: int, height: int, depth: int = 8, kind: int = 0, *more: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    packer = zlib.compressobj(9)
    row = b"\0" * ((width * depth * (3 if kind == 2 else 1) + 7) // 8 + 1)
    body = b"".join(packer.compress(row) for _ in range(min(height, 20_000))) + packer.flush()
    extra = b"".join(chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 200_000_000, 9)) for _ in more)
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _zipped(count: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for k in range(count):
            archive.writestr(f"{k}.npy", b"")
    return stream.getvalue()


def envelope(make: Callable[[], bytes | str]) -> Case:
    """In an attestation's place."""

    def case(folder: Path) -> Work:
        content = put_file(folder, "a.json", make()).read_bytes()

        def work() -> str:
            answers = []
            read = word(lambda: answers.append(verified(content, _KEY.public_key()).exit_code))
            return "accepted" if 0 in answers else "rejected" if answers else read

        return work

    return case


_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def _signed(payload: bytes, signatures: int = 1) -> str:
    """An envelope with a good signature, whatever it holds."""
    kind = "application/vnd.in-toto+json"
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    sig = base64.b64encode(_KEY.sign(signed)).decode()
    body = base64.b64encode(payload).decode()
    found = [{"keyid": "", "sig": sig}] * signatures
    return json.dumps({"payloadType": kind, "payload": body, "signatures": found})


def ledger(*statements: str) -> Case:
    """A campaign's memory with other rows, by SQL."""

    def case(folder: Path) -> Work:
        connection = sqlite3.connect(folder / "ledger.sqlite")
        connection.executescript(TABLES + ";".join(statements))
        connection.close()
        return lambda: word(lambda: read_campaign(folder))

    return case


_COUNT = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
_ENDLESS = f"CREATE VIEW plan AS {_COUNT.format(10**12)} SELECT i AS position FROM n"  # noqa: S608  # our own
_PLAN = f"INSERT INTO plan {_COUNT.format(300_000)} SELECT i, i, 0, 'x', 'k' FROM n"  # noqa: S608
_DEEP = "[" * 100_000 + "]" * 100_000
_TEXT = f"INSERT INTO about VALUES ('plan', '{_DEEP}')"  # noqa: S608
_SUBJECT = {"name": "x", "digest": {"sha256": "0" * 64}}
_K = 120_000
_DECLARED = (
    "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(declare-const Y_1 Real)\n"
    "(assert (<= X_0 1))(assert (>= X_0 0))\n"
)
_BELOW = "(assert (<= Y_0 Y_1))\n"
_EITHER = "(assert (or (<= Y_0 Y_1) (<= Y_1 Y_0)))\n"
_ARRAY = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}\n"


def _cycle(count: int) -> str:
    """Comparisons of outputs that contradict one another only after all of them."""
    outputs = "".join(f"(declare-const Y_{k} Real)\n" for k in range(count))
    chain = " ".join(f"(<= Y_{k} Y_{k + 1})" for k in range(count - 1))
    inputs = "(declare-const X_0 Real)\n(assert (<= X_0 1))(assert (>= X_0 0))\n"
    return f"{inputs}{outputs}(assert (and {chain} (<= Y_{count - 1} -1)))"


FILES: dict[str, Case] = {
    "a policy of deep lists": policy("- " * (_K // 2)),
    "a policy of deep braces": policy("{a: " * (_K // 4)),
    "a policy of deep brackets": policy("[" * _K),
    "a policy of deep keys": policy("? " * (_K // 2)),
    "a policy with a long number": policy("accuracy: {at_least: " + "9" * _K + "}"),
    "a policy by sixties": policy("accuracy: {at_least: " + "1:" * (_K // 2) + "1}"),
    "a policy of ten megabytes": policy("# " + "x" * 10_000_000),
    "a property of deep lists": prop("- " * (_K // 2)),
    "a property with a long number": prop("region: " + "9" * _K),
    "deep brackets of VNN-LIB": vnnlib(lambda: "(" * 2_000_000),
    "deep conditions of VNN-LIB": vnnlib(
        lambda: _DECLARED + "(assert " + "(and " * 100_000 + "(<= Y_0 Y_1)" + ")" * 100_001
    ),
    "many conditions of VNN-LIB": vnnlib(lambda: _DECLARED + _BELOW * 60_000),
    "many choices of VNN-LIB": vnnlib(lambda: _DECLARED + _EITHER * 12 + _BELOW * 20_000),
    "a cycle of VNN-LIB": vnnlib(lambda: _cycle(6000)),
    "a long number of VNN-LIB": vnnlib(lambda: _DECLARED + f"(assert (<= X_0 {'9' * 5_000_000}))"),
    "an array that is not there": given("x.npy", lambda: _npy(_ARRAY % "(1000000, 1000000)")),
    "an array of no size": given("x.npy", lambda: _npy(_ARRAY % "(0, 9223372036854775807)")),
    "a header of brackets": given("x.npy", lambda: _npy("(" * 9000)),
    "a header of signs": given("x.npy", lambda: _npy("-" * 9000 + "1\n")),
    "a long header": given("x.npy", lambda: _npy("(" * 3_000_000)),
    "a packed header of signs": given("x.npz", lambda: _npz(x=_npy("-" * 9000 + "1\n"))),
    "a packed array that is not there": given("x.npz", lambda: _npz(x=_npy(_ARRAY % (1 << 50,)))),
    "a packed array of zeros": given("x.npz", lambda: _bomb(1 << 28)),
    "a picture of 900 megapixels": given("x.png", lambda: _png(30_000, 30_000)),
    "a picture of one column": given("x.png", lambda: _png(1, 2_000_000_000)),
    "a picture just below the limit": given("x.png", lambda: _png(4096, 4096, 8, 2)),
    "a picture with long texts": given("x.png", lambda: _png(2, 1, 8, 0, b"")),
    "data of zeros": many(lambda: _bomb(1 << 28)),
    "data that are not there": many(lambda: _short(1 << 50)),
    "data of many files": many(lambda: _zipped(65_000)),
    "an envelope of deep lists": envelope(lambda: _DEEP),
    "an envelope with deep contents": envelope(lambda: _signed(_DEEP.encode())),
    "an envelope with a long number": envelope(
        lambda: _signed(b'{"_type": ' + b"9" * 3_000_000 + b"}")
    ),
    "an envelope of many signatures": envelope(lambda: _signed(b"{}", 100_000)),
    "an envelope of many subjects": envelope(
        lambda: _signed(json.dumps({"subject": [_SUBJECT] * 50_000}).encode())
    ),
    "a ledger of many rows": ledger(_PLAN),
    "a ledger of deep text": ledger(_TEXT),
    "a ledger that never ends": ledger("DROP TABLE plan", _ENDLESS),
}
CASES: dict[str, Case] = {
    **CERTIFICATES,
    **{name: model(make, name == "30,000 copies") for name, make in GRAPHS.items()},
    "a tensor in a file of a gigabyte": elsewhere(1 << 30),
    **FILES,
    **KERNEL,
}
