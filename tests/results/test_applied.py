from __future__ import annotations

from collections.abc import Collection

import pytest

from sequela.results import (
    Comparison,
    ItemRecord,
    Labels,
    count_dropped,
    dropped_note,
    is_applied,
    of_applied,
    result_from_items,
    with_dropped,
)
from sequela.studies.baseline import Baseline, measurements

EDITS = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 1.0}


def records(
    task: str = "retention@n", dropped: Collection[str] = (), too_long: Collection[str] = ()
) -> list[ItemRecord]:
    scored = [
        ItemRecord(
            suite="edit_quality",
            task=task,
            metric="efficacy",
            protocol="free_decoding",
            item=name,
            value=0.0 if name in too_long else value,
            too_long=99 if name in too_long else None,
            details={"known_before": "old"},
        )
        for name, value in EDITS.items()
    ]
    return with_dropped(scored, dict.fromkeys(dropped, "the loss is not finite"))


@pytest.mark.parametrize(
    ("dropped", "too_long", "value", "n", "note"),
    [
        ("b", "", 1.0, 3, "1 edit dropped, not counted"),
        ("ab", "", 1.0, 2, "2 edits dropped, not counted"),
        ("", "c", 2 / 3, 3, "1 edit longer than the model's context, not counted"),
        (
            "b",
            "bc",
            1.0,
            2,
            "1 edit dropped, not counted; 1 edit longer than the model's context, not counted",
        ),
        ("abcd", "", None, 0, "4 edits dropped, not counted"),
    ],
)
def test_success_of_applied_edits_is_over_these_alone(
    dropped: str, too_long: str, value: float | None, n: int, note: str
) -> None:
    found = of_applied(result_from_items(records("success@edit", dropped, too_long)))
    assert found is not None
    assert found.task == "success@edit (applied)"
    assert found.value == (None if value is None else pytest.approx(value))
    assert (found.n, found.n_too_long) == (n, 0)
    assert found.note == note


def test_if_all_edits_were_applied_and_asked_there_is_one_score() -> None:
    assert of_applied(result_from_items(records())) is None
    assert count_dropped(records()) == []


def test_dropped_edits_are_counted_among_all() -> None:
    (found,) = count_dropped([*records(dropped="bd"), *records("success@edit")])
    assert (found.task, found.metric, found.value, found.n) == ("retention@n", "dropped_edits", 2, 4)


def test_each_edit_counts_once_as_scored_dropped_or_superseded() -> None:
    superseded = records()[0].model_copy(
        update={"item": "e", "metric": "superseded", "protocol": "from_edits", "value": 1.0}
    )
    (found,) = count_dropped(with_dropped([*records(dropped="b"), superseded], {"e": "replaced"}))
    assert (found.value, found.n) == (1, 5)


@pytest.mark.parametrize(
    ("dropped", "too_long", "note"),
    [
        ("", "c", ""),
        (
            "b",
            "",
            "1 edit dropped, counted with what the model answers without it (first: b, "
            "the loss is not finite)",
        ),
        ("b", "b", "1 edit dropped (first: b, the loss is not finite)"),
        (
            "ab",
            "b",
            "2 edits dropped, counted with what the model answers without them (first: a, the loss is not "
            "finite)",
        ),
    ],
)
def test_the_note_on_dropped_edits_says_how_they_count(dropped: str, too_long: str, note: str) -> None:
    assert dropped_note(records("success@edit", dropped, too_long)) == note


def test_the_reason_stands_beside_other_details() -> None:
    one = records(dropped="b")[1]
    assert one.details == {"known_before": "old", "dropped": "the loss is not finite"}
    assert [is_applied(item) for item in records(dropped="b")] == [True, False, True, True]


def test_applied_edits_are_compared_with_the_unedited_model_on_the_same_edits() -> None:
    names = {"model": "m", "edit_source": "builtin", "order_seed": 0}
    before, baseline = result_from_items(records()), Baseline()
    unedited = measurements([before], Labels(editor="none", n_edits=0, **names), baseline)
    baseline.remember(unedited, before.items)
    for task in ("success@edit", "retention@n"):
        result = of_applied(result_from_items(records(task, dropped="b", too_long="c")))
        assert result is not None
        (one,) = measurements([result], Labels(editor="ike", n_edits=4, **names), baseline)
        assert (one.value, one.baseline, one.difference) == (1.0, 1.0, 0.0)
        assert one.compared == Comparison(value=1.0, baseline=1.0, n=2)
