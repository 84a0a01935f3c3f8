"""Witnesses as points: every location's coordinates over one denominator."""

from __future__ import annotations

import math

from protoproof.certificate.schema import Core
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.witness import materialise


def witness_lines(core: Core, latent: Latent, where: LatentDomain) -> list[str]:
    """One text per witness: fact, class or label, denominator, and the locations that moved."""
    lines = []
    for witness in core.witnesses:
        points = materialise(latent, where, witness.moves)
        common = math.lcm(*(point.denominator for point in points.values()))
        unit = common << latent.shift
        tokens = [witness.fact, witness.rival, unit, len(points)]
        for location, point in points.items():
            factor = common // point.denominator
            tokens += [location, *(n * factor for n in point.numerators)]
        lines.append(" ".join(map(str, tokens)))
    return lines
