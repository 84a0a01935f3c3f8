"""Whether a part of the input may be said to look like a prototype, by the network's own measure.

The closest prototype of an input is always closest to something. It is called alike only where the
network's own prototypes bear that out: where the part is nearer to the prototype than the point
half way to the nearest prototype of another class is (of another place, where prototypes belong to
no class). For distances and angles, no prototype of another class is then nearer to the part: by
the triangle inequality, whatever is within half of the way between two points is nearer to its own
one. For products, the nearest prototypes of other classes themselves must be farther, too.

Prototypes are what the network learned from its training data (mostly they are latents of training
patches), so this asks for no data and for no number that somebody chose. Nothing is proved here.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.head import Head
from protoproof.report.page.reading import Reading

Likeness = Literal["looks like", "closest, though weak", "closest match"]
_SCALED = ("sigmoid", "softmax", "normalised", "ball")  # latents whose products have a scale


def likeness(reading: Reading, location: int, prototype: int) -> Likeness:
    """What may be said of a location and a prototype; ``closest match`` where nothing tells."""
    bar = half_way(reading, prototype)
    if bar is None:
        return "closest match"
    near = float(reading.measurement[location, prototype]) <= bar
    return "looks like" if near else "closest, though weak"


def half_way(reading: Reading, prototype: int) -> float | None:
    """The largest measurement to the prototype that is called alike; None where there is no scale.

    There is none where no other prototype is to compare with, and for products with latents that
    may have any size.
    """
    head, words = reading.head, reading.words
    if head.geometry == "linear" and words.latent_range not in _SCALED:
        return None
    others = _others(head, prototype)
    if not len(others):
        return None
    own = head.prototypes[prototype]
    apart = _measured(head, others, prototype)
    between = (own + others[int(apart.argmin())]) / 2
    length = float(np.linalg.norm(between))
    if words.cosines and length > 0:
        between = between / length * float(np.linalg.norm(own))
    return float(min(_measured(head, between[None], prototype)[0], apart.min()))


def _others(head: Head, prototype: int) -> NDArray[np.float64]:
    """Prototypes of another class, or of another place, in the same bank."""
    owner, bank = head.prototype_class, head.prototype_bank
    if owner is None:
        other = (head.prototypes != head.prototypes[prototype]).any(axis=1)
    else:
        other = np.asarray(owner) != owner[prototype]
    if bank is not None:
        other = other & (bank == bank[prototype])
    return np.asarray(head.prototypes[other], dtype=np.float64)


def _measured(head: Head, rows: NDArray[np.float64], prototype: int) -> NDArray[np.float64]:
    """The measurement of each row, as if it were a location, to one prototype."""
    own = head.prototypes[prototype]
    if head.geometry in ("euclidean", "diagonal"):
        scale = 1.0 if head.scales is None else head.scales[prototype]
        return np.asarray(((rows - own) ** 2 * scale).sum(axis=1))
    found = -(rows @ own)
    if head.geometry == "angular":
        lengths = head.lengths(rows)
        found = found / lengths[:, min(prototype, lengths.shape[1] - 1)]
    return np.asarray(found)
