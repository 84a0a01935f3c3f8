"""The head: banks of prototypes, their geometry and similarity, pooling, decision.

One definition, used by everyone. A family of networks is a point of this space: nothing here knows
any of their names. Over the reals, with z_l the latent at location l,

    euclidean   m = |z_l - p_j|^2                       prototypes p
    diagonal    m = sum_d w_jd (z_ld - p_jd)^2          prototypes p, scales w >= 0
    linear      m = -<g_j, z_l>                         prototypes g
    angular     m = -<g_j, z_l> / max(sqrt(|z_l|^2 + added), epsilon)   prototypes g; 0 at z_l = 0

so that smaller always means nearer. ``t_j`` is the least m over the locations (or another pooling
of inner_j(m)), ``a_j = chain_j(t_j)``, and the decision is about a. Values are float64 evaluations,
good for searching and never a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head.chain import Chain
from protoproof.network.head.decision import Decision, Labels, Linear, frozen
from protoproof.network.head.pooling import Pooling

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    Vector = Float[NDArray[np.float64], " prototype"]
    Logits = Float[NDArray[np.float64], " class_"]
    Table = Float[NDArray[np.float64], "location prototype"]

Geometry = Literal["euclidean", "diagonal", "linear", "angular"]

# float64 numbers in one block of differences [L, block, D]: 512 KiB, inside the second-level cache
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class Head:
    """Everything after the latent, in (read-only) float64 copies of the graph's float32 values.

    Attributes:
        prototypes: [P, D], one row per prototype as the pooling yields them; rows may be equal.
        chain: the similarity; its ends are those of what it is applied to, where none were given.
        decision: over the P activations.
        scales: [P, D] for ``diagonal``, else None.
        inner: what is pooled where a pooling is not ``nearest``; the measurement itself by default.
        pooling: per prototype; ``nearest`` for all by default.
        location_bank: [L], the bank of every location; one bank by default.
        prototype_bank: [P], the bank of every prototype.
        grid: rows and columns for drawing; one row of all locations by default.
        prototype_class: the class each prototype belongs to, where somebody says so.
        epsilon: the least norm that an angular measurement divides by.
        added: what is added to the squared norm before.

    Raises:
        InternalError: parts that do not fit together, or a similarity without a direction (the
            recogniser checks them first).
    """

    geometry: Geometry
    prototypes: Float[NDArray[np.float64], "prototype channel"]
    chain: Chain
    decision: Decision
    grid: tuple[int, int]
    prototype_class: tuple[int, ...] | None = None
    scales: Float[NDArray[np.float64], "prototype channel"] | None = None
    inner: Chain | None = None
    pooling: Pooling | None = None
    location_bank: Int[NDArray[np.intp], " location"] | None = None
    prototype_bank: Int[NDArray[np.intp], " prototype"] | None = None
    epsilon: float = 0.0
    added: float = 0.0

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "prototypes", frozen(self.prototypes))
        count = len(self.prototypes)
        if self.prototypes.ndim != 2 or self.decision.inputs != count:
            raise InternalError("prototypes and decision of the head do not fit together")
        if self.prototype_class is not None and len(self.prototype_class) != count:
            raise InternalError("prototype_class and prototypes differ in length")
        if (self.geometry == "diagonal") != (self.scales is not None):
            raise InternalError("scales belong to the diagonal geometry, and to no other")
        if self.scales is not None:
            put(self, "scales", frozen(self.scales))
            if self.scales.shape != self.prototypes.shape or not (self.scales >= 0).all():
                raise InternalError("scales of the head are not one weight from 0 on per channel")
        cells = self.grid[0] * self.grid[1]
        for name, size in (("location_bank", cells), ("prototype_bank", count)):
            stated = getattr(self, name)
            put(self, name, frozen(np.zeros(size) if stated is None else stated, np.intp))
            if getattr(self, name).shape != (size,):
                raise InternalError(f"{name} of the head has the wrong length")
        pooling = self.pooling or Pooling.all("nearest", count)
        if len(pooling.kinds) != count:
            raise InternalError("every prototype has one pooling")
        put(self, "pooling", pooling)
        put(self, "inner", self._ended(self.inner or Chain(()), *self.range))
        put(self, "chain", self._ended(self.chain, *self._pooled_range()))

    def _ended(self, chain: Chain, low: Vector, high: Vector) -> Chain:
        if chain.low is None or chain.high is None:
            if (low == 0).all() and (high == np.inf).all():
                low, high = low[:1], high[:1]
            chain = chain.over(low, high)
        if chain.broken is not None:
            raise InternalError(f"the similarity has no direction: '{chain.broken}' breaks it")
        return chain

    def _pooled_range(self) -> tuple[Vector, Vector]:
        """Ends of what the similarity is applied to."""
        low, high = self.range
        if self.all_nearest:
            return low, high
        inner = self.inner_chain
        count = len(self.prototypes)
        ends = (np.broadcast_to(end, count) for end in (inner.infimum, inner.supremum))
        shape = self.locations, count
        first, last = (np.array(np.broadcast_to(end, shape)) for end in ends)
        near = self.pooling_of.nearest
        first[:, near], last[:, near] = low[near], high[near]
        return self.pooling_of.bounds(first, last, self.mask)

    @property
    def pooling_of(self) -> Pooling:
        """The pooling, which the constructor always fills in."""
        if self.pooling is None:
            raise InternalError("the head has no pooling yet")
        return self.pooling

    @property
    def inner_chain(self) -> Chain:
        """The inner similarity, which the constructor always fills in."""
        if self.inner is None:
            raise InternalError("the head has no inner similarity yet")
        return self.inner

    @property
    def locations(self) -> int:
        """L, over all banks."""
        return self.grid[0] * self.grid[1]

    @property
    def channels(self) -> int:
        """D."""
        return int(self.prototypes.shape[1])

    @property
    def classes(self) -> int:
        """K: classes, or labels."""
        return self.decision.classes

    @property
    def all_nearest(self) -> bool:
        """Whether every prototype takes its nearest location."""
        return self.pooling_of.all_nearest

    @cached_property
    def uniform(self) -> bool:
        """Whether equal pooled measurements mean equal activations, whatever the prototype."""
        return self.all_nearest and self.chain.uniform

    @cached_property
    def plain(self) -> bool:
        """Whether the reasoning that needs squared distances and linear margins applies."""
        return (
            self.geometry == "euclidean"
            and self.all_nearest
            and self.mask is None
            and isinstance(self.decision, Linear)
            and self.chain.decreasing
        )

    @cached_property
    def mask(self) -> Bool[NDArray[np.bool_], "location prototype"] | None:
        """Which locations belong to the bank of which prototype; None where there is one bank."""
        locations, prototypes = self.location_bank, self.prototype_bank
        if locations is None or prototypes is None or len({*locations, *prototypes}) <= 1:
            return None
        return np.asarray(locations[:, None] == prototypes[None, :])

    @cached_property
    def range(self) -> tuple[Vector, Vector]:
        """Ends [P] of the measurements, whatever the latent."""
        count = len(self.prototypes)
        if self.geometry in ("euclidean", "diagonal"):
            return np.zeros(count), np.full(count, np.inf)
        if self.geometry == "linear":
            return np.full(count, -np.inf), np.full(count, np.inf)
        norm = np.nextafter(np.sqrt((self.prototypes**2).sum(axis=1)) * (1 + 1e-15), np.inf)
        return -norm, norm

    @property
    def weight(self) -> Float[NDArray[np.float64], "class_ prototype"]:
        """W of a linear decision.

        Raises:
            InternalError: the decision is another one.
        """
        return self._linear.weight

    @property
    def bias(self) -> Logits:
        """b of a linear decision (less the thresholds of labels).

        Raises:
            InternalError: the decision is another one.
        """
        found = self._linear
        return found.bias - found.threshold if isinstance(found, Labels) else found.bias

    @property
    def _linear(self) -> Linear:
        if not isinstance(self.decision, Linear):
            raise InternalError(f"a {self.decision.kind} decision has no matrix of weights")
        return self.decision

    def measurement(
        self, latent: Float[NDArray[np.float64], "location channel"]
    ) -> Float[NDArray[np.float64], "location prototype"]:
        """Measurements between every location and every prototype; infinite between banks.

        Squared distances are sums of squared differences, never ``|z|^2 - 2 z.p + |p|^2``: the
        relative error is at most about (D + 2) * 2**-53 even where latent and prototype nearly
        coincide.
        """
        latent = np.asarray(latent, dtype=np.float64)
        if self.geometry in ("euclidean", "diagonal"):
            result = self._distances(latent)
        else:
            result = -np.einsum("ld,pd->lp", latent, self.prototypes)
            if self.geometry == "angular":
                result = np.clip(result / self.length(latent)[:, None], *self.range)
        if self.mask is not None and len(latent) == self.locations:
            result = np.where(self.mask, result, np.inf)
        return result

    def length(
        self, points: Float[NDArray[np.float64], "*location channel"]
    ) -> Float[NDArray[np.float64], "*location"]:
        """What an angular measurement divides by at some points; 1 instead of 0."""
        found = np.maximum(np.sqrt((points**2).sum(axis=-1) + self.added), self.epsilon)
        return np.asarray(np.where(found > 0, found, 1.0))

    def _distances(self, latent: NDArray[np.float64]) -> Table:
        result = np.empty((len(latent), len(self.prototypes)))
        step = max(1, _BLOCK // max(1, latent.size))
        for start in range(0, len(self.prototypes), step):
            part = slice(start, start + step)
            difference = latent[:, None, :] - self.prototypes[part][None, :, :]
            if self.scales is None:
                np.einsum("lpd,lpd->lp", difference, difference, out=result[:, part])
            else:
                scaled = difference * self.scales[part][None]
                np.einsum("lpd,lpd->lp", difference, scaled, out=result[:, part])
        return result

    def pooled(self, measurement: Table) -> Vector:
        """The pooled value t_j of every prototype: what facts about activations are about."""
        if self.all_nearest:
            return np.asarray(measurement.min(axis=0))
        return self.pooling_of.pooled(self._table(measurement), self.mask)

    def pooled_between(self, low: Table, high: Table) -> tuple[Vector, Vector]:
        """Bounds of the pooled values when every measurement lies in [low, high] by itself."""
        if self.all_nearest:
            return low.min(axis=0), high.min(axis=0)
        first, last = self._table(low), self._table(high)
        return self.pooling_of.bounds(np.minimum(first, last), np.maximum(first, last), self.mask)

    def _table(self, measurement: Table) -> Table:
        """What is pooled: measurements where the nearest counts, inner values elsewhere.

        Between banks, where nothing is measured, any value does: the mask leaves it out.
        """
        measured = measurement
        if self.mask is not None:
            measured = np.where(self.mask, measurement, np.clip(0.0, *self.range))
        inner = np.asarray(self.inner_chain.value(measured))
        return np.where(self.pooling_of.nearest, measurement, inner)

    def activation(self, measurement: Table) -> Vector:
        """Activation of every prototype: the similarity of its pooled measurement."""
        return np.asarray(self.chain.value(self.pooled(measurement)))

    def activation_between(self, low: Vector, high: Vector) -> tuple[Vector, Vector]:
        """Bounds of the activations when pooled values lie in [low, high]: monotone in each."""
        first, last = self.chain.value(low), self.chain.value(high)
        if self.chain.decreasing:
            return last, first
        return np.minimum(first, last), np.maximum(first, last)

    def levels(
        self, pooled: Vector, prototypes: Sequence[int] | NDArray[np.intp] | None = None
    ) -> Vector:
        """The scale of ceilings: pooled values in a uniform head, else negated activations."""
        return pooled if self.uniform else -np.asarray(self.chain.value(pooled, prototypes))

    def logits(self, activation: Vector) -> Logits:
        """The scores of all classes; of labels, by how much they are above their thresholds."""
        return np.asarray(self.decision.scores(activation))

    def margins(self, activation: Vector, predicted: int) -> Logits:
        """``logits[predicted] - logits[k]`` for every class k (zero at ``predicted`` itself).

        Of a linear decision from weight differences, so that what two classes share cancels.
        """
        if self.decision.kind != "linear":
            logits = self.logits(activation)
            return np.asarray(logits[predicted] - logits)
        weight = self.weight[predicted] - self.weight
        return np.asarray(weight @ activation + (self.bias[predicted] - self.bias))
