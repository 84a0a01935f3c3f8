"""Whether what an accepted certificate says of a network is so, found out without the checker.

The graph is evaluated by ONNX's reference operators in float64, from the tensors that the
certificate names; measurements are those of the prover's own reading of the graph; encoders run in
ONNX Runtime. What can be shown false, is: the recorded latent predicted otherwise, a fact that does
not hold there, a latent that meets the facts and is predicted otherwise (by graph, or by some
float32 execution where level F is claimed), a witness that is none, a smaller explanation, an input
of the region that leaves the box, the facts or the class.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import Core, Move, ReachDomain
from protoproof.errors import ProtoProofError
from protoproof.kernel.claims import (
    Alike,
    AtLeast,
    Claim,
    Contrast,
    Necessary,
    Robust,
    Sufficient,
)
from protoproof.kernel.latent.domain import read_domain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.witness import materialise
from protoproof.network import Network, load
from protoproof.network.head.decision import Tree
from protoproof.network.recorded import input_digest
from tests.support.foreign.precise import Precise
from tests.support.foreign.running import Floats, run
from tests.support.rounding import MODES, Rounded
from tests.trust.networks import Files

NEAR = 1e-6  # float64 against exact numbers, and of expanded distances
SAMPLES, INPUTS, TRIED = 60, 12, 4


class UnjudgedError(Exception):
    """The prover does not read the network, so nothing can be said here."""


def untrue(
    files: Files,
    core: Core,
    claims: Sequence[Claim],
    rng: np.random.Generator,
    least: int | None = None,
) -> str:
    """What is false of an accepted certificate; empty where nothing is found.

    Args:
        claims: what it is accepted to claim.
        least: a number of facts that suffices, where one is known.

    Raises:
        UnjudgedError: nothing can be found out.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(files.model)
        for name, content in files.data:
            (Path(folder) / name).write_bytes(content)
        identity = core.model
        try:
            network = load(
                path, latent=identity.latent, output=identity.output, routing=identity.routing
            )
            model = onnx.load(str(path))
        except ProtoProofError as error:
            raise UnjudgedError(str(error)) from error
        return next(Claimed(files, core, claims, network, model, rng, least).problems(), "")


