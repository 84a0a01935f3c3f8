"""Certificates with lower bounds that ceilings give for prototypes beside those they bind."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from protoproof.certificate.schema import ActivationFact, Core, ImpliedBound
from protoproof.kernel import check
from tests.support.kernel.builders import Scene, ceiling_core, file, scene


def entry(prototype: int, via: int, stretch: float) -> ImpliedBound:
    return ImpliedBound(prototype=prototype, via=via, stretch=stretch.hex())


def with_kept(here: Scene, names: int, above: int) -> tuple[Core, Core, int]:
    """A certificate with every such bound, without, and how many there are."""
    core = ceiling_core(here, names, above)
    others = tuple(e for e in core.evidence.implied if e.stretch[0] != "-")
    evidence = core.evidence.model_copy(update={"implied": others})
    bare = core.model_copy(update={"evidence": evidence})
    return core, bare, len(core.evidence.implied) - len(others)


@cache
def needing_kept_off() -> tuple[Scene, dict[str, Any]]:
    """A certificate that is proved by one such bound, and not without it."""
    for seed in range(400):
        here = scene(seed, count=6, channels=3, classes=2, grid=(1, 2))
        for names in range(1, 4):
            for above in range(names, 6):
                full, bare, count = with_kept(here, names, above)
                if count != 1 or check(file(bare), here.data).status != "incomplete":
                    continue
                named = {f.prototype for f in full.facts if isinstance(f, ActivationFact)}
                by_ceiling = full.evidence.implied[-1].via not in named
                if by_ceiling and check(file(full), here.data).accepted:
                    return here, json.loads(file(full))
    raise AssertionError("no such scene")
