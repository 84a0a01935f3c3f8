"""Two checkers that share no code agree on honest, weak and forged certificates."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from protoproof.kernel import check
from tests.support.heads import SIMILARITIES
from tests.support.kernel.algebra import NAMES
from tests.support.kernel.builders import Scene, core, file, pair_core, scene, topk_core
from tests.support.kernel.relational import fewest, relational_core
from tests.support.kernel.second_checker import second_check
from tests.trust.second import compared


def variants(here: Scene, rng: np.random.Generator, box: bool) -> list[Any]:
    """Certificates of all vocabularies, and changes that may or may not matter."""
    count = len(here.best)
    honest = pair_core(here, int(rng.integers(99)), box=box)
    drop = int(rng.integers(len(honest.facts)))
    fewer = [fact for index, fact in enumerate(honest.facts) if index != drop]
    mixed = [here.activation(int(rng.integers(count))), *honest.facts]
    result = [honest, core(here, mixed, "mixed", box=box)]
    result += [topk_core(here, k, box=box) for k in range(1, count + 1)]
    named = fewest(here, int(rng.integers(99)))
    result += [relational_core(here, named, box=box), relational_core(here, named, forms=False)]
    if fewer:
        result.append(core(here, fewer, "pairs", box=box))
    return [json.loads(file(content)) for content in result]


def disturb(document: Any, rng: np.random.Generator) -> Any:
    """One random change of a number somewhere in the proof or the premises."""
    content = json.loads(json.dumps(document))
    inner = content["core"]
    forms = [f for f in inner["evidence"]["forms"] if f["multipliers"]]
    choice = int(rng.integers(6 if forms else 4))
    blocks = [b for b in inner["evidence"]["blocks"] if b["lower"]["theta"]]
    if choice == 0 and blocks:
        block = blocks[int(rng.integers(len(blocks)))]
        part = block["lower" if rng.random() < 0.5 else "upper"]["theta"]
        row = part[int(rng.integers(len(part)))]
        row[int(rng.integers(len(row)))] += int(rng.integers(-(2**41), 2**41))
    elif choice == 1:
        fact = inner["facts"][int(rng.integers(len(inner["facts"])))]
        field = "bound" if "bound" in fact else str(rng.choice(["lower", "upper"]))
        value = math.nextafter(float.fromhex(fact[field]), math.inf * rng.choice([-1, 1]))
        fact[field] = value.hex()
    elif choice == 2:
        inner["premises"] = "interval"
        for fact in inner["facts"]:
            if "upper" in fact:
                width = 1 + 10.0 ** float(rng.uniform(-9, 0))
                fact["upper"] = (float.fromhex(fact["upper"]) * width).hex()
    elif choice == 4:
        for place in forms[int(rng.integers(len(forms)))]["multipliers"]:
            place["mu"] = [round(m * float(rng.choice([-1, 0.5, 0.99, 2]))) for m in place["mu"]]
    elif choice == 5:
        for entry in forms[int(rng.integers(len(forms)))]["supports"]:
            entry["at"] = (float.fromhex(entry["at"]) * float(rng.uniform(0, 3))).hex()
    else:
        inner["rivals"] = inner["rivals"][1:] or inner["rivals"] * 2
    return content


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("box", [False, True])
@pytest.mark.trust(23)
def test_both_checkers_agree(similarity: str, box: bool) -> None:
    verdicts = {True: 0, False: 0}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        here = scene(100 + seed, similarity=similarity)
        for document in variants(here, rng, box):
            for content in (document, disturb(document, rng)):
                data = json.dumps(content).encode()
                report = check(data, here.data)
                assert report.accepted == second_check(data, here.data), report.failures
                verdicts[report.accepted] += 1
    assert min(verdicts.values()) >= 20
    assert sum(verdicts.values()) >= 80


@pytest.mark.trust(23)
@pytest.mark.parametrize("name", NAMES)
def test_both_checkers_agree_on_heads_and_domains_of_every_kind(name: str) -> None:
    """``python -m tests.trust second`` compares ten thousand."""
    count, accepted, apart = compared(name, 0, 6)
    assert not apart
    assert 0 < accepted < count
