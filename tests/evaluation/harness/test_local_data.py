from __future__ import annotations

import json
from pathlib import Path

import pytest

from sequela.evaluation.harness.catalog import CATALOG, describe_tasks
from sequela.evaluation.harness.local_data import is_local, read_local
from sequela.ground.errors import BadInputError

NAMES = [entry.name for entry in CATALOG]


def test_without_a_folder_nothing_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQUELA_DATA", raising=False)
    assert not any(is_local(name) for name in NAMES)
    assert read_local("gsm8k") is None


def test_the_listing_says_what_is_here(small_data: Path) -> None:
    (small_data / "gsm8k" / "test.jsonl").unlink()
    assert {entry.name: entry.available for entry in describe_tasks()} == {
        "mmlu": True,
        "gsm8k": False,
        "truthfulqa_mc1": True,
        "toxigen": True,
    }


def test_mmlu_rows(small_data: Path) -> None:
    data = read_local("mmlu", "anatomy")
    assert data is not None
    assert {split: len(rows) for split, rows in data.splits.items()} == {"dev": 5, "test": 6}
    assert data.splits["test"][1] == {
        "question": 'Where in anatomy is "part 1" found?',
        "choices": ["the top of 1", "the edge, or rim of 1", "the middle of 1", "the foot of 1"],
        "answer": 0,
    }


def test_the_true_answer_comes_first(small_data: Path) -> None:
    data = read_local("truthfulqa_mc1")
    assert data is not None
    for i, row in enumerate(data.splits["validation"]):
        assert row["mc1_targets"]["choices"][0] == f"Bread number {i} falls as it likes."
        assert row["mc1_targets"]["labels"] == [1, 0, 0]


def test_another_toxigen_split_is_named(small_data: Path) -> None:
    data = read_local("toxigen")
    assert data is not None
    assert data.departure == "local split of 9 rows, not the official one of 940"
    path = small_data / "toxigen" / "test.jsonl"
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8") * 940, encoding="utf-8")
    official = read_local("toxigen")
    assert official is not None
    assert official.departure == ""


@pytest.mark.parametrize(
    ("task", "file", "text", "said"),
    [
        (
            "gsm8k",
            "gsm8k/test.jsonl",
            '{"question": "q", "answer": "a"}\n{"question": "q"}\n',
            "line 2: the field",
        ),
        ("gsm8k", "gsm8k/test.jsonl", "{\n", "line 1: not valid JSON"),
        (
            "toxigen",
            "toxigen/test.jsonl",
            '{"text": "t", "toxicity_ai": "1", "toxicity_human": 2}',
            "toxicity_ai",
        ),
        ("toxigen", "toxigen/test.jsonl", "[]", "line 1: expected an object"),
        ("truthfulqa_mc1", "truthfulqa/mc_task.json", "{}", "expected a list"),
        (
            "truthfulqa_mc1",
            "truthfulqa/mc_task.json",
            json.dumps([{"question": "q", "mc1_targets": {"a": 1, "b": 1}}]),
            "record 1: expected one right answer",
        ),
        ("mmlu", "mmlu/test/anatomy_test.csv", "q,a\n", "the header is"),
        (
            "mmlu",
            "mmlu/test/anatomy_test.csv",
            "question,choice0,choice1,choice2,choice3,answer\nq,a,b,c,d,1\nq,a,b,c,d,A\n",
            "record 2",
        ),
    ],
)
def test_bad_records_are_named(small_data: Path, task: str, file: str, text: str, said: str) -> None:
    (small_data / file).write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=said):
        read_local(task, "anatomy")


def test_a_subject_without_its_file_is_named(small_data: Path) -> None:
    (small_data / "mmlu" / "dev" / "anatomy_dev.csv").unlink()
    with pytest.raises(BadInputError, match=r"anatomy_dev\.csv is missing"):
        read_local("mmlu", "anatomy")
