"""The audit report of a campaign."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from protoproof.campaign import Campaign, Confirmed, Instances, Row, confirm, read_campaign
from protoproof.campaign.model_identity import ModelFacts
from protoproof.campaign.places import CERTIFICATES, LEDGER, REGIONS
from protoproof.campaign.recheck import Rechecked
from protoproof.campaign.result import network_of
from protoproof.campaign.signal import signal
from protoproof.campaign.store import ALTERED
from protoproof.files import write_atomic
from protoproof.network import Network
from protoproof.report.audit.gate_result import Deciding, deciding
from protoproof.report.audit.html import print_pdf, render_audit
from protoproof.report.audit.page import (
    AuditClass,
    AuditGate,
    AuditInstance,
    AuditPage,
    AuditPrototype,
    AuditRegion,
)
from protoproof.report.audit.sections import Sections
from protoproof.report.page.patches import Patches, patches_of
from protoproof.report.page.text import label
from protoproof.report.page.told import PROGRAM, date_words, told_path
from protoproof.report.page.units import unit_words
from protoproof.report.page.words import LEVELS, REGIONS_TOO
from protoproof.version import TOOL
from protoproof.wording import plural

SECTIONS = 200  # instances with a section of their own, by default


def audit_to_files(
    directory: Path,
    out: Path,
    *,
    model: Path,
    instances: Instances | None,
    pdf: Path | None = None,
    sections: int = SECTIONS,
    scripts: bool = True,
    policy: Path | None = None,
) -> AuditPage:
    """Write the report of a campaign's or gate's directory to ``out``, and printed to ``pdf``.

    Args:
        directory: what ``campaign`` or ``gate`` made.
        out: the HTML file.
        model: the network's file.
        instances: the data, for pictures; None: without.
        pdf: the PDF file, or None.
        sections: how many instances get a section of their own.
        scripts: whether the report has a script that searches and orders its instances.
        policy: what is decided again; the policy that ``gate.json`` names by default.

    Raises:
        InputError: no campaign there, or model or gate result are about another network.
        OutputError: a file cannot be written.
        MissingDependencyError: jinja2, or a Chromium for the PDF.
    """
    page = audit_page(directory, model, instances, sections, out.parent, policy)
    made = date_words(datetime.now(UTC).isoformat(timespec="minutes"))
    page = replace(page, made=made)
    write_atomic(out, render_audit(page, scripts=scripts).encode("utf-8"))
    if pdf is not None:
        write_atomic(pdf, print_pdf(out))
    return page


def audit_page(
    directory: Path,
    model: Path,
    instances: Instances | None,
    sections: int = SECTIONS,
    base: Path | None = None,
    policy: Path | None = None,
) -> AuditPage:
    """What the report says; see :func:`audit_to_files`. Nothing of it is the ledger's word."""
    inside = directory if (directory / LEDGER).is_file() else directory / "campaign"
    stored = read_campaign(inside)
    network = network_of(stored, model, "--model")
    decides = deciding(directory, stored, network, instances, policy)
    audit = Sections(network, instances)
    campaign, every = _found_again(stored, network, instances, audit, sections, decides)
    gate = decides.result(campaign)
    shown, rest = every[:sections], every[sections:]
    proved = campaign.proved
    regions = tuple(audit.region(campaign, name) for name in campaign.regions)
    counterexamples = tuple(audit.counterexamples(campaign))
    around = {r.key: r for known in campaign.regions.values() for r in known.values()}
    complaints = campaign.complaints.values()
    over = sum(record.state == "proved" for record in around.values())
    audit.missing += [*_altered(campaign), *_other_data(stored, campaign)]
    return AuditPage(
        title=f"Audit of {campaign.model.name}",
        tool=TOOL,
        gate=gate,
        states=tuple((state, n) for state, n in campaign.states.items() if n),
        total=len(campaign.rows),
        correct=sum(row.correct is True for row in campaign.rows),
        accepted=sum(item.accepted is True for item in every) + over,
        rejected=sum(found.final for found in complaints),
        conditional=sum(found.conditional for found in complaints),
        undecided=sum(not (found.final or found.conditional) for found in complaints),
        open=sum(row.record.state != "proved" for row in campaign.rows)
        + sum(record.state not in ("proved", "refuted") for record in around.values()),
        identity=_identity(campaign, network, audit.command),
        claim=_claim(campaign, sum(item.accepted is True for item in every), regions, network),
        domain=audit.domain or f"The domain {campaign.about['options']['domain']}.",
        level=_level(proved) + (f" {REGIONS_TOO}" if campaign.regions else ""),
        regions=regions,
        classes=_classes(campaign),
        sizes=_sizes(proved),
        signal=signal(campaign.rows),
        facts=sum(row.record.size or 0 for row in proved),
        necessary=sum(row.record.necessary or 0 for row in proved),
        prototypes=_prototypes(campaign, proved, patches_of(network)),
        use=_use(campaign, proved),
        class_names=campaign.model.classes,
        instances=tuple(shown),
        unlisted=len(rest),
        counterexamples=counterexamples,
        hidden=sum(region.refuted for region in regions) - len(counterexamples),
        wrong=tuple(item for item in every if item.correct is not True or item.state != "proved"),
        assumptions=tuple(f"{text[0].upper()}{text[1:]}." for text in sorted(campaign.assumptions)),
        limits=_limits(campaign, gate),
        recheck=_recheck(inside, model, inside if base is None else base, bool(over)),
        missing=tuple(audit.missing),
    )


