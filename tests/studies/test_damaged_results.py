"""A run whose results were damaged: what is damaged is said, set aside, and measured or edited again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sequela.core.errors import IntegrityError
from sequela.results import Status, open_store
from sequela.studies import Study, run_study
from support.runs import MessageLog, edit_records, measured

EDIT = (
    "UPDATE edit SET record = replace(record, 'optimization_steps', 'optimization_stops') WHERE position = 1"
)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE measurement SET value = value + 1 WHERE id = 1",
            "the evaluation of 'builtin' after 0 edits",
        ),
        (EDIT, "the record of edit 1"),
    ],
)
def test_a_resumed_run_has_the_results_of_one_that_nothing_damaged(
    make_study: Callable[..., Study], finished: Path, tmp_path: Path, statement: str, said: str
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    with closing(sqlite3.connect(folder / "results.sqlite")) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    with pytest.raises(IntegrityError, match=said):
        _ = (measured(folder), edit_records(folder))
    log = MessageLog()
    assert run_study(make_study(), folder, log).status is Status.COMPLETE
    assert any(said in line and "is damaged" in line and "again" in line for line in log.lines)
    assert measured(folder) == measured(finished)
    assert [one.model_copy(update={"seconds": 0.0}) for one in edit_records(folder)] == [
        one.model_copy(update={"seconds": 0.0}) for one in edit_records(finished)
    ]
    with open_store(folder) as store:
        assert store.damage() == []
    assert any((folder / "damaged").iterdir())
