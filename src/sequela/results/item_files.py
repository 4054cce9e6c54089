"""Per-item records in Parquet: one file for each evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sequela.core.errors import IntegrityError
from sequela.core.paths import replacing
from sequela.results.earlier_schema import item_record_of_4
from sequela.results.item_record import ItemRecord


def write_items(path: Path, items: Sequence[ItemRecord]) -> None:
    """Writes records to a Parquet file; a reader sees the whole file or none.

    Args:
        path: The file.
        items: The records; `details` becomes a column of JSON text.
    """
    rows = [_to_row(item) for item in items]
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), temporary, compression="zstd")


def read_items(path: Path) -> list[ItemRecord]:
    """The records of a file written by `write_items`, in their order.

    Raises:
        IntegrityError: The file is missing or is not one of ours.
    """
    try:
        table = pq.read_table(path)
        # A file of schema 4 has another name for one column; anything else is no file of ours.
        names = ["too_long" if name == "refused" else name for name in table.column_names]
        table.rename_columns(names).cast(_schema())
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(
            f"Can't read the per-item records in {path}: {error}",
            hint="The numbers in results.sqlite are not touched by this; run the study again for the items.",
        ) from error
    return [
        ItemRecord.model_validate(item_record_of_4({**row, "details": json.loads(row["details"])}))
        for row in table.to_pylist()
    ]


def _schema() -> pa.Schema:
    before = ("suite", "task", "metric", "protocol", "item")
    after = ("failed", "prompt", "answer", "expected", "details")
    fields = [
        *(pa.field(name, pa.string(), nullable=False) for name in before),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("finite", pa.bool_(), nullable=False),
        pa.field("too_long", pa.int64(), nullable=True),
        *(pa.field(name, pa.string(), nullable=False) for name in after),
    ]
    return pa.schema(fields)


def _to_row(item: ItemRecord) -> dict[str, object]:
    row = item.model_dump()
    row["details"] = json.dumps(item.details, sort_keys=True)
    # A model's bytes may decode to half a surrogate pair, which UTF-8 and so Parquet can't hold.
    return {name: _whole(value) if isinstance(value, str) else value for name, value in row.items()}


def _whole(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")
