"""Layouts of data sets: mappings in task files, or files that several task files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.catalog import files_of
from sequela.evaluation.lm_eval.data_layout import DataLayout, SplitFile
from sequela.evaluation.lm_eval.listing import constants_of
from sequela.evaluation.lm_eval.local_data import read_local
from sequela.evaluation.lm_eval.task_file import LocalFiles, layout_of, read_task_file

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


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the evaluations of templates and expressions, of which a listing would have 100,000."""
    begun: list[str] = []
    begin = jinja2.Template.new_context

    def counted(template: jinja2.Template, *arguments: Any, **options: Any) -> Any:
        begun.append(repr(template))
        return begin(template, *arguments, **options)

    monkeypatch.setattr(jinja2.Template, "new_context", counted)
    return begun


def test_an_item_takes_one_evaluation(evaluations: list[str]) -> None:
    layout = layout_of(LocalFiles(path="mmlu", layout="mmlu"))
    record = {"question": "Q", **{f"choice{n}": str(n) for n in range(4)}, "answer": "2"}
    item = {"question": "Q", "choices": ["0", "1", "2", "3"], "answer": 2}
    assert [layout.item(record, "line 1") for _ in range(5)] == [item] * 5
    assert len(evaluations) == 5


def test_a_check_is_reported_before_an_expression_that_needs_it() -> None:
    layout = DataLayout(
        format="csv",
        splits={"test": SplitFile()},
        fields={"text": "text"},
        checks={"no words": "text.split() | length > 0"},
        row={"first": "text.split()[0]"},
    )
    assert layout.item({"text": "a b"}, "line 1") == {"first": "a"}
    with pytest.raises(BadInputError, match=r"line 2: no words\."):
        layout.item({"text": " "}, "line 2")


def test_the_answers_of_many_items_take_few_evaluations(evaluations: list[str]) -> None:
    rows = [{"question": str(n), "choices": [], "answer": n % 4} for n in range(40)]
    assert constants_of(files_of("mmlu")[0], rows) == dict.fromkeys("ABCD", 0.25)
    assert len(evaluations) == 4
