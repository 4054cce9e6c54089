"""The schedule of health measurements and the health rules (`monitors.py` measures)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, Field, field_validator

from sequela.analysis import PERPLEXITY_FACTOR
from sequela.core.errors import BadInputError
from sequela.core.validation import NumericModel
from sequela.results.metrics import (
    CONDITION_NUMBER,
    KL_TO_BASE,
    NONFINITE,
    PERPLEXITY,
    RELATIVE_CHANGE,
    TOP_SINGULAR_VALUE,
    WEIGHT_NORM,
)

COLLAPSE = f"perplexity > {PERPLEXITY_FACTOR}x"
"""The health rule that defines collapse."""

HEALTH_METRICS: Mapping[str, str] = {
    PERPLEXITY.name: "perplexity of the fixed text",
    **{
        metric.name: metric.meaning
        for metric in (
            KL_TO_BASE,
            RELATIVE_CHANGE,
            WEIGHT_NORM,
            TOP_SINGULAR_VALUE,
            CONDITION_NUMBER,
            NONFINITE,
        )
    },
}
"""The health metrics by name; on the unedited model, ratios are 1 and the others but perplexity 0."""

ZERO_WHEN_UNEDITED = frozenset({KL_TO_BASE.name, RELATIVE_CHANGE.name, NONFINITE.name})
"""Health metrics for which a rule can't have a relative limit."""

_RULE = re.compile(r"^\s*(\w+)\s*>\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(x?)\s*$")


@dataclass(frozen=True)
class HealthRule:
    """A rule `metric > limit`; with `x` the limit is a multiple of the unedited model's value.

    Args:
        text: The rule as written.
        metric: One of `HEALTH_METRICS`.
        limit: The limit.
        relative: True if the limit is a multiple of the unedited model's value.
    """

    text: str
    metric: str
    limit: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> HealthRule:
        """Parses a rule such as `perplexity > 3x` or `relative_change > 0.5`.

        Raises:
            BadInputError: The text is not a rule, the metric is unknown, or the limit is a multiple of 0.
        """
        match = _RULE.match(text)
        if match is None:
            raise BadInputError(
                f"Invalid health rule {text!r}.", hint="For example: perplexity > 3x, kl_to_base > 0.5"
            )
        name, limit, times = match.groups()
        if not math.isfinite(float(limit)):
            raise BadInputError(
                f"The limit of the health rule {text!r} is not finite.", hint="Give one that can be exceeded."
            )
        if name not in HEALTH_METRICS:
            raise BadInputError(
                f"Unknown health metric {name!r} in the rule {text!r}.",
                hint=f"Known: {', '.join(HEALTH_METRICS)}.",
            )
        if times and name in ZERO_WHEN_UNEDITED:
            raise BadInputError(
                f"The limit of the rule {text!r} is a multiple of the unedited model's {name}, which is 0.",
                hint=f"Give a number without x: {name} > {limit}",
            )
        return cls(text.strip(), name, float(limit), bool(times))

    def is_triggered(self, metrics: Mapping[str, float], unedited: Mapping[str, float]) -> bool:
        """Returns whether the rule is triggered: always by a NaN, never by a metric that is missing."""
        if self.metric not in metrics:
            return False
        value = metrics[self.metric]
        limit = self.limit * unedited[self.metric] if self.relative else self.limit
        return not value <= limit


class MonitorSettings(NumericModel):
    """The schedule of health measurements and the rules that apply to them.

    Args:
        every: The number of edits between two measurements; 0 for none.
        stop_when: Health rules that end a trajectory.
        mark_when: Health rules that are only reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    every: int = Field(default=0, ge=0)
    stop_when: tuple[str, ...] = ()
    mark_when: tuple[str, ...] = (COLLAPSE,)

    @field_validator("stop_when", "mark_when", mode="before")
    @classmethod
    def _one_rule_alone(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("stop_when", "mark_when")
    @classmethod
    def _are_rules(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                HealthRule.parse(text)
            except BadInputError as error:
                raise ValueError(f"{error.message} {error.hint}") from error
        return value


def triggered(rules: Sequence[str], metrics: Mapping[str, float], unedited: Mapping[str, float]) -> list[str]:
    """Returns the rules that are triggered."""
    return [text for text in rules if HealthRule.parse(text).is_triggered(metrics, unedited)]


def is_due(before: int, after: int, every: int) -> bool:
    """Returns whether a measurement is due when the number of edits goes from `before` to `after`."""
    return bool(every) and after // every > before // every


def due_edit_counts(batches: Iterator[int], every: int) -> list[int]:
    """Returns the numbers of edits at which measurements are due.

    Args:
        batches: The number of edits applied after each batch, ascending.
        every: The number of edits between two measurements; 0 for none.
    """
    due, before = [], 0
    for after in batches:
        if is_due(before, after, every):
            due.append(after)
        before = after
    return due
