"""Every bit of small certificates flipped: never a different claim accepted, never a crash."""

from __future__ import annotations

from typing import Any

import pytest

from protoproof.certificate import read_certificate
from protoproof.errors import CertificateError
from protoproof.kernel import ModelFile, check
from tests.support.kernel.builders import INPUT, file, pair_core, scene, topk_core

SMALL = {
    "pairs": lambda: (scene(1, grid=(1, 1), count=3, channels=2, classes=2), pair_core),
    "topk": lambda: (scene(1, grid=(1, 1), count=2, channels=3, classes=2), topk_core),
}


def claim(data: bytes) -> dict[str, Any]:
    """Everything that a reader takes away; tool and multipliers are not part of it."""
    core = read_certificate(data).core.model_dump()
    del core["tool"], core["evidence"]
    return core


@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.trust(14)
def test_a_flipped_bit_never_changes_an_accepted_claim(name: str, box: bool) -> None:
    here, build = SMALL[name]()
    original = file(build(here, box=box))
    model = ModelFile(here.data)
    assert check(original, model, INPUT).accepted
    wanted = claim(original)
    accepted = 0
    for position in range(len(original)):
        for bit in range(8):
            flipped = bytearray(original)
            flipped[position] ^= 1 << bit
            try:  # most flips are no certificates at all
                changed = claim(bytes(flipped))
            except CertificateError:
                continue
            report = check(bytes(flipped), model, INPUT)
            if report.accepted:
                accepted += 1
                assert changed == wanted
    assert accepted  # flips of comments and of spare multiplier digits


@pytest.mark.trust(18)
def test_every_truncation_and_a_byte_more_are_rejected() -> None:
    here, build = SMALL["pairs"]()
    original = file(build(here))
    model = ModelFile(here.data)
    for end in range(len(original) - 1):  # the last byte is a newline, which means nothing
        assert check(original[:end], model).status == "rejected"
    for byte in b'\0{}[]",:0a':
        assert check(original + bytes([byte]), model).status == "rejected"
