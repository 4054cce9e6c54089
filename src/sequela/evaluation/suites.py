"""The suites a study can name, and the settings each of them takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.evaluation.description import SuiteDescription
from sequela.evaluation.suite import Suite
from sequela.ground.errors import BadInputError, UnknownNameError


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


class HarnessOptions(LimitedOptions):
    """What the settings of all tasks of lm-evaluation-harness have in common.

    Args:
        limit: How many items to run, from the first on; all if None.
        too_long: Whether a prompt longer than the model's context is refused, or cut on the left.
    """

    too_long: Literal["refuse", "cut"] = "refuse"


class MMLUOptions(HarnessOptions):
    """Settings of MMLU.

    Args:
        limit: How many items of each subject to run.
        too_long: As in `HarnessOptions`.
        subjects: Which subjects to run; all if None.
        num_fewshot: How many worked examples stand before each question.
    """

    subjects: tuple[str, ...] | None = None
    num_fewshot: int = Field(default=5, ge=0, le=5)


class GSM8KOptions(HarnessOptions):
    """Settings of GSM8K.

    Args:
        limit: How many items to run.
        too_long: As in `HarnessOptions`.
        num_fewshot: How many worked examples stand before each question.
        max_new_tokens: Where a written answer ends.
    """

    num_fewshot: int = Field(default=8, ge=0, le=8)
    max_new_tokens: int = Field(default=256, ge=1)


@dataclass(frozen=True)
class SuiteEntry:
    """A suite by name.

    Args:
        name: As in a study file.
        options: The settings it takes.
        make: Makes it from them; the suite's module is imported only then.
    """

    name: str
    options: type[SuiteOptions]
    make: Callable[[str, dict[str, Any]], Suite]


def make_suite(name: str, **options: Any) -> Suite:
    """Makes a suite.

    Args:
        name: One of `suite_names()`.
        options: Its settings, as in a study file.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: A setting is unknown or has a wrong value.
    """
    entry = _find(name)
    return entry.make(name, check_options(name, options).model_dump())


def check_options(name: str, options: dict[str, Any]) -> SuiteOptions:
    """The settings of a suite, checked without making it.

    Raises:
        UnknownNameError: No suite has this name.
        BadInputError: A setting is unknown or has a wrong value.
    """
    model = _find(name).options
    allowed = ", ".join(model.model_fields) or "none"
    if unknown := sorted(set(options) - set(model.model_fields)):
        raise BadInputError(
            f"The suite {name!r} has no option {', '.join(map(repr, unknown))}.", hint=f"Allowed: {allowed}."
        )
    try:
        return model.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"])
        raise BadInputError(
            f"The suite {name!r} was given {option} = {first['input']!r}: {first['msg']}.",
            hint=f"Allowed options: {allowed}.",
        ) from error


def option_names(name: str) -> tuple[str, ...]:
    """The options a suite takes.

    Raises:
        UnknownNameError: No suite has this name.
    """
    return tuple(_find(name).options.model_fields)


def suite_names() -> tuple[str, ...]:
    """The names of all suites."""
    return tuple(entry.name for entry in _ENTRIES)


def list_suites() -> tuple[SuiteDescription, ...]:
    """What a person is told about all suites, in the order of the registry."""
    from sequela.evaluation.harness.catalog import describe_tasks

    return (*_describe_own(), *describe_tasks())


def _find(name: str) -> SuiteEntry:
    for entry in _ENTRIES:
        if entry.name == name:
            return entry
    raise UnknownNameError("suite", name, suite_names())


def _make_builtin(_: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.builtin import BuiltinSuite

    return BuiltinSuite(**options)


def _make_perplexity(_: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.health import HealthSuite

    return HealthSuite(**options)


def _make_harness(name: str, options: dict[str, Any]) -> Suite:
    from sequela.evaluation.harness.suite import HarnessSuite

    return HarnessSuite(name, **options)


def _describe_own() -> tuple[SuiteDescription, ...]:
    from sequela.evaluation.builtin import BuiltinSuite

    categories = BuiltinSuite().describe()
    return (
        SuiteDescription(
            name="builtin",
            what=f"Our own questions in {len(categories)} categories, most within the default model's reach.",
            metric="accuracy",
            shots=None,
            items=sum(category.items for category in categories),
            data="comes with sequela",
            available=True,
        ),
        SuiteDescription(
            name="perplexity",
            what="Perplexity of a fixed text, the cheap alarm for a damaged model.",
            metric="perplexity, loss",
            shots=None,
            items=None,
            data="comes with sequela",
            available=True,
        ),
    )


_ENTRIES: tuple[SuiteEntry, ...] = (
    SuiteEntry("builtin", BuiltinOptions, _make_builtin),
    SuiteEntry("perplexity", PerplexityOptions, _make_perplexity),
    SuiteEntry("mmlu", MMLUOptions, _make_harness),
    SuiteEntry("gsm8k", GSM8KOptions, _make_harness),
    SuiteEntry("truthfulqa_mc1", HarnessOptions, _make_harness),
    SuiteEntry("toxigen", HarnessOptions, _make_harness),
)
