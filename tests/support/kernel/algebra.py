"""Random small heads of every kind as the checker has them, and what they compute in float64.

No graph is read here: heads are made from exact numbers. The float64 side is written from the
definitions and shares nothing with the checker.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import (
    ActivationFact,
    BallDomain,
    BoxDomain,
    CeilingFact,
    Core,
    Domain,
    Fact,
    FreeDomain,
    Instance,
    IntervalEvidence,
    ModelIdentity,
    Move,
    PairFact,
    SimplexDomain,
    SphereDomain,
)
from protoproof.kernel.arithmetic.exact import float32_integers
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.witness import departures, materialise
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision, Node
from protoproof.kernel.model.head import Geometry, Head, Pooling, PoolingKind

Array = NDArray[np.float64]
Program = tuple[tuple[str, tuple[float, ...]], ...]
SLACK = 2.0**-16
COUNT, CHANNELS, CLASSES = 5, 4, 3

_STEPS: dict[str, Callable[[Array, Array], Array]] = {
    "add": lambda t, c: t + c,
    "mul": lambda t, c: t * c,
    "div_root": lambda t, c: t / np.sqrt(c),
    "max": np.maximum,
    "min": np.minimum,
    "sqrt": lambda t, _: np.sqrt(t),
    "exp": lambda t, _: np.exp(t),
    "log": lambda t, _: np.log(t),
    "reciprocal": lambda t, _: 1 / t,
    "one_plus": lambda t, c: 1 + c / t,
    "sigmoid": lambda t, _: 1 / (1 + np.exp(-t)),
    "abs": lambda t, _: np.abs(t),
    "zero_below": lambda t, c: np.where(t < c, 0.0, t),
}


@dataclass(frozen=True)
class Kind:
    """One row of the list: what a head is made of, and the domain of its latents."""

    geometry: Geometry
    chain: str
    pooling: PoolingKind = "nearest"
    decision: str = "linear"
    domain: str = "free"
    locations: int = 2
    banks: int = 1
    floor: float = 0.0
    added: float = 0.0


ROWS: dict[str, Kind] = {
    "distances": Kind("euclidean", "log ratio"),
    "distances in a box": Kind("euclidean", "log ratio", domain="box"),
    "folded norms": Kind("euclidean", "folded"),
    "roots of distances": Kind("euclidean", "root", domain="box"),
    "own temperatures": Kind("euclidean", "own exponentials"),
    "negated distances": Kind("euclidean", "negated", decision="best"),
    "distances on a sphere": Kind("euclidean", "exponential", domain="sphere"),
    "distances in a ball": Kind("euclidean", "exponential", domain="ball"),
    "distances on a simplex": Kind("euclidean", "exponential", domain="simplex"),
    "labels by distance": Kind("euclidean", "exponential", decision="labels"),
    "a tree of distances": Kind("euclidean", "exponential", decision="tree"),
    "a greedy tree of distances": Kind("euclidean", "exponential", decision="greedy"),
    "the largest leaf by distance": Kind("euclidean", "exponential", decision="sample-max"),
    "two banks of distances": Kind("euclidean", "log ratio", banks=2, locations=4),
    "means of distances": Kind("euclidean", "exponential", "mean", locations=3),
    "focal distances": Kind("euclidean", "exponential", "focal", locations=3),
    "sums of distances in a box": Kind("euclidean", "exponential", "sum", domain="box"),
    "scaled distances": Kind("diagonal", "exponential"),
    "scaled distances in a box": Kind("diagonal", "own exponentials", domain="box"),
    "angles": Kind("angular", "negated"),
    "own scales of angles": Kind("angular", "own scales"),
    "angles, cut off": Kind("angular", "cut off"),
    "angles of a box": Kind("angular", "negated", domain="box"),
    "angles with a floor": Kind("angular", "negated", floor=0.75),
    "angles with an addend": Kind("angular", "negated", floor=0.25, added=0.125),
    "labels by angle": Kind("angular", "negated", decision="labels"),
    "best angles": Kind("angular", "negated", decision="best"),
    "a greedy tree of angles": Kind("angular", "sigmoid", decision="greedy"),
    "the largest leaf by angle": Kind("angular", "sigmoid", decision="sample-max"),
    "a tree of angles": Kind("angular", "sigmoid", decision="tree"),
    "two banks of angles": Kind("angular", "negated", banks=2, locations=4),
    "means of angles": Kind("angular", "negated", "mean", locations=3),
    "products": Kind("linear", "negated"),
    "products in a box": Kind("linear", "negated", domain="box"),
    "products of positive numbers": Kind("linear", "clamped", domain="half"),
    "products on a sphere": Kind("linear", "negated", domain="sphere"),
    "products in a ball": Kind("linear", "exponential", domain="ball"),
    "channels": Kind("linear", "negated", domain="simplex"),
    "most similar channels": Kind(
        "linear", "negated", "k-largest mean", domain="simplex", locations=3
    ),
    "focal channels": Kind("linear", "negated", "focal", domain="simplex", locations=3),
    "sums of channels": Kind("linear", "negated", "sum", domain="simplex"),
    "sigmoids of products": Kind("linear", "sigmoid", decision="tree", domain="box"),
    "unbounded sigmoids": Kind("linear", "sigmoid"),
}
NAMES = tuple(ROWS)


def _own(rng: np.random.Generator, low: float, high: float) -> tuple[float, ...]:
    return tuple(float(np.float32(low + (high - low) * x)) for x in rng.random(COUNT))


def _program(name: str, rng: np.random.Generator) -> Program:
    rows: dict[str, Program] = {
        "log ratio": (("add", (0.0625,)), ("one_plus", (0.9375,)), ("log", ())),
        "folded": (
            ("add", _own(rng, -0.01, 0.01)),
            ("max", (0.0,)),
            ("add", (0.0625,)),
            ("one_plus", (0.9375,)),
            ("log", ()),
        ),
        "root": (("sqrt", ()), ("mul", (-1.0,)), ("exp", ())),
        "own exponentials": (("mul", tuple(-c for c in _own(rng, 0.5, 2.0))), ("exp", ())),
        "exponential": (("mul", (-1.5,)), ("exp", ())),
        "negated": (("mul", (-1.0,)),),
        "own scales": (("mul", tuple(-c for c in _own(rng, 0.5, 2.0))),),
        "cut off": (("mul", (-1.0,)), ("zero_below", (0.125,))),
        "clamped": (("mul", (-1.0,)), ("max", (0.0,))),
        "sigmoid": (("mul", (-3.0,)), ("add", (0.25,)), ("sigmoid", ())),
    }
    return rows[name]


def _chain(program: Program) -> Chain:
    return Chain([Step(name, tuple(map(Fraction, constants))) for name, constants in program])


def _applied(program: Program, t: Array) -> Array:
    for name, constants in program:
        t = _STEPS[name](t, np.array(constants or (0.0,)))
    return t


@dataclass(frozen=True, eq=False)
class Made:
    """A head, a recorded latent, and the same head in float64."""

    kind: Kind
    head: Head
    latent: NDArray[np.float32]
    domain: Domain
    prototypes: Array
    scales: Array | None
    program: Program
    inner: Program
    weight: Array
    bias: Array
    banks: tuple[tuple[int, ...], tuple[int, ...]]
    known: dict[str, Any] = field(default_factory=dict)

    def measurement(self, z: Array) -> Array:
        """[..., L, P] of latents [..., L, D]."""
        p = self.prototypes
        if self.kind.geometry in ("euclidean", "diagonal"):
            scales = np.ones_like(p) if self.scales is None else self.scales
            found = (scales * (z[..., None, :] - p) ** 2).sum(-1)
        else:
            found = -z @ p.T
        if self.kind.geometry == "angular":
            length = np.sqrt((z**2).sum(-1, keepdims=True) + self.kind.added)
            found = found / np.maximum(np.maximum(length, self.kind.floor), 1e-300)
        return np.asarray(found)

    def pooled(self, z: Array) -> Array:
        """[..., P]."""
        apart = np.array(self.banks[0])[:, None] != np.array(self.banks[1])
        m = self.measurement(z)
        if self.kind.pooling == "nearest":
            return np.where(apart, np.inf, m).min(-2)
        s = _applied(self.inner, m)
        match self.kind.pooling:
            case "mean":
                return np.asarray(s.mean(-2))
            case "sum":
                return np.asarray(s.sum(-2))
            case "focal":
                return np.asarray(s.max(-2) - s.mean(-2))
        return np.asarray(np.sort(s, axis=-2)[..., -2:, :].mean(-2))

    def activation(self, z: Array) -> Array:
        """[..., P]."""
        return _applied(self.program, self.pooled(z))

    def scores(self, z: Array) -> Array:
        """[..., K]."""
        a = self.activation(z)
        decision = self.head.decision
        if decision.kind == "best":
            a = np.stack([a[..., list(group)].max(-1) for group in decision.groups], -1)
        if decision.kind == "tree" and decision.routing != "distributed":
            ways = self._ways(a, 0)
            greedy = decision.routing == "greedy"
            found = [s.min(-1) > 0.5 if greedy else s.prod(-1) for _, _, s in ways]
            leaves = np.array([leaf for leaf, _, _ in ways])[np.stack(found).argmax(0)]
            return np.asarray(self.weight.T[leaves])
        if decision.kind == "tree":
            return self._tree(a, 0)
        return np.asarray(a @ self.weight.T + self.bias)

    def _tree(self, a: Array, node: int) -> Array:
        if node < 0:
            return np.asarray(self.weight[:, -1 - node])
        found = self.head.decision.nodes[node]
        s = a[..., found.prototype, None]
        return (1 - s) * self._tree(a, found.left) + s * self._tree(a, found.right)

    def _ways(self, a: Array, node: int) -> list[tuple[int, tuple[int, ...], Array]]:
        """Per leaf: its number, the places on the way to it, and the shares there [..., step]."""
        if node < 0:
            return [(-1 - node, (node,), np.ones((*a.shape[:-1], 1)))]
        found, below = self.head.decision.nodes[node], []
        s = a[..., found.prototype, None]
        for child, share in ((found.left, 1 - s), (found.right, s)):
            for leaf, places, shares in self._ways(a, child):
                below.append((leaf, (node, *places), np.concatenate([share, shares], -1)))
        return below

    def _ahead(self, a: Array, rival: int) -> Array:
        """Pair by pair of a bad and a good leaf, what the decision's module says in words."""
        routing, here = self.head.decision.routing, self.instance.predicted
        ways = self._ways(a, 0)
        good = [w for w in ways if self.weight[here, w[0]] > self.weight[rival, w[0]]]
        known = {leaf for leaf, _, _ in good}
        bad = [w for w in ways if w[0] not in known]
        worst = np.full(a.shape[:-1], 1.0)
        for _, places, shares in bad:
            if routing == "greedy":
                worst = np.minimum(worst, (0.5 - shares).max(-1))
                continue
            best = np.full(a.shape[:-1], -1.0)
            for _, others, theirs in good:
                common = next(n for n, (x, y) in enumerate(zip(places, others, strict=False))
                              if x != y) - 1  # fmt: skip
                gap = theirs[..., common:].prod(-1) - shares[..., common:].prod(-1)
                best = np.maximum(best, gap)
            worst = np.minimum(worst, best)
        return worst

    def margin(self, z: Array, rival: int) -> Array:
        """[...]: what has to be positive."""
        scores = self.scores(z)
        if self.kind.decision in ("greedy", "sample-max"):
            return self._ahead(self.activation(z), rival)
        if self.kind.decision == "labels":
            return scores[..., rival] * (1 if rival in self.instance.labels else -1)
        return np.asarray(scores[..., self.instance.predicted] - scores[..., rival])

    @property
    def instance(self) -> Instance:
        scores = self.scores(self.latent.astype(np.float64))
        labels = self.kind.decision == "labels"
        return Instance(
            input_sha256="0" * 64,
            locations=len(self.latent),
            channels=CHANNELS,
            latent=base64.b64encode(self.latent.astype("<f4").tobytes()).decode(),
            predicted=0 if labels else int(np.argmax(scores)),
            labels=tuple(np.flatnonzero(scores > 0).tolist()) if labels else (),
        )

    @property
    def rivals(self) -> tuple[int, ...]:
        if self.kind.decision == "labels":
            return tuple(range(CLASSES))
        return tuple(k for k in range(CLASSES) if k != self.instance.predicted)

    @property
    def exact(self) -> Latent:
        return Latent(self.head, self.latent)

    @property
    def where(self) -> LatentDomain:
        return read_domain(self.domain, len(self.latent), CHANNELS)

    def core(self, facts: tuple[Fact, ...], **evidence: Any) -> Core:
        """A certificate of interval facts; whether they suffice is another question."""
        identity = ModelIdentity(
            sha256="0" * 64,
            latent=("latent",),
            output="logits",
            geometry=self.kind.geometry,
            pooling=(self.kind.pooling,),
            decision=self.head.decision.kind,
            routing=self.head.decision.routing if self.head.decision.kind == "tree" else None,
        )
        return Core(
            tool="tests",
            level="R",
            model=identity,
            instance=self.instance,
            domain=self.domain,
            vocabulary="mixed",
            premises="interval",
            facts=facts,
            rivals=self.rivals,
            evidence=IntervalEvidence(**evidence),
        )

    def measured(self) -> list[tuple[int, int]]:
        """Locations and prototypes of one bank."""
        first, second = self.banks
        return [(k, j) for k, a in enumerate(first) for j, b in enumerate(second) if a == b]

    def pair(self, location: int, prototype: int, room: float) -> PairFact:
        value = float(self.measurement(self.latent.astype(np.float64))[location, prototype])
        ends = (value - room).hex(), (value + room).hex()
        return PairFact(location=location, prototype=prototype, lower=ends[0], upper=ends[1])

    def activation_fact(self, prototype: int, room: float) -> ActivationFact:
        value = float(self.pooled(self.latent.astype(np.float64))[prototype])
        ends = (value - room).hex(), (value + room).hex()
        return ActivationFact(prototype=prototype, lower=ends[0], upper=ends[1])

    def levels(self, z: Array) -> Array:
        return self.pooled(z) if self.head.uniform else -self.activation(z)

    def ceiling(self, exempt: tuple[int, ...], room: float) -> CeilingFact:
        levels = self.levels(self.latent.astype(np.float64))
        rest = [float(level) for j, level in enumerate(levels) if j not in exempt]
        return CeilingFact(bound=(min(rest) - room).hex(), exempt=exempt)

    def meets(self, facts: tuple[Fact, ...], z: Array) -> NDArray[np.bool_]:
        """[...]: which latents certainly meet all facts, up to float64 rounding."""
        good = np.ones(z.shape[:-2], dtype=bool)
        m, t, levels = self.measurement(z), self.pooled(z), self.levels(z)
        for fact in facts:
            if isinstance(fact, CeilingFact):
                rest = [j for j in range(COUNT) if j not in fact.exempt]
                good &= (levels[..., rest] >= float.fromhex(fact.bound)).all(-1)
                continue
            pair = isinstance(fact, PairFact)
            value = m[..., fact.location, fact.prototype] if pair else t[..., fact.prototype]  # type: ignore[union-attr]
            good &= (value >= float.fromhex(fact.lower)) & (value <= float.fromhex(fact.upper))
        return good

    def inside(self, z: Array) -> Array:
        """The nearest latents of the domain, or some near ones."""
        match self.kind.domain:
            case "box":
                return np.clip(z, 0.0, 1.0)
            case "half":
                return np.maximum(z, 0.0)
            case "sphere":
                return z / np.linalg.norm(z, axis=-1, keepdims=True)
            case "ball":
                return z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1.0)
            case "simplex":
                positive = np.maximum(z, 1e-12)
                return np.asarray(positive / positive.sum(-1, keepdims=True))
        return z

    def samples(self, rng: np.random.Generator, count: int) -> Array:
        """[count, L, D] of the domain: near the recorded latent, and anywhere."""
        near = 10.0 ** rng.uniform(-4, 0.5, (count, 1, 1)) * rng.normal(
            size=(count, *self.latent.shape)
        )
        anywhere = rng.random(count) < 0.2
        start = np.where(anywhere[:, None, None], 0.0, self.latent.astype(np.float64))
        return self.inside(start + near)


