from __future__ import annotations

import json
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sequela.core.errors import IntegrityError, SequelaError
from sequela.results import (
    Comparison,
    CostRecord,
    Query,
    ResultsStore,
    open_store,
)
from sequela.results.earlier_schema import group_of_4
from sequela.results.schema import SCHEMA_VERSION
from support.results import KEY, edit_record, item, measurement


def test_items_that_are_too_long_are_read_back_with_their_length(tmp_path: Path) -> None:
    long = item("long", 0.0, "").model_copy(update={"too_long": 3000})
    with open_store(tmp_path, create=True) as store:
        store.write_evaluation(KEY, [measurement(n_too_long=1)], [item("short"), long])
        assert [one.too_long for one in store.items(KEY)] == [None, 3000]
        (kept,) = store.measurements()
    assert (kept.n_too_long, kept.n_nonfinite) == (1, 0)


def test_items_that_failed_are_read_back_with_their_reason(tmp_path: Path) -> None:
    failed = item("broken", 0.0, "").model_copy(update={"failed": "KeyError: 'x'"})
    with open_store(tmp_path, create=True) as store:
        store.write_evaluation(KEY, [measurement(n_failed=1)], [item("whole"), failed])
        assert [one.failed for one in store.items(KEY)] == ["", "KeyError: 'x'"]
        (kept,) = store.measurements()
    assert kept.n_failed == 1


def test_thinking_is_read_back_with_its_template(tmp_path: Path) -> None:
    cut = item("cut", 0.0, "").model_copy(update={"thinking": "<think>Oslo", "unfinished_thinking": 24})
    asked = measurement(
        template="chat",
        template_args={"enable_thinking": True, "effort": "low", "depth": 2, "system": None},
        edit_template="chat",
        edit_template_args={"enable_thinking": False},
        think_end_token="</think>",
        max_thinking_tokens=24,
        n_unfinished_thinking=1,
    )
    with open_store(tmp_path, create=True) as store:
        store.write_evaluation(KEY, [asked], [item("answered"), cut])
    with open_store(tmp_path) as store:
        assert store.items(KEY) == [item("answered"), cut]
        assert store.measurements() == [asked]


OLD_FORMATS = Path(__file__).parents[1] / "old_formats"


def run_of_schema_5(folder: Path) -> Path:
    """Takes out of a run of schema 6 what schema 5 didn't have."""
    shutil.copytree(OLD_FORMATS / "run_6", folder)
    added = ("shared", "n_unfinished_thinking", "edit_template_args", "template_args", "think_end_token")
    with closing(sqlite3.connect(folder / "results.sqlite")) as connection:
        for column in (*added, "max_thinking_tokens"):
            connection.execute(f"ALTER TABLE measurement DROP COLUMN {column}")
        connection.execute("UPDATE measurement SET n_too_long = 3 WHERE id = 1")
        connection.execute("UPDATE store SET schema_version = 5")
        connection.commit()
    return folder


def test_a_store_of_schema_5_is_read_and_continued(tmp_path: Path) -> None:
    """It knows no thinking and no items that only one of two models answered."""
    folder = run_of_schema_5(tmp_path / "run")
    shutil.copytree(OLD_FORMATS / "run_6", tmp_path / "later")
    with open_store(tmp_path / "later") as store:
        expected = store.measurements()
    assert len(expected) > 0
    for create in (False, True, False):
        with open_store(folder, create=create) as store:
            found = store.measurements()
        differing = [(one, other) for one, other in zip(found, expected, strict=True) if one != other]
        ((too_long, before),) = differing
        assert too_long == before.model_copy(update={"n_too_long": 3})
        assert (too_long.shared, too_long.difference, before.difference) == (None, None, 0.0)
    with closing(sqlite3.connect(folder / "results.sqlite")) as connection:
        assert connection.execute("SELECT schema_version FROM store").fetchone() == (SCHEMA_VERSION,)
    with open_store(folder, create=True) as store:
        later = KEY.model_copy(update={"n_edits": 6})
        store.write_evaluation(later, [measurement(n_edits=6, max_thinking_tokens=9)], [item("one")])
        assert [one.max_thinking_tokens for one in store.measurements(key=later)] == [9]


