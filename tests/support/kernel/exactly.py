"""Exact numbers of the checker as fractions, and small heads made of integers."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, fmpq

from protoproof.certificate.schema import (
    BoxDomain,
    Core,
    Domain,
    Fact,
    FreeDomain,
    Instance,
    IntervalEvidence,
    ModelIdentity,
)
from protoproof.kernel.arithmetic.exact import GRID
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.decision import Decision
from protoproof.kernel.model.head import Geometry, Head, Pooling

UNIT_BOX = BoxDomain(lower=(0.0).hex(), upper=(1.0).hex())


def fraction(number: arb | fmpq | float) -> Fraction:
    """What a number is that has no error."""
    if isinstance(number, fmpq):
        return Fraction(int(number.p), int(number.q))
    if isinstance(number, float):
        return Fraction(number)
    assert number.is_exact()
    mantissa, exponent = number.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def on_grid(end: int | None) -> Fraction | float:
    """A bound over ``2**GRID``; infinite where there is none."""
    return math.inf if end is None else Fraction(end, 1 << GRID)


def negated() -> Chain:
    """The similarity -m, exactly."""
    return Chain([Step("mul", (Fraction(-1),))])


def linear(weight: Sequence[Sequence[int]], bias: Sequence[int] | None = None) -> Decision:
    """Integer scores."""
    rows = [list(row) for row in weight]
    return Decision("linear", len(rows[0]), rows, list(bias or [0] * len(rows)), 0)


def small_head(
    prototypes: Sequence[Sequence[int]],
    decision: Decision,
    *,
    shift: int = 0,
    geometry: Geometry = "euclidean",
    chain: Chain | None = None,
    locations: Sequence[int] = (0,),
    banks: Sequence[int] | None = None,
    pooling: Pooling = Pooling(),  # noqa: B008 (immutable)
    **more: Any,
) -> Head:
    """Prototypes over ``2**shift``; ``locations``: the bank of each, ``banks``: of prototypes."""
    flat = [n for point in prototypes for n in point]
    count = len(prototypes)
    return Head(
        geometry, (flat, shift), more.pop("scales", None), chain or negated(),
        more.pop("inner", None), [pooling] * count, decision, locations,
        [0] * count if banks is None else banks, len(prototypes[0]), **more,
    )  # fmt: skip


def core_of(
    head: Head,
    latent: Sequence[Sequence[float]],
    facts: Sequence[Fact] = (),
    *,
    domain: Domain | None = None,
    predicted: int = 0,
    labels: tuple[int, ...] = (),
    rivals: Sequence[int] | None = None,
    vocabulary: str = "mixed",
    evidence: IntervalEvidence | None = None,
    **more: Any,
) -> Core:
    """A certificate about a latent [L][D] of a small head; nothing in it need be true."""
    values = np.array(latent, dtype="<f4")
    others = [k for k in range(head.class_count) if k != predicted]
    fields: dict[str, Any] = {
        "tool": "tests",
        "level": "R",
        "model": ModelIdentity(
            sha256="0" * 64, latent=("latent",), output="logits", geometry=head.geometry,
            pooling=tuple(sorted({p.kind for p in head.pooling})), decision=head.decision.kind,
            routing=head.decision.routing if head.decision.kind == "tree" else None,
        ),
        "instance": Instance(
            input_sha256="0" * 64, locations=len(values), channels=values.shape[1],
            latent=base64.b64encode(values.tobytes()).decode(), predicted=predicted, labels=labels,
        ),
        "domain": domain or FreeDomain(),
        "vocabulary": vocabulary,
        "premises": "interval",
        "facts": tuple(facts),
        "rivals": tuple(others if rivals is None else rivals),
        "evidence": evidence or IntervalEvidence(),
    }  # fmt: skip
    return Core(**{**fields, **more})
