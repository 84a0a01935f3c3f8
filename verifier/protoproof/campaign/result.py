"""What a campaign's directory holds. Reading one loads no prover."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protoproof.campaign.model_identity import ModelFacts
from protoproof.campaign.record import Row, State
from protoproof.campaign.regions import RegionRecord
from protoproof.campaign.store import Ledger
from protoproof.campaign.summary import state_counts, summary
from protoproof.data.preprocess import recorded
from protoproof.errors import InputError
from protoproof.network import Network, load
from protoproof.network.onnx.file import read_model
from protoproof.network.onnx.node import printable
from protoproof.notebook import line, table


@dataclass(frozen=True)
class Progress:
    """How far a campaign is: ``done`` results of ``total``, of which ``reused`` were there before.

    Every instance has one result for its explanation, and one for each region.
    """

    done: int
    total: int
    reused: int
    state: State | None = None


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a campaign's directory holds.

    ``stopped`` is the number of the signal that ended it early; ``computed``, ``reused`` and
    ``carried`` (a part of ``computed``) say how the results came about in this run. ``regions``
    holds, per region as users write it and by the key of each row, what came of it. ``healed``
    results had lost their files, or others lay there, when this run began: it computed them again.
    """

    directory: Path
    about: dict[str, Any]
    model: ModelFacts
    rows: tuple[Row, ...]
    regions: dict[str, dict[str, RegionRecord]]
    computed: int = 0
    reused: int = 0
    carried: int = 0
    stopped: int | None = None
    healed: int = 0

    def __repr__(self) -> str:
        states = [f"{n} {state}" for state, n in self.states.items() if n]
        return line(type(self).__name__, self.model.name, *states, str(self.directory))

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        states = ", ".join(f"{n} {state}" for state, n in self.states.items() if n)
        rows = {"network": self.model.name, "instances": f"{len(self.rows)}: {states}"}
        for name, found in self.summary["regions"].items():
            rows[f"over {name}"] = f"{found['certified']} certified"
        return table("ProtoProof campaign", **rows, directory=str(self.directory))

    @property
    def states(self) -> dict[str, int]:
        """How many instances are in each state."""
        return state_counts(self.rows)

    @property
    def summary(self) -> dict[str, Any]:
        """The document ``summary.json``."""
        return summary(self.about, self.model, self.rows, self.regions)


def network_of(campaign: Campaign, model: Path | None, option: str) -> Network:
    """The network of a campaign, from the file given or the one that lay where the campaign says.

    It is read as the head that the campaign is about, and its pictures as the campaign did: a
    question, as the options are.

    Args:
        campaign: as its directory has it.
        model: the file, or None.
        option: the option that gives it.

    Raises:
        InputError: there is none, or it is another one: without it nothing can be proved again.
        ModelError: it has no such head.
    """
    path = model or Path(campaign.about["where"]["model"])
    shown = printable(str(path), 200)
    if not path.is_file():
        raise InputError(
            f"{campaign.directory}: its network does not lie at {shown}, and certificates are "
            f"proved from its bytes; give it with {option}"
        )
    facts = campaign.model
    if read_model(path).sha256 != facts.sha256:
        raise InputError(
            f"{shown}: is not the network of {campaign.directory} (sha256 differs); give that one "
            f"with {option}"
        )
    said = recorded(campaign.about["where"].get("preprocess", ""))
    return load(path, latent=facts.latent, output=facts.output, preprocess=said)


def read_campaign(directory: Path) -> Campaign:
    """What an earlier campaign left behind: its word, which :mod:`recheck` does not take.

    Raises:
        InputError: the directory holds none.
    """
    with Ledger.read(directory) as ledger:
        about, model = ledger.about(), ledger.model()
        return Campaign(directory, about, model, ledger.rows(), ledger.regions())
