"""Task files: Sequela's own task definitions in YAML, one benchmark and protocol each.

A task file includes an upstream definition of lm-evaluation-harness, for its prompts and few-shot examples,
and changes keys of it under `harness`. The protocol, the parsers of generated answers (`readings`) and the
version are Sequela's. `task_files/` has the benchmarks that come with Sequela. A study can use a file of its
own in the same format, with its items in a JSON-lines file in the same folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sequela.core.errors import BadInputError
from sequela.core.numbers import MAX_COUNT, MAX_LENGTH
from sequela.core.validation import in_words
from sequela.core.visible_text import shortened
from sequela.core.yaml_files import YamlTagError, read_yaml
from sequela.evaluation.lm_eval.answer_extraction import AnswerParser
from sequela.evaluation.lm_eval.data_layout import DataLayout
from sequela.evaluation.lm_eval.harness_keys import problem_of
from sequela.results import MetricInfo, Section, SuiteInfo, TaskInfo, metric_info, metrics

FOLDER = Path(__file__).parent / "task_files"

SUBJECT = "{subject}"

JSON_LINES = "json_lines"
"""The layout of a file with one object per line."""

GENERATION_METRICS = (
    metrics.ACCURACY.name,
    metrics.ACCURACY_LENIENT.name,
    metrics.PARSE_RATE.name,
    metrics.PARSE_RATE_LENIENT.name,
    metrics.ACCURACY_PARSED.name,
    metrics.EMPTY_RATE.name,
    metrics.REPETITION.name,
    metrics.NGRAM_ENTROPY.name,
    metrics.ANSWER_WORDS.name,
)
"""The metrics of generated answers: accuracy by the strict parser first; others describe their form."""


CHOICE_METRICS = (
    metrics.ACCURACY.name,
    metrics.ACCURACY_PER_BYTE.name,
    metrics.TRUE_PROBABILITY.name,
    metrics.BALANCED_ACCURACY.name,
    metrics.AUROC.name,
    metrics.SHARE_YES.name,
)
"""The metrics for tasks whose choices are scored; the records of the first one have the answers."""

PROTOCOLS = ("generation", "letters", "answers", "loglikelihood")

LAST = 1000
"""The default `order` of a benchmark in listings."""

PRESENTATION = frozenset(
    {
        "what",
        "title",
        "section",
        "order",
        "metrics",
        "metric_info",
        "targets",
        "shuffled",
        "right_answer",
        "local",
    }
)
"""The fields that affect results only through the items, which are hashed separately."""


class LocalFiles(BaseModel):
    """The location of a benchmark's items in the user's folder of data sets, and their layout.

    Args:
        path: The file or folder below `SEQUELA_DATA`; `*` matches any name, and `.gz` may follow.
        layout: The layout of the files: `json_lines` for one object per line, the name of a file in
            `task_files/layouts`, or such a layout itself.
        fields: For `json_lines`, the fields to read and the kind of each; all fields if empty.
        split: For `json_lines`, the name of the split.
        count_rows: Whether to report a number of rows that differs from `official_items`, for data sets of
            which other splits are in circulation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: str = Field(min_length=1)
    layout: str | DataLayout = JSON_LINES
    fields: dict[str, Literal["text", "number"]] = Field(default_factory=dict)
    split: str = "test"
    count_rows: bool = False

    @field_validator("layout")
    @classmethod
    def _is_known(cls, value: str | DataLayout) -> str | DataLayout:
        if isinstance(value, str) and value not in (known := (JSON_LINES, *layout_names())):
            raise ValueError(f"has the unknown layout {value!r}; known: {', '.join(known)}")
        return value


def layout_names() -> tuple[str, ...]:
    """Returns the names of the layouts that come with Sequela."""
    return tuple(sorted(path.stem for path in (FOLDER / "layouts").glob("*.yaml")))


def layout_of(local: LocalFiles) -> DataLayout:
    """Returns the layout of a benchmark's files if it isn't `json_lines`."""
    if isinstance(local.layout, DataLayout):
        return local.layout
    return _read_layout(FOLDER / "layouts" / f"{local.layout}.yaml")


@cache
def _read_layout(path: Path) -> DataLayout:
    return DataLayout.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


_NUMBERS = ("version", "order", "shots", "official_items", "chance", "max_new_tokens")
"""The fields of a task file that are numbers."""


