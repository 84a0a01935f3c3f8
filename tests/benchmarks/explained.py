"""Workloads ``explained-NAME``: over how many balls the explanation of the image holds.

Every n-th of the 5,000 mnist5k images (none was seen in training). An image counts in ``certified``
where it is predicted as labelled and every image of the ball is predicted alike, by intervals or
linear bounds; in ``alike`` or ``refuted``, where all that ``certify`` tries by default says so of
one that is predicted as labelled. It counts in ``same`` where the facts that explain the image
alone (found without regard to the ball, widened as far as the proof goes or as the ball needs) are
met by every image of the ball and force the label *whatever the latent*: such facts say enough by
themselves, however wide they are. It counts in ``some`` where such facts exist, the image's own or
others that are chosen for the ball. All are certificates that the checker accepted, nothing
assumed.

``stated`` is the median over ``some`` of the least similarity that the facts ask of a named
prototype, ``seen`` the median of what that prototype shows on the image itself.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from protoproof.certificate.schema import ActivationFact, Core, PairFact
from protoproof.certification.certify import Certified, Certifier
from protoproof.explanation.explainer import Explainer
from protoproof.network import Network, load
from protoproof.region.sets.region import LinfBall
from protoproof.resources import zoo_path
from protoproof.verdict import Status
from tests.benchmarks.measure import Settings
from tests.benchmarks.region import images

RADII = {"mnist-certified": Fraction(1, 10), "mnist-explained": Fraction(1, 10)}
OTHER = "explanation, facts of the region"


def explained(name: str, settings: Settings) -> list[dict[str, Any]]:
    """One network of the zoo at the radius that it was trained for."""
    radius = RADII[name]
    row = {"method": name, **measured(zoo_path(name), radius, settings.held)}
    return [{"workload": f"explained, L-inf {float(radius)}", "rows": [row]}]


def measured(path: Path, radius: Fraction, count: int) -> dict[str, Any]:
    """The row of any network of digits; seconds are processor seconds per image."""
    certifier = Certifier(Explainer(load(path)))
    network, tally = certifier.network, Tally()
    begun = time.process_time()
    for x, label in zip(*images(count), strict=True):
        ball = LinfBall(x, network.input_range, radius)
        alike = certifier.certify(ball, method="linear", falsify=False)
        tally.right += alike.predicted == int(label)
        if alike.predicted == int(label):
            tally.certified += alike.verdict.status is Status.PROVED
            tally.decide(
                alike if alike.verdict.status is Status.PROVED else certifier.certify(ball)
            )
            tally.add(network, certifier.certify(ball, explanation="region", falsify=False))
    spent = (time.process_time() - begun) / count
    return {"images": count, **tally.row(count), "seconds": round(spent, 3)}


@dataclass
class Tally:
    """What was proved of images that are predicted as labelled."""

    right: int = 0
    certified: int = 0
    alike: int = 0
    refuted: int = 0
    same: int = 0
    some: int = 0
    facts: list[int] = field(default_factory=list)
    stated: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)

    def decide(self, answer: Certified) -> None:
        """What all that is tried by default says of one ball."""
        self.alike += answer.verdict.status is Status.PROVED
        self.refuted += answer.verdict.status is Status.REFUTED

    def add(self, network: Network, answer: Certified) -> None:
        """One image's explanation over its ball."""
        if answer.verdict.status is not Status.PROVED:
            return
        core = answer.certificates[0].core
        self.some += 1
        self.same += answer.method != OTHER
        self.facts.append(len(core.facts))
        for stated, seen in _similarities(network, core, answer):
            self.stated.append(stated)
            self.seen.append(seen)

    def row(self, count: int) -> dict[str, Any]:
        """Shares of all images, and what the facts say."""
        shares = {
            key: round(getattr(self, key) / count, 4)
            for key in ("right", "certified", "alike", "refuted", "same", "some")
        }
        return shares | {
            "facts_mean": round(statistics.fmean(self.facts), 2) if self.facts else None,
            "facts_max": max(self.facts, default=None),
            "stated": round(statistics.median(self.stated), 3) if self.stated else None,
            "seen": round(statistics.median(self.seen), 3) if self.seen else None,
        }


def _similarities(network: Network, core: Core, answer: Certified) -> list[tuple[float, float]]:
    """For every named prototype the similarity that is asked for, and the one on the image."""
    head = network.head
    here = head.measurement(answer.observation.latent.astype(np.float64))
    seen, found = head.activation(here), []
    for fact in core.facts:
        if isinstance(fact, ActivationFact | PairFact):
            most = np.full_like(here, float.fromhex(fact.upper))
            j = fact.prototype
            found.append((float(head.activation(most)[j]), float(seen[j])))
    return found
