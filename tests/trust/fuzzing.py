"""Mutated files through every reader of files that strangers make: read, or refused in one line."""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from protoproof.certificate import read_certificate
from protoproof.errors import ProtoProofError
from protoproof.gate import read_policy
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget
from protoproof.region.sets.vnnlib import parse_vnnlib
from protoproof.region.sets.yaml_file import read_property
from tests.support.kernel.builders import file, pair_core, scene, topk_core
from tests.support.network.builders import draft
from tests.support.sources import ROOT


def _model(data: bytes) -> None:
    with Budget().active():
        ModelFile(data).bound(("latent",), "logits")


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _from_file(read: Callable[[Path], object], name: str) -> Callable[[bytes], None]:
    def given(data: bytes) -> None:
        path = _folder() / name
        path.write_bytes(data)
        read(path)

    return given


def _vnnlib(data: bytes) -> None:
    parse_vnnlib(data.decode("utf-8", "replace"))


@cache
def seeds() -> dict[str, tuple[bytes, ...]]:
    """Honest files for every reader."""
    here = scene(1, grid=(1, 2), count=3, channels=2, classes=2)
    properties = sorted((ROOT / "specs" / "properties").glob("*.yaml"))
    return {
        "onnx": (
            draft(bias=True).build().SerializeToString(),
            draft("exponential", "reduce_min", "direct").build().SerializeToString(),
        ),
        "certificate": (file(pair_core(here)), file(topk_core(here))),
        "vnnlib": ((ROOT / "specs" / "properties" / "robust.vnnlib").read_bytes()[:4000],),
        "policy": ((ROOT / "specs" / "policies" / "release.yaml").read_bytes(),),
        "property": tuple(path.read_bytes() for path in properties),
    }


READERS: dict[str, Callable[[bytes], object]] = {
    "onnx": _model,
    "certificate": read_certificate,
    "vnnlib": _vnnlib,
    "policy": _from_file(read_policy, "policy.yaml"),
    "property": _from_file(read_property, "property.yaml"),
}


def mutated(data: bytes, draw: random.Random) -> bytes:
    """One to four changes: bits, bytes, pieces cut out, doubled, moved, or of special meaning."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        more = draw.randint(1, 16)
        piece = data[at : at + more]
        kind = draw.randrange(7)
        if kind == 0 and piece:
            data = data[:at] + bytes([piece[0] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + draw.randbytes(len(piece)) + data[at + more :]
        elif kind == 2:
            data = data[:at] + data[at + more :]
        elif kind == 3:
            data = data[:at] + piece + data[at:]
        elif kind == 4:
            data = data[:at] + draw.choice(SPECIAL) + data[at:]
        elif kind == 5:
            start = draw.randrange(len(data) + 1)
            data = data[:at] + data[start : start + more] + data[at + more :]
        else:
            data = data[: draw.randrange(len(data) + 1)] or b"\0"
    return data


SPECIAL = (
    b"\xff" * 10, b"\x80" * 9 + b"\x01", b"\0", b"[", b"{", b'"', b"&a", b"*a", b"!!python/name:os",
    b"1e999", b"NaN", b"-", b"(", b")", b"\xe2\x80\xae", b"9" * 400, b"0x1p+9999", b"\\", b"<<: ",
)  # fmt: skip


def contents(reader: str, count: int, seed: int) -> Iterator[bytes]:
    draw = random.Random(seed)  # noqa: S311  # not for secrets
    for k in range(count):
        known = seeds()[reader]
        yield mutated(known[k % len(known)], draw)


def fuzz(reader: str, count: int, seed: int) -> list[str]:
    """The errors that are none of ours, one line each; a hang is ended by who called this."""
    problems = []
    for number, data in enumerate(contents(reader, count, seed)):
        try:
            with warnings.catch_warnings(action="error"):
                READERS[reader](data)
        except ProtoProofError as error:
            if "\n" in str(error) or not str(error).isprintable():
                problems.append(f"{number}: a refusal that is not one printable line")
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            problems.append(f"{number}: {type(error).__name__}: {error}")
    return problems
