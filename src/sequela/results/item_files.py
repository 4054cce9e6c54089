"""Per-item records in Parquet: one file for each evaluation."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sequela.core.damaged_files import naming_file
from sequela.core.errors import IntegrityError
from sequela.core.paths import replacing
from sequela.results.earlier_schema import item_record_of_4
from sequela.results.item_record import ItemRecord


def write_items(path: Path, items: Sequence[ItemRecord]) -> None:
    """Writes item records to a Parquet file atomically.

    Args:
        path: The file.
        items: The records; `details` becomes a column of JSON text.
    """
    rows = [_to_row(item) for item in items]
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), temporary, compression="zstd")


def read_items(path: Path) -> list[ItemRecord]:
    """Returns the records of a file that `write_items` wrote, in the same order.

    Raises:
        IntegrityError: The file is missing, or is not an item file.
    """
    try:
        table = pq.read_table(path)
        # A file of schema 4 has another name for one column.
        names = ["too_long" if name == "refused" else name for name in table.column_names]
        table.rename_columns(names).cast(_schema(names))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(
            f"Can't read the per-item records in {path}: {error}",
            hint="The numbers in results.sqlite are not affected; run the study again to restore the items.",
        ) from error
    with naming_file(path, "per-item records"):
        return [
            ItemRecord.model_validate(item_record_of_4({**row, "details": json.loads(row["details"])}))
            for row in table.to_pylist()
        ]


def _schema(names: Collection[str] | None = None) -> pa.Schema:
    """Returns the schema of an item file.

    Args:
        names: The columns of an existing file; those of thinking are missing from earlier files.
    """
    before = ("suite", "task", "metric", "protocol", "item")
    after = ("failed", "prompt", "answer", "thinking", "expected", "details")
    fields = [
        *(pa.field(name, pa.string(), nullable=False) for name in before),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("finite", pa.bool_(), nullable=False),
        pa.field("too_long", pa.int64(), nullable=True),
        pa.field("unfinished_thinking", pa.int64(), nullable=True),
        *(pa.field(name, pa.string(), nullable=False) for name in after),
    ]
    missing = set() if names is None else {"thinking", "unfinished_thinking"}.difference(names)
    return pa.schema([one for one in fields if one.name not in missing])


def _to_row(item: ItemRecord) -> dict[str, object]:
    row = item.model_dump()
    row["details"] = json.dumps(item.details, sort_keys=True)
    # A model's bytes may decode to half a surrogate pair, which UTF-8, and therefore Parquet, can't encode.
    return {name: _encodable(value) if isinstance(value, str) else value for name, value in row.items()}


def _encodable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")
