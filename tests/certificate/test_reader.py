"""The reader: every malformed file is one line of error, soon and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from protoproof.certificate import canonical_bytes, read_certificate
from protoproof.certificate.strict_json import MAX_BYTES, parse
from protoproof.errors import CertificateError
from tests.support.kernel.builders import core, file, scene, topk_core

ROOT = Path(__file__).parents[2]
GOOD = file(topk_core(scene(1)))


def edited(*path: str | int, value: Any) -> bytes:
    """The good certificate with one value replaced (None as the last key of a dict: removed)."""
    document = json.loads(GOOD)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("left", [1, 20, len(GOOD) // 2, len(GOOD) - 3])
def test_half_a_file_is_called_that(left: int) -> None:
    with pytest.raises(CertificateError, match="ends in the middle; a part of the file is missing"):
        read_certificate(GOOD.rstrip()[:-left])


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"certificate",
    "a list": b"[]",
    "a number": b"1",
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "not UTF-8": GOOD.replace(b"tests", b"te\xffts"),
    "trailing bytes": GOOD + b"{}",
    "trailing zero": GOOD + b"\0",
    "two documents": GOOD + GOOD,
    "truncated": GOOD[:-20],
    "duplicate key": GOOD.replace(b'"schema":', b'"schema":"protoproof.certificate/2","schema":'),
    "duplicate key inside": GOOD.replace(b'"level":"R"', b'"level":"R","level":"R"'),
    "NaN": GOOD.replace(b'"seconds":null', b'"seconds":NaN'),
    "infinity": GOOD.replace(b'"seconds":null', b'"seconds":Infinity'),
    "overflow": GOOD.replace(b'"seconds":null', b'"seconds":1e999'),
    "lone surrogate": GOOD.replace(b'"tests"', b'"\\ud800"'),
    "unknown version": edited("schema", value="protoproof.certificate/3"),
    "an earlier version": edited("schema", value="protoproof.certificate/1"),
    "no version": edited("schema", value=...),
    "unknown field": edited("more", value=1),
    "unknown field in core": edited("core", "more", value=1),
    "unknown field in a fact": edited("core", "facts", 0, "more", value=1),
    "unknown rule": edited("core", "evidence", "rule", value="magic"),
    "unknown fact": edited("core", "facts", 0, "kind", value="opinion"),
    "unknown level": edited("core", "level", value="X"),
    "missing field": edited("core", "rivals", value=...),
    "bool for an index": edited("core", "instance", "predicted", value=True),
    "float for an index": edited("core", "instance", "predicted", value=1.0),
    "text for an index": edited("core", "instance", "predicted", value="1"),
    "negative index": edited("core", "instance", "predicted", value=-1),
    "number for a hex float": edited("core", "facts", 0, "bound", value=0.5),
    "decimal text for a hex float": edited("core", "facts", 0, "bound", value="0.5"),
    "no rivals": edited("core", "rivals", value=[]),
    "upper-case hash": edited("core", "model", "sha256", value="A" * 64),
    "short hash": edited("core", "model", "sha256", value="a" * 63),
    "hash with newline": edited("core", "model", "sha256", value="a" * 64 + "\n"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.trust(18)
def test_malformed_files_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(CertificateError) as caught:
        read_certificate(MALFORMED[name])
    text = str(caught.value)
    assert "\n" not in text
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 600


def test_layout_carries_no_meaning() -> None:
    envelope = read_certificate(GOOD)
    pretty = json.dumps(json.loads(GOOD), indent=2)
    backwards = json.dumps(dict(reversed(json.loads(GOOD).items())))
    for text in (pretty, backwards, pretty + "\n\n"):
        assert read_certificate(text.encode()) == envelope


def test_the_writer_and_the_reader_agree() -> None:
    assert canonical_bytes(read_certificate(GOOD)) == GOOD


def test_brackets_and_escapes_inside_text_do_not_count() -> None:
    here = scene(1)
    text = '[[[[[[[[[[[[[[[[[[[[{"\\' * 3
    content = file(topk_core(here).model_copy(update={"tool": text}))
    assert read_certificate(content).core.tool == text


@pytest.mark.trust(19)
def test_numbers_may_be_long_but_not_endless() -> None:
    assert parse(b"[" + b"9" * 320 + b"]") == (int("9" * 320),)
    with pytest.raises(CertificateError, match="integer of 321"):
        parse(b"9" * 321)
    with pytest.raises(CertificateError, match="too long"):
        parse(b"0." + b"1" * 100)
    with pytest.raises(CertificateError, match="fields"):
        parse(b"{" + b",".join(b'"%d":1' % i for i in range(65)) + b"}")


@pytest.mark.trust(43)
def test_a_whole_number_has_one_spelling() -> None:
    for text in (b"-0", b"[-0]", b'{"a":-0}'):
        with pytest.raises(CertificateError, match="write 0"):
            parse(text)
    assert parse(b'[0,-10,-0.5,"-0"]') == (0, -10, -0.5, "-0")


def test_nesting_is_bounded() -> None:
    assert parse(b"[" * 16 + b"]" * 16) is not None
    with pytest.raises(CertificateError, match="deeper"):
        parse(b"[" * 17 + b"]" * 17)
    with pytest.raises(CertificateError, match="larger"):
        parse(b" " * (MAX_BYTES + 1))


def test_an_error_in_a_long_list_ends_the_validation() -> None:
    """A million errors would cost gigabytes; the first one per list is enough."""
    body = b'{"schema":"protoproof.certificate/2","core":{"rivals":[' + b"-1," * 200_000 + b"1]}}"
    with pytest.raises(CertificateError, match=r"and \d{1,2} more"):
        read_certificate(body)


BOMBS = {
    "100k nested lists": b"[" * 100_000 + b"]" * 100_000,
    "100k nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100k open lists": b"[" * 100_000,
    "10 MB integer": b'{"schema":' + b"1" * 10_000_000 + b"}",
    "10 MB fraction": b'{"schema":0.' + b"1" * 10_000_000 + b"}",
    "huge exponent": b'{"schema":1e50000000}',
    "huge negative exponent": b'{"schema":[1e-50000000,"a"]}',
    "10 MB of escapes": b'"' + b"\\" * 10_000_000,
}

MEASURE = """
import resource, sys, time
sys.path[:0] = {paths!r}
from protoproof.certificate import read_certificate
from protoproof.errors import CertificateError
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
best = 9.0
for _ in range(3):
    started = time.process_time()
    try:
        read_certificate(data)
        sys.exit("accepted")
    except CertificateError as error:
        message = str(error)
    best = min(best, time.process_time() - started)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stdout.write(f"{{best}} {{(after - before) / 1024}}")
"""


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.trust(19)
def test_bombs_are_refused_without_much_time_or_memory(name: str) -> None:
    script = MEASURE.format(paths=[str(ROOT / "verifier"), *sys.path[1:]])
    done = subprocess.run(
        [sys.executable, "-c", script], input=BOMBS[name], capture_output=True, check=True
    )
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 2  # read as written, each would take minutes or gigabytes
    assert megabytes < 100


def test_an_honest_certificate_is_read_as_it_was_meant() -> None:
    here = scene(3)
    content = core(here, [here.pair(0, 0)], "pairs")
    assert read_certificate(file(content)).core == content


def test_an_earlier_version_says_what_to_do() -> None:
    with pytest.raises(CertificateError, match="explain again"):
        read_certificate(GOOD.replace(b"certificate/2", b"certificate/1"))
