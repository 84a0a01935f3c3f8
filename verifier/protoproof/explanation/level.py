"""The level of a proof: whether it also holds for every float32 execution of the head.

What an execution is, and what it may differ by, the checker reads from the graph. That takes
nothing on trust: it does so again for every certificate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from protoproof.certificate.schema import Core, Execution, ReachDomain
from protoproof.errors import UsageError
from protoproof.kernel import CheckReport, ModelFile
from protoproof.kernel.budget import Budget
from protoproof.kernel.float32.budget import allowances, rounding
from protoproof.kernel.float32.measured import UnroundableError
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import read_domain
from protoproof.network import Network
from protoproof.network.head.decision import Tree

_NEAR = 0.01  # a squared distance at which forms are compared
_OBLIGATION = 8  # which asks for margins, and at level F for more
_STRICTER = (1.5, 6.0, 24.0)  # by how much more than the budget of a set that failed


@dataclass(frozen=True, eq=False)
class Levels:
    """What is known about float32 executions of one head."""

    model: ModelFile
    latents: tuple[str, ...]
    output: str
    routing: str | None = None

    @cached_property
    def _found(self) -> tuple[Execution | None, str]:
        with Budget().active():
            bound = self.model.bound(self.latents, self.output, whole=True)
            if self.routing is not None:
                bound = bound.routed(self.routing)  # type: ignore[arg-type]
            found = rounding(bound)
        return found.execution, found.reason

    @property
    def execution(self) -> Execution | None:
        """How the graph computes the head in float32; None where some step has no rule."""
        return self._found[0]

    @property
    def reason(self) -> str:
        """Which, and why."""
        return self._found[1]

    @property
    def doubtful(self) -> bool:
        """Whether rounding takes much more from margins than facts mostly leave."""
        return self.execution is not None and self.execution.form == "expanded"

    def objection(self, core: Core) -> str:
        """Why nothing of this kind is at level F, "" where it may be."""
        if core.parts or core.holds is not None or _over_a_region(core):
            return "a claim about a region of inputs"
        return "" if self.execution is not None else self.reason

    def at_f(self, core: Core) -> Core:
        """The same claim at level F."""
        return core.model_copy(update={"level": "F", "execution": self.execution})

    def require(self) -> None:
        """Refuse what no certificate of this head can have.

        Raises:
            UsageError: some step of the head has no rule in float32.
        """
        if self.execution is None:
            raise UsageError(f"--level F: {self.reason}; use --level R")

    def floors(self, core: Core) -> tuple[float, ...]:
        """What a search may ask of margins where a set misses level F; nothing where no bound of
        rounding is known for it."""
        with Budget().active():
            bound = self.model.bound(self.latents, self.output, whole=True)
            head = bound.head
            where = read_domain(core.domain, head.location_count, head.channels)
            try:
                found = allowances(bound, core, Bounds(head, core, where), where)
            except UnroundableError:
                return ()
        worst = max((a.budget for a in found.values()), default=0.0)
        if not math.isfinite(worst):
            return ()
        return tuple(worst * factor for factor in _STRICTER)


def _over_a_region(core: Core) -> bool:
    return isinstance(core.domain, ReachDomain) and core.domain.region is not None


def levels_of(network: Network, model: ModelFile | None = None) -> Levels:
    """What is known about float32 executions of a network's head."""
    found, decision = network.recognised, network.head.decision
    routing = decision.routing if isinstance(decision, Tree) else None
    file = model or ModelFile(network.data, network.files)
    return Levels(file, found.latents, found.output, routing)


def float32_words(network: Network, model: ModelFile | None = None) -> tuple[str, ...]:
    """Whether explanations of a network can be at level F, and what would make it more often so."""
    known = levels_of(network, model)
    if known.execution is None:
        return (f"level R only: {known.reason}",)
    if known.execution.form != "expanded":
        return ("level F where margins exceed rounding: the measurement is computed directly",)
    size = float((np.asarray(network.head.prototypes, dtype=np.float64) ** 2).sum(axis=1).mean())
    times = 2 + 8 * size / _NEAR
    warning = (
        f"warning: distances are expanded, |z|^2 - 2 <z, p> + |p|^2: at squared distance {_NEAR:g} "
        f"rounding may take {times:,.0f} times what it takes from the direct form, so that few or "
        "no explanations are at level F"
    )
    direct = (
        "the direct form is the sum of squared differences, ((z[:, None] - p) ** 2).sum(2), as "
        "this tool's own exporter writes it"
    )
    return warning, direct


def missed(report: CheckReport) -> str:
    """Where nothing but level F is missing, the checker's sentence about it; else ""."""
    for failure in report.failures:
        if failure.number == _OBLIGATION and failure.passed is None:
            if failure.detail.startswith("level F"):
                return failure.detail
        elif failure.passed is False or failure.number < _OBLIGATION:
            return ""
    return ""
