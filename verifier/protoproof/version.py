"""The tool's name and version, as recorded in certificates."""

from __future__ import annotations

VERSION = "0.1.0"
TOOL = f"protoproof {VERSION}"
