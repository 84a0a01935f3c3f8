"""Sections of the audit report: one instance each, its certificate proved again."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.campaign import Confirmed, Instances, Row
from protoproof.campaign.recheck import FOREIGN, Rechecked, stored_input
from protoproof.campaign.store import ALTERED
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import ActivationFact, Core, PairFact
from protoproof.kernel import CheckReport
from protoproof.network import Network
from protoproof.report.audit.page import AuditCounterexample, AuditInstance, AuditRegion, Heat, Step
from protoproof.report.page.facts import fact_words, prototype_words
from protoproof.report.page.identity import drawn
from protoproof.report.page.images import input_picture
from protoproof.report.page.page import Image
from protoproof.report.page.reading import Reading, recorded_reading
from protoproof.report.page.told import told_command
from protoproof.report.page.words import domain_words
from protoproof.wording import plural

_SENTENCES = 60  # facts of one instance that are spelled out
_STEPS = 6
_COUNTEREXAMPLES = 12  # of one region, shown as pictures
_BALL = re.compile(r"^(linf|l2):(\d+(?:\.\d*)?(?:[eE]-?\d+)?)(?:/(\d+))?$")


class Sections:
    """Turns rows and what was found out again into sections."""

    def __init__(self, network: Network, instances: Instances | None) -> None:
        self._network, self._instances = network, instances
        self.domain = self.command = ""
        self.missing: list[str] = []
        if instances is None:
            self.missing.append(
                "The data was not at hand, so the network was not run again and the inputs are not "
                "shown: predictions are those of the certificates, and labels are as stored."
            )

    def instance(self, row: Row, found: Rechecked | None, brief: bool = False) -> AuditInstance:
        """One row as a section, with its certificate; ``brief``: only what overviews need."""
        names, record = self._network.class_names, row.record
        picture = None if brief and row.correct is True else self._picture(row)
        base: dict[str, Any] = {
            "index": row.index,
            "file": row.file,
            "label": names[row.label],
            "predicted": None if record.predicted is None else names[record.predicted],
            "correct": row.correct,
            "state": record.state,
            "reason": record.reason,
            "size": record.size,
            "numbers": record.numbers,
            "necessary": record.necessary,
            "vocabulary": record.vocabulary,
            "picture": picture,
        }
        if found is None:
            return AuditInstance(**base)
        base["accepted"] = found.accepted
        if found.content is not None:
            digest = hashlib.sha256(found.content).hexdigest()
            base["certificate"] = (f"{row.key}.cert.json", digest)
        if not found.accepted or found.report is None or found.core is None:
            told = found.complaint
            false = told is None or told.final
            word = told is not None and told.conditional
            return AuditInstance(**base, rejected=false, conditional=word)
        self.domain = self.domain or domain_words(found.core)
        if not self.command and found.content is not None:
            self.command = told_command(read_certificate(found.content).about.command)
        if brief:
            return AuditInstance(**base)
        reading = recorded_reading(self._network, found.core)
        over = drawn(self._network)
        return AuditInstance(**base, **_explained(found.core, found.report, reading, over))

    def region(self, campaign: Confirmed, name: str) -> AuditRegion:
        """Results over one region."""
        found = campaign.regions[name]
        rejected = sum(
            complaint.final and complaint.text != ALTERED
            for record in found.values()
            if (complaint := campaign.complaints.get(record.key)) is not None
        )
        open_ = sum(
            row.correct is True and found[row.key].state not in ("proved", "refuted")
            for row in campaign.rows
        )
        ball = _BALL.match(name)
        return AuditRegion(
            name,
            sum(campaign.certified(name, row) for row in campaign.rows),
            sum(record.state == "refuted" for record in found.values()),
            open_,
            len(campaign.rows),
            rejected,
            None if ball is None else ball[1],
            None if ball is None else float(ball[2]) / float(ball[3] or 1),
        )

    def counterexamples(self, campaign: Confirmed) -> Iterator[AuditCounterexample]:
        """Inputs that refute regions, the first few of each, as the network sees them now."""
        network, names = self._network, self._network.class_names
        for found in campaign.regions.items():
            refuted = [row for row in campaign.rows if found[1][row.key].state == "refuted"]
            for row in refuted[:_COUNTEREXAMPLES]:
                record, original = found[1][row.key], self._input(row)
                x = stored_input(campaign.directory, record.key, network)
                if x is None or original is None or row.record.predicted is None:
                    continue
                yield AuditCounterexample(
                    row.index,
                    found[0],
                    names[row.record.predicted],
                    names[network.observe(x).predicted],
                    input_picture(network, original),
                    input_picture(network, x),
                    float(np.abs(x - original).max()),
                )

    def _picture(self, row: Row) -> Image | None:
        x = self._input(row)
        return None if x is None else input_picture(self._network, x)

    def _input(self, row: Row) -> NDArray[np.float32] | None:
        """The input, if the data at hand holds the very one that was explained."""
        data = self._instances
        if data is None:
            return None
        if row.record.reason == FOREIGN or row.index >= len(data.x):
            note = "Some inputs are not shown: the data at hand is not what was explained."
            if note not in self.missing:
                self.missing.append(note)
            return None
        return data.input(row.index, self._network.pixels)


def _explained(core: Core, report: CheckReport, reading: Reading, over: bool) -> dict[str, Any]:
    """The parts of a section that an accepted certificate fills."""
    rival = reading.closest_rival
    sentences = [fact_words(fact, reading) for fact in core.facts[:_SENTENCES]]
    if len(core.facts) > _SENTENCES:
        more = plural(len(core.facts) - _SENTENCES, "further fact")
        sentences.append(f"And {more}, in the certificate.")
    return {
        "heat": _heat(core, reading, over),
        "sentences": tuple(sentences),
        "rival": reading.classes[rival],
        "observed": reading.margins[rival],
        "proved": min(lower for _, lower in report.margins),
        "steps": _steps(reading),
    }


def _heat(core: Core, reading: Reading, over: bool) -> tuple[Heat, ...]:
    """Facts per cell of the grid, in units of one cell; an activation counts where it is best.

    ``over``: whether the grid lies over the input.
    """
    if reading.single or not over:
        return ()
    places = Counter(
        fact.location if isinstance(fact, PairFact) else reading.best_location(fact.prototype)
        for fact in core.facts
        if isinstance(fact, PairFact)
        or (isinstance(fact, ActivationFact) and reading.has_place(fact.prototype))
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
    """The observed margin over the closest rival as a sum: the largest parts, then the rest.

    Empty where it is no sum over prototypes.
    """
    parts = reading.contributions
    if parts is None:
        return ()
    order = np.argsort(-np.abs(parts))[:_STEPS].tolist()
    steps = [Step(prototype_words(j, reading), float(parts[j])) for j in order if parts[j]]
    if reading.offset:
        word = "Bias, less the threshold" if reading.about_labels else "Bias"
        steps.insert(0, Step(word, reading.offset))
    rest = float(parts.sum() - parts[order].sum())
    return (*steps, Step("All other prototypes", rest)) if rest else tuple(steps)
