"""Whether a prepared model computes what the network did: read by the checker, and run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import FragileError
from protoproof.explanation.certifiable import checkers_objection
from protoproof.network import Network, load
from protoproof.network.layout import layout_of

_SAME = 1e-4  # relative difference of scores that float32 rounding explains
_COMPARED = 3

Images = NDArray[np.float32]  # [image, channel, row, column] in [0, 1]


def compared(network: Network, draft: Path, images: Images | None) -> tuple[float, int]:
    """The largest relative difference of scores between both models, over how many inputs.

    Args:
        network: as it was.
        draft: the prepared model's file.
        images: some are run; random ones without.

    Raises:
        FragileError: they differ by more than rounding explains, or the checker does not read what
            it read before.
    """
    recognised = network.recognised
    again = load(draft, latent=recognised.latents, output=recognised.output)
    objection = checkers_objection(again) or ""
    if objection and not checkers_objection(network):
        raise FragileError(f"the checker does not read the prepared model: {objection}")
    worst = 0.0
    pairs = _inputs(network, again, images)
    for before, after in pairs:
        one, two = network.observe(before), again.observe(after)
        size = max(1.0, float(np.abs(one.logits).max()))
        worst = max(worst, float(np.abs(one.logits - two.logits).max()) / size)
    if not worst <= _SAME:
        raise FragileError(
            f"the prepared model computes other scores (relative difference {worst:.3g}), so "
            "nothing was written"
        )
    return worst, len(pairs)


def _inputs(
    network: Network, again: Network, images: Images | None
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The same inputs for both models: images where both take images, else the same numbers."""
    layout, shape = layout_of(network.input_shape), network.input_shape
    rng = np.random.default_rng(0)
    if layout is None or network.pixels.problem:
        low, high = network.input_range
        numbers = rng.uniform(low, high, (_COMPARED, *shape)).astype(np.float32)
        return [(x, x) for x in numbers]
    if images is None:
        size = shape[1:] if layout == "channels first" else shape[:2]
        pixels = rng.integers(0, 256, (_COMPARED, network.pixels.channels, *size))
        images = pixels.astype(np.float32) / np.float32(255)
    return [
        (network.pixels.values(image), again.pixels.values(image)) for image in images[:_COMPARED]
    ]
