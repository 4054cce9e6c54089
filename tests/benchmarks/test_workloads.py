"""The workloads on which speed is measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sequela.core.errors import BadInputError

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


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_mmlu_takes_the_first_subjects_that_have_enough_questions(workloads: ModuleType) -> None:
    work = workloads.mmlu(subjects=2, questions=3)
    assert [question.id for question in work.questions] == [
        f"{subject}/{number}" for subject in ("abstract_algebra", "anatomy") for number in range(3)
    ]
    assert all(question.choices == (" A", " B", " C", " D") for question in work.questions)
    assert all(question.context.count("\nAnswer:") == 6 for question in work.questions)
    (first,) = workloads.mmlu(subjects=1, questions=101).questions[:1]
    assert first.id == "anatomy/0"  # abstract algebra has a hundred


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_truthfulqa_asks_both_ways(workloads: ModuleType) -> None:
    work = workloads.truthfulqa(questions=3)
    assert [question.id for question in work.questions] == [
        f"truthfulqa_{way}/{number}" for way in ("mc1", "mc2") for number in range(3)
    ]
    assert [q.context for q in work.questions[:3]] == [q.context for q in work.questions[3:]]
    counts = [len(question.choices) for question in work.questions]
    assert sum(counts[:3]) < sum(counts[3:])


@needs_data
@pytest.mark.usefixtures("_real_data")
def test_gsm8k_shows_eight_solutions(workloads: ModuleType) -> None:
    work = workloads.gsm8k(problems=2)
    assert len(set(work.prompts)) == 2
    assert all(prompt.count("The answer is") == 8 for prompt in work.prompts)
    assert work.stop


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
