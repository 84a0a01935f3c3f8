"""A certificate and its model on one command line: read, and not taken for each other."""

from __future__ import annotations

from pathlib import Path

from protoproof.errors import CertificateError, UsageError

_LOOK = 1 << 12  # bytes in which a JSON object must have begun


def read_certificate_file(certificate: Path, model: Path | None, verb: str) -> bytes:
    """The bytes of a certificate's file.

    Args:
        certificate: what was given as the certificate.
        model: what was given as the model, if anything.
        verb: what was asked for, for the line that says how to ask.

    Raises:
        CertificateError: it cannot be read, or is no JSON at all, which a certificate is.
        UsageError: the two stand in each other's place.
    """
    from protoproof import kernel

    swapped = model is not None and _begins_json(model) and not _begins_json(certificate)
    if swapped and certificate.is_file():
        raise UsageError(
            f"{certificate} is no certificate, and {model} seems to be one: the certificate comes "
            f"first, as in: {verb} {model} {certificate}"
        )
    content = kernel.read_file(certificate)
    if content and not _is_json(content[:_LOOK]):
        hint = ", but a model;" if certificate.suffix == ".onnx" else ": it is not JSON;"
        raise CertificateError(
            f"{certificate} is no certificate{hint} give the .cert.json file that explain or "
            f"certify wrote first, as in: {verb} CERT MODEL"
        )
    return content


def _begins_json(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return _is_json(stream.read(_LOOK))
    except OSError:
        return False


def _is_json(start: bytes) -> bool:
    """Whether JSON begins here, after blanks; a model begins with a byte that is no letter."""
    return start.lstrip(b" \t\r\n")[:1] in (b"{", b"[", b'"')
