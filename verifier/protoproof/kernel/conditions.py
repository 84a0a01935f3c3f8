"""What an accepted proof still rests on by somebody's word: the one place that says so.

A theorem whose hypotheses the checker verified itself is *accepted*. Where a hypothesis is only
stated (that the encoder stays in a box which nobody derived here) the theorem is an implication,
and nobody's word makes it more: the report is *conditional*, and says on whose word.

No condition: that the recorded latent is what the encoder computed for the input. That is an
observation, made again by running the input, and it stands among the assumptions.
"""

from __future__ import annotations

from protoproof.certificate.schema import Core, ReachDomain


def conditions(core: Core) -> tuple[str, ...]:
    """Everything that is taken on trust, each with the one whose word it is; empty for nothing."""
    return tuple(vouched(core.domain)) if isinstance(core.domain, ReachDomain) else ()


def vouched(domain: ReachDomain) -> list[str]:
    """What a reach domain leaves unchecked: not its box where the walk over a region found it, nor
    linear bounds that were propagated over that region."""
    count = 0 if domain.region and domain.propagated is not None else len(domain.bounds)
    also = f"meets the {count} stated linear bounds" if count else ""
    if domain.region is None:
        said = "stays in the stated box" + (f" and {also}" if also else "")
    else:
        said = also
    return [f"the latent {said}; not checked, vouched for by: {domain.source}"] if said else []


def walked_words(core: Core) -> str:
    """Which latents necessity, size and contrasts are about under a region; empty without one."""
    domain = core.domain
    if not isinstance(domain, ReachDomain) or domain.region is None:
        return ""
    how = "interval walk"
    if domain.propagated is not None:
        how = f"linear walk (layers of up to {domain.propagated} units)"
    parts = getattr(domain.region, "parts", 1)
    over = "the region" if parts == 1 else f"the region in {parts} parts per parameter"
    count = len(domain.bounds)
    forms = f" and {count} linear bounds of the stated forms" if count else ""
    return f"the box{forms} of the checker's own {how} over {over}, with the recorded latent"
