"""How much data is read before anything is refused."""

from __future__ import annotations

MAX_BYTES = 4 << 30
"""Largest data set that is read, in bytes of its float32 form."""
