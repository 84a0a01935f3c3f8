"""The one-page report of a single certificate."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from protoproof.certificate.reader import read_certificate
from protoproof.errors import InputError
from protoproof.files import write_atomic
from protoproof.kernel import CheckReport, ModelFile, check, read_file
from protoproof.network import load
from protoproof.network.inputs import read_input
from protoproof.network.recorded import input_digest
from protoproof.report.audit.html import print_pdf
from protoproof.report.audit.sections import patches_of, recorded_reading
from protoproof.report.page.build import explanation_page
from protoproof.report.page.html import render_explanation
from protoproof.report.page.identity import page_model
from protoproof.report.page.images import to_picture
from protoproof.report.page.page import PageCertificate


def page_to_files(
    certificate: Path,
    out: Path,
    *,
    model: Path,
    input_: Path,
    index: int | None = None,
    pdf: Path | None = None,
    program: Sequence[str] = ("protoproof",),
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
        program: how the program is started, for the command that checks again.

    Raises:
        CertificateError, InputError, ModelError, OutputError: a file cannot be read, does not
            fit, or cannot be written.
    """
    content = read_file(certificate)
    envelope = read_certificate(content)
    stated = envelope.core.model
    network = load(model, latent=stated.latent, output=stated.output)
    x = read_input(input_, network.input_shape, network.input_range, index)
    if input_digest(x) != envelope.core.instance.input_sha256:
        raise InputError(f"{input_}: is not the input that {certificate} is about")
    instance = envelope.core.instance
    if (instance.locations, instance.channels) != (network.head.locations, network.head.channels):
        raise InputError(f"{certificate}: its latent has another shape than the network's")
    report = check(content, ModelFile(network.data, network.files), instance.input_sha256)
    page = explanation_page(
        envelope=envelope,
        check=report,
        reading=recorded_reading(network, envelope.core),
        picture=to_picture(x, *network.input_range),
        input_name=input_.name if index is None else f"{input_.name}[{index}]",
        model=page_model(network),
        certificate=PageCertificate(
            certificate.name,
            hashlib.sha256(content).hexdigest(),
            shlex.join([*program, "check", str(certificate), str(model)]),
        ),
        sizes=(),
        seconds=envelope.about.seconds or 0.0,
        patches=patches_of(network),
    )
    write_atomic(out, render_explanation(page).encode("utf-8"))
    if pdf is not None:
        write_atomic(pdf, print_pdf(out))
    return report
