"""How a squared distance becomes a similarity, in balls.

Every similarity here is decreasing and convex on [0, infinity), which is all the checker uses:
where q lies in [low, high], the similarity lies in [value(high), value(low)], above each of its
tangents and below its chord. The constant is a float32, exactly.

Convexity, by the second derivatives: 1/(q + eps)^2 - 1/(q + 1)^2 > 0 for eps < 1;
exp(-q/T) / T^2 > 0; 2/(q + 1)^3 > 0; and -q is linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from flint import arb

from protoproof.errors import DescriptionError

PARAMETERS = {"log_ratio": "epsilon", "exponential": "temperature", "negated": "", "reciprocal": ""}


@dataclass(frozen=True)
class Similarity:
    """One similarity with its constant (1 where the kind has none).

    Raises:
        DescriptionError: an unknown kind, or a constant for which the similarity is not decreasing
            or not defined on all of [0, infinity).
    """

    kind: str
    constant: Fraction

    def __post_init__(self) -> None:
        if self.kind not in PARAMETERS:
            raise DescriptionError(f"similarity {self.kind!r} is unknown to the checker")
        if self.constant <= 0:
            raise DescriptionError(f"the constant of {self.kind} is not positive")
        if self.kind == "log_ratio" and self.constant >= 1:
            raise DescriptionError("log_ratio needs an epsilon below 1 to be decreasing")

    def value(self, q: arb) -> arb:
        """A ball around the similarity of every q >= 0 in a ball (NaN where that fails)."""
        if self.kind == "log_ratio":
            # (q + 1) / (q + eps) = 1 + (1 - eps) / (q + eps): no cancellation for large q
            epsilon = self._ball()
            return ((1 - epsilon) / (q + epsilon)).log1p()
        if self.kind == "exponential":
            return (-q / self._ball()).exp()
        if self.kind == "reciprocal":
            return 1 / (q + 1)
        return -q

    def derivative(self, q: arb) -> arb:
        """A ball around the derivative at every q >= 0 in a ball (NaN where that fails)."""
        if self.kind == "log_ratio":
            epsilon = self._ball()
            return (epsilon - 1) / ((q + 1) * (q + epsilon))
        if self.kind == "exponential":
            return -(-q / self._ball()).exp() / self._ball()
        if self.kind == "reciprocal":
            return -1 / ((q + 1) * (q + 1))
        return arb(-1)

    def at_infinity(self) -> arb | None:
        """The infimum, which no q attains; None where it is minus infinity."""
        return None if self.kind == "negated" else arb(0)

    def _ball(self) -> arb:
        return arb(self.constant.numerator) / arb(self.constant.denominator)
