"""Our own tasks, one YAML file each: what the harness is told, and how answers are read.

A file names a stock definition of lm-evaluation-harness whose prompts and worked examples it takes, and
what differs from it under `harness`. Everything else is ours: the protocol, the readings of written
answers, the version. `task_files/` holds the benchmarks that come with the program; a study can name
a file of its own in the same form, with its items in a JSON-lines file beside it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from sequela.evaluation.harness.extraction import Reading
from sequela.ground.errors import BadInputError

FOLDER = Path(__file__).parent / "task_files"

SUBJECT = "{subject}"

WRITTEN_METRICS = (
    "accuracy",
    "accuracy_lenient",
    "parse_rate",
    "parse_rate_lenient",
    "accuracy_parsed",
    "empty_rate",
    "repetition",
    "ngram_entropy",
    "answer_words",
)
"""What is reported of written answers: by the strict reading first, then what tells of their form."""


class TaskFile(BaseModel):
    """One benchmark under one protocol.

    Args:
        benchmark: The suite it belongs to.
        protocol: How it is asked and scored: `generation` (an answer is written), `letters` or `answers` (the
            likeliest letter, or the likeliest answer text), `loglikelihood`.
        version: Raised when prompts, stop texts or items change, so that results never mix.
        what: What it measures, in one sentence.
        task: The task's name in results, if it isn't the benchmark's.
        include: The stock definition below `lm_eval/tasks` that it begins with; `{subject}` where the
            benchmark has parts.
        harness: Keys of the harness's task definition that differ from the stock one.
        shots: How many worked examples stand before each question.
        shots_settable: Whether another number can be asked for.
        official_items: How many items the official test split has; None for a file of one's own.
        chance: The expected score of guessing; None where it follows from the choices, or is nothing.
        max_new_tokens: Where a written answer ends.
        options: For written answers, the choices that were shown, as the harness's template gives them.
        readings: For written answers, how they are read.
        items: For a file of one's own: its items, a JSON-lines file beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = Field(min_length=1, pattern=r"^[a-z][a-z0-9_-]*$")
    protocol: Literal["generation", "letters", "answers", "loglikelihood"]
    version: int = Field(ge=1)
    what: str = Field(min_length=1)
    task: str = ""
    include: str = ""
    harness: dict[str, Any] = Field(default_factory=dict)
    shots: int = Field(default=0, ge=0)
    shots_settable: bool = True
    official_items: int | None = Field(default=None, ge=1)
    chance: float | None = Field(default=None, ge=0, lt=1)
    max_new_tokens: int | None = Field(default=None, ge=1)
    options: str = ""
    readings: dict[str, Reading] = Field(default_factory=dict)
    items: str = ""

    @model_validator(mode="after")
    def _whole(self) -> TaskFile:
        writes = self.protocol == "generation"
        if writes and set(self.readings) != {"strict", "lenient"}:
            raise ValueError("a task whose answers are written needs the readings strict and lenient")
        if writes and self.max_new_tokens is None:
            raise ValueError("a task whose answers are written needs max_new_tokens")
        if not writes and (self.readings or self.max_new_tokens is not None or self.options):
            raise ValueError("readings, options and max_new_tokens are for tasks whose answers are written")
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
    def metrics(self) -> tuple[str, ...]:
        """The metrics that are reported of it, the first one in front."""
        if self.protocol == "generation":
            return WRITTEN_METRICS
        if self.name == "truthfulqa_mc2":
            return ("true_probability",)
        if self.benchmark == "toxigen":
            return ("accuracy", "balanced_accuracy", "auroc", "share_yes")
        return ("accuracy", "accuracy_per_byte") if self.protocol == "answers" else ("accuracy",)

    @property
    def has_parts(self) -> bool:
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
            f"The task file {path}: {'; '.join(_told(problem) for problem in error.errors())}.",
            hint=f"Fields: {', '.join(TaskFile.model_fields)}.",
        ) from error


def _told(problem: ErrorDetails) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{field}: is missing"
    if problem["type"] == "extra_forbidden":
        return f"{field}: there is no such field"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


@cache
def task_files() -> tuple[TaskFile, ...]:
    """The tasks that come with the program, those of one benchmark together, the paper's protocol first."""
    order = ("mmlu", "bbh", "gsm8k", "commonsenseqa", "triviaqa", "truthfulqa", "toxigen")
    protocols = ("generation", "letters", "answers", "loglikelihood")
    found = [read_task_file(path) for path in sorted(FOLDER.glob("*.yaml"))]
    return tuple(
        sorted(found, key=lambda one: (order.index(one.benchmark), protocols.index(one.protocol), one.name))
    )
