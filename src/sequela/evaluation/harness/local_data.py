"""Data sets of the harness's tasks from the user's own folder (`SEQUELA_DATA`).

What may be there, each wins over the hub:

* `mmlu/{dev,test}/<subject>_{dev,test}.csv`: a header `question,choice0,choice1,choice2,choice3,answer`,
  the answer as 0 to 3
* `gsm8k/test.jsonl`: `question`, `answer` (ending in `#### number`)
* `truthfulqa/mc_task.json`: a list of `question` and `mc1_targets` (answer to 1 or 0)
* `toxigen/test.jsonl`: `text`, `toxicity_ai`, `toxicity_human`

The rows are given in the shape that the harness's stock tasks expect of the hub's data sets.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sequela.ground.errors import BadInputError
from sequela.ground.paths import data_folder

Row = dict[str, Any]

TOXIGEN_OFFICIAL_ROWS = 940
"""How many rows the official test split of ToxiGen's human annotations has."""


@dataclass(frozen=True)
class LocalData:
    """A data set read from local files.

    Args:
        splits: Rows by the split's name on the hub.
        departure: How the rows differ from the official release; empty if they don't, as far as can be seen.
    """

    splits: dict[str, list[Row]]
    departure: str = ""


def is_local(task: str) -> bool:
    """Whether the user's folder has the data of a task."""
    folder = data_folder()
    return folder is not None and (folder / _MARKERS[task]).exists()


def read_local(task: str, subject: str | None = None) -> LocalData | None:
    """Reads a task's data from the user's folder.

    Args:
        task: One of the catalog's names.
        subject: The subject, for MMLU.

    Returns:
        None if the user's folder doesn't have the data.

    Raises:
        BadInputError: A file or record is not as expected; it is named.
    """
    folder = data_folder()
    if folder is None or not is_local(task):
        return None
    if task == "mmlu":
        return _read_mmlu(folder, subject)
    readers: dict[str, Callable[[Path], LocalData]] = {
        "gsm8k": _read_gsm8k,
        "truthfulqa_mc1": _read_truthfulqa,
        "toxigen": _read_toxigen,
    }
    return readers[task](folder / _MARKERS[task])


_MARKERS = {
    "mmlu": "mmlu/test",
    "gsm8k": "gsm8k/test.jsonl",
    "truthfulqa_mc1": "truthfulqa/mc_task.json",
    "toxigen": "toxigen/test.jsonl",
}


def _read_mmlu(folder: Path, subject: str | None) -> LocalData:
    splits: dict[str, list[Row]] = {}
    for split in ("dev", "test"):
        path = folder / "mmlu" / split / f"{subject}_{split}.csv"
        splits[split] = list(_mmlu_rows(path))
    return LocalData(splits)


def _mmlu_rows(path: Path) -> Iterator[Row]:
    choices = [f"choice{i}" for i in range(4)]
    if not path.is_file():
        raise BadInputError(f"{path} is missing.", hint="Put it there, or take the folder `mmlu` away.")
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != ["question", *choices, "answer"]:
            raise BadInputError(
                f"{path}: the header is {reader.fieldnames}, expected question,{','.join(choices)},answer."
            )
        for number, row in enumerate(reader, start=1):
            if None in row or None in row.values() or row["answer"] not in {"0", "1", "2", "3"}:
                raise BadInputError(f"{path}, record {number}: expected six fields, the last one 0 to 3.")
            yield {
                "question": row["question"],
                "choices": [row[choice] for choice in choices],
                "answer": int(row["answer"]),
            }


def _read_gsm8k(path: Path) -> LocalData:
    fields = {"question": str, "answer": str}
    return LocalData({"test": [_picked(row, fields, where) for where, row in _json_lines(path)]})


def _read_toxigen(path: Path) -> LocalData:
    fields = {"text": str, "toxicity_ai": (int, float), "toxicity_human": (int, float)}
    rows = [_picked(row, fields, where) for where, row in _json_lines(path)]
    if len(rows) == TOXIGEN_OFFICIAL_ROWS:
        return LocalData({"test": rows})
    departure = f"local split of {len(rows)} rows, not the official one of {TOXIGEN_OFFICIAL_ROWS}"
    return LocalData({"test": rows}, departure)


def _read_truthfulqa(path: Path) -> LocalData:
    records = _parsed(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(records, list):
        raise BadInputError(f"{path}: expected a list of records.")
    rows = []
    for number, record in enumerate(records, start=1):
        where = f"{path}, record {number}"
        row = _picked(record, {"question": str, "mc1_targets": dict}, where)
        targets: dict[str, int] = row["mc1_targets"]
        right = [answer for answer, label in targets.items() if label == 1]
        if len(right) != 1 or len(targets) < 2:
            raise BadInputError(f"{where}: expected one right answer (1) and at least one wrong one (0).")
        # The stock task takes the first choice for the right one and doesn't look at the labels.
        choices = right + [answer for answer, label in targets.items() if label != 1]
        labels = [1] + [0] * (len(choices) - 1)
        rows.append({"question": row["question"], "mc1_targets": {"choices": choices, "labels": labels}})
    return LocalData({"validation": rows})


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                where = f"{path}, line {number}"
                yield where, _parsed(line, where)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInputError(f"{where}: not valid JSON ({error.msg}).") from error


def _picked(record: Any, fields: dict[str, Any], where: str) -> Row:
    """The fields we need, if they are there and of the right kind."""
    if not isinstance(record, dict):
        raise BadInputError(f"{where}: expected an object with {', '.join(fields)}.")
    for field, kind in fields.items():
        if not isinstance(record.get(field), kind):
            raise BadInputError(f"{where}: the field {field!r} is missing or of the wrong kind.")
    return {field: record[field] for field in fields}
