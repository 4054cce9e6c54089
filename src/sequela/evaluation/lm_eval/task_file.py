"""Our own tasks, one YAML file each: what the harness is told, and how answers are read.

A file names a stock definition of lm-evaluation-harness whose prompts and worked examples it takes, and
what differs from it under `harness`. Everything else is ours: the protocol, the readings of written
answers, the version. `task_files/` holds the benchmarks that come with the program; a study can name
a file of its own in the same form, with its items in a JSON-lines file beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sequela.core.errors import BadInputError
from sequela.core.validation import in_words
from sequela.evaluation.lm_eval.answer_extraction import AnswerParser
from sequela.evaluation.lm_eval.data_layout import DataLayout
from sequela.results import MetricInfo, Section, SuiteInfo, TaskInfo, metric_info, metrics

FOLDER = Path(__file__).parent / "task_files"

SUBJECT = "{subject}"

JSON_LINES = "json_lines"
"""The layout of a file with one object a line."""

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
"""What is reported of written answers: by the strict reading first, then what tells of their form."""


CHOICE_METRICS = (
    metrics.ACCURACY.name,
    metrics.ACCURACY_PER_BYTE.name,
    metrics.TRUE_PROBABILITY.name,
    metrics.BALANCED_ACCURACY.name,
    metrics.AUROC.name,
    metrics.SHARE_YES.name,
)
"""The metrics that a task whose choices are scored can report; the first one it names holds the answers."""

PROTOCOLS = ("generation", "letters", "answers", "loglikelihood")

LAST = 1000
"""The place of a benchmark in listings that names none."""

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
"""The fields that results do not depend on beyond the items themselves, which have a hash of their own."""


class LocalFiles(BaseModel):
    """Where a benchmark's items may lie in the user's folder of data sets, and in which layout.

    Args:
        path: The file or folder below `SEQUELA_DATA`; `*` stands for any name, and `.gz` may follow.
        layout: How the files are laid out: `json_lines` for one object a line, the name of a file in
            `task_files/layouts`, or such a layout itself.
        fields: For `json_lines`, the fields that are read and the kind of each; all of them if it is empty.
        split: For `json_lines`, the name of the split that the items are.
        count_rows: Whether another number of rows than `official_items` is reported, since other splits of
            the data set are about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    layout: str | DataLayout = JSON_LINES
    fields: dict[str, Literal["text", "number"]] = Field(default_factory=dict)
    split: str = "test"
    count_rows: bool = False

    @field_validator("layout")
    @classmethod
    def _is_known(cls, value: str | DataLayout) -> str | DataLayout:
        if isinstance(value, str) and value not in (known := (JSON_LINES, *layout_names())):
            raise ValueError(f"there is no layout {value!r}; known: {', '.join(known)}")
        return value


def layout_names() -> tuple[str, ...]:
    """Returns the names of the layouts that come with the program."""
    return tuple(sorted(path.stem for path in (FOLDER / "layouts").glob("*.yaml")))


def layout_of(local: LocalFiles) -> DataLayout:
    """Returns the layout of a benchmark's files, where it isn't `json_lines`."""
    if isinstance(local.layout, DataLayout):
        return local.layout
    return _read_layout(FOLDER / "layouts" / f"{local.layout}.yaml")


@cache
def _read_layout(path: Path) -> DataLayout:
    return DataLayout.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