class MetricText(BaseModel):
    """A benchmark's own description of a metric; missing fields are those of the catalog of metrics.

    Args:
        title: The title in reports.
        meaning: A phrase that says what it measures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    title: str = ""
    meaning: str = ""


class TaskFile(BaseModel):
    """The definition of one benchmark under one protocol.

    Args:
        benchmark: The suite it belongs to.
        protocol: `generation` (the answer is generated), `letters` or `answers` (the most likely letter or
            answer text), or `loglikelihood`.
        version: Raised when prompts, stop texts or items change, so that results never mix.
        what: A one-sentence description of what it measures.
        title: The title in reports, e.g. `TruthfulQA MC1`.
        section: The section of reports: `Abilities`, `Safety` or `Health`.
        order: The sort key of the benchmark in listings; equal ones are sorted by name.
        task: The task's name in results, if it isn't the benchmark's.
        include: The upstream definition that it extends, below `lm_eval/tasks`, with `{subject}` if the
            benchmark has subjects.
        harness: The keys of the harness's task definition that differ from the upstream definition.
        shots: The number of few-shot examples before each question.
        shots_settable: Whether the number of few-shot examples can be changed.
        official_items: The number of items of the official test split; None for a user's own file.
        chance: The expected score of guessing; None if it depends on the choices, or if there are none.
        metrics: The reported metrics of a task whose choices are scored. The records of the first one have
            the answers. The default is accuracy, and for `answers` accuracy per byte too.
        metric_info: The benchmark's own descriptions of metrics, by name.
        targets: The field of an item with `choices` and `labels` (1 for each true choice), if there is one.
        shuffled: The fields of this kind whose choices are shuffled, because the published data have the
            right one first.
        right_answer: A template of an item's right answer, to compute the scores of constant answers.
        max_new_tokens: The maximum number of new tokens of a generated answer.
        options: For generated answers, the choices that were shown, as a template of the harness.
        readings: For generated answers, the parsers `strict` and `lenient`.
        items: For a user's own file, the JSON-lines file with its items, in the folder of the task file
            or below.
        examples: The JSON-lines file with its few-shot examples, in the same place. Without one, an own file
            takes the examples of the definition that it includes, or its first `shots` items, which are then
            not asked.
        local: The location of its items in the user's folder of data sets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    benchmark: str = Field(min_length=1, pattern=r"^[a-z][a-z0-9_-]*$")
    protocol: Literal["generation", "letters", "answers", "loglikelihood"]
    version: int = Field(ge=1)
    what: str = Field(min_length=1)
    title: str = ""
    section: Section = Section.ABILITIES
    order: int = LAST
    task: str = ""
    include: str = ""
    harness: dict[str, Any] = Field(default_factory=dict)
    shots: int = Field(default=0, ge=0, le=MAX_COUNT)
    shots_settable: bool = True
    official_items: int | None = Field(default=None, ge=1)
    chance: float | None = Field(default=None, ge=0, lt=1)
    metrics: tuple[str, ...] = ()
    metric_info: dict[str, MetricText] = Field(default_factory=dict)
    targets: str = ""
    shuffled: tuple[str, ...] = ()
    right_answer: str = ""
    max_new_tokens: int | None = Field(default=None, ge=1, le=MAX_LENGTH)
    options: str = ""
    readings: dict[str, AnswerParser] = Field(default_factory=dict)
    items: str = ""
    examples: str = ""
    local: LocalFiles | None = None

    @field_validator(*_NUMBERS, mode="before")
    @classmethod
    def _is_a_number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"is {value!r}, expected a number")
        return value

    @field_validator("metrics", "shuffled")
    @classmethod
    def _names_each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("is an empty list; leave it out")
        if twice := [name for name in value if value.count(name) > 1]:
            raise ValueError(f"names {twice[0]!r} twice")
        return value

    @field_validator("items", "examples")
    @classmethod
    def _stay_in_the_folder(cls, value: str) -> str:
        parts = PurePath(value)
        if parts.is_absolute() or ".." in parts.parts:
            raise ValueError(
                f"is {shortened(repr(value), 80)}, which is not in the folder of the task file; a task file "
                "reads no other files of yours"
            )
        return value

    @model_validator(mode="after")
    def _whole(self) -> TaskFile:
        generates = self.protocol == "generation"
        if generates and set(self.readings) != {"strict", "lenient"}:
            raise ValueError("a task with generated answers needs the readings strict and lenient")
        if generates and self.max_new_tokens is None:
            raise ValueError("a task with generated answers needs max_new_tokens")
        if not generates and (self.readings or self.max_new_tokens is not None or self.options):
            raise ValueError("readings, options and max_new_tokens are only for tasks with generated answers")
        if generates and self.metrics:
            raise ValueError("metrics can be set only for tasks whose choices are scored")
        if unknown := [name for name in self.metrics if name not in CHOICE_METRICS]:
            raise ValueError(f"unknown metric {unknown[0]!r}; known: {', '.join(CHOICE_METRICS)}")
        if unknown := [name for name in self.metric_info if name not in self.reported_metrics]:
            raise ValueError(
                f"metric_info describes {unknown[0]!r}; reported are {', '.join(self.reported_metrics)}"
            )
        if metrics.TRUE_PROBABILITY.name in self.metrics and not self.targets:
            raise ValueError("true_probability needs targets")
        if not (self.include or self.items):
            raise ValueError("it needs an upstream definition to include, or items of its own")
        if wrong := problem_of(self.harness, self.output_type):
            raise ValueError(wrong)
        if self.examples and not self.shots:
            raise ValueError("examples are few-shot examples; it needs shots, the number of them in a prompt")
        if self.items and "doc_to_text" not in self.harness:
            raise ValueError("a task with items of its own needs harness.doc_to_text")
        return self

    @property
    def name(self) -> str:
        """The task's name without version and suffixes."""
        return self.task or self.benchmark

    @property
    def output_type(self) -> str:
        """The harness's output type, which follows from the protocol."""
        return "generate_until" if self.protocol == "generation" else "multiple_choice"

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """The reported metrics; the records of the first one have the answers."""
        if self.protocol == "generation":
            return GENERATION_METRICS
        if self.metrics:
            return self.metrics
        accuracy = metrics.ACCURACY.name
        return (accuracy, metrics.ACCURACY_PER_BYTE.name) if self.protocol == "answers" else (accuracy,)

    @property
    def has_subtasks(self) -> bool:
        """True if the benchmark is a group of subjects, each a subtask."""
        return SUBJECT in self.include


