"""The suites by name, and the settings of each.

A package provides a suite through the entry-point group `sequela.suites`, which names its `SuiteEntry`.
Benchmarks are suites too; they have their own entry-point group, see `lm_eval/catalog.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from sequela.core.arguments import as_path_text, check_items, check_table, check_whole_number
from sequela.core.errors import BadInputError, SequelaError, UnknownNameError, shown
from sequela.core.numbers import MAX_COUNT, MAX_LENGTH
from sequela.core.registry import SEQUELA, Listed
from sequela.core.validation import guessed_key, problems_in
from sequela.evaluation.lm_eval.catalog import BENCHMARK_REGISTRY, is_path
from sequela.evaluation.lm_eval.settings import check_settings
from sequela.evaluation.suite_description import SuiteDescription, unusable
from sequela.evaluation.suite_entry import LimitedOptions, SuiteEntry, SuiteOptions
from sequela.evaluation.suites.entries import HARNESS, SUITE_REGISTRY, HarnessTaskOptions

if TYPE_CHECKING:
    from sequela.evaluation.suite import Suite

OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "num_fewshot": ("shot", "n shot", "num shot", "few shot", "n fewshot", "number of shots", "example"),
    "limit": ("count", "n item", "num item", "max item", "sample", "n sample", "size"),
    "max_new_tokens": ("max token", "max gen tok", "max length", "n token"),
    "protocols": ("scoring", "mode"),
    "subjects": ("subtask", "category", "topic"),
    "categories": ("subtask", "subject", "category", "topic"),
    "data": ("file", "path", "data set", "dataset"),
}
"""Words of task files and of other programs for the options of suites, in the singular, by option."""

DEFAULT_SUITES = ("builtin", "perplexity")
"""The suites that run by default."""


class BenchmarkOptions(LimitedOptions):
    """Settings of the benchmarks; some apply only to certain benchmarks.

    Args:
        limit: The number of items to run, from the first on; per subject if there are subjects. All if None.
        protocols: The protocols, e.g. `generation` and `letters`; the paper's protocol if None.
        subjects: The subjects to run; all if None.
        num_fewshot: The number of few-shot examples before each question; the standard number if None.
        max_new_tokens: The maximum number of new tokens of a generated answer.
        too_long: `refuse` counts a prompt longer than the model's context as wrong, `cut` truncates it on
            the left.
    """

    protocols: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    num_fewshot: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    max_new_tokens: int | None = Field(default=None, ge=1, le=MAX_LENGTH)
    too_long: Literal["refuse", "cut"] = "refuse"


def make_suites(
    suites: Sequence[Suite | Mapping[str, Any] | str | PathLike[str]],
    limit: int | None = None,
    **further: Any,
) -> list[Suite]:
    """Creates suites from their names and settings.

    Args:
        suites: Names, names with settings as in a study file, or suites.
        limit: The number of items per task, for suites that have this setting and whose settings don't
            include it; all if None.
        further: More settings of this kind.

    Raises:
        UnknownNameError: No suite has one of the names.
        BadInputError: A setting is unknown or has a wrong value, or something is not a suite.
    """
    if limit is not None:
        limit = check_whole_number("limit", limit, at_least=1)
    created: list[Suite] = []
    for suite in check_items("suites", suites, object, "a suite", 'Write ["mmlu"], or [{"name": "mmlu"}].'):
        if isinstance(suite, PathLike):
            suite = str(as_path_text(suite))
        if not isinstance(suite, str | Mapping):
            if not callable(getattr(suite, "evaluate", None)):
                raise BadInputError(
                    f"{shown(suite)} is not a suite.", hint=f"Known: {', '.join(suite_names())}."
                )
            created.append(suite)
            continue
        options = {"name": suite} if isinstance(suite, str) else dict(suite)
        check_table("suite", options)
        name = as_path_text(options.pop("name", None))
        if not isinstance(name, str):
            raise BadInputError(
                f"A suite has no name: {shown(suite)}.", hint='Write {"name": "mmlu", "limit": 5}.'
            )
        given = {**further, **({} if limit is None else {"limit": limit})}
        known = option_names(name) if given else ()
        options = {**{key: value for key, value in given.items() if key in known}, **options}
        created.append(make_suite(name, **options))
    return created


def make_suite(name: str, **options: Any) -> Suite:
    """Creates a suite.

    Args:
        name: One of `suite_names()`, or the path of a task file of the user's own.
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
    suite: Suite = implementation(**checked)
    own_name = getattr(suite, "name", "")
    if own_name.partition(":")[0] != name or not callable(getattr(suite, "evaluate", None)):
        raise SUITE_REGISTRY.misfit(name, suite, "is not a suite of that name")
    return suite


