"""Audit reports: what a campaign proved, every certificate proved again while they are made."""

from __future__ import annotations

from protoproof.report.audit.campaign import audit_page, audit_to_files
from protoproof.report.audit.single import page_to_files

__all__ = ["audit_page", "audit_to_files", "page_to_files"]
