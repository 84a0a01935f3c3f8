"""Contrasts, size bounds and parts: what the checker accepts, the machine-checked kernel proves."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.partition import InputCut, Part
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import (
    Core,
    Cover,
    Envelope,
    IntervalEvidence,
    Packing,
    Refutation,
    SizeBound,
)
from protoproof.formal import prove, verify
from protoproof.formal.proof import proof
from protoproof.kernel import ModelFile, check
from protoproof.kernel.budget import Budget
from protoproof.kernel.claims import Contrast
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.statement import part_boxes, stated_head, write
from protoproof.region.sets.syntax import parse_region
from tests.support.certification import certifier, image
from tests.support.formal import all_said, built, line_changed
from tests.support.kernel.algebra import losing, made
from tests.support.kernel.builders import file, topk_core
from tests.support.kernel.given import Given, honest, report_of
from tests.support.kernel.sizes import certificate, refuted

VOCABULARIES = ["pairs", "ceiling", "mixed", "topk"]
# one of each geometry, pooling and decision
KINDS = [
    *("distances in a box", "own temperatures", "scaled distances", "means of angles"),
    *("angles with a floor", "focal channels", "labels by distance", "a tree of angles"),
    *("two banks of distances", "products on a sphere", "nearest less mean distances"),
    *("angles with own floors", "the largest leaf by angle"),
]


def bounded(seed: int, vocabulary: str) -> tuple[bytes, ModelFile]:
    """A certificate with a size bound."""
    if vocabulary != "topk":
        here, content, _ = certificate(seed, vocabulary)
        return file(content), ModelFile(here.data)
    here, found = refuted(seed)
    bound = SizeBound(refutations=found, covers=())
    return file(topk_core(here).model_copy(update={"size_bound": bound})), ModelFile(here.data)


@built
@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_size_bounds_are_proved(vocabulary: str, seed: int) -> None:
    content, model = bounded(seed, vocabulary)
    answer = verify(content, model)
    assert answer.proved
    assert answer.also == (f"at-least {check(content, model).lower_bound} {vocabulary} values",)


@built
@pytest.mark.parametrize("name", KINDS)
def test_contrasts_and_size_bounds_are_proved_for_every_kind_of_head(name: str) -> None:
    here, core = made(name, 0), honest(made(name, 0))
    found = losing(here, np.random.default_rng(5))
    refutations = [Refutation(rival=k, moves=moves) for k, moves in itertools.islice(found, 3)]
    cover = Cover(ceilings=None, nodes=(Packing(scale=1, weights=((0, 1),)),))
    core = core.model_copy(
        update={
            "size_bound": SizeBound(refutations=tuple(refutations[:1]), covers=(cover,)),
            "contrasts": tuple(r for r in refutations if is_contrast(core, r, name)),
        }
    )
    report = report_of(here, core)
    assert report.accepted, report.failures
    answer = prove(canonical_bytes(Envelope(core=core)), Given(here))
    assert answer.proved
    level = "values" if here.head.uniform else "activations"
    counted = [c for c in report.claims if isinstance(c, Contrast)]
    assert [*answer.also] == [
        *(f"contrast {c.rival} {c.count}" for c in counted),
        f"at-least {report.lower_bound} {core.vocabulary} {level}",
    ]


def is_contrast(core: Core, refutation: Refutation, name: str) -> bool:
    """Whether a latent that loses is also predicted as the rival."""
    return report_of(made(name, 0), core.model_copy(update={"contrasts": (refutation,)})).accepted


def texts(content: Core, bound: BoundHead) -> tuple[str, str]:
    with Budget().active():
        return write(content, bound), proof(content, bound.head)


@built
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_more_than_a_size_bound_shows_is_refused(vocabulary: str) -> None:
    content, model = bounded(2, vocabulary)
    core = read_certificate(content).core
    with Budget().active():
        bound = stated_head(core, model)
    statement, evidence = texts(core, bound)
    (least,) = re.findall(rf"^(\d+) {vocabulary} values", evidence, re.MULTILINE)

    def claims(number: int, word: str = vocabulary, text: str = evidence) -> list[str]:
        was = f"\n{least} {vocabulary} values"
        return all_said(statement, text.replace(was, f"\n{number} {word} values"))

    true = f"at-least {least} {vocabulary} values"
    assert f"proved {true}" in claims(int(least))
    for number in (int(least) + 1, int(least) + 7):
        assert f"not proved at-least {number} {vocabulary} values" in claims(number)
    other = {"pairs": "ceiling", "topk": "pairs"}.get(vocabulary, "topk")
    assert f"not proved at-least {least} {other} values" in claims(int(least), other)
    # latents that do not lose to that class
    of = "top by" if vocabulary == "topk" else r"distinctions \d+"
    own = re.sub(rf"({of}) \d+", rf"\1 {core.instance.predicted}", evidence)
    assert f"not proved {true}" in claims(int(least), text=own)


@built
def test_a_changed_contrast_is_refused() -> None:
    name = "distances"
    here, core = made(name, 0), honest(made(name, 0))
    found = (Refutation(rival=k, moves=m) for k, m in losing(here, np.random.default_rng(5)))
    contrast = next(r for r in found if is_contrast(core, r, name))
    rival, core = contrast.rival, core.model_copy(update={"contrasts": (contrast,)})
    with Budget().active():
        bound = Given(here).bound(core.model.latent, core.model.output)
    statement, evidence = texts(core, bound)
    said = [line for line in all_said(statement, evidence) if " contrast " in line]
    (count,) = (int(line.split()[-1]) for line in said)
    assert said == [f"proved contrast {rival} {count}"]

    def changed(rival: int, count: int) -> list[str]:
        lines = evidence.split("\n")
        at = lines.index("contrasts 1") + 1
        lines[at] = " ".join([str(rival), str(count), *lines[at].split(" ")[2:]])
        return all_said(statement, "\n".join(lines))

    assert f"not proved contrast {rival} {count - 1}" in changed(rival, count - 1)
    others = [k for k in core.rivals if k != rival]
    assert others
    for other in others:
        assert f"not proved contrast {other} {count}" in changed(other, count)


def parted() -> Core:
    """A region of inputs in two parts; one of them has evidence of its own."""
    region = parse_region("occlude:12,12,2,2", image(), image().shape, (0.0, 1.0))
    core = certifier().certify(region, falsify=False).certificates[0].core
    cut = InputCut(number=12 * 28 + 12, at=(0.5).hex())
    return core.model_copy(
        update={
            "parts": (cut, Part(), Part(evidence=0)),
            "part_evidence": (core.evidence,),
            "evidence": IntervalEvidence(),
        }
    )


@built
def test_parts_are_proved_each_over_its_own_box() -> None:
    core, model = parted(), certifier().explainer.model_file
    content = canonical_bytes(Envelope(core=core))
    assert check(content, model).accepted
    answer = verify(content, model)
    assert answer.proved
    assert answer.over == "on each of 2 parts"
    assert answer.beyond == ("what the encoder makes of a region of inputs",)
    with Budget().active():
        bound = stated_head(core, model)
        boxes = part_boxes(core, bound, model)
    with Budget().active():
        statement, evidence = write(core, bound, boxes), proof(core, bound.head, parts=boxes)
    assert all_said(statement, evidence) == ["proved sufficient on each of 2 parts"]

    def another_class(tokens: list[str]) -> None:
        tokens[2] = "1" if tokens[2] == "0" else "0"

    wrong = line_changed(statement, "claim", another_class)
    assert all_said(wrong, evidence) == ["not proved sufficient on each of 2 parts"]
    # every channel of every part in a box that reaches far further
    at = statement.index("\nparts ")
    wide = statement[:at] + re.sub(r"(?<= )\d{12,}", r"\g<0>0000", statement[at:])
    assert all_said(wide, evidence) == ["not proved sufficient on each of 2 parts"]
