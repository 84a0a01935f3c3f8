"""The gate: refuse what cannot be answered, run the campaign, compare it with the policy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from protoproof.campaign import (
    Campaign,
    Confirmed,
    Instances,
    Progress,
    Row,
    confirm,
    read_campaign,
)
from protoproof.campaign.instances import read_instances
from protoproof.campaign.model_identity import model_facts
from protoproof.campaign.options import CampaignOptions, Workplace
from protoproof.campaign.recheck import Rechecked
from protoproof.campaign.record import alike
from protoproof.campaign.regions import KINDS
from protoproof.campaign.result import network_of
from protoproof.campaign.run import run_campaign
from protoproof.campaign.summary import to_bytes
from protoproof.errors import InputError, ProtoProofError, UsageError
from protoproof.explanation.explainer import vocabularies_of
from protoproof.explanation.level import levels_of
from protoproof.files import require_writable, write_together
from protoproof.gate.compare import Comparison, compare, find_campaign
from protoproof.gate.decided import asked_of, at_rule, evaluate, machine_of
from protoproof.gate.junit import to_junit
from protoproof.gate.machine_checked import MachineChecked
from protoproof.gate.outcome import GateResult
from protoproof.gate.policy import Policy
from protoproof.gate.policy_file import PolicyFile, read_policy
from protoproof.gate.sarif import to_sarif
from protoproof.gate.stale import RESULTS, set_results_aside
from protoproof.kernel import ModelFile
from protoproof.network import Network, load

CAMPAIGN = "campaign"
# options of a campaign that a gate takes from its policy, and their keys there
_KEYS = {
    name: f"campaign.{name.replace('-', '_')}"
    for name in (
        "vocabulary", "domain", "oracle", "witnesses", "inflate", "level", "per-class", "seed",
        "timeout", "memory",
    )
} | {"region": "certified_accuracy: region"}  # fmt: skip
_OPTION = re.compile(rf"--({'|'.join(_KEYS)})\b")


def run_gate(
    policy: Path,
    model: Path,
    data: Instances | str,
    out: Path,
    *,
    latent: Sequence[str] = (),
    output: str | None = None,
    label: str | None = None,
    preprocess: str | None = None,
    baseline: Path | None = None,
    baseline_model: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    **workplace: Unpack[Workplace],
) -> GateResult:
    """Decide about a release; write ``gate.json``, ``gate.junit.xml`` and ``gate.sarif``.

    An earlier run's results are renamed to ``NAME.stale``, its campaign in ``out/campaign`` is
    resumed, and found out again: rules read what ONNX Runtime and the checker say now.

    Args:
        policy: the YAML file.
        model: the network's file.
        data: the data, or where it is read.
        out: output directory.
        latent, output, preprocess: see :func:`protoproof.network.load`.
        label: of a network that predicts labels, the one to explain; all by default.
        baseline: directory of an earlier campaign or gate, for the rules about one; where the
            head is unchanged, its certificates are carried over. All is found out again.
        baseline_model: the network of the baseline; by default the file that it names.
        progress: see :func:`protoproof.campaign.run_campaign`.
        workplace: where it works, see :class:`protoproof.campaign.CampaignOptions`.

    Raises:
        UsageError: the policy is malformed, or asks for what the options cannot tell.
        InputError, ModelError, OutputError: see :func:`protoproof.campaign.run_campaign`.
    """
    set_results_aside(out)
    file = read_policy(policy)
    rules = file.policy.rules
    require_writable(out)
    _refuse_contradictions(file)
    earlier = None if baseline is None else find_campaign(baseline)
    with _words_of(file):
        asked = _asked(file.policy, label, earlier, workplace)
        asked.require_installed()
    network, old = load(model, latent=latent, output=output, preprocess=preprocess), None
    instances = _instances(data, network)
    _refuse_unanswerable(file, network)
    machine = machine_of(rules, network)
    if earlier is not None and rules.baseline is not None:
        old = _baseline(earlier, baseline_model, network, asked.options.to_json())
    with _words_of(file):
        campaign = run_campaign(network, instances, out / CAMPAIGN, asked, progress=progress)
    confirmed, found = _found_again(file, campaign, network, instances, old, machine)
    result = evaluate(file, confirmed, found, machine)
    documents = (to_bytes(result.to_json()), to_junit(result), to_bytes(to_sarif(result)))
    write_together({out / name: doc for name, doc in zip(RESULTS, documents, strict=True)})
    return result


def _instances(data: Instances | str, network: Network) -> Instances:
    """The data, its labels in the network's order."""
    stated = network.pixels.preprocessing
    read = read_instances(data, stated) if isinstance(data, str) else data
    return read.fit(network.class_names, network.about.classes_stated)


def _asked(
    policy: Policy, label: str | None, earlier: Path | None, workplace: Workplace
) -> CampaignOptions:
    """The campaign that the policy describes."""
    plan = policy.campaign
    # sizes of a vocabulary count where it is certified, be it the smallest or not
    compare = plan.vocabulary == "auto" and bool(policy.rules.explanation_size)
    return CampaignOptions(
        selection=plan.selection,
        options=replace(plan.options, label=label, compare=compare),
        regions=[rule.region for rule in policy.rules.certified_accuracy or ()],
        limits=plan.limits,
        earlier=earlier,
        **workplace,
    )


