"""The numbers that a run says as soon as they are measured."""

from __future__ import annotations

from typing import Any

from sequela.results import TaskResult
from sequela.studies.headline import headline


def finding(metric: str, value: float | None, n: int = 10, **others: Any) -> TaskResult:
    named = {"suite": "builtin", "task": "a task", "protocol": "loglikelihood", "stderr": None}
    return TaskResult(**{**named, **others}, metric=metric, value=value, n=n)


def test_tasks_of_a_suite_are_taken_together_by_their_items() -> None:
    found = [finding("accuracy", 0.5, n=10), finding("accuracy", 0.8, n=20, task="another")]
    assert headline(found) == "accuracy 70.0 %"


def test_perplexity_and_loss_are_no_shares() -> None:
    assert headline([finding("perplexity", 28.123), finding("loss", 0.987)]) == "perplexity 28.12, loss 0.99"


def test_a_task_without_a_value_leaves_the_suite_without_one() -> None:
    assert headline([finding("accuracy", 0.5), finding("accuracy", None)]) == "accuracy without a value"


def test_of_a_suite_with_many_metrics_the_first_are_said_and_no_rate_of_requests() -> None:
    found = [finding(metric, 1.0) for metric in ("hit_rate", "accuracy", "accuracy_lenient", "parse_rate")]
    assert headline(found) == "accuracy 100.0 %, accuracy_lenient 100.0 %"


def test_of_edit_quality_it_is_what_is_left_of_the_edits_and_of_their_neighbors() -> None:
    quality = {"suite": "edit_quality", "task": "retention@n"}
    found = [
        finding("efficacy", 0.9, protocol="free_decoding", **quality),
        finding("efficacy", 0.1, protocol="teacher_forced", **quality),
        finding("neighborhood", 0.25, protocol="agreement", **quality),
        finding("neighborhood", 0.5, protocol="free_decoding", **quality),
        finding("efficacy", 0.3, protocol="free_decoding", suite="edit_quality", task="success@edit"),
    ]
    assert headline(found) == "efficacy (free_decoding) 90.0 %, neighborhood (agreement) 25.0 %"


def test_nothing_found_is_nothing_said() -> None:
    assert headline([]) == ""
