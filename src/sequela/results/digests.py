"""Digests over the rows of the results database, which show that a row is the one that was written.

A digest is the SHA-256 of the values of a row. A total is the sum of the digests of all rows of a table that
belong to a run: it doesn't depend on their order, and one more or one less row changes it by its digest.
A later version that computes them differently needs a schema version of its own, whose migration computes
all of them again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sequela.results.schema import COST, EDIT, EVALUATION, MEASUREMENT, RUN

NO_ROWS = "0" * 64
"""The total of no rows."""

Row = Mapping[str, Any]
"""The values of a row by column."""

RUN_FIELDS = tuple(column.name for column in RUN.c if column.name != "digest")
EVALUATION_FIELDS = tuple(column.name for column in EVALUATION.c if column.name not in ("id", "digest"))
MEASUREMENT_FIELDS = tuple(
    column.name for column in MEASUREMENT.c if column.name not in ("id", "evaluation_id")
)
FIELDS_OF_SCHEMA_8 = ("edit_sample",)
"""The fields of measurements that schema 7 didn't have. A digest covers them unless they are missing values,
so that those of schema 7 hold, and a migration vouches for nothing that it doesn't write."""
EDIT_FIELDS = tuple(column.name for column in EDIT.c if column.name not in ("record", "digest"))
COST_FIELDS = tuple(column.name for column in COST.c if column.name != "digest")


def digest_of(values: Sequence[Any]) -> str:
    """Returns the digest of a list of texts, numbers and missing values."""
    # SQLite doesn't distinguish the two zeros.
    plain = [value + 0.0 if isinstance(value, float) else value for value in values]
    # A damaged row may have values of other types, which have a digest too, but never the stored one.
    text = json.dumps(plain, ensure_ascii=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def run_digest(row: Row) -> str:
    """Returns the digest of the row of a run, which covers the totals of its other rows."""
    return digest_of([row[name] for name in RUN_FIELDS])


def measurements_digest(rows: Iterable[Row]) -> str:
    """Returns the digest of the measurements of an evaluation, in their order."""
    return digest_of([digest_of([row[name] for name in _digested_fields(row)]) for row in rows])


def _digested_fields(measurement: Row) -> list[str]:
    later = [name for name in FIELDS_OF_SCHEMA_8 if measurement.get(name) is not None]
    return [*(name for name in MEASUREMENT_FIELDS if name not in FIELDS_OF_SCHEMA_8), *later]


def evaluation_digest(row: Row) -> str:
    """Returns the digest of the row of an evaluation, which covers its measurements and its item file."""
    return digest_of([row[name] for name in EVALUATION_FIELDS])


def record_digest(record: str) -> str:
    """Returns the digest of the JSON text of a record."""
    return digest_of([record])


def edit_digest(row: Row) -> str:
    """Returns the digest of the row of an edit; it covers the record through `record_digest`.

    A look-up of one trajectory can thus check that no other row belongs to it without reading all records.
    """
    return digest_of([row[name] for name in EDIT_FIELDS])


def cost_digest(row: Row) -> str:
    """Returns the digest of the row of a cost."""
    return digest_of([row[name] for name in COST_FIELDS])


def total_of(digests: Iterable[str]) -> str:
    """Returns the total of digests."""
    return changed_total(NO_ROWS, digests)


def changed_total(total: str, added: Iterable[str] = (), removed: Iterable[str] = ()) -> str:
    """Returns the total after rows were added and others removed."""
    number = int(total, 16) + sum(int(one, 16) for one in added) - sum(int(one, 16) for one in removed)
    return f"{number % 2**256:064x}"
