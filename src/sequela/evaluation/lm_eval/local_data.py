"""Data sets of the benchmarks from the user's own folder (`SEQUELA_DATA`).

A task file says under `local` where its items may lie there, and in which layout; they win over the hub, and
a file may be compressed and end in `.gz`. The benchmarks that come with the program:

* `mmlu/{dev,test}/<subject>_{dev,test}.csv`: a header `question,choice0,choice1,choice2,choice3,answer`,
  the answer as 0 to 3
* `bbh/tasks/<subject>.json`: `examples`, a list of `input` and `target`
* `gsm8k/test.jsonl`: `question`, `answer` (ending in `#### number`)
* `commonsenseqa/{dev,train}_rand_split.jsonl`: `question` (`stem`, `choices` of `label` and `text`),
  `answerKey`
* `triviaqa/*.csv`: a header `question,answer`, the answer's names separated by `; `
* `truthfulqa/mc_task.json`: a list of `question`, `mc1_targets` and `mc2_targets` (answer to 1 or 0)
* `toxigen/test.jsonl`: `text`, `toxicity_ai`, `toxicity_human`

The rows are given in the shape that the harness's stock tasks expect of the hub's data sets.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sequela.core.errors import BadInputError
from sequela.core.paths import data_folder
from sequela.core.text_files import open_text, read_json, read_json_lines
from sequela.evaluation.lm_eval.task_file import LocalFiles, TaskFile

Row = dict[str, Any]

WORKED_EXAMPLES = 7
"""How many rows of CommonsenseQA's training split are read: the most that stand before a question."""

LABELS = ("A", "B", "C", "D", "E")


@dataclass(frozen=True)
class LocalData:
    """A data set read from local files.

    Args:
        splits: Rows by the split's name on the hub.
        departure: How the rows differ from the official release; empty if they don't, as far as can be seen.
    """

    splits: dict[str, list[Row]]
    departure: str = ""


def local_path(file: TaskFile) -> Path | None:
    """The file or folder of the user's that has a benchmark's items; None if there is none."""
    folder = data_folder()
    if folder is None or file.local is None:
        return None
    found = sorted(folder.glob(file.local.path)) or sorted(folder.glob(f"{file.local.path}.gz"))
    return found[0] if found else None


def read_local(file: TaskFile, subject: str = "") -> LocalData:
    """Reads a benchmark's data from the user's folder.

    Args:
        file: The benchmark.
        subject: The subject, where the benchmark has parts.

    Raises:
        BadInputError: A file or record is not as expected; it is named.
    """
    found = local_path(file)
    if found is None or file.local is None:
        raise BadInputError(f"SEQUELA_DATA has no {file.local.path if file.local else file.benchmark}.")
    layouts: dict[str, Callable[[Path, LocalFiles, str], dict[str, list[Row]]]] = {
        "json_lines": lambda path, local, _: {local.split: _objects(path, local)},
        "mmlu": lambda path, _, subject: _read_mmlu(path, subject),
        "bbh": lambda path, _, subject: _read_bbh(path, subject),
        "commonsenseqa": lambda path, *_: _read_commonsenseqa(path),
        "triviaqa": lambda path, *_: _read_triviaqa(path),
        "truthfulqa": lambda path, *_: _read_truthfulqa(path),
    }
    splits = layouts[file.local.layout](found, file.local, subject)
    n_rows, official = sum(len(rows) for rows in splits.values()), file.official_items
    if not file.local.count_rows or n_rows == official:
        return LocalData(splits)
    return LocalData(splits, f"local split of {n_rows} rows, not the official one of {official}")


def _objects(path: Path, local: LocalFiles) -> list[Row]:
    """The objects of a JSON-lines file, or the fields of them that were asked for."""
    if not local.fields:
        return read_items(path)
    kinds = {"text": str, "number": (int, float)}
    return [*_rows(path, {name: kinds[kind] for name, kind in local.fields.items()})]


def read_items(path: Path) -> list[Row]:
    """The items of a task file of the user's own: one JSON object a line.

    Raises:
        BadInputError: The file is missing or empty, or a line is no object or has other fields than the
        first.
    """
    if not path.is_file():
        raise BadInputError(f"{path} is missing; the task file names it as its items.")
    rows: list[Row] = []
    for where, row in _records(path):
        if not isinstance(row, dict):
            raise BadInputError(f"{where}: expected an object.")
        if rows and set(row) != set(rows[0]):
            differing = ", ".join(sorted(set(row) ^ set(rows[0])))
            raise BadInputError(f"{where}: not the fields of the first record: they differ in {differing}.")
        rows.append(row)
    if not rows:
        raise BadInputError(f"{path} has no items.")
    return rows


