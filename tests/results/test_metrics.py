"""The catalog of metrics covers all metrics that the built-in suites report."""

from __future__ import annotations

import pytest

from sequela.evaluation.monitor_rules import HEALTH_METRICS
from sequela.evaluation.registry import list_suites
from sequela.results import MetricInfo, Unit, metric_info
from sequela.results.metrics import CATALOG, EFFICACY, PERPLEXITY, metric_rank


def test_every_metric_that_a_suite_reports_is_explained() -> None:
    reported = {name for suite in list_suites() for name in suite.metrics} | set(HEALTH_METRICS)
    assert len(reported) > 15
    assert {name for name in reported if not metric_info(name).meaning} == set()


def test_an_unknown_metric_is_a_plain_number_without_a_direction() -> None:
    found = metric_info("brand_new")
    assert (found.label, found.unit, found.higher_is_better) == ("brand new", Unit.NUMBER, None)
    assert not found.is_better(2.0, 1.0)
    assert not found.is_better(1.0, 2.0)
    assert metric_rank("brand_new") > metric_rank(PERPLEXITY.name) > metric_rank(EFFICACY.name)


def test_a_custom_metric_takes_precedence_over_the_catalog() -> None:
    own = MetricInfo(name="accuracy", title="Right answers", unit=Unit.COUNT)
    assert metric_info("accuracy", {"accuracy": own}) == own
    assert metric_info("accuracy", {"other": own}) == CATALOG["accuracy"]


@pytest.mark.parametrize(("name", "better"), [("accuracy", 0.9), ("perplexity", 0.1)])
def test_which_of_two_values_is_better(name: str, better: float) -> None:
    assert CATALOG[name].is_better(better, 0.5)
    assert not CATALOG[name].is_better(0.5, better)
    assert not CATALOG[name].is_better(0.5, 0.5)


@pytest.mark.parametrize("ending", ["", "_answered"])
@pytest.mark.parametrize("name", ["acc", "acc_norm", "acc_bytes"])
def test_accuracies_of_the_harness_are_shares_with_a_direction(name: str, ending: str) -> None:
    found = metric_info(f"{name}{ending}")
    assert found.meaning
    assert "_" not in found.label
    assert (found.unit, found.higher_is_better, found.binary) == (Unit.SHARE, True, False)
    assert found.is_better(0.6, 0.5)
    assert metric_rank("accuracy") < metric_rank(found.name) < metric_rank(PERPLEXITY.name)
