"""In what the size of a region is measured: the network's own numbers, and what a pixel is in them.

A certificate is about the numbers that a network takes. Where these are not pixels from 0 to 1
(mean and std are applied outside the network, or pixels are scaled), 0.02 of them is another part
of a pixel: whoever reads a radius has to know of what.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import Core
from protoproof.data.preprocess import recorded
from protoproof.kernel.encoder.input_region import describe
from protoproof.network import Network
from protoproof.network.layout import layout_of
from protoproof.report.page.stated import region_of
from protoproof.report.page.text import nearest

OWN = "Sizes are in the numbers that the network takes"
_PLACES = ("occlude", "shift")  # sizes are rows and columns
_AMOUNTS = ("linf", "brightness")  # what is added to a single number


def unit_words(network: Network, region: str) -> str:
    """A sentence or two about the size of a region such as ``linf:0.02``; "" where it has none.

    Args:
        network: with what is stated about pixels.
        region: as it was typed, or as the checker describes it.
    """
    kind, rule = _kind(region), network.pixels
    if kind in _PLACES:
        return ""
    if layout_of(rule.shape) is None:
        return f"{OWN}, which are no image."
    if rule.problem:
        return f"{OWN}; what a pixel is in them, nobody states."
    ends = [rule.values(np.full((rule.channels, 1, 1), end, np.float32)) for end in (0, 1)]
    widths = np.ptp(np.stack(ends).reshape(2, -1), axis=0).astype(np.float64).tolist()
    if set(widths) == {1.0} and float(ends[0].min()) == 0.0:
        by_itself = ", and normalises by itself" if network.about.normalisation else ""
        return (
            "Sizes are in pixels from 0 (black) to 1 (white), which the network takes as they are"
            f"{by_itself}{_so(region, widths)}."
        )
    stated = rule.preprocessing
    how = f"scaled to [{rule.range[0]:g}, {rule.range[1]:g}]"
    if stated is not None and stated.states_values:
        how = f"prepared as stated: {stated}"
    return _own_numbers(how, widths, region)


def unit_of(network: Network, core: Core) -> str:
    """The same of a certificate's region; "" where it speaks of none."""
    region = region_of(core)
    return "" if region is None else unit_words(network, describe(region))


def recorded_unit(region: InputRegion, preprocessing: str) -> str:
    """The same from a certificate alone, which records what was stated of pixels, if anything.

    Raises:
        UsageError: what it records is no preprocessing.
    """
    described = describe(region)
    if _kind(described) in _PLACES:
        return ""
    stated = recorded(preprocessing)
    if stated is None or not stated.states_values:
        low, high = float.fromhex(region.low), float.fromhex(region.high)
        return f"{OWN}, from {low:g} to {high:g}; with MODEL, what a pixel is in them is said."
    low, high = stated.range or (0.0, 1.0)
    widths = [(high - low) / std for std in stated.std or (1.0,)]
    return _own_numbers(f"prepared as stated: {stated}", widths, described)


def _own_numbers(how: str, widths: Sequence[float], region: str) -> str:
    return (
        f"{OWN}, and not in pixels from 0 to 1 (these are {how}): from black to white are "
        f"{_span(widths)} of them{_so(region, widths)}."
    )


def _kind(region: str) -> str:
    return region.partition(":")[0]


def _so(region: str, widths: Sequence[float]) -> str:
    """What the region's size is of a pixel; "" where it has no such size."""
    kind, _, body = region.partition(":")
    first = body.partition(" ")[0].partition(",")[0]
    try:
        size = float(Fraction(first)) if kind in _AMOUNTS else 0.0
    except (ValueError, ZeroDivisionError):
        size = 0.0
    if not size:
        return ""
    parts = [size / width for width in widths]
    steps = _span([255 * part for part in parts])
    if set(widths) == {1.0}:
        return f": {first} is {steps} of 255 steps"
    return f", so that {first} is {_span(parts)} of a pixel ({steps} of 255 steps)"


def _span(values: Sequence[float]) -> str:
    low, high = nearest(min(values)), nearest(max(values))
    return low if low == high else f"{low} to {high}"