def _found_again(
    stored: Campaign,
    network: Network,
    instances: Instances | None,
    audit: Sections,
    sections: int,
    decides: Deciding,
) -> tuple[Confirmed, list[AuditInstance]]:
    """The campaign found out again, and a section for each instance, the first ones in full."""
    every: list[AuditInstance] = []

    def watch(row: Row, found: Rechecked | None) -> None:
        every.append(audit.instance(row, found, brief=len(every) >= sections))
        decides.watch(row, found)

    return confirm(stored, network, instances, **decides.ask or {}, watch=watch), every


def _altered(campaign: Confirmed) -> list[str]:
    """What is not as the campaign stored it, in a sentence."""
    altered = sum(found.text == ALTERED for found in campaign.complaints.values())
    words = plural(altered, "certificate")
    return [f"Missing or altered since the campaign ran: {words}."] if altered else []


def _other_data(stored: Campaign, campaign: Confirmed) -> list[str]:
    """That other data was read than the campaign names, in a sentence."""
    told, read = stored.about["data"]["sha256"], campaign.about["data"]["sha256"]
    if told == read:
        return []
    return [f"The data is another one than the campaign names (sha256 {label(str(told))})."]


def _identity(campaign: Confirmed, network: Network, command: str) -> tuple[tuple[str, str], ...]:
    model, about = campaign.model, campaign.about
    size = f"{model.prototypes} prototypes of {model.channels} channels"
    said = {word: value for word, value in about["options"].items() if value is not None}
    options = ", ".join(f"{word}: {_option(value)}" for word, value in said.items())
    regions = (("Regions", ", ".join(campaign.regions)),) if campaign.regions else ()
    stated = network.pixels.text, network.pixels.against
    words = (f"as stated: {stated[0]}", f"contradicted by the model: {stated[1]}")
    pixels = "; ".join(text for text, found in zip(words, stated, strict=True) if found)
    prepared = (("Preprocessing", pixels),) if pixels else ()
    where = "" if campaign.labelled else " (as recorded)"
    trained = (("Training data", model.training_data),) if model.training_data else ()
    return (
        ("Model", f"{model.name} ({model.family})"),
        ("Model file", network.path.name),
        ("Model sha256", model.sha256),
        ("Head", f"{size}, {model.geometry} geometry, {model.decision} decision"),
        ("Locations", _locations(model)),
        ("Pooling", ", ".join(model.pooling)),
        ("Latent", ", ".join(model.latent)),
        ("Output", model.output),
        ("Head sha256", model.head_sha256),
        ("Names sha256", model.names_sha256),
        ("Similarity", model.similarity),
        ("Producer", model.producer or "not stated"),
        *trained,
        *prepared,
        ("Data", about["data"]["name"]),
        ("Data sha256", about["data"]["sha256"] + where),
        ("Instances", f"{len(campaign.rows)} ({_choice(about['selection'])})"),
        ("Options", options),
        *regions,
        *((("Command", command),) if command else ()),
        ("Versions", ", ".join(f"{name} {v}" for name, v in about["versions"].items())),
    )


def _locations(model: ModelFacts) -> str:
    rows, columns = model.grid
    return f"{columns}" if rows == 1 else f"{rows} × {columns}"


def _claim(
    campaign: Confirmed, accepted: int, regions: Sequence[AuditRegion], network: Network
) -> tuple[str, ...]:
    explained = (
        f"For each of {plural(accepted, 'instance')}, a few facts about what the "
        f"network sees force its prediction: every latent of the domain that meets the facts "
        f"{_alike(campaign, network)}. Each claim is proved by a certificate that the independent "
        "checker accepted, again, while this report was made."
    )
    return (explained, *(_certified(region, network) for region in regions))


def _alike(campaign: Confirmed, network: Network) -> str:
    """What is said of every latent that meets the facts."""
    names = campaign.model.classes
    labels = network.labels(campaign.about["options"].get("label"))
    if not labels:
        return f"is classified the same, and no other of the {len(names)} classes is possible"
    if len(labels) == len(names):
        return f"is answered the same about each of {plural(len(names), 'label')}"
    asked = ", ".join(f"“{label(names[k])}”" for k in labels)
    return f"is answered the same about {asked}; of the other labels nothing is said"


def _certified(region: AuditRegion, network: Network) -> str:
    """What is proved over one region, in a sentence; and in what its size is measured."""
    over = f"Over the region {label(region.name)}"
    all_of_it = "every input of the region around it is predicted as it is labelled"
    if not region.certified:
        return (
            f"{over}: of none of {plural(region.total, 'instance')} is it proved that {all_of_it}."
        )
    count = plural(region.certified, "instance")
    unit = unit_words(network, region.name)
    return f"{over}, for {count} of {region.total}: {all_of_it}. {unit}".strip()


