"""Comparisons of an edited model's scores with the unedited model's, on the items that both answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sequela.results.answer_distribution import AnswerDistribution
from sequela.results.answered import metric_of_all
from sequela.results.measurement import Comparison, Measurement
from sequela.results.names import UNEDITED

Series = tuple[str, str, str, str]


@dataclass(frozen=True)
class Comparisons:
    """The unedited models' measurements, with which others are compared.

    Args:
        unedited: The measurements by model, sample of edits and series.
    """

    unedited: Mapping[tuple[str, int | None, Series], Measurement]

    @classmethod
    def among(cls, measurements: Iterable[Measurement]) -> Comparisons:
        """Returns the comparisons with the unedited models among a run's measurements."""
        unedited = (one for one in measurements if one.editor == UNEDITED)
        return cls({(one.model, one.edit_sample, one.series): one for one in unedited})

    def base_of(self, one: Measurement) -> Measurement | None:
        """Returns the unedited model's measurement in the same series.

        If it answered all items, its score over the answered ones is its score.
        """
        suite, task, metric, protocol = one.series
        for series in (one.series, (suite, task, metric_of_all(metric), protocol)):
            for sample in (one.edit_sample, None):  # a benchmark of the unedited model belongs to no sample
                if (found := self.unedited.get((one.model, sample, series))) is not None:
                    return found
        return None

    def of(self, one: Measurement) -> Comparison | None:
        """Returns the comparison of a measurement with the unedited model; None if it isn't known.

        Results of schema 5 or earlier do not say which items were answered. If as many were too long and as
        many failed on the unedited model, they were the same ones.
        """
        if one.compared is not None:
            return one.compared
        base = self.base_of(one)
        if base is None or (base.n, base.n_too_long, base.n_failed) != (one.n, one.n_too_long, one.n_failed):
            return None
        return Comparison(value=one.value, baseline=one.baseline, n=one.n)


def answered_score(one: Measurement, form: AnswerDistribution) -> tuple[float | None, float | None, int]:
    """Returns a score over the items that were answered, with its standard error and their number.

    Results of schema 5 or earlier have only the score over all items.
    """
    if form.n is None:
        return one.value, one.stderr, one.n
    return form.score, form.stderr, form.n
