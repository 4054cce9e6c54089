"""The progress of a run of a small study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.studies import Study, run_study
from support.runs import (
    WorkloadLog,
)

MakeStudy = Callable[..., Study]

EVALUATIONS = 3 * (1 + 2 * 2)
"""Three suites on the unedited model and on two checkpoints of two methods."""


@pytest.fixture(scope="module")
def watched(make_study: MakeStudy, tmp_path_factory: pytest.TempPathFactory) -> WorkloadLog:
    log, folder = WorkloadLog(), tmp_path_factory.mktemp("watched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder / "cache"))
        run_study(make_study(alarms={"every": 1}), folder / "run", log)
    return log


class TestProgress:
    def test_every_piece_is_done_in_the_end(self, watched: WorkloadLog) -> None:
        edits, health, loading, preparing, answers = 4, 1, 1, 2, 1
        assert watched.workload.n_done == watched.workload.n_pieces
        assert watched.workload.n_pieces == EVALUATIONS + edits + health + loading + preparing + answers

    def test_every_task_belongs_to_a_piece_labeled_with_suite_and_checkpoint(
        self, watched: WorkloadLog
    ) -> None:
        assert all(label for label, _ in watched.begun)
        assert ("ft-m, 2 edits, perplexity", "scoring requests") in watched.begun
        assert ("ft-m, 1 edit, edit_quality", "generating tokens") in watched.begun
        assert ("rome (r-rome, no covariance), edit 2", "targets, steps") in watched.begun

    def test_numbers_are_logged_at_once_the_first_before_editors_prepare(self, watched: WorkloadLog) -> None:
        lines = [line for line in watched.lines if ": perplexity " in line]
        assert [line.partition(":")[0].rpartition(", perplexity")[0] for line in lines] == [
            "unedited model",
            *(
                f"{editor}, {n}"
                for editor in ("rome (r-rome, no covariance)", "ft-m")
                for n in ("1 edit", "2 edits")
            ),
        ]
        first = watched.lines.index(lines[0])
        before = watched.lines[:first]
        assert not any("measuring after" in line or "reference answers" in line for line in before)

    def test_a_resumed_run_counts_stored_pieces_as_done(
        self, watched: WorkloadLog, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        again = WorkloadLog()
        run_study(make_study(alarms={"every": 1}), tmp_path / "run", again)
        assert again.workload.n_done == again.workload.n_pieces == watched.workload.n_pieces