def _choice(selection: Mapping[str, Any]) -> str:
    """How the instances were chosen, in words."""
    match selection.get("kind"):
        case "all":
            return "every instance of the data"
        case "per_class":
            return f"{selection['per_class']} of each class, drawn with seed {selection['seed']}"
    return "chosen one by one"


def _option(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _classes(campaign: Confirmed) -> tuple[AuditClass, ...]:
    found = []
    for class_, name in enumerate(campaign.model.classes):
        own = [row for row in campaign.rows if row.label == class_]
        states = Counter(row.record.state for row in own)
        if own:
            found.append(
                AuditClass(
                    name,
                    len(own),
                    sum(row.correct is True for row in own),
                    states.pop("proved", 0),
                    tuple(sorted(states.items())),
                )
            )
    return tuple(found)


def _sizes(proved: Sequence[Row]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    # a vocabulary that this head has no facts of was not tried
    names = sorted({n for row in proved for n, found in row.record.sizes.items() if found["size"]})
    return tuple(
        (name, tuple(size for row in proved if (size := row.record.sizes[name]["size"])))
        for name in names
    )


def _prototypes(
    campaign: Confirmed, proved: Sequence[Row], patches: Patches | None
) -> tuple[AuditPrototype, ...]:
    model, found = campaign.model, []
    unused = campaign.unused_prototypes()
    for j in range(model.prototypes):
        used = tuple(row.index for row in proved if j in row.record.prototypes)
        notes = []
        if model.nearest and model.nearest[j][1] == 0.0:
            notes.append(f"equal to prototype {model.nearest[j][0]}")
        if j in (model.contradictory or ()):
            notes.append("contradictory: another class has at least its own class's weight")
        if j in model.idle:
            notes.append("idle: all classes have the same weight")
        if j in unused and not used:
            notes.append("needed by no explanation, best match of no instance")
        elif not used:
            notes.append("needed by no explanation")
        owners = model.prototype_class
        found.append(
            AuditPrototype(
                j,
                None if owners is None else model.classes[owners[j]],
                None if patches is None else patches.pictures[j],
                "" if patches is None else patches.origins[j],
                used,
                tuple(notes),
            )
        )
    return tuple(found)


def _use(campaign: Confirmed, proved: Sequence[Row]) -> tuple[tuple[int, ...], ...]:
    table = np.zeros((len(campaign.model.classes), campaign.model.prototypes), dtype=int)
    for row in proved:
        if row.record.predicted is not None:
            table[row.record.predicted, list(row.record.prototypes)] += 1
    return tuple(tuple(line) for line in table.tolist())


def _level(proved: Sequence[Row]) -> str:
    """The weakest level of all proved explanations, and how many are at the stronger one."""
    at_f = sum(row.record.level == "F" for row in proved)
    if at_f and at_f == len(proved):
        return LEVELS["F"]
    more = f" Of {plural(len(proved), 'explanation')}, {at_f} are proved at level F, too."
    return LEVELS["R"] + (more if at_f else "")


def _limits(campaign: Confirmed, gate: AuditGate | None) -> tuple[str, ...]:
    open_ = len(campaign.rows) - campaign.states["proved"]
    limits = [
        "Nothing is said about inputs that are not in this campaign, however similar.",
        "A wrong prediction is explained like a right one: a proof says why, not that it is good.",
        "Where a fact has no witness, its necessity is open; a smaller explanation may exist.",
        "Rounding inside a float32 execution of the head is not covered at level R.",
        "Pictures of prototypes and places on the input illustrate; no proof uses them.",
    ]
    if open_:
        limits.insert(0, f"Nothing is proved about {plural(open_, 'instance')} of this campaign.")
    if gate is not None and not gate.again:
        told = "is as its file recorded it, on somebody's word" if gate.outcome else "is not there"
        limits.append(
            f"The gate's answer {told}; this report did not decide it again: {label(gate.why)}."
        )
    if not campaign.labelled:
        limits.insert(
            0,
            "The data was not at hand: labels, and which inputs these are, are as the campaign "
            "recorded them. A prediction is what the certificate proves of the recorded latent.",
        )
    limits.append("Why an instance is not proved is told as recorded; it was not tried again.")
    if not campaign.regions:
        limits.append("No region around the inputs was certified in this campaign.")
    return tuple(limits)


def _recheck(directory: Path, model: Path, base: Path, regions: bool) -> tuple[str, ...]:
    """Commands for a shell in ``base``, where the report lies."""
    file = shlex.quote(told_path(model, base))
    folders = [CERTIFICATES, *([REGIONS] if regions else [])]
    inside = [shlex.quote(told_path(directory / folder, base)) for folder in folders]
    places = " ".join(f"{folder}/*.cert.json" for folder in inside)
    loop = f'for certificate in {places}; do {PROGRAM} check "$certificate" {file} --quiet || echo "not accepted: $certificate"; done'  # noqa: E501
    return (f"{PROGRAM} check CERTIFICATE {file}", loop)
