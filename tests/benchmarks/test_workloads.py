"""The benchmarks' prompts are those of the harness's own tasks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sequela.evaluation.harness.catalog import find_entry
from sequela.evaluation.harness.tasks import build_task
from sequela.ground.errors import BadInputError

ROOT = Path(__file__).parents[2]
REAL_DATA = Path(os.environ.get("SEQUELA_DATA") or ROOT.parent / "shared" / "data")

needs_data = pytest.mark.skipif(
    not REAL_DATA.is_dir(), reason="no folder of data sets: SEQUELA_DATA is not set and there is no sibling"
)


@pytest.fixture(scope="module")
def workloads(benchmark_support: Callable[[str], ModuleType]) -> ModuleType:
    """`benchmarks/support/workloads.py`."""
    return benchmark_support("workloads")


@pytest.fixture
def _real_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_DATA", str(REAL_DATA))


def stock_requests(name: str, subject: str | None, limit: int) -> list[tuple[Any, ...]]:
    """What the harness itself would ask."""
    task = build_task(find_entry(name), subject, limit).task
    task.build_all_requests(limit=limit, rank=0, world_size=1)
    return [instance.args for instance in task.instances]


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_mmlu_asks_what_the_harness_asks(workloads: ModuleType) -> None:
    work = workloads.mmlu(subjects=2, questions=3)
    assert {question.id.split("/")[0] for question in work.questions} == {"abstract_algebra", "anatomy"}
    asked = [instance.args for instance in work.instances()]
    assert asked == stock_requests("mmlu", "abstract_algebra", 3) + stock_requests("mmlu", "anatomy", 3)


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_truthfulqa_asks_what_the_harness_asks(workloads: ModuleType) -> None:
    work = workloads.truthfulqa(questions=3)
    stock = stock_requests("truthfulqa_mc1", None, 3)
    asked = [instance.args for instance in work.instances()][: len(stock)]
    assert sorted(asked) == sorted(stock)  # the harness puts the right answer first


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_gsm8k_asks_what_the_harness_asks(workloads: ModuleType) -> None:
    work = workloads.gsm8k(problems=2)
    stock = stock_requests("gsm8k", None, 2)
    assert list(work.prompts) == [prompt for prompt, _ in stock]
    assert list(work.stop) == stock[0][1]["until"]


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_commonsenseqa_has_the_same_examples_before_every_question(workloads: ModuleType) -> None:
    work = workloads.commonsenseqa(questions=4)
    parts = [question.context.split("\n\n") for question in work.questions]
    assert {len(part) for part in parts} == {8}
    assert len({tuple(part[:7]) for part in parts}) == 1
    assert len({part[7] for part in parts}) == 4
    assert all(example[-2:] in {" A", " B", " C", " D", " E"} for example in parts[0][:7])
    assert work.questions[0].choices == (" A", " B", " C", " D", " E")


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_answers_find_their_questions(workloads: ModuleType) -> None:
    work = workloads.truthfulqa(questions=3)
    numbers = list(range(len(work.instances())))
    sorted_out = work.by_question(numbers)
    assert [len(answers) for answers in sorted_out] == [len(q.choices) for q in work.questions]
    assert [number for answers in sorted_out for number in answers] == numbers


def test_a_sample_is_spread_over_all(workloads: ModuleType) -> None:
    assert workloads.spread(range(10), 4) == [0, 2, 5, 7]
    assert workloads.spread(range(3), 4) == [0, 1, 2]


def test_without_data_it_says_so(workloads: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQUELA_DATA", raising=False)
    for make in (workloads.mmlu, workloads.truthfulqa, workloads.commonsenseqa, workloads.gsm8k):
        with pytest.raises(BadInputError, match="SEQUELA_DATA"):
            make()
