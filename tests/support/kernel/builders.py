"""Certificates of tiny networks, built naively with fractions and least squares.

Nothing of the prover is used: facts come from exact fractions, multipliers from the closed form of
the exact interval (theory, section 3), rounded to dyadic numbers.
"""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate import canonical_bytes
from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    CeilingFact,
    Core,
    Envelope,
    Fact,
    FreeDomain,
    ImpliedBound,
    Instance,
    IntervalEvidence,
    ModelIdentity,
    PairBlock,
    PairFact,
    Rows,
)
from protoproof.kernel.model.file import BoundHead, ModelFile
from protoproof.kernel.model.head import Head
from tests.support.kernel.models import Tiny, random_tiny, sha256

SHIFT = 40
INPUT = sha256("input")
SIMILARITIES: dict[str, Callable[[float, float], float]] = {
    "log_ratio": lambda q, c: math.log((q + 1) / (q + c)) if q < math.inf else 0.0,
    "exponential": lambda q, c: math.exp(-q / c),
    "negated": lambda q, c: -q,
    "reciprocal": lambda q, c: 1 / (q + 1),
}


def exact(values: Iterable[float]) -> list[Fraction]:
    return [Fraction(float(value)) for value in values]


def distance(z: Sequence[Fraction], p: Sequence[Fraction]) -> Fraction:
    return sum(((a - b) ** 2 for a, b in zip(z, p, strict=True)), Fraction(0))


