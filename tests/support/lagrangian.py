"""Lagrangian bounds in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

from protoproof.prover.latent.instance import Instance


def value(
    instance: Instance, facts: tuple[int, ...], theta: list[float], prototype: int, sign: int
) -> float:
    """The Lagrangian bound of ``sign * q_j`` in rational arithmetic (theory, section 8)."""
    points = [[Fraction(x) for x in instance.head.prototypes[i].tolist()] for i in facts]
    target = [Fraction(x) for x in instance.head.prototypes[prototype].tolist()]
    latent = [Fraction(x) for x in instance.latent[0].tolist()]
    multipliers = [Fraction(t) for t in theta]
    curvature = sign + sum(multipliers)
    assert curvature > 0

    def squared(a: list[Fraction], b: list[Fraction]) -> Fraction:
        return sum(((x - y) ** 2 for x, y in zip(a, b, strict=True)), Fraction(0))

    zero = [Fraction(0)] * len(target)
    mixed = [
        sign * target[d] + sum(t * p[d] for t, p in zip(multipliers, points, strict=True))
        for d in range(len(target))
    ]
    total = sign * squared(target, zero) - squared(mixed, zero) / curvature
    for t, p in zip(multipliers, points, strict=True):
        total += t * squared(p, zero) - t * squared(latent, p)
    return float(total)
