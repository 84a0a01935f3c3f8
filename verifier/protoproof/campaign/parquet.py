"""The rows of a campaign as a Parquet file, as recorded. The only file that imports pyarrow."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from protoproof.campaign.store import Ledger
from protoproof.campaign.summary import RECORDED
from protoproof.errors import MissingDependencyError
from protoproof.files import write_atomic


def export_parquet(directory: Path, path: Path) -> int:
    """Write one row per planned instance, with its timing; returns how many.

    The values are the ledger's word, and the column ``values`` and the file's metadata say so.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        InputError: ``directory`` holds no campaign.
        OutputError: the file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError(
            "--parquet needs pyarrow, which is not installed: pip install 'protoproof[parquet]'"
        ) from error
    with Ledger.read(directory) as ledger:
        rows, spent, about = ledger.rows(), ledger.timings(), ledger.about()
        regions = ledger.regions()
    integer, real, text = pa.int64(), pa.float64(), pa.string()
    schema = pa.schema(
        [
            ("index", integer),
            ("label", integer),
            ("instance", text),
            ("key", text),
            ("model", text),
            ("state", text),
            ("reason", text),
            ("predicted", integer),
            ("margin", real),
            ("top", integer),
            ("vocabulary", text),
            ("oracle", text),
            ("size", integer),
            ("numbers", integer),
            ("possible", integer),
            ("necessary", integer),
            ("sizes", text),
            ("prototypes", pa.list_(integer)),
            ("signature", text),
            ("certificate", text),
            ("core", text),
            ("level", text),
            ("regions", text),
            ("seconds", real),
            ("megabytes", real),
            ("carried", pa.bool_()),
            ("values", text),
        ],
        metadata={"values": RECORDED},
    )
    table = pa.Table.from_pylist([_row(row, spent, about, regions) for row in rows], schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomic(path, buffer.getvalue())
    return len(rows)


def _row(row: Any, spent: Any, about: dict[str, Any], regions: Any) -> dict[str, Any]:
    record, timing = row.record, spent.get(row.key)
    return {
        "index": row.index,
        "label": row.label,
        "instance": row.instance,
        "key": row.key,
        "model": about["model"],
        "state": record.state,
        "reason": record.reason,
        "predicted": record.predicted,
        "margin": record.margin,
        "top": record.top,
        "vocabulary": record.vocabulary,
        "oracle": record.oracle,
        "size": record.size,
        "numbers": record.numbers,
        "possible": record.possible,
        "necessary": record.necessary,
        "sizes": json.dumps(record.sizes, sort_keys=True),
        "prototypes": list(record.prototypes),
        "signature": record.signature,
        "certificate": record.certificate,
        "core": record.core,
        "level": record.level,
        # which regions the prediction is the same over: states by name, as JSON
        "regions": json.dumps({name: found[row.key].state for name, found in regions.items()}),
        "seconds": None if timing is None else timing.seconds,
        "megabytes": None if timing is None else timing.megabytes,
        "carried": None if timing is None else timing.carried,
        "values": RECORDED,
    }
