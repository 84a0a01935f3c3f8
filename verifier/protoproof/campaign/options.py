"""What a campaign is asked for. One frozen object travels from whoever asks to the workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from protoproof.campaign.instances import Selection
from protoproof.campaign.record import Limits, Options
from protoproof.certificate.schema import About
from protoproof.errors import UsageError
from protoproof.extras import require

if TYPE_CHECKING:
    from protoproof.campaign.executor import Engine, MakeServer

    MakeEngine = Callable[[MakeServer, Limits], Engine]

ENGINES = ("local", "ray")


class Workplace(TypedDict, total=False):
    """Where a campaign works, which changes nothing of what it finds: fields of the options."""

    workers: int
    device: str
    engine: str | MakeEngine
    address: str | None
    about: About


class CampaignKeywords(Workplace, total=False):
    """The fields of :class:`CampaignOptions`, as keywords of the calls that build them."""

    selection: Selection
    options: Options
    regions: Sequence[str]
    limits: Limits
    earlier: Path | None


@dataclass(frozen=True)
class CampaignOptions:
    """What is asked of a network and a data set.

    Attributes:
        selection: which instances; all by default.
        options: how to explain.
        regions: over which every instance is certified too, such as ``linf:0.1``.
        limits: what one instance may cost.
        workers: how many processes.
        device: where they falsify and bound regions: ``cpu`` or ``cuda``. Like the number of
            workers, it does not enter the keys: a proof is a proof.
        engine: ``local``, ``ray``, or a function that makes an engine.
        address: of a Ray cluster; None is one of this machine's own.
        earlier: directory of another campaign. Where its network has an equal head and this one
            computes the same latent, its certificates are carried over and checked again.
        about: what certificates record beside their cores of when and how they were asked for.

    Raises:
        UsageError: options that make no sense.
    """

    selection: Selection = field(default_factory=Selection)
    options: Options = field(default_factory=Options)
    regions: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    workers: int = 1
    device: str = "cpu"
    engine: str | MakeEngine = "local"
    address: str | None = None
    earlier: Path | None = None
    about: About = field(default_factory=About)

    def __post_init__(self) -> None:
        self.options.explain()
        if self.workers < 1:
            raise UsageError("--workers: must be at least 1")
        if self.limits.seconds is not None and not self.limits.seconds > 0:
            raise UsageError("--timeout: must be positive")
        if self.limits.megabytes is not None and self.limits.megabytes < 1:
            raise UsageError("--memory: must be at least 1")
        if isinstance(self.engine, str) and self.engine not in ENGINES:
            raise UsageError(f"--engine {self.engine}: unknown; use " + ", ".join(ENGINES))
        if self.engine == "local" and self.address is not None:
            raise UsageError("--address is for --engine ray")

    def require_installed(self) -> None:
        """Refuse, before any work, what needs packages that are not installed.

        Raises:
            MissingDependencyError: naming them and the command that installs them.
        """
        self.options.explain().require_installed()
        if self.regions:
            require("certify", f"--region {self.regions[0]}")
        if self.engine == "ray":
            require("ray", "--engine ray")
