"""A campaign's directory: the certificates that it tells of, and whether it passes a policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from protoproof.attestation.statement import Policy
from protoproof.campaign import Campaign, Instances, confirm
from protoproof.campaign.places import certificate_path, region_paths, size_path
from protoproof.campaign.store import ALTERED
from protoproof.errors import InputError, UsageError
from protoproof.gate.decided import asked_of, evaluate, require_policys_question
from protoproof.gate.outcome import GateResult
from protoproof.gate.policy_file import read_policy
from protoproof.network import Network

_KEY = re.compile("[0-9a-f]{64}")


def certificates_in(campaign: Campaign) -> dict[Path, bool]:
    """Every certificate of the plan's results (explanations, other vocabularies, regions), and
    whether it is as the campaign stored it.

    The directory only says which files to look at; each is proved again.

    Raises:
        InputError: a result has an impossible name.
    """
    found: dict[Path, bool] = {}
    for path, altered in _told(campaign):
        if altered or path.is_file():
            found[path] = found.get(path, True) and not altered
    return found


def _told(campaign: Campaign) -> Iterator[tuple[Path, bool]]:
    """The files of all results, and whether they are missing or altered."""
    directory = campaign.directory
    for row in campaign.rows:
        yield certificate_path(directory, _plain(row.key)), row.record.reason == ALTERED
        for vocabulary in row.record.sizes:
            if vocabulary != row.record.vocabulary:
                yield size_path(directory, row.key, vocabulary), False
    for results in campaign.regions.values():
        for result in results.values():
            yield region_paths(directory, _plain(result.key))[0], result.reason == ALTERED


def _plain(key: str) -> str:
    """A key, which is part of a file's name and leads nowhere else."""
    if not _KEY.fullmatch(key):
        raise InputError("the campaign names a result as none is named; run it again")
    return key


def decided(
    path: Path, campaign: Campaign, network: Network, instances: Instances
) -> tuple[GateResult, Policy]:
    """Decide a policy about a campaign, found out again; and how an attestation names it.

    Raises:
        UsageError: the policy is malformed, or asks for what the campaign or nobody here can tell.
        InputError: data or network are not those of the campaign.
    """
    file = read_policy(path)
    if file.policy.rules.baseline is not None:
        place = file.line(("rules", "baseline"))
        raise UsageError(
            f"--policy {path}, line {place}: baseline: an attestation compares with no earlier "
            "campaign; give a policy without these rules, or none"
        )
    require_policys_question(file, campaign)
    read = instances.fit(network.class_names, network.about.classes_stated)
    result = evaluate(file, confirm(campaign, network, read, **asked_of(file, read)))
    return result, Policy(name=file.policy.name, sha256=file.sha256)
