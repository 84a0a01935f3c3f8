"""The published JSON schema is that of the code."""

from __future__ import annotations

import json

from protoproof.certificate.schema import json_schema
from tests.support.cli import ROOT

SCHEMA = ROOT / "specs" / "schema" / "certificate.schema.json"


def test_the_published_schema_is_the_model_s() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema()
