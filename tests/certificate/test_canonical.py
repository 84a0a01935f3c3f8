"""Canonical bytes and the digest of the core."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from protoproof.certificate import canonical_bytes, core_digest, read_certificate
from protoproof.certificate.schema import About, Envelope
from tests.support.kernel.builders import pair_core, scene

CORE = pair_core(scene(2))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def envelope(about: About) -> Envelope:
    return Envelope(schema="protoproof.certificate/2", core=CORE, about=about)


@given(TEXT, TEXT, st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)))
def test_what_was_written_is_what_is_read(created: str, name: str, seconds: float | None) -> None:
    about = About(created=created, input_name=name, seconds=seconds)
    data = canonical_bytes(envelope(about))
    again = read_certificate(data)
    assert again == envelope(about)
    assert canonical_bytes(again) == data


def test_canonical_bytes_are_ascii_sorted_and_compact() -> None:
    data = canonical_bytes(envelope(About(input_name="дом \u202e\n")))
    assert data.isascii()
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    document = json.loads(data)
    assert data.decode() == json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"
    assert document["schema"] == "protoproof.certificate/2"


def test_the_digest_ignores_circumstances_and_nothing_else() -> None:
    first = read_certificate(canonical_bytes(envelope(About(created="today", seconds=1.5))))
    second = read_certificate(canonical_bytes(envelope(About(created="tomorrow"))))
    assert core_digest(first.core) == core_digest(second.core) == core_digest(CORE)
    assert core_digest(CORE.model_copy(update={"tool": "other"})) != core_digest(CORE)
