"""Inputs that may satisfy a query, and the exact replay that decides whether one does.

A point counts over the reals where intervals around it say so for the whole condition, and ONNX
Runtime does not say otherwise (where it can be run there: the point is of float32 numbers); of a
query about float32 numbers, where ONNX Runtime's own results satisfy it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from protoproof.arithmetic.rounding import float_above, float_below
from protoproof.errors import BoundsError, FragileError, InputError, ProtoProofError
from protoproof.network import Network
from protoproof.network.onnx.inferred import exposing
from protoproof.network.onnx.runtime import Session
from protoproof.query.binding import Bound
from protoproof.query.enclosure import enclosed
from protoproof.query.formula import Element, Range, atoms, holds
from protoproof.query.premises import Premises
from protoproof.region.bounds.attack import Counterexample, attack
from protoproof.region.sets.region import BoxRegion, InputBox

Image = NDArray[np.float32]
Values = dict[str, NDArray[np.float32]]
_SAMPLES = 24
_UNBOUNDED = 1.0


@dataclass(frozen=True, eq=False)
class Satisfying:
    """An input, exactly, and the values of all declared tensors there (float64, the nearest)."""

    x: Sequence[Fraction]
    values: Mapping[str, NDArray[np.float64]]


class Points:
    """Looks for inputs of one query.

    ``fragile``: a point was found about which the reals and ONNX Runtime disagree.
    """

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.fragile = ""
        network = bound.network
        known = set(network.graph.outputs) | {network.graph.input}
        names = dict.fromkeys(bound.tensors.values())
        hidden = tuple(name for name in names if name not in known)
        self.names = tuple(name for name in names if name != network.graph.input)
        self.session = Session(exposing(network.data, hidden), network.files)
        condition = bound.query.condition
        every = {e for atom in atoms(condition) for m in atom.left.terms for e in m}
        self.inputs = {e for e in every if e.variable == bound.input.name}
        self.others = every - self.inputs

    def search(self, known: Premises, seed: int = 0) -> Satisfying | None:
        """An input that satisfies the query, near what one of its disjuncts says of inputs."""
        try:
            lower, upper = self._ends(known)
        except InputError:
            return None
        for exact, x in self._candidates(known, lower, upper, seed):
            found = self.replay(exact, x)
            if found is not None:
                return found
        return None

    def replay(self, exact: Sequence[Fraction] | None, x: Image) -> Satisfying | None:
        """The point, if it satisfies the query. ``exact`` None: ``x`` itself."""
        ran = self._run(x) if exact is None else None
        point = exact or [Fraction(value) for value in x.reshape(-1).tolist()]
        ours = {e: (point[e.place], point[e.place]) for e in self.inputs}
        if ran is None and exact is None:
            return None
        condition, told = self.bound.query.condition, None
        if ran is not None:
            at: dict[Element, Range] = dict(ours)
            for e in self.others:
                value = Fraction(float(ran[self.bound.tensors[e.variable]].reshape(-1)[e.place]))
                at[e] = value, value
            told = holds(condition, at)
            if self.bound.query.type == "float32":
                bare = all(atom.bare for atom in atoms(condition))
                return self._satisfying(point, ran) if told and bare else None
            if not told:  # rounding aside, the reals say the same
                return None
        try:
            around = dict(enclosed(self.bound, _around(point, x), self.others))
            real = holds(condition, ours | around)
        except BoundsError as error:
            self.fragile = self.fragile or (str(error) if told else "")
            return None
        if real:
            return self._satisfying(point, ran or self._run(x) or {}, around)
        if told:
            self.fragile = (
                "numerically fragile: an input satisfies it as ONNX Runtime computes, and over the "
                "reals that is not certain"
            )
        return None

    def _satisfying(
        self, point: Sequence[Fraction], ran: Values, around: Mapping[Element, Range] | None = None
    ) -> Satisfying:
        """The point with its values: those of ONNX Runtime, or what lies ``around`` the real ones.

        The condition holds all over these ranges, so it does for what is told: float32 results of
        the runtime may tie where the real ones do not.
        """
        values = {}
        for declared in self.bound.query.variables:
            tensor = self.bound.tensors[declared.name]
            if declared.kind == "input":
                values[declared.name] = np.array([float(n) for n in point])
            else:
                values[declared.name] = np.array(ran[tensor], dtype=np.float64).reshape(-1)
        for e, (low, high) in (around or {}).items():
            middle = float((low + high) / 2)
            if e.variable in values and low <= middle <= high:
                values[e.variable][e.place] = middle
        return Satisfying(point, values)

    def _run(self, x: Image) -> Values | None:
        try:
            found = self.session.run(self.names, {self.bound.network.graph.input: x[None]})
        except (FragileError, InputError):
            return None
        return dict(zip(self.names, found, strict=True))

    def _ends(self, known: Premises) -> tuple[list[Fraction], list[Fraction]]:
        """Ends of all inputs: those of the network where the query has none."""
        low, high = self.bound.network.input_range
        first, last = known.elements.lower, known.elements.upper
        lower, upper = [], []
        for index in range(self.bound.input.size):
            e = Element(self.bound.input.name, index)
            a, b = first.get(e), last.get(e)
            if a is None:
                a = Fraction(low) if b is None or b >= Fraction(low) else b - Fraction(_UNBOUNDED)
            if b is None:
                b = Fraction(high) if a <= Fraction(high) else a + Fraction(_UNBOUNDED)
            lower.append(a)
            upper.append(b)
        return lower, upper

    def _candidates(
        self, known: Premises, lower: Sequence[Fraction], upper: Sequence[Fraction], seed: int
    ) -> Iterator[tuple[list[Fraction] | None, Image]]:
        shape = self.bound.network.input_shape
        low = np.array([_up32(value) for value in lower], dtype=np.float32).reshape(shape)
        high = np.array([-_up32(-value) for value in upper], dtype=np.float32).reshape(shape)
        if (low > high).any():  # no float32 number lies in it: exact points, whatever is next
            for share in (Fraction(1, 2), Fraction(0), Fraction(1)):
                exact = [a + share * (b - a) for a, b in zip(lower, upper, strict=True)]
                near = np.array([float(n) for n in exact], dtype=np.float32).reshape(shape)
                yield exact, near
            return
        middle = np.clip((low / 2 + high / 2).astype(np.float32), low, high)
        yield None, middle
        yield None, low
        yield None, high
        found = self._attacked(middle, low, high, seed)
        if found is not None:
            yield None, found
        rng = np.random.default_rng(seed)
        for index in range(_SAMPLES):
            drawn = rng.random(shape)
            drawn = np.round(drawn) if index % 2 else drawn
            drawn = low + drawn * (high.astype(np.float64) - low)
            yield None, np.clip(drawn.astype(np.float32), low, high)

    def _attacked(self, middle: Image, low: Image, high: Image, seed: int) -> Image | None:
        """An input of the box that is not predicted as its middle is."""
        network = self.bound.network
        if not network.head.plain or not self.others:
            return None
        ends = low.astype(np.float64), high.astype(np.float64)
        domain = (
            min(network.input_range[0], float(low.min()) - 1),
            max(network.input_range[1], float(high.max()) + 1),
        )
        try:
            region = BoxRegion(middle, domain, InputBox(*ends), "query")
            found = attack(network, region, network.observe(middle).predicted, seed=seed)
        except ProtoProofError:
            return None
        return found.x if isinstance(found, Counterexample) else None


def _around(point: Sequence[Fraction], x: Image) -> InputBox:
    lower = np.array([float_below(value) for value in point]).reshape(x.shape)
    upper = np.array([float_above(value) for value in point]).reshape(x.shape)
    return InputBox(lower, upper)


def _up32(value: Fraction) -> float:
    """The least float32 number that is not below."""
    near = np.float32(float(value))
    if Fraction(float(near)) < value:
        near = np.nextafter(near, np.float32(np.inf))
    return float(near)


def latent_at(network: Network, x: Image) -> NDArray[np.float64]:
    """The latent that ONNX Runtime computes, [L, D], whatever range of inputs the network states.

    Raises:
        FragileError: a result is NaN or infinite.
    """
    names = network.recognised.latents
    found = dict(
        zip(names, network.session.run(names, {network.graph.input: x[None]}), strict=True)
    )
    rows = [found[cut.tensor].reshape(-1)[cut.sites] for cut in network.recognised.cuts]
    return np.ascontiguousarray(np.concatenate(rows), dtype=np.float32).astype(np.float64)
