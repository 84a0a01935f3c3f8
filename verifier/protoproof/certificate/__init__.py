"""The proof format: frozen data, its canonical bytes, and a strict reader. No behaviour."""

from __future__ import annotations

from protoproof.certificate.canonical import canonical_bytes, core_digest
from protoproof.certificate.reader import read_certificate

__all__ = ["canonical_bytes", "core_digest", "read_certificate"]
