"""Bytes to :class:`Envelope`, or one line that says why not. What it does not know, it refuses."""

from __future__ import annotations

from pydantic import ValidationError

from protoproof.certificate.schema import SCHEMA, Envelope
from protoproof.certificate.strict_json import parse
from protoproof.errors import CertificateError

_EARLIER = ("protoproof.certificate/1",)


def require_certificate(data: bytes, name: str) -> None:
    """Refuse a file that does not even claim to be a certificate.

    Raises:
        CertificateError: not JSON, or no object whose field ``schema`` names a certificate.
    """
    document = parse(data, name)
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith(SCHEMA.split("/")[0]):
        raise CertificateError(
            f"{name}: no certificate; pass the file that explain or certify wrote (.cert.json)"
        )


def read_certificate(data: bytes) -> Envelope:
    """Parse and validate a certificate.

    Any JSON layout is read (spaces and the order of keys carry no meaning); everything else is
    strict: types, unknown and repeated fields, the schema's version, lengths.

    Raises:
        CertificateError: the bytes are not one well-formed certificate of a known version.
    """
    document = parse(data)
    if not isinstance(document, dict):
        raise CertificateError("certificate: not a JSON object; pass the file that explain wrote")
    if document.get("schema") in _EARLIER:
        raise CertificateError("certificate: made by an earlier version; explain again")
    if document.get("schema") != SCHEMA:
        raise CertificateError(f"certificate: field 'schema' is not {SCHEMA!r}")
    try:
        return Envelope.model_validate(document)
    except ValidationError as error:
        raise CertificateError(_first_problem(error)) from error
    except (ValueError, RecursionError) as error:  # text that is not Unicode, for example
        raise CertificateError(f"certificate: {type(error).__name__} in a field") from error


def _first_problem(error: ValidationError) -> str:
    """One line about the first field that is wrong. Names from the file are shown escaped."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"]))[:200]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    line = f"certificate: field {place or 'root'}: {problem['msg']}{more}"
    return line.encode("unicode_escape").decode("ascii")