def down(value: Fraction) -> float:
    """The largest float64 that is not above."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def up(value: Fraction) -> float:
    return -down(-value)


@dataclass
class Scene:
    """A tiny network with one recorded latent; [L, P] exact squared distances."""

    tiny: Tiny
    latent: NDArray[np.float32]

    def __post_init__(self) -> None:
        prototypes = [exact(p) for p in self.tiny.prototypes]
        points = [exact(z) for z in self.latent]
        self.measurement = [[distance(z, p) for p in prototypes] for z in points]
        self.best = [min(column) for column in zip(*self.measurement, strict=True)]
        self.predicted = int(np.argmax(self.logits([float(q) for q in self.best])))
        self.data = self.tiny.data

    @property
    def rivals(self) -> list[int]:
        return [k for k in range(len(self.tiny.weight)) if k != self.predicted]

    def similarity(self, q: float) -> float:
        return SIMILARITIES[self.tiny.similarity](q, self.tiny.constant)

    def logits(self, best: Sequence[float]) -> NDArray[np.float64]:
        activation = np.array([self.similarity(q) for q in best])
        bias = 0.0 if self.tiny.bias is None else self.tiny.bias.astype(np.float64)
        return np.asarray(self.tiny.weight.astype(np.float64) @ activation + bias)

    def pair(self, location: int, prototype: int) -> PairFact:
        q = self.measurement[location][prototype]
        return PairFact(
            location=location, prototype=prototype, lower=down(q).hex(), upper=up(q).hex()
        )

    def activation(self, prototype: int) -> ActivationFact:
        q = self.best[prototype]
        return ActivationFact(prototype=prototype, lower=down(q).hex(), upper=up(q).hex())

    def ceiling(self, prototype: int, exempt: Iterable[int]) -> CeilingFact:
        bound = down(self.best[prototype]).hex()
        return CeilingFact(bound=bound, exempt=tuple(sorted(exempt)))

    def implied(self, facts: Sequence[Fact]) -> tuple[ImpliedBound, ...]:
        """For every prototype, the best bound that an activation fact about another one gives."""
        p = self.tiny.prototypes.astype(np.float64)
        named = {f.prototype: f for f in facts if isinstance(f, ActivationFact)}
        result = []
        for j in range(len(p)):
            reach = {
                i: math.sqrt(float.fromhex(f.upper)) + float(np.linalg.norm(p[i] - p[j]))
                for i, f in named.items()
                if i != j
            }
            if reach:
                via = min(reach, key=reach.__getitem__)
                near = math.sqrt(float.fromhex(named[via].upper))
                stretch = (reach[via] - near) / near if near > 0 else 2.0**30
                clipped = min(max(stretch, 2.0**-30), 2.0**30)
                result.append(ImpliedBound(prototype=j, via=via, stretch=clipped.hex()))
        return tuple(result)

    def kept_off(self, facts: Sequence[Fact]) -> tuple[ImpliedBound, ...]:
        """For every prototype, the best lower bound that a fact about another one gives, where that
        says more than the facts about itself."""
        p = self.tiny.prototypes.astype(np.float64)
        far: dict[int, float] = {}
        for fact in facts:
            if isinstance(fact, ActivationFact):
                bounds = {fact.prototype: float.fromhex(fact.lower)}
            elif isinstance(fact, CeilingFact):
                under = set(range(len(p))).difference(fact.exempt)
                bounds = dict.fromkeys(under, float.fromhex(fact.bound))
            else:
                bounds = {}
            far = {j: max(far.get(j, 0.0), bounds.get(j, 0.0)) for j in {*far, *bounds}}
        result = []
        for j in range(len(p)):
            reach = {
                i: math.sqrt(least) - float(np.linalg.norm(p[i] - p[j]))
                for i, least in far.items()
                if i != j
            }
            via = max(reach, key=reach.__getitem__, default=None)
            if via is not None and reach[via] > math.sqrt(far.get(j, 0.0)):
                stretch = reach[via] / math.sqrt(far[via]) - 1
                clipped = min(max(stretch, 2.0**-30 - 1), -(2.0**-30))
                result.append(ImpliedBound(prototype=j, via=via, stretch=clipped.hex()))
        return tuple(result)

    def hull(self, location: int, named: Sequence[int]) -> tuple[NDArray[np.float64], float]:
        """Projection of v_l on the affine hull of the named prototypes, and its distance."""
        p = self.tiny.prototypes.astype(np.float64)
        v = self.latent[location].astype(np.float64)
        foot = project(v, p[list(named)])
        return foot, float(np.linalg.norm(v - foot))

    def interval(self, location: int, named: Sequence[int], prototype: int) -> tuple[float, float]:
        """The exact interval of theory, section 3, in float64."""
        if prototype in named:
            q = float(self.measurement[location][prototype])
            return q, q
        if not named:
            return 0.0, math.inf
        p = self.tiny.prototypes.astype(np.float64)
        foot, radius = self.hull(location, named)
        own = project(p[prototype], p[list(named)])
        beta = float(np.linalg.norm(p[prototype] - own))
        along = float(((own - foot) ** 2).sum())
        return along + (beta - radius) ** 2, along + (beta + radius) ** 2

    def row(self, location: int, named: Sequence[int], prototype: int, sign: int) -> list[int]:
        """Multipliers over 2**SHIFT that attain the interval's end, up to rounding.

        The latent that attains it is z* = foot + sign * radius * beta / |beta|, where the bracket
        of the Lagrangian has its minimum A z* = sign p_j + sum theta_i p_i.
        """
        p = self.tiny.prototypes.astype(np.float64)
        foot, radius = self.hull(location, named)
        beta = p[prototype] - project(p[prototype], p[list(named)])
        size = max(float(np.linalg.norm(beta)), 1e-6)
        leading = size / max(radius, 1e-6)
        target = leading * (foot + sign * radius * beta / size) - sign * p[prototype]
        system = np.vstack([p[list(named)].T, np.ones(len(named))])
        theta = np.linalg.lstsq(system, np.append(target, leading - sign), rcond=None)[0]
        # keep A > 0 whatever the rounding did
        integers = [round(value * 2**SHIFT) for value in theta.tolist()]
        if (sign << SHIFT) + sum(integers) <= 0:
            integers[0] += 1 - sum(integers) - (sign << SHIFT)
        return integers

    def block(self, location: int, named: Sequence[int]) -> PairBlock:
        others = [j for j in range(len(self.tiny.prototypes)) if j not in named]

        def rows(sign: int) -> Rows:
            theta = tuple(tuple(self.row(location, named, j, sign)) for j in others)
            return Rows(prototypes=tuple(others), theta=theta)

        return PairBlock(
            location=location, facts=tuple(named), shift=SHIFT, lower=rows(1), upper=rows(-1)
        )


def project(point: NDArray[np.float64], hull: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthogonal projection on the affine hull of the rows."""
    directions = (hull[1:] - hull[0]).T
    if not directions.size:
        return np.asarray(hull[0])
    weights = np.linalg.lstsq(directions, point - hull[0], rcond=None)[0]
    return np.asarray(hull[0] + directions @ weights)


def scene(seed: int, **changes: Any) -> Scene:
    """A random network and a random latent in [0, 1] that it predicts with a clear margin."""
    for attempt in itertools.count():
        tiny = random_tiny(seed + 1000 * attempt, **changes)
        rng = np.random.default_rng(seed + 7919 * attempt + 1)
        latent = rng.random((tiny.locations, tiny.prototypes.shape[1])).astype(np.float32)
        result = Scene(tiny, latent)
        first, second = np.sort(result.logits([float(q) for q in result.best]))[::-1][:2]
        if first - second > 1e-3:
            return result
    raise AssertionError


