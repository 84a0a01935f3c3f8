"""How far the pixels outside of a box can move what is measured at one location.

The pixels of the box stay as they are, and every other one takes any value of the input's domain:
a region of kept pixels. Our interval walk over it bounds what is measured at the location; the
checker walks the encoder over the same region by itself and has to find that each measurement
stays within these bounds (its obligation 13, of a claim that says only that). The proof does not
rest on which part of the input the location is said to see: a box that is too small only gives a
wide interval.

That no pixel outside enters at all is read off the windows of the graph, and by the prover alone.
It is said only where the interval that the checker proves leaves room for rounding and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate.schema import Core, PairFact
from protoproof.certification.holding import unheld
from protoproof.errors import BoundsError
from protoproof.prover.latent.geometry import measurement_range
from protoproof.region.bounds.latent_bounds import around, latent_box
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.statement import require_statement

if TYPE_CHECKING:
    from protoproof.explanation.explainer import Explainer
    from protoproof.network import Network
    from protoproof.prover.latent.instance import Instance

ROUNDING = 1e-5  # of a measurement: the width of an interval that nothing but rounding needs
Box = tuple[int, int, int, int]
Ends = Float[NDArray[np.float64], "location prototype"]


@dataclass(frozen=True)
class Shown:
    """A fact, and the box of the input that is shown for it.

    ``fact`` numbers it; ``box`` has rows y0 to y1 and columns x0 to x1, ends excluded; ``seen`` is
    what the location sees by the graph, clipped to the input, None where that may be everything.
    """

    fact: int
    location: int
    prototype: int
    box: Box
    seen: Box | None


@dataclass(frozen=True)
class Outside:
    """What is measured for one shown box, whatever the pixels outside of it show.

    Attributes:
        shown: the fact and its box.
        pixels: how many lie outside.
        found: the measurement's ends, as a fact; None where nothing is proved.
        still: whether no pixel outside enters: see the module's docstring.
        reason: why nothing is proved, or empty.
    """

    shown: Shown
    pixels: int
    found: PairFact | None
    still: bool = False
    reason: str = ""


def outside(
    explainer: Explainer, x: NDArray[np.float32], core: Core, shown: Iterable[Shown]
) -> tuple[Outside, ...]:
    """What is proved of every shown box; one walk of each side per distinct box.

    Args:
        explainer: of the network.
        x: the input that the certificate is about, [C, H, W].
        core: the certificate, accepted.
        shown: its facts that are shown in a box.
    """
    groups: dict[Box, list[Shown]] = {}
    for each in shown:
        groups.setdefault(each.box, []).append(each)
    instance = explainer.instance(explainer.network.observe(x)) if groups else None
    found = [
        each
        for box, members in groups.items()
        for each in (() if instance is None else _of(explainer, x, core, instance, box, members))
    ]
    return tuple(sorted(found, key=lambda each: each.shown.fact))


def keeping(network: Network, x: NDArray[np.float32], box: Box) -> Kept:
    """The region in which the pixels of a box stay and every other one takes any value.

    Raises:
        InputError: nobody can tell rows and columns of the input.
    """
    low, high = network.input_range
    whole = Kept(x, network.input_range, Fraction(high) - Fraction(low), 1, ())
    y0, x0, y1, x1 = box
    inside = np.zeros(whole.grid, dtype=bool)
    inside[y0:y1, x0:x1] = True
    return whole.keeping(tuple(np.flatnonzero(inside).tolist()))


def _of(
    explainer: Explainer,
    x: NDArray[np.float32],
    core: Core,
    instance: Instance,
    box: Box,
    members: Sequence[Shown],
) -> list[Outside]:
    """Everything that is shown in one box."""
    region = keeping(explainer.network, x, box)
    pixels = region.count - len(region.kept)
    try:
        low, high = _ends(explainer.network, region, instance)
    except BoundsError as error:
        return [Outside(each, pixels, None, reason=f"bounds: {error}") for each in members]
    wanted = {(each.location, each.prototype) for each in members}
    facts = {
        (location, prototype): PairFact(
            location=location,
            prototype=prototype,
            lower=float(low[location, prototype]).hex(),
            upper=float(high[location, prototype]).hex(),
        )
        for location, prototype in sorted(wanted)
    }
    reason = unheld(explainer, core, region, tuple(facts.values()))
    if reason:
        return [Outside(each, pixels, None, reason=reason) for each in members]
    narrow = high - low <= ROUNDING * (1 + np.abs(instance.measurement))
    return [
        Outside(
            each,
            pixels,
            facts[each.location, each.prototype],
            bool(narrow[each.location, each.prototype]) and _contains(box, each.seen),
        )
        for each in members
    ]


def _ends(network: Network, region: Kept, instance: Instance) -> tuple[Ends, Ends]:
    """Bounds of every measurement over a region, with room for the checker's own walk.

    Raises:
        BoundsError: the walk fails.
    """
    reach = around(latent_box(network, region), instance.latent, require_statement(region))
    low, high = measurement_range(network.head, reach)
    here = instance.measurement
    low, high = np.minimum(low, here), np.maximum(high, here)
    return low - 1e-9 * (1 + np.abs(low)), high + 1e-9 * (1 + np.abs(high))


def _contains(box: Box, seen: Box | None) -> bool:
    """Whether a box holds what a location sees."""
    if seen is None:
        return False
    return box[0] <= seen[0] and box[1] <= seen[1] and seen[2] <= box[2] and seen[3] <= box[3]