def _domain(name: str) -> Domain:
    zero, one, slack = (0.0).hex(), (1.0).hex(), SLACK.hex()
    return {
        "free": FreeDomain(),
        "box": BoxDomain(lower=zero, upper=one),
        "half": BoxDomain(lower=zero, upper=None),
        "sphere": SphereDomain(slack=slack),
        "ball": BallDomain(slack=slack),
        "simplex": SimplexDomain(slack=slack),
    }[name]  # type: ignore[return-value]


def _integers(values: Array) -> tuple[list[int], int]:
    return float32_integers(values.astype(np.float32))


def _decision(kind: str, rng: np.random.Generator) -> tuple[Decision, Array, Array]:
    routing = kind if kind in ("greedy", "sample-max") else "distributed"
    kind = "tree" if kind == routing else kind
    columns = {"best": CLASSES, "tree": COUNT}.get(kind, COUNT)
    owner = np.arange(columns) % CLASSES
    weight = np.where(owner == np.arange(CLASSES)[:, None], 1.0, -0.5)
    weight = np.float32(weight + rng.normal(0, 0.1, weight.shape)).astype(np.float64)
    bias = np.float32(rng.normal(0, 0.1, CLASSES)).astype(np.float64)
    groups = ((0, 3), (1, 4), (2,)) if kind == "best" else ()
    # the root, its two children, and a second node of the prototype that the left child has
    nodes = (Node(0, 1, 2), Node(1, -1, 3), Node(2, -2, -3), Node(3, -4, -5))
    if kind == "tree":
        bias = np.zeros(CLASSES)
    flat, shift = _integers(np.concatenate([weight.ravel(), bias]))
    rows = [flat[k * columns : (k + 1) * columns] for k in range(CLASSES)]
    made = Decision(
        kind,  # type: ignore[arg-type]
        COUNT, rows, flat[weight.size :], shift, groups, nodes if kind == "tree" else (),
        routing=routing,  # type: ignore[arg-type]
    )  # fmt: skip
    return made, weight, bias