@pytest.fixture
def store(tmp_path: Path):
    with open_store(tmp_path, create=True) as opened:
        yield opened


def test_records_are_read_back_after_reopening(tmp_path: Path) -> None:
    measured = [measurement(), measurement("mmlu_anatomy", value=None, stderr=None, n=0, note="no items")]
    items = [item("1"), item("2", value=0.0, answer="¡Ω\n\t\x00 </script>")]
    edits = [edit_record(1), edit_record(2, target_true="Paris", optimization_steps=25)]
    cost = CostRecord(step="edit", seconds=3.5, peak_memory_bytes=2**30, units=2, editor="rome", n_edits=2)
    with open_store(tmp_path, create=True) as first:
        assert not first.has(KEY)
        first.write_evaluation(KEY, measured, items)
        first.write_edit_records(edits)
        first.write_cost(cost)
    with open_store(tmp_path) as again:
        assert again.has(KEY)
        assert again.evaluations() == [KEY]
        assert again.measurements() == measured
        assert again.items(KEY) == items
        assert again.edit_records("t1") == edits
        assert again.edit_records("t2") == []
        assert again.costs() == [cost]


def test_costs_after_a_number_of_edits_are_discarded_for_one_step_and_trajectory(store: ResultsStore) -> None:
    def cost(step: str, trajectory: str, n_edits: int) -> CostRecord:
        return CostRecord(step=step, seconds=1.0, trajectory=trajectory, editor="rome", n_edits=n_edits)

    kept = [cost("edit", "t1", 1), cost("edit", "t2", 2), cost("evaluate", "t1", 2)]
    store.write_cost(*kept, cost("edit", "t1", 2), cost("edit", "t1", 3))
    store.discard_costs("edit", "t1", after=1)
    assert store.costs() == kept


def test_a_key_differs_when_any_part_differs(store: ResultsStore) -> None:
    store.write_evaluation(KEY, [measurement()])
    for name, value in {"trajectory": "t2", "n_edits": 6, "suite": "x", "suite_version": "v2"}.items():
        assert not store.has(KEY.model_copy(update={name: value}))
    assert not store.has(KEY.model_copy(update={"model_hash": "m2"}))


def test_an_evaluation_is_written_with_its_cost_or_not_at_all(store: ResultsStore) -> None:
    cost = CostRecord(step="evaluate", seconds=1.5, suite=KEY.suite)
    store.write_evaluation(KEY, [measurement()], [item("1")], [cost])
    assert store.costs() == [cost]
    assert store.damage() == []
    with pytest.raises(SequelaError):
        store.write_evaluation(KEY, [measurement()], [item("1")], [cost])
    assert store.costs() == [cost]
    assert store.damage() == []


def test_failure_in_the_middle_leaves_nothing(store: ResultsStore, tmp_path: Path) -> None:
    unwritable = item("1").model_copy(update={"details": {"what": object()}})
    with pytest.raises(TypeError, match="JSON"):
        store.write_evaluation(KEY, [measurement()], [item("0"), unwritable])
    assert not store.has(KEY)
    assert store.measurements() == []
    assert store.count_evaluations() == 0
    assert list(tmp_path.glob("items/*")) == []
    store.write_evaluation(KEY, [measurement()], [item("0")])
    assert store.count_evaluations() == 1


def test_a_failing_commit_removes_the_item_file(store: ResultsStore, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "results.sqlite") as reader:
        reader.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        reader.execute("CREATE TABLE doomed (p REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)")
        reader.execute(
            "CREATE TRIGGER fail_late AFTER INSERT ON evaluation BEGIN INSERT INTO doomed VALUES (7); END"
        )
    reader.close()
    with pytest.raises(SequelaError):
        store.write_evaluation(KEY, [measurement()], [item("0")])
    assert not store.has(KEY)
    assert list(tmp_path.glob("items/*")) == []


