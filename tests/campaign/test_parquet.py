"""The rows as a Parquet file. Runs where pyarrow is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from protoproof.campaign import Options, run_campaign
from protoproof.campaign.parquet import export_parquet
from protoproof.campaign.summary import RECORDED
from protoproof.errors import MissingDependencyError
from tests.support.campaign import InlineEngine, network, some


def test_every_row_is_there(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    result = run_campaign(
        network(), some(4), tmp_path / "c", options=Options(witnesses=False), engine=InlineEngine
    )
    assert export_parquet(tmp_path / "c", tmp_path / "rows.parquet") == 4
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["instance"] for row in rows] == [row.instance for row in result.rows]
    assert [tuple(row["prototypes"]) for row in rows] == [
        row.record.prototypes for row in result.rows
    ]
    assert all(row["state"] == "proved" and row["seconds"] > 0 for row in rows)
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert table.schema.metadata[b"values"].decode() == RECORDED
    assert {row["values"] for row in rows} == {RECORDED}


def test_without_pyarrow_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"protoproof\[parquet\]"):
        export_parquet(tmp_path, tmp_path / "rows.parquet")