def bound_of(data: bytes) -> BoundHead:
    """The head that the checker reads from a tiny network's file."""
    return ModelFile(data).bound(("latent",), "logits")


def head_of(data: bytes) -> Head:
    return bound_of(data).head


def identity(tiny: Tiny, data: bytes) -> ModelIdentity:
    return ModelIdentity(
        sha256=sha256(data),
        latent=("latent",),
        output="logits",
        geometry="euclidean",
        pooling=("nearest",),
        decision="linear",
    )


def core(
    here: Scene,
    facts: Sequence[Fact],
    vocabulary: str,
    *,
    box: bool = False,
    blocks: Sequence[PairBlock] | None = None,
    **changes: Any,
) -> Core:
    """The certificate of a set of facts; blocks of all pair facts unless given."""
    if blocks is None:
        named: dict[int, list[int]] = {}
        for fact in facts:
            if isinstance(fact, PairFact):
                named.setdefault(fact.location, []).append(fact.prototype)
        blocks = [here.block(location, chosen) for location, chosen in named.items()]
    upper = (1.0).hex() if here.tiny.operator == "Sigmoid" else None
    fields: dict[str, Any] = {
        "tool": "tests",
        "level": "R",
        "model": identity(here.tiny, here.data),
        "instance": Instance(
            input_sha256=INPUT,
            locations=here.tiny.locations,
            channels=here.tiny.prototypes.shape[1],
            latent=base64.b64encode(here.latent.astype("<f4").tobytes()).decode(),
            predicted=here.predicted,
        ),
        "domain": BoxDomain(lower=(0.0).hex(), upper=upper) if box else FreeDomain(),
        "vocabulary": vocabulary,
        "premises": "exact",
        "facts": tuple(facts),
        "rivals": tuple(here.rivals),
        "evidence": IntervalEvidence(
            blocks=tuple(blocks), implied=(*here.implied(facts), *here.kept_off(facts))
        ),
    }
    return Core(**{**fields, **changes})


def file(content: Core) -> bytes:
    return canonical_bytes(Envelope(schema="protoproof.certificate/2", core=content))


def float_margins(here: Scene, named: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Interval margins in float64 when location l has pair facts about ``named[l]``."""
    count = len(here.tiny.prototypes)
    ends = [[here.interval(i, chosen, j) for j in range(count)] for i, chosen in enumerate(named)]
    low = [min(row[j][0] for row in ends) for j in range(count)]
    high = [min(row[j][1] for row in ends) for j in range(count)]
    weight = here.tiny.weight.astype(np.float64)
    result = []
    for rival in here.rivals:
        total = 0.0
        if here.tiny.bias is not None:
            total = float(here.tiny.bias[here.predicted]) - float(here.tiny.bias[rival])
        for j, w in enumerate(weight[here.predicted] - weight[rival]):
            total += w * here.similarity(high[j] if w > 0 else low[j])
        result.append(total)
    return np.array(result)


def few_pairs(here: Scene, seed: int = 0) -> list[list[int]]:
    """Pair facts per location, reduced in random order while float64 margins stay positive."""
    count = len(here.tiny.prototypes)
    named = [list(range(count)) for _ in range(here.tiny.locations)]
    pairs = [(location, j) for location in range(len(named)) for j in range(count)]
    for index in np.random.default_rng(seed).permutation(len(pairs)):
        location, prototype = pairs[index]
        fewer = [list(chosen) for chosen in named]
        fewer[location].remove(prototype)
        if (float_margins(here, fewer) > 1e-6).all():
            named = fewer
    return named


def pair_core(here: Scene, seed: int = 0, **changes: Any) -> Core:
    """An honest certificate with few pair facts."""
    named = few_pairs(here, seed)
    facts = [here.pair(location, j) for location, chosen in enumerate(named) for j in chosen]
    return core(here, facts, "pairs", **changes)


def topk_core(here: Scene, count: int | None = None, **changes: Any) -> Core:
    """The ``count`` most activated prototypes (all of them unless given) and the ceiling."""
    ranking = sorted(range(len(here.best)), key=lambda j: here.best[j])
    named = ranking[: count or len(ranking)]
    facts = [here.ceiling(named[-1], named), *(here.activation(j) for j in named)]
    return core(here, facts, "topk", **changes)


def ceiling_core(here: Scene, names: int, above: int) -> Core:
    ranking = sorted(range(len(here.best)), key=lambda j: here.best[j])
    facts: list[Fact] = [here.ceiling(ranking[above], ranking[:above])]
    facts += [here.activation(j) for j in sorted(ranking[:names])]
    return core(here, facts, "ceiling")
