"""Layouts of data sets: mappings in task files, or files that several task files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.data_layout import DataLayout
from sequela.evaluation.lm_eval.local_data import read_local
from sequela.evaluation.lm_eval.task_file import read_task_file

LAYOUT: dict[str, Any] = {
    "format": "csv",
    "splits": {"test": {}, "train": {"path": "more.csv", "first": 1}},
    "fields": {"question": "text", "right": "text", "wrong": "text"},
    "checks": {"the two answers are the same": "right != wrong"},
    "row": {"question": "question", "choices": "[right, wrong]", "words": "question.split() | length"},
}


def write_task(folder: Path, layout: Any) -> Path:
    """A task file whose items are CSV files with their own layout."""
    content = {
        "benchmark": "pairs",
        "protocol": "letters",
        "version": 1,
        "what": "Pairs.",
        "include": "gsm8k/gsm8k.yaml",
        "local": {"path": "pairs/test.csv", "layout": layout},
    }
    path = folder / "pairs.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "test.csv").write_text("question,right,wrong\nIs it 1?,yes,no\n", "utf-8")
    (tmp_path / "pairs" / "more.csv").write_text("question,right,wrong\nA,b,c\nD,e,f\n", "utf-8")
    monkeypatch.setenv("SEQUELA_DATA", str(tmp_path))
    return tmp_path


def test_a_task_file_can_define_a_layout(folder: Path) -> None:
    data = read_local(read_task_file(write_task(folder, LAYOUT)))
    assert data.splits == {
        "test": [{"question": "Is it 1?", "choices": ["yes", "no"], "words": 3}],
        "train": [{"question": "A", "choices": ["b", "c"], "words": 1}],
    }


def test_text_that_looks_like_a_number_stays_text(folder: Path) -> None:
    (folder / "pairs" / "test.csv").write_text("question,right,wrong\n1998,[1],2\n", "utf-8")
    (row,) = read_local(read_task_file(write_task(folder, LAYOUT))).splits["test"]
    assert (row["question"], row["choices"]) == ("1998", ["[1]", "2"])


def test_a_record_that_fails_a_check_is_named(folder: Path) -> None:
    (folder / "pairs" / "test.csv").write_text("question,right,wrong\nA,b,c\nD,e,e\n", "utf-8")
    with pytest.raises(BadInputError, match=r"test.csv, record 2: the two answers are the same\."):
        read_local(read_task_file(write_task(folder, LAYOUT)))


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("csvs", "unknown layout 'csvs'; known: json_lines, bbh"),
        ({**LAYOUT, "row": {"question": "question +"}}, "question: 'question \\+' is not an expression"),
        ({**LAYOUT, "splits": {}}, "splits"),
        ({**LAYOUT, "format": "xml"}, "format"),
    ],
)
def test_an_invalid_layout_is_rejected(folder: Path, layout: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_task_file(write_task(folder, layout))


@pytest.mark.parametrize("expression", ["question.stem", "{'stem': question.stem}", "[nothing]"])
def test_missing_fields_of_a_record_are_named(expression: str) -> None:
    layout = DataLayout.model_validate(
        {
            "format": "json_lines",
            "splits": {"test": {}},
            "fields": {"question": "object"},
            "row": {"question": expression},
        }
    )
    with pytest.raises(
        BadInputError, match=r"line 1: the record can't be converted to an item .*(stem|nothing)"
    ):
        layout.item({"question": {"text": "Why?"}}, "line 1")