def read_task_file(path: Path) -> TaskFile:
    """Reads a task file.

    Raises:
        BadInputError: It can't be read, or a field is missing or invalid; the message names file and field.
    """
    try:
        content = read_yaml(path).content
    except YamlTagError as error:
        raise BadInputError(
            f"The task file {path} has the tag {error.tag} in line {error.line}; it is data and can't name "
            "code.",
            hint="Write a template. A definition of the harness can be run as `lm_eval:FILE`.",
        ) from error
    except BadInputError as error:
        raise BadInputError(f"The task file {error.message}", hint=error.hint) from error
    if not isinstance(content, dict):
        raise BadInputError(f"The task file {path} is not a mapping of keys to values.")
    try:
        return TaskFile.model_validate(content)
    except ValidationError as error:
        raise BadInputError(
            f"The task file {path}: {in_words(error, allowed=_ALL_FIELDS, other_words=_OTHER_WORDS)}.",
            hint=f"Fields: {', '.join(TaskFile.model_fields)}.",
        ) from error


_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "shots": ("num fewshot", "n fewshot", "few shot", "fewshot", "n shot", "num shot"),
    "max_new_tokens": ("max gen tok", "max token"),
}
"""Words of suites' options and of other programs for fields of a task file, in the singular, by field."""

_ALL_FIELDS = [
    *TaskFile.model_fields,
    *LocalFiles.model_fields,
    *DataLayout.model_fields,
    *AnswerParser.model_fields,
    *MetricText.model_fields,
]
"""The fields of a task file and of the objects in it, to suggest one for an unknown field."""


def suite_info(files: Sequence[TaskFile]) -> SuiteInfo:
    """Returns the titles and metrics of a benchmark; its title is the common start of its tasks' titles."""
    titles = [file.title.split() for file in files]
    shared = takewhile(lambda words: len(set(words)) == 1, zip(*titles, strict=False))
    return SuiteInfo(
        title=" ".join(words[0] for words in shared),
        section=files[0].section,
        tasks={file.name: TaskInfo(title=file.title, section=file.section) for file in files},
        metrics={name: _described(name, text) for file in files for name, text in file.metric_info.items()},
    )


def _described(name: str, text: MetricText) -> MetricInfo:
    """Returns the catalog's metric with a benchmark's own description."""
    return metric_info(name).model_copy(update=text.model_dump(exclude_defaults=True))


@cache
def task_files() -> tuple[TaskFile, ...]:
    """Returns the task files that come with Sequela, in the order of listings."""
    return in_order(read_task_file(path) for path in FOLDER.glob("*.yaml"))


def in_order(files: Iterable[TaskFile]) -> tuple[TaskFile, ...]:
    """Sorts task files for listings: those of a benchmark together, with the paper's protocol first."""
    unsorted = tuple(files)
    orders: dict[str, int] = {}
    for file in unsorted:
        orders[file.benchmark] = min(file.order, orders.get(file.benchmark, LAST))
    return tuple(
        sorted(
            unsorted,
            key=lambda file: (
                orders[file.benchmark],
                file.benchmark,
                PROTOCOLS.index(file.protocol),
                file.name,
            ),
        )
    )
