"""The error rates of a reading of generated answers, against the labels that they were given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sequela.evaluation.lm_eval.answer_extraction import COMPARISONS, read
from sequela.evaluation.lm_eval.local_data import read_local
from sequela.evaluation.lm_eval.task_file import TaskFile, task_files

STATES = ("unedited", "edited", "collapsed")
READINGS = ("strict", "lenient")


@dataclass(frozen=True)
class LabeledAnswer:
    """A generated answer with its label.

    Args:
        state: The state of the model: `unedited`, `edited` or `collapsed`.
        benchmark: The benchmark.
        subject: The subject; empty for a benchmark without.
        item: The number of the item within its subject, from 0.
        text: The generated text.
        answer: The answer that a person reads in it; None if there is none. Not given for TriviaQA.
        right: Whether a person takes the text as right.
    """

    state: str
    benchmark: str
    subject: str
    item: int
    text: str
    answer: str | None
    right: bool


@dataclass(frozen=True)
class Errors:
    """The number of times that a reading differs from the labels.

    Args:
        n: The number of answers.
        verdicts: How many are right by the label and wrong by the reading, or the other way round.
        missed: In how many the reading found nothing, though a person did.
        invented: In how many it found something, though a person did not.
        other: In how many it found another answer than a person.
    """

    n: int
    verdicts: int
    missed: int
    invented: int
    other: int


def labeled_answers(folder: Path) -> Iterator[LabeledAnswer]:
    """Yields the labeled answers in a folder."""
    for state in STATES:
        for line in (folder / f"{state}.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            benchmark = record["benchmark"]
            yield LabeledAnswer(
                state=state,
                benchmark=benchmark,
                subject=record["task"].split("@")[0].removeprefix(f"{benchmark}_").removeprefix(benchmark)
                if benchmark in ("mmlu", "bbh")
                else "",
                item=int(record["item"].split("-")[0]),
                text=record["text"],
                answer=record.get("answer"),
                right=record["right"],
            )


def errors(answers: Sequence[LabeledAnswer]) -> Mapping[tuple[str, str, str], Errors]:
    """Returns the errors by benchmark, state and reading. `SEQUELA_DATA` has to be set."""
    counts: dict[tuple[str, str, str], list[int]] = {}
    for one in answers:
        for reading in READINGS:
            count = counts.setdefault((one.benchmark, one.state, reading), [0] * 5)
            for i, wrong in enumerate((True, *_differences(one, reading))):
                count[i] += wrong
    return {key: Errors(*count) for key, count in counts.items()}


def _differences(one: LabeledAnswer, reading: str) -> tuple[bool, bool, bool, bool]:
    file = _task_file(one.benchmark)
    choices, targets = _questions(one.benchmark, one.subject)[one.item]
    verdict = read(one.text, file.readings[reading], targets, choices)
    wrong = verdict.right != one.right
    if one.benchmark == "triviaqa":
        return wrong, False, False, False
    if verdict.extracted is None or one.answer is None:
        return wrong, one.answer is not None, verdict.extracted is not None, False
    return wrong, False, False, not _same(one, verdict.extracted)


def _same(one: LabeledAnswer, found: str) -> bool:
    compare = {"gsm8k": "number", "bbh": "answer"}.get(one.benchmark, "letter")
    return COMPARISONS[compare](found, [str(one.answer)])


@cache
def _task_file(benchmark: str) -> TaskFile:
    (file,) = (one for one in task_files() if (one.benchmark, one.protocol) == (benchmark, "generation"))
    return file


@cache
def _questions(benchmark: str, subject: str) -> list[tuple[Sequence[str], Sequence[str]]]:
    """Returns the choices and the right answers of each item."""
    splits = read_local(_task_file(benchmark), subject).splits
    rows = splits["validation" if "validation" in splits else "test"]
    if benchmark == "mmlu":
        return [(row["choices"], ["ABCD"[int(row["answer"])]]) for row in rows]
    if benchmark == "commonsenseqa":
        return [(row["choices"]["text"], [row["answerKey"]]) for row in rows]
    if benchmark == "triviaqa":
        return [((), row["answer"]["aliases"]) for row in rows]
    if benchmark == "gsm8k":
        return [((), [row["answer"].split("####")[-1].strip()]) for row in rows]
    return [((), [row["target"]]) for row in rows]
