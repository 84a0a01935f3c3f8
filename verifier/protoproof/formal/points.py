"""Witnesses as points: every location's coordinates over one denominator."""

from __future__ import annotations

import math

from protoproof.certificate.schema import Core
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.witness import materialise


def witness_lines(core: Core, latent: Latent, where: LatentDomain) -> list[str]:
    """One text per witness: fact, class or label, denominator, coordinates."""
    lines = []
    for witness in core.witnesses:
        points = materialise(latent, where, witness.moves)
        common = math.lcm(*(point.denominator for point in points.values()))
        tokens = [witness.fact, witness.rival, common << latent.shift]
        for location, here in enumerate(latent.points):
            point = points.get(location)
            factor = common if point is None else common // point.denominator
            tokens += [n * factor for n in (here if point is None else point.numerators)]
        lines.append(" ".join(map(str, tokens)))
    return lines