class MetricText(BaseModel):
    """A metric in a benchmark's own words; what is left out is as in the catalog of metrics.

    Args:
        title: Its name as people write it.
        meaning: What it measures, as a phrase.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    meaning: str = ""


class TaskFile(BaseModel):
    """One benchmark under one protocol: everything the program knows of it.

    Args:
        benchmark: The suite it belongs to.
        protocol: How it is asked and scored: `generation` (an answer is written), `letters` or `answers` (the
            likeliest letter, or the likeliest answer text), `loglikelihood`.
        version: Raised when prompts, stop texts or items change, so that results never mix.
        what: What it measures, in one sentence.
        title: The name as people write it, e.g. `TruthfulQA MC1`.
        section: The part of a report it belongs to: `Abilities`, `Safety` or `Health`.
        order: Where the benchmark stands in listings; ascending, then by name.
        task: The task's name in results, if it isn't the benchmark's.
        include: The stock definition below `lm_eval/tasks` that it begins with; `{subject}` where the
            benchmark has parts.
        harness: Keys of the harness's task definition that differ from the stock one.
        shots: How many worked examples stand before each question.
        shots_settable: Whether another number can be asked for.
        official_items: How many items the official test split has; None for a file of one's own.
        chance: The expected score of guessing; None where it follows from the choices, or is nothing.
        metrics: For tasks whose choices are scored, what is reported, the metric that holds the answers
            first; by default accuracy, and for `answers` accuracy per byte too.
        metric_info: Metrics in words of the benchmark's own, by name.
        targets: The field of an item that has `choices` and `labels`, 1 for each true choice, if there is
            one.
        shuffled: Such fields whose choices are put in an order of their own, since published data have the
            right one first.
        right_answer: A template of an item's right answer, for what always giving one answer would score.
        max_new_tokens: Where a written answer ends.
        options: For written answers, the choices that were shown, as the harness's template gives them.
        readings: For written answers, how they are read.
        items: For a file of one's own: its items, a JSON-lines file beside it.
        local: Where its items may lie in the user's folder of data sets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    shots: int = Field(default=0, ge=0)
    shots_settable: bool = True
    official_items: int | None = Field(default=None, ge=1)
    chance: float | None = Field(default=None, ge=0, lt=1)
    metrics: tuple[str, ...] = ()
    metric_info: dict[str, MetricText] = Field(default_factory=dict)
    targets: str = ""
    shuffled: tuple[str, ...] = ()
    right_answer: str = ""
    max_new_tokens: int | None = Field(default=None, ge=1)
    options: str = ""
    readings: dict[str, AnswerParser] = Field(default_factory=dict)
    items: str = ""
    local: LocalFiles | None = None

    @model_validator(mode="after")
    def _whole(self) -> TaskFile:
        writes = self.protocol == "generation"
        if writes and set(self.readings) != {"strict", "lenient"}:
            raise ValueError("a task whose answers are written needs the readings strict and lenient")
        if writes and self.max_new_tokens is None:
            raise ValueError("a task whose answers are written needs max_new_tokens")
        if not writes and (self.readings or self.max_new_tokens is not None or self.options):
            raise ValueError("readings, options and max_new_tokens are for tasks whose answers are written")
        if writes and self.metrics:
            raise ValueError("metrics are chosen for tasks whose choices are scored")
        if unknown := [name for name in self.metrics if name not in CHOICE_METRICS]:
            raise ValueError(f"there is no metric {unknown[0]}; known: {', '.join(CHOICE_METRICS)}")
        if unknown := [name for name in self.metric_info if name not in self.reported_metrics]:
            raise ValueError(
                f"metric_info describes {unknown[0]}; reported are {', '.join(self.reported_metrics)}"
            )
        if metrics.TRUE_PROBABILITY.name in self.metrics and not self.targets:
            raise ValueError("true_probability needs targets")
        if not (self.include or self.items):
            raise ValueError("it needs a stock definition to include, or items of its own")
        if self.items and "doc_to_text" not in self.harness:
            raise ValueError("a task with items of its own needs harness.doc_to_text")
        return self

    @property
    def name(self) -> str:
        """The task's name without version and changes."""
        return self.task or self.benchmark

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """The metrics that are reported of it, the one that holds the answers first."""
        if self.protocol == "generation":
            return GENERATION_METRICS
        if self.metrics:
            return self.metrics
        accuracy = metrics.ACCURACY.name
        return (accuracy, metrics.ACCURACY_PER_BYTE.name) if self.protocol == "answers" else (accuracy,)

    @property
    def has_subtasks(self) -> bool:
        """Whether the benchmark is a group of subjects, each a task."""
        return SUBJECT in self.include


def read_task_file(path: Path) -> TaskFile:
    """Reads a task.

    Raises:
        BadInputError: It can't be read, or a field is missing or wrong; file and field are named.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"The task file {path} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"The task file {path} is not YAML: {error}.") from error
    if not isinstance(content, dict):
        raise BadInputError(f"The task file {path} is not a table of keys and values.")
    try:
        return TaskFile.model_validate(content)
    except ValidationError as error:
        raise BadInputError(
            f"The task file {path}: {in_words(error, allowed=list(TaskFile.model_fields))}.",
            hint=f"Fields: {', '.join(TaskFile.model_fields)}.",
        ) from error


def suite_info(files: Sequence[TaskFile]) -> SuiteInfo:
    """What reports say of a benchmark besides its scores; its own title is what those of its tasks share."""
    titles = [file.title.split() for file in files]
    shared = takewhile(lambda words: len(set(words)) == 1, zip(*titles, strict=False))
    return SuiteInfo(
        title=" ".join(words[0] for words in shared),
        section=files[0].section,
        tasks={file.name: TaskInfo(title=file.title, section=file.section) for file in files},
        metrics={name: _described(name, text) for file in files for name, text in file.metric_info.items()},
    )


def _described(name: str, text: MetricText) -> MetricInfo:
    """Returns the catalog's metric in a benchmark's own words."""
    return metric_info(name).model_copy(update=text.model_dump(exclude_defaults=True))


@cache
def task_files() -> tuple[TaskFile, ...]:
    """The tasks that come with the program, those of one benchmark together, the paper's protocol first."""
    return in_order(read_task_file(path) for path in FOLDER.glob("*.yaml"))


def in_order(files: Iterable[TaskFile]) -> tuple[TaskFile, ...]:
    """Task files in the order of listings: those of one benchmark together, the paper's protocol first."""
    found = tuple(files)
    first: dict[str, int] = {}
    for one in found:
        first[one.benchmark] = min(one.order, first.get(one.benchmark, LAST))
    return tuple(
        sorted(
            found,
            key=lambda one: (first[one.benchmark], one.benchmark, PROTOCOLS.index(one.protocol), one.name),
        )
    )
