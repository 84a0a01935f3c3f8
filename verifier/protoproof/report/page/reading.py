"""What the network measured on one input: the report's only view of a network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate.schema import Core
from protoproof.explanation.prediction import labels_words
from protoproof.explanation.quantities import Quantities
from protoproof.network import Network
from protoproof.network.head.about import ReceptiveField as Field
from protoproof.network.head.decision import Tree
from protoproof.network.head.head import Head
from protoproof.prover.latent.atoms import Atoms
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
        classes: class names, or names of labels.
        head: the head.
        measurement: measurements, smaller is nearer.
        predicted: index of the predicted class.
        labels: of a head about labels, those that are explained; all where none is given.
        quantities: the words for the head's numbers; those of a free latent where not given.
        grids: rows and columns of every bank of locations; the head's where not given.
        fields: per bank, what its locations see; None where no part of the input is known.
        samples: of a signal, how many values each channel has; None for images.
    """

    classes: tuple[str, ...]
    head: Head
    measurement: Float[Array, "location prototype"]
    predicted: int
    labels: tuple[int, ...] = ()
    quantities: Quantities | None = None
    grids: tuple[tuple[int, int], ...] = ()
    fields: tuple[ReceptiveField | None, ...] = ()
    samples: int | None = None

    @cached_property
    def words(self) -> Quantities:
        """What the head's numbers are called."""
        return self.quantities or Quantities(self.head)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns for drawing: one row of all locations where the latent is no image."""
        return self.head.grid

    @property
    def prototypes(self) -> int:
        """How many prototypes the head has."""
        return int(self.measurement.shape[1])

    @property
    def single(self) -> bool:
        """Whether there is one location only, so that naming places says nothing."""
        return self.grid == (1, 1)

    @property
    def about_labels(self) -> bool:
        """Whether several labels are predicted, each by itself."""
        return self.head.decision.kind == "labels"

    @cached_property
    def pooled(self) -> Float[Array, " prototype"]:
        """What activation facts are about."""
        return np.asarray(self.head.pooled(self.measurement))

    @cached_property
    def activation(self) -> Float[Array, " prototype"]:
        """The activation of every prototype."""
        return np.asarray(self.head.activation(self.measurement))

    @property
    def predicted_name(self) -> str:
        """The predicted class; of labels, which of those that are explained are on."""
        if not self.about_labels:
            return self.classes[self.predicted]
        return labels_words(self.classes, self.atoms.rivals, self.atoms.on)

    def has_label(self, label: int) -> bool:
        """Whether a label is on."""
        return label in self.atoms.on

    @cached_property
    def atoms(self) -> Atoms:
        """The margins of the prediction."""
        scores = self.head.logits(self.activation)
        return Atoms.of(self.head.decision, self.predicted, scores, self.labels)

    @cached_property
    def margins(self) -> dict[int, float]:
        """By how much the prediction is ahead of each rival class.

        Of labels: by how much each that is explained is on its side of its threshold.
        """
        found = self.atoms.margins(self.activation).tolist()
        return dict(zip(self.atoms.rivals, found, strict=True))

    @cached_property
    def closest_rival(self) -> int:
        """The class (or label) with the smallest margin."""
        return min(self.margins, key=lambda k: self.margins[k])

    @cached_property
    def _weights(self) -> Float[Array, " prototype"] | None:
        """Of the margin over the closest rival; None where it is no weighted sum."""
        if not self.atoms.linear:
            return None
        return np.asarray(self.atoms.weights[self.atoms.rivals.index(self.closest_rival)])

    @cached_property
    def offset(self) -> float:
        """What the margin over the closest rival has without any prototype."""
        return float(self.atoms.offset[self.atoms.rivals.index(self.closest_rival)])

    @cached_property
    def contributions(self) -> Float[Array, " prototype"] | None:
        """What every prototype adds to the margin over the closest rival.

        None where that is no sum over prototypes (trees, the best of groups).
        """
        return None if self._weights is None else np.asarray(self._weights * self.activation)

    def contribution(self, prototype: int) -> float | None:
        """What one prototype adds to that margin, or None."""
        return None if self.contributions is None else float(self.contributions[prototype])

    def has_place(self, prototype: int) -> bool:
        """Whether one location decides about the prototype's activation, the nearest."""
        return self.head.pooling_of.kinds[prototype] == "nearest"

    def best_location(self, prototype: int) -> int:
        """The location that the prototype is closest to (the first of equals)."""
        return int(np.argmin(self.measurement[:, prototype]))

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return (0, *accumulate(rows * columns for rows, columns in self.grids))

    def bank(self, location: int) -> int:
        """The bank of a location."""
        return max(n for n, start in enumerate(self._starts) if start <= location)

    def place(self, location: int) -> tuple[int, int]:
        """Row and column of a location, in its bank."""
        if len(self.grids) > 1:
            bank = self.bank(location)
            row, column = divmod(location - self._starts[bank], self.grids[bank][1])
        else:
            row, column = divmod(location, self.grid[1])
        return row, column

    def place_words(self, location: int) -> str:
        """Such as ``row 2, column 5``, counted from 0: what the latent's axes make of it."""
        row, column = self.place(location)
        bank = f"latent {self.bank(location) + 1}, " if len(self.grids) > 1 else ""
        rows = self.grids[self.bank(location)][0] if bank else self.grid[0]
        return f"{bank}location {column}" if rows == 1 else f"{bank}row {row}, column {column}"

    def owner(self, prototype: int) -> str | None:
        """Name of the prototype's class, or None."""
        if self.head.prototype_class is None:
            return None
        return self.classes[self.head.prototype_class[prototype]]

    def box(self, location: int, picture: Image) -> Box | None:
        """The part of the picture that the location sees, or None."""
        number = self.bank(location) if len(self.grids) > 1 else 0
        field = self.fields[number] if self.fields else None
        if field is None:
            return None
        height, width = picture.shape[:2]
        if self.samples is None:
            return field.box(self.place(location), height, width)
        # curves: all channels, over the samples that the location sees
        _, x0, _, x1 = field.box(self.place(location), 1, self.samples)
        return 0, x0 * width // self.samples, height, -(-x1 * width // self.samples)

    @property
    def path(self) -> list[tuple[int, bool]]:
        """Of a tree, the prototypes on the way of the greater share, and whether it goes right."""
        tree = self.head.decision
        if not isinstance(tree, Tree):
            return []
        asked = (int(tree.feature[node]) for node in tree.path(self.activation))
        return [(j, bool(self.activation[j] > 0.5)) for j in asked]


