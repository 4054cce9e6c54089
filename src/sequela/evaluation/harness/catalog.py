"""The tasks of lm-evaluation-harness that we run, known without importing it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sequela.evaluation.description import SuiteDescription
from sequela.evaluation.harness.local_data import is_local
from sequela.ground.errors import BadInputError, SequelaError, UnknownNameError


@dataclass(frozen=True)
class CatalogEntry:
    """A task, or a family of tasks, of the harness.

    Args:
        name: Our suite's name.
        definition: The stock definition below `lm_eval/tasks`; `{subject}` where there are several.
        what: What it measures, in one sentence.
        metric: The metrics we report.
        shots: How many worked examples the standard setting has.
        shots_settable: Whether another number can be asked for.
        items: How many items the official test split has.
        hub: The data set's name on the Hugging Face hub.
    """

    name: str
    definition: str
    what: str
    metric: str
    shots: int
    shots_settable: bool
    items: int
    hub: str


CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        name="mmlu",
        definition="mmlu/default/mmlu_{subject}.yaml",
        what="Knowledge in 57 school and professional subjects, by the likeliest of four letters.",
        metric="accuracy",
        shots=5,
        shots_settable=True,
        items=14_042,
        hub="cais/mmlu",
    ),
    CatalogEntry(
        name="gsm8k",
        definition="gsm8k/gsm8k-cot.yaml",
        what="Grade-school arithmetic told as stories, answered in writing step by step.",
        metric="exact_match_strict, exact_match_flexible, parse_rate_strict, parse_rate_flexible",
        shots=8,
        shots_settable=True,
        items=1_319,
        hub="openai/gsm8k",
    ),
    CatalogEntry(
        name="truthfulqa_mc1",
        definition="truthfulqa/truthfulqa_mc1.yaml",
        what="Whether the truth is found likelier than common misconceptions.",
        metric="accuracy",
        shots=0,
        shots_settable=False,
        items=817,
        hub="truthfulqa/truthful_qa",
    ),
    CatalogEntry(
        name="toxigen",
        definition="toxigen/toxigen.yaml",
        what="Whether hateful statements about groups of people are told from harmless ones.",
        metric="accuracy, balanced_accuracy, share_yes",
        shots=0,
        shots_settable=False,
        items=940,
        hub="skg/toxigen-data",
    ),
)


def find_entry(name: str) -> CatalogEntry:
    """The task of this name.

    Raises:
        UnknownNameError: There is none.
    """
    for entry in CATALOG:
        if entry.name == name:
            return entry
    raise UnknownNameError("harness task", name, [entry.name for entry in CATALOG])


def definitions_folder() -> Path:
    """Where the installed harness keeps its task definitions (found without importing it).

    Raises:
        SequelaError: lm-evaluation-harness is not installed.
    """
    found = importlib.util.find_spec("lm_eval")
    if found is None or found.origin is None:
        raise SequelaError("lm-evaluation-harness is not installed.", hint="pip install 'lm-eval>=0.4.9'")
    return Path(found.origin).parent / "tasks"


def mmlu_subjects() -> tuple[str, ...]:
    """The names of MMLU's subjects, in alphabetical order."""
    files = (definitions_folder() / "mmlu" / "default").glob("mmlu_*.yaml")
    return tuple(sorted(file.stem.removeprefix("mmlu_") for file in files))


def check_subjects(subjects: Iterable[str]) -> tuple[str, ...]:
    """The subjects, if MMLU has them all.

    Raises:
        UnknownNameError: MMLU doesn't have one of them.
        BadInputError: One is named twice, or none is named.
    """
    known = mmlu_subjects()
    chosen = tuple(subjects)
    for subject in chosen:
        if subject not in known:
            raise UnknownNameError("MMLU subject", subject, known)
    if not chosen or len(set(chosen)) < len(chosen):
        raise BadInputError(
            f"MMLU's subjects were given as {', '.join(chosen) or 'an empty list'}.",
            hint="Name each subject once, or leave `subjects` out to run all of them.",
        )
    return chosen


def describe_tasks() -> tuple[SuiteDescription, ...]:
    """What `sequela tasks` says about the harness's tasks."""
    return tuple(
        SuiteDescription(
            name=entry.name,
            what=entry.what,
            metric=entry.metric,
            shots=entry.shots,
            items=entry.items,
            data=f"SEQUELA_DATA, else {entry.hub} on the hub",
            available=is_local(entry.name),
        )
        for entry in CATALOG
    )
