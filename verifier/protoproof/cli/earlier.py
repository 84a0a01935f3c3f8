"""What an earlier campaign's directory says of where its files lay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from protoproof.errors import ProtoProofError

if TYPE_CHECKING:
    from protoproof.campaign import Instances


def where_it_lay(directory: Path) -> dict[str, str]:
    """Where model and data lay when the campaign ran; empty where nobody wrote it down.

    Data inside the directory is whatever its writer wants: it counts for none.
    """
    from protoproof.campaign import read_campaign
    from protoproof.gate.compare import find_campaign

    found = read_campaign(find_campaign(directory)).about.get("where", {})
    lay = {word: str(found.get(word, "")) for word in ("model", "data", "preprocess")}
    if lay["data"] and Path(lay["data"]).resolve().is_relative_to(directory.resolve()):
        lay["data"] = ""
    return lay


def data_of(given: str | None, where: dict[str, str]) -> Instances | None:
    """The data: what was asked for must be there, what lay there may be gone."""
    from protoproof.campaign.instances import read_instances
    from protoproof.data.preprocess import recorded

    before, stated = where["data"], recorded(where["preprocess"])
    if given is not None:
        return read_instances(given, stated)
    try:
        return read_instances(before, stated) if before else None
    except ProtoProofError:
        return None
