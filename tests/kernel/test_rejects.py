"""Forgeries: each breaks one thing, is rejected for that thing, and has a harmless neighbour."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from protoproof.certificate import read_certificate
from protoproof.kernel import check
from protoproof.kernel.claims import words
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.obligations import RULES
from tests.support.kernel.builders import Scene, file, pair_core, scene, topk_core
from tests.support.kernel.forging import HERE, MODEL, PAIRS, TOPK, edit, failed, forged, verdict
from tests.support.kernel.models import Tiny, random_tiny


def test_the_originals_are_accepted() -> None:
    assert verdict(PAIRS).accepted
    assert verdict(TOPK).accepted


def _shift(text: str, steps: int) -> str:
    value = float.fromhex(text)
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.inf if steps > 0 else -math.inf)
    return value.hex()


def _widen(core: Any, fact: int, field: str, steps: int) -> None:
    core["facts"][fact][field] = _shift(core["facts"][fact][field], steps)


@pytest.mark.parametrize("original", [PAIRS, TOPK])
@pytest.mark.parametrize("field", ["lower", "upper"])
@pytest.mark.parametrize("steps", [1, -1])
@pytest.mark.trust(8)
def test_a_premise_is_exact_to_the_last_bit(original: Any, field: str, steps: int) -> None:
    last = len(original["core"]["facts"]) - 1
    report = forged(original, lambda core: _widen(core, last, field, steps))
    assert report.status == "rejected"
    assert failed(report) == [6]
    detail = report.obligations[5].detail
    assert ("widened premise" in detail) == ((field == "upper") == (steps > 0))
    assert f"fact {last}" in detail


@pytest.mark.parametrize("steps", [1, -1])
def test_a_ceiling_is_exact_to_the_last_bit(steps: int) -> None:
    report = forged(TOPK, lambda core: _widen(core, 0, "bound", steps))
    assert failed(report) == [6]


def test_the_neighbour_of_a_widened_premise_is_an_interval() -> None:
    def change(core: Any) -> None:
        core["premises"] = "interval"
        _widen(core, 0, "upper", 1)

    assert forged(PAIRS, change).accepted


def set_latent(core: Any, change: Callable[[np.ndarray], None]) -> None:  # type: ignore[type-arg]
    values = np.frombuffer(base64.b64decode(core["instance"]["latent"]), "<f4").copy()
    change(values)
    core["instance"]["latent"] = base64.b64encode(values.tobytes()).decode()


def nudge(values: Any) -> None:
    values[0] = np.nextafter(values[0], np.float32(9))


def poison(values: Any) -> None:
    values[0] = np.nan


def other_class(core: Any) -> int:
    return int(core["rivals"][0])


def swap_class(core: Any) -> None:
    old, core["instance"]["predicted"] = core["instance"]["predicted"], other_class(core)
    core["rivals"] = sorted({*core["rivals"], old} - {core["instance"]["predicted"]})


def first_block(core: Any) -> Any:
    return core["evidence"]["blocks"][0]


def garble_row(core: Any) -> None:
    first_block(core)["lower"]["theta"][0][0] = -(10**30)


def empty_block(core: Any) -> None:
    first_block(core).update(facts=[], lower={"prototypes": [], "theta": []})
    first_block(core)["upper"] = {"prototypes": [], "theta": []}


COUNT = len(PAIRS["core"]["facts"])
ELSEWHERE = {
    "kind": "linf",
    "shape": [1, 1, 1],
    "centre": base64.b64encode(np.zeros(1, "<f4").tobytes()).decode(),
    "low": (0.0).hex(),
    "high": (1.0).hex(),
    "radius": "0",
}
FORGERIES: dict[str, tuple[Callable[[Any], None], int]] = {
    "another model": (edit("model", "sha256", value="0" * 64), 2),
    "a data file on top": (
        edit("model", "files", value=[{"name": "w", "sha256": "0" * 64, "size": 4}]), 2
    ),
    "another latent": (edit("model", "latent", value=["features"]), 3),
    "another output": (edit("model", "output", value="activation"), 4),
    "another geometry": (edit("model", "geometry", value="linear"), 3),
    "another pooling": (edit("model", "pooling", value=["mean"]), 3),
    "another decision": (edit("model", "decision", value="labels"), 3),
    "labels of one class": (edit("instance", "labels", value=[0]), 4),
    "another input": (edit("instance", "input_sha256", value="0" * 64), 4),
    "class swapped": (swap_class, 9),
    "class out of range": (
        lambda core: (core["instance"].update(predicted=3), core.update(rivals=[0, 1, 2])), 4
    ),
    "rival dropped": (edit("rivals", value=lambda rivals: rivals[1:]), 4),
    "rival repeated": (edit("rivals", value=lambda rivals: [*rivals, rivals[-1]]), 4),
    "rivals reversed": (edit("rivals", value=lambda rivals: rivals[::-1]), 4),
    "predicted as rival": (edit("rivals", value=lambda _: [0, 1, 2]), 4),
    "location dropped": (edit("instance", "locations", value=1), 4),
    "latent cut": (edit("instance", "latent", value=lambda text: text[:-8]), 4),
    "latent too long": (edit("instance", "latent", value=lambda text: text[:-2] + "AA"), 4),
    "stray bits in base64": (
        edit("instance", "latent", value=lambda text: text[:-3] + chr(ord(text[-3]) + 1) + "=="), 4
    ),
    "latent nudged": (lambda core: set_latent(core, nudge), 6),
    "latent with NaN": (lambda core: set_latent(core, poison), 4),
    "box too small": (
        edit("domain", value={"kind": "box", "lower": (0.25).hex(), "upper": (1.0).hex()}), 5
    ),
    "box other than the graph's": (
        edit("domain", value={"kind": "box", "lower": (-1.0).hex(), "upper": (2.0).hex()}), 5
    ),
    "half-open box": (
        edit("domain", value={"kind": "box", "lower": (0.0).hex(), "upper": None}), 5
    ),
    "fact about nothing": (edit("facts", 0, "prototype", value=5), 6),
    "fact elsewhere": (edit("facts", 0, "location", value=2), 6),
    "fact about another": (
        edit("facts", 0, "prototype", value=lambda j: (j + 1) % 5), 6
    ),
    "fact repeated": (edit("facts", value=lambda facts: [facts[0], *facts]), 6),
    "sign of a premise": (edit("facts", 0, "lower", value=lambda text: "-" + text), 6),
    "odd spelling": (edit("facts", 0, "lower", value="0x1.0p+9999"), 1),
    "wrong vocabulary": (edit("vocabulary", value="topk"), 6),
    "wrong vocabulary too": (edit("vocabulary", value="ceiling"), 6),
    "fact dropped": (edit("facts", value=lambda facts: facts[1:]), 7),
    "A <= 0": (garble_row, 7),
    "no facts in a block": (empty_block, 7),
    "block fact repeated": (
        lambda core: first_block(core).update(facts=[first_block(core)["facts"][0]] * 2), 7
    ),
    "block elsewhere": (lambda core: first_block(core).update(location=2), 7),
    "one block twice": (
        edit("evidence", "blocks", value=lambda blocks: [*blocks, blocks[0]]), 7
    ),
    "row too many": (lambda core: first_block(core)["lower"]["theta"].append([1]), 7),
    "row repeated": (
        lambda core: [
            first_block(core)["lower"][key].append(first_block(core)["lower"][key][0])
            for key in ("prototypes", "theta")
        ],
        7,
    ),
    "row too long": (lambda core: first_block(core)["lower"]["theta"][0].append(1), 7),
    "row about nothing": (
        lambda core: first_block(core)["lower"]["prototypes"].__setitem__(0, 5), 7
    ),
    "witness for nothing": (
        edit("witnesses", value=[{"fact": COUNT, "rival": 0, "moves": []}]), 10
    ),
    "witness that does nothing": (
        edit("witnesses", value=[{"fact": 0, "rival": other_class(PAIRS["core"]), "moves": []}]), 10
    ),
    "witness against itself": (
        edit("witnesses", value=[
            {"fact": 0, "rival": PAIRS["core"]["instance"]["predicted"], "moves": []}
        ]), 10
    ),
    "size bound by nothing": (edit("size_bound", value={"refutations": [], "covers": []}), 11),
    "contrast that changes nothing": (
        edit("contrasts", value=[{"rival": other_class(PAIRS["core"]), "moves": []}]), 12
    ),
    "facts held around another input": (edit("holds", value=ELSEWHERE), 13),
}  # fmt: skip


def test_every_obligation_has_a_forgery_that_breaks_it() -> None:
    """But the margins: whatever is stated about them, they are proved or open."""
    assert {number for _, number in FORGERIES.values()} == {rule.number for rule in RULES} - {8}
    report = forged(PAIRS, edit("evidence", "blocks", value=[]))
    assert [o.number for o in report.obligations if o.passed is not True] == [8]
    assert report.status == "incomplete"


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.trust(15)
def test_forgeries_are_rejected_by_the_obligation_they_break(name: str) -> None:
    change, number = FORGERIES[name]
    report = forged(PAIRS, change)
    assert report.status == "rejected"
    assert number in failed(report), report.failures
    assert words(report.claims) == report.necessary == report.assumptions == ()


NEIGHBOURS: dict[str, Callable[[Any], None]] = {
    "facts in another order": edit("facts", value=lambda facts: facts[::-1]),
    "blocks in another order": edit("evidence", "blocks", value=lambda blocks: blocks[::-1]),
    "vocabulary that has more": edit("vocabulary", value="mixed"),
    "another tool": edit("tool", value="another"),
    "a multiplier one unit off": (
        lambda core: first_block(core)["lower"]["theta"][0].__setitem__(
            0, first_block(core)["lower"]["theta"][0][0] + 1
        )
    ),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
@pytest.mark.trust(15)
def test_harmless_changes_are_accepted(name: str) -> None:
    assert forged(PAIRS, NEIGHBOURS[name]).accepted


def test_useless_multipliers_prove_nothing() -> None:
    """Signs of all multipliers flipped: well-formed or not, never accepted."""

    def change(core: Any) -> None:
        for block in core["evidence"]["blocks"]:
            for part in ("lower", "upper"):
                block[part]["theta"] = [[abs(t) for t in row] for row in block[part]["theta"]]

    assert forged(PAIRS, change).status == "incomplete"


@pytest.mark.trust(16)
def test_one_byte_of_the_model_changed() -> None:
    data = file(pair_core(HERE))
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(HERE.data), 60).tolist():
        changed = bytearray(HERE.data)
        changed[position] ^= 1 << int(rng.integers(8))
        report = check(data, bytes(changed))
        assert report.status == "rejected"
        assert "hash mismatch" in report.obligations[1].detail


def test_a_model_that_is_no_model() -> None:
    content = json.loads(file(pair_core(HERE)))
    for junk in (b"", b"onnx", b"\x00" * 100):
        content["core"]["model"]["sha256"] = hashlib.sha256(junk).hexdigest()
        report = check(json.dumps(content).encode(), junk)
        assert report.status == "rejected"
        assert failed(report) == [3]


@pytest.mark.trust(4)
def test_a_tie_is_not_a_prediction() -> None:
    for weight in ([[1, 0, 0, 0], [1, 0, 0, 0]], [[1, 1, 0, 0], [0, 0, 1, 1]]):
        rng = np.random.default_rng(5)
        prototypes = rng.random((2, 3)).astype(np.float32)[[0, 1, 0, 1]]  # each one twice
        tiny = Tiny(prototypes, np.array(weight, dtype=np.float32))
        here = Scene(tiny, rng.random((1, 3)).astype(np.float32))
        report = check(file(topk_core(here)), here.data)
        assert report.status == "rejected"
        assert failed(report) == [9]
        assert report.obligations[7].passed is None


def test_every_failure_is_reported() -> None:
    def change(core: Any) -> None:
        core["model"]["sha256"] = "0" * 64
        core["facts"][0]["upper"] = (99.0).hex()
        garble_row(core)

    assert failed(forged(PAIRS, change)) == [2, 6, 7]


def test_what_the_file_says_is_shown_escaped() -> None:
    tiny = random_tiny(3)
    evil = "\x1b[31m\u202e\n" + "x" * 5000
    document = json.loads(file(pair_core(scene(3))))
    document["core"]["model"]["output"] = evil[:1000]
    report = check(json.dumps(document).encode(), tiny.data)
    assert report.status == "rejected"
    for obligation in report.obligations:
        assert obligation.detail.isascii()
        assert obligation.detail.isprintable()
        assert len(obligation.detail) <= 2000


def test_bounds_that_exclude_the_recorded_latent_are_a_contradiction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cannot happen with sound bounds; if it ever did, nothing would be accepted."""
    for wrong in ((1 << 200, None), (0, -1)):

        class Wrong(Bounds):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                self.best[0] = wrong  # noqa: B023

        monkeypatch.setattr("protoproof.kernel.sufficiency.Bounds", Wrong)
        report = verdict(PAIRS)
        assert failed(report) == [8]
        assert "contradiction" in report.obligations[7].detail


def test_a_malformed_certificate_is_rejected_and_nothing_else_is_examined() -> None:
    report = check(b"{", MODEL)
    assert report.status == "rejected"
    assert failed(report) == [1]
    assert all("needs obligation 1" in o.detail for o in report.obligations[1:])


def test_reading_back_the_accepted_certificate_changes_nothing() -> None:
    assert read_certificate(json.dumps(PAIRS).encode()).core == pair_core(HERE)
