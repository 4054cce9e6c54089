"""The share of the unedited model's ability that an edited model has left, with an interval.

Ability is accuracy above chance. A few items can't show how much of it is left, so a share without its
interval is no verdict.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.analysis.comparison import Comparisons
from sequela.results.measurement import Measurement
from sequela.results.metrics import ACCURACY
from sequela.results.section import Section
from sequela.results.standard_error import wilson_interval
from sequela.results.suite_info import Suites

MIN_ITEMS = 10
"""The number of items below which nothing is said about an ability, whatever the interval."""


@dataclass(frozen=True)
class RemainingAbility:
    """The share of the unedited model's ability above chance that is left.

    Args:
        share: The share, 1 if nothing was lost; the mean over benchmarks, each of which counts once.
        low: The lower bound of its 95 % interval.
        high: The upper bound.
        n: The number of items that both models answered, over all benchmarks.
    """

    share: float
    low: float
    high: float
    n: int

    def is_below(self, limit: float) -> bool:
        """Returns whether the items show that the share is below a limit."""
        return self.n >= MIN_ITEMS and self.high < limit

    def is_above(self, limit: float) -> bool:
        """Returns whether the items show that the share is at or above a limit."""
        return self.n >= MIN_ITEMS and self.low >= limit

    def __str__(self) -> str:
        share, low, high = (max(value, 0.0) for value in (self.share, self.low, self.high))
        return (
            f"{share:.0%} of its ability above chance is left "
            f"(95 % interval {low:.0%} to {high:.0%}, {self.n} items)"
        )


def remaining_ability(
    members: Iterable[Measurement], suites: Suites, comparisons: Comparisons, limit: float
) -> RemainingAbility | None:
    """Returns the remaining ability at a checkpoint; None if there is no ability to judge.

    Only items that both models answered count, and only benchmarks in which the unedited model was above
    chance. Of a benchmark with subtasks the whole counts if it was measured, else its parts together.
    Protocols ask the same items again, so their mean has the mean of their margins; benchmarks have items of
    their own, so that their margins add like standard errors.

    Args:
        members: The measurements at the checkpoint.
        suites: The run's suites, which define the tasks that count as abilities.
        comparisons: The unedited models' measurements.
        limit: The share with which the result is to be compared; the intervals are exact in shares near it.
    """
    measured: dict[str, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for one in members:
        of_answers = one.metric == ACCURACY.name and one.form is not None
        if of_answers and suites.section_of(one) is Section.ABILITIES:
            measured[one.suite][one.protocol].append(one)
    benchmarks = []
    for protocols in measured.values():
        pooled = [_pooled(tasks, comparisons) for tasks in protocols.values()]
        left = [None if scores is None else scores.remaining(limit) for scores in pooled]
        known = [one for one in left if one is not None]
        if known:
            benchmarks.append(_mean_of_protocols(known))
    if not benchmarks:
        return None
    share = math.fsum(one.share for one in benchmarks) / len(benchmarks)
    below = math.hypot(*(one.share - one.low for one in benchmarks)) / len(benchmarks)
    above = math.hypot(*(one.high - one.share for one in benchmarks)) / len(benchmarks)
    return RemainingAbility(share, share - below, share + above, sum(one.n for one in benchmarks))


@dataclass(frozen=True)
class _Scores:
    """The scores of both models over the same items, and the chance level there."""

    value: float
    baseline: float
    chance: float
    n: int

    def remaining(self, limit: float) -> RemainingAbility | None:
        """Returns the share above chance that is left; None if the unedited model was not above chance.

        The bounds are those of `value - limit * baseline`, computed from Wilson's intervals of both scores
        ("square and add", Newcombe 1998; Zou and Donner 2008). They ignore that items that are hard for one
        model are mostly hard for the other, which would make them narrower.
        """
        headroom = self.baseline - self.chance
        if headroom < 2 * math.sqrt(0.25 / self.n):
            return None
        share = (self.value - self.chance) / headroom
        low, high = wilson_interval(self.value, self.n)
        base_low, base_high = wilson_interval(self.baseline, self.n)
        below = math.hypot(self.value - low, limit * (base_high - self.baseline)) / headroom
        above = math.hypot(high - self.value, limit * (self.baseline - base_low)) / headroom
        return RemainingAbility(share, share - below, share + above, self.n)


def _pooled(tasks: Sequence[Measurement], comparisons: Comparisons) -> _Scores | None:
    """Returns the scores of a benchmark under one protocol, over the items of all its tasks."""
    wholes = [one for one in tasks if not one.subtask] or tasks
    known = []
    for one in wholes:
        found = comparisons.of(one)
        if found is not None and found.value is not None and found.baseline is not None and found.n:
            chance = (one.form.chance if one.form is not None else None) or 0.0
            known.append(_Scores(found.value, found.baseline, chance, found.n))
    n = sum(one.n for one in known)
    if not n:
        return None
    return _Scores(
        math.fsum(one.n * one.value for one in known) / n,
        math.fsum(one.n * one.baseline for one in known) / n,
        math.fsum(one.n * one.chance for one in known) / n,
        n,
    )


def _mean_of_protocols(shares: Sequence[RemainingAbility]) -> RemainingAbility:
    """Returns the mean of a benchmark's protocols, which ask the same items."""
    count = len(shares)
    return RemainingAbility(
        math.fsum(one.share for one in shares) / count,
        math.fsum(one.low for one in shares) / count,
        math.fsum(one.high for one in shares) / count,
        max(one.n for one in shares),
    )