@dataclass(eq=False)
class Claimed:
    """An accepted certificate, with another reading of its network."""

    files: Files
    core: Core
    claims: Sequence[Claim]
    network: Network
    model: onnx.ModelProto
    rng: np.random.Generator
    least: int | None = None

    def problems(self) -> Iterator[str]:
        """Everything that is false, one after the other."""
        yield from self._identity()
        yield from self._here()
        yield from self._domain()
        for claim in self.claims:
            if isinstance(claim, Necessary):
                yield from self._necessary(claim)
            elif isinstance(claim, Contrast):
                yield from self._contrast(claim)
            elif isinstance(claim, AtLeast):
                yield from self._least(claim)
            elif isinstance(claim, Alike) and not claim.everywhere:
                yield from self._alike(claim)
            elif isinstance(claim, Robust):
                yield from self._robust(claim.region)
            elif isinstance(claim, Sufficient):
                yield from self._sufficient(claim)

    def _identity(self) -> Iterator[str]:
        head, said, cuts = self.network.head, self.core.model, self.network.recognised
        about = head.geometry, tuple(sorted(set(head.pooling_of.kinds))), head.decision.kind
        stated = said.geometry, tuple(self.words(said.pooling)), said.decision
        if self.network.sha256 != said.sha256:
            yield "another hash"
        if (self.words(about[1]), about[0], about[2]) != (list(stated[1]), stated[0], stated[2]):
            yield f"the head is {about}"
        if cuts.latents != said.latent:
            yield f"the latents are {cuts.latents}"

    @staticmethod
    def words(kinds: Any) -> list[str]:
        """Poolings, as certificates call them."""
        return sorted({"largest": "k-largest mean"}.get(kind, kind) for kind in kinds)

    @cached_property
    def v(self) -> Floats:
        """[L, D]."""
        here = self.core.instance
        flat = np.frombuffer(base64.b64decode(here.latent), "<f4").astype(np.float64)
        return flat.reshape(here.locations, here.channels)

    # what the graph computes

    @cached_property
    def precise(self) -> Precise:
        found = self.network.recognised
        return Precise(self.model, found.latents, found.scores)

    @cached_property
    def whole(self) -> Precise:
        return Precise(self.model, self.network.recognised.latents, self.core.model.output)

    def tensors(self, z: Floats) -> dict[str, Floats]:
        """The tensors at the cuts for a latent [L, D]; numbers that no location has are 0."""
        found, first = {}, 0
        for cut in self.network.recognised.cuts:
            flat = found.setdefault(cut.tensor, np.zeros(int(np.prod(cut.shape))))
            rows = len(cut.sites)
            flat[cut.sites.reshape(-1)] = z[first : first + rows].reshape(-1)
            first += rows
        shapes = {cut.tensor: cut.shape for cut in self.network.recognised.cuts}
        return {name: flat.reshape(shapes[name]) for name, flat in found.items()}

    def scores(self, z: Floats) -> Floats:
        """By the graph, in float64; by the leaf where one leaf of a tree counts."""
        decision = self.network.head.decision
        if isinstance(decision, Tree) and decision.routing != "distributed":
            return self.read_scores(z)
        tensors = self.tensors(z)
        return self.precise([tensors[name] for name in self.precise.cuts])

    def read_scores(self, z: Floats) -> Floats:
        head = self.network.head
        return np.asarray(head.logits(head.activation(head.measurement(z))))

    def margin(self, scores: Floats) -> float:
        """By how much the claim holds: the least over the rivals, or the explained labels."""
        here = self.core.instance
        if self.core.model.decision == "labels":
            signs = [1 if k in here.labels else -1 for k in self.core.rivals]
            return float(min(s * scores[k] for s, k in zip(signs, self.core.rivals, strict=True)))
        others = np.delete(scores, here.predicted)
        return float(scores[here.predicted] - others.max())

    # facts

    def room(self, z: Floats, without: int | None = None) -> float:
        """By how much the facts hold, all but one: below 0 where one is violated."""
        head = self.network.head
        m = head.measurement(z)
        t = head.pooled(m)
        levels, least = head.levels(t), np.inf
        for index, fact in enumerate(self.core.facts):
            if index == without:
                continue
            if fact.kind == "ceiling":
                rest = np.delete(levels, list(fact.exempt))
                least = min(least, *(rest - float.fromhex(fact.bound)), np.inf)
                continue
            pair = fact.kind == "pair"
            value = m[fact.location, fact.prototype] if pair else t[fact.prototype]
            least = min(least, value - float.fromhex(fact.lower), float.fromhex(fact.upper) - value)
        return float(least)

    def _here(self) -> Iterator[str]:
        if self.v.shape != (self.network.head.locations, self.network.head.channels):
            yield f"the latent's shape is {self.v.shape}"
            return
        scores = self.scores(self.v)
        if not self.margin(scores) > 0:
            yield f"the recorded latent is predicted otherwise: {scores}"
        rivals = self.core.rivals
        labels = self.core.model.decision == "labels"
        every = {k for k in range(len(scores)) if k != self.core.instance.predicted}
        if not labels and set(rivals) != every:
            yield "a rival is missing"
        on = set(np.flatnonzero(scores > 0).tolist())
        if labels and set(self.core.instance.labels) & set(rivals) != on & set(rivals):
            yield "other labels are on"
        if not self.room(self.v) >= -NEAR:
            yield "a fact does not hold"
        tree = isinstance(self.network.head.decision, Tree)
        if labels or tree or self.core.model.decision == "best":
            return
        tensors = self.tensors(self.v)
        output = self.whole([tensors[name] for name in self.whole.cuts])
        if len(output) == len(scores) and int(np.argmax(output)) != self.core.instance.predicted:
            yield "the named output is another class's"

    # the latents that are spoken about

    @cached_property
    def box(self) -> tuple[Floats, Floats] | None:
        domain = self.core.domain
        if domain.kind == "box":
            upper = np.inf if domain.upper is None else float.fromhex(domain.upper)
            ends = float.fromhex(domain.lower), upper
            return np.full(self.v.shape, ends[0]), np.full(self.v.shape, ends[1])
        if isinstance(domain, ReachDomain):
            lower, upper = (
                np.frombuffer(base64.b64decode(end), "<f8").reshape(self.v.shape)
                for end in (domain.lower, domain.upper)
            )
            return lower, upper
        return (np.zeros(self.v.shape), np.ones(self.v.shape)) if domain.kind == "simplex" else None

    def inside(self, z: Floats) -> Floats:
        """A latent of the domain near z."""
        if self.box is not None:
            z = np.clip(z, *self.box)
        norm = np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-30)
        match self.core.domain.kind:
            case "sphere":
                return z / norm
            case "ball":
                return z / np.maximum(norm, 1.0)
            case "simplex":
                return np.asarray(z / np.maximum(z.sum(-1, keepdims=True), 1e-30))
        return z

    def apart(self, z: Floats) -> float:
        """How far a latent is from the domain."""
        return float(np.abs(self.inside(z) - z).max(initial=0.0))

    def _domain(self) -> Iterator[str]:
        """What the encoder computes is in the domain, and nothing else makes it one."""
        domain = self.core.domain
        if self.apart(self.v) > 1e-4:
            yield "the recorded latent is outside of the domain"
        if isinstance(domain, ReachDomain):
            if domain.region is None or (domain.bounds and domain.propagated is None):
                yield "accepted on somebody's word"
            return
        if domain.kind == "free":
            return
        low, high = self.network.input_range
        shape = (1, *self.network.input_shape)
        inputs = [self.rng.uniform(low, high, shape).astype(np.float32) for _ in range(INPUTS)]
        if any(self.apart(z) > 1e-4 for z in self.latents(inputs)):
            yield "an input's latent is outside of the domain"

    def latents(self, inputs: list[Any]) -> list[Floats]:
        """What the encoder makes of inputs, by ONNX Runtime."""
        cuts = self.network.recognised.cuts
        names = list(dict.fromkeys(cut.tensor for cut in cuts))
        found = []
        try:
            seen = run(self.model, names, inputs)
        except Exception as error:  # whatever the runtime raises
            raise UnjudgedError(f"the runtime does not run it: {error}") from error
        for one in seen:
            tensors = dict(zip(names, one, strict=True))
            rows = [tensors[cut.tensor].reshape(-1)[cut.sites] for cut in cuts]
            found.append(np.concatenate(rows).astype(np.float64))
        return found

    # sufficiency

    def meeting(self) -> list[Floats]:
        """Latents of the domain that meet the facts: the recorded one, and some near to losing."""
        found = [self.v]
        for _ in range(SAMPLES):
            start = found[int(np.argmin([self.margin(self.read_scores(z)) for z in found[-8:]]))]
            z = self.inside(self._moved(start))
            if self.room(z) >= 0:
                found.append(z)
        return found

    def _moved(self, z: Floats) -> Floats:
        """Other locations, or other directions in which named measurements stay as they are."""
        size = 10.0 ** self.rng.uniform(-2, 0.5)
        step = size * self.rng.normal(size=z.shape)
        moved = z.copy()
        for location in np.flatnonzero(self.rng.random(len(z)) < 0.6).tolist():
            moved[location] = self._along(z[location], step[location], location)
        return moved

    def _along(self, point: Floats, step: Floats, location: int) -> Floats:
        head = self.network.head
        keep = [
            f.prototype for f in self.core.facts
            if f.kind == "activation" or (f.kind == "pair" and f.location == location)
        ]  # fmt: skip
        if not keep or head.geometry == "diagonal" or self.rng.random() < 0.3:
            return point + step
        p = head.prototypes[keep]
        foot = p[0] if head.geometry == "euclidean" else np.zeros_like(p[0])
        normal = (p - foot).T
        step = step - normal @ np.linalg.lstsq(normal, step, rcond=None)[0]
        if head.geometry == "linear" or not step @ step > 1e-20:
            return point + step
        return np.asarray(point - 2 * (step @ (point - foot)) / (step @ step) * step)

    def _sufficient(self, claim: Sufficient) -> Iterator[str]:
        if self.core.parts:
            return  # a claim about the region's inputs, which are tried
        found = sorted(self.meeting(), key=lambda z: self.margin(self.read_scores(z)))[:TRIED]
        for z in found:
            scores = self.scores(z)
            scale = 1 + np.abs(scores).max()
            if self.margin(scores) < -NEAR * scale:
                yield f"a latent that meets the facts is predicted otherwise: {scores}"
        if claim.level == "F":
            yield from self._in_float32([z.astype(np.float32) for z in (self.v, *found)])

    def _in_float32(self, latents: list[Any]) -> Iterator[str]:
        found = self.network.recognised
        rounded = Rounded(self.model, found.latents, found.scores)
        for z in latents:
            if not self.room(z.astype(np.float64)) >= 0 and z is not latents[0]:
                continue
            tensors = {k: t.astype(np.float32) for k, t in self.tensors(z).items()}
            for mode in MODES:
                scores = rounded(tensors, mode, 7)
                if np.isfinite(scores).all() and not self.margin(scores) > 0:
                    yield f"a float32 execution ({mode}) predicts otherwise: {scores}"

    def _alike(self, claim: Alike) -> Iterator[str]:
        other = self.network.routed(claim.routing).head
        scores = np.asarray(other.logits(other.activation(other.measurement(self.v))))
        if self.margin(scores) < -NEAR:
            yield f"{claim.routing} predicts otherwise"

    # latents that lose

    def moved(self, moves: tuple[Move, ...]) -> Floats:
        """Where moves lead; what is claimed of it is found out here."""
        bound = self.files.read.bound(self.core.model.latent, self.core.model.output)
        flat = self.v.astype(np.float32)
        exact = Latent(bound.head, flat)
        where = read_domain(self.core.domain, *self.v.shape)
        z = self.v.copy()
        for location, point in materialise(exact, where, moves).items():
            unit = point.denominator << exact.shift
            z[location] = [int(n) / int(unit) for n in point.numerators]
        return z

    def lost(self, z: Floats, rival: int) -> bool:
        scores = self.scores(z)
        if self.core.model.decision == "labels":
            return bool((scores[rival] > NEAR) != (rival in self.core.instance.labels))
        return bool(scores[self.core.instance.predicted] < scores[rival] + NEAR)

    def _necessary(self, claim: Necessary) -> Iterator[str]:
        witness = next(w for w in self.core.witnesses if w.fact == claim.fact)
        z = self.moved(witness.moves)
        if not self.lost(z, claim.rival):
            yield f"the witness of fact {claim.fact} does not lose"
        if not self.room(z, without=claim.fact) >= -NEAR:
            yield f"the witness of fact {claim.fact} violates another"
        if self.apart(z) > 1e-4:
            yield f"the witness of fact {claim.fact} is outside of the domain"

    def _contrast(self, claim: Contrast) -> Iterator[str]:
        points = [self.moved(c.moves) for c in self.core.contrasts if c.rival == claim.rival]
        if not any(self.lost(z, claim.rival) and self.wins(z, claim.rival) for z in points):
            yield f"no contrast is predicted as {claim.rival}"
        here, counts = self.network.head.measurement(self.v), []
        for z in points:
            there = self.network.head.measurement(z)
            with np.errstate(invalid="ignore"):
                changed = np.abs(there - here) / (1e-30 + np.abs(here))
            changed = np.nan_to_num(changed)
            counts.append(((changed > 1e-9).sum(), (changed > 1e-17).sum()))
        if not any(low <= claim.count <= high for low, high in counts):
            yield f"contrasts release {counts} facts, and not {claim.count}"

    def wins(self, z: Floats, rival: int) -> bool:
        scores = self.scores(z)
        labels = self.core.model.decision == "labels"
        return labels or bool(scores[rival] >= scores.max() - NEAR)

    def _least(self, claim: AtLeast) -> Iterator[str]:
        """No explanation that somebody found may be smaller."""
        least = len(self.core.facts) if self.least is None else self.least
        if claim.count > least:
            yield f"{least} facts suffice, and not {claim.count}"

    # regions of inputs

    def members(self, region: InputRegion) -> list[Any]:
        """Inputs of the region: its centre, corners, and random ones."""
        shape = tuple(region.shape)
        centre = np.frombuffer(base64.b64decode(region.centre), "<f4").reshape(shape)
        low, high = float.fromhex(region.low), float.fromhex(region.high)
        found = [centre.astype(np.float64)]
        for number in range(INPUTS):
            u = self.rng.uniform(-1, 1, shape)
            found.append(
                _member(region, centre.astype(np.float64), np.sign(u) if number % 2 else u)
            )
        return [np.clip(x, low, high).astype(np.float32)[None] for x in found]

    def _robust(self, region: InputRegion) -> Iterator[str]:
        inputs = self.members(region)
        held = self.core.holds is not None
        for z in self.latents(inputs):
            if self.margin(self.scores(z)) < -1e-3:
                yield "an input of the region is predicted otherwise"
            if held and self.room(z) < -1e-3:
                yield "an input of the region violates a fact"
            if isinstance(self.core.domain, ReachDomain) and self.apart(z) > 1e-3:
                yield "an input of the region leaves the box"
        if input_digest(inputs[0][0]) != self.core.instance.input_sha256:
            yield "the region is around another input"


