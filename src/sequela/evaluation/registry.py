"""The suites a study can name, and the settings each of them takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.evaluation.lm_eval.catalog import benchmark_names, is_path
from sequela.evaluation.lm_eval.harness_tasks.settings import check_harness_task
from sequela.evaluation.lm_eval.settings import check_settings
from sequela.evaluation.suite_description import SuiteDescription

if TYPE_CHECKING:
    from sequela.evaluation.suite import Suite


HARNESS = "lm_eval"
"""The suite of the harness's own tasks; `lm_eval:arc_easy` names one of them."""


class SuiteOptions(BaseModel):
    """What the settings of all suites have in common: they can't be changed, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitedOptions(SuiteOptions):
    """Settings of a suite whose items can be cut short.

    Args:
        limit: How many items to run, from the first on; all if None.
    """

    limit: int | None = Field(default=None, ge=1)


class BuiltinOptions(LimitedOptions):
    """Settings of the built-in suite.

    Args:
        limit: How many items of each category to run.
        categories: Which categories to run; all if None.
    """

    categories: tuple[str, ...] | None = None


class PerplexityOptions(SuiteOptions):
    """Settings of the perplexity.

    Args:
        window: Tokens per window.
    """

    window: int = Field(default=128, ge=2)


class RefusalOptions(LimitedOptions):
    """Settings of the refusal suite.

    Args:
        limit: How many requests of each kind to make.
        max_new_tokens: Where an answer ends.
    """

    max_new_tokens: int = Field(default=64, ge=1)


class BenchmarkOptions(LimitedOptions):
    """Settings of the benchmarks; not each has all of them.

    Args:
        limit: How many items to run, from the first on; of each subject where there are subjects. All if
            None.
        protocols: How it is asked, e.g. `generation` and `letters`; the paper's protocol if None.
        subjects: Which subjects to run; all if None.
        num_fewshot: How many worked examples stand before each question; the standard number if None.
        max_new_tokens: Where a written answer ends.
        too_long: Whether a prompt longer than the model's context is refused, or cut on the left.
    """

    protocols: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    num_fewshot: int | None = Field(default=None, ge=0)
    max_new_tokens: int | None = Field(default=None, ge=1)
    too_long: Literal["refuse", "cut"] = "refuse"


class HarnessTaskOptions(LimitedOptions):
    """Settings of a task of lm-evaluation-harness that is run as it stands.

    Args:
        task: The task or group, by the harness's name; a suite's name `lm_eval:arc_easy` names it too.
        limit: How many items of each task to run, from the first on; all if None.
        num_fewshot: How many few-shot examples stand before each question; the task's own number if None.
        data: Local data in place of the hub's: a file with the evaluated split, a folder with a file
            `<split>.jsonl` for each split, or files by split.
        trust_remote_code: Whether Python code that doesn't come with the harness may be run.
        confirm_run_unsafe_code: Whether tasks may run code that the model wrote.
        too_long: Whether a prompt longer than the model's context is refused, or cut on the left.
    """

    task: str
    num_fewshot: int | None = Field(default=None, ge=0)
    data: str | dict[str, str] | None = None
    trust_remote_code: bool = False
    confirm_run_unsafe_code: bool = False
    too_long: Literal["refuse", "cut"] = "refuse"


@dataclass(frozen=True)
class SuiteEntry:
    """A suite by name.

    Args:
        name: As in a study file.
        options: The settings it takes.
        make: Makes it from them; the suite's module is imported only then.
        check: Checks what their types don't say, such as names and numbers of items; imports no PyTorch.
    """

    name: str
    options: type[SuiteOptions]
    make: Callable[[str, dict[str, Any]], Suite]
    check: Callable[..., object] | None = None


def make_suite(name: str, **options: Any) -> Suite:
    """Makes a suite.

    Args:
        name: One of `suite_names()`.
        options: Its settings, as in a study file.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: A setting is unknown or has a wrong value.
    """
    checked = check_options(name, options)
    entry = _find(split_name(name)[0])
    return entry.make(entry.name, checked.model_dump())


def check_options(name: str, options: dict[str, Any]) -> SuiteOptions:
    """The settings of a suite, checked without making it.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: A setting is unknown or has a wrong value.
    """
    name, named = split_name(name)
    if both := sorted(set(named) & set(options)):
        raise BadInputError(f"The suite {name!r} has {both[0]!r} in its name and as an option.")
    options = {**named, **options}
    entry = _find(name)
    model = entry.options
    allowed = ", ".join(model.model_fields) or "none"
    if unknown := sorted(set(options) - set(model.model_fields)):
        raise BadInputError(
            f"The suite {name!r} has no option {', '.join(map(repr, unknown))}.", hint=f"Allowed: {allowed}."
        )
    try:
        checked = model.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "missing":
            raise BadInputError(
                f"The suite {name!r} needs the option {first['loc'][0]!r}.", hint=f"Options: {allowed}."
            ) from error
        option = ".".join(str(part) for part in first["loc"])
        raise BadInputError(
            f"The suite {name!r} was given {option} = {first['input']!r}: {first['msg']}.",
            hint=f"Allowed options: {allowed}.",
        ) from error
    if entry.check is not None:
        entry.check(name, **checked.model_dump())
    return checked


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """Returns a suite and the options that stand in its name: `lm_eval:arc_easy` is `lm_eval` with this task.

    Raises:
        BadInputError: No task stands behind the colon.
    """
    suite, colon, task = name.partition(":")
    if suite != HARNESS or not colon:
        return name, {}
    if not task:
        raise BadInputError(f"The suite {name!r} names no task.", hint="For example `lm_eval:arc_easy`.")
    return suite, {"task": task}


def option_names(name: str) -> tuple[str, ...]:
    """The options a suite takes.

    Raises:
        UnknownNameError: No suite has this name.
    """
    return tuple(_find(split_name(name)[0]).options.model_fields)


def suite_names() -> tuple[str, ...]:
    """The names of all suites."""
    return tuple(entry.name for entry in _entries())


def list_suites() -> tuple[SuiteDescription, ...]:
    """What a person is told about all suites, in the order of the registry."""
    from sequela.evaluation.lm_eval.listing import describe_benchmarks

    return (*_describe_own(), *describe_benchmarks())


def _find(name: str) -> SuiteEntry:
    for entry in _entries():
        if entry.name == name:
            return entry
    if is_path(name):
        return _benchmark(name)
    raise UnknownNameError("suite", name, suite_names())


def _entries() -> tuple[SuiteEntry, ...]:
    return (*_OWN, *map(_benchmark, benchmark_names()))


def _benchmark(name: str) -> SuiteEntry:
    return SuiteEntry(name, BenchmarkOptions, _make_benchmark, check_settings)


def _make_builtin(_: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.suites.builtin import BuiltinSuite

    return BuiltinSuite(**options)


def _check_builtin(_: str, **options: Any) -> None:
    from sequela.evaluation.suites.builtin import BuiltinSuite

    BuiltinSuite(**options).describe()  # reads the items: the limit is checked against their number


def _make_perplexity(_: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.suites.perplexity import HealthSuite

    return HealthSuite(**options)


def _make_refusal(_: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.suites.refusal import RefusalSuite

    return RefusalSuite(**options)


def _check_refusal(_: str, **options: Any) -> None:
    from sequela.evaluation.suites.refusal import RefusalSuite

    RefusalSuite(**options)


def _make_benchmark(name: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.lm_eval.suite import HarnessSuite

    return HarnessSuite(name, **options)


def _make_harness_task(name: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.lm_eval.harness_tasks.suite import HarnessTaskSuite

    return HarnessTaskSuite(name, **options)


def _describe_own() -> tuple[SuiteDescription, ...]:
    from sequela.evaluation.suites.builtin import BuiltinSuite
    from sequela.evaluation.suites.refusal import RefusalSuite

    n_requests = sum(len(some) for some in RefusalSuite().requests.values())
    categories = BuiltinSuite().describe()
    n_items = sum(category.items for category in categories)
    return (
        SuiteDescription(
            name="builtin",
            task="",
            protocol="loglikelihood",
            what=f"Our own questions in {len(categories)} categories, most within the default model's reach.",
            metrics=("accuracy",),
            shots=None,
            items=n_items,
            here=n_items,
            chance=categories[0].chance,
            data="comes with sequela",
        ),
        SuiteDescription(
            name="perplexity",
            task="fixed_text",
            protocol="fixed_text",
            what="Perplexity of a fixed text, the cheap alarm for a damaged model.",
            metrics=("perplexity", "loss"),
            shots=None,
            items=None,
            here=None,
            chance=None,
            data="comes with sequela",
        ),
        SuiteDescription(
            name="refusal",
            task="",
            protocol="generation",
            what="Whether harmful requests are declined, and harmless ones that only sound so answered; for "
            "instruction-tuned models, in their chat template.",
            metrics=("declined", "helped"),
            shots=None,
            items=n_requests,
            here=n_requests,
            chance=None,
            data="comes with sequela",
        ),
        SuiteDescription(
            name=HARNESS,
            task="",
            protocol="any task of lm-evaluation-harness",
            what="A task or group of the installed harness as it stands, by its name: `lm_eval:arc_easy`. "
            "`sequela tasks --harness arc` lists the names with `arc` in them.",
            metrics=("the task's own",),
            shots=None,
            items=None,
            here=None,
            chance=None,
            data="SEQUELA_DATA/lm_eval/<task>/<split>.jsonl, else the hub",
            missing="each task has data of its own",
        ),
    )


_OWN: tuple[SuiteEntry, ...] = (
    SuiteEntry("builtin", BuiltinOptions, _make_builtin, _check_builtin),
    SuiteEntry("perplexity", PerplexityOptions, _make_perplexity),
    SuiteEntry("refusal", RefusalOptions, _make_refusal, _check_refusal),
    SuiteEntry(HARNESS, HarnessTaskOptions, _make_harness_task, check_harness_task),
)
