"""Contrasts: latents that keep most of what was recorded and are predicted as another class.

What a contrast claims is counted here, not stated: of all pair facts (location, prototype) that are
true at the recorded latent, how many the other latent violates.
"""

from __future__ import annotations

from collections.abc import Iterator

from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError
from protoproof.kernel.budget import OPERATION, SIMILARITY, current, integer, spend
from protoproof.kernel.claims import Contrast
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.margins import observed_margin
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.size import violated_pairs
from protoproof.kernel.latent.witness import departures, materialise_moves


def contrasts(core: Core, where: LatentDomain, latent: Latent) -> Iterator[Contrast]:
    """What every contrast proves, after it was checked.

    Raises:
        CertificateError: one leaves the domain, or is not certainly predicted as its class.
    """
    classes = range(latent.head.class_count)
    each = len(classes) * latent.head.prototype_count * SIMILARITY
    current().afford("all contrasts", each * len(core.contrasts))
    for index, contrast in enumerate(core.contrasts):
        name = f"contrast {index}"
        if contrast.rival not in core.rivals:
            raise CertificateError(f"{name}: class {contrast.rival} is not a rival")
        points = materialise_moves(latent, contrast.moves)
        for text in departures(where, latent, points):
            raise CertificateError(f"{name}: {text}")
        moved = latent.moved(points)
        pairs = len(points) * latent.head.prototype_count
        spend("a contrast", 8 * pairs * (OPERATION + integer(moved.size, moved.size)))
        others = [k for k in classes if k != contrast.rival]
        if any(
            observed_margin(latent.head, contrast.rival, k, moved.best).sign <= 0 for k in others
        ):
            raise CertificateError(f"{name}: is not certainly predicted as class {contrast.rival}")
        yield Contrast(contrast.rival, sum(1 for _ in violated_pairs(latent, moved)))
