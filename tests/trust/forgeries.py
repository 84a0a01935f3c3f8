"""Forged certificates of every kind of head and domain, made from honest ones by a program.

One value is changed at a time: a number by the least step and by much, a bit of stored numbers, a
name, an entry that is dropped, doubled or moved. Where a changed certificate is accepted all the
same, what it says must be true: its facts hold at the recorded latent, which is the network's, and
no sampled latent of the domain that meets them is predicted otherwise; every fact that it calls
necessary is one that its witness violates, alone.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core, Envelope, Witness
from protoproof.kernel import CheckReport, check
from protoproof.kernel.latent.witness import materialise
from tests.support.kernel.algebra import Made, losing, made
from tests.support.kernel.given import Given, honest
from tests.support.kernel.sampling import meeting

NEAR = 1e-7
_HEX = re.compile(r"-?0x[01]\.?[0-9a-f]*p[+-]\d+")
Path = tuple[str | int, ...]
# what is said about the tool, and names of tensors: these heads are given without a graph
_FREE: frozenset[Path] = frozenset(
    {("tool",), ("level",), ("model", "latent"), ("model", "output"), ("model", "routing")}
)


@dataclass
class Tally:
    """How many forgeries were tried; those accepted although true, and those accepted and false."""

    tried: int = 0
    harmless: int = 0
    false: list[str] = field(default_factory=list)


def original(name: str, seed: int) -> tuple[Made, Any]:
    """A head and an honest certificate: all pooled values, and a witness where one was found."""
    here, rng = made(name, seed), np.random.default_rng(seed)
    core = honest(here)
    for rival, moves in losing(here, rng):
        witness = Witness(fact=0, rival=rival, moves=moves)
        fewer = core.model_copy(update={"witnesses": (witness,)})
        if report(here, canonical_bytes(Envelope(core=fewer))).accepted:
            core = fewer
            break
    return here, json.loads(canonical_bytes(Envelope(core=core)))


def report(here: Made, content: bytes) -> CheckReport:
    return check(content, Given(here))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value of a document but the containers; lists themselves, too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
        return
    yield path, value
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))


def others(value: Any, rng: np.random.Generator) -> Iterator[Any]:
    """What may stand in a value's place."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, -value - 2, value + 1000)
    elif isinstance(value, str) and _HEX.fullmatch(value):
        number = float.fromhex(value)
        yield from (math.nextafter(number, end).hex() for end in (-math.inf, math.inf))
        yield from ((-number).hex(), (number + 1).hex(), (number - 1).hex(), (0.0).hex())
    elif isinstance(value, str):
        yield from _texts(value, rng)
    elif isinstance(value, list) and value:
        index = int(rng.integers(len(value)))
        yield value[:index] + value[index + 1 :]
        yield [*value, value[index]]
        yield value[::-1]
        yield []
    elif value is None:
        yield 0


def _texts(value: str, rng: np.random.Generator) -> Iterator[str]:
    yield value + "x"
    yield from _WORDS.get(value, ())
    if len(value) == 64:
        yield "0" * 63 + "1"
    try:
        stored = bytearray(base64.b64decode(value, validate=True))
    except ValueError:
        return
    if len(stored) >= 4 and len(stored) % 4 == 0:
        for bit in (0, 7):
            changed = bytearray(stored)
            changed[int(rng.integers(len(stored)))] ^= 1 << bit
            yield base64.b64encode(changed).decode()


_SETS = (
    ("euclidean", "diagonal", "linear", "angular"),
    ("nearest", "mean", "sum", "k-largest mean", "focal", "nearest less mean"),
    ("linear", "labels", "tree", "best"),
    ("distributed", "greedy", "sample-max"),
    ("topk", "ceiling", "pairs", "mixed", "path"),
    ("exact", "interval"),
    ("sphere", "ball", "simplex"),
)
_WORDS = {word: tuple(w for w in words if w != word) for words in _SETS for word in words}


def forged(
    document: Any, rng: np.random.Generator, free: Collection[Path] = _FREE
) -> Iterator[tuple[str, bytes]]:
    """Every forgery of a document: where, and the file.

    Args:
        free: what may be anything, and is left alone.
    """
    for path, value in list(leaves(document["core"])):
        if path[:1] in free or path[:2] in free:
            continue
        for other in others(value, rng):
            changed = json.loads(json.dumps(document))
            place = changed["core"]
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = other
            yield ".".join(map(str, path)), json.dumps(changed).encode()


def tried(name: str, seed: int, most: int | None = None) -> Tally:
    """The forgeries of one honest certificate (at random ``most`` of them)."""
    here, document = original(name, seed)
    tally, rng = Tally(), np.random.default_rng(seed)
    found = list(forged(document, rng))
    if most is not None:
        found = [found[k] for k in sorted(rng.permutation(len(found))[:most].tolist())]
    for path, content in found:
        tally.tried += 1
        told = report(here, content)
        if not told.accepted:
            continue
        if true(here, read_certificate(content).core, told, rng):
            tally.harmless += 1
        else:
            tally.false.append(f"{name} {seed}: {path}")
    return tally


def true(here: Made, core: Core, told: CheckReport, rng: np.random.Generator) -> bool:
    """Whether what an accepted certificate says is what sampled latents show."""
    same = core.model == here.core(()).model and core.instance.latent == here.instance.latent
    z = here.latent.astype(np.float64)
    if not same or not _hold(here, core, z):
        return False
    if any(here.margin(z, k) <= 0 for k in core.rivals) or not _claimed(here, core):
        return False
    sampled = meeting(here, core.facts, rng, 100)
    if any(here.margin(sampled, k).min() < -NEAR for k in core.rivals):
        return False
    return all(_needed(here, core, index) for index in told.necessary)


def _claimed(here: Made, core: Core) -> bool:
    instance = here.instance
    if here.kind.decision == "labels":
        return core.instance.labels == instance.labels and set(core.rivals) <= set(here.rivals)
    return core.instance.predicted == instance.predicted and core.rivals == here.rivals


def _hold(here: Made, core: Core, z: np.ndarray, without: int | None = None) -> bool:
    """Whether all facts hold, up to rounding of float64."""
    facts = [f for k, f in enumerate(core.facts) if k != without]
    wide = tuple(_wider(fact) for fact in facts)
    return bool(here.meets(wide, z))


def _wider(fact: Any) -> Any:
    if fact.kind == "ceiling":
        return fact.model_copy(update={"bound": (float.fromhex(fact.bound) - NEAR).hex()})
    low, high = float.fromhex(fact.lower) - NEAR, float.fromhex(fact.upper) + NEAR
    return fact.model_copy(update={"lower": low.hex(), "upper": high.hex()})


def _needed(here: Made, core: Core, index: int) -> bool:
    """Whether the witness of a fact meets the others and is predicted otherwise."""
    witness = next(w for w in core.witnesses if w.fact == index)
    points = materialise(here.exact, here.where, witness.moves)
    z = here.latent.astype(np.float64)
    for location, point in points.items():
        unit = point.denominator << here.exact.shift
        z[location] = [n / unit for n in point.numerators]
    lost = here.margin(z, witness.rival) < NEAR
    return bool(lost) and _hold(here, core, z, without=index)
