"""The entries of the suites that come with Sequela, available without importing PyTorch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sequela.core.numbers import MAX_LENGTH
from sequela.core.registry import Registry, instance_of
from sequela.evaluation.suite_description import SuiteDescription
from sequela.evaluation.suite_entry import LimitedOptions, SuiteEntry, SuiteOptions
from sequela.results import ALARMS, EDIT_QUALITY, metrics


class BuiltinOptions(LimitedOptions):
    """Settings of the built-in suite.

    Args:
        limit: The number of items of each category to run; all if None.
        categories: The categories to run; all if None.
    """

    categories: tuple[str, ...] | None = None


class PerplexityOptions(SuiteOptions):
    """Settings of the perplexity suite.

    Args:
        window: Tokens per window.
    """

    window: int = Field(default=128, ge=2)


class RefusalOptions(LimitedOptions):
    """Settings of the refusal suite.

    Args:
        limit: The number of requests of each kind to run; all if None.
        max_new_tokens: The maximum number of new tokens of an answer.
    """

    max_new_tokens: int = Field(default=64, ge=1, le=MAX_LENGTH)


HARNESS = "lm_eval"
"""The suite of the harness's own tasks; `lm_eval:arc_easy` is one of them."""


class HarnessTaskOptions(LimitedOptions):
    """Settings of a task of lm-evaluation-harness that is run unchanged.

    Args:
        task: The task or group, by the harness's name; it can also be given in the suite's name, as in
            `lm_eval:arc_easy`.
        limit: The number of items of each task to run, from the first on; all if None.
        num_fewshot: The number of few-shot examples before each question; the task's own number if None.
        data: Local data in place of the hub's: a file with the evaluated split, a folder with a file
            `<split>.jsonl` for each split, or files by split.
        trust_remote_code: Whether Python code that doesn't come with the harness may be run.
        confirm_run_unsafe_code: Whether tasks may run code that the model wrote.
        too_long: `refuse` counts a prompt longer than the model's context as wrong, `cut` truncates it on
            the left.
    """

    task: str
    num_fewshot: int | None = Field(default=None, ge=0)
    data: str | dict[str, str] | None = None
    trust_remote_code: bool = False
    confirm_run_unsafe_code: bool = False
    too_long: Literal["refuse", "cut"] = "refuse"


def _check_harness_task(**options: Any) -> None:
    from sequela.evaluation.lm_eval.harness_tasks.settings import check_harness_task

    check_harness_task(HARNESS, **options)


def _check_builtin(**options: Any) -> None:
    from sequela.evaluation.suites.builtin import BuiltinSuite

    BuiltinSuite(**options).describe()  # reads the items: the limit is checked against their number


def _check_refusal(**options: Any) -> None:
    from sequela.evaluation.suites.refusal import RefusalSuite

    RefusalSuite(**options)


def _describe_builtin() -> tuple[SuiteDescription, ...]:
    from sequela.evaluation.suites.builtin import BuiltinSuite

    categories = BuiltinSuite().describe()
    n_items = sum(category.items for category in categories)
    return (
        SuiteDescription(
            name="builtin",
            task="",
            protocol="loglikelihood",
            what=f"Sequela's own questions in {len(categories)} categories; the default model answers most.",
            metrics=(metrics.ACCURACY.name,),
            shots=None,
            items=n_items,
            here=n_items,
            chance=categories[0].chance,
            data="comes with sequela",
        ),
    )


def _describe_perplexity() -> tuple[SuiteDescription, ...]:
    return (
        SuiteDescription(
            name="perplexity",
            task="fixed_text",
            protocol="fixed_text",
            what="Perplexity of a fixed text, a cheap check for damage to the model.",
            metrics=(metrics.PERPLEXITY.name, metrics.LOSS.name),
            shots=None,
            items=None,
            here=None,
            chance=None,
            data="comes with sequela",
        ),
    )


def _describe_refusal() -> tuple[SuiteDescription, ...]:
    from sequela.evaluation.suites.refusal import RefusalSuite

    n_requests = sum(len(some) for some in RefusalSuite().requests.values())
    return (
        SuiteDescription(
            name="refusal",
            task="",
            protocol="generation",
            what="Harmful requests, which should be declined, and similar harmless ones, which should be "
            "answered; for instruction-tuned models, in their chat template.",
            metrics=(metrics.DECLINED.name, metrics.HELPED.name),
            shots=None,
            items=n_requests,
            here=n_requests,
            chance=None,
            data="comes with sequela",
        ),
    )


def _describe_harness_task() -> tuple[SuiteDescription, ...]:
    return (
        SuiteDescription(
            name=HARNESS,
            task="",
            protocol="any task of lm-evaluation-harness",
            what="Any task or group of the installed harness, unchanged, by its name: `lm_eval:arc_easy`. "
            "`sequela tasks --harness arc` lists the names with `arc` in them.",
            metrics=(),
            shots=None,
            items=None,
            here=None,
            chance=None,
            data="SEQUELA_DATA/lm_eval/<task>/<split>.jsonl, else the hub",
            missing="each task has data of its own",
        ),
    )


SUITES: tuple[SuiteEntry, ...] = (
    SuiteEntry(
        "builtin",
        BuiltinOptions,
        "sequela.evaluation.suites.builtin:BuiltinSuite",
        _describe_builtin,
        _check_builtin,
    ),
    SuiteEntry(
        "perplexity",
        PerplexityOptions,
        "sequela.evaluation.suites.perplexity:HealthSuite",
        _describe_perplexity,
    ),
    SuiteEntry(
        "refusal",
        RefusalOptions,
        "sequela.evaluation.suites.refusal:RefusalSuite",
        _describe_refusal,
        _check_refusal,
    ),
    SuiteEntry(
        HARNESS,
        HarnessTaskOptions,
        "sequela.evaluation.lm_eval.harness_tasks.suite:HarnessTaskSuite",
        _describe_harness_task,
        _check_harness_task,
    ),
)
"""The entries, in the order of listings."""


def _suite_entry(name: str, found: object) -> SuiteEntry:
    check_suite_name(name)
    return instance_of(SuiteEntry)(name, found)


SUITE_REGISTRY = Registry(
    kind="suite",
    group="sequela.suites",
    built_in=lambda: {entry.name: entry for entry in SUITES},
    check=_suite_entry,
    expected="a `sequela.evaluation.SuiteEntry`",
)
"""The registry of the suites with code of their own; the others are benchmarks."""


def check_suite_name(name: str) -> None:
    """Checks that the results of a suite or benchmark would not mix with what every run measures.

    Raises:
        ValueError: Sequela stores results of its own under this name.
    """
    if name in (EDIT_QUALITY, ALARMS):
        raise ValueError(f"has the name {name!r}, under which every run stores results of its own")
