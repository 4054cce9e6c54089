"""The numbers that a run logs as soon as they are measured."""

from __future__ import annotations

from typing import Any

from sequela.results import TaskResult
from sequela.studies.headline import headline


def finding(metric: str, value: float | None, n: int = 10, **others: Any) -> TaskResult:
    named = {"suite": "builtin", "task": "a task", "protocol": "loglikelihood", "stderr": None}
    return TaskResult(**{**named, **others}, metric=metric, value=value, n=n)


def test_tasks_of_a_suite_are_averaged_over_their_items() -> None:
    found = [finding("accuracy", 0.5, n=10), finding("accuracy", 0.8, n=20, task="another")]
    assert headline(found) == "accuracy 70.0 %"


def test_perplexity_and_loss_are_not_percentages() -> None:
    assert headline([finding("perplexity", 28.123), finding("loss", 0.987)]) == "perplexity 28.12, loss 0.99"


def test_a_task_without_a_value_leaves_the_suite_without_one() -> None:
    assert headline([finding("accuracy", 0.5), finding("accuracy", None)]) == "accuracy without a value"


def test_the_first_metrics_of_a_suite_are_logged_without_hit_rates() -> None:
    found = [finding(metric, 1.0) for metric in ("hit_rate", "accuracy", "accuracy_lenient", "parse_rate")]
    assert headline(found) == "accuracy 100.0 %, accuracy_lenient 100.0 %"


def test_retained_efficacy_and_neighborhood_of_edit_quality_are_logged() -> None:
    quality = {"suite": "edit_quality", "task": "retention@n"}
    found = [
        finding("efficacy", 0.9, protocol="free_decoding", **quality),
        finding("efficacy", 0.1, protocol="teacher_forced", **quality),
        finding("neighborhood", 0.25, protocol="agreement", **quality),
        finding("neighborhood", 0.5, protocol="free_decoding", **quality),
        finding("efficacy", 0.3, protocol="free_decoding", suite="edit_quality", task="success@edit"),
    ]
    assert headline(found) == (
        "efficacy (free decoding) 90.0 %, neighborhood (free decoding) 50.0 %, "
        "neighborhood (agreement) 25.0 %"
    )


def test_a_count_is_written_as_a_whole_number() -> None:
    assert headline([finding("nonfinite", 3.0)]) == "nonfinite 3"


def test_protocols_are_not_averaged() -> None:
    found = [
        finding("accuracy", 0.2, protocol="generation"),
        finding("accuracy_lenient", 0.3, protocol="generation"),
        finding("accuracy", 0.4, protocol="letters"),
    ]
    assert (
        headline(found) == "accuracy (generation) 20.0 %, accuracy (letters) 40.0 %, accuracy_lenient 30.0 %"
    )


def test_no_results_give_an_empty_line() -> None:
    assert headline([]) == ""
