"""Campaigns: many instances of one network explained, resumable, with every outcome recorded.

Reading one needs no prover; ``run_campaign``, which does, is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protoproof.campaign.confirmed import Confirmed, confirm
from protoproof.campaign.instances import Instances, Selection, parse_indices
from protoproof.campaign.options import CampaignOptions
from protoproof.campaign.record import STATES, Limits, Options, Record, Row
from protoproof.campaign.result import Campaign, Progress, read_campaign

if TYPE_CHECKING:
    from protoproof.campaign.run import run_campaign as run_campaign

__all__ = [
    "STATES",
    "Campaign",
    "CampaignOptions",
    "Confirmed",
    "Instances",
    "Limits",
    "Options",
    "Progress",
    "Record",
    "Row",
    "Selection",
    "confirm",
    "parse_indices",
    "read_campaign",
    "run_campaign",
]


def __getattr__(name: str) -> Any:
    if name != "run_campaign":
        raise AttributeError(f"module 'protoproof.campaign' has no attribute {name!r}")
    from protoproof.extras import require

    require("explain", "a campaign")
    from protoproof.campaign.run import run_campaign

    return run_campaign