def said_fields(fields: Sequence[Field | None]) -> tuple[ReceptiveField | None, ...]:
    """What the locations of each bank see, as a page draws it."""
    return tuple(
        None if f is None else ReceptiveField(size=f.size, stride=f.stride, start=f.start)
        for f in fields
    )


def reading_of(
    network: Network, latent: NDArray[np.floating], predicted: int, labels: tuple[int, ...] = ()
) -> Reading:
    """What a network measures at a latent [L, D], in float64."""
    head = network.head
    return Reading(
        classes=network.class_names,
        head=head,
        measurement=head.measurement(latent.astype(np.float64)),
        predicted=predicted,
        labels=labels if head.decision.kind == "labels" else (),
        quantities=Quantities(head, network.latent_range),
        grids=tuple(cut.grid for cut in network.recognised.cuts),
        fields=said_fields(network.receptive_fields),
        samples=network.input_shape[-1] if len(network.input_shape) == 2 else None,
    )


def recorded_reading(network: Network, core: Core) -> Reading:
    """What the network measures at the latent that a certificate records, in float64."""
    values = np.frombuffer(base64.b64decode(core.instance.latent), dtype="<f4")
    latent = values.reshape(core.instance.locations, core.instance.channels)
    return reading_of(network, latent, core.instance.predicted, core.rivals)