def check_options(name: str, options: dict[str, Any]) -> SuiteOptions:
    """Checks the settings of a suite without creating it.

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
        guesses = [guessed_key(key, list(model.model_fields), OTHER_WORDS) for key in unknown]
        meant = " or ".join(map(repr, dict.fromkeys(filter(None, guesses))))
        raise BadInputError(
            f"The suite {name!r} has no option {', '.join(map(repr, unknown))}.",
            hint=f"{f'Did you mean {meant}? ' if meant else ''}Allowed: {allowed}.",
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
            f"Invalid option {first.key} = {shown(first.given)} of the suite {name!r}: {first.message}.",
            hint=f"Allowed options: {allowed}.",
        ) from error
    if check is not None:
        check(**checked.model_dump())
    return checked


def check_suite(name: str, options: dict[str, Any]) -> None:
    """Checks the settings of a suite, and that its data may be available, without importing PyTorch.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: A setting is unknown or has a wrong value.
        SequelaError: Its data are neither in a local file nor within reach on the hub.
    """
    from sequela.evaluation.availability import check_benchmark_data, check_harness_data

    checked = check_options(name, options)
    name, _ = split_name(name)
    if isinstance(checked, HarnessTaskOptions):
        check_harness_data(checked.task, checked.data)
    elif isinstance(checked, BenchmarkOptions):
        check_benchmark_data(name, checked.protocols)


def check_suites(suites: Sequence[str], further: Mapping[str, Any]) -> None:
    """Checks suites without importing PyTorch.

    Args:
        suites: Their names.
        further: Settings for those suites that have them.

    Raises:
        SequelaError: As for `check_suite`.
    """
    for name in suites:
        known = option_names(name)
        check_suite(name, {key: value for key, value in further.items() if key in known})


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """Splits a name into the suite and the options in its name: `lm_eval:arc_easy` is `lm_eval` with a task.

    Raises:
        BadInputError: There is no task after the colon.
    """
    suite, colon, task = name.partition(":")
    if suite != HARNESS or not colon:
        return name, {}
    if not task:
        raise BadInputError(f"The suite {name!r} names no task.", hint="For example `lm_eval:arc_easy`.")
    return suite, {"task": task}


def option_names(name: str) -> tuple[str, ...]:
    """Returns the names of a suite's options.

    Raises:
        UnknownNameError: No suite has this name.
    """
    return tuple(_rules(split_name(name)[0])[0].model_fields)


def suite_names() -> tuple[str, ...]:
    """Returns the names of all suites, the benchmarks last."""
    return (*SUITE_REGISTRY.names(), *BENCHMARK_REGISTRY.names())


def list_suites() -> tuple[SuiteDescription, ...]:
    """Describes all suites in the order of the registry; unusable ones with the reason."""
    from sequela.evaluation.lm_eval.listing import describe_benchmarks

    own: list[SuiteDescription] = []
    for listed in SUITE_REGISTRY.listed():
        own += _describe(listed)
    return (*own, *describe_benchmarks())


def describe_suite(name: str) -> tuple[SuiteDescription, ...]:
    """Describes one suite, with an entry for each protocol.

    Args:
        name: One of `suite_names()`, or the path of a task file of the user's own, which is checked.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: The file is not a task file, or its items can't be read.
    """
    from sequela.evaluation.lm_eval.listing import describe_task_file

    if is_path(name):
        return describe_task_file(name)
    if name not in suite_names():
        raise UnknownNameError("suite", name, suite_names())
    return tuple(one for one in list_suites() if one.name == name)


def _describe(listed: Listed[SuiteEntry]) -> tuple[SuiteDescription, ...]:
    if listed.value is None:
        return (unusable(listed),)
    try:
        described = listed.value.describe()
    except SequelaError as error:
        if listed.origin == SEQUELA:
            raise
        return (unusable(replace(listed, problem=error.message)),)
    return tuple(replace(description, origin=str(listed.origin)) for description in described)


def _find(name: str) -> SuiteEntry:
    """Returns the entry of a suite with code of its own.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: The package that provides it can't be used, or another has a benchmark of that name.
    """
    if name not in SUITE_REGISTRY.names():
        raise UnknownNameError("suite", name, suite_names())
    if name in BENCHMARK_REGISTRY.names():
        origins = SUITE_REGISTRY.origin(name), BENCHMARK_REGISTRY.origin(name)
        raise BadInputError(
            f"The name {name!r} is ambiguous: {origins[0]} has such a suite, {origins[1]} such a benchmark.",
            hint="Uninstall the package that came later, or ask its authors for another name.",
        )
    return SUITE_REGISTRY.get(name)


def _is_benchmark(name: str) -> bool:
    return is_path(name) or (name in BENCHMARK_REGISTRY.names() and name not in SUITE_REGISTRY.names())


def _rules(name: str) -> tuple[type[SuiteOptions], Callable[..., object] | None]:
    """Returns the options of a suite or benchmark, and the function for further checks.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: The package that provides it can't be used.
    """
    if _is_benchmark(name):
        return BenchmarkOptions, lambda **options: check_settings(name, **options)
    entry = _find(name)
    return entry.options, entry.check