def made(name: str, seed: int) -> Made:
    """A random head of a row, with a latent near some of its prototypes."""
    kind, rng = ROWS[name], np.random.default_rng((seed, NAMES.index(name)))
    offset = 0.0 if kind.domain in ("box", "half", "simplex") else 0.5
    points = np.float32(rng.random((COUNT, CHANNELS)) - offset).astype(np.float64)
    scales = None
    if kind.geometry == "diagonal":
        scales = np.float32(rng.random(points.shape) * (rng.random(points.shape) < 0.8))
        scales = scales.astype(np.float64)
    program = _program(kind.chain, rng)
    inner: Program = ()
    if kind.pooling != "nearest":
        inner, program = program, (("mul", (1.0,)),)
    first = tuple(k * kind.banks // kind.locations for k in range(kind.locations))
    second = tuple(j * kind.banks // COUNT for j in range(COUNT))
    decision, weight, bias = _decision(kind.decision, rng)
    largest = 2 if kind.pooling == "k-largest mean" else 0
    head = Head(
        kind.geometry, _integers(points), None if scales is None else _integers(scales),
        _chain(program), _chain(inner), [Pooling(kind.pooling, largest)] * COUNT, decision,
        first, second, CHANNELS, Fraction(kind.floor), Fraction(kind.added),
    )  # fmt: skip
    bare = Made(
        kind, head, np.zeros((kind.locations, CHANNELS), np.float32), _domain(kind.domain),
        points, scales, program, inner, weight, bias, (first, second),
    )  # fmt: skip
    latent = points[rng.integers(0, COUNT, kind.locations)]
    latent = bare.inside(latent + rng.normal(0, 0.2, latent.shape)).astype(np.float32)
    return Made(
        kind, head, latent, bare.domain, points, scales, program, inner, weight, bias,
        (first, second),
    )  # fmt: skip


def losing(here: Made, rng: np.random.Generator) -> Iterator[tuple[int, tuple[Move, ...]]]:
    """Moves that lose to a rival, in the domain."""
    z = here.latent.astype(np.float64)
    for _ in range(300):
        step = 10.0 ** rng.uniform(-1, 0.5) * rng.normal(size=z.shape)
        target = here.inside(z + step).astype(np.float32)
        step32 = (target - here.latent).astype("<f4")
        moves = tuple(
            Move(location=k, keep=(), direction=base64.b64encode(row.tobytes()).decode())
            for k, row in enumerate(step32)
        )
        there = (here.latent + step32).astype(np.float64)
        for rival in here.rivals:
            if here.margin(there, rival) < -1e-4:
                points = materialise(here.exact, here.where, moves)
                if not list(departures(here.where, here.exact, points)):
                    yield rival, moves


def tight_activation(exact: Latent, prototype: int) -> ActivationFact:
    value = exact.best(prototype)
    return ActivationFact(prototype=prototype, lower=value.down().hex(), upper=value.up().hex())
