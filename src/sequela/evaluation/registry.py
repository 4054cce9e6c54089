"""The suites a study can name, and the settings each of them takes.

A package brings a suite through the entry-point group `sequela.suites`, which names its `SuiteEntry`.
Benchmarks are suites too; they come through a group of their own, see `lm_eval/catalog.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.core.registry import SEQUELA, Listed, Registry, instance_of
from sequela.core.validation import problems_in
from sequela.evaluation.lm_eval.catalog import BENCHMARK_REGISTRY, is_path
from sequela.evaluation.lm_eval.settings import check_settings
from sequela.evaluation.suite_description import SuiteDescription, unusable
from sequela.evaluation.suite_entry import LimitedOptions, SuiteEntry, SuiteOptions
from sequela.evaluation.suites.entries import HARNESS, SUITES

if TYPE_CHECKING:
    from sequela.evaluation.suite import Suite

SUITE_REGISTRY = Registry(
    kind="suite",
    group="sequela.suites",
    built_in=lambda: {entry.name: entry for entry in SUITES},
    check=instance_of(SuiteEntry),
    expected="a `sequela.evaluation.SuiteEntry`",
)
"""The suites with code of their own; the others are benchmarks."""


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


def make_suite(name: str, **options: Any) -> Suite:
    """Makes a suite.

    Args:
        name: One of `suite_names()`.
        options: Its settings, as in a study file.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: A setting is unknown or has a wrong value.
    """
    checked = check_options(name, options).model_dump()
    name, _ = split_name(name)
    if _is_benchmark(name):
        from sequela.evaluation.lm_eval.suite import HarnessSuite

        return HarnessSuite(name, **checked)
    implementation = SUITE_REGISTRY.load(name, SUITE_REGISTRY.get(name).implementation)
    made: Suite = implementation(**checked)
    made_name = getattr(made, "name", "")
    if made_name.partition(":")[0] != name or not callable(getattr(made, "evaluate", None)):
        raise SUITE_REGISTRY.misfit(name, made, "is no suite of that name")
    return made


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
    model, check = _rules(name)
    allowed = ", ".join(model.model_fields) or "none"
    if unknown := sorted(set(options) - set(model.model_fields)):
        raise BadInputError(
            f"The suite {name!r} has no option {', '.join(map(repr, unknown))}.", hint=f"Allowed: {allowed}."
        )
    try:
        checked = model.model_validate(options)
    except ValidationError as error:
        first, *_ = problems_in(error)
        if first.kind == "missing":
            raise BadInputError(
                f"The suite {name!r} needs the option {first.key!r}.", hint=f"Options: {allowed}."
            ) from error
        raise BadInputError(
            f"The suite {name!r} was given {first.key} = {first.given!r}: {first.message}.",
            hint=f"Allowed options: {allowed}.",
        ) from error
    if check is not None:
        check(**checked.model_dump())
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
    return tuple(_rules(split_name(name)[0])[0].model_fields)


def suite_names() -> tuple[str, ...]:
    """The names of all suites, benchmarks behind."""
    return (*SUITE_REGISTRY.names(), *BENCHMARK_REGISTRY.names())


def list_suites() -> tuple[SuiteDescription, ...]:
    """Descriptions of all suites, in the order of the registry; of those that can't be used, the reason."""
    from sequela.evaluation.lm_eval.listing import describe_benchmarks

    own: list[SuiteDescription] = []
    for listed in SUITE_REGISTRY.listed():
        own += _describe(listed)
    return (*own, *describe_benchmarks())


def _describe(listed: Listed[SuiteEntry]) -> tuple[SuiteDescription, ...]:
    if listed.value is None:
        return (unusable(listed),)
    try:
        described = listed.value.describe()
    except SequelaError as error:
        if listed.origin == SEQUELA:
            raise
        return (unusable(replace(listed, problem=error.message)),)
    return tuple(replace(one, origin=str(listed.origin)) for one in described)


def _find(name: str) -> SuiteEntry:
    """The entry of a suite with code of its own.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: The package that brings it can't be used, or another brings a benchmark of that name.
    """
    if name not in SUITE_REGISTRY.names():
        raise UnknownNameError("suite", name, suite_names())
    if name in BENCHMARK_REGISTRY.names():
        origins = SUITE_REGISTRY.origin(name), BENCHMARK_REGISTRY.origin(name)
        raise BadInputError(
            f"The name {name!r} is taken: {origins[0]} brings such a suite, {origins[1]} such a benchmark.",
            hint="Uninstall the package that came later, or ask its authors for another name.",
        )
    return SUITE_REGISTRY.get(name)


def _is_benchmark(name: str) -> bool:
    return is_path(name) or (name in BENCHMARK_REGISTRY.names() and name not in SUITE_REGISTRY.names())


def _rules(name: str) -> tuple[type[SuiteOptions], Callable[..., object] | None]:
    """The options of a suite or benchmark, and the function that checks them further.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: The package that brings it can't be used.
    """
    if _is_benchmark(name):
        return BenchmarkOptions, lambda **options: check_settings(name, **options)
    entry = _find(name)
    return entry.options, entry.check
