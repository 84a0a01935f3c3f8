"""What the network measured on one input, as plain arrays: the report's only view of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.report.page.page import Box, Image

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReceptiveField:
    """What a location sees: rows ``start + row * stride`` to ``+ size``, columns likewise."""

    size: tuple[int, int]
    stride: tuple[int, int]
    start: tuple[int, int]

    def box(self, place: tuple[int, int], height: int, width: int) -> Box:
        """The box of the grid place (row, column), clipped to an image of [height, width]."""
        (y0, y1), (x0, x1) = (
            (
                max(self.start[axis] + place[axis] * self.stride[axis], 0),
                min(self.start[axis] + place[axis] * self.stride[axis] + self.size[axis], limit),
            )
            for axis, limit in enumerate((height, width))
        )
        return y0, x0, y1, x1


@dataclass(frozen=True, eq=False)
class Reading:
    """One prediction in numbers.

    Attributes:
        classes: class names.
        grid: rows and columns of the latent grid; location = row * columns + column.
        measurement: squared L2 distances.
        similarity: the head's similarity, elementwise on pooled measurements; second, the
            prototypes that these belong to, or None for all in order.
        weight: the linear head, one row per class.
        bias: the linear head's bias.
        predicted: index of the predicted class.
        prototype_class: the class index of every prototype, or None.
        receptive_field: what locations see, or None where the description does not say.
    """

    classes: tuple[str, ...]
    grid: tuple[int, int]
    measurement: Float[Array, "location prototype"]
    similarity: Callable[[Array, Sequence[int] | None], Array]
    weight: Float[Array, "class prototype"]
    bias: Float[Array, " class"]
    predicted: int
    prototype_class: tuple[int, ...] | None = None
    receptive_field: ReceptiveField | None = None

    @property
    def prototypes(self) -> int:
        """How many prototypes the head has."""
        return int(self.measurement.shape[1])

    @property
    def single(self) -> bool:
        """Whether there is one location only, so that naming places says nothing."""
        return self.grid == (1, 1)

    @cached_property
    def activation(self) -> Float[Array, " prototype"]:
        """Largest similarity over locations: similarities decrease with the distance."""
        return np.asarray(self.similarity(self.measurement.min(axis=0), None))

    @cached_property
    def margins(self) -> Float[Array, " class"]:
        """Logit of the predicted class minus that of every class (0 for itself)."""
        logits = self.weight @ self.activation + self.bias
        return np.asarray(logits[self.predicted] - logits)

    @cached_property
    def closest_rival(self) -> int:
        """The class with the smallest margin."""
        others = [k for k in range(len(self.classes)) if k != self.predicted]
        return min(others, key=lambda k: float(self.margins[k]))

    def similarity_of(self, squared_distance: float, prototype: int = 0) -> float:
        """Similarity of one squared distance to a prototype, infinity included."""
        with np.errstate(all="ignore"):
            return float(self.similarity(np.array([squared_distance]), [prototype])[0])

    def contribution(self, prototype: int) -> float:
        """What the prototype adds to the margin over the closest rival."""
        weights = self.weight[self.predicted] - self.weight[self.closest_rival]
        return float(weights[prototype] * self.activation[prototype])

    def best_location(self, prototype: int) -> int:
        """The location that the prototype is closest to (the first of equals)."""
        return int(np.argmin(self.measurement[:, prototype]))

    def place(self, location: int) -> tuple[int, int]:
        """Row and column of a location."""
        row, column = divmod(location, self.grid[1])
        return row, column

    def owner(self, prototype: int) -> str | None:
        """Name of the prototype's class, or None."""
        if self.prototype_class is None:
            return None
        return self.classes[self.prototype_class[prototype]]

    def box(self, location: int, picture: Image) -> Box | None:
        """The part of the picture that the location sees, or None."""
        if self.receptive_field is None:
            return None
        height, width = picture.shape[:2]
        return self.receptive_field.box(self.place(location), height, width)
