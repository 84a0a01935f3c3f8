"""The one-page report of a single certificate."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Envelope
from protoproof.data.preprocess import recorded
from protoproof.errors import InputError
from protoproof.files import write_atomic
from protoproof.formal.portable import portable_proof
from protoproof.kernel import CheckReport, ModelFile, check, read_file
from protoproof.network import Network, load
from protoproof.network.inputs import read_input
from protoproof.network.recorded import input_digest
from protoproof.report.audit.html import print_pdf
from protoproof.report.page.build import explanation_page, reason_of, truth_of, verdict_of
from protoproof.report.page.html import render_explanation
from protoproof.report.page.identity import page_model
from protoproof.report.page.images import input_picture
from protoproof.report.page.kept import page_kept
from protoproof.report.page.page import ExplanationPage, PageCertificate
from protoproof.report.page.patches import patches_of
from protoproof.report.page.reading import recorded_reading
from protoproof.report.page.region import (
    RegionPage,
    from_check,
    made_of,
    page_margins,
    region_sentence,
    render_region,
)
from protoproof.report.page.stated import region_name, region_of
from protoproof.report.page.told import PROGRAM, told_path
from protoproof.report.page.units import unit_of, unit_words


def page_to_files(
    certificate: Path,
    out: Path,
    *,
    model: Path,
    input_: Path,
    index: int | None = None,
    pdf: Path | None = None,
    labelled: str | None = None,
    scripts: bool = True,
) -> CheckReport:
    """Write the one-page report of a certificate; returns what the checker says about it.

    Args:
        certificate: its file.
        out: the HTML file.
        model: the network's file.
        input_: the input that the certificate is about; see
            :func:`protoproof.network.inputs.read_input`.
        index: which entry of ``input_``.
        pdf: the PDF file, or None.
        labelled: the name of the class that the input is labelled as, where somebody says so.
        scripts: whether the page proves itself in a browser.

    Raises:
        CertificateError, InputError, ModelError, OutputError: a file cannot be read, does not
            fit, or cannot be written.
        UsageError: there is no class of that name.
    """
    content = read_file(certificate)
    envelope = read_certificate(content)
    network, x = _presented(envelope, certificate, model, input_, index)
    file = ModelFile(network.data, network.files)
    report = check(content, file, envelope.core.instance.input_sha256)
    shown = _Shown(
        envelope,
        report,
        network,
        x,
        input_.name if index is None else f"{input_.name}[{index}]",
        PageCertificate(
            certificate.name,
            hashlib.sha256(content).hexdigest(),
            shlex.join(
                [PROGRAM, "check", *(told_path(path, out.parent) for path in (certificate, model))]
            ),
        ),
        network.class_named(labelled, "--truth"),
    )
    if region_of(envelope.core) is not None and not envelope.core.facts:
        text = render_region(_region(shown))
    else:
        page = _explanation(shown)
        if report.met:
            page = page.with_proof(portable_proof(envelope.core, file, proved=scripts))
        text = render_explanation(page)
    write_atomic(out, text.encode("utf-8"))
    if pdf is not None:
        write_atomic(pdf, print_pdf(out))
    return report


@dataclass(frozen=True, eq=False)
class _Shown:
    """What a page is made from."""

    envelope: Envelope
    report: CheckReport
    network: Network
    x: NDArray[np.float32]
    input_name: str
    certificate: PageCertificate
    labelled: str | None


def _explanation(shown: _Shown) -> ExplanationPage:
    return explanation_page(
        envelope=shown.envelope,
        check=shown.report,
        reading=recorded_reading(shown.network, shown.envelope.core),
        picture=input_picture(shown.network, shown.x),
        input_name=shown.input_name,
        model=page_model(shown.network),
        certificate=shown.certificate,
        sizes=(),
        seconds=shown.envelope.about.seconds,
        patches=patches_of(shown.network),
        labelled=shown.labelled,
        unit=unit_of(shown.network, shown.envelope.core),
    )


def _region(shown: _Shown) -> RegionPage:
    """The page of a certificate about a region alone: what it says, and no more."""
    core, report = shown.envelope.core, shown.report
    reading, name = recorded_reading(shown.network, core), region_name(core)
    return RegionPage(
        model=page_model(shown.network),
        picture=input_picture(shown.network, shown.x),
        input_name=shown.input_name,
        predicted=reading.predicted_name,
        region=name,
        inputs=region_sentence(name),
        unit=unit_words(shown.network, name),
        verdict=verdict_of(report),
        reason="" if report.met else reason_of(report),
        margins=page_margins(core, report, reading.margins, reading.classes),
        truth=truth_of(reading, shown.labelled),
        made=made_of(shown.envelope.about),
        kept=page_kept(
            core, report.claims, reading.predicted_name, input_picture(shown.network, shown.x)
        ),
        certificates=(shown.certificate,),
        seconds=shown.envelope.about.seconds,
        **from_check((shown.envelope,), (report,), reading.predicted_name),
    )


def _presented(
    envelope: Envelope, certificate: Path, model: Path, input_: Path, index: int | None
) -> tuple[Network, NDArray[np.float32]]:
    """Network and input, which must be those that the certificate is about.

    Raises:
        InputError, ModelError: they are not, or cannot be read.
    """
    core = envelope.core
    # how it says that pixels became numbers; the hash of these shows whether that is so
    network = load(
        model,
        latent=core.model.latent,
        output=core.model.output,
        preprocess=recorded(envelope.about.preprocessing),
    )
    x = read_input(input_, network.pixels, index)
    instance, head = core.instance, network.head
    if input_digest(x) != instance.input_sha256:
        raise InputError(f"{input_}: is not the input that {certificate} is about")
    if (instance.locations, instance.channels) != (head.locations, head.channels):
        raise InputError(f"{certificate}: its latent has another shape than the network's")
    return network, x
