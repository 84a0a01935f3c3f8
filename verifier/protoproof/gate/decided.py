"""A policy decided about a campaign that was found out again: by whoever has both at hand.

Gates, reports and attestations decide here, and nothing else is called a decision: an earlier
gate's result is somebody's word.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from protoproof.campaign import Campaign, Confirmed, Instances, Options
from protoproof.errors import InputError, UsageError
from protoproof.gate.compare import Comparison
from protoproof.gate.machine_checked import MachineChecked
from protoproof.gate.outcome import Check, GateResult, overall
from protoproof.gate.policy import Rules
from protoproof.gate.policy_file import PolicyFile
from protoproof.gate.rules import baseline_checks, checks
from protoproof.network import Network


def asked_of(file: PolicyFile, instances: Instances) -> dict[str, Any]:
    """What a policy asks of the data, as :func:`protoproof.campaign.confirm` takes it."""
    rules = file.policy.rules
    return {
        "chosen": file.policy.campaign.selection.choose(instances),
        "regions": [rule.region for rule in rules.certified_accuracy or ()],
        "vocabularies": {size.vocabulary for size in rules.explanation_size or ()},
    }


def evaluate(
    file: PolicyFile,
    campaign: Confirmed,
    found: Comparison | None = None,
    machine: MachineChecked | None = None,
) -> GateResult:
    """The policy's checks on a finished campaign that was found out again.

    ``machine`` was asked about its certificates, if the policy wants that.

    Raises:
        UsageError: the policy asks for something that the campaign does not hold.
    """
    rules = file.policy.rules
    _refuse_regions(rules, set(campaign.regions), campaign.directory, file)
    _refuse_vocabularies(rules, campaign, file)
    objections = None if machine is None else machine.objections
    outcomes: list[Check] = list(checks(rules, campaign, objections))
    if rules.baseline is not None:
        outcomes += baseline_checks(rules.baseline, found)
    facts = campaign.model
    return GateResult(
        overall(outcomes),
        file,
        tuple(_with_files(check, campaign) for check in outcomes),
        facts.identity,
        dict(campaign.about["data"]),
        campaign.states,
        campaign.rows,
        None if found is None else {"sha256": found.old.model.sha256, "common": len(found.pairs)},
        campaign.stopped,
        campaign.healed,
    )


def _with_files(check: Check, campaign: Confirmed) -> Check:
    """The same check, with complaints that name the instances' files."""
    files = {row.index: row.file for row in campaign.rows}
    named = (
        found if found.instance is None else replace(found, file=files.get(found.instance, ""))
        for found in check.findings
    )
    return replace(check, findings=tuple(named))


def require_policys_question(file: PolicyFile, campaign: Campaign) -> None:
    """A campaign over another domain, or at a lower level, makes other claims than a policy asks.

    Other options are no matter: rules measure what was found, in whatever way it was looked for.

    Raises:
        InputError: it is over another domain than the policy's, or took proofs at level R where the
            policy asks for level F.
    """
    told, wanted = Options(**campaign.about["options"]), file.policy.campaign.options
    if told.domain != wanted.domain:
        raise InputError(
            f"{campaign.directory}: is over the domain {told.domain}, and {file.path} asks for "
            f"{wanted.domain}"
        )
    if wanted.level == "F" != told.level:
        raise InputError(
            f"{campaign.directory}: asked for level {told.level}, and {file.path} asks for level F"
        )


def machine_of(rules: Rules, network: Network) -> MachineChecked | None:
    """The machine-checked kernel, if the policy asks for it.

    Raises:
        UsageError: it does, and the kernel is not built.
    """
    asked = rules.certificates is not None and rules.certificates.kernel == "required"
    return MachineChecked(network) if asked else None


def _refuse_regions(rules: Rules, known: set[str], where: Path, file: PolicyFile) -> None:
    for number, rule in enumerate(rules.certified_accuracy or ()):
        if rule.region not in known:
            text = (
                f"{where} holds no results over the region {rule.region}; run it again with that "
                "--region"
            )
            raise UsageError(at_rule(file, "certified_accuracy", text, number))


def _refuse_vocabularies(rules: Rules, campaign: Confirmed, file: PolicyFile) -> None:
    """A vocabulary that was never tried is a misspelt one."""
    tried = {vocabulary for row in campaign.rows for vocabulary in row.record.sizes}
    for number, size in enumerate(rules.explanation_size or ()):
        if tried and size.vocabulary not in tried:
            text = f"no {size.vocabulary} in this campaign, which tries {', '.join(sorted(tried))}"
            raise UsageError(at_rule(file, "explanation_size", text, number))


def at_rule(file: PolicyFile, rule: str, text: str, number: int | None = None) -> str:
    """A refusal of a rule, with its place in the policy."""
    place = ("rules", rule) if number is None else ("rules", rule, number)
    return f"--policy {file.path}, line {file.line(place)}: {rule}: {text}"
