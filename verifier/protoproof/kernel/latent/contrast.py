"""Contrasts: latents that keep most of what was recorded and are predicted as another class.

What a contrast claims is counted here, not stated: of all pair facts (location, prototype) that are
true at the recorded latent, how many the other latent violates.
"""

from __future__ import annotations

from collections.abc import Iterator

from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError
from protoproof.kernel.budget import BALL, OPERATION, current, integer, spend
from protoproof.kernel.claims import Contrast
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.margins import loses, observed_margin
from protoproof.kernel.latent.measurement import Latent, Moved
from protoproof.kernel.latent.size import violated_pairs
from protoproof.kernel.latent.witness import departures, materialise


def contrasts(core: Core, where: LatentDomain, latent: Latent) -> Iterator[Contrast]:
    """What every contrast proves, after it was checked.

    Raises:
        CertificateError: one leaves the domain, or is not certainly predicted as its class.
    """
    head = latent.head
    classes = range(head.class_count)
    each = len(classes) * head.prototype_count * BALL + head.prototype_count * head.chain.cost
    current().afford("all contrasts", each * len(core.contrasts))
    for index, contrast in enumerate(core.contrasts):
        name = f"contrast {index}"
        if contrast.rival not in core.rivals:
            raise CertificateError(f"{name}: class {contrast.rival} is not a rival")
        points = materialise(latent, where, contrast.moves)
        for text in departures(where, latent, points):
            raise CertificateError(f"{name}: {text}")
        moved = latent.moved(points)
        pairs = len(points) * latent.head.prototype_count
        spend("a contrast", 8 * pairs * (OPERATION + integer(moved.size, moved.size)))
        if not _predicts(core, moved, contrast.rival):
            raise CertificateError(f"{name}: is not certainly predicted as class {contrast.rival}")
        yield Contrast(contrast.rival, sum(1 for _ in violated_pairs(latent, moved)))


def _predicts(core: Core, moved: Moved, rival: int) -> bool:
    """Whether a latent is certainly predicted as a class; or whether a label is certainly decided
    otherwise than at v."""
    head = moved.latent.head
    if head.decision.kind == "labels":
        return loses(head, core.instance, rival, moved)
    return all(
        observed_margin(head, head.decision.over(rival, k), k, moved).sign > 0
        for k in range(head.class_count)
        if k != rival
    )
