"""The head as exact numbers: prototypes, weights, bias, similarity."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from operator import sub

from flint import fmpz, fmpz_mat

from protoproof.errors import ModelError
from protoproof.kernel.arithmetic.exact import Ratio, float32_integers
from protoproof.kernel.model.description import Description
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.similarity import Similarity

# Inner products of prototypes that are kept between certificates.
_KEPT = 1 << 23


class Head:
    """Everything is an integer over a power of two, bit for bit what the file stores.

    Attributes:
        prototypes: [P, D] integers over ``2**shift``.
        norms: |p_j|^2 over ``2**(2 * shift)``.
        weight, bias: [K, P] and [K] integers over ``2**weight_shift``.

    Raises:
        ModelError: a tensor is absent, not float32, not finite, or of the wrong shape.
        DescriptionError: the similarity's constant is out of range.
    """

    def __init__(self, graph: Graph, description: Description) -> None:
        self.similarity = Similarity(description.similarity, Fraction(description.constant))
        self.grid = description.grid
        self.channels = description.channels
        shape = graph.dimensions(description.prototypes)
        if shape is None or len(shape) != 4 or shape[1:] != (self.channels, 1, 1) or not shape[0]:
            raise ModelError(
                f"model: {description.prototypes!r} has shape {shape}, "
                f"not [P, {self.channels}, 1, 1]"
            )
        self.prototype_count, self.class_count = shape[0], description.classes
        flat, self.shift = float32_integers(graph.floats(description.prototypes))
        self.prototypes = fmpz_mat(self.prototype_count, self.channels, flat)
        self.norms = [
            sum(n * n for n in flat[start : start + self.channels])
            for start in range(0, len(flat), self.channels)
        ]
        self._read_decision(graph, description)
        self._points: dict[int, list[int]] = {}
        self._gram: dict[int, list[fmpz]] = {}
        self._boxes: dict[tuple[Ratio, Ratio | None], list[tuple[Ratio, Ratio | None]]] = {}

    def _read_decision(self, graph: Graph, description: Description) -> None:
        classes, count = self.class_count, self.prototype_count
        if classes < 2:
            raise ModelError("model: fewer than two classes, so nothing can be predicted wrongly")
        shape = graph.dimensions(description.weight)
        if shape != (classes, count):
            raise ModelError(
                f"model: {description.weight!r} has shape {shape}, not [{classes}, {count}]"
            )
        flat, shift = float32_integers(graph.floats(description.weight))
        bias, bias_shift = [0] * classes, 0
        if description.bias is not None:
            shape = graph.dimensions(description.bias)
            if shape != (classes,):
                raise ModelError(f"model: {description.bias!r} has shape {shape}, not [{classes}]")
            bias, bias_shift = float32_integers(graph.floats(description.bias))
        self.weight_shift = max(shift, bias_shift)
        up = self.weight_shift - shift
        self.weight = [
            [n << up for n in flat[row * count : (row + 1) * count]] for row in range(classes)
        ]
        self.bias = [n << (self.weight_shift - bias_shift) for n in bias]

    @property
    def location_count(self) -> int:
        """L = H * W."""
        return self.grid[0] * self.grid[1]

    def margin_weights(self, predicted: int, rival: int) -> tuple[list[int], int]:
        """W_c - W_k and b_c - b_k, over ``2**weight_shift``."""
        weights = list(map(sub, self.weight[predicted], self.weight[rival]))
        return weights, self.bias[predicted] - self.bias[rival]

    def prototype(self, index: int) -> list[int]:
        """One prototype, over ``2**shift``; kept, because the same ones are asked for again."""
        if index not in self._points:
            self._points[index] = [int(self.prototypes[index, d]) for d in range(self.channels)]
        return self._points[index]

    def gram_rows(self, indices: Iterable[int]) -> dict[int, list[fmpz]]:
        """p_i . p_j for the given i and every j, over ``2**(2 * shift)``; computed once each."""
        wanted = set(indices)
        missing = sorted(wanted - set(self._gram))
        if missing:
            if (len(self._gram) + len(missing)) * self.prototype_count > _KEPT:
                # certificate after certificate must not fill the memory
                self._gram = {i: row for i, row in self._gram.items() if i in wanted}
            chosen = fmpz_mat([self.prototype(i) for i in missing])
            rows = (chosen * self.prototypes.transpose()).tolist()
            self._gram.update(zip(missing, rows, strict=True))
        return self._gram

    def box_bounds(self, lower: Ratio, upper: Ratio | None) -> list[tuple[Ratio, Ratio | None]]:
        """Per prototype, the squared distance to the box and to its farthest corner.

        The box is [lower, upper] in every channel, so both are sums over channels; ``upper`` None
        leaves the box unbounded and the farthest corner infinite.
        """
        key = lower, upper
        if key not in self._boxes:
            self._boxes[key] = [
                self._box_bound(self.prototype(j), lower, upper)
                for j in range(self.prototype_count)
            ]
        return self._boxes[key]

    def _box_bound(
        self, point: list[int], lower: Ratio, upper: Ratio | None
    ) -> tuple[Ratio, Ratio | None]:
        scale = max(1 << self.shift, lower[1], upper[1] if upper else 1)  # all powers of two
        low = lower[0] * (scale // lower[1])
        coordinates = [n * (scale >> self.shift) for n in point]
        if upper is None:
            near = sum((low - n) ** 2 for n in coordinates if n < low)
            return (near, scale * scale), None
        high = upper[0] * (scale // upper[1])
        near = sum(max(low - n, n - high, 0) ** 2 for n in coordinates)
        far = sum(max(abs(n - low), abs(high - n)) ** 2 for n in coordinates)
        return (near, scale * scale), (far, scale * scale)