def test_results_are_never_replaced(store: ResultsStore) -> None:
    store.write_evaluation(KEY, [measurement()], [item("0")])
    with pytest.raises(SequelaError, match="exist already"):
        store.write_evaluation(KEY, [measurement(value=0.9)], [item("other")])
    assert store.measurements() == [measurement()]
    assert store.items(KEY) == [item("0")]


def test_measurements_of_another_checkpoint_are_rejected(store: ResultsStore) -> None:
    with pytest.raises(ValueError, match="after 6 edits"):
        store.write_evaluation(KEY, [measurement(n_edits=6)])
    assert store.count_evaluations() == 0


def test_queries_and_order(store: ResultsStore) -> None:
    later = KEY.model_copy(update={"n_edits": 10})
    base = KEY.model_copy(update={"n_edits": 0, "trajectory": "base"})
    store.write_evaluation(later, [measurement("b", 10), measurement("a", 10)])
    store.write_evaluation(KEY, [measurement("a")])
    store.write_evaluation(base, [measurement("a", 0, editor="none", variant="")])
    found = [(one.editor, one.n_edits, one.task) for one in store.measurements()]
    assert found == [("none", 0, "a"), ("rome", 5, "a"), ("rome", 10, "a"), ("rome", 10, "b")]
    assert [one.n_edits for one in store.measurements(Query(task="a", editor="rome"))] == [5, 10]
    assert store.measurements(Query(metric="perplexity")) == []
    assert [one.task for one in store.measurements(key=later)] == ["a", "b"]
    assert store.measurements(key=later.model_copy(update={"suite": "x"})) == []


def test_nan_becomes_none_with_a_note_and_infinite_values_stay(store: ResultsStore) -> None:
    store.write_evaluation(
        KEY, [measurement("a", value=math.nan, stderr=math.nan), measurement("b", value=math.inf)]
    )
    lost, infinite = store.measurements()
    assert (lost.value, lost.stderr, lost.note) == (None, None, "value and stderr: not a number")
    assert infinite.value == math.inf


def test_a_reapplied_edit_replaces_its_record(store: ResultsStore) -> None:
    store.write_edit_records([edit_record(1), edit_record(2)])
    store.write_edit_records([edit_record(2, seconds=9.0, final_loss=math.nan)])
    first, second = store.edit_records()
    assert first == edit_record(1)
    assert second.seconds == 9.0
    assert math.isnan(second.final_loss)


def test_a_folder_without_a_store_is_rejected_and_left_unchanged(tmp_path: Path) -> None:
    with pytest.raises(SequelaError, match="no results"):
        open_store(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_file_that_is_no_database_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "results.sqlite").write_bytes(b"not a database at all, but long enough to be read" * 50)
    with pytest.raises(SequelaError, match="not a readable results database"):
        open_store(tmp_path, create=True)


def test_another_schema_version_is_rejected(tmp_path: Path) -> None:
    open_store(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / "results.sqlite") as connection:
        connection.execute("UPDATE store SET schema_version = 99")
    connection.close()
    with pytest.raises(SequelaError, match="schema version 99"):
        open_store(tmp_path)


def test_missing_items_are_reported(store: ResultsStore, tmp_path: Path) -> None:
    with pytest.raises(SequelaError, match="no results for the suite 'mmlu'"):
        store.items(KEY)
    store.write_evaluation(KEY, [measurement()], [item("0")])
    next(tmp_path.glob("items/*.parquet")).unlink()
    with pytest.raises(IntegrityError, match="per-item records"):
        store.items(KEY)


QUERY = "SELECT record FROM edit ORDER BY trajectory, position"


