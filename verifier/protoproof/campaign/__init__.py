"""Campaigns: many instances of one network explained, resumable, with every outcome recorded."""

from __future__ import annotations

from protoproof.campaign.instances import Instances, Selection, parse_indices
from protoproof.campaign.record import STATES, Limits, Options, Record, Row
from protoproof.campaign.run import Campaign, Progress, read_campaign, run_campaign

__all__ = [
    "STATES",
    "Campaign",
    "Instances",
    "Limits",
    "Options",
    "Progress",
    "Record",
    "Row",
    "Selection",
    "parse_indices",
    "read_campaign",
    "run_campaign",
]
