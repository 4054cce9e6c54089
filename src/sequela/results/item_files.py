"""Per-item records in Parquet: one file for each evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sequela.core.damaged_files import naming_file
from sequela.core.errors import IntegrityError
from sequela.core.hashing import sha256_of_file
from sequela.results.earlier_schema import item_record_of_4
from sequela.results.item_record import ItemRecord


def item_file(items: Sequence[ItemRecord]) -> bytes:
    """Returns the content of a Parquet file with item records; `details` becomes a column of JSON text."""
    rows = [_to_row(item) for item in items]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), sink, compression="zstd")
    return bytes(sink.getvalue())


def sha256_of(content: bytes) -> str:
    """Returns the SHA-256 of the content of an item file."""
    return hashlib.sha256(content).hexdigest()


def item_file_problem(path: Path, sha256: str) -> str:
    """Returns what is wrong with an item file, as a sentence without a full stop; empty if nothing is.

    Args:
        path: The file.
        sha256: The SHA-256 of its content; empty if it isn't known.
    """
    try:
        if sha256 and sha256_of_file(path) != sha256:
            return f"{path} is damaged: it isn't the file that was written"
        return "" if path.is_file() else f"The per-item records in {path} are missing"
    except OSError as error:
        return f"Can't read the per-item records in {path}: {error.strerror or error}"


def read_items(path: Path, sha256: str = "") -> list[ItemRecord]:
    """Returns the records of an item file, in the order in which they were written.

    Args:
        path: The file.
        sha256: The SHA-256 of its content; empty if it isn't known.

    Raises:
        IntegrityError: The file is missing, is not the one that was written, or is not an item file.
    """
    hint = "The numbers of the run are not affected; run the study again to restore the items."
    try:
        content = path.read_bytes()
        if sha256 and sha256_of(content) != sha256:
            raise IntegrityError(f"{path} is damaged: it isn't the file that was written.", hint=hint)
        table = pq.read_table(pa.BufferReader(content))
        # A file of schema 4 has another name for one column.
        names = ["too_long" if name == "refused" else name for name in table.column_names]
        table.rename_columns(names).cast(_schema(names))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(f"Can't read the per-item records in {path}: {error}", hint=hint) from error
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
