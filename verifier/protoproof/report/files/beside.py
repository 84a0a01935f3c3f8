"""What is found beside an explanation: a contrast, all minimal explanations, patches to look at."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import About
from protoproof.explanation.alternatives import alternatives, contrasted
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.explanation.result import Explanation
from protoproof.network import Network
from protoproof.prover.latent.facts import Fact
from protoproof.prover.latent.replay_any import judge_of
from protoproof.prover.search.contrastive import Contrastive
from protoproof.report.files.alternatives_view import Extras, Looks
from protoproof.report.files.nearest_patches import Training, nearest_patches
from protoproof.report.files.outside import OutsideBoxes
from protoproof.report.page.images import crop, input_picture
from protoproof.report.page.reading import reading_of

# Pictures of training patches, per place; places.
_PICTURES, _PLACES = 3, 2


@dataclass(frozen=True)
class Beside:
    """What to show beside an explanation.

    Attributes:
        contrast: a class to show a contrast to, ``closest``, or None; see
            :func:`protoproof.explanation.alternatives.contrasted`.
        most: how many minimal explanations to enumerate, where all are asked for.
        training: where to look for patches that look like the contrast's latent.
        outside: whether to bound what pixels outside of each shown box can do.
    """

    contrast: str | None = None
    most: int = 100
    training: Training | None = None
    outside: bool = False


def explained_beside(
    explainer: Explainer,
    x: NDArray[np.float32],
    options: ExplainOptions,
    beside: Beside,
    about: About,
) -> tuple[Explanation, Extras]:
    """The explanation, with a contrast in its certificate where asked for, and the extras.

    Raises:
        InputError, UsageError, FragileError: see the explainer; no such class.
    """
    begun = time.perf_counter()

    def left() -> float | None:
        return options.timeout and max(0.0, options.timeout - (time.perf_counter() - begun))

    every = options.minimal == "all"
    one = replace(options, minimal="subset") if every else options
    explanation = explainer.explain(x, one, about=about)
    found: Contrastive | None = None
    broken: tuple[Fact, ...] = ()
    if beside.contrast is not None:
        explanation, found = contrasted(explainer, explanation, beside.contrast, left())
    if found is not None and explanation.where is not None:
        replay = judge_of(explainer.instance(explanation.observation), explanation.where)
        broken = tuple(replay.broken(list(explanation.facts), found.refutation.moves))
    others = None
    if every and explanation.certificate is not None:
        others = alternatives(explainer, explanation, beside.most, left())
    training, boxes = beside.training, None
    if beside.outside and explanation.certificate is not None:
        boxes = OutsideBoxes.of(explainer, x, explanation.certificate.core)
    return explanation, Extras(
        others,
        found,
        beside.contrast is not None,
        broken,
        explanation.size,
        explainer.instance(explanation.observation),
        _looks(explainer.network, found, training) if found is not None and training else (),
        training,
        boxes,
    )


def _looks(network: Network, found: Contrastive, training: Training) -> tuple[Looks, ...]:
    """The nearest patches of the places whose change does most, or of the first moved ones."""
    moved = [move.location for move in found.refutation.moves]
    wanted = [change.location for change in found.changes if change.effect > 0]
    known = (place for place in (*wanted, *moved) if place in moved)
    places = [place for place in dict.fromkeys(known) if place is not None][:_PLACES]
    near = nearest_patches(network, training, found.latent, places, _PICTURES)
    reading = reading_of(network, found.latent, found.target)
    looks = []
    for place, patches in zip(places, near, strict=True):
        for patch in patches:
            picture = input_picture(network, training.read(patch.image))
            box = reading.box(patch.location, picture)
            if box is not None:
                picture = crop(picture, box)
            looks.append(Looks(place, patch, training.labels[patch.image], picture))
    return tuple(looks)