def _member(region: InputRegion, centre: Floats, u: Floats) -> Floats:
    match region.kind:
        case "linf":
            return np.asarray(centre + _ratio(region.radius) * u)
        case "l2":
            return np.asarray(centre + _ratio(region.radius) * u / np.linalg.norm(u))
        case "box":
            ends = (np.frombuffer(base64.b64decode(e), "<f8") for e in (region.lower, region.upper))
            low, high = (end.reshape(centre.shape) for end in ends)
            return np.asarray(low + (high - low) * (u + 1) / 2)
        case "brightness":
            t, s = _ratio(region.contrast) * u.flat[0], _ratio(region.brightness) * u.flat[1]
            return np.asarray((1 + t) * centre + s)
    freed = np.zeros(centre.shape[1:], bool)
    if region.rectangle is not None:
        row, column, height, width = region.rectangle
        freed[row : row + height, column : column + width] = True
    else:
        row, column, radius = region.circle or (0, 0, 0)
        rows, columns = np.indices(freed.shape)
        freed = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    low, high = float.fromhex(region.low), float.fromhex(region.high)
    return np.where(freed[None], low + (high - low) * (u + 1) / 2, centre)


def _ratio(text: str) -> float:
    above, _, below = text.partition("/")
    return int(above) / int(below or 1)
