"""When alarms are read, and the rules that ring on what is read (`monitors.py` takes the readings)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sequela.analysis import PERPLEXITY_FACTOR
from sequela.core.errors import BadInputError
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
"""The rule by which a model has collapsed."""

HEALTH_METRICS: Mapping[str, str] = {
    PERPLEXITY.name: "perplexity of the fixed text",
    **{
        one.name: one.meaning
        for one in (
            KL_TO_BASE,
            RELATIVE_CHANGE,
            WEIGHT_NORM,
            TOP_SINGULAR_VALUE,
            CONDITION_NUMBER,
            NONFINITE,
        )
    },
}
"""What is read; on the unedited model the ratios are 1, the others (but perplexity) 0."""

ZERO_WHEN_UNEDITED = frozenset({KL_TO_BASE.name, RELATIVE_CHANGE.name, NONFINITE.name})
"""Readings of which no rule can take a multiple."""

_RULE = re.compile(r"^\s*(\w+)\s*>\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(x?)\s*$")


@dataclass(frozen=True)
class HealthRule:
    """`metric > limit`; with `x` the limit is a multiple of the unedited model's reading.

    Args:
        text: As it was written.
        metric: One of `HEALTH_METRICS`.
        limit: The number.
        relative: Whether it is a multiple.
    """

    text: str
    metric: str
    limit: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> HealthRule:
        """Reads a rule such as `perplexity > 3x` or `relative_change > 0.5`.

        Raises:
            BadInputError: It is none, there is no such reading, or it asks for a multiple of 0.
        """
        match = _RULE.match(text)
        if match is None:
            raise BadInputError(
                f"{text!r} is no rule for an alarm.", hint="For example: perplexity > 3x, kl_to_base > 0.5"
            )
        name, limit, times = match.groups()
        if name not in HEALTH_METRICS:
            raise BadInputError(
                f"The rule {text!r} is about {name!r}, which isn't read.",
                hint=f"Read are: {', '.join(HEALTH_METRICS)}.",
            )
        if times and name in ZERO_WHEN_UNEDITED:
            raise BadInputError(
                f"The rule {text!r} asks for a multiple of the unedited model's {name}, which is 0.",
                hint=f"Give a number without x: {name} > {limit}",
            )
        return cls(text.strip(), name, float(limit), bool(times))

    def is_triggered(self, metrics: Mapping[str, float], unedited: Mapping[str, float]) -> bool:
        """Whether it rings; a reading that is not a number rings always, one that isn't there never."""
        if self.metric not in metrics:
            return False
        value = metrics[self.metric]
        limit = self.limit * unedited[self.metric] if self.relative else self.limit
        return not value <= limit


class MonitorSettings(BaseModel):
    """When alarms are read, and what follows.

    Args:
        every: After every so many edits; 0 for never.
        stop_when: Rules that end a trajectory.
        mark_when: Rules that are only told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    """Those of some rules that ring."""
    return [text for text in rules if HealthRule.parse(text).is_triggered(metrics, unedited)]


def is_due(before: int, after: int, every: int) -> bool:
    """Whether a reading is due when the edits made go from `before` to `after`."""
    return bool(every) and after // every > before // every


def due_edit_counts(batches: Iterator[int], every: int) -> list[int]:
    """The numbers of edits at which readings are due.

    Args:
        batches: The edits made after each batch, ascending.
        every: After how many edits.
    """
    found, before = [], 0
    for after in batches:
        if is_due(before, after, every):
            found.append(after)
        before = after
    return found
