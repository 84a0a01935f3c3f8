"""Sections of the audit report: one instance each, its certificate proved again."""

from __future__ import annotations

import base64
import logging
from collections import Counter
from typing import Any

import numpy as np

from verifier.assembly import input_digest
from verifier.campaign import Campaign, Instances, Row
from verifier.campaign.ledger import CERTIFICATES
from verifier.certificate.reader import read_certificate
from verifier.certificate.schema import ActivationFact, Core, PairFact
from verifier.checker import CheckReport, ModelFile, check
from verifier.errors import InputError
from verifier.network import Network
from verifier.report.audit_page import AuditInstance, Heat, Step
from verifier.report.images import to_picture
from verifier.report.page import Image
from verifier.report.patches import Patches, load_patches
from verifier.report.reading import Reading, ReceptiveField
from verifier.report.text import plural
from verifier.report.words import domain_words, fact_words, prototype_words

_SENTENCES = 60  # facts of one instance that are spelled out
_STEPS = 6

_log = logging.getLogger(__name__)


class Sections:
    """Turns rows into sections, proving each certificate again."""

    def __init__(self, campaign: Campaign, network: Network, instances: Instances | None) -> None:
        self._campaign, self._network, self._instances = campaign, network, instances
        self._file = ModelFile(network.data)
        self.assumptions: set[str] = set()
        self.domain = ""
        self.missing: list[str] = []
        if instances is None:
            self.missing.append("The data was not at hand, so the inputs are not shown.")

    def instance(self, row: Row, brief: bool = False) -> AuditInstance:
        """One row as a section; ``brief``: only what overviews need."""
        names, record = self._campaign.model.classes, row.record
        path = self._campaign.directory / CERTIFICATES / f"{row.key}.cert.json"
        picture = None if brief and row.correct is True else self._picture(row)
        base: dict[str, Any] = {
            "index": row.index,
            "label": names[row.label],
            "predicted": None if record.predicted is None else names[record.predicted],
            "correct": row.correct,
            "state": record.state,
            "reason": record.reason,
            "size": record.size,
            "necessary": record.necessary,
            "vocabulary": record.vocabulary,
            "picture": picture,
        }
        if record.certificate is None:
            return AuditInstance(**base)
        content = path.read_bytes()
        declared = self._network.binding == "declared"
        report = check(content, self._file, row.instance, allow_declared=declared)
        base |= {"accepted": report.accepted, "certificate": (path.name, record.certificate)}
        if not report.accepted:
            return AuditInstance(**base)
        core = read_certificate(content).core
        self.assumptions.update(report.assumptions)
        self.domain = self.domain or domain_words(core)
        if brief:
            return AuditInstance(**base)
        return AuditInstance(**base, **_explained(core, report, reading_of(self._network, core)))

    def _picture(self, row: Row) -> Image | None:
        """The input, if the data at hand holds the very one that was explained."""
        data, bounds = self._instances, self._network.input_range
        if data is None or row.index >= len(data.x):
            return None
        x = data.scaled(row.index, *bounds)
        if input_digest(x) != row.instance:
            note = "Some inputs are not shown: the data at hand is not what was explained."
            if note not in self.missing:
                self.missing.append(note)
            return None
        return to_picture(x, *bounds)


def _explained(core: Core, report: CheckReport, reading: Reading) -> dict[str, Any]:
    """The parts of a section that an accepted certificate fills."""
    rival = reading.closest_rival
    sentences = [fact_words(fact, reading) for fact in core.facts[:_SENTENCES]]
    if len(core.facts) > _SENTENCES:
        more = plural(len(core.facts) - _SENTENCES, "further fact")
        sentences.append(f"And {more}, in the certificate.")
    return {
        "heat": _heat(core, reading),
        "sentences": tuple(sentences),
        "rival": reading.classes[rival],
        "observed": float(reading.margins[rival]),
        "proved": min(lower for _, lower in report.margins),
        "steps": _steps(reading),
    }


def _heat(core: Core, reading: Reading) -> tuple[Heat, ...]:
    """Facts per cell of the grid, in units of one cell; an activation counts where it is best."""
    if reading.single:
        return ()
    places = Counter(
        fact.location if isinstance(fact, PairFact) else reading.best_location(fact.prototype)
        for fact in core.facts
        if isinstance(fact, PairFact | ActivationFact)
    )
    most = max(places.values(), default=1)
    rows, columns = reading.grid
    return tuple(
        Heat(
            x=round(column / columns, 4),
            y=round(row / rows, 4),
            width=round(1 / columns, 4),
            height=round(1 / rows, 4),
            facts=count,
            opacity=round(0.2 + 0.5 * count / most, 2),
        )
        for location, count in sorted(places.items())
        for row, column in [reading.place(location)]
    )


def _steps(reading: Reading) -> tuple[Step, ...]:
    """The observed margin over the closest rival as a sum: the largest parts, then the rest."""
    rival, seen = reading.closest_rival, reading.predicted
    parts = (reading.weight[seen] - reading.weight[rival]) * reading.activation
    order = np.argsort(-np.abs(parts))[:_STEPS].tolist()
    steps = [Step(prototype_words(j, reading), float(parts[j])) for j in order if parts[j]]
    bias = float(reading.bias[seen] - reading.bias[rival])
    if bias:
        steps.insert(0, Step("Bias", bias))
    rest = float(parts.sum() - parts[order].sum())
    return (*steps, Step("All other prototypes", rest)) if rest else tuple(steps)


def reading_of(network: Network, core: Core) -> Reading:
    """What the network measures at the recorded latent, in float64."""
    head, field = network.head, network.description.latent.receptive_field
    values = np.frombuffer(base64.b64decode(core.instance.latent), dtype="<f4")
    latent = values.reshape(core.instance.locations, core.instance.channels)
    return Reading(
        classes=network.class_names,
        grid=head.grid,
        measurement=head.measurement(latent.astype(np.float64)),
        similarity=head.similarity.value,
        weight=head.weight,
        bias=head.bias,
        predicted=core.instance.predicted,
        prototype_class=head.prototype_class,
        receptive_field=None
        if field is None
        else ReceptiveField(size=field.size, stride=field.stride, start=field.start),
    )


def patches_of(network: Network) -> Patches | None:
    """Pictures only illustrate: a broken file costs no more than them."""
    try:
        return load_patches(network.path, len(network.head.prototypes))
    except InputError as error:
        _log.warning("no pictures of prototypes: %s", error)
        return None