def _read_mmlu(folder: Path, subject: str) -> dict[str, list[Row]]:
    splits: dict[str, list[Row]] = {}
    for split in ("dev", "test"):
        path = _present(folder.parent / split / f"{subject}_{split}.csv")
        choices = [f"choice{i}" for i in range(4)]
        splits[split] = []
        for where, row in _csv_records(path, ["question", *choices, "answer"]):
            if row["answer"] not in {"0", "1", "2", "3"}:
                raise BadInputError(f"{where}: the answer is {row['answer']!r}, expected 0 to 3.")
            splits[split].append(
                {
                    "question": row["question"],
                    "choices": [row[choice] for choice in choices],
                    "answer": int(row["answer"]),
                }
            )
    return splits


def _read_bbh(folder: Path, subject: str) -> dict[str, list[Row]]:
    path = _present(folder / f"{subject}.json")
    content = read_json(path)
    examples = content.get("examples") if isinstance(content, dict) else None
    if not isinstance(examples, list):
        raise BadInputError(f"{path}: expected an object with a list `examples`.")
    rows = [
        _picked(row, {"input": str, "target": str}, f"{path}, record {number}")
        for number, row in enumerate(examples, start=1)
    ]
    return {"test": rows}


def _read_commonsenseqa(path: Path) -> dict[str, list[Row]]:
    training = _present(path.with_name(path.name.replace("dev_", "train_").removesuffix(".gz")))
    return {
        "validation": [_commonsense_row(where, row) for where, row in _records(path)],
        "train": [_commonsense_row(where, row) for where, row in islice(_records(training), WORKED_EXAMPLES)],
    }


def _commonsense_row(where: str, record: Any) -> Row:
    question = _picked(record, {"question": dict, "answerKey": str}, where)["question"]
    picked = _picked(question, {"stem": str, "choices": list}, where)
    choices = [_picked(choice, {"label": str, "text": str}, where) for choice in picked["choices"]]
    labels = [choice["label"] for choice in choices]
    if labels != list(LABELS) or record["answerKey"] not in labels:
        raise BadInputError(f"{where}: expected the choices A to E, one of them the answerKey.")
    return {
        "question": picked["stem"],
        "choices": {"label": labels, "text": [choice["text"] for choice in choices]},
        "answerKey": record["answerKey"],
    }


def _read_triviaqa(path: Path) -> dict[str, list[Row]]:
    rows = []
    for where, record in _csv_records(path, ["question", "answer"]):
        aliases = [name.strip() for name in record["answer"].split("; ") if name.strip()]
        if not aliases:
            raise BadInputError(f"{where}: there is no answer.")
        rows.append({"question": record["question"], "answer": {"value": aliases[0], "aliases": aliases}})
    return {"validation": rows}


def _read_truthfulqa(path: Path) -> dict[str, list[Row]]:
    records = read_json(path)
    if not isinstance(records, list):
        raise BadInputError(f"{path}: expected a list of records.")
    rows = []
    for number, record in enumerate(records, start=1):
        where = f"{path}, record {number}"
        row = _picked(record, {"question": str, "mc1_targets": dict, "mc2_targets": dict}, where)
        for kind in ("mc1_targets", "mc2_targets"):
            targets: dict[str, int] = row[kind]
            right = sum(label == 1 for label in targets.values())
            if not 1 <= right < len(targets) or (kind == "mc1_targets" and right > 1):
                raise BadInputError(
                    f"{where}: {kind} has {right} right answers (1) of {len(targets)}; expected "
                    f"{'one' if kind == 'mc1_targets' else 'at least one'}, and a wrong one (0)."
                )
            row[kind] = {"choices": list(targets), "labels": [int(label) for label in targets.values()]}
        rows.append(row)
    return {"validation": rows}


def _present(path: Path) -> Path:
    """The file, or its compressed form.

    Raises:
        BadInputError: There is neither.
    """
    for candidate in (path, path.with_name(f"{path.name}.gz")):
        if candidate.is_file():
            return candidate
    raise BadInputError(f"{path} is missing.", hint=f"Put it there, or take {path.parent} away.")


def _csv_records(path: Path, fields: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    with open_text(path) as stream:
        reader = csv.DictReader(stream)
        if (reader.fieldnames or [])[: len(fields)] != fields:
            raise BadInputError(f"{path}: the header is {reader.fieldnames}, expected {','.join(fields)}.")
        for number, row in enumerate(reader, start=1):
            where = f"{path}, record {number}"
            if None in row or None in row.values():
                raise BadInputError(f"{where}: expected {len(reader.fieldnames or [])} fields.")
            yield where, row


def _rows(path: Path, fields: dict[str, Any]) -> Iterator[Row]:
    for where, row in _records(path):
        yield _picked(row, fields, where)


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """The records of a file with one a line, each with where it stands."""
    for number, value in read_json_lines(path):
        yield f"{path}, line {number}", value


def _picked(record: Any, fields: dict[str, Any], where: str) -> Row:
    """The fields we need, if they are there and of the right kind."""
    if not isinstance(record, dict):
        raise BadInputError(f"{where}: expected an object with {', '.join(fields)}.")
    for field, kind in fields.items():
        if not isinstance(record.get(field), kind):
            raise BadInputError(f"{where}: the field {field!r} is missing or of the wrong kind.")
    return {field: record[field] for field in fields}
