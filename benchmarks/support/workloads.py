"""The workloads of the speed benchmarks: real questions in the form of Sequela's benchmarks.

Rows are read from the folder that `SEQUELA_DATA` names when they are needed; none are stored here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lm_eval.api.instance import Instance

from sequela.core.errors import BadInputError
from sequela.core.paths import DATA_VARIABLE
from sequela.evaluation.lm_eval.catalog import files_of, subtasks_of
from sequela.evaluation.lm_eval.local_data import local_path
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.task_builder import build_task
from sequela.evaluation.lm_eval.task_file import TaskFile


@dataclass(frozen=True)
class Question:
    """A question with its choices.

    Args:
        id: The question's id, for example `anatomy/17`.
        context: The text before the answer.
        choices: The answers, each with its leading space.
    """

    id: str
    context: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class ScoringWorkload:
    """Questions whose answers are scored.

    Args:
        name: The case's name.
        questions: The questions, in the order of the data.
    """

    name: str
    questions: tuple[Question, ...]

    def instances(self) -> list[Instance]:
        """Returns one request of the harness for each choice, in order."""
        pairs = [(question.context, choice) for question in self.questions for choice in question.choices]
        return [_instance("loglikelihood", pair, number) for number, pair in enumerate(pairs)]

    def by_question(self, logprobs: Sequence[float]) -> list[tuple[float, ...]]:
        """Groups the answers to `instances` by question."""
        left = iter(logprobs)
        return [tuple(itertools.islice(left, len(question.choices))) for question in self.questions]

    def sample(self, count: int) -> ScoringWorkload:
        """Returns at most `count` questions, evenly spaced."""
        return ScoringWorkload(self.name, tuple(spread(self.questions, count)))


@dataclass(frozen=True)
class GenerationWorkload:
    """Prompts to be continued greedily.

    Args:
        name: The case's name.
        prompts: The prompts, in the order of the data.
        stop: The stop strings.
        max_new_tokens: The maximum length of an answer in tokens.
    """

    name: str
    prompts: tuple[str, ...]
    stop: tuple[str, ...]
    max_new_tokens: int

    def instances(self) -> list[Instance]:
        """Returns one request of the harness for each prompt, in order."""
        settings = {"until": list(self.stop), "do_sample": False, "max_gen_toks": self.max_new_tokens}
        return [
            _instance("generate_until", (prompt, dict(settings)), number)
            for number, prompt in enumerate(self.prompts)
        ]

    def sample(self, count: int) -> GenerationWorkload:
        """Returns at most `count` prompts, evenly spaced."""
        return GenerationWorkload(
            self.name, tuple(spread(self.prompts, count)), self.stop, self.max_new_tokens
        )


def mmlu(subjects: int = 5, questions: int = 60) -> ScoringWorkload:
    """Returns MMLU by letters, 5-shot: the first subjects in alphabetical order with enough questions."""
    file = _file("mmlu", "letters")
    asked: list[Question] = []
    for subject in subtasks_of(file):
        found = _questions(file, questions, subject)
        if len(found) == questions:
            asked += found
        if len(asked) == subjects * questions:
            break
    return ScoringWorkload("mmlu", tuple(asked))


def truthfulqa(questions: int = 100) -> ScoringWorkload:
    """Returns TruthfulQA, MC1 and MC2 of each question."""
    asked = [one for file in files_of("truthfulqa") for one in _questions(_here(file), questions)]
    return ScoringWorkload("truthfulqa", tuple(asked))


def commonsenseqa(questions: int = 100) -> ScoringWorkload:
    """Returns CommonsenseQA by letters, 7-shot."""
    return ScoringWorkload("csqa", tuple(_questions(_file("commonsenseqa", "letters"), questions)))


def gsm8k(problems: int = 64, max_new_tokens: int = 256) -> GenerationWorkload:
    """Returns GSM8K with eight few-shot examples before each problem."""
    requests = _requests(_file("gsm8k", "generation"), problems)
    prompts = tuple(request.args[0] for request in requests)
    return GenerationWorkload("gsm8k", prompts, tuple(requests[0].args[1]["until"]), max_new_tokens)


SCORING: Mapping[str, Callable[[], ScoringWorkload]] = MappingProxyType(
    {"mmlu": mmlu, "truthfulqa": truthfulqa, "csqa": commonsenseqa}
)
"""The scoring workloads in full size, by case."""

QUICK_SCORING: Mapping[str, Callable[[], ScoringWorkload]] = MappingProxyType(
    {
        "mmlu": lambda: mmlu(subjects=2, questions=3),
        "truthfulqa": lambda: truthfulqa(questions=3),
        "csqa": lambda: commonsenseqa(questions=4),
    }
)
"""A handful of questions of each, to check that a benchmark runs."""


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Returns at most `count` evenly spaced items, in order."""
    if count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _instance(kind: Any, arguments: tuple[Any, ...], number: int) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=number)


def _questions(file: TaskFile, limit: int, subject: str = "") -> list[Question]:
    """Returns the first questions of a task whose choices are scored."""
    groups = itertools.groupby(_requests(file, limit, subject), key=lambda request: request.doc_id)
    found = []
    for number, requests in groups:
        pairs = [request.args for request in requests]
        name = f"{subject or file.name}/{number}"
        found.append(Question(name, pairs[0][0], tuple(choice for _, choice in pairs)))
    return found


def _requests(file: TaskFile, limit: int, subject: str = "") -> list[Instance]:
    """Returns the harness's requests of a task, in the order of its items."""
    task = build_task(file, subject, limit).task
    with quiet_harness():
        task.build_all_requests(limit=limit, rank=0, world_size=1)
    requests: list[Instance] = task.instances
    return requests


def _file(benchmark: str, protocol: str) -> TaskFile:
    (file,) = (one for one in files_of(benchmark) if one.protocol == protocol)
    return _here(file)


def _here(file: TaskFile) -> TaskFile:
    if local_path(file) is None:
        raise BadInputError(
            f"The data of {file.benchmark} are missing.",
            hint=f"Set {DATA_VARIABLE} or --data to a folder that contains them (see benchmarks/README.md).",
        )
    return file
