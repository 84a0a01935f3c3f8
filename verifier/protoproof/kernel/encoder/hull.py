"""What the checker's own walk over a region of inputs finds, as one domain of latents.

A certificate states a box of latents that holds all that a region can reach. For a proof of
sufficiency any larger box will do: more is proved than is needed. A latent that refutes something
is another matter: in a box of the author's choosing there is always one, so a claim of necessity or
of size would be about the author's choice. Such latents are therefore looked for among those that
the checker finds itself: in the smallest box around what its walk gives over the region, where the
walk's own bounds of the stated linear forms hold.

The recorded latent belongs there: real arithmetic puts it inside, float32 rounding may have put
what was recorded a little outside. Its ends are added where it lies outside, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from protoproof.certificate.schema import ReachDomain
from protoproof.kernel.arithmetic.exact import Ratio, decode_floats, hex_ratio, round_down
from protoproof.kernel.arithmetic.outward import Array
from protoproof.kernel.latent.bounded import BoundedDomain


class Hull:
    """The least box [L, D] around all that the propagations over a region's parts gave."""

    def __init__(self) -> None:
        self._box: tuple[Array, Array] | None = None
        self._least: list[float] | None = None

    def add(self, low: Array, high: Array) -> None:
        """One more part: the ends [L, D] of its latents."""
        if self._box is not None:
            low, high = np.minimum(self._box[0], low), np.maximum(self._box[1], high)
        self._box = low, high

    def add_forms(self, least: Sequence[float]) -> None:
        """One more part: lower bounds of every stated linear form over it."""
        known = self._least
        self._least = [*least] if known is None else list(map(min, known, least))

    def domain(
        self, stated: ReachDomain, points: Sequence[Sequence[int]], unit: int
    ) -> BoundedDomain:
        """The walked box with the recorded latent, and the linear bounds that hold over both.

        Bounds of linear forms that were not propagated stay as they are stated: the certificate
        rests on them anyway.

        Args:
            stated: the certificate's domain.
            points: the recorded latent [L][D], integers over ``unit``; float32 numbers.

        Raises:
            ValueError: nothing was walked.
        """
        if self._box is None:
            raise ValueError("a region without a box")
        recorded = np.array([[n / unit for n in row] for row in points])  # exact: float32 numbers
        forms = []
        for index, bound in enumerate(stated.bounds):
            text = bound.coefficients
            slopes = decode_floats(text, recorded.size, np.float64).reshape(recorded.shape)
            at = hex_ratio(bound.bound)
            if self._least is not None:
                at = _least_of(slopes, self._least[index], recorded)
            forms.append((slopes, at))
        low, high = np.minimum(self._box[0], recorded), np.maximum(self._box[1], recorded)
        return BoundedDomain.around(low, high, forms)


def _least_of(slopes: Array, found: float, recorded: Array) -> Ratio:
    """The form's walked bound, or its value at the recorded latent where that is less."""
    products = zip(slopes.ravel().tolist(), recorded.ravel().tolist(), strict=True)
    here = sum((Fraction(c) * Fraction(z) for c, z in products), Fraction(0))
    return min(found, round_down(here.as_integer_ratio())).as_integer_ratio()
