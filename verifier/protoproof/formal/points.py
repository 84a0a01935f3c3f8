"""Witnesses as points: the coordinates of every location that moved, over its own denominator."""

from __future__ import annotations

import math

from protoproof.certificate.schema import Core
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.witness import materialise


def witness_lines(core: Core, latent: Latent, where: LatentDomain) -> list[str]:
    """One text per witness: fact, class or label, and the locations that moved."""
    lines = []
    for witness in core.witnesses:
        points = materialise(latent, where, witness.moves)
        tokens = [witness.fact, witness.rival, len(points)]
        for location, point in points.items():
            unit = point.denominator << latent.shift
            shared = math.gcd(unit, *point.numerators)
            tokens += [location, unit // shared, *(n // shared for n in point.numerators)]
        lines.append(" ".join(map(str, tokens)))
    return lines
