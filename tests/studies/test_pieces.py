"""The pieces of a study's work, which progress counts, and the tasks that do them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.scheduling import Outcome
from sequela.studies import Study, run_study
from sequela.studies.pieces import piece_of, pieces_of
from sequela.studies.plan import make_plan
from sequela.studies.run_listener import RunListener


def test_the_tasks_of_a_run_do_exactly_the_pieces_of_its_study(
    make_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Outcome] = []
    finished = RunListener.finished

    def recorded(self: RunListener, outcome: Outcome) -> None:
        done.append(outcome)
        finished(self, outcome)

    monkeypatch.setattr(RunListener, "finished", recorded)
    study = make_study(alarms={"every": 1})
    run_study(study, tmp_path / "run")
    of_tasks = Counter(piece for one in done if (piece := piece_of(one.task)) is not None)
    assert of_tasks == Counter(pieces_of(make_plan(study)))
