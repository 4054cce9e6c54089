"""The rows of the results database that records are stored in."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import BaseModel

from sequela.results.cost_record import CostRecord
from sequela.results.digests import (
    MEASUREMENT_FIELDS,
    Row,
    cost_digest,
    edit_digest,
    evaluation_digest,
    measurements_digest,
    record_digest,
)
from sequela.results.edit_record import EditRecord
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.measurement import Measurement

JSON_COLUMNS = ("shared", "form", "edit_template_args", "template_args")
"""The columns of measurements that hold JSON texts."""


def measurement_row(measurement: Measurement) -> dict[str, Any]:
    """Returns the row of a measurement, without its ids.

    A NaN becomes a missing value with a note, because SQLite has no NaN; in the note, a character that no
    database can store is replaced.
    """
    content = _without_nan(measurement).model_dump()
    content["task_group"] = content["group"]
    content["note"] = content["note"].encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    for name in JSON_COLUMNS:
        content[name] = None if content[name] is None else json.dumps(content[name])
    return {name: content[name] for name in MEASUREMENT_FIELDS}


def measurement_of(row: Row) -> Measurement:
    """Returns the measurement of a row."""
    content = {name: row[name] for name in MEASUREMENT_FIELDS if name != "task_group"}
    for name in JSON_COLUMNS:
        content[name] = None if content[name] is None else json.loads(content[name])
    return Measurement.model_validate({**content, "group": row["task_group"]})


def evaluation_row(
    run_id: str, number: int, key: EvaluationKey, items: tuple[int, str], measurements: list[dict[str, Any]]
) -> dict[str, Any]:
    """Returns the row of an evaluation, without its id.

    Args:
        run_id: The run.
        number: The number of the evaluation within the run.
        key: Its key.
        items: The number of its items, and the SHA-256 of their file; empty if there is no file.
        measurements: The rows of its measurements.
    """
    row = {
        "run_id": run_id,
        "number": number,
        **key.model_dump(),
        "n_items": items[0],
        "items_sha256": items[1],
        "measurements_digest": measurements_digest(measurements),
    }
    return {**row, "digest": evaluation_digest(row)}


def key_of(row: Row) -> EvaluationKey:
    """Returns the key of the row of an evaluation."""
    return EvaluationKey.model_validate({name: row[name] for name in EvaluationKey.model_fields})


def edit_row(run_id: str, record: EditRecord) -> dict[str, Any]:
    """Returns the row of an edit."""
    return edit_row_of(run_id, record.trajectory, record.position, _to_json(record))


def edit_row_of(run_id: str, trajectory: str, position: int, record: str) -> dict[str, Any]:
    """Returns the row of an edit whose record is a JSON text."""
    row = {
        "run_id": run_id,
        "trajectory": trajectory,
        "position": position,
        "record": record,
        "record_digest": record_digest(record),
    }
    return {**row, "digest": edit_digest(row)}


def edit_of(row: Row) -> EditRecord:
    """Returns the edit of a row."""
    return EditRecord.model_validate(json.loads(row["record"]))


def cost_row(run_id: str, number: int, record: CostRecord) -> dict[str, Any]:
    """Returns the row of a cost."""
    return cost_row_of(run_id, number, _to_json(record))


def cost_row_of(run_id: str, number: int, record: str) -> dict[str, Any]:
    """Returns the row of a cost whose record is a JSON text."""
    row = {"run_id": run_id, "number": number, "record": record}
    return {**row, "digest": cost_digest(row)}


def cost_of(row: Row) -> CostRecord:
    """Returns the cost of a row."""
    return CostRecord.model_validate(json.loads(row["record"]))


def _to_json(record: BaseModel) -> str:
    # Not `model_dump_json`, which would turn the NaN of a diverged loss into null.
    return json.dumps(record.model_dump())


def _without_nan(measurement: Measurement) -> Measurement:
    names = ("value", "stderr", "baseline")
    invalid = [name for name in names if _is_nan(getattr(measurement, name))]
    if not invalid:
        return measurement
    notes = [measurement.note] if measurement.note else []
    notes.append(f"{' and '.join(invalid)}: not a number")
    return measurement.model_copy(update={**dict.fromkeys(invalid), "note": "; ".join(notes)})


def _is_nan(value: float | None) -> bool:
    return value is not None and math.isnan(value)
