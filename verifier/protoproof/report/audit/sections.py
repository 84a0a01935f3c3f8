"""Sections of the audit report: one instance each, its certificate proved again."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.campaign import Campaign, Instances, Row, recheck
from protoproof.campaign.regions import RegionRecord, lies_in
from protoproof.campaign.store import REGIONS
from protoproof.campaign.summary import is_certified
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import ActivationFact, Core, PairFact
from protoproof.errors import InputError
from protoproof.kernel import CheckReport, ModelFile
from protoproof.network import Network
from protoproof.network.recorded import input_digest
from protoproof.report.audit.page import AuditCounterexample, AuditInstance, AuditRegion, Heat, Step
from protoproof.report.page.images import to_picture
from protoproof.report.page.page import Image
from protoproof.report.page.patches import Patches, load_patches
from protoproof.report.page.reading import Reading, ReceptiveField
from protoproof.report.page.text import plural
from protoproof.report.page.words import domain_words, fact_words, prototype_words

_SENTENCES = 60  # facts of one instance that are spelled out
_STEPS = 6
_COUNTEREXAMPLES = 12  # of one region, shown as pictures
_BALL = re.compile(r"^(linf|l2):(\d+(?:\.\d*)?(?:[eE]-?\d+)?)(?:/(\d+))?$")

_log = logging.getLogger(__name__)


class Sections:
    """Turns rows into sections, proving each certificate again."""

    def __init__(self, campaign: Campaign, network: Network, instances: Instances | None) -> None:
        self._campaign, self._network, self._instances = campaign, network, instances
        self._file = ModelFile(network.data)
        self._declared = network.binding == "declared"
        self.regions_accepted = 0
        self.assumptions: set[str] = set()
        self.domain = ""
        self.missing: list[str] = []
        if instances is None:
            self.missing.append("The data was not at hand, so the inputs are not shown.")

    def instance(self, row: Row, brief: bool = False) -> AuditInstance:
        """One row as a section; ``brief``: only what overviews need."""
        names, record = self._campaign.model.classes, row.record
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
        found = recheck.explanation(self._campaign, row, self._file, self._declared)
        report = found.report
        name = f"{row.key}.cert.json"
        base |= {"accepted": found.accepted, "certificate": (name, record.certificate)}
        if not found.accepted or report is None or found.content is None:
            return AuditInstance(**base | {"reason": found.complaint})
        core = read_certificate(found.content).core
        self.assumptions.update(report.assumptions)
        self.domain = self.domain or domain_words(core)
        if brief:
            return AuditInstance(**base)
        return AuditInstance(**base, **_explained(core, report, reading_of(self._network, core)))

    def region(self, name: str) -> AuditRegion:
        """Results over one region, every certificate proved again."""
        campaign, found = self._campaign, self._campaign.regions[name]
        certified = rejected = open_ = 0
        for row in campaign.rows:
            state = found[row.key].state
            again = recheck.region(campaign, name, row, self._file, self._declared)
            accepted = again is not None and again.accepted
            self.regions_accepted += accepted
            certified += accepted and is_certified(row, found[row.key])
            rejected += again is not None and not accepted
            open_ += row.correct is True and not accepted and state != "refuted"
            if again is not None and again.report is not None and accepted:
                self.assumptions.update(again.report.assumptions)
        refuted = sum(record.state == "refuted" for record in found.values())
        ball = _BALL.match(name)
        return AuditRegion(
            name,
            certified,
            refuted,
            open_,
            len(campaign.rows),
            rejected,
            None if ball is None else ball[1],
            None if ball is None else float(ball[2]) / float(ball[3] or 1),
        )

    def counterexamples(self) -> Iterator[AuditCounterexample]:
        """Inputs that refute regions, the first few of each, as the network sees them now."""
        network, names = self._network, self._network.class_names
        for name, found in self._campaign.regions.items():
            shown = 0
            for row in self._campaign.rows:
                x = self._refuting(found[row.key])
                if x is None or shown == _COUNTEREXAMPLES:
                    continue
                original, seen = self._input(row), network.observe(x).predicted
                if seen == row.record.predicted or row.record.predicted is None:
                    continue  # it refutes nothing
                if original is None or not lies_in(x, name, original, network):
                    continue  # nor does this, or nobody can tell
                shown += 1
                yield AuditCounterexample(
                    row.index,
                    name,
                    names[row.record.predicted],
                    names[seen],
                    to_picture(original, *network.input_range),
                    to_picture(x, *network.input_range),
                    float(np.abs(x - original).max()),
                )

    def _refuting(self, record: RegionRecord) -> NDArray[np.float32] | None:
        """A counterexample from its file, if that is as it was stored and fits the network."""
        if record.state != "refuted" or record.counterexample is None:
            return None
        path = self._campaign.directory / REGIONS / f"{record.key}.npy"
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != record.counterexample:
                return None
            x = np.load(io.BytesIO(content), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        low, high = self._network.input_range
        fits = x.shape == self._network.input_shape and x.dtype == np.float32
        return x if fits and bool(((x >= low) & (x <= high)).all()) else None

    def _picture(self, row: Row) -> Image | None:
        x = self._input(row)
        return None if x is None else to_picture(x, *self._network.input_range)

    def _input(self, row: Row) -> NDArray[np.float32] | None:
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
        return x


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
