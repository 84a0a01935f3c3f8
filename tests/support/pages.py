"""Small pages from real certificates of tiny networks, checked by the real checker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core
from protoproof.kernel import CheckReport, check
from protoproof.report.page.build import explanation_page
from protoproof.report.page.page import (
    ExplanationPage,
    Image,
    PageCertificate,
    PageFact,
    PageModel,
    PageSize,
)
from protoproof.report.page.patches import Patches
from protoproof.report.page.reading import Reading, ReceptiveField
from tests.support.heads import prototype_head, similarity
from tests.support.kernel.builders import Scene, core, file, pair_core, scene, topk_core

NAMES = ("albatross", "bunting", "cormorant")
FIELD = ReceptiveField(size=(5, 5), stride=(4, 4), start=(-1, -1))
RECHECK = "protoproof check tiny.cert.json tiny.onnx"


def make_scene(seed: int = 3) -> Scene:
    """Three classes, six prototypes, a grid of 2 x 2."""
    return scene(seed, count=6, classes=3, grid=(2, 2), channels=4)


def make_core(here: Scene, vocabulary: str) -> Core:
    """An honest certificate's core in one vocabulary."""
    if vocabulary == "pairs":
        return pair_core(here)
    if vocabulary == "topk":
        return topk_core(here)
    ranking = sorted(range(len(here.best)), key=lambda j: here.best[j])
    facts = [*(here.activation(j) for j in ranking[:-1]), here.ceiling(ranking[-1], ranking[:-1])]
    return core(here, facts, "ceiling")


def make_reading(here: Scene, names: tuple[str, ...] = NAMES) -> Reading:
    """What the tiny network measured."""
    return Reading(
        classes=names,
        head=prototype_head(
            here.tiny.prototypes,
            similarity(here.tiny.similarity, here.tiny.constant),
            here.tiny.weight,
            np.zeros(len(here.tiny.weight)),
            tuple(j % 3 for j in range(len(here.tiny.prototypes))),
            here.tiny.grid,
        ),
        measurement=np.array([[float(q) for q in row] for row in here.measurement]),
        predicted=here.predicted,
        fields=(FIELD,),
    )


def gray(height: int, width: int) -> Image:
    """A diagonal gradient."""
    total = np.add.outer(np.arange(height), np.arange(width))
    return (255 * total / total.max()).astype(np.uint8)


def make_page(
    vocabulary: str = "ceiling", names: tuple[str, ...] = NAMES, **changes: Any
) -> ExplanationPage:
    """A page with pictures; ``changes`` replace fields of it afterwards."""
    here = make_scene()
    certificate = file(make_core(here, vocabulary))
    page = explanation_page(
        envelope=read_certificate(certificate),
        check=check(certificate, here.data),
        reading=make_reading(here, names),
        picture=gray(8, 8),
        input_name="x.npy[3]",
        model=PageModel("tiny", "ab" * 32, here.tiny.grid, (("Trained on", "dots"),)),
        certificate=PageCertificate("tiny.cert.json", "cd" * 32, RECHECK),
        sizes=(
            PageSize("topk", None, None, "unknown (uncertified)", 0.01),
            PageSize(vocabulary, 6, 14, "proved", 0.02),
        ),
        seconds=0.03,
        patches=Patches(
            tuple(gray(5, 4) for _ in range(6)), tuple(f"training image {j}" for j in range(6))
        ),
    )
    return replace(page, **changes)


def rejected(vocabulary: str = "ceiling") -> tuple[Scene, Core, CheckReport]:
    """A certificate shown with the wrong model, and what the checker says."""
    here = make_scene()
    content = make_core(here, vocabulary)
    return here, content, check(file(content), make_scene(4).data)


def bare_fact(number: int) -> PageFact:
    """A fact without pictures, for pages with very many."""
    return PageFact("pair", f"Fact {number}.", prototype=number, location=(number % 2, 0))
