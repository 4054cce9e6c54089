"""Trajectories of a small study: the records of their edits, and the effect of interruptions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.progress import SilentProgress
from sequela.results import (
    Status,
    open_store,
    read_manifest,
)
from sequela.studies import Study, run_study
from support.runs import (
    MessageLog,
    StopAfterMessage,
    StopAt,
    checkpoint_files,
    edit_records,
    measured,
)

MakeStudy = Callable[..., Study]

EVALUATIONS = 3 * (1 + 2 * 2)
"""Three suites on the unedited model and on two checkpoints of two methods."""


class TestRecords:
    def test_every_edit_has_a_complete_record(self, finished: Path) -> None:
        records = edit_records(finished)
        assert [(one.editor, one.position, one.batch) for one in records if one.editor == "rome"] == [
            ("rome", 1, 1),
            ("rome", 2, 2),
        ]
        assert len(records) == 4
        for one in records:
            assert one.seconds > 0
            assert one.optimization_steps
            assert one.final_loss < one.first_loss
            assert one.relative_norm > 0
            assert one.success
            assert one.dropped == ""
            assert all(item.task == "success@edit" and item.item == one.edit_id for item in one.success)


class TestAStoppedRun:
    @pytest.mark.parametrize(
        "stop",
        [
            pytest.param(
                lambda: StopAfterMessage("rome (r-rome, no covariance): edit 2"),
                id="between edits",
                marks=pytest.mark.slow,
            ),
            pytest.param(lambda: StopAt("scoring", 8), id="inside an evaluation"),
            pytest.param(
                lambda: StopAfterMessage("ft-m: measuring after 2"), id="at the end", marks=pytest.mark.slow
            ),
        ],
    )
    def test_a_resumed_run_equals_an_uninterrupted_one(
        self, stop: Callable[[], SilentProgress], make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        stopped = run_study(make_study(), folder, stop())
        assert stopped.status is Status.STOPPED
        assert read_manifest(folder).status is Status.STOPPED
        assert 0 < stopped.done < stopped.planned == EVALUATIONS
        before = measured(folder)
        assert before
        assert all(one in measured(finished) for one in before)

        resumed = MessageLog()
        ended = run_study(make_study(), folder, resumed)
        assert resumed.lines[0] == f"{stopped.done} of {EVALUATIONS} evaluations are done and kept"
        assert (ended.status, ended.done) == (Status.COMPLETE, EVALUATIONS)
        assert measured(folder) == measured(finished)
        assert checkpoint_files(folder) == checkpoint_files(finished)
        assert len(checkpoint_files(folder)) == 2 * 2 * 2
        with open_store(folder) as store:
            edit_costs = [(one.label, one.n_edits) for one in store.costs() if one.step == "edit"]
        assert len(edit_costs) == len(set(edit_costs)) == 2 * 2  # edits applied again count once
        without_times = {"seconds"}
        assert [one.model_dump(exclude=without_times) for one in edit_records(folder)] == [
            one.model_dump(exclude=without_times) for one in edit_records(finished)
        ]

    def test_finished_evaluations_are_not_repeated(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        with open_store(folder) as store:
            before = len(store.costs())
        result = run_study(make_study(), folder)
        with open_store(folder) as store:
            again = [cost.step for cost in store.costs()][before:]
        assert result.status is Status.COMPLETE
        assert not {"edit", "evaluate"} & set(again)


def test_seeds_with_equal_orders_are_measured_separately(make_study: MakeStudy, tmp_path: Path) -> None:
    # Of two edits there are two orders, so two of three seeds must shuffle alike.
    study = make_study(order_seeds=[0, 1, 2], editors=["ft-m"], checkpoints=[0, 1], suites=[])
    result = run_study(study, tmp_path / "run")
    assert result.done == result.planned == 1 + 3
    assert {one.order_seed for one in measured(tmp_path / "run", editor="ft-m")} == {0, 1, 2}
