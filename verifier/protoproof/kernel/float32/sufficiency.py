"""What obligation 8 asks at level F."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isinf

from protoproof.certificate.schema import Core, ReachDomain
from protoproof.kernel.float32.budget import allowances, allowances_anywhere, rounding
from protoproof.kernel.float32.measured import UnroundableError
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.margins import Margin
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.rule import IncompleteError


def execution_complaints(core: Core, bound: BoundHead) -> Iterator[str]:
    """Whether the executions are stated at level F, and as the graph computes; at R, not at all."""
    if core.level != "F":
        if core.execution is not None:
            yield "an execution is stated at level R, where there is none"
        return
    if core.parts or core.holds is not None or _over_a_region(core):
        yield "level F is stated, and the claim is about a region of inputs, which is at level R"
        return
    found = rounding(bound)
    if found.execution is None:
        yield f"level F is stated, and the head has no float32 rule: {found.reason}"
    elif core.execution != found.execution:
        yield "the execution that is stated is not how the graph computes the head in float32"


def _over_a_region(core: Core) -> bool:
    return isinstance(core.domain, ReachDomain) and core.domain.region is not None


def require_level_f(
    bound: BoundHead,
    core: Core,
    bounds: Bounds,
    where: LatentDomain,
    margins: Sequence[Margin],
) -> None:
    """Refuse margins that float32 rounding may undo.

    Raises:
        IncompleteError: some are no greater than their budget.
    """
    missed = shortfalls(bound, core, bounds, where, margins)
    if missed:
        rival, lower, budget = max(missed, key=lambda one: one[2] - one[1])
        taken = f"float32 may take {budget:.6g} of it"
        if isinf(budget):
            taken = "what float32 may take of it has no bound over these latents"
        raise IncompleteError(
            f"level F is not proved over {len(missed)} of {len(margins)} rivals: the margin over "
            f"class {rival} is at least {lower:.6g}, and {taken}"
        )


def shortfalls(
    bound: BoundHead,
    core: Core,
    bounds: Bounds,
    where: LatentDomain,
    margins: Sequence[Margin],
) -> list[tuple[int, float, float]]:
    """(rival, margin, budget) where an execution may not have the margin.

    Raises:
        IncompleteError: a step of the head has no rule.
    """
    try:
        # what rounding takes at any latent is known for the head, and mostly little enough
        found = allowances_anywhere(bound, core)
        if not all(found[m.rival].suffices(m.lower) for m in margins):
            found = allowances(bound, core, bounds, where)
    except UnroundableError as error:
        raise IncompleteError(f"level F is not proved: {error}") from error
    return [
        (m.rival, m.lower, found[m.rival].budget)
        for m in margins
        if not found[m.rival].suffices(m.lower)
    ]
