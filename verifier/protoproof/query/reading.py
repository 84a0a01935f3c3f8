"""What an element of a tensor of the graph is, seen from the latent: as the checker reads it.

A query names tensors. Some are parts of the head: the latent itself, a measurement, a pooled value
or a function of one, a score. The checker's own evaluation of the graph says which; nothing else is
asked, so that what follows from a premise follows for the tensor that the query named.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from flint import arb, fmpq

from protoproof.arithmetic.rounding import float_above, float_below
from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.model.chain import Chain
from protoproof.kernel.model.primitives import End
from protoproof.kernel.model.reading import Evaluated, evaluated
from protoproof.kernel.model.symbolic.arrays import Exact
from protoproof.kernel.model.symbolic.expressions import Single
from protoproof.kernel.model.symbolic.programs import HALF, WHOLE, direction, step, tidied
from protoproof.kernel.model.symbolic.tables import Program
from protoproof.kernel.model.symbolic.values import Latent, Measured, Terms, Value
from protoproof.network import Network

_HALVINGS = 200
_FARTHEST = 2.0**100


@dataclass(frozen=True)
class Unit:
    """A coordinate of the latent."""

    location: int
    channel: int


@dataclass(frozen=True)
class Function:
    """A monotone function of a measurement at ``location``; of the pooled value, if that is None.

    ``program``: the function; () where the element is that number itself. ``rises``: its direction.
    """

    location: int | None
    prototype: int
    program: Program
    rises: bool


@dataclass(frozen=True)
class Score:
    """What class ``label`` is decided by. ``exact``: the number itself, not something in its order
    (a probability)."""

    label: int
    exact: bool


Meaning = Unit | Function | Score


class Reading:
    """The tensors of one network's graph.

    Raises:
        ModelError: the checker reads no head in it.
    """

    def __init__(self, network: Network, model: ModelFile) -> None:
        self.network = network
        found = network.recognised
        self._budget = Budget()
        try:
            with self._budget.active():
                self.found: Evaluated = evaluated(model.graph, found.latents, found.output)
        except OutOfBudgetError as error:
            raise ModelError(str(error)) from error
        self.head = model.bound(found.latents, found.output).head
        self._known: dict[str, Value | None] = {}

    @property
    def distance(self) -> bool:
        """Whether measurements are squared distances, which are not negative."""
        return self.head.geometry in ("euclidean", "diagonal")

    def meaning(self, tensor: str, index: int) -> Meaning | None:
        """What an element is; None where it is nothing of the head, or by no monotone function."""
        score = self._score(tensor, index)
        if score is not None:
            return score
        value = self._value(tensor)
        if value is None or index >= math.prod(value.shape):
            return None
        place = np.unravel_index(index, value.shape)
        try:
            with Budget().active():
                match value:
                    case Latent():
                        return self._unit(value, place)
                    case Measured():
                        return self._measured(value, place)
                    case Terms():
                        return self._term(value, place)
        except (OutOfBudgetError, ModelError, DescriptionError):
            return None
        return None

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """The shape of a tensor that the head holds."""
        value = self._value(tensor)
        return None if value is None else value.shape

    def _score(self, tensor: str, index: int) -> Score | None:
        found = self.network.recognised
        if index >= len(self.network.class_names) or self.head.decision.kind == "labels":
            return None
        if tensor == self.found.logits:
            return Score(index, exact=not found.ratio)
        moved = {"Softmax", "LogSoftmax"} >= set(self.found.final)
        return Score(index, exact=False) if tensor == found.output and moved else None

    def _value(self, tensor: str) -> Value | None:
        if tensor not in self._known:
            try:
                with self._budget.active():
                    self._known[tensor] = self.found.here.value(tensor)
            except (OutOfBudgetError, ModelError):
                self._known[tensor] = None
        return self._known[tensor]

    @cached_property
    def _units(self) -> dict[int, Unit]:
        sites = self.found.reading.where.sites
        return {
            flat: Unit(location, channel)
            for location, site in enumerate(sites)
            for channel, flat in enumerate(site)
        }

    def _unit(self, value: Latent, place: tuple[np.intp, ...]) -> Unit | None:
        def at(piece: Exact) -> object:
            return piece.value(tuple(map(int, place)))

        plain = value.power == 1 and int(value.norm[place]) < 0
        ones = all(at(piece) == 1 for piece in (value.scale, value.weight, value.root))
        if not plain or not ones or at(value.shift) != 0:
            return None
        return self._units.get(int(value.index[place]))

    @cached_property
    def _sites(self) -> dict[tuple[int, ...], int]:
        return {site: k for k, site in enumerate(self.found.reading.where.sites)}

    @cached_property
    def points(self) -> dict[tuple[Fraction, ...], list[int]]:
        """The prototypes at every point, as the head has them."""
        found: dict[tuple[Fraction, ...], list[int]] = {}
        with Budget().active():
            for j in range(self.head.prototype_count):
                unit = 1 << self.head.shift
                point = tuple(Fraction(n, unit) for n in self.head.prototype(j))
                found.setdefault(point, []).append(j)
        return found

    def _prototypes(self, row: int) -> list[int]:
        return [j for j, (own, _) in enumerate(self.found.reading.rows) if own == row]

    def _measured(self, value: Measured, place: tuple[np.intp, ...]) -> Function | None:
        tables, where = self.found.here.tables, self.found.reading.where
        site = tables.sites[int(value.site[place])]
        location = self._sites.get(site.elements)
        if location is None:
            return None
        for j in self._prototypes(int(value.row[place])):
            if where.location_bank[location] == where.feature_bank[j]:
                return self._function(location, j, tables.programs[int(value.program[place])])
        return None

    def _term(self, value: Terms, place: tuple[np.intp, ...]) -> Function | None:
        known, where = self.found.here.known, self.found.reading.where
        single = known.all[int(value.term[place])]
        if value.over >= 0 or not isinstance(single, Single):
            return None
        tables = known.tables
        feature = tables.features[single.feature]
        inner, outer = tables.programs[feature.inner], tables.programs[single.program]
        sites = {self._sites.get(tables.sites[s].elements) for s in tables.groups[feature.group]}
        if feature.kind not in ("max", "min"):
            return None
        for j in self._prototypes(feature.row):
            bank = where.feature_bank[j]
            every = {k for k, own in enumerate(where.location_bank) if own == bank}
            pooled = self._function(None, j, inner)
            # the nearest location: the least of what rises, or the largest of what falls
            nearest = pooled is not None and pooled.rises == (feature.kind == "min")
            if sites == every and (nearest or len(every) == 1):
                return self._function(None, j, (*inner, *outer))
        return None

    def _function(self, location: int | None, prototype: int, program: Program) -> Function | None:
        if self.head.pooling[prototype].kind != "nearest":
            return None
        own = self.found.reading.rows[prototype][1]
        floor = Fraction(0) if self.distance else None
        whole = tidied((*own, *program), floor)
        way = direction(whole, self.range)
        return None if way == 0 else Function(location, prototype, whole, way > 0)

    @property
    def range(self) -> tuple[End, End]:
        """Where measurements lie at all."""
        return HALF if self.distance else WHOLE

    def bound(self, of: Function, value: Fraction, above: bool) -> tuple[float, bool] | None:
        """What a bound of an element says about its measurement: a float64 bound, rounded outwards,
        and whether that is one from above; None where nothing follows."""
        upper = above == of.rises
        line = affine(of.program)
        if line is not None:
            slope, shift = line
            exact = (value - shift) / slope
            return (float_above(exact) if upper else float_below(exact)), upper
        found = _outermost(self._values(of.program), value, above, upper, self.distance)
        return None if found is None else (found, upper)

    @staticmethod
    def _values(program: Program) -> Callable[[float], arb]:
        chain = Chain([step(one) for one in program])

        def value(m: float) -> arb:
            with Budget().active():
                return chain.value(0, fmpq(*m.as_integer_ratio()))

        return value


def affine(program: Program) -> tuple[Fraction, Fraction] | None:
    """(a, b) where a program is m -> a m + b."""
    slope, shift = Fraction(1), Fraction(0)
    for name, constant in program:
        if not isinstance(constant, Fraction):
            return None
        if name == "add":
            shift += constant
        elif name == "mul":
            slope, shift = slope * constant, shift * constant
        else:
            return None
    return slope, shift


def _outermost(
    of: Callable[[float], arb], value: Fraction, above: bool, upper: bool, distance: bool
) -> float | None:
    """The tightest measurement found beyond which the function certainly breaks the bound.

    With ``above`` the bound is f(m) <= value; ``upper``: the measurements that break it are the
    larger ones. f is monotone, so that all beyond one of them break it, too.
    """
    limit = arb(fmpq(value.numerator, value.denominator))

    def broken(m: float) -> bool:
        found = of(m)
        return bool(found > limit) if above else bool(found < limit)

    good, bad = (0.0, _FARTHEST) if upper else (_FARTHEST, 0.0)
    if not distance:
        good, bad = (-_FARTHEST, _FARTHEST) if upper else (_FARTHEST, -_FARTHEST)
    if not broken(bad):
        return None
    if broken(good):  # nothing meets it: any bound follows, this one is enough
        return good
    for _ in range(_HALVINGS):
        middle = good / 2 + bad / 2
        if middle in (good, bad):
            break
        if broken(middle):
            bad = middle
        else:
            good = middle
    return bad
