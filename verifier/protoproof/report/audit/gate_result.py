"""The policy's answer about a campaign, in an audit report: decided again, or not believed.

``gate.json`` is somebody's word: whoever may write to a directory may write "passed". What it says
is shown; what counts is what the policy says of results that were found out again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from protoproof.campaign import Campaign, Confirmed, Instances, Row
from protoproof.campaign.recheck import Rechecked
from protoproof.errors import InputError, ProtoProofError
from protoproof.files import read_regular
from protoproof.gate.decided import asked_of, evaluate, machine_of, require_policys_question
from protoproof.gate.first_release import WORDS
from protoproof.gate.machine_checked import MachineChecked
from protoproof.gate.outcome import Check, GateResult, Outcome, overall
from protoproof.gate.policy_file import PolicyFile, read_policy
from protoproof.network import Network
from protoproof.report.audit.page import AuditCheck, AuditGate

_LARGEST = 1 << 28  # bytes of a gate's result
_NO_RESULT = "its gate left no gate.json; give the policy with --policy"
_NOT_HERE = "not compared with a baseline here; protoproof gate does"

Watch = Callable[[Row, Rechecked | None], None]


@dataclass(frozen=True)
class Told:
    """What ``gate.json`` says, and where it says that the policy lay."""

    gate: AuditGate
    policy: Path


def told_by(directory: Path, network: Network) -> Told | None:
    """The answer in ``gate.json``; None where there is none.

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
        if found["model"]["sha256"] != network.sha256:
            raise ValueError("about another network")
        checks = tuple(
            AuditCheck(*(str(item[word]) for word in ("id", "status", "measured", "limit")))
            for item in found["checks"]
        )
        policy = found["policy"]
        gate = AuditGate(str(found["outcome"]), str(policy["name"]), str(policy["sha256"]), checks)
        return Told(gate, Path(str(policy["file"])))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not the result of this gate ({error}); run it again") from error


@dataclass(frozen=True, eq=False)
class Deciding:
    """What is needed to decide a policy again; ``why`` it cannot be, where it cannot."""

    told: Told | None = None
    file: PolicyFile | None = None
    machine: MachineChecked | None = None
    ask: dict[str, Any] | None = None
    why: str = ""

    def watch(self, row: Row, found: Rechecked | None) -> None:
        """Show the machine-checked kernel a certificate, if the policy asks for that."""
        if self.machine is not None:
            self.machine(row, found)

    def result(self, campaign: Confirmed) -> AuditGate | None:
        """The answer: decided again, else as it is told and not to be relied on."""
        told = None if self.told is None else self.told.gate
        if self.file is None:
            if told is None:
                return AuditGate("", "", "", (), why=self.why) if self.why else None
            return replace(told, why=self.why)
        try:
            found = _without_baseline(evaluate(self.file, campaign, machine=self.machine))
        except ProtoProofError as error:
            if told is None:
                raise
            return replace(told, why=str(error))
        checks = tuple(
            AuditCheck(check.id, check.status, check.measured, check.limit)
            for check in found.checks
        )
        return AuditGate(
            found.outcome,
            self.file.policy.name,
            self.file.sha256,
            checks,
            again=True,
            said="" if told is None else told.outcome,
            uncompared=_still_possible(found.checks),
            file=str(self.file.path),
        )


def _without_baseline(found: GateResult) -> GateResult:
    """Rules about an earlier campaign are open: whether there was one, only ``gate.json`` says."""
    checks = tuple(_open(check) if check.measured == WORDS else check for check in found.checks)
    return replace(found, checks=checks, outcome=overall(checks))


def _still_possible(checks: Sequence[Check]) -> tuple[str, ...]:
    """What the policy's answer may be once what is open here is compared; () if nothing is."""
    rest = [check for check in checks if check.measured != _NOT_HERE]
    if len(rest) == len(checks):
        return ()
    answers: tuple[Outcome, ...] = ("passed", "failed", "undecided")
    ends = (overall([*rest, replace(checks[-1], status=answer)]) for answer in answers)
    return tuple(dict.fromkeys(ends))


def _open(check: Check) -> Check:
    return replace(check, status="undecided", measured=_NOT_HERE)


def deciding(
    directory: Path,
    campaign: Campaign,
    network: Network,
    instances: Instances | None,
    policy: Path | None,
) -> Deciding:
    """What there is to decide with, before any work.

    Args:
        directory: the gate's, or a campaign's.
        campaign: as its directory has it.
        network: that it is about.
        instances: the data; None where it is not at hand.
        policy: the file; None: the one that ``gate.json`` names, if it is still what it was.

    Raises:
        InputError, UsageError: ``gate.json`` or ``policy`` cannot be read.
    """
    told = told_by(directory, network)
    if told is None and policy is None:
        # whoever removes a gate's answer has not made it a campaign of which nothing was asked
        return Deciding(why="" if campaign.directory == directory else _NO_RESULT)
    try:
        file = read_policy(policy) if policy is not None else _named(told, directory)
        if instances is None:
            raise InputError("the data is not at hand; give it with --data")
        require_policys_question(file, campaign)
        instances = instances.fit(network.class_names, network.about.classes_stated)
        machine = machine_of(file.policy.rules, network)
    except ProtoProofError as error:
        if policy is not None:
            raise
        return Deciding(told, why=str(error))
    return Deciding(told, file, machine, asked_of(file, instances))


def _named(told: Told | None, directory: Path) -> PolicyFile:
    """The policy that ``gate.json`` names.

    Raises:
        InputError: it is not there, was changed, or lies where the result lies: then both are the
            word of whoever wrote there.
    """
    if told is None:
        raise InputError("no policy is named")
    path = told.policy
    if path.resolve().is_relative_to(directory.resolve()):
        raise InputError(f"its policy {path} lies beside the result; give one with --policy")
    if not path.is_file():
        raise InputError(f"its policy {path} is not there; give it with --policy")
    file = read_policy(path)
    if file.sha256 != told.gate.sha256:
        raise InputError(f"its policy {path} was changed since; give the right one with --policy")
    return file