class TestAnEarlierSchema:
    """A run that commit 2ab7701 wrote with schema 4 (see `tests/old_formats/make.py`)."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        return Path(shutil.copytree(OLD_FORMATS / "run", tmp_path / "run"))

    def test_losses_and_norms_have_their_own_fields(self, old: Path) -> None:
        with sqlite3.connect(old / "results.sqlite") as connection:
            raw = [json.loads(text) for (text,) in connection.execute(QUERY)]
        connection.close()
        with open_store(old) as store:
            records = store.edit_records()
        assert len(records) == len(raw) > 0
        for record, content in zip(records, raw, strict=True):
            assert record.first_loss == content["losses"]["first"]
            assert record.final_loss == content["losses"]["final"]
            assert record.relative_norm == content["relative_delta_norms"]["largest"]
            assert record.optimization_steps == content["optimization_steps"]

    def test_costs_have_the_variant_of_their_trajectory(self, old: Path) -> None:
        with open_store(old) as store:
            labels = {record.label for record in store.edit_records()}
            costs = store.costs()
        assert "rome (r-rome, no covariance)" in labels
        assert {cost.label for cost in costs} == {*labels, "unedited", ""}

    def test_reading_leaves_the_file_unchanged(self, old: Path) -> None:
        before = (old / "results.sqlite").read_bytes()
        with open_store(old) as store:
            store.costs()
        assert (old / "results.sqlite").read_bytes() == before

    def test_a_resumed_run_is_upgraded(self, old: Path) -> None:
        with open_store(old) as store:
            read = (store.measurements(), store.edit_records(), store.costs())
        with open_store(old, create=True) as store:
            assert (store.measurements(), store.edit_records(), store.costs()) == read
        with sqlite3.connect(old / "results.sqlite") as connection:
            assert connection.execute("SELECT schema_version FROM store").fetchone() == (SCHEMA_VERSION,)
            assert "losses" not in connection.execute("SELECT record FROM edit").fetchone()[0]
        connection.close()
        with open_store(old) as store:
            assert (store.measurements(), store.edit_records(), store.costs()) == read

    def test_refused_items_are_read_as_too_long(self, old: Path) -> None:
        """In the measurements, the items, and the records of edits."""
        with open_store(old) as store:
            assert {one.n_too_long for one in store.measurements()} == {0}
            items = [item for key in store.evaluations() for item in store.items(key)]
            items += [item for record in store.edit_records() for item in record.success]
        assert {item.too_long for item in items} == {None}
        prompts = [prompt for item in items for prompt in item.details.get("prompts", ())]
        assert prompts
        assert all("too_long" in prompt and "refused" not in prompt for prompt in prompts)

    def test_an_upgrade_is_atomic(self, old: Path) -> None:
        path = old / "results.sqlite"
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE cost")  # the last table that the upgrade rewrites
        connection.close()
        before = path.read_bytes()
        with pytest.raises(SequelaError, match="can't be upgraded to schema version"):
            open_store(old, create=True)
        assert path.read_bytes() == before


def test_the_comparison_over_common_items_is_read_back(tmp_path: Path) -> None:
    shared = Comparison(value=0.5, baseline=0.6, n=5, n_lost=3)
    with open_store(tmp_path, create=True) as store:
        store.write_evaluation(KEY, [measurement(shared=shared, n_too_long=3)], [])
        (kept,) = store.measurements()
    assert kept.shared == shared
    assert kept.difference == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("suite", "task", "found"),
    [
        ("mmlu", "mmlu@1", ("mmlu", "")),
        ("mmlu", "mmlu_anatomy_0shot_local@1", ("mmlu", "anatomy")),
        ("truthfulqa", "truthfulqa_mc1_local@1", ("truthfulqa_mc1", "")),
        ("builtin", "reading", ("", "")),
        ("own", "sums@2", ("sums", "")),
        ("own", "sums_hard@2", ("sums", "hard")),
        ("own", "other", ("", "")),
    ],
)
def test_groups_and_subtasks_are_derived_from_names_of_schema_4(
    suite: str, task: str, found: tuple[str, str]
) -> None:
    assert group_of_4(suite, task, ["sums@2", "sums_hard@2", "other"]) == found