def _baseline(
    directory: Path, model: Path | None, network: Network, options: dict[str, Any]
) -> tuple[Campaign, Network]:
    """The earlier campaign and its network, before any work.

    Raises:
        InputError: other options, or the network is not there.
    """
    old = read_campaign(directory)
    _require_comparable(old, options, directory)
    if old.model.key.head == model_facts(network).key.head:
        return old, network
    return old, network_of(old, model, "--baseline-model")


def _found_again(
    file: PolicyFile,
    campaign: Campaign,
    network: Network,
    instances: Instances,
    old: tuple[Campaign, Network] | None,
    machine: MachineChecked | None = None,
) -> tuple[Confirmed, Comparison | None]:
    """The campaign, and the baseline beside it, about the instances that the policy chooses.

    Neither directory has a say in what is asked: it is the policy's question about the data.
    """
    ask = asked_of(file, instances)
    confirmed = confirm(campaign, network, instances, **ask, watch=machine or _unwatched)
    if old is None:
        return confirmed, None
    before = confirm(*old, instances, **ask, only_known=True)
    _require_intact(before)
    return confirmed, compare(before, confirmed)


def _unwatched(row: Row, found: Rechecked | None) -> None:
    """Nobody looks at what is found."""


@contextmanager
def _words_of(file: PolicyFile) -> Iterator[None]:
    """What is refused of the policy's campaign, in the policy's words: a gate has no such options.

    Raises:
        ProtoProofError: of the same kind.
    """
    try:
        yield
    except ProtoProofError as error:
        found = _OPTION.search(str(error))
        if found is None:
            raise
        text = _OPTION.sub(lambda match: _KEYS[match[1]], str(error))
        place = ("rules", "certified_accuracy") if found[1] == "region" else ("campaign",)
        place = (*place, "per_class") if found[1] == "per-class" else (*place, found[1])
        raise type(error)(f"--policy {file.path}, line {file.line(place)}: {text}") from error


def _refuse_contradictions(file: PolicyFile) -> None:
    """Before any work: rules that the policy's own campaign could neither fulfil nor break."""
    plan, rules = file.policy.campaign, file.policy.rules
    for name in ("witness_share", "ambiguous"):
        if getattr(rules, name) is not None and not plan.witnesses:
            raise UsageError(at_rule(file, name, "needs campaign.witnesses: true"))
    if rules.baseline is not None and rules.baseline.drift is not None and not plan.witnesses:
        raise UsageError(at_rule(file, "baseline", "drift needs campaign.witnesses: true"))
    if rules.certificates is not None and rules.certificates.level == "F":
        if plan.level == "R":
            raise UsageError(at_rule(file, "certificates", "level F, and campaign.level is R"))
        if ":" in plan.domain:
            text = f"level F, and claims over a region of inputs ({plan.domain}) are at level R"
            raise UsageError(at_rule(file, "certificates", text))
    for number, size in enumerate(rules.explanation_size or ()):
        if plan.vocabulary not in ("auto", size.vocabulary):
            text = f"the campaign tries {plan.vocabulary} only, not {size.vocabulary}"
            raise UsageError(at_rule(file, "explanation_size", text, number))
    for number, rule in enumerate(rules.certified_accuracy or ()):
        if rule.region.partition(":")[0] not in KINDS:
            text = f"the region {rule.region!r} is none of {', '.join(KINDS)}"
            raise UsageError(at_rule(file, "certified_accuracy", text, number))


def _refuse_unanswerable(file: PolicyFile, network: Network) -> None:
    """Before any work: rules that this network could neither fulfil nor break."""
    plan, rules = file.policy.campaign, file.policy.rules
    words = vocabularies_of(network.head)
    if plan.vocabulary == "path" and "path" not in words:
        line = file.line(("campaign", "vocabulary"))
        raise UsageError(
            f"--policy {file.path}, line {line}: campaign.vocabulary: path is for trees, and the "
            f"network's head has {', '.join(words)}"
        )
    for number, size in enumerate(rules.explanation_size or ()):
        if plan.vocabulary == "auto" and size.vocabulary not in words:
            text = f"no {size.vocabulary} for the network's head, which has {', '.join(words)}"
            raise UsageError(at_rule(file, "explanation_size", text, number))
    if rules.certificates is not None and rules.certificates.level == "F":
        levels = levels_of(network, ModelFile(network.data, network.files))
        if levels.execution is None:
            raise UsageError(at_rule(file, "certificates", f"level F: {levels.reason}"))
    if rules.contradictory_prototypes is not None and model_facts(network).contradictory is None:
        text = "the network's names do not say which class a prototype belongs to"
        if network.head.prototype_class is not None:
            text = f"the network decides by {network.head.decision.kind}, not by weights of classes"
        raise UsageError(at_rule(file, "contradictory_prototypes", text))


def _require_comparable(old: Campaign, options: dict[str, Any], where: Path | None) -> None:
    """Before any work: the baseline was explained in the same way."""
    if not alike(old.about["options"], options):
        raise InputError(
            f"--baseline {where}: was run with other options than the policy's campaign; run it "
            "again with the same"
        )


def _require_intact(old: Confirmed) -> None:
    """A baseline that tells of proofs which are not there would excuse their loss."""
    lost = [found.text for found in old.complaints.values() if found.final]
    if lost:
        raise InputError(
            f"--baseline {old.directory}: {len(lost)} of its results are not what it tells of "
            f"them ({lost[0]}); run it again, and keep it where nobody else can write"
        )
