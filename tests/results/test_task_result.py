from __future__ import annotations

from sequela.results import AnswerDistribution, ItemRecord, result_from_items, result_like


def record(item: str, value: float = 1.0, **fields: object) -> ItemRecord:
    labels = {"suite": "capitals", "task": "capitals@1", "metric": "accuracy", "protocol": "letters"}
    return ItemRecord.model_validate({**labels, "item": item, "value": value, **fields})


RECORDS = [
    record("1"),
    record("2", 0.0, finite=False),
    record("3", 0.0, too_long=99),
    record("4", failed="no"),
]


def test_a_result_takes_its_labels_from_a_record_and_its_counts_from_the_items() -> None:
    result = result_like(RECORDS[0], 0.5, 0.1, "a note", counted=RECORDS)
    assert result.series == ("capitals", "capitals@1", "accuracy", "letters")
    assert (result.n, result.n_nonfinite, result.n_too_long, result.n_failed) == (4, 1, 1, 1)
    assert (result.value, result.stderr, result.note, result.items) == (0.5, 0.1, "a note", ())


def test_another_metric_s_result_may_count_no_items() -> None:
    form = AnswerDistribution(chance=0.5)
    result = result_like(RECORDS[0], None, metric="auroc", form=form, items=RECORDS[:1])
    assert (result.metric, result.value, result.n) == ("auroc", None, 0)
    assert (result.form, result.items) == (form, (RECORDS[0],))


def test_a_mean_has_its_items_and_a_note_on_those_that_were_not_run() -> None:
    result = result_from_items(RECORDS, "a note")
    assert (result.value, result.n, result.items) == (0.5, 4, tuple(RECORDS))
    assert result.note.startswith("a note; items longer than the model's context")
