"""The one byte string of a certificate, and the digest of what it claims."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel

from protoproof.certificate.schema import Core, Envelope


def canonical_bytes(envelope: Envelope) -> bytes:
    """The certificate file: sorted keys, no spaces, ASCII, one newline at the end."""
    return _dump(envelope)


def core_digest(core: Core) -> str:
    """sha256 of the canonical core: equal exactly when two certificates claim and prove the same.

    Time, host and other circumstances live outside the core and do not enter.
    """
    return hashlib.sha256(_dump(core)).hexdigest()


def _dump(part: BaseModel) -> bytes:
    text = json.dumps(
        part.model_dump(mode="json", by_alias=True),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    return text.encode("ascii") + b"\n"
