"""A latent box per unit, and linear bounds over all units, handed in from outside.

Typically the result of bound propagation over a region of inputs. Nothing here proves that the
encoder stays inside: that is an assumption, which the certificate names with its ``source``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.errors import UsageError
from protoproof.notebook import line
from protoproof.prover.latent.domain import Constraints, Coupling, Domain
from protoproof.prover.latent.ranges import Ends, Latent, Prototypes, box_range, require_box

_LONGEST_SOURCE = 1000
# A float64 sum is farther off than this share of its terms only for absurdly many units.
_ROUNDING = 1e-9
# The prover's walk over a region and the checker's differ by rounding, about 1e-9 on latents in
# [0, 1]; a hundred times that costs no proof.
SPARE = 1e-7


@dataclass(frozen=True, eq=False)
class Reach:
    """``lower <= z <= upper``, and ``<coefficients_k, z> >= bounds_k`` for every k.

    Args:
        lower, upper: finite float64 [L, D].
        source: where the bounds come from, for people ("interval bounds of the 0.05 ball").
        coefficients: finite float64 [K, L, D].
        bounds: finite float64 [K].
        region: the region of inputs whose latents the box holds, in the certificate's words; then
            the checker can find the box again by itself.
        propagated: with this, linear bounds too: by propagation back through the encoder, in which
            the inputs of activations are bounded so in layers of at most so many units.

    Raises:
        UsageError: wrong shapes, NaN or infinities, crossed ends, or no source.
    """

    lower: Latent
    upper: Latent
    source: str
    coefficients: Float[NDArray[np.float64], "bound location channel"] = field(
        default_factory=lambda: np.zeros((0, 0, 0))
    )
    bounds: Float[NDArray[np.float64], " bound"] = field(default_factory=lambda: np.zeros(0))
    region: Mapping[str, Any] | None = None
    propagated: int | None = None
    name: str = "reach"

    def __repr__(self) -> str:
        return line("Reach", f"{' x '.join(map(str, self.lower.shape))} latent", self.source)

    def __post_init__(self) -> None:
        lower, upper = _finite(self.lower, "lower"), _finite(self.upper, "upper")
        if lower.ndim != 2 or not lower.size or lower.shape != upper.shape:
            raise UsageError(
                f"reach domain: lower {list(lower.shape)} and upper {list(upper.shape)} must both "
                "be [locations, channels]"
            )
        crossed = np.argwhere(lower > upper)
        if len(crossed):
            location, channel = crossed[0]
            raise UsageError(
                f"reach domain: contradictory interval at location {location}, channel {channel}: "
                f"[{lower[location, channel]:g}, {upper[location, channel]:g}] is empty"
            )
        bounds = _finite(self.bounds, "bounds")
        coefficients = _finite(self.coefficients, "coefficients")
        if not coefficients.size and not bounds.size:
            coefficients = np.zeros((0, *lower.shape))
        if bounds.ndim != 1 or coefficients.shape != (len(bounds), *lower.shape):
            raise UsageError(
                f"reach domain: coefficients {list(coefficients.shape)} must be "
                f"[bounds, locations, channels] = {[bounds.size, *lower.shape]}"
            )
        if not self.source.strip() or len(self.source) > _LONGEST_SOURCE:
            raise UsageError(
                "reach domain: say in 'source' where the bounds come from (1 to "
                f"{_LONGEST_SOURCE} characters)"
            )
        for word, value in (
            ("lower", lower),
            ("upper", upper),
            ("bounds", bounds),
            ("coefficients", coefficients),
        ):
            value.setflags(write=False)
            object.__setattr__(self, word, value)

    def require(self, latent: Latent) -> None:
        """Raise unless a latent has the domain's shape and lies in it.

        That also excludes linear bounds that contradict each other, over which everything would
        be true.

        Raises:
            UsageError: the first place where it does not.
        """
        if latent.shape != self.lower.shape:
            raise UsageError(
                f"reach domain: its box is {list(self.lower.shape)}, the latent "
                f"{list(latent.shape)} (locations, channels)"
            )
        require_box(self.name, latent, self.lower, self.upper)
        for index, value in enumerate(self._values(latent)):
            bound = float(self.bounds[index])
            size = float(np.abs(self.coefficients[index] * latent).sum())
            near = abs(value - bound) <= _ROUNDING * size
            if (_exactly(self.coefficients[index], latent) < bound) if near else value < bound:
                raise UsageError(
                    f"reach domain: the latent of this input gives linear form {index} the value "
                    f"{value:g}, below its bound {self.bounds[index]:g}; the bounds are not about "
                    "this input, or contradict each other"
                )

    def _values(self, latent: Latent) -> Float[NDArray[np.float64], " bound"]:
        return np.asarray((self.coefficients * latent).sum(axis=(1, 2)))

    def measurement_range(self, prototypes: Prototypes) -> tuple[Ends, Ends]:
        """Per location, as for a box; linear bounds do not enter."""
        ranges = [
            box_range(prototypes, lower, upper)
            for lower, upper in zip(self.lower, self.upper, strict=True)
        ]
        return np.stack([low for low, _ in ranges]), np.stack([high for _, high in ranges])

    def box(self, locations: int, channels: int) -> tuple[Latent, Latent]:
        """The box."""
        return self.lower, self.upper

    def constraints(self, latent: Latent) -> Constraints | None:
        """Every linear bound as one location sees it: the others do as much as the box allows.

        With s = <c, v> - bound >= 0 and m = max over the box of <c, e> at all other locations,
        <c_l, e_l> >= -s - m.
        """
        count = len(self.bounds)
        if not count:
            return None
        spare = self._spare(latent)
        most = np.maximum(
            self.coefficients * (self.lower - latent), self.coefficients * (self.upper - latent)
        ).sum(axis=2)
        elsewhere = most.sum(axis=1, keepdims=True) - most
        low = -(spare[:, None] + elsewhere).T
        return Constraints(
            np.zeros_like(low),
            -0.5 * np.swapaxes(self.coefficients, 0, 1),
            low,
            np.full_like(low, np.inf),
        )

    def coupling(self, latent: Latent) -> Coupling | None:
        """The linear bounds themselves."""
        return Coupling(self.coefficients, self._spare(latent)) if len(self.bounds) else None

    def _spare(self, latent: Latent) -> Float[NDArray[np.float64], " bound"]:
        return np.maximum(self._values(latent) - self.bounds, 0.0)


def refuting(domain: Domain, latent: Latent) -> Domain:
    """Where to look for latents that show something about size, necessity or another class.

    The box over a region of inputs is stated a little wider than what was walked (by ``SPARE``), so
    that the checker's walk stays inside; but such latents count only inside the checker's walk. So
    twice that is taken off again, and the recorded latent kept. Other domains are as they are.
    """
    if not isinstance(domain, Reach) or domain.region is None:
        return domain
    lower = domain.lower + 2 * SPARE * (1 + np.abs(domain.lower))
    upper = domain.upper - 2 * SPARE * (1 + np.abs(domain.upper))
    bounds = domain.bounds
    if len(bounds):
        here = (domain.coefficients * latent).sum(axis=(1, 2))
        size = np.abs(domain.coefficients * latent).sum(axis=(1, 2))
        tighter = bounds + 2 * SPARE * (1 + np.abs(bounds))
        bounds = np.maximum(bounds, np.minimum(tighter, here - _ROUNDING * size))
    return replace(
        domain, lower=np.minimum(lower, latent), upper=np.maximum(upper, latent), bounds=bounds
    )


def _exactly(coefficients: Latent, latent: Latent) -> Fraction:
    """<coefficients, latent> in rationals: what the checker will compare."""
    pairs = zip(coefficients.ravel().tolist(), latent.ravel().tolist(), strict=True)
    return sum((Fraction(c) * Fraction(v) for c, v in pairs), Fraction(0))


def _finite(values: NDArray[np.float64], word: str) -> NDArray[np.float64]:
    try:
        array = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise UsageError(f"reach domain: {word} is no array of numbers") from error
    if not np.isfinite(array).all():
        raise UsageError(f"reach domain: {word} holds NaN or infinity")
    return array
