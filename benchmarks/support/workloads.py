"""The questions that speed is measured on: real ones, with the prompts of lm-evaluation-harness's own tasks.

Rows come from the folder that `SEQUELA_DATA` names, prompt texts from the task definitions of the
installed harness. Both are read when they are needed; neither is kept here.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.utils import apply_template

from sequela.evaluation.harness.catalog import mmlu_subjects
from sequela.evaluation.harness.definitions import read_definition
from sequela.evaluation.harness.local_data import read_local
from sequela.ground.errors import BadInputError
from sequela.ground.paths import DATA_VARIABLE, data_folder

DELIMITER = "\n\n"
"""What stands between worked examples (the harness's default)."""


@dataclass(frozen=True)
class Question:
    """A question and the answers to choose from.

    Args:
        id: Names it, e.g. `anatomy/17`.
        context: All that stands before the answer.
        choices: The answers, each with the space it begins with.
    """

    id: str
    context: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class ScoringWorkload:
    """Questions whose answers are scored.

    Args:
        name: The case's name.
        questions: In the order of the data.
    """

    name: str
    questions: tuple[Question, ...]

    def instances(self) -> list[Instance]:
        """One request of the harness for each choice, in order."""
        pairs = [(question.context, choice) for question in self.questions for choice in question.choices]
        return [_instance("loglikelihood", pair, number) for number, pair in enumerate(pairs)]

    def by_question(self, logprobs: Sequence[float]) -> list[tuple[float, ...]]:
        """The answers to `instances`, sorted to their questions."""
        left = iter(logprobs)
        return [tuple(itertools.islice(left, len(question.choices))) for question in self.questions]

    def sample(self, count: int) -> ScoringWorkload:
        """At most `count` questions, evenly spread."""
        return ScoringWorkload(self.name, tuple(spread(self.questions, count)))


@dataclass(frozen=True)
class GenerationWorkload:
    """Prompts to be continued greedily.

    Args:
        name: The case's name.
        prompts: In the order of the data.
        stop: Strings that end an answer.
        max_new_tokens: Where an answer ends if nothing else ends it.
    """

    name: str
    prompts: tuple[str, ...]
    stop: tuple[str, ...]
    max_new_tokens: int

    def instances(self) -> list[Instance]:
        """One request of the harness for each prompt, in order."""
        settings = {"until": list(self.stop), "do_sample": False, "max_gen_toks": self.max_new_tokens}
        return [
            _instance("generate_until", (prompt, dict(settings)), number)
            for number, prompt in enumerate(self.prompts)
        ]

    def sample(self, count: int) -> GenerationWorkload:
        """At most `count` prompts, evenly spread."""
        return GenerationWorkload(
            self.name, tuple(spread(self.prompts, count)), self.stop, self.max_new_tokens
        )


def mmlu(subjects: int = 5, questions: int = 60, shots: int = 5) -> ScoringWorkload:
    """MMLU: the first subjects in alphabetical order that have so many questions."""
    asked: list[Question] = []
    wanted = subjects
    for subject in mmlu_subjects():
        if not wanted:
            break
        local = read_local("mmlu", subject)
        if local is None:
            raise _missing("mmlu")
        rows = local.splits["test"]
        if len(rows) < questions:
            continue
        definition = read_definition(f"mmlu/default/mmlu_{subject}.yaml")
        letters = definition["doc_to_choice"]
        text: str = definition["doc_to_text"]
        examples = [
            f"{apply_template(text, row)} {letters[row['answer']]}" for row in local.splits["dev"][:shots]
        ]
        before = DELIMITER.join([definition["description"].removesuffix(DELIMITER), *examples, ""])
        asked += [
            Question(f"{subject}/{i}", before + apply_template(text, row), _choices(letters))
            for i, row in enumerate(rows[:questions])
        ]
        wanted -= 1
    return ScoringWorkload("mmlu", tuple(asked))


def truthfulqa(questions: int = 100) -> ScoringWorkload:
    """TruthfulQA, MC1 and MC2 of each question, with the primer of the harness's task."""
    text: str = read_definition("truthfulqa/truthfulqa_mc1.yaml")["doc_to_text"]
    rows = json.loads(_file("truthfulqa/mc_task.json").read_text(encoding="utf-8"))
    asked = [
        Question(f"{kind}/{i}", apply_template(text, row), _choices(row[f"{kind}_targets"]))
        for kind in ("mc1", "mc2")
        for i, row in enumerate(rows[:questions])
    ]
    return ScoringWorkload("truthfulqa", tuple(asked))


def commonsenseqa(questions: int = 100, shots: int = 7) -> ScoringWorkload:
    """CommonsenseQA, the first training rows as the worked examples of every question."""
    definition = read_definition("commonsense_qa/default.yaml")
    text: str = definition["doc_to_text"]
    training = _json_lines(_file("commonsenseqa/train_rand_split.jsonl.gz"), _csqa_row)
    examples = [
        f"{apply_template(text, row)} {row['answerKey']}" for row in itertools.islice(training, shots)
    ]
    before = DELIMITER.join([*examples, ""])
    rows = _json_lines(_file("commonsenseqa/dev_rand_split.jsonl"), _csqa_row)
    asked = [
        Question(f"csqa/{i}", before + apply_template(text, row), _choices(definition["doc_to_choice"]))
        for i, row in enumerate(itertools.islice(rows, questions))
    ]
    return ScoringWorkload("csqa", tuple(asked))


def gsm8k(problems: int = 64, shots: int = 8, max_new_tokens: int = 256) -> GenerationWorkload:
    """GSM8K with worked solutions before each problem."""
    definition = read_definition("gsm8k/gsm8k-cot.yaml")
    text: str = definition["doc_to_text"]
    examples = [
        f"{apply_template(text, row)} {row['target']}"
        for row in definition["fewshot_config"]["samples"][:shots]
    ]
    before = DELIMITER.join([*examples, ""])
    local = read_local("gsm8k")
    if local is None:
        raise _missing("gsm8k/test.jsonl")
    prompts = [before + apply_template(text, row) for row in local.splits["test"][:problems]]
    return GenerationWorkload(
        "gsm8k", tuple(prompts), tuple(definition["generation_kwargs"]["until"]), max_new_tokens
    )


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
"""A handful of questions of each, to see whether a benchmark runs."""


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` items, evenly spread over all of them, in order."""
    if count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _instance(kind: Any, arguments: tuple[Any, ...], number: int) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=number)


def _choices(answers: Sequence[str] | Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f" {answer}" for answer in answers)


def _csqa_row(record: dict[str, Any]) -> dict[str, Any]:
    """A row in the shape that the harness's definition expects of the hub's data set."""
    question = record["question"]
    texts = [choice["text"] for choice in question["choices"]]
    return {"question": question["stem"], "choices": {"text": texts}, "answerKey": record["answerKey"]}


def _json_lines(path: Path, read: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            yield read(json.loads(line))


def _file(name: str) -> Path:
    folder = data_folder()
    if folder is None or not (folder / name).is_file():
        raise _missing(name)
    return folder / name


def _missing(name: str) -> BadInputError:
    return BadInputError(
        f"The data {name!r} are not there.",
        hint=f"Set {DATA_VARIABLE}, or --data, to a folder that has them (see benchmarks/README.md).",
    )
