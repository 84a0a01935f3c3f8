"""The page of one answer about a region of inputs, beside its certificate."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import About
from protoproof.certification.result import Certified
from protoproof.files import write_atomic
from protoproof.network import Network
from protoproof.report.page.build import truth_of
from protoproof.report.page.facts import fact_words
from protoproof.report.page.identity import page_model
from protoproof.report.page.images import input_picture
from protoproof.report.page.kept import PageKept, page_kept, tiles_words
from protoproof.report.page.page import PageCertificate, PageMargin
from protoproof.report.page.reading import Reading, reading_of, recorded_reading
from protoproof.report.page.region import (
    PageAttack,
    PageRadius,
    PageTop,
    RegionPage,
    from_check,
    made_of,
    page_margins,
    region_sentence,
    render_region,
)
from protoproof.report.page.stated import region_name
from protoproof.report.page.told import PROGRAM, told_path
from protoproof.report.page.units import unit_words
from protoproof.verdict import CONDITIONAL


def radius_words(radius: Fraction, rounding: str) -> str:
    """Five digits, rounded so that what was found of this radius still holds for the one shown."""
    with localcontext(prec=5, rounding=rounding):
        return f"{Decimal(radius.numerator) / Decimal(radius.denominator):f}"


def write_region_page(
    network: Network,
    found: Certified,
    out: Path,
    *,
    region: str,
    about: About,
    certificates: Sequence[Path] = (),
    labelled: str | None = None,
) -> None:
    """Write the page of an answer.

    Args:
        network: what was asked about.
        found: the answer.
        out: the page's file.
        region: as it was typed.
        about: when and how it was asked, and what the user called the input; without a name the
            region has a middle of its own.
        certificates: the files of the answer's certificates, in their order.
        labelled: what the input is labelled as, where somebody says so.

    Raises:
        OutputError: it cannot be written.
    """
    page = region_page(network, found, out.parent, region, about, certificates, labelled)
    write_atomic(out, render_region(page).encode("utf-8"))


def region_page(
    network: Network,
    found: Certified,
    base: Path,
    region: str,
    about: About,
    certificates: Sequence[Path],
    labelled: str | None,
) -> RegionPage:
    """What the page says; see :func:`write_region_page`. ``base`` is its directory."""
    seen, certified = found.observation, region
    if found.tiles is not None:  # less than the ball that was typed: tiles stay
        certified = region_name(found.certificates[0].core)
    reading = reading_of(network, seen.latent, seen.predicted)
    named = zip(certificates, found.certificates, strict=True)
    return RegionPage(
        model=page_model(network),
        picture=input_picture(network, seen.x),
        input_name=about.input_name or "the middle of the region",
        predicted=reading.predicted_name,
        region=certified,
        inputs=region_sentence(certified if ":" in certified else found.region),
        unit=unit_words(network, region if ":" in region else found.region),
        verdict=CONDITIONAL if found.conditions else found.verdict.status.value,
        reason=found.verdict.reason,
        margins=_margins(found, reading),
        truth=truth_of(reading, labelled),
        made=made_of(about),
        instead=found.counterexample_name,
        attack=_attack(network, found),
        kept=_kept(network, found, reading.predicted_name),
        radius=_radius(found),
        top=_top(found),
        stages=tuple((stage.name, stage.outcome, stage.seconds) for stage in found.stages),
        certificates=tuple(
            PageCertificate(
                path.name,
                hashlib.sha256(canonical_bytes(envelope)).hexdigest(),
                shlex.join([PROGRAM, "check", *(told_path(p, base) for p in (path, network.path))]),
            )
            for path, envelope in named
        ),
        seconds=found.seconds,
        **from_check(found.certificates, found.checks, reading.predicted_name),
    )


def _margins(found: Certified, reading: Reading) -> tuple[PageMargin, ...]:
    names = reading.classes
    if found.certificates:
        core, check = found.certificates[0].core, found.checks[0]
        return page_margins(core, check, reading.margins, names)
    return tuple(PageMargin(names[k], margin, None) for k, margin in reading.margins.items())


def _attack(network: Network, found: Certified) -> PageAttack | None:
    closest = found.closest
    if closest is None or closest.x is None:
        return None
    x = closest.x if found.counterexample is None else found.counterexample.x
    return PageAttack(
        closest.margin,
        network.class_names[closest.rival],
        closest.tried,
        input_picture(network, x),
        float(np.abs(x - found.observation.x).max()),
    )


def _kept(network: Network, found: Certified, predicted: str) -> PageKept | None:
    if found.tiles is None:
        return None
    picture = input_picture(network, found.observation.x)
    core, claims = found.certificates[0].core, found.checks[0].claims
    return page_kept(core, claims, predicted, picture, facts_with_tiles(network, found))


def facts_with_tiles(network: Network, found: Certified) -> tuple[str, ...]:
    """Per fact of the certificate, the tiles that it needs; empty where nobody asked for them."""
    if found.tiles is None or not found.tiles.facts:
        return ()
    core, columns = found.certificates[0].core, found.tiles.region.grid[1]
    reading = recorded_reading(network, core)
    return tuple(
        f"{tiles_words(kept, columns)}: {fact_words(fact, reading)}"
        for fact, kept in zip(core.facts, found.tiles.facts, strict=True)
    )


def _radius(found: Certified) -> PageRadius | None:
    band = found.sandwich
    if band is None:
        return None
    proved = None if band.proved is None else radius_words(band.proved, ROUND_FLOOR)
    refuted = None if band.refuted is None else radius_words(band.refuted, ROUND_CEILING)
    return PageRadius(band.kind, proved, refuted)


def _top(found: Certified) -> PageTop | None:
    sets = found.top
    if sets is None:
        return None
    return PageTop(sets.k, sets.certain, sets.may_leave, sets.may_join)
