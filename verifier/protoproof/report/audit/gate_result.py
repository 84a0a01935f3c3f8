"""The gate's answer beside a campaign, as an audit report shows it."""

from __future__ import annotations

import json
from pathlib import Path

from protoproof.campaign import Campaign
from protoproof.errors import InputError
from protoproof.files import read_regular
from protoproof.report.audit.page import AuditCheck, AuditGate

_LARGEST = 1 << 28  # bytes of a gate's result


def gate_result(directory: Path, campaign: Campaign) -> AuditGate | None:
    """The answer in ``gate.json``.

    Raises:
        InputError: it is malformed, or about another network.
    """
    path = directory / "gate.json"
    content = read_regular(path, _LARGEST)
    if content is None:
        return None
    try:
        found = json.loads(content)
        if found["schema"] != "protoproof.gate/1":
            raise ValueError("another version")
        if found["model"]["sha256"] != campaign.model.sha256:
            raise ValueError("about another network")
        checks = tuple(
            AuditCheck(*(str(item[word]) for word in ("id", "status", "measured", "limit")))
            for item in found["checks"]
        )
        policy = found["policy"]
        return AuditGate(str(found["outcome"]), str(policy["name"]), str(policy["sha256"]), checks)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not the result of this gate ({error}); run it again") from error
