"""The envelope around what is signed: DSSE v1, by itself or in a Sigstore bundle (v0.3, a key).

https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md: the signature is over payload
type *and* payload, so that nothing signed for another purpose can be passed off.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from protoproof.attestation.reading import parsed
from protoproof.certificate.values import Base64, Frozen
from protoproof.errors import InputError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MOST = 1 << 24  # bytes of an envelope's file

_Name = Annotated[str, Field(max_length=1024)]


class _Signature(Frozen):
    sig: Base64
    keyid: _Name = ""


class _Envelope(Frozen):
    payload: Base64
    payloadType: _Name  # noqa: N815  # as the format spells it
    signatures: tuple[_Signature, ...]


class _PublicKey(Frozen):
    hint: _Name | None = None


class _Material(Frozen):
    # certificates, logs and time stamps of others are not read: they would need the network
    publicKey: _PublicKey  # noqa: N815
    tlogEntries: tuple[()] = ()  # noqa: N815
    timestampVerificationData: None = None  # noqa: N815


class _Bundle(Frozen):
    mediaType: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]  # noqa: N815
    verificationMaterial: _Material  # noqa: N815
    dsseEnvelope: _Envelope  # noqa: N815


@dataclass(frozen=True)
class Envelope:
    """What an envelope's file holds. Nothing of it is true before its signature is verified."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that a signature is over."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: lengths before contents, so that it has one reading."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(content: bytes, what: str) -> Envelope:
    """Read an envelope, or the one in a bundle.

    Raises:
        InputError: it is none, or says more than is read.
    """
    document = parsed(content, what)
    if not isinstance(document, dict) or not {"payload", "dsseEnvelope"} & set(document):
        raise InputError(f"{what}: no signed envelope; pass the file that attest wrote")
    try:
        if "dsseEnvelope" in document:
            found = _Bundle.model_validate(document).dsseEnvelope
        else:
            found = _Envelope.model_validate(document)
        signatures = tuple(_decoded(signature.sig) for signature in found.signatures)
        return Envelope(found.payloadType, _decoded(found.payload), signatures)
    except ValidationError as error:
        raise InputError(f"{what}: {first_problem(error)}") from error
    except ValueError as error:
        raise InputError(f"{what}: {error}") from error


def write_envelope(payload: bytes, signature: bytes, keyid: str) -> bytes:
    """The file of an envelope with one signature."""
    return to_bytes(_plain(payload, signature, keyid))


def write_bundle(payload: bytes, signature: bytes, hint: str) -> bytes:
    """The same as a Sigstore bundle."""
    return to_bytes(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": _plain(payload, signature, ""),
        }
    )


def to_bytes(document: object) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII, one newline at the end."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def first_problem(error: ValidationError) -> str:
    """One line about the first field that is wrong."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"]))[:200] or "root"
    return f"field {place}: {problem['msg']}".encode("unicode_escape").decode("ascii")


def _plain(payload: bytes, signature: bytes, keyid: str) -> dict[str, object]:
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
    }


def _decoded(text: str) -> bytes:
    """Base64 in its one spelling.

    Raises:
        ValueError: another one.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a field is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise ValueError("a field is not base64 in its one spelling")
    return data
