"""The head: prototypes, similarity, pooling, decision. One definition, used by everyone.

Over the reals the head is ``logits = W a + b`` with ``a_j = max_l sigma(|z_l - p_j|^2)``; the
values here are float64 evaluations of it, good for searching and never a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import InternalError
from protoproof.network.head.similarity import Similarity

if TYPE_CHECKING:
    from jaxtyping import Float

    Vector = Float[NDArray[np.float64], " prototype"]
    Logits = Float[NDArray[np.float64], " class_"]

# float64 numbers in one block of differences [L, block, D]: 512 KiB, inside the second-level cache
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class Head:
    """Everything after the latent, in (read-only) float64 copies of the graph's float32 values.

    ``prototypes`` [P, D]; ``weight`` [K, P]; ``bias`` [K], zeros if the graph has none;
    ``prototype_class`` the class each prototype belongs to, where the description says so;
    ``grid`` (H, W) with location index ``row * W + column``.

    Raises:
        InternalError: shapes that do not fit together (the recogniser checks them first).
    """

    prototypes: Float[NDArray[np.float64], "prototype channel"]
    similarity: Similarity
    weight: Float[NDArray[np.float64], "class_ prototype"]
    bias: Logits
    prototype_class: tuple[int, ...] | None
    grid: tuple[int, int]

    def __post_init__(self) -> None:
        prototypes, classes = len(self.prototypes), len(self.bias)
        if self.weight.shape != (classes, prototypes) or self.prototypes.ndim != 2:
            raise InternalError("prototypes, weight and bias of the head do not fit together")
        if self.prototype_class is not None and len(self.prototype_class) != prototypes:
            raise InternalError("prototype_class and prototypes differ in length")
        for name in ("prototypes", "weight", "bias"):
            copy = np.array(getattr(self, name), dtype=np.float64)
            copy.setflags(write=False)
            object.__setattr__(self, name, copy)

    @property
    def locations(self) -> int:
        """L = H * W."""
        return self.grid[0] * self.grid[1]

    @property
    def channels(self) -> int:
        """D."""
        return int(self.prototypes.shape[1])

    def measurement(
        self, latent: Float[NDArray[np.float64], "location channel"]
    ) -> Float[NDArray[np.float64], "location prototype"]:
        """Squared L2 distances between every location and every prototype.

        A sum of squared differences, never ``|z|^2 - 2 z.p + |p|^2``: the relative error is at
        most about (D + 2) * 2**-53 even where latent and prototype nearly coincide.
        """
        latent = np.asarray(latent, dtype=np.float64)
        result = np.empty((len(latent), len(self.prototypes)))
        step = max(1, _BLOCK // max(1, latent.size))
        for start in range(0, len(self.prototypes), step):
            block = self.prototypes[start : start + step]
            difference = latent[:, None, :] - block[None, :, :]
            np.einsum("lpd,lpd->lp", difference, difference, out=result[:, start : start + step])
        return result

    def activation(self, measurement: Float[NDArray[np.float64], "location prototype"]) -> Vector:
        """Largest similarity over the locations: that of the smallest squared distance.

        Every row of the similarity table is decreasing, so max and sigma commute as max and min.
        """
        return self.similarity.value(measurement.min(axis=0))

    def logits(self, activation: Vector) -> Logits:
        """W a + b."""
        return np.asarray(self.weight @ activation + self.bias)

    def margins(self, activation: Vector, predicted: int) -> Logits:
        """``logits[predicted] - logits[k]`` for every class k (zero at ``predicted`` itself).

        Computed from weight differences, so that what two classes share cancels exactly.
        """
        weight = self.weight[predicted] - self.weight
        return np.asarray(weight @ activation + (self.bias[predicted] - self.bias))
